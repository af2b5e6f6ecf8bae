/*
 * show: one job whole; and why it waits or how it ended. The values of its environment
 * are nobody's business: only the names are shown.
 */

#include "base/text.h"
#include "cli/cells.h"
#include "cli/escape.h"
#include "cli/format.h"
#include "cli/row_json.h"
#include "cli/subject.h"
#include "cli/tries.h"
#include "model/spec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MASK "***"

static bool
is_server(const struct rows *row)
{
	return rows_text(row, "restart") != NULL;
}

static void
print_why(struct buf *out, const struct rows *row, const void *context)
{
	const struct subject *subject = context;
	struct why_job job;
	char text[WHY_SIZE];

	why_read(&job, row);
	buf_add_text(out, why_words(text, sizeof(text), &job, &subject->now, WHY_ALONE));
}

static bool
is_message(const struct rows *row)
{
	const char *kind = rows_text(row, "kind");

	return kind != NULL && strcmp(kind, "message") == 0;
}

static void
print_stdin(struct buf *out, const struct rows *row, const void *context)
{
	const char *path = rows_text(row, "stdin");

	(void)context;
	if (!is_server(row) && !is_message(row))
		buf_add_text(out, path != NULL ? path : "/dev/null");
}

/* Of a server: it is never retried, but restarted. */
static void
print_tries(struct buf *out, const struct rows *row, const void *context)
{
	(void)context;
	if (!is_server(row))
		tries_cell(out, row, "max_retries");
}

static void
print_kind(struct buf *out, const struct rows *row, const void *context)
{
	int64_t size = rows_number(row, "pool_size", 0), pool = rows_number(row, "pool", 0);

	(void)context;
	if (size > 0)
		buf_addf(out, "pool of %" PRId64 " servers, this and its others", size);
	else if (pool > 0)
		buf_addf(out, "server, of the pool of job %" PRId64, pool);
	else if (is_message(row))
		buf_add_text(out, "message to a pool");
	else if (is_server(row))
		buf_addf(out, "%sserver, %s",
		    rows_number(row, "durable", 0) != 0 ? "durable " : "",
		    rows_text(row, "restart"));
}

static void
print_key(struct buf *out, const struct rows *row, const void *context)
{
	const char *key = rows_text(row, "key");

	(void)context;
	if (key != NULL)
		buf_addf(out, "%s, %" PRId64 " at once", key, rows_number(row, "max_running", 0));
}

/* "tenant=acme region=eu" */
static void
print_meta(struct buf *out, const struct rows *row, const void *context)
{
	const char *text = rows_text(row, "meta"), *name, *gap = "";
	json_t *object = text != NULL ? json_loads(text, 0, NULL) : NULL, *value;

	(void)context;
	json_object_foreach(object, name, value) {
		buf_addf(out, "%s%s=%s", gap, name, json_string_value(value));
		gap = " ";
	}
	json_decref(object);
}

static void
print_groups(struct buf *out, const struct rows *row, const void *context)
{
	const char *text = rows_text(row, "groups");
	json_t *array = text != NULL ? json_loads(text, 0, NULL) : NULL, *name;
	size_t i;

	(void)context;
	json_array_foreach(array, i, name)
		buf_addf(out, "%s%s", i > 0 ? " " : "", json_string_value(name));
	json_decref(array);
}

static void
print_mailbox(struct buf *out, const struct rows *row, const void *context)
{
	int64_t waiting = rows_number(row, "mailbox", 0);

	(void)context;
	if (is_server(row))
		buf_addf(out, "%" PRId64 " message%s", waiting, waiting == 1 ? "" : "s");
}

/* The stored one is its process's: a message has none. */
static void
print_cwd(struct buf *out, const struct rows *row, const void *context)
{
	const char *cwd = rows_text(row, "cwd");

	(void)context;
	if (!is_message(row) && cwd != NULL)
		buf_add_text(out, cwd);
}

static void
print_umask(struct buf *out, const struct rows *row, const void *context)
{
	(void)context;
	if (!is_message(row))
		buf_addf(out, "%03o", (unsigned)rows_number(row, "umask", 022));
}

static void
print_backoff(struct buf *out, const struct rows *row, const void *context)
{
	const char *backoff = rows_text(row, "backoff");
	int64_t jitter = rows_number(row, "jitter", 0);

	(void)context;
	if (is_server(row) && rows_number(row, "pool_size", 0) == 0)
		return;
	buf_add_text(out, backoff != NULL ? backoff : "constant:5s");
	if (jitter > 0)
		buf_addf(out, " ±%" PRId64 " %%", jitter);
}

static void
print_grace(struct buf *out, const struct rows *row, const void *context)
{
	char text[32];

	(void)context;
	if (!is_message(row))
		buf_add_text(out, text_format_duration(text, sizeof(text),
				      rows_number(row, "grace_ms", SPEC_DEFAULT_GRACE_MS)));
}

static void
print_max_output(struct buf *out, const struct rows *row, const void *context)
{
	char text[32];

	(void)context;
	if (!is_message(row) && rows_text(row, "log_rotate") == NULL)
		buf_add_text(out, text_format_size(text, sizeof(text),
				      rows_number(row, "max_output", SPEC_DEFAULT_MAX_OUTPUT)));
}

static void
print_log_rotate(struct buf *out, const struct rows *row, const void *context)
{
	const char *stored = rows_text(row, "log_rotate");
	struct rotation_rule rule;
	char text[32];

	(void)context;
	if (stored != NULL && rotation_parse(stored, &rule) == 0)
		buf_addf(out, "each %s, the last %" PRId64 " stay",
		    text_format_size(text, sizeof(text), rule.bytes), rule.keep);
}

static void
print_leave_children(struct buf *out, const struct rows *row, const void *context)
{
	(void)context;
	if (rows_number(row, "leave_children", 0) != 0)
		buf_add_text(out, "yes");
}

/* "41, 43 (ended)": done is what is usually waited for. */
static void
print_after(struct buf *out, const struct rows *row, const void *context)
{
	const char *text = rows_text(row, "after");
	json_t *list = text != NULL ? json_loads(text, 0, NULL) : NULL, *one;
	size_t index;

	(void)context;
	json_array_foreach(list, index, one) {
		const char *until = json_string_value(json_object_get(one, "until"));

		buf_addf(out, "%s%" JSON_INTEGER_FORMAT "%s", index > 0 ? ", " : "",
		    json_integer_value(json_object_get(one, "id")),
		    until != NULL && strcmp(until, "ended") == 0 ? " (ended)" : "");
	}
	json_decref(list);
}

static void
print_environment(struct buf *out, const struct rows *row, const void *context)
{
	const struct subject *subject = context;
	struct rows *variables = query_environment(subject->query, subject->job, NULL);
	const char *gap = "";

	(void)row;
	while (variables != NULL && rows_next(variables, NULL) == 1) {
		const char *name = rows_text(variables, "name");

		buf_addf(out, "%s%s=" MASK, gap, name != NULL ? name : "");
		gap = " ";
	}
	rows_close(variables);
}

static void
print_running_time(struct buf *out, const struct rows *row, const void *context)
{
	const struct subject *subject = context;
	struct why_job job;
	char text[32];
	int64_t ms;

	why_read(&job, row);
	ms = why_running_ms(&job, &subject->now);
	if (ms != -1)
		buf_add_text(out, text_format_duration(text, sizeof(text), ms));
}

static void
print_progress(struct buf *out, const struct rows *row, const void *context)
{
	double progress = rows_real(row, "progress", -1);
	const char *text = rows_text(row, "progress_text");

	(void)context;
	if (progress >= 0)
		buf_addf(out, "%.0f%%%s", progress * 100, text != NULL ? " " : "");
	if (text != NULL)
		buf_add_text(out, text);
}

static void
print_output(struct buf *out, const struct rows *row, const void *context)
{
	int64_t left_out = rows_number(row, "output_left_out", 0);
	char text[32];

	(void)context;
	cell_size(out, row, "output_bytes");
	if (left_out > 0)
		buf_addf(out, ", %s of it left out",
		    text_format_size(text, sizeof(text), left_out));
}

static const struct format_column show_columns[] = {
	{ .name = "id" },
	{ .name = "name" },
	{ .name = "status" },
	{ .name = "why", .print = print_why },
	{ .name = "command", .cell = cell_command, .stored = "command" },
	{ .name = "kind", .print = print_kind },
	{ .name = "type" },
	{ .name = "key", .print = print_key },
	{ .name = "meta", .print = print_meta },
	{ .name = "groups", .print = print_groups },
	{ .name = "supervisor" },
	{ .name = "priority" },
	{ .name = "after", .print = print_after },
	{ .name = "cwd", .print = print_cwd },
	{ .name = "stdin", .print = print_stdin },
	{ .name = "umask", .print = print_umask },
	{ .name = "environment", .print = print_environment },
	{ .name = "tries", .print = print_tries },
	{ .name = "restarts" },
	{ .name = "max messages", .cell = cell_stored, .stored = "max_messages" },
	{ .name = "mailbox", .print = print_mailbox },
	{ .name = "last message", .cell = cell_time, .stored = "last_message_at" },
	{ .name = "backoff", .print = print_backoff },
	{ .name = "timeout", .cell = cell_duration, .stored = "timeout_ms" },
	{ .name = "grace", .print = print_grace },
	{ .name = "max output", .print = print_max_output },
	{ .name = "log rotate", .print = print_log_rotate },
	{ .name = "leave children", .print = print_leave_children },
	{ .name = "created", .cell = cell_time, .stored = "created_at" },
	{ .name = "attempt" },
	{ .name = "member" },
	{ .name = "pid" },
	{ .name = "started", .cell = cell_time, .stored = "started_at" },
	{ .name = "running time", .print = print_running_time },
	{ .name = "last run", .cell = cell_reason, .stored = "attempt_reason" },
	{ .name = "ended", .cell = cell_time, .stored = "ended_at" },
	{ .name = "children killed", .cell = cell_stored, .stored = "children_killed" },
	{ .name = "progress", .print = print_progress },
	{ .name = "result" },
	{ .name = "output", .print = print_output },
	{ .name = NULL },
};

static void
print_last_lines(const struct rows *row)
{
	const char *text = rows_text(row, "last_lines");
	struct buf out = { 0 };

	if (text == NULL || text[0] == '\0')
		return;
	escape_add(&out, text, strlen(text), ESCAPE_KEEP_LINES, true);
	printf("last lines:\n%s", buf_text(&out));
	if (text[strlen(text) - 1] != '\n')
		putchar('\n');
	buf_done(&out);
}

static json_t *
environment_json(const struct subject *subject)
{
	struct rows *variables = query_environment(subject->query, subject->job, NULL);
	json_t *object = json_object();

	while (variables != NULL && rows_next(variables, NULL) == 1) {
		const char *name = rows_text(variables, "name");

		if (name != NULL)
			json_object_set_new(object, name, json_string(MASK));
	}
	rows_close(variables);
	return object;
}

/* Its "why" in words. */
static json_t *
why_json(const struct subject *subject)
{
	struct buf words = { 0 };
	json_t *json;

	print_why(&words, subject->row, subject);
	json = row_json_string(buf_text(&words));
	buf_done(&words);
	return json;
}

static void
print_json(const struct subject *subject)
{
	json_t *object = row_json(subject->row);
	struct buf tries = { 0 };

	tries_cell(&tries, subject->row, "max_retries");
	json_object_set_new(object, "try", json_string(buf_text(&tries)));
	buf_done(&tries);
	json_object_set_new(object, "why", why_json(subject));
	json_object_set_new(object, "environment", environment_json(subject));
	row_json_print(object);
}

int
verb_show(struct invocation *invocation)
{
	struct subject subject;
	struct error error;

	if (option_is_given(invocation, "state"))
		return server_print_state(invocation);
	if (subject_open(&subject, invocation, &error) == -1)
		return cli_fail(&error);
	if (invocation->wants_json)
		print_json(&subject);
	else {
		format_lines(show_columns, subject.row, &subject);
		print_last_lines(subject.row);
	}
	subject_close(&subject);
	return STATUS_OK;
}

int
verb_why(struct invocation *invocation)
{
	struct subject subject;
	struct error error;
	struct buf words = { 0 }, out = { 0 };

	if (subject_open(&subject, invocation, &error) == -1)
		return cli_fail(&error);
	if (invocation->wants_json)
		row_json_print(json_pack("{s:I, s:s, s:o}", "id", (json_int_t)subject.job,
		    "status", rows_text(subject.row, "status"), "why",
		    why_json(&subject)));
	else {
		print_why(&words, subject.row, &subject);
		escape_add_text(&out, buf_text(&words));
		puts(buf_text(&out));
	}
	buf_done(&words);
	buf_done(&out);
	subject_close(&subject);
	return STATUS_OK;
}
