/*
 * mailbox: lines in, by a table of methods; messages wait here in the order they came. What
 * comes from the supervisor is checked as if hostile: a line that is no message is dropped.
 */

#include "runtime/runtime.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "wire/line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The supervisor hears how many were handled when we have been idle for so long, or after … */
#define REPORT_AFTER_MS 10
#define REPORT_EVERY 64

void
message_free(struct message *message)
{
	json_decref(message->value);
	json_decref(message->id);
	json_decref(message->from);
	json_decref(message->seq);
	free(message);
}

static json_t *
param(const struct rpc_message *message, const char *name)
{
	json_t *value = json_object_get(message->params, name);

	return value != NULL ? json_incref(value) : NULL;
}

static void
enqueue(struct gen_server *server, enum message_kind kind, struct rpc_message *rpc,
    const char *value)
{
	struct message *message = xcalloc(1, sizeof(*message));

	message->kind = kind;
	message->value = param(rpc, value);
	if (message->value == NULL)
		message->value = json_null();
	message->from = param(rpc, "from");
	if (rpc->kind == RPC_REQUEST)
		message->id = json_incref(rpc->id);
	else {
		message->seq = param(rpc, "seq");
		message->timer = json_integer_value(json_object_get(rpc->params, "timer"));
	}
	TAILQ_INSERT_TAIL(&server->queue, message, entry);
}

static void
take_init(struct gen_server *server, struct rpc_message *message)
{
	if (server->init_answer != NULL) {
		rpc_add_result(&server->out, message->id, json_incref(server->init_answer));
		stream_flush(server);
		return;
	}
	json_decref(server->init_id);
	json_decref(server->init_params);
	server->init_id = json_incref(message->id);
	server->init_params =
	    message->params != NULL ? json_incref(message->params) : json_object();
}

static void
take_call(struct gen_server *server, struct rpc_message *message)
{
	enqueue(server, MESSAGE_CALL, message, "message");
}

static void
take_cast(struct gen_server *server, struct rpc_message *message)
{
	enqueue(server, MESSAGE_CAST, message, "message");
}

static void
take_info(struct gen_server *server, struct rpc_message *message)
{
	enqueue(server, MESSAGE_INFO, message, "message");
	links_take(server, TAILQ_LAST(&server->queue, message_queue));
}

static void
take_state(struct gen_server *server, struct rpc_message *message)
{
	enqueue(server, MESSAGE_STATE, message, "message");
}

static void
take_terminate(struct gen_server *server, struct rpc_message *message)
{
	enqueue(server, MESSAGE_TERMINATE, message, "reason");
}

static void
take_resume(struct gen_server *server, struct rpc_message *message)
{
	(void)message;
	server->was_resumed = true;
	if (server->trap_exit_was_told)
		server_tell_trap_exit(server); /* it may have been lost */
	request_again(server);
}

/* To add a method: a row here, and its paragraph in jobberd-protocol(7). */
static const struct {
	const char *method;
	enum rpc_kind kind;
	void (*take)(struct gen_server *server, struct rpc_message *message);
} methods[] = {
	{ "call", RPC_REQUEST, take_call },
	{ "cast", RPC_NOTIFICATION, take_cast },
	{ "info", RPC_NOTIFICATION, take_info },
	{ "state", RPC_REQUEST, take_state },
	{ "terminate", RPC_REQUEST, take_terminate },
	{ "init", RPC_REQUEST, take_init },
	{ "resume", RPC_NOTIFICATION, take_resume },
};

static void
take_method(struct gen_server *server, struct rpc_message *message)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (methods[i].kind == message->kind &&
		    strcmp(methods[i].method, message->method) == 0) {
			methods[i].take(server, message);
			return;
		}
	}
	if (message->kind == RPC_REQUEST) {
		rpc_add_error(&server->out, message->id, RPC_METHOD_NOT_FOUND,
		    "there is no such method", NULL);
		stream_flush(server);
	}
}

static bool
is_resume(const struct rpc_message *message)
{
	return message->kind == RPC_NOTIFICATION && strcmp(message->method, "resume") == 0;
}

static void
take_line(struct gen_server *server, const char *line, size_t length)
{
	struct rpc_message message = { 0 };
	bool is_garbled = rpc_parse(line, length, &message) != 0;

	line_consume(&server->in); /* what follows may read more */
	/* A line before `resume` may be what a supervisor that was killed left undone. */
	if (server->was_garbled && (is_garbled || !is_resume(&message)))
		log_warn("a line of the supervisor was no message");
	server->was_garbled = is_garbled;
	if (is_garbled)
		return;
	if (message.kind == RPC_REQUEST || message.kind == RPC_NOTIFICATION)
		take_method(server, &message);
	else
		request_take_answer(server, &message);
	rpc_message_done(&message);
}

void
mailbox_take_lines(struct gen_server *server)
{
	enum line_state state;
	const char *line;
	size_t length;

	while ((state = line_next(&server->in, 2 * STREAM_LARGEST, &line, &length)) ==
	    LINE_COMPLETE) {
		if (length > 0)
			take_line(server, line, length);
		else
			line_consume(&server->in);
	}
	if (state == LINE_TOO_LONG) {
		log_error("a line of the supervisor is too long");
		buf_clear(&server->in);
		server->is_at_end = server->is_unheard = true;
	}
}

/* The end of a task whose result gen_await() has given is told, but nobody wants it. */
static bool
is_unwanted(struct gen_server *server, const struct message *message)
{
	json_t *down = json_object_get(message->value, "down");
	char key[24];

	if (message->kind != MESSAGE_INFO || !json_is_integer(down) ||
	    json_object_size(server->ended_tasks) == 0 ||
	    !json_equal(down, json_object_get(message->value, "ref")))
		return false;
	snprintf(key, sizeof(key), "%lld", (long long)json_integer_value(down));
	return json_object_del(server->ended_tasks, key) == 0;
}

/* A timer's message is given before the timer is forgotten, and again if that came to nothing. */
static bool
has_fired(const struct gen_server *server, json_int_t timer)
{
	for (size_t i = 0; i < server->fired_count && i < COMMITTED_MOST; i++) {
		if (server->fired[i] == timer)
			return true;
	}
	return false;
}

/*
 * After a resume the supervisor does not know what had arrived. Asked when its turn has come:
 * what is like it and came before has been handled by then.
 */
static bool
is_repeated(struct gen_server *server, const struct message *message)
{
	if (!server->was_resumed)
		return false;
	if (message->kind == MESSAGE_CALL)
		return answers_repeat(server, message->id);
	if (message->timer != 0)
		return has_fired(server, message->timer);
	return message->seq != NULL && durable_knows_seq(server, message->seq);
}

/* Out of the mailbox, and it was handled. */
static void
drop(struct gen_server *server, struct message *message)
{
	TAILQ_REMOVE(&server->queue, message, entry);
	server->unreported++;
	message_free(message);
}

struct message *
mailbox_pop(struct gen_server *server)
{
	struct message *message;

	while ((message = TAILQ_FIRST(&server->queue)) != NULL) {
		if (is_repeated(server, message))
			drop(server, message);
		else if (is_unwanted(server, message))
			mailbox_consume(server, message);
		else
			break;
	}
	if (message == NULL)
		return NULL;
	TAILQ_REMOVE(&server->queue, message, entry);
	if (message->timer != 0)
		server->fired[server->fired_count++ % COMMITTED_MOST] = message->timer;
	if (message->kind != MESSAGE_TERMINATE && !message->is_own &&
	    ++server->unreported >= REPORT_EVERY)
		mailbox_report(server);
	return message;
}

struct message *
mailbox_find_info(struct gen_server *server,
    bool (*is_it)(const json_t *message, const void *arg), const void *arg)
{
	struct message *message;

	TAILQ_FOREACH(message, &server->queue, entry) {
		if (message->kind == MESSAGE_INFO && is_it(message->value, arg))
			return message;
	}
	return NULL;
}

void
mailbox_consume(struct gen_server *server, struct message *message)
{
	if (message->seq != NULL) {
		if (server->consumed == NULL)
			server->consumed = json_array();
		json_array_append(server->consumed, message->seq);
	}
	drop(server, message);
}

/* Goes out with whatever is written next. */
void
mailbox_report(struct gen_server *server)
{
	if (server->unreported == 0)
		return;
	rpc_add_notification(&server->out, "handled",
	    json_pack("{s:I}", "count", (json_int_t)server->unreported));
	server->unreported = 0;
}

/* It takes its place behind what came before. */
static void
enqueue_sigterm(struct gen_server *server)
{
	struct message *message = xcalloc(1, sizeof(*message));

	message->kind = MESSAGE_TERMINATE;
	message->value = json_string("signal:TERM");
	TAILQ_INSERT_TAIL(&server->queue, message, entry);
}

/* No clock is read where there is no limit. */
static int64_t
time_left(int64_t until_ms)
{
	int64_t left_ms = until_ms < 0 ? -1 : until_ms - clock_mono().ms;

	return until_ms >= 0 && left_ms < 0 ? 0 : left_ms;
}

enum stream_event
mailbox_wait(struct gen_server *server, int64_t until_ms)
{
	enum stream_event event = STREAM_TIMEOUT;
	int64_t left_ms;

	for (;;) {
		left_ms = time_left(until_ms);
		if (server->unreported > 0 && (left_ms < 0 || left_ms > REPORT_AFTER_MS)) {
			event = stream_wait(server, REPORT_AFTER_MS);
			if (event == STREAM_TIMEOUT) {
				mailbox_report(server);
				stream_flush(server);
				continue;
			}
		} else
			event = stream_wait(server, left_ms);
		if (event != STREAM_TIMEOUT ||
		    time_left(until_ms) == 0)
			break;
	}
	if (event == STREAM_BYTES)
		mailbox_take_lines(server);
	else if (event == STREAM_SIGTERM)
		enqueue_sigterm(server);
	return event;
}
