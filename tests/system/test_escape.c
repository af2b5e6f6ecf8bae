/* What a job leaves behind, however it hides, and what it is allowed to leave. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/xalloc.h"
#include "support/helper.h"
#include "support/outside.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of the processes in this file, a number a line: how many run? */
static int
count_alive(struct instance *i, const char *name)
{
	char path[400], *text, *line, *rest;
	int count = 0;

	snprintf(path, sizeof(path), "%s/%s", i->directory, name);
	text = rest = file_text(path);
	while ((line = strsep(&rest, "\n")) != NULL)
		count += line[0] != '\0' && is_alive((pid_t)atoi(line));
	free(text);
	return count;
}

static void
kill_listed(struct instance *i, const char *name)
{
	char path[400], *text, *line, *rest;

	snprintf(path, sizeof(path), "%s/%s", i->directory, name);
	text = rest = file_text(path);
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (line[0] != '\0')
			kill((pid_t)atoi(line), SIGKILL);
	}
	free(text);
}

/* Sessions of their own, and parents that are gone. */
#define HUNDRED                                                                          \
	"for n in $(seq 100); do setsid sh -c '(echo $(exec sh -c \"echo \\$PPID\") >> pids; " \
	"exec sleep 1000) & ' & done; until [ $(wc -l < pids) = 100 ]; do sleep 0.01; done"

static void
hundred_processes_that_hide_in_sessions_of_their_own_are_killed(void **state)
{
	struct instance i;
	int64_t id;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	id = submit_job(&i, "-r", "0", "--cwd", i.directory, "--", "sh", "-c", HUNDRED, NULL);
	assert_int_equal(wait_job(&i, id), 0);
	assert_int_equal(witness_count(&i, "pids", ""), 100);
	assert_int_equal(count_alive(&i, "pids"), 0);
	assert_between(sql_number(&i, "SELECT children_killed FROM attempts"), 100, 200);
	/* By a time-out too. */
	submit_job(&i, "-r", "0", "--timeout", "3s", "--cwd", i.directory, "--", "sh", "-c",
	    "rm pids; " HUNDRED "; echo > full; sleep 1000", NULL);
	assert_int_equal(wait_job(&i, 2), 1);
	assert_int_equal(count_alive(&i, "pids"), 0);
	instance_finish(&i);
}

/*
 * Among hundreds the keeper does not look at each for every end: what one of them leaves is
 * killed all the same, and that many die at once is not overlooked.
 */
static void
ends_among_hundreds_are_all_seen(void **state)
{
	enum { MANY = 300 };
	struct instance i;
	struct bell bell, gate;
	char line[900], *batch = xcalloc(MANY, sizeof(line)), *at = batch;
	struct result result;
	int64_t id;

	(void)state;
	instance_init(&i);
	bell_init(&bell, &i, "bell");
	bell_init(&gate, &i, "gate");
	instance_start(&i, "--max-children", "400", NULL);
	for (int n = 0; n < MANY; n++)
		at += snprintf(at, sizeof(line), "exec 9< %s; echo up > %s; read x <&9; exit 7\n",
		    gate.path, bell.path);
	result = jobberd_with_input(&i, batch, "submit", "--batch", "-r", "0", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	for (int n = 0; n < MANY; n++)
		free(bell_wait(&bell));
	id = submit_job(&i, "-r", "0", "--cwd", i.directory, "--", "sh", "-c", HUNDRED, NULL);
	assert_int_equal(wait_job(&i, id), 0);
	assert_int_equal(count_alive(&i, "pids"), 0);
	assert_between(sql_number(&i, "SELECT children_killed FROM attempts WHERE reason = "
				      "'normal'"), 100, 200);
	bell_done(&gate); /* now they read the end of it */
	wait_sql(&i, "SELECT count(*) = 0 FROM jobs WHERE status = 'running'");
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE reason = 'exit:7'"),
	    MANY);
	bell_done(&bell);
	free(batch);
	instance_finish(&i);
}

static void
children_that_may_be_left_live_on(void **state)
{
	struct instance i;
	int64_t id;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	id = submit_job(&i, "--leave-children", "--cwd", i.directory, "--", "sh", "-c",
	    "sleep 1000 & echo $! >> left; setsid sleep 1000 & echo $! >> left", NULL);
	assert_int_equal(wait_job(&i, id), 0);
	assert_int_equal(count_alive(&i, "left"), 2);
	assert_int_equal(sql_number(&i, "SELECT count(children_killed) FROM attempts"), 0);
	/* Not by those who come after it, either. */
	assert_int_equal(wait_job(&i, submit_job(&i, "--", "true", NULL)), 0);
	instance_kill_supervisor(&i);
	assert_int_equal(wait_job(&i, submit_job(&i, "--", "true", NULL)), 0);
	assert_int_equal(count_alive(&i, "left"), 2);
	kill_listed(&i, "left");
	instance_finish(&i);
}

/* Not the keeper's children, so it has to look for them. */
static void
what_an_adopted_job_leaves_running_is_killed_before_it_runs_again(void **state)
{
	struct instance i;
	struct bell pids, go;
	char *text;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&pids, &i, "ready");
	bell_init(&go, &i, "go");
	submit_job(&i, "-r", "1", "--backoff", "constant:10ms", "--cwd", i.directory, "--", "sh",
	    "-c", "[ $JOBBERD_ATTEMPT = 1 ] || { for p in $(cat left); do "
	    "grep 'State:.[RSDT]' /proc/$p/status; done; exit 0; }; sleep 1000 & echo $! >> left; "
	    "setsid sh -c '(exec sleep 1000) & echo $! >> left'; echo > ready; read x < go; exit 3",
	    NULL);
	free(bell_wait(&pids));
	assert_int_equal(count_alive(&i, "left"), 2);
	instance_kill_keeper(&i);
	instance_start(&i, NULL);
	fifo_write(go.path, "go\n");
	assert_int_equal(wait_job(&i, 1), 0);
	text = sql(&i, "SELECT group_concat(reason) || ' ' || group_concat(coalesce(last_lines, "
		       "'')) FROM attempts");
	assert_string_equal(text, "exit:3,normal ,");
	free(text);
	assert_int_equal(count_alive(&i, "left"), 0);
	bell_done(&pids);
	bell_done(&go);
	kill_listed(&i, "left");
	instance_finish(&i);
}

static void
assert_status_shows_stray(struct instance *i, int64_t pid)
{
	struct result status = jobberd(i, "status", NULL);
	char line[64];

	snprintf(line, sizeof(line), "stray process: %lld\n", (long long)pid);
	assert_int_equal(status.status, 0);
	assert_has(status.out, line);
	result_done(&status);
}

/* Also while another attempt is being started, whose process nobody knows yet. */
static void
stray_is_shown_by_status_whatever_else_is_going_on(void **state)
{
	struct instance i;
	struct bell pids;
	char command[500];
	int64_t stray;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&pids, &i, "pids");
	snprintf(command, sizeof(command),
	    "setsid env -i PATH=$PATH sh -c 'echo $$ > %s; exec sleep 1000' &", pids.path);
	/* One in a cgroup of its own would not escape. */
	submit_job(&i, "-r", "0", "--leave-children", "--", "sh", "-c", command, NULL);
	stray = bell_number(&pids);
	assert_int_equal(wait_job(&i, 1), 0);
	assert_status_shows_stray(&i, stray);
	kill(i.keeper, SIGSTOP);
	submit_job(&i, "--", "true", NULL);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE job_id = 2 AND "
					"started_at IS NULL"), 1);
	assert_status_shows_stray(&i, stray);
	kill(i.keeper, SIGCONT);
	assert_int_equal(wait_job(&i, 2), 0);
	kill((pid_t)stray, SIGKILL);
	bell_done(&pids);
	instance_finish(&i);
}

/*
 * Each leaves a process that becomes one program after the other, and has no environment in
 * between: of several hundred some are met there.
 */
static void
process_between_two_programs_does_not_escape(void **state)
{
	static const char line[] = "setsid sh -c 'exec sh -c \"exec sh -c "
				   "\\\"exec sleep 1000\\\"\"' & exit 0\n";
	struct instance i;
	char *input = xcalloc(401, sizeof(line));
	struct result result;

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "4", NULL);
	for (size_t n = 0; n < 400; n++)
		memcpy(input + n * (sizeof(line) - 1), line, sizeof(line));
	result = jobberd_with_input(&i, input, "submit", "--batch", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	for (int n = 50; n <= 400; n += 50)
		assert_int_equal(wait_job(&i, n), 0);
	wait_sql(&i, "SELECT count(*) = 400 FROM jobs WHERE status = 'done'");
	result = jobberd(&i, "status", NULL);
	assert_null(strstr(result.out, "stray"));
	result_done(&result);
	free(input);
	instance_finish(&i);
}

/* What has just been started is none: its process is younger than its order. */
static void
process_that_nobody_was_told_of_yet_is_no_stray(void **state)
{
	struct instance i;
	struct helper strace;
	struct bell pids, go;
	struct result status;
	char command[900];

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&pids, &i, "pids");
	bell_init(&go, &i, "go");
	helper_strace(&strace, i.keeper, "inject=clone:delay_exit=1s", NULL);
	snprintf(command, sizeof(command), "echo $$ > %s; read x < %s", pids.path, go.path);
	submit_job(&i, "--", "sh", "-c", command, NULL);
	free(bell_wait(&pids));
	status = jobberd(&i, "status", NULL);
	assert_null(strstr(status.out, "stray"));
	result_done(&status);
	assert_int_equal(sql_number(&i, "SELECT count(started_at) FROM attempts"), 0);
	helper_end(&strace);
	fifo_write(go.path, "go\n");
	assert_int_equal(wait_job(&i, 1), 0);
	bell_done(&pids);
	bell_done(&go);
	instance_finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    hundred_processes_that_hide_in_sessions_of_their_own_are_killed),
		cmocka_unit_test(ends_among_hundreds_are_all_seen),
		cmocka_unit_test(children_that_may_be_left_live_on),
		cmocka_unit_test(
		    what_an_adopted_job_leaves_running_is_killed_before_it_runs_again),
		cmocka_unit_test(stray_is_shown_by_status_whatever_else_is_going_on),
		cmocka_unit_test(process_between_two_programs_does_not_escape),
	};
	const struct CMUnitTest injected[] = {
		cmocka_unit_test(process_that_nobody_was_told_of_yet_is_no_stray),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	if (!IS_SANITIZED)
		failed += cmocka_run_group_tests(injected, NULL, NULL);
	return failed;
}
