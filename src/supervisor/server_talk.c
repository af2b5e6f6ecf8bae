/*
 * server_talk: what servers ask for on their fd 3, one row each. What commands may say, too,
 * is in talk.c.
 */

#include "base/text.h"
#include "base/xalloc.h"
#include "supervisor/group.h"
#include "supervisor/pool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_TIMEOUT_MS 5000

struct reason
server_reason_from_json(const json_t *value)
{
	const json_t *detail = json_object_get(value, "shutdown");
	struct reason reason;
	char *text;

	if (json_is_string(value))
		return reason_from_words(json_string_value(value));
	text = json_dumps(detail != NULL ? detail : value, JSON_COMPACT | JSON_ENCODE_ANY);
	reason = reason_from_words(text != NULL ? text : "unknown");
	if (detail != NULL && json_object_size(value) == 1) {
		char *words = xasprintf("shutdown:%s",
		    json_is_string(detail) ? json_string_value(detail) : text);

		reason = reason_from_words(words);
		free(words);
	}
	free(text);
	return reason;
}

/* ---- where a message goes ---- */

/* A name or id that no live server has: is there one that is about to be started again? */
struct missing {
	struct supervisor *supervisor;
	struct attempt_key key; /* of the server that asks; job 0: a client does */
	struct caller caller;
};

static void
looked_up(void *arg, struct step *step)
{
	struct missing *missing = arg;
	bool is_back = step->answer == STEP_OK && step->lookup.ret_is_server &&
	    job_status_is_live(step->lookup.ret_status);
	struct live *live = live_find(missing->supervisor, missing->key.job);

	if (missing->key.job != 0 &&
	    (live == NULL || live->server == NULL || live->key.attempt != missing->key.attempt))
		missing->caller.server = NULL;
	if (is_back)
		router_answer_error(missing->caller, STATUS_TRY_LATER, "restarting", NULL);
	else
		router_answer_error(missing->caller, STATUS_NOT_FOUND, "noproc", NULL);
	if (missing->key.job != 0)
		json_decref(missing->caller.id);
	free(missing);
}

void
router_call_nobody(struct supervisor *supervisor, const json_t *to, struct caller caller)
{
	struct missing *missing = xcalloc(1, sizeof(*missing));
	struct step *step = turn_add(supervisor, STEP_LOOKUP, looked_up, missing);
	const char *word = json_string_value(to);

	missing->supervisor = supervisor;
	missing->caller = caller;
	if (caller.server != NULL) {
		missing->key = caller.server->live->key;
		json_incref(caller.id);
	}
	step->lookup.job = json_integer_value(to);
	if (word != NULL && text_number(word, 1, SPEC_LARGEST_ID, &step->lookup.job) == -1)
		step->lookup.name = xstrdup(word);
}

/* ---- the methods ---- */

static struct caller
caller_of(struct server *server, json_t *id)
{
	return (struct caller){ .server = server, .id = id };
}

static void
reply(struct server *server, json_t *id, json_t *result)
{
	if (id != NULL)
		router_answer(caller_of(server, id), result);
	else
		json_decref(result);
}

/* How long a call waits: by default, not at all limited (null), or so long. */
static int64_t
timeout_of(const json_t *timeout)
{
	return json_is_integer(timeout) ? json_integer_value(timeout)
	    : timeout == NULL		? DEFAULT_TIMEOUT_MS
					: -1;
}

/* What names this call of the server's; to be freed. */
static char *
make_ref(const struct server *server, const json_t *id)
{
	char *id_text = json_dumps(id, JSON_COMPACT | JSON_ENCODE_ANY);
	char *ref = xasprintf("j%" PRId64 ".%" PRId64 ".%s", server->live->key.job,
	    server->live->key.attempt, id_text);

	free(id_text);
	return ref;
}

static const char *
call_group(struct server *server, json_t *id, const json_t *params, const char *group)
{
	const json_t *timeout = json_object_get(params, "timeout_ms");
	struct group_question question = { .group = group };
	char *ref, from[32];

	if (timeout != NULL && !json_is_null(timeout) && !json_is_integer(timeout))
		return "timeout_ms is not a number";
	question.message = json_object_get(params, "message");
	if (id == NULL || question.message == NULL)
		return "call is a request with group and message";
	if (router_is_too_large(server->live->channel, question.message))
		return SERVER_TOO_LARGE;
	ref = make_ref(server, id);
	snprintf(from, sizeof(from), "job:%" PRId64, server->live->key.job);
	question.ref = ref;
	question.from = from;
	question.timeout_ms = timeout_of(timeout);
	question.is_repeated =
	    server->was_attached && json_is_true(json_object_get(params, "repeated"));
	group_call(server->supervisor, &question, caller_of(server, id));
	free(ref);
	return NULL;
}

static const char *
handle_call(struct server *server, json_t *id, const json_t *params)
{
	const json_t *to = json_object_get(params, "to");
	json_t *message = json_object_get(params, "message");
	const json_t *timeout = json_object_get(params, "timeout_ms");
	struct server *other = server_find(server->live->supervisor, to);
	struct pool *pool = pool_find(server->supervisor, to, other);
	bool is_repeated =
	    server->was_attached && json_is_true(json_object_get(params, "repeated"));
	const char *wrong, *group = group_of(params, &wrong);
	char *ref, from[32];

	if (wrong != NULL || group != NULL)
		return wrong != NULL ? wrong : call_group(server, id, params, group);
	if (id == NULL || message == NULL || (!json_is_string(to) && !json_is_integer(to)))
		return "call is a request with to and message";
	if (timeout != NULL && !json_is_null(timeout) && !json_is_integer(timeout))
		return "timeout_ms is not a number";
	if (router_is_too_large(server->live->channel, message))
		return SERVER_TOO_LARGE;
	if (other == NULL && pool == NULL) {
		router_call_nobody(server->live->supervisor, to, caller_of(server, id));
		return NULL;
	}
	ref = make_ref(server, id);
	snprintf(from, sizeof(from), "job:%" PRId64, server->live->key.job);
	if (pool != NULL)
		pool_call(server->supervisor, pool, message, caller_of(server, id), ref,
		    timeout_of(timeout), is_repeated);
	else
		router_call(other, caller_of(server, id), ref, from, message,
		    timeout_of(timeout), is_repeated);
	free(ref);
	return NULL;
}

static const char *
send_to(struct server *server, json_t *id, const json_t *params, const char *method)
{
	const json_t *to = json_object_get(params, "to");
	json_t *message = json_object_get(params, "message");
	struct server *other = server_find(server->supervisor, to);
	const char *wrong, *group = group_of(params, &wrong);
	struct caller caller = id != NULL ? caller_of(server, id) : (struct caller){ 0 };

	if (wrong != NULL)
		return wrong;
	if (message == NULL || (group == NULL && !json_is_string(to) && !json_is_integer(to)))
		return "wants to or group, and message";
	if (router_is_too_large(server->live->channel, message))
		return SERVER_TOO_LARGE;
	if (group != NULL)
		group_send(server->supervisor, group, method[0] == 'i', message, caller);
	else if (other == NULL || other->is_durable ||
	    pool_find(server->supervisor, to, other) != NULL)
		mailbox_keep(server->supervisor, to, method[0] == 'i', message, caller);
	else if (router_send(other, method, message, 0, 0) == 0)
		reply(server, id, json_true());
	else
		router_answer_error(caller, STATUS_TRY_LATER, "overloaded", NULL);
	return NULL;
}

static const char *
handle_cast(struct server *server, json_t *id, const json_t *params)
{
	return send_to(server, id, params, "cast");
}

static const char *
handle_send(struct server *server, json_t *id, const json_t *params)
{
	return send_to(server, id, params, "info");
}

static const char *
handle_stop(struct server *server, json_t *id, const json_t *params)
{
	const json_t *reason = json_object_get(params, "reason");

	if (reason == NULL)
		return "there is no reason";
	server_says_it_stops(server, server_reason_from_json(reason));
	reply(server, id, json_true());
	return NULL;
}

static const char *
handle_trap_exit(struct server *server, json_t *id, const json_t *params)
{
	const json_t *on = json_object_get(params, "on");

	if (!json_is_boolean(on))
		return "on is not true or false";
	server->traps_exit = json_is_true(on);
	reply(server, id, json_true());
	return NULL;
}

static const char *
handle_handled(struct server *server, json_t *id, const json_t *params)
{
	json_int_t count = json_integer_value(json_object_get(params, "count"));

	/* Some may have been sent by the supervisor process before us. */
	if (server->was_attached && count > server->sent - server->handled)
		count = server->sent - server->handled;
	if (count < 0 || count > server->sent - server->handled)
		return "count is not how many it can have handled";
	server->counts = true;
	server->handled += count;
	gauge_changed(server);
	reply(server, id, json_true());
	return NULL;
}

static const struct {
	const char *method;
	server_ask *handle;
} server_methods[] = {
	{ "call", handle_call },
	{ "cast", handle_cast },
	{ "send", handle_send },
	{ "stop", handle_stop },
	{ "trap_exit", handle_trap_exit },
	{ "handled", handle_handled },
	{ "send_after", asks_send_after },
	{ "cancel_timer", asks_cancel_timer },
	{ "read_timer", asks_read_timer_left },
	{ "start_job", asks_start_job },
	{ "async", asks_async },
	{ "shutdown_task", asks_shutdown_task },
	{ "monitor", asks_monitor },
	{ "demonitor", asks_demonitor },
	{ "whereis", asks_whereis },
	{ "join", asks_join },
	{ "leave", asks_leave },
	{ "commit", server_handle_commit },
};

bool
server_handle(struct server *server, const struct rpc_message *message,
    const char **ret_wrong)
{
	for (size_t i = 0; i < sizeof(server_methods) / sizeof(server_methods[0]); i++) {
		if (strcmp(server_methods[i].method, message->method) == 0) {
			*ret_wrong = server_methods[i].handle(server,
			    message->kind == RPC_REQUEST ? message->id : NULL,
			    message->params);
			return true;
		}
	}
	return false;
}
