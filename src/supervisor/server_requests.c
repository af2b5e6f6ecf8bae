/* server_requests: what clients ask of servers, on the control socket. */

#include "base/xalloc.h"
#include "supervisor/group.h"
#include "supervisor/plain.h"
#include "supervisor/pool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* ---- call, state, cast, send ---- */

static void
make_ref(struct supervisor *supervisor, struct envelope *envelope)
{
	if (envelope->ref[0] == '\0')
		snprintf(envelope->ref, sizeof(envelope->ref), "g%" PRId64 "-%" PRId64,
		    supervisor->generation, ++supervisor->servers->next_ref);
}

static const char *
name_of(struct client *client)
{
	struct ucred peer = { 0 };
	socklen_t length = sizeof(peer);

	if (client->name[0] == '\0') {
		getsockopt(client->channel.fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
		snprintf(client->name, sizeof(client->name), "client:%" PRId64,
		    (int64_t)peer.pid);
	}
	return client->name;
}

/* Without a message: for its state. */
static void
ask_server(struct client *client, json_t *id, struct envelope *envelope)
{
	struct supervisor *supervisor = client->supervisor;
	struct server *server = server_find(supervisor, envelope->to);
	struct pool *pool = pool_find(supervisor, envelope->to, server);
	struct caller caller = { .request = request_new(client, id) };

	if (plain_refuses(server, caller))
		return;
	make_ref(supervisor, envelope);
	if (envelope->message.text != NULL && pool != NULL)
		pool_call(supervisor, pool, envelope, caller);
	else if (server == NULL)
		router_call_nobody(supervisor, envelope->to, caller);
	else
		router_call(server, caller, name_of(client), envelope);
}

static void
ask_group(struct client *client, json_t *id, struct envelope *envelope)
{
	make_ref(client->supervisor, envelope);
	group_call(client->supervisor, envelope, name_of(client),
	    (struct caller){ .request = request_new(client, id) });
}

static void
call(struct client *client, json_t *id, struct envelope *envelope)
{
	if (envelope->message.text == NULL)
		request_refuse(client, id, RPC_INVALID_PARAMS, "call: wants a message");
	else if (envelope_is_too_large(envelope))
		request_refuse(client, id, STATUS_USAGE, SERVER_TOO_LARGE);
	else if (envelope->group != NULL)
		ask_group(client, id, envelope);
	else if (envelope->to == NULL)
		request_refuse(client, id, RPC_INVALID_PARAMS, "call: wants to or group");
	else
		ask_server(client, id, envelope);
}

static void
ask_state(struct client *client, json_t *id, struct envelope *envelope)
{
	envelope->message = (struct rpc_text){ 0 };
	if (envelope->to == NULL)
		request_refuse(client, id, RPC_INVALID_PARAMS, "state: wants to");
	else
		ask_server(client, id, envelope);
}

static void
send_message(
    struct client *client, json_t *id, const struct envelope *envelope, bool is_info)
{
	struct supervisor *supervisor = client->supervisor;
	const json_t *to = envelope->to;
	struct rpc_text message = envelope->message;
	struct server *server = server_find(supervisor, to);

	if ((envelope->group == NULL && to == NULL) || message.text == NULL)
		request_refuse(client, id, RPC_INVALID_PARAMS, "wants to or group, and message");
	else if (envelope_is_too_large(envelope))
		request_refuse(client, id, STATUS_USAGE, SERVER_TOO_LARGE);
	else if (envelope->group != NULL)
		group_send(supervisor, envelope->group, is_info, message,
		    (struct caller){ .request = request_new(client, id) });
	else if (server != NULL && server->plain != NULL)
		plain_refuses(server, (struct caller){ .request = request_new(client, id) });
	else if (server == NULL || server->is_durable || pool_find(supervisor, to, server) != NULL)
		mailbox_keep(supervisor, to, is_info, message,
		    (struct caller){ .request = request_new(client, id) });
	else if (router_send(server, is_info ? "info" : "cast", message, 0, 0) == -1)
		request_refuse(client, id, STATUS_TRY_LATER, "overloaded");
	else
		request_reply_text(request_new(client, id), rpc_text("true"));
}

static void
cast(struct client *client, json_t *id, struct envelope *envelope)
{
	send_message(client, id, envelope, false);
}

static void
send_info(struct client *client, json_t *id, struct envelope *envelope)
{
	send_message(client, id, envelope, true);
}

typedef void delivery(struct client *client, json_t *id, struct envelope *envelope);

static void
open_and(struct client *client, json_t *id, const json_t *params, delivery *deliver)
{
	struct envelope envelope;
	const char *wrong = envelope_read(&envelope, params, -1);

	if (wrong != NULL)
		request_refuse(client, id, RPC_INVALID_PARAMS, wrong);
	else
		deliver(client, id, &envelope);
	envelope_done(&envelope);
}

void
server_handle_call(struct client *client, json_t *id, json_t *params)
{
	open_and(client, id, params, call);
}

void
server_handle_state(struct client *client, json_t *id, json_t *params)
{
	open_and(client, id, params, ask_state);
}

void
server_handle_cast(struct client *client, json_t *id, json_t *params)
{
	open_and(client, id, params, cast);
}

void
server_handle_send(struct client *client, json_t *id, json_t *params)
{
	open_and(client, id, params, send_info);
}

bool
server_handle_skimmed(struct client *client, const struct skim *skim)
{
	struct envelope envelope;
	delivery *deliver = skim_is(skim->method, "call") ? call
	    : skim_is(skim->method, "cast")		  ? cast
							  : send_info;
	json_t *id;

	if (skim->kind != RPC_REQUEST || !envelope_skim(&envelope, skim, -1))
		return false;
	id = skim_json(skim->id);
	deliver(client, id, &envelope);
	json_decref(id);
	envelope_done(&envelope);
	return true;
}

/* ---- stop ---- */

struct stopping {
	struct supervisor *supervisor;
	struct request *request; /* NULL: another one of its pool was asked to stop */
	int64_t timeout_ms;
};

static void
stop_recorded(void *arg, struct step *step)
{
	struct stopping *stopping = arg;
	struct live *live = live_find(stopping->supervisor, step->stopping.key.job);
	struct caller caller = { .request = stopping->request };

	if (live == NULL || live->server == NULL ||
	    live->key.attempt != step->stopping.key.attempt)
		router_answer_error(caller, STATUS_NOT_FOUND, "noproc", NULL);
	else {
		if (stopping->request != NULL)
			server_await_stop(stopping->supervisor, live->key.job,
			    step->stopping.reason, stopping->request, stopping->timeout_ms);
		server_terminate(live->server, step->stopping.reason, -1);
	}
	free(stopping);
}

static void
stop_one(struct server *server, struct reason reason, struct request *request,
    int64_t timeout_ms)
{
	struct stopping *stopping = xmalloc(sizeof(*stopping));
	struct step *step =
	    turn_add(server->supervisor, STEP_STOPPING, stop_recorded, stopping);

	server->is_being_stopped = true; /* its place among the messages is here */
	*stopping = (struct stopping){ server->supervisor, request, timeout_ms };
	step->stopping.key = server->live->key;
	step->stopping.reason = reason;
}

/* The first of a pool stops with all the others, each when it has done what it is at. */
static void
stop(struct server *server, struct reason reason, struct request *request, int64_t timeout_ms)
{
	struct pool *pool = pool_of_first(server);
	struct server *other;

	stop_one(server, reason, request, timeout_ms);
	if (pool == NULL)
		return;
	TAILQ_FOREACH (other, &pool->members, member) {
		if (other != server && !other->is_being_stopped)
			stop_one(other, reason, NULL, -1);
	}
}

void
server_handle_stop(struct client *client, json_t *id, json_t *params)
{
	const json_t *reason = json_object_get(params, "reason");
	struct envelope envelope;
	const char *wrong = envelope_read(&envelope, params, -1);
	struct server *server = server_find(client->supervisor, envelope.to);
	struct reason wanted = reason != NULL ? server_reason_from_json(reason)
					      : (struct reason){ .kind = REASON_NORMAL };

	if (wrong != NULL || envelope.to == NULL)
		request_refuse(client, id, RPC_INVALID_PARAMS,
		    "stop: wants to and perhaps reason and timeout_ms");
	else if (server == NULL)
		router_stop_nobody(client->supervisor, envelope.to, wanted,
		    envelope.is_repeated, request_new(client, id));
	else
		stop(server, wanted, request_new(client, id), envelope.timeout_ms);
	envelope_done(&envelope);
}
