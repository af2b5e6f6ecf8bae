/* What is forgotten is gone for good, whoever dies in the middle of it. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/helper.h"
#include "support/outside.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MANY 100000 /* events: 50 portions */

/* Job 1 has ended, with output, kept input, and so much history. The path of its input. */
static char *
make_history(struct instance *i)
{
	struct result result = jobberd_with_input(
	    i, "x\n", "submit", "--name", "old", "--stdin", "-", "--", "cat", NULL);
	sqlite3 *other;
	char statement[400];

	assert_result(result, 0, "1\n", "");
	assert_int_equal(wait_job(i, 1), 0);
	snprintf(statement, sizeof(statement),
	    "BEGIN IMMEDIATE; UPDATE writer SET is_writing = 1;"
	    "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < %d) "
	    "INSERT INTO events (at, job_id, event) SELECT n, 1, 'log' FROM n;"
	    "UPDATE writer SET is_writing = 0; COMMIT", MANY);
	other = other_open(i);
	other_run(other, statement);
	other_close(other);
	return sql(i, "SELECT stdin FROM jobs");
}

static char *
begin(struct instance *i)
{
	instance_init(i);
	instance_start(i, NULL);
	return make_history(i);
}

static void
assert_has_files(struct instance *i, const char *input, bool is_there)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/output/1.1", i->state);
	assert_int_equal(access(path, F_OK) == 0, is_there);
	assert_int_equal(access(input, F_OK) == 0, is_there);
}

/*
 * The supervisor process dies after its second portion, and its keeper, which is stopped, does
 * not start another one yet.
 */
static void
die_in_the_middle(struct instance *i, const char *verb, const char *argument, const char *value)
{
	pid_t supervisor = instance_supervisor_pid(i);
	struct helper strace, client;

	kill(i->keeper, SIGSTOP);
	helper_strace(&strace, supervisor, "inject=fdatasync:signal=SIGKILL:when=2", NULL);
	helper_jobberd(&client, i, NULL, verb, argument, value, NULL);
	wait_gone(supervisor);
	assert_int_not_equal(helper_wait(&client), 0);
	helper_end(&client);
	helper_end(&strace);
	assert_int_equal(sql_number(i, "SELECT count(*) FROM jobs WHERE id = 1"), 1);
	assert_int_equal(sql_number(i, "SELECT job_id FROM deletions"), 1);
	assert_between(sql_number(i, "SELECT count(*) FROM events WHERE job_id = 1"), 1, MANY - 1);
}

static void
assert_is_forgotten(struct instance *i, char *input)
{
	/* Others are not kept waiting. */
	assert_int_equal(submit_job(i, "--", "true", NULL), 2);
	assert_int_equal(wait_job(i, 2), 0);
	wait_sql(i, "SELECT NOT EXISTS (SELECT 1 FROM jobs WHERE id = 1)");
	assert_int_equal(sql_number(i, "SELECT count(*) FROM events WHERE job_id = 1"), 0);
	assert_int_equal(sql_number(i, "SELECT count(*) FROM attempts WHERE job_id = 1"), 0);
	assert_int_equal(sql_number(i, "SELECT count(*) FROM deletions"), 0);
	instance_stop(i);
	assert_has_files(i, input, false);
	free(input);
	check_accounts(i);
	instance_done(i);
}

static void
delete_goes_on_when_the_supervisor_process_was_killed_in_the_middle(void **state)
{
	struct instance i;
	char *input = begin(&i);

	(void)state;
	die_in_the_middle(&i, "delete", "1", NULL);
	assert_has_files(&i, input, true);
	kill(i.keeper, SIGCONT);
	assert_is_forgotten(&i, input);
}

static void
prune_goes_on_when_all_was_killed_in_the_middle(void **state)
{
	struct instance i;
	char *input = begin(&i);

	(void)state;
	die_in_the_middle(&i, "prune", "--older-than", "0s");
	assert_has_files(&i, input, true);
	instance_kill_keeper(&i);
	instance_start(&i, NULL);
	assert_is_forgotten(&i, input);
}

static void
delete_that_finds_no_room_in_the_middle_goes_on_when_there_is_some(void **state)
{
	struct instance i;
	struct helper strace;
	struct result result;
	char *input = begin(&i);

	(void)state;
	/* A portion takes some dozens of writes, all of it thousands. */
	helper_strace(&strace, instance_supervisor_pid(&i),
	    "inject=pwrite64:error=ENOSPC:when=400+", NULL);
	expect(jobberd(&i, "delete", "1", NULL), 75, "", "disk full: nothing was changed");
	assert_int_equal(sql_number(&i, "SELECT job_id FROM deletions"), 1);
	result = jobberd(&i, "status", NULL);
	assert_has(result.out, "trouble: disk full for ");
	result_done(&result);
	helper_end(&strace);
	wait_sql(&i, "SELECT NOT EXISTS (SELECT 1 FROM jobs)");
	assert_is_forgotten(&i, input);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    delete_goes_on_when_the_supervisor_process_was_killed_in_the_middle),
		cmocka_unit_test(prune_goes_on_when_all_was_killed_in_the_middle),
		cmocka_unit_test(
		    delete_that_finds_no_room_in_the_middle_goes_on_when_there_is_some),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
