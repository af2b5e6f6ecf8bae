/*
 * memory_store: a turn on a state that is put back when it does not commit. What jobs
 * point to is kept until the store is closed, so that a copy of the state is a copy of
 * plain arrays.
 */

#include "memory_store.h"
#include "base/xalloc.h"
#include "memory_state.h"

#include <sys/eventfd.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HALF_HOUR_MS 1800000

static void *
copy_array(const void *array, size_t count, size_t size)
{
	void *copy = xcalloc(count, size);

	if (count > 0)
		memcpy(copy, array, count * size);
	return copy;
}

struct memory_state
memory_state_copy(const struct memory_state *state)
{
	struct memory_state copy = *state;

	copy.jobs = copy_array(state->jobs, state->job_count, sizeof(copy.jobs[0]));
	copy.attempts =
	    copy_array(state->attempts, state->attempt_count, sizeof(copy.attempts[0]));
	copy.dependencies = copy_array(
	    state->dependencies, state->dependency_count, sizeof(copy.dependencies[0]));
	copy.events =
	    copy_array(state->events, state->event_count, sizeof(copy.events[0]));
	copy.limits =
	    copy_array(state->limits, state->limit_count, sizeof(copy.limits[0]));
	return copy;
}

void
memory_state_done(struct memory_state *state)
{
	free(state->jobs);
	free(state->attempts);
	free(state->dependencies);
	free(state->events);
	free(state->limits);
}

void *
memory_array_add(void *array, size_t *count, size_t size)
{
	char *grown = xreallocarray(array, *count + 1, size);

	memset(grown + *count * size, 0, size);
	++*count;
	return grown;
}

const char *
memory_keep(struct memory_store *store, const char *text)
{
	if (text == NULL)
		return NULL;
	strings_add(&store->kept, text);
	return store->kept.items[store->kept.count - 1];
}

static char *
copy_of(const char *text)
{
	return text != NULL ? xstrdup(text) : NULL;
}

static struct strings
copy_strings(const struct strings *strings)
{
	struct strings copy = { 0 };

	for (size_t i = 0; i < strings->count; i++)
		strings_add(&copy, strings->items[i]);
	return copy;
}

const struct spec *
memory_keep_spec(struct memory_store *store, const struct spec *spec)
{
	struct spec *copy = xcalloc(1, sizeof(*copy));

	*copy = *spec;
	copy->command = copy_strings(&spec->command);
	copy->environment = copy_strings(&spec->environment);
	copy->environment_requests = copy->environment_files = (struct strings){ 0 };
	copy->name = copy_of(spec->name);
	copy->supervisor =
	    xstrdup(spec->supervisor != NULL ? spec->supervisor : "default");
	copy->type = copy_of(spec->type);
	copy->cwd = copy_of(spec->cwd);
	copy->stdin_path = copy_of(spec->stdin_path);
	copy->dependencies = NULL; /* they are in the state */
	copy->dependency_count = 0;
	store->kept_specs = memory_array_add(
	    store->kept_specs, &store->kept_spec_count, sizeof(store->kept_specs[0]));
	store->kept_specs[store->kept_spec_count - 1] = copy;
	return copy;
}

struct memory_job *
memory_find_job(struct memory_store *store, int64_t id)
{
	for (size_t i = 0; i < store->state.job_count; i++) {
		if (store->state.jobs[i].id == id)
			return &store->state.jobs[i];
	}
	return NULL;
}

struct memory_attempt *
memory_find_open(struct memory_store *store, int64_t job)
{
	for (size_t i = 0; i < store->state.attempt_count; i++) {
		struct memory_attempt *attempt = &store->state.attempts[i];

		if (attempt->key.job == job && attempt->ended_at == NEVER)
			return attempt;
	}
	return NULL;
}

void
memory_add_event(struct memory_store *store, int64_t job, int64_t attempt,
    const char *event, const char *detail)
{
	struct memory_state *state = &store->state;

	state->events = memory_array_add(
	    state->events, &state->event_count, sizeof(state->events[0]));
	state->events[state->event_count - 1] = (struct memory_event){
		.job = job,
		.attempt = attempt,
		.event = memory_keep(store, event),
		.detail = memory_keep(store, detail),
	};
}

/* ---- turns ---- */

/* The injected answer to this call, STORE_OK if there is none. */
static enum store_answer
take_injected(struct memory_store *store, enum memory_call call)
{
	if (store->injected_times[call] == 0)
		return STORE_OK;
	store->injected_times[call]--;
	return store->injected[call];
}

static void
run_steps(struct memory_store *store, struct batch *batch)
{
	store->now = clock_wall();
	store->boot_now = clock_boot();
	store->batch = batch;
	for (size_t i = 0; i < batch->count; i++)
		memory_run_step(store, batch->steps[i]);
	store->batch = NULL;
}

/* Who is told first: what others did. */
static void
tell_foreign(struct memory_store *store, struct batch *batch)
{
	for (size_t i = 0; i < store->foreign_ended_count; i++)
		batch_add_ended(batch, store->foreign_ended[i].job,
		    store->foreign_ended[i].status, store->foreign_ended[i].reason);
}

/* The reopen after this answer says so. */
static enum store_answer
wants_reopen(struct memory_store *store, enum store_answer answer, bool is_kept)
{
	store->must_reopen = true;
	store->reopen_answer = is_kept ? STORE_OK : STORE_ABSENT;
	return answer;
}

static enum store_answer
run_turn(struct memory_store *store, struct batch *batch)
{
	struct memory_state before;
	enum store_answer answer;
	bool in_doubt = store->doubts_next;

	if (store->must_reopen)
		return STORE_UNAVAILABLE;
	if (batch_is_read_only(batch)) {
		run_steps(store, batch);
		return STORE_OK;
	}
	answer = take_injected(store, MEMORY_TURN);
	if (answer == STORE_UNAVAILABLE)
		return wants_reopen(store, answer, false);
	if (answer != STORE_OK)
		return answer;
	before = memory_state_copy(&store->state);
	tell_foreign(store, batch);
	run_steps(store, batch);
	store->doubts_next = false;
	if (in_doubt && !store->keeps_doubtful) {
		memory_state_done(&store->state);
		store->state = before;
		return wants_reopen(store, STORE_IN_DOUBT, false);
	}
	memory_state_done(&before);
	store->foreign_ended_count = 0;
	store->unsynced++;
	return in_doubt ? wants_reopen(store, STORE_IN_DOUBT, true) : STORE_OK;
}

static void
engine_turn(struct store *engine, struct batch *batch,
    void (*done)(void *arg, enum store_answer answer), void *arg)
{
	struct memory_store *store = (struct memory_store *)engine;

	if (store->event_fd == -1) {
		done(arg, run_turn(store, batch));
		return;
	}
	if (store->pending != NULL)
		abort(); /* one turn at a time */
	store->pending = batch;
	store->done = done;
	store->arg = arg;
	eventfd_write(store->event_fd, 1);
}

static int
engine_fd(struct store *engine)
{
	return ((struct memory_store *)engine)->event_fd;
}

static void
engine_step(struct store *engine)
{
	struct memory_store *store = (struct memory_store *)engine;
	struct batch *batch = store->pending;
	eventfd_t count;

	if (batch == NULL || eventfd_read(store->event_fd, &count) == -1)
		return;
	store->pending = NULL;
	store->done(store->arg, run_turn(store, batch));
}

static enum store_answer
engine_sync(struct store *engine)
{
	struct memory_store *store = (struct memory_store *)engine;
	enum store_answer answer = take_injected(store, MEMORY_SYNC);

	if (answer == STORE_OK)
		store->unsynced = 0;
	return answer;
}

static enum store_answer
engine_changed(struct store *engine, bool *ret_changed)
{
	struct memory_store *store = (struct memory_store *)engine;
	enum store_answer answer = take_injected(store, MEMORY_CHANGED);

	if (answer != STORE_OK)
		return answer;
	*ret_changed = store->is_changed;
	store->is_changed = false;
	return STORE_OK;
}

static enum store_answer
engine_reopen(struct store *engine)
{
	struct memory_store *store = (struct memory_store *)engine;
	enum store_answer answer = take_injected(store, MEMORY_REOPEN);

	if (answer != STORE_OK)
		return answer;
	answer = store->reopen_answer;
	store->must_reopen = false;
	store->reopen_answer = STORE_OK;
	store->is_changed = true;
	return answer;
}

static void
engine_close(struct store *engine)
{
	struct memory_store *store = (struct memory_store *)engine;

	for (size_t i = 0; i < store->kept_spec_count; i++) {
		spec_done(store->kept_specs[i]);
		free(store->kept_specs[i]);
	}
	free(store->kept_specs);
	strings_done(&store->kept);
	memory_state_done(&store->state);
	free(store->foreign_ended);
	if (store->event_fd != -1)
		close(store->event_fd);
	free(store);
}

static const struct store_engine memory_engine = {
	.name = "memory",
	.turn = engine_turn,
	.fd = engine_fd,
	.step = engine_step,
	.sync = engine_sync,
	.changed = engine_changed,
	.reopen = engine_reopen,
	.close = engine_close,
};

struct store *
memory_store_new(bool is_late)
{
	static const struct supervisor_limit limits[] = {
		{ .name = "default", .max_children = 4 },
		{ .name = "serial", .max_children = 1 },
		{ .name = "servers", .max_children = -1 },
	};
	struct memory_store *store = xcalloc(1, sizeof(*store));

	store->store.engine = &memory_engine;
	store->event_fd = is_late ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
	store->state.limit_count = sizeof(limits) / sizeof(limits[0]);
	store->state.limits =
	    copy_array(limits, store->state.limit_count, sizeof(limits[0]));
	return &store->store;
}

/* ---- what tests order ---- */

void
memory_store_inject(
    struct store *engine, enum memory_call call, enum store_answer answer, int times)
{
	struct memory_store *store = (struct memory_store *)engine;

	store->injected[call] = answer;
	store->injected_times[call] = times;
}

void
memory_store_doubt_next(struct store *engine, bool is_kept)
{
	struct memory_store *store = (struct memory_store *)engine;

	store->doubts_next = true;
	store->keeps_doubtful = is_kept;
}

enum store_answer
memory_store_foreign_turn(struct store *engine, struct batch *batch)
{
	struct memory_store *store = (struct memory_store *)engine;

	batch_forget_results(batch);
	run_steps(store, batch);
	for (size_t i = 0; i < batch->ended_count; i++) {
		store->foreign_ended = memory_array_add(store->foreign_ended,
		    &store->foreign_ended_count, sizeof(store->foreign_ended[0]));
		store->foreign_ended[store->foreign_ended_count - 1] = batch->ended[i];
	}
	store->is_changed = true;
	return STORE_OK;
}

int64_t
memory_store_unsynced(const struct store *engine)
{
	return ((const struct memory_store *)engine)->unsynced;
}

/* ---- the dump ---- */

static int64_t
half_hours(int64_t ms, struct wall since)
{
	return ms == NEVER ? NEVER : (ms - since.ms + HALF_HOUR_MS / 2) / HALF_HOUR_MS;
}

static const char *
text_or_dash(const char *text)
{
	return text != NULL ? text : "-";
}

static void
dump_job(const struct memory_job *job, struct wall since, struct buf *buf)
{
	static const char *const holds[] = { "-", "user", "dependency" };
	char reason[REASON_TEXT_SIZE];

	buf_addf(buf,
	    "job %" PRId64 " %s hold=%s wake=%" PRId64 " boot=%d failures=%" PRId64
	    " progress=%d text=%s result=%s reason=%s detail=%s ended=%" PRId64 "\n",
	    job->id, job_status_name(job->status), holds[job->hold],
	    half_hours(job->wake_at, since), job->wake_boot != NEVER, job->failures,
	    job->progress < 0 ? -1 : (int)(job->progress * 100),
	    text_or_dash(job->progress_text), text_or_dash(job->result),
	    job->reason.kind != REASON_NONE ? reason_format(reason, job->reason) : "-",
	    text_or_dash(job->detail), half_hours(job->ended_at, since));
}

static void
dump_dependencies(const struct memory_state *state, int64_t job, struct buf *buf)
{
	for (int64_t on = 1; on <= state->last_job; on++) {
		for (size_t i = 0; i < state->dependency_count; i++) {
			const struct memory_dependency *dependency =
			    &state->dependencies[i];

			if (dependency->job == job && dependency->on == on)
				buf_addf(buf, "after %" PRId64 " %s\n", on,
				    dependency->kind == DEPENDENCY_DONE ? "done"
									: "ended");
		}
	}
}

static void
dump_attempts(
    const struct memory_state *state, int64_t job, struct wall since, struct buf *buf)
{
	for (int64_t number = 1; number <= (int64_t)state->attempt_count; number++) {
		for (size_t i = 0; i < state->attempt_count; i++) {
			const struct memory_attempt *a = &state->attempts[i];
			char stop[REASON_TEXT_SIZE], reason[REASON_TEXT_SIZE];
			bool has_ended = a->ended_at != NEVER;

			if (a->key.job != job || a->key.attempt != number)
				continue;
			buf_addf(buf,
			    "attempt %" PRId64 ".%" PRId64 " gen=%" PRId64
			    " started=%" PRId64 " pid=%" PRId64
			    " stop=%s reason=%s exit=%d signal=%d ended=%" PRId64
			    " lines=%s\n",
			    job, number, a->key.generation,
			    half_hours(a->started_at, since), a->pid,
			    reason_format(stop, a->stop),
			    reason_format(reason, a->reason),
			    has_ended ? a->end.exit_code : NEVER, a->end.signal,
			    half_hours(a->ended_at, since),
			    text_or_dash(a->end.last_lines));
		}
	}
}

void
memory_store_dump(const struct store *engine, struct wall since, struct buf *buf)
{
	const struct memory_state *state = &((const struct memory_store *)engine)->state;

	for (int64_t id = 1; id <= state->last_job; id++) {
		for (size_t i = 0; i < state->job_count; i++) {
			if (state->jobs[i].id == id)
				dump_job(&state->jobs[i], since, buf);
		}
		dump_dependencies(state, id, buf);
		dump_attempts(state, id, since, buf);
		for (size_t j = 0; j < state->event_count; j++) {
			if (state->events[j].job == id)
				buf_addf(buf, "event %" PRId64 " %s: %s\n",
				    state->events[j].attempt, state->events[j].event,
				    text_or_dash(state->events[j].detail));
		}
	}
}
