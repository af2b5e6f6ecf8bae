/*
 * apply_same: is a server that nobody has applied described as a file has it? Both descriptions
 * are brought into the form in which a client sends one, and compared.
 */

#include "base/text.h"
#include "base/xalloc.h"
#include "cli/apply_making.h"
#include "cli/environment.h"
#include "model/spec_json.h"

#include <stdlib.h>
#include <string.h>

/* What a row's column is as an option. A new option of servers has a row here. */
static const struct {
	const char *column, *option;
	enum { AS_IT_IS, DURATION, FLAG } kind;
} columns[] = {
	{ "command", "command", AS_IT_IS },
	{ "name", "name", AS_IT_IS },
	{ "kind", "kind", AS_IT_IS },
	{ "type", "type", AS_IT_IS },
	{ "priority", "priority", AS_IT_IS },
	{ "cwd", "cwd", AS_IT_IS },
	{ "umask", "umask", AS_IT_IS },
	{ "timeout_ms", "timeout", DURATION },
	{ "grace_ms", "grace", DURATION },
	{ "max_output", "max-output", AS_IT_IS },
	{ "log_rotate", "log-rotate", AS_IT_IS },
	{ "leave_children", "leave-children", FLAG },
	{ "restart", "restart", AS_IT_IS },
	{ "durable", "durable", FLAG },
	{ "init_timeout_ms", "init-timeout", DURATION },
	{ "restart_delay", "restart-delay", AS_IT_IS },
	{ "significant", "significant", FLAG },
	{ "autostart", "autostart", FLAG },
	{ "plain", "plain", FLAG },
	{ "ready", "ready", AS_IT_IS },
	{ "stop_signal", "stop-signal", AS_IT_IS },
	{ "success_exit", "success-exit", AS_IT_IS },
	{ "watchdog_ms", "watchdog", DURATION },
	{ "groups", "group", AS_IT_IS },
	{ "meta", "meta", AS_IT_IS },
};

static json_t *
option_of(size_t which, json_t *value)
{
	char text[64];

	switch (columns[which].kind) {
	case FLAG:
		return json_boolean(json_integer_value(value) != 0);
	case DURATION:
		return json_string(json_integer_value(value) == SPEC_GRACE_FOR_EVER
			? "infinity"
			: text_format_exact(text, sizeof(text), json_integer_value(value)));
	default:
		return json_incref(value);
	}
}

/* As if it had been asked for with everything that its row says. */
static int
read_row(struct spec *spec, const json_t *row)
{
	json_t *object = json_object(), *redeliveries = json_object_get(row, "max_redeliveries");
	struct error error;
	int result;

	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		json_t *value = json_object_get(row, columns[i].column);

		if (value != NULL && !json_is_null(value))
			json_object_set_new(
			    object, columns[i].option, option_of(i, value));
	}
	if (plan_number(row, "plain") == 0) /* such a one has none, whatever is there */
		json_object_set_new(object, "max-redeliveries",
		    json_is_integer(redeliveries) ? json_incref(redeliveries)
						  : json_string("inf"));
	result = spec_from_json(spec, object, (struct wall){ 0 }, &error);
	json_decref(object);
	return result;
}

/* ---- compared ---- */

static bool
has_item(const struct strings *strings, const char *item)
{
	for (size_t i = 0; i < strings->count; i++) {
		if (strcmp(strings->items[i], item) == 0)
			return true;
	}
	return false;
}

static bool
has_all(const struct strings *strings, const struct strings *others)
{
	for (size_t i = 0; i < others->count; i++) {
		if (!has_item(strings, others->items[i]))
			return false;
	}
	return true;
}

/* What each job has from its caller's environment a file says nothing of. */
static bool
has_same_variables(const struct strings *now, const struct strings *wanted)
{
	for (size_t i = 0; i < now->count; i++) {
		if (!has_item(wanted, now->items[i]) && !environment_is_basic(now->items[i]))
			return false;
	}
	return has_all(now, wanted);
}

static void
set_unless_given(json_t *object, const char *option, int64_t number)
{
	if (json_object_get(object, option) == NULL)
		json_object_set_new(object, option, json_integer(number));
}

/* The rest of it as an object, with what is so unless told otherwise. */
static json_t *
rest_of(const struct spec *spec, bool has_umask)
{
	static const char *const others[] = { "environment", "supervisor", "description", "meta",
		"group" };
	struct error error;
	json_t *object = spec_to_json(spec, &error);

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		json_object_del(object, others[i]);
	if (!has_umask)
		json_object_del(object, "umask");
	json_object_set_new(object, "restart", json_string(restart_name(spec_restart(spec))));
	set_unless_given(object, "max-redeliveries", SPEC_DEFAULT_MAX_REDELIVERIES);
	set_unless_given(object, "priority", SPEC_DEFAULT_PRIORITY);
	return object;
}

static bool
is_same(const struct spec *now, const struct spec *wanted)
{
	bool has_umask = wanted->umask != SPEC_UNSET;
	json_t *one = rest_of(now, has_umask), *other = rest_of(wanted, has_umask);
	bool is = json_equal(one, other) && has_all(&now->meta, &wanted->meta) &&
	    has_all(&wanted->meta, &now->meta) && has_all(&now->groups, &wanted->groups) &&
	    has_all(&wanted->groups, &now->groups);

	json_decref(one);
	json_decref(other);
	return is;
}

bool
plan_is_as_described(const json_t *row, const struct spec *wanted)
{
	const char *variables = plan_text(row, "environment");
	struct strings environment = { 0 };
	struct spec now;
	bool is;

	if (read_row(&now, row) == -1)
		return false;
	is = is_same(&now, wanted) &&
	    (variables == NULL || environment_parse(&environment, variables) == 0) &&
	    has_same_variables(&environment, &wanted->environment);
	strings_done(&environment);
	spec_done(&now);
	return is;
}
