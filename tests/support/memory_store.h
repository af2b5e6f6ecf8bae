#ifndef SUPPORT_MEMORY_STORE_H
#define SUPPORT_MEMORY_STORE_H

#include "base/buf.h"
#include "store/store.h"

/*
 * A second engine behind the seam: arrays and linear search, obviously right rather than
 * fast, deciding through the same rules (model/lifecycle.h). For tests of what stands
 * above the store, and as the oracle of the SQLite engine.
 */

/*
 * An empty store with the supervisors default (four places), serial and servers. A late
 * one completes its turns in store_step() only, so that the asynchronous side of the seam
 * is exercised too.
 */
struct store *memory_store_new(bool is_late);

enum memory_call {
	MEMORY_TURN,
	MEMORY_SYNC,
	MEMORY_CHANGED,
	MEMORY_REOPEN,
	MEMORY_CALL_COUNT
};

/*
 * The next so many calls of this kind answer `answer` and do nothing. (Turns that change
 * nothing need no lock: they are not BUSY or FULL, and do not count.)
 */
void memory_store_inject(struct store *store, enum memory_call call,
    enum store_answer answer, int times);

/*
 * The next turn's commit is in doubt. After the reopen it turns out to be there (is_kept)
 * or not.
 */
void memory_store_doubt_next(struct store *store, bool is_kept);

/*
 * What another process does to the database: the batch is committed at once, jobs that
 * end in it are told with the next turn, and store_changed() says so.
 */
enum store_answer memory_store_foreign_turn(struct store *store, struct batch *batch);

/* Turns committed and not synced yet: nobody may have been told of them. */
int64_t memory_store_unsynced(const struct store *store);

/*
 * Everything that is remembered as lines of text, in the same form as dump_sqlite() in
 * tests/unit/store/test_random.c. Times are in half hours since `since`.
 */
void memory_store_dump(const struct store *store, struct wall since, struct buf *buf);

#endif
