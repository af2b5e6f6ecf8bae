/*
 * Where a cgroup is delegated to us each attempt has one of its own, out of which nothing
 * escapes. The tests make one below their own and mark it as a service manager would; where
 * that is not permitted they are skipped.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/file.h"
#include "keeper/cgroup.h"
#include "support/helper.h"
#include "support/outside.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* ---- the cgroup of a test: we are in it, so what we start is there, too ---- */

struct group {
	char own[PATH_MAX];	/* where we were before */
	char path[PATH_MAX + 32];
	int directory; /* -1: cannot be had here */
	const char *missing;
};

static int
own_cgroup(char *path, size_t size)
{
	struct buf groups = { 0 }, mounts = { 0 };
	char name[PATH_MAX];
	int result = -1;

	if (file_read(AT_FDCWD, "/proc/self/cgroup", 1 << 20, &groups) == 0 &&
	    file_read(AT_FDCWD, "/proc/self/mountinfo", 1 << 24, &mounts) == 0 &&
	    cgroup_parse_path(buf_text(&groups), name, sizeof(name)) == 0)
		result = cgroup_parse_mounts(buf_text(&mounts), name, path, size);
	buf_done(&groups);
	buf_done(&mounts);
	return result;
}

static int
enter(const char *directory)
{
	char path[PATH_MAX + 64];
	int fd, result;

	snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	result = fd != -1 && write(fd, "0", 1) == 1 ? 0 : -1;
	if (fd != -1)
		close(fd);
	return result;
}

static const char *
group_try(struct group *group)
{
	if (own_cgroup(group->own, sizeof(group->own)) == -1)
		return "there is no cgroup of version 2";
	snprintf(group->path, sizeof(group->path), "%s/jobberd-test.%d", group->own,
	    (int)getpid());
	if (mkdir(group->path, 0755) == -1)
		return "cannot make a cgroup";
	group->directory = open(group->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (setxattr(group->path, "user.delegate", "1", 1, 0) == -1)
		return "cgroups have no extended attributes";
	if (faccessat(group->directory, "cgroup.kill", W_OK, 0) == -1)
		return "cgroups cannot be killed";
	return enter(group->path) == -1 ? "cannot enter a cgroup" : NULL;
}

static int
group_make(void **state)
{
	struct group *group = calloc(1, sizeof(*group));

	group->directory = -1;
	group->missing = group_try(group);
	*state = group;
	return 0;
}

/* Whatever a failed test has left in it is ended. */
static int
group_remove(void **state)
{
	struct group *group = *state;
	struct pollfd changes = { .fd = inotify_init1(IN_CLOEXEC), .events = POLLIN };
	char path[PATH_MAX + 64], bytes[4096];

	if (group->directory != -1) {
		snprintf(path, sizeof(path), "%s/cgroup.events", group->path);
		inotify_add_watch(changes.fd, path, IN_MODIFY);
		enter(group->own);
		cgroup_kill(group->directory, ".");
		while (cgroup_remove(AT_FDCWD, group->path) == -1 && errno == EBUSY &&
		    poll(&changes, 1, 10000) == 1 &&
		    read(changes.fd, bytes, sizeof(bytes)) > 0)
			;
		close(group->directory);
	}
	close(changes.fd);
	free(group);
	return 0;
}

static struct group *
group_need(void **state)
{
	struct group *group = *state;

	if (group->missing != NULL) {
		print_message("%s here: %s\n", group->missing, strerror(errno));
		skip();
	}
	return group;
}

static bool
has_leaf(struct group *group, const char *name)
{
	return faccessat(group->directory, name, F_OK, 0) == 0;
}

/* Wait until it is removed. */
static void
wait_until_leaf_is_gone(struct group *group, const char *name)
{
	struct pollfd changes = { .fd = inotify_init1(IN_CLOEXEC), .events = POLLIN };
	int64_t deadline = now_ms() + PATIENCE_MS;
	char bytes[4096];

	inotify_add_watch(changes.fd, group->path, IN_DELETE);
	while (has_leaf(group, name)) {
		if (poll(&changes, 1, (int)(deadline - now_ms())) != 1)
			fail_msg("%s is still there", name);
		assert_true(read(changes.fd, bytes, sizeof(bytes)) > 0);
	}
	close(changes.fd);
}

/* The end of the path of the cgroup that it is in, to be freed. */
static char *
leaf_of(pid_t pid)
{
	char path[64], found[PATH_MAX];
	char *text;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	text = file_text(path);
	assert_int_equal(cgroup_parse_path(text, found, sizeof(found)), 0);
	free(text);
	return strdup(strrchr(found, '/') + 1);
}

static void
assert_leaf(pid_t pid, const char *name)
{
	char *leaf = leaf_of(pid);

	assert_string_equal(leaf, name);
	free(leaf);
}

/* ---- a job of which something escapes ---- */

struct escape {
	char *ready, *go;
	pid_t pid; /* of what has a session of its own, no parent and no environment */
};

static void
escape_init(struct escape *escape, struct instance *instance)
{
	*escape = (struct escape){ .ready = fifo_make(instance, "ready"),
		.go = fifo_make(instance, "go") };
}

static void
escape_done(struct escape *escape)
{
	free(escape->ready);
	free(escape->go);
}

/* Submit it with these options, and wait until something of it has escaped. Its id. */
static int64_t
escape_submit(struct escape *escape, struct instance *instance, const char *option,
    const char *value, const char *main_part)
{
	char command[2000], *line;
	int64_t id;

	/* The shell between ends at once, so that its child has no parent of the job. */
	snprintf(command, sizeof(command),
	    "setsid sh -c '(exec env -i /bin/sh -c \"echo \\$\\$ > %s; exec sleep 1000\") &'; %s",
	    escape->ready, main_part);
	id = submit_job(instance, "-r", "0", option, value, "sh", "-c", command, NULL);
	line = fifo_read(escape->ready);
	escape->pid = (pid_t)atoi(line);
	free(line);
	return id;
}

static void
assert_killed(struct instance *instance, int64_t job, int64_t count)
{
	char statement[200], *detail, expected[64];

	snprintf(statement, sizeof(statement),
	    "SELECT detail FROM events WHERE job_id = %lld AND event = 'children killed'",
	    (long long)job);
	detail = sql(instance, statement);
	snprintf(expected, sizeof(expected), "%lld left running", (long long)count);
	assert_string_equal(detail, expected);
	free(detail);
}

/* ---- */

static void
each_attempt_has_a_cgroup_of_its_own_that_goes_with_it(void **state)
{
	struct group *group = group_need(state);
	char *ready, *go, *line, command[700];
	struct result result;
	struct instance i;
	int64_t id;

	instance_init(&i);
	instance_start(&i, NULL);
	ready = fifo_make(&i, "ready");
	go = fifo_make(&i, "go");
	snprintf(command, sizeof(command), "echo $$ > %s; read x < %s; exit 1", ready, go);
	id = submit_job(&i, "-r", "1", "--backoff", "constant:1ms", "--", "sh", "-c", command,
	    NULL);
	line = fifo_read(ready);
	assert_leaf((pid_t)atoi(line), "job-1-1");
	free(line);
	fifo_write(go, "go\n");
	line = fifo_read(ready);
	assert_leaf((pid_t)atoi(line), "job-1-2");
	assert_false(has_leaf(group, "job-1-1"));
	free(line);
	assert_leaf(i.keeper, CGROUP_KEEPER_LEAF);
	assert_leaf(instance_supervisor_pid(&i), CGROUP_KEEPER_LEAF);
	fifo_write(go, "go\n");
	assert_int_equal(wait_job(&i, id), 1);
	assert_false(has_leaf(group, "job-1-2"));
	result = jobberd(&i, "status", NULL);
	assert_has(result.out, "cgroups: yes");
	result_done(&result);
	/* What cannot be executed leaves none behind either. */
	id = submit_job(&i, "-r", "0", "--", "/does/not/exist", NULL);
	assert_int_equal(wait_job(&i, id), 1);
	assert_false(has_leaf(group, "job-2-1"));
	free(ready);
	free(go);
	instance_finish(&i);
}

static void
escaped_grandchild_is_killed_and_counted_before_the_end_is_reported(void **state)
{
	struct group *group = group_need(state);
	struct escape escape;
	struct instance i;
	char rest[400];
	int64_t id;

	instance_init(&i);
	instance_start(&i, NULL);
	escape_init(&escape, &i);
	snprintf(rest, sizeof(rest), "read x < %s; exit 0", escape.go);
	id = escape_submit(&escape, &i, "--grace", "10s", rest);
	fifo_write(escape.go, "go\n");
	assert_int_equal(wait_job(&i, id), 0);
	assert_false(is_alive(escape.pid));
	assert_false(has_leaf(group, "job-1-1"));
	assert_killed(&i, id, 1);
	escape_done(&escape);
	instance_finish(&i);
}

/* A member of the session is counted by one way of finding it, not by two. */
static void
what_is_in_session_and_cgroup_is_counted_once(void **state)
{
	struct instance i;
	char *ready, command[700];
	int64_t id;

	group_need(state);
	instance_init(&i);
	instance_start(&i, NULL);
	ready = fifo_make(&i, "ready");
	snprintf(command, sizeof(command),
	    "sleep 1000 & setsid sh -c 'echo > %s; exec sleep 1000' & read x < %s", ready,
	    ready);
	id = submit_job(&i, "-r", "0", "--", "bash", "-c", command, NULL);
	assert_int_equal(wait_job(&i, id), 0);
	assert_killed(&i, id, 2);
	free(ready);
	instance_finish(&i);
}

static void
time_out_kills_what_has_escaped(void **state)
{
	struct group *group = group_need(state);
	struct escape escape;
	struct instance i;
	char rest[400], *reason;
	int64_t id;

	instance_init(&i);
	instance_start(&i, NULL);
	escape_init(&escape, &i);
	snprintf(rest, sizeof(rest), "trap '' TERM; read x < %s", escape.go);
	id = escape_submit(&escape, &i, "--timeout=1s", "--grace=50ms", rest);
	assert_int_equal(wait_job(&i, id), 1);
	assert_false(is_alive(escape.pid));
	assert_false(has_leaf(group, "job-1-1"));
	assert_killed(&i, id, 1);
	reason = sql(&i, "SELECT reason FROM attempts");
	assert_string_equal(reason, "timeout");
	free(reason);
	escape_done(&escape);
	instance_finish(&i);
}

static void
adopted_attempt_uses_its_cgroup_again(void **state)
{
	struct group *group = group_need(state);
	struct escape escape;
	struct instance i;
	char rest[400], *reason;
	int64_t id;

	instance_init(&i);
	instance_start(&i, NULL);
	escape_init(&escape, &i);
	snprintf(rest, sizeof(rest), "read x < %s; exit 7", escape.go);
	id = escape_submit(&escape, &i, "--grace", "10s", rest);
	instance_kill_keeper(&i);
	instance_start(&i, NULL);
	assert_true(has_leaf(group, "job-1-1"));
	assert_true(is_alive(escape.pid));
	fifo_write(escape.go, "go\n");
	assert_int_equal(wait_job(&i, id), 1);
	assert_false(is_alive(escape.pid));
	assert_false(has_leaf(group, "job-1-1"));
	assert_killed(&i, id, 1);
	reason = sql(&i, "SELECT reason FROM attempts");
	assert_string_equal(reason, "exit:7");
	free(reason);
	escape_done(&escape);
	instance_finish(&i);
}

/* Its main process is dead before the next keeper comes: what it left is killed all the same. */
static void
remains_of_an_attempt_that_ended_without_a_keeper_are_killed(void **state)
{
	struct group *group = group_need(state);
	struct escape escape;
	struct instance i;
	char rest[400], *line;
	int64_t id;

	instance_init(&i);
	instance_start(&i, NULL);
	escape_init(&escape, &i);
	snprintf(rest, sizeof(rest), "echo $$ > %s; exec sleep 1000", escape.go);
	id = escape_submit(&escape, &i, "--grace", "10s", rest);
	line = fifo_read(escape.go);
	instance_kill_keeper(&i);
	kill((pid_t)atoi(line), SIGTERM);
	wait_gone((pid_t)atoi(line));
	assert_true(is_alive(escape.pid));
	instance_start(&i, NULL);
	assert_int_equal(wait_job(&i, id), 1);
	assert_false(is_alive(escape.pid));
	assert_false(has_leaf(group, "job-1-1"));
	free(line);
	escape_done(&escape);
	instance_finish(&i);
}

static void
children_that_are_left_keep_their_cgroup_until_they_end(void **state)
{
	struct group *group = group_need(state);
	struct escape escape;
	struct instance i;
	int64_t id;

	instance_init(&i);
	instance_start(&i, NULL);
	escape_init(&escape, &i);
	id = escape_submit(&escape, &i, "--grace=10s", "--leave-children", "exit 0");
	assert_int_equal(wait_job(&i, id), 0);
	assert_true(is_alive(escape.pid));
	assert_true(has_leaf(group, "job-1-1"));
	kill(escape.pid, SIGKILL);
	wait_until_leaf_is_gone(group, "job-1-1");
	assert_int_equal(
	    sql_number(&i, "SELECT count(*) FROM events WHERE event = 'children killed'"), 0);
	escape_done(&escape);
	instance_finish(&i);
}

/* One that is empty at once, another that becomes so. */
static void
next_start_removes_cgroups_that_were_left(void **state)
{
	struct group *group = group_need(state);
	struct escape first, second;
	struct instance i;

	instance_init(&i);
	instance_start(&i, NULL);
	escape_init(&first, &i);
	assert_int_equal(wait_job(&i,
			     escape_submit(&first, &i, "--grace=10s", "--leave-children",
				 "exit 0")),
	    0);
	second = first;
	assert_int_equal(wait_job(&i,
			     escape_submit(&second, &i, "--grace=10s", "--leave-children",
				 "exit 0")),
	    0);
	instance_kill_keeper(&i);
	kill(first.pid, SIGKILL);
	wait_gone(first.pid);
	assert_true(has_leaf(group, "job-1-1"));
	instance_start(&i, NULL);
	assert_false(has_leaf(group, "job-1-1"));
	assert_true(has_leaf(group, "job-2-1"));
	assert_true(is_alive(second.pid));
	kill(second.pid, SIGKILL);
	wait_until_leaf_is_gone(group, "job-2-1");
	escape_done(&first);
	instance_finish(&i);
}

/* Leaves are named by ids, which two instances have in common. */
static void
cgroup_is_not_shared_with_another_instance(void **state)
{
	struct group *group = group_need(state);
	struct instance i, other;
	struct result result;
	char *ready, *line, command[400];

	instance_init(&i);
	instance_init(&other);
	instance_start(&i, NULL);
	instance_start(&other, NULL);
	result = jobberd(&other, "status", NULL);
	assert_has(result.out, "cgroups: no, not delegated");
	result_done(&result);
	instance_stop(&other);
	/* Nor while jobs of one that has left run on. */
	ready = fifo_make(&i, "ready");
	snprintf(command, sizeof(command), "echo $$ > %s; exec sleep 1000", ready);
	submit_job(&i, "-r", "0", "--", "sh", "-c", command, NULL);
	line = fifo_read(ready);
	instance_kill_keeper(&i);
	instance_start(&other, NULL);
	result = jobberd(&other, "status", NULL);
	assert_has(result.out, "cgroups: no, not delegated");
	result_done(&result);
	instance_stop(&other);
	instance_start(&i, NULL);
	result = jobberd(&i, "status", NULL);
	assert_has(result.out, "cgroups: yes");
	result_done(&result);
	assert_leaf((pid_t)atoi(line), "job-1-1");
	instance_stop(&i);
	assert_false(is_alive((pid_t)atoi(line)));
	assert_false(has_leaf(group, "job-1-1"));
	free(line);
	free(ready);
	check_accounts(&i);
	instance_done(&i);
	instance_done(&other);
}

static void
cgroup_that_is_not_delegated_is_not_touched(void **state)
{
	struct group *group = group_need(state);
	struct result result;
	struct instance i;

	assert_int_equal(removexattr(group->path, "user.delegate"), 0);
	instance_init(&i);
	instance_start(&i, NULL);
	result = jobberd(&i, "status", NULL);
	assert_has(result.out, "cgroups: no, not delegated");
	result_done(&result);
	result = jobberd(&i, "status", "--json", NULL);
	assert_has(result.out, "\"cgroups\": \"no\"");
	result_done(&result);
	assert_int_equal(wait_job(&i, submit_job(&i, "--", "true", NULL)), 0);
	assert_false(has_leaf(group, CGROUP_KEEPER_LEAF));
	instance_stop(&i);
	instance_done(&i);
}

int
main(void)
{
#define IN_GROUP(test) cmocka_unit_test_setup_teardown(test, group_make, group_remove)
	const struct CMUnitTest tests[] = {
		IN_GROUP(each_attempt_has_a_cgroup_of_its_own_that_goes_with_it),
		IN_GROUP(escaped_grandchild_is_killed_and_counted_before_the_end_is_reported),
		IN_GROUP(what_is_in_session_and_cgroup_is_counted_once),
		IN_GROUP(time_out_kills_what_has_escaped),
		IN_GROUP(adopted_attempt_uses_its_cgroup_again),
		IN_GROUP(remains_of_an_attempt_that_ended_without_a_keeper_are_killed),
		IN_GROUP(children_that_are_left_keep_their_cgroup_until_they_end),
		IN_GROUP(next_start_removes_cgroups_that_were_left),
		IN_GROUP(cgroup_is_not_shared_with_another_instance),
		IN_GROUP(cgroup_that_is_not_delegated_is_not_touched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
