/*
 * sqlite_submit_check: may a new job be? A taken name, a supervisor that is not there or has no
 * place, an unknown dependency: each refuses the step in words.
 */

#include "store/sqlite_submit.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { HOLDER, NAMESAKE, JOB_EXISTS, ENTRY, COUNT };

static const char *const sql[] = {
	[HOLDER] = "SELECT id, status FROM jobs WHERE name = ?1 AND name IS NOT NULL "
		   "AND " JOB_IS_LIVE(""),
	[NAMESAKE] = "SELECT id, status FROM jobs INDEXED BY jobs_by_name WHERE name = ?1 "
		     "AND name IS NOT NULL AND supervisor = ?2 LIMIT 1",
	[ENTRY] = "SELECT j.id FROM jobs j INDEXED BY jobs_by_name "
		  "JOIN servers v ON v.job_id = j.id WHERE j.name = ?1 "
		  "AND j.name IS NOT NULL AND v.position IS NOT NULL",
	/* One that is being forgotten is as good as gone. */
	[JOB_EXISTS] = "SELECT 1 FROM jobs WHERE id = ?1 "
		       "AND NOT EXISTS (SELECT 1 FROM deletions WHERE job_id = ?1)",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_submit_check_prepare(struct sqlite_engine *engine, struct error *error)
{
	return statements_prepare(&engine->submit_check, &engine->db, sql, COUNT, error);
}

int
submission_refuse(struct step *step, size_t which, int code, const char *format, ...)
{
	char text[sizeof(step->error.text)];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	error_set(&step->error, code, "%s", text);
	step->answer = STEP_REFUSED;
	step->submit.ret_bad = which;
	return SQLITE_OK;
}

static int
read_holder(sqlite3_stmt *statement, int64_t *ret_holder, enum job_status *ret_status)
{
	int code = sqlite3_step(statement);

	*ret_holder = 0;
	if (code == SQLITE_ROW) {
		*ret_holder = sqlite3_column_int64(statement, 0);
		job_status_parse(column_text(statement, 1), ret_status);
	}
	return statement_end(statement, code);
}

int
submission_find_holder(struct sqlite_engine *engine, const char *name, int64_t *ret_holder,
    enum job_status *ret_status)
{
	sqlite3_stmt *statement = engine->submit_check.prepared[HOLDER];

	bind_text(statement, 1, name);
	return read_holder(statement, ret_holder, ret_status);
}

int
submission_find_namesake(struct sqlite_engine *engine, const struct spec *spec,
    int64_t *ret_holder, enum job_status *ret_status)
{
	sqlite3_stmt *statement = engine->submit_check.prepared[NAMESAKE];

	bind_text(statement, 1, spec->name);
	bind_text(statement, 2, spec_supervisor(spec));
	return read_holder(statement, ret_holder, ret_status);
}

int
submission_refuse_name(struct step *step, size_t which, int64_t holder, enum job_status status)
{
	const char *name = step->submit.specs[which].name;

	for (size_t i = 0; i < which; i++) {
		if (step->submit.ret_ids[i] == holder && !step->submit.ret_existed[i])
			return submission_refuse(step, which, STATUS_STATE,
			    "already_started: two of these jobs have the name %s", name);
	}
	step->submit.ret_holder = holder;
	return submission_refuse(step, which, STATUS_STATE,
	    "already_started: job %" PRId64 " has the name %s (%s)", holder, name,
	    job_status_name(status));
}

/* A name means what it means now, and from here on is that job's id. */
static int
find_dependency(struct sqlite_engine *engine, struct step *step, size_t which,
    struct dependency *dependency)
{
	sqlite3_stmt *statement = engine->submit_check.prepared[JOB_EXISTS];
	bool found = false;
	int code = SQLITE_OK;

	if (dependency->name != NULL)
		code = sqlite_find_name(engine, dependency->name, &dependency->on);
	if (code != SQLITE_OK)
		return code;
	bind_number(statement, 1, dependency->on);
	code = statement_exists(statement, &found);
	if (code == SQLITE_OK && !found && dependency->name != NULL)
		return submission_refuse(step, which, STATUS_NOT_FOUND,
		    "after: there is no job %s", dependency->name);
	if (code == SQLITE_OK && !found)
		return submission_refuse(step, which, STATUS_NOT_FOUND,
		    "after: there is no job %" PRId64, dependency->on);
	return code;
}

/* A supervisor that rejects has so many live jobs and no more. */
static int
refuse_if_full(struct sqlite_engine *engine, struct submission *submission, size_t which)
{
	struct step *step = submission->step;
	struct error error;
	const struct spec *spec = &step->submit.specs[which];
	int64_t live, wanted = spec->pool_size != SPEC_UNSET ? spec->pool_size : 1;
	int code = sqlite_count_live(engine, submission->supervisor, &live);

	if (code != SQLITE_OK || live + wanted <= submission->most)
		return code;
	sqlite_say_full(&error, submission->supervisor, live, submission->most);
	step->submit.ret_is_full = true;
	return submission_refuse(step, which, error.code, "%s", error.text);
}

/* Is there an entry of this name, although it does not run? */
static int
find_entry(struct sqlite_engine *engine, const char *name, int64_t *ret_job)
{
	sqlite3_stmt *statement = engine->submit_check.prepared[ENTRY];
	int code;

	*ret_job = 0;
	bind_text(statement, 1, name);
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		*ret_job = sqlite3_column_int64(statement, 0);
	return statement_end(statement, code);
}

/* May this server be a child of its supervisor, as that is now? */
static int
check_child(struct sqlite_engine *engine, struct step *step, size_t which)
{
	const struct spec *spec = &step->submit.specs[which];
	const char *name = spec_supervisor(spec);
	struct supervisor_row supervisor;
	struct error error;
	int64_t entry = 0, loses = 0;
	int code = sqlite_find_supervisor(engine, name, &supervisor);

	if (code == SQLITE_OK && spec->name != NULL)
		code = find_entry(engine, spec->name, &entry);
	if (code != SQLITE_OK)
		return code;
	if (entry != 0 && spec->description == NULL) { /* else it takes its place */
		step->submit.ret_holder = entry;
		return submission_refuse(step, which, STATUS_STATE,
		    "already_present: job %" PRId64 " is %s: start it again, or delete it", entry,
		    spec->name);
	}
	if (spec->description != NULL)
		code = sqlite_replace_loses(engine, spec, &loses);
	if (code != SQLITE_OK)
		return code;
	if (loses != 0)
		return submission_refuse(step, which, STATUS_STATE,
		    "is not durable any more, and would lose what job %" PRId64
		    " has committed, or what waits for it", loses);
	if (spec->is_significant && supervisor.auto_shutdown == AUTO_SHUTDOWN_NEVER)
		return submission_refuse(step, which, STATUS_USAGE,
		    "significant: the supervisor %s has auto-shutdown never", name);
	if (spec->is_significant && !spec_is_static(spec) &&
	    supervisor.strategy == STRATEGY_ONE_FOR_ONE)
		return submission_refuse(step, which, STATUS_USAGE,
		    "significant: only for a child in order, SUPERVISOR/CHILD");
	/* A child in order waits for the start of its supervisor. */
	if (supervisor_lets_start(supervisor.state) || spec->description != NULL)
		return SQLITE_OK;
	sqlite_say_ended(&error, name, &supervisor);
	return submission_refuse(step, which, error.code, "%s", error.text);
}

int
submission_check(struct sqlite_engine *engine, struct submission *submission, size_t which)
{
	struct step *step = submission->step;
	const struct spec *spec = &step->submit.specs[which];
	const char *supervisor = spec_supervisor(spec);
	struct supervisor_row row;
	int code = SQLITE_OK;

	if (strcmp(supervisor, submission->supervisor) != 0 && !spec->is_message) {
		code = sqlite_find_supervisor(engine, supervisor, &row);
		if (code != SQLITE_OK)
			return code;
		if (!row.is_there)
			return submission_refuse(step, which, STATUS_NOT_FOUND,
			    "there is no supervisor %s", supervisor);
		if (row.is_pool)
			return submission_refuse(step, which, STATUS_STATE,
			    "%s is a pool: jobberd cast sends it messages", supervisor);
		submission->most = row.most;
		snprintf(submission->supervisor, sizeof(submission->supervisor), "%s", supervisor);
	}
	if (spec->is_server)
		code = check_child(engine, step, which);
	if (code != SQLITE_OK || step->answer != STEP_OK)
		return code;
	if (submission->most != -1 && !spec->is_message)
		code = refuse_if_full(engine, submission, which);
	if (code != SQLITE_OK)
		return code;
	for (size_t i = 0; i < spec->dependency_count && step->answer == STEP_OK; i++) {
		code = find_dependency(engine, step, which, &spec->dependencies[i]);
		if (code != SQLITE_OK)
			return code;
	}
	return SQLITE_OK;
}
