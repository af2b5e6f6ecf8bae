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
 * Its process, or one of those it made. Of an attempt that is being started no process is known
 * yet: it may be any that is not older than its order.
 */
static bool
may_be_of(const struct live *live, pid_t pid)
{
	int64_t start;
	char state;
	int status;

	if (live->is_started)
		return live->pid == pid || getsid(pid) == live->pid;
	return live->ordered_ticks != 0 && !live->has_ended &&
	    tree_stat(pid, &start, &state, &status) == 0 && start >= live->ordered_ticks;
}

/* Children of the keeper that belong to no attempt: strays that escaped. */
static json_t *
strays(struct supervisor *supervisor)
{
	json_t *list = json_array();
	pid_t *pids = NULL;
	size_t count = 0;

	if (tree_children(getppid(), &pids, &count) == -1)
		return list;
	for (size_t i = 0; i < count; i++) {
		bool is_known = pids[i] == getpid();

		for (struct live *live = live_first(supervisor); live != NULL && !is_known;
		     live = live_next(live))
			is_known = may_be_of(live, pids[i]);
		if (!is_known)
			json_array_append_new(list, json_integer(pids[i]));
	}
	free(pids);
	return list;
}

static void
add_troubles(struct supervisor *supervisor, json_t *troubles)
{
	int64_t now = clock_mono().ms;
	char span[32], text[256];

	if (supervisor->troubled_since.ms != 0 && supervisor->answer != STORE_OK) {
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
	json_object_set_new(
	    status, "clients", json_integer((json_int_t)supervisor->client_count));
	return status;
}
