/* messages: what waits in a durable server's mailbox, and what was set aside of it. */

#include "base/text.h"
#include "cli/cells.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/format.h"
#include "cli/subject.h"
#include "model/spec.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- what there is ---- */

static void
print_age(struct buf *out, const struct rows *row, const void *context)
{
	const struct why_now *now = context;
	int64_t since = rows_number(row, "created_at", 0);
	char text[32];

	buf_add_text(out, text_format_duration(text, sizeof(text),
			      now->wall.ms > since ? now->wall.ms - since : 0));
}

static const struct format_column waiting_columns[] = {
	{ .name = "seq" },
	{ .name = "kind" },
	{ .name = "age", .print = print_age },
	{ .name = "deliveries" },
	{ .name = "message", .flags = FORMAT_FLEXIBLE },
	{ .name = NULL },
};

static const struct format_column dead_columns[] = {
	{ .name = "seq" },
	{ .name = "kind" },
	{ .name = "age", .print = print_age },
	{ .name = "deliveries" },
	{ .name = "reason", .flags = FORMAT_IMPORTANT, .cell = cell_reason,
	    .stored = "dead_reason" },
	{ .name = "message", .flags = FORMAT_FLEXIBLE },
	{ .name = NULL },
};

static int
list_messages(struct invocation *invocation)
{
	bool is_dead = option_is_given(invocation, "dead");
	struct subject subject;
	struct format *format = NULL;
	struct rows *rows = NULL;
	struct error error;
	int more = -1;

	if (subject_open(&subject, invocation, &error) == -1)
		return cli_fail(&error);
	if (query_must_be_durable(subject.query, subject.job, &error) == 0)
		rows = query_messages(subject.query, subject.job, is_dead, &error);
	if (rows != NULL)
		format = format_open(invocation, is_dead ? dead_columns : waiting_columns,
		    rows, &subject.now, &error);
	while (format != NULL && (more = rows_next(rows, &error)) == 1)
		format_row(format, rows);
	format_close(format);
	rows_close(rows);
	subject_close(&subject);
	return more == 0 ? STATUS_OK : cli_fail(&error);
}

/* ---- what is done with those that were set aside ---- */

static json_t *
read_seqs(const struct invocation *invocation, struct error *error)
{
	json_t *seqs = json_array();

	for (int i = 1; i < invocation->argument_count; i++) {
		const char *word = invocation->arguments[i];
		char quoted[256];
		int64_t seq;

		if (text_number(word, 1, SPEC_LARGEST_ID, &seq) == -1) {
			error_set(error, STATUS_USAGE, "%s is not the number of a message",
			    text_quote(quoted, sizeof(quoted), word));
			json_decref(seqs);
			return NULL;
		}
		json_array_append_new(seqs, json_integer(seq));
	}
	return seqs;
}

static void
tell_result(const json_t *result)
{
	const json_t *new_seq = json_object_get(result, "new_seq");
	json_int_t seq = json_integer_value(json_object_get(result, "seq"));

	if (new_seq != NULL)
		fprintf(stderr, "message %" JSON_INTEGER_FORMAT ": back in the mailbox as %"
		    JSON_INTEGER_FORMAT "\n", seq, json_integer_value(new_seq));
	else
		fprintf(stderr, "message %" JSON_INTEGER_FORMAT ": dropped\n", seq);
}

/* The status is that of the first that could not be done. */
static int
tell_results(const struct invocation *invocation, const json_t *results)
{
	int status = STATUS_OK;
	size_t index;
	json_t *result;

	json_array_foreach(results, index, result) {
		const char *error = json_string_value(json_object_get(result, "error"));
		int code = (int)json_integer_value(json_object_get(result, "code"));

		if (error != NULL) {
			cli_complain(code, "%s", error);
			status = status == STATUS_OK ? code : status;
		} else if (!invocation->wants_json && cli_is_interactive())
			tell_result(result);
	}
	if (invocation->wants_json) {
		json_dumpf(results, stdout, JSON_INDENT(1));
		putchar('\n');
	}
	return status;
}

static int
change_messages(struct invocation *invocation, const char *method)
{
	struct client_connection connection;
	struct error error;
	json_t *seqs = read_seqs(invocation, &error), *answer;
	int status;

	if (seqs == NULL)
		return cli_fail(&error);
	status = client_connect(invocation, &connection);
	if (status != STATUS_OK) {
		json_decref(seqs);
		return status;
	}
	answer = client_call(
	    &connection, method, json_pack("{s:o}", "seqs", seqs), NULL, &error);
	status = answer != NULL
	    ? tell_results(invocation, json_object_get(answer, "results"))
	    : cli_fail(&error);
	json_decref(answer);
	client_close(&connection);
	return status;
}

int
verb_messages(struct invocation *invocation)
{
	const char *word = invocation->arguments[0];

	if (invocation->argument_count == 1)
		return list_messages(invocation);
	if (invocation->given_count > 0)
		return cli_complain(STATUS_USAGE, "messages: --%s is for a list of messages",
		    invocation->given[0].option->name);
	if (strcmp(word, "retry") == 0)
		return change_messages(invocation, "messages_retry");
	if (strcmp(word, "drop") == 0)
		return change_messages(invocation, "messages_drop");
	return cli_complain(STATUS_USAGE,
	    "messages: either one NAME, or retry or drop and the numbers of messages");
}
