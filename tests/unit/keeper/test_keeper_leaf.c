/* keeper_leaf: who was killed for want of memory. The leaf is a directory with its files. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "keeper/keeper_leaf.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KILLED "low 0\nhigh 0\nmax 5\noom 1\noom_kill 1\noom_group_kill 0\n"
#define NOT_KILLED "low 0\nhigh 0\nmax 5\noom 1\noom_kill 0\noom_group_kill 0\n"

static void
put(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/* Is it said to be, when its main process has ended so? */
static bool
is_oom(const char *memory_events, enum end_kind how, int code, bool was_killed)
{
	struct keeper keeper = { .cgroup.directory = open(".", O_RDONLY | O_DIRECTORY),
		.leaf_inotify = -1 };
	struct child child = { .key = { 7, 2, 1 }, .has_leaf = true,
		.was_killed = was_killed };

	bool is;

	TAILQ_INIT(&keeper.watched_leaves);
	mkdir("job-7-2", 0700);
	put("job-7-2/memory.events", memory_events);
	put("job-7-2/cgroup.events", "populated 0\nfrozen 0\n");
	keeper_begin_report(&child, how, code);
	keeper_leaf_close(&keeper, &child);
	assert_false(child.has_leaf);
	close(keeper.cgroup.directory);
	is = child.report->ended.is_oom != 0;
	free(child.report);
	return is;
}

static void
sigkill_of_the_kernel_is_told_from_every_other(void **state)
{
	(void)state;
	assert_true(is_oom(KILLED, END_SIGNALLED, SIGKILL, false));
	assert_false(is_oom(NOT_KILLED, END_SIGNALLED, SIGKILL, false));
	assert_false(is_oom("", END_SIGNALLED, SIGKILL, false));
}

/* Another process of the job was killed, and the main one has ended its own way. */
static void
end_that_is_no_sigkill_is_not_oom(void **state)
{
	(void)state;
	assert_false(is_oom(KILLED, END_EXITED, 137, false));
	assert_false(is_oom(KILLED, END_EXITED, SIGKILL, false));
	assert_false(is_oom(KILLED, END_SIGNALLED, SIGTERM, false));
	assert_false(is_oom(KILLED, END_UNKNOWN, 0, false));
}

static void
sigkill_of_ours_is_not_oom(void **state)
{
	(void)state;
	assert_false(is_oom(KILLED, END_SIGNALLED, SIGKILL, true));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sigkill_of_the_kernel_is_told_from_every_other),
		cmocka_unit_test(end_that_is_no_sigkill_is_not_oom),
		cmocka_unit_test(sigkill_of_ours_is_not_oom),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
