/*
 * settle: a new supervisor process compares the keeper's table with the open attempts of
 * the database, and records the difference in one transaction before anything starts.
 *
 *   in the table   in the database         then
 *   process        open                    it runs on; its start is recorded if it was not
 *   end            open                    recorded, then acknowledged
 *   anything       no such open attempt    an end: acknowledged; a process: stopped
 *   nothing        open, other boot        lost:boot
 *   nothing        open, a pid is known    adopted by the keeper, or lost:keeper
 *   nothing        claimed, no pid         never started: withdrawn
 */

#include "base/log.h"
#include "base/xalloc.h"
#include "supervisor/plain.h"
#include "supervisor/pool.h"

#include <bsd/stdlib.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct report *
find_journal(struct supervisor *supervisor, const struct attempt_key *key)
{
	for (size_t i = 0; i < supervisor->journal_count; i++) {
		struct report *report = &supervisor->journal[i];

		if (report->key.job == key->job && report->key.attempt == key->attempt &&
		    report->key.generation == key->generation)
			return report;
	}
	return NULL;
}

static void
loss_recorded(void *arg, struct step *step)
{
	if (step->answer == STEP_OK)
		output_remove_old(arg, step->ended.key.job, step->ended.key.attempt,
		    step->ended.ret_is_server);
}

static void
record_loss(struct supervisor *supervisor, const struct open_attempt *open,
    enum reason_kind kind)
{
	struct step *step = turn_add(supervisor, STEP_ENDED, loss_recorded, supervisor);

	log_warn("job=%" PRId64 " attempt=%" PRId64 " %s", open->key.job, open->key.attempt,
	    kind == REASON_LOST_BOOT ? "lost: machine restarted"
				     : "lost: the keeper was killed");
	step->ended.key = open->key;
	step->ended.random = arc4random();
	step->ended.end = (struct attempt_end){ .reason.kind = kind, .exit_code = -1,
		.run_ms = -1, .user_ms = -1, .system_ms = -1, .max_rss_kib = -1 };
}

static enum stop_cause
cause_of(struct reason reason)
{
	return reason.kind == REASON_CANCELLED ? STOP_CANCELLED
	    : reason.kind == REASON_TIMEOUT    ? STOP_TIMEOUT
	    : reason.kind == REASON_NONE       ? STOP_NONE
					       : STOP_INTERRUPTED;
}

void
settle_loss(struct supervisor *supervisor, const struct open_attempt *open)
{
	record_loss(supervisor, open,
	    open->is_same_boot ? REASON_LOST_KEEPER : REASON_LOST_BOOT);
}

static void
order_adoption(struct supervisor *supervisor, const struct open_attempt *open, int64_t pid,
    int64_t pid_start)
{
	int64_t left_ms = open->timeout_ms - open->age_ms;
	struct order order = { .version = ORDERS_VERSION, .kind = ORDER_ADOPT,
		.key = { open->key.job, open->key.attempt, open->key.generation },
		.adopt = {
		    .pid = pid,
		    .pid_start = pid_start,
		    .timeout_ms = open->timeout_ms == SPEC_UNSET ? -1
			: left_ms > 0				 ? left_ms
								 : 0,
		    .grace_ms = open->grace_ms,
		    .age_ms = open->age_ms,
		    .leaves_children = open->leaves_children,
		    .stop_cause = cause_of(open->stop),
		    .stop_signal = open->is_plain ? (uint32_t)open->service.stop_signal : 0,
		    .notifies = open->is_plain && open->service.ready == READY_NOTIFY,
		} };
	struct live *live = live_add(supervisor, &open->key, open->supervisor);

	live->is_ordered = true;
	live->is_in_store = true;
	live->was_attached = true;
	live->must_note_start = !open->is_started;
	live->max_output = open->max_output;
	rotate_start(live, &open->log_rotate);
	live->has_key = open->has_key;
	live->position = open->position;
	link_send(supervisor->link, &order, sizeof(order), -1);
	if (open->is_plain && !open->has_vanished)
		server_attach(live, open);
	if (open->has_vanished)
		live_disown(live);
	else if (open->is_server && open->stop.kind == REASON_NONE && !plain_survives(open))
		live_interrupt(live, STOP_OWN_GRACE); /* its stream went with the keeper */
}

/* The keeper has it, or its end. */
static void
settle_held(struct supervisor *supervisor, struct live *live,
    const struct open_attempt *open)
{
	live->is_in_store = true;
	live->max_output = open->max_output;
	rotate_start(live, &open->log_rotate);
	live->has_key = open->has_key;
	live->position = open->position;
	live->place = live_place(supervisor, open->supervisor);
	if (live->place != NULL) {
		live->place->taken++;
		live->place->starting += !live->is_started;
	}
	live->is_being_ended = open->stop.kind != REASON_NONE;
	if (!open->is_started && live->is_started)
		reports_record_start(live);
	if (open->is_server && !open->has_vanished)
		server_attach(live, open);
	if (live->is_started)
		output_watch(live);
	if (live->has_ended && open->pool == 0)
		reports_record_end(live);
	else if (live->has_ended)
		; /* of a pool: when it is known which message it had */
	else if (open->has_vanished)
		live_disown(live);
	else if (open->stop.kind != REASON_NONE && live->server == NULL)
		live_stop(supervisor, &live->key, cause_of(open->stop), STOP_OWN_GRACE);
}

static void
settle_missing(struct supervisor *supervisor, const struct open_attempt *open)
{
	const struct report *journal = find_journal(supervisor, &open->key);
	struct step *step;

	if (!open->is_same_boot)
		settle_loss(supervisor, open);
	else if (open->is_started && open->pid > 0)
		order_adoption(supervisor, open, open->pid, open->pid_start);
	else if (journal != NULL)
		order_adoption(
		    supervisor, open, journal->journal.pid, journal->journal.pid_start);
	else if (open->is_started)
		settle_loss(supervisor, open);
	else {
		step = turn_add(supervisor, STEP_WITHDRAW, NULL, NULL);
		step->withdraw.key = open->key;
	}
}

/* What the keeper holds and the database does not know. */
static void
settle_unknown(struct supervisor *supervisor)
{
	struct live *live, *next;

	for (live = live_first(supervisor); live != NULL; live = next) {
		next = live_next(live);
		if (live->is_in_store)
			continue;
		if (live->has_ended) {
			reports_acknowledge(supervisor, &live->key);
			live_remove(live);
			continue;
		}
		if (live->is_started)
			output_watch(live);
		live_disown(live);
	}
}

static void
settle_finished(void *arg, struct step *step)
{
	(void)step;
	supervisor_ready(arg);
}

static void
record_members(struct supervisor *supervisor, const struct step *step)
{
	for (size_t i = 0; i < step->open.ret_count; i++) {
		const struct open_attempt *open = &step->open.ret_attempts[i];
		struct live *live = live_find(supervisor, open->key.job);

		if (open->pool != 0 && live != NULL && live->has_ended &&
		    live->key.attempt == open->key.attempt)
			reports_record_end(live);
	}
}

static void
compared(void *arg, struct step *step)
{
	struct supervisor *supervisor = arg;
	struct step *resume;

	for (size_t i = 0; i < step->open.ret_count; i++) {
		const struct open_attempt *open = &step->open.ret_attempts[i];
		struct live *live = live_find(supervisor, open->key.job);

		if (open->is_message)
			continue;
		if (live != NULL && live->key.attempt == open->key.attempt)
			settle_held(supervisor, live, open);
		else
			settle_missing(supervisor, open);
	}
	for (size_t i = 0; i < step->open.ret_count; i++) {
		if (step->open.ret_attempts[i].is_message)
			pool_settle(supervisor, &step->open.ret_attempts[i]);
	}
	record_members(supervisor, step);
	settle_unknown(supervisor);
	free(supervisor->journal);
	supervisor->journal = NULL;
	supervisor->journal_count = 0;
	/* All of this is one transaction; behind it, nothing is in our way. */
	resume = turn_add(supervisor, STEP_SUPERVISOR, NULL, NULL);
	resume->supervisor.change = SUPERVISOR_RESUME;
	resume->is_owed = true;
	turn_add(supervisor, STEP_OPEN, settle_finished, supervisor);
}

static void
generation_made(void *arg, struct step *step)
{
	struct supervisor *supervisor = arg;

	supervisor->generation = step->generation.ret_generation;
}

void
settle_begin(struct supervisor *supervisor)
{
	struct step *step;

	supervisor->phase = PHASE_SETTLING;
	step = turn_add(supervisor, STEP_GENERATION, generation_made, supervisor);
	step->generation.pid = getpid();
	step->generation.version = JOBBERD_VERSION;
	step = turn_add(supervisor, STEP_LIMITS, live_take_limits, supervisor);
	step->limits.wants_starts = true;
	if (supervisor->setup->max_children != -1) {
		memcpy(step->limits.set, "default", sizeof("default"));
		step->limits.set_max_children = supervisor->setup->max_children;
	}
	turn_add(supervisor, STEP_OPEN, compared, supervisor);
}

void
settle_add_journal(struct supervisor *supervisor, const struct report *report)
{
	supervisor->journal = xreallocarray(supervisor->journal,
	    supervisor->journal_count + 1, sizeof(supervisor->journal[0]));
	supervisor->journal[supervisor->journal_count++] = *report;
}
