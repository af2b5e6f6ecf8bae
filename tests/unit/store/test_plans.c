/*
 * How SQLite goes about our statements: hot ones take the partial indexes made for them,
 * and what a claim costs does not depend on how many jobs there are or have been.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../support/subject.h"
#include "base/buf.h"
#include "base/xalloc.h"
#include "store/sqlite_engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sqlite_engine *
engine_of(struct subject *subject)
{
	return (struct sqlite_engine *)subject->store;
}

/* All statements of the engine, one after the other. NULL behind the last. */
static sqlite3_stmt *
statement_at(struct subject *subject, size_t place)
{
	struct sqlite_engine *engine = engine_of(subject);
	const struct statements *const files[] = { &engine->environment, &engine->submit,
		&engine->submit_check, &engine->supervisor, &engine->pool,
		&engine->server, &engine->replace, &engine->message, &engine->monitor,
		&engine->commit, &engine->claim, &engine->advance, &engine->end, &engine->depend,
		&engine->change, &engine->prune, &engine->groups, &engine->node, &engine->group,
		&engine->supervision, &engine->restarts, &engine->supervisor_change,
		&engine->other, &engine->timer_room, &engine->forget };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (place < files[i]->count)
			return files[i]->prepared[place];
		place -= files[i]->count;
	}
	return NULL;
}

/* The one statement that has these words. */
static sqlite3_stmt *
statement_with(struct subject *subject, const char *words)
{
	sqlite3_stmt *statement, *found = NULL;

	for (size_t i = 0; (statement = statement_at(subject, i)) != NULL; i++) {
		if (strstr(sqlite3_sql(statement), words) == NULL)
			continue;
		assert_null(found);
		found = statement;
	}
	if (found == NULL)
		fail_msg("there is no statement with \"%s\"", words);
	return found;
}

/* The plan's lines, each ended by '\n'. */
static void
explain(struct subject *subject, sqlite3_stmt *statement, struct buf *buf)
{
	char *sql = xasprintf("EXPLAIN QUERY PLAN %s", sqlite3_sql(statement));
	sqlite3_stmt *plan;

	assert_int_equal(
	    sqlite3_prepare_v2(engine_of(subject)->db.handle, sql, -1, &plan, NULL),
	    SQLITE_OK);
	while (sqlite3_step(plan) == SQLITE_ROW)
		buf_addf(buf, "%s\n", sqlite3_column_text(plan, 3));
	sqlite3_finalize(plan);
	free(sql);
}

static void
hot_statements_use_the_indexes_made_for_them(void **state)
{
	static const struct {
		const char *words, *plan;
	} rows[] = {
		{ "ended_at IS NULL) ORDER BY priority, id LIMIT", "jobs_ready (supervisor=?)" },
		{ "ended_at IS NULL) ORDER BY priority, id LIMIT", "attempts_open (job_id=?)" },
		{ "k.max_running) ORDER BY priority, id LIMIT", "jobs_ready (supervisor=?)" },
		{ "SELECT count(*) FROM jobs WHERE supervisor", "jobs_live (supervisor=?)" },
		{ "ended_at IS NULL) AND NOT EXISTS (SELECT 1 FROM servers me",
		    "servers_static (position<?)" },
		{ "a.stop_reason IS NOT NULL AS is_ending", "servers_static (position>?)" },
		{ "SELECT name, position FROM supervisors",
		    "supervisors_children (parent=? AND position>?)" },
		{ "SELECT count(*) FROM restarts WHERE supervisor = ?1 AND iif(boot_id = ?2, "
		  "boot_ms > ?3, at > ?4) AND job_id", "restarts_of (supervisor=?" },
		{ "SELECT id, status FROM jobs WHERE name", "jobs_live_name (name=?)" },
		{ "ORDER BY wake_boot_ms LIMIT",
		    "jobs_wake_boot (wake_boot_ms>? AND wake_boot_ms<?)" },
		{ "ORDER BY wake_at LIMIT", "jobs_wake_wall (wake_at>? AND wake_at<?)" },
		{ "SELECT min(wake_boot_ms) FROM jobs", "jobs_wake_boot" },
		{ "SELECT min(wake_at)", "jobs_wake_wall" },
		{ "SELECT attempt, generation", "attempts_open (job_id=?)" },
		{ "g.boot_id", "SCAN a USING INDEX attempts_open" },
		{ "SELECT d.job_id FROM dependencies", "dependencies_on (on_id=?)" },
		{ "SELECT id FROM environments", "environments_by_hash (hash=?)" },
		{ "SELECT min(wake_boot_ms) FROM messages", "messages_timers" },
		{ "SELECT seq, kind, message", "messages_of_job (job_id=? AND seq>?)" },
		{ "AND owner_attempt IS ?3 LIMIT ?2", "messages_of_owner (owner=?)" },
		{ "owner_attempt = ?2 AND NOT EXISTS", "messages_of_owner (owner=?)" },
		{ "FROM messages WHERE job_id = ?1 LIMIT", "messages_of_job (job_id=?)" },
		{ "m.wake_boot_ms <= ?1", "messages_timers (wake_boot_ms>? AND wake_boot_ms<?)" },
		{ "SELECT ref, owner", "monitors_of_job (job_id=?)" },
		{ "SELECT seq FROM events WHERE job_id = ?1", "events_of_job (job_id=?)" },
		{ "started_event FROM attempts WHERE job_id = ?1)",
		    "events USING INTEGER PRIMARY KEY" },
		{ "started_event FROM attempts WHERE job_id = ?1 AND attempt <",
		    "events USING INTEGER PRIMARY KEY" },
		{ "attempt IN (SELECT attempt FROM attempts",
		    "attempts USING PRIMARY KEY (job_id=? AND attempt=?)" },
		{ "DESC, ended_at DESC", "jobs_by_name (name=?)" },
		{ "AND supervisor = ?2 LIMIT 1", "jobs_by_name (name=?)" },
		{ "count(*) FILTER", "SCAN jobs USING INDEX jobs_live" },
	};
	struct subject *subject = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf buf = { 0 };

		explain(subject, statement_with(subject, rows[i].words), &buf);
		if (strstr(buf_text(&buf), rows[i].plan) == NULL)
			fail_msg("%s\nis not in the plan of: %s\n%s", rows[i].plan,
			    rows[i].words, buf_text(&buf));
		buf_done(&buf);
	}
}

/* Scans of a whole table that are known and rare, or of a table that stays small. */
static bool
may_scan(const char *sql)
{
	static const char *const words[] = {
		"end_reason = 'lost'", /* at a start */
		"row_number() OVER",   /* prune */
		"FROM supervisors",
		"FROM (SELECT ended_at FROM attempts", /* three rows */
		"FROM (SELECT 1 FROM messages", /* counts no further than its limit */
		"EXISTS (SELECT 1 FROM monitors)", /* the first row */
		"foreign_cancels",
		"FROM deletions n", /* at a start, and usually none is in it */
		"DELETE FROM restarts WHERE child", /* when a supervisor is removed */
		"SET position = NULL, description = NULL WHERE (position IS NOT NULL OR "
		"description IS NOT NULL) AND (SELECT", /* likewise */
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strstr(sql, words[i]) != NULL)
			return true;
	}
	return false;
}

static void
no_other_statement_scans_a_table(void **state)
{
	struct subject *subject = *state;
	sqlite3_stmt *statement;

	for (size_t i = 0; (statement = statement_at(subject, i)) != NULL; i++) {
		struct buf buf = { 0 };
		char *rest, *line;

		explain(subject, statement, &buf);
		buf_text(&buf);
		rest = buf_start(&buf);
		while (rest != NULL && (line = strsep(&rest, "\n")) != NULL) {
			if (strncmp(line, "SCAN ", 5) == 0 &&
			    strstr(line, " USING ") == NULL &&
			    strstr(line, "CONSTANT ROW") == NULL &&
			    !may_scan(sqlite3_sql(statement)))
				fail_msg("%s: %s", sqlite3_sql(statement), line);
		}
		buf_done(&buf);
	}
}

#define MANY 3000

static void
submit_many(struct subject *subject, const char *options)
{
	struct batch batch;

	batch_init(&batch);
	for (int i = 0; i < MANY; i++)
		add_submit(&batch, options);
	run_ok(subject, &batch);
	batch_done(&batch);
}

/* Steps of SQLite's machine for one run of this statement, by what a turn does. */
static int
cost(struct subject *subject, const char *words, enum step_kind kind)
{
	sqlite3_stmt *statement = statement_with(subject, words);
	struct batch batch;

	batch_init(&batch);
	if (kind == STEP_CLAIM)
		add_claim(&batch, "default", 1);
	else if (kind == STEP_SUBMIT)
		add_submit(&batch, "name=another");
	else
		batch_add(&batch, kind, NULL, NULL);
	sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_VM_STEP, 1);
	sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_FULLSCAN_STEP, 1);
	sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_SORT, 1);
	run_ok(subject, &batch);
	batch_done(&batch);
	assert_int_equal(
	    sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_FULLSCAN_STEP, 0), 0);
	assert_int_equal(sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_SORT, 0), 0);
	return sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_VM_STEP, 0);
}

static void
claim_costs_the_same_among_thousands_of_jobs(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	int before;

	submit(subject, "");
	before = cost(subject, "ended_at IS NULL) ORDER BY priority, id LIMIT", STEP_CLAIM);
	submit_many(subject, "");
	batch_init(&batch);
	for (int i = 2; i <= MANY; i++)
		add_change(&batch, i, JOB_CANCEL);
	run_ok(subject, &batch);
	batch_done(&batch);
	submit_many(subject, "");
	submit_many(subject, "in=1h");
	submit_many(subject, "hold");
	assert_true(before > 0);
	assert_true(
	    cost(subject, "ended_at IS NULL) ORDER BY priority, id LIMIT", STEP_CLAIM) <
	    before + 100);
}

static void
timers_cost_the_same_among_thousands_of_jobs(void **state)
{
	struct subject *subject = *state;
	int before;

	submit(subject, "in=1h");
	before = cost(subject, "SELECT min(wake_boot_ms) FROM jobs", STEP_DUE);
	submit_many(subject, "in=2h");
	submit_many(subject, "");
	assert_true(before > 0);
	assert_true(cost(subject, "SELECT min(wake_boot_ms) FROM jobs", STEP_DUE) < before + 100);
	assert_true(
	    cost(subject, "ORDER BY wake_boot_ms LIMIT", STEP_DUE) < before + 100);
}

static void
names_cost_the_same_among_thousands_of_jobs(void **state)
{
	struct subject *subject = *state;

	submit_many(subject, "");
	assert_in_range(
	    cost(subject, "SELECT id, status FROM jobs WHERE name = ?1", STEP_SUBMIT), 1,
	    100);
}

#define ON_STORE(function)                                                              \
	{ #function, function, subject_setup, subject_teardown, (void *)&subject_sqlite }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_STORE(hot_statements_use_the_indexes_made_for_them),
		ON_STORE(no_other_statement_scans_a_table),
		ON_STORE(claim_costs_the_same_among_thousands_of_jobs),
		ON_STORE(timers_cost_the_same_among_thousands_of_jobs),
		ON_STORE(names_cost_the_same_among_thousands_of_jobs),
	};

	return cmocka_run_group_tests_name("store plans", tests, NULL, NULL);
}
