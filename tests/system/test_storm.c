/* Much at once: ends while the disk is slow, timers that are all due, a place for one. */

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

/* A sync takes 1 s: the keeper reaps all the same, and every end is recorded. */
static void
ends_during_slow_syncs_leave_no_zombies(void **state)
{
	enum { JOBS = 50 };
	struct instance i;
	struct helper strace;
	struct result result;
	struct bell bell;
	char batch[JOBS * 32] = "", *text;

	(void)state;
	instance_init(&i);
	bell_init(&bell, &i, "bell");
	instance_start(&i, "--max-children", "50", NULL);
	helper_strace(&strace, instance_supervisor_pid(&i), "inject=fdatasync:delay_enter=1000000",
	    NULL);
	for (int n = 0; n < JOBS; n++)
		strcat(batch, "echo $$ > bell; exit 3\n");
	result = jobberd_with_input(&i, batch, "submit", "--batch", "-r", "0", "--cwd",
	    i.directory, NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	for (int n = 0; n < JOBS; n++)
		wait_reaped((pid_t)bell_number(&bell), 700);
	wait_job(&i, JOBS);
	helper_end(&strace);
	instance_stop(&i);
	text = sql(&i, "SELECT DISTINCT reason || (SELECT count(*) FROM attempts) FROM attempts");
	assert_string_equal(text, "exit:350");
	free(text);
	bell_done(&bell);
	check_accounts(&i);
	instance_done(&i);
}

/* The last to end must not leave the places empty while others wait. */
static void
backlog_of_jobs_that_run_once_is_worked_off_on_a_slow_disk(void **state)
{
	enum { JOBS = 300 };
	struct instance i;
	struct helper strace;
	struct result result;
	char *batch = calloc(JOBS, 8);

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "50", NULL);
	helper_strace(&strace, instance_supervisor_pid(&i), "inject=fdatasync:delay_enter=100000",
	    NULL);
	for (int n = 0; n < JOBS; n++)
		strcat(batch, "exit 0\n");
	result = jobberd_with_input(&i, batch, "submit", "--batch", "-r", "0", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	free(batch);
	assert_int_equal(wait_job(&i, JOBS), 0);
	helper_end(&strace);
	instance_finish(&i);
}

/* By priority, then as they were submitted, whenever their timers were to fire. */
static void
timers_that_are_all_overdue_start_in_order_within_the_limit(void **state)
{
	struct instance i;
	char *message;

	(void)state;
	instance_init(&i);
	submit_job(&i, "--hold", "--", "true", NULL);
	message = foreign(&i,
	    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) "
	    "INSERT INTO jobs (command, priority, wake_at) SELECT '[\"true\"]', "
	    "(i * 7919) % 10, 1 + (i * 104729) % 5000 FROM n");
	assert_null(message);
	instance_start(&i, "--drain", "--max-children", "1", NULL);
	assert_int_equal(instance_wait(&i), 0);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM jobs WHERE status = 'done'"), 3000);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts"), 3000);
	/* They are woken in portions: the first of one may start before the next is. */
	assert_between(sql_number(&i,
			     "SELECT count(*) FROM (SELECT priority * 100000 + id AS place, "
			     "lag(priority * 100000 + id) OVER (ORDER BY seq) AS previous "
			     "FROM events JOIN jobs ON id = job_id WHERE event = 'started') "
			     "WHERE previous > place"),
	    0, 5);
	check_accounts(&i);
	instance_done(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_that_are_all_overdue_start_in_order_within_the_limit),
	};
	const struct CMUnitTest injected[] = {
		cmocka_unit_test(ends_during_slow_syncs_leave_no_zombies),
		cmocka_unit_test(backlog_of_jobs_that_run_once_is_worked_off_on_a_slow_disk),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	if (!IS_SANITIZED)
		failed += cmocka_run_group_tests(injected, NULL, NULL);
	return failed;
}
