/* The verbs that ask: what they say of jobs that wait, run and have ended. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/xalloc.h"
#include "support/helper.h"
#include "support/outside.h"
#include "support/system.h"

#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* A verb that goes on in the background; its lines are read as they come. */
static FILE *
begin(struct instance *i, const char *arguments)
{
	char *line = xasprintf("%s -C %s %s", getenv("JOBBERD"), i->state, arguments);
	FILE *pipe = popen(line, "r");

	assert_non_null(pipe);
	free(line);
	return pipe;
}

static void
expect_line(FILE *pipe, const char *wanted)
{
	char line[1024] = "";

	if (fgets(line, sizeof(line), pipe) == NULL)
		fail_msg("the output ends before \"%s\"", wanted);
	assert_has(line, wanted);
}

/* Everything up to the end, to be freed; *ret_status is the exit status. */
static char *
finish(FILE *pipe, int *ret_status)
{
	char *text = NULL;
	size_t room = 0;
	ssize_t got = getdelim(&text, &room, '\0', pipe);
	int status = pclose(pipe);

	*ret_status = status != -1 && (status & 0x7f) == 0 ? status >> 8 & 0xff : -1;
	if (got == -1) {
		free(text);
		return xstrdup("");
	}
	return text;
}

static void
check_verb(struct instance *i, const char *verb, const char *argument, int status,
    const char *out)
{
	struct result result = jobberd(i, verb, argument, NULL);

	assert_int_equal(result.status, status);
	assert_string_equal(result.out, out);
	result_done(&result);
}

#define HEADER "ID\tNAME\tSTATUS\tTRY\tAGE\tTIME\tCOMMAND\tWHY\n"

static void
with_no_database_there_are_no_jobs(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	check_verb(&i, "list", NULL, 0, HEADER);
	check_verb(&i, "list", "--json", 0, "[]\n");
	check_verb(&i, "events", NULL, 0, "");
	check_verb(&i, "show", "1", 4, "");
	check_verb(&i, "why", "name", 4, "");
	check_verb(&i, "attempts", "1", 4, "");
	check_verb(&i, "log", NULL, 4, "");
	check_verb(&i, "log", "1", 4, "");
	check_verb(&i, "events", "-f", 3, "");
	instance_done(&i);
}

static void
expect_why(struct instance *i, const char *job, const char *wanted)
{
	struct result result = jobberd(i, "why", job, NULL);

	assert_int_equal(result.status, 0);
	assert_has(result.out, wanted);
	result_done(&result);
}

static void
every_job_tells_what_it_waits_for(void **state)
{
	struct result result;
	struct instance i;

	(void)state;
	instance_init(&i);
	submit_job(&i, "-s", "serial", "--name", "first", "--", "sleep", "600", NULL);
	submit_job(&i, "-s", "serial", "--", "true", NULL);
	submit_job(&i, "-s", "serial", "--priority", "1", "--", "true", NULL);
	submit_job(&i, "--in", "2h", "--", "true", NULL);
	submit_job(&i, "--after", "1,4", "--", "true", NULL);
	submit_job(&i, "-s", "serial", "--priority", "9", "--", "true", NULL);
	expect_why(&i, "3", "nothing runs it\n");
	instance_start(&i, NULL);
	result = jobberd(&i, "hold", "6", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	instance_expect(&i, "started");
	/* The one of better priority runs first, and then it is the turn of the first. */
	assert_int_equal(wait_job(&i, 3), 0);
	wait_sql(&i, "SELECT count(*) > 0 FROM jobs WHERE status = 'running'");
	expect_why(&i, "first", "running for ");
	/* "1st in line", or "next" while it is claimed ahead. */
	expect_why(&i, "2", "no free place (1 of 1), ");
	expect_why(&i, "3", "done after ");
	expect_why(&i, "4", "starts in 119 min\n");
	expect_why(&i, "5", "waits for 1, 4\n");
	expect_why(&i, "6", "held by you\n");
	result = jobberd(&i, "cancel", "first", NULL);
	result_done(&result);
	result = jobberd(&i, "wait", "1", "5", NULL);
	assert_string_equal(result.err, "job 1: cancelled\njob 5: cancelled, a job it waited for "
					"did not succeed\n");
	result_done(&result);
	expect_why(&i, "1", "cancelled\n");
	expect_why(&i, "5", "cancelled: job 1 was cancelled\n");
	result = jobberd(&i, "list", "-H", "-o", "id,status,try,why", NULL);
	assert_has(result.out, "6\tnew\t0/4\theld by you\n");
	assert_has(result.out, "1\tcancelled\t1/4\tcancelled\n");
	assert_has(result.out, "5\tcancelled\t0/4\tjob 1 was cancelled\n");
	assert_has(result.out, "3\tdone\t1/4\t\n");
	result_done(&result);
	instance_stop(&i);
	instance_done(&i);
}

static void
environment_shows_names_and_never_values(void **state)
{
	static const char *const ways[] = { "--json", NULL };
	struct instance i;

	(void)state;
	instance_init(&i);
	submit_job(&i, "--env", "PASSWORD=tr0ub4dor", "--", "true", NULL);
	for (size_t way = 0; way < 2; way++) {
		struct result result = jobberd(&i, "show", "1", ways[way], NULL);

		assert_int_equal(result.status, 0);
		assert_has(result.out, "PASSWORD");
		assert_has(result.out, "***");
		assert_null(strstr(result.out, "tr0ub4dor"));
		result_done(&result);
	}
	instance_done(&i);
}

static void
attempts_are_told_one_by_one(void **state)
{
	struct result result;
	struct instance i;
	json_t *list, *last;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--max-retries", "1", "--backoff", "constant:20ms", "--timeout",
	    "500ms", "--", "sh", "-c", "[ $JOBBERD_ATTEMPT = 1 ] && exit 22; sleep 600",
	    NULL);
	assert_int_equal(wait_job(&i, 1), 1);
	result = jobberd(&i, "attempts", "1", "-H", "-o", "attempt,why", NULL);
	assert_string_equal(result.out, "1\texit 22\n2\ttimed out after 0.5 s\n");
	result_done(&result);
	result = jobberd(&i, "attempts", "1", "--json", NULL);
	list = json_loads(result.out, 0, NULL);
	assert_int_equal(json_array_size(list), 2);
	last = json_array_get(list, 1);
	assert_string_equal(
	    json_string_value(json_object_get(last, "reason")), "timeout");
	assert_true(json_is_string(json_object_get(last, "started_at_text")));
	json_decref(list);
	result_done(&result);
	expect_why(&i, "1", "failed: timed out after 0.5 s\n");
	result = jobberd(&i, "wait", "1", NULL);
	assert_string_equal(result.err, "job 1: failed, timed out after 0.5 s\n");
	result_done(&result);
	instance_expect(&i, "reason=\"timed out after 0.5 s\" retries=1/1");
	instance_stop(&i);
	instance_done(&i);
}

static void
number_out_of_range_is_refused_with_its_limits(void **state)
{
	static const struct {
		const char *option, *value, *words;
	} cases[] = {
		{ "--in", "99999d", "in: \"99999d\" is not a duration of 100 years at most" },
		{ "--timeout", "0",
		    "timeout: \"0\" is not a duration above 0, 100 years at most" },
		{ "--at", "1969-01-01T00:00:00Z",
		    "at: \"1969-01-01T00:00:00Z\" is not a time from 1970 to the year 9999" },
		{ "--max-output", "8388608T",
		    "max-output: \"8388608T\" is not a size of 3637978T at most" },
		{ "--timeout", "99999d",
		    "timeout: \"99999d\" is not a duration above 0, 100 years at most" },
		{ "--in", "soon",
		    "in: \"soon\" is not a duration like 90, 1h30m or 250ms" },
	};
	struct result result;
	struct instance i;

	(void)state;
	instance_init(&i);
	for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		result = jobberd(&i, "submit", cases[n].option, cases[n].value, "--", "true",
		    NULL);
		assert_int_equal(result.status, 2);
		assert_has(result.err, cases[n].words);
		result_done(&result);
	}
	result = jobberd(&i, "wait", "--timeout", "99999d", "1", NULL);
	assert_int_equal(result.status, 2);
	assert_has(result.err, "\"99999d\" is not a duration of 100 years at most");
	result_done(&result);
	instance_done(&i);
}

/* Cut off there, a value would be another. */
static void
environment_file_with_a_nul_is_refused_with_its_line(void **state)
{
	static const char text[] = "A=1\n# two\nB=one\0two\nC=3\n";
	struct instance i;
	struct result result;
	char *path, *words;
	FILE *file;

	(void)state;
	instance_init(&i);
	path = xasprintf("%s/variables", i.directory);
	words = xasprintf("jobberd: env-file: %s:3: this line has a NUL byte\n", path);
	file = fopen(path, "w");
	assert_non_null(file);
	fwrite(text, 1, sizeof(text) - 1, file);
	fclose(file);
	result = jobberd(&i, "submit", "--env-file", path, "--", "true", NULL);
	assert_result(result, 2, "", words);
	free(words);
	free(path);
	instance_done(&i);
}

static void
wait_tells_what_has_ended_however_short_its_time_is(void **state)
{
	static const char *const times[] = { "0", "1ms" };
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--", "true", NULL);
	submit_job(&i, "-r", "0", "--", "false", NULL);
	submit_job(&i, "--in", "1h", "--", "true", NULL);
	assert_int_equal(wait_job(&i, 1), 0);
	assert_int_equal(wait_job(&i, 2), 1);
	for (size_t n = 0; n < sizeof(times) / sizeof(times[0]); n++) {
		assert_result(jobberd(&i, "wait", "-t", times[n], "1", NULL), 0, "", "");
		assert_result(jobberd(&i, "wait", "-t", times[n], "1", "2", NULL), 1, "",
		    "job 2: failed, exit 1\n");
		assert_result(
		    jobberd(&i, "wait", "-t", times[n], "--any", "1", "3", NULL), 0, "", "");
		assert_result(jobberd(&i, "wait", "-t", times[n], "1", "3", NULL), 124, "",
		    "jobberd: the time to wait has passed\n");
		assert_result(jobberd(&i, "wait", "-t", times[n], "--any", "3", NULL), 124,
		    "", "jobberd: the time to wait has passed\n");
	}
	instance_finish(&i);
}

static void
log_is_the_output_byte_for_byte(void **state)
{
	struct result result;
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--name", "bytes", "--", "printf", "a\\033[2J\\377\\r\\n", NULL);
	submit_job(&i, "--max-retries", "1", "--backoff", "constant:1ms", "--", "sh",
	    "-c", "echo attempt $JOBBERD_ATTEMPT; exit 1", NULL);
	submit_job(&i, "--in", "1h", "--", "true", NULL);
	wait_job(&i, 1);
	wait_job(&i, 2);
	check_verb(&i, "log", "bytes", 0, "a\033[2J\377\r\n");
	check_verb(&i, "log", NULL, 0, "attempt 2\n"); /* the latest that was run */
	check_verb(&i, "log", "3", 0, "");
	check_verb(&i, "log", "77", 4, "");
	result = jobberd(&i, "log", "2", "--attempt", "1", NULL);
	assert_string_equal(result.out, "attempt 1\n");
	result_done(&result);
	result = jobberd(&i, "log", "2", "--attempt", "3", NULL);
	assert_int_equal(result.status, 4);
	result_done(&result);
	instance_stop(&i);
	result = jobberd(&i, "log", "-f", "2", NULL); /* nothing runs: what there is */
	assert_int_equal(result.status, 0);
	assert_string_equal(result.out, "attempt 2\n");
	result_done(&result);
	instance_done(&i);
}

/* As `wait` and `events -f`: it was told to go on until the job has ended. */
static void
log_that_nobody_goes_on_with_shows_what_there_is_and_says_so(void **state)
{
	struct result result;
	struct instance i;
	struct bell bell;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&bell, &i, "bell");
	submit_job(&i, "-d", i.directory, "--", "sh", "-c", "echo begun; echo >bell; sleep 600",
	    NULL);
	submit_job(&i, "--in", "1h", "--", "true", NULL);
	free(bell_wait(&bell));
	instance_kill_keeper(&i);
	result = jobberd(&i, "log", "-f", "1", NULL);
	assert_int_equal(result.status, 3);
	assert_string_equal(result.out, "begun\n");
	assert_has(result.err, "jobberd: nothing runs on ");
	result_done(&result);
	check_verb(&i, "log", "1", 0, "begun\n");
	result = jobberd(&i, "log", "-f", "2", NULL);
	assert_int_equal(result.status, 3);
	assert_string_equal(result.out, "");
	result_done(&result);
	bell_done(&bell);
	instance_done(&i);
}

static void
log_tells_of_the_middle_that_was_left_out(void **state)
{
	struct result result;
	struct instance i;
	char *end;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--max-output", "64K", "--", "seq", "1000000", NULL);
	assert_int_equal(wait_job(&i, 1), 0);
	if (sql_number(&i, "SELECT output_left_out FROM attempts") == 0) {
		instance_stop(&i);
		instance_done(&i);
		skip(); /* no holes on this file system */
	}
	result = jobberd(&i, "log", NULL);
	assert_memory_equal(result.out, "1\n2\n3\n", 6);
	end = strstr(result.out, "\n… 6.");
	assert_non_null(end);
	assert_non_null(strstr(end, " MiB left out …\n"));
	assert_non_null(strstr(end, "\n999999\n1000000\n"));
	result_done(&result);
	instance_stop(&i);
	instance_done(&i);
}

/* How much of it `run` still saw is not known; but nothing of its own is in what it printed. */
static void
run_prints_nothing_but_the_output_of_what_was_left_out_too(void **state)
{
	struct result result;
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	result = jobberd(&i, "run", "--max-output", "64K", "--", "sh", "-c",
	    "seq 1000000; exit 3", NULL);
	assert_int_equal(result.status, 3);
	assert_memory_equal(result.out, "1\n2\n3\n", 6);
	assert_int_equal(strspn(result.out, "0123456789\n"), strlen(result.out));
	if (strlen(result.out) < 6888896)
		assert_has(result.err, " of its output left out, see --max-output (job 1)\n");
	else
		assert_string_equal(result.err, "");
	result_done(&result);
	instance_finish(&i);
}

/* Line by line as it is written, through a retry, until the job has ended. */
static void
log_follows_a_job_through_its_retries(void **state)
{
	struct instance i;
	char *command, *gate, *text;
	FILE *log;
	int status;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	gate = fifo_make(&i, "gate");
	command = xasprintf("echo begin $JOBBERD_ATTEMPT; read line < %s; echo $line; "
			    "[ $JOBBERD_ATTEMPT = 2 ]", gate);
	submit_job(&i, "--backoff", "constant:50ms", "--", "sh", "-c", command, NULL);
	log = begin(&i, "log -f 1");
	expect_line(log, "begin 1\n");
	fifo_write(gate, "one\n");
	expect_line(log, "one\n");
	expect_line(log, "begin 2\n");
	fifo_write(gate, "two\n");
	text = finish(log, &status);
	assert_string_equal(text, "two\n");
	assert_int_equal(status, 0);
	free(text);
	free(command);
	free(gate);
	instance_stop(&i);
	instance_done(&i);
}

static void
log_goes_on_when_the_supervisor_process_is_killed(void **state)
{
	struct instance i;
	char *command, *gate, *text;
	FILE *log;
	int status;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	gate = fifo_make(&i, "gate");
	command = xasprintf("echo begin; read line < %s; echo $line", gate);
	submit_job(&i, "--", "sh", "-c", command, NULL);
	log = begin(&i, "log -f");
	expect_line(log, "begin\n");
	instance_kill_supervisor(&i);
	fifo_write(gate, "end\n");
	text = finish(log, &status);
	assert_string_equal(text, "end\n");
	assert_int_equal(status, 0);
	free(text);
	free(command);
	free(gate);
	instance_stop(&i);
	instance_done(&i);
}

/* It does not hear of the end: it is stopped, and who would have told it is killed. */
static void
job_that_is_pruned_unheard_of_ends_log_and_run_in_words(void **state)
{
	struct instance i;
	struct helper log, run;
	struct result result;
	char *command, *gate;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	gate = fifo_make(&i, "gate");
	command = xasprintf("echo begin; read line < %s; echo $line", gate);
	helper_jobberd(&run, &i, NULL, "run", "--", "sh", "-c", command, NULL);
	helper_expect(&run, "begin\n");
	helper_jobberd(&log, &i, NULL, "log", "-f", "1", NULL);
	helper_expect(&log, "begin\n");
	kill(run.pid, SIGSTOP);
	kill(log.pid, SIGSTOP);
	instance_kill_supervisor(&i);
	fifo_write(gate, "end\n");
	assert_int_equal(wait_job(&i, 1), 0);
	result = jobberd(&i, "prune", "--older-than", "0", NULL);
	assert_result(result, 0, "", "1 job pruned\n");
	kill(run.pid, SIGCONT);
	kill(log.pid, SIGCONT);
	assert_int_equal(helper_wait(&log), 4);
	assert_string_equal(log.out.text, "begin\nend\n");
	assert_string_equal(log.err.text, "jobberd: there is no job 1 any more\n");
	assert_int_equal(helper_wait(&run), 125);
	assert_string_equal(run.out.text, "begin\nend\n");
	assert_string_equal(run.err.text, "jobberd: there is no job 1 any more\n");
	helper_end(&log);
	helper_end(&run);
	free(command);
	free(gate);
	instance_finish(&i);
}

static void
status_is_a_table_for_programs_and_for_people(void **state)
{
	struct result result;
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "2", NULL);
	result = jobberd(&i, "status", "default", NULL);
	assert_has(result.out, "(restarted 0 times)\ncgroups: ");
	assert_has(result.out, "\nSUPERVISOR\tPLACES\tRUNNING\tREADY\tNEW\t"
			       "ERRORED\tHELD\ndefault\t2\t0\t0\t0\t0\t0\ndatabase ");
	assert_has(result.out, "\nnothing is pruned by itself\n");
	result_done(&result);
	instance_stop(&i);
	instance_done(&i);
}

/* As text of rows is: what is not UTF-8 is escaped, and all else is there. */
static void
status_is_json_whatever_the_state_directory_is_called(void **state)
{
	struct instance i;
	json_t *json;

	(void)state;
	instance_init(&i);
	snprintf(i.state, sizeof(i.state), "%.200s/s\377", i.directory);
	submit_job(&i, "--", "true", NULL);
	for (int runs = 0; runs < 2; runs++) {
		struct result result = jobberd(&i, "status", "--json", NULL);
		const char *path;

		json = json_loads(result.out, 0, NULL);
		if (json == NULL)
			fail_msg("no JSON: \"%s\"", result.out);
		path = json_string_value(json_object_get(json, "state"));
		assert_string_equal(strrchr(path, '/'), "/s\\xff");
		json_decref(json);
		assert_int_equal(result.status, runs ? 0 : 3);
		result_done(&result);
		if (!runs)
			instance_start(&i, NULL);
	}
	instance_finish(&i);
}

static void
history_begins_with_the_submission_of_each_job(void **state)
{
	struct result result;
	struct instance i;
	FILE *events;
	char *text;
	int status;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--", "true", NULL);
	wait_job(&i, 1);
	events = begin(&i, "events -f");
	expect_line(events, " job=1 submitted\n");
	expect_line(events, "1 ");
	expect_line(events, " job=1 attempt=1 completed\n");
	submit_job(&i, "--", "false", NULL);
	expect_line(events, " job=2 submitted\n");
	expect_line(events, " job=2 attempt=1 started\n");
	expect_line(events, " job=2 attempt=1 errored: exit 1\n");
	/* The supervisor process is replaced; whoever follows notices nothing of it. */
	instance_kill_supervisor(&i);
	submit_job(&i, "--hold", "--", "true", NULL);
	expect_line(events, " job=3 submitted\n");
	instance_stop(&i);
	text = finish(events, &status);
	assert_int_equal(status, 0);
	free(text);
	result = jobberd(&i, "events", "--json", "--limit", "1", "2", NULL);
	assert_has(result.out, "\"job_id\":2,\"attempt\":1,\"event\":\"errored\","
			       "\"detail\":\"exit 1\"}\n");
	result_done(&result);
	result = jobberd(&i, "events", "--since", "3", "1", NULL);
	assert_string_equal(result.out, "");
	result_done(&result);
	instance_done(&i);
}

/* A batch leaves its token in the history; that its first job was submitted is told once. */
static void
submission_of_a_batch_is_told_once_a_job(void **state)
{
	static const char *const jobs[] = { NULL, "1" };
	struct result result;
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "0", NULL);
	result = jobberd_with_input(&i, "true\nfalse\n", "submit", "--batch", NULL);
	assert_string_equal(result.out, "1\n2\n");
	result_done(&result);
	assert_int_equal(
	    sql_number(&i, "SELECT count(*) FROM events WHERE event = 'submitted'"), 1);
	for (size_t n = 0; n < 2; n++) {
		char *first;

		result = jobberd(&i, "events", "--limit", "5", jobs[n], NULL);
		first = strstr(result.out, "job=1 submitted\n");
		assert_non_null(first);
		assert_null(strstr(first + 1, "job=1"));
		assert_true((strstr(first, "job=2 submitted\n") != NULL) == (n == 0));
		result_done(&result);
	}
	instance_stop(&i);
	instance_done(&i);
}

/* ---- terminals ---- */

/* What a verb prints on a terminal of this width, to be freed. */
static char *
on_terminal(struct instance *i, unsigned short width, const char *arguments)
{
	const struct winsize size = { .ws_row = 24, .ws_col = width };
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave, status;
	char *text = xcalloc(1, 65536), *call, *name;
	size_t used = 0;
	ssize_t got;

	assert_int_equal(grantpt(master) | unlockpt(master), 0);
	name = ptsname(master);
	slave = open(name, O_RDWR | O_NOCTTY); /* so that it outlives the verb */
	assert_int_equal(ioctl(slave, TIOCSWINSZ, &size), 0);
	call = xasprintf("%s > %s; echo END > %s", arguments, name, name);
	free(finish(begin(i, call), &status));
	while (strstr(text, "END\r\n") == NULL &&
	    (got = read(master, text + used, 65535 - used)) > 0)
		used += (size_t)got;
	assert_has(text, "END\r\n");
	*strstr(text, "END\r\n") = '\0';
	close(slave);
	close(master);
	free(call);
	return text;
}

static void
terminal_gets_nothing_that_is_more_than_colour(void **state)
{
	struct instance i;
	char *text;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--", "printf",
	    "\\033[31mred\\033[0m\\033]0;title\\007\\r\\n", NULL);
	wait_job(&i, 1);
	text = on_terminal(&i, 80, "log 1");
	assert_has(text, "\033[31mred\033[0m\\x1b]0;title\\x07");
	free(text);
	instance_stop(&i);
	instance_done(&i);
}

static void
terminal_gets_lines_no_wider_than_itself(void **state)
{
	struct instance i;
	char *text, *rest, *line;

	(void)state;
	instance_init(&i);
	setenv("NO_COLOR", "1", 1);
	submit_job(&i, "--", "a-rather-long-command", "with", "many", "words", "and",
	    "more of", "them", "than", "fit", NULL);
	text = rest = on_terminal(&i, 60, "list");
	assert_has(text, "ID  NAME  STATUS");
	assert_has(text, "nothing runs");
	while ((line = strsep(&rest, "\r\n")) != NULL)
		assert_true(strlen(line) <= 60 + 2 * strlen("…"));
	free(text);
	unsetenv("NO_COLOR");
	instance_done(&i);
}

static void
ten_thousand_live_jobs_are_listed_at_once(void **state)
{
	struct result result;
	struct instance i;
	int64_t begun;
	char *message;

	(void)state;
	instance_init(&i);
	submit_job(&i, "--", "true", NULL);
	message = foreign(&i, "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 "
			      "FROM n WHERE i < 10000) INSERT INTO jobs (command) "
			      "SELECT '[\"true\"]' FROM n");
	assert_null(message);
	begun = now_ms();
	result = jobberd(&i, "list", "-H", "-o", "id", NULL);
	assert_between(now_ms() - begun, 0, 1000 * SLOWNESS);
	assert_int_equal(result.status, 0);
	assert_has(result.out, "\n9999\n10000\n");
	result_done(&result);
	instance_done(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_no_database_there_are_no_jobs),
		cmocka_unit_test(every_job_tells_what_it_waits_for),
		cmocka_unit_test(environment_shows_names_and_never_values),
		cmocka_unit_test(attempts_are_told_one_by_one),
		cmocka_unit_test(number_out_of_range_is_refused_with_its_limits),
		cmocka_unit_test(environment_file_with_a_nul_is_refused_with_its_line),
		cmocka_unit_test(wait_tells_what_has_ended_however_short_its_time_is),
		cmocka_unit_test(log_is_the_output_byte_for_byte),
		cmocka_unit_test(log_that_nobody_goes_on_with_shows_what_there_is_and_says_so),
		cmocka_unit_test(log_tells_of_the_middle_that_was_left_out),
		cmocka_unit_test(run_prints_nothing_but_the_output_of_what_was_left_out_too),
		cmocka_unit_test(log_follows_a_job_through_its_retries),
		cmocka_unit_test(log_goes_on_when_the_supervisor_process_is_killed),
		cmocka_unit_test(job_that_is_pruned_unheard_of_ends_log_and_run_in_words),
		cmocka_unit_test(status_is_a_table_for_programs_and_for_people),
		cmocka_unit_test(status_is_json_whatever_the_state_directory_is_called),
		cmocka_unit_test(history_begins_with_the_submission_of_each_job),
		cmocka_unit_test(submission_of_a_batch_is_told_once_a_job),
		cmocka_unit_test(terminal_gets_nothing_that_is_more_than_colour),
		cmocka_unit_test(terminal_gets_lines_no_wider_than_itself),
		cmocka_unit_test(ten_thousand_live_jobs_are_listed_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
