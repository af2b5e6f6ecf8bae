#ifndef CLI_TRIES_H
#define CLI_TRIES_H

#include "base/buf.h"
#include "store/query.h"

/* How many runs a job had of how many it may have: from a row of query_jobs(). */

/*
 * Runs in its present life: those that counted as failures, and one more that goes on or
 * was its last. Runs that were interrupted or lost use up none.
 */
int64_t tries_of(const struct rows *row);

/* A cell for a table: "2/4" or "2/inf". The column is max_retries. */
void tries_cell(struct buf *out, const struct rows *row, const char *max_retries);

#endif
