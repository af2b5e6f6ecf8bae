/*
 * requests: the methods of the control socket, one row each. To add one: a handler here
 * and a row in `methods`; jobberd-protocol(7) has them all.
 */

#include "supervisor/client.h"

#include <unistd.h>

/* ---- stay ---- */

static void
handle_stay(struct client *client, json_t *id, json_t *params)
{
	struct error error;

	(void)params;
	if (client->supervisor->phase >= PHASE_STOPPING) {
		error_set(&error, STATUS_NOT_RUNNING, "the supervisor is leaving");
		request_fail(request_new(client, id), &error, NULL);
		return;
	}
	submit_keep_for(client);
	request_reply(request_new(client, id), json_true());
}

/* ---- cancel, retry, hold, release: change.c ---- */

static void
handle_cancel(struct client *client, json_t *id, json_t *params)
{
	change_request(client, id, params, JOB_CANCEL);
}

static void
handle_retry(struct client *client, json_t *id, json_t *params)
{
	change_request(client, id, params, JOB_RETRY);
}

static void
handle_hold(struct client *client, json_t *id, json_t *params)
{
	change_request(client, id, params, JOB_HOLD);
}

static void
handle_release(struct client *client, json_t *id, json_t *params)
{
	change_request(client, id, params, JOB_RELEASE);
}

/* ---- messages that were set aside: set_aside.c ---- */

static void
handle_messages_retry(struct client *client, json_t *id, json_t *params)
{
	set_aside_request(client, id, params, false);
}

static void
handle_messages_drop(struct client *client, json_t *id, json_t *params)
{
	set_aside_request(client, id, params, true);
}

/* ---- the rest ---- */

static void
handle_status(struct client *client, json_t *id, json_t *params)
{
	(void)params;
	request_reply(request_new(client, id), status_json(client->supervisor));
}

static void
handle_follow(struct client *client, json_t *id, json_t *params)
{
	(void)params;
	if (!client->follows)
		client->supervisor->follower_count++;
	client->follows = true;
	request_reply(request_new(client, id), json_true());
}

static void
handle_shutdown(struct client *client, json_t *id, json_t *params)
{
	struct supervisor *supervisor = client->supervisor;
	bool leaves = json_is_true(json_object_get(params, "leave"));
	struct error error;

	if (leaves && getppid() == 1) {
		error_set(&error, STATUS_STATE, "leaving is not possible as process 1");
		request_fail(request_new(client, id), &error, NULL);
		return;
	}
	request_reply(request_new(client, id),
	    json_pack("{s:I, s:I}", "running", (json_int_t)live_count(supervisor), "servers",
		(json_int_t)live_count_servers(supervisor)));
	if (leaves)
		supervisor_leave(supervisor);
	else
		supervisor_stop(supervisor, json_is_true(json_object_get(params, "now")));
}

const struct method methods[] = {
	{ "stay", handle_stay, METHOD_AT_ONCE },
	{ "supervisor", supervisors_request, METHOD_REFUSABLE },
	{ "submit", submit_request, METHOD_REFUSABLE },
	{ "cancel", handle_cancel, METHOD_REFUSABLE },
	{ "retry", handle_retry, METHOD_REFUSABLE },
	{ "hold", handle_hold, METHOD_REFUSABLE },
	{ "release", handle_release, METHOD_REFUSABLE },
	{ "start", server_handle_start, METHOD_REFUSABLE },
	{ "call", server_handle_call, METHOD_REFUSABLE },
	{ "state", server_handle_state, METHOD_REFUSABLE },
	{ "cast", server_handle_cast, METHOD_REFUSABLE },
	{ "send", server_handle_send, METHOD_REFUSABLE },
	{ "stop", server_handle_stop, METHOD_REFUSABLE },
	{ "messages_retry", handle_messages_retry, METHOD_REFUSABLE },
	{ "messages_drop", handle_messages_drop, METHOD_REFUSABLE },
	{ "wait", wait_request, METHOD_WAITS },
	{ "follow", handle_follow, METHOD_WAITS },
	{ "prune", prune_request, METHOD_REFUSABLE },
	{ "delete", prune_delete_request, METHOD_REFUSABLE },
	{ "status", handle_status, METHOD_AT_ONCE },
	{ "shutdown", handle_shutdown, METHOD_WAITS },
	{ NULL, NULL, METHOD_AT_ONCE },
};
