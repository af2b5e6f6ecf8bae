/* Another process holds the database's write lock: records wait, nothing else does. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "keeper/tree.h"
#include "support/helper.h"
#include "support/outside.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOCKED_MS 31000 /* 30 s, and what passes before it is tried to record something */
#define ROUNDING 1 /* times are cut to milliseconds */

/* Rings with its pid, then waits for a line on `go` and ends so. */
static int64_t
submit_waiting(struct instance *i, struct bell *bell, struct bell *go, int exit_status)
{
	char command[900];

	snprintf(command, sizeof(command), "echo $$ > %s; read x < %s; exit %d", bell->path,
	    go->path, exit_status);
	return submit_job(i, "-r", "0", "--", "sh", "-c", command, NULL);
}

static void
assert_status_says(struct instance *i, const char *words)
{
	int64_t begin = now_ms();
	struct result result = jobberd(i, "status", NULL);

	assert_between(now_ms() - begin, 0, 1000 * SLOWNESS);
	assert_int_equal(result.status, 0);
	assert_has(result.out, words);
	result_done(&result);
}

static void
lock_of_30_s_delays_records_and_nothing_else(void **state)
{
	struct instance i;
	struct bell pids, go, term, again;
	struct helper submit;
	sqlite3 *other;
	char *text, question[300], command[900];
	int64_t begin, asked, polite_asked, deaf_asked, polite_started, at_least, at_most;
	int64_t locked_at, released_at;
	pid_t worker, polite, deaf, failing;

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "8", NULL);
	bell_init(&pids, &i, "pids");
	bell_init(&go, &i, "go");
	bell_init(&term, &i, "term");
	/* Each starts between our asking for it and our hearing its bell, which may be late. */
	asked = now_ms();
	submit_waiting(&i, &pids, &go, 7); /* 1 */
	worker = (pid_t)bell_number(&pids);
	at_least = -now_ms();
	/* 2 heeds SIGTERM, 3 does not. */
	snprintf(command, sizeof(command),
	    "trap 'echo term > %s; exit 3' TERM; echo $$ > %s; sleep 1000 & wait", term.path,
	    pids.path);
	polite_asked = now_ms();
	submit_job(&i, "-r", "0", "--timeout", "2s", "--", "sh", "-c", command, NULL);
	polite = (pid_t)bell_number(&pids);
	polite_started = now_ms();
	snprintf(command, sizeof(command),
	    "trap '' TERM; echo $$ > %s; while :; do sleep 1000; done", pids.path);
	deaf_asked = now_ms();
	submit_job(&i, "-r", "0", "--timeout", "2s", "--grace", "1s", "--", "sh", "-c",
	    command, NULL);
	deaf = (pid_t)bell_number(&pids);
	begin = now_ms();
	/* 4 fails, and its pause is over long before that can be recorded. */
	snprintf(command, sizeof(command),
	    "[ $JOBBERD_ATTEMPT = 2 ] && exit; echo $$ > %s; read x < %s.2; exit 1",
	    pids.path, go.path);
	bell_init(&again, &i, "go.2");
	submit_job(&i, "-r", "1", "--backoff", "constant:20s", "--", "sh", "-c", command,
	    NULL);
	failing = (pid_t)bell_number(&pids);

	other = other_open(&i);
	other_run(other, "BEGIN IMMEDIATE");
	locked_at = now_ms();
	fifo_write(again.path, "go\n");
	wait_reaped(failing, 1000 * SLOWNESS);
	at_least += now_ms();
	fifo_write(go.path, "go\n");
	wait_gone(worker);
	at_most = now_ms() - asked;
	wait_reaped(worker, 1000 * SLOWNESS);
	free(bell_wait(&term));
	assert_true(now_ms() - polite_asked >= 2000);
	assert_between(now_ms() - polite_started, 0, 2000 + 1000 * SLOWNESS);
	wait_reaped(polite, 1000 * SLOWNESS);
	wait_gone(deaf);
	assert_true(now_ms() - deaf_asked >= 3000);
	assert_between(now_ms() - begin, 0, 3000 + 1000 * SLOWNESS);
	wait_reaped(deaf, 1000 * SLOWNESS);
	assert_status_says(&i, "database locked by another process for ");
	helper_jobberd(&submit, &i, NULL, "submit", "--", "true", NULL);
	assert_true(helper_runs_for(&submit, locked_at + LOCKED_MS - now_ms()));
	assert_string_equal(submit.out.text, "");
	assert_status_says(&i, "database locked by another process for 3");
	other_run(other, "ROLLBACK");
	released_at = wall_ms();
	other_close(other);

	begin = now_ms();
	assert_int_equal(helper_wait(&submit), 0);
	assert_between(now_ms() - begin, 0, 1000 * SLOWNESS);
	assert_string_equal(submit.out.text, "5\n");
	helper_end(&submit);
	assert_int_equal(wait_job(&i, 5), 0);
	assert_int_equal(wait_job(&i, 1), 1);
	assert_int_equal(wait_job(&i, 4), 0);
	assert_between(now_ms() - begin, 0, 3000 * SLOWNESS);
	text = sql(&i, "SELECT group_concat(reason, ' ') FROM attempts");
	assert_string_equal(text, "exit:7 timeout timeout exit:1 normal normal");
	free(text);
	/* The true times, not those of the record. */
	assert_between(sql_number(&i, "SELECT run_ms FROM attempts WHERE job_id = 1"),
	    at_least - ROUNDING, at_most + 500 * SLOWNESS);
	assert_between(sql_number(&i, "SELECT run_ms FROM attempts WHERE job_id = 2"), 2000,
	    2000 + 1000 * SLOWNESS);
	assert_between(sql_number(&i, "SELECT run_ms FROM attempts WHERE job_id = 3"), 3000,
	    3000 + 1000 * SLOWNESS);
	snprintf(question, sizeof(question),
	    "SELECT count(*) FROM attempts WHERE job_id <= 3 AND ended_at < %lld AND "
	    "ended_at - started_at BETWEEN run_ms - 50 AND run_ms + 50",
	    (long long)released_at - 20000);
	assert_int_equal(sql_number(&i, question), 3);
	bell_done(&pids);
	bell_done(&go);
	bell_done(&term);
	bell_done(&again);
	instance_finish(&i);
}

/* Holds the lock for a few milliseconds again and again until it is killed. */
static pid_t
start_nagging(struct instance *i)
{
	pid_t pid = fork();
	sqlite3 *database;
	char path[400];

	if (pid != 0)
		return pid;
	snprintf(path, sizeof(path), "%s/jobberd.db", i->state);
	if (sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
		_exit(1);
	for (;;) {
		struct timespec pause = { .tv_nsec = 3000000 };

		if (sqlite3_exec(database, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK) {
			nanosleep(&pause, NULL);
			sqlite3_exec(database, "COMMIT", NULL, NULL, NULL);
		}
		nanosleep(&pause, NULL);
	}
}

static void
lock_taken_again_and_again_starves_nobody(void **state)
{
	struct instance i;
	struct result result;
	char batch[4096] = "";
	pid_t nagging;

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "4", NULL);
	nagging = start_nagging(&i);
	for (int n = 0; n < 100; n++)
		strcat(batch, n % 2 == 0 ? "exit 0\n" : "exit 100\n");
	result = jobberd_with_input(&i, batch, "submit", "--batch", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	assert_int_equal(wait_job(&i, 100), 1);
	assert_int_equal(wait_job(&i, 99), 0);
	kill(nagging, SIGKILL);
	assert_int_equal(waitpid(nagging, NULL, 0), nagging);
	instance_finish(&i);
}

/* It comes up when it can, and says nothing that is not true before. */
static void
supervise_on_a_locked_database_is_ready_after_the_release(void **state)
{
	struct instance i;
	sqlite3 *other;

	(void)state;
	instance_init(&i);
	submit_job(&i, "--", "true", NULL);
	other = other_open(&i);
	other_run(other, "BEGIN IMMEDIATE");
	instance_launch(&i, NULL);
	let_pass(&i, 500);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM generations"), 0);
	other_run(other, "COMMIT");
	instance_expect(&i, "ready: ");
	assert_int_equal(wait_job(&i, 1), 0);
	instance_stop(&i);
	/* The same with all doors shut: not even readers may look. */
	other_run(other, "PRAGMA locking_mode = EXCLUSIVE");
	other_run(other, "BEGIN IMMEDIATE; COMMIT");
	instance_launch(&i, NULL);
	let_pass(&i, 500);
	other_run(other, "PRAGMA locking_mode = NORMAL; SELECT 1 FROM jobs");
	other_close(other);
	instance_expect(&i, "ready: ");
	assert_null(strstr(i.log, "error"));
	assert_null(strstr(i.log, "started again"));
	instance_finish(&i);
}

/* Times in the log of this keeper so far. */
static int
count_in_log(const struct instance *i, const char *text)
{
	int count = 0;

	for (const char *at = i->log; (at = strstr(at, text)) != NULL; at++)
		count++;
	return count;
}

#define WAITS "database locked by another process: the start waits for it"

static void
assert_supervise_waits(const char *lock, const char *unlock)
{
	struct instance i;
	struct result status;
	struct helper submit, again;
	sqlite3 *other;

	instance_init(&i);
	submit_job(&i, "--", "true", NULL);
	other = other_open(&i);
	other_run(other, lock);
	instance_launch(&i, NULL);
	instance_expect(&i, WAITS);
	status = jobberd(&i, "status", NULL);
	assert_has(status.out, "starting for ");
	assert_has(status.out, "trouble: database locked by another process for ");
	result_done(&status);
	/* What is asked for meanwhile is done when that can be recorded, in this order. */
	helper_jobberd(&submit, &i, NULL, "submit", "--hold", "--", "true", NULL);
	assert_true(helper_runs_for(&submit, 300));
	helper_jobberd(&again, &i, NULL, "submit", "--", "true", NULL);
	assert_true(helper_runs_for(&again, 300));
	helper_end(&submit); /* its client goes, which it need not */
	other_run(other, unlock);
	other_close(other);
	instance_expect(&i, "ready: ");
	assert_int_equal(helper_wait(&again), 0);
	assert_int_equal(wait_job(&i, strtoll(again.out.text, NULL, 10)), 0);
	helper_end(&again);
	assert_int_equal(wait_job(&i, 1), 0);
	instance_expect(&i, "database is writable again after ");
	assert_int_equal(count_in_log(&i, WAITS), 1);
	assert_int_equal(count_in_log(&i, "error"), 0);
	assert_int_equal(count_in_log(&i, "started again"), 0);
	instance_finish(&i);
}

static void
supervise_on_a_locked_database_says_once_that_it_waits(void **state)
{
	(void)state;
	assert_supervise_waits("BEGIN IMMEDIATE", "COMMIT");
	/* Not even readers may look. */
	assert_supervise_waits("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; COMMIT",
	    "PRAGMA locking_mode = NORMAL; SELECT 1 FROM jobs");
}

static void
submit_with_nothing_running_waits_for_the_lock(void **state)
{
	struct instance i;
	struct helper submit;
	sqlite3 *other;

	(void)state;
	instance_init(&i);
	submit_job(&i, "--", "true", NULL);
	other = other_open(&i);
	other_run(other, "BEGIN IMMEDIATE");
	helper_jobberd(&submit, &i, NULL, "submit", "--", "true", NULL);
	assert_true(helper_runs_for(&submit, 300));
	other_run(other, "COMMIT");
	assert_int_equal(helper_wait(&submit), 0);
	assert_string_equal(submit.out.text, "2\n");
	helper_end(&submit);
	other_close(other);
	check_accounts(&i);
	instance_done(&i);
}

/* Stops may act before they are recorded, by one that is only coming up during the lock too. */
static void
check_stop_during_the_lock(bool is_coming_up)
{
	struct instance i;
	struct bell pids, go;
	sqlite3 *other;
	char *text;
	pid_t pid;

	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&pids, &i, "pids");
	bell_init(&go, &i, "go");
	submit_waiting(&i, &pids, &go, 0);
	pid = (pid_t)bell_number(&pids);
	wait_sql(&i, "SELECT status = 'running' FROM jobs");
	other = other_open(&i);
	other_run(other, "BEGIN IMMEDIATE");
	if (is_coming_up) {
		kill(instance_supervisor_pid(&i), SIGKILL);
		instance_expect(&i, WAITS);
	}
	kill(i.keeper, SIGTERM);
	wait_gone(pid);
	wait_reaped(pid, 1000 * SLOWNESS);
	let_pass(&i, 300); /* it stays until it could record that */
	other_run(other, "COMMIT");
	other_close(other);
	assert_int_equal(instance_wait(&i), 0);
	text = sql(&i, "SELECT a.reason || ' ' || status FROM attempts a, jobs");
	assert_string_equal(text, "interrupted failed");
	free(text);
	bell_done(&pids);
	bell_done(&go);
	check_accounts(&i);
	instance_done(&i);
}

static void
stop_during_the_lock_ends_processes_at_once_and_is_recorded_after(void **state)
{
	(void)state;
	check_stop_during_the_lock(false);
}

static void
stop_of_a_new_start_ends_at_once_what_runs(void **state)
{
	(void)state;
	check_stop_during_the_lock(true);
}

static void
what_was_asked_for_during_the_lock_does_not_start_after_a_stop(void **state)
{
	struct instance i;
	struct helper submit;
	sqlite3 *other;
	char *text;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	other = other_open(&i);
	other_run(other, "BEGIN IMMEDIATE");
	helper_jobberd(&submit, &i, NULL, "submit", "--", "sleep", "1000", NULL);
	assert_true(helper_runs_for(&submit, 300));
	assert_status_says(&i, "database locked by another process for ");
	kill(i.keeper, SIGTERM);
	instance_expect(&i, "stopping: ");
	other_run(other, "ROLLBACK");
	other_close(other);
	assert_int_equal(helper_wait(&submit), 0);
	helper_end(&submit);
	assert_int_equal(instance_wait(&i), 0);
	text = sql(&i, "SELECT status || (SELECT count(*) FROM attempts) FROM jobs");
	assert_string_equal(text, "new0");
	free(text);
	check_accounts(&i);
	instance_done(&i);
}

static const char *const locks[][2] = {
	{ "BEGIN IMMEDIATE", "COMMIT" },
	/* Not even readers may look. */
	{ "PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; COMMIT",
	    "PRAGMA locking_mode = NORMAL; SELECT 1 FROM jobs" },
};

/* It has begun nothing: there is nothing to record, and nobody to wait for. */
static void
stop_of_a_start_that_waits_for_the_lock_is_heeded_at_once(void **state)
{
	static const struct {
		int signal;
		const char *says;
	} stops[] = { { SIGTERM, "stopping: " }, { SIGINT, "stopping: " },
		{ SIGQUIT, "leaving: " } };

	(void)state;
	for (size_t n = 0; n < 6; n++) {
		struct instance i;
		sqlite3 *other;

		instance_init(&i);
		submit_job(&i, "--", "true", NULL);
		other = other_open(&i);
		other_run(other, locks[n / 3][0]);
		instance_launch(&i, NULL);
		instance_expect(&i, WAITS);
		kill(i.keeper, stops[n % 3].signal);
		assert_int_equal(instance_wait(&i), 0);
		instance_expect(&i, stops[n % 3].says);
		assert_int_equal(count_in_log(&i, "ready: "), 0);
		assert_int_equal(count_in_log(&i, "started again"), 0);
		assert_int_equal(count_in_log(&i, "error"), 0);
		other_run(other, locks[n / 3][1]);
		other_close(other);
		instance_start(&i, NULL);
		assert_int_equal(wait_job(&i, 1), 0);
		instance_finish(&i);
	}
}

/* The supervisor process, before it has recorded who it is. */
static pid_t
only_child_of(pid_t keeper)
{
	pid_t *pids, pid;
	size_t count;

	assert_int_equal(tree_children(keeper, &pids, &count), 0);
	assert_int_equal(count, 1);
	pid = pids[0];
	free(pids);
	return pid;
}

/* A start that hangs, whatever in, is no reason to ask twice. */
static void
stop_of_a_start_that_hangs_needs_no_second_signal(void **state)
{
	struct instance i;
	sqlite3 *other;

	(void)state;
	instance_init(&i);
	submit_job(&i, "--", "true", NULL);
	other = other_open(&i);
	other_run(other, "BEGIN IMMEDIATE");
	instance_launch(&i, NULL);
	instance_expect(&i, WAITS);
	kill(only_child_of(i.keeper), SIGSTOP);
	kill(i.keeper, SIGTERM);
	assert_int_equal(instance_wait(&i), 0);
	assert_int_equal(count_in_log(&i, "ready: "), 0);
	other_run(other, "COMMIT");
	other_close(other);
	instance_start(&i, NULL);
	assert_int_equal(wait_job(&i, 1), 0);
	instance_finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lock_of_30_s_delays_records_and_nothing_else),
		cmocka_unit_test(lock_taken_again_and_again_starves_nobody),
		cmocka_unit_test(supervise_on_a_locked_database_is_ready_after_the_release),
		cmocka_unit_test(supervise_on_a_locked_database_says_once_that_it_waits),
		cmocka_unit_test(stop_of_a_start_that_waits_for_the_lock_is_heeded_at_once),
		cmocka_unit_test(stop_of_a_start_that_hangs_needs_no_second_signal),
		cmocka_unit_test(stop_of_a_new_start_ends_at_once_what_runs),
		cmocka_unit_test(submit_with_nothing_running_waits_for_the_lock),
		cmocka_unit_test(
		    stop_during_the_lock_ends_processes_at_once_and_is_recorded_after),
		cmocka_unit_test(
		    what_was_asked_for_during_the_lock_does_not_start_after_a_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
