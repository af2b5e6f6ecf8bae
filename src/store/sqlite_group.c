/*
 * sqlite_group: the children of a supervisor, as far as they start and end together: who is the
 * last that is there still, whose turn it is, are all of them up.
 */

#include "base/xalloc.h"
#include "store/sqlite_supervision.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LAST_CHILD, DYNAMIC, HAS_DYNAMIC, WAITING_SERVERS, STATICS, LET_WAIT, END_WAITING,
	NEXT_NODE, ALL_UP, WANTED, COUNT
};

/*
 * A server or supervisor among the children of ?1 that is not up yet. One that is just being
 * ended may come up again: what ran when we ended is ended by the next of us.
 */
#define SERVER_NOT_UP                                                                    \
	"FROM servers v INDEXED BY servers_static CROSS JOIN jobs j ON j.id = v.job_id " \
	"WHERE v.position IS NOT NULL AND j.supervisor = ?1 AND j.hold IS NULL AND ("    \
	JOB_WAITS("j.") " OR (j.status = 'running' AND EXISTS (SELECT 1 FROM attempts "  \
	"WHERE job_id = j.id AND ended_at IS NULL AND stop_reason IS NOT NULL))) "
#define NODE_NOT_UP                                                                      \
	"FROM supervisors d WHERE d.parent = ?1 AND d.position IS NOT NULL "             \
	"AND d.state <> 'running' AND d.state <> 'ended' "

/* From the open attempts: a supervisor may have any number of jobs that only wait. */
#define OPEN_DYNAMIC                                                                     \
	"FROM attempts a INDEXED BY attempts_open CROSS JOIN jobs j ON j.id = a.job_id " \
	"LEFT JOIN servers v ON v.job_id = a.job_id WHERE a.ended_at IS NULL "           \
	"AND j.supervisor = ?1 AND v.position IS NULL "

static const char *const sql[] = {
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
		    "v.job_id IS NOT NULL " OPEN_DYNAMIC,
	[HAS_DYNAMIC] = "SELECT 1 " OPEN_DYNAMIC "LIMIT 1",
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
	[WANTED] = "SELECT count(*), (SELECT max_children FROM supervisors WHERE name = ?1) "
		   "FROM servers v INDEXED BY servers_static JOIN jobs j ON j.id = v.job_id "
		   "WHERE v.position IS NOT NULL AND v.autostart AND j.supervisor = ?1",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_group_prepare(struct sqlite_engine *engine, struct error *error)
{
	return statements_prepare(&engine->group, &engine->db, sql, COUNT, error);
}

/* ---- ended ---- */

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
end_node_by_parent(struct sqlite_engine *engine, const char *name, bool *ret_is_gone)
{
	struct node node;
	bool found;
	int code = sqlite_read_node(engine, name, &node, &found);

	node.is_walked = true;
	if (code == SQLITE_OK)
		code = node_begin_ending(engine, &node, NODE_BY_PARENT);
	*ret_is_gone = node.state == SUPERVISOR_ENDED || node.state == SUPERVISOR_WAITING;
	return code;
}

/* *ret_is_gone: it had nothing to wait for. */
static int
end_one(struct sqlite_engine *engine, const struct node *node, int64_t from, bool *ret_none,
    bool *ret_is_gone)
{
	sqlite3_stmt *row = engine->group.prepared[LAST_CHILD];
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

int
group_end_last(struct sqlite_engine *engine, const struct node *node, int64_t from, bool *ret_none)
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

int
group_end_dynamic(struct sqlite_engine *engine, const struct node *node)
{
	sqlite3_stmt *row = engine->group.prepared[DYNAMIC];
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
	return code;
}

int
group_has_dynamic(struct sqlite_engine *engine, const struct node *node, bool *ret_has)
{
	sqlite3_stmt *row = engine->group.prepared[HAS_DYNAMIC];

	bind_text(row, 1, node->name);
	return statement_exists(row, ret_has);
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
	int code = read_ids(engine->group.prepared[which], name, &jobs, &count);

	for (size_t i = 0; i < count && code == SQLITE_OK; i++)
		code = sqlite_apply_event(
		    engine, jobs[i], event, reason, NULL, &is_allowed, &verdict);
	free(jobs);
	return code;
}

int
group_end_waiting(struct sqlite_engine *engine, const struct node *node)
{
	const struct reason shutdown = { .kind = REASON_SHUTDOWN };
	sqlite3_stmt *statement = engine->group.prepared[END_WAITING];
	int code;

	bind_text(statement, 1, node->name);
	bind_number(statement, 2, engine->now.ms);
	code = statement_run(statement);
	return code == SQLITE_OK
	    ? happens_to(engine, WAITING_SERVERS, node->name, JOB_SHUT_DOWN, shutdown)
	    : code;
}

/* ---- started ---- */

int
group_begin(struct sqlite_engine *engine, const struct node *node)
{
	const struct reason none = { 0 };
	sqlite3_stmt *let_wait = engine->group.prepared[LET_WAIT];
	int code;

	bind_text(let_wait, 1, node->name);
	code = statement_run(let_wait);
	return code == SQLITE_OK ? happens_to(engine, STATICS, node->name, JOB_RETRY, none) : code;
}

/* The supervisor whose turn it is, if it is one's; *ret_is_up: it has nothing to wait for. */
static int
start_one(struct sqlite_engine *engine, const struct node *node, bool *ret_is_up)
{
	sqlite3_stmt *row = engine->group.prepared[NEXT_NODE];
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
		code = strcmp(child.reason, NODE_RESUMED) == 0
		    ? node_resume(engine, &child)
		    : node_begin_starting(engine, &child);
	*ret_is_up = child.state == SUPERVISOR_RUNNING;
	return code;
}

int
group_start_next(struct sqlite_engine *engine, const struct node *node)
{
	bool is_up;
	int code;

	do
		code = start_one(engine, node, &is_up);
	while (code == SQLITE_OK && is_up);
	return code;
}

int
group_is_up(struct sqlite_engine *engine, const struct node *node, bool *ret_is_up)
{
	sqlite3_stmt *row = engine->group.prepared[ALL_UP];
	int code;

	bind_text(row, 1, node->name);
	code = sqlite3_step(row);
	*ret_is_up = code == SQLITE_ROW && sqlite3_column_int(row, 0) != 0;
	return statement_end(row, code);
}

int
group_check_places(struct sqlite_engine *engine, struct step *step, const char *name)
{
	sqlite3_stmt *row = engine->group.prepared[WANTED];
	int64_t wanted = 0, places = -1;
	int code;

	bind_text(row, 1, name);
	code = sqlite3_step(row);
	if (code == SQLITE_ROW) {
		wanted = sqlite3_column_int64(row, 0);
		places = column_number(row, 1, -1);
	}
	if (places != -1 && wanted > places) {
		step->answer = STEP_REFUSED;
		error_set(&step->error, STATUS_STATE, "%s cannot be started: it has %" PRId64
		    " children in order and %" PRId64 " place%s (max_children)", name, wanted,
		    places, places == 1 ? "" : "s");
	}
	return statement_end(row, code);
}
