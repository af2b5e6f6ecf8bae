/* cli: which instance is meant, before any verb has begun. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/xalloc.h"
#include "cli/cli.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_WORDS 6

/* What a user who is not root and has only these variables is told; good until the next. */
struct answer {
	int status;
	char text[4096];
};

/* A program that ends in the middle of a verb need not free; nor could it write a report. */
static void
leave(int status, void *arg)
{
	(void)arg;
	fflush(NULL);
	_exit(status);
}

static void
call_and_exit(int fd, const char *const *words, const char *const *environment)
{
	char *argv[MOST_WORDS + 2] = { strdup("jobberd") };
	int argc = 1;

	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	clearenv();
	for (; *environment != NULL; environment++)
		putenv(strdup(*environment));
	for (; *words != NULL; words++)
		argv[argc++] = strdup(*words);
	if (geteuid() == 0 && seteuid(65534) == -1)
		_exit(99);
	on_exit(leave, NULL);
	exit(cli_main(argc, argv, NULL));
}

static const struct answer *
call(const char *const *words, const char *const *environment)
{
	static struct answer answer;
	FILE *output = tmpfile();
	size_t got;
	pid_t pid;

	assert_non_null(output);
	fflush(stdout);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0)
		call_and_exit(fileno(output), words, environment);
	assert_int_equal(waitpid(pid, &answer.status, 0), pid);
	answer.status = WIFEXITED(answer.status) ? WEXITSTATUS(answer.status) : -1;
	rewind(output);
	got = fread(answer.text, 1, sizeof(answer.text) - 1, output);
	answer.text[got] = '\0';
	fclose(output);
	return &answer;
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void
says(const struct answer *answer, int status, const char *part)
{
	if (answer->status != status || strstr(answer->text, part) == NULL)
		fail_msg("%d: %s", answer->status, answer->text);
}

static void
without_home_the_instance_must_be_given(void **state)
{
	static const char *const places[][2] = {
		{ NULL }, { "HOME=" }, { "XDG_STATE_HOME=relative" }, { "HOME=relative" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		says(call(WORDS("list"), places[i]), 78, "give it with -C");
		says(call(WORDS("submit", "true"), places[i]), 78, "give it with -C");
		/* These have nothing to do with one. */
		says(call(WORDS("version"), places[i]), 0, "jobberd ");
		says(call(WORDS("help", "list"), places[i]), 0, "usage: jobberd list");
		says(call(WORDS("notify", "log", "x"), places[i]), 5, "JOBBERD_FD");
		says(call(WORDS("-C", "/nonexistent", "list"), places[i]), 0, "STATUS");
	}
	says(call(WORDS("list"), WORDS("HOME=/nonexistent")), 0, "STATUS");
	says(call(WORDS("list"), WORDS("XDG_STATE_HOME=/nonexistent")), 0, "STATUS");
	says(call(WORDS("list"), WORDS("JOBBERD_STATE=/nonexistent")), 0, "STATUS");
}

static void
words_that_make_no_sense_are_refused_in_good_ones(void **state)
{
	const char *const *environment = WORDS("HOME=/nonexistent");

	(void)state;
	says(call(WORDS("notify", "result", "not", "json"), environment), 2,
	    "jobberd: result takes 1 word at most\n");
	says(call(WORDS("stop", "a", ""), environment), 2, "an empty reason says nothing\n");
	says(call(WORDS("supervise", "--linger", "1s"), environment), 2, "linger: only with drain");
	says(call(WORDS("stop", "a", "\"\""), environment), 2, "an empty reason says nothing\n");
}

/* The … of an argument is three bytes and one column. */
static void
help_is_aligned_by_columns(void **state)
{
	(void)state;
	says(call(WORDS("list", "--help"), WORDS("HOME=/nonexistent")), 0,
	    "\n      --status STATUS,…            only ");
	says(call(WORDS("help", "list"), WORDS("HOME=/nonexistent")), 0,
	    "\n  -l, --live                       only ");
}

static void
state_option_wants_a_directory(void **state)
{
	const char *const *environment = WORDS("HOME=/nonexistent");

	(void)state;
	says(call(WORDS("-C"), environment), 2, "jobberd: --state wants DIR\n");
	says(call(WORDS("--state"), environment), 2, "jobberd: --state wants DIR\n");
	says(call(WORDS("-C", "", "list"), environment), 2, "jobberd: --state wants DIR\n");
	says(call(WORDS("--state=", "list"), environment), 2, "jobberd: --state wants DIR\n");
	says(call(WORDS("list", "-C", ""), environment), 2, "jobberd: --state wants DIR\n");
	says(call(WORDS("list", "-C"), environment), 2, "jobberd: list: --state wants DIR\n");
}

/* Not 78 "refused", and with the whole path. */
static void
missing_permission_is_called_so(void **state)
{
	char directory[] = "/tmp/cli.XXXXXX", wanted[128], *database;

	(void)state;
	assert_non_null(mkdtemp(directory));
	database = xasprintf("%s/jobberd.db", directory);
	assert_int_equal(chmod(directory, 0555), 0);
	snprintf(wanted, sizeof(wanted), "jobberd: %s: Permission denied\n", database);
	says(call(WORDS("-C", directory, "submit", "true"), WORDS("HOME=/")), 77, wanted);
	snprintf(wanted, sizeof(wanted), "jobberd: %s/jobberd.lock: Permission denied\n",
	    directory);
	says(call(WORDS("-C", directory, "supervise"), WORDS("HOME=/")), 77, wanted);
	assert_int_equal(chmod(directory, 0), 0);
	snprintf(wanted, sizeof(wanted), "jobberd: %s: Permission denied\n", database);
	says(call(WORDS("-C", directory, "list"), WORDS("HOME=/")), 77, wanted);
	says(call(WORDS("-C", "/proc/self/x", "submit", "true"), WORDS("HOME=/")), 78,
	    "/proc/self/x: ");
	assert_int_equal(rmdir(directory), 0);
	free(database);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_home_the_instance_must_be_given),
		cmocka_unit_test(missing_permission_is_called_so),
		cmocka_unit_test(words_that_make_no_sense_are_refused_in_good_ones),
		cmocka_unit_test(help_is_aligned_by_columns),
		cmocka_unit_test(state_option_wants_a_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
