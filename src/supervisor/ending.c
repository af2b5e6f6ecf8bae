/*
 * ending: the order in which processes are ended when all are. It is that of OTP: a child in
 * order is ended when the one behind it is gone, with all that is beneath that; children that
 * have no order are ended together, before those that have. Trees that have nothing in common
 * do not wait for each other, and most instances have no order at all.
 */

#include "supervisor/pool.h"

#include <assert.h>
#include <string.h>

#define DEEPEST 40 /* of a tree: 32, and some */

/* Where in its tree something stands: positions from the root on; the greatest ends first. */
struct path {
	const struct place_count *root;
	int64_t positions[DEEPEST];
	int depth;
};

static void
find_path(const struct live *live, struct path *path)
{
	const struct place_count *place = live->place;
	int64_t upwards[DEEPEST];
	int count = 0;

	*path = (struct path){ 0 };
	upwards[count++] = live->position != 0 ? live->position : INT64_MAX;
	for (; place != NULL; place = place->parent) {
		path->root = place;
		if (place->parent == NULL || count == DEEPEST)
			break;
		upwards[count++] = place->position != 0 ? place->position : INT64_MAX;
	}
	while (count > 0)
		path->positions[path->depth++] = upwards[--count];
}

static int
compare(const struct path *a, const struct path *b)
{
	for (int i = 0; i < a->depth && i < b->depth; i++) {
		if (a->positions[i] != b->positions[i])
			return a->positions[i] < b->positions[i] ? -1 : 1;
	}
	return a->depth - b->depth;
}

static bool
is_to_end(const struct live *live)
{
	return !live->has_ended && !live->is_ahead && !pool_is_message(live);
}

/* Is anything of the same tree to end before it? */
static bool
is_blocked(struct supervisor *supervisor, const struct live *live, const struct path *path)
{
	struct path other;

	for (struct live *each = live_first(supervisor); each != NULL; each = live_next(each)) {
		if (each == live || each->place == NULL || pool_is_message(each) ||
		    (each->position == 0 && live->position == 0 && each->place == live->place))
			continue;
		find_path(each, &other);
		if (other.root == path->root && compare(&other, path) > 0)
			return true;
	}
	return false;
}

/* Only in such a tree has it to be asked who comes first. */
static void
find_orders(struct supervisor *supervisor)
{
	struct place_count *place;

	TAILQ_FOREACH (place, &supervisor->places, entry)
		place->has_order = place->parent != NULL;
	for (struct live *live = live_first(supervisor); live != NULL; live = live_next(live)) {
		if (live->place != NULL && live->position != 0)
			live->place->has_order = true;
	}
	TAILQ_FOREACH (place, &supervisor->places, entry) {
		for (struct place_count *above = place->parent; above != NULL && place->has_order;
		     above = above->parent)
			above->has_order = true;
	}
}

/* Those of one supervisor that have no order are asked for once. */
struct turn {
	const struct place_count *place;
	bool is_blocked;
};

static bool
has_turn(struct supervisor *supervisor, const struct live *live, struct turn *turn)
{
	struct path path;

	if (live->place == NULL || !live->place->has_order)
		return true;
	if (live->position == 0 && turn->place == live->place)
		return !turn->is_blocked;
	find_path(live, &path);
	turn->place = live->position == 0 ? live->place : NULL;
	turn->is_blocked = is_blocked(supervisor, live, &path);
	return !turn->is_blocked;
}

void
ending_go_on(struct supervisor *supervisor)
{
	int64_t grace_ms = supervisor->stop_grace_ms;
	struct turn turn = { 0 };

	if (!supervisor->somebody_waits_to_end)
		return;
	supervisor->somebody_waits_to_end = false;
	for (struct live *live = live_first(supervisor); live != NULL; live = live_next(live)) {
		if (!is_to_end(live) ||
		    (grace_ms != 0 ? live->is_being_ended : live->is_being_killed))
			continue;
		if (grace_ms != 0 && !has_turn(supervisor, live, &turn)) {
			supervisor->somebody_waits_to_end = true;
			continue;
		}
		live_interrupt(live, grace_ms);
		loop_again(supervisor->loop);
	}
}

void
ending_begin(struct supervisor *supervisor, int64_t grace_ms)
{
	supervisor->stop_grace_ms = grace_ms;
	find_orders(supervisor);
	supervisor->somebody_waits_to_end = true;
	ending_go_on(supervisor);
}

void
ending_unrecorded(struct supervisor *supervisor, int64_t grace_ms)
{
	for (struct live *live = live_first(supervisor); live != NULL; live = live_next(live)) {
		if (!live->has_ended && !live->is_being_ended)
			live_stop(supervisor, &live->key, STOP_INTERRUPTED, grace_ms);
	}
}
