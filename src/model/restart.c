/* restart: the restart types of OTP's supervisors. */

#include "model/restart.h"

#include <string.h>

static const char *const names[] = {
	[RESTART_TEMPORARY] = "temporary",
	[RESTART_TRANSIENT] = "transient",
	[RESTART_PERMANENT] = "permanent",
};
_Static_assert(sizeof(names) / sizeof(names[0]) == RESTART_TYPE_COUNT, "all names");

const char *
restart_name(enum restart_type type)
{
	return names[type];
}

int
restart_parse(const char *text, enum restart_type *ret_type)
{
	for (int type = 0; type < RESTART_TYPE_COUNT; type++) {
		if (strcmp(text, names[type]) == 0) {
			*ret_type = type;
			return 0;
		}
	}
	return -1;
}

bool
restart_is_wanted(enum restart_type type, struct reason reason)
{
	return type == RESTART_PERMANENT ||
	    (type == RESTART_TRANSIENT && reason_is_failure(reason));
}
