/*
 * durable_trouble: durable servers while the disk is full or broken, or another process holds
 * the database: a message is refused in words or waits, and none that was accepted is lost or
 * handled twice.
 */

#include "base/xalloc.h"
#include "support/helper.h"
#include "support/outside.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNTER SERVERS_DIRECTORY "/counter"
#define LARGE 100000 /* bytes of a message that need more room than is left over */
#define FULL "disk full"
#define BROKEN "the database cannot be read or written"

/* What became of the casts, each of which adds 1. */
struct tally {
	int64_t accepted, refused, in_doubt;
};

static void
begin_server(struct instance *i)
{
	instance_start(i, NULL);
	expect(jobberd(i, "start", "--durable", "c", "--", COUNTER, NULL), 0, "1\n", NULL);
}

static void
count_cast(struct tally *tally, int status, const char *error, const char *words)
{
	if (status == 0)
		tally->accepted++;
	else if (status == 75 && strstr(error, "went away before it answered") != NULL)
		tally->in_doubt++;
	else {
		assert_int_equal(status, 75);
		assert_has(error, words);
		assert_has(error, "nothing was changed");
		tally->refused++;
	}
}

static void
cast_large(struct instance *i, struct tally *tally, const char *words)
{
	char *text = xcalloc(1, LARGE + 1);
	struct result result;

	memset(text, 'x', LARGE);
	result = jobberd(i, "cast", "c", "add", "1", text, NULL);
	count_cast(tally, result.status, result.err, words);
	result_done(&result);
	free(text);
}

static void
expect_exact(struct instance *i, const struct tally *tally)
{
	struct result result = jobberd(i, "call", "c", "get", NULL);

	assert_int_equal(result.status, 0);
	assert_between(strtoll(result.out, NULL, 10), tally->accepted,
	    tally->accepted + tally->in_doubt);
	result_done(&result);
	assert_int_equal(sql_number(i, "SELECT count(*) FROM messages"), 0);
}

static pid_t
server_pid(struct instance *i)
{
	return (pid_t)sql_number(i, "SELECT pid FROM attempts WHERE ended_at IS NULL");
}

/* ---- no room ---- */

static void
full_disk_refuses_casts_in_words_and_loses_none_that_was_accepted(void **state)
{
	struct instance i;
	struct tally tally = { 0 };
	struct result result;
	pid_t pid;

	(void)state;
	instance_init(&i);
	if (!disk_mount(&i, "2m"))
		skip();
	begin_server(&i);
	cast_large(&i, &tally, FULL);
	assert_int_equal(tally.accepted, 1);
	pid = server_pid(&i);
	disk_fill(&i);
	while (tally.refused < 3 && tally.accepted < 50)
		cast_large(&i, &tally, FULL);
	assert_int_equal(tally.refused, 3);
	result = jobberd(&i, "status", NULL);
	assert_has(result.out, "trouble: disk full for ");
	result_done(&result);
	/* It dies over what it could not commit, and it is not yet known. */
	kill(pid, SIGKILL);
	wait_reaped(pid, 1000 * SLOWNESS);
	cast_large(&i, &tally, "");
	disk_free(&i);
	instance_expect(&i, "ready attempt=2");
	cast_large(&i, &tally, FULL);
	assert_int_equal(tally.in_doubt, 0);
	expect_exact(&i, &tally);
	instance_stop(&i);
	check_accounts(&i);
	disk_unmount(&i);
	instance_done(&i);
}

static void
casts_accepted_on_a_filling_disk_are_handled_after_a_kill_of_all(void **state)
{
	struct instance i;
	struct tally tally = { 0 };
	pid_t pid;

	(void)state;
	instance_init(&i);
	if (!disk_mount(&i, "2m"))
		skip();
	begin_server(&i);
	expect(jobberd(&i, "cast", "c", "slow", "60000", NULL), 0, "", NULL);
	while (tally.refused == 0 && tally.accepted < 50)
		cast_large(&i, &tally, FULL);
	assert_int_equal(tally.refused, 1);
	assert_true(tally.accepted > 2);
	pid = server_pid(&i);
	instance_kill_keeper(&i);
	kill(pid, SIGKILL); /* it would notice in a minute */
	wait_gone(pid);
	assert_int_equal(
	    sql_number(&i, "SELECT count(*) FROM messages WHERE message LIKE '%add%'"),
	    tally.accepted);
	disk_unmount(&i);
	instance_done(&i);
}

/* ---- no way to write ---- */

static void
cast_under(struct instance *i, const char *expression, struct tally *tally)
{
	struct helper strace, cast;
	struct result result;
	int status;

	helper_strace(&strace, instance_supervisor_pid(i), expression, NULL);
	helper_jobberd(&cast, i, NULL, "cast", "c", "add", "1", NULL);
	status = helper_wait(&cast);
	count_cast(tally, status, cast.err.text, "");
	helper_end(&cast);
	helper_end(&strace);
	/* It is well again: whatever it has to do, it does. */
	result = jobberd(i, "call", "--timeout", "60s", "c", "get", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
}

static void
failed_writes_and_syncs_lose_no_cast_and_double_none(void **state)
{
	static const char *const faults[] = { "pwrite64:error=EIO", "pwrite64:error=ENOSPC",
		"fdatasync:error=EIO" };
	struct instance i;
	struct tally tally = { 0 };
	char expression[100];

	(void)state;
	instance_init(&i);
	begin_server(&i);
	for (size_t n = 0; n < 3; n++) {
		for (int when = 1; when <= 4; when++) {
			snprintf(expression, sizeof(expression), "inject=%s:when=%d", faults[n],
			    when);
			cast_under(&i, expression, &tally);
		}
	}
	assert_true(tally.accepted > 3);
	expect_exact(&i, &tally);
	instance_finish(&i);
}

static void
death_at_any_write_or_sync_loses_no_cast_and_doubles_none(void **state)
{
	static const char *const faults[] = { "pwrite64:signal=SIGKILL:when=1",
		"pwrite64:signal=SIGKILL:when=4", "fdatasync:signal=SIGKILL:when=1",
		"fdatasync:signal=SIGKILL:when=2" };
	struct instance i;
	struct tally tally = { 0 };
	char expression[100];

	(void)state;
	instance_init(&i);
	begin_server(&i);
	for (size_t n = 0; n < sizeof(faults) / sizeof(faults[0]); n++) {
		snprintf(expression, sizeof(expression), "inject=%s", faults[n]);
		cast_under(&i, expression, &tally);
	}
	expect_exact(&i, &tally);
	instance_finish(&i);
}

/* ---- a locked database ---- */

static void
cast_during_a_lock_is_accepted_after_it_and_handled_once(void **state)
{
	struct instance i;
	struct helper cast, call;
	sqlite3 *other;
	pid_t pid;

	(void)state;
	instance_init(&i);
	begin_server(&i);
	expect(jobberd(&i, "cast", "c", "add", "1", NULL), 0, "", NULL);
	expect(jobberd(&i, "call", "c", "get", NULL), 0, "1\n", NULL);
	pid = server_pid(&i);
	other = other_open(&i);
	other_run(other, "BEGIN IMMEDIATE");
	helper_jobberd(&cast, &i, NULL, "cast", "c", "add", "2", NULL);
	assert_true(helper_runs_for(&cast, 300));
	/* Whoever asks waits for no record of its own, but hears nothing that has none. */
	helper_jobberd(&call, &i, NULL, "call", "--timeout", "60s", "c", "add", "4", NULL);
	assert_true(helper_runs_for(&call, 300));
	other_run(other, "ROLLBACK");
	assert_int_equal(helper_wait(&cast), 0);
	assert_int_equal(helper_wait(&call), 0);
	helper_end(&cast);
	helper_end(&call);
	expect(jobberd(&i, "call", "c", "get", NULL), 0, "7\n", NULL);
	/* The same, and the server dies meanwhile. */
	expect(jobberd(&i, "cast", "c", "slow", "500", NULL), 0, "", NULL);
	other_run(other, "BEGIN IMMEDIATE");
	helper_jobberd(&cast, &i, NULL, "cast", "c", "add", "8", NULL);
	assert_true(helper_runs_for(&cast, 1000));
	kill(pid, SIGKILL);
	wait_reaped(pid, 1000 * SLOWNESS);
	assert_true(helper_runs_for(&cast, 300));
	other_run(other, "ROLLBACK");
	other_close(other);
	assert_int_equal(helper_wait(&cast), 0);
	helper_end(&cast);
	instance_expect(&i, "ready attempt=2");
	expect(jobberd(&i, "call", "c", "get", NULL), 0, "15\n", NULL);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM messages"), 0);
	instance_finish(&i);
}

static void
timer_during_a_lock_fires_once_after_it(void **state)
{
	struct instance i;
	sqlite3 *other;
	char ms[20];

	(void)state;
	instance_init(&i);
	begin_server(&i);
	snprintf(ms, sizeof(ms), "%d", 500 * SLOWNESS); /* longer than it takes to lock */
	expect(jobberd(&i, "cast", "c", "tick", ms, "1", NULL), 0, "", NULL);
	expect(jobberd(&i, "call", "c", "get", NULL), 0, "0\n", NULL);
	other = other_open(&i);
	other_run(other, "BEGIN IMMEDIATE");
	let_pass(&i, 500 * SLOWNESS + 500);
	other_run(other, "ROLLBACK");
	other_close(other);
	while (sql_number(&i, "SELECT count(*) FROM messages") > 0)
		expect(jobberd(&i, "call", "c", "slow", "10", NULL), 0, "\"slept\"\n", NULL);
	expect(jobberd(&i, "call", "c", "get", NULL), 0, "1\n", NULL);
	instance_finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    full_disk_refuses_casts_in_words_and_loses_none_that_was_accepted),
		cmocka_unit_test(
		    casts_accepted_on_a_filling_disk_are_handled_after_a_kill_of_all),
		cmocka_unit_test(cast_during_a_lock_is_accepted_after_it_and_handled_once),
		cmocka_unit_test(timer_during_a_lock_fires_once_after_it),
	};

	/* Injected by tracing: the leak checker cannot look at a process that is traced. */
	const struct CMUnitTest injected[] = {
		cmocka_unit_test(failed_writes_and_syncs_lose_no_cast_and_double_none),
		cmocka_unit_test(death_at_any_write_or_sync_loses_no_cast_and_doubles_none),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	if (!IS_SANITIZED)
		failed += cmocka_run_group_tests(injected, NULL, NULL);
	return failed;
}
