/* server_start: what clients ask of servers that do not run, on the control socket. */

#include "base/text.h"
#include "base/xalloc.h"
#include "supervisor/plain.h"
#include "supervisor/pool.h"

#include <inttypes.h>
#include <string.h>

static void
looked_at(void *arg, struct step *step)
{
	struct request *request = arg;
	struct supervisor *supervisor = request->client->supervisor;
	int64_t job = step->lookup.ret_job;
	const struct ended_job ended = {
		job, step->lookup.ret_status, step->lookup.ret_reason };
	struct error error;

	if (step->answer != STEP_OK) {
		error_set(&error, STATUS_NOT_FOUND, "it has ended, and is forgotten");
		request_fail(request, &error, NULL);
		return;
	}
	server_await_start(supervisor, job, request);
	if (step->lookup.ret_status == JOB_RUNNING)
		server_tell_ready(supervisor, job);
	else if (!job_status_is_live(step->lookup.ret_status))
		server_jobs_ended(supervisor, &ended, 1);
}

/* It was asked for before, of a supervisor process that has died since: how far is it? */
static void
await_start_again(struct request *request, int64_t job)
{
	struct step *step =
	    turn_add(request->client->supervisor, STEP_LOOKUP, looked_at, request);

	step->lookup.job = job;
}

static void
submitted(void *arg, struct step *step)
{
	struct request *request = arg;
	struct supervisor *supervisor = request->client->supervisor;
	json_t *data;

	if (step->answer != STEP_OK) {
		data = json_object();
		submit_add_refusal(data, step);
		request_fail(request, &step->error, data);
		return;
	}
	live_ready_at(supervisor, spec_supervisor(&step->submit.specs[0]));
	if (step->submit.is_repeated)
		await_start_again(request, step->submit.ret_ids[0]);
	else if (step->submit.ret_existed[0])
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

static bool
is_repeated(const json_t *params)
{
	return json_is_true(json_object_get(params, "repeated"));
}

/* A new one, as it is described. */
static void
start_new(struct client *client, json_t *id, json_t *params)
{
	const char *ready =
	    json_string_value(json_object_get(json_object_get(params, "job"), "ready"));
	const char *token = json_string_value(json_object_get(params, "token"));
	json_t *jobs;
	struct error error;
	struct step *step;
	size_t bad;

	if (token != NULL && !text_is_name(token)) {
		request_refuse(client, id, RPC_INVALID_PARAMS, "start: token is a name");
		return;
	}
	if (ready != NULL && strcmp(ready, "notify") == 0 &&
	    plain_check_path(client->supervisor, &error) == -1) {
		request_fail(request_new(client, id), &error, NULL);
		return;
	}
	jobs = json_pack("[O]", json_object_get(params, "job"));
	json_object_set_new(json_array_get(jobs, 0), "kind", json_string("server"));
	step = submit_add(client, jobs, params, &bad, &error);
	json_decref(jobs);
	if (step == NULL) {
		request_fail(request_new(client, id), &error, NULL);
		return;
	}
	step->submit.stays_down = json_is_true(json_object_get(params, "stopped"));
	step->act = step->submit.stays_down || json_is_false(json_object_get(params, "wait"))
	    ? described
	    : submitted;
	step->arg = request_new(client, id);
	step->submit.token = token != NULL ? xstrdup(token) : NULL;
	step->submit.is_repeated = is_repeated(params);
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

/* It may live since that was asked for first. */
static void
found_to_start_again(void *arg, struct step *step)
{
	if (step->answer == STEP_OK && step->lookup.ret_is_server &&
	    job_status_is_live(step->lookup.ret_status))
		looked_at(arg, step);
	else
		found_to_start(arg, step);
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
		request_refuse(client, id, RPC_INVALID_PARAMS,
		    "start: wants job, an object, or name");
		return;
	}
	step = turn_add(client->supervisor, STEP_LOOKUP,
	    is_repeated(params) ? found_to_start_again : found_to_start,
	    request_new(client, id));
	if (text_number(name, 1, SPEC_LARGEST_ID, &step->lookup.job) == -1)
		step->lookup.name = xstrdup(name);
}
