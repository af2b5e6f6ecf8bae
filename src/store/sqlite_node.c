/* sqlite_node: a supervisor's row as the tree sees it, read and written. */

#include "base/xalloc.h"
#include "store/sqlite_supervision.h"

#include <stdio.h>
#include <stdlib.h>

enum { ANY, NODE, SET_STATE, SET_HAS_RUN, FORGET, PLACE, COUNT };

static const char *const sql[] = {
	[ANY] = "SELECT EXISTS (SELECT 1 FROM servers INDEXED BY servers_static "
		"WHERE position IS NOT NULL) OR EXISTS (SELECT 1 FROM supervisors "
		"WHERE parent IS NOT NULL OR state <> 'running')",
	[NODE] = "SELECT parent, position, state, strategy, budget, auto_shutdown, "
		 "max_restarts, max_seconds, restart, significant, group_from, has_run, reason "
		 "FROM supervisors WHERE name = ?1",
	[SET_STATE] = "UPDATE supervisors SET state = ?2, group_from = ?3, reason = ?4, "
		      "ended_at = ?5 WHERE name = ?1",
	[SET_HAS_RUN] = "UPDATE supervisors SET has_run = ?2 WHERE name = ?1",
	[FORGET] = "UPDATE supervisors SET position = NULL WHERE name = ?1",
	[PLACE] = "UPDATE supervisors SET position = 1 + max("
		       "(SELECT coalesce(max(v.position), 0) FROM servers v "
		       "INDEXED BY servers_static JOIN jobs j ON j.id = v.job_id "
		       "WHERE v.position IS NOT NULL AND j.supervisor = supervisors.parent), "
		       "(SELECT coalesce(max(c.position), 0) FROM supervisors c "
		       "WHERE c.parent = supervisors.parent)) WHERE name = ?1",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_node_prepare(struct sqlite_engine *engine, struct error *error)
{
	if (statements_prepare(&engine->node, &engine->db, sql, COUNT, error) == -1)
		return -1;
	sqlite_look_for_tree(engine);
	return 0;
}

int
sqlite_look_for_tree(struct sqlite_engine *engine)
{
	sqlite3_stmt *row = engine->node.prepared[ANY];
	int code = sqlite3_step(row);

	engine->has_tree = code != SQLITE_ROW || sqlite3_column_int(row, 0) != 0;
	return statement_end(row, code);
}

/* The root stays: one of its children that restarts too often stays down, and that is told. */
const struct node node_root = {
	.state = SUPERVISOR_RUNNING,
	.strategy = STRATEGY_ONE_FOR_ONE,
	.budget = BUDGET_EACH,
	.max_restarts = SUPERVISOR_MAX_RESTARTS,
	.max_seconds = SUPERVISOR_MAX_SECONDS,
};

int
sqlite_read_node(struct sqlite_engine *engine, const char *name, struct node *node,
    bool *ret_found)
{
	sqlite3_stmt *row = engine->node.prepared[NODE];
	int state = SUPERVISOR_RUNNING, code;

	*node = node_root;
	snprintf(node->name, sizeof(node->name), "%s", name);
	bind_text(row, 1, name);
	code = sqlite3_step(row);
	*ret_found = code == SQLITE_ROW;
	if (*ret_found) {
		const char *parent = column_text(row, 0), *reason = column_text(row, 12);

		snprintf(node->parent, sizeof(node->parent), "%s", parent != NULL ? parent : "");
		node->position = column_number(row, 1, 0);
		supervisor_state_parse(column_text(row, 2), &state);
		node->state = state;
		strategy_parse(column_text(row, 3), &node->strategy);
		budget_parse(column_text(row, 4), &node->budget);
		auto_shutdown_parse(column_text(row, 5), &node->auto_shutdown);
		node->max_restarts = sqlite3_column_int64(row, 6);
		node->max_seconds = sqlite3_column_int64(row, 7);
		restart_parse(column_text(row, 8), &node->restart);
		node->is_significant = sqlite3_column_int(row, 9) != 0;
		node->group_from = column_number(row, 10, 0);
		node->has_run = sqlite3_column_int(row, 11) != 0;
		snprintf(node->reason, sizeof(node->reason), "%s", reason != NULL ? reason : "");
	}
	return statement_end(row, code);
}

int
sqlite_lets_start(struct sqlite_engine *engine, const char *name, bool *ret_lets)
{
	struct node node;
	bool found;
	int code = sqlite_read_node(engine, name, &node, &found);

	*ret_lets = !found || supervisor_lets_start(node.state);
	return code;
}

int
node_set_state(struct sqlite_engine *engine, struct node *node, enum supervisor_state state,
    int64_t group_from, const char *reason)
{
	sqlite3_stmt *statement = engine->node.prepared[SET_STATE];

	if (reason != NULL)
		snprintf(node->reason, sizeof(node->reason), "%s", reason);
	else if (state != SUPERVISOR_ENDING && state != SUPERVISOR_ENDED)
		node->reason[0] = '\0';
	node->state = state;
	node->group_from = group_from;
	engine->has_tree = true;
	engine->batch->supervised = true;
	bind_text(statement, 1, node->name);
	bind_text(statement, 2, supervisor_state_name(state));
	bind_unless(statement, 3, group_from, 0);
	bind_text(statement, 4, node->reason[0] != '\0' ? node->reason : NULL);
	bind_unless(statement, 5, state == SUPERVISOR_ENDED ? engine->now.ms : -1, -1);
	return statement_run(statement);
}

int
node_tell(struct sqlite_engine *engine, const struct node *node, const char *event)
{
	char *detail = node->reason[0] != '\0' ? xasprintf("%s: %s", node->name, node->reason)
					       : xstrdup(node->name);
	int code = sqlite_write_event(engine, 0, 0, event, detail);

	free(detail);
	return code;
}

int
node_set_has_run(struct sqlite_engine *engine, struct node *node, bool has_run)
{
	sqlite3_stmt *statement = engine->node.prepared[SET_HAS_RUN];

	node->has_run = has_run;
	bind_text(statement, 1, node->name);
	bind_number(statement, 2, has_run);
	return statement_run(statement);
}

static int
run_with_name(struct sqlite_engine *engine, int which, const char *name)
{
	sqlite3_stmt *statement = engine->node.prepared[which];

	bind_text(statement, 1, name);
	return statement_run(statement);
}

int
node_forget(struct sqlite_engine *engine, const char *name)
{
	return run_with_name(engine, FORGET, name);
}

int
node_place(struct sqlite_engine *engine, const char *name)
{
	return run_with_name(engine, PLACE, name);
}
