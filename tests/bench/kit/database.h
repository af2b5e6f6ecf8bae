#ifndef BENCH_KIT_DATABASE_H
#define BENCH_KIT_DATABASE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A state directory's database by way of plain SQLite. All of these end the benchmark
 * when something goes wrong.
 */

/* Make it, by the program's own migrations, in a directory that has none. */
void database_make(const char *state);

/* Without the schema's guards, as jobberd itself writes. */
sqlite3 *database_connect(const char *state, bool writes);
void database_run(sqlite3 *database, const char *sql);
sqlite3_stmt *database_prepare(sqlite3 *database, const char *sql);
/* To its end, and reset. */
void database_step(sqlite3 *database, sqlite3_stmt *statement);
int64_t database_number(sqlite3 *database, const char *sql);
void database_close(sqlite3 *database);

/* The number that a query answers, on a connection of its own. */
int64_t state_number(const char *state, const char *sql);

/* Bytes of all pages that hold something. */
int64_t database_bytes(const char *state);

#endif
