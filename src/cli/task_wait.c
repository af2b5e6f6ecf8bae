/* task_wait: tasks are waited for as they end, one by one, since the first that fails may be it. */

#include "base/xalloc.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/task.h"
#include "store/query.h"

#include <stdlib.h>
#include <string.h>

#define IDS_A_REQUEST 1000
#define MOST_CRASHES 10

struct waiting {
	struct tasks *tasks;
	struct client_connection connection;
	json_int_t wait_id;
};

static json_t *
live_ids(const struct tasks *tasks)
{
	json_t *ids = json_array();

	for (size_t i = 0; i < tasks->count; i++) {
		if (!tasks->list[i].has_ended)
			json_array_append_new(ids, json_integer(tasks->list[i].id));
	}
	return ids;
}

static bool
is_enough(const struct tasks *tasks)
{
	return tasks->left == 0 || (tasks->has_failed && tasks->stops_at_failure);
}

static void
note_end(void *arg, const char *method, const json_t *params)
{
	struct waiting *waiting = arg;
	const char *status = json_string_value(json_object_get(params, "status"));

	if (strcmp(method, "ended") != 0 || status == NULL)
		return;
	tasks_note_end(waiting->tasks, json_integer_value(json_object_get(params, "id")),
	    strcmp(status, "done") != 0);
	waiting->connection.has_changed = true; /* ends client_receive() */
}

static int
ask(struct waiting *waiting, struct error *error)
{
	struct client_connection *connection = &waiting->connection;

	if (client_open(connection, waiting->tasks->invocation->state, error) == -1)
		return -1;
	connection->notified = note_end;
	connection->notified_arg = waiting;
	waiting->wait_id = client_send(connection, "wait",
	    json_pack("{s:o, s:b}", "ids", live_ids(waiting->tasks), "each", 1),
	    error);
	return waiting->wait_id == -1 ? -1 : 0;
}

/* The next supervisor process, which may not live long either. */
static int
ask_again(struct waiting *waiting, struct error *error)
{
	int result = -1;

	for (int crashes = 0; result == -1 && crashes < MOST_CRASHES; crashes++) {
		client_close(&waiting->connection);
		result = ask(waiting, error);
		if (!waiting->connection.is_lost)
			break;
	}
	return result;
}

/* 0, or -1 with *error; a supervisor process that was replaced is asked anew. */
static int
receive(struct waiting *waiting, int64_t timeout_ms, struct error *error)
{
	struct client_connection *connection = &waiting->connection;
	struct rpc_message message;
	int got;

	connection->has_changed = false;
	got = client_receive(connection, timeout_ms, true, &message, error);
	if (got == -1 && connection->is_lost)
		return ask_again(waiting, error);
	if (got != 1)
		return got;
	if (message.kind == RPC_ERROR)
		got = error_set(error, message.code > 0 ? message.code : STATUS_USAGE, "%s",
		    message.message);
	rpc_message_done(&message);
	return got == 1 ? 0 : got;
}

/* Nobody is there to tell: what has ended is known all the same. */
static int
look(struct tasks *tasks, struct error *error)
{
	struct error why = *error;

	if (why.code != STATUS_NOT_RUNNING || tasks_read(tasks, error) == -1)
		return -1;
	if (is_enough(tasks))
		return 1;
	*error = why;
	return -1;
}

int
tasks_wait(struct tasks *tasks, int64_t timeout_ms, struct error *error)
{
	struct waiting waiting = { .tasks = tasks, .connection = { .fd = -1 } };
	struct mono begin = clock_mono();
	int result = ask(&waiting, error);

	while (result == 0 && !is_enough(tasks)) {
		int64_t left_ms = timeout_ms;

		if (timeout_ms != -1)
			left_ms -= clock_mono().ms - begin.ms;
		if (timeout_ms != -1 && left_ms <= 0)
			break;
		result = receive(&waiting, left_ms, error);
	}
	client_close(&waiting.connection);
	if (result == -1)
		return look(tasks, error);
	/* However short the time was: what has ended before it is known. */
	if (!is_enough(tasks) && tasks_read(tasks, error) == -1)
		return -1;
	return is_enough(tasks);
}

int
tasks_cancel(const struct tasks *tasks, int64_t grace_ms, struct error *error)
{
	struct client_connection connection;
	int result = client_open(&connection, tasks->invocation->state, error);

	for (size_t at = 0; at < tasks->count && result == 0; at += IDS_A_REQUEST) {
		size_t count = tasks->count - at;
		const struct tasks some = { .list = tasks->list + at,
			.count = count < IDS_A_REQUEST ? count : IDS_A_REQUEST };
		json_t *params = json_pack("{s:o}", "ids", live_ids(&some)), *answer;

		if (json_array_size(json_object_get(params, "ids")) == 0) {
			json_decref(params);
			continue;
		}
		if (grace_ms >= 0)
			json_object_set_new(params, "grace_ms", json_integer(grace_ms));
		/* Refused is only what has ended by itself meanwhile. */
		answer = client_call(&connection, "cancel", params, NULL, error);
		result = answer != NULL ? 0 : -1;
		json_decref(answer);
	}
	client_close(&connection);
	return result;
}
