#ifndef STORE_STATEMENT_H
#define STORE_STATEMENT_H

#include "base/error.h"
#include "model/reason.h"

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

struct db;

/* The statements of one file: prepared together, so that a typo dies at the start. */
struct statements {
	sqlite3_stmt **prepared;
	size_t count;
};

int statements_prepare(struct statements *statements, struct db *db, const char *const *sql,
    size_t count, struct error *error);
void statements_done(struct statements *statements);

/* Run a bound statement to its end and reset it. SQLITE_OK, or the error. */
int statement_run(sqlite3_stmt *statement);

/* Reset, keeping the first error: `code` unless that was fine. */
int statement_end(sqlite3_stmt *statement, int code);

/* Does it have a row? */
int statement_exists(sqlite3_stmt *statement, bool *ret_exists);

void bind_number(sqlite3_stmt *statement, int place, int64_t number);
void bind_unless(sqlite3_stmt *statement, int place, int64_t number, int64_t null_value);
void bind_text(sqlite3_stmt *statement, int place, const char *text); /* NULL allowed; not copied */

/* A column's number, or `otherwise` if it is NULL. */
int64_t column_number(sqlite3_stmt *statement, int column, int64_t otherwise);
/* A column's text, NULL if it is NULL; good until the next step. */
const char *column_text(sqlite3_stmt *statement, int column);

/* A stored reason, a server's own words too; REASON_NONE if there is none. */
struct reason column_reason(sqlite3_stmt *statement, int column);

#endif
