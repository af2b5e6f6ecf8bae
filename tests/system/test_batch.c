/* Many jobs at once, names, and jobs that wait for others. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "cli/client.h"
#include "support/helper.h"
#include "support/outside.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
assert_sql(struct instance *i, const char *question, const char *wanted)
{
	char *text = sql(i, question);

	assert_string_equal(text, wanted);
	free(text);
}

/* ---- lines ---- */

static void
json_and_shell_lines_with_the_options_as_defaults(void **state)
{
	static const char input[] =
	    "# a comment, and an empty line\n"
	    "\n"
	    "echo \"$A $B\"\n"
	    "  {\"command\": [\"echo\", \"two words\", \"$A\"], \"name\": \"second\", "
	    "\"max-retries\": 7, \"env\": [\"B=own\"]}\n"
	    "{\"command\": [\"sh\", \"-c\", \"echo $A $B\"], \"priority\": 1}\n";
	struct instance i;
	struct result result;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	result = jobberd_with_input(&i, input, "submit", "--batch", "-r", "2", "--priority", "9",
	    "--env", "A=a", "--env", "B=b", "--cwd", "/", NULL);
	assert_int_equal(result.status, 0);
	assert_string_equal(result.out, "1\n2\n3\n");
	result_done(&result);
	for (int n = 1; n <= 3; n++)
		assert_int_equal(wait_job(&i, n), 0);
	assert_sql(&i, "SELECT group_concat(max_retries || '/' || priority || '/' || cwd || '/' || "
		       "coalesce(name, '-')) FROM jobs", "2/9///-,7/9///second,2/1///-");
	assert_sql(&i, "SELECT group_concat(last_lines, '') FROM attempts",
	    "a b\ntwo words $A\na b\n");
	instance_finish(&i);
}

static void
bad_line_stops_all_before_the_first_is_sent(void **state)
{
	static const struct {
		const char *line, *why;
	} cases[] = {
		{ "{\"command\": [\"true\"]", "line 3: " },
		{ "{\"command\": []}", "line 3: " },
		{ "{\"command\": \"true\"}", "line 3: " },
		{ "{\"command\": [\"true\"], \"colour\": \"red\"}", "colour" },
		{ "{\"command\": [\"true\"], \"priority\": 10}", "priority" },
		{ "{\"command\": [\"true\"], \"priority\": 1, \"priority\": 2}", "line 3: " },
		{ "{\"command\": [\"true\", 1]}", "line 3: " },
		{ "{\"command\": [\"true\"], \"timeout\": \"soon\"}", "timeout" },
		{ "{\"command\": [\"true\"], \"stdin\": \"-\"}", "stdin" },
		{ "{\"name\": \"x\"}", "command" },
		{ "echo \377", "UTF-8" },
		{ "{\"command\": [\"a\\u0000b\"]}", "a string cannot have a NUL" },
	};
	struct instance i;
	char input[400];

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		struct result result;

		snprintf(input, sizeof(input), "true\ntrue\n%s\ntrue\n", cases[n].line);
		result = jobberd_with_input(&i, input, "submit", "--batch", NULL);
		assert_int_equal(result.status, 2);
		assert_string_equal(result.out, "");
		assert_has(result.err, "line 3: ");
		assert_has(result.err, cases[n].why);
		assert_has(result.err, "nothing was submitted");
		result_done(&result);
	}
	assert_sql(&i, "SELECT count(*) FROM jobs", "0");
	instance_stop(&i);
	instance_done(&i);
}

/* `count` lines that each say their own number. */
static char *
numbered_lines(size_t count)
{
	char *text = malloc(count * 20 + 1), *at = text;

	for (size_t n = 1; n <= count; n++)
		at += sprintf(at, "exit 0; # %zu\n", n);
	return text;
}

static void
check_numbered(struct instance *i, const char *printed, int64_t count)
{
	char number[32];
	int64_t lines = 0;

	for (const char *at = printed; *at != '\0'; at = strchr(at, '\n') + 1) {
		snprintf(number, sizeof(number), "%lld\n", (long long)++lines);
		if (strncmp(at, number, strlen(number)) != 0)
			fail_msg("id %lld is not in its line", (long long)lines);
	}
	assert_int_equal(lines, count);
	assert_int_equal(sql_number(i, "SELECT count(*) FROM jobs"), count);
	assert_int_equal(sql_number(i, "SELECT count(*) FROM jobs WHERE json_extract(command, "
				       "'$[2]') <> 'exit 0; # ' || id"), 0);
}

static void
batch_of_3500_is_recorded_in_its_order(void **state)
{
	struct instance i;
	struct result result;
	char *input = numbered_lines(3500);

	(void)state;
	instance_init(&i);
	result = jobberd(&i, "submit", "--batch", "--hold", NULL); /* makes the database */
	assert_int_equal(result.status, 0);
	result_done(&result);
	instance_start(&i, NULL);
	result = jobberd_with_input(&i, input, "submit", "--batch", "--hold", NULL);
	assert_int_equal(result.status, 0);
	check_numbered(&i, result.out, 3500);
	result_done(&result);
	instance_finish(&i);
	/* The same with nothing running. */
	instance_init(&i);
	result = jobberd_with_input(&i, input, "submit", "--batch", "--hold", NULL);
	assert_int_equal(result.status, 0);
	check_numbered(&i, result.out, 3500);
	result_done(&result);
	check_accounts(&i);
	instance_done(&i);
	free(input);
}

/* ---- names ---- */

static void
taken_name_is_refused_with_the_holders_id_or_with_once_is_its(void **state)
{
	struct instance i;
	struct result result;
	int64_t id;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--name", "report", "--hold", "--", "true", NULL);
	result = jobberd(&i, "submit", "--name", "report", "--", "true", NULL);
	assert_int_equal(result.status, 5);
	assert_string_equal(result.out, "1\n");
	assert_has(result.err, "already_started: job 1 has the name report (new)");
	result_done(&result);
	result = jobberd(&i, "submit", "--name", "report", "--once", "--", "true", NULL);
	assert_int_equal(result.status, 0);
	assert_string_equal(result.out, "1\n");
	result_done(&result);
	/* In a batch it stops its whole request, and says which line it is. */
	result = jobberd_with_input(&i, "true\n{\"command\":[\"true\"],\"name\":\"report\"}\n",
	    "submit", "--batch", NULL);
	assert_int_equal(result.status, 5);
	assert_string_equal(result.out, "");
	assert_has(result.err, "line 2: already_started");
	assert_has(result.err, "go on from line 1");
	result_done(&result);
	result = jobberd_with_input(&i,
	    "true\n{\"command\":[\"true\"],\"name\":\"report\",\"once\":true}\ntrue\n", "submit",
	    "--batch", NULL);
	assert_int_equal(result.status, 0);
	assert_has(result.out, "\n1\n");
	result_done(&result);
	/* An ended job has no claim to its name. */
	result = jobberd(&i, "release", "report", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	assert_int_equal(wait_job(&i, 1), 0);
	id = submit_job(&i, "--name", "report", "--", "true", NULL);
	assert_true(id > 1);
	assert_int_equal(wait_job(&i, id), 0);
	instance_finish(&i);
}

/* ---- chains ---- */

static void
jobs_wait_for_others_and_are_cancelled_with_them_in_words(void **state)
{
	struct instance i;
	struct bell bell;
	char command[400], *text;

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "8", NULL);
	bell_init(&bell, &i, "go");
	snprintf(command, sizeof(command), "read x < %s; exit 3", bell.path);
	submit_job(&i, "-r", "0", "--", "sh", "-c", command, NULL);		/* 1 fails */
	submit_job(&i, "--after", "1", "--", "true", NULL);			/* 2 */
	submit_job(&i, "--after", "2", "--", "true", NULL);			/* 3 */
	submit_job(&i, "--after-any", "1", "--", "true", NULL);			/* 4 */
	submit_job(&i, "--after", "4", "--after-any", "3", "--", "true", NULL); /* 5 */
	instance_expect(&i, "job=1 started");
	assert_sql(&i, "SELECT group_concat(cause) FROM waiting ORDER BY job_id",
	    "dependency,dependency,dependency,dependency");
	assert_int_equal(write(bell.fd, "go\n", 3), 3);
	assert_int_equal(wait_job(&i, 5), 0);
	assert_int_equal(wait_job(&i, 3), 1);
	assert_sql(&i, "SELECT group_concat(status || ' ' || coalesce(reason, '-'), ',') FROM jobs",
	    "failed -,cancelled dependency,cancelled dependency,done -,done -");
	text = sql(&i, "SELECT detail FROM jobs WHERE id = 2");
	assert_has(text, "1");
	assert_has(text, "failed");
	free(text);
	text = sql(&i, "SELECT detail FROM jobs WHERE id = 3");
	assert_has(text, "2");
	assert_has(text, "cancelled");
	free(text);
	/* What they were submitted after has already ended. */
	submit_job(&i, "--after", "4", "--", "true", NULL); /* 6 */
	assert_int_equal(wait_job(&i, 6), 0);
	submit_job(&i, "--after", "1", "--", "true", NULL); /* 7 */
	assert_int_equal(wait_job(&i, 7), 1);
	bell_done(&bell);
	instance_finish(&i);
}

/* In a list the one that ended last comes first; of one name it is the one that is meant. */
static void
chain_is_retried_by_filter_from_its_beginning_and_of_one_name_the_last(void **state)
{
	struct instance i;
	struct result result;

	(void)state;
	instance_init(&i);
	submit_job(&i, "--hold", "--name", "a", "--", "true", NULL); /* 1 */
	instance_start(&i, NULL);
	result = jobberd(&i, "cancel", "a", NULL);
	assert_result(result, 0, "", "");
	submit_job(&i, "--hold", "--name", "a", "--", "true", NULL);   /* 2 */
	submit_job(&i, "--after", "a", "--name", "b", "--", "true", NULL); /* 3 */
	submit_job(&i, "--after", "b", "--", "true", NULL);		       /* 4 */
	result = jobberd(&i, "cancel", "a", NULL);
	assert_result(result, 0, "", "");
	assert_int_equal(wait_job(&i, 4), 1);
	result = jobberd(&i, "retry", "--status", "cancelled", "--yes", NULL);
	assert_result(result, 5, "", "retry: 4 jobs\njobberd: already_started: another live job "
				     "has the name of job 1\n");
	assert_int_equal(wait_job(&i, 4), 0);
	instance_finish(&i);
}

/* However they are given: retried before the first, the others would be cancelled again. */
static void
chain_that_is_retried_by_ids_in_any_order_runs(void **state)
{
	static const char all_done[] =
	    "SELECT count(*) FROM jobs WHERE status = 'done' HAVING count(*) = 3";
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--hold", "--name", "a", "--", "true", NULL);
	submit_job(&i, "--after", "1", "--", "true", NULL);
	submit_job(&i, "--after", "2", "--", "true", NULL);
	assert_result(jobberd(&i, "cancel", "1", NULL), 0, "", "");
	assert_int_equal(wait_job(&i, 3), 1);
	assert_result(jobberd(&i, "retry", "3", "2", "1", NULL), 0, "", "");
	assert_int_equal(wait_job(&i, 3), 0);
	assert_sql(&i, all_done, "3");
	instance_finish(&i);
}

/* Of one name the one that was given first is retried, which need not be the older one. */
static void
retry_of_two_of_one_name_takes_the_one_that_was_given_first(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	for (int64_t id = 1; id <= 2; id++) {
		assert_int_equal(
		    submit_job(&i, "--hold", "--name", "a", "--", "true", NULL), id);
		assert_result(jobberd(&i, "cancel", "a", NULL), 0, "", "");
	}
	assert_result(jobberd(&i, "retry", "2", "1", NULL), 5, "",
	    "jobberd: already_started: another live job has the name of job 1\n");
	assert_int_equal(wait_job(&i, 2), 0);
	assert_result(jobberd(&i, "retry", "2", "77", NULL), 4, "",
	    "jobberd: there is no job 77\n");
	assert_sql(&i, "SELECT group_concat(status) FROM jobs", "cancelled,done");
	instance_finish(&i);
}

/* On the socket; the command line makes a path absolute, and a file of its own input. */
static void
relative_path_of_the_input_is_refused_in_words(void **state)
{
	struct client_connection connection;
	struct instance i;
	struct error error;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	assert_int_equal(client_open(&connection, i.state, &error), 0);
	assert_null(client_call(&connection, "submit",
	    json_pack("{s:[{s:[s], s:s}]}", "jobs", "command", "cat", "stdin", "-"), NULL,
	    &error));
	assert_int_equal(error.code, 2);
	assert_string_equal(error.text, "stdin: \"-\" is not an absolute path");
	client_close(&connection);
	assert_sql(&i, "SELECT count(*) FROM jobs", "0");
	instance_finish(&i);
}

static void
job_submitted_held_starts_when_it_is_released_and_the_other_is_done(void **state)
{
	struct instance i;
	struct result result;

	(void)state;
	instance_init(&i);
	submit_job(&i, "--hold", "--", "true", NULL);		     /* 1 */
	submit_job(&i, "--hold", "--after", "1", "--", "true", NULL); /* 2 */
	submit_job(&i, "--hold", "--after-any", "1", "--", "true", NULL); /* 3 */
	instance_start(&i, NULL);
	result = jobberd(&i, "release", "3", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	assert_sql(&i, "SELECT group_concat(hold) FROM jobs", "user,user,dependency");
	result = jobberd(&i, "release", "1", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	assert_int_equal(wait_job(&i, 3), 0);
	assert_sql(&i, "SELECT status || hold FROM jobs WHERE id = 2", "newuser");
	result = jobberd(&i, "release", "2", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	assert_int_equal(wait_job(&i, 2), 0);
	instance_finish(&i);
}

/* It would be refused when a part of the others is in. */
static void
name_that_two_lines_have_is_found_before_any_is_sent(void **state)
{
#define NAMED(more) "{\"command\":[\"true\"],\"name\":\"a\"" more "}\n"
	struct instance i;
	struct result result;

	(void)state;
	instance_init(&i);
	result = jobberd_with_input(&i, "true\n" NAMED("") "true\n" NAMED(""), "submit", "--batch",
	    NULL);
	assert_result(result, 2, "",
	    "jobberd: line 4: the name a is that of line 2 already; nothing was submitted\n");
	result = jobberd_with_input(&i, NAMED(",\"once\":true") NAMED(""), "submit", "--batch",
	    NULL);
	assert_result(result, 2, "",
	    "jobberd: line 2: the name a is that of line 1 already; nothing was submitted\n");
	result = jobberd_with_input(&i, NAMED("") "true\n" NAMED(",\"once\":true"), "submit",
	    "--batch", NULL);
	assert_string_equal(result.out, "1\n2\n1\n");
	assert_int_equal(result.status, 0);
	result_done(&result);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM jobs"), 2);
	instance_done(&i);
}

/* Lines refer to each other by names, since nobody knows their ids yet. */
static void
lines_wait_for_earlier_lines_by_name(void **state)
{
	struct instance i;
	struct result result;

	(void)state;
	instance_init(&i);
	for (int n = 0; n < 2; n++) { /* with nothing running, and through the socket */
		result = jobberd_with_input(&i,
		    "{\"command\": [\"true\"], \"name\": \"a\"}\n"
		    "{\"command\": [\"true\"], \"name\": \"b\", \"after\": \"a\"}\n"
		    "{\"command\": [\"true\"], \"name\": \"c\", \"after\": [\"a\", \"b\"]}\n",
		    "submit", "--batch", NULL);
		assert_string_equal(result.out, n == 0 ? "1\n2\n3\n" : "4\n5\n6\n");
		result_done(&result);
		if (n == 0)
			instance_start(&i, NULL);
		result = jobberd(&i, "wait", "a", "b", "c", NULL);
		assert_int_equal(result.status, 0);
		result_done(&result);
	}
	assert_sql(&i, "SELECT group_concat(job_id || '<' || on_id, ' ') FROM "
		       "(SELECT * FROM dependencies ORDER BY job_id, on_id)",
	    "2<1 3<1 3<2 5<4 6<4 6<5");
	/* A name stands for the job that it means now. */
	submit_job(&i, "--after", "c,1", "--", "true", NULL);
	assert_sql(&i, "SELECT group_concat(on_id) FROM dependencies WHERE job_id = 7", "1,6");
	result = jobberd(&i, "submit", "--after", "nobody", "--", "true", NULL);
	assert_int_equal(result.status, 4);
	assert_string_equal(result.err, "jobberd: after: there is no job nobody\n");
	result_done(&result);
	instance_finish(&i);
}

static void
job_after_one_that_does_not_exist_is_refused(void **state)
{
	struct instance i;
	struct result result;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	result = jobberd(&i, "submit", "--after", "77", "--", "true", NULL);
	assert_int_equal(result.status, 4);
	assert_has(result.err, "there is no job 77");
	result_done(&result);
	assert_sql(&i, "SELECT count(*) FROM jobs", "0");
	instance_stop(&i);
	instance_done(&i);
}

/* The first one's cancel ends the others, which the filter has found too: all is as asked for. */
static void
chain_is_cancelled_by_filter(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "0", NULL);
	submit_job(&i, "--", "true", NULL);
	submit_job(&i, "--after", "1", "--", "true", NULL);
	submit_job(&i, "--after", "2", "--", "true", NULL);
	expect(jobberd(&i, "cancel", "--status", "new", "--yes", NULL), 0, "",
	    "cancel: 3 jobs\ncancel: 2 had ended meanwhile\n");
	assert_int_equal(
	    sql_number(&i, "SELECT count(*) FROM jobs WHERE status = 'cancelled'"), 3);
	expect(jobberd(&i, "cancel", "2", NULL), 5, "", "job 2 is cancelled");
	instance_stop(&i);
	instance_done(&i);
}

/* A chain of a thousand, each after the one before it, and the first is cancelled. */
static void
cancel_goes_down_a_chain_of_a_thousand(void **state)
{
	struct instance i;
	struct result result;
	char *input = calloc(1000, 64), *at = input;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--hold", "--", "true", NULL);
	for (int n = 2; n <= 1000; n++)
		at += sprintf(at, "{\"command\":[\"true\"],\"after\":[%d]}\n", n - 1);
	/* Within one request a job may wait for one before it in the same. */
	result = jobberd_with_input(&i, input, "submit", "--batch", NULL);
	free(input);
	assert_string_equal(result.err, "");
	assert_int_equal(result.status, 0);
	result_done(&result);
	result = jobberd(&i, "cancel", "1", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	assert_int_equal(wait_job(&i, 1000), 1);
	assert_sql(&i, "SELECT count(*) FROM jobs WHERE status = 'cancelled'", "1000");
	assert_sql(&i, "SELECT count(*) FROM jobs WHERE reason = 'dependency'", "999");
	instance_finish(&i);
}

/* ---- a crash in the middle ---- */

/* It goes on with the next one: everything is in, once, in its order, and printed. */
static void
check_unbroken(struct instance *i, struct helper *batch, char *input, int64_t count)
{
	assert_int_equal(helper_wait(batch), 0);
	check_numbered(i, batch->out.text, count);
	helper_end(batch);
	if (i->keeper != 0)
		instance_stop(i);
	check_accounts(i);
	free(input);
	instance_done(i);
}

static void
batch_survives_the_supervisor_process(void **state)
{
	struct instance i;
	struct helper batch;
	char *input = numbered_lines(20000);

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "0", NULL);
	helper_jobberd(&batch, &i, input, "submit", "--batch", NULL);
	helper_expect(&batch, "3000\n");
	kill(instance_supervisor_pid(&i), SIGKILL);
	check_unbroken(&i, &batch, input, 20000);
}

/* Then the client is the one that records. */
static void
batch_survives_the_keeper(void **state)
{
	struct instance i;
	struct helper batch;
	char *input = numbered_lines(20000);

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "0", NULL);
	helper_jobberd(&batch, &i, input, "submit", "--batch", NULL);
	helper_expect(&batch, "3000\n");
	instance_kill_keeper(&i);
	check_unbroken(&i, &batch, input, 20000);
}

/* Killed between the commit and the answer, or between the commit and its sync. */
static void
batch_whose_answer_is_lost_is_recorded_once(void **state)
{
	static const char *const moments[] = { "inject=sendto:signal=SIGKILL:when=2",
		"inject=fdatasync:signal=SIGKILL:when=2", "inject=pwrite64:signal=SIGKILL:when=9" };

	(void)state;
	for (size_t n = 0; n < sizeof(moments) / sizeof(moments[0]); n++) {
		struct instance i;
		struct helper batch, strace;
		char *input = numbered_lines(3000);

		instance_init(&i);
		instance_start(&i, "--max-children", "0", NULL);
		helper_strace(&strace, instance_supervisor_pid(&i), moments[n], NULL);
		helper_jobberd(&batch, &i, input, "submit", "--batch", NULL);
		helper_wait(&strace);
		helper_end(&strace);
		check_unbroken(&i, &batch, input, 3000);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_and_shell_lines_with_the_options_as_defaults),
		cmocka_unit_test(bad_line_stops_all_before_the_first_is_sent),
		cmocka_unit_test(batch_of_3500_is_recorded_in_its_order),
		cmocka_unit_test(taken_name_is_refused_with_the_holders_id_or_with_once_is_its),
		cmocka_unit_test(jobs_wait_for_others_and_are_cancelled_with_them_in_words),
		cmocka_unit_test(
		    chain_is_retried_by_filter_from_its_beginning_and_of_one_name_the_last),
		cmocka_unit_test(chain_that_is_retried_by_ids_in_any_order_runs),
		cmocka_unit_test(retry_of_two_of_one_name_takes_the_one_that_was_given_first),
		cmocka_unit_test(relative_path_of_the_input_is_refused_in_words),
		cmocka_unit_test(
		    job_submitted_held_starts_when_it_is_released_and_the_other_is_done),
		cmocka_unit_test(name_that_two_lines_have_is_found_before_any_is_sent),
		cmocka_unit_test(lines_wait_for_earlier_lines_by_name),
		cmocka_unit_test(job_after_one_that_does_not_exist_is_refused),
		cmocka_unit_test(chain_is_cancelled_by_filter),
		cmocka_unit_test(cancel_goes_down_a_chain_of_a_thousand),
		cmocka_unit_test(batch_survives_the_supervisor_process),
		cmocka_unit_test(batch_survives_the_keeper),
		cmocka_unit_test(batch_whose_answer_is_lost_is_recorded_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
