/* spawn: where the child goes before it becomes the program. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/file.h"
#include "support/spawning.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int
exit_status_of(const char *script, bool resets_oom_score, int cgroup_fd)
{
	const char *arguments[] = { "sh", "-c", script, NULL }, *variables[] = { NULL };
	int null = open("/dev/null", O_RDWR), journal = memfd_create("journal", 0), status;
	struct spawn spawn = { .arguments = (char *const *)arguments,
		.variables = (char *const *)variables, .cwd = "/",
		.stdin_path = "", .stdin_fd = null, .output_fd = null, .socket_fd = null,
		.umask = 022, .resets_oom_score = resets_oom_score, .cgroup_fd = cgroup_fd,
		.journal_fd = journal, .record = { .check = JOURNAL_CHECK } };
	pid_t pid;
	int64_t start;

	assert_int_equal(spawn_whole(&spawn, &pid, &start), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(null);
	close(journal);
	return WEXITSTATUS(status);
}

static void
set_score(const char *text)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY);

	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static long
score(void)
{
	struct buf text = { 0 };
	long number;

	assert_int_equal(file_read(AT_FDCWD, "/proc/self/oom_score_adj", 64, &text), 0);
	number = strtol(buf_text(&text), NULL, 10);
	buf_done(&text);
	return number;
}

/* The child shares our memory then, and with it the score would be shared, but for vfork. */
static void
oom_score_is_reset_for_the_child_alone(void **state)
{
	static const char is_0[] = "read n < /proc/self/oom_score_adj; [ $n = 0 ]";
	long before = score();

	(void)state;
	if (before > 200 || before < 0)
		skip();
	set_score("200"); /* lowering it further may not be permitted here */
	assert_int_equal(exit_status_of(is_0, false, -1), 1);
	assert_int_equal(exit_status_of(is_0, true, -1), 0);
	assert_int_equal(score(), 200);
	set_score("0");
}

static void
child_writes_itself_into_the_cgroup(void **state)
{
	int procs = memfd_create("procs", MFD_CLOEXEC);
	char text[8] = "";

	(void)state;
	assert_int_equal(exit_status_of("exit 0", false, procs), 0);
	assert_int_equal(pread(procs, text, sizeof(text) - 1, 0), 1);
	assert_string_equal(text, "0");
	close(procs);
}

/* A cgroup that takes no more is no reason not to run. */
static void
child_runs_where_the_cgroup_refuses_it(void **state)
{
	int unwritable = open("/dev/null", O_RDONLY);

	(void)state;
	assert_int_equal(exit_status_of("exit 3", false, unwritable), 3);
	close(unwritable);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(oom_score_is_reset_for_the_child_alone),
		cmocka_unit_test(child_writes_itself_into_the_cgroup),
		cmocka_unit_test(child_runs_where_the_cgroup_refuses_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
