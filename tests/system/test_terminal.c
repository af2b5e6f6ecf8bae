/* A person at a terminal: what submit, run and wait say there, what is typed. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/xalloc.h"
#include "support/family.h"
#include "support/helper.h"
#include "support/outside.h"
#include "support/terminal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
assert_sql(struct instance *i, const char *statement, const char *wanted)
{
	char *text = sql(i, statement);

	assert_string_equal(text, wanted);
	free(text);
}

static void
screen_has(struct terminal *terminal, int status, const char *text)
{
	assert_int_equal(terminal_wait(terminal), status);
	assert_has(terminal->text, text);
	terminal_done(terminal);
}

static void
submit_tells_what_it_has_understood(void **state)
{
	struct instance i;
	struct terminal t;

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "0", NULL);
	terminal_start(&t, &i, 80, "submit", "--", "true", NULL);
	screen_has(&t, 0, "1\r\njob 1: up to 4 runs, 5 s apart\r\n");
	terminal_start(&t, &i, 80, "submit", "--name", "a", "-r", "0", "--after", "1",
	    "--at", "2020-01-01T00:00:00Z", "--", "true", NULL);
	screen_has(&t, 0, "which has passed, after 1\r\n");
	/* What was there already is not said to be recorded. */
	terminal_start(&t, &i, 80, "submit", "--name", "a", "--once", "--", "true", NULL);
	screen_has(&t, 0, "2\r\njob 2 has the name a already\r\n");
	terminal_start(&t, &i, 80, "submit", "--", "echo it's me", NULL);
	screen_has(&t, 0, "did you mean: sh -c 'echo it'\\''s me'?");
	terminal_start(&t, &i, 80, "submit", "-e", "PATH=/nowhere", "--", "ls", NULL);
	screen_has(&t, 0, "no program ls is found on the job's PATH");
	terminal_start(&t, &i, 80, "submit", "--", "/tmp", NULL);
	screen_has(&t, 0, "no program /tmp is there");
	terminal_start(&t, &i, 80, "submit", "--", "/etc/passwd", NULL);
	screen_has(&t, 0, "/etc/passwd is not executable");
	terminal_start(&t, &i, 80, "submit", "-d", "/nowhere", "--", "true", NULL);
	screen_has(&t, 0, "the job's directory /nowhere: No such file or directory");
	terminal_start(&t, &i, 80, "submit", "-i", "/nowhere", "--", "cat", NULL);
	screen_has(&t, 0, "the job's standard input /nowhere: No such file or directory");
	instance_stop(&i);
	instance_done(&i);
}

/* Input that was kept for a job that came to nothing is not kept. */
static void
input_of_a_refused_job_is_removed(void **state)
{
	static const char *const words[][4] = {
		{ "--after", "77" }, { "--name", "a" }, { "--name", "a", "--once" },
	};
	struct instance i;
	char *path;

	(void)state;
	instance_init(&i);
	submit_job(&i, "--name", "a", "--", "true", NULL);
	for (size_t n = 0; n < 6; n++) {
		const char *const *w = words[n % 3];
		struct result result;

		if (n == 3)
			instance_start(&i, "--max-children", "0", NULL);
		result = jobberd_with_input(&i, "text", "submit", "--stdin", "-", w[0], w[1],
		    w[2] != NULL ? w[2] : "--", w[2] != NULL ? "--" : "cat", "cat", NULL);
		assert_int_equal(result.status, n % 3 == 0 ? 4 : n % 3 == 1 ? 5 : 0);
		result_done(&result);
	}
	path = xasprintf("rmdir %s/input", i.state); /* it is there, and empty */
	assert_int_equal(system(path), 0);
	free(path);
	instance_stop(&i);
	instance_done(&i);
}

/* ^C while it reads: nobody would ever remove what was read so far. */
static void
input_of_an_interrupted_submit_is_removed(void **state)
{
	static char bytes[500000]; /* more than a pipe holds: most of it has been read */
	struct instance i;
	struct helper submit;
	char *fifo, *line;
	int fd;

	(void)state;
	instance_init(&i);
	fifo = fifo_make(&i, "input");
	line = xasprintf("exec %s -C %s submit -i - -- cat < %s", getenv("JOBBERD"), i.state,
	    fifo);
	helper_start(&submit, NULL, (const char *const[]){ "sh", "-c", line, NULL });
	fd = open(fifo, O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	kill(submit.pid, SIGINT);
	assert_int_equal(helper_wait(&submit), 130);
	close(fd);
	helper_end(&submit);
	free(line);
	line = xasprintf("rmdir %s/input", i.state); /* it is there, and empty */
	assert_int_equal(system(line), 0);
	free(line);
	free(fifo);
	instance_done(&i);
}

static void
run_tells_each_pause_behind_the_output_of_its_attempt(void **state)
{
	struct instance i;
	struct terminal t;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	terminal_start(&t, &i, 80, "run", "-r", "3", "--backoff", "constant:1ms", "--", "sh",
	    "-c", "echo out $JOBBERD_ATTEMPT; exit 4", NULL);
	assert_int_equal(terminal_wait(&t), 4);
	for (int n = 1; n <= 3; n++) {
		char output[32], pause[32], next[32];
		const char *first, *second, *third;

		snprintf(output, sizeof(output), "out %d", n);
		snprintf(pause, sizeof(pause), "attempt %d: exit 4; ", n);
		snprintf(next, sizeof(next), "out %d", n + 1);
		first = strstr(t.text, output);
		second = strstr(t.text, pause);
		third = strstr(t.text, next);
		if (first == NULL || second == NULL || third == NULL || first > second ||
		    second > third || strstr(second + 1, pause) != NULL)
			fail_msg("out of order:\n%s", t.text);
	}
	terminal_done(&t);
	instance_stop(&i);
	instance_done(&i);
}

static void
interrupt_cancels_the_job_and_a_second_one_leaves_it_being_ended(void **state)
{
	struct instance i;
	struct terminal t;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	terminal_start(&t, &i, 80, "run", "--", "sh", "-c", "echo begun; exec sleep 600", NULL);
	terminal_expect(&t, "begun");
	terminal_type(&t, "\003");
	terminal_expect(&t, "cancelling job 1; once more to stop waiting for it");
	screen_has(&t, 130, "job 1: cancelled\r\n");
	terminal_start(&t, &i, 80, "run", "-d", i.directory, "--", "sh", "-c",
	    "trap 'echo not me' TERM; echo begun; until [ -e go ]; do sleep 0.1; done; exit 3",
	    NULL);
	terminal_expect(&t, "begun");
	terminal_type(&t, "\003");
	terminal_expect(&t, "not me");
	terminal_type(&t, "\003");
	screen_has(&t, 130, "job 2 is still being ended\r\n2\r\n");
	/* So it is: the cancel holds, though nobody waits for it. */
	assert_sql(&i, "SELECT status FROM jobs WHERE id = 2", "running");
	file_make(&i, "go");
	assert_int_equal(wait_job(&i, 2), 1);
	assert_sql(&i, "SELECT status FROM jobs WHERE id = 2", "cancelled");
	instance_stop(&i);
	instance_done(&i);
}

static void
run_and_wait_show_how_far_they_are(void **state)
{
	struct instance i;
	struct terminal run, wait, all;
	char *gate, *command;

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "1", NULL);
	gate = fifo_make(&i, "gate");
	command = xasprintf("%s notify progress 40%% resizing; read x < %s",
	    getenv("JOBBERD"), gate);
	terminal_start(&run, &i, 80, "run", "--", "sh", "-c", command, NULL);
	terminal_expect(&run, "jobberd: job 1: 40% resizing\r\n");
	terminal_start(&wait, &i, 80, "wait", "1", NULL);
	terminal_expect(&wait, "job 1: running, 40% resizing");
	submit_job(&i, "--", "true", NULL);
	terminal_start(&all, &i, 80, "wait", "1", "2", NULL);
	terminal_expect(&all, "0 of 2 have ended");
	fifo_write(gate, "x\n");
	assert_int_equal(terminal_wait(&run), 0);
	terminal_done(&run);
	screen_has(&wait, 0, "\rjob 1: done\r\n");
	screen_has(&all, 0, "\rjob 1: done\r\njob 2: done\r\n");
	free(command);
	free(gate);
	instance_stop(&i);
	instance_done(&i);
}

/* A wider one would go on in the next line of the screen, and each time leave that there. */
static void
progress_of_wait_never_is_wider_than_the_terminal(void **state)
{
	struct instance i;
	struct terminal wait;
	char *gate, *command;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	gate = fifo_make(&i, "gate");
	command = xasprintf("%s notify progress 40%% 'resizing all of the many pages'; "
			    "read x < %s", getenv("JOBBERD"), gate);
	submit_job(&i, "--", "sh", "-c", command, NULL);
	terminal_start(&wait, &i, 30, "wait", "1", NULL);
	terminal_expect(&wait, "40% resizi");
	fifo_write(gate, "x\n");
	assert_int_equal(terminal_wait(&wait), 0);
	for (const char *line = wait.text; line != NULL; line = strpbrk(line, "\r\n")) {
		line += strspn(line, "\r\n");
		assert_between((int64_t)strcspn(line, "\r\n"), 0, 29);
	}
	terminal_done(&wait);
	free(command);
	free(gate);
	instance_finish(&i);
}

static void
run_says_what_it_waits_for(void **state)
{
	struct instance i;
	struct terminal t;

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "0", NULL);
	terminal_start(&t, &i, 80, "run", "--", "true", NULL);
	terminal_expect(&t, "jobberd: job 1: no free place (0 of 0), 1st in line\r\n");
	terminal_type(&t, "\003");
	screen_has(&t, 130, "job 1: cancelled\r\n");
	instance_stop(&i);
	instance_done(&i);
}

static void
filters_ask_at_a_terminal(void **state)
{
	struct instance i;
	struct result result;
	struct terminal t;

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "0", NULL);
	submit_job(&i, "--", "true", NULL);
	submit_job(&i, "--", "true", NULL);
	terminal_start(&t, &i, 80, "hold", "1", NULL);
	screen_has(&t, 0, "job 1: held\r\n");
	terminal_start(&t, &i, 80, "release", "1", NULL);
	screen_has(&t, 0, "job 1: released\r\n");
	terminal_start(&t, &i, 80, "cancel", "--status", "new", NULL);
	terminal_expect(&t, "cancel: 2 jobs\r\ncancel all of them? [y/N] ");
	terminal_type(&t, "n\n");
	screen_has(&t, 1, "nothing was done");
	terminal_start(&t, &i, 80, "cancel", "--status", "new", NULL);
	terminal_expect(&t, "[y/N] ");
	terminal_type(&t, "\004");
	screen_has(&t, 1, "[y/N] \r\njobberd: nothing was done");
	result = jobberd(&i, "cancel", "--status", "new", NULL);
	assert_int_equal(result.status, 2);
	assert_string_equal(
	    result.err, "cancel: 2 jobs\njobberd: nothing was done: confirm with --yes\n");
	result_done(&result);
	assert_sql(&i, "SELECT count(*) FROM jobs WHERE status = 'new'", "2");
	terminal_start(&t, &i, 80, "cancel", "--status", "new", NULL);
	terminal_expect(&t, "[y/N] ");
	terminal_type(&t, "y\n");
	screen_has(&t, 0, "job 1: cancelled\r\n");
	assert_sql(&i, "SELECT count(*) FROM jobs WHERE status = 'cancelled'", "2");
	instance_stop(&i);
	instance_done(&i);
}

/* ---- clients outlive a supervisor process ---- */

static void
wait_goes_on_when_the_supervisor_process_is_killed(void **state)
{
	struct instance i;
	struct helper wait;
	struct terminal t;
	char *gate, *command;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	gate = fifo_make(&i, "gate");
	command = xasprintf("read x < %s; exit 3", gate);
	submit_job(&i, "-r", "0", "--", "sh", "-c", command, NULL);
	helper_jobberd(&wait, &i, NULL, "wait", "1", NULL);
	terminal_start(&t, &i, 80, "wait", "1", NULL);
	terminal_expect(&t, "job 1: running");
	assert_true(helper_runs_for(&wait, 100)); /* it has asked by now, or asks the next one */
	instance_kill_supervisor(&i);
	fifo_write(gate, "x\n");
	assert_int_equal(helper_wait(&wait), 1);
	assert_string_equal(wait.err.text, "job 1: failed, exit 3\n");
	helper_end(&wait);
	screen_has(&t, 1, "job 1: failed, exit 3\r\n");
	free(command);
	free(gate);
	instance_stop(&i);
	instance_done(&i);
}

static void
wait_for_what_is_interrupted_is_no_success(void **state)
{
	struct instance i;
	struct terminal t;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--", "sleep", "600", NULL);
	terminal_start(&t, &i, 80, "wait", "1", NULL);
	terminal_expect(&t, "job 1: running");
	instance_stop(&i);
	screen_has(&t, 3, "start it with: ");
	instance_done(&i);
}

static void
tree_shortens_names_and_leaves_out_commands_first(void **state)
{
	struct instance i;
	struct terminal t;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	SUP(&i, 0, NULL, "add", "payments_gateway_workers_eu_west");
	SUP(&i, 0, NULL, "add", "nested_level_two_supervisor", "--parent",
	    "payments_gateway_workers_eu_west");
	child_up(&i, NULL, "nested_level_two_supervisor/some_quite_long_child_name", NULL);
	terminal_start(&t, &i, 160, "tree", NULL);
	terminal_expect(&t, "RESTARTS  UPTIME  COMMAND\r\n");
	screen_has(&t, 0, "1 nested_level_two_supervisor/some_quite_long_child_name  running  ");
	terminal_start(&t, &i, 80, "tree", NULL);
	terminal_expect(&t, "STATUS   PID");
	terminal_expect(&t, "RESTARTS  UPTIME\r\n");
	terminal_expect(&t, "payments_gateway_workers_eu_west ");
	screen_has(&t, 0, "   └─ 1 nested_level_two_supervisor/");
	terminal_start(&t, &i, 60, "tree", NULL);
	terminal_expect(&t, "RESTARTS  UPTIME\r\n");
	screen_has(&t, 0, "…  running  ");
	terminal_start(&t, &i, 40, "tree", NULL);
	terminal_expect(&t, "RESTARTS");
	screen_has(&t, 0, "   └─ 1…  running  ");
	instance_finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(submit_tells_what_it_has_understood),
		cmocka_unit_test(input_of_a_refused_job_is_removed),
		cmocka_unit_test(input_of_an_interrupted_submit_is_removed),
		cmocka_unit_test(run_tells_each_pause_behind_the_output_of_its_attempt),
		cmocka_unit_test(interrupt_cancels_the_job_and_a_second_one_leaves_it_being_ended),
		cmocka_unit_test(run_and_wait_show_how_far_they_are),
		cmocka_unit_test(progress_of_wait_never_is_wider_than_the_terminal),
		cmocka_unit_test(run_says_what_it_waits_for),
		cmocka_unit_test(filters_ask_at_a_terminal),
		cmocka_unit_test(wait_goes_on_when_the_supervisor_process_is_killed),
		cmocka_unit_test(wait_for_what_is_interrupted_is_no_success),
		cmocka_unit_test(tree_shortens_names_and_leaves_out_commands_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
