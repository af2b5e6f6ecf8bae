/* What any SQLite client may write: it is noticed at once, heeded, and never hurts. */

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

#define INSERT_TRUE "INSERT INTO jobs (command) VALUES ('[\"true\"]')"
#define NOTICED_MS 100 /* the promise */

static void
write_foreign(struct instance *i, const char *statement)
{
	char *message = foreign(i, statement);

	if (message != NULL)
		fail_msg("%s: %s", statement, message);
}

static void
assert_refused(struct instance *i, const char *statement, const char *words)
{
	char *message = foreign(i, statement);

	if (message == NULL)
		fail_msg("%s: was not refused", statement);
	assert_has(message, words);
	free(message);
}

/* From the row's creation to the claim, for the jobs from this one on. */
static void
assert_noticed(struct instance *i, int64_t first)
{
	static const char delays[] = "SELECT claimed_at - created_at FROM attempts JOIN jobs "
				     "ON id = job_id WHERE id >= %lld ORDER BY 1 %s";
	char question[300];

	/* The machine may do something else for a moment: the worst one gets more. */
	snprintf(question, sizeof(question), delays, (long long)first,
	    "LIMIT 1 OFFSET (SELECT count(*) / 2 FROM jobs)");
	assert_between(sql_number(i, question), 0, NOTICED_MS * SLOWNESS);
	snprintf(question, sizeof(question), delays, (long long)first, "DESC LIMIT 1");
	assert_between(sql_number(i, question), 0, 5 * NOTICED_MS * SLOWNESS);
}

static void
insert_is_noticed_within_100_ms(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	for (int n = 1; n <= 20; n++) {
		write_foreign(&i, INSERT_TRUE);
		assert_int_equal(wait_job(&i, n), 0);
	}
	assert_noticed(&i, 1);
	instance_finish(&i);
}

static void
insert_is_noticed_from_a_full_connection_that_stays_open(void **state)
{
	struct instance i;
	sqlite3 *other;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	other = other_open(&i);
	for (int n = 1; n <= 20; n++) {
		other_run(other, INSERT_TRUE);
		assert_int_equal(wait_job(&i, n), 0);
	}
	assert_noticed(&i, 1);
	instance_stop(&i);
	check_accounts(&i);
	other_close(other);
	instance_done(&i);
}

/* The event comes when the WAL is written, the commit is visible 200 ms later. */
static void
insert_is_noticed_although_its_sync_takes_200_ms(void **state)
{
	struct instance i;
	struct helper insert;
	char path[400];

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	snprintf(path, sizeof(path), "%s/jobberd.db", i.state);
	for (int n = 1; n <= 5; n++) {
		const char *const arguments[] = { "strace", "-qq", "-o", "/dev/null", "-e",
			"inject=fdatasync:delay_enter=200ms", "sqlite3", path,
			".timeout 10000", "PRAGMA synchronous = FULL", INSERT_TRUE, NULL };

		helper_start(&insert, NULL, arguments);
		assert_int_equal(helper_wait(&insert), 0);
		helper_end(&insert);
		assert_int_equal(wait_job(&i, n), 0);
	}
	/* One sync, or two when the WAL begins anew. */
	assert_between(sql_number(&i, "SELECT min(claimed_at - created_at) FROM attempts "
				      "JOIN jobs ON id = job_id"),
	    200, 400 + NOTICED_MS * SLOWNESS);
	assert_between(sql_number(&i, "SELECT max(claimed_at - created_at) FROM attempts "
				      "JOIN jobs ON id = job_id"),
	    200, 400 + 5 * NOTICED_MS * SLOWNESS);
	instance_finish(&i);
}

static void
insert_is_noticed_after_the_log_was_checkpointed_restarted_and_truncated(void **state)
{
	static const char *const checkpoints[] = { "PRAGMA wal_checkpoint(PASSIVE)",
		"PRAGMA wal_checkpoint(RESTART)", "PRAGMA wal_checkpoint(TRUNCATE)" };
	struct instance i;
	sqlite3 *other;
	int64_t id = 0;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	other = other_open(&i);
	for (int n = 0; n < 12; n++) {
		other_run(other, checkpoints[n % 3]);
		other_run(other, INSERT_TRUE);
		assert_int_equal(wait_job(&i, ++id), 0);
	}
	assert_noticed(&i, 1);
	other_close(other);
	instance_finish(&i);
}

static void
insert_is_noticed_after_the_log_was_deleted_while_nothing_ran(void **state)
{
	static const char *const suffixes[] = { "-wal", "-shm" };
	struct instance i;
	char path[400];

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	instance_stop(&i);
	write_foreign(&i, "PRAGMA wal_checkpoint(TRUNCATE)");
	for (size_t n = 0; n < 2; n++) {
		snprintf(path, sizeof(path), "%s/jobberd.db%s", i.state, suffixes[n]);
		unlink(path);
	}
	write_foreign(&i, INSERT_TRUE); /* makes it, and takes it away again */
	instance_start(&i, NULL);
	assert_int_equal(wait_job(&i, 1), 0);
	for (int n = 2; n <= 6; n++) {
		write_foreign(&i, INSERT_TRUE);
		assert_int_equal(wait_job(&i, n), 0);
	}
	assert_noticed(&i, 2);
	instance_finish(&i);
}

/* A job that rings with its pid and runs until it is let go. */
static void
submit_ringing(struct instance *i, struct bell *bell, struct bell *go)
{
	char command[900];

	snprintf(command, sizeof(command), "echo $$ > %s; read x < %s", bell->path, go->path);
	submit_job(i, "-r", "0", "--name", "ringing", "--", "sh", "-c", command, NULL);
}

/* An instance with one place, and that is taken. */
static void
occupy(struct instance *i, struct bell *bell, struct bell *go)
{
	instance_start(i, "--max-children", "1", NULL);
	bell_init(bell, i, "bell");
	bell_init(go, i, "go");
	submit_ringing(i, bell, go);
}

static void
leave_occupied(struct instance *i, struct bell *bell, struct bell *go)
{
	instance_stop(i);
	check_accounts(i);
	bell_done(bell);
	bell_done(go);
	instance_done(i);
}

static void
update_cancels_a_waiting_and_a_running_job(void **state)
{
	struct instance i;
	struct bell bell, go;
	struct helper waiting, running;
	char *text;
	pid_t pid;

	(void)state;
	instance_init(&i);
	occupy(&i, &bell, &go);
	pid = (pid_t)bell_number(&bell);
	submit_job(&i, "--", "true", NULL);
	helper_jobberd(&waiting, &i, NULL, "wait", "2", NULL);
	helper_jobberd(&running, &i, NULL, "wait", "1", NULL);
	write_foreign(&i, "UPDATE jobs SET status = 'cancelled' WHERE id = 2");
	assert_int_equal(helper_wait(&waiting), 1); /* who waits is told */
	assert_has(waiting.err.text, "cancelled");
	assert_true(is_alive(pid));
	write_foreign(&i, "UPDATE jobs SET status = 'cancelled' WHERE id = 1");
	assert_int_equal(helper_wait(&running), 1);
	assert_false(is_alive(pid));
	text = sql(&i, "SELECT group_concat(status || coalesce(reason, '-')) FROM jobs");
	assert_string_equal(text, "cancelled-,cancelledcancelled");
	free(text);
	text = sql(&i, "SELECT group_concat(reason) FROM attempts");
	assert_string_equal(text, "cancelled");
	free(text);
	helper_end(&waiting);
	helper_end(&running);
	leave_occupied(&i, &bell, &go);
}

static void
update_of_priority_hold_wake_at_and_max_retries_is_heeded(void **state)
{
	struct instance i;
	struct bell bell, go;
	char *text;

	(void)state;
	instance_init(&i);
	occupy(&i, &bell, &go);
	free(bell_wait(&bell));
	submit_job(&i, "--", "true", NULL);				      /* 2 */
	submit_job(&i, "--", "true", NULL);				      /* 3 */
	submit_job(&i, "--", "true", NULL);				      /* 4 */
	submit_job(&i, "--in", "1h", "--", "true", NULL);		      /* 5 */
	submit_job(&i, "-r", "9", "--backoff", "constant:10ms", "--", "false", NULL); /* 6 */
	write_foreign(&i, "UPDATE jobs SET hold = 'user' WHERE id = 2");
	write_foreign(&i, "UPDATE jobs SET priority = 0 WHERE id = 4");
	write_foreign(&i, "UPDATE jobs SET max_retries = 1 WHERE id = 6");
	fifo_write(go.path, "go\n");
	assert_int_equal(wait_job(&i, 6), 1);
	text = sql(&i, "SELECT group_concat(job_id) FROM (SELECT job_id FROM events WHERE "
		       "event = 'started' ORDER BY seq)");
	assert_string_equal(text, "1,4,3,6,6");
	free(text);
	write_foreign(&i, "UPDATE jobs SET hold = NULL WHERE id = 2");
	assert_int_equal(wait_job(&i, 2), 0);
	write_foreign(&i, "UPDATE jobs SET wake_at = NULL WHERE id = 5");
	assert_int_equal(wait_job(&i, 5), 0);
	submit_job(&i, "--in", "1h", "--", "true", NULL); /* 7: to a moment that is past */
	write_foreign(&i, "UPDATE jobs SET wake_at = 1 WHERE id = 7");
	assert_int_equal(wait_job(&i, 7), 0);
	submit_job(&i, "--in", "1h", "--", "true", NULL); /* 8: to one that is near */
	write_foreign(&i,
	    "UPDATE jobs SET wake_at = 300 + CAST((julianday('now') - 2440587.5) * 86400000 "
	    "AS INTEGER) WHERE id = 8");
	assert_int_equal(wait_job(&i, 8), 0);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE job_id = 8 AND "
					"claimed_at - (SELECT created_at FROM jobs WHERE "
					"id = 8) >= 300"), 1);
	leave_occupied(&i, &bell, &go);
}

/* 0 is: once at most, also if that is said between a failure and its retry. */
static void
update_of_max_retries_to_0_ends_a_job_in_its_pause(void **state)
{
	struct instance i;
	struct helper waiting;
	char *text;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--backoff", "constant:1h", "--", "sh", "-c", "exit 3", NULL); /* 1 */
	submit_job(&i, "--after", "1", "--", "true", NULL);			      /* 2 */
	submit_job(&i, "--after-any", "1", "--", "true", NULL);			      /* 3 */
	wait_sql(&i, "SELECT status = 'errored' FROM jobs WHERE id = 1");
	helper_jobberd(&waiting, &i, NULL, "wait", "1", NULL);
	write_foreign(&i, "UPDATE jobs SET max_retries = 0 WHERE id = 1");
	assert_int_equal(helper_wait(&waiting), 1);
	assert_int_equal(wait_job(&i, 1), 1);
	assert_int_equal(wait_job(&i, 2), 1);
	assert_int_equal(wait_job(&i, 3), 0);
	text = sql(&i, "SELECT group_concat(status || ' ' || coalesce(reason, '-')) FROM jobs");
	assert_string_equal(text, "failed -,cancelled dependency,done -");
	free(text);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE job_id = 1"), 1);
	helper_end(&waiting);
	instance_finish(&i);
}

/* Other supervisors' places may be changed by SQL, too. */
static void
update_of_max_children_is_heeded(void **state)
{
	struct instance i;
	struct bell bell, go;

	(void)state;
	instance_init(&i);
	occupy(&i, &bell, &go);
	free(bell_wait(&bell));
	submit_job(&i, "--", "true", NULL);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts"), 1);
	write_foreign(&i, "UPDATE supervisors SET max_children = 2 WHERE name = 'default'");
	assert_int_equal(wait_job(&i, 2), 0);
	fifo_write(go.path, "go\n");
	assert_int_equal(wait_job(&i, 1), 0);
	leave_occupied(&i, &bell, &go);
}

/* And it has its places at once: its jobs need not wait for another start. */
static void
insert_of_a_supervisor_is_heeded(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	write_foreign(&i, "INSERT INTO supervisors (name, max_children) VALUES ('imports', 1)");
	write_foreign(&i, "INSERT INTO jobs (supervisor, command) "
			  "VALUES ('imports', '[\"true\"]')");
	assert_int_equal(wait_job(&i, 1), 0);
	instance_finish(&i);
}

/* Who reads it as C does would take it for what stands before that. */
#define WITH_NUL(column, text)                                                           \
	"INSERT INTO jobs (command, " column ") VALUES ('[\"a\"]', " text " || char(0) || 'b')"

static void
row_that_makes_no_sense_is_refused_by_the_schema(void **state)
{
	static const struct {
		const char *statement, *words;
	} cases[] = {
		{ "INSERT INTO jobs (command) VALUES ('make report')", "CHECK" },
		{ "INSERT INTO jobs (command) VALUES ('[]')", "CHECK" },
		{ "INSERT INTO jobs (command) VALUES ('{\"a\":1}')", "CHECK" },
		{ "INSERT INTO jobs (command) VALUES (NULL)", "NOT NULL" },
		{ "INSERT INTO jobs (command, supervisor) VALUES ('[\"a\"]', 'nobody')",
		    "there is no supervisor" },
		{ "INSERT INTO jobs (command, cwd) VALUES ('[\"a\"]', 'relative')", "CHECK" },
		{ "INSERT INTO jobs (command, priority) VALUES ('[\"a\"]', 10)", "CHECK" },
		{ "INSERT INTO jobs (command, name) VALUES ('[\"a\"]', '12')", "CHECK" },
		{ "INSERT INTO jobs (command, status) VALUES ('[\"a\"]', 'done')",
		    "status new" },
		{ "INSERT INTO jobs (id, command) VALUES (9007199254740991, '[\"a\"]')",
		    "the id of a new job" },
		{ "INSERT INTO jobs (command, environment) VALUES ('[\"a\"]', 77)",
		    "there is no environment" },
		{ "INSERT OR REPLACE INTO jobs (command, name) VALUES ('[\"a\"]', 'ringing')",
		    "already_started" },
		{ "INSERT OR REPLACE INTO jobs (id, command) VALUES (1, '[\"a\"]')",
		    "exists already" },
		{ WITH_NUL("name", "'a'"), "a NUL in it" },
		{ WITH_NUL("type", "'a'"), "a NUL in it" },
		{ WITH_NUL("cwd", "'/tmp'"), "a NUL in it" },
		{ WITH_NUL("stdin", "'/dev/zero'"), "a NUL in it" },
		{ WITH_NUL("backoff", "'constant:1s'"), "a NUL in it" },
		{ WITH_NUL("log_rotate", "'64K'"), "a NUL in it" },
		{ "INSERT INTO jobs (command) VALUES ('[\"a\"]' || char(0))", "a NUL in it" },
		{ "UPDATE jobs SET status = 'done' WHERE id = 1", "only be set to cancelled" },
		{ "UPDATE jobs SET command = '[\"rm\"]' WHERE id = 1", "may be updated" },
		{ "UPDATE jobs SET hold = 'user' WHERE id = 1", "while the job waits" },
		{ "DELETE FROM jobs WHERE id = 1", "live: cancel it first" },
		{ "DELETE FROM attempts", "has not ended" },
		{ "UPDATE attempts SET reason = 'normal', ended_at = 1", "by jobberd" },
		{ "DELETE FROM writer", "guards all others" },
	};
	struct instance i;
	struct bell bell, go;

	(void)state;
	instance_init(&i);
	occupy(&i, &bell, &go);
	free(bell_wait(&bell));
	/* It runs before that is recorded. */
	wait_sql(&i, "SELECT count(*) > 0 FROM jobs WHERE status = 'running'");
	for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++)
		assert_refused(&i, cases[n].statement, cases[n].words);
	fifo_write(go.path, "go\n");
	assert_int_equal(wait_job(&i, 1), 0);
	leave_occupied(&i, &bell, &go);
}

static void
row_that_only_we_can_see_makes_no_sense_ends_failed_in_words(void **state)
{
	static const struct {
		const char *columns, *values, *words;
	} cases[] = {
		{ "command", "'[\"a\",1]'", "command" },
		{ "command", "'[\"\"]'", "command" },
		{ "command", "'[null]'", "command" },
		{ "command", "'[\"a\",[\"b\"]]'", "command" },
		{ "command", "'[\"a\\u0000b\"]'", "command" },
		{ "command, backoff", "'[\"false\"]', 'foo'", "backoff is not KIND:PAUSE" },
		{ "command, backoff", "'[\"true\"]', 'linear:often'", "backoff is not KIND" },
	};
	struct instance i;
	char statement[300], question[200], *text;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		snprintf(statement, sizeof(statement), "INSERT INTO jobs (%s) VALUES (%s)",
		    cases[n].columns, cases[n].values);
		write_foreign(&i, statement);
		assert_int_equal(wait_job(&i, (int64_t)n + 1), 1);
		snprintf(question, sizeof(question),
		    "SELECT status || ': ' || coalesce(detail, '-') FROM jobs WHERE id = %zu",
		    n + 1);
		text = sql(&i, question);
		assert_has(text, "failed: ");
		assert_has(text, cases[n].words);
		free(text);
	}
	/* … and the next good one runs. */
	write_foreign(&i, INSERT_TRUE);
	assert_int_equal(wait_job(&i, sizeof(cases) / sizeof(cases[0]) + 1), 0);
	instance_finish(&i);
}

/* With its job an attempt may go. */
static void
history_is_not_deleted_from_outside(void **state)
{
	struct instance i;
	struct result result;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	write_foreign(&i, INSERT_TRUE);
	write_foreign(&i, INSERT_TRUE);
	assert_int_equal(wait_job(&i, 1), 0);
	assert_int_equal(wait_job(&i, 2), 0);
	assert_refused(&i, "DELETE FROM events", "events are history");
	assert_refused(&i, "DELETE FROM attempts", "attempts are history");
	write_foreign(&i, "PRAGMA foreign_keys = ON; DELETE FROM jobs WHERE id = 1");
	assert_int_equal(sql_number(&i, "SELECT sum(job_id) FROM attempts"), 2);
	result = jobberd(&i, "delete", "2", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts"), 0);
	instance_finish(&i);
}

static void
row_deleted_by_force_stops_its_process_with_an_event(void **state)
{
	struct instance i;
	struct bell bell, go;
	pid_t pid;

	(void)state;
	instance_init(&i);
	occupy(&i, &bell, &go);
	pid = (pid_t)bell_number(&bell);
	write_foreign(&i, "DROP TRIGGER jobs_delete_guard; DELETE FROM jobs WHERE id = 1");
	wait_gone(pid);
	wait_reaped(pid, 1000 * SLOWNESS);
	instance_expect(&i, "job=1 its row is gone");
	/* Its place is free again. */
	write_foreign(&i, INSERT_TRUE);
	assert_int_equal(wait_job(&i, 2), 0);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM events WHERE job_id = 1 AND "
					"event = 'row vanished'"), 1);
	leave_occupied(&i, &bell, &go);
}

static void
row_deleted_before_its_process_is_told_of_stops_it_all_the_same(void **state)
{
	struct instance i;
	struct bell bell, go;

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "2", NULL);
	bell_init(&bell, &i, "bell");
	bell_init(&go, &i, "go");
	kill(i.keeper, SIGSTOP);
	submit_ringing(&i, &bell, &go); /* claimed */
	write_foreign(&i, "DROP TRIGGER jobs_delete_guard; "
			  "DELETE FROM jobs WHERE id = 1; " INSERT_TRUE);
	instance_expect(&i, "job=1 its row is gone");
	kill(i.keeper, SIGCONT);
	assert_int_equal(wait_job(&i, 2), 0);
	instance_stop(&i);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE job_id = 1"), 0);
	check_accounts(&i);
	bell_done(&bell);
	bell_done(&go);
	instance_done(&i);
}

static void
row_deleted_while_nobody_looked_stops_its_process_all_the_same(void **state)
{
	struct instance i;
	struct bell bell, go;
	pid_t pid, supervisor;

	(void)state;
	instance_init(&i);
	occupy(&i, &bell, &go);
	pid = (pid_t)bell_number(&bell);
	supervisor = instance_supervisor_pid(&i);
	kill(supervisor, SIGSTOP);
	write_foreign(&i, "DROP TRIGGER jobs_delete_guard; DELETE FROM jobs WHERE id = 1");
	kill(supervisor, SIGKILL);
	wait_gone(pid);
	write_foreign(&i, INSERT_TRUE);
	assert_int_equal(wait_job(&i, 2), 0);
	/* With no keeper either: the next one finds the process by its record. */
	submit_ringing(&i, &bell, &go); /* 3 */
	pid = (pid_t)bell_number(&bell);
	instance_kill_keeper(&i);
	write_foreign(&i, "DELETE FROM jobs WHERE id = 3");
	assert_true(is_alive(pid));
	instance_start(&i, NULL);
	wait_gone(pid);
	write_foreign(&i, INSERT_TRUE);
	assert_int_equal(wait_job(&i, 4), 0);
	leave_occupied(&i, &bell, &go);
}

/* Both processes sleep until something happens, with a foreign connection open or not. */
static void
idle_processes_are_not_woken_after_a_foreign_insert(void **state)
{
	struct instance i;
	sqlite3 *other;
	int64_t before;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	other = other_open(&i);
	other_run(other, INSERT_TRUE);
	assert_int_equal(wait_job(&i, 1), 0);
	assert_sleeps(&i, 3000);
	before = wakeups(instance_supervisor_pid(&i));
	other_run(other, INSERT_TRUE); /* … and they are not deaf either */
	assert_int_equal(wait_job(&i, 2), 0);
	assert_true(wakeups(instance_supervisor_pid(&i)) > before);
	other_close(other);
	instance_finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(insert_is_noticed_within_100_ms),
		cmocka_unit_test(insert_is_noticed_from_a_full_connection_that_stays_open),
		cmocka_unit_test(insert_is_noticed_although_its_sync_takes_200_ms),
		cmocka_unit_test(
		    insert_is_noticed_after_the_log_was_checkpointed_restarted_and_truncated),
		cmocka_unit_test(
		    insert_is_noticed_after_the_log_was_deleted_while_nothing_ran),
		cmocka_unit_test(update_cancels_a_waiting_and_a_running_job),
		cmocka_unit_test(update_of_priority_hold_wake_at_and_max_retries_is_heeded),
		cmocka_unit_test(update_of_max_retries_to_0_ends_a_job_in_its_pause),
		cmocka_unit_test(update_of_max_children_is_heeded),
		cmocka_unit_test(insert_of_a_supervisor_is_heeded),
		cmocka_unit_test(row_that_makes_no_sense_is_refused_by_the_schema),
		cmocka_unit_test(row_that_only_we_can_see_makes_no_sense_ends_failed_in_words),
		cmocka_unit_test(history_is_not_deleted_from_outside),
		cmocka_unit_test(row_deleted_by_force_stops_its_process_with_an_event),
		cmocka_unit_test(
		    row_deleted_before_its_process_is_told_of_stops_it_all_the_same),
		cmocka_unit_test(
		    row_deleted_while_nobody_looked_stops_its_process_all_the_same),
		cmocka_unit_test(idle_processes_are_not_woken_after_a_foreign_insert),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
