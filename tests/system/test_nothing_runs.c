/* With nothing running: what still works, and what one is told to type to change that. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/xalloc.h"
#include "keeper/lock.h"
#include "support/helper.h"
#include "support/system.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define START "start it with: "

/* Type what was suggested into a shell: it must run. */
static void
type_suggestion(struct instance *i, const char *words)
{
	const char *line = strstr(words, START);
	char *command;
	const char *arguments[] = { "sh", "-c", NULL, NULL };
	struct helper shell;

	assert_non_null(line);
	line += strlen(START);
	command = xasprintf("exec %.*s", (int)strcspn(line, "\n"), line);
	arguments[2] = command;
	helper_start(&shell, NULL, arguments);
	helper_expect(&shell, "ready: default");
	assert_int_equal(wait_job(i, 1), 0);
	kill(shell.pid, SIGTERM);
	assert_int_equal(helper_wait(&shell), 0);
	helper_end(&shell);
	free(command);
}

/* What it says on standard error, called by its path; to be freed. */
static char *
words_of(const char *const *arguments, int status)
{
	struct helper helper;
	char *words;

	helper_start(&helper, NULL, arguments);
	assert_int_equal(helper_wait(&helper), status);
	words = xstrdup(helper.err.text);
	helper_end(&helper);
	return words;
}

static void
suggested_line_starts_a_supervisor_when_typed(void **state)
{
	static const char *const names[] = { "plain", "two  words", "it's $HOME;\"x\"" };
	const char *program = getenv("JOBBERD");

	(void)state;
	for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
		struct instance i;
		char *words;

		instance_init(&i);
		snprintf(i.state, sizeof(i.state), "%.200s/%s", i.directory, names[n]);
		words = words_of((const char *const[]){ program, "submit", "-C", i.state,
				     "true", NULL }, 0);
		type_suggestion(&i, words);
		free(words);
		/* The instance may also have been chosen by the environment. */
		setenv("JOBBERD_STATE", i.state, 1);
		words = words_of((const char *const[]){ program, "shutdown", NULL }, 3);
		unsetenv("JOBBERD_STATE");
		type_suggestion(&i, words);
		free(words);
		instance_done(&i);
	}
}

static const char *const needs_supervisor[][4] = {
	{ "cancel", "1" }, { "cancel", "--failed" }, { "retry", "1" }, { "hold", "1" },
	{ "release", "--status", "new" }, { "cancel", "--failed", "--yes" },
	{ "prune", "--keep", "1" }, { "shutdown" }, { "status" }, { "status", "default" },
	{ "events", "-f" },
};

static void
check_refusals(struct instance *i)
{
	for (size_t n = 0; n < sizeof(needs_supervisor) / sizeof(needs_supervisor[0]); n++) {
		const char *const *words = needs_supervisor[n];
		struct result result = jobberd(i, words[0], words[1], words[2], words[3], NULL);

		if (result.status != 3)
			fail_msg("%s %s: %d: %s", words[0], words[1] != NULL ? words[1] : "",
			    result.status, result.err);
		if (strstr(result.out, START) == NULL) /* where `status` has it, as data */
			assert_has(result.err, START);
		result_done(&result);
	}
}

static void
verb_that_needs_a_supervisor_says_how_to_start_it(void **state)
{
	struct instance i;
	struct result result;
	struct stat info;

	(void)state;
	instance_init(&i);
	check_refusals(&i);
	result = jobberd(&i, "wait", "1", NULL);
	assert_int_equal(result.status, 4);
	assert_has(result.err, "there is no job 1");
	result_done(&result);
	assert_int_equal(stat(i.state, &info), -1); /* nobody has made anything */
	submit_job(&i, "--", "true", NULL);
	check_refusals(&i);
	result = jobberd(&i, "wait", "1", NULL);
	assert_int_equal(result.status, 3);
	assert_has(result.err, START);
	result_done(&result);
	instance_done(&i);
}

static void
empty_batch_is_told_to_be_empty(void **state)
{
	struct instance i;
	struct result result;

	(void)state;
	instance_init(&i);
	result = jobberd_with_input(&i, "\n# nothing\n", "submit", "--batch", NULL);
	assert_int_equal(result.status, 0);
	assert_string_equal(result.out, "");
	assert_string_equal(result.err, "jobberd: there are no jobs on standard input\n");
	result_done(&result);
	instance_done(&i);
}

static void
bad_usage_is_one_clear_sentence(void **state)
{
	static const struct {
		const char *words[4], *says;
	} cases[] = {
		{ { "list", "--colour" }, "list has no option --colour (jobberd help list)" },
		{ { "list", "-x" }, "list has no option -x (jobberd help list)" },
		{ { "submit", "--name" }, "submit: --name wants NAME" },
		{ { "submit", "-n" }, "submit: --name wants NAME" },
		{ { "submit", "--hold=yes", "true" }, "submit: --hold takes no value" },
		{ { "submit", "--ma=3", "true" }, "submit: --ma=3 may be several options" },
		{ { "list", "5" }, "usage: jobberd list [options]" },
		{ { "sup" }, "usage: jobberd sup [options] list | show NAME | add NAME" },
		{ { "wait" }, "usage: jobberd wait [options] ID …" },
		{ { "list", "--limit", "0" }, "limit: \"0\" is not a number from 1 up" },
		{ { "list", "-o", "id,nonsense" }, "there is no column \"nonsense\"" },
		{ { "list", "-j", "-o", "cwds" }, "there is no column \"cwds\"" },
		{ { "lst" }, "there is no verb lst" },
		{ { "help", "lst" }, "there is no verb lst" },
		{ { "cancel", "--failed", "5" }, "nothing runs" },
	};
	struct instance i;

	(void)state;
	instance_init(&i);
	for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		const char *const *w = cases[n].words;
		struct result result = jobberd(&i, w[0], w[1], w[2], w[3], NULL);

		assert_has(result.err, cases[n].says);
		assert_int_equal(strncmp(result.err, "jobberd: ", 9), 0);
		/* one line */
		assert_ptr_equal(strchr(result.err, '\n'), strchr(result.err, '\0') - 1);
		assert_int_equal(result.status, n + 1 < sizeof(cases) / sizeof(cases[0]) ? 2 : 3);
		assert_string_equal(result.out, "");
		result_done(&result);
	}
	instance_done(&i);
}

/* The supervise that it starts would have nothing to do yet, but somebody waits. */
static void
run_waits_for_a_job_that_is_to_start_later(void **state)
{
	struct instance i;
	struct helper run;
	struct result result;

	(void)state;
	instance_init(&i);
	result = jobberd(&i, "run", "--in", "300ms", "--", "echo", "late", NULL);
	assert_string_equal(result.err, "");
	assert_string_equal(result.out, "late\n");
	assert_int_equal(result.status, 0);
	result_done(&result);
	helper_jobberd(&run, &i, NULL, "run", "--hold", "--", "echo", "held", NULL);
	do {
		result_done(&result);
		result = jobberd(&i, "release", "2", NULL);
	} while (result.status == 3 || result.status == 4 || result.status == 75);
	assert_int_equal(result.status, 0);
	result_done(&result);
	assert_int_equal(helper_wait(&run), 0);
	assert_string_equal(run.out.text, "held\n");
	helper_end(&run);
	lock_wait_for_holder(i.state);
	check_accounts(&i);
	instance_done(&i);
}

/* A run that has said that it failed is over: what it was for does not run later by surprise. */
static void
run_that_starts_no_supervisor_leaves_no_job_to_run(void **state)
{
	static const struct {
		const char *path; /* is in the way, as … */
		bool is_directory;
		const char *says;
	} cases[] = {
		{ "supervise.log", true, "supervise.log: Is a directory\n" },
		{ "output", false, "see supervise.log" },
	};

	(void)state;
	for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		struct instance i;
		struct result result;
		char *path;

		instance_init(&i);
		path = xasprintf("%s/%s", i.state, cases[n].path);
		assert_int_equal(mkdir(i.state, 0700), 0);
		assert_int_equal(cases[n].is_directory ? mkdir(path, 0700)
						       : mknod(path, S_IFREG | 0600, 0), 0);
		result = jobberd(&i, "run", "--", "true", NULL);
		assert_int_equal(result.status, 125);
		assert_string_equal(result.out, "");
		assert_has(result.err, cases[n].says);
		assert_has(result.err, "job 1 was not started, and is cancelled\n");
		result_done(&result);
		assert_int_equal(sql_number(&i, "SELECT status = 'cancelled' AND "
		    "reason = 'cancelled' AND ended_at IS NOT NULL FROM jobs"), 1);
		free(path);
		instance_done(&i);
	}
}

/* It says when it has gone, so that the next one finds the state directory free. */
static void
shutdown_returns_when_the_next_supervise_can_start(void **state)
{
	struct instance i;
	struct result result;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	for (int n = 0; n < 20; n++) {
		result = jobberd(&i, "shutdown", n % 2 == 0 ? "--leave" : NULL, NULL);
		assert_int_equal(result.status, 0);
		result_done(&result);
		assert_int_equal(kill(i.keeper, 0), 0); /* a zombie: we have not waited yet */
		result = jobberd(&i, "status", NULL);
		assert_int_equal(result.status, 3);
		result_done(&result);
		assert_int_equal(instance_wait(&i), 0);
		instance_start(&i, NULL);
	}
	instance_stop(&i);
	instance_done(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(suggested_line_starts_a_supervisor_when_typed),
		cmocka_unit_test(verb_that_needs_a_supervisor_says_how_to_start_it),
		cmocka_unit_test(bad_usage_is_one_clear_sentence),
		cmocka_unit_test(empty_batch_is_told_to_be_empty),
		cmocka_unit_test(run_waits_for_a_job_that_is_to_start_later),
		cmocka_unit_test(run_that_starts_no_supervisor_leaves_no_job_to_run),
		cmocka_unit_test(shutdown_returns_when_the_next_supervise_can_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
