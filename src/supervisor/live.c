/*
 * live: the table of live attempts, from claim to recorded end: finding, ending, and what
 * others have done to their rows. What starts them is in claims.c, what the keeper says of
 * them in reports.c.
 */

#include "supervisor/live.h"
#include "supervisor/pool.h"
#include "base/log.h"
#include "base/xalloc.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

struct live *
live_find_key(struct supervisor *supervisor, const struct order_key *key)
{
	struct live *live = live_find(supervisor, key->job);

	return live != NULL && live->key.attempt == key->attempt ? live : NULL;
}

static int
compare_places(const struct place_count *a, const struct place_count *b)
{
	return strcmp(a->name, b->name);
}

RB_GENERATE_INTERNAL(
    place_tree, place_count, by_name, compare_places, __attribute__((unused)) static)

struct place_count *
live_place(struct supervisor *supervisor, const char *name)
{
	struct place_count wanted;

	snprintf(wanted.name, sizeof(wanted.name), "%s", name);
	return RB_FIND(place_tree, &supervisor->places_by_name, &wanted);
}

static struct place_count *
add_place(struct supervisor *supervisor, const char *name)
{
	struct place_count *place = xcalloc(1, sizeof(*place));

	memcpy(place->name, name, sizeof(place->name));
	place->run_us = -1;
	place->supervisor = supervisor;
	TAILQ_INSERT_TAIL(&supervisor->places, place, entry);
	RB_INSERT(place_tree, &supervisor->places_by_name, place);
	return place;
}

struct live *
live_add(struct supervisor *supervisor, const struct attempt_key *key, const char *place)
{
	struct live *live = xcalloc(1, sizeof(*live)), *twin;

	live->supervisor = supervisor;
	live->key = *key;
	live->socket_fd = live->output_watch = live->notify_fd = -1;
	live->max_output = SPEC_DEFAULT_MAX_OUTPUT;
	live->place = place != NULL ? live_place(supervisor, place) : NULL;
	if (live->place != NULL) {
		live->place->taken++;
		live->place->starting++;
	}
	twin = RB_INSERT(live_tree, &supervisor->live->tree, live);
	assert(twin == NULL); /* one attempt of a job at a time */
	supervisor->live->count++;
	return live;
}

void
live_unlink(struct live *live)
{
	if (live->predecessor != NULL)
		live->predecessor->successor = live->successor;
	if (live->successor != NULL)
		live->successor->predecessor = live->predecessor;
	live->predecessor = live->successor = NULL;
}

void
live_has_started(struct live *live)
{
	if (!live->is_started && live->place != NULL)
		live->place->starting--;
	live->is_started = true;
}

void
live_remove(struct live *live)
{
	struct supervisor *supervisor = live->supervisor;

	live_has_started(live); /* or never will */
	if (live->place != NULL) {
		if (live->is_ahead)
			live->place->ahead--;
		else
			live->place->taken--;
		if (live->place->taken + live->place->ahead == 0)
			supervisors_emptied(live->place);
	}
	if (live->has_key)
		live_anything_ready(supervisor);
	claims_tell(live, true);
	live_unlink(live);
	pool_forget(live);
	server_free(live->server);
	talk_done(live);
	rotate_free(live);
	output_forget(live);
	if (live->notify_fd != -1)
		close(live->notify_fd);
	RB_REMOVE(live_tree, &supervisor->live->tree, live);
	supervisor->live->count--;
	free(live->times);
	free(live->last_lines);
	free(live->end);
	free(live);
}

size_t
live_count(const struct supervisor *supervisor)
{
	return supervisor->live->count - supervisor->live->messages;
}

size_t
live_count_servers(struct supervisor *supervisor)
{
	size_t count = 0;

	for (struct live *live = live_first(supervisor); live != NULL; live = live_next(live))
		count += live->server != NULL && live->server->plain == NULL;
	return count;
}

bool
live_is_empty(const struct supervisor *supervisor)
{
	return supervisor->live->count == 0;
}

bool
live_has_ends(struct supervisor *supervisor)
{
	for (struct live *live = live_first(supervisor); live != NULL; live = live_next(live)) {
		if (live->has_ended)
			return true;
	}
	return false;
}

void
live_anything_ready(struct supervisor *supervisor)
{
	struct place_count *place;

	TAILQ_FOREACH(place, &supervisor->places, entry)
		place->may_have_ready = true;
}

void
live_ready_at(struct supervisor *supervisor, const char *name)
{
	struct place_count *place = live_place(supervisor, name);

	if (place != NULL)
		place->may_have_ready = true;
	else
		live_anything_ready(supervisor); /* it is not known yet, or to somebody else */
}

/* ---- ending ---- */

static void
order_stop(struct supervisor *supervisor, const struct attempt_key *key,
    enum stop_cause cause, int64_t grace_ms)
{
	struct order order = { .version = ORDERS_VERSION, .kind = ORDER_STOP,
		.key = { key->job, key->attempt, key->generation },
		.stop = { .cause = cause, .grace_ms = grace_ms } };

	if (supervisor->link != NULL)
		link_send(supervisor->link, &order, sizeof(order), -1);
}

void
live_order_stop(struct live *live, enum stop_cause cause, int64_t grace_ms)
{
	order_stop(live->supervisor, &live->key, cause, grace_ms);
}

void
live_stop(struct supervisor *supervisor, const struct attempt_key *key,
    enum stop_cause cause, int64_t grace_ms)
{
	struct live *live = live_find(supervisor, key->job);
	struct server *server = live != NULL && live->key.attempt == key->attempt
	    ? live->server
	    : NULL;

	if (live != NULL && pool_is_message(live)) {
		pool_interrupt(live);
		return;
	}
	if (live != NULL) {
		live->is_being_ended = true;
		live->is_being_killed = live->is_being_killed || grace_ms == 0;
	}
	/* One that traps exits is asked first; one that was asked without a limit has been. */
	if (server != NULL && server->traps_exit && grace_ms != 0 && live->channel != NULL &&
	    !server_is_leaving_at_leisure(server))
		server_terminate(server, (struct reason){ .kind = REASON_SHUTDOWN },
		    grace_ms == STOP_OWN_GRACE ? server->grace_ms : grace_ms);
	else
		order_stop(supervisor, key, cause, grace_ms);
}

void
live_interrupt(struct live *live, int64_t grace_ms)
{
	struct supervisor *supervisor = live->supervisor;
	struct step *step = turn_add(supervisor, STEP_STOPPING, NULL, NULL);

	step->stopping.key = live->key;
	step->stopping.reason = (struct reason){ .kind = REASON_INTERRUPTED };
	live_stop(supervisor, &live->key, STOP_INTERRUPTED, grace_ms);
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
		/* Also before we are told of its start. */
		if (open->has_vanished && !live->has_ended && !live->is_orphan)
			live_disown(live);
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
take_state(struct place_count *place, const struct supervisor_limit *limit)
{
	bool is_bad = limit->state == SUPERVISOR_ENDING || limit->state == SUPERVISOR_ENDED;
	const char *reason = limit->reason != NULL ? limit->reason : "";

	if (place->has_state && place->state != limit->state && is_bad)
		log_warn("supervisor=%s %s reason=\"%s\"", place->name,
		    supervisor_state_name(limit->state), reason);
	else if (place->has_state && place->state != limit->state)
		log_info("supervisor=%s %s", place->name, supervisor_state_name(limit->state));
	if (limit->state != place->state && !supervisor_lets_start(limit->state))
		claims_recall_place(place);
	place->has_state = true;
	place->state = limit->state;
	free(place->reason);
	place->reason = limit->reason != NULL ? xstrdup(limit->reason) : NULL;
	place->position = limit->position;
}

/* Once all of them are known. */
static void
take_parents(struct supervisor *supervisor, const struct step *step)
{
	for (size_t i = 0; i < step->limits.ret_count; i++) {
		const struct supervisor_limit *limit = &step->limits.ret_limits[i];
		struct place_count *place = live_place(supervisor, limit->name);

		if (place != NULL)
			place->parent = limit->parent[0] != '\0'
			    ? live_place(supervisor, limit->parent)
			    : NULL;
	}
}

void
live_take_limits(void *arg, struct step *step)
{
	struct supervisor *supervisor = arg;
	struct place_count *each;

	if (step->answer == STEP_OK) {
		TAILQ_FOREACH (each, &supervisor->places, entry)
			each->is_there = false;
	}
	for (size_t i = 0; i < step->limits.ret_count; i++) {
		const struct supervisor_limit *limit = &step->limits.ret_limits[i];
		struct place_count *place = live_place(supervisor, limit->name);

		if (place == NULL)
			place = add_place(supervisor, limit->name);
		place->max_children = limit->max_children;
		place->may_have_ready = true;
		if (limit->is_paused && !place->is_paused)
			claims_recall_place(place);
		place->is_paused = limit->is_paused;
		pool_has_place(supervisor, limit->pool, place);
		rate_set(place, supervisor, limit);
		take_state(place, limit);
		place->is_there = true;
	}
	take_parents(supervisor, step);
	supervisors_look(supervisor);
}

void
live_read_limits(struct supervisor *supervisor)
{
	turn_add(supervisor, STEP_LIMITS, live_take_limits, supervisor);
}

void
live_init(struct supervisor *supervisor)
{
	TAILQ_INIT(&supervisor->places);
	RB_INIT(&supervisor->places_by_name);
	TAILQ_INIT(&supervisor->drains);
	supervisor->live = xcalloc(1, sizeof(*supervisor->live));
	RB_INIT(&supervisor->live->tree);
	supervisor->live->inotify_fd = -1;
	TAILQ_INIT(&supervisor->live->unwatched);
	rotate_init(supervisor);
	server_init(supervisor);
	claims_init(supervisor);
	reports_init(supervisor);
}

void
live_done(struct supervisor *supervisor)
{
	struct place_count *place;
	struct live *live;

	while ((live = live_first(supervisor)) != NULL)
		live_remove(live);
	server_done(supervisor);
	while ((place = TAILQ_FIRST(&supervisor->places)) != NULL) {
		TAILQ_REMOVE(&supervisor->places, place, entry);
		rate_free(place);
		free(place->reason);
		free(place);
	}
	loop_timer_remove(supervisor->loop, &supervisor->live->rotate_timer);
	loop_remove(supervisor->loop, supervisor->live->inotify_watch);
	if (supervisor->live->inotify_fd != -1)
		close(supervisor->live->inotify_fd);
	free(supervisor->live);
}
