/* sqlite_supervisor_change: supervisors made, changed, started, stopped and removed. */

#include "base/xalloc.h"
#include "store/sqlite_supervision.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ADD, SET, REMOVE, HAS_NODES, PLACE_ALL, DETACH, FORGET_OF, SHIFT_JOBS, SHIFT_NODES,
	PLACE_JOB, PLACE_NODE, DESCRIBE, COUNT
};

#define LARGEST_DEPTH 32

static const char *const sql[] = {
	[ADD] = "INSERT INTO supervisors (name, max_children, overflow, rate, rate_ms, paused, "
		"strategy, budget, auto_shutdown, max_restarts, max_seconds, restart, "
		"significant, parent, state, reason, has_run, applied, position) VALUES "
		"(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, "
		"iif(?14 IS NULL, NULL, 1 + max((SELECT coalesce(max(v.position), 0) "
		"FROM servers v INDEXED BY servers_static JOIN jobs j ON j.id = v.job_id "
		"WHERE v.position IS NOT NULL AND j.supervisor = ?14), "
		"(SELECT coalesce(max(c.position), 0) FROM supervisors c "
		"WHERE c.parent = ?14)))) ON CONFLICT DO NOTHING",
	/* What is NULL here was not given; ?14 and ?15: were max_children and the rate? */
	[SET] = "UPDATE supervisors SET max_children = iif(?14, ?2, max_children), "
		"overflow = coalesce(?3, overflow), rate = iif(?15, ?4, rate), "
		"rate_ms = iif(?15, ?5, rate_ms), paused = coalesce(?6, paused), "
		"strategy = coalesce(?7, strategy), budget = coalesce(?8, budget), "
		"auto_shutdown = coalesce(?9, auto_shutdown), "
		"max_restarts = coalesce(?10, max_restarts), "
		"max_seconds = coalesce(?11, max_seconds), restart = coalesce(?12, restart), "
		"significant = coalesce(?13, significant), applied = coalesce(?16, applied) "
		"WHERE name = ?1",
	[REMOVE] = "DELETE FROM supervisors WHERE name = ?1",
	[HAS_NODES] = "SELECT 1 FROM supervisors WHERE parent = ?1",
	/* With another strategy than one_for_one all servers are in order: by age. */
	[PLACE_ALL] = "UPDATE servers SET position = 1 + job_id + (SELECT coalesce(max(position), "
		      "0) FROM servers INDEXED BY servers_static WHERE position IS NOT NULL) "
		      "WHERE position IS NULL AND pool IS NULL AND job_id IN (SELECT id FROM jobs "
		      "WHERE supervisor = ?1 AND " JOB_IS_LIVE("") ")",
	[DETACH] = "UPDATE servers SET position = NULL, description = NULL "
		   "WHERE (position IS NOT NULL OR description IS NOT NULL) "
		   "AND (SELECT supervisor FROM jobs WHERE id = job_id) = ?1",
	[FORGET_OF] = "DELETE FROM restarts WHERE child = ?1",
	[SHIFT_JOBS] = "UPDATE servers SET position = position + ?2 WHERE position IS NOT NULL "
		       "AND job_id IN (SELECT v.job_id FROM servers v INDEXED BY servers_static "
		       "JOIN jobs j ON j.id = v.job_id WHERE v.position IS NOT NULL "
		       "AND j.supervisor = ?1)",
	[SHIFT_NODES] = "UPDATE supervisors SET position = position + ?2 "
			"WHERE parent = ?1 AND position IS NOT NULL",
	[PLACE_JOB] = "UPDATE servers SET position = ?3 WHERE position IS NOT NULL AND job_id IN "
		      "(SELECT id FROM jobs WHERE name = ?1 || '/' || ?2 AND name IS NOT NULL)",
	[PLACE_NODE] = "UPDATE supervisors SET position = ?3 WHERE parent = ?1 AND name = ?2 "
		       "AND position IS NOT NULL",
	[DESCRIBE] = "UPDATE servers SET description = ?3 WHERE job_id = ?2 "
		     "AND " SERVER_IS_CHILD("") " AND EXISTS (SELECT 1 FROM jobs WHERE id = ?2 "
		     "AND supervisor = ?1)",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_supervisor_change_prepare(struct sqlite_engine *engine, struct error *error)
{
	return statements_prepare(&engine->supervisor_change, &engine->db, sql, COUNT, error);
}

static int __attribute__((format(printf, 4, 5)))
refuse(struct step *step, enum step_answer answer, int code, const char *format, ...)
{
	char words[2 * NAME_SIZE + 128];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(words, sizeof(words), format, arguments);
	va_end(arguments);
	step->answer = answer;
	error_set(&step->error, code, "%s %s", step->supervisor.name, words);
	return SQLITE_OK;
}

static int
run_with_name(struct sqlite_engine *engine, int which, const char *name)
{
	sqlite3_stmt *statement = engine->supervisor_change.prepared[which];

	bind_text(statement, 1, name);
	return statement_run(statement);
}

/* ---- described ---- */

/* The name of a value, or NULL for one that was not given. */
#define NAME_OF(value, kind)                                                             \
	((value) == SUPERVISOR_UNSET ? NULL : kind##_name((enum kind)(value)))

static void
bind_description(sqlite3_stmt *statement, const struct step *step)
{
	const struct supervisor_spec *spec = &step->supervisor.spec;

	bind_text(statement, 1, step->supervisor.name);
	bind_unless(statement, 2, spec->max_children < 0 ? -1 : spec->max_children, -1);
	bind_text(statement, 3, NAME_OF(spec->overflow, overflow));
	bind_unless(statement, 4, spec->rate < 0 ? -1 : spec->rate, -1);
	bind_unless(statement, 5, spec->rate < 0 ? -1 : spec->rate_ms, -1);
	bind_unless(statement, 6, spec->is_paused, SUPERVISOR_UNSET);
	bind_text(statement, 7, NAME_OF(spec->strategy, strategy));
	bind_text(statement, 8, NAME_OF(spec->budget, budget));
	bind_text(statement, 9, NAME_OF(spec->auto_shutdown, auto_shutdown));
	bind_unless(statement, 10, spec->max_restarts, SUPERVISOR_UNSET);
	bind_unless(statement, 11, spec->max_seconds, SUPERVISOR_UNSET);
	bind_text(statement, 12, spec->restart == SUPERVISOR_UNSET ? NULL
							 : restart_name(spec->restart));
	bind_unless(statement, 13, spec->is_significant, SUPERVISOR_UNSET);
}

/* A new one is OTP's unless told otherwise. */
static void
fill_in(struct supervisor_spec *spec)
{
	const struct {
		int *field;
		int value;
	} defaults[] = {
		{ &spec->overflow, OVERFLOW_WAIT },
		{ &spec->is_paused, 0 },
		{ &spec->strategy, STRATEGY_ONE_FOR_ONE },
		{ &spec->budget, BUDGET_SHARED },
		{ &spec->auto_shutdown, AUTO_SHUTDOWN_NEVER },
		{ &spec->restart, RESTART_PERMANENT },
		{ &spec->is_significant, 0 },
	};

	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
		if (*defaults[i].field == SUPERVISOR_UNSET)
			*defaults[i].field = defaults[i].value;
	}
	if (spec->max_restarts == SUPERVISOR_UNSET)
		spec->max_restarts = SUPERVISOR_MAX_RESTARTS;
	if (spec->max_seconds == SUPERVISOR_UNSET)
		spec->max_seconds = SUPERVISOR_MAX_SECONDS;
}

/* A significant child needs a parent that heeds it, and an end that is its last. */
static int
check_significant(struct step *step, const struct node *parent, enum restart_type restart)
{
	if (restart == RESTART_PERMANENT)
		return refuse(step, STEP_REFUSED, STATUS_USAGE,
		    "is permanent, and no end of it is its last: it cannot be significant");
	if (parent->auto_shutdown == AUTO_SHUTDOWN_NEVER)
		return refuse(step, STEP_REFUSED, STATUS_USAGE,
		    "cannot be significant: its parent has auto-shutdown never");
	return SQLITE_OK;
}

/* Nor may its parent stop heeding it: ends of its own would mean nothing any more. */
static int
check_never(struct sqlite_engine *engine, struct step *step)
{
	char child[NAME_SIZE];
	int code = sqlite_find_significant(engine, step->supervisor.name, child);

	if (code == SQLITE_OK && child[0] != '\0')
		return refuse(step, STEP_REFUSED, STATUS_USAGE,
		    "cannot have auto-shutdown never: its child %s is significant", child);
	return code;
}

static int
count_depth(struct sqlite_engine *engine, const struct node *parent, int *ret_depth)
{
	struct node node = *parent;
	bool found = true;
	int code = SQLITE_OK;

	*ret_depth = 1;
	while (code == SQLITE_OK && found && node.parent[0] != '\0' &&
	    *ret_depth <= LARGEST_DEPTH) {
		struct node child = node;

		++*ret_depth;
		code = sqlite_read_node(engine, child.parent, &node, &found);
	}
	return code;
}

static int
check_parent(struct sqlite_engine *engine, struct step *step, struct node *parent)
{
	const char *name = step->supervisor.spec.parent;
	struct supervisor_row row;
	bool found;
	int depth = 0, code = sqlite_find_supervisor(engine, name, &row);

	if (code == SQLITE_OK && (!row.is_there || row.is_pool))
		return refuse(step, STEP_NOT_FOUND, STATUS_NOT_FOUND,
		    "has a parent that is no supervisor: %s", name);
	if (code == SQLITE_OK)
		code = sqlite_read_node(engine, name, parent, &found);
	if (code == SQLITE_OK)
		code = count_depth(engine, parent, &depth);
	if (code == SQLITE_OK && depth > LARGEST_DEPTH)
		return refuse(step, STEP_REFUSED, STATUS_USAGE, "would be too deep in the tree");
	return code;
}

static int
add(struct sqlite_engine *engine, struct step *step)
{
	sqlite3_stmt *statement = engine->supervisor_change.prepared[ADD];
	struct supervisor_spec *spec = &step->supervisor.spec;
	struct node parent = { .auto_shutdown = AUTO_SHUTDOWN_NEVER, .state = SUPERVISOR_RUNNING };
	bool is_ended = step->supervisor.is_ended;
	int code = SQLITE_OK;

	fill_in(spec);
	if (spec->parent[0] != '\0')
		code = check_parent(engine, step, &parent);
	if (code == SQLITE_OK && step->answer == STEP_OK && spec->is_significant)
		code = check_significant(step, &parent, (enum restart_type)spec->restart);
	if (code != SQLITE_OK || step->answer != STEP_OK)
		return code;
	is_ended = is_ended || !supervisor_lets_start(parent.state);
	bind_description(statement, step);
	bind_text(statement, 14, spec->parent[0] != '\0' ? spec->parent : NULL);
	bind_text(statement, 15,
	    supervisor_state_name(is_ended ? SUPERVISOR_ENDED : SUPERVISOR_RUNNING));
	bind_text(statement, 16, is_ended ? NODE_STOPPED : NULL);
	bind_number(statement, 17, !is_ended);
	bind_text(statement, 18, spec->applied[0] != '\0' ? spec->applied : NULL);
	engine->has_tree = engine->has_tree || spec->parent[0] != '\0' || is_ended;
	return sqlite_refuse_constraint(engine, step, statement_run(statement));
}

static int
set(struct sqlite_engine *engine, struct step *step, const struct node *node)
{
	sqlite3_stmt *statement = engine->supervisor_change.prepared[SET];
	const struct supervisor_spec *spec = &step->supervisor.spec;
	struct node parent = { .auto_shutdown = AUTO_SHUTDOWN_NEVER };
	bool found, is_significant = spec->is_significant == SUPERVISOR_UNSET
	    ? node->is_significant
	    : spec->is_significant == 1;
	int restart = spec->restart == SUPERVISOR_UNSET ? (int)node->restart : spec->restart;
	int code = SQLITE_OK;

	if (is_significant && node->parent[0] != '\0')
		code = sqlite_read_node(engine, node->parent, &parent, &found);
	if (code == SQLITE_OK && is_significant)
		code = check_significant(step, &parent, (enum restart_type)restart);
	if (code == SQLITE_OK && spec->auto_shutdown == AUTO_SHUTDOWN_NEVER &&
	    step->answer == STEP_OK)
		code = check_never(engine, step);
	if (code != SQLITE_OK || step->answer != STEP_OK)
		return code;
	bind_description(statement, step);
	bind_number(statement, 14, spec->max_children != SUPERVISOR_UNSET);
	bind_number(statement, 15, spec->rate != SUPERVISOR_UNSET);
	bind_text(statement, 16, spec->applied[0] != '\0' ? spec->applied : NULL);
	code = sqlite_refuse_constraint(engine, step, statement_run(statement));
	if (code != SQLITE_OK || step->answer != STEP_OK || spec->strategy == SUPERVISOR_UNSET ||
	    spec->strategy == STRATEGY_ONE_FOR_ONE)
		return code;
	engine->has_tree = true;
	return run_with_name(engine, PLACE_ALL, node->name);
}

/* ---- started, stopped, removed ---- */

static int
has_nodes(struct sqlite_engine *engine, const char *name, bool *ret_has)
{
	sqlite3_stmt *row = engine->supervisor_change.prepared[HAS_NODES];

	bind_text(row, 1, name);
	return statement_exists(row, ret_has);
}

/* Its children that have ended are history from now on. */
static int
remove_it(struct sqlite_engine *engine, struct step *step, const struct node *node)
{
	bool has;
	int64_t live;
	int code = sqlite_count_live(engine, node->name, &live);

	if (code == SQLITE_OK && live > 0)
		return refuse(step, STEP_REFUSED, STATUS_STATE, "has live jobs");
	if (code == SQLITE_OK)
		code = has_nodes(engine, node->name, &has);
	if (code == SQLITE_OK && has)
		return refuse(step, STEP_REFUSED, STATUS_STATE, "has supervisors beneath it");
	if (code == SQLITE_OK)
		code = run_with_name(engine, DETACH, node->name);
	if (code == SQLITE_OK)
		code = sqlite_forget_restarts(engine, node->name);
	if (code == SQLITE_OK)
		code = run_with_name(engine, FORGET_OF, node->name);
	if (code == SQLITE_OK)
		code = run_with_name(engine, REMOVE, node->name);
	if (code == SQLITE_OK && node->parent[0] != '\0') /* it may have been what was waited for */
		code = sqlite_supervise(engine, node->parent);
	return code;
}

static int
start(struct sqlite_engine *engine, struct step *step, struct node *node)
{
	struct node parent = { .state = SUPERVISOR_RUNNING };
	bool found;
	int code = SQLITE_OK;

	if (node->state != SUPERVISOR_ENDED)
		return refuse(step, STEP_REFUSED, STATUS_STATE, "is already_started");
	code = group_check_places(engine, step, node->name);
	if (code == SQLITE_OK && step->answer == STEP_OK && node->parent[0] != '\0')
		code = sqlite_read_node(engine, node->parent, &parent, &found);
	if (code == SQLITE_OK && parent.state != SUPERVISOR_RUNNING)
		return refuse(step, STEP_REFUSED, STATUS_TRY_LATER,
		    "cannot be started: its parent does not run");
	return code == SQLITE_OK && step->answer == STEP_OK ? sqlite_start_node(engine, node)
							    : code;
}

static int
stop(struct sqlite_engine *engine, struct step *step, struct node *node)
{
	if (supervisor_is_built_in(node->name))
		return refuse(step, STEP_REFUSED, STATUS_STATE, "is built in: pause it");
	return node->state != SUPERVISOR_ENDED ? sqlite_stop_node(engine, node) : SQLITE_OK;
}

/* ---- its children's order ---- */

static int
place(struct sqlite_engine *engine, int which, const char *name, const char *child,
    int64_t position)
{
	sqlite3_stmt *statement = engine->supervisor_change.prepared[which];

	bind_text(statement, 1, name);
	bind_text(statement, 2, child);
	bind_number(statement, 3, position);
	return statement_run(statement);
}

static int
shift(struct sqlite_engine *engine, int which, const char *name, int64_t by)
{
	sqlite3_stmt *statement = engine->supervisor_change.prepared[which];

	bind_text(statement, 1, name);
	bind_number(statement, 2, by);
	return statement_run(statement);
}

/* Those that are named come first, in this order; the others behind them, as they were. */
static int
order(struct sqlite_engine *engine, const struct step *step)
{
	const struct strings *names = &step->supervisor.order;
	const char *name = step->supervisor.name;
	int code = shift(engine, SHIFT_JOBS, name, (int64_t)names->count);

	if (code == SQLITE_OK)
		code = shift(engine, SHIFT_NODES, name, (int64_t)names->count);
	for (size_t i = 0; i < names->count && code == SQLITE_OK; i++) {
		code = place(engine, PLACE_JOB, name, names->items[i], (int64_t)i + 1);
		if (code == SQLITE_OK)
			code = place(engine, PLACE_NODE, name, names->items[i], (int64_t)i + 1);
	}
	return code;
}

/* What a child is does not change: only that a file has it so. */
static int
describe(struct sqlite_engine *engine, struct step *step)
{
	sqlite3_stmt *statement = engine->supervisor_change.prepared[DESCRIBE];
	int code;

	bind_text(statement, 1, step->supervisor.name);
	bind_number(statement, 2, step->supervisor.job);
	bind_text(statement, 3, step->supervisor.description);
	code = statement_run(statement);
	return code == SQLITE_OK && sqlite3_changes(engine->db.handle) == 0
	    ? refuse(step, STEP_NOT_FOUND, STATUS_NOT_FOUND, "has no such child in order")
	    : code;
}

/* ---- all of it ---- */

/* More than that nobody does to a pool's. */
static bool
only_pauses(const struct supervisor_change *change)
{
	const struct supervisor_spec *spec = &change->spec;

	return change->change == SUPERVISOR_SET && spec->max_children == SUPERVISOR_UNSET &&
	    spec->overflow == SUPERVISOR_UNSET && spec->rate == SUPERVISOR_UNSET &&
	    spec->strategy == SUPERVISOR_UNSET && spec->budget == SUPERVISOR_UNSET &&
	    spec->auto_shutdown == SUPERVISOR_UNSET &&
	    spec->max_restarts == SUPERVISOR_UNSET &&
	    spec->max_seconds == SUPERVISOR_UNSET && spec->restart == SUPERVISOR_UNSET &&
	    spec->is_significant == SUPERVISOR_UNSET;
}

static int
change(struct sqlite_engine *engine, struct step *step, struct node *node)
{
	switch (step->supervisor.change) {
	case SUPERVISOR_SET:
		return set(engine, step, node);
	case SUPERVISOR_START:
		return start(engine, step, node);
	case SUPERVISOR_STOP:
		return stop(engine, step, node);
	case SUPERVISOR_ORDER:
		return order(engine, step);
	case SUPERVISOR_DESCRIBE:
		return describe(engine, step);
	default:
		return supervisor_is_built_in(node->name)
		    ? refuse(step, STEP_REFUSED, STATUS_STATE, "is built in")
		    : remove_it(engine, step, node);
	}
}

int
sqlite_step_supervisor(struct sqlite_engine *engine, struct step *step)
{
	struct supervisor_row row;
	struct node node;
	bool found;
	int code;

	if (step->supervisor.change == SUPERVISOR_RESUME)
		return sqlite_resume_nodes(engine);
	code = sqlite_find_supervisor(engine, step->supervisor.name, &row);

	if (code == SQLITE_OK)
		code = sqlite_read_node(engine, step->supervisor.name, &node, &found);
	if (code != SQLITE_OK)
		return code;
	if (step->supervisor.change == SUPERVISOR_ADD)
		return row.is_there
		    ? refuse(step, STEP_REFUSED, STATUS_STATE, "is there already")
		    : add(engine, step);
	if (!row.is_there)
		return refuse(step, STEP_NOT_FOUND, STATUS_NOT_FOUND, "is no supervisor");
	if (row.is_pool && !only_pauses(&step->supervisor))
		return refuse(step, STEP_REFUSED, STATUS_STATE,
		    "is a pool, which is what its server was started with");
	return change(engine, step, &node);
}
