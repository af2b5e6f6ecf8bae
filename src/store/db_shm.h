#ifndef STORE_DB_SHM_H
#define STORE_DB_SHM_H

#include <sqlite3.h>
#include <stdbool.h>

/*
 * The memory that connections share, the -shm file, has room on its disk before anything is
 * written to it: SQLite makes the file long enough, which on a file system of small blocks is
 * not the same. The store into a block that a full disk does not have would be our death by
 * SIGBUS; so it is SQLITE_FULL.
 */
struct db_shm;

/*
 * From now on, for this connection; to be freed when that is closed. Optional: a connection that
 * only reads does without it if nobody else has made it (SQLITE_READONLY_CANTINIT); SQLite reads
 * the log into memory of its own then, as it does for somebody who may not write to that file.
 */
struct db_shm *db_shm_guard(sqlite3 *handle, bool is_optional);
/* Was there no room for it, once? */
bool db_shm_lacks_room(const struct db_shm *shm);
void db_shm_free(struct db_shm *shm); /* NULL is allowed */

#endif
