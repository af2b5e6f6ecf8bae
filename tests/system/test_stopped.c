/* SIGSTOP: nobody dies, nobody is reaped twice, and whoever asks gets a sentence. */

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

#define JOBS 60

/* Says when it finds an earlier run of the same job alive. */
static const char WITNESS[] =
    "p=$(cat pid.$JOBBERD_ID 2>/dev/null); [ -n \"$p\" ] && [ -d /proc/$p ] && "
    "! grep -q 'State:.Z' /proc/$p/status && echo $JOBBERD_ID >> twice; "
    "echo $$ > pid.$JOBBERD_ID; echo \"s $JOBBERD_ID.$JOBBERD_ATTEMPT.\" >> witness; "
    "sleep 0.0$((JOBBERD_ID % 9)); rm pid.$JOBBERD_ID; "
    "exit $((JOBBERD_ID % 3 == 0 && JOBBERD_ATTEMPT < 3))\n";

static void
submit_witnesses(struct instance *i)
{
	char *batch = calloc(JOBS, sizeof(WITNESS));
	struct result result;

	for (size_t n = 0; n < JOBS; n++)
		memcpy(batch + n * strlen(WITNESS), WITNESS, strlen(WITNESS));
	result = jobberd_with_input(i, batch, "submit", "--batch", "-r", "2", "--backoff",
	    "constant:300ms", "--timeout", "20s", "--cwd", i->directory, NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	free(batch);
}

/* Each attempt that is recorded was one start, and the other way round. */
static void
check_witnesses(struct instance *i)
{
	assert_int_equal(witness_count(i, "twice", ""), 0);
	assert_int_equal(sql_number(i, "SELECT count(*) FROM attempts"),
	    witness_count(i, "witness", "s "));
	assert_int_equal(sql_number(i, "SELECT count(*) FROM attempts WHERE reason NOT IN "
				       "('normal', 'exit:1')"), 0);
	assert_int_equal(sql_number(i, "SELECT count(*) FROM jobs WHERE status = 'done'"), JOBS);
	check_accounts(i);
}

static void
stop_for_a_while(struct instance *i, pid_t pid)
{
	kill(pid, SIGSTOP);
	let_pass(i, 2000);
	kill(pid, SIGCONT);
}

static void
stopped_supervisor_process_or_keeper_starts_nothing_twice(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "4", NULL);
	submit_witnesses(&i);
	stop_for_a_while(&i, instance_supervisor_pid(&i));
	stop_for_a_while(&i, i.keeper);
	kill(i.keeper, SIGTERM);
	assert_int_equal(instance_wait(&i), 0);
	instance_start(&i, "--drain", NULL);
	assert_int_equal(instance_wait(&i), 0);
	assert_int_equal(witness_count(&i, "twice", ""), 0);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM generations"), 2);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM jobs WHERE status = 'done'"), JOBS);
	check_accounts(&i);
	instance_done(&i);
}

static void
long_stop_of_the_keeper_loses_no_end(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	submit_witnesses(&i);
	instance_start(&i, "--max-children", "4", "--drain", NULL);
	stop_for_a_while(&i, i.keeper);
	assert_int_equal(instance_wait(&i), 0);
	check_witnesses(&i);
	instance_done(&i);
}

static void
clients_of_a_stopped_supervisor_process_get_a_sentence(void **state)
{
	static const char words[] = "the supervisor process has not answered for 10 s";
	struct instance i;
	struct helper status, submit, cancel;
	int64_t begin;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--in", "1h", "--", "true", NULL);
	kill(instance_supervisor_pid(&i), SIGSTOP);
	begin = now_ms();
	helper_jobberd(&status, &i, NULL, "status", NULL);
	helper_jobberd(&submit, &i, NULL, "submit", "--", "true", NULL);
	helper_jobberd(&cancel, &i, NULL, "cancel", "1", NULL);
	assert_int_equal(helper_wait(&status), 75);
	assert_int_equal(helper_wait(&submit), 75);
	assert_int_equal(helper_wait(&cancel), 75);
	assert_between(now_ms() - begin, 9000, 15000 * SLOWNESS);
	assert_has(status.err.text, words);
	assert_has(submit.err.text, words);
	assert_has(cancel.err.text, words);
	assert_string_equal(submit.out.text, "");
	helper_end(&status);
	helper_end(&submit);
	helper_end(&cancel);
	kill(instance_supervisor_pid(&i), SIGCONT);
	/* What was asked for is done, and what was not is not. */
	assert_int_equal(wait_job(&i, 1), 1);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM jobs"), 1);
	instance_finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stopped_supervisor_process_or_keeper_starts_nothing_twice),
		cmocka_unit_test(long_stop_of_the_keeper_loses_no_end),
		cmocka_unit_test(clients_of_a_stopped_supervisor_process_get_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
