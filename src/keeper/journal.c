/* journal: slots of fixed records; see the header. */

#include "keeper/journal.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "keeper/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LARGEST_JOURNAL (64 << 20)

int
journal_open(struct journal *journal, int directory, struct journal_record **ret_records,
    size_t *ret_count)
{
	struct buf bytes = { 0 };
	struct journal_record *records;
	size_t found = 0, count;

	*journal = (struct journal){ 0 };
	journal->fd = openat(directory, JOURNAL_FILE,
	    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (journal->fd == -1)
		return -1;
	if (file_read(directory, JOURNAL_FILE, LARGEST_JOURNAL, &bytes) == -1) {
		int error = errno;

		buf_done(&bytes);
		journal_close(journal);
		errno = error;
		return -1;
	}
	count = bytes.length / sizeof(*records);
	records = xcalloc(count, sizeof(*records));
	for (size_t i = 0; i < count; i++) {
		memcpy(&records[found], buf_start(&bytes) + i * sizeof(*records),
		    sizeof(*records));
		if (records[found].check == JOURNAL_CHECK && records[found].pid > 1)
			found++;
	}
	buf_done(&bytes);
	*ret_records = records;
	*ret_count = found;
	/*
	 * The old records stay in the file until their slots are written again: should this
	 * keeper die before it has told anybody, the next one still finds them. So until
	 * journal_settled() the slots in use begin behind them.
	 */
	for (size_t slot = 0; slot < count; slot++)
		journal_take(journal);
	journal->old_count = count;
	return 0;
}

void
journal_settled(struct journal *journal)
{
	for (size_t slot = 0; slot < journal->old_count; slot++)
		journal_give_back(journal, slot);
	journal->old_count = 0;
}

void
journal_close(struct journal *journal)
{
	if (journal->fd != -1)
		close(journal->fd);
	free(journal->used);
	*journal = (struct journal){ .fd = -1 };
}

size_t
journal_move(struct journal *journal, const struct journal_record *record)
{
	size_t slot = journal_take(journal);

	if (journal_write(journal->fd, slot, record) == -1)
		journal->old_count = 0;
	return slot;
}

size_t
journal_take(struct journal *journal)
{
	for (size_t word = 0;; word++) {
		if (word == journal->words) {
			journal->used = xreallocarray(
			    journal->used, ++journal->words, sizeof(journal->used[0]));
			journal->used[word] = 0;
		}
		if (journal->used[word] != UINT64_MAX) {
			size_t bit = (size_t)__builtin_ctzll(~journal->used[word]);

			journal->used[word] |= UINT64_C(1) << bit;
			return word * 64 + bit;
		}
	}
}

void
journal_give_back(struct journal *journal, size_t slot)
{
	journal->used[slot / 64] &= ~(UINT64_C(1) << slot % 64);
}

int
journal_put(int fd, size_t slot, const struct journal_record *record)
{
	ssize_t done = raw_call(SYS_pwrite64, fd, (long)record, sizeof(*record),
	    (long)(slot * sizeof(*record)));

	return done == (ssize_t)sizeof(*record) ? 0 : done < 0 ? (int)-done : ENOSPC;
}

int
journal_write(int fd, size_t slot, const struct journal_record *record)
{
	int error = journal_put(fd, slot, record);

	errno = error;
	return error == 0 ? 0 : -1;
}
