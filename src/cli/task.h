#ifndef CLI_TASK_H
#define CLI_TASK_H

#include "base/error.h"
#include "model/lifecycle.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct invocation;

/* Tasks: jobs whose end gives a value, in the order in which they were asked for. */
struct task {
	int64_t id;
	bool has_ended, has_failed;
	/* task_read(): */
	enum job_status status;
	json_t *value; /* it has one; NULL: none (yet) */
	char *reason;  /* how it ended, as stored; "": it has not */
	char words[256]; /* the same for people */
	bool was_killed; /* with SIGKILL, by us */
};

struct tasks {
	const struct invocation *invocation;
	struct task *list, **by_id;
	size_t count, left; /* … of them have not ended */
	bool has_failed;    /* one has */
	bool stops_at_failure; /* of tasks_wait(): one that fails is an end of waiting */
};

/* The arguments of the verb: ids, or names. 0, or -1 with *error. */
int tasks_find(struct tasks *tasks, const struct invocation *invocation, struct error *error);
void tasks_done(struct tasks *tasks);

/*
 * Wait until all have ended, at most so long (-1: as long as it takes). 1: they have, or one
 * has failed and that is enough; 0: the time has passed; -1 with *error. With nothing running
 * the database says who has ended.
 */
int tasks_wait(struct tasks *tasks, int64_t timeout_ms, struct error *error);

/* What there is of each, and which have ended: all in the database. 0, or -1 with *error. */
int tasks_read(struct tasks *tasks, struct error *error);

/* This job, which may be none of them, or several, has ended. */
void tasks_note_end(struct tasks *tasks, int64_t id, bool has_failed);

/* End those that have not ended; grace_ms -1: each with its own. 0, or -1 with *error. */
int tasks_cancel(const struct tasks *tasks, int64_t grace_ms, struct error *error);

#endif
