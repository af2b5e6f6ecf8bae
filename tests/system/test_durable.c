/* durable: a server whose messages, timers and state are kept, and what is killed around it. */

#include "base/buf.h"
#include "base/xalloc.h"
#include "support/helper.h"
#include "support/outside.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNTER SERVERS_DIRECTORY "/counter"

static void
begin(struct instance *instance)
{
	instance_init(instance);
	instance_start(instance, NULL);
	expect(jobberd(instance, "start", "--durable", "c", "--", COUNTER, NULL), 0, "1\n", NULL);
}

static void
cast(struct instance *instance, const char *word, const char *number)
{
	expect(jobberd(instance, "cast", "c", word, number, NULL), 0, "", NULL);
}

static void
expect_count(struct instance *instance, const char *count)
{
	expect(jobberd(instance, "call", "c", "get", NULL), 0, count, NULL);
}

static void
nothing_acknowledged_is_lost_when_all_are_killed(void **state)
{
	struct instance instance;
	char *pid;

	(void)state;
	begin(&instance);
	cast(&instance, "add", "1");
	pid = sql(&instance, "SELECT pid FROM attempts WHERE ended_at IS NULL");
	kill(atoi(pid), SIGKILL);
	free(pid);
	cast(&instance, "add", "2");
	instance_kill_supervisor(&instance);
	cast(&instance, "add", "4");
	instance_kill_keeper(&instance);
	instance_start(&instance, NULL);
	instance_expect(&instance, " ready attempt=");
	expect_count(&instance, "7\n");
	assert_int_equal(sql_number(&instance, "SELECT count(*) FROM messages"), 0);
	instance_finish(&instance);
}

/* Its caller comes back when that has long been recorded. */
static void
reply_in_a_commit_waits_for_its_caller(void **state)
{
	struct instance instance;
	struct helper call;
	char *before, question[200];

	(void)state;
	begin(&instance);
	before = sql(&instance, "SELECT last_commit FROM servers");
	helper_jobberd(&call, &instance, NULL, "call", "--timeout", "60s", "c", "slow", "3000",
	    NULL);
	wait_sql(&instance, "SELECT last_message_at IS NOT NULL FROM servers");
	kill(call.pid, SIGSTOP);
	instance_kill_supervisor(&instance);
	snprintf(question, sizeof(question), "SELECT last_commit <> '%s' FROM servers", before);
	wait_sql(&instance, question);
	kill(call.pid, SIGCONT);
	assert_int_equal(helper_wait(&call), 0);
	assert_string_equal(call.out.text, "\"slept\"\n");
	helper_end(&call);
	free(before);
	instance_finish(&instance);
}

static void
messages_wait_while_the_server_does_not_run(void **state)
{
	struct instance instance;

	(void)state;
	begin(&instance);
	cast(&instance, "slow", "60000");
	cast(&instance, "add", "5");
	assert_int_equal(sql_number(&instance, "SELECT mailbox FROM server_list"), 2);
	assert_int_equal(sql_number(&instance, "SELECT count(*) FROM messages"), 2);
	instance_kill_keeper(&instance);
	assert_int_equal(sql_number(&instance, "SELECT count(*) FROM messages"), 2);
	instance_start(&instance, NULL);
	instance_stop(&instance);
	check_accounts(&instance);
	instance_done(&instance);
}

static void
message_that_is_crashed_over_too_often_is_set_aside(void **state)
{
	struct instance instance;

	(void)state;
	begin(&instance);
	expect(jobberd(&instance, "cast", "c", "crash", NULL), 0, "", NULL);
	cast(&instance, "add", "5");
	instance_expect(&instance, "ready attempt=5");
	expect_count(&instance, "5\n");
	assert_int_equal(sql_number(&instance, "SELECT deliveries FROM messages WHERE "
						"dead_reason = 'signal:ABRT'"), 4);
	assert_int_equal(sql_number(&instance, "SELECT dead FROM server_list"), 1);
	instance_finish(&instance);
}

/* … of which only a window is in its hands. */
static void
call_does_not_overtake_messages_that_were_accepted_before_it(void **state)
{
	struct instance instance;

	(void)state;
	begin(&instance);
	cast(&instance, "slow", "500");
	for (int i = 0; i < 60; i++)
		cast(&instance, "add", "1");
	expect_count(&instance, "60\n");
	/* Nor those that came while it did not run. */
	cast(&instance, "slow", "500");
	expect(jobberd(&instance, "cast", "c", "crash", NULL), 0, "", NULL);
	for (int i = 0; i < 60; i++)
		cast(&instance, "add", "1");
	instance_kill_supervisor(&instance);
	instance_expect(&instance, "ready attempt=5");
	expect_count(&instance, "120\n");
	instance_finish(&instance);
}

static void
large_messages_are_all_given_one_after_the_other(void **state)
{
	enum { SIZE = 900000, COUNT = 40 };
	struct instance instance;
	char *message = xcalloc(1, SIZE + 20);
	struct result result = { 0 };

	(void)state;
	begin(&instance);
	memcpy(message, "[\"add\",1,\"", 10);
	memset(message + 10, 'x', SIZE);
	memcpy(message + 10 + SIZE, "\"]", 3);
	cast(&instance, "slow", "4000");
	for (int i = 0; i < COUNT; i++)
		expect(jobberd_with_input(&instance, message, "cast", "c", "-", NULL), 0, "", NULL);
	do { /* until there is room for a call, too */
		result_done(&result);
		result = jobberd(&instance, "call", "--timeout", "20s", "c", "get", NULL);
	} while (result.status == 75);
	expect(result, 0, "40\n", NULL);
	free(message);
	instance_finish(&instance);
}

static void
timer_of_a_durable_server_outlives_everything(void **state)
{
	struct instance instance;

	(void)state;
	begin(&instance);
	cast(&instance, "tick", IS_SANITIZED ? "5000" : "1000"); /* longer than what follows */
	instance_kill_keeper(&instance);
	assert_int_equal(sql_number(&instance, "SELECT count(*) FROM messages"), 1);
	instance_start(&instance, NULL);
	instance_expect(&instance, " ready attempt=");
	while (sql_number(&instance, "SELECT count(*) FROM messages") > 0)
		expect(jobberd(&instance, "call", "c", "slow", "10", NULL), 0, "\"slept\"\n", NULL);
	expect_count(&instance, "1\n");
	instance_finish(&instance);
}

/* The last thing it does is what it was sent before the stop, however much that is. */
static void
stop_is_behind_what_waits(void **state)
{
	struct instance instance;
	struct helper many;

	(void)state;
	begin(&instance);
	cast(&instance, "slow", "100");
	for (int i = 0; i < 60; i++)
		cast(&instance, "add", "1");
	helper_jobberd(&many, &instance, NULL, "stop", "c", NULL);
	assert_int_equal(helper_wait(&many), 0);
	helper_end(&many);
	assert_int_equal(sql_number(&instance, "SELECT count(*) FROM messages"), 0);
	assert_int_equal(sql_number(&instance, "SELECT state FROM servers"), 60);
	instance_finish(&instance);
}

/*
 * A server in another language that does not keep to the rules: what it says to us is in its
 * arguments, the second when it has heard a line; what it hears goes to its output.
 */
static const char bold[] =
    "import socket, sys\n"
    "stream = socket.socket(fileno=3)\n"
    "hears, says = stream.makefile('r'), stream.makefile('w')\n"
    "def say(text): says.write(text.replace('@', '\"jsonrpc\":\"2.0\"')); says.flush()\n"
    "hears.readline(); say('{@,\"id\":\"init\",\"result\":{\"ok\":true}}\\n')\n"
    "texts = sys.argv[1:]; say(texts.pop(0))\n"
    "for line in hears:\n"
    "    if 'terminate' in line: break\n"
    "    print(line, end='', flush=True)\n"
    "    if texts: say(texts.pop(0))\n";

static void
check_bold(struct instance *instance, const char *says, const char *then,
    const char *const *hears)
{
	struct helper log;

	expect(jobberd(instance, "start", "--durable", "--restart", "temporary", "bold", "--",
		   "python3", "-c", bold, says, then, NULL), 0, "1\n", NULL);
	helper_jobberd(&log, instance, NULL, "log", "-f", "bold", NULL);
	for (; *hears != NULL; hears++)
		helper_expect(&log, *hears);
	helper_end(&log);
}

/* Repeated after a takeover, the first would be done over the second. */
static void
second_commit_before_the_answer_of_the_first_is_refused(void **state)
{
	static const char says[] =
	    "{@,\"id\":7,\"method\":\"commit\",\"params\":{\"seq\":null,\"state\":1}}\n"
	    "{@,\"id\":8,\"method\":\"commit\",\"params\":{\"seq\":null,\"state\":2}}\n"
	    "{@,\"id\":7,\"method\":\"commit\",\"params\":{\"seq\":null,\"state\":1,"
	    "\"repeated\":true}}\n";
	static const char *const hears[] = { "one commit at a time", "\"id\":7,\"result\":true",
		NULL };
	struct instance instance;

	(void)state;
	instance_init(&instance);
	instance_start(&instance, NULL);
	check_bold(&instance, says, "", hears);
	assert_int_equal(sql_number(&instance, "SELECT state FROM servers"), 1);
	instance_finish(&instance);
}

/* After a takeover one comes again that was answered meanwhile, with the next one behind it. */
static void
commit_that_comes_again_does_not_keep_up_the_next(void **state)
{
	static const char first[] =
	    "{@,\"id\":7,\"method\":\"commit\",\"params\":{\"seq\":null,\"state\":1}}\n";
	static const char second[] =
	    "{@,\"id\":7,\"method\":\"commit\",\"params\":{\"seq\":null,\"state\":1}}\n"
	    "{@,\"id\":8,\"method\":\"commit\",\"params\":{\"seq\":null,\"state\":2}}\n";
	static const char *const hears[] = { "\"id\":8,\"result\":true", NULL };
	struct instance instance;

	(void)state;
	instance_init(&instance);
	instance_start(&instance, NULL);
	check_bold(&instance, first, second, hears);
	assert_int_equal(sql_number(&instance, "SELECT state FROM servers"), 2);
	instance_finish(&instance);
}

/* Nothing of it is done, and nothing is swallowed. */
static void
commit_with_a_part_of_another_shape_is_refused(void **state)
{
	static const char *const parts[] = {
		"\"cast\":{\"to\":\"x\",\"message\":1}", "\"send\":1", "\"send_after\":{}",
		"\"send_after\":[{\"ref\":0,\"ms\":1,\"message\":1}]", "\"cancel\":7",
		"\"start_job\":{}", "\"start_job\":[{\"job\":{\"command\":[\"true\"]}}]",
		"\"send_after\":[{\"ref\":1,\"ms\":9223372036854775807,\"message\":1}]",
	};
	static const char *const hears[] = { "cast and send are arrays", "cast and send are arrays",
		"send_after is an array", "send_after is an array", "cancel is an array",
		"start_job is an array", "start_job is an array", "from 0 to 4503599627370496",
		NULL };
	struct instance instance;
	struct buf says = { 0 };

	(void)state;
	instance_init(&instance);
	instance_start(&instance, NULL);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		buf_addf(&says, "{@,\"id\":%zu,\"method\":\"commit\",\"params\":{\"seq\":null,"
				"\"state\":1,%s}}\n", i + 1, parts[i]);
	check_bold(&instance, buf_text(&says), "", hears);
	assert_int_equal(sql_number(&instance, "SELECT state IS NULL AND NOT EXISTS (SELECT 1 "
					       "FROM messages) FROM servers"), 1);
	buf_done(&says);
	instance_finish(&instance);
}

/* Else the end of the server would be the end of somebody else's job. */
static void
job_of_somebody_else_becomes_no_task(void **state)
{
	static const char says[] =
	    "{@,\"id\":1,\"method\":\"async\",\"params\":{\"command\":[\"true\"],"
	    "\"name\":\"victim\",\"once\":true}}\n";
	static const char *const hears[] = { "once: the job that has the name already", NULL };
	struct instance instance;

	(void)state;
	instance_init(&instance);
	instance_start(&instance, NULL);
	check_bold(&instance, says, "", hears);
	expect(jobberd(&instance, "submit", "--name", "victim", "--in", "1h", "true", NULL), 0,
	    "2\n", NULL);
	expect(jobberd(&instance, "stop", "bold", NULL), 0, "", NULL);
	assert_int_equal(sql_number(&instance, "SELECT status = 'new' FROM jobs WHERE id = 2"), 1);
	instance_finish(&instance);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(second_commit_before_the_answer_of_the_first_is_refused),
		cmocka_unit_test(commit_that_comes_again_does_not_keep_up_the_next),
		cmocka_unit_test(commit_with_a_part_of_another_shape_is_refused),
		cmocka_unit_test(job_of_somebody_else_becomes_no_task),
		cmocka_unit_test(nothing_acknowledged_is_lost_when_all_are_killed),
		cmocka_unit_test(reply_in_a_commit_waits_for_its_caller),
		cmocka_unit_test(messages_wait_while_the_server_does_not_run),
		cmocka_unit_test(message_that_is_crashed_over_too_often_is_set_aside),
		cmocka_unit_test(call_does_not_overtake_messages_that_were_accepted_before_it),
		cmocka_unit_test(large_messages_are_all_given_one_after_the_other),
		cmocka_unit_test(stop_is_behind_what_waits),
		cmocka_unit_test(timer_of_a_durable_server_outlives_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
