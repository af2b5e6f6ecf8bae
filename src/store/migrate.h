#ifndef STORE_MIGRATE_H
#define STORE_MIGRATE_H

#include "base/error.h"

#include <stdbool.h>

struct db;

/* One file of migrations/, embedded: number is the user_version after it. */
struct migration {
	int number;
	const char *name;
	const char *sql;
};

extern const struct migration migrations[]; /* generated; ends with number 0 */

/* The version this program works with. */
int migrate_newest(void);

/*
 * Bring an open database from version `from` to the newest, each migration in one
 * transaction with its user_version, after a copy to jobberd.db.backup-FROM unless it is
 * empty. 0, or -1 with *error and the database at the last version that worked.
 */
int migrate_run(struct db *db, int from, bool is_empty, struct error *error);

#endif
