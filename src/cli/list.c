/* list: the jobs there are, one a line, the live ones first. */

#include "base/text.h"
#include "cli/cells.h"
#include "cli/cli.h"
#include "cli/database.h"
#include "cli/format.h"
#include "cli/select.h"
#include "cli/tries.h"
#include "cli/why.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
print_age(struct buf *out, const struct rows *row, const void *context)
{
	const struct why_now *now = context;
	int64_t since = rows_number(row, "ended_at", rows_number(row, "created_at", 0));
	char text[32];

	buf_add_text(out, text_format_duration(text, sizeof(text),
			      now->wall.ms > since ? now->wall.ms - since : 0));
}

/* Of the run that goes on or ended the job; one that waits for its next has none. */
static void
print_running_time(struct buf *out, const struct rows *row, const void *context)
{
	struct why_job job;
	int64_t ms;
	char text[32];

	why_read(&job, row);
	ms = why_running_ms(&job, context);
	if (ms != -1 && job.status != JOB_NEW && job.status != JOB_ERRORED)
		buf_add_text(out, text_format_duration(text, sizeof(text), ms));
}

static void
print_why(struct buf *out, const struct rows *row, const void *context)
{
	struct why_job job;
	char text[WHY_SIZE];

	why_read(&job, row);
	buf_add_text(out, why_words(text, sizeof(text), &job, context, WHY_IN_LIST));
}

static const struct format_column columns[] = {
	{ .name = "id" },
	{ .name = "name", .flags = FORMAT_FLEXIBLE },
	{ .name = "status" },
	{ .name = "try", .flags = FORMAT_IN_JSON, .cell = tries_cell,
	    .stored = "max_retries" },
	{ .name = "age", .print = print_age },
	{ .name = "time", .print = print_running_time },
	{ .name = "command", .flags = FORMAT_FLEXIBLE, .cell = cell_command,
	    .stored = "command" },
	{ .name = "why", .flags = FORMAT_IMPORTANT | FORMAT_MAY_BE_EMPTY | FORMAT_IN_JSON,
	    .print = print_why },
	{ .name = NULL },
};

static int
print_rows(struct invocation *invocation, struct rows *rows, struct error *error)
{
	struct why_now now;
	struct format *format;
	int more;

	why_now(&now, invocation->state);
	format = format_open(invocation, columns, rows, &now, error);
	if (format == NULL)
		return -1;
	while ((more = rows_next(rows, error)) == 1)
		format_row(format, rows);
	format_close(format);
	return more;
}

static int
print_count(struct query *query, const struct job_filter *filter, struct error *error)
{
	int64_t count = query_count_jobs(query, filter, error);

	if (count == -1)
		return -1;
	printf("%" PRId64 "\n", count);
	return 0;
}

/* Where there is no database yet there are no jobs. NULL with *error. */
static struct query *
open_query(const struct invocation *invocation, struct error *error)
{
	struct query *query = database_open(invocation->state, error);

	return query == NULL && error->code == STATUS_NOT_FOUND ? query_open_empty(error) : query;
}

static int
count_jobs(struct invocation *invocation, const struct job_filter *filter)
{
	struct error error;
	struct query *query = open_query(invocation, &error);
	int result = query != NULL ? print_count(query, filter, &error) : -1;

	query_close(query);
	return result == 0 ? STATUS_OK : cli_fail(&error);
}

static int
print_jobs(struct invocation *invocation, const struct job_filter *filter)
{
	struct error error;
	struct query *query = open_query(invocation, &error);
	bool is_of_one = filter->wants_entries; /* children */
	struct rows *rows = NULL;
	int result = -1;

	if (query != NULL &&
	    (!is_of_one || query_must_be_supervisor(query, filter->supervisor, &error) == 0))
		rows = query_jobs(query, filter, &error);
	if (rows != NULL)
		result = print_rows(invocation, rows, &error);
	rows_close(rows);
	query_close(query);
	return result == 0 ? STATUS_OK : cli_fail(&error);
}

int
verb_children(struct invocation *invocation)
{
	const struct job_filter filter = {
		.wants_live = true,
		.wants_entries = true,
		.supervisor = invocation->arguments[0],
	};

	return print_jobs(invocation, &filter);
}

int
verb_list(struct invocation *invocation)
{
	struct job_filter filter = {
		.wants_all = option_is_given(invocation, "all"),
		.wants_live = option_is_given(invocation, "live"),
		.limit = option_number(invocation, "limit", 1, INT64_MAX, 0),
	};
	struct error error;
	bool is_given;
	char *meta = NULL;
	int status;

	filter.group = option_value(invocation, "group");
	filter.key = option_value(invocation, "key");
	filter.supervisor = option_value(invocation, "supervisor");
	filter.kind = option_value(invocation, "kind");
	if (filter.kind != NULL && strcmp(filter.kind, "server") != 0 &&
	    strcmp(filter.kind, "command") != 0 && strcmp(filter.kind, "message") != 0)
		return cli_complain(STATUS_USAGE,
		    "kind: \"%s\" is none of server, message and command",
		    filter.kind);
	if (select_filter(invocation, &filter, &is_given, &error) == -1 ||
	    select_meta(invocation, &meta, &error) == -1)
		return cli_fail(&error);
	filter.meta = meta;
	status = option_is_given(invocation, "count") ? count_jobs(invocation, &filter)
						      : print_jobs(invocation, &filter);
	free(meta);
	return status;
}
