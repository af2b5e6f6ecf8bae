/* database: plain SQLite, as a bare loop or a foreign client has it. */

#include "bench/kit/database.h"
#include "base/xalloc.h"
#include "store/db.h"
#include "store/sqlite_engine.h"

#include <err.h>
#include <stdlib.h>

#define LOCK_WAIT_MS 10000

void
database_make(const char *state)
{
	struct error error;
	struct store *store = sqlite_store_open(state, 0, false, &error);

	if (store == NULL)
		errx(1, "%s", error.text);
	store_close(store);
}

static void
check(sqlite3 *database, int code, const char *what)
{
	if (code != SQLITE_OK && code != SQLITE_DONE && code != SQLITE_ROW)
		errx(1, "%s: %s", what, sqlite3_errmsg(database));
}

sqlite3 *
database_connect(const char *state, bool writes)
{
	char *path = xasprintf("%s/" DB_FILE, state);
	sqlite3 *database;
	int code = sqlite3_open_v2(path, &database,
	    (writes ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_NOMUTEX,
	    NULL);

	check(database, code, path);
	sqlite3_busy_timeout(database, LOCK_WAIT_MS);
	sqlite3_db_config(database, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	free(path);
	return database;
}

void
database_run(sqlite3 *database, const char *sql)
{
	check(database, sqlite3_exec(database, sql, NULL, NULL, NULL), sql);
}

sqlite3_stmt *
database_prepare(sqlite3 *database, const char *sql)
{
	sqlite3_stmt *statement;

	check(database,
	    sqlite3_prepare_v3(
		database, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL),
	    sql);
	return statement;
}

void
database_step(sqlite3 *database, sqlite3_stmt *statement)
{
	int code;

	while ((code = sqlite3_step(statement)) == SQLITE_ROW)
		;
	check(database, code, "a statement");
	sqlite3_reset(statement);
}

int64_t
database_number(sqlite3 *database, const char *sql)
{
	sqlite3_stmt *statement = database_prepare(database, sql);
	int64_t number = 0;
	int code = sqlite3_step(statement);

	check(database, code, sql);
	if (code == SQLITE_ROW)
		number = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return number;
}

void
database_close(sqlite3 *database)
{
	if (sqlite3_close(database) != SQLITE_OK)
		errx(1, "a database was closed with statements open");
}

int64_t
state_number(const char *state, const char *sql)
{
	sqlite3 *database = database_connect(state, false);
	int64_t number = database_number(database, sql);

	database_close(database);
	return number;
}

int64_t
database_bytes(const char *state)
{
	sqlite3 *database = database_connect(state, false);
	int64_t pages = database_number(database, "PRAGMA page_count") -
	    database_number(database, "PRAGMA freelist_count");
	int64_t size = database_number(database, "PRAGMA page_size");

	database_close(database);
	return pages * size;
}
