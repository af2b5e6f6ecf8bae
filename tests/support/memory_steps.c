/* memory_steps: the memory store's steps but those of memory_advance.c. */

#include "base/xalloc.h"
#include "memory_state.h"
#include "model/spec_json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAKE_AT_ONCE 1000

static void
step_generation(struct memory_store *store, struct step *step)
{
	if (step->generation.end_reason != NULL)
		return;
	store->generation = ++store->state.last_generation;
	step->generation.ret_generation = store->generation;
}

static void
step_open(struct memory_store *store, struct step *step)
{
	step->open.ret_attempts =
	    xcalloc(store->state.attempt_count, sizeof(step->open.ret_attempts[0]));
	for (size_t i = 0; i < store->state.attempt_count; i++) {
		const struct memory_attempt *attempt = &store->state.attempts[i];
		const struct spec *spec;
		struct open_attempt *open;

		if (attempt->ended_at != NEVER)
			continue;
		spec = memory_find_job(store, attempt->key.job)->spec;
		open = &step->open.ret_attempts[step->open.ret_count++];
		*open = (struct open_attempt){
			.key = attempt->key,
			.is_started = attempt->started_at != NEVER,
			.pid = attempt->pid,
			.pid_start = attempt->pid_start,
			.is_same_boot = true,
			.age_ms = store->now.ms -
			    (attempt->started_at != NEVER ? attempt->started_at
							  : attempt->claimed_at),
			.stop = attempt->stop,
			.timeout_ms = spec->timeout_ms,
			.grace_ms = spec->grace_ms != SPEC_UNSET ? spec->grace_ms
								 : SPEC_DEFAULT_GRACE_MS,
			.max_output = spec->max_output != SPEC_UNSET
			    ? spec->max_output
			    : SPEC_DEFAULT_MAX_OUTPUT,
			.log_rotate = spec->log_rotate,
			.leaves_children = spec->leaves_children,
		};
		if (open->age_ms < 0)
			open->age_ms = 0;
		snprintf(
		    open->supervisor, sizeof(open->supervisor), "%s", spec->supervisor);
	}
}

/* ---- submit ---- */

static void
refuse_submit(struct step *step, size_t which, int code, const char *words)
{
	error_set(&step->error, code, "%s", words);
	step->answer = STEP_REFUSED;
	step->submit.ret_bad = which;
}

static struct memory_job *
find_live_name(struct memory_store *store, const char *name)
{
	for (size_t i = 0; i < store->state.job_count; i++) {
		struct memory_job *job = &store->state.jobs[i];

		if (job_status_is_live(job->status) && job->spec->name != NULL &&
		    strcmp(job->spec->name, name) == 0)
			return job;
	}
	return NULL;
}

static struct memory_job *
find_namesake(struct memory_store *store, const struct spec *spec)
{
	for (size_t i = 0; i < store->state.job_count; i++) {
		struct memory_job *job = &store->state.jobs[i];

		if (job->spec->name != NULL && strcmp(job->spec->name, spec->name) == 0 &&
		    strcmp(spec_supervisor(job->spec), spec_supervisor(spec)) == 0)
			return job;
	}
	return NULL;
}

static struct memory_job *
find_by_name(struct memory_store *store, const char *name)
{
	struct memory_job *found = find_live_name(store, name);

	for (size_t i = 0; i < store->state.job_count; i++) {
		struct memory_job *job = &store->state.jobs[i];

		if (found != NULL && job_status_is_live(found->status))
			break;
		if (job->spec->name != NULL && strcmp(job->spec->name, name) == 0 &&
		    (found == NULL || job->ended_at >= found->ended_at))
			found = job;
	}
	return found;
}

static bool
find_limit(const struct memory_store *store, const char *name,
    struct supervisor_limit **ret_limit)
{
	for (size_t i = 0; i < store->state.limit_count; i++) {
		*ret_limit = &store->state.limits[i];
		if (strcmp((*ret_limit)->name, name) == 0)
			return true;
	}
	return false;
}

/* Is this the id of a job of the same step, before `which`? */
static bool
is_of_this_step(const struct step *step, size_t which, int64_t id)
{
	for (size_t i = 0; i < which; i++) {
		if (step->submit.ret_ids[i] == id && !step->submit.ret_existed[i])
			return true;
	}
	return false;
}

static void
refuse_name(struct step *step, size_t which, const struct memory_job *holder)
{
	const char *name = step->submit.specs[which].name;
	char words[256];

	if (is_of_this_step(step, which, holder->id))
		snprintf(words, sizeof(words),
		    "already_started: two of these jobs have the name %s", name);
	else {
		step->submit.ret_holder = holder->id;
		snprintf(words, sizeof(words),
		    "already_started: job %" PRId64 " has the name %s (%s)", holder->id,
		    name, job_status_name(holder->status));
	}
	refuse_submit(step, which, STATUS_STATE, words);
}

static bool
check_references(struct memory_store *store, struct step *step, size_t which)
{
	const struct spec *spec = &step->submit.specs[which];
	const char *supervisor = spec->supervisor != NULL ? spec->supervisor : "default";
	struct supervisor_limit *limit;
	char words[256];

	if (!find_limit(store, supervisor, &limit)) {
		snprintf(words, sizeof(words), "there is no supervisor %s", supervisor);
		refuse_submit(step, which, STATUS_NOT_FOUND, words);
		return false;
	}
	for (size_t i = 0; i < spec->dependency_count; i++) {
		struct dependency *dependency = &spec->dependencies[i];
		struct memory_job *job = dependency->name != NULL
		    ? find_by_name(store, dependency->name)
		    : memory_find_job(store, dependency->on);

		if (job != NULL) {
			dependency->on = job->id;
			continue;
		}
		if (dependency->name != NULL)
			snprintf(words, sizeof(words), "after: there is no job %s",
			    dependency->name);
		else
			snprintf(words, sizeof(words), "after: there is no job %" PRId64,
			    dependency->on);
		refuse_submit(step, which, STATUS_NOT_FOUND, words);
		return false;
	}
	return true;
}

/* The same job twice: once with the stricter condition. */
static void
add_dependency(struct memory_store *store, int64_t job, struct dependency wanted)
{
	struct memory_dependency *dependency;

	for (size_t i = 0; i < store->state.dependency_count; i++) {
		dependency = &store->state.dependencies[i];
		if (dependency->job != job || dependency->on != wanted.on)
			continue;
		if (wanted.kind == DEPENDENCY_DONE)
			dependency->kind = DEPENDENCY_DONE;
		return;
	}
	store->state.dependencies = memory_array_add(store->state.dependencies,
	    &store->state.dependency_count, sizeof(*dependency));
	dependency = &store->state.dependencies[store->state.dependency_count - 1];
	*dependency = (struct memory_dependency){ job, wanted.on, wanted.kind };
}

static bool
is_text(const struct spec *spec, const struct strings *environment)
{
	json_t *command = strings_to_json(&spec->command);
	json_t *object = environment_to_json(environment);
	bool result = command != NULL && object != NULL;

	json_decref(command);
	json_decref(object);
	return result;
}

static void
add_job(struct memory_store *store, const struct spec *spec,
    const struct strings *environment, int64_t *ret_id)
{
	struct memory_job *job;
	bool is_delayed = spec->start_in_ms != SPEC_UNSET;

	store->state.jobs =
	    memory_array_add(store->state.jobs, &store->state.job_count, sizeof(*job));
	job = &store->state.jobs[store->state.job_count - 1];
	*job = (struct memory_job){
		.id = ++store->state.last_job,
		.spec = memory_keep_spec(store, spec),
		.wake_at =
		    is_delayed ? store->now.ms + spec->start_in_ms : spec->start_at.ms,
		.wake_boot = is_delayed ? store->boot_now.ms + spec->start_in_ms : NEVER,
		.hold = spec->is_held		     ? HOLD_USER
			: spec->dependency_count > 0 ? HOLD_DEPENDENCY
						     : HOLD_NONE,
		.progress = NEVER,
		.ended_at = NEVER,
	};
	if (environment->count > 0) {
		struct spec with = { .environment = *environment };

		job->environment = &memory_keep_spec(store, &with)->environment;
	}
	*ret_id = job->id;
	for (size_t i = 0; i < spec->dependency_count; i++)
		add_dependency(store, *ret_id, spec->dependencies[i]);
	memory_check_dependencies(store, *ret_id);
}

static void
submit_one(struct memory_store *store, struct step *step, size_t which)
{
	const struct spec *spec = &step->submit.specs[which];
	struct memory_job *holder =
	    spec->name != NULL ? find_live_name(store, spec->name) : NULL;
	struct strings environment = { 0 };

	if (holder == NULL && spec->name != NULL && step->submit.has_new_names)
		holder = find_namesake(store, spec);
	if (holder != NULL && spec->is_once) {
		step->submit.ret_ids[which] = holder->id;
		step->submit.ret_existed[which] = true;
		return;
	}
	if (holder != NULL) {
		refuse_name(step, which, holder);
		return;
	}
	if (!check_references(store, step, which))
		return;
	for (size_t i = 0; i < step->submit.environment.count; i++)
		strings_set_variable(&environment, step->submit.environment.items[i]);
	for (size_t i = 0; i < spec->environment.count; i++)
		strings_set_variable(&environment, spec->environment.items[i]);
	if (is_text(spec, &environment))
		add_job(store, spec, &environment, &step->submit.ret_ids[which]);
	else
		refuse_submit(step, which, STATUS_USAGE,
		    "an argument or a variable is not UTF-8");
	strings_done(&environment);
}

/* The first job of the submission that was noted with this word; 0: there was none. */
static int64_t
find_token(const struct memory_store *store, const char *token)
{
	for (size_t i = 0; i < store->state.event_count; i++) {
		const struct memory_event *event = &store->state.events[i];

		if (strcmp(event->event, "submitted") == 0 && event->detail != NULL &&
		    strcmp(event->detail, token) == 0)
			return event->job;
	}
	return 0;
}

static void
step_submit(struct memory_store *store, struct step *step)
{
	const char *token = step->submit.token;
	int64_t first =
	    token != NULL && step->submit.is_repeated ? find_token(store, token) : 0;
	struct memory_state before;
	size_t ended_before = store->batch->ended_count;
	int64_t released_before = store->batch->released;
	size_t size = step->submit.count * sizeof(step->submit.ret_ids[0]);

	step->submit.ret_ids = xcalloc(step->submit.count, sizeof(int64_t));
	step->submit.ret_existed = xcalloc(step->submit.count, sizeof(bool));
	for (size_t i = 0; i < step->submit.count && first != 0; i++)
		step->submit.ret_ids[i] = first + (int64_t)i;
	if (first != 0)
		return;
	before = memory_state_copy(&store->state);
	for (size_t i = 0; i < step->submit.count && step->answer == STEP_OK; i++)
		submit_one(store, step, i);
	if (step->answer == STEP_OK) {
		if (token != NULL && step->submit.count > 0)
			memory_add_event(
			    store, step->submit.ret_ids[0], 0, "submitted", token);
		memory_state_done(&before);
		return;
	}
	memory_state_done(&store->state);
	store->state = before;
	store->batch->ended_count = ended_before;
	store->batch->released = released_before;
	memset(step->submit.ret_ids, 0, size);
	memset(step->submit.ret_existed, 0, step->submit.count * sizeof(bool));
}

/* ---- claim and withdraw ---- */

static int64_t
priority_of(const struct memory_job *job)
{
	return job->spec->priority != SPEC_UNSET ? job->spec->priority
						 : SPEC_DEFAULT_PRIORITY;
}

/* Jobs stand in order of their ids, so the first of the best priority is the first. */
static struct memory_job *
find_ready(struct memory_store *store, const char *supervisor)
{
	struct memory_job *best = NULL;

	for (size_t i = 0; i < store->state.job_count; i++) {
		struct memory_job *job = &store->state.jobs[i];

		if ((job->status == JOB_NEW || job->status == JOB_ERRORED) &&
		    job->hold == HOLD_NONE && job->wake_at == NEVER &&
		    strcmp(job->spec->supervisor, supervisor) == 0 &&
		    memory_find_open(store, job->id) == NULL &&
		    (best == NULL || priority_of(job) < priority_of(best)))
			best = job;
	}
	return best;
}

static int64_t
next_attempt(const struct memory_store *store, int64_t job)
{
	int64_t last = 0;

	for (size_t i = 0; i < store->state.attempt_count; i++) {
		if (store->state.attempts[i].key.job == job &&
		    store->state.attempts[i].key.attempt > last)
			last = store->state.attempts[i].key.attempt;
	}
	return last + 1;
}

static char *
copy_of(const char *text)
{
	return text != NULL ? xstrdup(text) : NULL;
}

static void
claim_job(struct memory_store *store, const struct memory_job *job, struct step *step)
{
	const struct spec *spec = job->spec;
	struct memory_attempt *attempt;
	struct claimed_job *claimed;

	store->state.attempts = memory_array_add(
	    store->state.attempts, &store->state.attempt_count, sizeof(*attempt));
	attempt = &store->state.attempts[store->state.attempt_count - 1];
	*attempt = (struct memory_attempt){
		.key = { job->id, next_attempt(store, job->id), store->generation },
		.claimed_at = store->now.ms,
		.started_at = NEVER,
		.ended_at = NEVER,
	};
	step->claim.ret_jobs = memory_array_add(
	    step->claim.ret_jobs, &step->claim.ret_count, sizeof(*claimed));
	claimed = &step->claim.ret_jobs[step->claim.ret_count - 1];
	claimed->key = attempt->key;
	claimed->environment = job->environment;
	spec_init(&claimed->spec);
	for (size_t i = 0; i < spec->command.count; i++)
		strings_add(&claimed->spec.command, spec->command.items[i]);
	claimed->spec.name = copy_of(spec->name);
	claimed->spec.cwd = xstrdup(spec->cwd != NULL ? spec->cwd : "/");
	claimed->spec.stdin_path = copy_of(spec->stdin_path);
	claimed->spec.umask = spec->umask;
	claimed->spec.timeout_ms = spec->timeout_ms;
	claimed->spec.grace_ms = spec->grace_ms;
	claimed->spec.max_output = spec->max_output;
	claimed->spec.log_rotate = spec->log_rotate;
	claimed->spec.leaves_children = spec->leaves_children;
	claimed->spec.retry.max_retries = spec->retry.max_retries;
	claimed->spec.priority = priority_of(job);
}

static void
step_claim(struct memory_store *store, struct step *step)
{
	const struct reason reason = { .kind = REASON_SPAWN, .number = EINVAL };
	struct memory_job *job;

	while ((int64_t)step->claim.ret_count < step->claim.places &&
	    (job = find_ready(store, step->claim.supervisor)) != NULL) {
		bool is_ahead = (int64_t)step->claim.ret_count >=
		    step->claim.places - step->claim.ahead;

		if (job->spec->command.count > 0 &&
		    job->spec->command.items[0][0] != '\0') {
			if (is_ahead && job->spec->retry.max_retries == 0) {
				step->claim.ret_is_too_early = true;
				break;
			}
			claim_job(store, job, step);
			continue;
		}
		step->claim.ret_refused++;
		memory_apply_event(store, job->id, JOB_REFUSED, reason,
		    "command is not an array of strings that begins with a program");
	}
}

static void
step_withdraw(struct memory_store *store, struct step *step)
{
	const struct attempt_key *key = &step->withdraw.key;
	struct memory_attempt *attempt = memory_find_open(store, key->job);
	const struct reason cancelled = { .kind = REASON_CANCELLED };
	bool is_cancelled;

	if (attempt == NULL || attempt->key.attempt != key->attempt ||
	    attempt->key.generation != key->generation || attempt->started_at != NEVER) {
		step->answer = STEP_STALE;
		return;
	}
	is_cancelled = attempt->stop.kind == REASON_CANCELLED;
	*attempt = store->state.attempts[--store->state.attempt_count];
	if (is_cancelled)
		memory_apply_event(store, key->job, JOB_CANCEL, cancelled, NULL);
}

/* ---- notes, events, timers ---- */

static bool
is_json(const char *text)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);

	json_decref(value);
	return value != NULL;
}

static void
refuse_note(struct step *step)
{
	step->answer = STEP_REFUSED;
	error_set(&step->error, STATUS_USAGE, "the database refuses it");
}

static void
step_note(struct memory_store *store, struct step *step)
{
	const struct attempt_key *key = &step->note.key;
	struct memory_attempt *attempt = memory_find_open(store, key->job);
	struct memory_job *job = memory_find_job(store, key->job);
	const char *text = memory_keep(store, step->note.text);

	if (attempt == NULL || attempt->key.attempt != key->attempt ||
	    attempt->key.generation != key->generation)
		step->answer = STEP_STALE;
	else if (step->note.note == NOTE_LOG)
		memory_add_event(store, key->job, key->attempt, "log", text);
	else if (step->note.note == NOTE_RESULT && text != NULL && !is_json(text))
		refuse_note(step);
	else if (step->note.note == NOTE_RESULT)
		job->result = text;
	else if (step->note.fraction > 1)
		refuse_note(step);
	else {
		if (step->note.fraction >= 0)
			job->progress = step->note.fraction;
		job->progress_text = text;
	}
}

static void
step_event(struct memory_store *store, struct step *step)
{
	memory_add_event(store, step->event.job, step->event.attempt, step->event.event,
	    step->event.detail);
}

/* How long until this job wakes, by the clock it goes by. */
static int64_t
left_ms(const struct memory_store *store, const struct memory_job *job)
{
	if (job->wake_boot != NEVER)
		return job->wake_boot - store->boot_now.ms;
	return job->wake_at - store->now.ms;
}

static bool
is_timed(const struct memory_job *job)
{
	return job->wake_at != NEVER &&
	       (job->status == JOB_NEW || job->status == JOB_ERRORED);
}

/* The job on that clock whose time comes first. */
static struct memory_job *
find_next(struct memory_store *store, bool by_boot_clock)
{
	struct memory_job *next = NULL;

	for (size_t i = 0; i < store->state.job_count; i++) {
		struct memory_job *job = &store->state.jobs[i];

		if (is_timed(job) && (job->wake_boot != NEVER) == by_boot_clock &&
		    (next == NULL || left_ms(store, job) < left_ms(store, next)))
			next = job;
	}
	return next;
}

static void
step_due(struct memory_store *store, struct step *step)
{
	struct memory_job *job;

	step->due.ret_woken = 0;
	step->due.ret_next_ms = -1;
	for (size_t i = 0; step->due.clock_stepped && i < store->state.job_count; i++) {
		job = &store->state.jobs[i];
		if (is_timed(job) && job->wake_boot != NEVER)
			job->wake_at = store->now.ms + left_ms(store, job);
	}
	for (int by_boot_clock = 0; by_boot_clock < 2; by_boot_clock++) {
		for (int i = 0; i < WAKE_AT_ONCE; i++) {
			job = find_next(store, by_boot_clock);
			if (job == NULL || left_ms(store, job) > 0)
				break;
			job->wake_at = job->wake_boot = NEVER;
			step->due.ret_woken++;
		}
		job = find_next(store, by_boot_clock);
		if (job != NULL &&
		    (step->due.ret_next_ms == -1 ||
			left_ms(store, job) < step->due.ret_next_ms))
			step->due.ret_next_ms =
			    left_ms(store, job) > 0 ? left_ms(store, job) : 0;
	}
}

/* ---- look-ups ---- */

/* The live job of this name, else the one that ended last. */

static struct reason
last_reason(const struct memory_store *store, const struct memory_job *job)
{
	int64_t last = next_attempt(store, job->id) - 1;

	if (job->reason.kind != REASON_NONE)
		return job->reason;
	for (size_t i = 0; i < store->state.attempt_count; i++) {
		if (store->state.attempts[i].key.job == job->id &&
		    store->state.attempts[i].key.attempt == last)
			return store->state.attempts[i].reason;
	}
	return (struct reason){ 0 };
}

static void
step_lookup(struct memory_store *store, struct step *step)
{
	struct memory_job *job = step->lookup.name != NULL
	    ? find_by_name(store, step->lookup.name)
	    : memory_find_job(store, step->lookup.job);

	step->lookup.ret_job = job != NULL ? job->id : step->lookup.job;
	if (job == NULL) {
		step->answer = STEP_NOT_FOUND;
		return;
	}
	step->lookup.ret_status = job->status;
	step->lookup.ret_reason = job_status_is_live(job->status)
				      ? (struct reason){ 0 }
				      : last_reason(store, job);
	step->lookup.ret_timeout_ms =
	    job->spec->timeout_ms != SPEC_UNSET ? job->spec->timeout_ms : 0;
	step->lookup.ret_is_claimed = memory_find_open(store, job->id) != NULL;
}

static void
step_limits(struct memory_store *store, struct step *step)
{
	struct supervisor_limit *limit;

	if (step->limits.set[0] != '\0' && !find_limit(store, step->limits.set, &limit)) {
		step->answer = STEP_NOT_FOUND;
		error_set(&step->error, STATUS_NOT_FOUND, "there is no supervisor %s",
		    step->limits.set);
		return;
	}
	if (step->limits.set[0] != '\0')
		limit->max_children = step->limits.set_max_children;
	for (size_t i = 0; i < store->state.limit_count; i++) {
		step->limits.ret_limits = memory_array_add(
		    step->limits.ret_limits, &step->limits.ret_count, sizeof(*limit));
		step->limits.ret_limits[i] = store->state.limits[i];
	}
}

/* ---- prune ---- */

static bool
has_same_name(const struct memory_job *a, const struct memory_job *b)
{
	if (a->spec->name == NULL || b->spec->name == NULL)
		return a->spec->name == b->spec->name;
	return strcmp(a->spec->name, b->spec->name) == 0;
}

static bool
is_prunable(
    struct memory_store *store, const struct memory_job *job, const struct step *step)
{
	int64_t younger = 0;

	if (job_status_is_live(job->status) || !step->prune.statuses[job->status] ||
	    job->ended_at > store->now.ms - step->prune.older_than_ms)
		return false;
	for (size_t i = 0; i < store->state.dependency_count; i++) {
		const struct memory_dependency *dependency =
		    &store->state.dependencies[i];

		if (dependency->on == job->id &&
		    job_status_is_live(memory_find_job(store, dependency->job)->status))
			return false;
	}
	for (size_t i = 0; i < store->state.job_count; i++) {
		const struct memory_job *other = &store->state.jobs[i];

		if (other->id > job->id && !job_status_is_live(other->status) &&
		    has_same_name(other, job))
			younger++;
	}
	return younger >= step->prune.keep;
}

#define REMOVE_IF(array, count, condition)                                    \
	do {                                                                  \
		size_t left = 0;                                              \
		for (size_t i = 0; i < (count); i++) {                        \
			if (!(condition))                                     \
				(array)[left++] = (array)[i];                 \
		}                                                             \
		(count) = left;                                               \
	} while (0)

static void
remove_job(struct memory_state *state, int64_t job)
{
	REMOVE_IF(state->jobs, state->job_count, state->jobs[i].id == job);
	REMOVE_IF(
	    state->attempts, state->attempt_count, state->attempts[i].key.job == job);
	REMOVE_IF(state->events, state->event_count, state->events[i].job == job);
	REMOVE_IF(state->dependencies, state->dependency_count,
	    state->dependencies[i].job == job || state->dependencies[i].on == job);
}

static int64_t
last_attempt(const struct memory_store *store, int64_t job)
{
	int64_t last = 0;

	for (size_t i = 0; i < store->state.attempt_count; i++) {
		if (store->state.attempts[i].key.job == job &&
		    store->state.attempts[i].key.attempt > last)
			last = store->state.attempts[i].key.attempt;
	}
	return last;
}

static void
step_prune(struct memory_store *store, struct step *step)
{
	size_t *count = &step->prune.ret_count, room = store->state.job_count;

	if (step->prune.goes_on)
		return; /* here no step leaves a part of a job */
	step->prune.ret_jobs = xcalloc(room, sizeof(step->prune.ret_jobs[0]));
	step->prune.ret_stdin = xcalloc(room, sizeof(step->prune.ret_stdin[0]));
	step->prune.ret_last = xcalloc(room, sizeof(step->prune.ret_last[0]));
	for (size_t i = 0; i < room && (int64_t)*count < step->prune.limit; i++) {
		const struct memory_job *job = &store->state.jobs[i];

		if (!is_prunable(store, job, step))
			continue;
		step->prune.ret_jobs[*count] = job->id;
		step->prune.ret_last[*count] = last_attempt(store, job->id);
		step->prune.ret_stdin[(*count)++] = copy_of(job->spec->stdin_path);
	}
	for (size_t i = 0; i < *count && !step->prune.is_dry_run; i++)
		remove_job(&store->state, step->prune.ret_jobs[i]);
}

static void
step_remaining(struct memory_store *store, struct step *step)
{
	step->remaining.ret_keeping = step->remaining.ret_delayed = 0;
	step->remaining.ret_held = 0;
	for (size_t i = 0; i < store->state.job_count; i++) {
		const struct memory_job *job = &store->state.jobs[i];

		if (!job_status_is_live(job->status))
			continue;
		if (job->hold != HOLD_NONE)
			step->remaining.ret_held++;
		else if (job->status == JOB_NEW && job->wake_at != NEVER)
			step->remaining.ret_delayed++;
		else
			step->remaining.ret_keeping++;
	}
}

/* Servers are tried on SQLite alone. */
static void
not_modelled(struct memory_store *store, struct step *step)
{
	(void)store;
	fprintf(stderr, "the model knows no step %d\n", (int)step->kind);
	abort();
}

void
memory_run_step(struct memory_store *store, struct step *step)
{
	static void (*const handlers[])(struct memory_store *, struct step *) = {
		[STEP_GENERATION] = step_generation,
		[STEP_OPEN] = step_open,
		[STEP_SUBMIT] = step_submit,
		[STEP_CLAIM] = step_claim,
		[STEP_WITHDRAW] = step_withdraw,
		[STEP_STARTED] = memory_step_started,
		[STEP_STOPPING] = memory_step_stopping,
		[STEP_ENDED] = memory_step_ended,
		[STEP_CHANGE] = memory_step_change,
		[STEP_NOTE] = step_note,
		[STEP_EVENT] = step_event,
		[STEP_DUE] = step_due,
		[STEP_LOOKUP] = step_lookup,
		[STEP_LIMITS] = step_limits,
		[STEP_PRUNE] = step_prune,
		[STEP_REMAINING] = step_remaining,
		[STEP_READY] = not_modelled,
		[STEP_SEND] = not_modelled,
		[STEP_MAILBOX] = not_modelled,
		[STEP_SET_ASIDE] = not_modelled,
		[STEP_GAUGE] = not_modelled,
		[STEP_TIMER] = not_modelled,
		[STEP_TIMER_END] = not_modelled,
		[STEP_MONITOR] = not_modelled,
		[STEP_DEMONITOR] = not_modelled,
		[STEP_COMMIT] = not_modelled,
		[STEP_GROUP] = not_modelled,
		[STEP_MEMBERS] = not_modelled,
	};
	_Static_assert(sizeof(handlers) / sizeof(handlers[0]) == STEP_KIND_COUNT,
	    "a handler for every step");

	handlers[step->kind](store, step);
}
