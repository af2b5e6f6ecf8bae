/*
 * wait: until jobs have ended. The supervisor process tells, and if it dies the next one
 * does; on a terminal one line says how far they are.
 */

#include "base/xalloc.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/database.h"
#include "cli/escape.h"
#include "cli/select.h"
#include "cli/why.h"
#include "model/reason.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MOST_COUNTED 1000 /* jobs that are looked at again with every change */

struct waiting {
	struct invocation *invocation;
	struct selection selection;
	struct client_connection connection;
	json_int_t wait_id;
	int64_t timeout_ms; /* -1: none */
	struct mono begin;
	bool is_shown; /* there is a progress line, to be wiped */
};

static json_t *
ids_json(const struct selection *selection)
{
	json_t *list = json_array();

	for (size_t i = 0; i < selection->count; i++)
		json_array_append_new(list, json_integer(selection->ids[i]));
	return list;
}

/* What it ran into, which only the database tells; 0: nothing, or not known. */
static int64_t
read_limit(const struct invocation *invocation, struct query **query, json_int_t job,
    struct reason reason)
{
	struct job_filter filter = { .id = job };
	struct rows *rows;
	int64_t limit_ms = 0;

	if (reason.kind != REASON_TIMEOUT && reason.kind != REASON_WATCHDOG)
		return 0;
	if (*query == NULL && (*query = query_open(invocation->state, NULL)) == NULL)
		return 0;
	rows = query_jobs(*query, &filter, NULL);
	if (rows != NULL && rows_next(rows, NULL) == 1)
		limit_ms = why_limit(reason, rows_number(rows, "timeout_ms", 0),
		    rows_number(rows, "watchdog_ms", 0));
	rows_close(rows);
	return limit_ms;
}

static int
print_ended(const struct invocation *invocation, const json_t *ended)
{
	struct query *query = NULL;
	int status = STATUS_OK;
	size_t index;
	json_t *job;

	json_array_foreach(ended, index, job) {
		const char *word = json_string_value(json_object_get(job, "status"));
		const char *text = json_string_value(json_object_get(job, "reason"));
		json_int_t id = json_integer_value(json_object_get(job, "id"));
		struct reason reason = { 0 };
		char words[REASON_TEXT_SIZE + 64];

		if (strcmp(word, "done") != 0)
			status = STATUS_NO;
		if (invocation->wants_json)
			continue;
		if (reason_parse(text, &reason) == -1)
			reason = reason_from_words(text); /* a server's own */
		reason_words(words, sizeof(words), reason,
		    read_limit(invocation, &query, id, reason));
		if (strcmp(words, word) == 0) /* cancelled */
			words[0] = '\0';
		if (cli_is_interactive() || strcmp(word, "done") != 0)
			fprintf(stderr, "job %" JSON_INTEGER_FORMAT ": %s%s%s\n", id, word,
			    words[0] != '\0' ? ", " : "", words);
	}
	query_close(query);
	if (invocation->wants_json) {
		json_dumpf(ended, stdout, JSON_INDENT(1));
		putchar('\n');
	}
	return status;
}

/* All of them have ended already: no supervisor is needed to say so. */
static json_t *
all_ended(const struct invocation *invocation, const struct selection *selection)
{
	json_t *list = json_array();
	struct error error;
	struct query *query = database_open(invocation->state, &error);

	for (size_t i = 0; query != NULL && i < selection->count; i++) {
		struct job_filter filter = { .id = selection->ids[i] };
		struct rows *rows = query_jobs(query, &filter, &error);
		enum job_status status = JOB_NEW;

		if (rows != NULL && rows_next(rows, &error) == 1 &&
		    job_status_parse(rows_text(rows, "status"), &status) == 0 &&
		    !job_status_is_live(status))
			json_array_append_new(list,
			    json_pack("{s:I, s:s, s:s}", "id", (json_int_t)selection->ids[i],
				"status", rows_text(rows, "status"), "reason",
				rows_text(rows, "reason") != NULL ? rows_text(rows, "reason")
								  : ""));
		rows_close(rows);
	}
	query_close(query);
	return list;
}

/* False: the database does not know the end of all that are waited for. */
static bool
tell_known(const struct invocation *invocation, const struct selection *selection,
    int *ret_status)
{
	json_t *ended = all_ended(invocation, selection);
	size_t count = json_array_size(ended);
	bool is_enough = count == selection->count ||
	    (count > 0 && option_is_given(invocation, "any"));

	if (is_enough)
		*ret_status = print_ended(invocation, ended);
	json_decref(ended);
	return is_enough;
}

static int
wait_without_supervisor(struct invocation *invocation, const struct selection *selection)
{
	int status;

	return tell_known(invocation, selection, &status) ? status
							  : cli_not_running(invocation);
}

/* However short the time was: what has ended before it is told. */
static int
time_has_passed(const struct invocation *invocation, const struct selection *selection)
{
	int status;

	return tell_known(invocation, selection, &status)
	    ? status
	    : cli_complain(STATUS_TIMED_OUT, "the time to wait has passed");
}

/* ---- the line of progress ---- */

static void
wipe(struct waiting *waiting)
{
	if (waiting->is_shown)
		fprintf(stderr, "\r%*s\r", (int)cli_line_width(), "");
	waiting->is_shown = false;
}

static void
show(struct waiting *waiting, const char *words)
{
	struct buf line = { 0 };
	size_t length;

	escape_add_text(&line, words);
	length = escape_fitting(buf_text(&line), line.length, cli_line_width());
	wipe(waiting);
	fprintf(stderr, "%.*s", (int)length, buf_text(&line));
	buf_done(&line);
	waiting->is_shown = true;
}

static void
show_one(struct waiting *waiting)
{
	const char *state = waiting->invocation->state;
	struct job_filter filter = { .id = waiting->selection.ids[0] };
	struct query *query = query_open(state, NULL);
	struct rows *rows = query != NULL ? query_jobs(query, &filter, NULL) : NULL;
	char words[WHY_SIZE], text[WHY_SIZE + 64];
	struct why_job job;
	struct why_now now;

	if (rows != NULL && rows_next(rows, NULL) == 1) {
		why_now(&now, state);
		why_read(&job, rows);
		why_words(words, sizeof(words), &job, &now, WHY_IN_LIST);
		snprintf(text, sizeof(text), "job %" PRId64 ": %s%s%s", filter.id,
		    job_status_name(job.status), words[0] != '\0' ? ", " : "", words);
		show(waiting, text);
	}
	rows_close(rows);
	query_close(query);
}

static void
show_progress(struct waiting *waiting)
{
	size_t count = waiting->selection.count;
	char text[80];
	json_t *ended;

	if (!cli_is_interactive() || (waiting->is_shown && count >= MOST_COUNTED))
		return;
	if (count == 1) {
		show_one(waiting);
		return;
	}
	if (count >= MOST_COUNTED)
		snprintf(text, sizeof(text), "waiting for %zu jobs", count);
	else {
		ended = all_ended(waiting->invocation, &waiting->selection);
		snprintf(text, sizeof(text), "%zu of %zu have ended", json_array_size(ended),
		    count);
		json_decref(ended);
	}
	show(waiting, text);
}

/* ---- the answer ---- */

static int
ask(struct waiting *waiting, struct error *error)
{
	struct client_connection *connection = &waiting->connection;

	if (cli_is_interactive() && client_send(connection, "follow", NULL, error) == -1)
		return -1;
	waiting->wait_id = client_send(connection, "wait",
	    json_pack("{s:o, s:b}", "ids", ids_json(&waiting->selection), "any",
		option_is_given(waiting->invocation, "any")),
	    error);
	return waiting->wait_id == -1 ? -1 : 0;
}

/* Its supervisor process went away: the next one is asked, or, with none, the database. */
static int
ask_again(struct waiting *waiting, struct error *error)
{
	client_close(&waiting->connection);
	return client_open(&waiting->connection, waiting->invocation->state, error);
}

/* 1 with an answer to `wait`; 0: the time has passed; -1 with *error: nobody answers. */
static int
receive(struct waiting *waiting, struct rpc_message *ret_message, struct error *error)
{
	struct client_connection *connection = &waiting->connection;
	int got = ask(waiting, error);

	for (;;) {
		int64_t left_ms = waiting->timeout_ms;

		if (left_ms != -1) {
			left_ms -= clock_mono().ms - waiting->begin.ms;
			if (left_ms <= 0)
				return 0;
		}
		if (got != -1) {
			show_progress(waiting);
			connection->has_changed = false;
			got = client_receive(connection, left_ms, cli_is_interactive(),
			    ret_message, error);
		}
		if (got == 1 && json_integer_value(ret_message->id) == waiting->wait_id)
			return 1;
		if (got == 1)
			rpc_message_done(ret_message);
		if (got == -1 && !connection->is_lost)
			return -1;
		if (got == -1 && ask_again(waiting, error) == -1)
			return -1;
		if (got == -1)
			got = ask(waiting, error);
	}
}

static int
wait_for_answer(struct waiting *waiting)
{
	struct rpc_message message;
	struct error error;
	int got = receive(waiting, &message, &error), status;

	wipe(waiting);
	if (got == -1)
		return error.code == STATUS_NOT_RUNNING
		    ? wait_without_supervisor(waiting->invocation, &waiting->selection)
		    : cli_fail(&error);
	if (got == 0)
		return time_has_passed(waiting->invocation, &waiting->selection);
	if (message.kind == RPC_ERROR)
		status = cli_complain(
		    message.code > 0 ? message.code : STATUS_USAGE, "%s", message.message);
	else
		status = print_ended(
		    waiting->invocation, json_object_get(message.result, "ended"));
	rpc_message_done(&message);
	return status;
}

int
verb_wait(struct invocation *invocation)
{
	struct waiting waiting = {
		.invocation = invocation,
		.timeout_ms = option_duration(invocation, "timeout", -1),
		.begin = clock_mono(),
	};
	struct error error;
	int status;

	if (option_is_given(invocation, "any") && option_is_given(invocation, "all"))
		return cli_complain(STATUS_USAGE, "any, all: only one of them");
	if (select_jobs(invocation, false, &waiting.selection, &error) == -1)
		return cli_fail(&error);
	if (client_open(&waiting.connection, invocation->state, &error) == 0) {
		status = wait_for_answer(&waiting);
		client_close(&waiting.connection);
	} else
		status = error.code == STATUS_NOT_RUNNING
		    ? wait_without_supervisor(invocation, &waiting.selection)
		    : cli_fail(&error);
	selection_done(&waiting.selection);
	return status;
}
