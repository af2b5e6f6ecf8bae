/* apply_servers: what is to be done about a server that a file describes. */

#include "base/xalloc.h"
#include "cli/apply_making.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Which keys of the two descriptions differ. */
static char *
compare(const char *before, const char *after)
{
	json_t *one = json_loads(before, 0, NULL), *other = json_loads(after, 0, NULL);
	struct buf words = { 0 };
	const char *key;
	json_t *value;
	char *text;

	json_object_foreach(other, key, value) {
		if (!json_equal(value, json_object_get(one, key)))
			buf_addf(&words, "%s%s", words.length > 0 ? ", " : "", key);
	}
	json_object_foreach(one, key, value) {
		if (json_object_get(other, key) == NULL)
			buf_addf(&words, "%s%s", words.length > 0 ? ", " : "", key);
	}
	text = xstrdup(words.length > 0 ? buf_text(&words) : "described anew");
	buf_done(&words);
	json_decref(one);
	json_decref(other);
	return text;
}

/* What is kept of a durable one goes over to the next, if that has a place for it. */
static int
check_kept(struct making *making, const struct manifest_entry *entry, const json_t *row)
{
	int64_t messages = plan_number(row, "messages");
	char state[24] = "";

	if (entry->server.is_durable || plan_number(row, "durable") == 0 ||
	    (plan_number(row, "has_state") == 0 && messages == 0))
		return 0;
	if (plan_number(row, "has_state") != 0)
		snprintf(state, sizeof(state), "a committed state and ");
	return error_set(making->error, STATUS_STATE,
	    "%s: has %s%" PRId64 " message%s, which would be lost since it is not durable any "
	    "more: leave it durable, or stop and delete it first", entry->name, state, messages,
	    messages == 1 ? "" : "s");
}

static int
replace_server(struct making *making, const struct manifest_entry *entry, const json_t *row,
    bool starts, char *what)
{
	struct plan_step *step =
	    plan_add_step(making->plan, PLAN_REPLACE_SERVER, entry->name, entry);

	step->is_live = plan_is_live(row);
	step->starts = starts;
	step->job = plan_number(row, "id");
	step->what = what;
	return check_kept(making, entry, row);
}

/* Somebody has started it so by hand. */
static void
adopt_server(struct making *making, const struct manifest_entry *entry, const json_t *row)
{
	struct plan_step *step =
	    plan_add_step(making->plan, PLAN_ADOPT_SERVER, entry->name, entry);

	step->job = plan_number(row, "id");
	step->what = xstrdup("described by this file now");
}

int
plan_make_server(struct making *making, const struct manifest_entry *entry, bool runs)
{
	const json_t *row = json_object_get(making->present.servers, entry->name);
	const char *now = plan_text(row, "description");
	const char *wanted = making->descriptions[entry - making->manifest->entries];
	bool starts = runs && !entry->server.is_only_on_demand, is_by_hand = now == NULL;

	if (row == NULL) {
		plan_add_step(making->plan, starts ? PLAN_START_SERVER : PLAN_ADD_SERVER,
		    entry->name, entry);
		return 0;
	}
	if (is_by_hand ? !plan_is_as_described(row, &entry->server) : strcmp(now, wanted) != 0)
		return replace_server(making, entry, row, starts,
		    is_by_hand ? xstrdup("described anew") : compare(now, wanted));
	if (is_by_hand)
		adopt_server(making, entry, row);
	if (!plan_is_live(row) && starts)
		plan_remark(making->plan,
		    xasprintf("%s does not run: jobberd start %s", entry->name, entry->name));
	return 0;
}
