/*
 * server_talk: what servers ask for on their fd 3, one row each. What commands may say, too,
 * is in talk.c.
 */

#include "base/log.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "supervisor/group.h"
#include "supervisor/plain.h"
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
	text = rpc_dump(detail != NULL ? detail : value);
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

static bool
is_back(const struct step *step)
{
	return step->answer == STEP_OK && step->lookup.ret_is_server &&
	    job_status_is_live(step->lookup.ret_status);
}

static void
looked_up(void *arg, struct step *step)
{
	struct missing *missing = arg;
	struct live *live = live_find(missing->supervisor, missing->key.job);

	if (missing->key.job != 0 &&
	    (live == NULL || live->server == NULL || live->key.attempt != missing->key.attempt))
		missing->caller.server = NULL;
	if (is_back(step) && step->lookup.ret_is_plain)
		router_answer_error(missing->caller, STATUS_STATE, PLAIN_NO_MAILBOX, NULL);
	else if (is_back(step))
		router_answer_error(missing->caller, STATUS_TRY_LATER, "restarting", NULL);
	else
		router_answer_error(missing->caller, STATUS_NOT_FOUND, "noproc", NULL);
	if (missing->key.job != 0)
		json_decref(missing->caller.id);
	free(missing);
}

static void
set_lookup(struct step *step, const json_t *to)
{
	const char *word = json_string_value(to);

	step->lookup.job = json_integer_value(to);
	if (word != NULL && text_number(word, 1, SPEC_LARGEST_ID, &step->lookup.job) == -1)
		step->lookup.name = xstrdup(word);
}

void
router_call_nobody(struct supervisor *supervisor, const json_t *to, struct caller caller)
{
	struct missing *missing = xcalloc(1, sizeof(*missing));

	missing->supervisor = supervisor;
	missing->caller = caller;
	if (caller.server != NULL) {
		missing->key = caller.server->live->key;
		json_incref(caller.id);
	}
	set_lookup(turn_add(supervisor, STEP_LOOKUP, looked_up, missing), to);
}

/* ---- a stop of what has no process ---- */

struct idle_stop {
	struct request *request;
	struct reason reason;
	bool is_repeated;
};

static void
shut_down(void *arg, struct step *step)
{
	struct request *request = arg;
	struct supervisor *supervisor = request->client->supervisor;
	struct caller caller = { .request = request };

	if (step->answer == STEP_OK) {
		log_info("job=%" PRId64 " stopped by request", step->change.job);
		live_anything_ready(supervisor);
		router_answer(caller, json_true());
	} else if (step->answer == STEP_NOT_FOUND)
		router_answer_error(caller, STATUS_NOT_FOUND, "noproc", NULL);
	else /* it has been claimed meanwhile */
		router_answer_error(caller, STATUS_TRY_LATER, "restarting", NULL);
}

static void
found_to_stop(void *arg, struct step *step)
{
	struct idle_stop *stop = arg;
	struct supervisor *supervisor = stop->request->client->supervisor;
	int64_t job = step->lookup.ret_job;

	if (is_back(step)) { /* it does not get another process */
		struct step *change =
		    turn_add(supervisor, STEP_CHANGE, shut_down, stop->request);

		change->change.job = job;
		change->change.event = JOB_SHUT_DOWN;
		turn_tells(supervisor);
	} else if (stop->is_repeated && step->answer == STEP_OK && step->lookup.ret_is_server) {
		server_await_stop(supervisor, job, stop->reason, stop->request, -1);
		server_has_stopped(supervisor, job, step->lookup.ret_reason);
	} else
		router_answer_error((struct caller){ .request = stop->request },
		    STATUS_NOT_FOUND, "noproc", NULL);
	free(stop);
}

void
router_stop_nobody(struct supervisor *supervisor, const json_t *to, struct reason reason,
    bool is_repeated, struct request *request)
{
	struct idle_stop *stop = xmalloc(sizeof(*stop));

	*stop = (struct idle_stop){ request, reason, is_repeated };
	set_lookup(turn_add(supervisor, STEP_LOOKUP, found_to_stop, stop), to);
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

/* What names this call of the server's. -1: its id is too long for that. */
static int
make_ref(const struct server *server, const json_t *id, struct envelope *envelope)
{
	char *id_text = rpc_dump(id);
	int length = snprintf(envelope->ref, sizeof(envelope->ref), "j%" PRId64 ".%" PRId64 ".%s",
	    server->live->key.job, server->live->key.attempt, id_text);

	free(id_text);
	return (size_t)length < sizeof(envelope->ref) ? 0 : -1;
}

static void
call_server(struct server *server, struct caller caller, const char *from,
    const struct envelope *envelope)
{
	struct server *other = server_find(server->supervisor, envelope->to);
	struct pool *pool = pool_find(server->supervisor, envelope->to, other);

	if (other == NULL && pool == NULL)
		router_call_nobody(server->supervisor, envelope->to, caller);
	else if (plain_refuses(other, caller))
		return;
	else if (pool != NULL)
		pool_call(server->supervisor, pool, envelope, caller);
	else
		router_call(other, caller, from, envelope);
}

static const char *
wrong_with_call(struct server *server, json_t *id, struct envelope *envelope)
{
	if (id == NULL || envelope->message.text == NULL ||
	    (envelope->to == NULL && envelope->group == NULL))
		return "call is a request with to or group, and message";
	if (envelope_is_too_large(envelope))
		return SERVER_TOO_LARGE;
	return make_ref(server, id, envelope) == -1 ? "its id is too long" : NULL;
}

/* Each sets *ret_wrong if it is not delivered. */
typedef void delivery(struct server *server, json_t *id, struct envelope *envelope,
    const char **ret_wrong);

static void
call(struct server *server, json_t *id, struct envelope *envelope, const char **ret_wrong)
{
	char from[32];

	*ret_wrong = wrong_with_call(server, id, envelope);
	if (*ret_wrong != NULL)
		return;
	envelope->is_repeated = envelope->is_repeated && server->was_attached;
	snprintf(from, sizeof(from), "job:%" PRId64, server->live->key.job);
	if (envelope->group != NULL)
		group_call(server->supervisor, envelope, from, caller_of(server, id));
	else
		call_server(server, caller_of(server, id), from, envelope);
}

static void
send_to(struct server *server, json_t *id, const struct envelope *envelope, bool is_info,
    const char **ret_wrong)
{
	const json_t *to = envelope->to;
	struct rpc_text message = envelope->message;
	struct server *other = server_find(server->supervisor, to);
	struct caller caller = id != NULL ? caller_of(server, id) : (struct caller){ 0 };

	if (message.text == NULL || (to == NULL && envelope->group == NULL))
		*ret_wrong = "wants to or group, and message";
	else if (envelope_is_too_large(envelope))
		*ret_wrong = SERVER_TOO_LARGE;
	else if (envelope->group != NULL)
		group_send(server->supervisor, envelope->group, is_info, message, caller);
	else if (id != NULL && plain_refuses(other, caller))
		return;
	else if (other == NULL || other->is_durable ||
	    pool_find(server->supervisor, to, other) != NULL)
		mailbox_keep(server->supervisor, to, is_info, message, caller);
	else if (router_send(other, is_info ? "info" : "cast", message, 0, 0) == 0)
		router_answer_text(caller, rpc_text("true"));
	else
		router_answer_error(caller, STATUS_TRY_LATER, "overloaded", NULL);
}

static void
cast(struct server *server, json_t *id, struct envelope *envelope, const char **ret_wrong)
{
	send_to(server, id, envelope, false, ret_wrong);
}

static void
send_info(struct server *server, json_t *id, struct envelope *envelope, const char **ret_wrong)
{
	send_to(server, id, envelope, true, ret_wrong);
}

static const char *
open_and(struct server *server, json_t *id, const json_t *params, delivery *deliver)
{
	struct envelope envelope;
	const char *wrong = envelope_read(&envelope, params, DEFAULT_TIMEOUT_MS);

	if (wrong == NULL)
		deliver(server, id, &envelope, &wrong);
	envelope_done(&envelope);
	return wrong;
}

static const char *
handle_call(struct server *server, json_t *id, const json_t *params)
{
	return open_and(server, id, params, call);
}

static const char *
handle_cast(struct server *server, json_t *id, const json_t *params)
{
	return open_and(server, id, params, cast);
}

static const char *
handle_send(struct server *server, json_t *id, const json_t *params)
{
	return open_and(server, id, params, send_info);
}

bool
server_pass_on(struct server *server, const struct skim *skim)
{
	struct envelope envelope;
	const char *wrong = NULL;
	delivery *deliver = skim_is(skim->method, "call") ? call
	    : skim_is(skim->method, "cast")		  ? cast
							  : send_info;
	json_t *id;

	if (skim->kind == RPC_RESULT)
		return router_pass_on_answer(server, skim);
	if (!envelope_skim(&envelope, skim, DEFAULT_TIMEOUT_MS))
		return false;
	id = skim_json(skim->id);
	deliver(server, id, &envelope, &wrong);
	json_decref(id);
	envelope_done(&envelope);
	return wrong == NULL;
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
