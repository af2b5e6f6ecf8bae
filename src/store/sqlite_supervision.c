/*
 * sqlite_supervision: the tree of supervisors at work. The rules say what the end of a child
 * means (model/supervision.h); here that is written: what its supervisor is at, the restarts
 * that count, and which processes are to be ended now. Each call goes as far as it can in the
 * transaction under way, and is made again when a child has come up or ended, so whoever finds
 * the rows after a crash goes on from them.
 */

#include "base/text.h"
#include "store/sqlite_supervision.h"

#include <stdio.h>
#include <string.h>

enum { OF_JOB, AT_WORK, FORGET_CHILD, RESUME_NODES, RESUME_ROOTS, COUNT };

static const char *const sql[] = {
	[OF_JOB] = "SELECT j.supervisor, v.position, j.name FROM jobs j "
		   "LEFT JOIN servers v ON v.job_id = j.id WHERE j.id = ?1",
	[AT_WORK] = "SELECT name FROM supervisors WHERE state <> 'running' AND state <> 'ended' "
		    "AND state <> 'waiting' AND name > ?1 ORDER BY name LIMIT 1",
	/* A file that describes one which has never come up tries again, unless it was its wish. */
	[FORGET_CHILD] = "UPDATE servers SET position = NULL, description = iif(?2 OR EXISTS "
			 "(SELECT 1 FROM events WHERE job_id = ?1 AND event <> 'started' "
			 "AND event = 'ready'), description, NULL) WHERE job_id = ?1",
	/* Those that are being ended are as good as gone. */
	[RESUME_NODES] = "UPDATE supervisors SET state = 'waiting', reason = '" NODE_RESUMED "' "
			 "WHERE parent IS NOT NULL AND position IS NOT NULL "
			 "AND state = 'running' AND NOT EXISTS (SELECT 1 "
			 "FROM servers v INDEXED BY servers_static JOIN attempts a "
			 "ON a.job_id = v.job_id AND a.ended_at IS NULL "
			 "AND a.stop_reason IS NULL WHERE v.position IS NOT NULL)",
	[RESUME_ROOTS] = "UPDATE supervisors SET state = 'restarting' WHERE parent IS NULL "
			 "AND state = 'running' AND EXISTS (SELECT 1 FROM supervisors c "
			 "WHERE c.parent = supervisors.name AND c.state = 'waiting')",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_supervision_prepare(struct sqlite_engine *engine, struct error *error)
{
	return statements_prepare(&engine->supervision, &engine->db, sql, COUNT, error);
}

static int advance(struct sqlite_engine *engine, struct node *node);
static int node_ended(struct sqlite_engine *engine, struct node *node);

/* ---- ending ---- */

int
node_begin_ending(struct sqlite_engine *engine, struct node *node, const char *reason)
{
	int code = node_set_state(engine, node, SUPERVISOR_ENDING, 0, reason);

	if (code == SQLITE_OK)
		code = node_tell(engine, node, "supervisor ending");
	if (code == SQLITE_OK)
		code = group_end_dynamic(engine, node);
	return code == SQLITE_OK ? advance(engine, node) : code;
}

static int
end_all(struct sqlite_engine *engine, struct node *node)
{
	bool has, none = false;
	int code = group_has_dynamic(engine, node, &has);

	if (code == SQLITE_OK && !has)
		code = group_end_last(engine, node, 1, &none);
	if (code != SQLITE_OK || !none)
		return code;
	code = node_set_state(engine, node, SUPERVISOR_ENDED, 0, NULL);
	if (code == SQLITE_OK)
		code = node_tell(engine, node, "supervisor ended");
	if (code == SQLITE_OK)
		code = group_end_waiting(engine, node);
	return code == SQLITE_OK ? node_ended(engine, node) : code;
}

/* ---- starting ---- */

int
node_begin_starting(struct sqlite_engine *engine, struct node *node)
{
	int code = sqlite_forget_restarts(engine, node->name);

	if (code == SQLITE_OK)
		code = node_set_state(engine, node, SUPERVISOR_STARTING, 0, NULL);
	if (code == SQLITE_OK)
		code = group_begin(engine, node);
	return code == SQLITE_OK ? advance(engine, node) : code;
}

int
node_resume(struct sqlite_engine *engine, struct node *node)
{
	int code = node_set_state(engine, node, SUPERVISOR_RESTARTING, 0, NULL);

	return code == SQLITE_OK ? advance(engine, node) : code;
}

static int
start_children(struct sqlite_engine *engine, struct node *node)
{
	bool is_up = false;
	int code = group_start_next(engine, node);

	engine->batch->supervised = true; /* one of the servers may be ready to start now */
	if (code == SQLITE_OK)
		code = group_is_up(engine, node, &is_up);
	if (code != SQLITE_OK || !is_up)
		return code;
	code = node_set_state(engine, node, SUPERVISOR_RUNNING, 0, NULL);
	if (code == SQLITE_OK)
		code = node_set_has_run(engine, node, true);
	if (code == SQLITE_OK)
		code = node_tell(engine, node, "supervisor running");
	return code == SQLITE_OK && node->parent[0] != '\0' && !node->is_walked
	    ? sqlite_supervise(engine, node->parent)
	    : code;
}

static int
end_group(struct sqlite_engine *engine, struct node *node)
{
	bool none;
	int code = group_end_last(engine, node, node->group_from, &none);

	if (code != SQLITE_OK || !none)
		return code;
	code = node_set_state(engine, node, SUPERVISOR_RESTARTING, 0, NULL);
	return code == SQLITE_OK ? start_children(engine, node) : code;
}

/* ---- what it is at ---- */

static int
advance(struct sqlite_engine *engine, struct node *node)
{
	switch (node->state) {
	case SUPERVISOR_REGROUPING:
		return end_group(engine, node);
	case SUPERVISOR_ENDING:
		return end_all(engine, node);
	case SUPERVISOR_STARTING:
	case SUPERVISOR_RESTARTING:
		return start_children(engine, node);
	default:
		return SQLITE_OK;
	}
}

int
sqlite_supervise(struct sqlite_engine *engine, const char *name)
{
	struct node node;
	bool found;
	int code = sqlite_read_node(engine, name, &node, &found);

	return code == SQLITE_OK && found ? advance(engine, &node) : code;
}

int
sqlite_supervise_all(struct sqlite_engine *engine)
{
	sqlite3_stmt *row = engine->supervision.prepared[AT_WORK];
	char name[NAME_SIZE] = "";
	int code;

	if (!engine->has_tree)
		return SQLITE_OK;
	for (;;) {
		bool found;

		bind_text(row, 1, name);
		code = sqlite3_step(row);
		found = code == SQLITE_ROW;
		if (found)
			snprintf(name, sizeof(name), "%s", column_text(row, 0));
		code = statement_end(row, code);
		if (code == SQLITE_OK && found)
			code = sqlite_supervise(engine, name);
		if (code != SQLITE_OK || !found)
			return code;
	}
}

static int
read_place(struct sqlite_engine *engine, int64_t job, char supervisor[NAME_SIZE],
    int64_t *ret_position, char name[NAME_SIZE])
{
	sqlite3_stmt *row = engine->supervision.prepared[OF_JOB];
	int code;

	supervisor[0] = name[0] = '\0';
	bind_number(row, 1, job);
	code = sqlite3_step(row);
	if (code == SQLITE_ROW) {
		const char *text = column_text(row, 2);

		snprintf(supervisor, NAME_SIZE, "%s", column_text(row, 0));
		*ret_position = column_number(row, 1, 0);
		snprintf(name, NAME_SIZE, "%s", text != NULL ? text : "");
	}
	return statement_end(row, code);
}

int
sqlite_supervise_job(struct sqlite_engine *engine, int64_t job)
{
	char supervisor[NAME_SIZE], name[NAME_SIZE];
	int64_t position = 0;
	int code;

	if (!engine->has_tree)
		return SQLITE_OK;
	code = read_place(engine, job, supervisor, &position, name);
	if (position != 0)
		engine->batch->supervised = true; /* those behind it may be ready now */
	return code == SQLITE_OK ? sqlite_supervise(engine, supervisor) : code;
}

/* ---- when a child has ended ---- */

/* What the rules have said of a child of this one, job 0: of the supervisor `child`. */
static int
follow(struct sqlite_engine *engine, struct node *node, enum supervision verdict, int64_t job,
    const char *child, int64_t position, const char *why)
{
	char reason[NODE_REASON_SIZE];
	int code = SQLITE_OK;

	if (supervision_is_restart(verdict))
		code = sqlite_add_restart(engine, node->name, job, child);
	if (code != SQLITE_OK)
		return code;
	switch (verdict) {
	case SUPERVISION_RESTARTS_ALL:
		return node_set_state(engine, node, SUPERVISOR_REGROUPING, 1, NULL);
	case SUPERVISION_RESTARTS_REST:
		return node_set_state(engine, node, SUPERVISOR_REGROUPING, position, NULL);
	case SUPERVISION_GIVES_UP:
		return node_begin_ending(engine, node, NODE_MAX_RESTARTS);
	case SUPERVISION_SHUTS_DOWN:
		return node_begin_ending(engine, node, NODE_AUTO_SHUTDOWN);
	case SUPERVISION_START_FAILED:
		snprintf(reason, sizeof(reason), "failed_to_start_child %s: %s", child, why);
		return node_begin_ending(engine, node, reason);
	default:
		return SQLITE_OK;
	}
}

/*
 * One that is regrouping starts its children when all are ended: a child that ends meanwhile and
 * needs more of them to be ended widens the group.
 */
int
sqlite_server_ended(struct sqlite_engine *engine, int64_t job, enum supervision verdict,
    bool is_forgotten, struct reason reason)
{
	sqlite3_stmt *forget = engine->supervision.prepared[FORGET_CHILD];
	char supervisor[NAME_SIZE], name[NAME_SIZE], text[REASON_TEXT_SIZE];
	int64_t position = 0;
	struct node node;
	bool found = false;
	int code = read_place(engine, job, supervisor, &position, name);

	if (code == SQLITE_OK)
		code = sqlite_read_node(engine, supervisor, &node, &found);
	if (code != SQLITE_OK || !found)
		return code;
	if (node.state == SUPERVISOR_REGROUPING && node.group_from < position)
		position = node.group_from;
	code = follow(engine, &node, verdict, job, name, position, reason_format(text, reason));
	if (code == SQLITE_OK && is_forgotten && !supervision_is_restart(verdict)) {
		bind_number(forget, 1, job);
		bind_number(forget, 2, reason.kind == REASON_IGNORE);
		code = statement_run(forget);
		engine->batch->supervised = true; /* those behind it may be ready now */
	}
	return code;
}

static int
decide_on_node(struct sqlite_engine *engine, const struct node *parent,
    const struct node *node, enum supervision *ret_verdict)
{
	bool failed = strncmp(node->reason, "failed_to_start", strlen("failed_to_start")) == 0;
	struct reason reason = failed ? reason_from_words(node->reason)
				      : (struct reason){ .kind = REASON_SHUTDOWN };
	struct supervised child = {
		.state = parent->state,
		.strategy = parent->strategy,
		.budget = parent->budget,
		.auto_shutdown = parent->auto_shutdown,
		.max_restarts = parent->max_restarts,
		.is_in_group = parent->state == SUPERVISOR_REGROUPING &&
		    node->position >= parent->group_from,
		.restart = node->restart,
		.is_static = node->position != 0 && parent->name[0] != '\0',
		.is_significant = node->is_significant,
		.is_first_start = !node->has_run,
		.was_told_to_stop = strcmp(node->reason, NODE_STOPPED) == 0,
	};
	int code = sqlite_count_restarts(
	    engine, parent, 0, node->name, &child.recent_restarts);

	if (code == SQLITE_OK && child.is_significant)
		code = sqlite_is_last_significant(
		    engine, parent->name, 0, node->name, &child.is_last_significant);
	*ret_verdict = supervision_decide(&child, reason);
	return code;
}

/* It has ended: now it is its parent's turn. */
static int
node_ended(struct sqlite_engine *engine, struct node *node)
{
	enum supervision verdict = SUPERVISION_STAYS_DOWN;
	struct node parent = node_root;
	bool found = true;
	int code = SQLITE_OK;

	if (node->parent[0] != '\0')
		code = sqlite_read_node(engine, node->parent, &parent, &found);
	if (code == SQLITE_OK)
		code = decide_on_node(engine, &parent, node, &verdict);
	if (code == SQLITE_OK && verdict == SUPERVISION_STAYS_DOWN &&
	    node->restart == RESTART_TEMPORARY)
		code = node_forget(engine, node->name);
	if (code == SQLITE_OK && verdict == SUPERVISION_WITH_GROUP)
		code = node_set_state(engine, node, SUPERVISOR_WAITING, 0, NULL);
	if (code == SQLITE_OK && (verdict == SUPERVISION_RESTARTS_ALL ||
				     verdict == SUPERVISION_RESTARTS_REST))
		code = node_set_state(engine, node, SUPERVISOR_WAITING, 0, NULL);
	if (code == SQLITE_OK)
		code = follow(engine, &parent, verdict, 0, node->name, node->position,
		    node->reason);
	if (code == SQLITE_OK && verdict == SUPERVISION_RESTARTS)
		code = node_begin_starting(engine, node);
	return code == SQLITE_OK && node->parent[0] != '\0' && !node->is_walked
	    ? sqlite_supervise(engine, node->parent)
	    : code;
}

/* ---- at the beginning, and by people ---- */

int
sqlite_resume_nodes(struct sqlite_engine *engine)
{
	int code;

	if (!engine->has_tree)
		return SQLITE_OK;
	code = statement_run(engine->supervision.prepared[RESUME_NODES]);
	if (code == SQLITE_OK)
		code = statement_run(engine->supervision.prepared[RESUME_ROOTS]);
	return code == SQLITE_OK ? sqlite_supervise_all(engine) : code;
}

int
sqlite_start_node(struct sqlite_engine *engine, struct node *node)
{
	int code = node_set_has_run(engine, node, false);

	/* Its parent had forgotten it, which ends what it has started. */
	if (code == SQLITE_OK && node->parent[0] != '\0' && node->position == 0)
		code = node_place(engine, node->name);
	return code == SQLITE_OK ? node_begin_starting(engine, node) : code;
}

int
sqlite_stop_node(struct sqlite_engine *engine, struct node *node)
{
	return node_begin_ending(engine, node, NODE_STOPPED);
}
