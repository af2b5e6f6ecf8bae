/*
 * sqlite_other: the steps around jobs: generations, timers, notes and look-ups.
 */

#include "base/xalloc.h"
#include "store/sqlite_engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAKE_AT_ONCE 1000 /* timers that fire in one turn; the rest in the next */

enum {
	END_GENERATION, END_GENERATIONS, INSERT_GENERATION, TO_THIS_BOOT, AFTER_STEP,
	OPEN, PROGRESS, RESULT, IS_RUNNING, WAKE_BOOT, WAKE_WALL, NEXT_BOOT, NEXT_WALL,
	LOOKUP, BY_NAME, REMAINING, COUNT
};

static const char *const sql[] = {
	[END_GENERATION] = "UPDATE generations SET ended_at = ?1, end_reason = ?2 WHERE id = ?3",
	[END_GENERATIONS] = "UPDATE generations SET ended_at = ?1, end_reason = 'lost' "
			    "WHERE ended_at IS NULL",
	[INSERT_GENERATION] = "INSERT INTO generations (boot_id, pid, version, started_at) "
			      "VALUES (?1, ?2, ?3, ?4)",
	[TO_THIS_BOOT] = "UPDATE jobs SET wake_boot_ms = ?1 + wake_at - ?2, wake_boot_id = ?3 "
			 "WHERE wake_boot_ms IS NOT NULL AND " JOB_WAITS("") " "
			 "AND wake_boot_id <> ?3",
	[AFTER_STEP] = "UPDATE jobs SET wake_at = max(?2 + wake_boot_ms - ?1, 0) "
		       "WHERE wake_boot_ms IS NOT NULL AND " JOB_WAITS(""),
	[OPEN] = "SELECT a.job_id, a.attempt, a.generation, a.started_at, a.pid, a.pid_start, "
		 "a.claimed_at, a.stop_reason, g.boot_id, j.supervisor, j.timeout_ms, "
		 "j.grace_ms, j.max_output, j.leave_children, j.name, j.status, s.durable, "
		 "s.trap_exit, s.resumes, s.pool, s.max_messages, j.kind = 'message', a.member, "
		 "j.max_retries = 0, iif(j.kind = 'message', json_extract(j.command, '$[1]'), "
		 "NULL), EXISTS (SELECT 1 FROM keys WHERE job_id = a.job_id), s.position, "
		 "j.log_rotate, s.init_timeout_ms, " SERVICE_COLUMNS("s.") " FROM attempts a "
		 "JOIN generations g ON g.id = a.generation "
		 "LEFT JOIN jobs j ON j.id = a.job_id "
		 "LEFT JOIN servers s ON s.job_id = a.job_id WHERE a.ended_at IS NULL",
	[PROGRESS] = "UPDATE jobs SET progress = coalesce(?2, progress), progress_text = ?3 "
		     "WHERE id = ?1",
	[RESULT] = "UPDATE jobs SET result = ?2 WHERE id = ?1",
	[IS_RUNNING] = "SELECT 1 FROM attempts WHERE job_id = ?1 AND attempt = ?2 "
		       "AND generation = ?3 AND ended_at IS NULL",
	[WAKE_BOOT] = "UPDATE jobs SET wake_at = NULL, wake_boot_ms = NULL, "
		      "wake_boot_id = NULL WHERE id IN (SELECT id FROM jobs "
		      "WHERE wake_boot_ms IS NOT NULL AND " JOB_WAITS("") " "
		      "AND wake_boot_ms <= ?1 ORDER BY wake_boot_ms LIMIT ?2)",
	[WAKE_WALL] = "UPDATE jobs SET wake_at = NULL WHERE id IN (SELECT id FROM jobs "
		      "WHERE wake_at IS NOT NULL AND wake_boot_ms IS NULL "
		      "AND " JOB_WAITS("") " AND wake_at <= ?1 "
		      "ORDER BY wake_at LIMIT ?2)",
	[NEXT_BOOT] = "SELECT min(wake_boot_ms) FROM jobs WHERE wake_boot_ms IS NOT NULL "
		      "AND " JOB_WAITS(""),
	[NEXT_WALL] = "SELECT min(wake_at) FROM jobs WHERE wake_at IS NOT NULL "
		      "AND wake_boot_ms IS NULL AND " JOB_WAITS(""),
	[LOOKUP] = "SELECT j.status, coalesce(j.reason, (SELECT a.reason FROM attempts a "
		   "WHERE a.job_id = j.id ORDER BY a.attempt DESC LIMIT 1)), j.timeout_ms, "
		   "EXISTS (SELECT 1 FROM attempts o WHERE o.job_id = j.id "
		   "AND o.ended_at IS NULL), j.kind = 'server', j.result, "
		   "EXISTS (SELECT 1 FROM servers s WHERE s.job_id = j.id AND s.plain), "
		   "(SELECT a.reason FROM attempts a WHERE a.job_id = j.id "
		   "ORDER BY a.attempt DESC LIMIT 1), j.ended_at FROM jobs j WHERE j.id = ?1",
	[BY_NAME] = "SELECT id FROM jobs WHERE name = ?1 AND name IS NOT NULL ORDER BY "
		    JOB_IS_LIVE("") " DESC, ended_at DESC, id DESC "
		    "LIMIT 1",
	[REMAINING] = "SELECT count(*) FILTER (WHERE hold IS NULL AND (status <> 'new' "
		      "OR wake_at IS NULL)), "
		      "count(*) FILTER (WHERE hold IS NULL AND status = 'new' "
		      "AND wake_at IS NOT NULL), count(*) FILTER (WHERE hold IS NOT NULL) "
		      "FROM jobs WHERE " JOB_IS_LIVE(""),
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_other_prepare(struct sqlite_engine *engine, struct error *error)
{
	return statements_prepare(&engine->other, &engine->db, sql, COUNT, error);
}

static int
end_generation(struct sqlite_engine *engine, const char *reason)
{
	sqlite3_stmt *statement = engine->other.prepared[END_GENERATION];

	bind_number(statement, 1, engine->now.ms);
	bind_text(statement, 2, reason);
	bind_number(statement, 3, engine->generation);
	return statement_run(statement);
}

int
sqlite_step_generation(struct sqlite_engine *engine, struct step *step)
{
	sqlite3_stmt *end = engine->other.prepared[END_GENERATIONS];
	sqlite3_stmt *insert = engine->other.prepared[INSERT_GENERATION];
	sqlite3_stmt *to_this_boot = engine->other.prepared[TO_THIS_BOOT];
	int code;

	if (step->generation.end_reason != NULL)
		return end_generation(engine, step->generation.end_reason);
	bind_number(end, 1, engine->now.ms);
	code = statement_run(end);
	if (code != SQLITE_OK)
		return code;
	bind_text(insert, 1, engine->boot_id);
	bind_number(insert, 2, step->generation.pid);
	bind_text(insert, 3, step->generation.version);
	bind_number(insert, 4, engine->now.ms);
	code = statement_run(insert);
	engine->generation = sqlite3_last_insert_rowid(engine->db.handle);
	step->generation.ret_generation = engine->generation;
	if (code != SQLITE_OK)
		return code;
	/* After a reboot a delay counts by the wall clock, from where that stands now. */
	bind_number(to_this_boot, 1, engine->boot_now.ms);
	bind_number(to_this_boot, 2, engine->now.ms);
	bind_text(to_this_boot, 3, engine->boot_id);
	code = statement_run(to_this_boot);
	if (code == SQLITE_OK)
		code = sqlite_timers_to_this_boot(engine);
	return code == SQLITE_OK ? sqlite_find_forgotten(engine) : code;
}

static void
read_open_attempt(const struct sqlite_engine *engine, sqlite3_stmt *row,
    struct open_attempt *attempt)
{
	const char *boot_id = column_text(row, 8), *supervisor = column_text(row, 9);
	const char *name = column_text(row, 14), *status = column_text(row, 15);
	int64_t since = column_number(row, 3, column_number(row, 6, engine->now.ms));

	*attempt = (struct open_attempt){
		.key = { sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1),
		    sqlite3_column_int64(row, 2) },
		.is_started = sqlite3_column_type(row, 3) != SQLITE_NULL,
		.has_vanished = supervisor == NULL,
		.pid = column_number(row, 4, 0),
		.pid_start = column_number(row, 5, 0),
		.is_same_boot = boot_id != NULL && strcmp(boot_id, engine->boot_id) == 0,
		.age_ms = engine->now.ms > since ? engine->now.ms - since : 0,
		.stop = column_reason(row, 7),
		.timeout_ms = column_number(row, 10, SPEC_UNSET),
		.grace_ms = column_number(row, 11,
		    sqlite3_column_type(row, 16) != SQLITE_NULL ? SPEC_SERVER_GRACE_MS
								: SPEC_DEFAULT_GRACE_MS),
		.max_output = column_number(row, 12, SPEC_DEFAULT_MAX_OUTPUT),
		.leaves_children = column_number(row, 13, 0) != 0,
		.is_server = sqlite3_column_type(row, 16) != SQLITE_NULL,
		.is_durable = sqlite3_column_int(row, 16) != 0,
		.traps_exit = sqlite3_column_int(row, 17) != 0,
		.resumes = sqlite3_column_int(row, 18) != 0,
		.is_ready = status != NULL && strcmp(status, "running") == 0,
		.pool = column_number(row, 19, 0),
		.max_messages = column_number(row, 20, SPEC_UNSET),
		.is_message = sqlite3_column_int(row, 21) != 0,
		.member = column_number(row, 22, 0),
		.runs_once = sqlite3_column_int(row, 23) != 0,
		.message = column_text(row, 24) != NULL ? xstrdup(column_text(row, 24)) : NULL,
		.has_key = sqlite3_column_int(row, 25) != 0,
		.position = column_number(row, 26, 0),
		.init_timeout_ms = column_number(row, 28, SPEC_UNSET),
	};
	if (column_text(row, 27) != NULL)
		rotation_parse(column_text(row, 27), &attempt->log_rotate);
	attempt->is_plain = sqlite_read_service(row, 29, &attempt->service);
	snprintf(attempt->name, sizeof(attempt->name), "%s", name != NULL ? name : "");
	snprintf(attempt->supervisor, sizeof(attempt->supervisor), "%s",
	    supervisor != NULL ? supervisor : "");
}

int
sqlite_step_open(struct sqlite_engine *engine, struct step *step)
{
	sqlite3_stmt *row = engine->other.prepared[OPEN];
	size_t room = 0;
	int code;

	while ((code = sqlite3_step(row)) == SQLITE_ROW) {
		if (step->open.ret_count == room) {
			room = room > 0 ? 2 * room : 16;
			step->open.ret_attempts = xreallocarray(step->open.ret_attempts, room,
			    sizeof(step->open.ret_attempts[0]));
		}
		read_open_attempt(
		    engine, row, &step->open.ret_attempts[step->open.ret_count++]);
	}
	return statement_end(row, code);
}

static int
write_progress(struct sqlite_engine *engine, const struct step *step)
{
	sqlite3_stmt *statement = engine->other.prepared[PROGRESS];

	bind_number(statement, 1, step->note.key.job);
	if (step->note.fraction >= 0)
		sqlite3_bind_double(statement, 2, step->note.fraction);
	else
		sqlite3_bind_null(statement, 2);
	bind_text(statement, 3, step->note.text);
	return statement_run(statement);
}

/* What a CHECK refuses is this one statement, and a refusal of its step. */
int
sqlite_refuse_constraint(struct sqlite_engine *engine, struct step *step, int code)
{
	if ((code & 0xff) != SQLITE_CONSTRAINT)
		return code;
	step->answer = STEP_REFUSED;
	error_set(&step->error, STATUS_USAGE, "the database refuses it: %s",
	    sqlite3_errmsg(engine->db.handle));
	return SQLITE_OK;
}

static int
write_note(struct sqlite_engine *engine, struct step *step)
{
	const struct attempt_key *key = &step->note.key;
	sqlite3_stmt *statement;

	switch (step->note.note) {
	case NOTE_PROGRESS:
		return write_progress(engine, step);
	case NOTE_RESULT:
		statement = engine->other.prepared[RESULT];
		bind_number(statement, 1, key->job);
		bind_text(statement, 2, step->note.text);
		return statement_run(statement);
	case NOTE_LOG:
		return sqlite_write_event(
		    engine, key->job, key->attempt, "log", step->note.text);
	}
	return SQLITE_OK;
}

int
sqlite_step_note(struct sqlite_engine *engine, struct step *step)
{
	const struct attempt_key *key = &step->note.key;
	sqlite3_stmt *statement = engine->other.prepared[IS_RUNNING];
	int code;

	sqlite_bind_key(statement, key);
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW) {
		step->answer = STEP_STALE;
		return statement_end(statement, code);
	}
	code = statement_end(statement, code);
	if (code == SQLITE_OK)
		code = sqlite_refuse_constraint(engine, step, write_note(engine, step));
	return code;
}

int
sqlite_step_event(struct sqlite_engine *engine, struct step *step)
{
	return sqlite_write_event(engine, step->event.job, step->event.attempt,
	    step->event.event, step->event.detail);
}

static int
wake(struct sqlite_engine *engine, int statement, int64_t now_ms, int64_t *ret_woken)
{
	sqlite3_stmt *prepared = engine->other.prepared[statement];
	int code;

	bind_number(prepared, 1, now_ms);
	bind_number(prepared, 2, WAKE_AT_ONCE);
	code = statement_run(prepared);
	*ret_woken += sqlite3_changes(engine->db.handle);
	return code;
}

static int
next_wake(struct sqlite_engine *engine, int statement, int64_t now_ms, int64_t *next_ms)
{
	sqlite3_stmt *row = engine->other.prepared[statement];
	int64_t at, left;
	int code = sqlite3_step(row);

	if (code == SQLITE_ROW && (at = column_number(row, 0, -1)) != -1) {
		left = at > now_ms ? at - now_ms : 0;
		if (*next_ms == -1 || left < *next_ms)
			*next_ms = left;
	}
	return statement_end(row, code);
}

/* Those that were handed out stay for a moment, and are not the next ones. */
static int
next_timer(struct sqlite_engine *engine, struct step *step)
{
	int64_t at, left;
	int code = sqlite_next_timer(engine, &at);

	if (code != SQLITE_OK || at == -1 || at <= engine->boot_now.ms)
		return code;
	left = at - engine->boot_now.ms;
	if (step->due.ret_next_ms == -1 || left < step->due.ret_next_ms)
		step->due.ret_next_ms = left;
	return code;
}

int
sqlite_step_due(struct sqlite_engine *engine, struct step *step)
{
	sqlite3_stmt *after_step = engine->other.prepared[AFTER_STEP];
	int code = SQLITE_OK;

	step->due.ret_woken = 0;
	step->due.ret_next_ms = -1;
	if (step->due.clock_stepped) {
		bind_number(after_step, 1, engine->boot_now.ms);
		bind_number(after_step, 2, engine->now.ms);
		code = statement_run(after_step);
	}
	if (code == SQLITE_OK)
		code = wake(engine, WAKE_BOOT, engine->boot_now.ms, &step->due.ret_woken);
	if (code == SQLITE_OK)
		code = wake(engine, WAKE_WALL, engine->now.ms, &step->due.ret_woken);
	if (code == SQLITE_OK)
		code = next_wake(
		    engine, NEXT_BOOT, engine->boot_now.ms, &step->due.ret_next_ms);
	if (code == SQLITE_OK)
		code =
		    next_wake(engine, NEXT_WALL, engine->now.ms, &step->due.ret_next_ms);
	if (code == SQLITE_OK)
		code = sqlite_fire_timers(engine, step);
	if (code == SQLITE_OK)
		code = sqlite_forget_more(engine, step);
	if (code == SQLITE_OK)
		code = next_timer(engine, step);
	return code;
}

int
sqlite_find_name(struct sqlite_engine *engine, const char *name, int64_t *ret_job)
{
	sqlite3_stmt *row = engine->other.prepared[BY_NAME];
	int code;

	bind_text(row, 1, name);
	code = sqlite3_step(row);
	*ret_job = code == SQLITE_ROW ? sqlite3_column_int64(row, 0) : 0;
	return statement_end(row, code);
}

int
sqlite_step_lookup(struct sqlite_engine *engine, struct step *step)
{
	sqlite3_stmt *row = engine->other.prepared[LOOKUP];
	int code = SQLITE_OK;

	step->lookup.ret_job = step->lookup.job;
	if (step->lookup.name != NULL)
		code = sqlite_find_name(engine, step->lookup.name, &step->lookup.ret_job);
	if (code != SQLITE_OK)
		return code;
	bind_number(row, 1, step->lookup.ret_job);
	code = sqlite3_step(row);
	if (code != SQLITE_ROW) {
		step->answer = STEP_NOT_FOUND;
		return statement_end(row, code);
	}
	job_status_parse(column_text(row, 0), &step->lookup.ret_status);
	step->lookup.ret_reason = job_status_is_live(step->lookup.ret_status)
	    ? (struct reason){ 0 }
	    : column_reason(row, 1);
	step->lookup.ret_timeout_ms = column_number(row, 2, 0);
	step->lookup.ret_is_claimed = sqlite3_column_int(row, 3) != 0;
	step->lookup.ret_is_server = sqlite3_column_int(row, 4) != 0;
	if (column_text(row, 5) != NULL)
		step->lookup.ret_result = xstrdup(column_text(row, 5));
	step->lookup.ret_is_plain = sqlite3_column_int(row, 6) != 0;
	step->lookup.ret_last = column_reason(row, 7);
	step->lookup.ret_ended_ago_ms = column_number(row, 8, -1) == -1
	    ? -1
	    : engine->now.ms - column_number(row, 8, 0);
	code = statement_end(row, code);
	if (code == SQLITE_OK && step->lookup.ret_is_server)
		code = sqlite_is_durable(
		    engine, step->lookup.ret_job, &step->lookup.ret_is_durable);
	return code;
}

int
sqlite_step_remaining(struct sqlite_engine *engine, struct step *step)
{
	sqlite3_stmt *row = engine->other.prepared[REMAINING];
	int code = sqlite3_step(row);

	if (code == SQLITE_ROW) {
		step->remaining.ret_keeping = sqlite3_column_int64(row, 0);
		step->remaining.ret_delayed = sqlite3_column_int64(row, 1);
		step->remaining.ret_held = sqlite3_column_int64(row, 2);
	}
	return statement_end(row, code);
}
