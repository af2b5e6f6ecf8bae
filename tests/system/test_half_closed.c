/* Clients that end what they write and go on reading, as `nc -N` does. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/xalloc.h"
#include "support/outside.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A client that writes this and then no more. */
static FILE *
ask(struct instance *i, const char *lines)
{
	int fd = connect_client(i);

	assert_int_equal(write(fd, lines, strlen(lines)), strlen(lines));
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	return fdopen(fd, "r");
}

static void
expect_line(FILE *in, const char *part)
{
	char line[4096] = "";

	if (fgets(line, sizeof(line), in) == NULL)
		fail_msg("the connection ends before \"%s\"", part);
	assert_has(line, part);
}

static void
expect_end(FILE *in)
{
	assert_int_equal(fgetc(in), EOF);
	assert_false(ferror(in));
	fclose(in);
}

#define REQUEST(id, method, params)                                                          \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\",\"params\":" params "}\n"
#define WAIT(id, job) REQUEST(id, "wait", "{\"ids\":[" job "]}")

static void
half_closed_client_is_answered_and_then_closed(void **state)
{
	struct instance i;
	FILE *in;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	in = ask(&i, REQUEST("1", "submit", "{\"jobs\":[{\"command\":[\"true\"],"
	    "\"cwd\":\"/\"}],\"cwd\":\"/\",\"umask\":18,\"environment\":{}}")
	    REQUEST("2", "cancel", "{\"ids\":[77]}") REQUEST("3", "no_such", "{}")
	    REQUEST("4", "status", "{}"));
	for (int answers = 0; answers < 4; answers++)
		expect_line(in, "\"id\":");
	expect_end(in);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM jobs"), 1);
	/* One that has nothing to hear is closed at once; a torn line asks for nothing. */
	expect_end(ask(&i, ""));
	expect_end(ask(&i, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"}"));
	in = ask(&i, REQUEST("1", "follow", "{}"));
	expect_line(in, "true");
	expect_end(in);
	instance_finish(&i);
}

static void
half_closed_client_waits_for_an_answer_that_takes_long_and_wakes_nobody(void **state)
{
	char *gate;
	struct instance i;
	FILE *in;

	(void)state;
	instance_init(&i);
	gate = fifo_make(&i, "gate");
	instance_start(&i, NULL);
	submit_job(&i, "--", "cat", gate, NULL);
	in = ask(&i, WAIT("1", "1") REQUEST("2", "status", "{}"));
	expect_line(in, "\"id\":2");
	assert_sleeps(&i, 300);
	fifo_write(gate, "\n");
	expect_line(in, "\"done\"");
	expect_end(in);
	free(gate);
	instance_finish(&i);
}

/* What is asked before all is settled is put off until then. */
static void
half_closed_client_of_a_supervisor_process_that_just_starts_is_answered(void **state)
{
	struct instance i;
	FILE *in;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	assert_int_equal(kill(instance_supervisor_pid(&i), SIGKILL), 0);
	in = ask(&i, REQUEST("1", "cancel", "{\"ids\":[77]}"));
	expect_line(in, "there is no job 77");
	expect_end(in);
	instance_finish(&i);
}

static size_t
descriptors(struct instance *i)
{
	char *line = xasprintf("ls /proc/%d/fd", (int)instance_supervisor_pid(i)), name[300];
	FILE *pipe = popen(line, "r");
	size_t count = 0;

	assert_non_null(pipe);
	while (fgets(name, sizeof(name), pipe) != NULL)
		count++;
	pclose(pipe);
	free(line);
	return count;
}

/* Its connection is one descriptor less again when the next one has been answered. */
static void
half_closed_client_that_goes_away_is_noticed_while_it_waits(void **state)
{
	struct result result;
	struct instance i;
	size_t before;
	FILE *in;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--", "sleep", "600", NULL);
	instance_expect(&i, "started");
	before = descriptors(&i);
	in = ask(&i, WAIT("1", "1") REQUEST("2", "status", "{}"));
	expect_line(in, "\"id\":2");
	assert_int_equal(descriptors(&i), before + 1);
	fclose(in);
	result = jobberd(&i, "status", NULL);
	expect(result, 0, NULL, NULL);
	expect_end(ask(&i, "")); /* until the one above is forgotten, too */
	assert_int_equal(descriptors(&i), before);
	expect(jobberd(&i, "cancel", "1", NULL), 0, NULL, NULL);
	instance_finish(&i);
}

static void
half_closed_client_that_reads_late_gets_all_of_a_long_answer(void **state)
{
	enum { MANY = 40000 };
	struct instance i;
	size_t answers = 0;
	char line[4096];
	FILE *in;
	int fd;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	fd = connect_client(&i);
	for (int id = 1; id <= MANY; id++)
		dprintf(fd, REQUEST("%d", "no_such", "{}"), id);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	in = fdopen(fd, "r");
	while (fgets(line, sizeof(line), in) != NULL)
		answers++;
	assert_int_equal(answers, MANY);
	fclose(in);
	instance_finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(half_closed_client_is_answered_and_then_closed),
		cmocka_unit_test(
		    half_closed_client_waits_for_an_answer_that_takes_long_and_wakes_nobody),
		cmocka_unit_test(
		    half_closed_client_of_a_supervisor_process_that_just_starts_is_answered),
		cmocka_unit_test(half_closed_client_that_goes_away_is_noticed_while_it_waits),
		cmocka_unit_test(half_closed_client_that_reads_late_gets_all_of_a_long_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
