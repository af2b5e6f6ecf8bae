/*
 * sqlite_message: messages that are kept: the mailboxes of durable servers, and timers. A
 * timer that fires goes behind what waits already, in a mailbox that is kept; to a server
 * that is not durable it is handed out, and stays until it is said to be delivered.
 */

#include "base/xalloc.h"
#include "store/sqlite_engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRE_AT_ONCE 1000 /* timers, in one turn */

enum {
	IS_DURABLE, SPAN, WAITING, INSERT, SENT, NEXT, LAST, TIMER, FIND_TIMER, FIND_REF,
	REMOVE, DUE, TO_NAME, NEXT_DUE, TO_THIS_BOOT, COUNT
};

static const char *const sql[] = {
	[IS_DURABLE] = "SELECT durable FROM servers WHERE job_id = ?1",
	/* How many there can be at most: others may have numbers in between. */
	[SPAN] = "SELECT (SELECT max(seq) FROM messages WHERE job_id = ?1) - "
		 "(SELECT min(seq) FROM messages WHERE job_id = ?1) + 1",
	[WAITING] = "SELECT count(*) FROM (SELECT 1 FROM messages WHERE job_id = ?1 "
		    "AND wake_boot_ms IS NULL AND dead_at IS NULL LIMIT ?2)",
	[INSERT] = "INSERT INTO messages (job_id, kind, message, created_at) "
		   "VALUES (?1, ?2, ?3, ?4)",
	[SENT] = "UPDATE servers SET last_message_at = ?2 WHERE job_id = ?1",
	[NEXT] = "SELECT seq, kind, message FROM messages WHERE job_id = ?1 AND seq > ?2 "
		 "AND wake_boot_ms IS NULL AND dead_at IS NULL ORDER BY seq LIMIT ?3",
	[LAST] = "SELECT seq FROM messages WHERE job_id = ?1 AND wake_boot_ms IS NULL "
		 "AND dead_at IS NULL ORDER BY seq DESC LIMIT 1",
	[TIMER] = "INSERT INTO messages (job_id, to_name, kind, message, created_at, owner, "
		  "owner_attempt, ref, wake_at, wake_boot_ms, wake_boot_id) "
		  "VALUES (?1, ?2, 'info', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
	[FIND_TIMER] = "SELECT seq, wake_boot_ms FROM messages WHERE seq = ?2 "
		       "AND wake_boot_ms IS NOT NULL AND (owner = ?1 OR ?1 = 0)",
	[FIND_REF] = "SELECT seq, wake_boot_ms FROM messages WHERE owner = ?1 AND ref = ?2 "
		     "AND wake_boot_ms IS NOT NULL",
	[REMOVE] = "DELETE FROM messages WHERE seq = ?1",
	[DUE] = "SELECT m.seq, m.job_id, m.to_name, m.message, s.durable FROM messages m "
		"LEFT JOIN servers s ON s.job_id = m.job_id WHERE m.wake_boot_ms IS NOT NULL "
		"AND m.wake_boot_ms <= ?1 AND NOT (" TIMER_HAS_GONE("m.") ") "
		"ORDER BY m.wake_boot_ms, m.seq LIMIT ?2",
	[TO_NAME] = "SELECT j.id, s.durable FROM jobs j JOIN servers s ON s.job_id = j.id "
		    "WHERE j.name = ?1 AND j.name IS NOT NULL AND " JOB_IS_LIVE("j."),
	[NEXT_DUE] = "SELECT min(wake_boot_ms) FROM messages WHERE wake_boot_ms IS NOT NULL "
		     "AND wake_boot_ms > ?1",
	[TO_THIS_BOOT] = "UPDATE messages SET wake_boot_ms = ?1 + wake_at - ?2, "
			 "wake_boot_id = ?3 WHERE wake_boot_ms IS NOT NULL "
			 "AND wake_boot_id <> ?3",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_message_prepare(struct sqlite_engine *engine, struct error *error)
{
	return statements_prepare(&engine->message, &engine->db, sql, COUNT, error);
}

/* ---- mailboxes ---- */

/* Once in a turn is enough: all of it happens at one time. */
static int
note_time(struct sqlite_engine *engine, int64_t job)
{
	sqlite3_stmt *statement = engine->message.prepared[SENT];

	if (engine->last_sent_to == job && engine->last_sent_token == engine->token)
		return SQLITE_OK;
	engine->last_sent_to = job;
	engine->last_sent_token = engine->token;
	bind_number(statement, 1, job);
	bind_number(statement, 2, engine->now.ms);
	return statement_run(statement);
}

int
sqlite_add_message(struct sqlite_engine *engine, int64_t job, bool is_info, const char *text,
    int64_t *ret_seq)
{
	sqlite3_stmt *statement = engine->message.prepared[INSERT];
	int code;

	bind_number(statement, 1, job);
	bind_text(statement, 2, is_info ? "info" : "cast");
	bind_text(statement, 3, text);
	bind_number(statement, 4, engine->now.ms);
	code = statement_run(statement);
	*ret_seq = sqlite3_last_insert_rowid(engine->db.handle);
	return code == SQLITE_OK ? note_time(engine, job) : code;
}

static int
read_count(sqlite3_stmt *row, int64_t *ret_count)
{
	int code = sqlite3_step(row);

	*ret_count = code == SQLITE_ROW ? sqlite3_column_int64(row, 0) : 0;
	return statement_end(row, code);
}

/* Counting them at every message would cost more, the more there are. */
static int
is_full(struct sqlite_engine *engine, int64_t job, int64_t most, bool *ret_is_full)
{
	sqlite3_stmt *span = engine->message.prepared[SPAN];
	sqlite3_stmt *waiting = engine->message.prepared[WAITING];
	int64_t count;
	int code;

	bind_number(span, 1, job);
	code = read_count(span, &count);
	if (code == SQLITE_OK && count >= most) {
		bind_number(waiting, 1, job);
		bind_number(waiting, 2, most);
		code = read_count(waiting, &count);
	}
	*ret_is_full = count >= most;
	return code;
}

/* A name: which live server has it? 0: nobody. */
static int
find_named(struct sqlite_engine *engine, const char *name, int64_t *ret_job,
    bool *ret_is_durable)
{
	sqlite3_stmt *row = engine->message.prepared[TO_NAME];
	int code;

	bind_text(row, 1, name);
	code = sqlite3_step(row);
	*ret_job = code == SQLITE_ROW ? sqlite3_column_int64(row, 0) : 0;
	*ret_is_durable = code == SQLITE_ROW && sqlite3_column_int(row, 1) != 0;
	return statement_end(row, code);
}

/* A durable server, whether it runs or not, by its id; or the live one of this name. */
static int
find_mailbox(struct sqlite_engine *engine, struct step *step, int64_t *ret_job)
{
	bool is_durable;
	int code;

	*ret_job = step->send.ret_job = step->send.job;
	if (step->send.job == 0)
		code = find_named(engine, step->send.name, &step->send.ret_job, &is_durable);
	else
		code = sqlite_is_durable(engine, step->send.job, &is_durable);
	*ret_job = is_durable ? step->send.ret_job : 0;
	return code;
}

void
sqlite_refuse_overloaded(struct step *step)
{
	step->answer = STEP_REFUSED;
	error_set(&step->error, STATUS_TRY_LATER, "overloaded");
}

int
sqlite_step_send(struct sqlite_engine *engine, struct step *step)
{
	int64_t job;
	bool full = false;
	int code = find_mailbox(engine, step, &job);

	if (code == SQLITE_OK && job == 0) {
		step->answer = STEP_NOT_FOUND;
		error_set(&step->error, STATUS_NOT_FOUND, "noproc");
		return SQLITE_OK;
	}
	if (code == SQLITE_OK && step->send.most > 0)
		code = is_full(engine, job, step->send.most, &full);
	if (code == SQLITE_OK && full) {
		sqlite_refuse_overloaded(step);
		return SQLITE_OK;
	}
	if (code == SQLITE_OK)
		code = sqlite_add_message(
		    engine, job, step->send.is_info, step->send.text,
		    &step->send.ret_seq);
	return code;
}

static struct message *
add_result(struct message **messages, size_t *count)
{
	if ((*count & (*count + 1)) == 0)
		*messages =
		    xreallocarray(*messages, 2 * *count + 3, sizeof((*messages)[0]));
	return &(*messages)[(*count)++];
}

static int
find_last(struct sqlite_engine *engine, struct step *step)
{
	sqlite3_stmt *row = engine->message.prepared[LAST];
	int code;

	bind_number(row, 1, step->mailbox.job);
	code = sqlite3_step(row);
	step->mailbox.ret_last = code == SQLITE_ROW ? sqlite3_column_int64(row, 0) : 0;
	return statement_end(row, code);
}

int
sqlite_step_mailbox(struct sqlite_engine *engine, struct step *step)
{
	sqlite3_stmt *row = engine->message.prepared[NEXT];
	int code;

	bind_number(row, 1, step->mailbox.job);
	bind_number(row, 2, step->mailbox.after);
	bind_number(row, 3, step->mailbox.limit);
	while ((code = sqlite3_step(row)) == SQLITE_ROW)
		*add_result(&step->mailbox.ret_messages, &step->mailbox.ret_count) =
		    (struct message){ .seq = sqlite3_column_int64(row, 0),
			    .job = step->mailbox.job,
			    .is_info = column_text(row, 1)[0] == 'i',
			    .text = xstrdup(column_text(row, 2)) };
	code = statement_end(row, code);
	return code == SQLITE_OK && step->mailbox.after == 0 ? find_last(engine, step) : code;
}

int
sqlite_remove_message(struct sqlite_engine *engine, int64_t seq)
{
	sqlite3_stmt *statement = engine->message.prepared[REMOVE];

	bind_number(statement, 1, seq);
	return statement_run(statement);
}

/* ---- timers ---- */

int
sqlite_add_timer(struct sqlite_engine *engine, const struct timer_row *timer,
    int64_t *ret_seq)
{
	sqlite3_stmt *statement = engine->message.prepared[TIMER];
	int code;

	bind_unless(statement, 1, timer->to, 0);
	bind_text(statement, 2, timer->to == 0 ? timer->to_name : NULL);
	bind_text(statement, 3, timer->text);
	bind_number(statement, 4, engine->now.ms);
	bind_unless(statement, 5, timer->owner, 0);
	bind_unless(statement, 6, timer->owner_attempt, 0);
	bind_unless(statement, 7, timer->ref, 0);
	bind_number(statement, 8, engine->now.ms + timer->delay_ms);
	bind_number(statement, 9, engine->boot_now.ms + timer->delay_ms);
	bind_text(statement, 10, engine->boot_id);
	code = statement_run(statement);
	*ret_seq = sqlite3_last_insert_rowid(engine->db.handle);
	return code;
}

int
sqlite_step_timer(struct sqlite_engine *engine, struct step *step)
{
	const struct timer_row timer = {
		.to = step->timer.to,
		.to_name = step->timer.to_name,
		.text = step->timer.text,
		.owner = step->timer.key.job,
		.owner_attempt = step->timer.is_durable ? 0 : step->timer.key.attempt,
		.ref = step->timer.ref,
		.delay_ms = step->timer.delay_ms,
	};

	const struct attempt_key owner = { .job = timer.owner, .attempt = timer.owner_attempt };
	int code = sqlite_take_timer_room(engine, step, &owner, step->timer.most, 1);

	if (code == SQLITE_OK && step->answer == STEP_OK)
		code = sqlite_add_timer(engine, &timer, &step->timer.ret_timer);
	return code;
}

int
sqlite_step_timer_end(struct sqlite_engine *engine, struct step *step)
{
	sqlite3_stmt *row =
	    engine->message.prepared[step->timer_end.is_ref ? FIND_REF : FIND_TIMER];
	int64_t seq = 0;
	int code;

	step->timer_end.ret_left_ms = -1;
	bind_number(row, 1, step->timer_end.owner);
	bind_number(row, 2, step->timer_end.timer);
	code = sqlite3_step(row);
	if (code == SQLITE_ROW) {
		int64_t left = sqlite3_column_int64(row, 1) - engine->boot_now.ms;

		seq = sqlite3_column_int64(row, 0);
		step->timer_end.ret_left_ms = left > 0 ? left : 0;
	}
	code = statement_end(row, code);
	if (code == SQLITE_OK && seq != 0 && step->timer_end.is_cancel)
		code = sqlite_remove_message(engine, seq);
	return code;
}

struct due_row {
	struct message message;
	char *to_name;
	bool is_durable;
};

/* Into the mailbox, out of the table, or out into the world. */
static int
fire(struct sqlite_engine *engine, struct step *step, struct due_row *row)
{
	struct message *result;
	int64_t seq;
	int code = SQLITE_OK;

	if (row->message.job == 0)
		code = find_named(engine, row->to_name, &row->message.job, &row->is_durable);
	if (code != SQLITE_OK)
		return code;
	if (row->message.job == 0 || row->is_durable)
		code = sqlite_remove_message(engine, row->message.seq);
	if (code != SQLITE_OK || row->message.job == 0)
		return code;
	if (row->is_durable)
		code = sqlite_add_message(
		    engine, row->message.job, true, row->message.text, &seq);
	result = add_result(&step->due.ret_messages, &step->due.ret_count);
	*result = row->message;
	if (row->is_durable)
		result->text = NULL;
	else
		row->message.text = NULL;
	return code;
}

static int
read_due(struct sqlite_engine *engine, struct due_row **rows, size_t *count)
{
	sqlite3_stmt *row = engine->message.prepared[DUE];
	int code;

	bind_number(row, 1, engine->boot_now.ms);
	bind_number(row, 2, FIRE_AT_ONCE);
	while ((code = sqlite3_step(row)) == SQLITE_ROW) {
		if ((*count & (*count + 1)) == 0)
			*rows = xreallocarray(*rows, 2 * *count + 3, sizeof((*rows)[0]));
		(*rows)[(*count)++] = (struct due_row){
			.message = { .seq = sqlite3_column_int64(row, 0),
			    .job = column_number(row, 1, 0),
			    .is_info = true,
			    .text = xstrdup(column_text(row, 3)) },
			.to_name = column_text(row, 2) != NULL ? xstrdup(column_text(row, 2))
							       : NULL,
			.is_durable = sqlite3_column_int(row, 4) != 0,
		};
	}
	return statement_end(row, code);
}

int
sqlite_fire_timers(struct sqlite_engine *engine, struct step *step)
{
	struct due_row *rows = NULL;
	size_t count = 0;
	int code = read_due(engine, &rows, &count);

	for (size_t i = 0; i < count; i++) {
		if (code == SQLITE_OK)
			code = fire(engine, step, &rows[i]);
		free(rows[i].message.text);
		free(rows[i].to_name);
	}
	if (count == FIRE_AT_ONCE) /* the rest in the next turn */
		step->due.ret_next_ms = 0;
	free(rows);
	return code;
}

int
sqlite_next_timer(struct sqlite_engine *engine, int64_t *ret_at)
{
	sqlite3_stmt *row = engine->message.prepared[NEXT_DUE];
	int code;

	bind_number(row, 1, engine->boot_now.ms);
	code = sqlite3_step(row);
	*ret_at = code == SQLITE_ROW ? column_number(row, 0, -1) : -1;
	return statement_end(row, code);
}

int
sqlite_timers_to_this_boot(struct sqlite_engine *engine)
{
	sqlite3_stmt *statement = engine->message.prepared[TO_THIS_BOOT];

	bind_number(statement, 1, engine->boot_now.ms);
	bind_number(statement, 2, engine->now.ms);
	bind_text(statement, 3, engine->boot_id);
	return statement_run(statement);
}

int
sqlite_is_durable(struct sqlite_engine *engine, int64_t job, bool *ret_is_durable)
{
	sqlite3_stmt *row = engine->message.prepared[IS_DURABLE];
	int code;

	bind_number(row, 1, job);
	code = sqlite3_step(row);
	*ret_is_durable = code == SQLITE_ROW && sqlite3_column_int(row, 0) != 0;
	return statement_end(row, code);
}
