#ifndef STORE_QUERY_JOBS_H
#define STORE_QUERY_JOBS_H

#include "store/rows.h"

/* The part of query.h that is about jobs: which ones, in what order, and their rows. */

struct query {
	struct db db;
	struct statements jobs;	 /* query_jobs.c */
	struct statements other; /* query.c */
	struct statements map;	 /* query_map.c, once it was asked */
	struct statements children; /* query_children.c, likewise */
};

int query_jobs_prepare(struct query *query, struct error *error);

#endif
