/*
 * turn: decide, record, act. Steps gather in a batch; at the turn's end the batch becomes
 * one transaction; its effects follow. What the store answers else than OK is a state of
 * this file and not a wait: the batch stays in memory and is tried again by timer, while
 * the loop goes on reaping, timing out and answering.
 */

#include "base/log.h"
#include "base/xalloc.h"
#include "supervisor/server.h"

#include <inttypes.h>
#include <stdlib.h>

#define SYNC_DELAY_MS 100
#define FIRST_RETRY_MS 1
#define LONGEST_RETRY_MS 50
#define TROUBLE_RETRY_MS 500

static void
new_batch(struct supervisor *supervisor)
{
	supervisor->batch = xcalloc(1, sizeof(*supervisor->batch));
	batch_init(supervisor->batch);
	supervisor->tells = false;
}

static void
free_batch(struct batch *batch)
{
	if (batch == NULL)
		return;
	batch_done(batch);
	free(batch);
}

struct step *
turn_add(struct supervisor *supervisor, enum step_kind kind,
    void (*act)(void *arg, struct step *step), void *arg)
{
	return batch_add(supervisor->batch, kind, act, arg);
}

void
turn_add_made(struct supervisor *supervisor, struct step *step)
{
	batch_add_made(supervisor->batch, step);
}

void
turn_tells(struct supervisor *supervisor)
{
	supervisor->tells = true;
}

void
turn_add_event(struct supervisor *supervisor, int64_t job, int64_t attempt,
    const char *event, char *detail)
{
	struct step *step = turn_add(supervisor, STEP_EVENT, NULL, NULL);

	step->event.job = job;
	step->event.attempt = attempt;
	step->event.event = event;
	step->event.detail = detail;
}

void
turn_wake_in(struct supervisor *supervisor, int64_t delay_ms)
{
	int64_t left = loop_timer_left(supervisor->loop, &supervisor->wake_timer);

	if (left == -1 || delay_ms < left)
		loop_timer_set(supervisor->loop, &supervisor->wake_timer, delay_ms);
}

/* ---- after the commit ---- */

static void
wake_due(void *arg)
{
	struct supervisor *supervisor = arg;

	supervisor->must_look_at_timers = true;
}

/* A run-once job must not be started again after a power cut: its claim is synced. */
static bool
starts_run_once(const struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		const struct step *step = batch->steps[i];

		for (size_t j = 0; step->kind == STEP_CLAIM && j < step->claim.ret_count; j++) {
			if (step->claim.ret_jobs[j].spec.retry.max_retries == 0)
				return true;
		}
	}
	return false;
}

static void
out_of_trouble(struct supervisor *supervisor)
{
	int64_t lasted_ms = clock_mono().ms - supervisor->troubled_since.ms;

	if (supervisor->troubled_since.ms != 0 && lasted_ms >= TOLD_AFTER_MS)
		log_info("database is writable again after %" PRId64 " ms", lasted_ms);
	supervisor->troubled_since.ms = 0;
	supervisor->answer = STORE_OK;
	supervisor->retry_ms = FIRST_RETRY_MS;
}

static void
act(struct supervisor *supervisor)
{
	struct batch *batch = supervisor->under_way;
	bool has_changed;

	supervisor->under_way = NULL;
	supervisor->under_way_is_committed = false;
	if (!supervisor->cannot_sync)
		out_of_trouble(supervisor);
	if (supervisor->under_way_tells)
		siblings_begin(supervisor);
	log_hold();
	has_changed = !batch_is_read_only(batch);
	if (has_changed)
		supervisor->must_count = true;
	batch_act(batch);
	if (batch->released > 0 || batch->supervised)
		live_anything_ready(supervisor);
	for (size_t i = 0; i < batch->to_stop_count; i++)
		live_stop(supervisor, &batch->to_stop[i], STOP_INTERRUPTED, STOP_OWN_GRACE);
	if (batch->supervised)
		live_read_limits(supervisor);
	control_jobs_ended(supervisor, batch->ended, batch->ended_count);
	server_tell_ended(supervisor);
	server_jobs_ended(supervisor, batch->ended, batch->ended_count);
	asks_end_tasks(supervisor, batch->abandoned, batch->abandoned_count);
	if (batch->told) {
		supervisor->must_look_at_timers = true;
		mailbox_look_at_all(supervisor);
	}
	if (has_changed)
		control_changed(supervisor);
	log_release();
	siblings_end(supervisor);
	free_batch(batch);
	loop_again(supervisor->loop);
}

static void
note_trouble(struct supervisor *supervisor, enum store_answer answer)
{
	if (supervisor->troubled_since.ms == 0)
		supervisor->troubled_since = clock_mono();
	if (answer != supervisor->answer && answer != STORE_BUSY)
		log_warn("%s", store_answer_words(answer));
	supervisor->answer = answer;
}

static void
in_trouble(struct supervisor *supervisor, enum store_answer answer)
{
	int64_t delay_ms = supervisor->retry_ms;

	note_trouble(supervisor, answer);
	if (supervisor->phase < PHASE_RUNNING)
		supervisor_waits(supervisor);
	if (answer == STORE_BUSY) {
		supervisor->retry_ms = 2 * delay_ms;
		if (supervisor->retry_ms > LONGEST_RETRY_MS)
			supervisor->retry_ms = LONGEST_RETRY_MS;
	} else
		delay_ms = TROUBLE_RETRY_MS;
	loop_timer_set(supervisor->loop, &supervisor->retry_timer, delay_ms);
}

static enum store_answer
sync_store(struct supervisor *supervisor)
{
	enum store_answer answer = store_sync(supervisor->store);

	supervisor->cannot_sync = answer != STORE_OK;
	return answer;
}

/* What nobody was told of is made safe a little later. */
static void
sync_due(void *arg)
{
	struct supervisor *supervisor = arg;
	enum store_answer answer = sync_store(supervisor);

	if (answer != STORE_OK) {
		note_trouble(supervisor, answer);
		loop_timer_set(supervisor->loop, &supervisor->sync_timer, TROUBLE_RETRY_MS);
	} else if (supervisor->under_way == NULL)
		out_of_trouble(supervisor);
}

/*
 * It is committed. Processes may start: a power cut that forgets them ends them too. Whoever is
 * to be told is told when it is synced, which a spawn need not wait for.
 */
static void
committed(struct supervisor *supervisor)
{
	struct batch *batch = supervisor->under_way;
	bool runs_once = starts_run_once(batch);
	bool tells = supervisor->under_way_tells ||
	    control_tells_of(supervisor, batch->ended, batch->ended_count);
	enum store_answer answer;

	supervisor->under_way_is_committed = true;
	if (!batch_is_read_only(batch))
		watch_own_commit(supervisor);
	if (!runs_once) {
		log_hold();
		batch_act_on_processes(batch);
		log_release();
		link_flush(supervisor->link); /* a spawn need not wait for the sync */
	}
	if (tells || runs_once) {
		answer = sync_store(supervisor);
		if (answer != STORE_OK) {
			in_trouble(supervisor, answer);
			return;
		}
	} else if (!timer_is_set(&supervisor->sync_timer))
		loop_timer_set(supervisor->loop, &supervisor->sync_timer, SYNC_DELAY_MS);
	act(supervisor);
}

/*
 * The disk is full or broken: what clients asked for is refused in words, so that they
 * are not kept waiting; ends of processes stay and are tried again; claims are dropped.
 */
static void
refuse_requests(struct batch *batch, enum store_answer answer)
{
	size_t kept = 0;

	batch_forget_results(batch);
	for (size_t i = 0; i < batch->count; i++) {
		struct step *step = batch->steps[i];
		bool is_request = step->kind == STEP_SUBMIT || step->kind == STEP_CHANGE ||
		    step->kind == STEP_PRUNE || step->kind == STEP_CLAIM ||
		    step->kind == STEP_SEND || step->kind == STEP_SET_ASIDE ||
		    step->kind == STEP_GAUGE || step->kind == STEP_SUPERVISOR ||
		    step->kind == STEP_GROUP ||
		    (step->kind == STEP_MEMBERS && step->members.text != NULL);

		if (!is_request || step->is_owed) {
			batch->steps[kept++] = step;
			continue;
		}
		step->answer = STEP_REFUSED;
		error_set(&step->error, STATUS_TRY_LATER, "%s: nothing was changed",
		    store_answer_words(answer));
		if (step->act != NULL)
			step->act(step->arg, step);
		batch_free_step(step);
	}
	batch->count = kept;
}

bool
turn_is_refusing(enum store_answer answer)
{
	return answer == STORE_FULL || answer == STORE_UNAVAILABLE || answer == STORE_CORRUPT;
}

static void
turn_answered(void *arg, enum store_answer answer)
{
	struct supervisor *supervisor = arg;

	switch (answer) {
	case STORE_OK:
		committed(supervisor);
		return;
	case STORE_BUSY:
		break;
	case STORE_IN_DOUBT:
		supervisor->must_reopen = true;
		break;
	case STORE_UNAVAILABLE:
	case STORE_CORRUPT:
		supervisor->must_reopen = true;
		refuse_requests(supervisor->under_way, answer);
		break;
	default:
		refuse_requests(supervisor->under_way, answer);
		break;
	}
	in_trouble(supervisor, answer);
}

static void
run_under_way(struct supervisor *supervisor)
{
	store_turn(supervisor->store, supervisor->under_way, turn_answered, supervisor);
}

static void
retry_due(void *arg)
{
	struct supervisor *supervisor = arg;
	enum store_answer answer;

	if (supervisor->must_reopen) {
		bool in_doubt = supervisor->answer == STORE_IN_DOUBT;

		answer = store_reopen(supervisor->store);
		if (answer != STORE_OK && answer != STORE_ABSENT) {
			loop_timer_set(
			    supervisor->loop, &supervisor->retry_timer, TROUBLE_RETRY_MS);
			return;
		}
		supervisor->must_reopen = false;
		if (in_doubt) {
			log_warn("the commit in doubt is %s",
			    answer == STORE_OK ? "there" : "not there, it is repeated");
			if (answer == STORE_OK)
				supervisor->under_way_is_committed = true;
		}
	}
	if (supervisor->under_way == NULL)
		return;
	if (supervisor->under_way_is_committed)
		committed(supervisor);
	else
		run_under_way(supervisor);
}

/* ---- the end of a turn ---- */

static void
due_told(void *arg, struct step *step)
{
	struct supervisor *supervisor = arg;

	if (step->due.ret_woken > 0)
		live_anything_ready(supervisor);
	mailbox_take_due(supervisor, step->due.ret_messages, step->due.ret_count);
	if (step->due.ret_next_ms == -1)
		loop_timer_remove(supervisor->loop, &supervisor->wake_timer);
	else
		loop_timer_set(
		    supervisor->loop, &supervisor->wake_timer, step->due.ret_next_ms);
}

static void
add_due(struct supervisor *supervisor)
{
	struct step *step = turn_add(supervisor, STEP_DUE, due_told, supervisor);

	step->due.clock_stepped = supervisor->clock_stepped;
	supervisor->clock_stepped = false;
	supervisor->must_look_at_timers = false;
}

static void
record(struct supervisor *supervisor)
{
	watch_turn_end(supervisor);
	if (supervisor->store == NULL)
		return; /* the database cannot be opened yet */
	if (supervisor->under_way != NULL) {
		/* One at a time; more gathers meanwhile, but nobody waits for a broken disk. */
		if (turn_is_refusing(supervisor->answer))
			refuse_requests(supervisor->batch, supervisor->answer);
		return;
	}
	if (supervisor->cannot_sync)
		refuse_requests(supervisor->batch, supervisor->answer);
	else if (supervisor->phase == PHASE_RUNNING) {
		if (supervisor->must_look_at_timers)
			add_due(supervisor);
		claims_add(supervisor);
	}
	if (supervisor->batch->count == 0) {
		supervisor_turned(supervisor);
		return;
	}
	supervisor->under_way = supervisor->batch;
	supervisor->under_way_tells = supervisor->tells;
	new_batch(supervisor);
	siblings_commit(supervisor);
	run_under_way(supervisor);
}

/* A commit is dear, and what is ready shall be in it; messages to servers are written at once. */
static int64_t
turn_gathers(void *arg)
{
	const struct supervisor *supervisor = arg;

	if (supervisor->batch->count == 0 && supervisor->phase == PHASE_RUNNING)
		return LOOP_NO_MORE;
	return supervisor->tells ? siblings_us(supervisor) : 0;
}

void
turn_end(void *arg)
{
	struct supervisor *supervisor = arg;

	record(supervisor);
	router_flush(supervisor);
	control_flush(supervisor);
	control_sweep(supervisor);
	link_flush(supervisor->link);
}

static void
clock_stepped(void *arg)
{
	struct supervisor *supervisor = arg;

	log_info("the wall clock was set: timers are computed anew");
	supervisor->clock_stepped = true;
	supervisor->must_look_at_timers = true;
}

void
turn_init(struct supervisor *supervisor)
{
	new_batch(supervisor);
	supervisor->retry_ms = FIRST_RETRY_MS;
	supervisor->retry_timer = (struct timer){ .fire = retry_due, .arg = supervisor };
	supervisor->sync_timer = (struct timer){ .fire = sync_due, .arg = supervisor };
	supervisor->wake_timer = (struct timer){ .fire = wake_due, .arg = supervisor };
	loop_on_turn_end(supervisor->loop, turn_end, supervisor);
	loop_gather_while(supervisor->loop, turn_gathers, supervisor);
	loop_on_clock_step(supervisor->loop, clock_stepped, supervisor);
}

void
turn_done(struct supervisor *supervisor)
{
	free_batch(supervisor->batch);
	free_batch(supervisor->under_way);
}
