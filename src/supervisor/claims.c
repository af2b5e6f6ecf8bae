/*
 * claims: what starts. Ready jobs are claimed for free places, and ahead of their turn to
 * follow those that run; once the claim is committed it is ordered from the keeper. An
 * order may name the attempt whose place it takes over, so limits stay exact.
 */

#include "base/xalloc.h"
#include "supervisor/pool.h"
#include "supervisor/start.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MOST_CLAIMS 64 /* a turn, and ahead of their turn */
#define MOST_STARTING 64 /* each claim passes over all that are claimed and not recorded */
#define MOST_CHAINS 64 /* with more places claims ahead gain nothing */
#define AHEAD_MS 60    /* claims are ahead by what ends in this time */
#define SHORTEST_RUN_US 500
#define STUCK_MS 40 /* a run that takes longer by this than … */
#define STUCK_RUNS 3 /* … so many usual ones was not expected: those behind it are recalled */

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
	live->has_key = claimed->has_key;
	live->position = claimed->spec.position;
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
	rotate_start(live, &claimed->spec.log_rotate);
	if (claimed->spec.is_server)
		server_add(live, claimed);
	live->is_ordered = true;
	live->ordered = before == NULL ? clock_mono() : (struct mono){ 0 };
	live->ordered_ticks = clock_boot().ms / 10;
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
give_back(struct supervisor *supervisor, const struct claimed_job *claimed)
{
	struct step *step = turn_add(supervisor, STEP_WITHDRAW, NULL, NULL);

	step->withdraw.key = claimed->key;
}

static void
order_all(struct supervisor *supervisor, struct place_count *place,
    const struct claimed_job *jobs, size_t count)
{
	struct chain chains[MOST_CHAINS];
	size_t at_once = 0, chain_count;

	if (place->pool != NULL) {
		for (size_t i = 0; i < count; i++)
			pool_give(supervisor, &jobs[i], place->name);
		return;
	}
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
			give_back(supervisor, &jobs[i]);
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
	/*
	 * A full answer may not have been all of it; nor one that was asked ahead. Others have
	 * perhaps said meanwhile that there is more.
	 */
	place->wants_free_place = step->claim.ret_is_too_early;
	if (place->wants_free_place || (int64_t)step->claim.ret_count >= step->claim.places)
		place->may_have_ready = true;
	/* The database may have let us wait: nothing starts any more when we are leaving. */
	if (supervisor->phase != PHASE_RUNNING) {
		for (size_t i = 0; i < step->claim.ret_count; i++)
			give_back(supervisor, &step->claim.ret_jobs[i]);
	} else {
		rate_count(place, step->claim.ret_count);
		order_all(supervisor, place, step->claim.ret_jobs, step->claim.ret_count);
	}
}

/*
 * How many claims ahead this supervisor should have: as many as end in AHEAD_MS, and none
 * where runs are longer.
 */
static int64_t
ahead_target(const struct place_count *place)
{
	int64_t target;

	if (place->pool != NULL || place->rate != NULL)
		return 0;
	if (place->max_children <= 0 || place->max_children > MOST_CHAINS ||
	    place->run_us < 0 || place->run_us > AHEAD_MS * 1000)
		return 0;
	target = place->max_children * AHEAD_MS * 1000 /
	    (place->run_us > SHORTEST_RUN_US ? place->run_us : SHORTEST_RUN_US);
	return target < MOST_CLAIMS ? target : MOST_CLAIMS;
}

static int64_t *
copy_ids(const int64_t *ids, size_t count)
{
	int64_t *copy = xreallocarray(NULL, count, sizeof(*copy));

	memcpy(copy, ids, count * sizeof(*copy));
	return copy;
}

/* Ends that are recorded in this same transaction free their places for its claims. */
void
claims_add(struct supervisor *supervisor)
{
	struct place_count *place;
	int64_t members[MOST_CLAIMS];

	if (timer_is_set(&supervisor->pause_timer))
		return;
	TAILQ_FOREACH(place, &supervisor->places, entry) {
		int64_t free_places = place->max_children == -1
		    ? MOST_CLAIMS
		    : place->max_children - place->taken;
		int64_t ahead = ahead_target(place) - place->ahead;
		struct step *step;

		if (!place->may_have_ready || !place->is_there || place->is_paused ||
		    !supervisor_lets_start(place->state) ||
		    place->starting - place->ahead > MOST_STARTING)
			continue;
		free_places = free_places > 0 ? free_places : 0;
		/* Small portions cost as much as large ones: wait until half are used up. */
		if (ahead < ahead_target(place) / 2 || ahead < 0 || place->wants_free_place)
			ahead = 0;
		if (place->pool != NULL)
			free_places = (int64_t)pool_free_members(
			    place->pool, members, MOST_CLAIMS);
		if (place->rate != NULL) {
			int64_t allowed = rate_allows(place);

			free_places = free_places < allowed ? free_places : allowed;
		}
		if (free_places + ahead <= 0)
			continue;
		place->may_have_ready = false;
		step = turn_add(supervisor, STEP_CLAIM, claimed, supervisor);
		if (place->pool != NULL)
			step->claim.members = copy_ids(members, (size_t)free_places);
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

	if (live == NULL || live->place == NULL)
		live_anything_ready(arg);
	else
		live->place->may_have_ready = true;
	if (live != NULL && live->key.attempt == step->withdraw.key.attempt)
		live_remove(live);
}

void
claims_withdraw(struct live *live)
{
	struct step *step =
	    turn_add(live->supervisor, STEP_WITHDRAW, withdrawn, live->supervisor);

	step->withdraw.key = live->key;
}

/* Its place is its successor's now, by the keeper's own doing. */
void
claims_promote(struct live *live, const struct report_ended *ended)
{
	struct place_count *place = live->place;
	struct live *next = live->successor;

	if (place != NULL && ended->how != END_UNKNOWN && ended->run_ms >= 0) {
		int64_t run_us = ended->run_ms * 1000 + 500;

		place->run_us =
		    place->run_us < 0 ? run_us : (7 * place->run_us + run_us) / 8;
	}
	live_unlink(live);
	if (next == NULL)
		return;
	next->is_ahead = false;
	next->ordered = clock_mono();
	next->place->ahead--;
	next->place->taken++;
	/* It was ahead when all were stopped, and may have started before it was recalled. */
	if (next->supervisor->phase == PHASE_STOPPING)
		live_interrupt(next, next->supervisor->stop_grace_ms);
}

static bool
is_stuck(const struct live *live, int64_t now_ms)
{
	return !live->is_ahead && live->is_started && live->successor != NULL &&
	    now_ms - live->started.ms >= STUCK_MS + STUCK_RUNS * live->place->run_us / 1000;
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
		bool has_stuck = is_stuck(live, now);

		for (struct live *next = live->successor; has_stuck && next != NULL;
		     next = next->successor)
			claims_recall(supervisor, &next->key);
		has_ahead = has_ahead || live->is_ahead;
	}
	if (has_ahead)
		loop_timer_set(supervisor->loop, &supervisor->ahead_timer, STUCK_MS);
}

void
claims_recall(struct supervisor *supervisor, const struct attempt_key *key)
{
	struct order order = { .version = ORDERS_VERSION, .kind = ORDER_RECALL,
		.key = { key->job, key->attempt, key->generation } };
	const struct live *live = live_find(supervisor, key->job);

	if (live != NULL && pool_is_message(live))
		return; /* it is being written, and has started then */
	link_send(supervisor->link, &order, sizeof(order), -1);
}

/* ---- what became of a claim that was recalled ---- */

struct asked {
	struct asked *next;
	void (*tell)(void *arg, bool was_recalled);
	void *arg;
};

void
claims_recall_and_tell(struct supervisor *supervisor, const struct attempt_key *key,
    void (*tell)(void *arg, bool was_recalled), void *arg)
{
	struct live *live = live_find(supervisor, key->job);
	struct asked *asked;

	/* It was given back already. */
	if (live == NULL || live->key.attempt != key->attempt) {
		tell(arg, true);
		return;
	}
	asked = xmalloc(sizeof(*asked));
	*asked = (struct asked){ .next = live->asked, .tell = tell, .arg = arg };
	live->asked = asked;
	claims_recall(supervisor, key);
}

void
claims_tell(struct live *live, bool was_recalled)
{
	struct asked *asked;

	while ((asked = live->asked) != NULL) {
		live->asked = asked->next;
		asked->tell(asked->arg, was_recalled);
		free(asked);
	}
}

void
claims_tell_all(struct supervisor *supervisor)
{
	for (struct live *live = live_first(supervisor); live != NULL;
	     live = live_next(live))
		claims_tell(live, true);
}

void
claims_recall_place(struct place_count *place)
{
	for (struct live *live = live_first(place->supervisor); live != NULL;
	     live = live_next(live)) {
		if (live->place == place && live->is_ahead)
			claims_recall(place->supervisor, &live->key);
	}
}

void
claims_recall_ahead(struct supervisor *supervisor, int64_t below_priority)
{
	for (struct live *live = live_first(supervisor); live != NULL;
	     live = live_next(live)) {
		if (live->is_ahead && live->priority > below_priority)
			claims_recall(supervisor, &live->key);
	}
}

void
claims_init(struct supervisor *supervisor)
{
	supervisor->ahead_timer = (struct timer){ .fire = ahead_due, .arg = supervisor };
}
