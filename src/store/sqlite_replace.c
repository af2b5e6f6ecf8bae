/*
 * sqlite_replace: a server that is described anew takes the place of the one that had its name.
 * What a durable one has committed, and what waits for it, is the new one's from then on.
 */

#include "store/sqlite_engine.h"

enum { FIND, HAS_KEPT, TAKE_STATE, GIVE_UP, TAKE_MESSAGES, TAKE_TIMERS, LEAVE_PLACE, COUNT };

/* Is there anything that a durable one has committed, or that waits for it? */
#define HAS_KEPT_OF(id)                                                                   \
	"(state IS NOT NULL OR EXISTS (SELECT 1 FROM messages WHERE job_id = " id ") "    \
	"OR EXISTS (SELECT 1 FROM messages WHERE owner = " id "))"

static const char *const sql[] = {
	/* One that replaced another, and could not be started, is no child but has all of it. */
	[FIND] = "SELECT j.id, v.durable FROM jobs j INDEXED BY jobs_by_name "
		 "JOIN servers v ON v.job_id = j.id WHERE j.name = ?1 AND j.name IS NOT NULL "
		 "AND j.id <> ?2 AND (" SERVER_IS_CHILD("v.") " OR (v.durable <> 0 AND "
		 HAS_KEPT_OF("j.id") ")) AND NOT EXISTS (SELECT 1 FROM deletions "
		 "WHERE job_id = j.id) ORDER BY v.position IS NULL, j.id DESC LIMIT 1",
	[HAS_KEPT] = "SELECT " HAS_KEPT_OF("?1") " FROM servers WHERE job_id = ?1",
	[TAKE_STATE] = "UPDATE servers SET (state, last_message_at) = (SELECT state, "
		       "last_message_at FROM servers o WHERE o.job_id = ?2) WHERE job_id = ?1",
	/* Its mailbox is the other's: nothing is put into this one any more. */
	[GIVE_UP] = "UPDATE servers SET state = NULL, last_commit = NULL, durable = 0 "
		    "WHERE job_id = ?1",
	[TAKE_MESSAGES] = "UPDATE messages SET job_id = ?1 WHERE job_id = ?2",
	[TAKE_TIMERS] = "UPDATE messages SET owner = ?1 WHERE owner = ?2",
	[LEAVE_PLACE] = "UPDATE servers SET position = NULL, description = NULL "
			"WHERE (position IS NOT NULL OR description IS NOT NULL) "
			"AND job_id <> ?1 AND job_id IN (SELECT id FROM jobs "
			"WHERE name = ?2 AND name IS NOT NULL)",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_replace_prepare(struct sqlite_engine *engine, struct error *error)
{
	return statements_prepare(&engine->replace, &engine->db, sql, COUNT, error);
}

/* The one of this name that `job` (0: a new one) replaces; 0: none, or one that keeps nothing. */
static int
find_durable(struct sqlite_engine *engine, const char *name, int64_t job, int64_t *ret_old)
{
	sqlite3_stmt *row = engine->replace.prepared[FIND];
	int code;

	bind_text(row, 1, name);
	bind_number(row, 2, job);
	code = sqlite3_step(row);
	*ret_old = code == SQLITE_ROW && sqlite3_column_int(row, 1) != 0
	    ? sqlite3_column_int64(row, 0)
	    : 0;
	return statement_end(row, code);
}

int
sqlite_replace_loses(struct sqlite_engine *engine, const struct spec *spec, int64_t *ret_loses)
{
	sqlite3_stmt *row = engine->replace.prepared[HAS_KEPT];
	int64_t old = 0;
	int code = SQLITE_OK;

	*ret_loses = 0;
	if (!spec->is_durable && spec_is_static(spec))
		code = find_durable(engine, spec->name, 0, &old);
	if (code != SQLITE_OK || old == 0)
		return code;
	bind_number(row, 1, old);
	code = sqlite3_step(row);
	*ret_loses = code == SQLITE_ROW && sqlite3_column_int(row, 0) != 0 ? old : 0;
	return statement_end(row, code);
}

static int
hand_over(struct sqlite_engine *engine, int64_t job, int64_t old)
{
	static const int statements[] = { TAKE_STATE, TAKE_MESSAGES, TAKE_TIMERS };
	int code = SQLITE_OK;

	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
		sqlite3_stmt *statement = engine->replace.prepared[statements[i]];

		bind_number(statement, 1, job);
		bind_number(statement, 2, old);
		if (code == SQLITE_OK)
			code = statement_run(statement);
	}
	bind_number(engine->replace.prepared[GIVE_UP], 1, old);
	return code == SQLITE_OK ? statement_run(engine->replace.prepared[GIVE_UP]) : code;
}

int
sqlite_replace_server(struct sqlite_engine *engine, int64_t job, const struct spec *spec)
{
	sqlite3_stmt *statement = engine->replace.prepared[LEAVE_PLACE];
	int64_t old = 0;
	int code = SQLITE_OK;

	if (spec->is_durable && spec->description != NULL)
		code = find_durable(engine, spec->name, job, &old);
	if (code == SQLITE_OK && old != 0)
		code = hand_over(engine, job, old);
	bind_number(statement, 1, job);
	bind_text(statement, 2, spec->name);
	return code == SQLITE_OK ? statement_run(statement) : code;
}
