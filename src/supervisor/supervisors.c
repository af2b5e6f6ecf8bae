/* supervisors: supervisors, the records, as clients make, change and remove them. */

#include "base/text.h"
#include "base/xalloc.h"
#include "model/supervisor.h"
#include "supervisor/client.h"
#include "supervisor/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Somebody waits until a supervisor that is paused runs nothing any more. */
struct drain {
	TAILQ_ENTRY(drain) entry;
	struct place_count *place;
	struct request *request;
};

static void
changed(void *arg, struct step *step)
{
	struct request *request = arg;

	if (step->answer != STEP_OK) {
		request_fail(request, &step->error, NULL);
		return;
	}
	live_read_limits(request->client->supervisor);
	request_reply(request, json_true());
}

/* What ended it is on disk when this is acted on. */
static void
emptied(void *arg, struct step *step)
{
	struct place_count *place = arg;
	struct supervisor *supervisor = place->supervisor;
	struct drain *drain, *next;

	(void)step;
	TAILQ_FOREACH_SAFE (drain, &supervisor->drains, entry, next) {
		if (drain->place != place || place->taken + place->ahead > 0)
			continue;
		TAILQ_REMOVE(&supervisor->drains, drain, entry);
		request_reply(drain->request, json_true());
		free(drain);
	}
}

void
supervisors_emptied(struct place_count *place)
{
	if (TAILQ_EMPTY(&place->supervisor->drains))
		return;
	turn_add(place->supervisor, STEP_LIMITS, emptied, place); /* any step: for its act */
	turn_tells(place->supervisor);
}

static void
draining(void *arg, struct step *step)
{
	struct request *request = arg;
	struct supervisor *supervisor = request->client->supervisor;
	struct place_count *place = live_place(supervisor, step->supervisor.name);
	struct drain *drain;

	if (step->answer != STEP_OK || place == NULL) { /* NULL: it was made just now */
		changed(request, step);
		return;
	}
	place->is_paused = true;
	claims_recall_place(place);
	drain = xmalloc(sizeof(*drain));
	*drain = (struct drain){ .place = place, .request = request };
	TAILQ_INSERT_TAIL(&supervisor->drains, drain, entry);
	live_read_limits(supervisor);
	if (place->taken + place->ahead == 0)
		supervisors_emptied(place);
}

void
supervisors_done(struct supervisor *supervisor)
{
	struct drain *drain;
	struct error error;

	error_set(&error, STATUS_TRY_LATER, "the supervisor is leaving");
	while ((drain = TAILQ_FIRST(&supervisor->drains)) != NULL) {
		TAILQ_REMOVE(&supervisor->drains, drain, entry);
		request_fail(drain->request, &error, NULL);
		free(drain);
	}
}

/* A number, null for none; left out: unset. */
static int
read_max_children(const json_t *value, int64_t *ret)
{
	if (value == NULL)
		return 0;
	if (!json_is_null(value) && (!json_is_integer(value) || json_integer_value(value) < 0))
		return -1;
	*ret = json_is_null(value) ? SUPERVISOR_NONE : json_integer_value(value);
	return 0;
}

static int
read_rate(const json_t *value, struct supervisor_spec *spec)
{
	if (value == NULL)
		return 0;
	return supervisor_parse_rate(
	    json_is_string(value) ? json_string_value(value) : json_is_null(value) ? "none" : "",
	    spec);
}

/* NULL, or what is wrong. */
static const char *
read_spec(const json_t *params, struct supervisor_spec *spec)
{
	const json_t *overflow = json_object_get(params, "overflow");
	const json_t *paused = json_object_get(params, "paused");

	supervisor_spec_init(spec);
	if (read_max_children(json_object_get(params, "max_children"), &spec->max_children) == -1)
		return "max_children is a number from 0, or null";
	if (overflow != NULL && (!json_is_string(overflow) ||
		overflow_parse(json_string_value(overflow), &spec->overflow) == -1))
		return "overflow is wait or reject";
	if (read_rate(json_object_get(params, "rate"), spec) == -1)
		return "rate is a string like 10/min, or null";
	if (paused != NULL && !json_is_boolean(paused))
		return "paused is true or false";
	if (paused != NULL)
		spec->is_paused = json_is_true(paused);
	return NULL;
}

static const char *
read_params(const json_t *params, struct step *step)
{
	static const char *const changes[] = {
		[SUPERVISOR_ADD] = "add",
		[SUPERVISOR_SET] = "set",
		[SUPERVISOR_REMOVE] = "remove",
	};
	const char *change = json_string_value(json_object_get(params, "change"));
	const char *name = json_string_value(json_object_get(params, "name"));
	size_t i;

	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		if (change != NULL && strcmp(change, changes[i]) == 0)
			break;
	}
	if (i == sizeof(changes) / sizeof(changes[0]) || name == NULL || !text_is_name(name))
		return "supervisor: wants change, one of add, set, drain and remove, and a name";
	step->supervisor.change = i;
	snprintf(step->supervisor.name, sizeof(step->supervisor.name), "%s", name);
	return read_spec(params, &step->supervisor.spec);
}

void
supervisors_request(struct client *client, json_t *id, json_t *params)
{
	const char *change = json_string_value(json_object_get(params, "change"));
	bool is_drain = change != NULL && strcmp(change, "drain") == 0;
	struct request *request = request_new(client, id);
	struct step *step = batch_make_step(STEP_SUPERVISOR, changed, request);
	const char *wrong;
	struct error error;

	if (is_drain) {
		json_object_set_new(params, "change", json_string("set"));
		json_object_set_new(params, "paused", json_true());
		step->act = draining;
	}
	wrong = read_params(params, step);
	if (wrong != NULL) {
		batch_free_step(step);
		error_set(&error, RPC_INVALID_PARAMS, "%s", wrong);
		request_fail(request, &error, NULL);
		return;
	}
	turn_add_made(client->supervisor, step);
	turn_tells(client->supervisor);
}
