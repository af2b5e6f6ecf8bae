/* spec_json: a job's description to and from JSON, through the setters of spec.c. */

#include "model/spec_json.h"
#include "base/text.h"
#include "base/xalloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
strings_from_json(struct strings *strings, const json_t *array)
{
	size_t index;
	json_t *value;

	if (!json_is_array(array))
		return -1;
	json_array_foreach(array, index, value) {
		if (!json_is_string(value))
			return -1;
		strings_add(strings, json_string_value(value));
	}
	return 0;
}

json_t *
strings_to_json(const struct strings *strings)
{
	json_t *array = json_array();

	for (size_t i = 0; i < strings->count; i++) {
		if (json_array_append_new(array, json_string(strings->items[i])) == -1) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

json_t *
environment_to_json(const struct strings *environment)
{
	json_t *object = json_object();

	for (size_t i = 0; i < environment->count; i++) {
		const char *equals = strchr(environment->items[i], '=');
		char *name;

		if (equals == NULL)
			continue;
		name = xstrndup(environment->items[i], (size_t)(equals - environment->items[i]));
		if (json_object_set_new(object, name, json_string(equals + 1)) == -1) {
			free(name);
			json_decref(object);
			return NULL;
		}
		free(name);
	}
	return object;
}

/* Each request brings its environment: printf would take the most of reading it. */
static char *
assignment(const char *name, const char *value)
{
	size_t length = strlen(name), size = strlen(value) + 1;
	char *text = xmalloc(length + 1 + size);

	memcpy(text, name, length);
	text[length] = '=';
	memcpy(text + length + 1, value, size);
	return text;
}

int
environment_from_json(struct strings *environment, const json_t *object)
{
	const char *name;
	json_t *value;

	if (!json_is_object(object))
		return -1;
	json_object_foreach((json_t *)object, name, value) {
		if (!json_is_string(value) || name[0] == '\0' || strchr(name, '=') != NULL)
			return -1;
		strings_add_owned(environment, assignment(name, json_string_value(value)));
	}
	return 0;
}

int
strings_parse(struct strings *strings, const char *json)
{
	json_t *array = json_loads(json, 0, NULL);
	int result = array != NULL ? strings_from_json(strings, array) : -1;

	json_decref(array);
	return result;
}

int
environment_parse(struct strings *environment, const char *json)
{
	json_t *object = json_loads(json, 0, NULL);
	int result = object != NULL ? environment_from_json(environment, object) : -1;

	json_decref(object);
	return result;
}

const char *
option_text(const json_t *value, const char *null, char *buffer, size_t size)
{
	switch (json_typeof(value)) {
	case JSON_STRING:
		return json_string_value(value);
	case JSON_INTEGER:
		snprintf(buffer, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return buffer;
	case JSON_REAL:
		snprintf(buffer, size, "%.3f", json_real_value(value));
		return buffer;
	case JSON_TRUE:
		return "true";
	case JSON_FALSE:
		return "false";
	case JSON_NULL:
		return null;
	default:
		return NULL;
	}
}

int
option_refuse(struct error *error, const char *text, const json_t *value)
{
	char *at = error != NULL && json_is_real(value) ? strstr(error->text, text) : NULL;
	char quote[32], rest[sizeof(error->text)];
	size_t length;

	if (at == NULL)
		return -1;
	/* 15 digits are what a double keeps of a decimal number: 0.1 is not 0.1000…0001. */
	length = json_dumpb(
	    value, quote, sizeof(quote), JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
	snprintf(rest, sizeof(rest), "%s", at + strlen(text));
	if (length <= sizeof(quote))
		snprintf(at, sizeof(error->text) - (size_t)(at - error->text), "%.*s%s",
		    (int)length, quote, rest);
	return -1;
}

static int
set_from_value(struct spec *spec, const struct spec_option *option, const json_t *value,
    struct wall now, struct error *error)
{
	char buffer[64];
	const char *text = option_text(value, NULL, buffer, sizeof(buffer));

	if (text == NULL)
		return error_set(error, STATUS_USAGE, "%s: wants a string, a number or a boolean",
		    option->name);
	if (option->argument == NULL && !json_is_boolean(value))
		return error_set(error, STATUS_USAGE, "%s: wants true or false", option->name);
	if (option->argument != NULL && json_is_boolean(value) &&
	    strcmp(option->name, "autostart") != 0)
		return error_set(
		    error, STATUS_USAGE, "%s: wants a string or a number", option->name);
	return spec_set(spec, option, text, now, error) == 0 ? 0
							     : option_refuse(error, text, value);
}

/* An option that may be given often, as NAME=VALUE. */
static int
set_assignments(struct spec *spec, const struct spec_option *option, const json_t *object,
    struct error *error)
{
	struct strings assignments = { 0 };
	int result = 0;

	if (environment_from_json(&assignments, object) == -1)
		result = error_set(error, STATUS_USAGE,
		    "%s: wants an object of strings or an array of NAME=VALUE", option->name);
	for (size_t i = 0; result == 0 && i < assignments.count; i++)
		result = spec_set(
		    spec, option, assignments.items[i], (struct wall){ 0 }, error);
	strings_done(&assignments);
	return result;
}

static int
set_key(struct spec *spec, const char *key, const json_t *value, struct wall now,
    struct error *error)
{
	const struct spec_option *option;
	size_t index;
	json_t *item;
	char quoted[80];

	if (strcmp(key, "command") == 0) {
		if (strings_from_json(&spec->command, value) == -1)
			return error_set(
			    error, STATUS_USAGE, "command: wants an array of strings");
		return 0;
	}
	if (strcmp(key, "kind") == 0) {
		const char *kind = json_string_value(value);

		spec->is_server = kind != NULL && strcmp(kind, "server") == 0;
		if (!spec->is_server && (kind == NULL || strcmp(kind, "command") != 0))
			return error_set(error, STATUS_USAGE, "kind: command or server");
		return 0;
	}
	if (strcmp(key, "description") == 0 && json_is_string(value)) {
		free(spec->description);
		spec->description = xstrdup(json_string_value(value));
		return 0;
	}
	if (strcmp(key, "umask") == 0) {
		spec->umask = json_is_integer(value) ? json_integer_value(value) : -1;
		if (spec->umask < 0 || spec->umask > 0777)
			return error_set(
			    error, STATUS_USAGE, "umask: wants a number from 0 to 511");
		return 0;
	}
	if (strcmp(key, "environment") == 0) {
		if (environment_from_json(&spec->environment, value) == -1)
			return error_set(
			    error, STATUS_USAGE, "environment: wants an object of strings");
		return 0;
	}
	option = spec_option_find(key);
	if (option == NULL)
		return error_set(error, STATUS_USAGE, "there is no option \"%s\"",
		    text_quote(quoted, sizeof(quoted), key));
	if (json_is_object(value) &&
	    (strcmp(option->name, "env") == 0 || strcmp(option->name, "meta") == 0))
		return set_assignments(spec, option, value, error);
	if (!json_is_array(value))
		return set_from_value(spec, option, value, now, error);
	json_array_foreach(value, index, item) {
		if (set_from_value(spec, option, item, now, error) == -1)
			return -1;
	}
	return 0;
}

int
spec_from_json(struct spec *spec, const json_t *object, struct wall now, struct error *error)
{
	const char *key;
	json_t *value;

	spec_init(spec);
	if (!json_is_object(object))
		return error_set(error, STATUS_USAGE, "a job is a JSON object");
	json_object_foreach((json_t *)object, key, value) {
		if (set_key(spec, key, value, now, error) == -1)
			goto failed;
	}
	if (spec_check(spec, error) == -1)
		goto failed;
	return 0;
failed:
	spec_done(spec);
	return -1;
}

static void
set_text(json_t *object, const char *key, const char *text)
{
	if (text != NULL)
		json_object_set_new(object, key, json_string(text));
}

static void
set_integer(json_t *object, const char *key, int64_t number)
{
	if (number != SPEC_UNSET)
		json_object_set_new(object, key, json_integer(number));
}

static void
set_ms(json_t *object, const char *key, int64_t ms)
{
	char text[64];

	if (ms != SPEC_UNSET)
		set_text(object, key, text_format_exact(text, sizeof(text), ms));
}

static void
set_dependencies(json_t *object, const struct spec *spec)
{
	for (size_t i = 0; i < spec->dependency_count; i++) {
		const char *key =
		    spec->dependencies[i].kind == DEPENDENCY_DONE ? "after" : "after-any";
		json_t *list = json_object_get(object, key);

		if (list == NULL) {
			list = json_array();
			json_object_set_new(object, key, list);
		}
		json_array_append_new(list,
		    spec->dependencies[i].name != NULL
			? json_string(spec->dependencies[i].name)
			: json_integer(spec->dependencies[i].on));
	}
}

static void
set_service(json_t *object, const struct service *service)
{
	struct buf good = { 0 };
	char text[16];

	json_object_set_new(object, "plain", json_true());
	if (service->ready != READY_EXEC)
		set_text(object, "ready", service_format_ready(text, service));
	if (service->stop_signal != SIGTERM)
		set_text(object, "stop-signal", reason_signal_name(service->stop_signal, text));
	service_format_good_ends(&good, &service->good);
	if (good.length > 0)
		set_text(object, "success-exit", buf_text(&good));
	buf_done(&good);
	set_ms(object, "watchdog", service->watchdog_ms);
}

json_t *
spec_to_json(const struct spec *spec, struct error *error)
{
	json_t *object = json_object(), *command = strings_to_json(&spec->command);
	json_t *environment = NULL;
	char text[80];

	if (command == NULL)
		goto not_utf8;
	json_object_set_new(object, "command", command);
	if (spec->is_server)
		set_text(object, "kind", "server");
	set_text(object, "name", spec->name);
	set_text(object, "supervisor", spec->supervisor);
	set_text(object, "type", spec->type);
	set_text(object, "cwd", spec->cwd);
	set_text(object, "stdin", spec->stdin_path);
	if ((spec->cwd != NULL && json_object_get(object, "cwd") == NULL) ||
	    (spec->stdin_path != NULL && json_object_get(object, "stdin") == NULL))
		goto not_utf8;
	if (spec->is_once)
		json_object_set_new(object, "once", json_true());
	if (spec->leaves_children)
		json_object_set_new(object, "leave-children", json_true());
	if (spec->is_held)
		json_object_set_new(object, "hold", json_true());
	set_integer(object, "priority", spec->priority);
	if (spec->has_max_retries && spec->retry.max_retries == RETRY_FOR_EVER)
		set_text(object, "max-retries", "inf");
	else if (spec->has_max_retries)
		set_integer(object, "max-retries", spec->retry.max_retries);
	if (spec->has_backoff)
		set_text(object, "backoff",
		    retry_format_backoff(text, sizeof(text), &spec->retry));
	if (spec->retry.jitter_percent > 0)
		set_integer(object, "jitter", spec->retry.jitter_percent);
	if (spec->restart != RESTART_TRANSIENT || spec->has_restart)
		set_text(object, "restart", restart_name(spec->restart));
	if (spec->is_durable)
		json_object_set_new(object, "durable", json_true());
	if (spec->has_restart_delay)
		set_text(object, "restart-delay",
		    retry_format_backoff(text, sizeof(text), &spec->restart_delay));
	if (spec->is_significant)
		json_object_set_new(object, "significant", json_true());
	if (spec->is_only_on_demand)
		json_object_set_new(object, "autostart", json_false());
	set_text(object, "description", spec->description);
	set_ms(object, "init-timeout", spec->init_timeout_ms);
	if (spec->max_redeliveries == SPEC_FOR_EVER)
		set_text(object, "max-redeliveries", "inf");
	else
		set_integer(object, "max-redeliveries", spec->max_redeliveries);
	set_integer(object, "pool", spec->pool_size);
	set_integer(object, "max-messages", spec->max_messages);
	set_ms(object, "timeout", spec->timeout_ms);
	if (spec->grace_ms == SPEC_GRACE_FOR_EVER)
		set_text(object, "grace", "infinity");
	else
		set_ms(object, "grace", spec->grace_ms);
	if (spec->is_plain)
		set_service(object, &spec->service);
	set_ms(object, "in", spec->start_in_ms);
	if (spec->start_at.ms != SPEC_UNSET)
		set_text(object, "at", text_format_time(text, sizeof(text), spec->start_at));
	set_integer(object, "max-output", spec->max_output);
	if (spec->log_rotate.bytes > 0)
		set_text(object, "log-rotate",
		    rotation_format(text, sizeof(text), &spec->log_rotate));
	set_integer(object, "umask", spec->umask);
	set_dependencies(object, spec);
	set_text(object, "key", spec->key);
	set_integer(object, "limit", spec->key_limit);
	if (spec->meta.count > 0 &&
	    json_object_set_new(object, "meta", strings_to_json(&spec->meta)) == -1)
		goto not_utf8;
	if (spec->groups.count > 0)
		json_object_set_new(object, "group", strings_to_json(&spec->groups));
	if (spec->environment.count > 0) {
		environment = environment_to_json(&spec->environment);
		if (environment == NULL)
			goto not_utf8;
		json_object_set_new(object, "environment", environment);
	}
	return object;
not_utf8:
	json_decref(object);
	error_set(error, STATUS_USAGE,
	    "an argument, path or variable is not UTF-8; start it with sh -c and printf instead");
	return NULL;
}
