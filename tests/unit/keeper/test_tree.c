/* tree: what /proc tells of real processes, and that none of a tree is left. */

#include "keeper/tree.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LONGEST_TEST_SECONDS 40

static int
begin(void **state)
{
	(void)state;
	alarm(LONGEST_TEST_SECONDS);
	return 0;
}

static int
finish(void **state)
{
	(void)state;
	alarm(0);
	return 0;
}

/* A child that waits to be killed. */
static pid_t
start_idle(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return pid;
}

static void
end_idle(pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

/* Run it with this as its whole environment; descriptor 3 is `said`. */
static pid_t
start_program(const char *const *arguments, const char *const *variables, int said)
{
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(said, 3);
		execve(arguments[0], (char *const *)arguments, (char *const *)variables);
		_exit(127);
	}
	return pid;
}

static bool
has(const pid_t *pids, size_t count, pid_t wanted)
{
	for (size_t i = 0; i < count; i++) {
		if (pids[i] == wanted)
			return true;
	}
	return false;
}

/* ---- one process ---- */

static void
tree_stat_tells_start_and_state(void **state)
{
	int64_t own = 0, start = 0;
	int status = -1;
	char life = '?';
	pid_t pid;

	(void)state;
	assert_int_equal(tree_stat(getpid(), &own, &life, &status), 0);
	assert_int_equal(life, 'R');
	assert_true(own > 0);
	pid = start_idle();
	assert_int_equal(tree_stat(pid, &start, &life, &status), 0);
	assert_true(start >= own);
	end_idle(pid);
}

static void
tree_stat_tells_how_a_zombie_died(void **state)
{
	pid_t pid = fork();
	int64_t start;
	siginfo_t info;
	int status = -1;
	char life = '?';

	(void)state;
	if (pid == 0)
		_exit(3);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(tree_stat(pid, &start, &life, &status), 0);
	assert_int_equal(life, 'Z');
	assert_int_equal(status, 3 << 8);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(tree_stat(pid, &start, &life, &status), -1);
}

static void
tree_stat_reads_past_any_name(void **state)
{
	static const char *const names[] = { "a) Z 1 (b", ")", "((", ") ) )", "\n", "" };
	int64_t expected, start;
	char before[16], life;
	int status;

	(void)state;
	prctl(PR_GET_NAME, before);
	assert_int_equal(tree_stat(getpid(), &expected, &life, &status), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int result;

		prctl(PR_SET_NAME, names[i]);
		start = 0;
		result = tree_stat(getpid(), &start, &life, &status);
		prctl(PR_SET_NAME, before);
		assert_int_equal(result, 0);
		assert_true(start == expected);
		assert_int_equal(life, 'R');
	}
}

static void
tree_stat_of_nobody_fails(void **state)
{
	int64_t start = 42;
	int status = 42;
	char life = '?';

	(void)state;
	assert_int_equal(tree_stat(-1, &start, &life, &status), -1);
	assert_int_equal(tree_stat(0, &start, &life, &status), -1);
	assert_int_equal(start, 42);
	assert_int_equal(life, '?');
}

static void
tree_variable_is_that_of_the_process(void **state)
{
	const char *const arguments[] = { "/bin/sh", "-c", "echo >&3; read x <&3; :", NULL };
	const char *const variables[] = { "NAMES=no", "XNAME=no", "EMPTY=", "NAME=a=b c",
		"NAME=second", "NOVALUE", NULL };
	char buffer[100] = "untouched", byte;
	int said[2];
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, said), 0);
	pid = start_program(arguments, variables, said[1]);
	assert_int_equal(read(said[0], &byte, 1), 1); /* exec is behind it */
	assert_false(tree_variable(pid, "NAM", buffer, sizeof(buffer)));
	assert_false(tree_variable(pid, "NOVALUE", buffer, sizeof(buffer)));
	assert_string_equal(buffer, "untouched");
	assert_true(tree_variable(pid, "NAME", buffer, sizeof(buffer)));
	assert_string_equal(buffer, "a=b c");
	assert_true(tree_variable(pid, "NAME", buffer, 4));
	assert_string_equal(buffer, "a=b");
	assert_true(tree_variable(pid, "EMPTY", buffer, sizeof(buffer)));
	assert_string_equal(buffer, "");
	end_idle(pid);
	assert_false(tree_variable(pid, "NAME", buffer, sizeof(buffer)));
	close(said[0]);
	close(said[1]);
}

/* ---- children ---- */

static void *
start_idle_in_thread(void *arg)
{
	int *ends = arg;
	pid_t pid = fork();
	char byte;

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* the end of this thread is enough */
		for (;;)
			pause();
	}
	if (write(ends[1], &pid, sizeof(pid)) == -1)
		return NULL;
	/* Its child's parent is this thread, as long as there is one. */
	(void)!read(ends[2], &byte, 1);
	return NULL;
}

static void
tree_children_are_those_of_every_thread(void **state)
{
	pid_t idle = start_idle(), from_thread, *pids;
	int ends[4]; /* 0, 1: its child's pid; 2, 3: it may end */
	pthread_t thread;
	size_t count;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(pipe2(ends + 2, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&thread, NULL, start_idle_in_thread, ends), 0);
	assert_int_equal(read(ends[0], &from_thread, sizeof(pid_t)), sizeof(pid_t));
	assert_int_equal(tree_children(getpid(), &pids, &count), 0);
	assert_int_equal(count, 2);
	assert_true(has(pids, count, idle));
	assert_true(has(pids, count, from_thread));
	free(pids);
	assert_int_equal(write(ends[3], "", 1), 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
	end_idle(idle);
	end_idle(from_thread);
	close(ends[0]);
	close(ends[1]);
	close(ends[2]);
	close(ends[3]);
}

static void
tree_children_of_a_childless_process_are_none(void **state)
{
	pid_t idle = start_idle(), *pids;
	size_t count = 42;

	(void)state;
	assert_int_equal(tree_children(idle, &pids, &count), 0);
	assert_int_equal(count, 0);
	free(pids);
	end_idle(idle);
	assert_int_equal(tree_children(idle, &pids, &count), -1);
}

static void
tree_self_children_are_our_own_however_many(void **state)
{
	enum { MANY = 300 };
	static pid_t idle[MANY];
	struct tree_self self;
	pid_t *pids;
	size_t count;

	(void)state;
	tree_self_init(&self);
	assert_int_equal(tree_self_children(&self, &pids, &count), 0);
	assert_int_equal(count, 0);
	free(pids);
	for (int i = 0; i < MANY; i++) {
		idle[i] = start_idle();
		assert_int_not_equal(idle[i], -1);
	}
	assert_int_equal(tree_self_children(&self, &pids, &count), 0);
	assert_int_equal(count, MANY);
	for (int i = 0; i < MANY; i++)
		assert_true(has(pids, count, idle[i]));
	free(pids);
	for (int i = 0; i < MANY; i++)
		end_idle(idle[i]);
	assert_int_equal(tree_self_children(&self, &pids, &count), 0);
	assert_int_equal(count, 0);
	free(pids);
	tree_self_done(&self);
	tree_self_done(&self);
}

static void
tree_self_children_are_found_without_its_file_too(void **state)
{
	struct tree_self self = { .fd = -1 };
	pid_t idle = start_idle(), *pids;
	size_t count;

	(void)state;
	assert_int_equal(tree_self_children(&self, &pids, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(pids[0], idle);
	free(pids);
	end_idle(idle);
}

/* ---- killing ---- */

/*
 * Run a shell script whose processes all hold descriptor 3, wait for its first byte there,
 * kill the tree and wait until nobody holds it any more: end of file. Returns tree_kill()'s.
 */
static size_t
kill_tree_of(const char *script)
{
	const char *const arguments[] = { "/bin/sh", "-c", script, NULL };
	const char *const variables[] = { "PATH=/usr/bin:/bin", NULL };
	int said[2], status;
	char bytes[512];
	size_t killed;
	pid_t pid;

	assert_int_equal(pipe2(said, O_CLOEXEC), 0);
	pid = start_program(arguments, variables, said[1]);
	close(said[1]);
	assert_int_equal(read(said[0], bytes, 1), 1);
	killed = tree_kill(&pid, 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	while (read(said[0], bytes, sizeof(bytes)) > 0)
		;
	close(said[0]);
	return killed;
}

static void
tree_kill_leaves_none_of_a_tree(void **state)
{
	(void)state;
	assert_int_equal(kill_tree_of("echo >&3; exec sleep 1000"), 1);
	assert_int_equal(kill_tree_of("sleep 1000 & sleep 1000 & echo >&3; wait"), 3);
	assert_int_equal(
	    kill_tree_of("sh -c 'sh -c \"sleep 1000 & echo >&3; wait\" & wait' & wait"), 4);
}

static void
tree_kill_reaches_those_with_a_session_of_their_own_and_deaf_ones(void **state)
{
	(void)state;
	assert_int_equal(kill_tree_of("trap '' TERM HUP INT; "
				      "setsid sh -c 'trap \"\" TERM HUP; "
				      "sleep 1000 & echo >&3; wait' & wait"),
	    3);
}

/* It forks as fast as it can while it is being killed. */
static void
tree_kill_lets_none_escape_by_forking(void **state)
{
	(void)state;
	for (int round = 0; round < 5; round++) {
		size_t killed = kill_tree_of("i=0; while [ $i -lt 3000 ]; do sleep 60 & "
					     "[ $i -ne 10 ] || echo >&3; i=$((i + 1)); "
					     "done; wait");

		assert_in_range(killed, 11, 3000);
	}
}

static void
tree_kill_of_several_counts_each_once(void **state)
{
	pid_t pids[] = { start_idle(), start_idle(), start_idle() };

	(void)state;
	assert_int_equal(tree_kill(pids, 3), 3);
	for (size_t i = 0; i < 3; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, SIGKILL);
	}
	assert_int_equal(tree_kill(NULL, 0), 0);
}

#define LIMITED(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LIMITED(tree_stat_tells_start_and_state),
		LIMITED(tree_stat_tells_how_a_zombie_died),
		LIMITED(tree_stat_reads_past_any_name),
		LIMITED(tree_stat_of_nobody_fails),
		LIMITED(tree_variable_is_that_of_the_process),
		LIMITED(tree_children_are_those_of_every_thread),
		LIMITED(tree_children_of_a_childless_process_are_none),
		LIMITED(tree_self_children_are_our_own_however_many),
		LIMITED(tree_self_children_are_found_without_its_file_too),
		LIMITED(tree_kill_leaves_none_of_a_tree),
		LIMITED(tree_kill_reaches_those_with_a_session_of_their_own_and_deaf_ones),
		LIMITED(tree_kill_lets_none_escape_by_forking),
		LIMITED(tree_kill_of_several_counts_each_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
