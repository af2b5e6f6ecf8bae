/*
 * sqlite_prune: what has ended and is forgotten, with all that belongs to it. That may be more
 * than others should wait for: then a step takes a part of it, and the job's row goes last. Until
 * then the job stands in deletions: whoever comes after us goes on with it.
 */

#include "base/xalloc.h"
#include "store/sqlite_engine.h"

#include <inttypes.h>

#include <stdlib.h>

#define MOST_ROWS 2000 /* of messages, events and attempts, in one step */

enum {
	PRUNABLE, STATE, PRUNE_JOB, PRUNE_ATTEMPTS, PRUNE_DEPENDENCIES, PRUNE_STARTS, PRUNE_EVENTS,
	PRUNE_SERVER, PRUNE_MESSAGES, PRUNE_KEY, PRUNE_META, PRUNE_GROUPS, PRUNE_LAST_START,
	PRUNE_LAST_ATTEMPT, PRUNE_NOTE, NOTE, LEAVE_PLACE, IS_NOTED, NOTED, COUNT
};

#define LIVE_WAITS_FOR(job) \
	"EXISTS (SELECT 1 FROM dependencies d JOIN jobs w ON w.id = d.job_id " \
	"WHERE d.on_id = " job " AND " JOB_IS_LIVE("w.") ") "

#define LAST_ATTEMPT(job) \
	"(SELECT coalesce(max(attempt), 0) FROM attempts WHERE job_id = " job "id)"

#define EARLIER_ATTEMPT \
	"job_id = ?1 AND attempt < (SELECT max(attempt) FROM attempts WHERE job_id = ?1) "

static const char *const sql[] = {
	[PRUNABLE] = "SELECT id, stdin, " LAST_ATTEMPT("e.") " "
		     "FROM (SELECT id, stdin, ended_at, status, "
		     "row_number() OVER (PARTITION BY name ORDER BY id DESC) AS rank "
		     "FROM jobs WHERE status IN ('done', 'failed', 'cancelled')) AS e "
		     "WHERE ((ended_at <= ?1 AND rank > ?2 AND ((?3 AND status = 'done') "
		     "OR (?4 AND status = 'failed') OR (?5 AND status = 'cancelled'))) "
		     "OR id IN (SELECT job_id FROM deletions)) "
		     "AND NOT " LIVE_WAITS_FOR("e.id")
		     "AND NOT EXISTS (SELECT 1 FROM servers v WHERE v.job_id = e.id "
		     "AND " SERVER_IS_CHILD("v.") ") "
		     "ORDER BY id LIMIT ?6",
	[STATE] = "SELECT stdin, " LAST_ATTEMPT("jobs.") ", status, "
		  LIVE_WAITS_FOR("jobs.id")
		  "FROM jobs WHERE id = ?1",
	[PRUNE_JOB] = "DELETE FROM jobs WHERE id = ?1",
	/* The last goes with the job: it tells which files there were. */
	[PRUNE_ATTEMPTS] = "DELETE FROM attempts WHERE job_id = ?1 AND attempt IN "
			   "(SELECT attempt FROM attempts WHERE " EARLIER_ATTEMPT
			   "ORDER BY attempt LIMIT ?2)",
	[PRUNE_LAST_ATTEMPT] = "DELETE FROM attempts WHERE job_id = ?1",
	[PRUNE_DEPENDENCIES] = "DELETE FROM dependencies WHERE job_id = ?1 OR on_id = ?1",
	[PRUNE_STARTS] = "DELETE FROM events WHERE seq IN (SELECT started_event FROM attempts "
			 "WHERE " EARLIER_ATTEMPT "ORDER BY attempt LIMIT ?2)",
	[PRUNE_LAST_START] = "DELETE FROM events WHERE seq IN "
			     "(SELECT started_event FROM attempts WHERE job_id = ?1)",
	[PRUNE_EVENTS] = "DELETE FROM events WHERE seq IN (SELECT seq FROM events "
			 "WHERE job_id = ?1 AND event <> 'started' LIMIT ?2)",
	[PRUNE_KEY] = "DELETE FROM keys WHERE job_id = ?1",
	[PRUNE_META] = "DELETE FROM meta WHERE job_id = ?1",
	[PRUNE_GROUPS] = "DELETE FROM groups WHERE job_id = ?1",
	[PRUNE_SERVER] = "DELETE FROM servers WHERE job_id = ?1",
	[PRUNE_MESSAGES] = "DELETE FROM messages WHERE seq IN (SELECT seq FROM messages "
			   "WHERE job_id = ?1 LIMIT ?2)",
	[PRUNE_NOTE] = "DELETE FROM deletions WHERE job_id = ?1",
	[NOTE] = "INSERT INTO deletions (job_id) VALUES (?1) ON CONFLICT DO NOTHING",
	/* Its supervisor does not start it again, nor wait for it. */
	[LEAVE_PLACE] = "UPDATE servers SET position = NULL, description = NULL WHERE job_id = ?1",
	[IS_NOTED] = "SELECT 1 FROM deletions WHERE job_id = ?1",
	/* Somebody else may have deleted the job's row, or let it be live. */
	[NOTED] = "SELECT n.job_id, j.stdin, " LAST_ATTEMPT("n.job_") " "
		  "FROM deletions n LEFT JOIN jobs j ON j.id = n.job_id "
		  "WHERE (j.id IS NULL OR NOT " JOB_IS_LIVE("j.") ") "
		  "AND NOT " LIVE_WAITS_FOR("n.job_id") "ORDER BY n.job_id LIMIT 1",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_prune_prepare(struct sqlite_engine *engine, struct error *error)
{
	return statements_prepare(&engine->prune, &engine->db, sql, COUNT, error);
}

static int
prune_rows(struct sqlite_engine *engine, int statement, int64_t job)
{
	bind_number(engine->prune.prepared[statement], 1, job);
	return statement_run(engine->prune.prepared[statement]);
}

/* At most *left, of which so many go. */
static int
prune_some(struct sqlite_engine *engine, int statement, int64_t job, int64_t *left)
{
	int code;

	bind_number(engine->prune.prepared[statement], 2, *left);
	code = prune_rows(engine, statement, job);
	*left -= sqlite3_changes(engine->db.handle);
	return code;
}

/* What there may be thousands of. With none left there may be more. */
static int
prune_many(struct sqlite_engine *engine, int64_t job, int64_t *left)
{
	int64_t same = 0;
	int code = prune_some(engine, PRUNE_MESSAGES, job, left);

	if (code == SQLITE_OK && *left > 0)
		code = prune_some(engine, PRUNE_EVENTS, job, left);
	if (code == SQLITE_OK && *left > 0) {
		same = *left; /* the starts of the same attempts */
		code = prune_some(engine, PRUNE_STARTS, job, &same);
	}
	if (code == SQLITE_OK && *left > 0)
		code = prune_some(engine, PRUNE_ATTEMPTS, job, left);
	return code;
}

/* *left 0: there is more of it, and it is still there. */
static int
prune_one(struct sqlite_engine *engine, int64_t job, int64_t *left)
{
	static const int last[] = { PRUNE_LAST_START, PRUNE_LAST_ATTEMPT, PRUNE_DEPENDENCIES,
		PRUNE_KEY, PRUNE_META, PRUNE_GROUPS, PRUNE_SERVER, PRUNE_NOTE, PRUNE_JOB };
	int code = prune_many(engine, job, left);

	for (size_t i = 0; i < sizeof(last) / sizeof(last[0]) && *left > 0; i++) {
		if (code == SQLITE_OK)
			code = prune_rows(engine, last[i], job);
	}
	return code;
}

static void
add_pruned(struct step *step, int64_t job, const char *stdin_path, int64_t last)
{
	size_t count = step->prune.ret_count++;

	step->prune.ret_jobs = xreallocarray(
	    step->prune.ret_jobs, count + 1, sizeof(step->prune.ret_jobs[0]));
	step->prune.ret_stdin = xreallocarray(
	    step->prune.ret_stdin, count + 1, sizeof(step->prune.ret_stdin[0]));
	step->prune.ret_last = xreallocarray(
	    step->prune.ret_last, count + 1, sizeof(step->prune.ret_last[0]));
	step->prune.ret_jobs[count] = job;
	step->prune.ret_last[count] = last;
	step->prune.ret_stdin[count] = stdin_path != NULL ? xstrdup(stdin_path) : NULL;
}

/* Those from this one on are there still. */
static void
keep_from(struct step *step, size_t first)
{
	while (step->prune.ret_count > first)
		free(step->prune.ret_stdin[--step->prune.ret_count]);
	step->prune.ret_has_more = true;
}

/* What add_pruned() has noted. */
static int
prune_all(struct sqlite_engine *engine, struct step *step)
{
	int64_t left = MOST_ROWS;
	int code = SQLITE_OK;

	for (size_t i = 0; i < step->prune.ret_count && code == SQLITE_OK; i++) {
		int64_t job = step->prune.ret_jobs[i];

		code = prune_one(engine, job, &left);
		if (left > 0)
			continue;
		keep_from(step, i);
		if (code == SQLITE_OK)
			code = prune_rows(engine, NOTE, job);
		if (code == SQLITE_OK)
			code = prune_rows(engine, LEAVE_PLACE, job);
	}
	return code;
}

int
sqlite_is_partly_gone(struct sqlite_engine *engine, int64_t job, bool *ret_is_partly_gone)
{
	sqlite3_stmt *row = engine->prune.prepared[IS_NOTED];

	bind_number(row, 1, job);
	return statement_exists(row, ret_is_partly_gone);
}

static int
go_on(struct sqlite_engine *engine, struct step *step)
{
	sqlite3_stmt *row = engine->prune.prepared[NOTED];
	int code = sqlite3_step(row);

	if (code == SQLITE_ROW)
		add_pruned(step, sqlite3_column_int64(row, 0), column_text(row, 1),
		    sqlite3_column_int64(row, 2));
	code = statement_end(row, code);
	return code == SQLITE_OK ? prune_all(engine, step) : code;
}

static int
prune_this(struct sqlite_engine *engine, struct step *step)
{
	sqlite3_stmt *row = engine->prune.prepared[STATE];
	int64_t job = step->prune.job;
	enum job_status status = JOB_NEW;
	int code;

	bind_number(row, 1, job);
	code = sqlite3_step(row);
	if (code != SQLITE_ROW) {
		step->answer = STEP_NOT_FOUND;
		error_set(&step->error, STATUS_NOT_FOUND, "there is no job %" PRId64, job);
		return statement_end(row, code);
	}
	job_status_parse(column_text(row, 2), &status);
	if (job_status_is_live(status) || sqlite3_column_int(row, 3)) {
		step->answer = STEP_REFUSED;
		error_set(&step->error, STATUS_STATE, "job %" PRId64 " is %s%s", job,
		    job_status_name(status),
		    job_status_is_live(status) ? ": it cannot be deleted"
					       : ", but a live job waits for it");
		return statement_end(row, code);
	}
	add_pruned(step, job, column_text(row, 0), sqlite3_column_int64(row, 1));
	code = statement_end(row, code);
	return code == SQLITE_OK ? prune_all(engine, step) : code;
}

int
sqlite_step_prune(struct sqlite_engine *engine, struct step *step)
{
	sqlite3_stmt *row = engine->prune.prepared[PRUNABLE];
	int code;

	if (step->prune.goes_on)
		return go_on(engine, step);
	if (step->prune.job != 0)
		return prune_this(engine, step);
	bind_number(row, 1, engine->now.ms - step->prune.older_than_ms);
	bind_number(row, 2, step->prune.keep);
	bind_number(row, 3, step->prune.statuses[JOB_DONE]);
	bind_number(row, 4, step->prune.statuses[JOB_FAILED]);
	bind_number(row, 5, step->prune.statuses[JOB_CANCELLED]);
	bind_number(row, 6, step->prune.limit);
	while ((code = sqlite3_step(row)) == SQLITE_ROW) {
		add_pruned(step, sqlite3_column_int64(row, 0), column_text(row, 1),
		    sqlite3_column_int64(row, 2));
	}
	code = statement_end(row, code);
	return code == SQLITE_OK && !step->prune.is_dry_run ? prune_all(engine, step) : code;
}
