/* supervisors: supervisors, the records, as clients make, change and remove them. */

#include "base/text.h"
#include "base/xalloc.h"
#include "model/spec_json.h"
#include "model/supervisor.h"
#include "supervisor/client.h"
#include "supervisor/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Somebody waits until a supervisor is so far. */
struct drain {
	TAILQ_ENTRY(drain) entry;
	char name[NAME_SIZE];
	enum { UNTIL_EMPTY, UNTIL_ENDED, UNTIL_RUNNING } until;
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

/* It could not be started, or ended again at once. */
static void
say_it_ended(struct drain *drain, const struct place_count *place)
{
	struct error error;

	error_set(&error, STATUS_INTERNAL, "%s: %s", place->name,
	    place->reason != NULL ? place->reason : "it has ended");
	request_fail(drain->request, &error,
	    json_pack("{s:s, s:s?}", "supervisor", place->name, "reason", place->reason));
}

/* Is it so far? Then that is answered. */
static bool
answer_drain(struct drain *drain, const struct place_count *place)
{
	/* One that was removed meanwhile has done that, too. */
	bool has_ended = place->state == SUPERVISOR_ENDED || !place->is_there;

	if (drain->until == UNTIL_RUNNING && has_ended)
		say_it_ended(drain, place);
	else if ((drain->until == UNTIL_EMPTY && place->taken + place->ahead == 0) ||
	    (drain->until == UNTIL_ENDED && has_ended) ||
	    (drain->until == UNTIL_RUNNING && place->state == SUPERVISOR_RUNNING))
		request_reply(drain->request, json_true());
	else
		return false;
	return true;
}

void
supervisors_look(struct supervisor *supervisor)
{
	struct drain *drain, *next;

	TAILQ_FOREACH_SAFE (drain, &supervisor->drains, entry, next) {
		struct place_count *place = live_place(supervisor, drain->name);

		if (place == NULL || !answer_drain(drain, place))
			continue;
		TAILQ_REMOVE(&supervisor->drains, drain, entry);
		free(drain);
	}
}

void
supervisors_emptied(struct place_count *place)
{
	if (TAILQ_EMPTY(&place->supervisor->drains))
		return;
	live_read_limits(place->supervisor); /* what ended it is on disk when that is acted on */
	turn_tells(place->supervisor);
}

static void
await(struct request *request, const struct step *step, int until)
{
	struct supervisor *supervisor = request->client->supervisor;
	struct drain *drain = xcalloc(1, sizeof(*drain));

	drain->until = until;
	drain->request = request;
	memcpy(drain->name, step->supervisor.name, sizeof(drain->name));
	TAILQ_INSERT_TAIL(&supervisor->drains, drain, entry);
	live_read_limits(supervisor); /* then it is looked at */
	turn_tells(supervisor);
}

static void
draining(void *arg, struct step *step)
{
	struct request *request = arg;
	struct place_count *place =
	    live_place(request->client->supervisor, step->supervisor.name);

	if (step->answer != STEP_OK || place == NULL) { /* NULL: it was made just now */
		changed(request, step);
		return;
	}
	place->is_paused = true;
	claims_recall_place(place);
	await(request, step, UNTIL_EMPTY);
}

static void
starting(void *arg, struct step *step)
{
	if (step->answer != STEP_OK)
		changed(arg, step);
	else
		await(arg, step, UNTIL_RUNNING);
}

static void
stopping(void *arg, struct step *step)
{
	if (step->answer != STEP_OK)
		changed(arg, step);
	else
		await(arg, step, UNTIL_ENDED);
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

/* ---- what is asked for ---- */

static int
read_spec(const json_t *params, bool is_new, struct supervisor_spec *spec, struct error *error)
{
	const char *key;
	json_t *value;

	supervisor_spec_init(spec);
	json_object_foreach((json_t *)params, key, value) {
		const struct supervisor_option *option = supervisor_option_find(key);
		char buffer[32];
		const char *text = option_text(value, "none", buffer, sizeof(buffer));

		if (option == NULL)
			continue;
		if (option->is_for_new && !is_new)
			return error_set(
			    error, RPC_INVALID_PARAMS, "%s: only with add: it stays", key);
		if (text == NULL)
			return error_set(error, RPC_INVALID_PARAMS,
			    "%s: wants a string, a number, a boolean or null", key);
		if (option->set(spec, text, error) == -1)
			return option_refuse(error, text, value);
	}
	return 0;
}

static const struct change {
	const char *name;
	int change;
	void (*act)(void *arg, struct step *step);
} changes[] = {
	{ "add", SUPERVISOR_ADD, changed },
	{ "set", SUPERVISOR_SET, changed },
	{ "drain", SUPERVISOR_SET, draining },
	{ "remove", SUPERVISOR_REMOVE, changed },
	{ "start", SUPERVISOR_START, starting },
	{ "stop", SUPERVISOR_STOP, stopping },
	{ "order", SUPERVISOR_ORDER, changed },
	{ "describe", SUPERVISOR_DESCRIBE, changed },
};

static const struct change *
find_change(const char *name)
{
	for (size_t i = 0; name != NULL && i < sizeof(changes) / sizeof(changes[0]); i++) {
		if (strcmp(name, changes[i].name) == 0)
			return &changes[i];
	}
	return NULL;
}

static int
read_description(const json_t *params, struct step *step, struct error *error)
{
	const char *description = json_string_value(json_object_get(params, "description"));

	step->supervisor.job = json_integer_value(json_object_get(params, "job"));
	if (step->supervisor.job <= 0 || description == NULL)
		return error_set(error, RPC_INVALID_PARAMS,
		    "describe: wants job, the id of a child, and its description, a string");
	step->supervisor.description = xstrdup(description);
	return 0;
}

/* 0, or -1 with what is wrong. */
static int
read_params(const json_t *params, struct step *step, struct error *error)
{
	const struct change *change =
	    find_change(json_string_value(json_object_get(params, "change")));
	const char *name = json_string_value(json_object_get(params, "name"));
	const json_t *order = json_object_get(params, "order");
	char quoted[80];

	if (change == NULL || name == NULL)
		return error_set(error, RPC_INVALID_PARAMS,
		    "supervisor: wants change, one of add, set, drain, start, stop, order, "
		    "describe and remove, and a name");
	if (!text_is_name(name))
		return error_set(error, RPC_INVALID_PARAMS,
		    "name: \"%s\" is not a name: a letter or _, then letters, digits and _.:-, "
		    "128 at most", text_quote(quoted, sizeof(quoted), name));
	step->act = change->act;
	step->supervisor.change = change->change;
	snprintf(step->supervisor.name, sizeof(step->supervisor.name), "%s", name);
	if (change->change == SUPERVISOR_ORDER &&
	    strings_from_json(&step->supervisor.order, order) == -1)
		return error_set(error, RPC_INVALID_PARAMS,
		    "order: wants an array of names of its children");
	if (change->change == SUPERVISOR_DESCRIBE && read_description(params, step, error) == -1)
		return -1;
	step->supervisor.is_ended = json_is_true(json_object_get(params, "ended"));
	if (read_spec(params, change->change == SUPERVISOR_ADD, &step->supervisor.spec, error) ==
	    -1)
		return -1;
	if (change->act == draining)
		step->supervisor.spec.is_paused = 1;
	return 0;
}

void
supervisors_request(struct client *client, json_t *id, json_t *params)
{
	struct request *request = request_new(client, id);
	struct step *step = batch_make_step(STEP_SUPERVISOR, changed, request);
	struct error error;

	if (read_params(params, step, &error) == -1) {
		batch_free_step(step);
		request_fail(request, &error, NULL);
		return;
	}
	turn_add_made(client->supervisor, step);
	turn_tells(client->supervisor);
}
