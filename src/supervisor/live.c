/*
 * live: attempts from claim to recorded end. Claims are ordered from the keeper once they
 * are committed; what the keeper reports becomes steps of the next transaction, and is
 * acknowledged when that is committed.
 */

#include "supervisor/live.h"
#include "base/log.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "supervisor/start.h"

#include <assert.h>
#include <bsd/stdlib.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_CLAIMS 64 /* a turn, and ahead of their turn */
#define MOST_CHAINS 64 /* with more places claims ahead gain nothing */
#define AHEAD_MS 20    /* claims are ahead by what ends in this time */
#define SHORTEST_RUN_US 500
#define STUCK_MS 40 /* a run this long was not expected: those behind it are recalled */
#define FIRST_PAUSE_MS 100
#define LONGEST_PAUSE_MS 10000

static int
compare(const struct live *a, const struct live *b)
{
	return a->key.job < b->key.job ? -1 : a->key.job > b->key.job;
}

RB_GENERATE_INTERNAL(live_tree, live, entry, compare, __attribute__((unused)) static)

struct live *
live_find(struct supervisor *supervisor, int64_t job)
{
	struct live wanted = { .key.job = job };

	return RB_FIND(live_tree, &supervisor->live->tree, &wanted);
}

struct live *
live_first(struct supervisor *supervisor)
{
	return RB_MIN(live_tree, &supervisor->live->tree);
}

struct live *
live_next(struct live *live)
{
	return RB_NEXT(live_tree, NULL, live);
}

/* The live attempt that this report or order is about; NULL if it is an old one. */
static struct live *
find_key(struct supervisor *supervisor, const struct order_key *key)
{
	struct live *live = live_find(supervisor, key->job);

	return live != NULL && live->key.attempt == key->attempt ? live : NULL;
}

struct place_count *
live_place(struct supervisor *supervisor, const char *name)
{
	for (size_t i = 0; i < supervisor->place_count; i++) {
		if (strcmp(supervisor->places[i].name, name) == 0)
			return &supervisor->places[i];
	}
	return NULL;
}

struct live *
live_add(struct supervisor *supervisor, const struct attempt_key *key, const char *place)
{
	struct live *live = xcalloc(1, sizeof(*live));

	live->supervisor = supervisor;
	live->key = *key;
	live->socket_fd = live->output_watch = -1;
	live->max_output = SPEC_DEFAULT_MAX_OUTPUT;
	live->place = place != NULL ? live_place(supervisor, place) : NULL;
	if (live->place != NULL)
		live->place->taken++;
	RB_INSERT(live_tree, &supervisor->live->tree, live);
	supervisor->live->count++;
	return live;
}

/* Out of the chain of those who take each other's place. */
static void
unlink_live(struct live *live)
{
	if (live->predecessor != NULL)
		live->predecessor->successor = live->successor;
	if (live->successor != NULL)
		live->successor->predecessor = live->predecessor;
	live->predecessor = live->successor = NULL;
}

void
live_remove(struct live *live)
{
	struct supervisor *supervisor = live->supervisor;

	if (live->place != NULL) {
		if (live->is_ahead)
			live->place->ahead--;
		else
			live->place->taken--;
		live->place->may_have_ready = true;
	}
	unlink_live(live);
	talk_done(live);
	RB_REMOVE(live_tree, &supervisor->live->tree, live);
	supervisor->live->count--;
	free(live->last_lines);
	free(live->end);
	free(live);
}

size_t
live_count(const struct supervisor *supervisor)
{
	return supervisor->live->count;
}

void
live_anything_ready(struct supervisor *supervisor)
{
	for (size_t i = 0; i < supervisor->place_count; i++)
		supervisor->places[i].may_have_ready = true;
}

/* ---- claims ---- */

/*
 * Start it in a free place, or behind another attempt (`before`), whose place it takes over
 * the moment that one ends: the keeper then asks nobody.
 */
static struct live *
order_start(struct supervisor *supervisor, const struct claimed_job *claimed,
    const char *place, struct live *before)
{
	struct live *live = live_add(supervisor, &claimed->key, place);

	live->priority = claimed->spec.priority;
	if (before != NULL) {
		live->is_ahead = true;
		live->place->taken--;
		live->place->ahead++;
		live->predecessor = before;
		before->successor = live;
		if (!timer_is_set(&supervisor->ahead_timer))
			loop_timer_set(supervisor->loop, &supervisor->ahead_timer, STUCK_MS);
	}
	if (claimed->spec.max_output != SPEC_UNSET)
		live->max_output = claimed->spec.max_output;
	live->is_ordered = true;
	live->ordered = before == NULL ? clock_mono() : (struct mono){ 0 };
	start_order(supervisor, claimed, before != NULL ? &before->key : NULL);
	return live;
}

/* The ends of the chains of this supervisor, the shortest first. */
struct chain {
	struct live *tail;
	int length;
};

static int
compare_chains(const void *a, const void *b)
{
	return ((const struct chain *)a)->length - ((const struct chain *)b)->length;
}

static size_t
find_chains(struct supervisor *supervisor, const struct place_count *place,
    struct chain *chains, size_t most)
{
	size_t count = 0;

	for (struct live *live = live_first(supervisor); live != NULL && count < most;
	     live = live_next(live)) {
		struct chain chain = { live, 0 };

		if (live->place != place || live->is_ahead || live->has_ended ||
		    live->is_orphan)
			continue;
		for (; chain.tail->successor != NULL; chain.length++)
			chain.tail = chain.tail->successor;
		chains[count++] = chain;
	}
	qsort(chains, count, sizeof(*chains), compare_chains);
	return count;
}

static void
order_all(struct supervisor *supervisor, struct place_count *place,
    const struct claimed_job *jobs, size_t count)
{
	struct chain chains[MOST_CHAINS];
	size_t at_once = 0, chain_count;

	while (at_once < count &&
	    (place->max_children == -1 || place->taken < place->max_children))
		order_start(supervisor, &jobs[at_once++], place->name, NULL);
	if (at_once == count)
		return;
	chain_count = find_chains(supervisor, place, chains, MOST_CHAINS);
	for (size_t i = at_once; i < count; i++) {
		struct chain *shortest = &chains[(i - at_once) % (chain_count + !chain_count)];

		/* Nobody to follow: the claim goes back. */
		if (chain_count == 0) {
			struct step *step = turn_add(supervisor, STEP_WITHDRAW, NULL, NULL);

			step->withdraw.key = jobs[i].key;
			place->may_have_ready = true;
			continue;
		}
		shortest->tail =
		    order_start(supervisor, &jobs[i], place->name, shortest->tail);
	}
}

static void
claimed(void *arg, struct step *step)
{
	struct supervisor *supervisor = arg;
	struct place_count *place = live_place(supervisor, step->claim.supervisor);

	assert(place != NULL); /* it was asked for by its name, and none is ever removed */
	if (step->answer != STEP_OK) {
		place->may_have_ready = true;
		return;
	}
	/* A full answer may not have been all of it. */
	place->may_have_ready = step->claim.ret_count + (size_t)step->claim.ret_refused > 0;
	order_all(supervisor, place, step->claim.ret_jobs, step->claim.ret_count);
}

/*
 * How many claims ahead this supervisor should have: as many as end in AHEAD_MS, and none
 * where runs are longer.
 */
static int64_t
ahead_target(const struct place_count *place)
{
	int64_t target;

	if (place->max_children <= 0 || place->max_children > MOST_CHAINS ||
	    place->run_us < 0 || place->run_us > AHEAD_MS * 1000)
		return 0;
	target = place->max_children * AHEAD_MS * 1000 /
	    (place->run_us > SHORTEST_RUN_US ? place->run_us : SHORTEST_RUN_US);
	return target < MOST_CLAIMS ? target : MOST_CLAIMS;
}

bool
live_goes_on_alone(const struct supervisor *supervisor)
{
	bool has_ahead = false;

	for (size_t i = 0; i < supervisor->place_count; i++) {
		const struct place_count *place = &supervisor->places[i];

		if (place->ahead > 0)
			has_ahead = true;
		/* Something may start, and only we can say so. */
		if (place->may_have_ready &&
		    (place->ahead == 0 || place->taken < place->max_children))
			return false;
	}
	return has_ahead;
}

/* Ends that are recorded in this same transaction free their places for its claims. */
void
live_add_claims(struct supervisor *supervisor)
{
	if (timer_is_set(&supervisor->pause_timer))
		return;
	for (size_t i = 0; i < supervisor->place_count; i++) {
		struct place_count *place = &supervisor->places[i];
		int64_t free_places = place->max_children == -1
		    ? MOST_CLAIMS
		    : place->max_children - place->taken;
		int64_t ahead = ahead_target(place) - place->ahead;
		struct step *step;

		free_places = free_places > 0 ? free_places : 0;
		/* Small portions cost as much as large ones: wait until half are used up. */
		if (ahead < ahead_target(place) / 2 || ahead < 0)
			ahead = 0;
		if (!place->may_have_ready || free_places + ahead <= 0)
			continue;
		place->may_have_ready = false;
		step = turn_add(supervisor, STEP_CLAIM, claimed, supervisor);
		memcpy(step->claim.supervisor, place->name, sizeof(place->name));
		step->claim.places = free_places + ahead < MOST_CLAIMS ? free_places + ahead
									: MOST_CLAIMS;
		step->claim.ahead = step->claim.places > free_places
		    ? step->claim.places - free_places
		    : 0;
	}
}

static void
withdrawn(void *arg, struct step *step)
{
	struct live *live = live_find(arg, step->withdraw.key.job);

	if (live != NULL && live->key.attempt == step->withdraw.key.attempt)
		live_remove(live);
}

void
live_withdraw(struct live *live)
{
	struct step *step =
	    turn_add(live->supervisor, STEP_WITHDRAW, withdrawn, live->supervisor);

	step->withdraw.key = live->key;
}

/* ---- what the keeper reports ---- */

static void
started_recorded(void *arg, struct step *step)
{
	(void)arg;
	if (step->answer == STEP_OK)
		log_info("job=%" PRId64 " started attempt=%" PRId64 " pid=%" PRId64,
		    step->started.key.job, step->started.key.attempt, step->started.pid);
}

void
live_record_start(struct live *live)
{
	struct step *step = turn_add(
	    live->supervisor, STEP_STARTED, started_recorded, live->supervisor);

	step->started.key = live->key;
	step->started.pid = live->pid;
	step->started.pid_start = live->pid_start;
	step->started.age_ms = clock_mono().ms - live->started.ms;
}

static struct reason
end_reason(const struct report_ended *ended)
{
	static const enum reason_kind by_cause[] = {
		[STOP_NONE] = REASON_NONE,
		[STOP_CANCELLED] = REASON_CANCELLED,
		[STOP_INTERRUPTED] = REASON_INTERRUPTED,
		[STOP_TIMEOUT] = REASON_TIMEOUT,
	};
	_Static_assert(sizeof(by_cause) / sizeof(by_cause[0]) == STOP_CAUSE_COUNT,
	    "a reason for every cause");
	bool was_good = ended->how == END_EXITED && ended->code == 0;

	if (ended->how == END_UNKNOWN)
		return (struct reason){ .kind = REASON_LOST_KEEPER };
	if (ended->how == END_NOT_EXECUTED)
		return (struct reason){ .kind = REASON_SPAWN, .number = ended->code };
	/* It succeeded although we were about to end it: good. A cancel stays a cancel. */
	if (ended->cause != STOP_NONE && ended->cause < STOP_CAUSE_COUNT &&
	    !(was_good && ended->cause != STOP_CANCELLED && ended->cause != STOP_TIMEOUT))
		return (struct reason){ .kind = by_cause[ended->cause] };
	if (was_good)
		return (struct reason){ .kind = REASON_NORMAL };
	if (ended->how == END_EXITED)
		return (struct reason){ .kind = REASON_EXIT, .number = ended->code };
	return (struct reason){ .kind = REASON_SIGNAL, .number = ended->code,
		.core = ended->core != 0 };
}

static void
log_end(const struct step *step)
{
	char words[96], retries[32];

	reason_words(words, sizeof(words), step->ended.end.reason, 0);
	snprintf(retries, sizeof(retries), "%" PRId64 "/%" PRId64,
	    step->ended.ret_failures > 0 ? step->ended.ret_failures - 1 : 0,
	    step->ended.ret_max_retries);
	if (step->ended.ret_max_retries == RETRY_FOR_EVER)
		snprintf(retries, sizeof(retries), "%" PRId64 "/inf",
		    step->ended.ret_failures > 0 ? step->ended.ret_failures - 1 : 0);
	if (step->ended.ret_status == JOB_DONE)
		log_info("job=%" PRId64 " completed run_ms=%" PRId64, step->ended.key.job,
		    step->ended.end.run_ms);
	else if (step->ended.ret_counts && step->ended.ret_status == JOB_ERRORED)
		log_warn("job=%" PRId64 " %s reason=\"%s\" retries=%s retry_in_ms=%" PRId64,
		    step->ended.key.job,
		    step->ended.ret_failures > 1 ? "retry failed" : "errored", words, retries,
		    step->ended.ret_pause_ms);
	else if (step->ended.ret_counts)
		log_warn("job=%" PRId64 " %s reason=\"%s\" retries=%s", step->ended.key.job,
		    step->ended.ret_failures > 1 ? "retry failed" : "errored", words, retries);
	else
		log_info("job=%" PRId64 " %s reason=\"%s\"", step->ended.key.job,
		    job_status_name(step->ended.ret_status), words);
	if (!job_status_is_live(step->ended.ret_status))
		log_info("job=%" PRId64 " exiting status=%s", step->ended.key.job,
		    job_status_name(step->ended.ret_status));
}

static void
end_recorded(void *arg, struct step *step)
{
	struct supervisor *supervisor = arg;
	const struct attempt_key *key = &step->ended.key;
	struct live *live = live_find(supervisor, key->job);

	if (step->answer == STEP_OK)
		log_end(step);
	else
		log_warn("job=%" PRId64 " attempt=%" PRId64
			 " ended, but the database knows no such attempt (any more)",
		    key->job, key->attempt);
	if (step->answer == STEP_OK && step->ended.ret_status == JOB_ERRORED)
		turn_wake_in(supervisor, step->ended.ret_pause_ms - step->ended.age_ms);
	live_acknowledge(supervisor, key);
	if (live != NULL && live->key.attempt == key->attempt)
		live_remove(live);
}

/* What it said last counts, and its output is complete: only now is its end decided. */
void
live_record_end(struct live *live)
{
	const struct report_ended *ended = &live->end->ended;
	struct step *step;
	struct attempt_end *end;

	talk_drain(live);
	output_cut(live);
	live->last_lines = output_last_lines(live, ended->output_bytes);
	step = turn_add(live->supervisor, STEP_ENDED, end_recorded, live->supervisor);
	step->ended.key = live->key;
	step->ended.age_ms = clock_mono().ms - ended->at_mono_ms;
	step->ended.random = arc4random();
	end = &step->ended.end;
	*end = (struct attempt_end){
		.reason = end_reason(ended),
		.exit_code = ended->how == END_EXITED ? ended->code : -1,
		.signal = ended->how == END_SIGNALLED ? ended->code : 0,
		.core = ended->core != 0,
		.run_ms = ended->how == END_NOT_EXECUTED ? -1 : ended->run_ms,
		.user_ms = ended->user_ms,
		.system_ms = ended->system_ms,
		.max_rss_kib = ended->max_rss_kib,
		.output_bytes = ended->output_bytes,
		.output_left_out = live->left_out,
		.last_lines = live->last_lines,
		.children_killed = ended->children_killed,
	};
}

void
live_acknowledge(struct supervisor *supervisor, const struct attempt_key *key)
{
	struct order order = { .version = ORDERS_VERSION, .kind = ORDER_ACKNOWLEDGE,
		.key = { key->job, key->attempt, key->generation } };

	if (supervisor->link != NULL)
		link_send(supervisor->link, &order, sizeof(order), -1);
}

static void
started(struct supervisor *supervisor, const struct report *report, int descriptor)
{
	struct live *live = find_key(supervisor, &report->key);

	if (live == NULL && supervisor->phase == PHASE_ATTACHING) {
		const struct attempt_key key = { report->key.job, report->key.attempt,
			report->key.generation };

		live = live_add(supervisor, &key, NULL);
		live->was_attached = true;
	}
	if (live == NULL) {
		if (descriptor != -1)
			close(descriptor);
		return;
	}
	live->is_ordered = live->is_started = true;
	live->pid = report->started.pid;
	live->pid_start = report->started.pid_start;
	live->started.ms = report->started.at_mono_ms;
	live->socket_fd = descriptor;
	output_watch(live);
	/* An adopted one has its start in the database already. */
	if (supervisor->phase != PHASE_ATTACHING &&
	    (!report->started.is_adopted || live->must_note_start))
		live_record_start(live);
	supervisor->pause_ms = 0;
}

/* Its place is its successor's now, by the keeper's own doing. */
static void
promote_successor(struct live *live, const struct report_ended *ended)
{
	struct place_count *place = live->place;
	struct live *next = live->successor;

	if (place != NULL && ended->how != END_UNKNOWN && ended->run_ms >= 0) {
		int64_t run_us = ended->run_ms * 1000 + 500;

		place->run_us =
		    place->run_us < 0 ? run_us : (7 * place->run_us + run_us) / 8;
	}
	unlink_live(live);
	if (next == NULL)
		return;
	next->is_ahead = false;
	next->ordered = clock_mono();
	next->place->ahead--;
	next->place->taken++;
}

static void
recalled(struct supervisor *supervisor, const struct report *report)
{
	struct live *live = find_key(supervisor, &report->key);

	if (live == NULL || live->is_started || live->has_ended)
		return;
	unlink_live(live);
	live_withdraw(live);
}

/* A run takes longer than was expected: those behind it may start elsewhere. */
static void
ahead_due(void *arg)
{
	struct supervisor *supervisor = arg;
	int64_t now = clock_mono().ms;
	bool has_ahead = false;

	for (struct live *live = live_first(supervisor); live != NULL;
	     live = live_next(live)) {
		bool is_stuck = !live->is_ahead && live->is_started &&
		    now - live->started.ms >= STUCK_MS;

		for (struct live *next = live->successor; is_stuck && next != NULL;
		     next = next->successor)
			live_recall(supervisor, &next->key);
		has_ahead = has_ahead || (live->is_ahead && !is_stuck);
	}
	if (has_ahead)
		loop_timer_set(supervisor->loop, &supervisor->ahead_timer, STUCK_MS);
}

void
live_recall(struct supervisor *supervisor, const struct attempt_key *key)
{
	struct order order = { .version = ORDERS_VERSION, .kind = ORDER_RECALL,
		.key = { key->job, key->attempt, key->generation } };

	link_send(supervisor->link, &order, sizeof(order), -1);
}

void
live_recall_ahead(struct supervisor *supervisor, int64_t below_priority)
{
	for (struct live *live = live_first(supervisor); live != NULL;
	     live = live_next(live)) {
		if (live->is_ahead && live->priority > below_priority)
			live_recall(supervisor, &live->key);
	}
}

static void
ended(struct supervisor *supervisor, const struct report *report)
{
	struct live *live = find_key(supervisor, &report->key);

	if (live == NULL && supervisor->phase == PHASE_ATTACHING) {
		const struct attempt_key key = { report->key.job, report->key.attempt,
			report->key.generation };

		live = live_add(supervisor, &key, NULL); /* it never had a process */
	}
	if (live == NULL || live->has_ended)
		return;
	live->has_ended = true;
	promote_successor(live, &report->ended);
	live->end = xmalloc(sizeof(*live->end));
	*live->end = *report;
	if (supervisor->phase > PHASE_SETTLING || live->is_in_store || live->is_orphan)
		live_record_end(live); /* else when it has been compared */
}

static void
pause_over(void *arg)
{
	live_anything_ready(arg);
}

/* No process could be made: ours, not the job's. */
static void
refused(struct supervisor *supervisor, const struct report *report)
{
	struct live *live = find_key(supervisor, &report->key);

	if (live == NULL)
		return;
	supervisor->pause_error = report->refused.error;
	supervisor->pause_ms =
	    supervisor->pause_ms == 0 ? FIRST_PAUSE_MS : 2 * supervisor->pause_ms;
	if (supervisor->pause_ms > LONGEST_PAUSE_MS)
		supervisor->pause_ms = LONGEST_PAUSE_MS;
	log_warn("job=%" PRId64 " could not be started: %s; starting pauses for %" PRId64 " ms",
	    report->key.job, strerror(report->refused.error), supervisor->pause_ms);
	loop_timer_set(supervisor->loop, &supervisor->pause_timer, supervisor->pause_ms);
	live_withdraw(live);
}

void
live_report(struct supervisor *supervisor, const struct report *report, int descriptor)
{
	switch (report->kind) {
	case REPORT_STARTED:
		started(supervisor, report, descriptor);
		break;
	case REPORT_ENDED:
		ended(supervisor, report);
		break;
	case REPORT_REFUSED:
		refused(supervisor, report);
		break;
	case REPORT_RECALLED:
		recalled(supervisor, report);
		break;
	default:
		break;
	}
}

/* ---- ending ---- */

void
live_stop(struct supervisor *supervisor, const struct attempt_key *key,
    enum stop_cause cause, int64_t grace_ms)
{
	struct order order = { .version = ORDERS_VERSION, .kind = ORDER_STOP,
		.key = { key->job, key->attempt, key->generation },
		.stop = { .cause = cause, .grace_ms = grace_ms } };

	if (supervisor->link != NULL)
		link_send(supervisor->link, &order, sizeof(order), -1);
}

void
live_stop_all(struct supervisor *supervisor, int64_t grace_ms)
{
	struct live *live;

	for (live = live_first(supervisor); live != NULL; live = live_next(live)) {
		struct step *step;

		if (live->has_ended || live->is_ahead)
			continue;
		step = turn_add(supervisor, STEP_STOPPING, NULL, NULL);
		step->stopping.key = live->key;
		step->stopping.reason = (struct reason){ .kind = REASON_INTERRUPTED };
		live_stop(supervisor, &live->key, STOP_INTERRUPTED, grace_ms);
	}
}

void
live_disown(struct live *live)
{
	log_warn("job=%" PRId64 " its row is gone: it is stopped", live->key.job);
	turn_add_event(live->supervisor, live->key.job, live->key.attempt, "row vanished", NULL);
	live->is_orphan = true;
	live_stop(live->supervisor, &live->key, STOP_CANCELLED, STOP_OWN_GRACE);
}

/* ---- what others wrote into the database ---- */

static void
foreign_seen(void *arg, struct step *step)
{
	struct supervisor *supervisor = arg;
	struct live *live, *next;

	for (live = live_first(supervisor); live != NULL; live = live_next(live))
		live->is_in_store = false;
	for (size_t i = 0; i < step->open.ret_count; i++) {
		const struct open_attempt *open = &step->open.ret_attempts[i];

		live = live_find(supervisor, open->key.job);
		if (live == NULL || live->key.attempt != open->key.attempt)
			continue;
		live->is_in_store = !open->has_vanished;
		if (open->stop.kind == REASON_CANCELLED)
			live_stop(supervisor, &live->key, STOP_CANCELLED, STOP_OWN_GRACE);
	}
	for (live = live_first(supervisor); live != NULL; live = next) {
		next = live_next(live);
		if (live->is_in_store || live->has_ended || live->is_orphan ||
		    !live->is_started)
			continue;
		live_disown(live);
	}
}

void
live_look_at_foreign(struct supervisor *supervisor)
{
	live_anything_ready(supervisor);
	live_read_limits(supervisor);
	supervisor->must_look_at_timers = true;
	turn_add(supervisor, STEP_OPEN, foreign_seen, supervisor);
}

static void
limits_read(void *arg, struct step *step)
{
	struct supervisor *supervisor = arg;

	for (size_t i = 0; i < step->limits.ret_count; i++) {
		const struct supervisor_limit *limit = &step->limits.ret_limits[i];
		struct place_count *place = live_place(supervisor, limit->name);

		if (place == NULL)
			continue; /* they are all there from the first reading on */
		place->max_children = limit->max_children;
		place->may_have_ready = true;
	}
}

void
live_read_limits(struct supervisor *supervisor)
{
	turn_add(supervisor, STEP_LIMITS, limits_read, supervisor);
}

void
live_init(struct supervisor *supervisor)
{
	supervisor->live = xcalloc(1, sizeof(*supervisor->live));
	RB_INIT(&supervisor->live->tree);
	supervisor->live->inotify_fd = -1;
	supervisor->pause_timer = (struct timer){ .fire = pause_over, .arg = supervisor };
	supervisor->ahead_timer = (struct timer){ .fire = ahead_due, .arg = supervisor };
}

void
live_done(struct supervisor *supervisor)
{
	struct live *live;

	while ((live = live_first(supervisor)) != NULL)
		live_remove(live);
	loop_remove(supervisor->loop, supervisor->live->inotify_watch);
	if (supervisor->live->inotify_fd != -1)
		close(supervisor->live->inotify_fd);
	free(supervisor->live);
	free(supervisor->places);
}
