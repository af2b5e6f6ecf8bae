/* supervisor: what a supervisor is described with. */

#include "model/supervisor.h"
#include "base/text.h"

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
	*spec = (struct supervisor_spec){ SUPERVISOR_UNSET, SUPERVISOR_UNSET, SUPERVISOR_UNSET,
		SUPERVISOR_UNSET, SUPERVISOR_UNSET };
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

bool
supervisor_is_built_in(const char *name)
{
	return strcmp(name, "default") == 0 || strcmp(name, "serial") == 0 ||
	    strcmp(name, "servers") == 0;
}
