#ifndef SUPPORT_MEMORY_STATE_H
#define SUPPORT_MEMORY_STATE_H

#include "memory_store.h"

/* Between the files of the memory store. */

enum memory_hold { HOLD_NONE, HOLD_USER, HOLD_DEPENDENCY };

#define NEVER (-1) /* a time or number that is not set */

/*
 * All of these are plain values, so that a copy of the arrays is a copy of the state.
 * What they point to is kept by the store until it is closed, and never changed.
 */
struct memory_job {
	int64_t id;
	enum job_status status;
	const struct spec *spec;
	const struct strings *environment; /* NULL: none given */
	enum memory_hold hold;
	int64_t wake_at, wake_boot; /* NEVER; with --at only the first is set */
	int64_t failures;
	double progress; /* NEVER */
	const char *progress_text, *result;
	struct reason reason; /* of an end without an attempt */
	const char *detail;
	int64_t ended_at;
};

struct memory_attempt {
	struct attempt_key key;
	int64_t claimed_at, started_at, ended_at;
	int64_t pid, pid_start;
	struct reason stop, reason;
	struct attempt_end end;
};

struct memory_dependency {
	int64_t job, on;
	enum dependency_kind kind;
};

struct memory_event {
	int64_t job, attempt;
	const char *event, *detail;
};

struct memory_state {
	struct memory_job *jobs;
	struct memory_attempt *attempts;
	struct memory_dependency *dependencies;
	struct memory_event *events;
	struct supervisor_limit *limits;
	size_t job_count, attempt_count, dependency_count, event_count, limit_count;
	int64_t last_job, last_generation;
};

struct memory_store {
	struct store store;
	struct memory_state state;
	int64_t generation;
	struct wall now; /* of the turn under way */
	struct boot boot_now;
	struct batch *batch;

	/* what jobs point to */
	struct strings kept;
	struct spec **kept_specs;
	size_t kept_spec_count;

	/* a late turn: waiting for store_step() */
	int event_fd; /* -1: turns complete at once */
	struct batch *pending;
	void (*done)(void *arg, enum store_answer answer);
	void *arg;

	/* ordered troubles */
	enum store_answer injected[MEMORY_CALL_COUNT];
	int injected_times[MEMORY_CALL_COUNT];
	bool doubts_next, keeps_doubtful;
	enum store_answer reopen_answer; /* STORE_OK: nothing to reopen for */
	bool must_reopen;

	bool is_changed;
	struct ended_job *foreign_ended;
	size_t foreign_ended_count;
	int64_t unsynced;
};

struct memory_state memory_state_copy(const struct memory_state *state);
void memory_state_done(struct memory_state *state);

/* A new zeroed element at the end of an array of `count` elements. */
void *memory_array_add(void *array, size_t *count, size_t size);

/* Copies that stay until the store is closed; NULL stays NULL. */
const char *memory_keep(struct memory_store *store, const char *text);
const struct spec *memory_keep_spec(struct memory_store *store, const struct spec *spec);

struct memory_job *memory_find_job(struct memory_store *store, int64_t id);
struct memory_attempt *memory_find_open(struct memory_store *store, int64_t job);
void memory_add_event(struct memory_store *store, int64_t job, int64_t attempt,
    const char *event, const char *detail);

/* memory_advance.c: what happens to jobs and attempts */
void memory_check_dependencies(struct memory_store *store, int64_t job);
bool memory_apply_event(struct memory_store *store, int64_t job, enum job_event event,
    struct reason reason, const char *detail);
void memory_step_started(struct memory_store *store, struct step *step);
void memory_step_stopping(struct memory_store *store, struct step *step);
void memory_step_ended(struct memory_store *store, struct step *step);
void memory_step_change(struct memory_store *store, struct step *step);

/* memory_steps.c: the others */
void memory_run_step(struct memory_store *store, struct step *step);

#endif
