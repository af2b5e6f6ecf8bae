/*
 * sqlite_environment: each environment is stored once, as a JSON object with sorted names.
 * Those that were read for the claims of a turn are kept until the next, the newest of them
 * longer, and so is the one that was written last: most jobs of a time share one.
 */

#include "base/xalloc.h"
#include "model/spec_json.h"
#include "store/sqlite_engine.h"

#include <stdlib.h>
#include <string.h>

enum { FIND, INSERT, READ, COUNT };

static const char *const sql[] = {
	[FIND] = "SELECT id FROM environments WHERE hash = ?1 AND vars = ?2",
	[INSERT] = "INSERT INTO environments (hash, vars) VALUES (?1, ?2)",
	[READ] = "SELECT vars FROM environments WHERE id = ?1",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_environment_prepare(struct sqlite_engine *engine, struct error *error)
{
	return statements_prepare(&engine->environment, &engine->db, sql, COUNT, error);
}

/* ---- writing ---- */

static int64_t
fnv1a(const char *text)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return (int64_t)hash;
}

/* As JSON with sorted names; NULL if something is not UTF-8. */
static char *
environment_text(const struct strings *environment)
{
	json_t *object = environment_to_json(environment);
	char *vars = json_dumps(object, JSON_SORT_KEYS | JSON_COMPACT);

	json_decref(object);
	return vars;
}

static int
keep_text(struct sqlite_engine *engine, const char *vars, int64_t *ret_id)
{
	sqlite3_stmt *find = engine->environment.prepared[FIND];
	sqlite3_stmt *insert = engine->environment.prepared[INSERT];
	int code;

	bind_number(find, 1, fnv1a(vars));
	bind_text(find, 2, vars);
	code = sqlite3_step(find);
	*ret_id = code == SQLITE_ROW ? sqlite3_column_int64(find, 0) : 0;
	code = statement_end(find, code);
	if (code == SQLITE_OK && *ret_id == 0) {
		bind_number(insert, 1, fnv1a(vars));
		bind_text(insert, 2, vars);
		code = statement_run(insert);
		*ret_id = sqlite3_last_insert_rowid(engine->db.handle);
	}
	return code;
}

static void
remember_kept(struct sqlite_engine *engine, const struct strings *variables, int64_t id)
{
	strings_done(&engine->recent_variables);
	strings_add_all(&engine->recent_variables, variables);
	engine->recent_environment = id;
}

int
sqlite_keep_environment(struct sqlite_engine *engine, const struct strings *shared,
    const struct strings *own, int64_t *ret_id, bool *ret_is_text)
{
	struct strings merged = { 0 };
	char *vars;
	int code = SQLITE_OK;

	*ret_is_text = true;
	*ret_id = engine->recent_environment;
	if (own->count == 0 && *ret_id != 0 &&
	    strings_are_equal(shared, &engine->recent_variables))
		return SQLITE_OK;
	*ret_id = 0;
	strings_add_all(&merged, shared);
	for (size_t i = 0; i < own->count; i++)
		strings_set_variable(&merged, own->items[i]);
	vars = environment_text(&merged);
	strings_done(&merged);
	*ret_is_text = vars != NULL;
	if (vars != NULL)
		code = keep_text(engine, vars, ret_id);
	free(vars);
	if (*ret_id != 0 && own->count == 0)
		remember_kept(engine, shared, *ret_id);
	return code;
}

/* ---- reading ---- */

static void
forget_environment(struct known_environment *known)
{
	strings_done(known->variables);
	free(known->variables);
}

void
sqlite_forget_environments(struct sqlite_engine *engine)
{
	size_t kept = 0;

	for (size_t i = 0; i < engine->environment_count; i++) {
		if (i + 1 == engine->environment_count && engine->environments[i].id != 0)
			engine->environments[kept++] = engine->environments[i];
		else
			forget_environment(&engine->environments[i]);
	}
	engine->environment_count = kept;
}

void
sqlite_distrust_environments(struct sqlite_engine *engine)
{
	for (size_t i = 0; i < engine->environment_count; i++)
		engine->environments[i].id = 0;
	engine->recent_environment = 0;
}

static const struct strings *
remember_read(struct sqlite_engine *engine, int64_t id, struct strings *variables)
{
	struct known_environment known = { id, xcalloc(1, sizeof(*variables)) };

	*known.variables = *variables;
	engine->environments = xreallocarray(engine->environments,
	    engine->environment_count + 1, sizeof(engine->environments[0]));
	engine->environments[engine->environment_count++] = known;
	return known.variables;
}

int
sqlite_read_environment(struct sqlite_engine *engine, int64_t id, const struct strings **ret,
    const char **ret_why)
{
	sqlite3_stmt *statement = engine->environment.prepared[READ];
	struct strings variables = { 0 };
	int code;

	*ret = NULL;
	if (id == 0)
		return SQLITE_OK;
	for (size_t i = 0; i < engine->environment_count; i++) {
		if (engine->environments[i].id == id) {
			*ret = engine->environments[i].variables;
			return SQLITE_OK;
		}
	}
	bind_number(statement, 1, id);
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW && environment_parse(&variables, column_text(statement, 0)) == 0)
		*ret = remember_read(engine, id, &variables);
	else
		strings_done(&variables);
	if (*ret == NULL)
		*ret_why = "its environment is not an object of strings";
	return statement_end(statement, code);
}
