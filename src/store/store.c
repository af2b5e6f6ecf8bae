/* store: batches of steps, and the way to the engine behind the seam. */

#include "store/store.h"
#include "base/xalloc.h"

#include <stdlib.h>

void
batch_init(struct batch *batch)
{
	*batch = (struct batch){ 0 };
}

static void
forget_claimed(struct step *step)
{
	for (size_t i = 0; i < step->claim.ret_count; i++) {
		spec_done(&step->claim.ret_jobs[i].spec);
		free(step->claim.ret_jobs[i].state);
	}
	free(step->claim.ret_jobs);
	step->claim.ret_jobs = NULL;
	step->claim.ret_count = 0;
	step->claim.ret_refused = 0;
	step->claim.ret_is_too_early = false;
}

static void
forget_pruned(struct step *step)
{
	for (size_t i = 0; i < step->prune.ret_count; i++)
		free(step->prune.ret_stdin[i]);
	free(step->prune.ret_stdin);
	free(step->prune.ret_last);
	free(step->prune.ret_jobs);
	step->prune.ret_stdin = NULL;
	step->prune.ret_last = NULL;
	step->prune.ret_jobs = NULL;
	step->prune.ret_count = 0;
	step->prune.ret_has_more = false;
}

static void
forget_messages(struct message **messages, size_t *count)
{
	for (size_t i = 0; i < *count; i++)
		free((*messages)[i].text);
	free(*messages);
	*messages = NULL;
	*count = 0;
}

static void
forget_results(struct step *step)
{
	step->answer = STEP_OK;
	step->error.text[0] = '\0';
	switch (step->kind) {
	case STEP_OPEN:
		for (size_t i = 0; i < step->open.ret_count; i++)
			free(step->open.ret_attempts[i].message);
		free(step->open.ret_attempts);
		step->open.ret_attempts = NULL;
		step->open.ret_count = 0;
		break;
	case STEP_SUBMIT:
		free(step->submit.ret_ids);
		free(step->submit.ret_existed);
		step->submit.ret_ids = NULL;
		step->submit.ret_existed = NULL;
		step->submit.ret_bad = 0;
		step->submit.ret_holder = 0;
		step->submit.ret_is_full = false;
		break;
	case STEP_CLAIM:
		forget_claimed(step);
		break;
	case STEP_LIMITS:
		for (size_t i = 0; i < step->limits.ret_count; i++) {
			free(step->limits.ret_limits[i].starts_ms);
			free(step->limits.ret_limits[i].reason);
		}
		free(step->limits.ret_limits);
		step->limits.ret_limits = NULL;
		step->limits.ret_count = 0;
		break;
	case STEP_PRUNE:
		forget_pruned(step);
		break;
	case STEP_DUE:
		forget_messages(&step->due.ret_messages, &step->due.ret_count);
		break;
	case STEP_MAILBOX:
		forget_messages(&step->mailbox.ret_messages, &step->mailbox.ret_count);
		break;
	case STEP_MEMBERS:
		free(step->members.ret_members);
		step->members.ret_members = NULL;
		step->members.ret_count = 0;
		break;
	case STEP_LOOKUP:
		free(step->lookup.ret_result);
		step->lookup.ret_result = NULL;
		break;
	case STEP_COMMIT:
		for (size_t i = 0; i < step->commit.part_count; i++)
			forget_results(step->commit.parts[i]);
		break;
	default:
		break;
	}
}

void
batch_free_step(struct step *step)
{
	forget_results(step);
	switch (step->kind) {
	case STEP_SUBMIT:
		for (size_t i = 0; i < step->submit.count; i++)
			spec_done(&step->submit.specs[i]);
		free(step->submit.specs);
		strings_done(&step->submit.environment);
		free(step->submit.token);
		break;
	case STEP_CLAIM:
		free(step->claim.members);
		break;
	case STEP_NOTE:
		free(step->note.text);
		break;
	case STEP_SUPERVISOR:
		strings_done(&step->supervisor.order);
		free(step->supervisor.description);
		break;
	case STEP_EVENT:
		free(step->event.detail);
		break;
	case STEP_LOOKUP:
		free(step->lookup.name);
		break;
	case STEP_SEND:
		free(step->send.text);
		break;
	case STEP_MEMBERS:
		free(step->members.text);
		break;
	case STEP_TIMER:
		free(step->timer.text);
		break;
	case STEP_COMMIT:
		for (size_t i = 0; i < step->commit.part_count; i++)
			batch_free_step(step->commit.parts[i]);
		free(step->commit.parts);
		free(step->commit.state);
		free(step->commit.id);
		break;
	default:
		break;
	}
	free(step);
}

void
batch_forget_results(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		forget_results(batch->steps[i]);
	batch->ended_count = 0;
	batch->abandoned_count = 0;
	batch->to_stop_count = 0;
	batch->supervised = false;
	batch->told = false;
	batch->released = 0;
}

void
batch_done(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		batch_free_step(batch->steps[i]);
	free(batch->steps);
	free(batch->ended);
	free(batch->abandoned);
	free(batch->to_stop);
	batch_init(batch);
}

struct step *
batch_make_step(enum step_kind kind, void (*act)(void *arg, struct step *step), void *arg)
{
	struct step *step = xcalloc(1, sizeof(*step));

	step->kind = kind;
	step->noted = clock_mono();
	step->act = act;
	step->arg = arg;
	return step;
}

void
batch_add_made(struct batch *batch, struct step *step)
{
	if (batch->count == batch->room) {
		batch->room = batch->room > 0 ? 2 * batch->room : 16;
		batch->steps =
		    xreallocarray(batch->steps, batch->room, sizeof(batch->steps[0]));
	}
	batch->steps[batch->count++] = step;
}

struct step *
batch_add(struct batch *batch, enum step_kind kind,
    void (*act)(void *arg, struct step *step), void *arg)
{
	struct step *step = batch_make_step(kind, act, arg);

	batch_add_made(batch, step);
	return step;
}

void
batch_add_ended(struct batch *batch, int64_t job, enum job_status status,
    struct reason reason)
{
	if ((batch->ended_count & (batch->ended_count + 1)) == 0)
		batch->ended = xreallocarray(
		    batch->ended, 2 * batch->ended_count + 3, sizeof(batch->ended[0]));
	batch->ended[batch->ended_count++] = (struct ended_job){ job, status, reason };
}

void
batch_add_abandoned(struct batch *batch, int64_t job)
{
	if ((batch->abandoned_count & (batch->abandoned_count + 1)) == 0)
		batch->abandoned = xreallocarray(batch->abandoned,
		    2 * batch->abandoned_count + 3, sizeof(batch->abandoned[0]));
	batch->abandoned[batch->abandoned_count++] = job;
}

void
batch_add_to_stop(struct batch *batch, const struct attempt_key *key)
{
	if ((batch->to_stop_count & (batch->to_stop_count + 1)) == 0)
		batch->to_stop = xreallocarray(batch->to_stop, 2 * batch->to_stop_count + 3,
		    sizeof(batch->to_stop[0]));
	batch->to_stop[batch->to_stop_count++] = *key;
}

bool
batch_is_read_only(const struct batch *batch)
{
	if (batch->count == 0)
		return false; /* what is left of refused requests: can it be written again? */
	for (size_t i = 0; i < batch->count; i++) {
		const struct step *step = batch->steps[i];

		if (step->kind != STEP_OPEN && step->kind != STEP_LOOKUP &&
		    step->kind != STEP_REMAINING && step->kind != STEP_MAILBOX &&
		    !(step->kind == STEP_MEMBERS && step->members.text == NULL) &&
		    !(step->kind == STEP_TIMER_END && !step->timer_end.is_cancel) &&
		    !(step->kind == STEP_LIMITS && step->limits.set[0] == '\0') &&
		    !(step->kind == STEP_PRUNE && step->prune.is_dry_run))
			return false;
	}
	return true;
}

static void
act_once(struct step *step)
{
	void (*act)(void *arg, struct step *step) = step->act;

	step->act = NULL;
	if (act != NULL)
		act(step->arg, step);
	for (size_t i = 0; step->kind == STEP_COMMIT && i < step->commit.part_count; i++)
		act_once(step->commit.parts[i]);
}

void
batch_act_on_processes(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		enum step_kind kind = batch->steps[i]->kind;

		if (kind == STEP_CLAIM || kind == STEP_WITHDRAW || kind == STEP_STARTED ||
		    kind == STEP_ENDED)
			act_once(batch->steps[i]);
	}
}

void
batch_act(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		act_once(batch->steps[i]);
}

/* A batch may have waited long for the database: what it tells of is older by that. */
static void
grow_older(struct batch *batch)
{
	struct mono now = clock_mono();

	for (size_t i = 0; i < batch->count; i++) {
		struct step *step = batch->steps[i];

		if (step->kind == STEP_STARTED)
			step->started.age_ms += now.ms - step->noted.ms;
		else if (step->kind == STEP_ENDED) {
			step->ended.age_ms += now.ms - step->noted.ms;
			step->ended.started.age_ms += now.ms - step->noted.ms;
		} else if (step->kind == STEP_GAUGE && step->gauge.age_ms >= 0)
			step->gauge.age_ms += now.ms - step->noted.ms;
		step->noted = now;
	}
}

void
store_turn(struct store *store, struct batch *batch,
    void (*done)(void *arg, enum store_answer answer), void *arg)
{
	batch_forget_results(batch);
	grow_older(batch);
	store->engine->turn(store, batch, done, arg);
}

int
store_fd(struct store *store)
{
	return store->engine->fd(store);
}

void
store_step(struct store *store)
{
	store->engine->step(store);
}

enum store_answer
store_sync(struct store *store)
{
	return store->engine->sync(store);
}

enum store_answer
store_changed(struct store *store, bool *ret_changed)
{
	return store->engine->changed(store, ret_changed);
}

enum store_answer
store_reopen(struct store *store)
{
	return store->engine->reopen(store);
}

void
store_close(struct store *store)
{
	if (store != NULL)
		store->engine->close(store);
}

struct reason
store_change_reason(enum job_event event)
{
	return (struct reason){
		.kind = event == JOB_SHUT_DOWN ? REASON_SHUTDOWN : REASON_CANCELLED };
}

const char *
store_answer_words(enum store_answer answer)
{
	static const char *const words[] = {
		[STORE_OK] = "ok",
		[STORE_BUSY] = "database locked by another process",
		[STORE_FULL] = "disk full",
		[STORE_CORRUPT] = "the database is damaged",
		[STORE_UNAVAILABLE] = "the database cannot be read or written",
		[STORE_IN_DOUBT] = "a commit failed and is in doubt",
		[STORE_ABSENT] = "the last commit is not there",
	};
	_Static_assert(sizeof(words) / sizeof(words[0]) == STORE_ANSWER_COUNT, "all words");

	return words[answer];
}
