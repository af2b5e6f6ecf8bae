/* status: what the supervisor process can say of itself that no row tells. */

#include "base/text.h"
#include "base/xalloc.h"
#include "keeper/tree.h"
#include "supervisor/client.h"
#include "supervisor/live.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLOW_START_MS 1000

/*
 * The processes of attempts, in order, and attempts that are being started, of which no process
 * is known yet: it may be any that is not older than its order.
 */
struct known {
	pid_t *pids;
	size_t count;
	int64_t first_order_ticks; /* of those that are being started; 0: none is */
};

static int
compare_pids(const void *a, const void *b)
{
	pid_t one = *(const pid_t *)a, other = *(const pid_t *)b;

	return one < other ? -1 : one > other;
}

static void
find_known(struct supervisor *supervisor, struct known *known)
{
	known->pids = xcalloc(live_count(supervisor) + 1, sizeof(known->pids[0]));
	known->count = 0;
	known->first_order_ticks = 0;
	for (struct live *live = live_first(supervisor); live != NULL; live = live_next(live)) {
		int64_t ticks = live->ordered_ticks;

		if (live->is_started && live->pid != 0)
			known->pids[known->count++] = (pid_t)live->pid;
		else if (!live->has_ended && ticks != 0 &&
		    (known->first_order_ticks == 0 || ticks < known->first_order_ticks))
			known->first_order_ticks = ticks;
	}
	if (known->count > 0)
		qsort(known->pids, known->count, sizeof(known->pids[0]), compare_pids);
}

static bool
is_known_pid(const struct known *known, pid_t pid)
{
	return known->count > 0 &&
	    bsearch(&pid, known->pids, known->count, sizeof(pid), compare_pids) != NULL;
}

/* It is of an attempt, or of one of its sessions, or may be the first of one. */
static bool
is_known(const struct known *known, pid_t pid)
{
	int64_t start;
	char state;
	int status;

	return pid == getpid() || is_known_pid(known, pid) || is_known_pid(known, getsid(pid)) ||
	    (known->first_order_ticks != 0 && tree_stat(pid, &start, &state, &status) == 0 &&
		start >= known->first_order_ticks);
}

/* Children of the keeper that belong to no attempt: strays that escaped. */
static json_t *
strays(struct supervisor *supervisor)
{
	json_t *list = json_array();
	struct known known;
	pid_t *pids = NULL;
	size_t count = 0;

	if (tree_children(getppid(), &pids, &count) == -1)
		return list;
	find_known(supervisor, &known);
	for (size_t i = 0; i < count; i++) {
		if (!is_known(&known, pids[i]))
			json_array_append_new(list, json_integer(pids[i]));
	}
	free(known.pids);
	free(pids);
	return list;
}

static bool
is_database_in_trouble(const struct supervisor *supervisor)
{
	return supervisor->troubled_since.ms != 0 && supervisor->answer != STORE_OK;
}

static void
add_troubles(struct supervisor *supervisor, json_t *troubles)
{
	int64_t now = clock_mono().ms;
	char span[32], text[256];

	if (is_database_in_trouble(supervisor)) {
		snprintf(text, sizeof(text), "%s for %s%s",
		    store_answer_words(supervisor->answer),
		    text_format_duration(
			span, sizeof(span), now - supervisor->troubled_since.ms),
		    supervisor->answer == STORE_FULL ? ", refusing new jobs" : "");
		json_array_append_new(troubles, json_string(text));
	}
	if (timer_is_set(&supervisor->pause_timer)) {
		snprintf(text, sizeof(text), "starting pauses: %s",
		    strerror(supervisor->pause_error));
		json_array_append_new(troubles, json_string(text));
	}
	for (struct live *live = live_first(supervisor); live != NULL;
	     live = live_next(live)) {
		if (live->is_started || live->has_ended || live->ordered.ms == 0 ||
		    now - live->ordered.ms < SLOW_START_MS)
			continue;
		snprintf(text, sizeof(text), "job %lld has been starting for %s: exec blocks",
		    (long long)live->key.job,
		    text_format_duration(span, sizeof(span), now - live->ordered.ms));
		json_array_append_new(troubles, json_string(text));
	}
}

/* The root stays when one beneath it is lost, and says so; so does any other. */
static void
add_lost_supervisors(struct supervisor *supervisor, json_t *troubles)
{
	const struct place_count *place;

	TAILQ_FOREACH (place, &supervisor->places, entry) {
		char *text;

		if (!place->is_there || place->reason == NULL ||
		    place->state != SUPERVISOR_ENDED || strcmp(place->reason, "stopped") == 0 ||
		    (place->parent != NULL && place->parent->state != SUPERVISOR_RUNNING))
			continue;
		text = xasprintf("supervisor %s has ended: %s", place->name, place->reason);
		json_array_append_new(troubles, json_string(text));
		free(text);
	}
}

json_t *
status_json(struct supervisor *supervisor)
{
	static const char *const phases[] = {
		[PHASE_ATTACHING] = "starting",
		[PHASE_SETTLING] = "starting",
		[PHASE_RUNNING] = "running",
		[PHASE_STOPPING] = "stopping",
		[PHASE_LEAVING] = "leaving",
		[PHASE_QUITTING] = "leaving",
	};
	static const char *const cgroups[] = {
		[CGROUPS_NONE] = "no",
		[CGROUPS_PLAIN] = "yes",
		[CGROUPS_MEMORY] = "memory",
	};
	_Static_assert(sizeof(cgroups) / sizeof(cgroups[0]) == CGROUP_USE_COUNT,
	    "a word for every use");
	json_t *troubles = json_array(), *status;

	add_troubles(supervisor, troubles);
	add_lost_supervisors(supervisor, troubles);
	status = json_pack("{s:s, s:s, s:i, s:i, s:I, s:i, s:I, s:I, s:b, s:o, s:o}", "phase",
	    phases[supervisor->phase], "version", JOBBERD_VERSION, "keeper_pid",
	    (int)getppid(), "supervisor_pid", (int)getpid(), "generation",
	    (json_int_t)supervisor->generation, "restarts", (int)supervisor->restarts,
	    "started_at", (json_int_t)supervisor->started_at.ms, "live",
	    (json_int_t)live_count(supervisor), "drain", supervisor->setup->drains, "troubles",
	    troubles, "strays", strays(supervisor));
	json_object_set_new(status, "cgroups", json_string(cgroups[supervisor->cgroups]));
	json_object_set_new(status, "database", json_string(is_database_in_trouble(supervisor)
		? store_answer_words(supervisor->answer) : "ok"));
	json_object_set_new(
	    status, "clients", json_integer((json_int_t)supervisor->client_count));
	return status;
}
