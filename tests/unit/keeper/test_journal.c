/* journal: what was recorded is found again, and what is damaged is not. */

#include "keeper/journal.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A directory of its own for each test; *state is a descriptor of it. */
static char place[PATH_MAX];

static int
make_place(void **state)
{
	const char *parent = getenv("TMPDIR");
	int fd;

	snprintf(place, sizeof(place), "%s/journal.XXXXXX", parent != NULL ? parent : "/tmp");
	if (mkdtemp(place) == NULL)
		return -1;
	fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = (void *)(intptr_t)fd;
	return fd == -1 ? -1 : 0;
}

static int
remove_place(void **state)
{
	int fd = (int)(intptr_t)*state;

	unlinkat(fd, JOURNAL_FILE, 0);
	close(fd);
	return rmdir(place);
}

static struct journal_record
record_of(int64_t job)
{
	return (struct journal_record){ .check = JOURNAL_CHECK,
		.key = { job, job + 1, job + 2 }, .pid = 1000 + job, .pid_start = 5000 + job };
}

/* Open it and expect these jobs' records, in this order; job 0 ends the list. */
static void
open_and_expect(int directory, struct journal *journal, const int64_t *jobs)
{
	struct journal_record *records;
	size_t count;

	assert_int_equal(journal_open(journal, directory, &records, &count), 0);
	for (size_t i = 0; i < count; i++) {
		struct journal_record expected = record_of(jobs[i]);

		assert_int_not_equal(jobs[i], 0);
		assert_memory_equal(&records[i], &expected, sizeof(expected));
	}
	assert_int_equal(jobs[count], 0);
	free(records);
}

static void
write_records(int directory, const struct journal_record *records, size_t count)
{
	int fd = openat(directory, JOURNAL_FILE, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_int_not_equal(fd, -1);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(journal_write(fd, i, &records[i]), 0);
	close(fd);
}

static const int64_t none[] = { 0 };

static void
journal_is_made_empty_and_private(void **state)
{
	int directory = (int)(intptr_t)*state;
	struct journal journal;
	struct stat status;

	open_and_expect(directory, &journal, none);
	assert_int_equal(fstat(journal.fd, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(status.st_size, 0);
	assert_int_equal(fcntl(journal.fd, F_GETFD), FD_CLOEXEC);
	journal_close(&journal);
	assert_int_equal(journal.fd, -1);
	journal_close(&journal);
}

static void
journal_gives_each_slot_once_and_the_lowest_again(void **state)
{
	struct journal journal;

	open_and_expect((int)(intptr_t)*state, &journal, none);
	for (size_t slot = 0; slot < 300; slot++)
		assert_int_equal(journal_take(&journal), slot);
	for (size_t slot = 0; slot < 300; slot += 63)
		journal_give_back(&journal, slot);
	for (size_t slot = 0; slot < 300; slot += 63)
		assert_int_equal(journal_take(&journal), slot);
	assert_int_equal(journal_take(&journal), 300);
	journal_close(&journal);
}

static void
journal_tells_what_an_earlier_keeper_recorded(void **state)
{
	int directory = (int)(intptr_t)*state;
	const int64_t jobs[] = { 1, 2, 3, 0 };
	struct journal journal;

	open_and_expect(directory, &journal, none);
	for (size_t slot = 0; slot < 3; slot++) {
		struct journal_record record = record_of((int64_t)slot + 1);

		assert_int_equal(journal_write(journal.fd, journal_take(&journal), &record), 0);
	}
	journal_close(&journal);
	open_and_expect(directory, &journal, jobs);
	journal_close(&journal);
	/* A keeper that died before it told anybody changes nothing. */
	open_and_expect(directory, &journal, jobs);
	journal_close(&journal);
}

static void
journal_record_in_a_slot_used_again_replaces_the_old_one(void **state)
{
	int directory = (int)(intptr_t)*state;
	struct journal_record first = record_of(1), second = record_of(2);
	struct journal journal;
	size_t slot;

	open_and_expect(directory, &journal, none);
	slot = journal_take(&journal);
	assert_int_equal(journal_write(journal.fd, slot, &first), 0);
	journal_give_back(&journal, slot);
	assert_int_equal(journal_take(&journal), slot);
	assert_int_equal(journal_write(journal.fd, slot, &second), 0);
	journal_close(&journal);
	open_and_expect(directory, &journal, (const int64_t[]){ 2, 0 });
	journal_close(&journal);
}

static void
journal_does_not_write_over_what_an_earlier_keeper_recorded(void **state)
{
	int directory = (int)(intptr_t)*state;
	struct journal_record records[] = { record_of(1), record_of(2) };
	struct journal_record next = record_of(3);
	struct journal journal;

	write_records(directory, records, 2);
	open_and_expect(directory, &journal, (const int64_t[]){ 1, 2, 0 });
	assert_int_equal(journal_take(&journal), 2);
	assert_int_equal(journal_write(journal.fd, 2, &next), 0);
	journal_close(&journal);
	open_and_expect(directory, &journal, (const int64_t[]){ 1, 2, 3, 0 });
	journal_close(&journal);
}

/* Else each start of a keeper would make the file longer, for ever. */
static void
journal_uses_old_slots_again_once_they_are_settled(void **state)
{
	int directory = (int)(intptr_t)*state;
	struct journal_record records[] = { record_of(1), record_of(2) };
	struct journal journal;

	write_records(directory, records, 2);
	open_and_expect(directory, &journal, (const int64_t[]){ 1, 2, 0 });
	assert_int_equal(journal_take(&journal), 2);
	journal_settled(&journal);
	assert_int_equal(journal_take(&journal), 0);
	journal_settled(&journal); /* again: what is in use now is not given back */
	assert_int_equal(journal_take(&journal), 1);
	assert_int_equal(journal_take(&journal), 3);
	journal_close(&journal);
}

static void
journal_move_copies_a_record_out_of_the_old_slots(void **state)
{
	int directory = (int)(intptr_t)*state;
	struct journal_record records[] = { record_of(1), record_of(2) };
	struct journal_record next = record_of(3);
	struct journal journal;

	write_records(directory, records, 2);
	open_and_expect(directory, &journal, (const int64_t[]){ 1, 2, 0 });
	assert_int_equal(journal_move(&journal, &records[1]), 2);
	journal_settled(&journal);
	assert_int_equal(journal_take(&journal), 0);
	assert_int_equal(journal_write(journal.fd, 0, &next), 0);
	assert_int_equal(journal_take(&journal), 1);
	assert_int_equal(journal_write(journal.fd, 1, &next), 0);
	journal_close(&journal);
	open_and_expect(directory, &journal, (const int64_t[]){ 3, 3, 2, 0 });
	journal_close(&journal);
}

static void
journal_keeps_the_old_slots_when_a_record_cannot_be_moved(void **state)
{
	int directory = (int)(intptr_t)*state, kept;
	struct journal_record records[] = { record_of(1), record_of(2) };
	struct journal journal;

	write_records(directory, records, 2);
	open_and_expect(directory, &journal, (const int64_t[]){ 1, 2, 0 });
	kept = journal.fd;
	journal.fd = -1;
	assert_int_equal(journal_move(&journal, &records[1]), 2);
	journal.fd = kept;
	journal_settled(&journal);
	assert_int_equal(journal_take(&journal), 3);
	journal_close(&journal);
}

static void
journal_leaves_out_damaged_records(void **state)
{
	int directory = (int)(intptr_t)*state;
	struct journal_record records[] = { record_of(1), record_of(2), record_of(3),
		record_of(4), record_of(5), record_of(6) };
	struct journal journal;

	records[0].check ^= 1;
	records[1].pid = 0;
	records[2].pid = 1;
	records[3].pid = -1;
	records[4].check = 0;
	write_records(directory, records, 6);
	open_and_expect(directory, &journal, (const int64_t[]){ 6, 0 });
	assert_int_equal(journal_take(&journal), 6);
	journal_close(&journal);
}

static void
journal_leaves_out_holes_and_zeroes(void **state)
{
	int directory = (int)(intptr_t)*state;
	struct journal_record record = record_of(9);
	struct journal journal;

	open_and_expect(directory, &journal, none);
	assert_int_equal(journal_write(journal.fd, 1000, &record), 0);
	journal_close(&journal);
	open_and_expect(directory, &journal, (const int64_t[]){ 9, 0 });
	journal_close(&journal);
}

static void
journal_writes_over_a_torn_last_record(void **state)
{
	int directory = (int)(intptr_t)*state;
	struct journal_record records[] = { record_of(1), record_of(2) };
	struct journal_record next = record_of(3);

	for (size_t kept = 0; kept < sizeof(next); kept++) {
		struct journal journal;

		write_records(directory, records, 2);
		open_and_expect(directory, &journal, (const int64_t[]){ 1, 2, 0 });
		assert_int_equal(ftruncate(journal.fd, (off_t)(sizeof(next) + kept)), 0);
		journal_close(&journal);
		open_and_expect(directory, &journal, (const int64_t[]){ 1, 0 });
		assert_int_equal(journal_take(&journal), 1);
		assert_int_equal(journal_write(journal.fd, 1, &next), 0);
		journal_close(&journal);
		open_and_expect(directory, &journal, (const int64_t[]){ 1, 3, 0 });
		journal_close(&journal);
	}
}

static void
journal_of_nonsense_has_no_records(void **state)
{
	int directory = (int)(intptr_t)*state;
	int fd = openat(directory, JOURNAL_FILE, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	struct journal journal;
	char bytes[4096];
	uint32_t random = 7;

	for (size_t i = 0; i < sizeof(bytes); i++) {
		random = random * 1664525 + 1013904223;
		bytes[i] = (char)(random >> 24);
	}
	assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	close(fd);
	open_and_expect(directory, &journal, none);
	journal_close(&journal);
}

static void
journal_open_says_why_it_failed_and_leaves_nothing_open(void **state)
{
	int directory = (int)(intptr_t)*state, before = dup(directory), after;
	struct journal_record *records = NULL;
	struct journal journal;
	size_t count = 42;

	close(before);
	assert_int_equal(symlinkat("/dev/null", directory, JOURNAL_FILE), 0);
	assert_int_equal(journal_open(&journal, directory, &records, &count), -1);
	assert_int_equal(errno, ELOOP);
	assert_int_equal(journal.fd, -1);
	assert_int_equal(unlinkat(directory, JOURNAL_FILE, 0), 0);
	assert_int_equal(journal_open(&journal, -1, &records, &count), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(journal.fd, -1);
	assert_null(records);
	assert_int_equal(count, 42);
	after = dup(directory);
	close(after);
	assert_int_equal(after, before);
}

/* Sparse, so that it costs nothing. */
static void
journal_open_of_a_file_too_large_to_be_one_fails(void **state)
{
	int directory = (int)(intptr_t)*state, before = dup(directory), after;
	struct journal_record record = record_of(1), *records;
	struct journal journal;
	size_t count;

	close(before);
	open_and_expect(directory, &journal, none);
	assert_int_equal(journal_write(journal.fd, 2 << 20, &record), 0);
	journal_close(&journal);
	assert_int_equal(journal_open(&journal, directory, &records, &count), -1);
	assert_int_equal(errno, EFBIG);
	assert_int_equal(journal.fd, -1);
	after = dup(directory);
	close(after);
	assert_int_equal(after, before);
}

static void
journal_write_says_why_it_failed(void **state)
{
	struct journal_record record = record_of(1);
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(journal_write(-1, 0, &record), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(journal_write(full, 0, &record), -1);
	assert_int_equal(errno, ENOSPC);
	close(full);
}

static void
journal_write_of_a_part_is_a_failure(void **state)
{
	struct journal_record record = record_of(1);
	struct journal journal;
	struct rlimit before, low;
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
	int result, error;

	open_and_expect((int)(intptr_t)*state, &journal, none);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	low = (struct rlimit){ sizeof(record) + 10, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	result = journal_write(journal.fd, 1, &record);
	error = errno;
	setrlimit(RLIMIT_FSIZE, &before);
	signal(SIGXFSZ, handler);
	assert_int_equal(result, -1);
	assert_int_equal(error, ENOSPC);
	journal_close(&journal);
}

#define IN_A_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_PLACE(journal_is_made_empty_and_private),
		IN_A_PLACE(journal_gives_each_slot_once_and_the_lowest_again),
		IN_A_PLACE(journal_tells_what_an_earlier_keeper_recorded),
		IN_A_PLACE(journal_record_in_a_slot_used_again_replaces_the_old_one),
		IN_A_PLACE(journal_does_not_write_over_what_an_earlier_keeper_recorded),
		IN_A_PLACE(journal_uses_old_slots_again_once_they_are_settled),
		IN_A_PLACE(journal_move_copies_a_record_out_of_the_old_slots),
		IN_A_PLACE(journal_keeps_the_old_slots_when_a_record_cannot_be_moved),
		IN_A_PLACE(journal_leaves_out_damaged_records),
		IN_A_PLACE(journal_leaves_out_holes_and_zeroes),
		IN_A_PLACE(journal_writes_over_a_torn_last_record),
		IN_A_PLACE(journal_of_nonsense_has_no_records),
		IN_A_PLACE(journal_open_says_why_it_failed_and_leaves_nothing_open),
		IN_A_PLACE(journal_open_of_a_file_too_large_to_be_one_fails),
		cmocka_unit_test(journal_write_says_why_it_failed),
		IN_A_PLACE(journal_write_of_a_part_is_a_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
