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
	char *text = sql(i, "SELECT group_concat(event || ' ' || job_id) FROM (SELECT event, "
			    "job_id FROM events WHERE event IN ('started', 'ready') "
			    "AND seq > (SELECT max(seq) FROM events "
			    "WHERE event = 'supervisor ended') ORDER BY seq)");

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
	SHOP(&i, "--max-restarts", "100", "--max-seconds", "1000");
	check_type(&i, "permanent", 'p');
	check_type(&i, "transient", 't');
	check_type(&i, "temporary", 'x');
	/* Transient ones that ended cleanly have entries; nothing is left of temporary ones. */
	check_count(&i, "shop", "12 9 0 12");
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM servers WHERE position IS NOT NULL"),
	    12);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM restarts"), 9);
	instance_finish(&i);
}

/* ---- one child, by hand ---- */

/* 139, 141. */
static void
case_139_child_that_was_stopped_stays_down_until_it_is_started(void **state)
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
case_144_child_that_takes_too_long_is_killed(void **state)
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
		cmocka_unit_test(case_139_child_that_was_stopped_stays_down_until_it_is_started),
		cmocka_unit_test(case_143_new_child_that_refuses_is_not_kept_one_that_ignores_is),
		cmocka_unit_test(case_144_child_that_takes_too_long_is_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
