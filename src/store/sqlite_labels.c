/*
 * sqlite_labels: what jobs may have beside their row: a key, which only so many running jobs
 * may share, and words for people.
 */

#include "base/xalloc.h"
#include "store/sqlite_engine.h"

#include <stdlib.h>
#include <string.h>

enum { ANY, ADD_KEY, ADD_META, HAS_ROOM, COUNT };

static const char *const sql[] = {
	[ANY] = "SELECT EXISTS (SELECT 1 FROM keys)",
	[ADD_KEY] = "INSERT INTO keys (job_id, key, max_running) VALUES (?1, ?2, ?3)",
	[ADD_META] = "INSERT OR REPLACE INTO meta (job_id, name, value) VALUES (?1, ?2, ?3)",
	/* CROSS: from the few open attempts to their keys. */
	[HAS_ROOM] = "SELECT k.max_running > (SELECT count(*) FROM attempts o "
		     "INDEXED BY attempts_open CROSS JOIN keys m ON m.job_id = o.job_id "
		     "WHERE o.ended_at IS NULL AND m.key = k.key) FROM keys k "
		     "WHERE k.job_id = ?1",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_labels_prepare(struct sqlite_engine *engine, struct error *error)
{
	if (statements_prepare(&engine->labels, &engine->db, sql, COUNT, error) == -1)
		return -1;
	sqlite_look_for_keys(engine);
	return 0;
}

int
sqlite_look_for_keys(struct sqlite_engine *engine)
{
	sqlite3_stmt *row = engine->labels.prepared[ANY];
	int code = sqlite3_step(row);

	engine->has_keys = code != SQLITE_ROW || sqlite3_column_int(row, 0) != 0;
	return statement_end(row, code);
}

static int
add_meta(struct sqlite_engine *engine, int64_t job, const char *pair)
{
	sqlite3_stmt *statement = engine->labels.prepared[ADD_META];
	const char *value = strchr(pair, '=') + 1; /* checked when it was set */
	char *name = xstrndup(pair, (size_t)(value - 1 - pair));
	int code;

	bind_number(statement, 1, job);
	bind_text(statement, 2, name);
	bind_text(statement, 3, value);
	code = statement_run(statement);
	free(name);
	return code;
}

int
sqlite_insert_labels(struct sqlite_engine *engine, int64_t job, const struct spec *spec)
{
	sqlite3_stmt *statement = engine->labels.prepared[ADD_KEY];
	int code = SQLITE_OK;

	if (spec->key != NULL) {
		engine->has_keys = true;
		bind_number(statement, 1, job);
		bind_text(statement, 2, spec->key);
		bind_number(statement, 3, spec->key_limit);
		code = statement_run(statement);
	}
	for (size_t i = 0; i < spec->meta.count && code == SQLITE_OK; i++)
		code = add_meta(engine, job, spec->meta.items[i]);
	return code;
}

int
sqlite_key_has_room(struct sqlite_engine *engine, int64_t job, bool *ret_has_key,
    bool *ret_has_room)
{
	sqlite3_stmt *row = engine->labels.prepared[HAS_ROOM];
	int code = SQLITE_ROW;

	*ret_has_key = false;
	*ret_has_room = true;
	if (!engine->has_keys)
		return SQLITE_OK;
	bind_number(row, 1, job);
	code = sqlite3_step(row);
	*ret_has_key = code == SQLITE_ROW;
	if (*ret_has_key)
		*ret_has_room = sqlite3_column_int(row, 0) != 0;
	return statement_end(row, code);
}
