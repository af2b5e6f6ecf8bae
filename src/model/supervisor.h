#ifndef MODEL_SUPERVISOR_H
#define MODEL_SUPERVISOR_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a supervisor, the named record, is described with. Checked here for the client and for
 * the supervisor process. Pure.
 */

enum overflow {
	OVERFLOW_WAIT,	 /* a job for which there is no place waits for one */
	OVERFLOW_REJECT, /* it is refused: so many live jobs and no more */
	OVERFLOW_COUNT
};

#define SUPERVISOR_UNSET (-1) /* as it is, or as a new one is unless told otherwise */
#define SUPERVISOR_NONE (-2)  /* no limit */
#define SUPERVISOR_MOST_RATE 10000

struct supervisor_spec {
	int64_t max_children; /* 0 or more, _NONE or _UNSET */
	int overflow;	      /* enum overflow, or _UNSET */
	int64_t rate;	      /* so many starts …, _NONE or _UNSET */
	int64_t rate_ms;      /* … within this time */
	int is_paused;	      /* 0, 1 or _UNSET */
};

void supervisor_spec_init(struct supervisor_spec *spec); /* everything unset */

const char *overflow_name(enum overflow overflow);
int overflow_parse(const char *text, int *ret_overflow); /* 0 or -1 */

/* "10/min", "3/90s", "none": 0, or -1 with nothing changed. */
int supervisor_parse_rate(const char *text, struct supervisor_spec *spec);
/* "10/min"; "" if there is none. */
const char *supervisor_format_rate(char *buffer, size_t size, int64_t rate, int64_t rate_ms);

/* Is it one that is always there? */
bool supervisor_is_built_in(const char *name);

#endif
