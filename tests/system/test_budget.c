/*
 * How often and how far: budgets, what ends a supervisor, and what its parent makes of that, as
 * OTP's Supervisor has them; each test names the cases that it pins.
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

/* A supervisor that nobody starts again, with these options, and three children. */
#define SHOP(i, ...)                                                                         \
	do {                                                                                 \
		instance_init(i);                                                            \
		instance_start(i, NULL);                                                     \
		SUP(i, 0, NULL, "add", "shop", "--restart", "temporary", __VA_ARGS__);       \
	} while (0)

static void
three_children(struct instance *i, const char *options)
{
	child_up(i, options, "shop/a", "trap");
	child_up(i, options, "shop/b", "trap refuse-if=refuse ignore-if=ignore");
	child_up(i, options, "shop/c", "trap");
	check_log(i, "+shop/a +shop/b +shop/c");
	clear_log(i);
}

/* ---- the budget ---- */

static void
case_131_fourth_failure_ends_the_supervisor_and_its_children(void **state)
{
	struct instance i;
	struct result result;

	(void)state;
	SHOP(&i, "--max-seconds", "60"); /* a slow machine */
	three_children(&i, NULL);
	child_kill_often(&i, "shop/b", 4);
	await_state(&i, "shop", "ended");
	assert_int_equal(child_attempts(&i, "shop/b"), 4);
	check_log(&i, "+shop/b +shop/b +shop/b -shop/c -shop/a");
	check_child(&i, "shop/a", "done shutdown");
	check_child(&i, "shop/b", "failed max_restarts");
	instance_expect(&i, "warn supervisor=shop ended reason=\"max_restarts\"");
	result = jobberd(&i, "supervisor", "show", "shop", NULL);
	assert_has(result.out, "ended");
	assert_has(result.out, "max_restarts");
	result_done(&result);
	instance_finish(&i);
}

static void
case_132_without_a_budget_the_first_failure_ends_it(void **state)
{
	struct instance i;

	(void)state;
	SHOP(&i, "--max-restarts", "0");
	three_children(&i, NULL);
	/* 135: clean ends of transient children, and any of temporary ones, do not count. */
	expect(jobberd(&i, "cast", "shop/c", "stop", "normal", NULL), 0, NULL, NULL);
	child_up(&i, "--restart temporary", "shop/t", NULL);
	child_kill(&i, "shop/t");
	await_sql(&i, "failed", "SELECT status FROM jobs WHERE name = 'shop/t'");
	await_sql(&i, "done", "SELECT status FROM jobs WHERE name = 'shop/c'");
	await_state(&i, "shop", "running");
	child_kill(&i, "shop/b");
	await_state(&i, "shop", "ended");
	check_child(&i, "shop/a", "done shutdown");
	instance_finish(&i);
}

static void
case_133_what_is_past_does_not_count(void **state)
{
	struct instance i;

	(void)state;
	SHOP(&i, "--max-restarts", "1", "--max-seconds", "1");
	three_children(&i, NULL);
	for (int n = 1; n <= 2; n++) {
		child_kill(&i, "shop/b");
		await_up(&i, "shop/b", n + 1);
		let_pass(&i, 2500);
	}
	await_state(&i, "shop", "running");
	check_count(&i, "shop", "3 3 0 3");
	instance_finish(&i);
}

static void
case_137_init_that_refuses_at_a_restart_uses_up_the_budget(void **state)
{
	struct instance i;

	(void)state;
	SHOP(&i, "--max-seconds", "60");
	three_children(&i, NULL);
	flag_up(&i, "refuse");
	child_kill(&i, "shop/b");
	await_state(&i, "shop", "ended");
	assert_int_equal(child_attempts(&i, "shop/b"), 4);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE reason = 'refused'"),
	    3);
	instance_finish(&i);
}

static void
case_138_init_that_ignores_at_a_restart_leaves_the_entry(void **state)
{
	struct instance i;

	(void)state;
	SHOP(&i, "--strategy", "one_for_one");
	three_children(&i, "--restart permanent");
	flag_up(&i, "ignore");
	child_kill(&i, "shop/b");
	await_sql(&i, "done", "SELECT status FROM jobs WHERE name = 'shop/b'");
	check_child(&i, "shop/b", "done ignore");
	check_count(&i, "shop", "3 2 0 3");
	await_state(&i, "shop", "running");
	instance_finish(&i);
}

/* ---- auto_shutdown ---- */

static void
case_149_end_of_a_significant_child_ends_its_supervisor(void **state)
{
	struct instance i;

	(void)state;
	SHOP(&i, "--auto-shutdown", "any_significant");
	child_up(&i, "--significant", "shop/a", "trap");
	child_up(&i, NULL, "shop/b", "trap");
	child_kill(&i, "shop/a"); /* an abnormal end: it is started again */
	await_up(&i, "shop/a", 2);
	clear_log(&i);
	expect(jobberd(&i, "cast", "shop/a", "stop", "normal", NULL), 0, NULL, NULL);
	await_state(&i, "shop", "ended");
	check_log(&i, "-shop/a -shop/b");
	await_sql(&i, "auto_shutdown", "SELECT reason FROM supervisors WHERE name = 'shop'");
	SUP(&i, 0, NULL, "set", "shop", "--auto-shutdown", "all_significant");
	SUP(&i, 0, NULL, "start", "shop");
	child_up(&i, "--significant", "shop/c", NULL);
	expect(jobberd(&i, "cast", "shop/a", "stop", "normal", NULL), 0, NULL, NULL);
	await_sql(&i, "done", "SELECT status FROM jobs WHERE name = 'shop/a'");
	await_state(&i, "shop", "running");
	expect(jobberd(&i, "cast", "shop/c", "stop", "normal", NULL), 0, NULL, NULL);
	await_state(&i, "shop", "ended");
	instance_finish(&i);
}

static void
case_151_significant_child_that_could_mean_nothing_is_refused(void **state)
{
	struct instance i;

	(void)state;
	SHOP(&i, "--auto-shutdown", "any_significant");
	SUP(&i, 0, NULL, "add", "plain");
	expect(child_start(&i, "--significant --restart permanent", "shop/a", NULL), 2, "",
	    "significant: not for a permanent server");
	expect(child_start(&i, "--significant", "plain/a", NULL), 2, "",
	    "significant: the supervisor plain has auto-shutdown never");
	expect(child_start(&i, "--significant -s shop", "a", NULL), 2, "",
	    "only for a child in order");
	SUP(&i, 2, "is permanent", "add", "n", "--parent", "shop", "--significant");
	SUP(&i, 2, "its parent has auto-shutdown never", "add", "n", "--parent", "plain",
	    "--restart", "transient", "--significant");
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM jobs"), 0);
	instance_finish(&i);
}

/* The same, the other way round: that it means something is not taken from one that is there. */
static void
auto_shutdown_never_is_refused_while_a_child_is_significant(void **state)
{
	struct instance i;

	(void)state;
	SHOP(&i, "--auto-shutdown", "any_significant");
	SUP(&i, 0, NULL, "add", "n", "--parent", "shop", "--restart", "transient",
	    "--significant");
	SUP(&i, 2, "shop cannot have auto-shutdown never: its child n is significant", "set",
	    "shop", "--auto-shutdown", "never");
	SUP(&i, 0, NULL, "rm", "n");
	child_up(&i, "--significant", "shop/a", NULL);
	SUP(&i, 2, "its child shop/a is significant", "set", "shop", "--auto-shutdown", "never");
	SUP(&i, 0, NULL, "set", "shop", "--auto-shutdown", "all_significant");
	expect(jobberd(&i, "stop", "shop/a", NULL), 0, NULL, NULL);
	SUP(&i, 2, "its child shop/a is significant", "set", "shop", "--auto-shutdown", "never");
	expect(jobberd(&i, "delete", "shop/a", NULL), 0, NULL, NULL);
	SUP(&i, 0, NULL, "set", "shop", "--auto-shutdown", "never");
	instance_finish(&i);
}

/* ---- supervisors beneath others ---- */

static void
case_153_parent_decides_what_becomes_of_one_that_gave_up(void **state)
{
	static const char *const types[] = { "permanent", "transient", "temporary" };
	struct instance i;
	char name[20];

	(void)state;
	SHOP(&i, "--strategy", "one_for_one");
	for (int n = 0; n < 3; n++) {
		SUP(&i, 0, NULL, "add", types[n], "--parent", "shop", "--restart", types[n],
		    "--max-restarts", "0");
		snprintf(name, sizeof(name), "%s/a", types[n]);
		child_up(&i, NULL, name, NULL);
		child_kill(&i, name);
		if (n == 0)
			await_up(&i, name, 2);
		await_state(&i, types[n], n == 0 ? "running" : "ended");
	}
	/* 155, 183: the temporary one is no child any more, the transient one is, and rests. */
	check_count(&i, "shop", "2 1 2 0");
	check_count(&i, "permanent", "1 1 0 1");
	check_count(&i, "transient", "1 0 0 1");
	await_state(&i, "shop", "running");
	/* Started by hand it is a child again, and ends with its parent. */
	SUP(&i, 0, NULL, "start", "temporary");
	check_count(&i, "shop", "3 2 3 0");
	SUP(&i, 0, NULL, "stop", "shop");
	await_state(&i, "temporary", "ended");
	check_child(&i, "temporary/a", "done shutdown");
	instance_finish(&i);
}

static void
root_stays_and_leaves_down_what_it_has_started_three_times(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	SUP(&i, 0, NULL, "add", "shop", "--max-restarts", "0");
	child_up(&i, NULL, "shop/a", NULL);
	child_up(&i, NULL, "other", NULL);
	child_kill_often(&i, "shop/a", 4);
	await_state(&i, "shop", "ended");
	assert_int_equal(child_attempts(&i, "shop/a"), 4);
	assert_int_equal(child_attempts(&i, "other"), 1);
	check_child(&i, "other", "running");
	SUP(&i, 0, NULL, "start", "shop");
	await_up(&i, "shop/a", 5);
	instance_finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(case_131_fourth_failure_ends_the_supervisor_and_its_children),
		cmocka_unit_test(case_132_without_a_budget_the_first_failure_ends_it),
		cmocka_unit_test(case_133_what_is_past_does_not_count),
		cmocka_unit_test(case_137_init_that_refuses_at_a_restart_uses_up_the_budget),
		cmocka_unit_test(case_138_init_that_ignores_at_a_restart_leaves_the_entry),
		cmocka_unit_test(case_149_end_of_a_significant_child_ends_its_supervisor),
		cmocka_unit_test(case_151_significant_child_that_could_mean_nothing_is_refused),
		cmocka_unit_test(auto_shutdown_never_is_refused_while_a_child_is_significant),
		cmocka_unit_test(case_153_parent_decides_what_becomes_of_one_that_gave_up),
		cmocka_unit_test(root_stays_and_leaves_down_what_it_has_started_three_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
