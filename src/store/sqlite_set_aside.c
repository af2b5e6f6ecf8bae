/*
 * sqlite_set_aside: messages that a server has crashed over too often. They are kept, with
 * the reason of the last crash, until somebody puts them back or drops them.
 */

#include "store/sqlite_engine.h"

#include <inttypes.h>
#include <stdio.h>

enum { BLAME, SET_ASIDE, FIND, PUT_BACK, COUNT };

static const char *const sql[] = {
	[BLAME] = "UPDATE messages SET deliveries = deliveries + 1 WHERE seq = ?1 "
		  "AND job_id = ?2 AND dead_at IS NULL RETURNING deliveries",
	[SET_ASIDE] = "UPDATE messages SET dead_at = ?2, dead_reason = ?3 WHERE seq = ?1",
	[FIND] = "SELECT job_id, wake_boot_ms, dead_at FROM messages WHERE seq = ?1",
	[PUT_BACK] = "INSERT INTO messages (job_id, kind, message, created_at) "
		     "SELECT job_id, kind, message, created_at FROM messages WHERE seq = ?1",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_set_aside_prepare(struct sqlite_engine *engine, struct error *error)
{
	return statements_prepare(&engine->set_aside, &engine->db, sql, COUNT, error);
}

int
sqlite_blame_message(struct sqlite_engine *engine, int64_t job, int64_t seq,
    int64_t max_redeliveries, struct reason reason)
{
	sqlite3_stmt *row = engine->set_aside.prepared[BLAME];
	sqlite3_stmt *set_aside = engine->set_aside.prepared[SET_ASIDE];
	char text[REASON_TEXT_SIZE], detail[32];
	int64_t deliveries = 0;
	int code;

	bind_number(row, 1, seq);
	bind_number(row, 2, job);
	code = sqlite3_step(row);
	if (code == SQLITE_ROW)
		deliveries = sqlite3_column_int64(row, 0);
	code = statement_end(row, code);
	if (code != SQLITE_OK || max_redeliveries == SPEC_FOR_EVER ||
	    deliveries <= max_redeliveries)
		return code;
	bind_number(set_aside, 1, seq);
	bind_number(set_aside, 2, engine->now.ms);
	bind_text(set_aside, 3, reason_format(text, reason));
	code = statement_run(set_aside);
	snprintf(detail, sizeof(detail), "%" PRId64, seq);
	if (code == SQLITE_OK)
		code = sqlite_write_event(engine, job, 0, "message set aside", detail);
	return code;
}

/* Whose it is; else the step's answer says why it is none that was set aside. */
static int
find_set_aside(struct sqlite_engine *engine, struct step *step)
{
	sqlite3_stmt *row = engine->set_aside.prepared[FIND];
	int64_t seq = step->set_aside.seq;
	int code;

	bind_number(row, 1, seq);
	code = sqlite3_step(row);
	step->set_aside.ret_job = code == SQLITE_ROW ? column_number(row, 0, 0) : 0;
	if (code == SQLITE_ROW && column_number(row, 2, 0) == 0) {
		step->answer = STEP_REFUSED;
		error_set(&step->error, STATUS_STATE,
		    column_number(row, 1, -1) != -1
			? "message %" PRId64 " is a timer that has not fired"
			: "message %" PRId64 " waits in the mailbox of job %" PRId64
			  ": it was not set aside",
		    seq, step->set_aside.ret_job);
	} else if (code == SQLITE_DONE) {
		step->answer = STEP_NOT_FOUND;
		error_set(&step->error, STATUS_NOT_FOUND, "there is no message %" PRId64, seq);
	}
	return statement_end(row, code);
}

/*
 * It gets a new number behind all the others: a server that runs may have been given later
 * ones than the old number, and would not be given it again.
 */
static int
put_back(struct sqlite_engine *engine, struct step *step)
{
	sqlite3_stmt *statement = engine->set_aside.prepared[PUT_BACK];
	int code;

	bind_number(statement, 1, step->set_aside.seq);
	code = statement_run(statement);
	step->set_aside.ret_seq = sqlite3_last_insert_rowid(engine->db.handle);
	return code;
}

int
sqlite_step_set_aside(struct sqlite_engine *engine, struct step *step)
{
	bool is_drop = step->set_aside.is_drop;
	char detail[64];
	int code = find_set_aside(engine, step);

	step->set_aside.ret_seq = step->set_aside.seq;
	if (code != SQLITE_OK || step->answer != STEP_OK)
		return code;
	if (!is_drop)
		code = put_back(engine, step);
	if (code == SQLITE_OK)
		code = sqlite_remove_message(engine, step->set_aside.seq);
	snprintf(detail, sizeof(detail), is_drop ? "%" PRId64 : "%" PRId64 " as %" PRId64,
	    step->set_aside.seq, step->set_aside.ret_seq);
	if (code == SQLITE_OK)
		code = sqlite_write_event(engine, step->set_aside.ret_job, 0,
		    is_drop ? "message dropped" : "message put back", detail);
	return code;
}
