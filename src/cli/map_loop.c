/*
 * map_loop: one loop: items come in while there is room, are sent in portions, their ends come
 * back and are told; and how it comes to an end.
 */

#include "cli/map.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t interrupt_count;
static volatile sig_atomic_t interrupt_signal;

/* Only there to end a wait: what follows happens outside of it. */
static void
note_interrupt(int number)
{
	interrupt_signal = number;
	interrupt_count++;
}

void
map_catch_signals(sigset_t *ret_before)
{
	struct sigaction action = { .sa_handler = note_interrupt };
	sigset_t during;

	sigemptyset(&during);
	sigaddset(&during, SIGINT);
	sigaddset(&during, SIGTERM);
	sigprocmask(SIG_BLOCK, &during, ret_before);
	sigdelset(ret_before, SIGINT);
	sigdelset(ret_before, SIGTERM);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/* ---- the way in ---- */

static bool
has_room(const struct map *map)
{
	return map->flight.live + map->pending.count < map->most_in_flight;
}

/* As much as one request is to carry. */
static bool
is_portion(const struct map *map)
{
	return map->pending.count == MAP_AT_ONCE ||
	    map->pending_bytes >= map->most_pending_bytes;
}

static bool
wants_input(const struct map *map)
{
	return map->interrupts == 0 && !map->is_input_bad && map->fed >= map->known &&
	    !map_items_are_over(&map->items);
}

/* Into `pending`, until there is no room or nothing more here. True: more can be had now. */
static bool
gather(struct map *map)
{
	struct error error;
	char *item;
	int got = 0;

	while (wants_input(map) && has_room(map) && !is_portion(map)) {
		got = map_items_next(&map->items, &item, &error);
		if (got == 1) {
			map->pending_bytes += strlen(item);
			strings_add_owned(&map->pending, item);
		} else if (got == 0 && !map_items_is_ready(&map->items))
			break;
		else if (got == 0)
			got = map_items_read(&map->items, &error);
		if (got != -1)
			continue;
		/* What came before it is run; the exit status will tell. */
		map_progress_wipe(&map->progress);
		cli_complain(error.code, "%s; nothing behind it is run", error.text);
		map->is_input_bad = true;
	}
	return is_portion(map);
}

static int
feed(struct map *map, struct error *error)
{
	bool is_more = true;

	while (map->interrupts == 0 && map->fed < map->known &&
	    map->flight.live < map->most_in_flight) {
		if (map_known_feed(map, error) == -1)
			return -1;
	}
	while (is_more && map->fed >= map->known && map->interrupts == 0) {
		is_more = gather(map);
		/* With no room left a portion is filled up first: requests are dear. */
		if (map->pending.count == 0 || (!is_more && !has_room(map)))
			break;
		if (map_send_pending(map, error) == -1)
			return -1;
		map->progress.is_due = true;
	}
	return 0;
}

/* ---- the loop ---- */

static void
show(struct map *map)
{
	int64_t ended = map->fed - (int64_t)map->flight.live;
	struct map_numbers numbers = {
		.ended = ended,
		.just_ended = ended - map->known > 0 ? ended - map->known : 0,
		.failed = map->failed,
		.total = map_items_are_over(&map->items)
		    ? map->fed + (int64_t)map->pending.count
		    : -1,
		.running_ms = clock_mono().ms - map->progress.begin.ms,
	};

	map_progress_draw(&map->progress, &numbers);
}

static int
heed_interrupt(struct map *map, struct error *error)
{
	map->interrupts = interrupt_count;
	map_progress_wipe(&map->progress);
	strings_done(&map->pending);
	map->pending_bytes = 0;
	if (map->interrupts > 1)
		return error_set(error, STATUS_SIGNALLED + interrupt_signal,
		    "interrupted twice: what ran is being ended");
	if (!map->is_linked)
		return 0;
	cli_complain(0, "ending what is left of %s; once more to leave at once", map->name);
	return map_send_cancel_all(map, error);
}

/* Until something has come: an end, an item, a signal, the time to draw. */
static int
wait_for_anything(struct map *map, struct error *error)
{
	bool reads = wants_input(map) && has_room(map) && !is_portion(map);
	struct pollfd polled[2] = {
		{ .fd = map->watch.fd, .events = POLLIN },
		{ .fd = reads ? map->items.fd : -1, .events = POLLIN },
	};
	int wait_ms = map_progress_wait_ms(&map->progress);
	struct timespec limit = { 0, (long)wait_ms * 1000000 };

	if (ppoll(polled, 2, wait_ms >= 0 ? &limit : NULL, map->mask) == -1 && errno != EINTR)
		return error_set_errno(error, STATUS_INTERNAL, "poll");
	if (interrupt_count > map->interrupts)
		return heed_interrupt(map, error);
	if (polled[0].revents != 0) {
		map->progress.is_due = true;
		return map_watch_receive(map, error);
	}
	return 0;
}

static bool
is_over(const struct map *map)
{
	bool may_end = map->interrupts > 0 || map->is_input_bad ||
	    (map->fed >= map->known && map_items_are_over(&map->items));

	return may_end && map->flight.live == 0 && map->pending.count == 0;
}

static int
go(struct map *map, struct error *error)
{
	for (;;) {
		if (feed(map, error) == -1 || map_report_ends(map, error) == -1)
			return -1;
		if (is_over(map))
			return 0;
		show(map);
		if (wait_for_anything(map, error) == -1)
			return -1;
	}
}

/* ---- the end ---- */

static void
say_how_to_go_on(const struct map *map)
{
	if (map->has_own_name)
		cli_complain(0, "to go on: the same command and items, with --name %s", map->name);
	else
		cli_complain(0, "to go on: the same command and items");
}

static int
finish(struct map *map)
{
	map_progress_wipe(&map->progress);
	map_send_over(map);
	if (map->failed > 0)
		cli_complain(0, "%" PRId64 " of %" PRId64 " failed", map->failed, map->fed);
	if (map->interrupts > 0) {
		cli_complain(0, "interrupted: %" PRId64 " done, %" PRId64 " cancelled", map->done,
		    map->cancelled);
		say_how_to_go_on(map);
		return STATUS_SIGNALLED + interrupt_signal;
	}
	if (map->is_input_bad)
		return STATUS_USAGE;
	return map->failed > 0 ? STATUS_NO : STATUS_OK;
}

static int
fail(struct map *map, const struct error *error)
{
	map_progress_wipe(&map->progress);
	if (error->code == STATUS_NOT_RUNNING)
		cli_not_running(map->invocation);
	else
		cli_fail(error);
	if (map->fed > 0)
		say_how_to_go_on(map);
	return error->code;
}

int
map_run(struct map *map)
{
	struct error error;
	int result = query_map_last(map->query, map->name, &map->known, &error);

	if (result == 0)
		result = map_known_check(map, &error);
	if (result == 1) { /* a signal, before anything was done */
		map->interrupts = interrupt_count;
		return finish(map);
	}
	if (result == 0)
		result = go(map, &error);
	return result == 0 ? finish(map) : fail(map, &error);
}
