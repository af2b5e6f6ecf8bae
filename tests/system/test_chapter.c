/*
 * The cases of the Elixir text that this grew from, by their numbers (251, 252 and 255 are in
 * test_life.c). 259 differs on purpose: a command that crashes is a failure like any other,
 * counted and retried. Its continuation, from 267 on, is in test_chapter_runner.c.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/xalloc.h"
#include "support/helper.h"
#include "support/outside.h"

#include <sys/file.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *
history(struct instance *i, int64_t job)
{
	char question[200];

	snprintf(question, sizeof(question),
	    "SELECT group_concat(event, ',') FROM (SELECT event FROM events WHERE job_id = %lld "
	    "ORDER BY seq)", (long long)job);
	return sql(i, question);
}

static void
check_history(struct instance *i, int64_t job, const char *wanted)
{
	char *text = history(i, job);

	assert_string_equal(text, wanted);
	free(text);
}

/* 250, 263: submit returns at once; completed comes before exiting; the status is done. */
static void
case_250_work_that_succeeds_completes_and_exits(void **state)
{
	struct instance i;
	int64_t begin;
	char *completed, *exiting;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	begin = now_ms();
	submit_job(&i, "--", "sleep", "1", NULL);
	assert_between(now_ms() - begin, 0, 900 * SLOWNESS);
	assert_int_equal(wait_job(&i, 1), 0);
	assert_between(now_ms() - begin, 1000, 3000 * SLOWNESS);
	instance_expect(&i, "info job=1 exiting status=done");
	completed = strstr(i.log, "info job=1 completed");
	exiting = strstr(i.log, "info job=1 exiting");
	assert_non_null(completed);
	assert_true(completed < exiting);
	check_history(&i, 1, "started,completed");
	instance_finish(&i);
}

/* 253: one retry is two runs, with the pause between them. */
static void
case_253_one_retry_is_two_runs_a_pause_apart(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "-r", "1", "--backoff", "constant:400ms", "--", "false", NULL);
	assert_int_equal(wait_job(&i, 1), 1);
	check_history(&i, 1, "started,errored,started,retry failed,failed");
	assert_between(sql_number(&i, "SELECT max(started_at) - min(ended_at) FROM attempts"), 399,
	    1500 * SLOWNESS);
	instance_finish(&i);
}

/* 257, 265: an id is given once and stays, through retries and restarts; never a word. */
static void
case_257_id_stays_through_retries_and_restarts(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	assert_int_equal(submit_job(&i, "-r", "2", "--backoff", "constant:100ms", "--cwd",
			     i.directory, "--", "sh", "-c", "echo $JOBBERD_ID >> ids; false", NULL),
	    1);
	wait_sql(&i, "SELECT failures > 0 FROM jobs");
	instance_kill_keeper(&i);
	instance_start(&i, NULL);
	assert_int_equal(wait_job(&i, 1), 1);
	assert_int_equal(witness_count(&i, "ids", "1"), 3);
	instance_finish(&i);
}

/* 259, differing: killed by a signal is counted and retried, and says how it died. */
static void
case_259_crash_of_a_command_is_a_counted_failure(void **state)
{
	struct instance i;
	char *text;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "-r", "1", "--backoff", "constant:10ms", "--", "sh", "-c", "kill -KILL $$",
	    NULL);
	assert_int_equal(wait_job(&i, 1), 1);
	text = sql(&i, "SELECT group_concat(reason) || (SELECT failures || retries FROM jobs) "
		       "FROM attempts");
	assert_string_equal(text, "signal:KILL,signal:KILL21");
	free(text);
	instance_finish(&i);
}

/* 261, differing: whatever comes while it waits for a retry is recorded or refused, no crash. */
static void
case_261_job_that_waits_for_its_retry_takes_no_harm(void **state)
{
	struct instance i;
	struct result result;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "-r", "1", "--backoff", "constant:1h", "--", "sh", "-c",
	    "exit $((JOBBERD_ATTEMPT < 2))", NULL);
	wait_sql(&i, "SELECT count(*) > 0 FROM jobs WHERE status = 'errored'");
	result = jobberd(&i, "release", "1", NULL);
	result_done(&result);
	result = jobberd(&i, "hold", "1", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	result = jobberd(&i, "release", "1", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM jobs WHERE status = 'errored'"), 1);
	result = jobberd(&i, "retry", "1", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	assert_int_equal(wait_job(&i, 1), 0);
	instance_finish(&i);
}

/* 263: new, errored after the first failure, failed after the last. */
static void
case_263_statuses_are_new_errored_failed(void **state)
{
	struct instance i;
	char *text;

	(void)state;
	instance_init(&i);
	submit_job(&i, "-r", "1", "--backoff", "constant:1h", "--", "false", NULL);
	text = sql(&i, "SELECT status FROM jobs");
	assert_string_equal(text, "new");
	free(text);
	instance_start(&i, NULL);
	wait_sql(&i, "SELECT count(*) > 0 FROM jobs WHERE status = 'errored'");
	assert_null(foreign(&i, "UPDATE jobs SET wake_at = 1"));
	assert_int_equal(wait_job(&i, 1), 1);
	text = sql(&i, "SELECT status FROM jobs");
	assert_string_equal(text, "failed");
	free(text);
	instance_finish(&i);
}

/* 100 says that there is no use in trying again; 75 is a failure like any other. */
static void
exit_100_is_final_and_exit_75_is_not(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--backoff", "constant:10ms", "--", "sh", "-c", "exit 100", NULL);
	submit_job(&i, "--backoff", "constant:10ms", "--", "sh", "-c", "exit 75", NULL);
	assert_int_equal(wait_job(&i, 1), 1);
	assert_int_equal(wait_job(&i, 2), 1);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE job_id = 1"), 1);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE job_id = 2"), 4);
	instance_finish(&i);
}

/* ---- the whole of it, as the README tells it ---- */

/* What stands indented behind this heading. To be freed. */
static char *
commands_behind(const char *heading)
{
	char *page = file_text(TESTS_DIRECTORY "/../README.md"), *at = strstr(page, heading);
	struct buf script = { 0 };
	char *line, *text;
	bool has_begun = false;

	assert_non_null(at);
	while ((line = strsep(&at, "\n")) != NULL) {
		bool is_command = strncmp(line, "    ", 4) == 0;

		if (is_command)
			buf_addf(&script, "%s\n", line + 4);
		else if (has_begun)
			break;
		has_begun = has_begun || is_command;
	}
	text = xstrdup(buf_text(&script));
	buf_done(&script);
	free(page);
	return text;
}

/*
 * The `sleep` on the PATH of this directory takes until the descriptor is closed, however slow
 * the machine is.
 */
static int
make_sleep(const char *directory)
{
	char *path = xasprintf("%s/sleep", directory);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0700), lock;

	assert_true(dprintf(fd, "#!/bin/sh\nexec flock '%s' true\n", directory) > 0);
	close(fd);
	lock = open(directory, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(lock, LOCK_EX), 0);
	free(path);
	return lock;
}

/* 270, 271, 275, 276, 277 with commands. */
static void
jobber_of_the_book_is_what_the_readme_says(void **state)
{
	struct instance i;
	struct helper shell;
	char *script = commands_behind("## The Jobber of the book"), *whole, *program;
	const char *arguments[] = { "sh", "-c", NULL, NULL };
	int sleeps;

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "4", NULL);
	sleeps = make_sleep(i.directory);
	program = realpath(getenv("JOBBERD"), NULL);
	whole = xasprintf("export JOBBERD_STATE='%s' PATH='%s':\"$PATH\"\n"
			  "jobberd() { '%s' \"$@\"; }\n%s",
	    i.state, i.directory, program, script);
	arguments[2] = whole;
	helper_start(&shell, NULL, arguments);
	helper_wait(&shell);
	assert_has(shell.err.text, "imports: 5 of 5 places taken (max_children)");
	assert_has(shell.out.text, "killed by SIGSEGV");
	helper_end(&shell);
	close(sleeps);
	for (int job = 1; job <= 6; job++)
		assert_int_equal(wait_job(&i, job), 0);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM job_list WHERE type = 'import' "
					"AND status = 'done' AND tries = 1"), 5);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM job_list WHERE "
					"type = 'send_email' AND status = 'done'"), 1);
	assert_int_equal(sql_number(&i, "SELECT tries FROM job_list WHERE name = 'doomed' "
					"AND status = 'failed'"), 4);
	assert_int_equal(sql_number(&i, "SELECT tries FROM job_list WHERE name = 'bad' "
					"AND status = 'failed' AND reason = 'exit:3'"), 2);
	free(program);
	free(whole);
	free(script);
	instance_finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(case_250_work_that_succeeds_completes_and_exits),
		cmocka_unit_test(case_253_one_retry_is_two_runs_a_pause_apart),
		cmocka_unit_test(case_257_id_stays_through_retries_and_restarts),
		cmocka_unit_test(case_259_crash_of_a_command_is_a_counted_failure),
		cmocka_unit_test(case_261_job_that_waits_for_its_retry_takes_no_harm),
		cmocka_unit_test(case_263_statuses_are_new_errored_failed),
		cmocka_unit_test(exit_100_is_final_and_exit_75_is_not),
		cmocka_unit_test(jobber_of_the_book_is_what_the_readme_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
