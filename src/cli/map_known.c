/*
 * map_known: a map that was begun before. First all that is recorded is compared with what
 * comes, and nothing happens if that differs; then it is taken up where it was.
 */

#include "base/text.h"
#include "cli/escape.h"
#include "cli/map.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* ---- are these the items? ---- */

static int
refuse(const struct map *map, int64_t number, const char *item, const struct map_job *job,
    struct error *error)
{
	char *old = map_template_item(&map->template, job->command), quoted[80];
	struct buf there = { 0 };
	int result;

	if (old != NULL)
		result = error_set(error, STATUS_USAGE,
		    "item %" PRId64 " is not that of the map %s, which has %s there; nothing was "
		    "done", number, map->name, text_quote(quoted, sizeof(quoted), old));
	else {
		escape_add_command(&there, job->command);
		result = error_set(error, STATUS_USAGE,
		    "item %" PRId64 " (%s) is not that of the map %s, which runs for it: %.200s; "
		    "nothing was done", number, text_quote(quoted, sizeof(quoted), item),
		    map->name, buf_text(&there));
		buf_done(&there);
	}
	free(old);
	return result;
}

static int
compare(struct map *map, int64_t number, const char *item, struct error *error)
{
	struct map_job job;
	char *command;
	int result = query_map_item(map->query, map->name, number, &job, error);

	if (result == -1)
		return -1;
	if (job.id == 0)
		return error_set(error, STATUS_STATE,
		    "the job of item %" PRId64 " of the map %s has been pruned, and whether it was "
		    "done is not known any more: give another --name", number, map->name);
	command = map_template_json(&map->template, item);
	if (strcmp(command, job.command) != 0)
		result = refuse(map, number, item, &job, error);
	free(command);
	map_job_done(&job);
	return result;
}

/* 0: something was read; 1: a signal came. */
static int
read_some(struct map *map, struct error *error)
{
	struct pollfd polled[2] = { { .fd = map->items.fd, .events = POLLIN },
		{ .fd = map->interrupt_fd, .events = POLLIN } };

	if (poll(polled, 2, -1) == -1 && errno != EINTR)
		return error_set_errno(error, STATUS_INTERNAL, "poll");
	if (map_is_interrupted())
		return 1;
	return polled[0].revents != 0 ? map_items_read(&map->items, error) : 0;
}

int
map_known_check(struct map *map, struct error *error)
{
	for (int64_t number = 1; number <= map->known;) {
		char *item;
		int got = map_items_next(&map->items, &item, error);

		if (got == 1 && map_is_interrupted()) {
			free(item);
			return 1;
		}
		if (got == 1) {
			got = compare(map, number++, item, error);
			free(item);
		} else if (got == 0 && map_items_are_over(&map->items))
			return error_set(error, STATUS_USAGE,
			    "item %" PRId64 " is missing: the map %s has %" PRId64 " items; "
			    "nothing was done", number, map->name, map->known);
		else if (got == 0)
			got = read_some(map, error);
		if (got != 0)
			return got;
	}
	return 0;
}

int
map_known_catch_up(struct map *map, struct error *error)
{
	struct strings left = { 0 };
	size_t count = map->pending.count;
	int64_t last;

	if (query_map_last(map->query, map->name, &last, error) == -1 || last <= map->fed)
		return -1;
	if ((int64_t)count > last - map->fed)
		count = (size_t)(last - map->fed);
	for (size_t i = 0; i < count; i++) {
		if (compare(map, map->fed + 1 + (int64_t)i, map->pending.items[i], error) == -1)
			return -1;
	}
	map->pending_bytes = 0;
	for (size_t i = count; i < map->pending.count; i++) {
		map->pending_bytes += strlen(map->pending.items[i]);
		strings_add(&left, map->pending.items[i]);
	}
	strings_done(&map->pending);
	map->pending = left;
	map->known = map->fed + (int64_t)count;
	return 0;
}

/* ---- going on ---- */

struct portion {
	struct map_entry entries[MAP_AT_ONCE];
	size_t count;
	int64_t failed[MAP_AT_ONCE];
	size_t failed_count;
};

/* What has been done is told; in order, that is for later. */
static int
take_up(struct map *map, struct portion *portion, int64_t number, struct error *error)
{
	struct map_job job;
	int result = query_map_item(map->query, map->name, number, &job, error);

	if (result == -1)
		return -1;
	if (job.id == 0)
		return error_set(error, STATUS_STATE,
		    "the job of item %" PRId64 " has been pruned meanwhile", number);
	if (job.status != JOB_DONE)
		portion->entries[portion->count++] =
		    (struct map_entry){ .number = number, .job = job.id };
	else if (!map->is_ordered)
		result = map_report(map, number, &job, error);
	if (job.status == JOB_FAILED || job.status == JOB_CANCELLED)
		portion->failed[portion->failed_count++] = job.id;
	map_job_done(&job);
	return result;
}

int
map_known_feed(struct map *map, struct error *error)
{
	struct portion portion = { .count = 0 };
	int64_t upto = map->fed + MAP_AT_ONCE;

	if (upto > map->known)
		upto = map->known;
	for (int64_t number = map->fed + 1; number <= upto; number++) {
		if (take_up(map, &portion, number, error) == -1)
			return -1;
	}
	if (portion.count > 0 && map_send_ready(map, error) == -1)
		return -1;
	map->fed = upto;
	if (portion.failed_count > 0 &&
	    map_send_ids(map, "retry", portion.failed, portion.failed_count, error) == -1)
		return -1;
	return map_watch_add(map, portion.entries, portion.count, error);
}
