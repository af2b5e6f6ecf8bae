/*
 * logrange: which part of a job's output is meant by a time or by a number of lines. Lines
 * have no times: an attempt that ended before is left out, and within one that goes on
 * the marks tell that the supervisor process has made (model/marks.h), which are a second
 * apart while it writes. What was written since is never left out; some of what was
 * written within the second before may be shown.
 */

#include "cli/logrange.h"
#include "base/file.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "cli/outfile.h"
#include "model/marks.h"
#include "model/output_name.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS (INT64_C(24) * 60 * 60 * 1000)
#define LARGEST_TIMES (1 << 20)
#define CLOCK_GRAIN_MS 20 /* a file's times are a little behind the clock */

/* ---- since ---- */

/* text_time() has the next of each day's: the last one is the one before it. */
static struct wall
last_time_of_day(const char *text, struct wall now)
{
	struct wall before = { now.ms - 2 * DAY_MS - DAY_MS / 24 }, next, last = before;

	while (text_time(text, before, &next) == 0 && next.ms <= now.ms &&
	    next.ms > before.ms)
		last = before = next;
	return last;
}

int
log_range_parse_since(const char *text, struct wall now, struct wall *ret_since,
    struct error *error)
{
	bool is_time_of_day = strchr(text, ':') != NULL && strlen(text) <= strlen("HH:MM");
	int64_t ago_ms;
	char quoted[80];

	if (text_duration(text, &ago_ms) == 0)
		ret_since->ms = now.ms - ago_ms;
	else if (text_time(text, now, ret_since) == -1)
		return error_set(error, STATUS_USAGE,
		    "since: \"%s\" is neither a time like 2026-11-22T20:00:00Z, "
		    "\"2026-11-22 20:00\" or 20:00, nor a duration like 10min",
		    text_quote(quoted, sizeof(quoted), text));
	else if (is_time_of_day)
		*ret_since = last_time_of_day(text, now);
	return 0;
}

/* Where in an attempt that had not ended by then. */
static int64_t
find_since(const struct log_range *range, int64_t attempt, struct wall since)
{
	char name[OUTPUT_NAME_SIZE];
	char *path = xasprintf("%s/output/%s", range->state,
	    output_name(name, range->job, attempt, ""));
	char *times = xasprintf("%s/output/%s", range->state,
	    output_name(name, range->job, attempt, OUTPUT_TIMES));
	struct buf marks = { 0 };
	struct stat info;
	int64_t at = 0;

	if (stat(path, &info) == 0 &&
	    (int64_t)info.st_mtim.tv_sec * 1000 + info.st_mtim.tv_nsec / 1000000 +
		    CLOCK_GRAIN_MS < since.ms)
		at = info.st_size;
	else if (file_read(AT_FDCWD, times, LARGEST_TIMES, &marks) == 0)
		at = marks_find(buf_start(&marks), marks.length, since.ms);
	buf_done(&marks);
	free(times);
	free(path);
	return at;
}

int
log_range_since(struct log_range *range, struct query *query, struct wall since,
    struct error *error)
{
	struct rows *rows = query_attempts(query, range->job, error);
	int64_t first = range->last + 1;
	int more = -1;

	while (rows != NULL && (more = rows_next(rows, error)) == 1) {
		int64_t attempt = rows_number(rows, "attempt", 0);

		if (attempt >= range->first && attempt < first &&
		    rows_number(rows, "ended_at", INT64_MAX) >= since.ms)
			first = attempt;
	}
	rows_close(rows);
	if (more == -1)
		return -1;
	range->first = first;
	range->at = first <= range->last ? find_since(range, first, since) : 0;
	return 0;
}

/* ---- the last lines ---- */

struct tail {
	struct place {
		int64_t attempt, at;
	} *starts; /* of the last lines, in a circle */
	int64_t room, count;
	int64_t attempt; /* being read */
	bool is_at_start; /* the next byte begins a line */
};

static void
note_lines(void *arg, int64_t at, const char *bytes, size_t length)
{
	struct tail *tail = arg;
	const char *end = bytes + length, *line = bytes;

	while (line < end) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));

		if (tail->is_at_start)
			tail->starts[tail->count++ % tail->room] =
			    (struct place){ tail->attempt, at + (line - bytes) };
		tail->is_at_start = newline != NULL;
		line = newline != NULL ? newline + 1 : end;
	}
}

void
log_range_tail(struct log_range *range, int64_t lines)
{
	struct tail tail = { .room = lines > 0 ? lines : 1 };
	struct outfile file;

	tail.starts = xcalloc((size_t)tail.room, sizeof(tail.starts[0]));
	for (int64_t attempt = range->first; attempt <= range->last; attempt++) {
		tail.attempt = attempt;
		tail.is_at_start = true;
		outfile_open(&file, range->state, range->job, attempt);
		if (attempt == range->first)
			outfile_begin_at(&file, range->at);
		file.take = note_lines;
		file.arg = &tail;
		outfile_print(&file, true);
		if (lines == 0 && attempt == range->last) {
			range->first = attempt;
			range->at = file.at;
		}
		outfile_close(&file);
	}
	if (lines > 0 && tail.count > lines) {
		const struct place *start = &tail.starts[tail.count % tail.room];

		range->first = start->attempt;
		range->at = start->at;
	}
	free(tail.starts);
}

void
log_range_print(const struct log_range *range)
{
	struct outfile file;

	for (int64_t attempt = range->first; attempt <= range->last; attempt++) {
		outfile_open(&file, range->state, range->job, attempt);
		if (attempt == range->first)
			outfile_begin_at(&file, range->at);
		outfile_print(&file, true);
		outfile_close(&file);
	}
}
