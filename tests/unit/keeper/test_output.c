/* output: a file that has stayed empty is another attempt's, unless somebody could tell. */

#include "keeper/output.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const struct order_key first = { .job = 1, .attempt = 1 };
static const struct order_key second = { .job = 2, .attempt = 3 };

struct scene {
	char place[PATH_MAX];
	int state_fd;
	struct outputs outputs;
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
	scene->state_fd = open(scene->place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return outputs_open(&scene->outputs, scene->state_fd);
}

static int
finish(void **state)
{
	struct scene *scene = *state;

	unlinkat(scene->outputs.fd, "1.1", 0);
	unlinkat(scene->outputs.fd, "2.3", 0);
	outputs_close(&scene->outputs);
	unlinkat(scene->state_fd, "spare", AT_REMOVEDIR);
	unlinkat(scene->state_fd, "output", AT_REMOVEDIR);
	close(scene->state_fd);
	if (rmdir(scene->place) == -1) /* nothing is left in it */
		return -1;
	free(scene);
	return 0;
}

static ino_t
inode(int fd)
{
	struct stat info;

	assert_int_equal(fstat(fd, &info), 0);
	return info.st_ino;
}

static int
make(struct scene *scene, const struct order_key *key)
{
	int fd = outputs_make(&scene->outputs, key);

	assert_int_not_equal(fd, -1);
	return fd;
}

/* Is what the first has left empty, and still holds, given to the second? */
static bool
is_given_on(struct scene *scene, int held)
{
	ino_t before = inode(held);
	int fd;
	bool result;

	outputs_drop(&scene->outputs, &first);
	assert_int_equal(faccessat(scene->outputs.fd, "1.1", F_OK, 0), -1);
	fd = make(scene, &second);
	result = inode(fd) == before;
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(outputs_size(&scene->outputs, &second), 1);
	close(fd);
	return result;
}

static void
output_is_appended_to_and_has_a_size(void **state)
{
	struct scene *scene = *state;
	int fd = make(scene, &first);

	assert_int_equal(outputs_size(&scene->outputs, &first), 0);
	assert_int_equal(outputs_size(&scene->outputs, &second), 0);
	assert_int_equal(write(fd, "abc", 3), 3);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(write(fd, "d", 1), 1);
	assert_int_equal(outputs_size(&scene->outputs, &first), 4);
	close(fd);
	close(make(scene, &first));
	assert_int_equal(outputs_size(&scene->outputs, &first), 0);
}

static void
output_that_stayed_empty_is_the_next_ones(void **state)
{
	struct scene *scene = *state;
	int path, fd = make(scene, &first);

	path = openat(scene->outputs.fd, "1.1", O_PATH | O_CLOEXEC); /* does not hold it */
	close(fd);
	assert_true(is_given_on(scene, path));
	close(path);
}

/* A follower, or a process that nobody found, would take one's output for the other's. */
static void
output_that_somebody_has_open_is_nobody_elses(void **state)
{
	struct scene *scene = *state;
	int reader, fd = make(scene, &first);

	reader = openat(scene->outputs.fd, "1.1", O_RDONLY | O_CLOEXEC);
	close(fd);
	assert_false(is_given_on(scene, reader));
	close(reader);
}

static void
output_that_was_written_to_late_is_nobody_elses(void **state)
{
	struct scene *scene = *state;
	int path, fd = make(scene, &first);

	path = openat(scene->outputs.fd, "1.1", O_PATH | O_CLOEXEC);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	assert_false(is_given_on(scene, path));
	close(path);
}

static void
output_with_another_mode_is_nobody_elses(void **state)
{
	struct scene *scene = *state;
	int path, fd = make(scene, &first);

	path = openat(scene->outputs.fd, "1.1", O_PATH | O_CLOEXEC);
	assert_int_equal(fchmod(fd, 0644), 0);
	close(fd);
	assert_false(is_given_on(scene, path));
	close(path);
}

static void
output_with_another_name_is_nobody_elses(void **state)
{
	struct scene *scene = *state;
	int path, fd = make(scene, &first);

	path = openat(scene->outputs.fd, "1.1", O_PATH | O_CLOEXEC);
	assert_int_equal(linkat(scene->outputs.fd, "1.1", scene->state_fd, "mine", 0), 0);
	close(fd);
	assert_false(is_given_on(scene, path));
	close(path);
	assert_int_equal(unlinkat(scene->state_fd, "mine", 0), 0);
}

static void
outputs_that_a_keeper_left_are_removed(void **state)
{
	struct scene *scene = *state;
	struct outputs next;

	close(make(scene, &first));
	close(make(scene, &second));
	outputs_drop(&scene->outputs, &first);
	outputs_drop(&scene->outputs, &second);
	assert_int_equal(faccessat(scene->outputs.spare_fd, "1", F_OK, 0), 0);
	assert_int_equal(outputs_open(&next, scene->state_fd), 0);
	assert_int_equal(faccessat(scene->outputs.spare_fd, "0", F_OK, 0), -1);
	assert_int_equal(faccessat(scene->outputs.spare_fd, "1", F_OK, 0), -1);
	outputs_close(&next);
	close(make(scene, &first)); /* what it thought to have is gone: it makes one */
}

static void
outputs_are_made_where_none_can_be_kept(void **state)
{
	struct scene *scene = *state;

	outputs_close(&scene->outputs);
	assert_int_equal(unlinkat(scene->state_fd, "spare", AT_REMOVEDIR), 0);
	close(openat(scene->state_fd, "spare", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	assert_int_equal(outputs_open(&scene->outputs, scene->state_fd), 0);
	close(make(scene, &first));
	outputs_drop(&scene->outputs, &first);
	assert_int_equal(faccessat(scene->outputs.fd, "1.1", F_OK, 0), -1);
	close(make(scene, &second));
	assert_int_equal(unlinkat(scene->state_fd, "spare", 0), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    output_is_appended_to_and_has_a_size, begin, finish),
		cmocka_unit_test_setup_teardown(
		    output_that_stayed_empty_is_the_next_ones, begin, finish),
		cmocka_unit_test_setup_teardown(
		    output_that_somebody_has_open_is_nobody_elses, begin, finish),
		cmocka_unit_test_setup_teardown(
		    output_that_was_written_to_late_is_nobody_elses, begin, finish),
		cmocka_unit_test_setup_teardown(
		    output_with_another_mode_is_nobody_elses, begin, finish),
		cmocka_unit_test_setup_teardown(
		    output_with_another_name_is_nobody_elses, begin, finish),
		cmocka_unit_test_setup_teardown(
		    outputs_that_a_keeper_left_are_removed, begin, finish),
		cmocka_unit_test_setup_teardown(
		    outputs_are_made_where_none_can_be_kept, begin, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
