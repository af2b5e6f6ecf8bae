/*
 * map: xargs that survives being killed. One loop: items come in while there is room, are
 * sent in portions, their ends come back and are told. What there is of a map when it begins
 * again is in map_known.c.
 */

#include "cli/map.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "model/supervisor.h"

#include <bsd/stdlib.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEAST_IN_FLIGHT 4000
#define LONGEST_NAME 108 /* its jobs' names have a number behind it */

static volatile sig_atomic_t interrupt_count;
static volatile sig_atomic_t interrupt_signal;

/* Only there to end a wait: what follows happens outside of it. */
static void
note_interrupt(int number)
{
	interrupt_signal = number;
	interrupt_count++;
}

/* ---- the way in ---- */

static bool
has_room(const struct map *map)
{
	return map->flight.live + map->pending.count < map->most_in_flight;
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

	while (wants_input(map) && has_room(map) && map->pending.count < MAP_AT_ONCE) {
		got = map_items_next(&map->items, &item, &error);
		if (got == 1)
			strings_add_owned(&map->pending, item);
		else if (got == 0 && !map_items_is_ready(&map->items))
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
	return map->pending.count == MAP_AT_ONCE;
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
	bool reads = wants_input(map) && has_room(map) && map->pending.count < MAP_AT_ONCE;
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

static int
run(struct map *map)
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

/* ---- the command line ---- */

/* What has no meaning, or another one, for the jobs of a map. */
static const char *
misplaced(const struct spec *spec)
{
	if (spec->supervisor != NULL)
		return "supervisor: a map has one of its own, with -j places";
	if (spec->is_once)
		return "once: a map that is there already is gone on with";
	if (spec->is_held)
		return "hold: a map waits for its jobs";
	if (spec->stdin_path != NULL && strcmp(spec->stdin_path, "-") == 0)
		return "stdin: - is where the items come from";
	if (spec->name != NULL && strlen(spec->name) > LONGEST_NAME)
		return "name: of a map it has at most 108 characters";
	if (spec->name != NULL && supervisor_is_built_in(spec->name))
		return "name: default, serial and servers are supervisors that are always there";
	return NULL;
}

static int64_t
usable_cpus(void)
{
	cpu_set_t cpus;

	return sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
}

static bool
is_text(const struct strings *words)
{
	for (size_t i = 0; i < words->count; i++) {
		size_t left = strlen(words->items[i]), one;

		for (const char *at = words->items[i]; left > 0; at += one, left -= one) {
			if ((one = text_utf8_length(at, left)) == 0)
				return false;
		}
	}
	return true;
}

/* What all of its jobs have in common. */
static int
prepare_spec(struct map *map, struct error *error)
{
	struct spec *spec = &map->invocation->spec;
	const char *wrong = misplaced(spec);

	if (wrong != NULL)
		return error_set(error, STATUS_USAGE, "%s", wrong);
	for (int i = 0; i < map->invocation->argument_count; i++)
		strings_add(&map->template, map->invocation->arguments[i]);
	if (!is_text(&map->template))
		return error_set(error, STATUS_USAGE, "the command is not UTF-8");
	if (spec->name == NULL) {
		spec->name = xasprintf("map-%08x", arc4random());
		map->has_own_name = true;
	}
	map->name = spec->name;
	spec->supervisor = xstrdup(map->name);
	if (!spec->has_max_retries) {
		spec->retry.max_retries = 0;
		spec->has_max_retries = true;
	}
	strings_add_all(&spec->command, &map->template);
	if (submission_prepare(&map->submission, spec, error) == -1)
		return -1;
	/* Told once a request, not once a job. */
	for (size_t i = 0; i < spec->environment.count; i++)
		strings_set_variable(
		    &map->submission.environment, spec->environment.items[i]);
	strings_done(&spec->environment);
	return 0;
}

static int
begin(struct map *map)
{
	struct error error;

	if (prepare_spec(map, &error) == -1)
		return cli_fail(&error);
	map->query = query_open(map->invocation->state, &error);
	if (map->query == NULL)
		return error.code == STATUS_NOT_FOUND ? cli_not_running(map->invocation)
						      : cli_fail(&error);
	if (map_lock(map->invocation->state, map->name, &error) == -1)
		return cli_fail(&error);
	if (map->has_own_name)
		cli_complain(0, "this map is called %s", map->name);
	return run(map);
}

static void
block_signals(sigset_t *ret_before)
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

int
verb_map(struct invocation *invocation)
{
	struct map map = {
		.invocation = invocation,
		.places = option_number(invocation, "jobs", 1, 100000, usable_cpus()),
		.is_ordered = option_is_given(invocation, "ordered"),
		.items = { .fd = STDIN_FILENO, .is_nul = option_is_given(invocation, "null") },
		.control = { .fd = -1 },
		.watch = { .fd = -1 },
	};
	sigset_t before;
	int status;

	map.most_in_flight = LEAST_IN_FLIGHT;
	if (map.most_in_flight < 2 * (size_t)map.places)
		map.most_in_flight = 2 * (size_t)map.places;
	block_signals(&before);
	map.mask = &before;
	map_progress_begin(&map.progress);
	submission_init(&map.submission, invocation);
	map.submission.has_tokens = true;
	status = begin(&map);
	map_send_done(&map);
	submission_done(&map.submission);
	query_close(map.query);
	map_items_done(&map.items);
	map_flight_done(&map.flight);
	strings_done(&map.template);
	strings_done(&map.pending);
	free(map.ends);
	return status;
}
