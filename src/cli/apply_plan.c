/* apply_plan: the difference between what a file describes and what there is. */

#include "cli/apply_making.h"
#include "base/xalloc.h"
#include "cli/row_json.h"
#include "model/lifecycle.h"
#include "model/supervision.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
plan_done(struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		free(plan->steps[i].name);
		free(plan->steps[i].what);
		json_decref(plan->steps[i].order);
		json_decref(plan->steps[i].settings);
	}
	for (size_t i = 0; i < plan->remark_count; i++)
		free(plan->remarks[i]);
	free(plan->steps);
	free(plan->remarks);
	*plan = (struct plan){ 0 };
}

struct plan_step *
plan_add_step(struct plan *plan, enum plan_kind kind, const char *name,
    const struct manifest_entry *entry)
{
	struct plan_step *step;

	if (plan->count == plan->room) {
		plan->room = 2 * plan->room + 8;
		plan->steps = xreallocarray(plan->steps, plan->room, sizeof(*plan->steps));
	}
	step = &plan->steps[plan->count++];
	*step = (struct plan_step){ .kind = kind, .name = xstrdup(name), .entry = entry };
	return step;
}

void
plan_remark(struct plan *plan, char *words)
{
	plan->remarks =
	    xreallocarray(plan->remarks, plan->remark_count + 1, sizeof(char *));
	plan->remarks[plan->remark_count++] = words;
}

char *
plan_words(const struct plan_step *step)
{
	static const struct {
		const char *sign, *noun;
	} words[PLAN_KIND_COUNT] = {
		[PLAN_ADD_SUPERVISOR] = { "+", "supervisor " },
		[PLAN_SET_SUPERVISOR] = { "~", "supervisor " },
		[PLAN_ADD_SERVER] = { "+", "" },
		[PLAN_START_SERVER] = { "+", "" },
		[PLAN_REPLACE_SERVER] = { "~", "" },
		[PLAN_ADOPT_SERVER] = { "~", "" },
		[PLAN_ORDER] = { "~", "order of " },
		[PLAN_START_SUPERVISOR] = { ">", "start " },
		[PLAN_REMOVE_SERVER] = { "-", "" },
		[PLAN_REMOVE_SUPERVISOR] = { "-", "supervisor " },
	};

	return xasprintf("%s %s%s%s%s", words[step->kind].sign, words[step->kind].noun,
	    step->name, step->what != NULL ? ": " : "", step->what != NULL ? step->what : "");
}

/* ---- what there is ---- */

/* A child in order without a name is "job 5", which is nobody's name. */
static void
add_row(json_t *all, const struct rows *rows)
{
	const char *name = rows_text(rows, "name");
	char words[NAME_SIZE];

	snprintf(words, sizeof(words), "job %" PRId64, rows_number(rows, "id", 0));
	json_object_set_new(all, name != NULL ? name : words, row_json(rows));
}

static json_t *
read_rows(struct rows *rows, const char *needed, struct error *error)
{
	json_t *all = json_object();
	int more = -1;

	while (rows != NULL && (more = rows_next(rows, error)) == 1) {
		if (rows_number(rows, needed, 0) != 0)
			add_row(all, rows);
	}
	rows_close(rows);
	if (more == -1) {
		json_decref(all);
		return NULL;
	}
	return all;
}

const char *
plan_text(const json_t *row, const char *key)
{
	return json_string_value(json_object_get(row, key));
}

int64_t
plan_number(const json_t *row, const char *key)
{
	return json_integer_value(json_object_get(row, key));
}

bool
plan_is_live(const json_t *row)
{
	enum job_status status;

	return job_status_parse(plan_text(row, "status"), &status) == 0 &&
	    job_status_is_live(status);
}

/* Once, since it is asked of each of them again and again: the description's own path. */
static void
note_file(json_t *row)
{
	const char *description = plan_text(row, "description");
	json_t *object = description != NULL ? json_loads(description, 0, NULL) : NULL;

	json_object_set(row, PLAN_APPLIED, json_object_get(object, PLAN_APPLIED));
	json_decref(object);
}

bool
plan_is_described_here(const struct making *making, const json_t *row)
{
	const char *applied = plan_text(row, PLAN_APPLIED);

	return applied != NULL && strcmp(applied, making->path) == 0;
}

static int
read_present(struct present *present, struct query *query, struct error *error)
{
	const char *name;
	json_t *row;

	present->supervisors = read_rows(query_supervisors(query, error), "max_seconds", error);
	present->servers = present->supervisors != NULL
	    ? read_rows(query_children(query, error), "id", error)
	    : NULL;
	json_object_foreach(present->servers, name, row)
		note_file(row);
	return present->servers != NULL ? 0 : -1;
}

static enum supervisor_state
state_of(const json_t *row)
{
	int state = SUPERVISOR_RUNNING;

	supervisor_state_parse(plan_text(row, "state"), &state);
	return (enum supervisor_state)state;
}

/* ---- supervisors ---- */

static int
check_parent(struct making *making, const struct manifest_entry *entry, const json_t *row)
{
	const char *parent = plan_text(row, "parent");
	bool is_same = parent == NULL || entry->parent == NULL
	    ? parent == entry->parent
	    : strcmp(parent, entry->parent) == 0;

	if (is_same)
		return 0;
	return error_set(making->error, STATUS_STATE,
	    "%s: stands beneath %s now, and a supervisor stays where it was made: remove it first",
	    entry->name, parent != NULL ? parent : "the root");
}

static int
make_supervisor(struct making *making, const struct manifest_entry *entry, const json_t *row)
{
	struct buf words = { 0 };
	json_t *changes;
	struct plan_step *step;
	const char *applied;

	if (row != NULL && check_parent(making, entry, row) == -1)
		return -1;
	applied = plan_text(row, "applied");
	changes = plan_settings(entry, row, false, &words);
	if (row != NULL && json_object_size(changes) == 0 && applied != NULL &&
	    strcmp(applied, making->path) == 0) {
		json_decref(changes);
		return 0;
	}
	step = plan_add_step(making->plan, row != NULL ? PLAN_SET_SUPERVISOR : PLAN_ADD_SUPERVISOR,
	    entry->name, entry);
	step->settings = changes;
	json_object_set_new(changes, "applied", json_string(making->path));
	if (row == NULL && entry->parent != NULL)
		json_object_set_new(changes, "parent", json_string(entry->parent));
	if (row != NULL && words.length == 0)
		buf_addf(&words, "described by this file now");
	step->what = words.length > 0 ? xstrdup(buf_text(&words)) : NULL;
	buf_done(&words);
	return 0;
}

/* What of it is set when its children are as described. */
static void
finish_supervisor(struct making *making, const struct manifest_entry *entry, const json_t *row)
{
	struct buf words = { 0 };
	json_t *changes = row != NULL ? plan_settings(entry, row, true, &words) : NULL;
	struct plan_step *step;

	if (json_object_size(changes) > 0) {
		step = plan_add_step(making->plan, PLAN_SET_SUPERVISOR, entry->name, entry);
		step->settings = json_incref(changes);
		step->what = xstrdup(buf_text(&words));
	}
	json_decref(changes);
	buf_done(&words);
}

/* ---- order ---- */

static bool
has_step(const struct plan *plan, const struct manifest_entry *entry)
{
	for (size_t i = 0; i < plan->count; i++) {
		if (plan->steps[i].entry == entry)
			return true;
	}
	return false;
}

/* Are those that are there in the file's order, and those that are not yet behind them? */
static bool
is_in_order(const struct making *making, const char *parent)
{
	int64_t last = 0;

	for (size_t i = 0; i < making->manifest->count; i++) {
		const struct manifest_entry *entry = &making->manifest->entries[i];
		int64_t position;

		if (entry->parent == NULL || strcmp(entry->parent, parent) != 0)
			continue;
		position = plan_number(json_object_get(entry->is_supervisor
			? making->present.supervisors
			: making->present.servers, entry->name), "position");
		if (position == 0 && !has_step(making->plan, entry))
			continue; /* it has ended, and stays so */
		if (position == 0)
			position = INT64_MAX;
		if (position < last)
			return false;
		last = position;
	}
	return true;
}

static void
make_order(struct making *making, const char *parent)
{
	struct buf words = { 0 };
	struct plan_step *step;

	if (is_in_order(making, parent))
		return;
	step = plan_add_step(making->plan, PLAN_ORDER, parent, NULL);
	step->order = json_array();
	for (size_t i = 0; i < making->manifest->count; i++) {
		const struct manifest_entry *entry = &making->manifest->entries[i];

		if (entry->parent == NULL || strcmp(entry->parent, parent) != 0)
			continue;
		json_array_append_new(step->order, json_string(entry->child));
		buf_addf(&words, "%s%s", words.length > 0 ? ", " : "", entry->child);
	}
	step->what = xstrdup(buf_text(&words));
	buf_done(&words);
}

/* ---- all of it ---- */

/* Has nobody started it yet, or could it not be? Then this is the time. */
static bool
is_to_be_started(const json_t *row)
{
	return state_of(row) == SUPERVISOR_ENDED &&
	    plan_number(row, "has_run") == 0;
}

static enum plan_parent
parent_of(const json_t *row, bool parent_runs)
{
	if (row != NULL && supervisor_lets_start(state_of(row)))
		return PLAN_PARENT_RUNS;
	return parent_runs && (row == NULL || is_to_be_started(row)) ? PLAN_PARENT_BEGINS
								      : PLAN_PARENT_RESTS;
}

static int
make_children(struct making *making, const char *parent, enum plan_parent what)
{
	bool runs = what == PLAN_PARENT_RUNS;

	for (size_t i = 0; i < making->manifest->count; i++) {
		const struct manifest_entry *entry = &making->manifest->entries[i];
		const json_t *row;
		bool is_here = parent == NULL || entry->parent == NULL
		    ? parent == entry->parent
		    : strcmp(entry->parent, parent) == 0;

		if (!is_here)
			continue;
		if (!entry->is_supervisor) {
			if (plan_make_server(making, entry, what) == -1)
				return -1;
			continue;
		}
		row = json_object_get(making->present.supervisors, entry->name);
		if (make_supervisor(making, entry, row) == -1 ||
		    make_children(making, entry->name, parent_of(row, what != PLAN_PARENT_RESTS)) ==
			-1)
			return -1;
		finish_supervisor(making, entry, row);
		if (row != NULL)
			make_order(making, entry->name);
		if (runs && (row == NULL || is_to_be_started(row)))
			plan_add_step(making->plan, PLAN_START_SUPERVISOR, entry->name, entry);
		else if (row != NULL && state_of(row) == SUPERVISOR_ENDED && runs)
			plan_remark(making->plan,
			    xasprintf("%s has ended (%s): jobberd supervisor start %s",
				entry->name, plan_text(row, "reason"), entry->name));
	}
	return 0;
}

static bool
is_ours(const struct making *making, const char *supervisor)
{
	const json_t *row = json_object_get(making->present.supervisors, supervisor);
	const char *applied = plan_text(row, "applied");

	return applied != NULL && strcmp(applied, making->path) == 0;
}

bool
plan_is_left_out(const struct making *making, const char *name, const json_t *row)
{
	return manifest_find(making->manifest, name) == NULL &&
	    plan_is_described_here(making, row);
}

bool
plan_is_supervisor_left_out(const struct making *making, const char *name)
{
	return manifest_find(making->manifest, name) == NULL && is_ours(making, name) &&
	    !supervisor_is_built_in(name);
}

static int
depth_of(const struct making *making, const char *name)
{
	int depth = 0;

	while (name != NULL && depth < 64) {
		name = plan_text(json_object_get(making->present.supervisors, name), "parent");
		depth++;
	}
	return depth;
}

/* What this file has described before: servers, then supervisors, the deepest first. */
static void
make_removals(struct making *making)
{
	const char *name;
	json_t *row;
	struct plan_step *step;

	json_object_foreach(making->present.servers, name, row) {
		if (!plan_is_left_out(making, name, row))
			continue;
		step = plan_add_step(making->plan, PLAN_REMOVE_SERVER, name, NULL);
		step->is_live = plan_is_live(row);
		step->job = plan_number(row, "id");
	}
	for (int depth = 64; depth > 0; depth--) {
		json_object_foreach(making->present.supervisors, name, row) {
			if (plan_is_supervisor_left_out(making, name) &&
			    depth_of(making, name) == depth)
				plan_add_step(making->plan, PLAN_REMOVE_SUPERVISOR, name, NULL);
		}
	}
}

int
plan_make(struct plan *plan, struct query *query, const struct manifest *manifest,
    char *const *descriptions, const char *path, bool prunes, struct error *error)
{
	struct making making = {
		.plan = plan,
		.manifest = manifest,
		.descriptions = descriptions,
		.path = path,
		.prunes = prunes,
		.query = query,
		.error = error,
	};
	int result;

	*plan = (struct plan){ 0 };
	result = read_present(&making.present, query, error);
	if (result == 0)
		result = plan_check(&making);
	if (result == 0 && prunes)
		make_removals(&making);
	if (result == 0)
		result = make_children(&making, NULL, PLAN_PARENT_RUNS);
	json_decref(making.present.supervisors);
	json_decref(making.present.servers);
	if (result == -1)
		plan_done(plan);
	return result;
}
