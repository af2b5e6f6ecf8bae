/*
 * sqlite_monitor: who is told of whose end. What it is told is a message: into a mailbox that
 * is kept, or a timer that is due at once.
 */

#include "base/xalloc.h"
#include "model/spec_json.h"
#include "store/sqlite_engine.h"

#include <inttypes.h>
#include <stdlib.h>

enum { ADD, REMOVE_ONE, STATUS, OF_JOB, RESULT, REMOVE, TAKE_TASK, TASKS, FORGET, ANY, COUNT };

static const char *const sql[] = {
	[ADD] = "INSERT INTO monitors (job_id, owner, owner_attempt, is_task) "
		"VALUES (?1, ?2, ?3, ?4)",
	[REMOVE_ONE] = "DELETE FROM monitors WHERE ref = ?1",
	[STATUS] = "SELECT status FROM jobs WHERE id = ?1",
	[OF_JOB] = "SELECT ref, owner, owner_attempt, is_task FROM monitors WHERE job_id = ?1",
	[RESULT] = "SELECT result FROM jobs WHERE id = ?1",
	[REMOVE] = "DELETE FROM monitors WHERE owner = ?1 AND (ref = ?2 OR (is_task "
		   "AND job_id = ?2))",
	[TAKE_TASK] = "DELETE FROM monitors WHERE owner = ?1 AND is_task AND job_id = ?2",
	[TASKS] = "SELECT m.job_id FROM monitors m JOIN jobs j ON j.id = m.job_id "
		  "WHERE m.owner = ?1 AND m.is_task AND (m.owner_attempt = ?2 OR ?2 = 0) "
		  "AND " JOB_IS_LIVE("j."),
	[FORGET] = "DELETE FROM monitors WHERE owner = ?1 AND (owner_attempt = ?2 OR ?2 = 0)",
	[ANY] = "SELECT EXISTS (SELECT 1 FROM monitors)",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_monitor_prepare(struct sqlite_engine *engine, struct error *error)
{
	sqlite3_stmt *row;

	if (statements_prepare(&engine->monitor, &engine->db, sql, COUNT, error) == -1)
		return -1;
	/* Most instances have none: then no end of a job looks for them. */
	row = engine->monitor.prepared[ANY];
	engine->has_monitors = sqlite3_step(row) != SQLITE_ROW || sqlite3_column_int(row, 0);
	statement_end(row, SQLITE_OK);
	return 0;
}

struct monitor_row {
	int64_t ref, owner, owner_attempt;
	bool is_task;
};

static int
tell(struct sqlite_engine *engine, const struct monitor_row *monitor, json_t *message)
{
	char *text = json_dumps(message, JSON_COMPACT);
	const struct timer_row timer = { .to = monitor->owner, .text = text,
		.owner = monitor->owner, .owner_attempt = monitor->owner_attempt };
	int64_t seq;
	int code = monitor->owner_attempt == 0
	    ? sqlite_add_message(engine, monitor->owner, true, text, &seq)
	    : sqlite_add_timer(engine, &timer, &seq);

	engine->batch->told = true;
	free(text);
	json_decref(message);
	return code;
}

static int
read_result(struct sqlite_engine *engine, int64_t job, json_t **ret_result)
{
	sqlite3_stmt *row = engine->monitor.prepared[RESULT];
	const char *text;
	int code;

	bind_number(row, 1, job);
	code = sqlite3_step(row);
	text = code == SQLITE_ROW ? column_text(row, 0) : NULL;
	*ret_result = text != NULL ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
	if (*ret_result == NULL)
		*ret_result = json_null();
	return statement_end(row, code);
}

static int
tell_end(struct sqlite_engine *engine, const struct monitor_row *monitor, int64_t job,
    struct reason reason)
{
	char text[REASON_TEXT_SIZE];
	json_t *result;
	int code = SQLITE_OK;

	if (monitor->is_task && reason.kind == REASON_NORMAL) {
		code = read_result(engine, job, &result);
		if (code == SQLITE_OK)
			code = tell(engine, monitor, json_pack("{s:I, s:o}", "task",
			    (json_int_t)job, "result", result));
	}
	if (code == SQLITE_OK)
		code = tell(engine, monitor, json_pack("{s:o, s:I, s:s}", "down",
		    job != 0 ? json_integer(job) : json_null(), "ref",
		    (json_int_t)(monitor->is_task ? job : monitor->ref), "reason",
		    job != 0 ? reason_format(text, reason) : "noproc"));
	return code;
}

static int
remove_monitor(struct sqlite_engine *engine, int64_t ref)
{
	sqlite3_stmt *statement = engine->monitor.prepared[REMOVE_ONE];

	bind_number(statement, 1, ref);
	return statement_run(statement);
}

int
sqlite_tell_monitors(struct sqlite_engine *engine, int64_t job, struct reason reason)
{
	sqlite3_stmt *row = engine->monitor.prepared[OF_JOB];
	struct monitor_row *rows = NULL;
	size_t count = 0;
	int code;

	if (!engine->has_monitors)
		return SQLITE_OK;
	bind_number(row, 1, job);
	while ((code = sqlite3_step(row)) == SQLITE_ROW) {
		rows = xreallocarray(rows, count + 1, sizeof(rows[0]));
		rows[count++] = (struct monitor_row){ sqlite3_column_int64(row, 0),
			sqlite3_column_int64(row, 1), column_number(row, 2, 0),
			sqlite3_column_int(row, 3) != 0 };
	}
	code = statement_end(row, code);
	for (size_t i = 0; i < count && code == SQLITE_OK; i++) {
		code = tell_end(engine, &rows[i], job, reason);
		if (code == SQLITE_OK)
			code = remove_monitor(engine, rows[i].ref);
	}
	free(rows);
	return code;
}

static int
find_live(struct sqlite_engine *engine, struct step *step, int64_t *ret_job)
{
	sqlite3_stmt *row = engine->monitor.prepared[STATUS];
	enum job_status status;
	int code = SQLITE_OK;

	*ret_job = step->monitor.job;
	if (step->monitor.job == 0)
		code = sqlite_find_name(engine, step->monitor.name, ret_job);
	if (code != SQLITE_OK)
		return code;
	bind_number(row, 1, *ret_job);
	code = sqlite3_step(row);
	if (code != SQLITE_ROW || job_status_parse(column_text(row, 0), &status) == -1 ||
	    !job_status_is_live(status))
		*ret_job = 0;
	return statement_end(row, code);
}

int
sqlite_add_monitor(struct sqlite_engine *engine, const struct attempt_key *owner,
    int64_t job, bool is_task, int64_t *ret_ref)
{
	sqlite3_stmt *statement = engine->monitor.prepared[ADD];
	int code;

	bind_number(statement, 1, job);
	bind_number(statement, 2, owner->job);
	bind_unless(statement, 3, owner->attempt, 0);
	bind_number(statement, 4, is_task);
	code = statement_run(statement);
	*ret_ref = sqlite3_last_insert_rowid(engine->db.handle);
	engine->has_monitors = true;
	return code;
}

int
sqlite_step_monitor(struct sqlite_engine *engine, struct step *step)
{
	const struct attempt_key owner = { step->monitor.key.job,
		step->monitor.is_durable ? 0 : step->monitor.key.attempt, 0 };
	struct monitor_row monitor;
	int code = find_live(engine, step, &step->monitor.ret_job);

	if (code == SQLITE_OK)
		code = sqlite_add_monitor(engine, &owner, step->monitor.ret_job, false,
		    &step->monitor.ret_ref);
	if (code != SQLITE_OK || step->monitor.ret_job != 0)
		return code;
	/* There is none: told at once, and that was that. */
	monitor = (struct monitor_row){ step->monitor.ret_ref, owner.job, owner.attempt, false };
	code = tell_end(engine, &monitor, 0, (struct reason){ 0 });
	return code == SQLITE_OK ? remove_monitor(engine, monitor.ref) : code;
}

int
sqlite_step_demonitor(struct sqlite_engine *engine, struct step *step)
{
	sqlite3_stmt *statement = engine->monitor.prepared[REMOVE];

	bind_number(statement, 1, step->demonitor.owner);
	bind_number(statement, 2, step->demonitor.ref);
	return statement_run(statement);
}

int
sqlite_take_task(struct sqlite_engine *engine, int64_t job, int64_t owner, bool *ret_was)
{
	sqlite3_stmt *statement = engine->monitor.prepared[TAKE_TASK];
	int code;

	bind_number(statement, 1, owner);
	bind_number(statement, 2, job);
	code = statement_run(statement);
	*ret_was = code == SQLITE_OK && sqlite3_changes(engine->db.handle) > 0;
	return code;
}

int
sqlite_forget_monitors(struct sqlite_engine *engine, int64_t owner, int64_t attempt)
{
	sqlite3_stmt *row = engine->monitor.prepared[TASKS];
	sqlite3_stmt *forget = engine->monitor.prepared[FORGET];
	int code;

	if (!engine->has_monitors)
		return SQLITE_OK;
	bind_number(row, 1, owner);
	bind_number(row, 2, attempt);
	while ((code = sqlite3_step(row)) == SQLITE_ROW)
		batch_add_abandoned(engine->batch, sqlite3_column_int64(row, 0));
	code = statement_end(row, code);
	bind_number(forget, 1, owner);
	bind_number(forget, 2, attempt);
	return code == SQLITE_OK ? statement_run(forget) : code;
}
