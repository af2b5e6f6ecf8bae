/*
 * sqlite_engine: the transaction around a turn. Steps are dispatched by table; a failed
 * one rolls all of it back. The token written in each transaction tells, after a COMMIT
 * that failed, whether it is there nevertheless.
 */

#include "store/sqlite_engine.h"
#include "base/log.h"
#include "base/xalloc.h"

#include <bsd/stdlib.h>
#include <stdlib.h>
#include <string.h>

enum { BEGIN_READ, BEGIN_WRITE, MARK, GUARD, COMMIT, ROLLBACK, DATA_VERSION, TOKEN, COUNT };

static const char *const turn_sql[] = {
	[BEGIN_READ] = "BEGIN",
	[BEGIN_WRITE] = "BEGIN IMMEDIATE",
	[MARK] = "UPDATE writer SET token = ?1",
	[GUARD] = "UPDATE writer SET is_writing = 0 WHERE is_writing <> 0",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[DATA_VERSION] = "PRAGMA data_version",
	[TOKEN] = "SELECT token FROM writer",
};
_Static_assert(sizeof(turn_sql) / sizeof(turn_sql[0]) == COUNT, "all statements");

static int (*const step_handlers[])(struct sqlite_engine *, struct step *) = {
	[STEP_GENERATION] = sqlite_step_generation,
	[STEP_OPEN] = sqlite_step_open,
	[STEP_SUBMIT] = sqlite_step_submit,
	[STEP_CLAIM] = sqlite_step_claim,
	[STEP_WITHDRAW] = sqlite_step_withdraw,
	[STEP_STARTED] = sqlite_step_started,
	[STEP_READY] = sqlite_step_ready,
	[STEP_STOPPING] = sqlite_step_stopping,
	[STEP_ENDED] = sqlite_step_ended,
	[STEP_CHANGE] = sqlite_step_change,
	[STEP_NOTE] = sqlite_step_note,
	[STEP_EVENT] = sqlite_step_event,
	[STEP_DUE] = sqlite_step_due,
	[STEP_LOOKUP] = sqlite_step_lookup,
	[STEP_SUPERVISOR] = sqlite_step_supervisor,
	[STEP_LIMITS] = sqlite_step_limits,
	[STEP_PRUNE] = sqlite_step_prune,
	[STEP_REMAINING] = sqlite_step_remaining,
	[STEP_SEND] = sqlite_step_send,
	[STEP_MAILBOX] = sqlite_step_mailbox,
	[STEP_SET_ASIDE] = sqlite_step_set_aside,
	[STEP_TIMER] = sqlite_step_timer,
	[STEP_TIMER_END] = sqlite_step_timer_end,
	[STEP_MONITOR] = sqlite_step_monitor,
	[STEP_DEMONITOR] = sqlite_step_demonitor,
	[STEP_GAUGE] = sqlite_step_gauge,
	[STEP_COMMIT] = sqlite_step_commit,
	[STEP_GROUP] = sqlite_step_group,
	[STEP_MEMBERS] = sqlite_step_members,
};
_Static_assert(sizeof(step_handlers) / sizeof(step_handlers[0]) == STEP_KIND_COUNT,
    "a handler for every step");

int
sqlite_run_step(struct sqlite_engine *engine, struct step *step)
{
	return step_handlers[step->kind](engine, step);
}

static int
run(struct sqlite_engine *engine, int statement)
{
	return statement_run(engine->turn.prepared[statement]);
}

static int
read_number(struct sqlite_engine *engine, int statement, int64_t *ret_number)
{
	sqlite3_stmt *prepared = engine->turn.prepared[statement];
	int code = sqlite3_step(prepared);

	if (code == SQLITE_ROW)
		*ret_number = sqlite3_column_int64(prepared, 0);
	return statement_end(prepared, code);
}

/* Note a foreign commit; to be called inside a transaction. */
static int
look_for_changes(struct sqlite_engine *engine)
{
	int64_t version = engine->data_version;
	int code = read_number(engine, DATA_VERSION, &version);

	if (version != engine->data_version) {
		engine->data_version = version;
		engine->is_changed = true;
	}
	return code;
}

static int64_t
new_token(void)
{
	uint64_t token;

	arc4random_buf(&token, sizeof(token));
	return (int64_t)(token >> 1);
}

/* What others have written since the last turn that was ours. */
static int
settle_foreign(struct sqlite_engine *engine)
{
	int code = run(engine, GUARD); /* who has switched the guards off forgot it */

	if (code == SQLITE_OK)
		code = sqlite_settle_foreign_cancels(engine);
	if (code == SQLITE_OK)
		code = sqlite_supervise_all(engine);
	if (code == SQLITE_OK)
		code = sqlite_look_for_keys(engine);
	return code == SQLITE_OK ? sqlite_look_for_groups(engine) : code;
}

static int
run_steps(struct sqlite_engine *engine, struct batch *batch)
{
	int code = SQLITE_OK;

	engine->now = clock_wall();
	engine->boot_now = clock_boot();
	engine->batch = batch;
	if (!batch_is_read_only(batch) && engine->settled_version != engine->data_version)
		code = settle_foreign(engine);
	for (size_t i = 0; i < batch->count && code == SQLITE_OK; i++)
		code = sqlite_run_step(engine, batch->steps[i]);
	engine->batch = NULL;
	return code;
}

/*
 * Everything between BEGIN and COMMIT. A turn that has changed nothing, as one that has found
 * nothing to claim, has no mark to leave; but an empty one is there to see if it can be written.
 */
static int
run_marked(struct sqlite_engine *engine, struct batch *batch, bool *ret_writes)
{
	int64_t before = sqlite3_total_changes64(engine->db.handle);
	int code = look_for_changes(engine);

	if (code == SQLITE_OK)
		code = run_steps(engine, batch);
	*ret_writes = batch->count == 0 ||
	    sqlite3_total_changes64(engine->db.handle) != before;
	if (code != SQLITE_OK || !*ret_writes)
		return code;
	bind_number(engine->turn.prepared[MARK], 1, engine->token);
	return run(engine, MARK);
}

static enum store_answer
give_up(struct sqlite_engine *engine, int code, bool at_commit)
{
	enum store_answer answer = db_answer(&engine->db, code, at_commit);

	if (!sqlite3_get_autocommit(engine->db.handle))
		run(engine, ROLLBACK);
	sqlite_distrust_environments(engine);
	sqlite_forget_timer_rooms(engine);
	return answer;
}

static enum store_answer
write_turn(struct sqlite_engine *engine, struct batch *batch)
{
	bool writes = false;
	int code;

	engine->token = new_token(); /* first of all: a turn without BEGIN is not there */
	code = run(engine, BEGIN_WRITE);
	if (code == SQLITE_OK && db_has_moved(&engine->db))
		code = SQLITE_READONLY_DBMOVED;
	if (code == SQLITE_OK)
		code = run_marked(engine, batch, &writes);
	if (code != SQLITE_OK)
		return give_up(engine, code, false);
	code = run(engine, COMMIT);
	if (code != SQLITE_OK)
		return give_up(engine, code, true);
	engine->settled_version = engine->data_version;
	engine->db.is_unsynced = engine->db.is_unsynced || writes;
	engine->db.has_said_limit = false;
	return STORE_OK;
}

static enum store_answer
read_turn(struct sqlite_engine *engine, struct batch *batch)
{
	int code = run(engine, BEGIN_READ);

	if (code == SQLITE_OK)
		code = run_steps(engine, batch);
	if (code == SQLITE_OK)
		code = run(engine, COMMIT);
	if (code == SQLITE_OK)
		return STORE_OK;
	engine->token = -1;
	return give_up(engine, code, false);
}

static enum store_answer
turn(struct sqlite_engine *engine, struct batch *batch)
{
	sqlite_forget_environments(engine);
	return batch_is_read_only(batch) ? read_turn(engine, batch)
					 : write_turn(engine, batch);
}

static enum store_answer reopen(struct sqlite_engine *engine);

/* It is open, and its log is the one that the next of us finds. */
static enum store_answer
be_open(struct sqlite_engine *engine)
{
	bool has_lost_log = engine->db.handle != NULL && db_has_lost_log(&engine->db);
	enum store_answer answer = STORE_OK;

	if (engine->db.handle == NULL || has_lost_log)
		answer = reopen(engine);
	if (answer != STORE_OK && answer != STORE_ABSENT)
		return answer;
	if (has_lost_log)
		log_warn("database=%s its -wal was removed while in use: all of it is in the "
			 "database", engine->db.path);
	return STORE_OK;
}

static void
engine_turn(struct store *store, struct batch *batch,
    void (*done)(void *arg, enum store_answer answer), void *arg)
{
	struct sqlite_engine *engine = (struct sqlite_engine *)store;
	enum store_answer answer = be_open(engine);

	if (answer == STORE_OK)
		answer = turn(engine, batch);
	else
		engine->token = -1; /* it is not there */
	done(arg, answer);
}

static int
engine_fd(struct store *store)
{
	(void)store;
	return -1;
}

static void
engine_step(struct store *store)
{
	(void)store; /* turns complete at once */
}

static enum store_answer
engine_sync(struct store *store)
{
	struct sqlite_engine *engine = (struct sqlite_engine *)store;

	enum store_answer answer = STORE_OK;

	/* One whose log is lost empties that: it need not be opened again for it. */
	if (engine->db.handle == NULL)
		answer = be_open(engine);
	return answer == STORE_OK ? db_sync(&engine->db) : answer;
}

/*
 * A commit of another process shows in the WAL file before it is visible to readers, so
 * the writer's lock is the barrier: once we had it, whatever was announced is visible.
 */
static enum store_answer
engine_changed(struct store *store, bool *ret_changed)
{
	struct sqlite_engine *engine = (struct sqlite_engine *)store;
	enum store_answer answer;
	int code;

	if ((answer = be_open(engine)) != STORE_OK)
		return answer;
	code = run(engine, BEGIN_WRITE);
	if (code != SQLITE_OK)
		return db_answer(&engine->db, code, false);
	code = look_for_changes(engine);
	run(engine, ROLLBACK);
	if (code != SQLITE_OK)
		return db_answer(&engine->db, code, false);
	*ret_changed = engine->is_changed;
	engine->is_changed = false;
	return STORE_OK;
}

static void
engine_release(struct sqlite_engine *engine)
{
	statements_done(&engine->turn);
	statements_done(&engine->environment);
	statements_done(&engine->submit);
	statements_done(&engine->submit_check);
	statements_done(&engine->message);
	statements_done(&engine->forget);
	statements_done(&engine->timer_room);
	statements_done(&engine->set_aside);
	statements_done(&engine->monitor);
	statements_done(&engine->pool);
	statements_done(&engine->labels);
	statements_done(&engine->groups);
	statements_done(&engine->supervisor);
	statements_done(&engine->node);
	statements_done(&engine->group);
	statements_done(&engine->supervision);
	statements_done(&engine->restarts);
	statements_done(&engine->supervisor_change);
	statements_done(&engine->commit);
	statements_done(&engine->server);
	statements_done(&engine->replace);
	statements_done(&engine->claim);
	statements_done(&engine->advance);
	statements_done(&engine->end);
	statements_done(&engine->depend);
	statements_done(&engine->change);
	statements_done(&engine->prune);
	statements_done(&engine->other);
	db_close(&engine->db);
}

static int
engine_open(struct sqlite_engine *engine, enum db_mode mode, struct error *error)
{
	if (db_open(&engine->db, engine->state_directory, mode, engine->busy_ms, error) == -1)
		return -1;
	if (statements_prepare(&engine->turn, &engine->db, turn_sql, COUNT, error) == -1 ||
	    sqlite_submit_prepare(engine, error) == -1 ||
	    sqlite_submit_check_prepare(engine, error) == -1 ||
	    sqlite_environment_prepare(engine, error) == -1 ||
	    sqlite_message_prepare(engine, error) == -1 ||
	    sqlite_forget_prepare(engine, error) == -1 ||
	    sqlite_timer_room_prepare(engine, error) == -1 ||
	    sqlite_set_aside_prepare(engine, error) == -1 ||
	    sqlite_monitor_prepare(engine, error) == -1 ||
	    sqlite_pool_prepare(engine, error) == -1 ||
	    sqlite_labels_prepare(engine, error) == -1 ||
	    sqlite_groups_prepare(engine, error) == -1 ||
	    sqlite_supervisor_prepare(engine, error) == -1 ||
	    sqlite_restarts_prepare(engine, error) == -1 ||
	    sqlite_supervisor_change_prepare(engine, error) == -1 ||
	    sqlite_node_prepare(engine, error) == -1 ||
	    sqlite_group_prepare(engine, error) == -1 ||
	    sqlite_supervision_prepare(engine, error) == -1 ||
	    sqlite_commit_prepare(engine, error) == -1 ||
	    sqlite_server_prepare(engine, error) == -1 ||
	    sqlite_replace_prepare(engine, error) == -1 ||
	    sqlite_claim_prepare(engine, error) == -1 ||
	    sqlite_advance_prepare(engine, error) == -1 ||
	    sqlite_end_prepare(engine, error) == -1 ||
	    sqlite_depend_prepare(engine, error) == -1 ||
	    sqlite_change_prepare(engine, error) == -1 ||
	    sqlite_prune_prepare(engine, error) == -1 ||
	    sqlite_other_prepare(engine, error) == -1) {
		engine_release(engine);
		return -1;
	}
	read_number(engine, DATA_VERSION, &engine->data_version);
	engine->settled_version = -1;
	return 0;
}

static enum store_answer
reopen(struct sqlite_engine *engine)
{
	const struct db old = engine->db;
	enum store_answer answer = STORE_OK;
	struct error error;
	int64_t token = -1;
	int code;

	if (db_is_replaced(&old, engine->state_directory))
		return STORE_UNAVAILABLE;
	/* What is in a log that nobody finds any more is only here. */
	if (old.handle != NULL && db_has_lost_log(&old))
		answer = db_empty_log(&engine->db);
	if (answer != STORE_OK)
		return answer;
	engine_release(engine);
	sqlite_distrust_environments(engine); /* but keep them: the last turn's may be used */
	code = engine_open(engine, DB_WRITE, &error);
	engine->db.has_file = old.has_file; /* the same one, also for the next try */
	engine->db.device = old.device;
	engine->db.inode = old.inode;
	if (code == -1)
		return error.code == STATUS_TRY_LATER ? STORE_BUSY : STORE_UNAVAILABLE;
	engine->is_changed = true; /* data_version starts anew: look at everything */
	/* Nothing that was written before is known to be on disk. */
	engine->db.is_unsynced = engine->db.must_checkpoint = true;
	code = read_number(engine, TOKEN, &token);
	if (code != SQLITE_OK)
		return db_answer(&engine->db, code, false);
	return token == engine->token ? STORE_OK : STORE_ABSENT;
}

static enum store_answer
engine_reopen(struct store *store)
{
	return reopen((struct sqlite_engine *)store);
}

static void
engine_close(struct store *store)
{
	struct sqlite_engine *engine = (struct sqlite_engine *)store;

	engine_release(engine);
	sqlite_distrust_environments(engine);
	sqlite_forget_environments(engine);
	free(engine->environments);
	free(engine->to_forget);
	strings_done(&engine->recent_variables);
	free(engine->state_directory);
	free(engine);
}

static const struct store_engine sqlite_store_engine = {
	.name = "sqlite",
	.turn = engine_turn,
	.fd = engine_fd,
	.step = engine_step,
	.sync = engine_sync,
	.changed = engine_changed,
	.reopen = engine_reopen,
	.close = engine_close,
};

struct store *
sqlite_store_open(
    const char *state_directory, int busy_ms, bool checks, struct error *error)
{
	struct sqlite_engine *engine = xcalloc(1, sizeof(*engine));

	engine->store.engine = &sqlite_store_engine;
	engine->state_directory = xstrdup(state_directory);
	engine->busy_ms = busy_ms;
	clock_boot_id(engine->boot_id);
	if (engine_open(engine, DB_CREATE, error) == -1 ||
	    (checks && db_check(&engine->db, error) == -1)) {
		engine_close(&engine->store);
		return NULL;
	}
	read_number(engine, TOKEN, &engine->token);
	return &engine->store;
}
