/* output: head and tail stay, whatever is written; the last lines are text. */

#include "base/buf.h"
#include "base/file.h"
#include "supervisor/live.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define KIB 1024
#define MOST (64 * KIB)

/* An attempt whose file is output/7.3 below a directory of the test's own. */
struct scene {
	char place[PATH_MAX];
	struct supervisor_setup setup;
	struct supervisor supervisor;
	struct live live;
	int place_fd;
};

static int
begin(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	const char *parent = getenv("TMPDIR");

	*state = scene;
	snprintf(scene->place, sizeof(scene->place), "%s/output.XXXXXX",
	    parent != NULL ? parent : "/tmp");
	if (mkdtemp(scene->place) == NULL)
		return -1;
	scene->place_fd = open(scene->place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (scene->place_fd == -1 || mkdirat(scene->place_fd, "output", 0700) == -1 ||
	    mkdirat(scene->place_fd, "input", 0700) == -1)
		return -1;
	scene->setup.state_directory = scene->place;
	scene->supervisor.setup = &scene->setup;
	scene->supervisor.output_fd =
	    openat(scene->place_fd, "output", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	scene->live = (struct live){ .supervisor = &scene->supervisor,
		.key = { .job = 7, .attempt = 3 }, .max_output = MOST };
	return scene->supervisor.output_fd != -1 ? 0 : -1;
}

static int
finish(void **state)
{
	struct scene *scene = *state;
	int result;

	unlinkat(scene->supervisor.output_fd, "7.3", 0);
	unlinkat(scene->place_fd, "output", AT_REMOVEDIR);
	unlinkat(scene->place_fd, "input", AT_REMOVEDIR);
	close(scene->supervisor.output_fd);
	close(scene->place_fd);
	result = rmdir(scene->place);
	free(scene);
	return result;
}

static void
append(struct scene *scene, const char *name, const void *bytes, size_t length)
{
	int fd = openat(scene->supervisor.output_fd, name,
	    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	assert_int_not_equal(fd, -1);
	assert_int_equal(file_write_all(fd, bytes, length), 0);
	close(fd);
}

/* So many bytes, each block of which begins with its number. */
static void
append_blocks(struct scene *scene, int64_t from, int64_t bytes)
{
	char block[1024];

	for (int64_t at = from; at < from + bytes; at += (int64_t)sizeof(block)) {
		memset(block, 'x', sizeof(block));
		snprintf(block, sizeof(block), "%lld", (long long)at);
		append(scene, "7.3", block, sizeof(block));
	}
}

/* Is it still as it was written there, or a hole? */
static bool
is_kept(struct scene *scene, int64_t at)
{
	char block[1024], expected[32];
	int fd = openat(scene->supervisor.output_fd, "7.3", O_RDONLY | O_CLOEXEC);

	assert_int_equal(pread(fd, block, sizeof(block), at), sizeof(block));
	close(fd);
	snprintf(expected, sizeof(expected), "%lld", (long long)at);
	if (strcmp(block, expected) == 0 && block[1023] == 'x')
		return true;
	for (size_t i = 0; i < sizeof(block); i++)
		assert_int_equal(block[i], 0);
	return false;
}

static int64_t
size_of(struct scene *scene)
{
	struct stat status;

	assert_int_equal(fstatat(scene->supervisor.output_fd, "7.3", &status, 0), 0);
	return status.st_size;
}

/* What is left out lies between these two, and all else is there. */
static void
check_kept(struct scene *scene, int64_t size)
{
	int64_t left_out = 0;

	assert_int_equal(size_of(scene), size);
	for (int64_t at = 0; at < size; at += KIB) {
		bool is_in_the_middle = at >= MOST / 2 && at < MOST / 2 + scene->live.left_out;

		assert_int_equal(is_kept(scene, at), !is_in_the_middle);
		left_out += is_in_the_middle ? KIB : 0;
	}
	assert_int_equal(left_out, scene->live.left_out);
	assert_in_range(size - left_out, size < MOST ? size : MOST, MOST + 4 * KIB);
}

static void
cut_leaves_alone_what_is_not_too_long(void **state)
{
	struct scene *scene = *state;

	output_cut(&scene->live); /* no file */
	append_blocks(scene, 0, MOST);
	output_cut(&scene->live);
	assert_int_equal(scene->live.left_out, 0);
	for (int64_t at = 0; at < MOST; at += KIB)
		assert_true(is_kept(scene, at));
}

static void
cut_keeps_half_of_the_cap_at_each_end(void **state)
{
	struct scene *scene = *state;

	append_blocks(scene, 0, MOST + 100 * KIB);
	output_cut(&scene->live);
	assert_int_equal(scene->live.left_out, 100 * KIB);
	check_kept(scene, MOST + 100 * KIB);
}

static void
cut_again_moves_the_end_only(void **state)
{
	struct scene *scene = *state;
	int64_t size = 0;

	for (int step = 1; step < 40; step++) {
		append_blocks(scene, size, step * KIB);
		size += step * KIB;
		output_cut(&scene->live);
		if (size > MOST + 4 * KIB)
			check_kept(scene, size);
	}
	assert_in_range(scene->live.left_out, size - MOST - 4 * KIB, size - MOST);
}

static void
cut_without_anything_new_changes_nothing(void **state)
{
	struct scene *scene = *state;
	int64_t left_out;

	append_blocks(scene, 0, 2 * MOST);
	output_cut(&scene->live);
	left_out = scene->live.left_out;
	output_cut(&scene->live);
	assert_int_equal(scene->live.left_out, left_out);
	check_kept(scene, 2 * MOST);
}

static void
cut_frees_the_disk(void **state)
{
	struct scene *scene = *state;
	struct stat status;

	append_blocks(scene, 0, 16 * MOST);
	output_cut(&scene->live);
	assert_int_equal(fstatat(scene->supervisor.output_fd, "7.3", &status, 0), 0);
	assert_in_range(status.st_blocks * 512, 1, 2 * MOST);
}

static void
cut_does_not_follow_a_link(void **state)
{
	struct scene *scene = *state;

	append_blocks(scene, 0, 2 * MOST);
	assert_int_equal(renameat(scene->supervisor.output_fd, "7.3",
			     scene->supervisor.output_fd, "victim"),
	    0);
	assert_int_equal(symlinkat("victim", scene->supervisor.output_fd, "7.3"), 0);
	output_cut(&scene->live);
	assert_int_equal(scene->live.left_out, 0);
	for (int64_t at = 0; at < 2 * MOST; at += KIB)
		assert_true(is_kept(scene, at));
	assert_null(output_last_lines(&scene->live, 2 * MOST));
	assert_int_equal(unlinkat(scene->supervisor.output_fd, "victim", 0), 0);
}

/* ---- last lines ---- */

static void
check_last_lines(struct scene *scene, const void *bytes, size_t length, const char *expected)
{
	char *lines;

	unlinkat(scene->supervisor.output_fd, "7.3", 0);
	append(scene, "7.3", bytes, length);
	lines = output_last_lines(&scene->live, (int64_t)length);
	assert_non_null(lines);
	assert_string_equal(lines, expected);
	free(lines);
}

static void
last_lines_are_ten_at_most(void **state)
{
	struct scene *scene = *state;
	const char text[] = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n";

	check_last_lines(scene, "one\n", 4, "one\n");
	check_last_lines(scene, "no newline", 10, "no newline");
	check_last_lines(scene, text, strlen(text), "3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n");
	check_last_lines(scene, text, strlen(text) - 1, "3\n4\n5\n6\n7\n8\n9\n10\n11\n12");
	check_last_lines(scene, text + 4, strlen(text) - 4, text + 4);
	check_last_lines(scene, "\n\n\n", 3, "\n\n\n");
}

static void
last_lines_do_not_begin_with_a_torn_one(void **state)
{
	struct scene *scene = *state;
	struct buf text = { 0 };

	buf_addf(&text, "%03000d\nlast\n", 1);
	check_last_lines(scene, buf_start(&text), text.length, "last\n");
	buf_done(&text);
}

static void
last_lines_of_one_endless_line_are_its_end(void **state)
{
	struct scene *scene = *state;
	struct buf text = { 0 };
	char *lines;

	buf_addf(&text, "%05000d", 1);
	append(scene, "7.3", buf_start(&text), text.length);
	lines = output_last_lines(&scene->live, (int64_t)text.length);
	assert_int_equal(strlen(lines), 2048);
	assert_string_equal(lines + 2040, "00000001");
	free(lines);
	buf_done(&text);
}

static void
last_lines_are_clean_text(void **state)
{
	struct scene *scene = *state;

	check_last_lines(
	    scene, "tab\tand \xc3\xa9\xe2\x82\xac\n", 14, "tab\tand \xc3\xa9\xe2\x82\xac\n");
	check_last_lines(scene, "\x1b[31mred\x7f\r\n", 11, "?[31mred??\n");
	check_last_lines(scene, "a\0b\xff\xc3\n", 6, "a?b??\n");
	check_last_lines(scene, "\xed\xa0\x80\xc0\x80", 5, "?????");
	check_last_lines(scene, "cut \xe2\x82", 6, "cut ??");
}

static void
last_lines_of_nothing_are_none(void **state)
{
	struct scene *scene = *state;

	assert_null(output_last_lines(&scene->live, 0));
	assert_null(output_last_lines(&scene->live, 100)); /* no file */
	append(scene, "7.3", "", 0);
	assert_null(output_last_lines(&scene->live, 100)); /* somebody emptied it */
}

/* ---- removal ---- */

static bool
is_there(struct scene *scene, const char *name)
{
	return faccessat(scene->place_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void
remove_takes_that_attempts_file_only(void **state)
{
	struct scene *scene = *state;

	append(scene, "7.3", "x", 1);
	append(scene, "7.33", "x", 1);
	output_remove(&scene->supervisor, 7, 3);
	assert_false(is_there(scene, "output/7.3"));
	assert_true(is_there(scene, "output/7.33"));
	output_remove(&scene->supervisor, 7, 3);
	output_remove(&scene->supervisor, 7, 33);
	assert_false(is_there(scene, "output/7.33"));
}

static void
remove_job_takes_all_its_files_and_its_own_input(void **state)
{
	struct scene *scene = *state;
	char path[PATH_MAX + 32];
	int fd = openat(scene->place_fd, "input/abc", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	close(fd);
	append(scene, "7.1", "x", 1);
	append(scene, "7.4", "x", 1); /* 2 and 3 were empty */
	append(scene, "7.60", "x", 1);
	append(scene, "77.1", "x", 1);
	snprintf(path, sizeof(path), "%s/input/abc", scene->place);
	output_remove_job(&scene->supervisor, 7, 60, path);
	assert_false(is_there(scene, "output/7.1"));
	assert_false(is_there(scene, "output/7.4"));
	assert_false(is_there(scene, "output/7.60"));
	assert_false(is_there(scene, "input/abc"));
	assert_true(is_there(scene, "output/77.1"));
	output_remove_job(&scene->supervisor, 77, 1, NULL);
	assert_false(is_there(scene, "output/77.1"));
}

/* What a user named as standard input is the user's. */
static void
remove_job_leaves_the_users_files_alone(void **state)
{
	static const char *const names[] = { "output/mine", "input.txt", "inputs" };
	struct scene *scene = *state;
	char path[PATH_MAX + 32];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int fd = openat(scene->place_fd, names[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		close(fd);
		snprintf(path, sizeof(path), "%s/%s", scene->place, names[i]);
		output_remove_job(&scene->supervisor, 7, 60, path);
		assert_true(is_there(scene, names[i]));
	}
	/* Nor may a path lead out of the folder again. */
	snprintf(path, sizeof(path), "%s/input/../inputs", scene->place);
	output_remove_job(&scene->supervisor, 7, 60, path);
	assert_true(is_there(scene, "inputs"));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(unlinkat(scene->place_fd, names[i], 0), 0);
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(cut_leaves_alone_what_is_not_too_long),
		SCENE(cut_keeps_half_of_the_cap_at_each_end),
		SCENE(cut_again_moves_the_end_only),
		SCENE(cut_without_anything_new_changes_nothing),
		SCENE(cut_frees_the_disk),
		SCENE(cut_does_not_follow_a_link),
		SCENE(last_lines_are_ten_at_most),
		SCENE(last_lines_do_not_begin_with_a_torn_one),
		SCENE(last_lines_of_one_endless_line_are_its_end),
		SCENE(last_lines_are_clean_text),
		SCENE(last_lines_of_nothing_are_none),
		SCENE(remove_takes_that_attempts_file_only),
		SCENE(remove_job_takes_all_its_files_and_its_own_input),
		SCENE(remove_job_leaves_the_users_files_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
