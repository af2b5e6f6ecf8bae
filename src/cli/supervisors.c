/* supervisors: the verb that makes, changes, lists and removes supervisors, the records. */

#include "base/text.h"
#include "cli/cells.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/database.h"
#include "cli/format.h"
#include "cli/row_json.h"
#include "model/supervisor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what there are ---- */

static void
print_places(struct buf *out, const struct rows *row, const void *context)
{
	int64_t places = rows_number(row, "max_children", -1);

	(void)context;
	if (places == -1)
		buf_add_text(out, "any");
	else
		buf_addf(out, "%lld", (long long)places);
}

static void
print_rate(struct buf *out, const struct rows *row, const void *context)
{
	char text[96];

	(void)context;
	buf_add_text(out, supervisor_format_rate(text, sizeof(text),
			      rows_number(row, "rate", 0), rows_number(row, "rate_ms", 0)));
}

static void
print_state(struct buf *out, const struct rows *row, const void *context)
{
	const char *state = rows_text(row, "state");

	(void)context;
	if (strcmp(state, "running") != 0)
		buf_add_text(out, state);
	else
		buf_add_text(out, rows_number(row, "paused", 0) != 0 ? "paused" : "runs");
}

static const struct format_column supervisor_columns[] = {
	{ .name = "name" },
	{ .name = "state", .print = print_state, .flags = FORMAT_IN_JSON },
	{ .name = "places", .print = print_places },
	{ .name = "overflow" },
	{ .name = "rate", .print = print_rate },
	{ .name = "running" },
	{ .name = "ready" },
	{ .name = "new" },
	{ .name = "errored" },
	{ .name = "held" },
	{ .name = NULL },
};

/* Of one: how it supervises, too. */
static const struct format_column all_columns[] = {
	{ .name = "name" },
	{ .name = "state", .print = print_state, .flags = FORMAT_IN_JSON },
	{ .name = "reason" },
	{ .name = "parent" },
	{ .name = "position" },
	{ .name = "places", .print = print_places },
	{ .name = "overflow" },
	{ .name = "rate", .print = print_rate },
	{ .name = "strategy" },
	{ .name = "max_restarts" },
	{ .name = "max_seconds" },
	{ .name = "budget" },
	{ .name = "restart" },
	{ .name = "auto_shutdown" },
	{ .name = "significant" },
	{ .name = "running" },
	{ .name = "ready" },
	{ .name = "new" },
	{ .name = "errored" },
	{ .name = "held" },
	{ .name = NULL },
};

static int
list_supervisors(const struct invocation *invocation, struct rows *rows, struct error *error)
{
	struct format *format = format_open(invocation, supervisor_columns, rows, NULL, error);
	int more = format != NULL ? 0 : -1;

	while (format != NULL && (more = rows_next(rows, error)) == 1)
		format_row(format, rows);
	format_close(format);
	return more == -1 ? cli_fail(error) : STATUS_OK;
}

static void
print_json(const struct rows *row)
{
	json_t *object = row_json(row);
	struct buf state = { 0 };

	print_state(&state, row, NULL);
	json_object_set_new(object, "state", json_string(buf_text(&state)));
	buf_done(&state);
	row_json_print(object);
}

static int
show_supervisor(const struct invocation *invocation, struct rows *rows, struct error *error)
{
	const char *name = invocation->arguments[1];
	int more;

	while ((more = rows_next(rows, error)) == 1) {
		if (strcmp(rows_text(rows, "name"), name) != 0)
			continue;
		if (invocation->wants_json)
			print_json(rows);
		else
			format_lines(all_columns, rows, NULL);
		return STATUS_OK;
	}
	return more == -1
	    ? cli_fail(error)
	    : cli_complain(STATUS_NOT_FOUND, "there is no supervisor %s", name);
}

static int
read_supervisors(const struct invocation *invocation,
    int (*print)(const struct invocation *invocation, struct rows *rows, struct error *error))
{
	struct error error;
	struct query *query = database_open(invocation->state, &error);
	struct rows *rows = query != NULL ? query_supervisors(query, &error) : NULL;
	int status = rows != NULL ? print(invocation, rows, &error) : cli_fail(&error);

	rows_close(rows);
	query_close(query);
	return status;
}

static int
do_list(struct invocation *invocation)
{
	return read_supervisors(invocation, list_supervisors);
}

static int
do_show(struct invocation *invocation)
{
	return read_supervisors(invocation, show_supervisor);
}

/* ---- what becomes of them ---- */

static int
ask(const struct invocation *invocation, const char *change, json_t *more)
{
	struct client_connection connection;
	int status = client_connect(invocation, &connection);
	json_t *params = json_pack("{s:s, s:s}", "change", change, "name",
	    invocation->arguments[1]);
	json_t *result;
	struct error error;

	json_object_update(params, more);
	json_decref(more);
	if (status != STATUS_OK) {
		json_decref(params);
		return status;
	}
	result = client_call(&connection, "supervisor", params, NULL, &error);
	client_close(&connection);
	if (result == NULL)
		return cli_fail(&error);
	json_decref(result);
	return STATUS_OK;
}

/* The options that describe one. 0, or a status after it has been said what is wrong. */
static int
read_description(const struct invocation *invocation, json_t *ret)
{
	struct supervisor_spec spec;
	struct error error;

	supervisor_spec_init(&spec);
	for (const struct supervisor_option *option = supervisor_options; option->name != NULL;
	     option++) {
		const char *value = option_value(invocation, option->name);

		if (option->argument == NULL && option_is_given(invocation, option->name))
			value = "true";
		if (value == NULL)
			continue;
		if (option->set(&spec, value, &error) == -1)
			return cli_fail(&error);
		json_object_set_new(ret, option->name, json_string(value));
	}
	return 0;
}

static int
describe(const struct invocation *invocation, const char *change)
{
	json_t *description = json_object();
	int status = read_description(invocation, description);

	if (status != 0) {
		json_decref(description);
		return status;
	}
	return ask(invocation, change, description);
}

static int
do_add(struct invocation *invocation)
{
	return describe(invocation, "add");
}

static int
do_set(struct invocation *invocation)
{
	if (invocation->given_count == 0)
		return cli_complain(
		    STATUS_USAGE, "supervisor set: wants an option that describes it");
	if (option_is_given(invocation, "parent"))
		return cli_complain(STATUS_USAGE,
		    "supervisor set: a supervisor stays beneath the parent that it was made with");
	return describe(invocation, "set");
}

static int
do_start(struct invocation *invocation)
{
	return ask(invocation, "start", NULL);
}

static int
do_stop(struct invocation *invocation)
{
	return ask(invocation, "stop", NULL);
}

static int
do_restart(struct invocation *invocation)
{
	int status = do_stop(invocation);

	return status == STATUS_OK ? do_start(invocation) : status;
}

static int
do_pause(struct invocation *invocation)
{
	return ask(invocation, "set", json_pack("{s:b}", "paused", true));
}

static int
do_resume(struct invocation *invocation)
{
	return ask(invocation, "set", json_pack("{s:b}", "paused", false));
}

static int
do_drain(struct invocation *invocation)
{
	return ask(invocation, "drain", NULL);
}

static int
do_remove(struct invocation *invocation)
{
	return ask(invocation, "remove", NULL);
}

/* ---- the verb ---- */

static const struct action {
	const char *name;
	bool has_name, takes_description;
	int (*run)(struct invocation *invocation);
} actions[] = {
	{ "list", false, false, do_list },
	{ "show", true, false, do_show },
	{ "add", true, true, do_add },
	{ "set", true, true, do_set },
	{ "pause", true, false, do_pause },
	{ "resume", true, false, do_resume },
	{ "drain", true, false, do_drain },
	{ "start", true, false, do_start },
	{ "stop", true, false, do_stop },
	{ "restart", true, false, do_restart },
	{ "rm", true, false, do_remove },
};

/* The option that this action has no use for, or NULL. */
static const char *
superfluous(const struct invocation *invocation, const struct action *action)
{
	for (size_t i = 0; i < invocation->given_count; i++) {
		const char *name = invocation->given[i].option->name;
		bool describes = supervisor_option_find(name) != NULL;

		if (describes ? !action->takes_description : action->run != do_list)
			return name;
	}
	return NULL;
}

int
verb_supervisor(struct invocation *invocation)
{
	const char *word = invocation->arguments[0];
	const struct action *action = NULL;

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(actions[i].name, word) == 0)
			action = &actions[i];
	}
	if (action == NULL)
		return cli_complain(STATUS_USAGE, "supervisor: \"%s\" is none of list, show, add, "
		    "set, pause, resume, drain, start, stop, restart and rm", word);
	if (invocation->argument_count != (action->has_name ? 2 : 1))
		return cli_complain(STATUS_USAGE, "supervisor %s: wants %s", word,
		    action->has_name ? "one NAME" : "no NAME");
	if (superfluous(invocation, action) != NULL)
		return cli_complain(STATUS_USAGE, "supervisor %s: has no option --%s", word,
		    superfluous(invocation, action));
	return action->run(invocation);
}
