#ifndef STORE_ROWS_H
#define STORE_ROWS_H

#include "store/db.h"
#include "store/query.h"

#include <stdint.h>

/*
 * The rows behind query.h. They are copied in portions, each a transaction of its own,
 * so that a reader that is slow, a pager say, never keeps the database's log from being
 * folded in. A portion is read either by key, one row for each, or behind a cursor.
 */
struct row_key {
	int64_t id;
	int64_t line; /* its place among those that are ready; 0: it is not */
	int64_t busy; /* places taken of its supervisor */
};

struct rows_source {
	struct db *db;
	sqlite3_stmt *statement; /* bound anew for each portion */
	enum rows_way {
		ROWS_WHOLE,	/* in one portion; ?1 subject */
		ROWS_BY_KEY,	/* ?1 id, ?2 line, ?3 busy of each key */
		ROWS_BY_CURSOR, /* ?1 subject, ?2 cursor: the last column 0, ?3 limit */
	} way;
	int64_t subject, cursor;
	struct row_key *keys; /* taken over */
	size_t key_count;
};

struct rows *rows_new(const struct rows_source *source);

/* Read the next portion, within the caller's transaction. An SQLite result code. */
int rows_read(struct rows *rows);

#endif
