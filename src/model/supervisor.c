/* supervisor: what a supervisor is described with. */

#include "model/supervisor.h"
#include "base/text.h"
#include "model/restart.h"
#include "model/supervision.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const overflow_names[] = {
	[OVERFLOW_WAIT] = "wait",
	[OVERFLOW_REJECT] = "reject",
};
_Static_assert(
    sizeof(overflow_names) / sizeof(overflow_names[0]) == OVERFLOW_COUNT, "all names");

void
supervisor_spec_init(struct supervisor_spec *spec)
{
	*spec = (struct supervisor_spec){
		.max_children = SUPERVISOR_UNSET,
		.overflow = SUPERVISOR_UNSET,
		.rate = SUPERVISOR_UNSET,
		.rate_ms = SUPERVISOR_UNSET,
		.is_paused = SUPERVISOR_UNSET,
		.strategy = SUPERVISOR_UNSET,
		.budget = SUPERVISOR_UNSET,
		.auto_shutdown = SUPERVISOR_UNSET,
		.max_restarts = SUPERVISOR_UNSET,
		.max_seconds = SUPERVISOR_UNSET,
		.restart = SUPERVISOR_UNSET,
		.is_significant = SUPERVISOR_UNSET,
	};
}

const char *
overflow_name(enum overflow overflow)
{
	return overflow_names[overflow];
}

int
overflow_parse(const char *text, int *ret_overflow)
{
	for (int i = 0; i < OVERFLOW_COUNT; i++) {
		if (strcmp(text, overflow_names[i]) == 0) {
			*ret_overflow = i;
			return 0;
		}
	}
	return -1;
}

/* "min" and "h" mean one of them. */
static int
parse_span(const char *text, int64_t *ret_ms)
{
	char one[32];

	if (text[0] >= '0' && text[0] <= '9')
		return text_duration(text, ret_ms);
	if (strlen(text) + 2 > sizeof(one))
		return -1;
	snprintf(one, sizeof(one), "1%s", text);
	return text_duration(one, ret_ms);
}

int
supervisor_parse_rate(const char *text, struct supervisor_spec *spec)
{
	const char *slash = strchr(text, '/');
	char number[16];
	int64_t rate, ms;

	if (strcmp(text, "none") == 0) {
		spec->rate = SUPERVISOR_NONE;
		spec->rate_ms = SUPERVISOR_NONE;
		return 0;
	}
	if (slash == NULL || (size_t)(slash - text) >= sizeof(number))
		return -1;
	memcpy(number, text, (size_t)(slash - text));
	number[slash - text] = '\0';
	if (text_number(number, 1, SUPERVISOR_MOST_RATE, &rate) == -1 ||
	    parse_span(slash + 1, &ms) == -1 || ms < 1)
		return -1;
	spec->rate = rate;
	spec->rate_ms = ms;
	return 0;
}

const char *
supervisor_format_rate(char *buffer, size_t size, int64_t rate, int64_t rate_ms)
{
	char span[64];
	bool is_one; /* "1min", which is said "min" */

	if (rate < 1)
		return "";
	text_format_exact(span, sizeof(span), rate_ms);
	is_one = span[0] == '1' && strpbrk(span + 1, "0123456789") == NULL;
	snprintf(buffer, size, "%" PRId64 "/%s", rate, is_one ? span + 1 : span);
	return buffer;
}

/* ---- one by one, as they are given ---- */

static int
bad(struct error *error, const char *option, const char *value, const char *wanted)
{
	char quoted[80];

	return error_set(error, STATUS_USAGE, "%s: \"%s\" is not %s", option,
	    text_quote(quoted, sizeof(quoted), value), wanted);
}

static int
set_max_children(struct supervisor_spec *spec, const char *value, struct error *error)
{
	if (strcmp(value, "none") == 0)
		spec->max_children = SUPERVISOR_NONE;
	else if (text_number(value, 0, 1000000, &spec->max_children) == -1)
		return bad(error, "max-children", value, "a number from 0 to 1000000 or none");
	return 0;
}

static int
set_overflow(struct supervisor_spec *spec, const char *value, struct error *error)
{
	return overflow_parse(value, &spec->overflow) == 0
	    ? 0
	    : bad(error, "overflow", value, "wait or reject");
}

static int
set_rate(struct supervisor_spec *spec, const char *value, struct error *error)
{
	return supervisor_parse_rate(value, spec) == 0
	    ? 0
	    : bad(error, "rate", value, "COUNT/TIME like 10/min, 1 to 10000, or none");
}

static int
set_parent(struct supervisor_spec *spec, const char *value, struct error *error)
{
	if (!text_is_name(value))
		return bad(error, "parent", value, "a supervisor's name");
	snprintf(spec->parent, sizeof(spec->parent), "%s", value);
	return 0;
}

static int
set_strategy(struct supervisor_spec *spec, const char *value, struct error *error)
{
	return strategy_parse(value, &spec->strategy) == 0
	    ? 0
	    : bad(error, "strategy", value, "one_for_one, one_for_all or rest_for_one");
}

static int
set_budget(struct supervisor_spec *spec, const char *value, struct error *error)
{
	return budget_parse(value, &spec->budget) == 0
	    ? 0
	    : bad(error, "budget", value, "shared or each");
}

static int
set_auto_shutdown(struct supervisor_spec *spec, const char *value, struct error *error)
{
	return auto_shutdown_parse(value, &spec->auto_shutdown) == 0
	    ? 0
	    : bad(error, "auto-shutdown", value, "never, any_significant or all_significant");
}

static int
set_max_restarts(struct supervisor_spec *spec, const char *value, struct error *error)
{
	return text_number(value, 0, 1000000, &spec->max_restarts) == 0
	    ? 0
	    : bad(error, "max-restarts", value, "a number from 0 to 1000000");
}

static int
set_max_seconds(struct supervisor_spec *spec, const char *value, struct error *error)
{
	return text_number(value, 1, 1000000, &spec->max_seconds) == 0
	    ? 0
	    : bad(error, "max-seconds", value, "a number from 1 to 1000000");
}

static int
set_restart(struct supervisor_spec *spec, const char *value, struct error *error)
{
	enum restart_type type;

	if (restart_parse(value, &type) == -1)
		return bad(error, "restart", value, "temporary, transient or permanent");
	spec->restart = type;
	return 0;
}

static int
set_flag(int *flag, const char *name, const char *value, struct error *error)
{
	if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
		return bad(error, name, value, "true or false");
	*flag = strcmp(value, "true") == 0;
	return 0;
}

static int
set_significant(struct supervisor_spec *spec, const char *value, struct error *error)
{
	return set_flag(&spec->is_significant, "significant", value, error);
}

static int
set_paused(struct supervisor_spec *spec, const char *value, struct error *error)
{
	return set_flag(&spec->is_paused, "paused", value, error);
}

static int
set_applied(struct supervisor_spec *spec, const char *value, struct error *error)
{
	if ((value[0] != '/' && strcmp(value, SUPERVISOR_OF_MAP) != 0) ||
	    strlen(value) >= sizeof(spec->applied))
		return bad(error, "applied", value, "a file's absolute path");
	snprintf(spec->applied, sizeof(spec->applied), "%s", value);
	return 0;
}

const struct supervisor_option supervisor_options[] = {
	{ "max-children", "N", false, set_max_children },
	{ "overflow", "WHAT", false, set_overflow },
	{ "rate", "N/TIME", false, set_rate },
	{ "parent", "NAME", true, set_parent },
	{ "strategy", "WHICH", false, set_strategy },
	{ "max-restarts", "N", false, set_max_restarts },
	{ "max-seconds", "N", false, set_max_seconds },
	{ "budget", "WHOSE", false, set_budget },
	{ "auto-shutdown", "WHEN", false, set_auto_shutdown },
	{ "restart", "TYPE", false, set_restart },
	{ "significant", NULL, false, set_significant },
	{ "paused", NULL, false, set_paused },
	{ "applied", "FILE", false, set_applied },
	{ .name = NULL },
};

const struct supervisor_option *
supervisor_option_find(const char *name)
{
	for (const struct supervisor_option *option = supervisor_options; option->name != NULL;
	     option++) {
		size_t i = 0;

		while (name[i] != '\0' && (name[i] == '_' ? '-' : name[i]) == option->name[i])
			i++;
		if (name[i] == '\0' && option->name[i] == '\0')
			return option;
	}
	return NULL;
}

bool
supervisor_is_built_in(const char *name)
{
	return strcmp(name, "default") == 0 || strcmp(name, "serial") == 0 ||
	    strcmp(name, "servers") == 0;
}
