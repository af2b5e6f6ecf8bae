/* change: the verbs that act on jobs (cancel, retry, hold, release) or wait for them. */

#include "base/text.h"
#include "base/xalloc.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/select.h"
#include "model/reason.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IDS_A_REQUEST 1000

static json_t *
ids_json(const int64_t *ids, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_integer(ids[i]));
	return list;
}

/* By filter many may be meant that nobody thought of: say how many, and ask. */
static int
ask(const struct invocation *invocation, const struct selection *selection)
{
	char answer[16] = "";

	fprintf(stderr, "%s: %zu job%s\n", invocation->command->name, selection->count,
	    selection->count == 1 ? "" : "s");
	if (selection->count == 0 || option_is_given(invocation, "yes"))
		return STATUS_OK;
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return cli_complain(STATUS_USAGE, "nothing was done: confirm with --yes");
	fprintf(stderr, "%s %s? [y/N] ", invocation->command->name,
	    selection->count == 1 ? "it" : "all of them");
	if (fgets(answer, sizeof(answer), stdin) != NULL &&
	    (answer[0] == 'y' || answer[0] == 'Y'))
		return STATUS_OK;
	return cli_complain(STATUS_NO, "nothing was done");
}

/* One job's result: a sentence, and the status if it is the worst so far. */
static int
print_result(const struct invocation *invocation, const json_t *result, int status)
{
	const char *error = json_string_value(json_object_get(result, "error"));
	int code = (int)json_integer_value(json_object_get(result, "code"));

	if (error != NULL) {
		cli_complain(code, "%s", error);
		return status == STATUS_OK ? code : status;
	}
	if (!invocation->wants_json && cli_is_interactive())
		fprintf(stderr, "job %" JSON_INTEGER_FORMAT ": %s\n",
		    json_integer_value(json_object_get(result, "id")),
		    json_is_true(json_object_get(result, "stopping"))
			? "being ended: SIGTERM now, SIGKILL after its grace"
			: json_string_value(json_object_get(result, "status")));
	return status;
}

static int
change_some(struct invocation *invocation, struct client_connection *connection,
    const int64_t *ids, size_t count, json_t *all)
{
	struct error error;
	json_t *answer = client_call(connection, invocation->command->name,
	    json_pack("{s:o}", "ids", ids_json(ids, count)), NULL, &error);
	json_t *results, *result;
	int status = STATUS_OK;
	size_t index;

	if (answer == NULL)
		return cli_fail(&error);
	results = json_object_get(answer, "results");
	json_array_foreach(results, index, result)
		status = print_result(invocation, result, status);
	json_array_extend(all, results);
	json_decref(answer);
	return status;
}

static int
change(struct invocation *invocation)
{
	struct client_connection connection;
	struct selection selection;
	struct error error;
	int status = STATUS_OK;
	bool is_agreed;
	json_t *all;

	if (client_open(&connection, invocation->state, &error) == -1)
		return error.code == STATUS_NOT_RUNNING ? cli_not_running(invocation)
							: cli_fail(&error);
	if (select_jobs(invocation, &selection, &error) == -1) {
		client_close(&connection);
		return cli_fail(&error);
	}
	if (selection.is_by_filter)
		status = ask(invocation, &selection);
	is_agreed = status == STATUS_OK;
	if (!is_agreed)
		selection.count = 0;
	all = json_array();
	for (size_t done = 0; done < selection.count; done += IDS_A_REQUEST) {
		size_t count = selection.count - done;
		int one = change_some(invocation, &connection, selection.ids + done,
		    count < IDS_A_REQUEST ? count : IDS_A_REQUEST, all);

		status = status == STATUS_OK ? one : status;
	}
	if (invocation->wants_json && is_agreed) {
		json_dumpf(all, stdout, JSON_INDENT(1));
		putchar('\n');
	}
	json_decref(all);
	client_close(&connection);
	selection_done(&selection);
	return status;
}

int
verb_cancel(struct invocation *invocation)
{
	return change(invocation);
}

int
verb_retry(struct invocation *invocation)
{
	return change(invocation);
}

int
verb_hold(struct invocation *invocation)
{
	return change(invocation);
}

int
verb_release(struct invocation *invocation)
{
	return change(invocation);
}

/* ---- wait ---- */

static int
print_ended(const struct invocation *invocation, const json_t *ended)
{
	int status = STATUS_OK;
	size_t index;
	json_t *job;

	json_array_foreach(ended, index, job) {
		const char *word = json_string_value(json_object_get(job, "status"));
		const char *text = json_string_value(json_object_get(job, "reason"));
		struct reason reason = { 0 };
		char words[128] = "";

		if (strcmp(word, "done") != 0)
			status = STATUS_NO;
		if (invocation->wants_json)
			continue;
		if (reason_parse(text, &reason) == 0)
			reason_words(words, sizeof(words), reason, 0);
		if (cli_is_interactive() || strcmp(word, "done") != 0)
			fprintf(stderr, "job %" JSON_INTEGER_FORMAT ": %s%s%s\n",
			    json_integer_value(json_object_get(job, "id")), word,
			    words[0] != '\0' ? ", " : "", words);
	}
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
	struct query *query = query_open(invocation->state, &error);

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

static int
wait_without_supervisor(struct invocation *invocation, const struct selection *selection)
{
	json_t *ended = all_ended(invocation, selection);
	size_t count = json_array_size(ended);
	int status;

	if (count == selection->count ||
	    (count > 0 && option_is_given(invocation, "any")))
		status = print_ended(invocation, ended);
	else
		status = cli_not_running(invocation);
	json_decref(ended);
	return status;
}

static void
show_waiting(size_t left, size_t count)
{
	if (cli_is_interactive() && count > 1)
		fprintf(stderr, "\r%zu of %zu have ended ", count - left, count);
}

/* How many of them have not ended, for the progress line. */
static size_t
count_left(const struct invocation *invocation, const struct selection *selection)
{
	json_t *ended = all_ended(invocation, selection);
	size_t left = selection->count - json_array_size(ended);

	json_decref(ended);
	return left;
}

static int
wait_for_answer(struct invocation *invocation, struct client_connection *connection,
    const struct selection *selection, int64_t timeout_ms)
{
	bool shows = cli_is_interactive() && selection->count > 1 && selection->count < 1000;
	struct mono begin = clock_mono();
	struct rpc_message message;
	struct error error;
	int got, status;

	do {
		int64_t left_ms = timeout_ms - (clock_mono().ms - begin.ms);

		if (shows)
			show_waiting(count_left(invocation, selection), selection->count);
		connection->has_changed = false;
		got = client_receive(connection,
		    timeout_ms == -1 ? -1
			: left_ms > 0 ? left_ms
				      : 0,
		    shows, &message, &error);
	} while (got == 0 && connection->has_changed);
	if (shows)
		fputc('\n', stderr);
	if (got == -1)
		return cli_fail(&error);
	if (got == 0)
		return cli_complain(STATUS_TIMED_OUT, "the time to wait has passed");
	if (message.kind == RPC_ERROR)
		status = cli_complain(
		    message.code > 0 ? message.code : STATUS_USAGE, "%s", message.message);
	else
		status = print_ended(invocation, json_object_get(message.result, "ended"));
	rpc_message_done(&message);
	return status;
}

int
verb_wait(struct invocation *invocation)
{
	int64_t timeout_ms = option_duration(invocation, "timeout", -1);
	struct client_connection connection;
	struct selection selection;
	struct error error;
	json_t *follows;
	int status;

	if (option_is_given(invocation, "any") && option_is_given(invocation, "all"))
		return cli_complain(STATUS_USAGE, "any, all: only one of them");
	if (select_jobs(invocation, &selection, &error) == -1)
		return cli_fail(&error);
	if (client_open(&connection, invocation->state, &error) == -1) {
		status = error.code == STATUS_NOT_RUNNING
		    ? wait_without_supervisor(invocation, &selection)
		    : cli_fail(&error);
		selection_done(&selection);
		return status;
	}
	if (cli_is_interactive()) {
		follows = client_call(&connection, "follow", NULL, NULL, &error);
		json_decref(follows);
	}
	if (client_send(&connection, "wait",
		json_pack("{s:o, s:b}", "ids", ids_json(selection.ids, selection.count),
		    "any", option_is_given(invocation, "any")),
		&error) == -1)
		status = cli_fail(&error);
	else
		status = wait_for_answer(invocation, &connection, &selection, timeout_ms);
	client_close(&connection);
	selection_done(&selection);
	return status;
}
