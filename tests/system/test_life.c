/* The life of jobs as a user sees it: submit, run, retry, end, and what is recorded. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/xalloc.h"
#include "support/system.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
submitted_with_nothing_running_is_run_by_the_next_supervise(void **state)
{
	struct instance i;
	struct result result;
	char *text;

	(void)state;
	instance_init(&i);
	result = jobberd(&i, "submit", "--", "sh", "-c", "echo out; echo err >&2", NULL);
	assert_int_equal(result.status, 0);
	assert_string_equal(result.out, "1\n");
	assert_has(result.err, "supervise");
	result_done(&result);
	instance_start(&i, "--drain", NULL);
	assert_int_equal(instance_wait(&i), 0);
	text = sql(&i, "SELECT status || ' ' || last_lines || ' ' || output_bytes FROM jobs "
		       "JOIN attempts ON job_id = id");
	assert_string_equal(text, "done out\nerr\n 8");
	free(text);
	check_accounts(&i);
	instance_done(&i);
}

/* Case 251: fails for ever with max_retries 3. */
static void
job_fails_for_good_after_four_runs(void **state)
{
	struct instance i;
	char *text;
	int64_t id;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	id = submit_job(&i, "--backoff", "constant:20ms", "--", "false", NULL);
	assert_int_equal(wait_job(&i, id), 1);
	text = sql(&i, "SELECT status || retries || failures || (SELECT count(*) FROM attempts "
		       "WHERE job_id = jobs.id) FROM jobs");
	assert_string_equal(text, "failed344");
	free(text);
	text = sql(&i, "SELECT group_concat(event, ',') FROM (SELECT event FROM events WHERE "
		       "event <> 'started' ORDER BY seq)");
	assert_string_equal(text, "errored,retry failed,retry failed,retry failed,failed");
	free(text);
	instance_expect(&i, "job=1 errored reason=\"exit 1\" retries=0/3");
	instance_expect(&i, "job=1 retry failed reason=\"exit 1\" retries=3/3");
	instance_expect(&i, "job=1 exiting status=failed");
	instance_finish(&i);
}

/* Case 255: fails twice, then succeeds. */
static void
job_that_fails_twice_is_done_at_the_third_run(void **state)
{
	struct instance i;
	char *text, path[400];
	int64_t id;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	snprintf(path, sizeof(path), "%s/count", i.directory);
	id = submit_job(&i, "--backoff", "constant:20ms", "--cwd", i.directory, "--", "sh", "-c",
	    "echo x >> count; test $(wc -l < count) -ge 3", NULL);
	assert_int_equal(wait_job(&i, id), 0);
	text = sql(&i, "SELECT group_concat(event, ',') FROM (SELECT event FROM events "
		       "ORDER BY seq)");
	assert_string_equal(
	    text, "started,errored,started,retry failed,started,completed");
	free(text);
	assert_int_equal(sql_number(&i, "SELECT retries FROM jobs"), 1);
	instance_expect(&i, "job=1 completed");
	instance_expect(&i, "job=1 exiting status=done");
	instance_finish(&i);
}

/* Case 252: the pause begins when the run ends. */
static void
pause_counts_from_the_end_of_the_run(void **state)
{
	struct instance i;
	int64_t id;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	id = submit_job(&i, "-r", "1", "--backoff", "constant:300ms", "--", "sh", "-c",
	    "sleep 0.2; false", NULL);
	assert_int_equal(wait_job(&i, id), 1);
	assert_in_range(sql_number(&i, "SELECT b.started_at - a.ended_at FROM attempts a "
				       "JOIN attempts b ON b.attempt = 2 AND a.attempt = 1"),
	    299, 2000);
	instance_stop(&i);
	instance_done(&i);
}

static void
every_end_has_a_cause(void **state)
{
	static const struct {
		const char *command, *reason;
	} cases[] = {
		{ "exit 3", "exit:3" },
		{ "kill -SEGV $$", "signal:SEGV" },
		{ "kill -KILL $$", "signal:KILL" },
		{ "exec sleep 60", "timeout" },
		{ "exit 100", "exit:100" },
	};
	struct instance i;
	char question[200], *reason;
	int64_t id;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		id = submit_job(&i, "-r", "0", "--timeout", "300ms", "--", "sh", "-c",
		    cases[n].command, NULL);
		wait_job(&i, id);
		snprintf(question, sizeof(question),
		    "SELECT replace(reason, '+core', '') FROM attempts WHERE job_id = %d",
		    (int)id);
		reason = sql(&i, question);
		assert_string_equal(reason, cases[n].reason);
		free(reason);
	}
	instance_finish(&i);
}

static void
program_that_does_not_exist_is_a_counted_failure_with_errno(void **state)
{
	struct instance i;
	char *reason;
	int64_t id;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	id = submit_job(&i, "-r", "1", "--backoff", "constant:10ms", "--", "/no/such/program",
	    NULL);
	assert_int_equal(wait_job(&i, id), 1);
	reason = sql(&i, "SELECT group_concat(reason) || (SELECT status FROM jobs) "
			 "FROM attempts");
	assert_string_equal(reason, "spawn:ENOENT,spawn:ENOENTfailed");
	free(reason);
	instance_finish(&i);
}

static void
directory_or_input_that_is_not_there_is_told_as_such(void **state)
{
	struct instance i;
	struct result result;
	char *reasons;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	result = jobberd(&i, "run", "-r", "0", "-d", "/no/such/place", "--", "true", NULL);
	assert_int_equal(result.status, 125);
	assert_has(result.err,
	    "cannot enter its working directory: No such file or directory");
	result_done(&result);
	submit_job(&i, "-r", "0", "--stdin", "/no/such/file", "--", "cat", NULL);
	assert_int_equal(wait_job(&i, 2), 1);
	result = jobberd(&i, "why", "2", NULL);
	assert_has(result.out, "cannot open its input: No such file or directory");
	result_done(&result);
	reasons = sql(&i, "SELECT group_concat(reason) FROM attempts");
	assert_string_equal(reasons, "spawn:cwd:ENOENT,spawn:stdin:ENOENT");
	free(reasons);
	instance_finish(&i);
}

/* What a job's process looks like from inside. */
static void
process_has_defaults_and_nothing_else(void **state)
{
	struct instance i;
	char path[400], *text;
	int64_t id;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	id = submit_job(&i, "--name", "probe", "--env", "X=1 2", "--cwd", i.directory, "--", "sh",
	    "-c",
	    "ls /proc/self/fd | tr '\\n' ' '; grep -E 'Sig(Blk|Ign|Cgt)' /proc/$$/status | "
	    "tr -d '\\t\\n'; echo; test $(cut -d' ' -f6 /proc/$$/stat) = $$ && echo leader; "
	    "echo $JOBBERD_ID $JOBBERD_ATTEMPT $JOBBERD_NAME $JOBBERD_FD \"$X\"; pwd", NULL);
	assert_int_equal(wait_job(&i, id), 0);
	snprintf(path, sizeof(path), "%s/output/1.1", i.state);
	text = file_text(path);
	/* ls itself opens the directory as one more */
	assert_has(text, "0 1 2 3 4 ");
	assert_has(text, "SigBlk:0000000000000000SigIgn:0000000000000000");
	assert_has(text, "leader\n1 1 probe 3 1 2\n");
	assert_has(text, i.directory);
	free(text);
	instance_stop(&i);
	instance_done(&i);
}

static void
what_a_job_leaves_running_is_killed(void **state)
{
	struct instance i;
	char *fifo, *go, *line, command[700];
	int64_t id, pid;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	fifo = fifo_make(&i, "pids");
	/* one in its group, one that escaped into a session of its own */
	snprintf(command, sizeof(command),
	    "sleep 1000 & setsid sh -c 'echo $$ > %s; exec sleep 1000' & exec cat %s.go", fifo,
	    fifo);
	go = fifo_make(&i, "pids.go");
	id = submit_job(&i, "--", "sh", "-c", command, NULL);
	line = fifo_read(fifo);
	pid = atoi(line);
	assert_true(is_alive((pid_t)pid));
	fifo_write(go, "");
	assert_int_equal(wait_job(&i, id), 0);
	assert_false(is_alive((pid_t)pid));
	assert_int_equal(sql_number(&i, "SELECT children_killed FROM attempts"), 2);
	free(line);
	free(fifo);
	free(go);
	instance_finish(&i);
}

static void
cancel_ends_the_process_and_a_waiting_job_alike(void **state)
{
	struct instance i;
	struct result result;
	char *fifo, *line, *text, command[400];
	int64_t id;

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "1", NULL);
	fifo = fifo_make(&i, "pid");
	snprintf(command, sizeof(command), "echo $$ > %s; exec sleep 1000", fifo);
	id = submit_job(&i, "--", "sh", "-c", command, NULL);
	submit_job(&i, "--", "true", NULL);
	line = fifo_read(fifo);
	result = jobberd(&i, "cancel", "1", "2", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	assert_int_equal(wait_job(&i, id), 1);
	assert_false(is_alive((pid_t)atoi(line)));
	text = sql(&i, "SELECT group_concat(status || coalesce(reason, '-')) FROM jobs");
	assert_string_equal(text, "cancelled-,cancelledcancelled");
	free(text);
	text = sql(&i, "SELECT reason FROM attempts");
	assert_string_equal(text, "cancelled");
	free(text);
	free(line);
	free(fifo);
	instance_finish(&i);
}

/*
 * As from a network file system that is dead: whoever opens a file with a lease waits until its
 * holder gives that up, or 45 s.
 */
static void
program_that_takes_its_time_to_load_holds_up_nobody(void **state)
{
	struct instance i;
	char *path, command[400];
	struct result result;
	int64_t slow, slower, next;
	int lease;

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "4", NULL);
	path = xasprintf("%s/program", i.directory);
	snprintf(command, sizeof(command), "cp /bin/true %s", path);
	next = submit_job(&i, "--", "sh", "-c", command, NULL);
	assert_int_equal(wait_job(&i, next), 0);
	lease = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fcntl(lease, F_SETSIG, SIGURG), 0); /* of which nobody takes notice */
	assert_int_equal(fcntl(lease, F_SETLEASE, F_WRLCK), 0);
	slow = submit_job(&i, "-r", "0", "--timeout", "100ms", "--", path, NULL);
	slower = submit_job(&i, "-r", "0", "--", path, NULL);
	next = submit_job(&i, "--", "true", NULL);
	assert_int_equal(wait_job(&i, next), 0);
	assert_int_equal(wait_job(&i, slow), 1);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE job_id = 2 AND "
		"reason = 'timeout'"), 1);
	assert_int_equal(sql_number(&i, "SELECT started_at IS NULL FROM attempts WHERE "
		"job_id = 3"), 1);
	result = jobberd(&i, "cancel", "3", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	assert_int_equal(wait_job(&i, slower), 1);
	slower = submit_job(&i, "-r", "0", "--", path, NULL);
	next = submit_job(&i, "--", "true", NULL);
	assert_int_equal(wait_job(&i, next), 0); /* … and so is the other on its way */
	instance_kill_supervisor(&i);
	next = submit_job(&i, "--", "true", NULL);
	assert_int_equal(wait_job(&i, next), 0);
	assert_int_equal(fcntl(lease, F_SETLEASE, F_UNLCK), 0);
	assert_int_equal(wait_job(&i, slower), 0);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE job_id = 5"), 1);
	close(lease);
	free(path);
	instance_finish(&i);
}

static void
job_talks_on_its_socket(void **state)
{
	struct instance i;
	char *text, command[900];
	int64_t id;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	snprintf(command, sizeof(command),
	    "j=%s; $j notify progress 0.4 resizing && $j notify result '{\"a\":[1]}' && "
	    "$j notify log 'half way'; echo garbage >&3; "
	    "echo '{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"no\"}' >&3; "
	    "read a <&3; read b <&3; echo \"$a\"; echo \"$b\"", getenv("JOBBERD"));
	id = submit_job(&i, "-r", "0", "--", "bash", "-c", command, NULL);
	assert_int_equal(wait_job(&i, id), 0);
	text = sql(&i, "SELECT progress || progress_text || result FROM jobs");
	assert_string_equal(text, "0.4resizing{\"a\":[1]}");
	free(text);
	text = sql(&i, "SELECT last_lines FROM attempts");
	assert_has(text, "-32700");
	assert_has(text, "-32601");
	free(text);
	assert_int_equal(
	    sql_number(&i, "SELECT count(*) FROM events WHERE detail = 'half way'"), 1);
	instance_stop(&i);
	instance_done(&i);
}

/* The supervisor process would leave it out, and a notification has no answer. */
static void
text_that_is_not_taken_is_refused_where_it_is_said(void **state)
{
	struct instance i;
	char *text, command[900];

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	snprintf(command, sizeof(command),
	    "j=%s; t() { head -c $1 /dev/zero | tr '\\0' x; }; "
	    "$j notify log \"$(t 65536)\"; echo $?; $j notify log \"$(t 65537)\"; echo $?; "
	    "$j notify progress 1 \"$(t 65537)\"; echo $?; "
	    "$j notify log $'\\xff'; echo $?; $j notify progress 1 $'\\xff'; echo $?",
	    getenv("JOBBERD"));
	submit_job(&i, "-r", "0", "--", "bash", "-c", command, NULL);
	assert_int_equal(wait_job(&i, 1), 0);
	text = sql(&i, "SELECT last_lines FROM attempts");
	assert_string_equal(text, "0\njobberd: log: this text is longer than 64 KiB\n2\n"
	    "jobberd: progress: this text is longer than 64 KiB\n2\n"
	    "jobberd: log: this text is not UTF-8\n2\n"
	    "jobberd: progress: this text is not UTF-8\n2\n");
	free(text);
	assert_int_equal(sql_number(&i, "SELECT length(detail) FROM events WHERE detail LIKE "
					"'xx%'"), 65536);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM events WHERE event = "
					"'message not understood'"), 0);
	instance_finish(&i);
}

static void
second_supervise_is_refused_with_the_pid_of_the_first(void **state)
{
	struct instance i, other;
	char pid[32];

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	other = i;
	other.log_fd = -1;
	other.log = NULL;
	other.log_length = 0;
	instance_launch(&other, NULL);
	snprintf(pid, sizeof(pid), "(pid %d)", (int)i.keeper);
	instance_expect(&other, pid);
	assert_int_equal(instance_wait(&other), 5);
	instance_forget_log(&other);
	instance_stop(&i);
	instance_done(&i);
}

static void
write_env(const char *path, const char *good, const char *last)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fprintf(file, "%s%s\n", good, last);
	assert_int_equal(fclose(file), 0);
}

/* A shell's file is not one of ours: what it would mean there is not what the job would get. */
static void
line_of_an_env_file_that_names_no_variable_is_refused_with_its_place(void **state)
{
	static const char *const bad[] = { "export B=2", "  X = y z ", " X=1", "X =1", "A B=1",
		"1A=1", "=1", "A", "a.b=1", "caf\u00e9=1" };
	struct instance i;
	struct result result;
	char path[320], *text;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	snprintf(path, sizeof(path), "%s/job.env", i.directory);
	for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
		write_env(path, "# of the job\n\n_A1=x\n", bad[n]);
		result = jobberd(&i, "submit", "--env-file", path, "--", "true", NULL);
		assert_int_equal(result.status, 2);
		assert_has(result.err, "job.env:4: this line is not NAME=VALUE");
		result_done(&result);
	}
	write_env(path, "# a=b\n\n_A1= y \"z\" # \nB=\n", "c=d=e");
	submit_job(&i, "--env-file", path, "--", "true", NULL);
	text = sql(&i, "SELECT json_extract(vars, '$._A1') || '|' || json_extract(vars, '$.B') || "
		       "'|' || json_extract(vars, '$.c') FROM environments");
	assert_string_equal(text, " y \"z\" # ||d=e");
	free(text);
	instance_finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    line_of_an_env_file_that_names_no_variable_is_refused_with_its_place),
		cmocka_unit_test(submitted_with_nothing_running_is_run_by_the_next_supervise),
		cmocka_unit_test(job_fails_for_good_after_four_runs),
		cmocka_unit_test(job_that_fails_twice_is_done_at_the_third_run),
		cmocka_unit_test(pause_counts_from_the_end_of_the_run),
		cmocka_unit_test(every_end_has_a_cause),
		cmocka_unit_test(program_that_does_not_exist_is_a_counted_failure_with_errno),
		cmocka_unit_test(directory_or_input_that_is_not_there_is_told_as_such),
		cmocka_unit_test(process_has_defaults_and_nothing_else),
		cmocka_unit_test(what_a_job_leaves_running_is_killed),
		cmocka_unit_test(cancel_ends_the_process_and_a_waiting_job_alike),
		cmocka_unit_test(program_that_takes_its_time_to_load_holds_up_nobody),
		cmocka_unit_test(job_talks_on_its_socket),
		cmocka_unit_test(text_that_is_not_taken_is_refused_where_it_is_said),
		cmocka_unit_test(second_supervise_is_refused_with_the_pid_of_the_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
