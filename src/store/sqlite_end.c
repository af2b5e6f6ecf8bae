/*
 * sqlite_end: the end of an attempt. What is known of it is read, the rules
 * (model/lifecycle.h) are asked what it means, and what they say is written: the attempt's
 * row, the history, the job, and whatever hangs on a server or waits for a job. Nothing is
 * decided here.
 */

#include "store/sqlite_engine.h"

#include <inttypes.h>
#include <stdio.h>

enum { READ_ATTEMPT, LOSSES, ENDED, WHOLE_RUN, ORPHAN, COUNT };

static const char *const sql[] = {
	[READ_ATTEMPT] = "SELECT j.status, j.failures, j.max_retries, j.backoff, j.jitter, "
			 "a.stop_reason, a.started_at IS NULL, j.kind = 'server', "
			 "j.kind = 'message', j.timeout_ms "
			 "FROM attempts a "
			 "JOIN jobs j ON j.id = a.job_id WHERE a.job_id = ?1 "
			 "AND a.attempt = ?2 AND a.generation = ?3 AND a.ended_at IS NULL",
	[LOSSES] = "SELECT reason FROM attempts WHERE job_id = ?1 AND attempt < ?2 "
		   "ORDER BY attempt DESC LIMIT 2",
	[ENDED] = "UPDATE attempts SET ended_at = ?3, reason = ?4, exit_code = ?5, "
		  "signal = ?6, core = ?7, run_ms = ?8, user_ms = ?9, system_ms = ?10, "
		  "max_rss_kib = ?11, output_bytes = ?12, output_left_out = ?13, "
		  "last_lines = ?14, children_killed = ?15, pid_start = NULL, "
		  "member = iif(?19, job_id, member), "
		  "started_at = coalesce(started_at, ?16), pid = coalesce(pid, ?17), "
		  "started_event = coalesce(started_event, ?18) "
		  "WHERE job_id = ?1 AND attempt = ?2",
	[WHOLE_RUN] = "INSERT INTO events (at, job_id, attempt, event, detail) VALUES "
		      "(?1, ?2, ?3, 'started', NULL), (?1, ?2, ?3, ?4, ?5)",
	[ORPHAN] = "DELETE FROM attempts WHERE job_id = ?1 AND attempt = ?2 "
		   "AND generation = ?3 AND ended_at IS NULL "
		   "AND NOT EXISTS (SELECT 1 FROM jobs WHERE id = ?1)",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

struct ending {
	struct lifecycle_job job; /* as the rules look at it */
	struct reason stop;	  /* why we have ended it; REASON_NONE: we have not */
	struct reason reason;	  /* … and what counts after all */
	enum job_event event;
	struct lifecycle_verdict verdict;
	bool is_first_told; /* its start was not told before */
	bool is_message;
	int64_t max_redeliveries; /* of a server */
};

int
sqlite_end_prepare(struct sqlite_engine *engine, struct error *error)
{
	return statements_prepare(&engine->end, &engine->db, sql, COUNT, error);
}

/* ---- what is known of it ---- */

/* *ret_is_open: false if it is over already, or never was. */
static int
read_attempt(struct sqlite_engine *engine, struct step *step, struct ending *ending,
    bool *ret_is_open)
{
	sqlite3_stmt *row = engine->end.prepared[READ_ATTEMPT];
	int code;

	sqlite_bind_key(row, &step->ended.key);
	code = sqlite3_step(row);
	*ret_is_open = code == SQLITE_ROW;
	if (code == SQLITE_ROW) {
		sqlite_read_rules(row, &ending->job);
		ending->stop = column_reason(row, 5);
		ending->is_first_told =
		    step->ended.started.pid != 0 && sqlite3_column_int(row, 6);
		ending->job.is_server = sqlite3_column_int(row, 7) != 0;
		ending->is_message = sqlite3_column_int(row, 8) != 0;
		step->ended.ret_timeout_ms = column_number(row, 9, 0);
	}
	return statement_end(row, code);
}

static int
count_losses(struct sqlite_engine *engine, const struct attempt_key *key, int *ret_losses)
{
	sqlite3_stmt *row = engine->end.prepared[LOSSES];
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

static int
look(struct sqlite_engine *engine, const struct step *step, struct ending *ending)
{
	const struct attempt_key *key = &step->ended.key;
	struct lifecycle_job *job = &ending->job;
	int code = SQLITE_OK;

	ending->max_redeliveries = SPEC_FOR_EVER;
	if (job->is_server)
		code = sqlite_read_server_rules(engine, key, job, step->ended.end.run_ms,
		    &ending->max_redeliveries);
	job->supervised.is_blameless = step->ended.had_message ||
	    (step->ended.handling != 0 && ending->max_redeliveries != SPEC_FOR_EVER);
	job->is_final = step->ended.is_final;
	if (ending->stop.kind != REASON_NONE && !job->supervised.is_in_group)
		job->supervised.was_told_to_stop = true;
	ending->reason = final_reason(job, step->ended.end.reason, ending->stop);
	if (code == SQLITE_OK && reason_is_loss(ending->reason))
		code = count_losses(engine, key, &job->losses_in_a_row);
	/* It has run, whether or not anybody said so before. A message ends only if it may have. */
	if (ending->is_first_told || job->is_server || ending->is_message ||
	    ending->reason.kind == REASON_NORMAL)
		job->status = JOB_RUNNING;
	return code;
}

/* ---- what it means ---- */

static void
ask_the_rules(const struct step *step, struct ending *ending)
{
	const struct lifecycle_job *job = &ending->job;

	ending->event = lifecycle_classify_end(job, ending->reason);
	if (lifecycle_decide(job, ending->event, step->ended.random, &ending->verdict) == -1) {
		/* Only a row that was changed behind our back: its end is recorded all the same. */
		ending->verdict = (struct lifecycle_verdict){
			.next = job->status,
			.failures = job->failures,
		};
	}
	/* As if its start had been told by itself: a hold that came too late is over. */
	if (ending->is_first_told)
		ending->verdict.actions |= ACTION_UNHOLD;
}

static bool
is_exhausted(const struct ending *ending)
{
	enum supervision supervision = lifecycle_supervise(&ending->job, ending->reason);

	return ending->job.is_server && (supervision == SUPERVISION_EXHAUSTED ||
					    supervision == SUPERVISION_GIVES_UP);
}

static void
answer(struct step *step, const struct ending *ending)
{
	const struct lifecycle_verdict *verdict = &ending->verdict;

	step->ended.end.reason = ending->reason;
	step->ended.ret_is_server = ending->job.is_server;
	step->ended.ret_counts = (verdict->actions & ACTION_COUNT) != 0;
	step->ended.ret_status = verdict->next;
	step->ended.ret_failures = verdict->failures;
	step->ended.ret_max_retries = ending->job.retry.max_retries;
	step->ended.ret_pause_ms = verdict->pause_ms;
}

/* ---- written ---- */

static int
write_end(struct sqlite_engine *engine, const struct step *step, struct reason reason,
    int64_t started_event)
{
	const struct attempt_end *end = &step->ended.end;
	sqlite3_stmt *statement = engine->end.prepared[ENDED];
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
end_word(const struct ending *ending)
{
	const struct lifecycle_job *job = &ending->job;

	if (ending->event == JOB_STOPPED)
		return "cancelled";
	if (reason_is_loss(ending->reason))
		return "lost";
	if (reason_is_stop(ending->reason))
		return "interrupted";
	if (job->is_server)
		return reason_is_failure(ending->reason) && !job->supervised.was_told_to_stop
		    ? "crashed"
		    : "stopped";
	return ending->event == JOB_SUCCEEDED ? "completed"
	    : job->failures > 0		      ? "retry failed"
					      : "errored";
}

/* Its start too, if that was not told before: *ret_started, else 0. */
static int
write_events(struct sqlite_engine *engine, const struct step *step,
    const struct ending *ending, int64_t *ret_started)
{
	const struct attempt_key *key = &step->ended.key;
	sqlite3_stmt *whole_run = engine->end.prepared[WHOLE_RUN];
	char words[128];
	const char *detail;
	int code;

	reason_words(words, sizeof(words), ending->reason, 0);
	detail = words[0] == '\0' || ending->event == JOB_STOPPED ? NULL : words;
	*ret_started = 0;
	if (ending->is_first_told) {
		code = sqlite_run_event(engine, whole_run, key->job, key->attempt,
		    end_word(ending), detail);
		*ret_started = sqlite3_last_insert_rowid(engine->db.handle) - 1;
	} else
		code = sqlite_write_event(
		    engine, key->job, key->attempt, end_word(ending), detail);
	if (code == SQLITE_OK && step->ended.end.children_killed > 0) {
		snprintf(words, sizeof(words), "%" PRId64 " left running",
		    step->ended.end.children_killed);
		code = sqlite_write_event(
		    engine, key->job, key->attempt, "children killed", words);
	}
	if (code == SQLITE_OK && ending->verdict.next == JOB_FAILED)
		code = sqlite_write_event(engine, key->job, key->attempt, "failed", NULL);
	return code;
}

/* What the end of a server's process means beyond its own job. */
static int
end_server(struct sqlite_engine *engine, const struct step *step, const struct ending *ending)
{
	const struct lifecycle_job *job = &ending->job;
	enum supervision verdict = lifecycle_supervise(job, ending->reason);
	int64_t id = step->ended.key.job;
	bool is_over = (ending->verdict.actions & ACTION_END) != 0;
	/* Nothing is kept of a child that was never there, nor of a temporary one. */
	bool is_forgotten = (job->supervised.restart == RESTART_TEMPORARY && is_over) ||
	    (verdict == SUPERVISION_STAYS_DOWN && job->supervised.is_first_start &&
		step->ended.key.attempt == 1 && ending->reason.kind != REASON_IGNORE);
	int code = sqlite_end_server(
	    engine, step, ending->reason, ending->max_redeliveries, is_over);

	if (code == SQLITE_OK && job->has_delay && supervision_is_restart(verdict))
		code = sqlite_set_in_a_row(engine, id, job->restarts_in_a_row);
	if (code == SQLITE_OK && supervision_is_restart(verdict) && job->supervised.is_blameless)
		return code; /* it costs nothing */
	if (code == SQLITE_OK && job->supervised.was_told_to_stop && !is_over)
		code = sqlite_ask_stop(engine, id, false);
	if (code == SQLITE_OK && (verdict != SUPERVISION_COUNT || is_forgotten))
		code = sqlite_server_ended(engine, id, verdict, is_forgotten, ending->reason);
	return code;
}

static int
record(struct sqlite_engine *engine, const struct step *step, const struct ending *ending)
{
	int64_t job = step->ended.key.job, started_event;
	int code = write_events(engine, step, ending, &started_event);

	if (code == SQLITE_OK)
		code = write_end(engine, step, ending->reason, started_event);
	if (code == SQLITE_OK)
		code = sqlite_apply(engine, job, &ending->verdict, step->ended.age_ms,
		    is_exhausted(ending) ? "max_restarts" : NULL, NULL);
	if (code == SQLITE_OK && ending->job.is_server)
		code = end_server(engine, step, ending);
	if (code == SQLITE_OK && (ending->verdict.actions & ACTION_END))
		return sqlite_settle_end(engine, job, ending->verdict.next, ending->reason);
	return code == SQLITE_OK ? sqlite_supervise_job(engine, job) : code;
}

/* No open attempt of this key; or one whose job is gone, which has ended with that. */
static int
end_stale(struct sqlite_engine *engine, struct step *step)
{
	sqlite3_stmt *orphan = engine->end.prepared[ORPHAN];

	step->answer = STEP_STALE;
	sqlite_bind_key(orphan, &step->ended.key);
	return statement_run(orphan);
}

int
sqlite_step_ended(struct sqlite_engine *engine, struct step *step)
{
	struct ending ending;
	bool is_open;
	int code = read_attempt(engine, step, &ending, &is_open);

	if (code == SQLITE_OK && !is_open)
		return end_stale(engine, step);
	if (code == SQLITE_OK)
		code = look(engine, step, &ending);
	if (code != SQLITE_OK)
		return code;
	ask_the_rules(step, &ending);
	answer(step, &ending);
	return record(engine, step, &ending);
}
