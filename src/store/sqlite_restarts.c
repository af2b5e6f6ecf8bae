/*
 * sqlite_restarts: the restarts that still count. In the boot in which they were the boot clock
 * tells how long ago that is, after another boot the wall clock, so no step of a clock and no
 * end of a supervisor process makes a crash loop look young.
 */

#include "store/sqlite_supervision.h"

#include <stdio.h>

enum {
	ADD, FORGET_OLD, COUNT_ALL, COUNT_JOB, COUNT_CHILD, FORGET, FORGET_JOB, SIGNIFICANT,
	ANY_SIGNIFICANT, COUNT
};

#define STILL_COUNTS                                                                     \
	"FROM restarts WHERE supervisor = ?1 AND iif(boot_id = ?2, boot_ms > ?3, at > ?4) "

static const char *const sql[] = {
	[ADD] = "INSERT INTO restarts (supervisor, job_id, child, at, boot_ms, boot_id) "
		"VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[FORGET_OLD] = "DELETE FROM restarts WHERE supervisor = ?1 AND NOT "
		       "iif(boot_id = ?2, boot_ms > ?3, at > ?4)",
	[COUNT_ALL] = "SELECT count(*) " STILL_COUNTS,
	[COUNT_JOB] = "SELECT count(*) " STILL_COUNTS "AND job_id = ?5",
	[COUNT_CHILD] = "SELECT count(*) " STILL_COUNTS "AND child = ?5",
	[FORGET] = "DELETE FROM restarts WHERE supervisor = ?1",
	[FORGET_JOB] = "DELETE FROM restarts WHERE job_id = ?1 AND supervisor = "
		       "(SELECT supervisor FROM jobs WHERE id = ?1)",
	[SIGNIFICANT] = "SELECT NOT EXISTS (SELECT 1 FROM servers v INDEXED BY servers_static "
			"CROSS JOIN jobs j ON j.id = v.job_id WHERE v.position IS NOT NULL "
			"AND v.significant AND j.supervisor = ?1 AND j.id <> ?2 "
			"AND " JOB_IS_LIVE("j.") ") AND NOT EXISTS (SELECT 1 "
			"FROM supervisors c WHERE c.parent = ?1 AND c.significant "
			"AND c.name <> ?3 AND c.position IS NOT NULL AND c.state <> 'ended')",
	[ANY_SIGNIFICANT] = "SELECT coalesce(j.name, 'job ' || j.id) "
			    "FROM servers v INDEXED BY servers_static CROSS JOIN jobs j "
			    "ON j.id = v.job_id WHERE v.position IS NOT NULL "
			    "AND v.significant AND j.supervisor = ?1 UNION ALL SELECT c.name "
			    "FROM supervisors c WHERE c.parent = ?1 AND c.significant LIMIT 1",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_restarts_prepare(struct sqlite_engine *engine, struct error *error)
{
	return statements_prepare(&engine->restarts, &engine->db, sql, COUNT, error);
}

/* ?2 to ?4: since when one counts, on this boot's clock and on the wall's. */
static void
bind_window(struct sqlite_engine *engine, sqlite3_stmt *statement, const char *supervisor,
    int64_t window_ms)
{
	bind_text(statement, 1, supervisor);
	bind_text(statement, 2, engine->boot_id);
	bind_number(statement, 3, engine->boot_now.ms - window_ms);
	bind_number(statement, 4, engine->now.ms - window_ms);
}

int
sqlite_add_restart(struct sqlite_engine *engine, const char *supervisor, int64_t job,
    const char *child)
{
	sqlite3_stmt *statement = engine->restarts.prepared[ADD];

	bind_text(statement, 1, supervisor);
	bind_unless(statement, 2, job, 0);
	bind_text(statement, 3, job == 0 ? child : NULL);
	bind_number(statement, 4, engine->now.ms);
	bind_number(statement, 5, engine->boot_now.ms);
	bind_text(statement, 6, engine->boot_id);
	return statement_run(statement);
}

int
sqlite_count_restarts(struct sqlite_engine *engine, const struct node *node, int64_t job,
    const char *child, int64_t *ret_count)
{
	int which = node->budget == BUDGET_SHARED ? COUNT_ALL : job != 0 ? COUNT_JOB : COUNT_CHILD;
	sqlite3_stmt *row = engine->restarts.prepared[which];
	int64_t window_ms = node->max_seconds * 1000;
	int code;

	bind_window(engine, engine->restarts.prepared[FORGET_OLD], node->name, window_ms);
	code = statement_run(engine->restarts.prepared[FORGET_OLD]);
	if (code != SQLITE_OK)
		return code;
	bind_window(engine, row, node->name, window_ms);
	if (which == COUNT_JOB)
		bind_number(row, 5, job);
	else if (which == COUNT_CHILD)
		bind_text(row, 5, child);
	code = sqlite3_step(row);
	if (code == SQLITE_ROW)
		*ret_count = sqlite3_column_int64(row, 0);
	return statement_end(row, code);
}

int
sqlite_forget_restarts(struct sqlite_engine *engine, const char *supervisor)
{
	bind_text(engine->restarts.prepared[FORGET], 1, supervisor);
	return statement_run(engine->restarts.prepared[FORGET]);
}

int
sqlite_forget_restarts_of_job(struct sqlite_engine *engine, int64_t job)
{
	bind_number(engine->restarts.prepared[FORGET_JOB], 1, job);
	return statement_run(engine->restarts.prepared[FORGET_JOB]);
}

int
sqlite_is_last_significant(struct sqlite_engine *engine, const char *supervisor, int64_t job,
    const char *child, bool *ret_is_last)
{
	sqlite3_stmt *row = engine->restarts.prepared[SIGNIFICANT];
	int code;

	bind_text(row, 1, supervisor);
	bind_number(row, 2, job);
	bind_text(row, 3, child);
	code = sqlite3_step(row);
	*ret_is_last = code == SQLITE_ROW && sqlite3_column_int(row, 0) != 0;
	return statement_end(row, code);
}

int
sqlite_find_significant(struct sqlite_engine *engine, const char *supervisor,
    char ret_child[NAME_SIZE])
{
	sqlite3_stmt *row = engine->restarts.prepared[ANY_SIGNIFICANT];
	int code;

	ret_child[0] = '\0';
	bind_text(row, 1, supervisor);
	code = sqlite3_step(row);
	if (code == SQLITE_ROW)
		snprintf(ret_child, NAME_SIZE, "%s", column_text(row, 0));
	return statement_end(row, code);
}
