/* What log shows of several attempts, since a time, and of the end; and what is kept. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/text.h"
#include "support/helper.h"
#include "support/outside.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNTER SERVERS_DIRECTORY "/counter"

static void
all_attempts_come_one_after_the_other(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--name", "a", "-r", "2", "--backoff", "constant:1ms", "--", "sh", "-c",
	    "echo attempt $JOBBERD_ATTEMPT; printf 'x\\ny\\n'; exit 1", NULL);
	assert_int_equal(wait_job(&i, 1), 1);
	expect(jobberd(&i, "log", "a", NULL), 0, "attempt 3\nx\ny\n", NULL);
	expect(jobberd(&i, "log", "a", "--all", NULL), 0,
	    "attempt 1\nx\ny\nattempt 2\nx\ny\nattempt 3\nx\ny\n", NULL);
	expect(jobberd(&i, "log", "-a", "-n", "4", "a", NULL), 0, "y\nattempt 3\nx\ny\n", NULL);
	expect(jobberd(&i, "log", "-n", "4", "a", NULL), 0, "attempt 3\nx\ny\n", NULL);
	expect(jobberd(&i, "log", "-n", "1", "a", NULL), 0, "y\n", NULL);
	expect(jobberd(&i, "log", "-n", "0", "a", NULL), 0, "", NULL);
	expect(jobberd(&i, "log", "-n", "2", "--attempt", "2", "a", NULL), 0, "x\ny\n", NULL);
	expect(jobberd(&i, "log", "-a", "--attempt", "2", "a", NULL), 2, "",
	    "attempt: not together with all or since");
	expect(jobberd(&i, "log", "--since", "yesterday", "a", NULL), 2, "",
	    "since: \"yesterday\" is neither a time like");
	instance_finish(&i);
}

/* The tail of what was cut in the middle, and of a line without an end. */
static void
tail_counts_lines_across_what_was_left_out(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--max-output", "64K", "--", "sh", "-c",
	    "echo head; head -c 1000000 /dev/zero; echo; echo one; printf two", NULL);
	submit_job(&i, "--log-rotate", "64K,2", "--", "sh", "-c",
	    "seq 100000; printf end", NULL);
	assert_int_equal(wait_job(&i, 1), 0);
	assert_int_equal(wait_job(&i, 2), 0);
	expect(jobberd(&i, "log", "-n", "2", "1", NULL), 0, "one\ntwo", NULL);
	expect(jobberd(&i, "log", "-n", "3", "2", NULL), 0, "99999\n100000\nend", NULL);
	instance_finish(&i);
}

static char *
now_text(char text[64])
{
	return (char *)text_format_time(text, 64, (struct wall){ wall_ms() });
}

/* A line, a pause, another: since the pause there is one. */
static void
since_shows_what_was_written_since(void **state)
{
	struct instance i;
	struct bell tick, go;
	char command[2000], between[64], behind[64];

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&tick, &i, "tick");
	bell_init(&go, &i, "go");
	submit_job(&i, "--name", "a", "-r", "1", "--backoff", "constant:1ms", "--", "sh", "-c",
	    "echo long ago; exit $((2 - JOBBERD_ATTEMPT))", NULL);
	assert_int_equal(wait_job(&i, 1), 0);
	snprintf(command, sizeof(command),
	    "echo old; echo > %s; read x < %s; echo new; echo > %s; read x < %s", tick.path,
	    go.path, tick.path, go.path);
	submit_job(&i, "--name", "b", "--", "sh", "-c", command, NULL);
	free(bell_wait(&tick));
	let_pass(&i, 1200); /* so long marks are apart */
	now_text(between);
	expect(jobberd(&i, "log", "--since", between, "b", NULL), 0, "", NULL);
	expect(jobberd(&i, "log", "--since", "1h", "b", NULL), 0, "old\n", NULL);
	let_pass(&i, 100); /* it is looked at 20 times a second at most */
	fifo_write(go.path, "go\n");
	free(bell_wait(&tick));
	let_pass(&i, 1200);
	expect(jobberd(&i, "log", "--since", between, "b", NULL), 0, "new\n", NULL);
	fifo_write(go.path, "go\n");
	assert_int_equal(wait_job(&i, 2), 0);
	expect(jobberd(&i, "log", "--since", between, "b", NULL), 0, "new\n", NULL);
	expect(jobberd(&i, "log", "--since", between, "-n", "5", "b", NULL), 0, "new\n", NULL);
	expect(jobberd(&i, "log", "--since", "1h", "b", NULL), 0, "old\nnew\n", NULL);
	expect(jobberd(&i, "log", "--since", between, "a", NULL), 0, "", NULL);
	expect(jobberd(&i, "log", "--since", "1h", "a", NULL), 0, "long ago\nlong ago\n", NULL);
	expect(jobberd(&i, "log", "--since", now_text(behind), "b", NULL), 0, "", NULL);
	bell_done(&tick);
	bell_done(&go);
	instance_finish(&i);
}

static void
start_server(struct instance *i)
{
	expect(jobberd(i, "start", "c", "--", "sh", "-c",
		   "echo born; echo life $JOBBERD_ATTEMPT; exec " COUNTER, NULL),
	    0, "1\n", NULL);
}

/* A server that is started again goes on in the next attempt, and so does its follower. */
static void
kill_server(struct instance *i)
{
	int64_t pid = sql_number(i, "SELECT pid FROM attempts WHERE ended_at IS NULL");

	assert_true(pid > 1);
	assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
}

static void
follower_of_a_server_goes_on_with_its_next_attempt(void **state)
{
	struct instance i;
	struct helper all, rest;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	start_server(&i);
	helper_jobberd(&all, &i, NULL, "log", "-f", "c", NULL);
	helper_jobberd(&rest, &i, NULL, "log", "-f", "-n", "1", "c", NULL);
	helper_expect(&all, "life 1\n");
	helper_expect(&rest, "life 1\n");
	kill_server(&i);
	helper_expect(&all, "life 2\n");
	helper_expect(&rest, "life 2\n");
	/* Its pid is known now, and that it needs no other init. */
	instance_expect(&i, "job=1 ready attempt=2");
	instance_kill_supervisor(&i);
	kill_server(&i);
	helper_expect(&all, "life 3\n");
	expect(jobberd(&i, "stop", "c", NULL), 0, NULL, NULL);
	assert_int_equal(helper_wait(&all), 0);
	assert_int_equal(helper_wait(&rest), 0);
	assert_string_equal(all.out.text,
	    "born\nlife 1\nborn\nlife 2\nborn\nlife 3\n");
	assert_string_equal(rest.out.text, "life 1\nborn\nlife 2\nborn\nlife 3\n");
	helper_end(&all);
	helper_end(&rest);
	instance_finish(&i);
}

static void
assert_file(struct instance *i, const char *name, bool is_there)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/output/%s", i->state, name);
	assert_int_equal(access(path, F_OK), is_there ? 0 : -1);
}

static void
server_that_is_restarted_often_keeps_the_output_of_ten_attempts(void **state)
{
	struct instance i;
	struct result result;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	start_server(&i);
	for (int n = 2; n <= 13; n++)
		expect(jobberd(&i, "restart", "c", NULL), 0, NULL, NULL);
	expect(jobberd(&i, "stop", "c", NULL), 0, NULL, NULL);
	assert_file(&i, "1.3", false);
	assert_file(&i, "1.4", true);
	assert_file(&i, "1.13", true);
	result = jobberd(&i, "log", "--all", "c", NULL);
	assert_int_equal(strncmp(result.out, "born\nlife 4\nborn\nlife 5\n", 24), 0);
	assert_has(result.out, "\nlife 13\n");
	result_done(&result);
	expect(jobberd(&i, "log", "--attempt", "2", "c", NULL), 0, "", NULL);
	instance_finish(&i);
}

static void
command_that_is_retried_often_keeps_the_output_of_a_hundred_attempts(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "-r", "104", "--backoff", "constant:0", "--", "sh", "-c",
	    "echo $JOBBERD_ATTEMPT; exit 1", NULL);
	assert_int_equal(wait_job(&i, 1), 1);
	assert_file(&i, "1.5", false);
	assert_file(&i, "1.6", true);
	assert_file(&i, "1.105", true);
	expect(jobberd(&i, "prune", "--older-than", "0s", NULL), 0, NULL, NULL);
	assert_file(&i, "1.6", false);
	assert_file(&i, "1.105", false);
	instance_finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_attempts_come_one_after_the_other),
		cmocka_unit_test(tail_counts_lines_across_what_was_left_out),
		cmocka_unit_test(since_shows_what_was_written_since),
		cmocka_unit_test(follower_of_a_server_goes_on_with_its_next_attempt),
		cmocka_unit_test(
		    server_that_is_restarted_often_keeps_the_output_of_ten_attempts),
		cmocka_unit_test(
		    command_that_is_retried_often_keeps_the_output_of_a_hundred_attempts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
