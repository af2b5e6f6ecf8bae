#ifndef CLI_SUBJECT_H
#define CLI_SUBJECT_H

#include "cli/cli.h"
#include "cli/why.h"
#include "store/query.h"

/* The one job that a verb is about: its first argument, an id or a name. */
struct subject {
	struct query *query;
	int64_t job;
	struct rows *row; /* of query_jobs(), on the job */
	struct why_now now;
};

/* 0, or -1 with *error: STATUS_NOT_FOUND also where there is no database yet. */
int subject_open(struct subject *subject, const struct invocation *invocation,
    struct error *error);
void subject_close(struct subject *subject);

#endif
