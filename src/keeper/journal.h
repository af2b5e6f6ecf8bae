#ifndef KEEPER_JOURNAL_H
#define KEEPER_JOURNAL_H

#include "keeper/orders.h"

#include <stdint.h>

/*
 * Which attempts came as far as having a process: one fixed record in a slot of
 * STATE/jobberd.journal, written by the child itself between clone and exec. A claim
 * without a record in this boot was never started. A slot is used again only after its
 * attempt's end was acknowledged, so the file stays as small as what ran at once. It is not
 * synced: after a power cut nothing runs.
 */
struct journal_record {
	uint64_t check; /* JOURNAL_CHECK */
	struct order_key key;
	int64_t pid;
	int64_t pid_start; /* clock ticks since boot, as in /proc/PID/stat; may be 1 less */
};

#define JOURNAL_CHECK UINT64_C(0x6a6f757262646a31)
#define JOURNAL_FILE "jobberd.journal"

struct journal {
	int fd;
	uint64_t *used; /* a bit for each slot */
	size_t words;
	size_t old_count; /* slots that the keeper before us left, not to be written yet */
};

/*
 * Open the journal in this directory; *ret_records, to be freed, are what the keeper
 * before us left. 0 or -1 with errno.
 */
int journal_open(struct journal *journal, int directory,
    struct journal_record **ret_records, size_t *ret_count);
void journal_close(struct journal *journal);

/*
 * What it left is recorded where it belongs, or was moved to a slot of ours (returned): its
 * slots may be used from now on. They never are when a record could not be moved.
 */
void journal_settled(struct journal *journal);
size_t journal_move(struct journal *journal, const struct journal_record *record);

/* A slot nobody uses, and giving it back. */
size_t journal_take(struct journal *journal);
void journal_give_back(struct journal *journal, size_t slot);

/* 0 or -1 with errno. */
int journal_write(int fd, size_t slot, const struct journal_record *record);
/* The child's side: only a system call. 0 or an errno. */
int journal_put(int fd, size_t slot, const struct journal_record *record);

#endif
