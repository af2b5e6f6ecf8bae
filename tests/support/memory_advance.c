/* memory_advance: what happens to jobs and their attempts, in the memory store. */

#include "base/xalloc.h"
#include "memory_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct lifecycle_job
rules_of(const struct memory_job *job)
{
	struct lifecycle_job rules = {
		.status = job->status,
		.failures = job->failures,
		.retry = job->spec->retry,
	};

	if (!job->spec->has_backoff) {
		rules.retry.backoff = retry_default.backoff;
		rules.retry.base_ms = retry_default.base_ms;
		rules.retry.cap_ms = retry_default.cap_ms;
	}
	return rules;
}

/* Write what the rules said about something that happened so long ago. */
static void
apply(struct memory_store *store, struct memory_job *job,
    const struct lifecycle_verdict *verdict, int64_t age_ms, struct reason reason,
    const char *detail)
{
	job->status = verdict->next;
	job->failures = verdict->failures;
	job->wake_at = job->wake_boot = NEVER;
	if (verdict->actions & ACTION_PAUSE) {
		job->wake_at = store->now.ms - age_ms + verdict->pause_ms;
		job->wake_boot = store->boot_now.ms - age_ms + verdict->pause_ms;
	}
	job->ended_at = verdict->actions & ACTION_END ? store->now.ms - age_ms : NEVER;
	if (verdict->actions & ACTION_END)
		job->hold = HOLD_NONE;
	job->reason = reason;
	job->detail = memory_keep(store, detail);
}

/* ---- jobs that wait for others ---- */

static void check_one(struct memory_store *store, int64_t id);

/* Those that wait for this one, the last first. */
static void
check_dependents(struct memory_store *store, int64_t id)
{
	for (size_t i = store->state.dependency_count; i-- > 0;) {
		const struct memory_dependency *dependency =
		    &store->state.dependencies[i];

		if (dependency->on == id)
			check_one(store, dependency->job);
	}
}

static void
settle_end(struct memory_store *store, int64_t id, enum job_status status,
    struct reason reason)
{
	batch_add_ended(store->batch, id, status, reason);
	check_dependents(store, id);
}

static void
cancel_for(
    struct memory_store *store, struct memory_job *job, const struct memory_job *on)
{
	const struct reason reason = { .kind = REASON_DEPENDENCY };
	struct lifecycle_job rules = rules_of(job);
	struct lifecycle_verdict verdict;
	int64_t id = job->id;
	char why[64];

	snprintf(why, sizeof(why), "job %" PRId64 " %s%s", on->id,
	    on->status == JOB_CANCELLED ? "was " : "", job_status_name(on->status));
	if (lifecycle_decide(&rules, JOB_DEPENDENCY_FAILED, 0, &verdict) == -1)
		return;
	apply(store, job, &verdict, 0, reason, why);
	memory_add_event(store, id, 0, "cancelled", why);
	settle_end(store, id, verdict.next, reason);
}

/* The first by id that this one waits for in vain; *ret_waits if one is live still. */
static struct memory_job *
find_bad(struct memory_store *store, int64_t id, bool *ret_waits)
{
	struct memory_job *bad = NULL;

	*ret_waits = false;
	for (size_t i = 0; i < store->state.dependency_count; i++) {
		const struct memory_dependency *dependency =
		    &store->state.dependencies[i];
		struct memory_job *on = memory_find_job(store, dependency->on);

		if (dependency->job != id || on == NULL)
			continue;
		if (job_status_is_live(on->status))
			*ret_waits = true;
		else if (dependency->kind == DEPENDENCY_DONE && on->status != JOB_DONE &&
		    (bad == NULL || on->id < bad->id))
			bad = on;
	}
	return bad;
}

static void
check_one(struct memory_store *store, int64_t id)
{
	struct memory_job *job = memory_find_job(store, id), *bad;
	bool waits;

	if (job == NULL || job->hold != HOLD_DEPENDENCY ||
	    !job_status_is_live(job->status))
		return;
	bad = find_bad(store, id, &waits);
	if (bad != NULL)
		cancel_for(store, job, bad);
	else if (!waits) {
		job->hold = HOLD_NONE;
		store->batch->released++;
	}
}

void
memory_check_dependencies(struct memory_store *store, int64_t job)
{
	check_one(store, job);
}

/* ---- attempts ---- */

/* The open attempt of this key, else STALE. */
static struct memory_attempt *
find_attempt(struct memory_store *store, const struct attempt_key *key, struct step *step)
{
	struct memory_attempt *attempt = memory_find_open(store, key->job);

	if (attempt != NULL && attempt->key.attempt == key->attempt &&
	    attempt->key.generation == key->generation)
		return attempt;
	step->answer = STEP_STALE;
	return NULL;
}

void
memory_step_started(struct memory_store *store, struct step *step)
{
	struct memory_attempt *attempt = find_attempt(store, &step->started.key, step);
	struct memory_job *job;

	if (attempt != NULL && attempt->started_at != NEVER)
		step->answer = STEP_STALE;
	if (step->answer == STEP_STALE)
		return;
	attempt->started_at = store->now.ms - step->started.age_ms;
	attempt->pid = step->started.pid;
	attempt->pid_start = step->started.pid_start;
	job = memory_find_job(store, attempt->key.job);
	job->status = JOB_RUNNING;
	job->hold = HOLD_NONE;
	memory_add_event(store, job->id, attempt->key.attempt, "started", NULL);
}

/*
 * The first wish to end it counts, but a cancel is more than any other, and a shutdown in words
 * more than one without.
 */
static void
stop(struct memory_attempt *attempt, struct reason reason)
{
	bool is_in_words = reason.kind == REASON_SHUTDOWN && reason.own[0] != '\0' &&
	    attempt->stop.kind == REASON_SHUTDOWN && attempt->stop.own[0] == '\0';

	if (attempt->stop.kind == REASON_NONE || reason.kind == REASON_CANCELLED || is_in_words)
		attempt->stop = reason;
}

void
memory_step_stopping(struct memory_store *store, struct step *step)
{
	struct memory_attempt *attempt = find_attempt(store, &step->stopping.key, step);

	if (attempt != NULL)
		stop(attempt, step->stopping.reason);
}

/* What is recorded as the reason of an attempt that ended so, with this stop wished. */
static struct reason
final_reason(struct reason seen, struct reason wished)
{
	if (wished.kind == REASON_CANCELLED)
		return wished;
	if (wished.kind == REASON_NONE || reason_is_loss(seen) ||
	    seen.kind == REASON_NORMAL)
		return seen;
	return wished;
}

static int
count_losses(const struct memory_store *store, const struct memory_attempt *attempt)
{
	int losses = 0;

	for (int64_t number = attempt->key.attempt - 1; number > 0; number--) {
		for (size_t i = 0; i < store->state.attempt_count; i++) {
			const struct memory_attempt *other = &store->state.attempts[i];

			if (other->key.job != attempt->key.job ||
			    other->key.attempt != number)
				continue;
			if (!reason_is_loss(other->reason))
				return losses;
			losses++;
		}
	}
	return losses;
}

static void
add_end_events(struct memory_store *store, const struct step *step, enum job_event event,
    int64_t failures_before)
{
	int64_t job = step->ended.key.job, attempt = step->ended.key.attempt;
	struct reason reason = step->ended.end.reason;
	char words[128];

	reason_words(words, sizeof(words), reason, 0);
	if (event == JOB_SUCCEEDED)
		memory_add_event(store, job, attempt, "completed", NULL);
	else if (event == JOB_STOPPED)
		memory_add_event(store, job, attempt, "cancelled", NULL);
	else if (reason_is_loss(reason))
		memory_add_event(store, job, attempt, "lost", words);
	else if (reason_is_stop(reason))
		memory_add_event(store, job, attempt, "interrupted", words);
	else
		memory_add_event(store, job, attempt,
		    failures_before > 0 ? "retry failed" : "errored", words);
	if (step->ended.end.children_killed > 0) {
		snprintf(words, sizeof(words), "%" PRId64 " left running",
		    step->ended.end.children_killed);
		memory_add_event(store, job, attempt, "children killed", words);
	}
	if (step->ended.ret_status == JOB_FAILED)
		memory_add_event(store, job, attempt, "failed", NULL);
}

static void
write_end(
    struct memory_store *store, struct memory_attempt *attempt, const struct step *step)
{
	attempt->ended_at = store->now.ms - step->ended.age_ms;
	attempt->end = step->ended.end;
	attempt->reason = step->ended.end.reason;
	attempt->end.last_lines = memory_keep(store, step->ended.end.last_lines);
	if (reason_is_loss(attempt->reason)) {
		attempt->end.exit_code = NEVER;
		attempt->end.signal = 0;
	}
}

void
memory_step_ended(struct memory_store *store, struct step *step)
{
	struct memory_attempt *attempt = find_attempt(store, &step->ended.key, step);
	struct memory_job *job;
	struct lifecycle_job rules;
	struct lifecycle_verdict verdict;
	struct reason reason;
	enum job_event event;

	if (attempt == NULL)
		return;
	job = memory_find_job(store, attempt->key.job);
	reason = final_reason(step->ended.end.reason, attempt->stop);
	if (step->ended.started.pid != 0 && attempt->started_at == NEVER) {
		attempt->started_at = store->now.ms - step->ended.started.age_ms;
		attempt->pid = step->ended.started.pid;
		job->status = JOB_RUNNING;
		job->hold = HOLD_NONE;
		memory_add_event(store, job->id, attempt->key.attempt, "started", NULL);
	}
	if (reason.kind == REASON_NORMAL)
		job->status = JOB_RUNNING; /* whether or not anybody said so before */
	rules = rules_of(job);
	rules.losses_in_a_row = count_losses(store, attempt);
	event = lifecycle_classify_end(&rules, reason);
	if (lifecycle_decide(&rules, event, step->ended.random, &verdict) == -1)
		abort(); /* nobody but us writes here */
	step->ended.end.reason = reason;
	step->ended.ret_counts = (verdict.actions & ACTION_COUNT) != 0;
	step->ended.ret_status = verdict.next;
	step->ended.ret_failures = verdict.failures;
	step->ended.ret_max_retries = rules.retry.max_retries;
	step->ended.ret_pause_ms = verdict.pause_ms;
	step->ended.ret_timeout_ms =
	    job->spec->timeout_ms != SPEC_UNSET ? job->spec->timeout_ms : 0;
	write_end(store, attempt, step);
	apply(store, job, &verdict, step->ended.age_ms, (struct reason){ 0 }, NULL);
	add_end_events(store, step, event, rules.failures);
	if (verdict.actions & ACTION_END)
		settle_end(store, job->id, verdict.next, reason);
}

/* ---- what people ask for ---- */

static void
release(struct memory_store *store, struct memory_job *job)
{
	job->hold = HOLD_NONE;
	for (size_t i = 0; i < store->state.dependency_count; i++) {
		if (store->state.dependencies[i].job == job->id)
			job->hold = HOLD_DEPENDENCY;
	}
	check_one(store, job->id);
}

bool
memory_apply_event(struct memory_store *store, int64_t id, enum job_event event,
    struct reason reason, const char *detail)
{
	static const char *const words[JOB_EVENT_COUNT] = {
		[JOB_CANCEL] = "cancelled",
		[JOB_RETRY] = "retry asked for",
		[JOB_HOLD] = "held",
		[JOB_RELEASE] = "released",
		[JOB_REFUSED] = "failed",
	};
	struct memory_job *job = memory_find_job(store, id);
	struct lifecycle_job rules = rules_of(job);
	struct lifecycle_verdict verdict;

	if (lifecycle_decide(&rules, event, 0, &verdict) == -1)
		return false;
	if (verdict.actions & ACTION_HOLD)
		job->hold = HOLD_USER;
	if (verdict.actions & ACTION_END)
		apply(store, job, &verdict, 0, reason, detail);
	if (verdict.actions & (ACTION_WAKE | ACTION_REVIVE))
		apply(store, job, &verdict, 0, (struct reason){ 0 }, NULL);
	memory_add_event(store, id, 0, words[event], detail);
	if (verdict.actions & ACTION_UNHOLD)
		release(store, job);
	if (verdict.actions & ACTION_END)
		settle_end(store, id, verdict.next, reason);
	return true;
}

static void
refuse(struct step *step, const struct memory_job *job)
{
	step->answer = STEP_REFUSED;
	step->change.ret_status = job->status;
	error_set(&step->error, STATUS_STATE, "job %" PRId64 " is %s: %s is not possible",
	    job->id, job_status_name(job->status), job_event_name(step->change.event));
}

/* A job with a process, or about to have one. */
static void
change_running(struct memory_store *store, struct memory_job *job,
    struct memory_attempt *attempt, struct step *step)
{
	bool is_hold = step->change.event == JOB_HOLD;

	step->change.ret_attempt = attempt->key;
	if (attempt->started_at == NEVER &&
	    (is_hold || step->change.event == JOB_RELEASE)) {
		job->hold = is_hold ? HOLD_USER : HOLD_NONE;
		memory_add_event(store, job->id, 0, is_hold ? "held" : "released", NULL);
		step->change.ret_must_recall = is_hold;
		step->change.ret_status = job->status;
		return;
	}
	if (step->change.event != JOB_CANCEL) {
		refuse(step, job);
		step->change.ret_status = JOB_RUNNING;
		error_set(&step->error, STATUS_STATE,
		    "job %" PRId64 " is running: %s is not possible", job->id,
		    job_event_name(step->change.event));
		return;
	}
	stop(attempt, (struct reason){ .kind = REASON_CANCELLED });
	step->change.ret_must_stop = true;
	step->change.ret_status = JOB_RUNNING;
}

static bool
has_rival(const struct memory_store *store, const struct memory_job *job)
{
	for (size_t i = 0; i < store->state.job_count; i++) {
		const struct memory_job *other = &store->state.jobs[i];

		if (other != job && job->spec->name != NULL &&
		    other->spec->name != NULL &&
		    strcmp(other->spec->name, job->spec->name) == 0 &&
		    job_status_is_live(other->status))
			return true;
	}
	return false;
}

void
memory_step_change(struct memory_store *store, struct step *step)
{
	struct memory_job *job = memory_find_job(store, step->change.job);
	struct memory_attempt *attempt = memory_find_open(store, step->change.job);

	step->change.ret_must_stop = step->change.ret_must_recall = false;
	step->change.ret_attempt = (struct attempt_key){ 0 };
	if (job == NULL) {
		step->answer = STEP_NOT_FOUND;
		error_set(&step->error, STATUS_NOT_FOUND, "there is no job %" PRId64,
		    step->change.job);
	} else if (attempt != NULL)
		change_running(store, job, attempt, step);
	else if (step->change.event == JOB_RETRY && !job_status_is_live(job->status) &&
	    has_rival(store, job)) {
		step->answer = STEP_REFUSED;
		error_set(&step->error, STATUS_STATE,
		    "already_started: another live job has the name of job %" PRId64,
		    job->id);
	} else if (memory_apply_event(store, job->id, step->change.event,
		       store_change_reason(step->change.event), NULL))
		step->change.ret_status = job->status;
	else
		refuse(step, job);
}
