/* attempts: the runs of a job, one a line. */

#include "base/text.h"
#include "cli/cells.h"
#include "cli/format.h"
#include "cli/subject.h"

static void
print_why(struct buf *out, const struct rows *row, const void *context)
{
	char text[256];

	(void)context;
	buf_add_text(out, why_attempt(text, sizeof(text), row));
}

static void
print_running_time(struct buf *out, const struct rows *row, const void *context)
{
	const struct why_now *now = context;
	int64_t started_at = rows_number(row, "started_at", 0);
	int64_t ms = now->wall.ms > started_at ? now->wall.ms - started_at : 0;
	char text[32];

	if (rows_number(row, "ended_at", 0) != 0 || started_at == 0)
		cell_duration(out, row, "run_ms");
	else
		buf_add_text(out, text_format_duration(text, sizeof(text), ms));
}

static void
print_memory(struct buf *out, const struct rows *row, const void *context)
{
	int64_t kib = rows_number(row, "max_rss_kib", -1);
	char text[32];

	(void)context;
	if (kib != -1)
		buf_add_text(out, text_format_size(text, sizeof(text), kib * 1024));
}

static const struct format_column columns[] = {
	{ .name = "attempt" },
	{ .name = "pid" },
	{ .name = "started", .cell = cell_time, .stored = "started_at" },
	{ .name = "time", .print = print_running_time },
	{ .name = "why", .flags = FORMAT_IMPORTANT | FORMAT_IN_JSON, .print = print_why },
	{ .name = "user", .cell = cell_duration, .stored = "user_ms" },
	{ .name = "system", .cell = cell_duration, .stored = "system_ms" },
	{ .name = "memory", .print = print_memory },
	{ .name = "output", .cell = cell_size, .stored = "output_bytes" },
	{ .name = "left_out", .cell = cell_size, .stored = "output_left_out" },
	{ .name = "killed", .cell = cell_stored, .stored = "children_killed" },
	{ .name = NULL },
};

int
verb_attempts(struct invocation *invocation)
{
	struct subject subject;
	struct format *format = NULL;
	struct rows *rows;
	struct error error;
	int more = -1;

	if (subject_open(&subject, invocation, &error) == -1)
		return cli_fail(&error);
	rows = query_attempts(subject.query, subject.job, &error);
	if (rows != NULL)
		format = format_open(invocation, columns, rows, &subject.now, &error);
	while (format != NULL && (more = rows_next(rows, &error)) == 1)
		format_row(format, rows);
	format_close(format);
	rows_close(rows);
	subject_close(&subject);
	return more == 0 ? STATUS_OK : cli_fail(&error);
}
