/*
 * sqlite_supervision: the tree of supervisors at work. The rules say what the end of a child
 * means (model/supervision.h); here that is written: what its supervisor is at, the restarts
 * that count, and which processes are to be ended now. Each call goes as far as it can in the
 * transaction under way, and is made again when a child has come up or ended, so whoever finds
 * the rows after a crash goes on from them.
 */

#include "base/text.h"
#include "base/xalloc.h"
#include "store/sqlite_supervision.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ANY, NODE, OF_JOB, AT_WORK, SET_STATE, SET_HAS_RUN, FORGET_CHILD, FORGET_NODE, PLACE_NODE,
	LAST_CHILD, DYNAMIC, WAITING_SERVERS, STATICS, LET_WAIT, END_WAITING, NEXT_NODE, ALL_UP,
	COUNT
};

/* A server or supervisor among the children of ?1 that is not up yet. */
#define SERVER_NOT_UP                                                                    \
	"FROM servers v INDEXED BY servers_static CROSS JOIN jobs j ON j.id = v.job_id " \
	"WHERE v.position IS NOT NULL AND j.supervisor = ?1 AND " JOB_WAITS("j.") " "    \
	"AND j.hold IS NULL "
#define NODE_NOT_UP                                                                      \
	"FROM supervisors d WHERE d.parent = ?1 AND d.position IS NOT NULL "             \
	"AND d.state <> 'running' AND d.state <> 'ended' "

static const char *const sql[] = {
	[ANY] = "SELECT EXISTS (SELECT 1 FROM servers INDEXED BY servers_static "
		"WHERE position IS NOT NULL) OR EXISTS (SELECT 1 FROM supervisors "
		"WHERE parent IS NOT NULL OR state <> 'running')",
	[NODE] = "SELECT parent, position, state, strategy, budget, auto_shutdown, "
		 "max_restarts, max_seconds, restart, significant, group_from, has_run, reason "
		 "FROM supervisors WHERE name = ?1",
	[OF_JOB] = "SELECT j.supervisor, v.position, j.name FROM jobs j "
		   "LEFT JOIN servers v ON v.job_id = j.id WHERE j.id = ?1",
	[AT_WORK] = "SELECT name FROM supervisors WHERE state <> 'running' AND state <> 'ended' "
		    "AND state <> 'waiting' AND name > ?1 ORDER BY name LIMIT 1",
	[SET_STATE] = "UPDATE supervisors SET state = ?2, group_from = ?3, reason = ?4, "
		      "ended_at = ?5 WHERE name = ?1",
	[SET_HAS_RUN] = "UPDATE supervisors SET has_run = ?2 WHERE name = ?1",
	[FORGET_CHILD] = "UPDATE servers SET position = NULL WHERE job_id = ?1",
	[FORGET_NODE] = "UPDATE supervisors SET position = NULL WHERE name = ?1",
	[PLACE_NODE] = "UPDATE supervisors SET position = 1 + max("
		       "(SELECT coalesce(max(v.position), 0) FROM servers v "
		       "INDEXED BY servers_static JOIN jobs j ON j.id = v.job_id "
		       "WHERE v.position IS NOT NULL AND j.supervisor = supervisors.parent), "
		       "(SELECT coalesce(max(c.position), 0) FROM supervisors c "
		       "WHERE c.parent = supervisors.parent)) WHERE name = ?1",
	[LAST_CHILD] = "SELECT position, job_id, attempt, generation, is_ending, name FROM ("
		       "SELECT v.position, v.job_id, a.attempt, a.generation, "
		       "a.stop_reason IS NOT NULL AS is_ending, NULL AS name "
		       "FROM servers v INDEXED BY servers_static "
		       "CROSS JOIN jobs j ON j.id = v.job_id "
		       "JOIN attempts a ON a.job_id = v.job_id AND a.ended_at IS NULL "
		       "WHERE v.position >= ?2 AND j.supervisor = ?1 UNION ALL "
		       "SELECT position, NULL, NULL, NULL, state = 'ending', name "
		       "FROM supervisors WHERE parent = ?1 AND position >= ?2 "
		       "AND state <> 'ended' AND state <> 'waiting') "
		       "ORDER BY position DESC LIMIT 1",
	[DYNAMIC] = "SELECT a.job_id, a.attempt, a.generation, a.stop_reason IS NOT NULL, "
		    "v.job_id IS NOT NULL FROM jobs j INDEXED BY jobs_live "
		    "JOIN attempts a ON a.job_id = j.id AND a.ended_at IS NULL "
		    "LEFT JOIN servers v ON v.job_id = j.id WHERE j.supervisor = ?1 "
		    "AND " JOB_IS_LIVE("j.") " AND v.position IS NULL",
	[WAITING_SERVERS] = "SELECT j.id FROM jobs j INDEXED BY jobs_live "
			    "WHERE j.supervisor = ?1 AND " JOB_IS_LIVE("j.") " "
			    "AND j.kind = 'server'",
	[STATICS] = "SELECT v.job_id FROM servers v INDEXED BY servers_static "
		    "CROSS JOIN jobs j ON j.id = v.job_id WHERE v.position IS NOT NULL "
		    "AND j.supervisor = ?1 AND v.autostart AND NOT (" JOB_IS_LIVE("j.") ") "
		    "ORDER BY v.position",
	[LET_WAIT] = "UPDATE supervisors SET state = 'waiting', reason = NULL, "
		     "ended_at = NULL, has_run = 0 WHERE parent = ?1 AND position IS NOT NULL "
		     "AND state = 'ended'",
	[END_WAITING] = "UPDATE supervisors SET state = 'ended', reason = '" NODE_BY_PARENT "', "
			"ended_at = ?2 WHERE parent = ?1 AND state = 'waiting'",
	/* Those behind the first that waits wait for it, too. */
	[NEXT_NODE] = "SELECT c.name FROM (SELECT name, position FROM supervisors "
		      "WHERE parent = ?1 AND state = 'waiting' AND position IS NOT NULL "
		      "ORDER BY position LIMIT 1) c "
		      "WHERE NOT EXISTS (SELECT 1 " SERVER_NOT_UP "AND v.position < c.position) "
		      "AND NOT EXISTS (SELECT 1 " NODE_NOT_UP "AND d.position < c.position)",
	[ALL_UP] = "SELECT NOT EXISTS (SELECT 1 " SERVER_NOT_UP ") "
		   "AND NOT EXISTS (SELECT 1 " NODE_NOT_UP ")",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_supervision_prepare(struct sqlite_engine *engine, struct error *error)
{
	if (statements_prepare(&engine->supervision, &engine->db, sql, COUNT, error) == -1)
		return -1;
	sqlite_look_for_tree(engine);
	return 0;
}

int
sqlite_look_for_tree(struct sqlite_engine *engine)
{
	sqlite3_stmt *row = engine->supervision.prepared[ANY];
	int code = sqlite3_step(row);

	engine->has_tree = code != SQLITE_ROW || sqlite3_column_int(row, 0) != 0;
	return statement_end(row, code);
}

/* ---- rows ---- */

/* The root stays: one of its children that restarts too often stays down, and that is told. */
static const struct node root = {
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
	sqlite3_stmt *row = engine->supervision.prepared[NODE];
	int state = SUPERVISOR_RUNNING, code;

	*node = root;
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

/* reason NULL: none, or as it was while the state is one of ending. */
static int
set_state(struct sqlite_engine *engine, struct node *node, enum supervisor_state state,
    int64_t group_from, const char *reason)
{
	sqlite3_stmt *statement = engine->supervision.prepared[SET_STATE];

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

static int
tell(struct sqlite_engine *engine, const struct node *node, const char *event)
{
	char *detail = node->reason[0] != '\0' ? xasprintf("%s: %s", node->name, node->reason)
					       : xstrdup(node->name);
	int code = sqlite_write_event(engine, 0, 0, event, detail);

	free(detail);
	return code;
}

static int
run_with_name(struct sqlite_engine *engine, int which, const char *name)
{
	sqlite3_stmt *statement = engine->supervision.prepared[which];

	bind_text(statement, 1, name);
	return statement_run(statement);
}

static int
set_has_run(struct sqlite_engine *engine, struct node *node, bool has_run)
{
	sqlite3_stmt *statement = engine->supervision.prepared[SET_HAS_RUN];

	node->has_run = has_run;
	bind_text(statement, 1, node->name);
	bind_number(statement, 2, has_run);
	return statement_run(statement);
}

/* ---- ending ---- */

static int advance(struct sqlite_engine *engine, struct node *node);
static int node_ended(struct sqlite_engine *engine, struct node *node);

/* Written now, done after the commit; whoever comes after us finds it written. */
static int
stop_attempt(struct sqlite_engine *engine, const struct attempt_key *key, bool is_server)
{
	const struct reason reason = {
		.kind = is_server ? REASON_SHUTDOWN : REASON_INTERRUPTED,
	};

	batch_add_to_stop(engine->batch, key);
	return sqlite_stop_attempt(engine, key, reason);
}

static int
begin_ending(struct sqlite_engine *engine, struct node *node, const char *reason)
{
	int code = set_state(engine, node, SUPERVISOR_ENDING, 0, reason);

	if (code == SQLITE_OK)
		code = tell(engine, node, "supervisor ending");
	return code == SQLITE_OK ? advance(engine, node) : code;
}

static int
end_node_by_parent(struct sqlite_engine *engine, const char *name, bool *ret_is_gone)
{
	struct node node;
	bool found;
	int code = sqlite_read_node(engine, name, &node, &found);

	node.is_walked = true;
	if (code == SQLITE_OK)
		code = begin_ending(engine, &node, NODE_BY_PARENT);
	*ret_is_gone = node.state == SUPERVISOR_ENDED || node.state == SUPERVISOR_WAITING;
	return code;
}

/* *ret_is_gone: it had nothing to wait for. */
static int
end_one(struct sqlite_engine *engine, const struct node *node, int64_t from, bool *ret_none,
    bool *ret_is_gone)
{
	sqlite3_stmt *row = engine->supervision.prepared[LAST_CHILD];
	struct attempt_key key = { 0 };
	char name[NAME_SIZE] = "";
	bool is_ending = false;
	int code;

	bind_text(row, 1, node->name);
	bind_number(row, 2, from);
	*ret_is_gone = false;
	code = sqlite3_step(row);
	*ret_none = code != SQLITE_ROW;
	if (code == SQLITE_ROW) {
		const char *text = column_text(row, 5);

		key = (struct attempt_key){ column_number(row, 1, 0), column_number(row, 2, 0),
			column_number(row, 3, 0) };
		is_ending = sqlite3_column_int(row, 4) != 0;
		snprintf(name, sizeof(name), "%s", text != NULL ? text : "");
	}
	code = statement_end(row, code);
	if (code == SQLITE_OK && is_ending && key.job != 0)
		batch_add_to_stop(engine->batch, &key); /* it may have been given all the time */
	if (code != SQLITE_OK || *ret_none || is_ending)
		return code;
	return name[0] != '\0' ? end_node_by_parent(engine, name, ret_is_gone)
			       : stop_attempt(engine, &key, true);
}

/* The last child from this position on that is there still, one at a time. */
static int
end_last(struct sqlite_engine *engine, const struct node *node, int64_t from, bool *ret_none)
{
	bool is_gone;
	int code;

	do
		code = end_one(engine, node, from, ret_none, &is_gone);
	while (code == SQLITE_OK && is_gone);
	return code;
}

struct open_child {
	struct attempt_key key;
	bool is_ending, is_server;
};

static int
end_dynamic(struct sqlite_engine *engine, const struct node *node, bool *ret_none)
{
	sqlite3_stmt *row = engine->supervision.prepared[DYNAMIC];
	struct open_child *children = NULL;
	size_t count = 0, room = 0;
	int code;

	bind_text(row, 1, node->name);
	while ((code = sqlite3_step(row)) == SQLITE_ROW) {
		if (count == room) {
			room = 2 * room + 8;
			children = xreallocarray(children, room, sizeof(*children));
		}
		children[count++] = (struct open_child){
			.key = { sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1),
			    sqlite3_column_int64(row, 2) },
			.is_ending = sqlite3_column_int(row, 3) != 0,
			.is_server = sqlite3_column_int(row, 4) != 0,
		};
	}
	code = statement_end(row, code);
	for (size_t i = 0; i < count && code == SQLITE_OK; i++) {
		if (children[i].is_ending)
			batch_add_to_stop(engine->batch, &children[i].key);
		else
			code = stop_attempt(engine, &children[i].key, children[i].is_server);
	}
	free(children);
	*ret_none = count == 0;
	return code;
}

static int
read_ids(sqlite3_stmt *row, const char *name, int64_t **ret_jobs, size_t *ret_count)
{
	int code;

	bind_text(row, 1, name);
	while ((code = sqlite3_step(row)) == SQLITE_ROW) {
		*ret_jobs = xreallocarray(*ret_jobs, *ret_count + 1, sizeof(**ret_jobs));
		(*ret_jobs)[(*ret_count)++] = sqlite3_column_int64(row, 0);
	}
	return statement_end(row, code);
}

/* Something happens to all of these jobs, none of which has a process. */
static int
happens_to(struct sqlite_engine *engine, int which, const char *name, enum job_event event,
    struct reason reason)
{
	struct lifecycle_verdict verdict;
	bool is_allowed;
	int64_t *jobs = NULL;
	size_t count = 0;
	int code = read_ids(engine->supervision.prepared[which], name, &jobs, &count);

	for (size_t i = 0; i < count && code == SQLITE_OK; i++)
		code = sqlite_apply_event(
		    engine, jobs[i], event, reason, NULL, &is_allowed, &verdict);
	free(jobs);
	return code;
}

/* Those of its supervisors whose turn had not come. */
static int
end_waiting(struct sqlite_engine *engine, const struct node *node)
{
	sqlite3_stmt *statement = engine->supervision.prepared[END_WAITING];

	bind_text(statement, 1, node->name);
	bind_number(statement, 2, engine->now.ms);
	return statement_run(statement);
}

static int
end_all(struct sqlite_engine *engine, struct node *node)
{
	const struct reason shutdown = { .kind = REASON_SHUTDOWN };
	bool none;
	int code = end_dynamic(engine, node, &none);

	if (code == SQLITE_OK && none)
		code = end_last(engine, node, 1, &none);
	if (code != SQLITE_OK || !none)
		return code;
	code = set_state(engine, node, SUPERVISOR_ENDED, 0, NULL);
	if (code == SQLITE_OK)
		code = tell(engine, node, "supervisor ended");
	if (code == SQLITE_OK)
		code = end_waiting(engine, node);
	if (code == SQLITE_OK) /* what waited only: nothing of it runs */
		code = happens_to(engine, WAITING_SERVERS, node->name, JOB_SHUT_DOWN, shutdown);
	return code == SQLITE_OK ? node_ended(engine, node) : code;
}

/* ---- starting ---- */

static int
begin_starting(struct sqlite_engine *engine, struct node *node)
{
	const struct reason none = { 0 };
	int code = sqlite_forget_restarts(engine, node->name);

	if (code == SQLITE_OK)
		code = set_state(engine, node, SUPERVISOR_STARTING, 0, NULL);
	if (code == SQLITE_OK)
		code = run_with_name(engine, LET_WAIT, node->name);
	if (code == SQLITE_OK)
		code = happens_to(engine, STATICS, node->name, JOB_RETRY, none);
	return code == SQLITE_OK ? advance(engine, node) : code;
}

/* The child supervisor whose turn it is, if it is one's; *ret_is_up: it has nothing to wait for. */
static int
start_one(struct sqlite_engine *engine, const struct node *node, bool *ret_is_up)
{
	sqlite3_stmt *row = engine->supervision.prepared[NEXT_NODE];
	char name[NAME_SIZE] = "";
	struct node child;
	bool found;
	int code;

	*ret_is_up = false;
	bind_text(row, 1, node->name);
	code = sqlite3_step(row);
	if (code == SQLITE_ROW)
		snprintf(name, sizeof(name), "%s", column_text(row, 0));
	code = statement_end(row, code);
	if (code != SQLITE_OK || name[0] == '\0')
		return code;
	code = sqlite_read_node(engine, name, &child, &found);
	child.is_walked = true;
	if (code == SQLITE_OK)
		code = begin_starting(engine, &child);
	*ret_is_up = child.state == SUPERVISOR_RUNNING;
	return code;
}

static int
start_next(struct sqlite_engine *engine, const struct node *node)
{
	bool is_up;
	int code;

	do
		code = start_one(engine, node, &is_up);
	while (code == SQLITE_OK && is_up);
	return code;
}

static int
start_children(struct sqlite_engine *engine, struct node *node)
{
	sqlite3_stmt *row = engine->supervision.prepared[ALL_UP];
	bool all_up;
	int code = start_next(engine, node);

	engine->batch->supervised = true; /* one of the servers may be ready to start now */
	if (code != SQLITE_OK)
		return code;
	bind_text(row, 1, node->name);
	code = sqlite3_step(row);
	all_up = code == SQLITE_ROW && sqlite3_column_int(row, 0) != 0;
	code = statement_end(row, code);
	if (code != SQLITE_OK || !all_up)
		return code;
	code = set_state(engine, node, SUPERVISOR_RUNNING, 0, NULL);
	if (code == SQLITE_OK)
		code = set_has_run(engine, node, true);
	if (code == SQLITE_OK)
		code = tell(engine, node, "supervisor running");
	return code == SQLITE_OK && node->parent[0] != '\0' && !node->is_walked
	    ? sqlite_supervise(engine, node->parent)
	    : code;
}

static int
end_group(struct sqlite_engine *engine, struct node *node)
{
	bool none;
	int code = end_last(engine, node, node->group_from, &none);

	if (code != SQLITE_OK || !none)
		return code;
	code = set_state(engine, node, SUPERVISOR_RESTARTING, 0, NULL);
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

int
sqlite_lets_start(struct sqlite_engine *engine, const char *name, bool *ret_lets)
{
	struct node node;
	bool found;
	int code = sqlite_read_node(engine, name, &node, &found);

	*ret_lets = !found || supervisor_lets_start(node.state);
	return code;
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
		return set_state(engine, node, SUPERVISOR_REGROUPING, 1, NULL);
	case SUPERVISION_RESTARTS_REST:
		return set_state(engine, node, SUPERVISOR_REGROUPING, position, NULL);
	case SUPERVISION_GIVES_UP:
		return begin_ending(engine, node, NODE_MAX_RESTARTS);
	case SUPERVISION_SHUTS_DOWN:
		return begin_ending(engine, node, NODE_AUTO_SHUTDOWN);
	case SUPERVISION_START_FAILED:
		snprintf(reason, sizeof(reason), "failed_to_start_child %s: %s", child, why);
		return begin_ending(engine, node, reason);
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
	char supervisor[NAME_SIZE], name[NAME_SIZE], text[REASON_TEXT_SIZE];
	int64_t position = 0;
	struct node node;
	bool found;
	int code = read_place(engine, job, supervisor, &position, name);

	if (code == SQLITE_OK)
		code = sqlite_read_node(engine, supervisor, &node, &found);
	if (code != SQLITE_OK || !found)
		return code;
	if (node.state == SUPERVISOR_REGROUPING && node.group_from < position)
		position = node.group_from;
	code = follow(engine, &node, verdict, job, name, position, reason_format(text, reason));
	if (code == SQLITE_OK && is_forgotten && !supervision_is_restart(verdict)) {
		bind_number(engine->supervision.prepared[FORGET_CHILD], 1, job);
		code = statement_run(engine->supervision.prepared[FORGET_CHILD]);
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
	struct node parent = root;
	bool found = true;
	int code = SQLITE_OK;

	if (node->parent[0] != '\0')
		code = sqlite_read_node(engine, node->parent, &parent, &found);
	if (code == SQLITE_OK)
		code = decide_on_node(engine, &parent, node, &verdict);
	if (code == SQLITE_OK && verdict == SUPERVISION_STAYS_DOWN &&
	    node->restart == RESTART_TEMPORARY)
		code = run_with_name(engine, FORGET_NODE, node->name);
	if (code == SQLITE_OK && verdict == SUPERVISION_WITH_GROUP)
		code = set_state(engine, node, SUPERVISOR_WAITING, 0, NULL);
	if (code == SQLITE_OK && (verdict == SUPERVISION_RESTARTS_ALL ||
				     verdict == SUPERVISION_RESTARTS_REST))
		code = set_state(engine, node, SUPERVISOR_WAITING, 0, NULL);
	if (code == SQLITE_OK)
		code = follow(engine, &parent, verdict, 0, node->name, node->position,
		    node->reason);
	if (code == SQLITE_OK && verdict == SUPERVISION_RESTARTS)
		code = begin_starting(engine, node);
	return code == SQLITE_OK && node->parent[0] != '\0' && !node->is_walked
	    ? sqlite_supervise(engine, node->parent)
	    : code;
}

/* ---- by people ---- */

int
sqlite_start_node(struct sqlite_engine *engine, struct node *node)
{
	int code = set_has_run(engine, node, false);

	/* Its parent had forgotten it, which ends what it has started. */
	if (code == SQLITE_OK && node->parent[0] != '\0' && node->position == 0)
		code = run_with_name(engine, PLACE_NODE, node->name);
	return code == SQLITE_OK ? begin_starting(engine, node) : code;
}

int
sqlite_stop_node(struct sqlite_engine *engine, struct node *node)
{
	return begin_ending(engine, node, NODE_STOPPED);
}
