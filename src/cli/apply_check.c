/* apply_check: what of a file would be refused only when a part of it is done already. */

#include "base/xalloc.h"
#include "cli/apply_making.h"
#include "model/supervision.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As they will be: a built-in one keeps what is not given, another has OTP's. */
static struct supervisor_spec
settings_of(const struct making *making, const struct manifest_entry *entry)
{
	struct supervisor_spec spec = entry->supervisor;
	const json_t *row = supervisor_is_built_in(entry->name)
	    ? json_object_get(making->present.supervisors, entry->name)
	    : NULL;

	if (spec.max_children == SUPERVISOR_UNSET)
		spec.max_children = json_is_integer(json_object_get(row, "max_children"))
		    ? plan_number(row, "max_children")
		    : SUPERVISOR_NONE;
	if (spec.overflow == SUPERVISOR_UNSET &&
	    (row == NULL || overflow_parse(plan_text(row, "overflow"), &spec.overflow) == -1))
		spec.overflow = OVERFLOW_WAIT;
	if (spec.auto_shutdown == SUPERVISOR_UNSET &&
	    (row == NULL ||
		auto_shutdown_parse(plan_text(row, "auto_shutdown"), &spec.auto_shutdown) == -1))
		spec.auto_shutdown = AUTO_SHUTDOWN_NEVER;
	return spec;
}

/* ---- significant ---- */

static int
check_significant(const struct making *making, const struct manifest_entry *entry)
{
	bool is_significant = entry->is_supervisor ? entry->supervisor.is_significant == 1
						   : entry->server.is_significant;
	int restart = entry->supervisor.restart;

	if (!is_significant)
		return 0;
	if (entry->is_supervisor && (restart == SUPERVISOR_UNSET || restart == RESTART_PERMANENT))
		return error_set(making->error, STATUS_USAGE,
		    "%s: significant: it is permanent, and no end of it is its last", entry->name);
	if (entry->parent == NULL)
		return error_set(making->error, STATUS_USAGE,
		    "%s: significant: only beneath another supervisor", entry->name);
	if (settings_of(making, manifest_find(making->manifest, entry->parent)).auto_shutdown ==
	    AUTO_SHUTDOWN_NEVER)
		return error_set(making->error, STATUS_USAGE,
		    "%s: significant: its supervisor %s has auto_shutdown never", entry->name,
		    entry->parent);
	return 0;
}

static int
say_it_counts(const struct making *making, const struct manifest_entry *entry, const char *child)
{
	return error_set(making->error, STATUS_USAGE,
	    "%s: auto_shutdown: never: %s, which stays, is significant", entry->name, child);
}

/* Of a supervisor that heeds none: those that are not in the file, and are not removed. */
static int
check_never(const struct making *making, const struct manifest_entry *entry)
{
	const char *name, *parent;
	json_t *row;

	if (settings_of(making, entry).auto_shutdown != AUTO_SHUTDOWN_NEVER)
		return 0;
	json_object_foreach(making->present.servers, name, row) {
		if (strcmp(plan_text(row, "supervisor"), entry->name) == 0 &&
		    plan_number(row, "significant") != 0 && plan_number(row, "position") != 0 &&
		    manifest_find(making->manifest, name) == NULL &&
		    !(making->prunes && plan_is_left_out(making, name, row)))
			return say_it_counts(making, entry, name);
	}
	json_object_foreach(making->present.supervisors, name, row) {
		parent = plan_text(row, "parent");
		if (parent != NULL && strcmp(parent, entry->name) == 0 &&
		    plan_number(row, "significant") != 0 &&
		    manifest_find(making->manifest, name) == NULL &&
		    !(making->prunes && plan_is_supervisor_left_out(making, name)))
			return say_it_counts(making, entry, name);
	}
	return 0;
}

/* ---- places ---- */

/* Each child that starts with it wants one; where none may wait, each that there is. */
static int64_t
count_wanted(const struct making *making, const struct manifest_entry *supervisor, bool rejects)
{
	const struct manifest *manifest = making->manifest;
	int64_t wanted = 0;
	const char *name;
	json_t *row;

	for (size_t i = 0; i < manifest->count; i++) {
		const struct manifest_entry *entry = &manifest->entries[i];

		wanted += !entry->is_supervisor && strcmp(entry->parent, supervisor->name) == 0 &&
		    (rejects || !entry->server.is_only_on_demand);
	}
	json_object_foreach(making->present.servers, name, row) /* and those that stay */
		wanted += manifest_find(manifest, name) == NULL &&
		    strcmp(plan_text(row, "supervisor"), supervisor->name) == 0 &&
		    plan_number(row, "position") != 0 && plan_number(row, "autostart") != 0 &&
		    !(making->prunes && plan_is_left_out(making, name, row));
	return wanted;
}

static int
check_places(const struct making *making, const struct manifest_entry *entry)
{
	const struct supervisor_spec spec = settings_of(making, entry);
	int64_t wanted = count_wanted(making, entry, spec.overflow == OVERFLOW_REJECT);

	if (spec.max_children == SUPERVISOR_NONE || wanted <= spec.max_children)
		return 0;
	return error_set(making->error, STATUS_USAGE,
	    "%s: max_children: %" PRId64 " are too few for its %" PRId64 " children in order",
	    entry->name, spec.max_children, wanted);
}

/* ---- what is removed ---- */

static int
say_it_is_kept(const struct making *making, const char *supervisor, const char *kept)
{
	return error_set(making->error, STATUS_STATE,
	    "%s: cannot be removed: %s beneath it is not of this file", supervisor, kept);
}

/* What other files have described beneath it, and supervisors, whatever they are at. */
static int
check_children_go(const struct making *making, const char *supervisor)
{
	const char *name, *parent;
	json_t *row;

	json_object_foreach(making->present.servers, name, row) {
		if (strcmp(plan_text(row, "supervisor"), supervisor) == 0 &&
		    plan_text(row, "description") != NULL && !plan_is_left_out(making, name, row))
			return say_it_is_kept(making, supervisor, name);
	}
	json_object_foreach(making->present.supervisors, name, row) {
		parent = plan_text(row, "parent");
		if (parent != NULL && strcmp(parent, supervisor) == 0 &&
		    manifest_find(making->manifest, name) == NULL &&
		    !plan_is_supervisor_left_out(making, name))
			return say_it_is_kept(making, supervisor, name);
	}
	return 0;
}

/* Is this live job a server that is removed before its supervisor is? */
static bool
goes(const struct making *making, const char *name, int64_t job)
{
	const json_t *row = name != NULL ? json_object_get(making->present.servers, name) : NULL;

	return plan_number(row, "id") == job && plan_is_left_out(making, name, row);
}

static int
check_jobs_go(const struct making *making, const char *supervisor)
{
	const struct job_filter filter = { .supervisor = supervisor, .wants_live = true };
	struct rows *rows = query_jobs(making->query, &filter, making->error);
	int more = -1;

	while (rows != NULL && (more = rows_next(rows, making->error)) == 1) {
		const char *name = rows_text(rows, "name");
		int64_t job = rows_number(rows, "id", 0);
		char words[NAME_SIZE];

		if (goes(making, name, job))
			continue;
		snprintf(words, sizeof(words), "job %" PRId64, job);
		more = say_it_is_kept(making, supervisor, name != NULL ? name : words);
		break;
	}
	rows_close(rows);
	return more;
}

/* Else it is stopped, and then cannot be removed, each time again. */
static int
check_removals(const struct making *making)
{
	const char *name;
	json_t *row;

	json_object_foreach(making->present.supervisors, name, row) {
		if (plan_is_supervisor_left_out(making, name) &&
		    (check_children_go(making, name) == -1 || check_jobs_go(making, name) == -1))
			return -1;
	}
	return 0;
}

/* ---- names ---- */

static bool
stays_beside(const struct making *making, const struct manifest_entry *entry, const char *name)
{
	const json_t *row = json_object_get(entry->is_supervisor ? making->present.servers
								 : making->present.supervisors,
	    name);
	const char *parent = plan_text(row, entry->is_supervisor ? "supervisor" : "parent");
	bool goes_first = making->prunes &&
	    (entry->is_supervisor ? plan_is_left_out(making, name, row)
				  : plan_is_supervisor_left_out(making, name));

	return parent != NULL && strcmp(parent, entry->parent) == 0 &&
	    plan_number(row, "position") != 0 &&
	    manifest_find(making->manifest, name) == NULL && !goes_first;
}

/* Children are put in order by name: w and s/w have one beneath s, as in the file itself. */
static int
check_name(const struct making *making, const struct manifest_entry *entry)
{
	char *name;
	int result = 0;

	if (entry->parent == NULL)
		return 0;
	name = entry->is_supervisor ? xasprintf("%s/%s", entry->parent, entry->child)
				    : xstrdup(entry->child);
	if (stays_beside(making, entry, name))
		result = error_set(making->error, STATUS_STATE,
		    "%s: two of its children would have the name %s: %s stays", entry->parent,
		    entry->child, name);
	free(name);
	return result;
}

/* ---- all of it ---- */

/* The supervisor of this name that there is belongs to a server. */
static int
check_pool(const struct making *making, const struct manifest_entry *entry)
{
	const json_t *row = json_object_get(making->present.supervisors, entry->name);

	if (plan_number(row, "pool") == 0)
		return 0;
	return error_set(making->error, STATUS_STATE,
	    "%s: is a pool, which is what its server was started with", entry->name);
}

static int
check_supervisor(const struct making *making, const struct manifest_entry *entry)
{
	if (check_pool(making, entry) == -1 || check_never(making, entry) == -1)
		return -1;
	return check_places(making, entry);
}

int
plan_check(const struct making *making)
{
	if (making->prunes && check_removals(making) == -1)
		return -1;
	for (size_t i = 0; i < making->manifest->count; i++) {
		const struct manifest_entry *entry = &making->manifest->entries[i];

		if (check_name(making, entry) == -1 || check_significant(making, entry) == -1 ||
		    (entry->is_supervisor && check_supervisor(making, entry) == -1))
			return -1;
	}
	return 0;
}
