/*
 * requests: the methods of the control socket, one row each. To add one: a handler here
 * and a row in `methods`; jobberd-protocol(7) has them all.
 */

#include "base/log.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "model/spec_json.h"
#include "supervisor/client.h"
#include "supervisor/live.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PRUNE_AT_ONCE 500

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

/* ---- prune ---- */

struct prune {
	struct request *request;
	struct client *client;
	struct step criteria; /* of the next portion */
	json_int_t count;
};

static void prune_portion(struct prune *prune);

static void
pruned(void *arg, struct step *step)
{
	struct prune *prune = arg;
	struct supervisor *supervisor = prune->client->supervisor;

	if (step->answer != STEP_OK) {
		request_fail(prune->request, &step->error,
		    json_pack("{s:I}", "pruned", prune->count));
		free(prune);
		return;
	}
	prune->count += (json_int_t)step->prune.ret_count;
	for (size_t i = 0; i < step->prune.ret_count && !step->prune.is_dry_run; i++)
		output_remove_job(supervisor, step->prune.ret_jobs[i],
		    step->prune.ret_last[i], step->prune.ret_stdin[i]);
	if (step->prune.ret_has_more ||
	    (step->prune.ret_count == (size_t)step->prune.limit && !step->prune.is_dry_run)) {
		prune_portion(prune);
		return;
	}
	request_reply(prune->request, json_pack("{s:I}", "pruned", prune->count));
	free(prune);
}

/* In portions, each a transaction of its own, so that others are not kept waiting. */
static void
prune_portion(struct prune *prune)
{
	struct supervisor *supervisor = prune->client->supervisor;
	struct step *step = turn_add(supervisor, STEP_PRUNE, pruned, prune);

	step->prune = prune->criteria.prune;
	turn_tells(supervisor);
}

static void
handle_prune(struct client *client, json_t *id, json_t *params)
{
	json_t *statuses = json_object_get(params, "statuses"), *status;
	struct prune *prune = xcalloc(1, sizeof(*prune));
	size_t index;

	prune->client = client;
	prune->criteria.prune.older_than_ms =
	    json_integer_value(json_object_get(params, "older_than_ms"));
	prune->criteria.prune.keep = json_integer_value(json_object_get(params, "keep"));
	prune->criteria.prune.is_dry_run = json_is_true(json_object_get(params, "dry_run"));
	prune->criteria.prune.limit =
	    prune->criteria.prune.is_dry_run ? INT64_MAX : PRUNE_AT_ONCE;
	json_array_foreach(statuses, index, status) {
		enum job_status parsed;

		if (!json_is_string(status) ||
		    job_status_parse(json_string_value(status), &parsed) == -1 ||
		    job_status_is_live(parsed)) {
			free(prune);
			request_refuse(client, id, RPC_INVALID_PARAMS,
			    "prune: statuses are done, failed, cancelled");
			return;
		}
		prune->criteria.prune.statuses[parsed] = true;
	}
	prune->request = request_new(client, id);
	prune_portion(prune);
}

static void deleted(void *arg, struct step *step);

static void
delete_portion(struct request *request, int64_t job)
{
	struct supervisor *supervisor = request->client->supervisor;
	struct step *step = turn_add(supervisor, STEP_PRUNE, deleted, request);

	step->prune.job = job;
	turn_tells(supervisor);
}

static void
deleted(void *arg, struct step *step)
{
	struct request *request = arg;

	if (step->answer != STEP_OK) {
		request_fail(request, &step->error, NULL);
		return;
	}
	if (step->prune.ret_has_more) {
		delete_portion(request, step->prune.job);
		return;
	}
	output_remove_job(request->client->supervisor, step->prune.ret_jobs[0],
	    step->prune.ret_last[0], step->prune.ret_stdin[0]);
	log_info("job=%" PRId64 " deleted", step->prune.ret_jobs[0]);
	request_reply(request, json_true());
}

static void
handle_delete(struct client *client, json_t *id, json_t *params)
{
	const json_t *job = json_object_get(params, "id");

	if (!json_is_integer(job) || json_integer_value(job) < 1)
		request_refuse(client, id, RPC_INVALID_PARAMS,
		    "delete: wants id, a number");
	else
		delete_portion(request_new(client, id), json_integer_value(job));
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
	{ "stay", handle_stay, false },
	{ "supervisor", supervisors_request, false },
	{ "submit", submit_request, false },
	{ "cancel", handle_cancel, false },
	{ "retry", handle_retry, false },
	{ "hold", handle_hold, false },
	{ "release", handle_release, false },
	{ "start", server_handle_start, false },
	{ "call", server_handle_call, false },
	{ "state", server_handle_state, false },
	{ "cast", server_handle_cast, false },
	{ "send", server_handle_send, false },
	{ "stop", server_handle_stop, false },
	{ "messages_retry", handle_messages_retry, false },
	{ "messages_drop", handle_messages_drop, false },
	{ "wait", wait_request, false },
	{ "follow", handle_follow, false },
	{ "prune", handle_prune, false },
	{ "delete", handle_delete, false },
	{ "status", handle_status, true },
	{ "shutdown", handle_shutdown, false },
	{ NULL, NULL, false },
};
