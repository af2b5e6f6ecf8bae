/*
 * sqlite_supervisor: the supervisors' rows: what they may run, how they are made and changed,
 * and whether one that rejects has a place. That is a count of rows, so nothing can leak.
 */

#include "base/xalloc.h"
#include "store/sqlite_engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LIMITS, STARTS, SET_LIMIT, ADD, SET, REMOVE, FIND, LIVE, OF_JOB, COUNT };

#define RECENT_EVENTS "200000" /* starts further back are forgotten */

static const char *const sql[] = {
	[LIMITS] = "SELECT name, max_children, pool, rate, rate_ms, paused FROM supervisors",
	[STARTS] = "SELECT ?3 - e.at FROM events e JOIN jobs j ON j.id = e.job_id "
		   "WHERE e.seq > (SELECT max(seq) FROM events) - " RECENT_EVENTS " "
		   "AND e.event = 'started' AND e.at > ?3 - ?2 AND j.supervisor = ?1 "
		   "ORDER BY e.seq DESC LIMIT ?4",
	[SET_LIMIT] = "UPDATE supervisors SET max_children = ?2 WHERE name = ?1",
	[ADD] = "INSERT INTO supervisors (name, max_children, overflow, rate, rate_ms, paused) "
		"VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
	/* ?7 to ?10: is it given? */
	[SET] = "UPDATE supervisors SET max_children = iif(?7, ?2, max_children), "
		"overflow = iif(?8, ?3, overflow), rate = iif(?9, ?4, rate), "
		"rate_ms = iif(?9, ?5, rate_ms), paused = iif(?10, ?6, paused) "
		"WHERE name = ?1",
	[REMOVE] = "DELETE FROM supervisors WHERE name = ?1",
	[FIND] = "SELECT pool, iif(overflow = 'reject', max_children, NULL) FROM supervisors "
		 "WHERE name = ?1",
	[LIVE] = "SELECT count(*) FROM jobs WHERE supervisor = ?1 AND " JOB_IS_LIVE(""),
	[OF_JOB] = "SELECT supervisor, coalesce(kind, '') = 'message', (SELECT pool_size "
		   "FROM servers WHERE job_id = jobs.id) FROM jobs WHERE id = ?1",
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
	int code = SQLITE_OK;

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
		};
		snprintf(limit->name, sizeof(limit->name), "%s", column_text(row, 0));
	}
	code = statement_end(row, code);
	for (size_t i = 0; i < step->limits.ret_count && code == SQLITE_OK; i++) {
		if (step->limits.wants_starts && step->limits.ret_limits[i].rate > 0)
			code = read_starts(engine, &step->limits.ret_limits[i]);
	}
	return code;
}

/* ---- how they are made and changed ---- */

static int
write_supervisor(struct sqlite_engine *engine, struct step *step, int which)
{
	const struct supervisor_spec *spec = &step->supervisor.spec;
	sqlite3_stmt *statement = engine->supervisor.prepared[which];
	int overflow = spec->overflow == SUPERVISOR_UNSET ? OVERFLOW_WAIT : spec->overflow;

	bind_text(statement, 1, step->supervisor.name);
	bind_unless(statement, 2, spec->max_children < 0 ? -1 : spec->max_children, -1);
	bind_text(statement, 3, overflow_name(overflow));
	bind_unless(statement, 4, spec->rate < 0 ? -1 : spec->rate, -1);
	bind_unless(statement, 5, spec->rate < 0 ? -1 : spec->rate_ms, -1);
	bind_number(statement, 6, spec->is_paused == 1);
	if (which == SET) {
		bind_number(statement, 7, spec->max_children != SUPERVISOR_UNSET);
		bind_number(statement, 8, spec->overflow != SUPERVISOR_UNSET);
		bind_number(statement, 9, spec->rate != SUPERVISOR_UNSET);
		bind_number(statement, 10, spec->is_paused != SUPERVISOR_UNSET);
	}
	return sqlite_refuse_constraint(engine, step, statement_run(statement));
}

static int
refuse(struct step *step, enum step_answer answer, int code, const char *words)
{
	step->answer = answer;
	return error_set(&step->error, code, "%s %s", step->supervisor.name, words);
}

static int
remove_supervisor(struct sqlite_engine *engine, struct step *step)
{
	sqlite3_stmt *statement = engine->supervisor.prepared[REMOVE];
	int64_t live;
	int code = sqlite_count_live(engine, step->supervisor.name, &live);

	if (code != SQLITE_OK)
		return code;
	if (live > 0) {
		refuse(step, STEP_REFUSED, STATUS_STATE, "has live jobs");
		return SQLITE_OK;
	}
	bind_text(statement, 1, step->supervisor.name);
	return statement_run(statement);
}

/* More than that nobody does to a pool's. */
static bool
only_pauses(const struct supervisor_change *change)
{
	return change->change == SUPERVISOR_SET &&
	    change->spec.max_children == SUPERVISOR_UNSET &&
	    change->spec.overflow == SUPERVISOR_UNSET && change->spec.rate == SUPERVISOR_UNSET;
}

int
sqlite_step_supervisor(struct sqlite_engine *engine, struct step *step)
{
	bool found, is_pool;
	int64_t most;
	int code = sqlite_find_supervisor(
	    engine, step->supervisor.name, &found, &is_pool, &most);

	if (code != SQLITE_OK)
		return code;
	if (step->supervisor.change == SUPERVISOR_ADD) {
		if (!found)
			return write_supervisor(engine, step, ADD);
		refuse(step, STEP_REFUSED, STATUS_STATE, "is there already");
	} else if (!found)
		refuse(step, STEP_NOT_FOUND, STATUS_NOT_FOUND, "is no supervisor");
	else if (is_pool && !only_pauses(&step->supervisor))
		refuse(step, STEP_REFUSED, STATUS_STATE,
		    "is a pool, which is what its server was started with");
	else if (step->supervisor.change == SUPERVISOR_SET)
		return write_supervisor(engine, step, SET);
	else if (supervisor_is_built_in(step->supervisor.name))
		refuse(step, STEP_REFUSED, STATUS_STATE, "is built in");
	else
		return remove_supervisor(engine, step);
	return SQLITE_OK;
}

/* ---- places ---- */

int
sqlite_find_supervisor(struct sqlite_engine *engine, const char *name, bool *ret_found,
    bool *ret_is_pool, int64_t *ret_most)
{
	sqlite3_stmt *row = engine->supervisor.prepared[FIND];
	int code;

	bind_text(row, 1, name);
	code = sqlite3_step(row);
	*ret_found = code == SQLITE_ROW;
	*ret_is_pool = *ret_found && sqlite3_column_type(row, 0) != SQLITE_NULL;
	*ret_most = *ret_found ? column_number(row, 1, -1) : -1;
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

int
sqlite_job_has_place(struct sqlite_engine *engine, int64_t job, struct error *error,
    bool *ret_has_place)
{
	sqlite3_stmt *row = engine->supervisor.prepared[OF_JOB];
	char name[NAME_SIZE] = "";
	bool found = false, is_pool = false, is_message = false;
	int64_t most = -1, live, wanted = 1;
	int code;

	*ret_has_place = true;
	bind_number(row, 1, job);
	code = sqlite3_step(row);
	if (code == SQLITE_ROW) {
		snprintf(name, sizeof(name), "%s", column_text(row, 0));
		is_message = sqlite3_column_int(row, 1) != 0;
		wanted = column_number(row, 2, 1);
	}
	code = statement_end(row, code);
	if (code == SQLITE_OK)
		code = sqlite_find_supervisor(engine, name, &found, &is_pool, &most);
	if (code == SQLITE_OK && (!found || is_pool != is_message)) {
		*ret_has_place = false;
		error_set(error, STATUS_STATE, "its supervisor %s is gone", name);
	}
	if (code != SQLITE_OK || most == -1 || !*ret_has_place)
		return code;
	code = sqlite_count_live(engine, name, &live);
	*ret_has_place = live + wanted <= most;
	if (!*ret_has_place)
		sqlite_say_full(error, name, live, most);
	return code;
}

void
sqlite_say_full(struct error *error, const char *name, int64_t live, int64_t most)
{
	error_set(error, STATUS_TRY_LATER,
	    "%s: %" PRId64 " of %" PRId64 " places taken (max_children)", name, live, most);
}
