#ifndef STORE_QUERY_MAP_H
#define STORE_QUERY_MAP_H

#include "store/query.h"

/*
 * What `jobberd map` has recorded. The job of item 3 of the map `resize` has the name
 * resize:3 and is run by the supervisor `resize`: nothing else says what belongs to it.
 */
struct map_job {
	int64_t id; /* 0: there is none (any more) */
	enum job_status status;
	char *reason;  /* as stored; NULL: none yet */
	char *command; /* a JSON array */
	int64_t attempt;   /* the last one, 0: none yet */
	int64_t exit_code; /* of it, -1: it has none */
	int64_t timeout_ms; /* 0: none */
	int64_t left_out;   /* bytes of its output */
};

void map_job_done(struct map_job *job);

/* Each returns 0, or -1 with *error. */
/* The highest number that an item of this map has, 0: none. */
int query_map_last(struct query *query, const char *map, int64_t *ret_number,
    struct error *error);
/* The newest job of this item. */
int query_map_item(struct query *query, const char *map, int64_t number,
    struct map_job *ret_job, struct error *error);
int query_map_job(struct query *query, int64_t id, struct map_job *ret_job,
    struct error *error);

/* Its live jobs from `after` on, by id, as many as there is room for. */
int query_map_live(struct query *query, const char *map, int64_t after, int64_t *ret_ids,
    size_t room, size_t *ret_count, struct error *error);

#endif
