/* async, await and yield, as people call them; numbers are those of OTP's cases. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/helper.h"
#include "support/outside.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Waits for a line in a fifo, and has that as its value. */
#define READS "read x <\"$0\"; echo \"$x\""
/* Does not end when it is asked to. */
#define STUBBORN "trap '' TERM; echo up >\"$0\"; while :; do sleep 60; done"

static void
assert_sql(struct instance *i, const char *question, const char *wanted)
{
	char *text = sql(i, question);

	assert_string_equal(text, wanted);
	free(text);
}

/* Start a task that must get this id. */
static void
assert_async(struct instance *i, const char *id, const char *script, const char *argument)
{
	char printed[16];

	snprintf(printed, sizeof(printed), "%s\n", id);
	assert_result(jobberd(i, "async", "--", "sh", "-c", script, argument, NULL), 0, printed,
	    "");
}

/* case 186 */
static void
await_gives_the_value_that_the_task_has_said_or_its_last_line(void **state)
{
	struct instance i;
	char script[700];

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	snprintf(script, sizeof(script), "'%s' notify result '{\"pages\": 3}'; echo no",
	    getenv("JOBBERD"));
	assert_async(&i, "1", script, "-");
	assert_async(&i, "2", "echo log; echo 'a \"b\"'; echo; echo", "-");
	assert_async(&i, "3", "true", "-");
	assert_result(jobberd(&i, "await", "-t", "50s", "1", "2", "3", "2", NULL), 0,
	    "{\"pages\":3}\n\"a \\\"b\\\"\"\nnull\n\"a \\\"b\\\"\"\n", "");
	assert_result(jobberd(&i, "await", "-r", "2", "1", NULL), 0,
	    "a \"b\"\n{\"pages\":3}\n", "");
	/* With no time at all it has what has ended, as Task.await(task, 0). */
	assert_result(jobberd(&i, "await", "-t", "0", "1", "3", NULL), 0,
	    "{\"pages\":3}\nnull\n", "");
	assert_sql(&i, "SELECT group_concat(max_retries) FROM jobs", "0,0,0");
	/* With nobody there: what has ended has its value. */
	instance_stop(&i);
	assert_result(jobberd(&i, "await", "1", NULL), 0, "{\"pages\":3}\n", "");
	assert_result(jobberd(&i, "yield", "--shutdown", "1", NULL), 0, "{\"pages\":3}\n", "");
	assert_result(jobberd(&i, "await", "77", NULL), 4, "", "jobberd: there is no job 77\n");
	check_accounts(&i);
	instance_done(&i);
}

/* case 188, and its opposite; case 200: what was had once may be had again */
static void
await_that_takes_too_long_ends_the_task_unless_it_is_kept(void **state)
{
	struct instance i;
	char *go;

	(void)state;
	instance_init(&i);
	go = fifo_make(&i, "go");
	instance_start(&i, "--max-children", "4", NULL);
	assert_async(&i, "1", READS, go);
	assert_async(&i, "2", "exit 9", "-");
	assert_async(&i, "3", "sleep 60", "-");
	assert_result(jobberd(&i, "await", "--keep", "-t", "100ms", "1", NULL), 124, "",
	    "jobberd: the time to wait has passed\n");
	assert_result(jobberd(&i, "await", "-t", "100ms", "1", "3", "--keep", NULL), 124, "",
	    "jobberd: the time to wait has passed\n");
	assert_result(jobberd(&i, "await", "-t", "100ms", "3", NULL), 124, "",
	    "jobberd: the time to wait has passed: what has not ended is ended\n");
	assert_int_equal(wait_job(&i, 3), 1);
	assert_int_equal(wait_job(&i, 2), 1);
	assert_result(jobberd(&i, "await", "-t", "0", "1", "2", "--keep", NULL), 1, "",
	    "jobberd: job 2 failed: exit 9\n");
	assert_result(jobberd(&i, "await", "-t", "0", "1", "--keep", NULL), 124, "",
	    "jobberd: the time to wait has passed\n");
	fifo_write(go, "late\n");
	assert_result(jobberd(&i, "await", "-t", "50s", "1", NULL), 0, "\"late\"\n", "");
	assert_result(jobberd(&i, "await", "1", NULL), 0, "\"late\"\n", "");
	assert_sql(&i, "SELECT group_concat(status) FROM jobs", "done,failed,cancelled");
	instance_finish(&i);
	free(go);
}

/* case 210 */
static void
first_failure_fails_the_whole_wait_and_ends_the_others(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "4", NULL);
	assert_async(&i, "1", "echo one", "-");
	assert_async(&i, "2", "sleep 60", "-");
	assert_async(&i, "3", "exit 3", "-");
	assert_result(jobberd(&i, "await", "-t", "50s", "--keep", "1", "2", "3", NULL), 1, "",
	    "jobberd: job 3 failed: exit 3\n");
	assert_sql(&i, "SELECT status FROM jobs WHERE id = 2", "running");
	assert_result(jobberd(&i, "await", "1", "2", "3", NULL), 1, "",
	    "jobberd: job 3 failed: exit 3\n");
	assert_int_equal(wait_job(&i, 2), 1);
	assert_sql(&i, "SELECT group_concat(status) FROM jobs", "done,cancelled,failed");
	instance_finish(&i);
}

/* cases 196, 193 */
static void
yield_gives_nothing_and_may_be_asked_again(void **state)
{
	struct instance i;
	struct result result;
	int64_t begin;
	char *go;

	(void)state;
	instance_init(&i);
	go = fifo_make(&i, "go");
	instance_start(&i, "--max-children", "4", NULL);
	assert_async(&i, "1", READS, go);
	assert_async(&i, "2", "kill -SEGV $$", "-");
	assert_result(jobberd(&i, "yield", "1", NULL), 124, "", "");
	begin = now_ms();
	assert_result(jobberd(&i, "yield", "1", "--timeout", "10ms", NULL), 124, "", "");
	assert_between(now_ms() - begin, 10, 10000);
	fifo_write(go, "v\n");
	assert_result(jobberd(&i, "yield", "1", "--timeout", "50s", NULL), 0, "\"v\"\n", "");
	assert_result(jobberd(&i, "yield", "-r", "1", NULL), 0, "v\n", "");
	wait_job(&i, 2);
	result = jobberd(&i, "yield", "2", NULL);
	assert_int_equal(result.status, 1);
	assert_string_equal(result.out, "");
	assert_has(result.err, "jobberd: job 2 failed: killed by SIGSEGV");
	result_done(&result);
	instance_finish(&i);
	free(go);
}

/* case 211 */
static void
several_yielded_at_once_keep_their_places(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "4", NULL);
	assert_async(&i, "1", "echo one", "-");
	assert_async(&i, "2", "sleep 60", "-");
	assert_async(&i, "3", "exit 3", "-");
	wait_job(&i, 1);
	wait_job(&i, 3);
	assert_result(jobberd(&i, "yield", "1", "2", "--timeout", "100ms", NULL), 124,
	    "\"one\"\nnull\n", "");
	assert_result(jobberd(&i, "yield", "2", "3", "1", NULL), 1, "null\nnull\n\"one\"\n",
	    "jobberd: job 3 failed: exit 3\n");
	assert_result(jobberd(&i, "yield", "--json", "1", "2", "3", NULL), 1,
	    "{\"id\":1,\"status\":\"done\",\"ok\":\"one\"}\n"
	    "{\"id\":2,\"status\":\"running\"}\n"
	    "{\"id\":3,\"status\":\"failed\",\"exit\":\"exit:3\"}\n",
	    "jobberd: job 3 failed: exit 3\n");
	assert_result(jobberd(&i, "yield", "--shutdown", "2", NULL), 124, "", "");
	instance_finish(&i);
}

/* cases 197, 198 */
static void
shutdown_ends_a_task_or_gives_what_it_had(void **state)
{
	struct instance i;
	struct bell up;
	char script[700];

	(void)state;
	instance_init(&i);
	bell_init(&up, &i, "up");
	instance_start(&i, "--max-children", "8", NULL);
	assert_async(&i, "1", "sleep 60", "-");
	assert_result(jobberd(&i, "yield", "1", NULL), 124, "", "");
	assert_result(jobberd(&i, "yield", "--shutdown", "1", NULL), 124, "", "");
	assert_sql(&i, "SELECT status FROM jobs WHERE id = 1", "cancelled");
	assert_async(&i, "2", "echo v", "-");
	wait_job(&i, 2);
	assert_result(jobberd(&i, "yield", "--shutdown", "2", NULL), 0, "\"v\"\n", "");
	/* It has said its result, and goes on. */
	snprintf(script, sizeof(script), "'%s' notify result 7; echo said >\"$0\"; exec sleep 60",
	    getenv("JOBBERD"));
	assert_async(&i, "3", script, up.path);
	free(bell_wait(&up));
	assert_result(jobberd(&i, "yield", "--shutdown", "3", NULL), 0, "7\n", "");
	/* Force is told, unless it was what was asked for. */
	assert_async(&i, "4", STUBBORN, up.path);
	free(bell_wait(&up));
	assert_result(jobberd(&i, "yield", "--shutdown=100ms", "4", NULL), 1, "",
	    "jobberd: job 4 cancelled: killed: it had not ended in time\n");
	assert_async(&i, "5", STUBBORN, up.path);
	free(bell_wait(&up));
	assert_result(jobberd(&i, "yield", "--shutdown=brutal_kill", "5", NULL), 124, "", "");
	assert_result(jobberd(&i, "yield", "--shutdown=soon", "5", NULL), 2, "",
	    "jobberd: shutdown: \"soon\" is neither brutal_kill nor a duration like 5s or "
	    "250ms\n");
	bell_done(&up);
	instance_finish(&i);
}

/* The next one is asked, and a task is not hurt. */
static void
await_outlives_the_supervisor_process(void **state)
{
	struct instance i;
	struct helper await;
	char *go;

	(void)state;
	instance_init(&i);
	go = fifo_make(&i, "go");
	instance_start(&i, NULL);
	assert_async(&i, "1", READS, go);
	instance_expect(&i, "job=1 started");
	helper_jobberd(&await, &i, NULL, "await", "--timeout", "50s", "1", NULL);
	instance_kill_supervisor(&i);
	fifo_write(go, "v\n");
	assert_int_equal(helper_wait(&await), 0);
	assert_string_equal(await.out.text, "\"v\"\n");
	helper_end(&await);
	instance_finish(&i);
	free(go);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(await_gives_the_value_that_the_task_has_said_or_its_last_line),
		cmocka_unit_test(await_that_takes_too_long_ends_the_task_unless_it_is_kept),
		cmocka_unit_test(first_failure_fails_the_whole_wait_and_ends_the_others),
		cmocka_unit_test(yield_gives_nothing_and_may_be_asked_again),
		cmocka_unit_test(several_yielded_at_once_keep_their_places),
		cmocka_unit_test(shutdown_ends_a_task_or_gives_what_it_had),
		cmocka_unit_test(await_outlives_the_supervisor_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
