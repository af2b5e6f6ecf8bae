#ifndef STORE_DB_H
#define STORE_DB_H

#include "base/error.h"
#include "store/statement.h"
#include "store/store.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * One connection to the state database: opening it safely, its safety on disk, and what
 * SQLite's result codes mean to us. All SQLite calls of the program stand in store/.
 */

#define DB_APPLICATION_ID 0x6a6f6264 /* "jobd" */
#define DB_FILE "jobberd.db"

enum db_mode {
	DB_INSPECT, /* reads, whatever older version of ours it is */
	DB_READ,   /* never writes, not even a -wal file if it can be helped */
	DB_WRITE,  /* an existing database of our version */
	DB_CREATE, /* also makes it, or migrates it after a backup */
};

/*
 * Which jobs wait, and which are live: word for word as in the partial indexes, else SQLite
 * does not use them. Not as IN (…): for each of those it would make a table, in memory,
 * whenever a job's row is written.
 */
#define JOB_WAITS(job) "(" job "status = 'new' OR " job "status = 'errored')"
#define JOB_IS_LIVE(job)                                                                  \
	"(" job "status = 'new' OR " job "status = 'running' OR " job "status = 'errored')"

/*
 * A server that is one of its supervisor's children in order; or, a temporary one that is not any
 * more since it has ended, was: a file that describes it does not start it again.
 */
#define SERVER_IS_CHILD(server)                                                          \
	"(" server "position IS NOT NULL OR (" server "description IS NOT NULL AND "     \
	server "restart = 'temporary'))"

struct db {
	sqlite3 *handle;
	char *path;
	int version;	       /* of the schema, when it was opened */
	bool is_unsynced;      /* committed since the last successful sync */
	bool must_checkpoint;  /* a sync failed: only a checkpoint makes it safe again */
	bool has_file, has_log;
	uint64_t device, inode, log_inode; /* of the files that were opened */
	bool has_said_limit; /* since the last turn that was written */
	struct db_shm *shm;
	bool lacks_room; /* it could not be opened for that */
};

/*
 * Open STATE/jobberd.db. busy_ms: how long to wait for another writer, 0 in a loop that
 * must not block. 0, or -1 with *error: code STATUS_NOT_FOUND when there is none,
 * STATUS_CONFIG when it is refused (not ours, newer, damaged) untouched.
 */
int db_open(struct db *db, const char *state_directory, enum db_mode mode, int busy_ms,
    struct error *error);
/* One of this version that is nowhere and has nothing in it. */
int db_open_empty(struct db *db, struct error *error);
void db_close(struct db *db);

/* Is the file that was opened not at its path any more? Writing would go nowhere, or wrong. */
bool db_has_moved(const struct db *db);
/* Is another file there now? To open it beside the old one's WAL would damage it. */
bool db_is_replaced(const struct db *db, const char *state_directory);

/*
 * Is the log (-wal) that is open not the one at its path any more, which somebody has removed?
 * What is in it nobody else finds, and what others write to a new one not we. False while the
 * database itself is away.
 */
bool db_has_lost_log(const struct db *db);
void db_remember_log(struct db *db); /* as it is now */
/*
 * All that is in the log goes into the database, and outlives a power cut. If the log was lost
 * the connection is to be opened again behind this. STORE_BUSY: somebody else is at work.
 */
enum store_answer db_empty_log(struct db *db);

/* Look for damage; slow on a large database. 0 or -1 with *error. */
int db_check(struct db *db, struct error *error);

/* Run SQL without results. An SQLite result code. */
int db_execute(struct db *db, const char *sql);

/* The first column of the first row, which must exist. An SQLite result code. */
int db_number(struct db *db, const char *sql, int64_t *ret_number);

/* What this result code of the last call, before or at the COMMIT, means for the turn. */
enum store_answer db_answer(struct db *db, int code, bool at_commit);
/*
 * Did the write that led to this code go beyond a quota or a limit of file sizes? which_file:
 * SQLITE_FCNTL_JOURNAL_POINTER, to which turns are written, or SQLITE_FCNTL_FILE_POINTER.
 */
bool db_lacks_room(struct db *db, int which_file, int code);

/* Make what was committed outlive a power cut; see store_sync(). */
enum store_answer db_sync(struct db *db);

/* A person's sentence about the last failure on this connection. */
int db_error(struct db *db, int code, struct error *error);

#endif
