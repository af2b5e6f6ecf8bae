/* change: the verbs that act on jobs: cancel, retry, hold, release. */

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

struct changing {
	struct invocation *invocation;
	struct client_connection connection;
	struct selection selection;
	json_t *results;
	size_t ended_since; /* they were selected */
};

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
	bool is_answered;

	fprintf(stderr, "%s: %zu job%s\n", invocation->command->name, selection->count,
	    selection->count == 1 ? "" : "s");
	if (selection->count == 0 || option_is_given(invocation, "yes"))
		return STATUS_OK;
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return cli_complain(STATUS_USAGE, "nothing was done: confirm with --yes");
	fprintf(stderr, "%s %s? [y/N] ", invocation->command->name,
	    selection->count == 1 ? "it" : "all of them");
	is_answered = fgets(answer, sizeof(answer), stdin) != NULL;
	if (answer[0] == 'y' || answer[0] == 'Y')
		return STATUS_OK;
	if (!is_answered)
		fputc('\n', stderr);
	return cli_complain(STATUS_NO, "nothing was done");
}

/* What has become of it, in a word; whether a job is held is no part of its status. */
static const char *
outcome(const struct invocation *invocation, const json_t *result)
{
	if (json_is_true(json_object_get(result, "stopping")))
		return "being ended: SIGTERM now, SIGKILL after its grace";
	if (strcmp(invocation->command->name, "hold") == 0)
		return "held";
	if (strcmp(invocation->command->name, "release") == 0)
		return "released";
	return json_string_value(json_object_get(result, "status"));
}

/*
 * One of those that a filter has found has ended since, by itself or with another one that it
 * waited for: to be cancelled it needs no more.
 */
static bool
needs_no_cancel(const struct changing *changing, int code)
{
	return changing->selection.is_by_filter && code == STATUS_STATE &&
	    strcmp(changing->invocation->command->name, "cancel") == 0;
}

/* One job's result: a sentence, and the status if it is the worst so far. */
static int
print_result(struct changing *changing, const json_t *result, int status)
{
	const struct invocation *invocation = changing->invocation;
	const char *error = json_string_value(json_object_get(result, "error"));
	int code = (int)json_integer_value(json_object_get(result, "code"));

	if (error != NULL && needs_no_cancel(changing, code)) {
		changing->ended_since++;
		return status;
	}
	if (error != NULL) {
		cli_complain(code, "%s", error);
		return status == STATUS_OK ? code : status;
	}
	if (!invocation->wants_json && cli_is_interactive())
		fprintf(stderr, "job %" JSON_INTEGER_FORMAT ": %s\n",
		    json_integer_value(json_object_get(result, "id")),
		    outcome(invocation, result));
	return status;
}

static int
change_some(struct changing *changing, const int64_t *ids, size_t count)
{
	struct error error;
	json_t *answer = client_call(&changing->connection, changing->invocation->command->name,
	    json_pack("{s:o}", "ids", ids_json(ids, count)), NULL, &error);
	json_t *results, *result;
	int status = STATUS_OK;
	size_t index;

	if (answer == NULL)
		return cli_fail(&error);
	results = json_object_get(answer, "results");
	json_array_foreach(results, index, result)
		status = print_result(changing, result, status);
	json_array_extend(changing->results, results);
	json_decref(answer);
	return status;
}

/* A portion after the other; the first status that is not STATUS_OK. */
static int
change_all(struct changing *changing)
{
	const struct selection *selection = &changing->selection;
	int status = STATUS_OK;

	for (size_t done = 0; done < selection->count; done += IDS_A_REQUEST) {
		size_t count = selection->count - done;
		int one = change_some(changing, selection->ids + done,
		    count < IDS_A_REQUEST ? count : IDS_A_REQUEST);

		status = status == STATUS_OK ? one : status;
	}
	if (changing->ended_since > 0)
		fprintf(stderr, "%s: %zu had ended meanwhile\n",
		    changing->invocation->command->name, changing->ended_since);
	if (changing->invocation->wants_json) {
		json_dumpf(changing->results, stdout, JSON_INDENT(1));
		putchar('\n');
	}
	return status;
}

static int
change(struct invocation *invocation)
{
	struct changing changing = { .invocation = invocation };
	struct error error;
	/* A chain is retried from its beginning: else each is cancelled again by the one before. */
	bool in_order = strcmp(invocation->command->name, "retry") == 0;
	int status = client_connect(invocation, &changing.connection);

	if (status != STATUS_OK)
		return status;
	if (select_jobs(invocation, in_order, &changing.selection, &error) == -1) {
		client_close(&changing.connection);
		return cli_fail(&error);
	}
	changing.results = json_array();
	if (changing.selection.is_by_filter)
		status = ask(invocation, &changing.selection);
	if (status == STATUS_OK)
		status = change_all(&changing);
	json_decref(changing.results);
	client_close(&changing.connection);
	selection_done(&changing.selection);
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
