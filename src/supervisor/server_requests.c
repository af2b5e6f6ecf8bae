/* server_requests: what clients ask of servers, on the control socket. */

#include "base/log.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "model/spec_json.h"
#include "supervisor/group.h"
#include "supervisor/pool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void
fail(struct client *client, json_t *id, int code, const char *text)
{
	struct error error;

	error_set(&error, code, "%s", text);
	request_fail(request_new(client, id), &error, NULL);
}

static bool
is_address(const json_t *to)
{
	return json_is_string(to) || json_is_integer(to);
}

/* A duration that may be missing or null: -1. -2 if it is something else. */
static int64_t
timeout_of(const json_t *params)
{
	const json_t *timeout = json_object_get(params, "timeout_ms");

	if (timeout == NULL || json_is_null(timeout))
		return -1;
	return json_is_integer(timeout) && json_integer_value(timeout) >= 0
	    ? json_integer_value(timeout)
	    : -2;
}

/* ---- call, state, cast, send ---- */

static void
make_ref(struct supervisor *supervisor, const json_t *params, char ref[64])
{
	const char *given = json_string_value(json_object_get(params, "ref"));

	if (given != NULL && strlen(given) < 60)
		snprintf(ref, 64, "%s", given);
	else
		snprintf(ref, 64, "g%" PRId64 "-%" PRId64, supervisor->generation,
		    ++supervisor->servers->next_ref);
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

/* `message` NULL: for its state. */
static void
ask_server(struct client *client, json_t *id, json_t *params, json_t *message)
{
	struct supervisor *supervisor = client->supervisor;
	const json_t *to = json_object_get(params, "to");
	int64_t timeout_ms = timeout_of(params);
	struct server *server = server_find(supervisor, to);
	struct pool *pool = pool_find(supervisor, to, server);
	bool is_repeated = json_is_true(json_object_get(params, "repeated"));
	struct caller caller = { 0 };
	char ref[64];

	if (!is_address(to) || timeout_ms == -2) {
		fail(client, id, RPC_INVALID_PARAMS,
		    "wants to and perhaps timeout_ms, a number");
		return;
	}
	if (message != NULL && router_is_too_large(&client->channel, message)) {
		fail(client, id, STATUS_USAGE, SERVER_TOO_LARGE);
		return;
	}
	caller.request = request_new(client, id);
	make_ref(supervisor, params, ref);
	if (message != NULL && pool != NULL) {
		pool_call(supervisor, pool, message, caller, ref, timeout_ms, is_repeated);
		return;
	}
	if (server == NULL) {
		router_call_nobody(supervisor, to, caller);
		return;
	}
	router_call(
	    server, caller, ref, name_of(client), message, timeout_ms, is_repeated);
}

static void
ask_group(struct client *client, json_t *id, json_t *params, const char *group)
{
	struct caller caller = { 0 };
	struct group_question question = { .group = group, .from = name_of(client) };
	char ref[64];

	question.message = json_object_get(params, "message");
	question.timeout_ms = timeout_of(params);
	question.is_repeated = json_is_true(json_object_get(params, "repeated"));
	if (question.timeout_ms == -2)
		fail(client, id, RPC_INVALID_PARAMS, "timeout_ms is not a number");
	else if (router_is_too_large(&client->channel, question.message))
		fail(client, id, STATUS_USAGE, SERVER_TOO_LARGE);
	else {
		make_ref(client->supervisor, params, ref);
		question.ref = ref;
		caller.request = request_new(client, id);
		group_call(client->supervisor, &question, caller);
	}
}

void
server_handle_call(struct client *client, json_t *id, json_t *params)
{
	json_t *message = json_object_get(params, "message");
	const char *wrong, *group = group_of(params, &wrong);

	if (message == NULL)
		fail(client, id, RPC_INVALID_PARAMS, "call: wants a message");
	else if (wrong != NULL)
		fail(client, id, RPC_INVALID_PARAMS, wrong);
	else if (group != NULL)
		ask_group(client, id, params, group);
	else
		ask_server(client, id, params, message);
}

void
server_handle_state(struct client *client, json_t *id, json_t *params)
{
	ask_server(client, id, params, NULL);
}

static void
send_message(struct client *client, json_t *id, json_t *params, const char *method)
{
	struct supervisor *supervisor = client->supervisor;
	const json_t *to = json_object_get(params, "to");
	json_t *message = json_object_get(params, "message");
	struct server *server = server_find(supervisor, to);
	const char *wrong, *group = group_of(params, &wrong);

	if (wrong != NULL)
		fail(client, id, RPC_INVALID_PARAMS, wrong);
	else if ((group == NULL && !is_address(to)) || message == NULL)
		fail(client, id, RPC_INVALID_PARAMS, "wants to or group, and message");
	else if (router_is_too_large(&client->channel, message))
		fail(client, id, STATUS_USAGE, SERVER_TOO_LARGE);
	else if (group != NULL)
		group_send(supervisor, group, method[0] == 'i', message,
		    (struct caller){ .request = request_new(client, id) });
	else if (server == NULL || server->is_durable || pool_find(supervisor, to, server) != NULL)
		mailbox_keep(supervisor, to, method[0] == 'i', message,
		    (struct caller){ .request = request_new(client, id) });
	else if (router_send(server, method, message, 0, 0) == -1)
		fail(client, id, STATUS_TRY_LATER, "overloaded");
	else
		request_reply(request_new(client, id), json_true());
}

void
server_handle_cast(struct client *client, json_t *id, json_t *params)
{
	send_message(client, id, params, "cast");
}

void
server_handle_send(struct client *client, json_t *id, json_t *params)
{
	send_message(client, id, params, "info");
}

/* ---- start ---- */

static void
submitted(void *arg, struct step *step)
{
	struct request *request = arg;
	struct supervisor *supervisor = request->client->supervisor;
	json_t *data = NULL;

	if (step->answer != STEP_OK) {
		if (step->submit.ret_holder != 0)
			data = json_pack(
			    "{s:I}", "holder", (json_int_t)step->submit.ret_holder);
		request_fail(request, &step->error, data);
		return;
	}
	live_ready_at(supervisor, spec_supervisor(&step->submit.specs[0]));
	if (step->submit.ret_existed[0])
		request_reply(request, json_pack("{s:I, s:b}", "id",
		    (json_int_t)step->submit.ret_ids[0], "existed", true));
	else
		server_await_start(supervisor, step->submit.ret_ids[0], request);
}

/* It is described, and starts when its turn comes: nobody waits for that. */
static void
described(void *arg, struct step *step)
{
	struct request *request = arg;

	if (step->answer != STEP_OK) {
		submitted(arg, step);
		return;
	}
	live_ready_at(request->client->supervisor, spec_supervisor(&step->submit.specs[0]));
	request_reply(request,
	    json_pack("{s:I}", "id", (json_int_t)step->submit.ret_ids[0]));
}

/* A new one, as it is described. */
static void
start_new(struct client *client, json_t *id, json_t *params)
{
	json_t *jobs = json_pack("[O]", json_object_get(params, "job"));
	struct error error;
	struct step *step;
	size_t bad;

	json_object_set_new(json_array_get(jobs, 0), "kind", json_string("server"));
	step = submit_add(client, jobs, params, &bad, &error);
	json_decref(jobs);
	if (step == NULL) {
		request_fail(request_new(client, id), &error, NULL);
		return;
	}
	step->act = json_is_false(json_object_get(params, "wait")) ? described : submitted;
	step->arg = request_new(client, id);
}

static void
started_again(void *arg, struct step *step)
{
	struct request *request = arg;

	if (step->answer != STEP_OK) {
		request_fail(request, &step->error, NULL);
		return;
	}
	live_anything_ready(request->client->supervisor);
	server_await_start(request->client->supervisor, step->change.job, request);
}

/* One that has ended, with its description. */
static void
found_to_start(void *arg, struct step *step)
{
	struct request *request = arg;
	struct supervisor *supervisor = request->client->supervisor;
	struct error error;
	struct step *change;

	if (step->answer != STEP_OK)
		error_set(&error, STATUS_NOT_FOUND,
		    "there is no server of this name; to start a new one give its program");
	else if (!step->lookup.ret_is_server)
		error_set(&error, STATUS_STATE, "job %" PRId64 " is a command, not a server",
		    step->lookup.ret_job);
	else if (job_status_is_live(step->lookup.ret_status))
		error_set(&error, STATUS_STATE, "already_started: job %" PRId64 " (%s)",
		    step->lookup.ret_job, job_status_name(step->lookup.ret_status));
	else {
		change = turn_add(supervisor, STEP_CHANGE, started_again, request);
		change->change.job = step->lookup.ret_job;
		change->change.event = JOB_RETRY;
		turn_tells(supervisor);
		return;
	}
	request_fail(request, &error,
	    step->answer == STEP_OK
		? json_pack("{s:I}", "holder", (json_int_t)step->lookup.ret_job)
		: NULL);
}

void
server_handle_start(struct client *client, json_t *id, json_t *params)
{
	const char *name = json_string_value(json_object_get(params, "name"));
	struct step *step;

	if (json_is_object(json_object_get(params, "job"))) {
		start_new(client, id, params);
		return;
	}
	if (name == NULL) {
		fail(client, id, RPC_INVALID_PARAMS, "start: wants job, an object, or name");
		return;
	}
	step = turn_add(
	    client->supervisor, STEP_LOOKUP, found_to_start, request_new(client, id));
	if (text_number(name, 1, SPEC_LARGEST_ID, &step->lookup.job) == -1)
		step->lookup.name = xstrdup(name);
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
	struct supervisor *supervisor = client->supervisor;
	const json_t *to = json_object_get(params, "to");
	const json_t *reason = json_object_get(params, "reason");
	int64_t timeout_ms = timeout_of(params);
	struct server *server = server_find(supervisor, to);

	if (!is_address(to) || timeout_ms == -2) {
		fail(client, id, RPC_INVALID_PARAMS,
		    "stop: wants to and perhaps reason and timeout_ms");
		return;
	}
	if (server == NULL) {
		router_call_nobody(
		    supervisor, to, (struct caller){ .request = request_new(client, id) });
		return;
	}
	stop(server,
	    reason != NULL ? server_reason_from_json(reason)
			   : (struct reason){ .kind = REASON_NORMAL },
	    request_new(client, id), timeout_ms);
}
