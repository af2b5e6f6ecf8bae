/*
 * jobber_main: a program that is its own supervisor. This test program is one: called with
 * words it is the whole command line, whose behaviours stand below. And the example of the page
 * is another.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jobber/jobber.h>

#include "support/example.h"
#include "support/helper.h"
#include "support/outside.h"
#include "support/system.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the behaviours ---- */

static struct gen_return
counter_init(struct gen_server *server, const json_t *arguments, void **ret_state)
{
	(void)server, (void)arguments;
	*ret_state = json_integer(0);
	return gen_ok();
}

static struct gen_return
counter_call(struct gen_server *server, json_t *message, struct gen_from *from, void *state)
{
	const char *word = json_string_value(message);

	(void)server, (void)from;
	if (word == NULL)
		return gen_unknown();
	if (strcmp(word, "segv") == 0)
		raise(SIGSEGV); /* a sanitizer would make an exit of a true one */
	if (strcmp(word, "abort") == 0)
		abort();
	if (strcmp(word, "bad") == 0)
		return gen_ok();
	if (strcmp(word, "pid") == 0)
		return gen_reply_with(json_integer(getpid()));
	return gen_reply_with(json_incref(state));
}

static struct gen_return
counter_cast(struct gen_server *server, json_t *message, void *state)
{
	(void)server;
	json_integer_set(
	    state, json_integer_value(state) + json_integer_value(message));
	return gen_noreply();
}

static void
counter_terminate(struct gen_server *server, const char *reason, void *state)
{
	gen_log(server, "terminate: %s", reason);
	json_decref(state);
}

static const struct gen_server_ops counter = {
	.name = "counter",
	.init = counter_init,
	.handle_call = counter_call,
	.handle_cast = counter_cast,
	.terminate = counter_terminate,
};

/* Prints, without a newline, and gives its arguments back. */
static int
echo(const json_t *arguments, json_t **ret_data)
{
	printf("printed");
	*ret_data = json_deep_copy(arguments);
	return 0;
}

/* Fails until the attempt of this number, which gives nothing. */
static int
flaky(const json_t *arguments, json_t **ret_data)
{
	int good = atoi(json_string_value(json_array_get(arguments, 0)));

	if (atoi(getenv("JOBBERD_ATTEMPT")) >= good)
		return 0;
	*ret_data = json_pack("{s:s}", "because", "it is early");
	return -1;
}

static int
bad(const json_t *arguments, json_t **ret_data)
{
	static char text[2 << 20];

	if (json_array_size(arguments) == 0)
		return 7;
	*ret_data = json_string(memset(text, 'x', sizeof(text) - 1));
	return 0;
}

static int
crash(const json_t *arguments, json_t **ret_data)
{
	(void)arguments, (void)ret_data;
	raise(SIGSEGV);
	return 0;
}

/*
 * Rings the bell, waits for a line from the gate. What it has forked meanwhile is out of its
 * session. The third argument is its result.
 */
static int
linger(const json_t *arguments, json_t **ret_data)
{
	pid_t pid = fork();
	FILE *file;

	if (pid == 0) {
		setsid();
		for (;;)
			pause();
	}
	file = fopen(json_string_value(json_array_get(arguments, 0)), "w");
	fprintf(file, "%d\n", (int)pid);
	fclose(file);
	file = fopen(json_string_value(json_array_get(arguments, 1)), "r");
	while (getc(file) != EOF)
		;
	fclose(file);
	*ret_data = json_incref(json_array_get(arguments, 2));
	return 0;
}

static const struct jobber_behaviour behaviours[] = {
	{ .name = "counter", .server = &counter },
	{ .name = "echo", .work = echo },
	{ .name = "flaky", .work = flaky },
	{ .name = "bad", .work = bad },
	{ .name = "crash", .work = crash },
	{ .name = "linger", .work = linger },
	{ .name = NULL },
};

/* ---- what the tests have in common ---- */

static void
expect_ours(struct result result, int status, const char *out, const char *err)
{
	/* Of a behaviour it is not said that there is no such program. */
	if (status == 0 && err == NULL)
		assert_string_equal(result.err, "");
	expect(result, status, out, err);
}

#define RUN(i, ...) jobberd(i, __VA_ARGS__, NULL)

static void
begin(struct instance *instance)
{
	instance_init(instance);
	instance_start(instance, NULL);
}

static void
assert_sql(struct instance *instance, const char *statement, const char *expected)
{
	char *text = sql(instance, statement);

	assert_string_equal(text, expected);
	free(text);
}

static int64_t
pid_of(struct instance *instance, const char *name)
{
	struct result result = RUN(instance, "call", name, "pid");
	int64_t pid = strtoll(result.out, NULL, 10);

	if (result.status != 0)
		fail_msg("no pid of %s: %s", name, result.err);
	result_done(&result);
	return pid;
}

/* ---- servers ---- */

static void
server_is_started_talked_to_and_stopped(void **state)
{
	struct instance i;
	char path[64], program[400] = "", own[400] = "";

	(void)state;
	begin(&i);
	expect_ours(RUN(&i, "start", "c", "--", "counter"), 0, "1\n", NULL);
	expect_ours(RUN(&i, "cast", "c", "5"), 0, "", NULL);
	expect_ours(RUN(&i, "cast", "c", "2"), 0, "", NULL);
	expect_ours(RUN(&i, "call", "c", "get"), 0, "7\n", NULL);
	/* Forked and not executed: it is a copy of the keeper, whose program is ours. */
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid_of(&i, "c"));
	assert_true(readlink(path, program, sizeof(program) - 1) > 0);
	assert_true(readlink("/proc/self/exe", own, sizeof(own) - 1) > 0);
	assert_string_equal(program, own);
	expect_ours(RUN(&i, "stop", "c"), 0, "", NULL);
	assert_sql(&i, "SELECT status || ' ' || reason FROM job_list", "done normal");
	assert_sql(&i, "SELECT count(*) FROM events WHERE event = 'log' AND "
		       "detail LIKE '%terminate: normal%'", "1");
	instance_finish(&i);
}

static void
crash_of_a_server_is_told_and_touches_nobody_else(void **state)
{
	struct instance i;
	int64_t other;

	(void)state;
	begin(&i);
	expect_ours(RUN(&i, "start", "c", "--", "counter"), 0, "1\n", NULL);
	expect_ours(RUN(&i, "start", "d", "--", "counter"), 0, "2\n", NULL);
	other = pid_of(&i, "d");
	expect_ours(RUN(&i, "cast", "c", "5"), 0, "", NULL);
	expect_ours(RUN(&i, "call", "c", "abort"), 70, "", "killed by SIGABRT");
	expect_ours(RUN(&i, "start", "c"), 5, "1\n", "already_started");
	expect_ours(RUN(&i, "call", "c", "get"), 0, "0\n", NULL);
	expect_ours(RUN(&i, "call", "c", "segv"), 70, "", "killed by SIGSEGV");
	expect_ours(RUN(&i, "start", "c"), 5, "1\n", "already_started");
	expect_ours(RUN(&i, "call", "c", "bad"), 70, "", "bad_return_value");
	assert_int_equal(pid_of(&i, "d"), other);
	assert_sql(&i, "SELECT group_concat(reason) FROM (SELECT reason FROM attempts WHERE "
		       "job_id = 1 AND reason IS NOT NULL ORDER BY attempt LIMIT 2)",
	    "signal:ABRT,signal:SEGV");
	instance_finish(&i);
}

static void
server_outlives_the_supervisor_process(void **state)
{
	struct instance i;
	int64_t pid;

	(void)state;
	begin(&i);
	expect_ours(RUN(&i, "start", "c", "--", "counter"), 0, "1\n", NULL);
	expect_ours(RUN(&i, "cast", "c", "5"), 0, "", NULL);
	pid = pid_of(&i, "c");
	instance_kill_supervisor(&i);
	expect_ours(RUN(&i, "cast", "c", "1"), 0, "", NULL);
	expect_ours(RUN(&i, "call", "c", "get"), 0, "6\n", NULL);
	assert_int_equal(pid_of(&i, "c"), pid);
	expect_ours(RUN(&i, "run", "--", "echo", "x"), 0, "printed", NULL); /* it forks as before */
	instance_finish(&i);
}

/* ---- work ---- */

static void
work_gives_its_result_and_what_it_printed(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	expect_ours(RUN(&i, "run", "--", "echo", "a b", ""), 0, "printed", NULL);
	assert_sql(&i, "SELECT status || ' ' || result FROM jobs", "done [\"a b\",\"\"]");
	instance_finish(&i);
}

static void
work_that_fails_is_tried_again_and_says_why(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	assert_int_equal(wait_job(&i, submit_job(&i, "-r", "3", "--backoff", "constant:1ms",
					   "--", "flaky", "3", NULL)), 0);
	assert_sql(&i, "SELECT group_concat(reason) FROM (SELECT reason FROM attempts ORDER BY "
		       "attempt)", "exit:1,exit:1,normal");
	assert_sql(&i, "SELECT result FROM jobs", "null");
	assert_sql(&i, "SELECT count(*) FROM events WHERE event = 'log' AND "
		       "detail LIKE '%because%it is early%'", "2");
	assert_int_equal(wait_job(&i, submit_job(&i, "-r", "1", "--backoff", "constant:1ms",
					   "--", "flaky", "9", NULL)), 1);
	assert_sql(&i, "SELECT max(attempt) || ' ' || reason FROM attempts WHERE job_id = 2",
	    "2 exit:1");
	instance_finish(&i);
}

static void
work_that_crashes_or_returns_nonsense_is_recorded_so(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	assert_int_equal(wait_job(&i, submit_job(&i, "-r", "0", "--", "crash", NULL)), 1);
	assert_int_equal(wait_job(&i, submit_job(&i, "-r", "0", "--", "bad", NULL)), 1);
	assert_int_equal(wait_job(&i, submit_job(&i, "-r", "0", "--", "bad", "long", NULL)), 1);
	assert_sql(&i, "SELECT group_concat(reason) FROM (SELECT reason FROM job_list ORDER BY id)",
	    "signal:SEGV,exit:70,exit:70");
	assert_sql(&i, "SELECT count(*) FROM events WHERE event = 'log' AND job_id = 3 AND "
		       "detail LIKE '%longer than a line%'", "1");
	instance_finish(&i);
}

static void
behaviour_that_cannot_start_says_why(void **state)
{
	struct instance i;
	char place[300];

	(void)state;
	begin(&i);
	snprintf(place, sizeof(place), "%s/gone", i.directory);
	expect_ours(RUN(&i, "run", "--cwd", place, "--", "echo"), 125, "",
	    "cannot enter its working directory: No such file");
	instance_finish(&i);
}

/* What is no behaviour's name is a program, with the same name too if its path is given. */
static void
programs_run_as_with_jobberd(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	expect_ours(RUN(&i, "run", "--", "/bin/echo", "x"), 0, "x\n", NULL);
	expect_ours(RUN(&i, "run", "--", "sh", "-c", "exit 3"), 3, "", NULL);
	instance_finish(&i);
}

/* ---- the keeper's death ---- */

static void
reap_orphans(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* Adopted by the next keeper, which finds by its environment what it left running. */
static void
work_outlives_the_keeper_and_what_it_left_does_not(void **state)
{
	struct instance i;
	struct bell bell;
	char *gate;
	int64_t id;
	pid_t stray;

	(void)state;
	begin(&i);
	bell_init(&bell, &i, "bell");
	gate = fifo_make(&i, "gate");
	id = submit_job(&i, "-r", "0", "--", "linger", bell.path, gate, NULL);
	stray = (pid_t)bell_number(&bell);
	instance_kill_keeper(&i);
	assert_true(is_alive(stray));
	instance_start(&i, NULL);
	fifo_write(gate, "on");
	assert_int_equal(wait_job(&i, id), 0);
	wait_gone(stray);
	reap_orphans();
	assert_sql(&i, "SELECT group_concat(attempt || ' ' || reason) FROM attempts", "1 normal");
	assert_sql(&i, "SELECT children_killed FROM attempts", "1");
	bell_done(&bell);
	free(gate);
	instance_finish(&i);
}

/* A result that nobody heard is not lost: the work is done again. */
static void
work_with_a_result_is_done_again_after_the_death_of_the_keeper(void **state)
{
	struct instance i;
	struct bell bell;
	char *gate, *output, path[400];
	int64_t id;

	(void)state;
	begin(&i);
	bell_init(&bell, &i, "bell");
	gate = fifo_make(&i, "gate");
	id = submit_job(&i, "-r", "1", "--backoff", "constant:1ms", "--", "linger", bell.path,
	    gate, "found", NULL);
	bell_number(&bell);
	instance_kill_keeper(&i);
	instance_start(&i, NULL);
	fifo_write(gate, "on");
	bell_number(&bell);
	fifo_write(gate, "on");
	assert_int_equal(wait_job(&i, id), 0);
	assert_sql(&i, "SELECT group_concat(reason) || ' ' || (SELECT result FROM jobs) FROM "
		       "attempts", "exit:70,normal \"found\"");
	snprintf(path, sizeof(path), "%s/output/1.1", i.state);
	output = file_text(path);
	assert_has(output, "cannot be told");
	free(output);
	bell_done(&bell);
	free(gate);
	instance_finish(&i);
}

/* As those of commands: what they say goes nowhere, and they see the end of it. */
static void
server_ends_with_the_keeper_and_is_started_by_the_next(void **state)
{
	struct instance i;
	int64_t pid;

	(void)state;
	begin(&i);
	expect_ours(RUN(&i, "start", "c", "--", "counter"), 0, "1\n", NULL);
	expect_ours(RUN(&i, "cast", "c", "5"), 0, "", NULL);
	pid = pid_of(&i, "c");
	instance_kill_keeper(&i);
	wait_gone((pid_t)pid);
	instance_start(&i, NULL);
	expect_ours(RUN(&i, "start", "c"), 5, "1\n", "already_started");
	expect_ours(RUN(&i, "call", "c", "get"), 0, "0\n", NULL);
	assert_int_not_equal(pid_of(&i, "c"), pid);
	instance_finish(&i);
}

/* ---- the example of the page ---- */

static void
example_of_the_page_compiles_and_works(void **state)
{
	const char *built = *state;
	char source[64], program[64], lines[64];
	struct instance i;
	FILE *file;

	snprintf(source, sizeof(source), "%s/desk.c", getenv("TMPDIR"));
	snprintf(program, sizeof(program), "%s/desk", getenv("TMPDIR"));
	snprintf(lines, sizeof(lines), "%s/lines", getenv("TMPDIR"));
	example_write("man/jobber_main.3", source);
	setenv("JOBBERD", built, 1);
	example_compile(source, program,
	    (const char *const[]){ "-l:libjobber-main.a", "-l:libjobber.a", "-lsqlite3",
		"-ljansson", "-lyajl", "-lbsd", "-lm", NULL });
	setenv("JOBBERD", program, 1);
	file = fopen(lines, "w");
	fputs("one\ntwo\n", file);
	fclose(file);
	begin(&i);
	expect_ours(RUN(&i, "start", "notes", "--", "notes"), 0, "1\n", NULL);
	expect_ours(RUN(&i, "cast", "notes", "call the plumber"), 0, "", NULL);
	expect_ours(RUN(&i, "call", "notes", "list"), 0, "[\"call the plumber\"]\n", NULL);
	assert_int_equal(wait_job(&i, submit_job(&i, "-r", "0", "--", "lines", lines, NULL)), 0);
	assert_sql(&i, "SELECT result FROM jobs WHERE id = 2", "2");
	unlink(lines);
	assert_int_equal(wait_job(&i, submit_job(&i, "-r", "0", "--", "lines", lines, NULL)), 1);
	assert_sql(&i, "SELECT count(*) FROM events WHERE event = 'log' AND "
		       "detail LIKE '%No such file%'", "1");
	instance_finish(&i);
	unlink(program);
	unlink(source);
}

int
main(int argc, char **argv)
{
	static char own[400], built[400];
	void *where = built;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(server_is_started_talked_to_and_stopped),
		cmocka_unit_test(crash_of_a_server_is_told_and_touches_nobody_else),
		cmocka_unit_test(server_outlives_the_supervisor_process),
		cmocka_unit_test(work_gives_its_result_and_what_it_printed),
		cmocka_unit_test(work_that_fails_is_tried_again_and_says_why),
		cmocka_unit_test(work_that_crashes_or_returns_nonsense_is_recorded_so),
		cmocka_unit_test(behaviour_that_cannot_start_says_why),
		cmocka_unit_test(programs_run_as_with_jobberd),
		cmocka_unit_test(work_outlives_the_keeper_and_what_it_left_does_not),
		cmocka_unit_test(
		    work_with_a_result_is_done_again_after_the_death_of_the_keeper),
		cmocka_unit_test(server_ends_with_the_keeper_and_is_started_by_the_next),
		cmocka_unit_test_prestate(example_of_the_page_compiles_and_works, where),
	};

	if (argc > 1)
		return jobber_main(argc, argv, behaviours);
	snprintf(built, sizeof(built), "%s", getenv("JOBBERD"));
	if (readlink("/proc/self/exe", own, sizeof(own) - 1) == -1)
		return 1;
	setenv("JOBBERD", own, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
