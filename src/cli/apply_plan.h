#ifndef CLI_APPLY_PLAN_H
#define CLI_APPLY_PLAN_H

#include "base/buf.h"
#include "model/manifest.h"
#include "store/query.h"

/*
 * What is to be done so that there is what a file says: the difference between the two, as
 * steps in the order in which they are done. Nothing is done here.
 */

enum plan_kind {
	PLAN_ADD_SUPERVISOR,	/* it does not run yet */
	PLAN_SET_SUPERVISOR,
	PLAN_ADD_SERVER,	/* beneath one that is to be started, is paused or does not run */
	PLAN_START_SERVER,	/* beneath one that runs: and wait until it does */
	PLAN_REPLACE_SERVER,	/* it is described otherwise: stop it, then as above */
	PLAN_ADOPT_SERVER,	/* it is as described, and counts as that from now on */
	PLAN_ORDER,		/* of a supervisor's children */
	PLAN_START_SUPERVISOR,	/* with its children, and wait for that */
	PLAN_REMOVE_SERVER,
	PLAN_REMOVE_SUPERVISOR,
	PLAN_KIND_COUNT
};

/* With which apply stops a server: people have not. */
#define PLAN_STOP_REASON "shutdown:apply"

/* In a server's description: the path of the file that it is from. No option is called so. */
#define PLAN_APPLIED "applied"

struct plan_step {
	enum plan_kind kind;
	char *name;
	const struct manifest_entry *entry; /* NULL: it is not in the file */
	char *what;	/* in words, what differs; or NULL */
	bool is_live;	/* a server that is to be replaced or removed */
	bool is_awaited; /* a replaced one: its supervisor runs, and lets it start */
	bool stays_down; /* likewise: somebody has stopped it */
	int64_t job;	/* a server that is there */
	json_t *order;	/* PLAN_ORDER: an array of names */
	json_t *settings; /* PLAN_ADD_, _SET_SUPERVISOR */
};

struct plan {
	struct plan_step *steps;
	size_t count, room;
	char **remarks; /* what is not as the file says and stays so */
	size_t remark_count;
};

/*
 * `path` is the file's, absolute: with `prunes` what it has described before and does not name
 * any more is removed. `descriptions` has the text of each entry's description, NULL for a
 * supervisor's. 0, or -1 with *error.
 */
int plan_make(struct plan *plan, struct query *query, const struct manifest *manifest,
    char *const *descriptions, const char *path, bool prunes, struct error *error);
void plan_done(struct plan *plan);

/*
 * What is to be set so that a supervisor is as described, an object; `words` say what differs
 * (apply_settings.c). `row` NULL: there is none yet. Some is to be set when its children are as
 * described: all else without `is_behind_children`, only this with it.
 */
json_t *plan_settings(const struct manifest_entry *entry, const json_t *row,
    bool is_behind_children, struct buf *words);

/* "~ shop/db: command", to be freed. */
char *plan_words(const struct plan_step *step);

#endif
