/*
 * sqlite_server: what a server's row has beside its job's. Its restarts are not counted
 * anywhere: they are the attempts behind the first one of this life.
 */

#include "base/xalloc.h"
#include "store/sqlite_engine.h"

enum { INSERT, READ, RECENT, FIRST, AFRESH, READY, SAID, GAUGE, EMPTY, COUNT };

static const char *const sql[] = {
	[INSERT] = "INSERT INTO servers (job_id, restart, durable, init_timeout_ms, "
		   "max_redeliveries, pool, pool_size, max_messages, " SERVICE_COLUMNS("") ") "
		   "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
	[READ] = "SELECT restart, durable, init_timeout_ms, max_redeliveries, state, pool, "
		 "max_messages, " SERVICE_COLUMNS("") " FROM servers WHERE job_id = ?1",
	[FIRST] = "SELECT restart, first_attempt, max_redeliveries FROM servers "
		  "WHERE job_id = ?1",
	/* What was interrupted or lost was no fault of the server's, nor is a pool's message. */
	[RECENT] = "SELECT count(*) FROM (SELECT ended_at FROM attempts WHERE job_id = ?1 "
		   "AND attempt >= ?2 AND ended_at IS NOT NULL AND reason <> 'interrupted' "
		   "AND reason NOT GLOB 'lost:*' AND member IS NULL "
		   "ORDER BY attempt DESC LIMIT ?4) "
		   "WHERE ended_at > ?3",
	[AFRESH] = "UPDATE servers SET first_attempt = 1 + (SELECT coalesce(max(attempt), 0) "
		   "FROM attempts WHERE job_id = ?1) WHERE job_id = ?1",
	[READY] = "UPDATE jobs SET status = 'running' WHERE id = ?1 AND " JOB_WAITS("") " "
		  "AND EXISTS (SELECT 1 FROM attempts WHERE job_id = ?1 AND attempt = ?2 "
		  "AND generation = ?3 AND ended_at IS NULL)",
	[SAID] = "UPDATE servers SET trap_exit = ?2, resumes = ?3 WHERE job_id = ?1",
	[GAUGE] = "UPDATE servers SET mailbox = coalesce(?4, mailbox), "
		  "last_message_at = coalesce(?5, last_message_at) "
		  "WHERE job_id = ?1 AND EXISTS (SELECT 1 FROM attempts WHERE job_id = ?1 "
		  "AND attempt = ?2 AND generation = ?3 AND ended_at IS NULL)",
	[EMPTY] = "UPDATE servers SET mailbox = 0 WHERE job_id = ?1 AND mailbox <> 0",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_server_prepare(struct sqlite_engine *engine, struct error *error)
{
	return statements_prepare(&engine->server, &engine->db, sql, COUNT, error);
}

int
sqlite_insert_server(struct sqlite_engine *engine, int64_t job, int64_t pool,
    const struct spec *spec)
{
	sqlite3_stmt *statement = engine->server.prepared[INSERT];
	int64_t redeliveries = spec->max_redeliveries;
	enum restart_type restart = pool != 0 ? RESTART_PERMANENT : spec_restart(spec);
	struct service_text text;
	int code;

	if (redeliveries == SPEC_UNSET)
		redeliveries = SPEC_DEFAULT_MAX_REDELIVERIES;
	bind_number(statement, 1, job);
	bind_text(statement, 2, restart_name(restart));
	/* A pool's messages are kept as jobs: its servers have nothing to commit. */
	bind_number(statement, 3, spec->is_durable && pool == 0);
	bind_unless(statement, 4, spec->init_timeout_ms, SPEC_UNSET);
	bind_unless(statement, 5, redeliveries, SPEC_FOR_EVER);
	bind_unless(statement, 6, pool, 0);
	bind_unless(statement, 7, pool == job ? spec->pool_size : SPEC_UNSET, SPEC_UNSET);
	bind_unless(statement, 8, spec->max_messages, SPEC_UNSET);
	sqlite_bind_service(statement, 9, spec, &text);
	code = statement_run(statement);
	service_text_done(&text);
	return code;
}

int
sqlite_read_server(struct sqlite_engine *engine, struct claimed_job *claimed)
{
	sqlite3_stmt *row = engine->server.prepared[READ];
	struct spec *spec = &claimed->spec;
	int code;

	bind_number(row, 1, claimed->key.job);
	code = sqlite3_step(row);
	if (code == SQLITE_ROW) {
		restart_parse(column_text(row, 0), &spec->restart);
		spec->is_durable = sqlite3_column_int(row, 1) != 0;
		spec->init_timeout_ms = column_number(row, 2, SPEC_UNSET);
		spec->max_redeliveries = column_number(row, 3, SPEC_FOR_EVER);
		if (column_text(row, 4) != NULL)
			claimed->state = xstrdup(column_text(row, 4));
		spec->pool = column_number(row, 5, 0);
		spec->max_messages = column_number(row, 6, SPEC_UNSET);
		spec->is_plain = sqlite_read_service(row, 7, &spec->service);
		if (spec->pool != 0) /* that is a message's */
			spec->timeout_ms = SPEC_UNSET;
	}
	return statement_end(row, code);
}

int
sqlite_read_server_rules(struct sqlite_engine *engine, const struct attempt_key *key,
    struct lifecycle_job *job, int64_t *ret_max_redeliveries)
{
	sqlite3_stmt *row = engine->server.prepared[FIRST];
	sqlite3_stmt *recent = engine->server.prepared[RECENT];
	int64_t first = 1;
	int code;

	bind_number(row, 1, key->job);
	code = sqlite3_step(row);
	if (code == SQLITE_ROW) {
		restart_parse(column_text(row, 0), &job->restart);
		first = sqlite3_column_int64(row, 1);
		*ret_max_redeliveries = column_number(row, 2, SPEC_FOR_EVER);
	}
	code = statement_end(row, code);
	if (code != SQLITE_OK)
		return code;
	job->is_server = true;
	job->is_first_start = job->status != JOB_RUNNING && key->attempt == first;
	bind_number(recent, 1, key->job);
	bind_number(recent, 2, first);
	bind_number(recent, 3, engine->now.ms - RESTART_MAX_SECONDS * 1000);
	bind_number(recent, 4, RESTART_MAX_RESTARTS);
	code = sqlite3_step(recent);
	if (code == SQLITE_ROW)
		job->recent_restarts = sqlite3_column_int64(recent, 0);
	return statement_end(recent, code);
}

/*
 * Its timers and monitors go with it, its tasks are abandoned, and the message that it
 * crashed over is blamed. Whoever watches it is told of each end, also if it comes back; what
 * follows if it does not is sqlite_settle_end()'s.
 */
int
sqlite_end_server(struct sqlite_engine *engine, const struct step *step, struct reason reason,
    int64_t max_redeliveries, bool is_over)
{
	const struct attempt_key *key = &step->ended.key;
	sqlite3_stmt *empty = engine->server.prepared[EMPTY];
	int code = sqlite_forget_timers(engine, key);

	bind_number(empty, 1, key->job); /* what was in memory is gone */
	if (code == SQLITE_OK)
		code = statement_run(empty);
	if (code == SQLITE_OK && !is_over)
		code = sqlite_forget_monitors(engine, key->job, key->attempt);
	if (code == SQLITE_OK && !is_over)
		code = sqlite_tell_monitors(engine, key->job, reason);
	if (code == SQLITE_OK && step->ended.handling != 0 && reason_is_failure(reason))
		code = sqlite_blame_message(
		    engine, key->job, step->ended.handling, max_redeliveries, reason);
	return code;
}

int
sqlite_begin_life(struct sqlite_engine *engine, int64_t job)
{
	sqlite3_stmt *statement = engine->server.prepared[AFRESH];

	bind_number(statement, 1, job);
	return statement_run(statement);
}

int
sqlite_step_ready(struct sqlite_engine *engine, struct step *step)
{
	const struct attempt_key *key = &step->ready.key;
	sqlite3_stmt *statement = engine->server.prepared[READY];
	int code;

	bind_number(statement, 1, key->job);
	bind_number(statement, 2, key->attempt);
	bind_number(statement, 3, key->generation);
	code = statement_run(statement);
	if (code != SQLITE_OK)
		return code;
	if (sqlite3_changes(engine->db.handle) == 0) {
		step->answer = STEP_STALE;
		return SQLITE_OK;
	}
	statement = engine->server.prepared[SAID];
	bind_number(statement, 1, key->job);
	bind_number(statement, 2, step->ready.traps_exit);
	bind_number(statement, 3, step->ready.resumes);
	code = statement_run(statement);
	if (code == SQLITE_OK)
		code = sqlite_write_event(engine, key->job, key->attempt, "ready", NULL);
	return code;
}

int
sqlite_step_gauge(struct sqlite_engine *engine, struct step *step)
{
	const struct attempt_key *key = &step->gauge.key;
	sqlite3_stmt *statement = engine->server.prepared[GAUGE];
	int64_t age_ms = step->gauge.age_ms;
	int code;

	bind_number(statement, 1, key->job);
	bind_number(statement, 2, key->attempt);
	bind_number(statement, 3, key->generation);
	bind_unless(statement, 4, step->gauge.mailbox, -1);
	bind_unless(statement, 5, age_ms >= 0 ? engine->now.ms - age_ms : -1, -1);
	code = statement_run(statement);
	if (code == SQLITE_OK && sqlite3_changes(engine->db.handle) == 0)
		step->answer = STEP_STALE;
	return code;
}
