/* apply_settings: what of a supervisor's settings is not as a file describes it. */

#include "cli/apply_plan.h"
#include "model/spec_json.h"

#include <string.h>

static const struct {
	const char *option, *column, *otherwise;
} settings[] = {
	{ "max-children", "max_children", "none" },
	{ "overflow", "overflow", "wait" },
	{ "rate", NULL, "none" },
	{ "strategy", "strategy", "one_for_one" },
	{ "max-restarts", "max_restarts", "3" },
	{ "max-seconds", "max_seconds", "5" },
	{ "budget", "budget", "shared" },
	{ "restart", "restart", "permanent" },
	{ "auto-shutdown", "auto_shutdown", "never" },
	{ "significant", "significant", "false" },
};
#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

static const json_t *
given(const struct manifest_entry *entry, const char *option)
{
	const char *key;
	json_t *value;

	json_object_foreach(entry->object, key, value) {
		const struct supervisor_option *row = supervisor_option_find(key);

		if (row != NULL && strcmp(row->name, option) == 0)
			return value;
	}
	return NULL;
}

static const char *
present_text(const json_t *row, size_t which, char *buffer, size_t size)
{
	const json_t *value;

	if (settings[which].column == NULL) {
		const char *rate = supervisor_format_rate(buffer, size,
		    json_integer_value(json_object_get(row, "rate")),
		    json_integer_value(json_object_get(row, "rate_ms")));

		return rate[0] != '\0' ? rate : "none";
	}
	value = json_object_get(row, settings[which].column);
	if (strcmp(settings[which].option, "significant") == 0)
		return json_integer_value(value) != 0 ? "true" : "false";
	return option_text(value, "none", buffer, size);
}

static bool
means_the_same(const char *option, const char *one, const char *other)
{
	const struct supervisor_option *row = supervisor_option_find(option);
	struct supervisor_spec a, b;
	struct error error;

	supervisor_spec_init(&a);
	supervisor_spec_init(&b);
	return strcmp(one, other) == 0 ||
	    (row->set(&a, one, &error) == 0 && row->set(&b, other, &error) == 0 &&
		a.rate == b.rate && a.rate_ms == b.rate_ms &&
		strcmp(option, "rate") == 0);
}

/* A supervisor heeds its significant children as long as one of them is. */
static bool
comes_behind_children(const char *option, const char *wanted)
{
	return strcmp(option, "auto-shutdown") == 0 && strcmp(wanted, "never") == 0;
}

json_t *
plan_settings(const struct manifest_entry *entry, const json_t *row, bool is_behind_children,
    struct buf *words)
{
	json_t *result = json_object();
	bool is_built_in = supervisor_is_built_in(entry->name);

	for (size_t i = 0; i < SETTINGS; i++) {
		const char *option = settings[i].option, *wanted, *now;
		const json_t *value = given(entry, option);
		char buffer[96], other[96];

		if (value == NULL && (is_built_in || row == NULL))
			continue; /* as it is, or as a new one is anyway */
		wanted = value != NULL ? option_text(value, "none", buffer, sizeof(buffer))
				       : settings[i].otherwise;
		now = row != NULL ? present_text(row, i, other, sizeof(other)) : "";
		if (row != NULL &&
		    (means_the_same(option, wanted, now) ||
			comes_behind_children(option, wanted) != is_behind_children))
			continue;
		json_object_set_new(result, option, json_string(wanted));
		if (row != NULL)
			buf_addf(words, "%s%s %s -> %s", words->length > 0 ? ", " : "", option,
			    now, wanted);
	}
	return result;
}
