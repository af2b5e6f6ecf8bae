/*
 * map_send: what a map asks of the supervisor process: its own supervisor with so many places,
 * jobs, another run of those that failed, an end of all. Each may be asked again, so the
 * death of the process that was asked is waited out.
 */

#include "cli/map.h"
#include "base/xalloc.h"
#include "model/supervisor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_TRIES 4

/* ---- its supervisor ---- */

static json_t *
change(const struct map *map, const char *word)
{
	return json_pack("{s:s, s:s, s:I, s:s}", "change", word, "name", map->name,
	    "max_children", (json_int_t)map->places, "applied", SUPERVISOR_OF_MAP);
}

static bool
is_of_map(const struct rows *row)
{
	const char *applied = rows_text(row, "applied");

	return applied != NULL && strcmp(applied, SUPERVISOR_OF_MAP) == 0;
}

/* 1: there is one, and it is the map's; 0: there is none; -1: it is somebody else's. */
static int
find_supervisor(struct map *map, struct error *error)
{
	struct rows *rows = query_supervisors(map->query, error);
	int more, found = 0;

	while ((more = rows_next(rows, error)) == 1) {
		if (strcmp(rows_text(rows, "name"), map->name) == 0)
			found = is_of_map(rows) ? 1 : -1;
	}
	rows_close(rows);
	if (found == -1)
		error_set(error, STATUS_STATE,
		    "there is a supervisor %s, which is no map's: give another --name, or remove "
		    "it with: jobberd supervisor rm %s", map->name, map->name);
	return more == -1 ? -1 : found;
}

static int
make_supervisor(struct map *map, struct error *error)
{
	bool has_changed = true;
	json_t *result = NULL;

	/* It may come, of a client before us, or by an answer that was lost, or go meanwhile. */
	for (int tries = 0; tries < MOST_TRIES && result == NULL && has_changed; tries++) {
		int found = find_supervisor(map, error);

		if (found == -1)
			return -1;
		result = client_call_again(&map->control, "supervisor",
		    change(map, found ? "set" : "add"), NULL, error);
		has_changed = result == NULL &&
		    error->code == (found ? STATUS_NOT_FOUND : STATUS_STATE);
	}
	json_decref(result);
	return result != NULL ? 0 : -1;
}

int
map_send_ready(struct map *map, struct error *error)
{
	if (map->is_linked)
		return 0;
	if (client_open_to_submit(&map->control, map->invocation->state, error) == -1)
		return -1;
	if (map_watch_open(map, error) == -1) {
		client_close(&map->control);
		return -1;
	}
	map->is_linked = true;
	map->submission.connection = &map->control;
	return make_supervisor(map, error);
}

void
map_send_over(struct map *map)
{
	struct error error;

	if (!map->is_linked) {
		if (find_supervisor(map, &error) != 1 ||
		    client_open(&map->control, map->invocation->state, &error) == -1)
			return;
		map->is_linked = true;
	}
	/* Refused if something of it lives: then it is still wanted. */
	json_decref(client_call_again(&map->control, "supervisor",
	    json_pack("{s:s, s:s}", "change", "remove", "name", map->name), NULL, &error));
}

void
map_send_done(struct map *map)
{
	client_close(&map->control);
	client_close(&map->watch);
}

/* ---- its jobs ---- */

/* They share all but the command and the name. */
static void
describe(const struct map *map, struct spec *specs)
{
	for (size_t i = 0; i < map->pending.count; i++) {
		specs[i] = map->invocation->spec;
		specs[i].command = (struct strings){ 0 };
		map_template_fill(&map->template, map->pending.items[i], &specs[i].command);
		specs[i].name = xasprintf("%s:%" PRId64, map->name, map->fed + 1 + (int64_t)i);
	}
}

/* 1: they are in; 0: they, or some, were there already, and are known now. */
static int
submit(struct map *map, struct spec *specs, int64_t *ids, struct error *error)
{
	struct submission_request request;

	describe(map, specs);
	submission_request_init(&request, &map->submission, specs, map->pending.count, ids);
	if (submission_send(&map->submission, &request, NULL, error) == -1)
		return request.ret_holder != 0 ? map_known_catch_up(map, error) : -1;
	/* It was recorded with nobody there, who may be back. */
	if (map->submission.connection == NULL) {
		if (client_open_to_submit(&map->control, map->invocation->state, error) == -1)
			return -1;
		map->submission.connection = &map->control;
	}
	return 1;
}

int
map_send_pending(struct map *map, struct error *error)
{
	size_t count = map->pending.count;
	struct spec *specs = xcalloc(count, sizeof(*specs));
	struct map_entry *entries = xcalloc(count, sizeof(*entries));
	int64_t ids[MAP_AT_ONCE] = { 0 };
	int result = map_send_ready(map, error);

	if (result == 0)
		result = submit(map, specs, ids, error);
	for (size_t i = 0; i < count; i++) {
		strings_done(&specs[i].command);
		free(specs[i].name);
		entries[i] = (struct map_entry){ .number = map->fed + 1 + (int64_t)i,
			.job = result == 1 ? ids[i] : 0 };
	}
	if (result == 1) {
		strings_done(&map->pending);
		map->pending_bytes = 0;
		map->fed += (int64_t)count;
		result = map_watch_add(map, entries, count, error);
	}
	free(specs);
	free(entries);
	return result;
}

int
map_send_ids(struct map *map, const char *method, const int64_t *ids, size_t count,
    struct error *error)
{
	json_t *list = json_array(), *answer, *result;
	size_t index;

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_integer(ids[i]));
	answer = client_call_again(
	    &map->control, method, json_pack("{s:o}", "ids", list), NULL, error);
	if (answer == NULL)
		return -1;
	/* How one that was refused is after all, its end tells. */
	json_array_foreach(json_object_get(answer, "results"), index, result) {
		const char *why = json_string_value(json_object_get(result, "error"));

		if (why != NULL && !map->control.was_repeated && strcmp(method, "cancel") != 0)
			cli_complain(0, "%s", why);
	}
	json_decref(answer);
	return 0;
}

int
map_send_cancel_all(struct map *map, struct error *error)
{
	int64_t ids[MAP_AT_ONCE], after = 0;
	size_t count;

	do {
		if (query_map_live(map->query, map->name, after, ids, MAP_AT_ONCE, &count,
			error) == -1)
			return -1;
		if (count == 0)
			break;
		if (map_send_ids(map, "cancel", ids, count, error) == -1)
			return -1;
		after = ids[count - 1];
		/* Those that have not been taken up yet end with the others. */
		for (size_t i = 0; i < count; i++) {
			const struct map_entry entry = { .number = MAP_NO_NUMBER, .job = ids[i] };

			if (map_flight_find(&map->flight, ids[i]) == NULL &&
			    map_watch_add(map, &entry, 1, error) == -1)
				return -1;
		}
	} while (count == MAP_AT_ONCE);
	return 0;
}
