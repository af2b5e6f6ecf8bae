/* gen_tasks: jobs, and those of them whose end comes back. */

#include "runtime/runtime.h"

#include <stdio.h>
#include <stdlib.h>

static int64_t
start(struct gen_server *server, const char *method, bool is_task, json_t *job,
    struct gen_error *ret_error)
{
	json_t *result = NULL, *item;
	int64_t id = -1;

	if (!json_is_object(job)) {
		json_decref(job);
		return gen_error_set(ret_error, "error", "a job is an object");
	}
	if (server->is_durable) {
		id = durable_ref(server);
		item = json_pack("{s:I, s:o}", "ref", (json_int_t)id, "job", job);
		if (is_task)
			json_object_set_new(item, "task", json_true());
		durable_add(server, OUTGOING_START_JOB, item);
		return id;
	}
	if (request_send(server, method, job, &result, ret_error) == -1)
		return -1;
	item = json_object_get(result, "id");
	if (json_is_integer(item))
		id = json_integer_value(item);
	else
		gen_error_set(ret_error, "error", "the supervisor gave no id");
	json_decref(result);
	return id;
}

int64_t
gen_start_job(struct gen_server *server, json_t *job, struct gen_error *ret_error)
{
	return start(server, "start_job", false, job, ret_error);
}

int64_t
gen_async(struct gen_server *server, json_t *job, struct gen_error *ret_error)
{
	return start(server, "async", true, job, ret_error);
}

/* ---- the end of a task ---- */

static bool
has_number(const json_t *message, const char *member, int64_t number)
{
	const json_t *value = json_object_get(message, member);

	return json_is_integer(value) && json_integer_value(value) == number;
}

static bool
is_result(const json_t *message, const void *arg)
{
	return has_number(message, "task", *(const int64_t *)arg);
}

bool
task_is_down(const json_t *message, const void *arg)
{
	const int64_t *task = arg;

	return has_number(message, "down", *task) && has_number(message, "ref", *task);
}

/* GEN_AWAIT_TIMEOUT: neither has come. What has come is taken out of the mailbox. */
static enum gen_await
take_end(struct gen_server *server, int64_t task, json_t **ret_result,
    struct gen_error *ret_error)
{
	struct message *result = mailbox_find_info(server, is_result, &task);
	struct message *down = mailbox_find_info(server, task_is_down, &task);
	enum gen_await end = GEN_AWAIT_TIMEOUT;
	char key[24], *text;

	if (result != NULL) {
		end = GEN_AWAIT_OK;
		if (ret_result != NULL)
			*ret_result = json_incref(json_object_get(result->value, "result"));
		mailbox_consume(server, result);
		snprintf(key, sizeof(key), "%lld", (long long)task);
		if (down == NULL)
			json_object_set_new(server->ended_tasks, key, json_true());
	} else if (down != NULL) {
		end = GEN_AWAIT_EXIT;
		text = reason_text(json_object_get(down->value, "reason"));
		gen_error_set(ret_error, "exit", "%s", text);
		free(text);
	}
	if (down != NULL)
		mailbox_consume(server, down);
	return end;
}

enum gen_await
gen_await(struct gen_server *server, int64_t task, int64_t timeout_ms, json_t **ret_result,
    struct gen_error *ret_error)
{
	int64_t until_ms = timeout_ms < 0 ? -1 : clock_mono().ms + timeout_ms;
	enum stream_event event = STREAM_BYTES;
	enum gen_await end;

	for (;;) {
		end = take_end(server, task, ret_result, ret_error);
		if (end != GEN_AWAIT_TIMEOUT)
			return end;
		if (event == STREAM_TIMEOUT)
			break;
		event = mailbox_wait(server, until_ms);
		if (event == STREAM_END) {
			gen_error_set(ret_error, "error", "the supervisor is gone");
			return GEN_AWAIT_EXIT;
		}
	}
	gen_error_set(ret_error, "timeout", "timeout");
	return GEN_AWAIT_TIMEOUT;
}

enum gen_await
gen_shutdown_task(struct gen_server *server, int64_t task, json_t **ret_result,
    struct gen_error *ret_error)
{
	json_t *was_live = NULL;
	enum gen_await end;
	char key[24];

	if (request_send(server, "shutdown_task", json_pack("{s:I}", "id", (json_int_t)task),
		&was_live, ret_error) == -1)
		return GEN_AWAIT_EXIT;
	links_forget(server, task);
	/* What was sent before the answer is in the mailbox, and nothing follows it. */
	end = take_end(server, task, ret_result, ret_error);
	snprintf(key, sizeof(key), "%lld", (long long)task);
	json_object_del(server->ended_tasks, key);
	if (end == GEN_AWAIT_TIMEOUT && !json_is_true(was_live)) {
		gen_error_set(ret_error, "noproc", "noproc");
		end = GEN_AWAIT_EXIT;
	}
	json_decref(was_live);
	return end;
}
