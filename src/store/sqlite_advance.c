/*
 * sqlite_advance: what happens to attempts and, through them, to jobs. It reads the row,
 * asks the rules (model/lifecycle.h), and writes what they say; it decides nothing itself.
 */

#include "base/xalloc.h"
#include "store/sqlite_engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	READ_ATTEMPT, READ_JOB, LOSSES, STARTED, STARTED_EVENT, RUNNING, STOPPING, ENDED, APPLY,
	EVENT, WHOLE_RUN, ORPHAN, COUNT
};

static const char *const sql[] = {
	[READ_ATTEMPT] = "SELECT j.status, j.failures, j.max_retries, j.backoff, j.jitter, "
			 "a.stop_reason, a.started_at IS NULL, j.kind = 'server', "
			 "j.kind = 'message', j.timeout_ms "
			 "FROM attempts a "
			 "JOIN jobs j ON j.id = a.job_id WHERE a.job_id = ?1 "
			 "AND a.attempt = ?2 AND a.generation = ?3 AND a.ended_at IS NULL",
	[READ_JOB] = "SELECT status, failures, max_retries, backoff, jitter FROM jobs "
		     "WHERE id = ?1",
	[LOSSES] = "SELECT reason FROM attempts WHERE job_id = ?1 AND attempt < ?2 "
		   "ORDER BY attempt DESC LIMIT 2",
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
	[ENDED] = "UPDATE attempts SET ended_at = ?3, reason = ?4, exit_code = ?5, "
		  "signal = ?6, core = ?7, run_ms = ?8, user_ms = ?9, system_ms = ?10, "
		  "max_rss_kib = ?11, output_bytes = ?12, output_left_out = ?13, "
		  "last_lines = ?14, children_killed = ?15, pid_start = NULL, "
		  "member = iif(?19, job_id, member), "
		  "started_at = coalesce(started_at, ?16), pid = coalesce(pid, ?17), "
		  "started_event = coalesce(started_event, ?18) "
		  "WHERE job_id = ?1 AND attempt = ?2",
	[APPLY] = "UPDATE jobs SET status = ?2, failures = ?3, wake_at = ?4, "
		  "wake_boot_ms = ?5, wake_boot_id = ?6, ended_at = ?7, reason = ?8, "
		  "detail = ?9, hold = CASE WHEN ?7 IS NULL AND NOT ?10 THEN hold END "
		  "WHERE id = ?1",
	[EVENT] = "INSERT INTO events (at, job_id, attempt, event, detail) "
		  "VALUES (?1, ?2, ?3, ?4, ?5)",
	[WHOLE_RUN] = "INSERT INTO events (at, job_id, attempt, event, detail) VALUES "
		      "(?1, ?2, ?3, 'started', NULL), (?1, ?2, ?3, ?4, ?5)",
	[ORPHAN] = "DELETE FROM attempts WHERE job_id = ?1 AND attempt = ?2 "
		   "AND generation = ?3 AND ended_at IS NULL "
		   "AND NOT EXISTS (SELECT 1 FROM jobs WHERE id = ?1)",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_advance_prepare(struct sqlite_engine *engine, struct error *error)
{
	return statements_prepare(&engine->advance, &engine->db, sql, COUNT, error);
}

static sqlite3_stmt *
with_key(struct sqlite_engine *engine, int statement, const struct attempt_key *key)
{
	sqlite3_stmt *prepared = engine->advance.prepared[statement];

	bind_number(prepared, 1, key->job);
	bind_number(prepared, 2, key->attempt);
	bind_number(prepared, 3, key->generation);
	return prepared;
}

/* The five columns that the rules look at, from the first column on. */
static void
read_rules(sqlite3_stmt *row, struct lifecycle_job *job)
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

static int
write_event(struct sqlite_engine *engine, int which, int64_t job, int64_t attempt,
    const char *event, const char *detail)
{
	sqlite3_stmt *statement = engine->advance.prepared[which];

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
	return write_event(engine, EVENT, job, attempt, event, detail);
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
		read_rules(row, ret_job);
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

static int
count_losses(struct sqlite_engine *engine, const struct attempt_key *key, int *ret_losses)
{
	sqlite3_stmt *row = engine->advance.prepared[LOSSES];
	int code;

	bind_number(row, 1, key->job);
	bind_number(row, 2, key->attempt);
	*ret_losses = 0;
	while ((code = sqlite3_step(row)) == SQLITE_ROW) {
		if (!reason_is_loss(column_reason(row, 0)))
			break;
		++*ret_losses;
	}
	return statement_end(row, code);
}

static int
write_end(struct sqlite_engine *engine, const struct step *step, struct reason reason,
    int64_t started_event)
{
	const struct attempt_end *end = &step->ended.end;
	sqlite3_stmt *statement = engine->advance.prepared[ENDED];
	char text[REASON_TEXT_SIZE];
	bool is_loss = reason_is_loss(reason);

	bind_number(statement, 1, step->ended.key.job);
	bind_number(statement, 2, step->ended.key.attempt);
	bind_number(statement, 3, engine->now.ms - step->ended.age_ms);
	bind_text(statement, 4, reason_format(text, reason));
	bind_unless(statement, 5, is_loss ? -1 : end->exit_code, -1);
	bind_unless(statement, 6, is_loss ? 0 : end->signal, 0);
	bind_unless(statement, 7, end->core, 0);
	bind_unless(statement, 8, end->run_ms, -1);
	bind_unless(statement, 9, end->user_ms, -1);
	bind_unless(statement, 10, end->system_ms, -1);
	bind_unless(statement, 11, end->max_rss_kib, -1);
	bind_unless(statement, 12, end->output_bytes, 0);
	bind_unless(statement, 13, end->output_left_out, 0);
	bind_text(statement, 14, end->last_lines);
	bind_unless(statement, 15, end->children_killed, 0);
	bind_unless(statement, 16,
	    step->ended.started.pid != 0 ? engine->now.ms - step->ended.started.age_ms : -1, -1);
	bind_unless(statement, 17, step->ended.started.pid, 0);
	bind_unless(statement, 18, started_event, 0);
	bind_number(statement, 19, step->ended.had_message);
	return statement_run(statement);
}

/* The word of the history for the end of a run. */
static const char *
end_word(const struct lifecycle_job *job, enum job_event event, struct reason reason)
{
	if (event == JOB_STOPPED)
		return "cancelled";
	if (reason_is_loss(reason))
		return "lost";
	if (reason_is_stop(reason))
		return "interrupted";
	if (job->is_server)
		return reason_is_failure(reason) && !job->supervised.was_told_to_stop
		    ? "crashed"
		    : "stopped";
	return event == JOB_SUCCEEDED ? "completed"
	    : job->failures > 0	      ? "retry failed"
				      : "errored";
}

/* Its start too, if that was not told before: *ret_started, else 0. */
static int
write_end_events(struct sqlite_engine *engine, const struct step *step,
    enum job_event event, struct reason reason, const struct lifecycle_job *job, bool starts,
    int64_t *ret_started)
{
	const struct attempt_key *key = &step->ended.key;
	char words[128];
	const char *word = end_word(job, event, reason);
	int code;

	reason_words(words, sizeof(words), reason, 0);
	code = write_event(engine, starts ? WHOLE_RUN : EVENT, key->job, key->attempt, word,
	    words[0] == '\0' || event == JOB_STOPPED ? NULL : words);
	*ret_started = starts ? sqlite3_last_insert_rowid(engine->db.handle) - 1 : 0;
	if (code == SQLITE_OK && step->ended.end.children_killed > 0) {
		snprintf(words, sizeof(words), "%" PRId64 " left running",
		    step->ended.end.children_killed);
		code = sqlite_write_event(
		    engine, key->job, key->attempt, "children killed", words);
	}
	if (code == SQLITE_OK && step->ended.ret_status == JOB_FAILED)
		code = sqlite_write_event(engine, key->job, key->attempt, "failed", NULL);
	return code;
}

/*
 * stop_reason decides the result of a process that we ended, whatever its status was; only
 * a success in spite of a stop of ours is a success. A cancelled job does not come back
 * because we do not know how its process ended.
 */
static struct reason
final_reason(const struct lifecycle_job *job, struct reason seen, struct reason stop)
{
	if (stop.kind == REASON_CANCELLED)
		return stop;
	/* A server that was asked to end with a reason has, unless it crashed over it. */
	if (job->is_server && (reason_is_stop(stop) || stop.kind == REASON_TIMEOUT))
		return stop;
	if (job->is_server && stop.kind != REASON_NONE)
		return reason_is_failure(seen) || reason_is_loss(seen) ? seen : stop;
	if (stop.kind == REASON_NONE || reason_is_loss(seen) || seen.kind == REASON_NORMAL)
		return seen;
	return stop;
}

/* What the end of a server's process means beyond its own job. */
static int
end_server(struct sqlite_engine *engine, const struct step *step,
    const struct lifecycle_job *job, struct reason reason, int64_t max_redeliveries,
    bool is_over)
{
	enum supervision verdict = lifecycle_supervise(job, reason);
	int64_t id = step->ended.key.job;
	/* Nothing is kept of a child that was never there, nor of a temporary one. */
	bool is_forgotten = (job->supervised.restart == RESTART_TEMPORARY && is_over) ||
	    (verdict == SUPERVISION_STAYS_DOWN && job->supervised.is_first_start &&
		step->ended.key.attempt == 1 && reason.kind != REASON_IGNORE);
	int code = sqlite_end_server(engine, step, reason, max_redeliveries, is_over);

	if (code == SQLITE_OK && job->has_delay && supervision_is_restart(verdict))
		code = sqlite_set_in_a_row(engine, id, job->restarts_in_a_row);
	if (code == SQLITE_OK && supervision_is_restart(verdict) && job->supervised.is_blameless)
		return code; /* it costs nothing */
	if (code == SQLITE_OK && job->supervised.was_told_to_stop && !is_over)
		code = sqlite_ask_stop(engine, id, false);
	if (code == SQLITE_OK && (verdict != SUPERVISION_COUNT || is_forgotten))
		code = sqlite_server_ended(engine, id, verdict, is_forgotten, reason);
	return code;
}

/* No open attempt of this key; or one whose job is gone, which has ended with that. */
static int
end_stale(struct sqlite_engine *engine, struct step *step)
{
	step->answer = STEP_STALE;
	return statement_run(with_key(engine, ORPHAN, &step->ended.key));
}

int
sqlite_step_ended(struct sqlite_engine *engine, struct step *step)
{
	const struct attempt_key *key = &step->ended.key;
	sqlite3_stmt *row = with_key(engine, READ_ATTEMPT, key);
	struct lifecycle_job job;
	struct lifecycle_verdict verdict;
	struct reason reason = step->ended.end.reason, stop;
	enum job_event event;
	int64_t max_redeliveries = SPEC_FOR_EVER, started_event;
	enum supervision supervision;
	bool starts, is_server, is_message, is_exhausted;
	int code = sqlite3_step(row);

	if (code != SQLITE_ROW) {
		code = statement_end(row, code);
		return code == SQLITE_OK ? end_stale(engine, step) : code;
	}
	read_rules(row, &job);
	stop = column_reason(row, 5);
	starts = step->ended.started.pid != 0 && sqlite3_column_int(row, 6);
	is_server = sqlite3_column_int(row, 7) != 0;
	is_message = sqlite3_column_int(row, 8) != 0; /* it ends only if it may have run */
	step->ended.ret_timeout_ms = column_number(row, 9, 0);
	code = statement_end(row, code);
	if (code == SQLITE_OK && is_server)
		code = sqlite_read_server_rules(
		    engine, key, &job, step->ended.end.run_ms, &max_redeliveries);
	job.supervised.is_blameless = step->ended.had_message ||
	    (step->ended.handling != 0 && max_redeliveries != SPEC_FOR_EVER);
	job.is_final = step->ended.is_final;
	if (stop.kind != REASON_NONE && !job.supervised.is_in_group)
		job.supervised.was_told_to_stop = true;
	reason = final_reason(&job, reason, stop);
	if (code == SQLITE_OK && reason_is_loss(reason))
		code = count_losses(engine, key, &job.losses_in_a_row);
	if (code != SQLITE_OK)
		return code;
	/* It has run, whether or not anybody said so before. */
	if (starts || is_server || is_message || reason.kind == REASON_NORMAL)
		job.status = JOB_RUNNING;
	event = lifecycle_classify_end(&job, reason);
	supervision = lifecycle_supervise(&job, reason);
	is_exhausted = is_server && (supervision == SUPERVISION_EXHAUSTED ||
					supervision == SUPERVISION_GIVES_UP);
	if (lifecycle_decide(&job, event, step->ended.random, &verdict) == -1) {
		/* Only a row that was changed behind our back: its end is recorded all the same. */
		verdict = (struct lifecycle_verdict){ .next = job.status,
			.failures = job.failures };
	}
	/* As if its start had been told by itself: a hold that came too late is over. */
	if (starts)
		verdict.actions |= ACTION_UNHOLD;
	step->ended.end.reason = reason;
	step->ended.ret_is_server = is_server;
	step->ended.ret_counts = (verdict.actions & ACTION_COUNT) != 0;
	step->ended.ret_status = verdict.next;
	step->ended.ret_failures = verdict.failures;
	step->ended.ret_max_retries = job.retry.max_retries;
	step->ended.ret_pause_ms = verdict.pause_ms;
	code = write_end_events(engine, step, event, reason, &job, starts, &started_event);
	if (code == SQLITE_OK)
		code = write_end(engine, step, reason, started_event);
	if (code == SQLITE_OK)
		code = sqlite_apply(engine, key->job, &verdict, step->ended.age_ms,
		    is_exhausted ? "max_restarts" : NULL, NULL);
	if (code == SQLITE_OK && is_server)
		code = end_server(engine, step, &job, reason, max_redeliveries,
		    (verdict.actions & ACTION_END) != 0);
	if (code == SQLITE_OK && (verdict.actions & ACTION_END))
		return sqlite_settle_end(engine, key->job, verdict.next, reason);
	return code == SQLITE_OK ? sqlite_supervise_job(engine, key->job) : code;
}
