#ifndef CLI_LOGRANGE_H
#define CLI_LOGRANGE_H

#include "base/clock.h"
#include "base/error.h"
#include "store/query.h"

#include <stdint.h>

/* A part of a job's output: from a place in one attempt to the end of another. */
struct log_range {
	const char *state; /* the state directory */
	int64_t job;
	int64_t first, last; /* attempts; first > last: nothing (yet) */
	int64_t at;	     /* where it begins in the first */
};

/* "10min", "14:05" (the last one), RFC 3339 …: since when. 0, or -1 with *error. */
int log_range_parse_since(const char *text, struct wall now, struct wall *ret_since,
    struct error *error);

/* Leave out what was written before. 0, or -1 with *error. */
int log_range_since(struct log_range *range, struct query *query, struct wall since,
    struct error *error);

/* Leave out all but the last lines. */
void log_range_tail(struct log_range *range, int64_t lines);

void log_range_print(const struct log_range *range);

#endif
