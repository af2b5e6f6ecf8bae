#ifndef CLI_SELECT_H
#define CLI_SELECT_H

#include "cli/cli.h"
#include "store/query.h"

/*
 * Which jobs a verb is about: ids, names, or the filters --status, --name, --failed; by filter,
 * or if they are wanted in order, in that of their ids, but of several with one name all but the
 * last (or the first that was given) come at the end. Else as they were given.
 */

struct selection {
	int64_t *ids;
	size_t count;
	bool is_by_filter;
};

/* 0, or -1 with *error: no such job, neither ids nor filters, or both. */
int select_jobs(const struct invocation *invocation, bool in_order, struct selection *selection,
    struct error *error);
void selection_done(struct selection *selection);

/*
 * Read --status, --failed, --name (and --type) into a filter. 0, or -1 with *error. *ret_given: was
 * there any?
 */
int select_filter(const struct invocation *invocation, struct job_filter *filter,
    bool *ret_given, struct error *error);

/*
 * The conditions of every --meta, as struct job_filter has them: to be freed, or NULL for none.
 * 0, or -1 with *error.
 */
int select_meta(const struct invocation *invocation, char **ret_conditions,
    struct error *error);

#endif
