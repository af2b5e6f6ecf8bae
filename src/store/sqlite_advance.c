/*
 * sqlite_advance: an attempt has started, or is to end; and what is common to all that happens
 * to jobs: reading what the rules (model/lifecycle.h) look at, and writing what they say. How an
 * attempt ends is in sqlite_end.c.
 */

#include "store/sqlite_engine.h"

enum { READ_JOB, STARTED, STARTED_EVENT, RUNNING, STOPPING, APPLY, EVENT, COUNT };

static const char *const sql[] = {
	[READ_JOB] = "SELECT status, failures, max_retries, backoff, jitter FROM jobs "
		     "WHERE id = ?1",
	[STARTED] = "UPDATE attempts SET started_at = ?4, pid = ?5, pid_start = ?6 "
		    "WHERE job_id = ?1 AND attempt = ?2 AND generation = ?3 "
		    "AND started_at IS NULL AND ended_at IS NULL",
	[STARTED_EVENT] = "UPDATE attempts SET started_event = ?4 WHERE job_id = ?1 "
			  "AND attempt = ?2 AND generation = ?3",
	/* A server runs when its init has answered. */
	[RUNNING] = "UPDATE jobs SET status = iif(kind = 'server', status, 'running'), "
		    "hold = NULL WHERE id = ?1 AND " JOB_WAITS(""),
	/*
	 * The first wish to end it counts, but a cancel is more than any other, and a shutdown
	 * that has words of its own more than that by its supervisor.
	 */
	[STOPPING] = "UPDATE attempts SET stop_at = coalesce(stop_at, ?5), stop_reason = "
		     "CASE WHEN ?4 = 'cancelled' OR (stop_reason = 'shutdown' AND "
		     "?4 GLOB 'shutdown:*') THEN ?4 ELSE coalesce(stop_reason, ?4) END "
		     "WHERE job_id = ?1 AND attempt = ?2 AND generation = ?3 "
		     "AND ended_at IS NULL",
	[APPLY] = "UPDATE jobs SET status = ?2, failures = ?3, wake_at = ?4, "
		  "wake_boot_ms = ?5, wake_boot_id = ?6, ended_at = ?7, reason = ?8, "
		  "detail = ?9, hold = CASE WHEN ?7 IS NULL AND NOT ?10 THEN hold END "
		  "WHERE id = ?1",
	[EVENT] = "INSERT INTO events (at, job_id, attempt, event, detail) "
		  "VALUES (?1, ?2, ?3, ?4, ?5)",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_advance_prepare(struct sqlite_engine *engine, struct error *error)
{
	return statements_prepare(&engine->advance, &engine->db, sql, COUNT, error);
}

void
sqlite_bind_key(sqlite3_stmt *statement, const struct attempt_key *key)
{
	bind_number(statement, 1, key->job);
	bind_number(statement, 2, key->attempt);
	bind_number(statement, 3, key->generation);
}

static sqlite3_stmt *
with_key(struct sqlite_engine *engine, int statement, const struct attempt_key *key)
{
	sqlite3_stmt *prepared = engine->advance.prepared[statement];

	sqlite_bind_key(prepared, key);
	return prepared;
}

void
sqlite_read_rules(sqlite3_stmt *row, struct lifecycle_job *job)
{
	const char *backoff = column_text(row, 3);

	*job = (struct lifecycle_job){
		.failures = sqlite3_column_int64(row, 1),
		.retry = retry_default,
	};
	job_status_parse(column_text(row, 0), &job->status);
	if (backoff != NULL)
		retry_parse_backoff(backoff, &job->retry); /* a foreign word never gets to run */
	job->retry.max_retries = column_number(row, 2, RETRY_FOR_EVER);
	job->retry.jitter_percent = (int)column_number(row, 4, 0);
}

int
sqlite_run_event(struct sqlite_engine *engine, sqlite3_stmt *statement, int64_t job,
    int64_t attempt, const char *event, const char *detail)
{
	bind_number(statement, 1, engine->now.ms);
	bind_unless(statement, 2, job, 0);
	bind_unless(statement, 3, attempt, 0);
	bind_text(statement, 4, event);
	bind_text(statement, 5, detail);
	return statement_run(statement);
}

int
sqlite_write_event(struct sqlite_engine *engine, int64_t job, int64_t attempt,
    const char *event, const char *detail)
{
	return sqlite_run_event(
	    engine, engine->advance.prepared[EVENT], job, attempt, event, detail);
}

int
sqlite_apply(struct sqlite_engine *engine, int64_t job,
    const struct lifecycle_verdict *verdict, int64_t age_ms, const char *reason,
    const char *detail)
{
	sqlite3_stmt *statement = engine->advance.prepared[APPLY];
	bool is_paused = (verdict->actions & ACTION_PAUSE) != 0;
	int64_t pause_ms = verdict->pause_ms - age_ms;

	bind_number(statement, 1, job);
	bind_text(statement, 2, job_status_name(verdict->next));
	bind_number(statement, 3, verdict->failures);
	bind_unless(statement, 4, is_paused ? engine->now.ms + pause_ms : -1, -1);
	bind_unless(statement, 5, is_paused ? engine->boot_now.ms + pause_ms : -1, -1);
	bind_text(statement, 6, is_paused ? engine->boot_id : NULL);
	bind_unless(statement, 7,
	    verdict->actions & ACTION_END ? engine->now.ms - age_ms : -1, -1);
	bind_text(statement, 8, reason);
	bind_text(statement, 9, detail);
	bind_number(statement, 10, (verdict->actions & ACTION_UNHOLD) != 0);
	return statement_run(statement);
}

int
sqlite_read_job(struct sqlite_engine *engine, int64_t job, struct lifecycle_job *ret_job,
    bool *ret_found)
{
	sqlite3_stmt *row = engine->advance.prepared[READ_JOB];
	int code;

	bind_number(row, 1, job);
	code = sqlite3_step(row);
	*ret_found = code == SQLITE_ROW;
	if (*ret_found)
		sqlite_read_rules(row, ret_job);
	return statement_end(row, code);
}

int
sqlite_stop_attempt(struct sqlite_engine *engine, const struct attempt_key *key,
    struct reason reason)
{
	sqlite3_stmt *statement = with_key(engine, STOPPING, key);
	char text[REASON_TEXT_SIZE];

	bind_text(statement, 4, reason_format(text, reason));
	bind_number(statement, 5, engine->now.ms);
	return statement_run(statement);
}

/* ---- attempts ---- */

/* The event of an attempt's start, which its row is to name. */
static int
write_start_event(struct sqlite_engine *engine, const struct attempt_key *key)
{
	int code = sqlite_write_event(engine, key->job, key->attempt, "started", NULL);
	sqlite3_stmt *statement = with_key(engine, STARTED_EVENT, key);

	bind_number(statement, 4, sqlite3_last_insert_rowid(engine->db.handle));
	return code == SQLITE_OK ? statement_run(statement) : code;
}

int
sqlite_step_started(struct sqlite_engine *engine, struct step *step)
{
	const struct attempt_key *key = &step->started.key;
	sqlite3_stmt *statement = with_key(engine, STARTED, key);
	int code;

	bind_number(statement, 4, engine->now.ms - step->started.age_ms);
	bind_number(statement, 5, step->started.pid);
	bind_number(statement, 6, step->started.pid_start);
	code = statement_run(statement);
	if (code != SQLITE_OK)
		return code;
	if (sqlite3_changes(engine->db.handle) == 0) {
		step->answer = STEP_STALE;
		return SQLITE_OK;
	}
	bind_number(engine->advance.prepared[RUNNING], 1, key->job);
	code = statement_run(engine->advance.prepared[RUNNING]);
	return code == SQLITE_OK ? write_start_event(engine, key) : code;
}

/* By people, or by servers: neither we, nor a time-out. */
static bool
is_asked_for(struct reason reason)
{
	return !reason_is_stop(reason) && reason.kind != REASON_TIMEOUT;
}

int
sqlite_step_stopping(struct sqlite_engine *engine, struct step *step)
{
	sqlite3_stmt *statement = with_key(engine, STOPPING, &step->stopping.key);
	char reason[REASON_TEXT_SIZE];
	int code;

	bind_text(statement, 4, reason_format(reason, step->stopping.reason));
	bind_number(statement, 5, engine->now.ms);
	code = statement_run(statement);
	if (code != SQLITE_OK)
		return code;
	if (sqlite3_changes(engine->db.handle) == 0)
		step->answer = STEP_STALE;
	else if (is_asked_for(step->stopping.reason))
		code = sqlite_ask_stop(engine, step->stopping.key.job, true);
	return code;
}
