/* apply_servers: what is to be done about a server that a file describes. */

#include "base/xalloc.h"
#include "cli/apply_making.h"
#include "model/lifecycle.h"
#include "model/spec_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a description has of variables stays as it is: where they come from is compared too. */
static void
keep_variables(json_t *object, const json_t *description)
{
	static const char *const keys[][2] = { { "environment", "environment" },
		{ "env", "env" }, { "env-file", "env-file" }, { "env_file", "env-file" },
		{ "env-all", "env-all" }, { "env_all", "env-all" } };

	json_object_del(object, "environment");
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		json_t *value = json_object_get(description, keys[i][0]);

		if (value != NULL)
			json_object_set(object, keys[i][1], value);
	}
}

/* In the order in which they are to be named. Takes over the object. */
static json_t *
sort(json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
	json_t *sorted = json_loads(text, 0, NULL);

	json_decref(object);
	free(text);
	return sorted;
}

/* The same may be spelled otherwise: '_' for '-', 1000ms for 1s. Takes over the description. */
static json_t *
spell(json_t *description)
{
	json_t *object = NULL;
	struct spec spec;
	struct error error;

	json_object_set_new(description, "kind", json_string("server"));
	if (spec_from_json(&spec, description, (struct wall){ 0 }, &error) == 0) {
		object = spec_to_json(&spec, &error);
		spec_done(&spec);
	}
	if (object == NULL)
		return description; /* by an earlier version: as it stands */
	keep_variables(object, description);
	json_decref(description);
	return sort(object);
}

/* What of it is compared: not which file it is from, but the directory that it comes to there. */
static json_t *
read_description(const char *text, const char *cwd)
{
	json_t *object = json_loads(text, 0, NULL);

	json_object_del(object, PLAN_APPLIED);
	if (cwd != NULL)
		json_object_set_new(object, "cwd", json_string(cwd));
	return spell(object);
}

/* Which keys of the two descriptions differ. */
static char *
compare(const json_t *row, const struct manifest_entry *entry, const char *wanted)
{
	json_t *one = read_description(plan_text(row, "description"), plan_text(row, "cwd"));
	json_t *other = read_description(wanted, entry->server.cwd);
	struct buf words = { 0 };
	const char *key;
	json_t *value;
	char *text;

	json_object_foreach(other, key, value) {
		if (!json_equal(value, json_object_get(one, key)))
			buf_addf(&words, "%s%s", words.length > 0 ? ", " : "", key);
	}
	json_object_foreach(one, key, value) {
		if (json_object_get(other, key) == NULL)
			buf_addf(&words, "%s%s", words.length > 0 ? ", " : "", key);
	}
	text = xstrdup(words.length > 0 ? buf_text(&words) : "described anew");
	buf_done(&words);
	json_decref(one);
	json_decref(other);
	return text;
}

/* What is kept of a durable one goes over to the next, if that has a place for it. */
static int
check_kept(struct making *making, const struct manifest_entry *entry, const json_t *row)
{
	int64_t messages = plan_number(row, "messages");
	char state[24] = "";

	if (entry->server.is_durable || plan_number(row, "durable") == 0 ||
	    (plan_number(row, "has_state") == 0 && messages == 0))
		return 0;
	if (plan_number(row, "has_state") != 0)
		snprintf(state, sizeof(state), "a committed state and ");
	return error_set(making->error, STATUS_STATE,
	    "%s: has %s%" PRId64 " message%s, which would be lost since it is not durable any "
	    "more: leave it durable, or stop and delete it first", entry->name, state, messages,
	    messages == 1 ? "" : "s");
}

/* ---- what it is at ---- */

/* A temporary one that has ended has no place any more. */
static bool
is_forgotten(const json_t *row)
{
	return plan_number(row, "position") == 0 && !plan_is_live(row);
}

static bool
was_stopped_by_apply(const json_t *row)
{
	const char *reason = plan_text(row, "stop_reason");

	return !plan_is_live(row) && reason != NULL && strcmp(reason, PLAN_STOP_REASON) == 0;
}

static bool
was_stopped_by_people(const json_t *row)
{
	return !plan_is_live(row) && !was_stopped_by_apply(row) &&
	    (plan_number(row, "stop_asked") != 0 ||
		strcmp(plan_text(row, "status"), job_status_name(JOB_CANCELLED)) == 0);
}

static bool
is_as_described(const json_t *row, const struct manifest_entry *entry, const char *wanted)
{
	const char *now = plan_text(row, "description");
	json_t *one, *other;
	bool is;

	if (now == NULL)
		return plan_is_as_described(row, &entry->server);
	one = read_description(now, plan_text(row, "cwd"));
	other = read_description(wanted, entry->server.cwd);
	is = json_equal(one, other);
	json_decref(one);
	json_decref(other);
	return is;
}

/* ---- what is to be done ---- */

/* Why it is replaced: an interrupted apply has stopped it, and it is as it was. */
static char *
say_why(const json_t *row, const struct manifest_entry *entry, bool is_same, const char *wanted)
{
	if (is_same)
		return xstrdup("stopped by an apply that was interrupted");
	return plan_text(row, "description") != NULL ? compare(row, entry, wanted)
						     : xstrdup("described anew");
}

static void
say_it_does_not_run(struct making *making, const char *name)
{
	plan_remark(
	    making->plan, xasprintf("%s does not run: jobberd start %s", name, name));
}

/* Somebody has paused its supervisor: it is not waited for, however long that may be. */
static bool
has_to_wait(const struct making *making, const struct manifest_entry *entry)
{
	const json_t *parent = json_object_get(making->present.supervisors, entry->parent);

	return plan_number(parent, "paused") != 0;
}

static void
say_it_waits(struct making *making, const struct manifest_entry *entry)
{
	plan_remark(making->plan,
	    xasprintf("%s waits: %s is paused: jobberd supervisor resume %s", entry->name,
		entry->parent, entry->parent));
}

static int
replace_server(struct making *making, const struct manifest_entry *entry, const json_t *row,
    bool starts, char *why)
{
	struct plan_step *step =
	    plan_add_step(making->plan, PLAN_REPLACE_SERVER, entry->name, entry);

	step->is_live = plan_is_live(row);
	step->stays_down = starts && was_stopped_by_people(row);
	step->is_awaited = starts && !step->stays_down && !has_to_wait(making, entry);
	step->job = plan_number(row, "id");
	step->what = why;
	if (step->stays_down)
		say_it_does_not_run(making, entry->name);
	else if (starts && !step->is_awaited)
		say_it_waits(making, entry);
	return check_kept(making, entry, row);
}

/* Somebody has started it so by hand, or another file has described it so. */
static void
adopt_server(struct making *making, const struct manifest_entry *entry, const json_t *row)
{
	struct plan_step *step =
	    plan_add_step(making->plan, PLAN_ADOPT_SERVER, entry->name, entry);

	step->job = plan_number(row, "id");
	step->what = xstrdup("described by this file now");
}

int
plan_make_server(
    struct making *making, const struct manifest_entry *entry, enum plan_parent parent)
{
	const json_t *row = json_object_get(making->present.servers, entry->name);
	const char *wanted = making->descriptions[entry - making->manifest->entries];
	bool starts = parent == PLAN_PARENT_RUNS && !entry->server.is_only_on_demand, is_same;

	if (row == NULL || (parent == PLAN_PARENT_BEGINS && is_forgotten(row))) {
		bool waits = starts && has_to_wait(making, entry);

		plan_add_step(making->plan,
		    starts && !waits ? PLAN_START_SERVER : PLAN_ADD_SERVER, entry->name, entry);
		if (waits)
			say_it_waits(making, entry);
		return check_kept(making, entry, row);
	}
	is_same = is_as_described(row, entry, wanted);
	if (!is_same || was_stopped_by_apply(row))
		return replace_server(
		    making, entry, row, starts, say_why(row, entry, is_same, wanted));
	if (!plan_is_described_here(making, row))
		adopt_server(making, entry, row);
	if (!plan_is_live(row) && starts)
		say_it_does_not_run(making, entry->name);
	return 0;
}
