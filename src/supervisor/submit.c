/*
 * submit: new jobs, commands and servers, on their way into the store.
 */

#include "base/text.h"
#include "base/xalloc.h"
#include "model/spec_json.h"
#include "supervisor/client.h"
#include "supervisor/live.h"

#include <stdlib.h>
#include <string.h>

#define MOST_JOBS 1000 /* a request */

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

void
submit_add_refusal(json_t *data, const struct step *step)
{
	if (step->submit.ret_holder != 0)
		json_object_set_new(data, "holder", json_integer(step->submit.ret_holder));
	if (!step->submit.ret_is_full)
		return;
	json_object_set_new(data, "error", json_string("max_children"));
	json_object_set_new(data, "supervisor",
	    json_string(spec_supervisor(&step->submit.specs[step->submit.ret_bad])));
}

static void
submitted(void *arg, struct step *step)
{
	struct request *request = arg;
	struct supervisor *supervisor = request->client->supervisor;
	json_t *ids, *existed, *data;

	if (step->answer != STEP_OK) {
		data = json_pack("{s:I}", "index", (json_int_t)step->submit.ret_bad);
		submit_add_refusal(data, step);
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
	claims_recall_ahead(supervisor, best_priority(step));
	if (has_delay(step))
		supervisor->must_look_at_timers = true;
	request_reply(request, json_pack("{s:o, s:o}", "ids", ids, "existed", existed));
}

/* From here on a draining supervisor does not leave before this client does. */
void
submit_keep_for(struct client *client)
{
	if (!client->has_submitted)
		client->supervisor->drain_clients++;
	client->has_submitted = true;
	supervisor_end_linger(client->supervisor);
}

/* All of them, or -1 with the number of the bad one in *error's data. */
static int
read_specs(const json_t *jobs, struct spec *specs, size_t *ret_bad, struct error *error)
{
	struct wall now = clock_wall();
	size_t index;
	json_t *job;

	json_array_foreach(jobs, index, job) {
		int result = spec_from_json(&specs[index], job, now, error);

		if (result == 0 && spec_check_resolved(&specs[index], error) == -1) {
			spec_done(&specs[index]);
			result = -1;
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

/* They are claimed in the same transaction, if there is room. */
static void
look_for_places(struct supervisor *supervisor, const struct spec *specs, size_t count)
{
	const char *last = "";

	for (size_t i = 0; i < count; i++) {
		const char *name = spec_supervisor(&specs[i]);

		if (specs[i].is_message)
			live_anything_ready(supervisor);
		else if (strcmp(name, last) != 0)
			live_ready_at(supervisor, name);
		last = name;
	}
}

struct step *
submit_add(struct client *client, const json_t *jobs, const json_t *params, size_t *ret_bad,
    struct error *error)
{
	struct supervisor *supervisor = client->supervisor;
	const json_t *environment = json_object_get(params, "environment");
	struct strings variables = { 0 };
	size_t count = json_array_size(jobs);
	struct spec *specs;
	struct step *step;

	*ret_bad = count;
	if (environment != NULL && environment_from_json(&variables, environment) == -1) {
		strings_done(&variables);
		error_set(error, RPC_INVALID_PARAMS, "environment is not an object of strings");
		return NULL;
	}
	if (supervisor->phase != PHASE_RUNNING && supervisor->phase != PHASE_SETTLING) {
		strings_done(&variables);
		error_set(error, STATUS_TRY_LATER, "the supervisor is leaving");
		return NULL;
	}
	specs = xcalloc(count, sizeof(*specs));
	if (read_specs(jobs, specs, ret_bad, error) == -1) {
		free(specs);
		strings_done(&variables);
		return NULL;
	}
	apply_defaults(specs, count, params);
	step = turn_add(supervisor, STEP_SUBMIT, NULL, NULL);
	step->submit.specs = specs;
	step->submit.count = count;
	step->submit.environment = variables;
	turn_tells(supervisor);
	look_for_places(supervisor, specs, count);
	submit_keep_for(client);
	return step;
}

static bool
has_server(const json_t *jobs)
{
	size_t index;
	json_t *job;

	json_array_foreach(jobs, index, job) {
		const char *kind = json_string_value(json_object_get(job, "kind"));

		if (kind != NULL && strcmp(kind, "command") != 0)
			return true;
	}
	return false;
}

/* What is wrong with the request as a whole, or NULL. */
static const char *
check_request(const json_t *jobs, const char *token)
{
	if (json_array_size(jobs) == 0 || json_array_size(jobs) > MOST_JOBS)
		return "submit: wants jobs, an array of 1 to 1000";
	if (token != NULL && (!text_is_name(token) || has_once(jobs)))
		return "submit: token is a name, and then no job has once";
	if (has_server(jobs))
		return "submit: a server is started with start";
	return NULL;
}

void
submit_request(struct client *client, json_t *id, json_t *params)
{
	const json_t *jobs = json_object_get(params, "jobs");
	const char *token = json_string_value(json_object_get(params, "token"));
	const char *wrong = check_request(jobs, token);
	struct error error;
	struct step *step = NULL;
	size_t bad = 0;

	if (wrong != NULL)
		error_set(&error, RPC_INVALID_PARAMS, "%s", wrong);
	else
		step = submit_add(client, jobs, params, &bad, &error);
	if (step == NULL) {
		request_fail(request_new(client, id), &error,
		    bad < json_array_size(jobs) && wrong == NULL
			? json_pack("{s:I}", "index", (json_int_t)bad)
			: NULL);
		return;
	}
	step->act = submitted;
	step->arg = request_new(client, id);
	step->submit.token = token != NULL ? xstrdup(token) : NULL;
	step->submit.is_repeated = json_is_true(json_object_get(params, "repeated"));
	step->submit.has_new_names = json_is_true(json_object_get(params, "new_names"));
}
