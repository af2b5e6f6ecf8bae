/*
 * statement: prepared statements: what goes in, what comes out, how they end.
 */

#include "store/statement.h"
#include "base/xalloc.h"
#include "store/db.h"

#include <stdlib.h>

int
statements_prepare(struct statements *statements, struct db *db, const char *const *sql,
    size_t count, struct error *error)
{
	statements->prepared = xcalloc(count, sizeof(statements->prepared[0]));
	statements->count = count;
	for (size_t i = 0; i < count; i++) {
		int code = sqlite3_prepare_v3(db->handle, sql[i], -1,
		    SQLITE_PREPARE_PERSISTENT, &statements->prepared[i], NULL);

		if (code != SQLITE_OK) {
			statements_done(statements);
			return db_error(db, code, error);
		}
	}
	return 0;
}

void
statements_done(struct statements *statements)
{
	for (size_t i = 0; i < statements->count; i++)
		sqlite3_finalize(statements->prepared[i]);
	free(statements->prepared);
	*statements = (struct statements){ 0 };
}

int
statement_end(sqlite3_stmt *statement, int code)
{
	int reset = sqlite3_reset(statement);

	if (code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE)
		return code;
	return reset;
}

int
statement_run(sqlite3_stmt *statement)
{
	int code;

	while ((code = sqlite3_step(statement)) == SQLITE_ROW)
		;
	return statement_end(statement, code);
}

int
statement_exists(sqlite3_stmt *statement, bool *ret_exists)
{
	int code = sqlite3_step(statement);

	*ret_exists = code == SQLITE_ROW;
	return statement_end(statement, code);
}

void
bind_number(sqlite3_stmt *statement, int place, int64_t number)
{
	sqlite3_bind_int64(statement, place, number);
}

void
bind_unless(sqlite3_stmt *statement, int place, int64_t number, int64_t null_value)
{
	if (number == null_value)
		sqlite3_bind_null(statement, place);
	else
		sqlite3_bind_int64(statement, place, number);
}

void
bind_text(sqlite3_stmt *statement, int place, const char *text)
{
	if (text == NULL)
		sqlite3_bind_null(statement, place);
	else
		sqlite3_bind_text(statement, place, text, -1, SQLITE_STATIC);
}

int64_t
column_number(sqlite3_stmt *statement, int column, int64_t otherwise)
{
	if (sqlite3_column_type(statement, column) == SQLITE_NULL)
		return otherwise;
	return sqlite3_column_int64(statement, column);
}

const char *
column_text(sqlite3_stmt *statement, int column)
{
	return (const char *)sqlite3_column_text(statement, column);
}

struct reason
column_reason(sqlite3_stmt *statement, int column)
{
	const char *text = column_text(statement, column);
	struct reason reason = { .kind = REASON_NONE };

	if (text != NULL && reason_parse(text, &reason) == -1)
		reason = reason_from_words(text);
	return reason;
}
