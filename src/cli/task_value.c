/*
 * task_value: the value of a task: what it said itself (jobberd notify result), else the last
 * line of its output.
 */

#include "base/xalloc.h"
#include "cli/cli.h"
#include "cli/database.h"
#include "cli/row_json.h"
#include "cli/task.h"
#include "model/reason.h"
#include "store/query.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
compare(const void *a, const void *b)
{
	int64_t one = (*(struct task *const *)a)->id, other = (*(struct task *const *)b)->id;

	return one < other ? -1 : one > other;
}

int
tasks_find(struct tasks *tasks, const struct invocation *invocation, struct error *error)
{
	struct query *query = database_open(invocation->state, error);
	int result = query != NULL ? 0 : -1;

	*tasks = (struct tasks){ .invocation = invocation };
	tasks->count = (size_t)invocation->argument_count;
	tasks->left = tasks->count;
	tasks->list = xcalloc(tasks->count, sizeof(tasks->list[0]));
	tasks->by_id = xcalloc(tasks->count, sizeof(tasks->by_id[0]));
	for (size_t i = 0; i < tasks->count && result == 0; i++)
		result = query_find_job(
		    query, invocation->arguments[i], &tasks->list[i].id, error);
	query_close(query);
	for (size_t i = 0; i < tasks->count; i++)
		tasks->by_id[i] = &tasks->list[i];
	qsort(tasks->by_id, tasks->count, sizeof(tasks->by_id[0]), compare);
	return result;
}

/* The first in by_id whose id is not below this. */
static size_t
lower_bound(const struct tasks *tasks, int64_t id)
{
	size_t low = 0, high = tasks->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (tasks->by_id[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
note_end(struct tasks *tasks, struct task *task, bool has_failed)
{
	tasks->left -= !task->has_ended;
	task->has_ended = true;
	task->has_failed = has_failed;
	tasks->has_failed = tasks->has_failed || has_failed;
}

void
tasks_note_end(struct tasks *tasks, int64_t id, bool has_failed)
{
	for (size_t i = lower_bound(tasks, id); i < tasks->count && tasks->by_id[i]->id == id;
	     i++)
		note_end(tasks, tasks->by_id[i], has_failed);
}

static void
forget(struct task *task)
{
	json_decref(task->value);
	free(task->reason);
	task->value = NULL;
	task->reason = NULL;
}

void
tasks_done(struct tasks *tasks)
{
	for (size_t i = 0; i < tasks->count; i++)
		forget(&tasks->list[i]);
	free(tasks->list);
	free(tasks->by_id);
	*tasks = (struct tasks){ 0 };
}

/* The last line that has something in it. */
static json_t *
last_line(const char *lines)
{
	size_t end = strlen(lines), start;
	json_t *json;
	char *line;

	while (end > 0 && lines[end - 1] == '\n')
		end--;
	for (start = end; start > 0 && lines[start - 1] != '\n';)
		start--;
	line = xstrndup(lines + start, end - start);
	json = row_json_string(line);
	free(line);
	return json;
}

static json_t *
read_value(const struct rows *row, bool is_done)
{
	const char *result = rows_text(row, "result"), *lines = rows_text(row, "last_lines");

	if (result != NULL)
		return json_loads(result, JSON_DECODE_ANY, NULL);
	if (!is_done)
		return NULL;
	return lines != NULL && lines[strspn(lines, "\n")] != '\0' ? last_line(lines)
								   : json_null();
}

static void
read_row(struct task *task, const struct rows *row)
{
	const char *text = rows_text(row, "reason");
	struct reason reason = { 0 };

	job_status_parse(rows_text(row, "status"), &task->status);
	task->reason = xstrdup(text != NULL ? text : "");
	if (text != NULL && reason_parse(text, &reason) == -1)
		reason = reason_from_words(text);
	reason_words(task->words, sizeof(task->words), reason, rows_number(row, "timeout_ms", 0));
	task->was_killed = task->status == JOB_CANCELLED &&
	    rows_number(row, "signal", 0) == SIGKILL;
	if (!job_status_is_live(task->status))
		task->value = read_value(row, task->status == JOB_DONE);
}

static int
read_one(struct query *query, struct task *task, struct error *error)
{
	struct job_filter filter = { .id = task->id };
	struct rows *rows = query_jobs(query, &filter, error);
	int more = rows != NULL ? rows_next(rows, error) : -1;

	forget(task);
	if (more == 1)
		read_row(task, rows);
	rows_close(rows);
	if (more == 0)
		return error_set(
		    error, STATUS_NOT_FOUND, "there is no job %" PRId64 " any more", task->id);
	return more == 1 ? 0 : -1;
}

int
tasks_read(struct tasks *tasks, struct error *error)
{
	struct query *query = database_open(tasks->invocation->state, error);
	int result = query != NULL ? 0 : -1;

	for (size_t i = 0; i < tasks->count && result == 0; i++) {
		struct task *task = &tasks->list[i];

		result = read_one(query, task, error);
		if (result == 0 && !job_status_is_live(task->status))
			note_end(tasks, task, task->status != JOB_DONE);
	}
	query_close(query);
	return result;
}
