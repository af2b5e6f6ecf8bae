/* cgroup: how ours is found, and what the files of a leaf say. On files in a directory. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "keeper/cgroup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- a directory with files ---- */

struct place {
	char path[64];
	int directory;
};

static int
place_make(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	snprintf(place->path, sizeof(place->path), "cgroup.XXXXXX");
	if (mkdtemp(place->path) == NULL)
		return -1;
	place->directory = open(place->path, O_RDONLY | O_DIRECTORY);
	*state = place;
	return place->directory == -1 ? -1 : 0;
}

static int
place_remove(void **state)
{
	struct place *place = *state;

	close(place->directory);
	free(place);
	return 0; /* the files go with the directory that the runner made */
}

static void
put(struct place *place, const char *file, const char *text)
{
	char copy[128], *slash;
	int fd;

	snprintf(copy, sizeof(copy), "%s", file);
	for (slash = strchr(copy, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdirat(place->directory, copy, 0700);
		*slash = '/';
	}
	fd = openat(place->directory, file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* ---- what a leaf says ---- */

static void
oom_kill_is_seen_in_memory_events(void **state)
{
	struct place *place = *state;

	put(place, "job-1-1/memory.events",
	    "low 0\nhigh 3\nmax 12\noom 2\noom_kill 1\noom_group_kill 0\n");
	assert_true(cgroup_saw_oom(place->directory, "job-1-1"));
	put(place, "job-1-1/memory.events",
	    "low 0\nhigh 0\nmax 9\noom 0\noom_kill 0\noom_group_kill 1\n");
	assert_true(cgroup_saw_oom(place->directory, "job-1-1"));
}

/* Reaching a limit is no kill, and where nobody counts nothing is known. */
static void
oom_is_not_seen_without_a_kill(void **state)
{
	struct place *place = *state;

	put(place, "job-1-1/memory.events",
	    "low 0\nhigh 3\nmax 12\noom 2\noom_kill 0\noom_group_kill 0\n");
	assert_false(cgroup_saw_oom(place->directory, "job-1-1"));
	put(place, "job-1-1/memory.events", "");
	assert_false(cgroup_saw_oom(place->directory, "job-1-1"));
	put(place, "job-2-1/cgroup.procs", "");
	assert_false(cgroup_saw_oom(place->directory, "job-2-1"));
	assert_false(cgroup_saw_oom(place->directory, "job-3-1"));
}

static void
populated_is_read_from_cgroup_events(void **state)
{
	struct place *place = *state;

	put(place, "job-1-1/cgroup.events", "populated 1\nfrozen 0\n");
	assert_true(cgroup_is_populated(place->directory, "job-1-1"));
	put(place, "job-1-1/cgroup.events", "populated 0\nfrozen 1\n");
	assert_false(cgroup_is_populated(place->directory, "job-1-1"));
	assert_false(cgroup_is_populated(place->directory, "job-9-1"));
}

static void
pids_are_those_of_the_leaf_and_below(void **state)
{
	struct place *place = *state;
	pid_t *pids;
	long sum = 0;

	put(place, "job-1-1/cgroup.procs", "12\n345\n");
	put(place, "job-1-1/below/cgroup.procs", "6000\n");
	put(place, "job-2-1/cgroup.procs", "70000\n");
	assert_int_equal(cgroup_pids(place->directory, "job-1-1", &pids), 3);
	for (int i = 0; i < 3; i++)
		sum += pids[i];
	assert_int_equal(sum, 6357);
	free(pids);
	assert_int_equal(cgroup_pids(place->directory, "job-3-1", &pids), 0);
	free(pids);
}

static void
leaves_are_those_of_attempts(void **state)
{
	struct place *place = *state;
	char(*names)[CGROUP_NAME_SIZE];

	put(place, "jobberd/cgroup.procs", "1\n");
	put(place, "job-1/cgroup.procs", "");
	put(place, "job-12-3/cgroup.procs", "");
	put(place, "cgroup.procs", "");
	assert_int_equal(cgroup_leaves(place->directory, &names), 1);
	assert_string_equal(names[0], "job-12-3");
	free(names);
}

static void
removing_what_is_not_there_succeeds(void **state)
{
	struct place *place = *state;

	assert_int_equal(cgroup_remove(place->directory, "job-1-1"), 0);
}

static void
leaf_names_are_read_back(void **state)
{
	char name[CGROUP_NAME_SIZE];
	int64_t job, attempt;

	(void)state;
	cgroup_leaf_name(name, INT64_MAX, 1000000);
	assert_true(cgroup_leaf_attempt(name, &job, &attempt));
	assert_true(job == INT64_MAX && attempt == 1000000);
	assert_false(cgroup_leaf_attempt("job-1", &job, &attempt));
	assert_false(cgroup_leaf_attempt("job-1-", &job, &attempt));
	assert_false(cgroup_leaf_attempt("job--1-1", &job, &attempt));
	assert_false(cgroup_leaf_attempt("job-1-1-1", &job, &attempt));
	assert_false(cgroup_leaf_attempt("jobberd", &job, &attempt));
	assert_false(cgroup_leaf_attempt("job-99999999999999999999-1", &job, &attempt));
}

/* ---- finding ours ---- */

static void
own_path_is_the_line_of_version_2(void **state)
{
	char path[64];

	(void)state;
	assert_int_equal(cgroup_parse_path("4:memory:/a\n0::/system.slice/x.service\n", path,
			     sizeof(path)),
	    0);
	assert_string_equal(path, "/system.slice/x.service");
	assert_int_equal(cgroup_parse_path("0::/\n", path, sizeof(path)), 0);
	assert_string_equal(path, "/");
	assert_int_equal(cgroup_parse_path("10::/no\n1:name=systemd:/a\n", path, sizeof(path)),
	    -1);
	assert_int_equal(cgroup_parse_path("", path, sizeof(path)), -1);
	assert_int_equal(cgroup_parse_path("0::/longer\n", path, 5), -1);
}

#define MOUNT(root, point) "41 31 0:38 " root " " point " rw,relatime - cgroup2 cgroup2 rw\n"

static void
assert_directory(const char *mounts, const char *path, const char *directory)
{
	char found[128] = "none";
	int result = cgroup_parse_mounts(mounts, path, found, sizeof(found));

	assert_string_equal(found, directory == NULL ? "none" : directory);
	assert_int_equal(result, directory == NULL ? -1 : 0);
}

static void
directory_is_below_the_mount_of_version_2(void **state)
{
	static const char hybrid[] =
	    "22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
	    "35 31 0:32 / /sys/fs/cgroup/memory rw shared:9 master:2 - cgroup cgroup rw,memory\n"
	    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:4 - cgroup2 cgroup2 rw\n";

	(void)state;
	assert_directory(hybrid, "/a/b", "/sys/fs/cgroup/unified/a/b");
	assert_directory(hybrid, "/", "/sys/fs/cgroup/unified");
	assert_directory("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n", "/a", NULL);
	assert_directory("", "/a", NULL);
	assert_directory("41 - cgroup2 cgroup2 rw\n", "/a", NULL);
}

static void
directory_is_below_the_root_that_the_mount_shows(void **state)
{
	(void)state;
	assert_directory(MOUNT("/a", "/m"), "/a/b", "/m/b");
	assert_directory(MOUNT("/a", "/m"), "/a", "/m");
	assert_directory(MOUNT("/a", "/m"), "/ab", NULL);
	assert_directory(MOUNT("/x", "/n") MOUNT("/a", "/m"), "/a/b", "/m/b");
	assert_directory(MOUNT("/..", "/m"), "/a", NULL);
}

static void
octal_escapes_of_mountinfo_are_undone(void **state)
{
	(void)state;
	assert_directory(
	    MOUNT("/a\\040b", "/m\\011\\134n"), "/a b/c", "/m\t\\n/c");
	assert_directory(MOUNT("/", "/m\\04"), "/c", "/m\\04/c");
}

/* systemd would not be able to start the next keeper there. */
static void
controllers_are_not_enabled_below_a_service(void **state)
{
	(void)state;
	assert_false(cgroup_may_enable("/system.slice/jobberd.service"));
	assert_true(cgroup_may_enable("/user.slice/run-r1.scope"));
	assert_true(cgroup_may_enable("/user.slice/jobberd.service/below"));
	assert_true(cgroup_may_enable(""));
}

int
main(void)
{
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, place_make, place_remove)
	const struct CMUnitTest tests[] = {
		IN_PLACE(oom_kill_is_seen_in_memory_events),
		IN_PLACE(oom_is_not_seen_without_a_kill),
		IN_PLACE(populated_is_read_from_cgroup_events),
		IN_PLACE(pids_are_those_of_the_leaf_and_below),
		IN_PLACE(leaves_are_those_of_attempts),
		IN_PLACE(removing_what_is_not_there_succeeds),
		cmocka_unit_test(leaf_names_are_read_back),
		cmocka_unit_test(own_path_is_the_line_of_version_2),
		cmocka_unit_test(directory_is_below_the_mount_of_version_2),
		cmocka_unit_test(directory_is_below_the_root_that_the_mount_shows),
		cmocka_unit_test(octal_escapes_of_mountinfo_are_undone),
		cmocka_unit_test(controllers_are_not_enabled_below_a_service),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
