/* file: reading within a limit, writing to the end, making directories. */

#include "base/file.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BIG 300000

/* A directory of its own for each test; *state is a descriptor of it. */
static char place[PATH_MAX];

static int
make_place(void **state)
{
	const char *parent = getenv("TMPDIR");
	int fd;

	snprintf(
	    place, sizeof(place), "%s/file.XXXXXX", parent != NULL ? parent : "/tmp");
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

	unlinkat(fd, "file", 0);
	unlinkat(fd, "a/b/c", AT_REMOVEDIR);
	unlinkat(fd, "a/b", AT_REMOVEDIR);
	unlinkat(fd, "a", AT_REMOVEDIR);
	close(fd);
	return rmdir(place);
}

static void
write_file(int directory, const void *bytes, size_t length)
{
	int fd =
	    openat(directory, "file", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_not_equal(fd, -1);
	assert_int_equal(file_write_all(fd, bytes, length), 0);
	close(fd);
}

static const char *
below_place(const char *name)
{
	static char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s", place, name);
	return path;
}

static void
file_read_appends_the_whole_file(void **state)
{
	int directory = (int)(intptr_t)*state;
	struct buf buf = { 0 };

	write_file(directory, "text\0more", 9);
	buf_add_text(&buf, "before ");
	assert_int_equal(file_read(directory, "file", 100, &buf), 0);
	assert_int_equal(buf.length, 16);
	assert_memory_equal(buf_start(&buf), "before text\0more", 16);
	buf_clear(&buf);
	assert_int_equal(file_read(AT_FDCWD, below_place("file"), 100, &buf), 0);
	assert_int_equal(buf.length, 9);
	buf_done(&buf);
}

static void
file_read_takes_as_much_as_the_limit_and_not_more(void **state)
{
	int directory = (int)(intptr_t)*state;
	static char bytes[9000];
	struct buf buf = { 0 };

	memset(bytes, 'x', sizeof(bytes));
	write_file(directory, bytes, sizeof(bytes));
	assert_int_equal(file_read(directory, "file", sizeof(bytes), &buf), 0);
	assert_int_equal(buf.length, sizeof(bytes));
	buf_clear(&buf);
	buf_add_text(&buf, "before");
	errno = 0;
	assert_int_equal(file_read(directory, "file", sizeof(bytes) - 1, &buf), -1);
	assert_int_equal(errno, EFBIG);
	assert_string_equal(buf_text(&buf), "before");
	assert_int_equal(file_read(directory, "file", 0, &buf), -1);
	assert_int_equal(errno, EFBIG);
	assert_string_equal(buf_text(&buf), "before");
	buf_done(&buf);
}

static void
file_read_of_an_empty_file_succeeds_without_bytes(void **state)
{
	int directory = (int)(intptr_t)*state;
	struct buf buf = { 0 };

	write_file(directory, "", 0);
	assert_int_equal(file_read(directory, "file", 0, &buf), 0);
	assert_int_equal(buf.length, 0);
	buf_done(&buf);
}

static void
file_read_of_an_endless_file_ends_at_the_limit(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	assert_int_equal(file_read(AT_FDCWD, "/dev/zero", 100000, &buf), -1);
	assert_int_equal(errno, EFBIG);
	assert_int_equal(buf.length, 0);
	buf_done(&buf);
}

static void
file_read_says_why_it_failed(void **state)
{
	int directory = (int)(intptr_t)*state;
	struct buf buf = { 0 };

	assert_int_equal(file_read(directory, "none", 100, &buf), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(file_read(directory, ".", 100, &buf), -1);
	assert_int_equal(errno, EISDIR);
	assert_int_equal(file_read(-1, "file", 100, &buf), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(buf.length, 0);
	buf_done(&buf);
}

/* Reads a pipe to its end. */
static void *
count_bytes(void *arg)
{
	int fd = *(int *)arg;
	char bytes[1000];
	size_t total = 0;
	ssize_t got;

	while ((got = read(fd, bytes, sizeof(bytes))) > 0)
		total += (size_t)got;
	return (void *)total;
}

static void
file_write_all_waits_for_a_reader_when_the_pipe_does_not_block(void **state)
{
	static char bytes[BIG];
	pthread_t reader;
	void *total;
	int ends[2];

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(pthread_create(&reader, NULL, count_bytes, &ends[0]), 0);
	assert_int_equal(file_write_all(ends[1], bytes, sizeof(bytes)), 0);
	close(ends[1]);
	assert_int_equal(pthread_join(reader, &total), 0);
	assert_int_equal((size_t)total, BIG);
	close(ends[0]);
}

static void
file_write_all_says_why_it_failed(void **state)
{
	void (*before)(int) = signal(SIGPIPE, SIG_IGN);
	int ends[2];

	(void)state;
	assert_int_equal(file_write_all(-1, "x", 1), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(file_write_all(-1, "", 0), 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	close(ends[0]);
	assert_int_equal(file_write_all(ends[1], "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	close(ends[1]);
	signal(SIGPIPE, before);
}

static void
check_directory(int directory, const char *name)
{
	struct stat status;

	assert_int_equal(fstatat(directory, name, &status, 0), 0);
	assert_true(S_ISDIR(status.st_mode));
	assert_int_equal(status.st_mode & 0777, 0700);
}

static void
file_make_directories_makes_those_above_too(void **state)
{
	int directory = (int)(intptr_t)*state;

	assert_int_equal(file_make_directories(below_place("a/b/c")), 0);
	check_directory(directory, "a");
	check_directory(directory, "a/b");
	check_directory(directory, "a/b/c");
}

static void
file_make_directories_is_content_with_what_is_there(void **state)
{
	(void)state;
	assert_int_equal(file_make_directories(below_place("a/b")), 0);
	assert_int_equal(file_make_directories(below_place("a/b")), 0);
	assert_int_equal(file_make_directories(below_place("a//b///c/")), 0);
	assert_int_equal(file_make_directories("/"), 0);
	assert_int_equal(file_make_directories("//"), 0);
	assert_int_equal(file_make_directories("."), 0);
}

static void
file_make_directories_fails_when_a_file_is_in_the_way(void **state)
{
	write_file((int)(intptr_t)*state, "x", 1);
	assert_int_equal(file_make_directories(below_place("file")), -1);
	assert_int_equal(errno, ENOTDIR);
	assert_int_equal(file_make_directories(below_place("file/a")), -1);
	assert_int_equal(errno, ENOTDIR);
	assert_int_equal(file_make_directories(below_place("file/a/b")), -1);
	assert_int_equal(errno, ENOTDIR);
}

static void
file_make_directories_fails_when_the_path_is_empty(void **state)
{
	(void)state;
	assert_int_equal(file_make_directories(""), -1);
	assert_int_equal(errno, ENOENT);
}

#define IN_A_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_PLACE(file_read_appends_the_whole_file),
		IN_A_PLACE(file_read_takes_as_much_as_the_limit_and_not_more),
		IN_A_PLACE(file_read_of_an_empty_file_succeeds_without_bytes),
		cmocka_unit_test(file_read_of_an_endless_file_ends_at_the_limit),
		IN_A_PLACE(file_read_says_why_it_failed),
		cmocka_unit_test(
		    file_write_all_waits_for_a_reader_when_the_pipe_does_not_block),
		cmocka_unit_test(file_write_all_says_why_it_failed),
		IN_A_PLACE(file_make_directories_makes_those_above_too),
		IN_A_PLACE(file_make_directories_is_content_with_what_is_there),
		IN_A_PLACE(file_make_directories_fails_when_a_file_is_in_the_way),
		cmocka_unit_test(file_make_directories_fails_when_the_path_is_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
