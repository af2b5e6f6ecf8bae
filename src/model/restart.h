#ifndef MODEL_RESTART_H
#define MODEL_RESTART_H

#include "model/reason.h"

#include <stdbool.h>
#include <stdint.h>

/* When a server that has ended is started again. Pure. */

enum restart_type {
	RESTART_TEMPORARY, /* never */
	RESTART_TRANSIENT, /* unless it ended cleanly */
	RESTART_PERMANENT, /* always */
	RESTART_TYPE_COUNT
};

const char *restart_name(enum restart_type type);
int restart_parse(const char *text, enum restart_type *ret_type); /* 0 or -1 */

/* After such an end: normal, shutdown and ignore are clean. */
bool restart_is_wanted(enum restart_type type, struct reason reason);

#endif
