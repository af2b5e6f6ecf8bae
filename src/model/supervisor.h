#ifndef MODEL_SUPERVISOR_H
#define MODEL_SUPERVISOR_H

#include "base/error.h"
#include "base/text.h"

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

/* Unless told otherwise so many restarts in so long, as OTP has it. */
#define SUPERVISOR_MAX_RESTARTS 3
#define SUPERVISOR_MAX_SECONDS 5

#define SUPERVISOR_APPLIED_SIZE 1024
#define SUPERVISOR_OF_MAP "map" /* as the file: that of a map */

/* Each is a value of its own kind, or _UNSET. */
struct supervisor_spec {
	int64_t max_children; /* 0 or more, or _NONE */
	int overflow;	      /* enum overflow */
	int64_t rate;	      /* so many starts …, or _NONE */
	int64_t rate_ms;      /* … within this time */
	int is_paused;	      /* 0 or 1 */
	char parent[NAME_SIZE]; /* "": the root, or as it is */
	int strategy, budget, auto_shutdown; /* model/supervision.h */
	int64_t max_restarts, max_seconds;
	int restart;	      /* enum restart_type: what its parent does when it has ended */
	int is_significant;   /* 0 or 1 */
	char applied[SUPERVISOR_APPLIED_SIZE]; /* the file that describes it; "": as it is */
};

/* One thing that a supervisor is described with. */
struct supervisor_option {
	const char *name;     /* an option's, a column's with _ for - */
	const char *argument; /* as shown */
	bool is_for_new;      /* not changed later */
	int (*set)(struct supervisor_spec *spec, const char *value, struct error *error);
};

extern const struct supervisor_option supervisor_options[]; /* ends with a NULL name */

void supervisor_spec_init(struct supervisor_spec *spec); /* everything unset */

/* The row of an option; '_' is as good as '-'. NULL if there is none. */
const struct supervisor_option *supervisor_option_find(const char *name);

const char *overflow_name(enum overflow overflow);
int overflow_parse(const char *text, int *ret_overflow); /* 0 or -1 */

/* "10/min", "3/90s", "none": 0, or -1 with nothing changed. */
int supervisor_parse_rate(const char *text, struct supervisor_spec *spec);
/* "10/min"; "" if there is none. */
const char *supervisor_format_rate(char *buffer, size_t size, int64_t rate, int64_t rate_ms);

/* Is it one that is always there? */
bool supervisor_is_built_in(const char *name);

#endif
