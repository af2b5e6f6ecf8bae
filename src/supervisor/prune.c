/*
 * prune: jobs that are forgotten, with their files. It is done in portions, each a transaction
 * of its own, so that others are not kept waiting. A job that was left partly gone, since the
 * process was killed or the disk became full, is gone on with, although nobody asks any more.
 */

#include "base/log.h"
#include "base/xalloc.h"
#include "supervisor/client.h"
#include "supervisor/live.h"

#include <inttypes.h>
#include <stdlib.h>

#define AT_ONCE 500
#define AGAIN_MS 10000 /* where a portion found no room, others may */

struct prune {
	struct request *request;
	void (*act)(void *arg, struct step *step);
	struct step criteria; /* of the next portion */
	json_int_t count;
	bool is_partly_done; /* a job is partly gone */
};

static void
add_portion(struct prune *prune)
{
	struct supervisor *supervisor = prune->request->client->supervisor;
	struct step *step = turn_add(supervisor, STEP_PRUNE, prune->act, prune);

	step->prune = prune->criteria.prune;
	turn_tells(supervisor);
}

static void
remove_files(struct supervisor *supervisor, const struct step *step)
{
	for (size_t i = 0; i < step->prune.ret_count && !step->prune.is_dry_run; i++)
		output_remove_job(supervisor, step->prune.ret_jobs[i],
		    step->prune.ret_last[i], step->prune.ret_stdin[i]);
}

/* ---- what was left partly gone ---- */

static void
gone_on(void *arg, struct step *step)
{
	struct supervisor *supervisor = arg;

	supervisor->goes_on_pruning = false;
	if (step->answer != STEP_OK) {
		loop_timer_set(supervisor->loop, &supervisor->prune_timer, AGAIN_MS);
		return;
	}
	remove_files(supervisor, step);
	for (size_t i = 0; i < step->prune.ret_count; i++)
		log_info("job=%" PRId64 " deleted: it was partly gone", step->prune.ret_jobs[i]);
	if (step->prune.ret_has_more || step->prune.ret_count > 0)
		prune_go_on(supervisor);
}

void
prune_go_on(struct supervisor *supervisor)
{
	struct step *step;

	/* What is not done when we leave is done by the next of us. */
	if (supervisor->goes_on_pruning || supervisor->phase != PHASE_RUNNING)
		return;
	supervisor->goes_on_pruning = true;
	step = turn_add(supervisor, STEP_PRUNE, gone_on, supervisor);
	step->prune.goes_on = true;
}

static void
again(void *arg)
{
	prune_go_on(arg);
}

void
prune_init(struct supervisor *supervisor)
{
	supervisor->prune_timer = (struct timer){ .fire = again, .arg = supervisor };
}

static void
refuse(struct prune *prune, const struct step *step, json_t *data)
{
	if (prune->is_partly_done)
		prune_go_on(prune->request->client->supervisor);
	request_fail(prune->request, &step->error, data);
	free(prune);
}

/* ---- all that fit ---- */

static void
pruned(void *arg, struct step *step)
{
	struct prune *prune = arg;

	if (step->answer != STEP_OK) {
		refuse(prune, step, json_pack("{s:I}", "pruned", prune->count));
		return;
	}
	prune->count += (json_int_t)step->prune.ret_count;
	remove_files(prune->request->client->supervisor, step);
	prune->is_partly_done = step->prune.ret_has_more;
	if (step->prune.ret_has_more ||
	    (step->prune.ret_count == (size_t)step->prune.limit && !step->prune.is_dry_run)) {
		add_portion(prune);
		return;
	}
	request_reply(prune->request, json_pack("{s:I}", "pruned", prune->count));
	free(prune);
}

void
prune_request(struct client *client, json_t *id, json_t *params)
{
	json_t *statuses = json_object_get(params, "statuses"), *status;
	struct prune *prune = xcalloc(1, sizeof(*prune));
	size_t index;

	prune->act = pruned;
	prune->criteria.prune.older_than_ms =
	    json_integer_value(json_object_get(params, "older_than_ms"));
	prune->criteria.prune.keep = json_integer_value(json_object_get(params, "keep"));
	prune->criteria.prune.is_dry_run = json_is_true(json_object_get(params, "dry_run"));
	prune->criteria.prune.limit = prune->criteria.prune.is_dry_run ? INT64_MAX : AT_ONCE;
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
	add_portion(prune);
}

/* ---- one ---- */

static void
deleted(void *arg, struct step *step)
{
	struct prune *prune = arg;
	int64_t job = step->prune.job;

	/* Its last part may have gone with another request, or without one. */
	if (step->answer != STEP_OK &&
	    !(step->answer == STEP_NOT_FOUND && prune->is_partly_done)) {
		refuse(prune, step, NULL);
		return;
	}
	prune->is_partly_done = step->prune.ret_has_more;
	if (step->prune.ret_has_more) {
		add_portion(prune);
		return;
	}
	remove_files(prune->request->client->supervisor, step);
	if (step->answer == STEP_OK)
		log_info("job=%" PRId64 " deleted", job);
	request_reply(prune->request, json_true());
	free(prune);
}

void
prune_delete_request(struct client *client, json_t *id, json_t *params)
{
	const json_t *job = json_object_get(params, "id");
	struct prune *prune;

	if (!json_is_integer(job) || json_integer_value(job) < 1) {
		request_refuse(client, id, RPC_INVALID_PARAMS, "delete: wants id, a number");
		return;
	}
	prune = xcalloc(1, sizeof(*prune));
	prune->act = deleted;
	prune->criteria.prune.job = json_integer_value(job);
	prune->request = request_new(client, id);
	add_portion(prune);
}
