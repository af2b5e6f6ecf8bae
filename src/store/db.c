/*
 * db: the connection. Opens only what is ours, keeps WAL and synchronous=NORMAL, and
 * syncs the WAL file itself where somebody is told (db_sync), instead of at each commit.
 */

#include "store/db.h"
#include "store/db_shm.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "store/migrate.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CACHE_KIB "1024"
#define JOURNAL_LIMIT "16777216"
#define WAL_TRIES 100

int
db_execute(struct db *db, const char *sql)
{
	return sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
}

int
db_error(struct db *db, int code, struct error *error)
{
	bool lacks_room = db->handle != NULL &&
	    (db_lacks_room(db, SQLITE_FCNTL_JOURNAL_POINTER, code) ||
		db_lacks_room(db, SQLITE_FCNTL_FILE_POINTER, code));
	int primary = lacks_room ? SQLITE_FULL : code & 0xff;
	int status = primary == SQLITE_BUSY || primary == SQLITE_FULL ? STATUS_TRY_LATER
	    : primary == SQLITE_PERM || primary == SQLITE_READONLY    ? STATUS_NOT_PERMITTED
								      : STATUS_CONFIG;
	const char *words = primary == SQLITE_BUSY ? "database locked by another process"
	    : primary == SQLITE_FULL		   ? "disk full"
	    : db->handle != NULL		   ? sqlite3_errmsg(db->handle)
						   : sqlite3_errstr(code);

	return error_set(error, status, "%s: %s", db->path, words);
}

int
db_number(struct db *db, const char *sql, int64_t *ret_number)
{
	sqlite3_stmt *statement;
	int code = sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL);

	if (code != SQLITE_OK)
		return code;
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		*ret_number = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return code == SQLITE_ROW ? SQLITE_OK : code == SQLITE_DONE ? SQLITE_ERROR : code;
}

/* What the file says it is, all of it as of one moment: somebody may be making it. */
static int
read_identity(struct db *db, int64_t *ret_application, int64_t *ret_version,
    int64_t *ret_objects)
{
	int code = db_execute(db, "BEGIN");

	if (code == SQLITE_OK)
		code = db_number(db, "PRAGMA application_id", ret_application);
	if (code == SQLITE_OK)
		code = db_number(db, "PRAGMA user_version", ret_version);
	if (code == SQLITE_OK)
		code = db_number(db, "SELECT count(*) FROM sqlite_schema", ret_objects);
	if (code == SQLITE_OK)
		code = db_execute(db, "COMMIT");
	return code;
}

/* Is this file ours, and not from the future? Reads only. */
static int
check_identity(struct db *db, int64_t *ret_version, bool *ret_is_empty, struct error *error)
{
	int64_t application, objects;
	int code = read_identity(db, &application, ret_version, &objects);

	if (code == SQLITE_NOTADB)
		return error_set(error, STATUS_CONFIG,
		    "%s: this file is not a database; it was left untouched", db->path);
	if (code != SQLITE_OK)
		return db_error(db, code, error);
	*ret_is_empty = application == 0 && *ret_version == 0 && objects == 0;
	if (!*ret_is_empty && application != DB_APPLICATION_ID)
		return error_set(error, STATUS_CONFIG,
		    "%s: this database belongs to another program; it was left untouched",
		    db->path);
	if (*ret_version > migrate_newest())
		return error_set(error, STATUS_CONFIG,
		    "%s: the database has version %" PRId64
		    ", newer than this program's %d; it was left untouched",
		    db->path, *ret_version, migrate_newest());
	return 0;
}

/* It answers with the mode it has: on some file systems there is no WAL. */
static int
ask_for_wal(struct db *db, bool *ret_is_wal)
{
	sqlite3_stmt *statement;
	int code = sqlite3_prepare_v2(
	    db->handle, "PRAGMA journal_mode = WAL", -1, &statement, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	if (code == SQLITE_ROW) {
		*ret_is_wal = strcmp(column_text(statement, 0), "wal") == 0;
		code = SQLITE_OK;
	}
	sqlite3_finalize(statement);
	return code;
}

/*
 * SQLite does not wait in this statement, whatever the busy time-out; while another process
 * is about the same the wait is for its lock, in a statement that does.
 */
static int
switch_to_wal(struct db *db, struct error *error)
{
	bool is_wal = false;
	int code = ask_for_wal(db, &is_wal);

	for (int tries = 0; (code & 0xff) == SQLITE_BUSY && tries < WAL_TRIES; tries++) {
		code = db_execute(db, "BEGIN IMMEDIATE; ROLLBACK");
		if (code != SQLITE_OK)
			break;
		code = ask_for_wal(db, &is_wal);
	}
	if (code != SQLITE_OK)
		return db_error(db, code, error);
	if (!is_wal)
		return error_set(error, STATUS_CONFIG,
		    "%s: this file system cannot hold a database in WAL mode", db->path);
	return 0;
}

static int
configure(struct db *db, enum db_mode mode, struct error *error)
{
	int code = SQLITE_OK, persist = 1;

	sqlite3_extended_result_codes(db->handle, 1);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	/* The triggers guard what others write; ours is decided by the rules. */
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	if (mode > DB_READ) {
		if (switch_to_wal(db, error) == -1)
			return -1;
		code = db_execute(db,
		    "PRAGMA synchronous = NORMAL;"
		    "PRAGMA journal_size_limit = " JOURNAL_LIMIT);
		/* So that a reader without write permission works when nobody runs. */
		sqlite3_file_control(
		    db->handle, "main", SQLITE_FCNTL_PERSIST_WAL, &persist);
	}
	if (code == SQLITE_OK)
		code = db_execute(db,
		    "PRAGMA cell_size_check = ON;"
		    "PRAGMA cache_size = -" CACHE_KIB);
	return code == SQLITE_OK ? 0 : db_error(db, code, error);
}

static void
remember_file(struct db *db)
{
	struct stat info;

	db->has_file = stat(db->path, &info) == 0;
	db->device = db->has_file ? info.st_dev : 0;
	db->inode = db->has_file ? info.st_ino : 0;
	db_remember_log(db);
}

bool
db_has_moved(const struct db *db)
{
	struct stat info;

	return !db->has_file || stat(db->path, &info) == -1 || info.st_dev != db->device ||
	    info.st_ino != db->inode;
}

static bool
has_wal(const struct db *db)
{
	char *path = xasprintf("%s-wal", db->path);
	struct stat info;
	bool result = stat(path, &info) == 0 && info.st_size > 0;

	free(path);
	return result;
}

/* SQLite would throw away the WAL of a database that was moved elsewhere. */
static int
refuse_wal(const struct db *db, struct error *error)
{
	return error_set(error, STATUS_CONFIG,
	    "%s: this database is gone, and %s-wal has a part of it: put it back, or move "
	    "the other away too", db->path, db->path);
}

/* SQLite would open what cannot be written for reading, and tell only with the first write. */
static int
check_is_writable(const struct db *db, struct error *error)
{
	static const char *const endings[] = { "", "-wal", "-shm" };
	int result = 0;

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]) && result == 0; i++) {
		char *path = xasprintf("%s%s", db->path, endings[i]);

		if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == -1 && errno != ENOENT)
			result = error_set_errno(error, STATUS_NOT_PERMITTED, "%s", path);
		free(path);
	}
	return result;
}

/* The file must be a regular one of ours alone before SQLite touches it. */
static int
check_file(const struct db *db, enum db_mode mode, struct error *error)
{
	bool is_part = has_wal(db); /* asked first: somebody may be making them */
	struct stat info;

	if (lstat(db->path, &info) == -1) {
		if (errno == ENOENT && mode == DB_CREATE)
			return is_part ? refuse_wal(db, error) : 0;
		return error_set_errno(error,
		    errno == ENOENT ? STATUS_NOT_FOUND : STATUS_CONFIG, "%s", db->path);
	}
	if (!S_ISREG(info.st_mode))
		return error_set(
		    error, STATUS_CONFIG, "%s: this is not a regular file", db->path);
	return info.st_size == 0 && is_part ? refuse_wal(db, error) : 0;
}

/* SQLite is told to follow no links; those on the way to the directory are fine. */
static char *
database_path(const char *state_directory)
{
	char *directory = realpath(state_directory, NULL), *path;

	path = xasprintf("%s/" DB_FILE, directory != NULL ? directory : state_directory);
	free(directory);
	return path;
}

bool
db_is_replaced(const struct db *db, const char *state_directory)
{
	char *path = database_path(state_directory);
	struct stat info;
	bool result = db->has_file && stat(path, &info) == 0 &&
	    (info.st_dev != db->device || info.st_ino != db->inode);

	free(path);
	return result;
}

static int
open_once(struct db *db, const char *state_directory, enum db_mode mode, int busy_ms,
    bool is_shm_optional, struct error *error)
{
	int flags = mode <= DB_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE, code;
	int64_t version = 0;
	bool is_empty = false, lacks_room;
	mode_t mask;

	/* Of no effect from the second time on. No threads, and nobody asks for statistics. */
	sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	*db = (struct db){ .path = database_path(state_directory) };
	if (check_file(db, mode, error) == -1 ||
	    (mode > DB_READ && check_is_writable(db, error) == -1))
		goto failed;
	if (mode == DB_CREATE)
		flags |= SQLITE_OPEN_CREATE;
	mask = umask(077); /* -wal and -shm take the mode of the database */
	code = sqlite3_open_v2(db->path, &db->handle,
	    flags | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX, NULL);
	umask(mask);
	if (code != SQLITE_OK) {
		db_error(db, code, error);
		if (mode == DB_CREATE && (code & 0xff) == SQLITE_CANTOPEN &&
		    faccessat(AT_FDCWD, state_directory, W_OK | X_OK, AT_EACCESS) == -1)
			error_set_errno(error, STATUS_CONFIG, "%s", db->path);
		goto failed;
	}
	db->shm = db_shm_guard(db->handle, is_shm_optional);
	sqlite3_busy_timeout(db->handle, busy_ms > 0 ? busy_ms : 0);
	/* What is not ours stays untouched: its WAL too. */
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (check_identity(db, &version, &is_empty, error) == -1)
		goto failed;
	db->version = (int)version;
	if ((mode == DB_READ || mode == DB_WRITE) && version != migrate_newest()) {
		error_set(error, STATUS_CONFIG,
		    "%s: the database has version %" PRId64
		    ", this program's is %d; `jobberd migrate` or `supervise` brings it up",
		    db->path, version, migrate_newest());
		goto failed;
	}
	if (configure(db, mode, error) == -1)
		goto failed;
	if (mode == DB_CREATE && version < migrate_newest() &&
	    migrate_run(db, (int)version, is_empty, error) == -1)
		goto failed;
	remember_file(db);
	return 0;
failed:
	lacks_room = db_shm_lacks_room(db->shm);
	db_close(db);
	db->lacks_room = lacks_room;
	return -1;
}

int
db_open(struct db *db, const char *state_directory, enum db_mode mode, int busy_ms,
    struct error *error)
{
	if (open_once(db, state_directory, mode, busy_ms, false, error) == 0)
		return 0;
	/* Who asks is answered on a full disk, too. */
	return mode <= DB_READ && db->lacks_room
	    ? open_once(db, state_directory, mode, busy_ms, true, error)
	    : -1;
}

int
db_open_empty(struct db *db, struct error *error)
{
	int code;

	*db = (struct db){ .path = xstrdup(":memory:") };
	code = sqlite3_open(db->path, &db->handle);
	if (code != SQLITE_OK)
		db_error(db, code, error);
	if (code == SQLITE_OK && migrate_run(db, 0, true, error) == 0)
		return 0;
	db_close(db);
	return -1;
}

void
db_close(struct db *db)
{
	if (db->handle != NULL && sqlite3_close(db->handle) != SQLITE_OK)
		log_warn("database=%s statements were left open", db->path);
	db->handle = NULL;
	db_shm_free(db->shm);
	db->shm = NULL;
	free(db->path);
	db->path = NULL;
}

int
db_check(struct db *db, struct error *error)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(db->handle, "PRAGMA quick_check(1)", -1, &statement, NULL);
	int result = 0;

	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		result = db_error(db, code, error);
	else if (strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0)
		result = error_set(error, STATUS_CONFIG, "%s: the database is damaged: %s",
		    db->path, sqlite3_column_text(statement, 0));
	sqlite3_finalize(statement);
	return result;
}

/*
 * A quota and a limit of file sizes are no room, too: SQLite knows only of a full disk. What the
 * write has left behind is no whole commit.
 */
bool
db_lacks_room(struct db *db, int which_file, int code)
{
	sqlite3_file *file = NULL;
	int number = 0;
	bool result;

	if (code != SQLITE_IOERR_WRITE ||
	    sqlite3_file_control(db->handle, "main", which_file, &file) != SQLITE_OK ||
	    file == NULL || file->pMethods == NULL)
		return false;
	file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &number);
	result = number == EDQUOT || number == EFBIG;
	if (result && !db->has_said_limit)
		log_warn("database=%s %s", db->path, strerror(number));
	db->has_said_limit = db->has_said_limit || result;
	return result;
}

enum store_answer
db_answer(struct db *db, int code, bool at_commit)
{
	if (db_lacks_room(db, SQLITE_FCNTL_JOURNAL_POINTER, code))
		return STORE_FULL;
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return STORE_OK;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return STORE_BUSY;
	case SQLITE_FULL:
		return STORE_FULL;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_SCHEMA: /* a table was dropped under us */
	case SQLITE_ERROR:
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
		return STORE_CORRUPT;
	default:
		return at_commit ? STORE_IN_DOUBT : STORE_UNAVAILABLE;
	}
}
