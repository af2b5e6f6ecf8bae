/*
 * sqlite_supervisor: the supervisors' rows: what they may run, and whether one that rejects has
 * a place. That is a count of rows, so nothing can leak.
 */

#include "base/xalloc.h"
#include "store/sqlite_supervision.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LIMITS, STARTS, SET_LIMIT, FIND, LIVE, OF_JOB, COUNT };

#define RECENT_EVENTS "200000" /* starts further back are forgotten */

static const char *const sql[] = {
	[LIMITS] = "SELECT name, max_children, pool, rate, rate_ms, paused, state, reason, "
		   "parent, position FROM supervisors",
	/* One that is only claimed may have started, with nobody left to record it. */
	[STARTS] = "SELECT ?3 - e.at AS age FROM events e JOIN jobs j ON j.id = e.job_id "
		   "WHERE e.seq > (SELECT max(seq) FROM events) - " RECENT_EVENTS " "
		   "AND e.event = 'started' AND e.at > ?3 - ?2 AND j.supervisor = ?1 "
		   "UNION ALL SELECT ?3 - o.claimed_at "
		   "FROM attempts o INDEXED BY attempts_open CROSS JOIN jobs j "
		   "ON j.id = o.job_id WHERE o.ended_at IS NULL AND o.started_at IS NULL "
		   "AND o.claimed_at > ?3 - ?2 AND j.supervisor = ?1 "
		   "ORDER BY age LIMIT ?4",
	[SET_LIMIT] = "UPDATE supervisors SET max_children = ?2 WHERE name = ?1",
	[FIND] = "SELECT pool, iif(overflow = 'reject', max_children, NULL), state, strategy, "
		 "auto_shutdown, reason FROM supervisors WHERE name = ?1",
	[LIVE] = "SELECT count(*) FROM jobs WHERE supervisor = ?1 AND " JOB_IS_LIVE(""),
	[OF_JOB] = "SELECT supervisor, coalesce(kind, '') = 'message', (SELECT pool_size "
		   "FROM servers WHERE job_id = jobs.id), coalesce(kind, '') = 'server' "
		   "FROM jobs WHERE id = ?1",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_supervisor_prepare(struct sqlite_engine *engine, struct error *error)
{
	return statements_prepare(&engine->supervisor, &engine->db, sql, COUNT, error);
}

/* ---- what they may run ---- */

static int
set_limit(struct sqlite_engine *engine, struct step *step)
{
	sqlite3_stmt *set = engine->supervisor.prepared[SET_LIMIT];
	int code;

	bind_text(set, 1, step->limits.set);
	bind_unless(set, 2, step->limits.set_max_children, -1);
	code = sqlite_refuse_constraint(engine, step, statement_run(set));
	if (code == SQLITE_OK && step->answer == STEP_OK &&
	    sqlite3_changes(engine->db.handle) == 0) {
		step->answer = STEP_NOT_FOUND;
		error_set(&step->error, STATUS_NOT_FOUND, "there is no supervisor %s",
		    step->limits.set);
	}
	return code;
}

static int
read_starts(struct sqlite_engine *engine, struct supervisor_limit *limit)
{
	sqlite3_stmt *row = engine->supervisor.prepared[STARTS];
	int code;

	bind_text(row, 1, limit->name);
	bind_number(row, 2, limit->rate_ms);
	bind_number(row, 3, engine->now.ms);
	bind_number(row, 4, limit->rate);
	while ((code = sqlite3_step(row)) == SQLITE_ROW) {
		limit->starts_ms = xreallocarray(limit->starts_ms, limit->start_count + 1,
		    sizeof(limit->starts_ms[0]));
		limit->starts_ms[limit->start_count++] = sqlite3_column_int64(row, 0);
	}
	return statement_end(row, code);
}

int
sqlite_step_limits(struct sqlite_engine *engine, struct step *step)
{
	sqlite3_stmt *row = engine->supervisor.prepared[LIMITS];
	int code = SQLITE_OK, state = SUPERVISOR_RUNNING;

	if (step->limits.set[0] != '\0')
		code = set_limit(engine, step);
	if (code != SQLITE_OK || step->answer != STEP_OK)
		return code;
	while ((code = sqlite3_step(row)) == SQLITE_ROW) {
		struct supervisor_limit *limit;

		step->limits.ret_limits = xreallocarray(step->limits.ret_limits,
		    step->limits.ret_count + 1, sizeof(step->limits.ret_limits[0]));
		limit = &step->limits.ret_limits[step->limits.ret_count++];
		*limit = (struct supervisor_limit){
			.max_children = column_number(row, 1, -1),
			.pool = column_number(row, 2, 0),
			.rate = column_number(row, 3, 0),
			.rate_ms = column_number(row, 4, 0),
			.is_paused = sqlite3_column_int(row, 5) != 0,
			.reason = column_text(row, 7) != NULL ? xstrdup(column_text(row, 7)) : NULL,
		};
		supervisor_state_parse(column_text(row, 6), &state);
		limit->state = state;
		limit->position = column_number(row, 9, 0);
		if (column_text(row, 8) != NULL)
			snprintf(limit->parent, sizeof(limit->parent), "%s", column_text(row, 8));
		snprintf(limit->name, sizeof(limit->name), "%s", column_text(row, 0));
	}
	code = statement_end(row, code);
	for (size_t i = 0; i < step->limits.ret_count && code == SQLITE_OK; i++) {
		if (step->limits.wants_starts && step->limits.ret_limits[i].rate > 0)
			code = read_starts(engine, &step->limits.ret_limits[i]);
	}
	return code;
}

/* ---- places ---- */

int
sqlite_find_supervisor(struct sqlite_engine *engine, const char *name, struct supervisor_row *ret)
{
	sqlite3_stmt *row = engine->supervisor.prepared[FIND];
	int state = SUPERVISOR_RUNNING, code;

	*ret = (struct supervisor_row){ .most = -1 };
	bind_text(row, 1, name);
	code = sqlite3_step(row);
	ret->is_there = code == SQLITE_ROW;
	if (ret->is_there) {
		const char *reason = column_text(row, 5);

		ret->is_pool = sqlite3_column_type(row, 0) != SQLITE_NULL;
		ret->most = column_number(row, 1, -1);
		supervisor_state_parse(column_text(row, 2), &state);
		strategy_parse(column_text(row, 3), &ret->strategy);
		auto_shutdown_parse(column_text(row, 4), &ret->auto_shutdown);
		snprintf(ret->reason, sizeof(ret->reason), "%s", reason != NULL ? reason : "");
	}
	ret->state = state;
	return statement_end(row, code);
}

int
sqlite_count_live(struct sqlite_engine *engine, const char *name, int64_t *ret_count)
{
	sqlite3_stmt *row = engine->supervisor.prepared[LIVE];
	int code;

	bind_text(row, 1, name);
	code = sqlite3_step(row);
	*ret_count = code == SQLITE_ROW ? sqlite3_column_int64(row, 0) : 0;
	return statement_end(row, code);
}

/* Its supervisor is not what it was when the job came. */
static bool
is_gone(const struct supervisor_row *supervisor, const char *name, bool is_message,
    bool is_server, struct error *error)
{
	if (!supervisor->is_there || supervisor->is_pool != is_message)
		error_set(error, STATUS_STATE, "its supervisor %s is gone", name);
	else if (is_server && !supervisor_lets_start(supervisor->state))
		sqlite_say_ended(error, name, supervisor);
	else
		return false;
	return true;
}

int
sqlite_job_has_place(struct sqlite_engine *engine, int64_t job, struct error *error,
    bool *ret_has_place)
{
	sqlite3_stmt *row = engine->supervisor.prepared[OF_JOB];
	char name[NAME_SIZE] = "";
	bool is_message = false, is_server = false;
	struct supervisor_row supervisor = { .most = -1 };
	int64_t live, wanted = 1;
	int code;

	*ret_has_place = true;
	bind_number(row, 1, job);
	code = sqlite3_step(row);
	if (code == SQLITE_ROW) {
		snprintf(name, sizeof(name), "%s", column_text(row, 0));
		is_message = sqlite3_column_int(row, 1) != 0;
		wanted = column_number(row, 2, 1);
		is_server = sqlite3_column_int(row, 3) != 0;
	}
	code = statement_end(row, code);
	if (code == SQLITE_OK)
		code = sqlite_find_supervisor(engine, name, &supervisor);
	if (code == SQLITE_OK && is_gone(&supervisor, name, is_message, is_server, error))
		*ret_has_place = false;
	if (code != SQLITE_OK || supervisor.most == -1 || !*ret_has_place)
		return code;
	code = sqlite_count_live(engine, name, &live);
	*ret_has_place = live + wanted <= supervisor.most;
	if (!*ret_has_place)
		sqlite_say_full(error, name, live, supervisor.most);
	return code;
}

void
sqlite_say_ended(struct error *error, const char *name, const struct supervisor_row *supervisor)
{
	error_set(error, STATUS_NOT_FOUND, "noproc: the supervisor %s %s%s%s%s", name,
	    supervisor->state == SUPERVISOR_WAITING ? "waits for its turn to start"
		: supervisor->state == SUPERVISOR_ENDED ? "has ended"
							: "is ending",
	    supervisor->reason[0] != '\0' ? " (" : "", supervisor->reason,
	    supervisor->reason[0] != '\0' ? ")" : "");
}

void
sqlite_say_full(struct error *error, const char *name, int64_t live, int64_t most)
{
	error_set(error, STATUS_TRY_LATER,
	    "%s: %" PRId64 " of %" PRId64 " places taken (max_children)", name, live, most);
}
