/*
 * events: the history, one line for each thing that happened. That a job was submitted is
 * no event of the database but its job's created_at: the two are merged by time, and what
 * happened to a job never comes before its submission.
 */

#include "base/text.h"
#include "base/xalloc.h"
#include "cli/client.h"
#include "cli/database.h"
#include "cli/escape.h"
#include "cli/row_json.h"
#include "cli/subject.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Lines on their way out; with --limit only the last are kept, and printed at the end. */
struct lines {
	bool wants_json;
	char **kept; /* a ring */
	size_t limit, next;
};

struct history {
	struct query *query;
	int64_t job;		 /* 0: all */
	int64_t seen_job, seen_event;
	struct rows *submissions, *events;
	bool has_submission, has_event; /* a current row that is not printed yet */
	struct lines lines;
};

/* ---- lines ---- */

static void
lines_add(struct lines *lines, char *line)
{
	char **place;

	if (lines->limit == 0) {
		puts(line);
		free(line);
		return;
	}
	place = &lines->kept[lines->next++ % lines->limit];
	free(*place);
	*place = line;
}

static void
lines_flush(struct lines *lines)
{
	size_t first = lines->next > lines->limit ? lines->next - lines->limit : 0;

	for (size_t i = first; i < lines->next && lines->limit > 0; i++) {
		char **place = &lines->kept[i % lines->limit];

		puts(*place);
		free(*place);
		*place = NULL;
	}
	free(lines->kept);
	*lines = (struct lines){ .wants_json = lines->wants_json };
	fflush(stdout);
}

/* "17 2026-11-22T20:00:00.000Z job=42 attempt=1 errored exit 3" */
static char *
line_text(const struct rows *row, const char *event)
{
	int64_t seq = rows_number(row, "seq", 0), job = rows_number(row, "job_id", 0);
	int64_t attempt = rows_number(row, "attempt", 0);
	const char *detail = rows_text(row, "detail");
	struct buf line = { 0 };
	char time[64], *text;

	if (seq != 0)
		buf_addf(&line, "%" PRId64, seq);
	else
		buf_add_text(&line, "-");
	buf_addf(&line, " %s",
	    text_format_time(
		time, sizeof(time), (struct wall){ rows_number(row, "at", 0) }));
	if (job != 0)
		buf_addf(&line, " job=%" PRId64, job);
	if (attempt != 0)
		buf_addf(&line, " attempt=%" PRId64, attempt);
	buf_add_text(&line, " ");
	escape_add_text(&line, event);
	if (detail != NULL && detail[0] != '\0') {
		buf_add_text(&line, ": ");
		escape_add_text(&line, detail);
	}
	text = xstrdup(buf_text(&line));
	buf_done(&line);
	return text;
}

/* All events have the same keys, whether a row of their own tells them or not. */
static char *
line_json(const struct rows *row, const char *event)
{
	json_t *object = json_object(), *cells = row_json(row), *cell;
	static const char *const keys[] = { "seq", "at", "at_text", "job_id", "attempt",
		"event", "detail" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		cell = json_object_get(cells, keys[i]);
		json_object_set_new(
		    object, keys[i], cell != NULL ? json_incref(cell) : json_null());
	}
	json_object_set_new(object, "event", row_json_string(event));
	json_decref(cells);
	return row_json_line(object);
}

static void
print_row(struct lines *lines, const struct rows *row)
{
	const char *event = rows_text(row, "event");

	event = event != NULL ? event : "submitted";
	lines_add(lines,
	    lines->wants_json ? line_json(row, event) : line_text(row, event));
}

/* ---- the merge ---- */

static int
next_submission(struct history *history, struct error *error)
{
	int more = rows_next(history->submissions, error);

	history->has_submission = more == 1;
	if (more == 1)
		history->seen_job = rows_number(history->submissions, "job_id", 0);
	return more == -1 ? -1 : 0;
}

static int
next_event(struct history *history, struct error *error)
{
	int more = rows_next(history->events, error);

	history->has_event = more == 1;
	if (more == 1)
		history->seen_event = rows_number(history->events, "seq", 0);
	return more == -1 ? -1 : 0;
}

static bool
submission_is_first(const struct history *history)
{
	if (!history->has_submission || !history->has_event)
		return history->has_submission;
	return rows_number(history->submissions, "at", 0) <=
	    rows_number(history->events, "at", 0) ||
	    rows_number(history->submissions, "job_id", 0) <=
	    rows_number(history->events, "job_id", 0);
}

/* Print what is there behind what was seen. 0 or -1 with *error. */
static int
print_history(struct history *history, int64_t limit, struct error *error)
{
	int result = -1;

	history->submissions = query_submissions(
	    history->query, history->job, history->seen_job, limit, error);
	if (history->submissions == NULL)
		return -1;
	history->events = query_events(
	    history->query, history->job, history->seen_event, limit, error);
	if (history->events != NULL && next_submission(history, error) == 0)
		result = next_event(history, error);
	while (result == 0 && (history->has_submission || history->has_event)) {
		if (submission_is_first(history)) {
			print_row(&history->lines, history->submissions);
			result = next_submission(history, error);
		} else {
			print_row(&history->lines, history->events);
			result = next_event(history, error);
		}
	}
	rows_close(history->submissions);
	rows_close(history->events);
	lines_flush(&history->lines);
	return result;
}

/* ---- the verb ---- */

static int
history_open(struct history *history, const struct invocation *invocation,
    struct error *error)
{
	const char *word =
	    invocation->argument_count > 0 ? invocation->arguments[0] : NULL;
	int64_t limit = option_number(invocation, "limit", 1, 1000000, 0);
	char quoted[256];
	int result = 0;

	*history = (struct history){
		.seen_event = option_number(invocation, "since", 0, INT64_MAX, 0),
		.query = database_open(invocation->state, error),
		.lines = { .wants_json = invocation->wants_json, .limit = (size_t)limit },
	};
	if (history->query == NULL)
		return error->code == STATUS_NOT_FOUND && word != NULL
		    ? error_set(error, STATUS_NOT_FOUND, "there is no job %s",
			  text_quote(quoted, sizeof(quoted), word))
		    : -1;
	if (word != NULL)
		result = query_find_job(history->query, word, &history->job, error);
	if (result == 0 && history->seen_event > 0)
		result = query_newest_at(
		    history->query, history->seen_event, &history->seen_job, error);
	if (result == 0 && limit > 0)
		history->lines.kept =
		    xcalloc((size_t)limit, sizeof(history->lines.kept[0]));
	if (result == -1)
		query_close(history->query);
	return result;
}

/*
 * Until nobody answers any more; what was committed before that is shown still. A supervisor
 * process that dies is followed by the next one.
 */
static int
follow_history(struct history *history, struct client_connection *connection,
    const char *state, struct error *error)
{
	struct rpc_message message;
	struct error ended;
	bool goes_on = true;

	while (goes_on) {
		int got = client_receive(connection, -1, true, &message, &ended);

		connection->has_changed = false;
		if (got == 1) { /* the answer to `follow` itself */
			rpc_message_done(&message);
			continue;
		}
		if (got == -1) {
			client_close(connection);
			goes_on = client_open(connection, state, &ended) == 0;
		}
		if (got == -1 && goes_on)
			client_send(connection, "follow", NULL, &ended);
		if (print_history(history, 0, error) == -1)
			return -1;
	}
	return 0;
}

int
verb_events(struct invocation *invocation)
{
	bool follows = option_is_given(invocation, "follow"), has_connection = false;
	struct client_connection connection;
	struct history history;
	struct error error;
	int result;

	if (history_open(&history, invocation, &error) == -1) {
		if (error.code != STATUS_NOT_FOUND || invocation->argument_count > 0)
			return cli_fail(&error);
		return follows ? cli_not_running(invocation) : STATUS_OK;
	}
	/* Asked before the first look, so that nothing is missed between them. */
	if (follows && client_open(&connection, invocation->state, &error) == 0) {
		has_connection = true;
		client_send(&connection, "follow", NULL, &error);
	} else if (follows && error.code != STATUS_NOT_RUNNING) {
		query_close(history.query);
		return cli_fail(&error);
	}
	result = print_history(&history, (int64_t)history.lines.limit, &error);
	if (result == 0 && has_connection)
		result = follow_history(&history, &connection, invocation->state, &error);
	if (has_connection)
		client_close(&connection);
	query_close(history.query);
	if (result == -1)
		return cli_fail(&error);
	return follows && !has_connection ? cli_not_running(invocation) : STATUS_OK;
}
