/*
 * task: async, await and yield, after Elixir's Task. A task is a job that runs once and whose
 * end gives a value; it needs nobody who waits for it, and may be asked again.
 */

#include "cli/task.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/row_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AWAIT_MS 5000	 /* as Task.await */
#define SHUTDOWN_MS 5000 /* as Task.shutdown */

int
verb_async(struct invocation *invocation)
{
	struct spec *spec = &invocation->spec;

	if (!spec->has_max_retries) {
		spec->retry.max_retries = 0;
		spec->has_max_retries = true;
	}
	return verb_submit(invocation);
}

/* ---- what is printed ---- */

static void
print_value(const struct invocation *invocation, const json_t *value)
{
	if (json_is_string(value) && option_is_given(invocation, "raw"))
		printf("%s\n", json_string_value(value));
	else
		row_json_print(json_incref((json_t *)value));
}

static void
tell_failure(const struct task *task)
{
	const char *status = job_status_name(task->status);
	const char *words =
	    task->was_killed ? "killed: it had not ended in time" : task->words;

	if (strcmp(status, words) == 0) /* cancelled */
		cli_complain(0, "job %" PRId64 ": %s", task->id, words);
	else
		cli_complain(0, "job %" PRId64 " %s: %s", task->id, status, words);
}

/* ---- await ---- */

/* What was waited for in vain does not run on, unless that is wanted. */
static int
give_up(struct tasks *tasks, int status)
{
	struct error error;

	if (option_is_given(tasks->invocation, "keep") ||
	    tasks_cancel(tasks, -1, &error) == 0)
		return status;
	cli_fail(&error);
	return status;
}

static int
await_failed(struct tasks *tasks)
{
	for (size_t i = 0; i < tasks->count; i++) {
		if (tasks->list[i].has_failed) {
			tell_failure(&tasks->list[i]);
			break;
		}
	}
	return give_up(tasks, STATUS_NO);
}

static int
await(struct tasks *tasks)
{
	const struct invocation *invocation = tasks->invocation;
	bool keeps = option_is_given(invocation, "keep");
	struct error error;
	int ended;

	tasks->stops_at_failure = true;
	ended = tasks_wait(tasks, option_duration(invocation, "timeout", AWAIT_MS), &error);
	if (ended == -1)
		return error.code == STATUS_NOT_RUNNING ? cli_not_running(invocation)
							: cli_fail(&error);
	if (ended == 0)
		return give_up(tasks, cli_complain(STATUS_TIMED_OUT, keeps
			? "the time to wait has passed"
			: "the time to wait has passed: what has not ended is ended"));
	if (tasks_read(tasks, &error) == -1)
		return cli_fail(&error);
	if (tasks->has_failed)
		return await_failed(tasks);
	for (size_t i = 0; i < tasks->count; i++)
		print_value(invocation, tasks->list[i].value);
	return STATUS_OK;
}

int
verb_await(struct invocation *invocation)
{
	struct tasks tasks;
	struct error error;
	int status = tasks_find(&tasks, invocation, &error) == 0 ? await(&tasks)
								  : cli_fail(&error);

	tasks_done(&tasks);
	return status;
}

/* ---- yield ---- */

static json_t *
task_json(const struct task *task)
{
	json_t *object = json_pack("{s:I, s:s}", "id", (json_int_t)task->id, "status",
	    job_status_name(task->status));

	if (task->value != NULL && task->status != JOB_FAILED)
		json_object_set(object, "ok", task->value);
	else if (!job_status_is_live(task->status))
		json_object_set_new(object, "exit",
		    json_string(task->was_killed ? "killed" : task->reason));
	return object;
}

/* Its line, and its part of the exit status. A line that has no value keeps its place. */
static int
yield_one(const struct tasks *tasks, const struct task *task)
{
	const struct invocation *invocation = tasks->invocation;
	bool is_shutdown = option_is_given(invocation, "shutdown");
	bool has_value = task->value != NULL && task->status != JOB_FAILED;
	bool has_failed = !has_value && !job_status_is_live(task->status) &&
	    (!is_shutdown || task->status != JOB_CANCELLED || task->was_killed);

	/* A kill was asked for, so its success is none of the task's failures. */
	if (task->was_killed && is_shutdown &&
	    strcmp(option_value(invocation, "shutdown"), "brutal_kill") == 0)
		has_failed = false;
	if (invocation->wants_json)
		row_json_print(task_json(task));
	else if (has_value)
		print_value(invocation, task->value);
	else if (tasks->count > 1)
		printf("null\n");
	if (has_failed)
		tell_failure(task);
	return has_value ? STATUS_OK : has_failed ? STATUS_NO : STATUS_TIMED_OUT;
}

static int
yield_all(struct tasks *tasks)
{
	int status = STATUS_OK;

	for (size_t i = 0; i < tasks->count; i++) {
		int one = yield_one(tasks, &tasks->list[i]);

		if (one == STATUS_NO || status == STATUS_OK)
			status = one;
	}
	return status;
}

/* 0, or the status to end with: a time, or without any limit. */
static int
read_grace(const struct invocation *invocation, int64_t *ret_ms)
{
	const char *how = option_value(invocation, "shutdown");

	if (strcmp(how, "brutal_kill") == 0)
		*ret_ms = 0;
	else if (how[0] == '\0')
		*ret_ms = SHUTDOWN_MS;
	else if (text_duration(how, ret_ms) == -1)
		return cli_complain(STATUS_USAGE,
		    "shutdown: \"%s\" is neither brutal_kill nor a duration like 5s or 250ms", how);
	return 0;
}

/* End them, and wait until they are gone. */
static int
shut_down(struct tasks *tasks)
{
	struct error error;
	int64_t grace_ms;
	int status = read_grace(tasks->invocation, &grace_ms);

	if (status != 0)
		return status;
	if (tasks_read(tasks, &error) == -1)
		return cli_fail(&error);
	if (tasks->left == 0 || (tasks_cancel(tasks, grace_ms, &error) == 0 &&
				    tasks_wait(tasks, -1, &error) != -1))
		return 0;
	return error.code == STATUS_NOT_RUNNING ? cli_not_running(tasks->invocation)
						: cli_fail(&error);
}

static int
yield(struct tasks *tasks)
{
	int64_t timeout_ms = option_duration(tasks->invocation, "timeout", 0);
	struct error error;
	int status = 0;

	if (option_is_given(tasks->invocation, "shutdown")) {
		if (timeout_ms > 0)
			return cli_complain(STATUS_USAGE, "timeout, shutdown: only one of them");
		status = shut_down(tasks);
	} else if (timeout_ms > 0 && tasks_wait(tasks, timeout_ms, &error) == -1 &&
	    error.code != STATUS_NOT_RUNNING) /* what there is can be read then, too */
		status = cli_fail(&error);
	if (status != 0)
		return status;
	return tasks_read(tasks, &error) == 0 ? yield_all(tasks) : cli_fail(&error);
}

int
verb_yield(struct invocation *invocation)
{
	struct tasks tasks;
	struct error error;
	int status = tasks_find(&tasks, invocation, &error) == 0 ? yield(&tasks)
								  : cli_fail(&error);

	tasks_done(&tasks);
	return status;
}
