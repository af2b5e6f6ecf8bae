/*
 * sqlite_depend: jobs that wait for others, and what follows when one of those ends: they
 * are released, or cancelled, and so on with those that wait for them.
 */

#include "base/xalloc.h"
#include "store/sqlite_engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	DEPEND,
	DEPENDENTS,
	UNMET,
	RELEASE,
	FOREIGN_CANCELS,
	LAST_FAILURE,
	FORGET_CANCELS,
	COUNT
};

static const char *const sql[] = {
	/* One job given twice: the stricter word counts. */
	[DEPEND] = "INSERT INTO dependencies (job_id, on_id, kind) VALUES (?1, ?2, ?3) "
		   "ON CONFLICT DO UPDATE SET kind = min(kind, excluded.kind)",
	[DEPENDENTS] = "SELECT d.job_id FROM dependencies d "
		       "JOIN jobs j ON j.id = d.job_id "
		       "WHERE d.on_id = ?1 AND j.hold = 'dependency' "
		       "AND " JOB_WAITS("j."),
	[UNMET] = "SELECT d.on_id, d.kind, b.status FROM dependencies d "
		  "LEFT JOIN jobs b ON b.id = d.on_id WHERE d.job_id = ?1 "
		  "AND (" JOB_IS_LIVE("b.") " "
		  "OR (d.kind = 'done' AND b.status <> 'done')) "
		  "ORDER BY " JOB_IS_LIVE("b.") ", d.on_id",
	[RELEASE] = "UPDATE jobs SET hold = NULL WHERE id = ?1 AND hold = 'dependency'",
	[FOREIGN_CANCELS] = "SELECT job_id FROM foreign_cancels ORDER BY job_id",
	[LAST_FAILURE] = "SELECT a.reason FROM jobs j JOIN attempts a ON a.job_id = j.id "
			 "WHERE j.id = ?1 AND j.status = 'failed' "
			 "ORDER BY a.attempt DESC LIMIT 1",
	[FORGET_CANCELS] = "DELETE FROM foreign_cancels",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_depend_prepare(struct sqlite_engine *engine, struct error *error)
{
	return statements_prepare(&engine->depend, &engine->db, sql, COUNT, error);
}

struct worklist {
	int64_t *jobs;
	size_t count;
};

static void
worklist_add(struct worklist *list, int64_t job)
{
	if ((list->count & (list->count + 1)) == 0)
		list->jobs =
		    xreallocarray(list->jobs, 2 * list->count + 3, sizeof(list->jobs[0]));
	list->jobs[list->count++] = job;
}

static int
add_dependents(struct sqlite_engine *engine, int64_t job, struct worklist *list)
{
	sqlite3_stmt *row = engine->depend.prepared[DEPENDENTS];
	int code;

	bind_number(row, 1, job);
	while ((code = sqlite3_step(row)) == SQLITE_ROW)
		worklist_add(list, sqlite3_column_int64(row, 0));
	return statement_end(row, code);
}

static int
cancel_for_dependency(struct sqlite_engine *engine, int64_t job, const char *why)
{
	const struct reason reason = { .kind = REASON_DEPENDENCY };
	struct lifecycle_verdict verdict;
	struct lifecycle_job rules;
	bool found;
	int code = sqlite_read_job(engine, job, &rules, &found);

	if (code != SQLITE_OK || !found ||
	    lifecycle_decide(&rules, JOB_DEPENDENCY_FAILED, 0, &verdict) == -1)
		return code;
	code = sqlite_apply(engine, job, &verdict, 0, "dependency", why);
	if (code == SQLITE_OK)
		code = sqlite_write_event(engine, job, 0, "cancelled", why);
	if (code == SQLITE_OK)
		code = sqlite_tell_monitors(engine, job, reason);
	batch_add_ended(engine->batch, job, verdict.next, reason);
	return code;
}

/* One waiting job: nothing if one is open still; its dependents follow if it ends. */
static int
check_one(struct sqlite_engine *engine, int64_t job, struct worklist *list)
{
	sqlite3_stmt *row = engine->depend.prepared[UNMET];
	enum job_status status = JOB_NEW;
	bool is_unmet;
	char why[64] = "";
	int code;

	bind_number(row, 1, job);
	code = sqlite3_step(row);
	is_unmet = code == SQLITE_ROW;
	if (is_unmet && column_text(row, 2) != NULL &&
	    job_status_parse(column_text(row, 2), &status) == 0 &&
	    !job_status_is_live(status))
		snprintf(why, sizeof(why), "job %" PRId64 " %s%s",
		    (int64_t)sqlite3_column_int64(row, 0),
		    status == JOB_CANCELLED ? "was " : "", job_status_name(status));
	code = statement_end(row, code);
	if (code != SQLITE_OK)
		return code;
	if (why[0] != '\0') {
		code = cancel_for_dependency(engine, job, why);
		return code == SQLITE_OK ? add_dependents(engine, job, list) : code;
	}
	if (!is_unmet) {
		bind_number(engine->depend.prepared[RELEASE], 1, job);
		code = statement_run(engine->depend.prepared[RELEASE]);
		engine->batch->released += sqlite3_changes(engine->db.handle);
	}
	return code;
}

static int
work_off(struct sqlite_engine *engine, struct worklist *list)
{
	int code = SQLITE_OK;

	while (list->count > 0 && code == SQLITE_OK) {
		int64_t job = list->jobs[--list->count];

		code = check_one(engine, job, list);
	}
	free(list->jobs);
	return code;
}

int
sqlite_check_dependencies(struct sqlite_engine *engine, int64_t job)
{
	struct worklist list = { 0 };

	worklist_add(&list, job);
	return work_off(engine, &list);
}

int
sqlite_insert_dependencies(struct sqlite_engine *engine, const struct spec *spec, int64_t job)
{
	static const char *const kinds[] = {
		[DEPENDENCY_DONE] = "done",
		[DEPENDENCY_ENDED] = "ended",
	};
	sqlite3_stmt *statement = engine->depend.prepared[DEPEND];
	int code = SQLITE_OK;

	for (size_t i = 0; i < spec->dependency_count && code == SQLITE_OK; i++) {
		bind_number(statement, 1, job);
		bind_number(statement, 2, spec->dependencies[i].on);
		bind_text(statement, 3, kinds[spec->dependencies[i].kind]);
		code = statement_run(statement);
	}
	/* Of what a person holds it is told at the release. */
	if (code == SQLITE_OK && spec->dependency_count > 0 && !spec->is_held)
		code = sqlite_check_dependencies(engine, job);
	return code;
}

/* A job has ended: tell those above and those that wait for it. */
int
sqlite_settle_end(struct sqlite_engine *engine, int64_t job, enum job_status status,
    struct reason reason)
{
	struct worklist list = { 0 };
	int code;

	batch_add_ended(engine->batch, job, status, reason);
	code = sqlite_supervise_job(engine, job);
	if (code == SQLITE_OK)
		code = sqlite_tell_monitors(engine, job, reason);
	if (code == SQLITE_OK) /* a server that ends without a process has some, too */
		code = sqlite_forget_monitors(engine, job, 0);
	if (code == SQLITE_OK)
		code = sqlite_end_pool(engine, job);
	if (code == SQLITE_OK)
		code = add_dependents(engine, job, &list);
	if (code != SQLITE_OK) {
		free(list.jobs);
		return code;
	}
	return work_off(engine, &list);
}

/* Cancelled, unless it was its retries that others have ended. */
static int
settle_foreign_end(struct sqlite_engine *engine, int64_t job)
{
	sqlite3_stmt *row = engine->depend.prepared[LAST_FAILURE];
	struct reason reason = { .kind = REASON_CANCELLED };
	enum job_status status = JOB_CANCELLED;
	int code;

	bind_number(row, 1, job);
	code = sqlite3_step(row);
	if (code == SQLITE_ROW) {
		status = JOB_FAILED;
		reason = column_reason(row, 0);
	}
	code = statement_end(row, code);
	return code == SQLITE_OK ? sqlite_settle_end(engine, job, status, reason) : code;
}

int
sqlite_settle_foreign_cancels(struct sqlite_engine *engine)
{
	sqlite3_stmt *row = engine->depend.prepared[FOREIGN_CANCELS];
	struct worklist list = { 0 };
	int code;

	while ((code = sqlite3_step(row)) == SQLITE_ROW)
		worklist_add(&list, sqlite3_column_int64(row, 0));
	code = statement_end(row, code);
	for (size_t i = 0; i < list.count && code == SQLITE_OK; i++)
		code = settle_foreign_end(engine, list.jobs[i]);
	if (code == SQLITE_OK && list.count > 0)
		code = statement_run(engine->depend.prepared[FORGET_CANCELS]);
	free(list.jobs);
	return code;
}
