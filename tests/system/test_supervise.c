/* supervise as an operator and a service manager see it. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/helper.h"
#include "support/outside.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void
drain_leaves_delayed_and_held_jobs_and_names_how_many(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	submit_job(&i, "--in", "1h", "--", "true", NULL);
	submit_job(&i, "--hold", "--", "true", NULL);
	submit_job(&i, "-r", "1", "--backoff", "constant:50ms", "--", "false", NULL);
	instance_start(&i, "--drain", NULL);
	instance_expect(&i, "1 delayed and 1 held jobs stay");
	assert_int_equal(instance_wait(&i), 0);
	/* … but not the one in its retry pause */
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts"), 2);
	check_accounts(&i);
	instance_done(&i);
}

static void
max_children_is_recorded_and_the_ready_line_tells_it(void **state)
{
	struct instance i;
	char line[400];

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "7", NULL);
	snprintf(line, sizeof(line), "ready: default 7 at a time, %s\n", i.state);
	instance_expect(&i, line);
	instance_stop(&i);
	instance_start(&i, NULL);
	instance_expect(&i, line);
	instance_stop(&i);
	instance_done(&i);
}

/* The words of /proc/PID/cmdline stand behind each other, each with its NUL. */
static bool
has_argument(const char *words, const char *wanted)
{
	for (; words[0] != '\0'; words += strlen(words) + 1) {
		if (strcmp(words, wanted) == 0)
			return true;
	}
	return false;
}

static void
assert_process_is(pid_t pid, const char *name, const char *argument)
{
	char path[64], *text;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	text = file_text(path);
	assert_string_equal(text, name);
	free(text);
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	text = file_text(path);
	assert_true(has_argument(text, argument));
	free(text);
}

static void
ps_tells_the_two_processes_apart(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	assert_process_is(i.keeper, "jobberd\n", "supervise");
	assert_process_is(instance_supervisor_pid(&i), "jobberd-supervi\n", "_supervisor");
	instance_kill_supervisor(&i);
	assert_process_is(instance_supervisor_pid(&i), "jobberd-supervi\n", "_supervisor");
	instance_stop(&i);
	instance_done(&i);
}

/* The next message at the socket of a service manager. */
static void
expect_message(int fd, const char *wanted)
{
	struct pollfd polled = { .fd = fd, .events = POLLIN };
	char message[256] = "";

	assert_int_equal(poll(&polled, 1, PATIENCE_MS), 1);
	assert_true(recv(fd, message, sizeof(message) - 1, 0) > 0);
	assert_string_equal(message, wanted);
}

static void
service_manager_is_told_ready_and_stopping(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct instance i;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)state;
	instance_init(&i);
	snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/n", i.directory);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	instance_start(&i, NULL);
	unsetenv("NOTIFY_SOCKET");
	expect_message(fd, "READY=1");
	instance_stop(&i);
	expect_message(fd, "STOPPING=1");
	close(fd);
	instance_done(&i);
}

static void
quit_signal_leaves_and_says_how_many_run_on(void **state)
{
	struct instance i;
	char *ready, *line, command[400];

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	ready = fifo_make(&i, "ready");
	snprintf(command, sizeof(command), "echo $$ > %s; exec sleep 1000", ready);
	submit_job(&i, "--", "sh", "-c", command, NULL);
	line = fifo_read(ready);
	kill(i.keeper, SIGQUIT);
	instance_expect(&i, "leaving: 1 running job runs on");
	assert_int_equal(instance_wait(&i), 0);
	assert_true(is_alive((pid_t)atoi(line)));
	instance_start(&i, NULL);
	instance_stop(&i);
	assert_false(is_alive((pid_t)atoi(line)));
	free(line);
	free(ready);
	check_accounts(&i);
	instance_done(&i);
}

static void
leaving_tells_jobs_that_run_on_from_servers_that_end(void **state)
{
	struct instance i;
	struct result result;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	result = jobberd(&i, "start", "c", "--", SERVERS_DIRECTORY "/counter", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	result = jobberd(&i, "shutdown", "--leave", NULL);
	assert_string_equal(result.err, "leaving: 0 running jobs run on, 1 server ends\n");
	result_done(&result);
	instance_expect(&i, "leaving: 0 running jobs run on, 1 server ends");
	assert_int_equal(instance_wait(&i), 0);
	/* until the next supervise; it may find the old process on its way out */
	instance_start(&i, NULL);
	instance_expect(&i, "ready attempt=2");
	result = jobberd(&i, "call", "c", "get", NULL);
	assert_string_equal(result.out, "0\n");
	result_done(&result);
	instance_finish(&i);
}

static void
shutdown_now_needs_no_grace(void **state)
{
	struct instance i;
	struct result result;
	char *ready, *line, command[400];

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	ready = fifo_make(&i, "ready");
	snprintf(command, sizeof(command),
	    "trap '' TERM; echo $$ > %s; while :; do sleep 1000; done", ready);
	submit_job(&i, "--grace", "1h", "--", "sh", "-c", command, NULL);
	line = fifo_read(ready);
	result = jobberd(&i, "shutdown", "--now", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	assert_int_equal(instance_wait(&i), 0);
	assert_false(is_alive((pid_t)atoi(line)));
	line[0] = '\0';
	free(line);
	line = sql(&i, "SELECT status || reason FROM job_list");
	assert_string_equal(line, "newinterrupted");
	free(line);
	free(ready);
	check_accounts(&i);
	instance_done(&i);
}

/* What was told to die is not told again and again until it has. */
static void
shutdown_now_waits_at_rest(void **state)
{
	struct instance i;
	struct helper shutdown;
	pid_t supervisor;
	int64_t before;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--", "sleep", "1000", NULL);
	instance_expect(&i, "job=1 started");
	supervisor = instance_supervisor_pid(&i);
	kill(i.keeper, SIGSTOP);
	helper_jobberd(&shutdown, &i, NULL, "shutdown", "--now", NULL);
	wait_sql(&i, "SELECT count(*) > 0 FROM attempts WHERE stop_at > 0");
	before = cpu_ms(supervisor);
	let_pass(&i, 400);
	assert_between(cpu_ms(supervisor) - before, 0, 200);
	kill(i.keeper, SIGCONT);
	helper_wait(&shutdown);
	helper_end(&shutdown);
	assert_int_equal(instance_wait(&i), 0);
	check_accounts(&i);
	instance_done(&i);
}

/* run, with nothing running: it starts what it needs, which leaves when it is done. */
static void
run_shows_output_and_exits_with_the_jobs_status(void **state)
{
	static const struct {
		const char *command;
		int status;
	} cases[] = { { "echo shown", 0 }, { "echo shown; exit 9", 9 },
		{ "echo shown; kill -TERM $$", 128 + 15 } };
	struct instance i;

	(void)state;
	instance_init(&i);
	for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		struct result result =
		    jobberd(&i, "run", "--", "sh", "-c", cases[n].command, NULL);

		assert_string_equal(result.out, "shown\n");
		assert_int_equal(result.status, cases[n].status);
		result_done(&result);
	}
	wait_until_nothing_runs(&i);
	check_accounts(&i);
	instance_done(&i);
}

static void
hostile_clients_hurt_nobody(void **state)
{
	static const char *const lines[] = { "garbage\n", "{}\n", "[1,2]\n",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"submit\",\"params\":{\"jobs\":[{}]}}\n",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"cancel\",\"params\":{\"ids\":[{}]}}\n",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"wait\",\"params\":{\"ids\":[1e99]}}\n",
		"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"status\"}\n", "{\"half\":" };
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	for (size_t n = 0; n < sizeof(lines) / sizeof(lines[0]); n++) {
		int fd = connect_client(&i);

		assert_true(write(fd, lines[n], strlen(lines[n])) > 0);
		close(fd);
	}
	assert_int_equal(wait_job(&i, submit_job(&i, "--", "true", NULL)), 0);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM generations"), 1);
	instance_finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drain_leaves_delayed_and_held_jobs_and_names_how_many),
		cmocka_unit_test(max_children_is_recorded_and_the_ready_line_tells_it),
		cmocka_unit_test(ps_tells_the_two_processes_apart),
		cmocka_unit_test(service_manager_is_told_ready_and_stopping),
		cmocka_unit_test(quit_signal_leaves_and_says_how_many_run_on),
		cmocka_unit_test(leaving_tells_jobs_that_run_on_from_servers_that_end),
		cmocka_unit_test(shutdown_now_needs_no_grace),
		cmocka_unit_test(shutdown_now_waits_at_rest),
		cmocka_unit_test(run_shows_output_and_exits_with_the_jobs_status),
		cmocka_unit_test(hostile_clients_hurt_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
