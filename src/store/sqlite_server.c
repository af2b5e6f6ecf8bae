/*
 * sqlite_server: what a server's row has beside its job's. Its restarts are not counted
 * anywhere: they are the attempts behind the first one of this life.
 */

#include "base/xalloc.h"
#include "store/sqlite_supervision.h"

#include <stdio.h>

enum {
	INSERT, READ, RULES, SET_ROW, SET_ASKED, AFRESH, READY, SAID, GAUGE, EMPTY, COUNT
};

static const char *const sql[] = {
	/* ?9: it is in order by its name; with another strategy than one_for_one all are. */
	[INSERT] = "INSERT INTO servers (job_id, restart, durable, init_timeout_ms, "
		   "max_redeliveries, pool, pool_size, max_messages, significant, autostart, "
		   "restart_delay, description, " SERVICE_COLUMNS("") ", position) "
		   "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?11, ?12, ?13, ?14, "
		   "?16, ?17, ?18, ?19, ?20, "
		   "coalesce((SELECT v.position FROM jobs j INDEXED BY jobs_by_name "
		   "JOIN servers v ON v.job_id = j.id WHERE j.name = ?15 "
		   "AND j.name IS NOT NULL AND v.position IS NOT NULL), "
		   "(SELECT iif(?6 IS NULL AND (?9 OR s.strategy <> 'one_for_one'), "
		   "1 + max((SELECT coalesce(max(v.position), 0) "
		   "FROM servers v INDEXED BY servers_static JOIN jobs j ON j.id = v.job_id "
		   "WHERE v.position IS NOT NULL AND j.supervisor = ?10), "
		   "(SELECT coalesce(max(c.position), 0) FROM supervisors c "
		   "WHERE c.parent = ?10)), NULL) FROM supervisors s WHERE s.name = ?10))) "
		   "RETURNING position",
	[READ] = "SELECT restart, durable, init_timeout_ms, max_redeliveries, state, pool, "
		 "max_messages, position, " SERVICE_COLUMNS("") " FROM servers WHERE job_id = ?1",
	[RULES] = "SELECT v.restart, v.first_attempt, v.max_redeliveries, v.position, "
		  "v.significant, v.restart_delay, v.in_a_row, j.supervisor, v.stop_asked "
		  "FROM servers v JOIN jobs j ON j.id = v.job_id WHERE v.job_id = ?1",
	[SET_ROW] = "UPDATE servers SET in_a_row = ?2 WHERE job_id = ?1",
	/* Only of one in order another than its supervisor's wish makes a difference. */
	[SET_ASKED] = "UPDATE servers SET stop_asked = ?2 WHERE job_id = ?1 "
		      "AND " SERVER_IS_CHILD("") " AND stop_asked <> ?2",
	[AFRESH] = "UPDATE servers SET in_a_row = 0, stop_asked = 0, first_attempt = 1 + "
		   "(SELECT coalesce(max(attempt), 0) FROM attempts WHERE job_id = ?1) "
		   "WHERE job_id = ?1",
	[READY] = "UPDATE jobs SET status = 'running' WHERE id = ?1 AND " JOB_WAITS("") " "
		  "AND EXISTS (SELECT 1 FROM attempts WHERE job_id = ?1 AND attempt = ?2 "
		  "AND generation = ?3 AND ended_at IS NULL)",
	[SAID] = "UPDATE servers SET trap_exit = ?2, resumes = ?3 WHERE job_id = ?1",
	[GAUGE] = "UPDATE servers SET mailbox = coalesce(?4, mailbox), "
		  "last_message_at = coalesce(?5, last_message_at) "
		  "WHERE job_id = ?1 AND EXISTS (SELECT 1 FROM attempts WHERE job_id = ?1 "
		  "AND attempt = ?2 AND generation = ?3 AND ended_at IS NULL)",
	[EMPTY] = "UPDATE servers SET mailbox = 0 WHERE job_id = ?1 AND mailbox <> 0",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_server_prepare(struct sqlite_engine *engine, struct error *error)
{
	return statements_prepare(&engine->server, &engine->db, sql, COUNT, error);
}

int
sqlite_insert_server(struct sqlite_engine *engine, int64_t job, int64_t pool,
    const struct spec *spec)
{
	sqlite3_stmt *statement = engine->server.prepared[INSERT];
	int64_t redeliveries = spec->max_redeliveries;
	enum restart_type restart = pool != 0 ? RESTART_PERMANENT : spec_restart(spec);
	struct service_text text;
	char delay[96];
	int code;

	if (redeliveries == SPEC_UNSET)
		redeliveries = SPEC_DEFAULT_MAX_REDELIVERIES;
	bind_number(statement, 1, job);
	bind_text(statement, 2, restart_name(restart));
	/* A pool's messages are kept as jobs: its servers have nothing to commit. */
	bind_number(statement, 3, spec->is_durable && pool == 0);
	bind_unless(statement, 4, spec->init_timeout_ms, SPEC_UNSET);
	bind_unless(statement, 5, redeliveries, SPEC_FOR_EVER);
	bind_unless(statement, 6, pool, 0);
	bind_unless(statement, 7, pool == job ? spec->pool_size : SPEC_UNSET, SPEC_UNSET);
	bind_unless(statement, 8, spec->max_messages, SPEC_UNSET);
	bind_number(statement, 9, spec_is_static(spec));
	bind_text(statement, 10, spec_supervisor(spec));
	bind_number(statement, 11, spec->is_significant);
	bind_number(statement, 12, !spec->is_only_on_demand);
	bind_text(statement, 13, spec->has_restart_delay
		? retry_format_backoff(delay, sizeof(delay), &spec->restart_delay)
		: NULL);
	bind_text(statement, 14, spec->description);
	bind_text(statement, 15, spec_is_static(spec) ? spec->name : NULL);
	sqlite_bind_service(statement, 16, spec, &text);
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW && sqlite3_column_type(statement, 0) != SQLITE_NULL)
		engine->has_tree = true;
	code = statement_end(statement, code);
	service_text_done(&text);
	return code == SQLITE_OK && spec_is_static(spec)
	    ? sqlite_replace_server(engine, job, spec)
	    : code;
}

int
sqlite_read_server(struct sqlite_engine *engine, struct claimed_job *claimed)
{
	sqlite3_stmt *row = engine->server.prepared[READ];
	struct spec *spec = &claimed->spec;
	int code;

	bind_number(row, 1, claimed->key.job);
	code = sqlite3_step(row);
	if (code == SQLITE_ROW) {
		restart_parse(column_text(row, 0), &spec->restart);
		spec->is_durable = sqlite3_column_int(row, 1) != 0;
		spec->init_timeout_ms = column_number(row, 2, SPEC_UNSET);
		spec->max_redeliveries = column_number(row, 3, SPEC_FOR_EVER);
		if (column_text(row, 4) != NULL)
			claimed->state = xstrdup(column_text(row, 4));
		spec->pool = column_number(row, 5, 0);
		spec->max_messages = column_number(row, 6, SPEC_UNSET);
		spec->position = column_number(row, 7, 0);
		spec->is_plain = sqlite_read_service(row, 8, &spec->service);
		if (spec->pool != 0) /* that is a message's */
			spec->timeout_ms = SPEC_UNSET;
	}
	return statement_end(row, code);
}

/* What the server's own row says to its supervisor, whose name is copied. */
static int
read_child(struct sqlite_engine *engine, const struct attempt_key *key,
    struct lifecycle_job *job, int64_t *ret_max_redeliveries, int64_t *ret_position,
    char supervisor[NAME_SIZE])
{
	sqlite3_stmt *row = engine->server.prepared[RULES];
	const char *delay;
	int code;

	bind_number(row, 1, key->job);
	code = sqlite3_step(row);
	if (code == SQLITE_ROW) {
		restart_parse(column_text(row, 0), &job->supervised.restart);
		job->supervised.is_first_start = job->status != JOB_RUNNING &&
		    key->attempt == sqlite3_column_int64(row, 1);
		*ret_max_redeliveries = column_number(row, 2, SPEC_FOR_EVER);
		*ret_position = column_number(row, 3, 0);
		job->supervised.is_significant = sqlite3_column_int(row, 4) != 0;
		delay = column_text(row, 5);
		job->delay = retry_default;
		job->has_delay =
		    delay != NULL && retry_parse_backoff(delay, &job->delay) == 0;
		job->restarts_in_a_row = sqlite3_column_int64(row, 6);
		snprintf(supervisor, NAME_SIZE, "%s", column_text(row, 7));
		job->supervised.was_told_to_stop = sqlite3_column_int(row, 8) != 0;
	}
	return statement_end(row, code);
}

int
sqlite_read_server_rules(struct sqlite_engine *engine, const struct attempt_key *key,
    struct lifecycle_job *job, int64_t run_ms, int64_t *ret_max_redeliveries)
{
	struct supervised *child = &job->supervised;
	char supervisor[NAME_SIZE] = "";
	int64_t position = 0;
	struct node node;
	bool found;
	int code = read_child(
	    engine, key, job, ret_max_redeliveries, &position, supervisor);

	if (code == SQLITE_OK)
		code = sqlite_read_node(engine, supervisor, &node, &found);
	if (code != SQLITE_OK)
		return code;
	job->is_server = true;
	child->state = found ? node.state : SUPERVISOR_RUNNING;
	child->strategy = (enum strategy)node.strategy;
	child->budget = (enum budget)node.budget;
	child->auto_shutdown = (enum auto_shutdown)node.auto_shutdown;
	child->max_restarts = node.max_restarts;
	child->is_static = position != 0;
	child->is_in_group = node.state == SUPERVISOR_REGROUPING && position != 0 &&
	    position >= node.group_from;
	job->restarts_in_a_row = supervision_in_a_row(
	    &job->delay, job->restarts_in_a_row, run_ms, node.max_seconds * 1000);
	code = sqlite_count_restarts(engine, &node, key->job, NULL, &child->recent_restarts);
	if (code == SQLITE_OK && child->is_significant)
		code = sqlite_is_last_significant(
		    engine, supervisor, key->job, "", &child->is_last_significant);
	return code;
}

/*
 * Its timers, monitors and groups of its own go with it, its tasks are abandoned, and the
 * message that it crashed over is blamed. Whoever watches it is told of each end, also if it
 * comes back; what follows if it does not is sqlite_settle_end()'s.
 */
int
sqlite_end_server(struct sqlite_engine *engine, const struct step *step, struct reason reason,
    int64_t max_redeliveries, bool is_over)
{
	const struct attempt_key *key = &step->ended.key;
	sqlite3_stmt *empty = engine->server.prepared[EMPTY];
	int code = sqlite_forget_timers(engine, key);

	bind_number(empty, 1, key->job); /* what was in memory is gone */
	if (code == SQLITE_OK)
		code = statement_run(empty);
	if (code == SQLITE_OK)
		code = sqlite_end_groups(engine, key->job);
	if (code == SQLITE_OK && !is_over)
		code = sqlite_forget_monitors(engine, key->job, key->attempt);
	if (code == SQLITE_OK && !is_over)
		code = sqlite_tell_monitors(engine, key->job, reason);
	if (code == SQLITE_OK && step->ended.handling != 0 && reason_is_failure(reason))
		code = sqlite_blame_message(
		    engine, key->job, step->ended.handling, max_redeliveries, reason);
	return code;
}

int
sqlite_begin_life(struct sqlite_engine *engine, int64_t job)
{
	sqlite3_stmt *statement = engine->server.prepared[AFRESH];
	int code = sqlite_forget_restarts_of_job(engine, job);

	bind_number(statement, 1, job);
	return code == SQLITE_OK ? statement_run(statement) : code;
}

int
sqlite_ask_stop(struct sqlite_engine *engine, int64_t job, bool is_asked)
{
	sqlite3_stmt *statement = engine->server.prepared[SET_ASKED];

	if (!engine->has_tree)
		return SQLITE_OK;
	bind_number(statement, 1, job);
	bind_number(statement, 2, is_asked);
	return statement_run(statement);
}

int
sqlite_set_in_a_row(struct sqlite_engine *engine, int64_t job, int64_t restarts)
{
	sqlite3_stmt *statement = engine->server.prepared[SET_ROW];

	bind_number(statement, 1, job);
	bind_number(statement, 2, restarts);
	return statement_run(statement);
}

int
sqlite_step_ready(struct sqlite_engine *engine, struct step *step)
{
	const struct attempt_key *key = &step->ready.key;
	sqlite3_stmt *statement = engine->server.prepared[READY];
	int code;

	sqlite_bind_key(statement, key);
	code = statement_run(statement);
	if (code != SQLITE_OK)
		return code;
	if (sqlite3_changes(engine->db.handle) == 0) {
		step->answer = STEP_STALE;
		return SQLITE_OK;
	}
	statement = engine->server.prepared[SAID];
	bind_number(statement, 1, key->job);
	bind_number(statement, 2, step->ready.traps_exit);
	bind_number(statement, 3, step->ready.resumes);
	code = statement_run(statement);
	if (code == SQLITE_OK)
		code = sqlite_write_event(engine, key->job, key->attempt, "ready", NULL);
	return code == SQLITE_OK ? sqlite_supervise_job(engine, key->job) : code;
}

int
sqlite_step_gauge(struct sqlite_engine *engine, struct step *step)
{
	const struct attempt_key *key = &step->gauge.key;
	sqlite3_stmt *statement = engine->server.prepared[GAUGE];
	int64_t age_ms = step->gauge.age_ms;
	int code;

	sqlite_bind_key(statement, key);
	bind_unless(statement, 4, step->gauge.mailbox, -1);
	bind_unless(statement, 5, age_ms >= 0 ? engine->now.ms - age_ms : -1, -1);
	code = statement_run(statement);
	if (code == SQLITE_OK && sqlite3_changes(engine->db.handle) == 0)
		step->answer = STEP_STALE;
	return code;
}
