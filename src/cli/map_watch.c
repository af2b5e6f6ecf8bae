/*
 * map_watch: a connection of its own on which the ends come, each as soon as it is on disk.
 * When the supervisor process is replaced the next one is asked for all that is in flight.
 */

#include "base/xalloc.h"
#include "cli/map.h"

#include <poll.h>
#include <string.h>

static void
note_end(void *arg, const char *method, const json_t *params)
{
	struct map *map = arg;
	int64_t job = json_integer_value(json_object_get(params, "id"));
	struct map_entry *entry;

	if (strcmp(method, "ended") != 0)
		return;
	entry = map_flight_find(&map->flight, job);
	if (entry == NULL) /* told by two of them */
		return;
	if (map->end_count == map->end_room) {
		map->end_room = map->end_room > 0 ? 2 * map->end_room : 64;
		map->ends = xreallocarray(map->ends, map->end_room, sizeof(map->ends[0]));
	}
	if (!map->is_ordered && entry->number != MAP_NO_NUMBER)
		map->ends[map->end_count++] = (struct map_end){ entry->number, job };
	map_flight_end(&map->flight, entry);
}

static int
ask(struct map *map, const struct map_entry *entries, size_t count, struct error *error)
{
	json_t *ids = json_array();

	for (size_t i = 0; i < count; i++) {
		if (!entries[i].has_ended)
			json_array_append_new(ids, json_integer(entries[i].job));
	}
	if (json_array_size(ids) == 0) {
		json_decref(ids);
		return 0;
	}
	return client_send(&map->watch, "wait", json_pack("{s:o, s:b}", "ids", ids, "each", 1),
		   error) == -1
	    ? -1
	    : 0;
}

/* All that is in flight, in requests of bearable size. */
static int
ask_all(struct map *map, struct error *error)
{
	const struct map_flight *flight = &map->flight;

	for (size_t at = flight->first; at < flight->count; at += MAP_AT_ONCE) {
		size_t count = flight->count - at;

		if (ask(map, flight->entries + at, count < MAP_AT_ONCE ? count : MAP_AT_ONCE,
			error) == -1)
			return -1;
	}
	return 0;
}

/* 0, or -1 when there is no next one. */
static int
ask_again(struct map *map, struct error *error)
{
	do {
		client_close(&map->watch);
		if (map_watch_open(map, error) == -1)
			return -1;
	} while (ask_all(map, error) == -1 && map->watch.is_lost);
	return 0;
}

int
map_watch_open(struct map *map, struct error *error)
{
	/* Who waits here is going to submit: one that drains is to stay, the next one too. */
	if (client_open_to_submit(&map->watch, map->invocation->state, error) == -1)
		return -1;
	map->watch.notified = note_end;
	map->watch.notified_arg = map;
	return 0;
}

int
map_watch_add(struct map *map, const struct map_entry *entries, size_t count,
    struct error *error)
{
	for (size_t i = 0; i < count; i++)
		map_flight_add(&map->flight, entries[i].number, entries[i].job);
	if (ask(map, entries, count, error) == 0)
		return 0;
	return map->watch.is_lost ? ask_again(map, error) : -1;
}

int
map_watch_receive(struct map *map, struct error *error)
{
	struct pollfd polled = { .fd = map->watch.fd, .events = POLLIN };
	struct rpc_message message;
	int got;

	do {
		/* 0 looks only at what has been read already. */
		int64_t timeout_ms = poll(&polled, 1, 0) == 1 ? 1 : 0;

		got = client_receive(&map->watch, timeout_ms, false, &message, error);
		if (got == 1 && message.kind == RPC_ERROR)
			got = error_set(error, message.code > 0 ? message.code : STATUS_INTERNAL,
			    "%s", message.message);
		else if (got == 1)
			rpc_message_done(&message);
		else if (got == -1 && map->watch.is_lost)
			return ask_again(map, error);
	} while (got == 1);
	return got;
}
