/* What a job leaves behind, however it hides, and what it is allowed to leave. */

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
	instance_stop(&i);
	check_accounts(&i);
	instance_done(&i);
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
	instance_stop(&i);
	check_accounts(&i);
	instance_done(&i);
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
	instance_stop(&i);
	check_accounts(&i);
	instance_done(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    hundred_processes_that_hide_in_sessions_of_their_own_are_killed),
		cmocka_unit_test(children_that_may_be_left_live_on),
		cmocka_unit_test(
		    what_an_adopted_job_leaves_running_is_killed_before_it_runs_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
