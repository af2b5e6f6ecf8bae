/*
 * run: submit a job, show its output as it comes, exit with its status. With nothing
 * running the job is recorded first and a draining supervise is started for it, in a
 * session of its own: it belongs to nobody's terminal and leaves when all is done.
 */

#include "base/text.h"
#include "base/xalloc.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/escape.h"
#include "cli/follow.h"
#include "cli/outfile.h"
#include "cli/serve.h"
#include "cli/submit.h"
#include "cli/why.h"
#include "keeper/lock.h"
#include "model/reason.h"
#include "store/query.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct run {
	const struct invocation *invocation;
	int64_t job;
	bool is_ours;	     /* nobody else had submitted it */
	bool is_alone;	     /* no supervise was ever there for it */
	int interrupts;	     /* how often ^C was heeded */
	bool is_cancelled;   /* … and the cancel acknowledged */
	int64_t told_attempt; /* the last one whose pause was told */
	bool is_wait_told;
	char told_progress[WHY_SIZE];
	char *line;	      /* to be told */
	int64_t line_attempt; /* whose pause it is about, 0: it is not */
	int64_t left_out;     /* bytes of its output that no line tells of */
};

static volatile sig_atomic_t interrupt_count;

/* Only there to end a wait: what follows happens outside of it. */
static void
note_interrupt(int number)
{
	(void)number;
	interrupt_count++;
}

/* We are about to say that it failed: it must not run later by surprise. */
static int
take_back(const struct run *run, const struct error *why)
{
	char *call;
	struct error error;

	cli_fail(why);
	if (!run->is_ours)
		return cli_complain(STATUS_RUN_FAILED, "job %" PRId64 " is not started", run->job);
	if (submission_take_back(run->invocation->state, run->job, &error) == 0)
		return cli_complain(STATUS_RUN_FAILED,
		    "job %" PRId64 " was not started, and is cancelled", run->job);
	cli_fail(&error);
	call = cli_how_to_call(run->invocation);
	cli_complain(0,
	    "job %" PRId64 " stays recorded, to be run by the next supervise, unless then: "
	    "%s cancel %" PRId64, run->job, call, run->job);
	free(call);
	return STATUS_RUN_FAILED;
}

/* ---- while it runs ---- */

static void
cancel(struct run *run)
{
	struct client_connection connection;
	struct error error;
	json_t *result;

	fprintf(stderr, "\njobberd: cancelling job %" PRId64 "; once more to stop waiting for it\n",
	    run->job);
	if (client_open(&connection, run->invocation->state, &error) == -1) {
		cli_fail(&error);
		return;
	}
	result = client_call_again(&connection, "cancel",
	    json_pack("{s:[I]}", "ids", (json_int_t)run->job), NULL, &error);
	run->is_cancelled = result != NULL;
	if (result == NULL)
		cli_fail(&error);
	json_decref(result);
	client_close(&connection);
}

static bool
interrupted(void *arg)
{
	struct run *run = arg;

	if (interrupt_count == run->interrupts)
		return false;
	run->interrupts = interrupt_count;
	if (run->interrupts == 1)
		cancel(run);
	return run->interrupts > 1;
}

static void
read_job(struct run *run, const struct rows *row)
{
	bool shows = cli_is_interactive();
	char words[WHY_SIZE];
	struct why_job job;
	struct why_now now;
	int64_t tries = rows_number(row, "attempt", 0);

	why_read(&job, row);
	why_now(&now, run->invocation->state);
	why_words(words, sizeof(words), &job, &now, WHY_IN_LIST);
	if (job.status == JOB_ERRORED && !job.is_claimed && tries > run->told_attempt) {
		run->line_attempt = tries;
		run->line = xasprintf("attempt %" PRId64 ": %s", tries, words);
	} else if (shows && job.status == JOB_NEW && !run->is_wait_told && why_must_wait(&job)) {
		run->is_wait_told = true;
		run->line = xasprintf("job %" PRId64 ": %s", run->job, words);
	} else if (shows && job.status == JOB_RUNNING && words[0] != '\0' &&
	    strcmp(words, run->told_progress) != 0 && job.stop.kind == REASON_NONE) {
		snprintf(run->told_progress, sizeof(run->told_progress), "%s", words);
		run->line = xasprintf("job %" PRId64 ": %s", run->job, words);
	}
}

/* What there is to be told, behind the output that was written before it. */
static void
look(void *arg)
{
	struct run *run = arg;
	struct job_filter filter = { .id = run->job };
	struct query *query = query_open(run->invocation->state, NULL);
	struct rows *rows = query != NULL ? query_jobs(query, &filter, NULL) : NULL;

	if (rows != NULL && rows_next(rows, NULL) == 1)
		read_job(run, rows);
	rows_close(rows);
	query_close(query);
}

static void
tell(void *arg)
{
	struct run *run = arg;
	struct buf line = { 0 };

	if (run->line == NULL)
		return;
	escape_add_text(&line, run->line);
	fflush(stdout);
	fprintf(stderr, "jobberd: %s\n", buf_text(&line));
	buf_done(&line);
	free(run->line);
	run->line = NULL;
	if (run->line_attempt != 0)
		run->told_attempt = run->line_attempt;
	run->line_attempt = 0;
}

/* Each pause before a retry is one line, one that was too short to be seen as well. */
static void
attempt_over(void *arg, int64_t attempt)
{
	struct run *run = arg;
	struct query *query;
	struct rows *rows;
	char words[WHY_SIZE];

	if (attempt == run->line_attempt)
		tell(run);
	if (attempt <= run->told_attempt)
		return;
	run->told_attempt = attempt;
	query = query_open(run->invocation->state, NULL);
	rows = query != NULL ? query_attempts(query, run->job, NULL) : NULL;
	while (rows != NULL && rows_next(rows, NULL) == 1) {
		if (rows_number(rows, "attempt", 0) == attempt)
			fprintf(stderr, "jobberd: attempt %" PRId64 ": %s; again\n", attempt,
			    why_attempt(words, sizeof(words), rows));
	}
	rows_close(rows);
	query_close(query);
}

/* ---- the end ---- */

static int
report_end(const struct run *run, const char *status, const char *text)
{
	struct reason reason = { 0 };
	char words[128];

	if (text != NULL)
		reason_parse(text, &reason);
	if (strcmp(status, "done") == 0)
		return STATUS_OK;
	reason_words(words, sizeof(words), reason, run->invocation->spec.timeout_ms);
	if (reason.kind == REASON_CANCELLED)
		cli_complain(0, "job %" PRId64 ": cancelled", run->job);
	else if (reason.kind != REASON_EXIT)
		cli_complain(0, "job %" PRId64 " %s: %s", run->job, status, words);
	if (run->interrupts > 0 && reason.kind == REASON_CANCELLED)
		return STATUS_SIGNALLED + SIGINT;
	/* A job that failed can never look like a success. */
	return reason_exit_status(reason) != STATUS_OK ? reason_exit_status(reason)
						       : STATUS_RUN_FAILED;
}

/* Nobody answers any more: did it come to its end? */
static int
report_from_database(const struct run *run, const struct error *why)
{
	struct job_filter filter = { .id = run->job };
	struct error error;
	struct query *query = query_open(run->invocation->state, &error);
	struct rows *rows = query != NULL ? query_jobs(query, &filter, &error) : NULL;
	bool is_there = rows != NULL && rows_next(rows, &error) == 1;
	enum job_status status = JOB_NEW;
	int result;

	if (is_there)
		job_status_parse(rows_text(rows, "status"), &status);
	if (status == JOB_NEW && run->is_alone && (is_there || rows == NULL)) {
		error_set(&error, 0, "supervise has not come up, see supervise.log");
		result = take_back(run, &error);
	} else if (!is_there) {
		cli_fail(why);
		result = STATUS_RUN_FAILED;
	} else if (job_status_is_live(status)) {
		cli_fail(why);
		result = cli_complain(STATUS_RUN_FAILED, "job %" PRId64 " is %s", run->job,
		    job_status_name(status));
	} else
		result = report_end(run, rows_text(rows, "status"), rows_text(rows, "reason"));
	rows_close(rows);
	query_close(query);
	return result;
}

/* Who reads data would take a line about it for the job's own: that is for people. */
static int64_t *
where_to_note_left_out(struct run *run)
{
	return isatty(STDOUT_FILENO) ? NULL : &run->left_out;
}

static void
tell_left_out(const struct run *run)
{
	char size[32];

	if (run->left_out > 0)
		cli_complain(0, "%s of its output left out, see --max-output (job %" PRId64 ")",
		    text_format_size(size, sizeof(size), run->left_out), run->job);
}

/* Of all its attempts, when nobody was there any more to follow them with. */
static void
print_what_there_is(struct run *run)
{
	struct error error;
	struct query *query = query_open(run->invocation->state, &error);
	int64_t last = 0;

	if (query != NULL)
		query_last_attempt(query, run->job, &last, &error);
	query_close(query);
	for (int64_t attempt = 1; attempt <= last; attempt++) {
		struct outfile file;

		outfile_open(&file, run->invocation->state, run->job, attempt);
		file.left_out = where_to_note_left_out(run);
		outfile_print(&file, true);
		outfile_close(&file);
	}
}

static int
follow_job(struct run *run, struct client_connection *connection)
{
	sigset_t during, before;
	struct sigaction action = { .sa_handler = note_interrupt };
	struct follow follow = {
		.state = run->invocation->state,
		.connection = connection,
		.job = run->job,
		.left_out = where_to_note_left_out(run),
		.mask = &before,
		.interrupted = interrupted,
		.look = look,
		.tell = tell,
		.attempt_over = attempt_over,
		.arg = run,
	};
	json_t *answer = NULL, *ended;
	struct error error;
	int status;

	sigemptyset(&during);
	sigaddset(&during, SIGINT);
	sigaddset(&during, SIGTERM);
	sigprocmask(SIG_BLOCK, &during, &before);
	sigdelset(&before, SIGINT);
	sigdelset(&before, SIGTERM);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	switch (follow_output(&follow, &answer, &error)) {
	case FOLLOW_ENDED:
		ended = json_array_get(json_object_get(answer, "ended"), 0);
		status = report_end(run, json_string_value(json_object_get(ended, "status")),
		    json_string_value(json_object_get(ended, "reason")));
		break;
	case FOLLOW_INTERRUPTED:
		fprintf(stderr, "jobberd: job %" PRId64 " %s\n", run->job,
		    run->is_cancelled ? "is still being ended" : "goes on");
		printf("%" PRId64 "\n", run->job);
		status = STATUS_SIGNALLED + SIGINT;
		break;
	default:
		if (follow.attempt == 0)
			print_what_there_is(run);
		status = report_from_database(run, &error);
		break;
	}
	json_decref(answer);
	return status;
}

static int
follow_or_read(struct run *run, struct client_connection *connection)
{
	struct error error;

	if (connection->fd != -1)
		return follow_job(run, connection);
	if (client_open_to_submit(connection, run->invocation->state, &error) == 0)
		return follow_job(run, connection);
	/* Somebody else's was quick: all is done, and it has left already. Or none came up. */
	run->is_alone = error.code == STATUS_NOT_RUNNING;
	print_what_there_is(run);
	return report_from_database(run, &error);
}

static int
submit_for_run(
    struct run *run, struct invocation *invocation, struct client_connection *connection)
{
	struct submission submission;
	struct submission_request request;
	struct error error;
	int result;

	submission_init(&submission, invocation);
	submission.connection = connection->fd != -1 ? connection : NULL;
	result = submission_prepare(&submission, &invocation->spec, &error);
	if (result == 0) {
		submission_warn_if_missing(&submission, &invocation->spec);
		submission_request_init(&request, &submission, &invocation->spec, 1, &run->job);
		result = submission_send(&submission, &request, NULL, &error);
		run->is_ours = submission.has_sent;
	}
	submission_done(&submission);
	return result == 0 ? STATUS_OK : cli_fail(&error);
}

int
verb_run(struct invocation *invocation)
{
	struct spec *spec = &invocation->spec;
	struct run run = { .invocation = invocation };
	struct client_connection connection;
	struct error error;
	int status;

	if (!spec->has_max_retries) {
		spec->retry.max_retries = 0;
		spec->has_max_retries = true;
	}
	for (int i = 0; i < invocation->argument_count; i++)
		strings_add(&spec->command, invocation->arguments[i]);
	/* One that is leaving is waited for; then another is started, by us or by others. */
	while (client_open_to_submit(&connection, invocation->state, &error) == -1) {
		if (error.code != STATUS_NOT_RUNNING)
			return cli_complain(STATUS_RUN_FAILED, "%s", error.text);
		if (!lock_wait_for_holder(invocation->state))
			break;
	}
	status = submit_for_run(&run, invocation, &connection);
	if (status != STATUS_OK) {
		client_close(&connection);
		return status == STATUS_USAGE ? status : STATUS_RUN_FAILED;
	}
	if (connection.fd == -1 && serve_in_background(invocation->state, &error) == -1)
		return take_back(&run, &error);
	status = follow_or_read(&run, &connection);
	tell_left_out(&run);
	client_close(&connection);
	return status;
}
