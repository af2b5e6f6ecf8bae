/* sqlite_prune: what has ended and is forgotten, with all that belongs to it. */

#include "base/xalloc.h"
#include "store/sqlite_engine.h"

#include <stdlib.h>

enum {
	PRUNABLE, PRUNE_JOB, PRUNE_ATTEMPTS, PRUNE_DEPENDENCIES, PRUNE_STARTS, PRUNE_EVENTS,
	PRUNE_SERVER, PRUNE_MESSAGES, PRUNE_KEY, PRUNE_META, COUNT
};

static const char *const sql[] = {
	[PRUNABLE] = "SELECT id, stdin FROM (SELECT id, stdin, ended_at, status, "
		     "row_number() OVER (PARTITION BY name ORDER BY id DESC) AS rank "
		     "FROM jobs WHERE status IN ('done', 'failed', 'cancelled')) AS e "
		     "WHERE ended_at <= ?1 AND rank > ?2 AND ((?3 AND status = 'done') "
		     "OR (?4 AND status = 'failed') OR (?5 AND status = 'cancelled')) "
		     "AND NOT EXISTS (SELECT 1 FROM dependencies d JOIN jobs w "
		     "ON w.id = d.job_id WHERE d.on_id = e.id "
		     "AND " JOB_IS_LIVE("w.") ") "
		     "ORDER BY id LIMIT ?6",
	[PRUNE_JOB] = "DELETE FROM jobs WHERE id = ?1",
	[PRUNE_ATTEMPTS] = "DELETE FROM attempts WHERE job_id = ?1",
	[PRUNE_DEPENDENCIES] = "DELETE FROM dependencies WHERE job_id = ?1 OR on_id = ?1",
	[PRUNE_STARTS] = "DELETE FROM events WHERE seq IN "
			 "(SELECT started_event FROM attempts WHERE job_id = ?1)",
	[PRUNE_EVENTS] = "DELETE FROM events WHERE job_id = ?1 AND event <> 'started'",
	[PRUNE_KEY] = "DELETE FROM keys WHERE job_id = ?1",
	[PRUNE_META] = "DELETE FROM meta WHERE job_id = ?1",
	[PRUNE_SERVER] = "DELETE FROM servers WHERE job_id = ?1",
	[PRUNE_MESSAGES] = "DELETE FROM messages WHERE job_id = ?1",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_prune_prepare(struct sqlite_engine *engine, struct error *error)
{
	return statements_prepare(&engine->prune, &engine->db, sql, COUNT, error);
}

static int
prune_one(struct sqlite_engine *engine, int64_t job)
{
	static const int statements[] = { PRUNE_STARTS, PRUNE_ATTEMPTS, PRUNE_DEPENDENCIES,
		PRUNE_EVENTS, PRUNE_MESSAGES, PRUNE_KEY, PRUNE_META, PRUNE_SERVER, PRUNE_JOB };
	int code = SQLITE_OK;

	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
		if (code == SQLITE_OK) {
			bind_number(engine->prune.prepared[statements[i]], 1, job);
			code = statement_run(engine->prune.prepared[statements[i]]);
		}
	}
	return code;
}

int
sqlite_step_prune(struct sqlite_engine *engine, struct step *step)
{
	sqlite3_stmt *row = engine->prune.prepared[PRUNABLE];
	size_t room = 0;
	int code;

	bind_number(row, 1, engine->now.ms - step->prune.older_than_ms);
	bind_number(row, 2, step->prune.keep);
	bind_number(row, 3, step->prune.statuses[JOB_DONE]);
	bind_number(row, 4, step->prune.statuses[JOB_FAILED]);
	bind_number(row, 5, step->prune.statuses[JOB_CANCELLED]);
	bind_number(row, 6, step->prune.limit);
	while ((code = sqlite3_step(row)) == SQLITE_ROW) {
		if (step->prune.ret_count == room) {
			room = room > 0 ? 2 * room : 64;
			step->prune.ret_jobs = xreallocarray(
			    step->prune.ret_jobs, room, sizeof(step->prune.ret_jobs[0]));
			step->prune.ret_stdin = xreallocarray(
			    step->prune.ret_stdin, room, sizeof(step->prune.ret_stdin[0]));
		}
		step->prune.ret_jobs[step->prune.ret_count] = sqlite3_column_int64(row, 0);
		step->prune.ret_stdin[step->prune.ret_count++] =
		    column_text(row, 1) != NULL ? xstrdup(column_text(row, 1)) : NULL;
	}
	code = statement_end(row, code);
	for (size_t i = 0; i < step->prune.ret_count && !step->prune.is_dry_run; i++) {
		if (code == SQLITE_OK)
			code = prune_one(engine, step->prune.ret_jobs[i]);
	}
	return code;
}
