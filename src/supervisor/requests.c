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

#define MOST_JOBS 1000 /* a request */
#define PRUNE_AT_ONCE 500

static void
fail_params(struct client *client, json_t *id, const char *text)
{
	struct error error;

	error_set(&error, RPC_INVALID_PARAMS, "%s", text);
	request_fail(request_new(client, id), &error, NULL);
}

/* ---- submit ---- */

static bool
has_delay(const struct step *step)
{
	for (size_t i = 0; i < step->submit.count; i++) {
		if (step->submit.specs[i].start_in_ms != SPEC_UNSET ||
		    step->submit.specs[i].start_at.ms != SPEC_UNSET)
			return true;
	}
	return false;
}

static int64_t
best_priority(const struct step *step)
{
	int64_t best = SPEC_DEFAULT_PRIORITY;

	for (size_t i = 0; i < step->submit.count; i++) {
		int64_t priority = step->submit.specs[i].priority;

		if (priority != SPEC_UNSET && priority < best)
			best = priority;
	}
	return best;
}

static void
submitted(void *arg, struct step *step)
{
	struct request *request = arg;
	struct supervisor *supervisor = request->client->supervisor;
	json_t *ids, *existed, *data;

	if (step->answer != STEP_OK) {
		data = json_pack("{s:I}", "index", (json_int_t)step->submit.ret_bad);
		if (step->submit.ret_holder != 0)
			json_object_set_new(
			    data, "holder", json_integer(step->submit.ret_holder));
		request_fail(request, &step->error, data);
		return;
	}
	ids = json_array();
	existed = json_array();
	for (size_t i = 0; i < step->submit.count; i++) {
		json_array_append_new(ids, json_integer(step->submit.ret_ids[i]));
		if (step->submit.ret_existed[i])
			json_array_append_new(existed, json_integer((json_int_t)i));
	}
	live_anything_ready(supervisor);
	claims_recall_ahead(supervisor, best_priority(step));
	if (has_delay(step))
		supervisor->must_look_at_timers = true;
	request_reply(request, json_pack("{s:o, s:o}", "ids", ids, "existed", existed));
}

/* From here on a draining supervisor does not leave before this client does. */
static void
keep_for(struct client *client)
{
	if (!client->has_submitted)
		client->supervisor->drain_clients++;
	client->has_submitted = true;
}

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
	keep_for(client);
	request_reply(request_new(client, id), json_true());
}

/* Only the client knows the environment and the files that are meant. */
static bool
asks_for_callers_environment(const struct spec *spec)
{
	return spec->wants_all_environment || spec->environment_requests.count > 0 ||
	    spec->environment_files.count > 0;
}

/* All of them, or -1 with the number of the bad one in *error's data. */
static int
read_specs(json_t *jobs, struct spec *specs, size_t *ret_bad, struct error *error)
{
	struct wall now = clock_wall();
	size_t index;
	json_t *job;

	json_array_foreach(jobs, index, job) {
		int result = spec_from_json(&specs[index], job, now, error);

		if (result == 0 && asks_for_callers_environment(&specs[index])) {
			spec_done(&specs[index]);
			result = error_set(error, STATUS_USAGE,
			    "env, env-all and env-file are for the client to resolve: send "
			    "environment, an object");
		}
		if (result == -1) {
			*ret_bad = index;
			while (index > 0)
				spec_done(&specs[--index]);
			return -1;
		}
	}
	return 0;
}

/* What a request says once for all its jobs. */
static void
apply_defaults(struct spec *specs, size_t count, const json_t *params)
{
	const char *cwd = json_string_value(json_object_get(params, "cwd"));
	const json_t *umask = json_object_get(params, "umask");

	for (size_t i = 0; i < count; i++) {
		if (specs[i].cwd == NULL && cwd != NULL && cwd[0] == '/')
			specs[i].cwd = xstrdup(cwd);
		if (specs[i].umask == SPEC_UNSET && json_is_integer(umask))
			specs[i].umask = json_integer_value(umask) & 0777;
	}
}

/* Their ids are not one after the other, so the token would not tell them. */
static bool
has_once(const json_t *jobs)
{
	size_t index;
	json_t *job;

	json_array_foreach(jobs, index, job) {
		if (json_is_true(json_object_get(job, "once")))
			return true;
	}
	return false;
}

static void
handle_submit(struct client *client, json_t *id, json_t *params)
{
	struct supervisor *supervisor = client->supervisor;
	json_t *jobs = json_object_get(params, "jobs");
	json_t *environment = json_object_get(params, "environment");
	const char *token = json_string_value(json_object_get(params, "token"));
	size_t count = json_array_size(jobs), bad = 0;
	struct strings variables = { 0 };
	struct spec *specs;
	struct error error;
	struct step *step;

	if (count == 0 || count > MOST_JOBS) {
		fail_params(client, id, "submit: wants jobs, an array of 1 to 1000");
		return;
	}
	if (token != NULL && (!text_is_name(token) || has_once(jobs))) {
		fail_params(client, id, "submit: token is a name, and then no job has once");
		return;
	}
	if (environment != NULL && environment_from_json(&variables, environment) == -1) {
		strings_done(&variables);
		fail_params(client, id, "submit: environment is not an object of strings");
		return;
	}
	if (supervisor->phase != PHASE_RUNNING && supervisor->phase != PHASE_SETTLING) {
		strings_done(&variables);
		error_set(&error, STATUS_TRY_LATER, "the supervisor is leaving");
		request_fail(request_new(client, id), &error, NULL);
		return;
	}
	specs = xcalloc(count, sizeof(*specs));
	if (read_specs(jobs, specs, &bad, &error) == -1) {
		free(specs);
		strings_done(&variables);
		request_fail(request_new(client, id), &error,
		    json_pack("{s:I}", "index", (json_int_t)bad));
		return;
	}
	apply_defaults(specs, count, params);
	step = turn_add(supervisor, STEP_SUBMIT, submitted, request_new(client, id));
	step->submit.specs = specs;
	step->submit.count = count;
	step->submit.environment = variables;
	step->submit.token = token != NULL ? xstrdup(token) : NULL;
	step->submit.is_repeated = json_is_true(json_object_get(params, "repeated"));
	turn_tells(supervisor);
	live_anything_ready(supervisor); /* claimed in the same transaction, if there is room */
	keep_for(client);
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
		output_remove_job(
		    supervisor, step->prune.ret_jobs[i], step->prune.ret_stdin[i]);
	if (step->prune.ret_count == (size_t)step->prune.limit && !step->prune.is_dry_run) {
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
			fail_params(client, id, "prune: statuses are done, failed, cancelled");
			return;
		}
		prune->criteria.prune.statuses[parsed] = true;
	}
	prune->request = request_new(client, id);
	prune_portion(prune);
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
	    json_pack("{s:I}", "running", (json_int_t)live_count(supervisor)));
	if (leaves)
		supervisor_leave(supervisor);
	else
		supervisor_stop(supervisor, json_is_true(json_object_get(params, "now")));
}

const struct method methods[] = {
	{ "stay", handle_stay, false },
	{ "submit", handle_submit, false },
	{ "cancel", handle_cancel, false },
	{ "retry", handle_retry, false },
	{ "hold", handle_hold, false },
	{ "release", handle_release, false },
	{ "wait", wait_request, false },
	{ "follow", handle_follow, false },
	{ "prune", handle_prune, false },
	{ "status", handle_status, true },
	{ "shutdown", handle_shutdown, false },
	{ NULL, NULL, false },
};
