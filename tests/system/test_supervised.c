/*
 * Supervision beyond OTP: pauses before restarts, budgets that outlive processes, commands,
 * pools and durable servers under supervisors that end, nested ones, what is said and refused.
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
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
begin(struct instance *i)
{
	instance_init(i);
	instance_start(i, NULL);
}

/* ---- pauses before restarts ---- */

#define ROUNDING 2 /* both times are cut to milliseconds, of clocks that tick apart */

static int64_t
pause_before(struct instance *i, int attempt)
{
	char *statement = xasprintf("SELECT b.claimed_at - a.ended_at FROM attempts a JOIN "
				    "attempts b ON b.job_id = a.job_id AND b.attempt = %d "
				    "WHERE a.attempt = %d", attempt, attempt - 1);
	int64_t pause = sql_number(i, statement);

	free(statement);
	return pause;
}

/* Case 139: what has no process that would have to go is stopped all the same. */
static void
stop_in_the_pause_ends_the_server(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	SUP(&i, 0, NULL, "add", "shop");
	child_up(&i, "--restart permanent --restart-delay constant:1h", "shop/a", NULL);
	child_kill(&i, "shop/a");
	await_sql(&i, "errored", "SELECT status FROM jobs");
	expect(jobberd(&i, "stop", "shop/a", NULL), 0, "", NULL);
	assert_int_equal(
	    sql_number(&i, "SELECT status = 'done' AND reason = 'shutdown' FROM jobs"), 1);
	expect(jobberd(&i, "stop", "shop/a", NULL), 4, "", "noproc");
	expect(jobberd(&i, "start", "shop/a", NULL), 0, "1\n", NULL);
	await_up(&i, "shop/a", 2);
	child_kill(&i, "shop/a");
	await_sql(&i, "errored", "SELECT status FROM jobs");
	expect(jobberd(&i, "restart", "shop/a", NULL), 0, "1\n", NULL);
	await_up(&i, "shop/a", 3);
	instance_finish(&i);
}

static void
who_starts_hears_what_it_waits_for_and_that_it_will_not_come(void **state)
{
	struct instance i;
	struct helper start;

	(void)state;
	begin(&i);
	SUP(&i, 0, NULL, "add", "shop");
	SUP(&i, 0, NULL, "pause", "shop");
	for (int n = 0; n < 2; n++) {
		const char *name = n == 0 ? "shop/a" : "shop/b";

		helper_jobberd(
		    &start, &i, NULL, "start", "-s", "shop", name, "--", "true", NULL);
		helper_expect(&start, "jobberd: still waiting: its supervisor is paused\n");
		expect(jobberd(&i, n == 0 ? "stop" : "cancel", name, NULL), 0, NULL, NULL);
		assert_int_equal(helper_wait(&start), 70);
		assert_has(start.err.text, n == 0 ? "shutdown" : "cancelled");
		helper_end(&start);
	}
	instance_finish(&i);
}

/* What happens between two of them has to fit in, on a slow machine too. */
#define FIRST_PAUSE_MS (IS_SANITIZED ? 1000 : 200)
#define BUDGET_SECONDS (IS_SANITIZED ? 5 : 1)

static void
pause_grows_and_a_healthy_run_makes_it_small_again(void **state)
{
	char delay[60], seconds[20];
	struct instance i;

	(void)state;
	begin(&i);
	snprintf(seconds, sizeof(seconds), "%d", BUDGET_SECONDS);
	snprintf(delay, sizeof(delay), "--restart-delay exponential:%dms", FIRST_PAUSE_MS);
	SUP(&i, 0, NULL, "add", "shop", "--max-restarts", "100", "--max-seconds", seconds);
	child_up(&i, delay, "shop/a", NULL);
	child_kill(&i, "shop/a");
	await_sql(&i, "errored", "SELECT status FROM jobs");
	expect(jobberd(&i, "call", "shop/a", "pid", NULL), 75, NULL, "restarting");
	await_up(&i, "shop/a", 2);
	child_kill(&i, "shop/a");
	await_up(&i, "shop/a", 3);
	child_kill(&i, "shop/a");
	await_up(&i, "shop/a", 4);
	assert_between(pause_before(&i, 2), FIRST_PAUSE_MS - ROUNDING, 20000);
	assert_between(pause_before(&i, 3), 2 * FIRST_PAUSE_MS - ROUNDING, 20000);
	assert_between(pause_before(&i, 4), 4 * FIRST_PAUSE_MS - ROUNDING, 20000);
	assert_int_equal(sql_number(&i, "SELECT in_a_row FROM servers"), 3);
	/* The budget's time, and the pause before it, have passed. */
	let_pass(&i, BUDGET_SECONDS * 1000 + 500);
	child_kill(&i, "shop/a");
	await_up(&i, "shop/a", 5);
	assert_int_equal(sql_number(&i, "SELECT in_a_row FROM servers"), 1);
	/* Whoever does not want to wait starts it at once. */
	SUP(&i, 0, NULL, "set", "shop", "--max-seconds", "1000");
	child_up(&i, "--restart-delay constant:1h", "shop/b", NULL);
	child_kill(&i, "shop/b");
	await_sql(&i, "errored", "SELECT status FROM jobs WHERE name = 'shop/b'");
	expect(jobberd(&i, "retry", "shop/b", NULL), 0, NULL, NULL);
	await_up(&i, "shop/b", 2);
	instance_finish(&i);
}

/* With pauses longer than the budget's time it is never used up. */
static void
slow_restarts_do_not_use_up_the_budget(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	SUP(&i, 0, NULL, "add", "shop", "--restart", "temporary", "--max-restarts", "1",
	    "--max-seconds", "1");
	child_up(&i, "--restart-delay constant:1300ms", "shop/a", NULL);
	child_kill_often(&i, "shop/a", 3);
	await_up(&i, "shop/a", 4);
	await_state(&i, "shop", "running");
	instance_finish(&i);
}

static void
pause_of_one_in_a_group_is_waited_for_by_those_behind_it(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	SUP(&i, 0, NULL, "add", "shop", "--strategy", "one_for_all");
	child_up(&i, "--restart-delay constant:500ms", "shop/a", "trap");
	child_up(&i, NULL, "shop/b", "trap");
	clear_log(&i);
	child_kill(&i, "shop/a");
	await_up(&i, "shop/b", 2);
	check_log(&i, "-shop/b +shop/a +shop/b");
	assert_between(sql_number(&i, "SELECT b.claimed_at - a.ended_at FROM attempts a JOIN "
				      "attempts b ON b.attempt = 2 AND b.job_id = 2 WHERE "
				      "a.job_id = 1 AND a.attempt = 1"), 498, 20000);
	instance_finish(&i);
}

/* ---- what counts ---- */

static void
restarts_count_through_the_death_of_our_processes(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	SUP(&i, 0, NULL, "add", "shop", "--restart", "temporary", "--max-seconds", "1000");
	child_up(&i, NULL, "shop/a", NULL);
	child_kill(&i, "shop/a");
	await_up(&i, "shop/a", 2);
	instance_kill_supervisor(&i);
	child_kill(&i, "shop/a");
	await_up(&i, "shop/a", 3);
	instance_stop(&i);
	instance_start(&i, NULL);
	await_up(&i, "shop/a", 4); /* which was no restart that counts */
	child_kill(&i, "shop/a");
	await_up(&i, "shop/a", 5);
	await_state(&i, "shop", "running");
	child_kill(&i, "shop/a");
	await_state(&i, "shop", "ended");
	check_child(&i, "shop/a", "failed max_restarts");
	instance_finish(&i);
}

static void
program_that_is_gone_at_a_restart_uses_up_the_budget(void **state)
{
	struct instance i;
	char *copy, *command;

	(void)state;
	begin(&i);
	copy = xasprintf("%s/program", i.directory);
	command = xasprintf("cp %s/child %s", SERVERS_DIRECTORY, copy);
	assert_int_equal(wait_job(&i, submit_job(&i, "sh", "-c", command, NULL)), 0);
	SUP(&i, 0, NULL, "add", "shop", "--restart", "temporary", "--max-seconds", "1000");
	expect(jobberd(&i, "start", "shop/a", "--", copy, NULL), 0, NULL, NULL);
	unlink(copy);
	child_kill(&i, "shop/a");
	await_state(&i, "shop", "ended");
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE reason = "
					"'spawn:ENOENT'"), 3);
	expect(jobberd(&i, "why", "shop/a", NULL), 0,
	    "failed: restarted too often, last cannot execute: No such file or directory\n", NULL);
	SUP(&i, 70, "failed_to_start_child shop/a", "start", "shop");
	free(command);
	free(copy);
	instance_finish(&i);
}

/* ---- what else it runs ---- */

static void
command_under_one_that_gives_up_waits_and_runs_when_it_is_started(void **state)
{
	struct instance i;
	char *fifo;

	(void)state;
	begin(&i);
	fifo = fifo_make(&i, "go");
	SUP(&i, 0, NULL, "add", "shop", "--restart", "temporary", "--max-restarts", "0");
	child_up(&i, NULL, "shop/a", NULL);
	submit_job(&i, "-s", "shop", "cat", fifo, NULL);
	instance_expect(&i, "job=2 started");
	child_kill(&i, "shop/a");
	await_state(&i, "shop", "ended");
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE job_id = 2 "
					"AND reason = 'interrupted'"), 1);
	expect(jobberd(&i, "submit", "-s", "shop", "true", NULL), 0, "3\n", NULL);
	expect(jobberd(&i, "why", "3", NULL), 0, "its supervisor has ended (max_restarts)\n", NULL);
	expect(jobberd(&i, "why", "2", NULL), 0, NULL, NULL);
	SUP(&i, 5, "has live jobs", "rm", "shop");
	SUP(&i, 0, NULL, "start", "shop");
	assert_int_equal(wait_job(&i, 3), 0);
	fifo_write(fifo, "x");
	assert_int_equal(wait_job(&i, 2), 0);
	assert_int_equal(sql_number(&i, "SELECT failures FROM jobs WHERE id = 2"), 0);
	free(fifo);
	instance_finish(&i);
}

static void
durable_server_keeps_all_through_the_end_of_its_supervisor(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	SUP(&i, 0, NULL, "add", "shop", "--restart", "temporary", "--max-restarts", "0");
	child_up(&i, NULL, "shop/a", NULL);
	expect(jobberd(&i, "start", "--durable", "-s", "shop", "count", "--",
		   SERVERS_DIRECTORY "/counter", NULL), 0, NULL, NULL);
	expect(jobberd(&i, "call", "count", "add", "5", NULL), 0, "5\n", NULL);
	child_kill(&i, "shop/a");
	await_state(&i, "shop", "ended");
	check_child(&i, "count", "done shutdown");
	expect(jobberd(&i, "cast", "2", "add", "1", NULL), 0, NULL, NULL);
	SUP(&i, 0, NULL, "start", "shop");
	expect(jobberd(&i, "start", "count", NULL), 0, "2\n", NULL);
	expect(jobberd(&i, "call", "count", "get", NULL), 0, "6\n", NULL);
	instance_finish(&i);
}

static void
pool_ends_with_its_supervisor_and_its_messages_wait(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	SUP(&i, 0, NULL, "add", "shop", "--restart", "temporary", "--max-restarts", "0");
	child_up(&i, NULL, "shop/a", NULL);
	expect(jobberd(&i, "start", "--durable", "--pool", "2", "-s", "shop", "many", "--",
		   SERVERS_DIRECTORY "/counter", NULL), 0, NULL, NULL);
	expect(jobberd(&i, "call", "many", "add", "5", NULL), 0, "5\n", NULL);
	child_kill(&i, "shop/a");
	await_state(&i, "shop", "ended");
	check_child(&i, "many", "done shutdown");
	check_child(&i, "many.2", "done shutdown");
	SUP(&i, 0, NULL, "start", "shop");
	expect(jobberd(&i, "start", "many", NULL), 0, NULL, NULL);
	await_up(&i, "many", 2);
	await_up(&i, "many.2", 2);
	expect(jobberd(&i, "call", "many", "add", "1", NULL), 0, "1\n", NULL);
	instance_finish(&i);
}

/* ---- nested ---- */

static void
three_deep_each_ends_and_starts_in_its_turn(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	SUP(&i, 0, NULL, "add", "top", "--strategy", "rest_for_one");
	child_up(&i, NULL, "top/a", "trap");
	SUP(&i, 0, NULL, "add", "mid", "--strategy", "rest_for_one", "--parent", "top");
	child_up(&i, NULL, "mid/b", "trap");
	SUP(&i, 0, NULL, "add", "low", "--strategy", "rest_for_one", "--parent", "mid");
	child_up(&i, NULL, "low/c", "trap");
	child_up(&i, NULL, "low/d", "trap slow-init=100");
	child_up(&i, NULL, "mid/e", "trap");
	child_up(&i, NULL, "top/f", "trap");
	clear_log(&i);
	child_kill(&i, "low/c");
	await_up(&i, "low/d", 2);
	await_state(&i, "low", "running");
	check_log(&i, "-low/d +low/c +low/d");
	clear_log(&i);
	child_kill(&i, "mid/b");
	await_up(&i, "mid/e", 2);
	await_state(&i, "mid", "running");
	check_log(&i, "-mid/e -low/d -low/c +mid/b +low/c +low/d +mid/e");
	clear_log(&i);
	child_kill(&i, "top/a");
	await_up(&i, "top/f", 2);
	await_state(&i, "top", "running");
	check_log(&i, "-top/f -mid/e -low/d -low/c -mid/b "
		      "+top/a +mid/b +low/c +low/d +mid/e +top/f");
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM events WHERE event = "
					"'supervisor running' AND detail = 'top'"), 1);
	clear_log(&i);
	SUP(&i, 0, NULL, "restart", "mid");
	check_log(&i, "-mid/e -low/d -low/c -mid/b +mid/b +low/c +low/d +mid/e");
	instance_finish(&i);
}

static void
check_tree_came_up_again(struct instance *i, int attempt)
{
	instance_start(i, NULL);
	await_up(i, "left/a", attempt);
	await_up(i, "left/b", attempt);
	await_up(i, "right/c", attempt);
	await_state(i, "top", "running");
	check_log(i, "-left/a +left/a +left/b +right/c");
	clear_log(i);
}

/*
 * However we ended: what ran then may still be open in the database, and ends only now, the
 * first of them behind the others.
 */
static void
tree_comes_up_in_its_order_after_any_end_of_us(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	SUP(&i, 0, NULL, "add", "top");
	SUP(&i, 0, NULL, "add", "left", "--parent", "top");
	SUP(&i, 0, NULL, "add", "right", "--parent", "top");
	child_up(&i, NULL, "left/a", "trap slow-init=300 slow-end=500");
	child_up(&i, NULL, "left/b", NULL);
	child_up(&i, NULL, "right/c", NULL);
	clear_log(&i);
	instance_stop(&i);
	check_tree_came_up_again(&i, 2);
	kill(i.keeper, SIGQUIT);
	assert_int_equal(instance_wait(&i), 0);
	check_tree_came_up_again(&i, 3);
	instance_kill_keeper(&i);
	check_tree_came_up_again(&i, 4);
	instance_kill_supervisor(&i); /* all of them live on */
	expect(jobberd(&i, "restart", "right/c", NULL), 0, NULL, NULL);
	check_log(&i, "-right/c +right/c");
	instance_finish(&i);
}

/* Its first child, with these options and arguments, is the last that ends. */
static void
check_group_came_up(const char *options, const char *arguments, const char *log)
{
	struct instance i;

	begin(&i);
	SUP(&i, 0, NULL, "add", "shop");
	child_up(&i, options, "shop/a", arguments);
	child_up(&i, NULL, "shop/b", NULL);
	clear_log(&i);
	instance_kill_keeper(&i);
	instance_start(&i, NULL);
	await_up(&i, "shop/b", 2);
	check_log(&i, log);
	instance_finish(&i);
}

static void
group_comes_up_in_its_order_when_the_first_ends_last(void **state)
{
	(void)state;
	check_group_came_up(NULL, "trap slow-init=100 slow-end=500", "-shop/a +shop/a +shop/b");
}

/* One that does not come again is waited for until it has ended. */
static void
group_comes_up_without_a_temporary_that_ends_last(void **state)
{
	(void)state;
	check_group_came_up("--restart temporary", "trap slow-end=500", "-shop/a +shop/b");
}

/* The low one cannot be started: that is the end of all three, in words. */
static void
start_that_fails_below_fails_above(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	SUP(&i, 0, NULL, "add", "top");
	child_up(&i, NULL, "top/a", NULL);
	SUP(&i, 0, NULL, "add", "mid", "--parent", "top");
	SUP(&i, 0, NULL, "add", "low", "--parent", "mid");
	child_up(&i, NULL, "low/c", "refuse-if=flag");
	SUP(&i, 0, NULL, "add", "last", "--parent", "top");
	SUP(&i, 0, NULL, "stop", "top");
	SUP(&i, 75, "its parent does not run", "start", "mid");
	flag_up(&i, "flag");
	SUP(&i, 70, "top: failed_to_start_child mid: failed_to_start_child low: "
		    "failed_to_start_child low/c: refused", "start", "top");
	assert_int_equal(
	    sql_number(&i, "SELECT count(*) FROM supervisors WHERE state = 'ended'"), 4);
	check_count(&i, "top", "3 0 2 1");
	flag_down(&i, "flag");
	SUP(&i, 0, NULL, "start", "top");
	check_count(&i, "top", "3 3 2 1");
	instance_finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stop_in_the_pause_ends_the_server),
		cmocka_unit_test(who_starts_hears_what_it_waits_for_and_that_it_will_not_come),
		cmocka_unit_test(pause_grows_and_a_healthy_run_makes_it_small_again),
		cmocka_unit_test(slow_restarts_do_not_use_up_the_budget),
		cmocka_unit_test(pause_of_one_in_a_group_is_waited_for_by_those_behind_it),
		cmocka_unit_test(restarts_count_through_the_death_of_our_processes),
		cmocka_unit_test(program_that_is_gone_at_a_restart_uses_up_the_budget),
		cmocka_unit_test(command_under_one_that_gives_up_waits_and_runs_when_it_is_started),
		cmocka_unit_test(durable_server_keeps_all_through_the_end_of_its_supervisor),
		cmocka_unit_test(pool_ends_with_its_supervisor_and_its_messages_wait),
		cmocka_unit_test(three_deep_each_ends_and_starts_in_its_turn),
		cmocka_unit_test(tree_comes_up_in_its_order_after_any_end_of_us),
		cmocka_unit_test(group_comes_up_in_its_order_when_the_first_ends_last),
		cmocka_unit_test(group_comes_up_without_a_temporary_that_ends_last),
		cmocka_unit_test(start_that_fails_below_fails_above),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
