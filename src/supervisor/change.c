/*
 * change: what people ask to be done to jobs: cancel, retry, hold, release. A hold of a job
 * that is claimed is answered when it is known whether it came in time.
 */

#include "base/log.h"
#include "base/xalloc.h"
#include "supervisor/client.h"
#include "supervisor/live.h"

#include <inttypes.h>
#include <stdlib.h>

/* One request may change many jobs: it is answered when the last is done. */
struct change {
	struct request *request;
	json_t *results;
	size_t left;
	int64_t grace_ms; /* of a cancel; STOP_OWN_GRACE: each job has its own */
};

static void
one_less(struct change *change)
{
	if (--change->left > 0)
		return;
	request_reply(change->request, json_pack("{s:o}", "results", change->results));
	free(change);
}

/* ---- a hold of a job that is claimed, but not known to be started ---- */

struct hold {
	struct change *change;
	json_t *result; /* among those of the change */
};

static void
hold_decided(void *arg, bool was_recalled)
{
	struct hold *hold = arg;
	json_int_t job = json_integer_value(json_object_get(hold->result, "id"));
	struct error error;

	if (!was_recalled) {
		error_set(&error, STATUS_STATE,
		    "job %" JSON_INTEGER_FORMAT " has been started: hold is not possible", job);
		log_info("job=%" JSON_INTEGER_FORMAT " hold came too late", job);
		json_object_del(hold->result, "status");
		json_object_set_new(hold->result, "code", json_integer(error.code));
		json_object_set_new(hold->result, "error", json_string(error.text));
	}
	one_less(hold->change);
	free(hold);
}

static void
hold_claimed(struct supervisor *supervisor, struct change *change, json_t *result,
    const struct attempt_key *key)
{
	struct hold *hold = xmalloc(sizeof(*hold));

	*hold = (struct hold){ change, result };
	claims_recall_and_tell(supervisor, key, hold_decided, hold);
}

/* ---- all of them ---- */

static void
changed(void *arg, struct step *step)
{
	struct change *change = arg;
	struct supervisor *supervisor = change->request->client->supervisor;
	json_t *result = json_pack("{s:I}", "id", (json_int_t)step->change.job);

	json_array_append_new(change->results, result);
	if (step->answer != STEP_OK) {
		json_object_set_new(result, "code", json_integer(step->error.code));
		json_object_set_new(result, "error", json_string(step->error.text));
		one_less(change);
		return;
	}
	json_object_set_new(
	    result, "status", json_string(job_status_name(step->change.ret_status)));
	log_info("job=%" PRId64 " %s by request", step->change.job,
	    job_event_name(step->change.event));
	live_anything_ready(supervisor);
	if (step->change.ret_must_stop) {
		json_object_set_new(result, "stopping", json_true());
		live_stop(supervisor, &step->change.ret_attempt, STOP_CANCELLED,
		    change->grace_ms);
	}
	if (step->change.ret_must_recall)
		hold_claimed(supervisor, change, result, &step->change.ret_attempt);
	else
		one_less(change);
}

static bool
are_ids(const json_t *ids)
{
	size_t index;
	json_t *job;

	json_array_foreach(ids, index, job) {
		if (!json_is_integer(job))
			return false;
	}
	return json_array_size(ids) > 0;
}

void
change_request(struct client *client, json_t *id, json_t *params, enum job_event event)
{
	json_t *ids = json_object_get(params, "ids"), *job;
	const json_t *grace = json_object_get(params, "grace_ms");
	struct request *request = request_new(client, id);
	struct change *change;
	struct error error;
	size_t index;

	if (!are_ids(ids)) {
		error_set(&error, RPC_INVALID_PARAMS, "wants ids, an array of numbers");
		request_fail(request, &error, NULL);
		return;
	}
	if (grace != NULL && (!json_is_integer(grace) || json_integer_value(grace) < 0)) {
		error_set(&error, RPC_INVALID_PARAMS, "grace_ms is not a number from 0");
		request_fail(request, &error, NULL);
		return;
	}
	change = xcalloc(1, sizeof(*change));
	change->grace_ms = grace != NULL ? json_integer_value(grace) : STOP_OWN_GRACE;
	change->request = request;
	change->results = json_array();
	change->left = json_array_size(ids);
	json_array_foreach(ids, index, job) {
		struct step *step =
		    turn_add(client->supervisor, STEP_CHANGE, changed, change);

		step->change.job = json_integer_value(job);
		step->change.event = event;
	}
	turn_tells(client->supervisor);
}
