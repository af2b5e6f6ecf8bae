/*
 * sqlite_commit: what a durable server's handling of a message has led to: new state, message
 * done with, and whatever it sent, set or started. A commit that is asked for again, since
 * its answer was lost, is recognised, and nothing is done twice.
 */

#include "base/xalloc.h"
#include "store/sqlite_engine.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { IS_OPEN, LAST, MINE, STATE, COUNT };

static const char *const sql[] = {
	[IS_OPEN] = "SELECT 1 FROM attempts WHERE job_id = ?1 AND attempt = ?2 "
		    "AND generation = ?3 AND ended_at IS NULL",
	[LAST] = "SELECT last_commit FROM servers WHERE job_id = ?1",
	[MINE] = "SELECT 1 FROM messages WHERE seq = ?1 AND job_id = ?2 "
		 "AND wake_boot_ms IS NULL AND dead_at IS NULL",
	[STATE] = "UPDATE servers SET state = ?2, last_commit = ?3 WHERE job_id = ?1",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_commit_prepare(struct sqlite_engine *engine, struct error *error)
{
	return statements_prepare(&engine->commit, &engine->db, sql, COUNT, error);
}

static int
is_open(struct sqlite_engine *engine, const struct attempt_key *key, bool *ret_is_open)
{
	sqlite3_stmt *row = engine->commit.prepared[IS_OPEN];

	sqlite_bind_key(row, key);
	return statement_exists(row, ret_is_open);
}

static int
was_done(struct sqlite_engine *engine, int64_t job, const char *id, bool *ret_was_done)
{
	sqlite3_stmt *row = engine->commit.prepared[LAST];
	int code;

	bind_number(row, 1, job);
	code = sqlite3_step(row);
	*ret_was_done = code == SQLITE_ROW && column_text(row, 0) != NULL &&
	    strcmp(column_text(row, 0), id) == 0;
	return statement_end(row, code);
}

/* The message must be there and its own: one that is set aside or dropped is nothing to do. */
static int
is_mine(struct sqlite_engine *engine, const struct step *step, bool *ret_is_mine)
{
	sqlite3_stmt *row = engine->commit.prepared[MINE];

	*ret_is_mine = true;
	if (step->commit.seq == 0)
		return SQLITE_OK;
	bind_number(row, 1, step->commit.seq);
	bind_number(row, 2, step->commit.key.job);
	return statement_exists(row, ret_is_mine);
}

static void
leave_out_parts(struct step *step)
{
	for (size_t i = 0; i < step->commit.part_count; i++)
		step->commit.parts[i]->answer = STEP_STALE;
}

/* A timer that is not set would be waited for: then the whole is refused. */
static int
take_timer_room(struct sqlite_engine *engine, struct step *step)
{
	const struct attempt_key owner = { .job = step->commit.key.job };
	int64_t count = 0;

	for (size_t i = 0; i < step->commit.part_count; i++)
		count += step->commit.parts[i]->kind == STEP_TIMER;
	return sqlite_take_timer_room(engine, step, &owner, step->commit.most_timers, count);
}

static int
apply(struct sqlite_engine *engine, struct step *step, const char *id)
{
	sqlite3_stmt *statement = engine->commit.prepared[STATE];
	int code = take_timer_room(engine, step);

	if (code != SQLITE_OK || step->answer != STEP_OK) {
		leave_out_parts(step);
		return code;
	}
	bind_number(statement, 1, step->commit.key.job);
	bind_text(statement, 2, step->commit.state);
	bind_text(statement, 3, id);
	code = statement_run(statement);
	if (code == SQLITE_OK && step->commit.seq != 0)
		code = sqlite_remove_message(engine, step->commit.seq);
	for (size_t i = 0; i < step->commit.part_count && code == SQLITE_OK; i++)
		code = sqlite_run_step(engine, step->commit.parts[i]);
	return code;
}

int
sqlite_step_commit(struct sqlite_engine *engine, struct step *step)
{
	const struct attempt_key *key = &step->commit.key;
	char *id = xasprintf("%" PRId64 ":%s", key->attempt, step->commit.id);
	bool open, done = false, mine = false;
	int code = is_open(engine, key, &open);

	if (code == SQLITE_OK)
		code = was_done(engine, key->job, id, &done);
	if (code == SQLITE_OK && !done)
		code = is_mine(engine, step, &mine);
	step->commit.ret_was_there = done;
	if (code == SQLITE_OK && open && mine && !done)
		code = apply(engine, step, id);
	else
		leave_out_parts(step);
	if (code == SQLITE_OK && !open)
		step->answer = STEP_STALE;
	else if (code == SQLITE_OK && !mine && !done) {
		step->answer = STEP_NOT_FOUND;
		error_set(&step->error, STATUS_NOT_FOUND,
		    "there is no message %" PRId64 " to commit", step->commit.seq);
	}
	free(id);
	return code;
}
