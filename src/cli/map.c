/*
 * map: xargs that survives being killed. Here is its command line; map_loop.c runs it, and
 * map_known.c is about what there is of a map when it begins again.
 */

#include "cli/map.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "cli/database.h"
#include "model/supervisor.h"

#include <bsd/stdlib.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEAST_IN_FLIGHT 4000
#define PORTION_BYTES (1 << 20)
#define LONGEST_NAME 108 /* its jobs' names have a number behind it */

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
	map->most_pending_bytes = PORTION_BYTES / map_template_places(&map->template);
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
	map->query = database_open(map->invocation->state, &error);
	if (map->query == NULL)
		return error.code == STATUS_NOT_FOUND ? cli_not_running(map->invocation)
						      : cli_fail(&error);
	if (map_lock(map->invocation->state, map->name, &error) == -1)
		return cli_fail(&error);
	if (map->has_own_name)
		cli_complain(0, "this map is called %s", map->name);
	return map_run(map);
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
	int status;

	map.most_in_flight = LEAST_IN_FLIGHT;
	if (map.most_in_flight < 2 * (size_t)map.places)
		map.most_in_flight = 2 * (size_t)map.places;
	map.interrupt_fd = map_catch_signals();
	map_progress_begin(&map.progress);
	submission_init(&map.submission, invocation);
	map.submission.has_tokens = true;
	map.submission.has_new_names = true;
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
