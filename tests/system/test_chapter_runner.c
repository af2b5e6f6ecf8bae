/*
 * The continuation of the chapter, by the numbers of its cases: a runner, a supervisor for each
 * job, a registry, a quota. Where it goes wrong there (267, 269, 273, 277, 286) it does not here.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/xalloc.h"
#include "support/family.h"
#include "support/outside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
begin(struct instance *i)
{
	instance_init(i);
	instance_start(i, "--max-children", "8", NULL);
}

static void
case_267_job_that_is_done_is_not_started_again(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	SUP(&i, 0, NULL, "add", "runner");
	submit_job(&i, "-s", "runner", "true", NULL);
	assert_int_equal(wait_job(&i, 1), 0);
	child_up(&i, "-s runner", "job", NULL); /* transient unless asked otherwise */
	expect(jobberd(&i, "cast", "job", "stop", "normal", NULL), 0, NULL, NULL);
	await_sql(&i, "done", "SELECT status FROM jobs WHERE name = 'job'");
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts"), 2);
	check_count(&i, "runner", "0 0 0 0");
	instance_finish(&i);
}

/* 269, differing: the budget is the job's. */
static void
case_269_job_that_crashes_again_and_again_ends_alone(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	SUP(&i, 0, NULL, "add", "runner", "--budget", "each", "--max-seconds", "300");
	child_up(&i, "-s runner", "other", NULL);
	child_up(&i, "-s runner", "doomed", "crash-after=1");
	await_sql(&i, "failed", "SELECT status FROM jobs WHERE name = 'doomed'");
	assert_int_equal(child_attempts(&i, "doomed"), 4);
	check_child(&i, "doomed", "failed max_restarts");
	check_child(&i, "other", "running");
	assert_int_equal(child_attempts(&i, "other"), 1);
	await_state(&i, "runner", "running");
	instance_finish(&i);
}

/* 270, 271, 283: as the chapter does it, with a supervisor for each job. */
static void
case_270_supervisor_for_each_job_goes_with_it_and_no_other_does(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	SUP(&i, 0, NULL, "add", "runner");
	SUP(&i, 0, NULL, "add", "one", "--parent", "runner", "--restart", "temporary",
	    "--max-seconds", "300");
	SUP(&i, 0, NULL, "add", "two", "--parent", "runner", "--restart", "temporary");
	child_up(&i, NULL, "two/work", NULL);
	child_up(&i, NULL, "one/work", "crash-after=1");
	await_state(&i, "one", "ended");
	assert_int_equal(child_attempts(&i, "one/work"), 4);
	check_child(&i, "two/work", "running");
	await_state(&i, "runner", "running");
	check_count(&i, "runner", "1 1 1 0"); /* it has forgotten the other */
	SUP(&i, 0, NULL, "rm", "one");
	/* 283: one whose job is done is idle, and is removed. */
	expect(jobberd(&i, "cast", "two/work", "stop", "normal", NULL), 0, NULL, NULL);
	await_sql(&i, "done", "SELECT status FROM jobs WHERE name = 'two/work'");
	check_count(&i, "two", "1 0 0 1");
	SUP(&i, 0, NULL, "stop", "two");
	check_count(&i, "runner", "0 0 0 0");
	SUP(&i, 0, NULL, "rm", "two");
	instance_finish(&i);
}

/* 273, differing: the id is given once. */
static void
case_273_id_and_type_stay_through_a_crash(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	child_up(&i, "--type import", "job", NULL);
	child_kill(&i, "job");
	await_up(&i, "job", 2);
	expect(jobberd(&i, "whereis", "job", NULL), 0, "1\n", NULL);
	expect(jobberd(&i, "list", "--type", "import", "-H", "-o", "id,name,status", NULL), 0,
	    "1\tjob\trunning\n", NULL);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM jobs"), 1);
	instance_finish(&i);
}

static void
case_275_running_imports_are_listed_with_id_process_and_type(void **state)
{
	struct instance i;
	struct result result;
	char *wanted;

	(void)state;
	begin(&i);
	child_up(&i, "--type import", "a", NULL);
	child_up(&i, "--type send_email", "b", NULL);
	child_up(&i, "--type import", "c", NULL);
	wanted = xasprintf("3\t%d\timport\n1\t%d\timport\n", (int)child_pid(&i, "c"),
	    (int)child_pid(&i, "a"));
	result = jobberd(&i, "list", "--type", "import", "--status", "running", "-H", "-o",
	    "id,pid,type", NULL);
	if (strcmp(result.out, wanted) != 0) {
		free(wanted);
		wanted = xasprintf("1\t%d\timport\n3\t%d\timport\n", (int)child_pid(&i, "a"),
		    (int)child_pid(&i, "c"));
	}
	expect(result, 0, wanted, NULL);
	free(wanted);
	instance_finish(&i);
}

/* 276; 277, differing: only the type that is full is refused; 279. */
static void
case_276_quota_is_five_imports_each_counted_once(void **state)
{
	struct instance i;
	char name[] = "a";

	(void)state;
	begin(&i);
	SUP(&i, 0, NULL, "add", "imports", "--max-children", "5", "--overflow", "reject");
	for (; name[0] < 'f'; name[0]++)
		child_up(&i, "-s imports --type import", name, NULL);
	expect(child_start(&i, "-s imports --type import", "x", NULL), 75, "",
	    "imports: 5 of 5 places taken (max_children)");
	child_up(&i, "--type send_email", "mail", NULL);
	child_kill(&i, "a"); /* 279 */
	await_up(&i, "a", 2);
	check_count(&i, "imports", "5 5 0 5");
	expect(child_start(&i, "-s imports --type import", "x", NULL), 75, "", "5 of 5 places");
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM jobs WHERE name = 'x'"), 0);
	expect(jobberd(&i, "cast", "b", "stop", "normal", NULL), 0, NULL, NULL);
	await_sql(&i, "done", "SELECT status FROM jobs WHERE name = 'b'");
	child_up(&i, "-s imports --type import", "x", NULL);
	instance_finish(&i);
}

static void
case_281_job_without_work_is_refused_and_leaves_nothing(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	SUP(&i, 0, NULL, "add", "runner");
	expect(jobberd(&i, "submit", "-s", "runner", NULL), 2, "", "");
	expect(jobberd(&i, "start", "runner/job", NULL), 4, "",
	    "to start a new one give its program");
	expect(jobberd(&i, "start", "runner/job", "--", "/nonexistent/program", NULL), 70, NULL,
	    "No such file or directory");
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts"), 1);
	check_count(&i, "runner", "0 0 0 0");
	await_state(&i, "runner", "running");
	instance_finish(&i);
}

static void
case_284_work_is_cut_off_when_its_supervisor_is_stopped(void **state)
{
	struct instance i;
	int64_t begun;

	(void)state;
	begin(&i);
	SUP(&i, 0, NULL, "add", "one", "--restart", "temporary");
	child_up(&i, NULL, "one/work", NULL); /* it does not trap exits */
	expect(jobberd(&i, "cast", "one/work", "slow", "60000", NULL), 0, NULL, NULL);
	begun = now_ms();
	SUP(&i, 0, NULL, "stop", "one");
	assert_between(now_ms() - begun, 0, 8000 * SLOWNESS); /* less than its grace */
	check_child(&i, "one/work", "done shutdown");
	check_log(&i, "+one/work");
	instance_finish(&i);
}

/* 286, differing: nobody starts before the old holder of its name is gone. */
static void
case_286_name_is_taken_again_only_when_its_holder_is_gone(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	SUP(&i, 0, NULL, "add", "top", "--strategy", "one_for_all", "--max-restarts", "10");
	child_up(&i, NULL, "top/registry", "trap");
	child_up(&i, NULL, "top/part", "trap slow-end=300");
	child_up(&i, NULL, "outside", NULL);
	for (int n = 1; n <= 3; n++) {
		child_kill(&i, "top/registry");
		await_up(&i, "top/part", n + 1);
		await_state(&i, "top", "running");
	}
	check_log(&i, "+top/registry +top/part +outside -top/part +top/registry +top/part "
		      "-top/part +top/registry +top/part -top/part +top/registry +top/part");
	assert_int_equal(child_attempts(&i, "outside"), 1);
	instance_finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(case_267_job_that_is_done_is_not_started_again),
		cmocka_unit_test(case_269_job_that_crashes_again_and_again_ends_alone),
		cmocka_unit_test(case_270_supervisor_for_each_job_goes_with_it_and_no_other_does),
		cmocka_unit_test(case_273_id_and_type_stay_through_a_crash),
		cmocka_unit_test(case_275_running_imports_are_listed_with_id_process_and_type),
		cmocka_unit_test(case_276_quota_is_five_imports_each_counted_once),
		cmocka_unit_test(case_281_job_without_work_is_refused_and_leaves_nothing),
		cmocka_unit_test(case_284_work_is_cut_off_when_its_supervisor_is_stopped),
		cmocka_unit_test(case_286_name_is_taken_again_only_when_its_holder_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
