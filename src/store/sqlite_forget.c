/*
 * sqlite_forget: timers that go with the attempt of a server that set them. All at once would
 * keep everybody waiting: what is left after the first ones goes a portion at a time with
 * STEP_DUE, or after the next supervisor process has begun, and does not fire meanwhile.
 */

#include "base/xalloc.h"
#include "store/sqlite_engine.h"

#include <stdlib.h>

#define FORGET_AT_ONCE 200 /* timers, in one turn */

enum { FORGET, LEFT, COUNT };

static const char *const sql[] = {
	[FORGET] = "DELETE FROM messages WHERE seq IN (SELECT seq FROM messages "
		   "WHERE owner = ?1 AND owner_attempt = ?2 AND NOT EXISTS (SELECT 1 "
		   "FROM attempts WHERE job_id = ?1 AND attempt = ?2 AND ended_at IS NULL) "
		   "LIMIT ?3)",
	[LEFT] = "SELECT DISTINCT owner, owner_attempt FROM messages INDEXED BY messages_of_owner "
		 "WHERE owner IS NOT NULL AND " TIMER_HAS_GONE("messages."),
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_forget_prepare(struct sqlite_engine *engine, struct error *error)
{
	return statements_prepare(&engine->forget, &engine->db, sql, COUNT, error);
}

static void
forget_later(struct sqlite_engine *engine, struct attempt_key key)
{
	engine->to_forget = xreallocarray(
	    engine->to_forget, engine->to_forget_count + 1, sizeof(engine->to_forget[0]));
	engine->to_forget[engine->to_forget_count++] = key;
}

static int
forget_some(struct sqlite_engine *engine, const struct attempt_key *key, int *ret_count)
{
	sqlite3_stmt *statement = engine->forget.prepared[FORGET];
	int code;

	bind_number(statement, 1, key->job);
	bind_number(statement, 2, key->attempt);
	bind_number(statement, 3, FORGET_AT_ONCE);
	code = statement_run(statement);
	*ret_count = sqlite3_changes(engine->db.handle);
	return code;
}

int
sqlite_forget_timers(struct sqlite_engine *engine, const struct attempt_key *key)
{
	int count, code = forget_some(engine, key, &count);

	if (code == SQLITE_OK && count == FORGET_AT_ONCE) {
		forget_later(engine, *key);
		engine->batch->told = true;
	}
	return code;
}

/* One is done with when none were left: a turn that is rolled back then changes nothing. */
int
sqlite_forget_more(struct sqlite_engine *engine, struct step *step)
{
	int count, code;

	if (engine->to_forget_count == 0)
		return SQLITE_OK;
	code = forget_some(engine, &engine->to_forget[engine->to_forget_count - 1], &count);
	if (code == SQLITE_OK && count == 0)
		engine->to_forget_count--;
	if (engine->to_forget_count > 0)
		step->due.ret_next_ms = 0;
	return code;
}

int
sqlite_find_forgotten(struct sqlite_engine *engine)
{
	sqlite3_stmt *row = engine->forget.prepared[LEFT];
	int code;

	while ((code = sqlite3_step(row)) == SQLITE_ROW)
		forget_later(engine, (struct attempt_key){
		    .job = sqlite3_column_int64(row, 0),
		    .attempt = sqlite3_column_int64(row, 1) });
	return statement_end(row, code);
}
