/*
 * Children in order and their supervisors, as OTP's Supervisor has them; each test names the
 * cases that it pins. Dynamic children are in test_dynamic.c, crashes of our own processes in
 * test_regroup.c. Times keep away from the bounds of what they are compared with.
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

/* Events of these kinds in their order, "ready 1,started 2". */
static void
check_history(struct instance *i, const char *wanted)
{
	char *text = sql(i, "SELECT group_concat(event || ' ' || job_id) FROM (SELECT event, job_id "
			    "FROM events WHERE event IN ('started', 'ready') AND seq > (SELECT "
			    "max(seq) FROM events WHERE event = 'supervisor ended') ORDER BY seq)");

	assert_string_equal(text, wanted);
	free(text);
}

/* ---- start and end ---- */

static void
case_119_children_start_in_order_each_when_the_one_before_is_up(void **state)
{
	struct instance i;

	(void)state;
	SHOP(&i, "--strategy", "one_for_one");
	child_up(&i, NULL, "shop/a", "trap slow-init=200");
	child_up(&i, NULL, "shop/b", "trap slow-init=50");
	child_up(&i, NULL, "shop/c", "trap");
	clear_log(&i);
	SUP(&i, 0, NULL, "restart", "shop");
	check_log(&i, "-shop/c -shop/b -shop/a +shop/a +shop/b +shop/c");
	check_history(&i, "started 1,ready 1,started 2,ready 2,started 3,ready 3");
	instance_finish(&i);
}

static void
case_121_child_that_refuses_fails_the_start_of_its_supervisor(void **state)
{
	struct instance i;

	(void)state;
	SHOP(&i, "--strategy", "one_for_one");
	three_children(&i, NULL);
	SUP(&i, 0, NULL, "stop", "shop");
	clear_log(&i);
	flag_up(&i, "refuse");
	SUP(&i, 70, "shop: failed_to_start_child shop/b: refused", "start", "shop");
	check_log(&i, "+shop/a -shop/a");
	check_child(&i, "shop/a", "done shutdown");
	check_child(&i, "shop/b", "failed refused");
	assert_int_equal(child_attempts(&i, "shop/c"), 1);
	check_count(&i, "shop", "3 0 0 3");
	flag_down(&i, "refuse");
	SUP(&i, 0, NULL, "start", "shop"); /* nothing of it is lost */
	check_count(&i, "shop", "3 3 0 3");
	SUP(&i, 5, "shop is already_started", "start", "shop");
	instance_finish(&i);
}

/* ---- strategies ---- */

static void
case_123_one_for_one_starts_only_the_one_that_ended(void **state)
{
	struct instance i;

	(void)state;
	SHOP(&i, "--strategy", "one_for_one");
	three_children(&i, NULL);
	child_kill(&i, "shop/b");
	await_up(&i, "shop/b", 2);
	check_log(&i, "+shop/b");
	assert_int_equal(child_attempts(&i, "shop/a") + child_attempts(&i, "shop/c"), 2);
	instance_finish(&i);
}

static void
case_125_rest_for_one_starts_it_and_those_behind_it(void **state)
{
	struct instance i;

	(void)state;
	SHOP(&i, "--strategy", "rest_for_one");
	three_children(&i, NULL);
	child_kill(&i, "shop/b");
	await_up(&i, "shop/c", 2);
	await_state(&i, "shop", "running");
	check_log(&i, "-shop/c +shop/b +shop/c");
	assert_int_equal(child_attempts(&i, "shop/a"), 1);
	instance_finish(&i);
}

static void
one_for_all_ends_in_opposite_order_and_starts_in_order(void **state)
{
	struct instance i;

	(void)state;
	SHOP(&i, "--strategy", "one_for_all");
	three_children(&i, NULL);
	child_kill(&i, "shop/b");
	await_up(&i, "shop/c", 2);
	await_state(&i, "shop", "running");
	check_log(&i, "-shop/c -shop/a +shop/a +shop/b +shop/c");
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM restarts"), 1);
	instance_finish(&i);
}

static void
case_130_temporary_sibling_goes_with_the_group_and_is_forgotten(void **state)
{
	struct instance i;

	(void)state;
	SHOP(&i, "--strategy", "one_for_all");
	child_up(&i, "--restart permanent", "shop/a", "trap");
	child_up(&i, "--restart temporary", "shop/t", "trap");
	child_up(&i, "--restart temporary", "shop/u", "trap");
	clear_log(&i);
	child_kill(&i, "shop/u"); /* its own death starts nobody again */
	await_sql(&i, "0", "SELECT count(*) FROM servers WHERE job_id = 3 AND position > 0");
	check_log(&i, "");
	child_kill(&i, "shop/a");
	await_up(&i, "shop/a", 2);
	await_state(&i, "shop", "running");
	check_log(&i, "-shop/t +shop/a");
	check_count(&i, "shop", "1 1 0 1");
	instance_finish(&i);
}

/* ---- who is started again ---- */

static const struct {
	const char *ends_by[4]; /* NULL: a kill */
	bool is_clean;
} ends[] = {
	{ { "cast", NULL, "stop", "normal" }, true },
	{ { "cast", NULL, "stop", "shutdown" }, true },
	{ { "cast", NULL, "stop", "{\"shutdown\":\"x\"}" }, true },
	{ { "cast", NULL, "stop", "oops" }, false },
	{ { "cast", NULL, "crash", NULL }, false },
	{ { NULL }, false },
};
#define ENDS 6

static void
end_child(struct instance *i, const char *name, size_t how)
{
	const char *const *words = ends[how].ends_by;

	if (words[0] == NULL)
		child_kill(i, name);
	else
		expect(jobberd(i, words[0], name, words[2], words[3], NULL), 0, NULL, NULL);
}

static void
check_type(struct instance *i, const char *type, char letter)
{
	char options[40], name[20];

	snprintf(options, sizeof(options), "--restart %s", type);
	for (size_t how = 0; how < ENDS; how++) {
		snprintf(name, sizeof(name), "shop/%c%zu", letter, how);
		child_up(i, options, name, NULL);
		end_child(i, name, how);
		if (letter == 'p' || (letter == 't' && !ends[how].is_clean))
			await_up(i, name, 2);
		else
			await_sql(i, ends[how].is_clean ? "done" : "failed",
			    "SELECT status FROM jobs WHERE name = '%s'", name);
	}
}

/* 126, 127, 128: three types, six ways to end. */
static void
case_126_permanent_transient_and_temporary_do_what_the_table_says(void **state)
{
	struct instance i;

	(void)state;
	SHOP(&i, "--max-restarts", "100");
	check_type(&i, "permanent", 'p');
	check_type(&i, "transient", 't');
	check_type(&i, "temporary", 'x');
	/* Transient ones that ended cleanly keep their entries; nothing is left of temporary ones. */
	check_count(&i, "shop", "12 9 0 12");
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM servers WHERE position IS NOT NULL"),
	    12);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM restarts"), 9);
	instance_finish(&i);
}

/* ---- the budget ---- */

static void
kill_often(struct instance *i, const char *name, int times)
{
	for (int n = 1; n <= times; n++) {
		await_up(i, name, n);
		child_kill(i, name);
	}
}

static void
case_131_fourth_failure_ends_the_supervisor_and_its_children(void **state)
{
	struct instance i;
	struct result result;

	(void)state;
	SHOP(&i, "--max-seconds", "60"); /* a slow machine */
	three_children(&i, NULL);
	kill_often(&i, "shop/b", 4);
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

/* ---- one child, by hand ---- */

/* 139, 141. */
static void
case_139_child_that_was_stopped_stays_down_and_may_be_started_again(void **state)
{
	struct instance i;

	(void)state;
	SHOP(&i, "--strategy", "one_for_all");
	three_children(&i, "--restart permanent");
	expect(jobberd(&i, "start", "shop/b", NULL), 5, NULL, "already_started");
	expect(jobberd(&i, "stop", "shop/b", NULL), 0, NULL, NULL);
	check_child(&i, "shop/b", "done normal");
	check_log(&i, "-shop/b"); /* nobody else is touched */
	check_count(&i, "shop", "3 2 0 3");
	expect(jobberd(&i, "stop", "shop/b", NULL), 4, NULL, "noproc"); /* differs: OTP's is ok */
	expect(jobberd(&i, "stop", "shop/x", NULL), 4, NULL, "noproc");
	expect(jobberd(&i, "start", "shop/x", NULL), 4, NULL, "no server of this name");
	expect(child_start(&i, NULL, "shop/b", NULL), 5, "2\n", "already_present");
	expect(jobberd(&i, "start", "shop/b", NULL), 0, "2\n", NULL);
	check_count(&i, "shop", "3 3 0 3");
	expect(jobberd(&i, "cancel", "shop/c", NULL), 0, NULL, NULL);
	await_sql(&i, "cancelled", "SELECT status FROM jobs WHERE name = 'shop/c'");
	expect(jobberd(&i, "prune", "--older-than", "0", NULL), 0, NULL, NULL);
	check_count(&i, "shop", "3 2 0 3"); /* an entry is no history */
	expect(jobberd(&i, "delete", "shop/c", NULL), 0, NULL, NULL);
	check_count(&i, "shop", "2 2 0 2");
	child_up(&i, NULL, "shop/c", NULL);
	instance_finish(&i);
}

static void
case_143_new_child_that_refuses_is_not_kept_one_that_ignores_is(void **state)
{
	struct instance i;

	(void)state;
	SHOP(&i, "--strategy", "one_for_all");
	child_up(&i, NULL, "shop/a", NULL);
	flag_up(&i, "flag");
	expect(child_start(&i, NULL, "shop/b", "refuse-if=flag"), 70, NULL, "refused");
	check_count(&i, "shop", "1 1 0 1");
	expect(child_start(&i, NULL, "shop/c", "ignore-if=flag"), 1, NULL, "ignore");
	check_count(&i, "shop", "2 1 0 2");
	await_state(&i, "shop", "running");
	assert_int_equal(child_attempts(&i, "shop/a"), 1);
	assert_int_equal(child_attempts(&i, "shop/b"), 1);
	instance_finish(&i);
}

/* ---- how long an end may take ---- */

/* 144, 146. */
static void
case_144_child_that_takes_too_long_is_killed_and_one_with_time_is_not(void **state)
{
	struct instance i;
	int64_t begin;

	(void)state;
	SHOP(&i, "--strategy", "one_for_one");
	child_up(&i, "--grace 100ms", "shop/a", "trap slow-end=60000");
	child_up(&i, "--grace 1h", "shop/b", "trap slow-end=700");
	clear_log(&i);
	begin = now_ms();
	SUP(&i, 0, NULL, "stop", "shop");
	assert_between(now_ms() - begin, 800, 20000);
	check_log(&i, "-shop/b");
	assert_int_equal(sql_number(&i, "SELECT signal FROM attempts WHERE job_id = 1"), 9);
	assert_between(sql_number(&i, "SELECT ended_at - stop_at FROM attempts WHERE job_id = 1"),
	    95, 10000);
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
	expect(jobberd(&i, "start", "other", "--", SERVERS_DIRECTORY "/child", NULL), 0, NULL, NULL);
	kill_often(&i, "shop/a", 4);
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
		cmocka_unit_test(case_119_children_start_in_order_each_when_the_one_before_is_up),
		cmocka_unit_test(case_121_child_that_refuses_fails_the_start_of_its_supervisor),
		cmocka_unit_test(case_123_one_for_one_starts_only_the_one_that_ended),
		cmocka_unit_test(case_125_rest_for_one_starts_it_and_those_behind_it),
		cmocka_unit_test(one_for_all_ends_in_opposite_order_and_starts_in_order),
		cmocka_unit_test(case_130_temporary_sibling_goes_with_the_group_and_is_forgotten),
		cmocka_unit_test(case_126_permanent_transient_and_temporary_do_what_the_table_says),
		cmocka_unit_test(case_131_fourth_failure_ends_the_supervisor_and_its_children),
		cmocka_unit_test(case_132_without_a_budget_the_first_failure_ends_it),
		cmocka_unit_test(case_133_what_is_past_does_not_count),
		cmocka_unit_test(case_137_init_that_refuses_at_a_restart_uses_up_the_budget),
		cmocka_unit_test(case_138_init_that_ignores_at_a_restart_leaves_the_entry),
		cmocka_unit_test(case_139_child_that_was_stopped_stays_down_and_may_be_started_again),
		cmocka_unit_test(case_143_new_child_that_refuses_is_not_kept_one_that_ignores_is),
		cmocka_unit_test(case_144_child_that_takes_too_long_is_killed_and_one_with_time_is_not),
		cmocka_unit_test(case_149_end_of_a_significant_child_ends_its_supervisor),
		cmocka_unit_test(case_151_significant_child_that_could_mean_nothing_is_refused),
		cmocka_unit_test(case_153_parent_decides_what_becomes_of_one_that_gave_up),
		cmocka_unit_test(root_stays_and_leaves_down_what_it_has_started_three_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
