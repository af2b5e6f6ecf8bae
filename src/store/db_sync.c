/*
 * db_sync: what was committed outlives a power cut, and the removal of the log it was committed
 * to, the -wal file. SQLite is not asked to see to either: it would sync at each commit, and
 * would go on to write to a file that nobody finds.
 */

#include "store/db.h"
#include "base/xalloc.h"

#include <sys/stat.h>

#include <stdlib.h>

static bool
look_at_log(const struct db *db, struct stat *info)
{
	char *path = xasprintf("%s-wal", db->path);
	bool result = stat(path, info) == 0;

	free(path);
	return result;
}

void
db_remember_log(struct db *db)
{
	struct stat info;

	db->has_log = look_at_log(db, &info);
	db->log_inode = db->has_log ? info.st_ino : 0;
}

bool
db_has_lost_log(const struct db *db)
{
	struct stat info;

	return db->has_log && (!look_at_log(db, &info) || info.st_ino != db->log_inode) &&
	    !db_has_moved(db);
}

enum store_answer
db_empty_log(struct db *db)
{
	int code = sqlite3_wal_checkpoint_v2(
	    db->handle, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);

	if (db_lacks_room(db, SQLITE_FCNTL_FILE_POINTER, code))
		return STORE_FULL;
	if (code != SQLITE_OK)
		return db_answer(db, code, false);
	db->must_checkpoint = false;
	db->is_unsynced = false;
	return STORE_OK;
}

enum store_answer
db_sync(struct db *db)
{
	sqlite3_file *wal = NULL;
	int code;

	if (!db->is_unsynced)
		return STORE_OK;
	if (db_has_moved(db))
		return STORE_UNAVAILABLE;
	if (db->must_checkpoint || db_has_lost_log(db))
		return db_empty_log(db);
	code = sqlite3_file_control(
	    db->handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);
	if (code == SQLITE_OK)
		code = wal != NULL && wal->pMethods != NULL
		    ? wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL)
		    : SQLITE_IOERR_FSYNC;
	if (code != SQLITE_OK) {
		/* What the kernel did with the dirty pages is unknown: never just try again. */
		db->must_checkpoint = true;
		return db_answer(db, code, false);
	}
	db->is_unsynced = false;
	return STORE_OK;
}
