/*
 * apply: what a file describes is made so, step by step, each of which is on disk before the
 * next: whoever is interrupted applies it again, and it goes on from there.
 */

#include "base/file.h"
#include "base/xalloc.h"
#include "cli/apply_plan.h"
#include "cli/database.h"
#include "cli/row_json.h"
#include "cli/submit.h"
#include "model/spec_json.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LARGEST_FILE (16 << 20)

struct applying {
	struct invocation *invocation;
	char path[PATH_MAX]; /* absolute */
	struct manifest manifest;
	char **descriptions;
	struct submission submission;
	struct client_connection connection;
};

/* ---- the file ---- */

static json_t *
read_file(struct applying *applying, const char *path, struct error *error)
{
	struct buf text = { 0 };
	json_error_t where;
	json_t *file = NULL;

	if (realpath(path, applying->path) == NULL ||
	    file_read(AT_FDCWD, applying->path, LARGEST_FILE, &text) == -1) {
		error_set_errno(error, STATUS_NOT_FOUND, "%s", path);
		return NULL;
	}
	file = json_loads(buf_text(&text), JSON_REJECT_DUPLICATES, &where);
	if (file == NULL)
		error_set(error, STATUS_USAGE, "%s: line %d: %s", path, where.line, where.text);
	buf_done(&text);
	return file;
}

/*
 * What the file says of it, with what the files of variables that it names say, and which file
 * that is.
 */
static char *
describe(const struct manifest_entry *entry, const struct spec *spec, const char *path)
{
	json_t *object = json_copy(entry->object);
	char *text;

	json_object_del(object, "after");
	json_object_del(object, "comment");
	if (spec->environment_files.count > 0)
		json_object_set_new(
		    object, "environment", environment_to_json(&spec->environment));
	json_object_set_new(object, PLAN_APPLIED, json_string(path));
	text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(object);
	return text;
}

static int
prepare_server(struct applying *applying, size_t which, struct error *error)
{
	struct manifest_entry *entry = &applying->manifest.entries[which];
	struct error first;

	if (submission_prepare(&applying->submission, &entry->server, &first) == -1)
		return error_set(error, first.code, "%s: %s", entry->name, first.text);
	applying->descriptions[which] = describe(entry, &entry->server, applying->path);
	entry->server.description = applying->descriptions[which] != NULL
	    ? xstrdup(applying->descriptions[which])
	    : NULL;
	submission_warn_if_missing(&applying->submission, &entry->server);
	return 0;
}

static int
read_manifest(struct applying *applying, const char *path, struct error *error)
{
	json_t *file = read_file(applying, path, error);
	char directory[PATH_MAX], *slash;
	struct error first;
	int result = 0;

	if (file == NULL)
		return -1;
	memcpy(directory, applying->path, sizeof(directory));
	slash = strrchr(directory, '/');
	slash[slash == directory] = '\0';
	if (manifest_read(&applying->manifest, file, directory, clock_wall(), &first) == -1)
		result = error_set(error, first.code, "%s: %s", path, first.text);
	json_decref(file);
	applying->descriptions =
	    xcalloc(applying->manifest.count + 1, sizeof(*applying->descriptions));
	for (size_t i = 0; i < applying->manifest.count && result == 0; i++) {
		if (!applying->manifest.entries[i].is_supervisor)
			result = prepare_server(applying, i, error);
	}
	return result;
}

static void
applying_done(struct applying *applying)
{
	for (size_t i = 0; applying->descriptions != NULL && i < applying->manifest.count; i++)
		free(applying->descriptions[i]);
	free(applying->descriptions);
	manifest_done(&applying->manifest);
	submission_done(&applying->submission);
}

/* ---- step by step ---- */

/* 0, or -1 with *error, which says of what. Takes over params. */
static int
ask(struct applying *applying, const struct plan_step *step, const char *method,
    json_t *params, struct error *error)
{
	struct error first;
	json_t *result =
	    client_call(&applying->connection, method, params, NULL, &first);

	if (result == NULL && strncmp(first.text, step->name, strlen(step->name)) == 0)
		*error = first;
	else if (result == NULL)
		error_set(error, first.code, "%s: %s", step->name, first.text);
	json_decref(result);
	return result != NULL ? 0 : -1;
}

/* Takes over settings. */
static int
change(struct applying *applying, const struct plan_step *step, const char *what,
    json_t *settings, struct error *error)
{
	json_object_set_new(settings, "change", json_string(what));
	json_object_set_new(settings, "name", json_string(step->name));
	return ask(applying, step, "supervisor", settings, error);
}

static int
start_server(struct applying *applying, const struct plan_step *step, bool waits,
    struct error *error)
{
	json_t *params = submission_params(&applying->submission, error);
	json_t *job = params != NULL ? spec_to_json(&step->entry->server, error) : NULL;

	if (job == NULL) {
		json_decref(params);
		return -1;
	}
	json_object_set_new(params, "job", job);
	json_object_set_new(params, "wait", json_boolean(waits));
	json_object_set_new(params, "stopped", json_boolean(step->stays_down));
	return ask(applying, step, "start", params, error);
}

static int
stop_server(struct applying *applying, const struct plan_step *step, struct error *error)
{
	struct error first;

	if (!step->is_live)
		return 0;
	if (ask(applying, step, "stop",
		json_pack("{s:s, s:s}", "to", step->name, "reason", PLAN_STOP_REASON),
		&first) == 0)
		return 0;
	if (first.code != STATUS_NOT_FOUND && first.code != STATUS_TRY_LATER) {
		*error = first;
		return -1;
	}
	/* It has no process to be asked: it waits for its supervisor, or to be restarted. */
	return again_end_job(&applying->connection, step->job, error);
}

static int
remove_server(struct applying *applying, const struct plan_step *step, struct error *error)
{
	if (stop_server(applying, step, error) == -1)
		return -1;
	return ask(applying, step, "delete", json_pack("{s:I}", "id", (json_int_t)step->job),
	    error);
}

static int
remove_supervisor(struct applying *applying, const struct plan_step *step,
    struct error *error)
{
	if (change(applying, step, "stop", json_object(), error) == -1)
		return -1;
	return change(applying, step, "remove", json_object(), error);
}

static int
add_supervisor(struct applying *applying, const struct plan_step *step, struct error *error)
{
	json_t *settings = json_copy(step->settings);

	json_object_set_new(settings, "ended", json_true());
	return change(applying, step, "add", settings, error);
}

static int
set_supervisor(struct applying *applying, const struct plan_step *step, struct error *error)
{
	return change(applying, step, "set", json_copy(step->settings), error);
}

static int
order_children(struct applying *applying, const struct plan_step *step, struct error *error)
{
	return change(applying, step, "order", json_pack("{s:O}", "order", step->order), error);
}

static int
adopt_server(struct applying *applying, const struct plan_step *step, struct error *error)
{
	return ask(applying, step, "supervisor",
	    json_pack("{s:s, s:s, s:I, s:s}", "change", "describe", "name", step->entry->parent,
		"job", (json_int_t)step->job, "description", step->entry->server.description),
	    error);
}

static int
start_supervisor(struct applying *applying, const struct plan_step *step, struct error *error)
{
	return change(applying, step, "start", json_object(), error);
}

static int
add_server(struct applying *applying, const struct plan_step *step, struct error *error)
{
	return start_server(applying, step, false, error);
}

static int
start_server_now(struct applying *applying, const struct plan_step *step, struct error *error)
{
	return start_server(applying, step, true, error);
}

static int
replace_server(struct applying *applying, const struct plan_step *step, struct error *error)
{
	if (stop_server(applying, step, error) == -1)
		return -1;
	return start_server(applying, step, step->is_awaited, error);
}

static const struct {
	const char *name; /* in JSON */
	int (*carry_out)(struct applying *applying, const struct plan_step *step,
	    struct error *error);
} kinds[PLAN_KIND_COUNT] = {
	[PLAN_ADD_SUPERVISOR] = { "add_supervisor", add_supervisor },
	[PLAN_SET_SUPERVISOR] = { "set_supervisor", set_supervisor },
	[PLAN_ADD_SERVER] = { "add", add_server },
	[PLAN_START_SERVER] = { "add", start_server_now },
	[PLAN_REPLACE_SERVER] = { "replace", replace_server },
	[PLAN_ADOPT_SERVER] = { "adopt", adopt_server },
	[PLAN_ORDER] = { "order", order_children },
	[PLAN_START_SUPERVISOR] = { "start_supervisor", start_supervisor },
	[PLAN_REMOVE_SERVER] = { "remove", remove_server },
	[PLAN_REMOVE_SUPERVISOR] = { "remove_supervisor", remove_supervisor },
};

/* ---- told ---- */

static void
print_step(const struct invocation *invocation, const struct plan_step *step)
{
	char *words = plan_words(step);

	if (invocation->wants_json)
		row_json_print(json_pack("{s:s, s:s, s:s?}", "action", kinds[step->kind].name,
		    "name", step->name, "what", step->what));
	else
		puts(words);
	fflush(stdout);
	free(words);
}

static int
run_plan(struct applying *applying, const struct plan *plan, bool is_dry_run)
{
	struct error error;
	int status = STATUS_OK;

	if (!is_dry_run && plan->count > 0)
		status = client_connect(applying->invocation, &applying->connection);
	for (size_t i = 0; i < plan->count && status == STATUS_OK; i++) {
		if (!is_dry_run && kinds[plan->steps[i].kind].carry_out(
					applying, &plan->steps[i], &error) == -1)
			status = cli_fail(&error);
		else
			print_step(applying->invocation, &plan->steps[i]);
	}
	if (!is_dry_run && plan->count > 0)
		client_close(&applying->connection);
	for (size_t i = 0; i < plan->remark_count; i++)
		cli_complain(0, "%s", plan->remarks[i]);
	return status;
}

static int
apply(struct applying *applying)
{
	struct invocation *invocation = applying->invocation;
	struct query *query = NULL;
	struct plan plan = { 0 };
	struct error error;
	int status, result = read_manifest(applying, invocation->arguments[0], &error);

	if (result == 0) {
		query = database_open(invocation->state, &error);
		if (query == NULL && error.code == STATUS_NOT_FOUND)
			query = query_open_empty(&error);
		result = query != NULL ? 0 : -1;
	}
	if (result == 0)
		result = plan_make(&plan, query, &applying->manifest, applying->descriptions,
		    applying->path, option_is_given(invocation, "prune"), &error);
	query_close(query);
	status = result == 0
	    ? run_plan(applying, &plan, option_is_given(invocation, "dry-run"))
	    : cli_fail(&error);
	plan_done(&plan);
	return status;
}

int
verb_apply(struct invocation *invocation)
{
	struct applying applying = { .invocation = invocation };
	int status;

	submission_init(&applying.submission, invocation);
	status = apply(&applying);
	applying_done(&applying);
	return status;
}
