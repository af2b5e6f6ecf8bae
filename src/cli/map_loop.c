/*
 * map_loop: one loop: items come in while there is room, are sent in portions, their ends come
 * back and are told; and how it comes to an end.
 */

#include "cli/map.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LONGEST_WORD 131071 /* that execve(2) takes */

static volatile sig_atomic_t interrupt_count, interrupt_signal;
static volatile sig_atomic_t all_was_sent; /* no second one has to wait for anything */
static int interrupt_fd = -1;

/* Whoever reads our output, or the database, may keep us for long: that is not waited for. */
static void
leave_at_once(int number)
{
	const char *text = all_was_sent
	    ? "\njobberd: interrupted twice: what ran is being ended\n"
	    : "\njobberd: interrupted: not all that ran may be ended\n";
	ssize_t written = write(STDERR_FILENO, text, strlen(text));

	(void)written; /* there is nobody else to tell */
	_exit(STATUS_SIGNALLED + number);
}

static void
note_interrupt(int number)
{
	const uint64_t one = 1;
	int saved = errno;
	ssize_t written;

	interrupt_signal = number;
	interrupt_count = interrupt_count + 1;
	if (interrupt_count > 2 || (interrupt_count > 1 && all_was_sent))
		leave_at_once(number);
	written = write(interrupt_fd, &one, sizeof(one));
	(void)written; /* full of them it is readable, too */
	errno = saved;
}

int
map_catch_signals(void)
{
	struct sigaction action = { .sa_handler = note_interrupt, .sa_flags = SA_RESTART };

	sigemptyset(&action.sa_mask);
	sigaddset(&action.sa_mask, SIGINT);
	sigaddset(&action.sa_mask, SIGTERM);
	interrupt_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	return interrupt_fd;
}

bool
map_is_interrupted(void)
{
	return interrupt_count > 0;
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
	return !map_is_interrupted() && !map->is_input_bad && map->fed >= map->known &&
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
		if (got == 1 && map_template_longest(&map->template, item) > LONGEST_WORD) {
			got = error_set(&error, STATUS_USAGE,
			    "item %" PRId64 ": a word of its command would have more than %d bytes",
			    map->fed + 1 + (int64_t)map->pending.count, LONGEST_WORD);
			free(item);
		} else if (got == 1) {
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

static bool
can_take_up(const struct map *map)
{
	return !map_is_interrupted() && map->fed < map->known &&
	    map->flight.live < map->most_in_flight;
}

static int
feed_new(struct map *map, struct error *error)
{
	bool is_more = true;

	while (is_more && map->fed >= map->known && !map_is_interrupted()) {
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

static int
feed(struct map *map, struct error *error)
{
	/* What seemed to be new may be known: map_known_catch_up(). */
	do {
		while (can_take_up(map)) {
			if (map_known_feed(map, error) == -1)
				return -1;
		}
		if (feed_new(map, error) == -1)
			return -1;
	} while (can_take_up(map));
	return 0;
}

/* ---- the loop ---- */

static void
show(struct map *map)
{
	/* What is ended before it was taken up is in flight, and was not fed. */
	int64_t live = (int64_t)map->flight.live, ended = live < map->fed ? map->fed - live : 0;
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
	map->is_interrupted = true;
	map_progress_wipe(&map->progress);
	strings_done(&map->pending);
	map->pending_bytes = 0;
	if (map->is_linked) {
		cli_complain(
		    0, "ending what is left of %s; once more to leave at once", map->name);
		if (map_send_cancel_all(map, error) == -1)
			return -1;
	}
	all_was_sent = true;
	/* The second may have come before that. */
	return interrupt_count > 1 ? error_set(error, STATUS_SIGNALLED + interrupt_signal,
					 "interrupted twice: what ran is being ended")
				   : 0;
}

/* Until something has come: an end, an item, a signal, the time to draw. */
static int
wait_for_anything(struct map *map, struct error *error)
{
	bool reads = wants_input(map) && has_room(map) && !is_portion(map);
	struct pollfd polled[3] = {
		{ .fd = map->watch.fd, .events = POLLIN },
		{ .fd = reads ? map->items.fd : -1, .events = POLLIN },
		{ .fd = map->is_interrupted ? -1 : map->interrupt_fd, .events = POLLIN },
	};

	if (poll(polled, 3, map_progress_wait_ms(&map->progress)) == -1 && errno != EINTR)
		return error_set_errno(error, STATUS_INTERNAL, "poll");
	if (map_is_interrupted() && !map->is_interrupted)
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
	bool may_end = map->is_interrupted || map->is_input_bad ||
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
	if (map->is_interrupted) {
		cli_complain(0, "interrupted: %" PRId64 " done, %" PRId64 " cancelled", map->done,
		    map->cancelled);
		say_how_to_go_on(map);
		return STATUS_SIGNALLED + interrupt_signal;
	}
	if (map->is_input_bad)
		return STATUS_USAGE;
	return map->failed + map->cut > 0 ? STATUS_NO : STATUS_OK;
}

static int
fail(struct map *map, const struct error *error)
{
	map_progress_wipe(&map->progress);
	if (error->code == STATUS_NOT_RUNNING)
		cli_not_running(map->invocation);
	else if (!ferror(stdout)) /* that is told at the end */
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
		map->is_interrupted = true;
		return finish(map);
	}
	if (result == 0)
		result = go(map, &error);
	return result == 0 ? finish(map) : fail(map, &error);
}
