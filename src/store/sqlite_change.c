/* sqlite_change: what people ask for: cancel, retry, hold, release. */

#include "store/sqlite_engine.h"

#include <inttypes.h>

enum { SET_HOLD, OPEN_ATTEMPT, HAS_DEPENDENCIES, COUNT };

static const char *const sql[] = {
	[SET_HOLD] = "UPDATE jobs SET hold = ?2 WHERE id = ?1",
	[OPEN_ATTEMPT] = "SELECT attempt, generation, started_at FROM attempts "
			 "WHERE job_id = ?1 AND ended_at IS NULL",
	[HAS_DEPENDENCIES] = "SELECT 1 FROM dependencies WHERE job_id = ?1",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_change_prepare(struct sqlite_engine *engine, struct error *error)
{
	return statements_prepare(&engine->change, &engine->db, sql, COUNT, error);
}

static int
find_open_attempt(struct sqlite_engine *engine, int64_t job, struct attempt_key *ret_key,
    bool *ret_is_started)
{
	sqlite3_stmt *row = engine->change.prepared[OPEN_ATTEMPT];
	int code;

	*ret_key = (struct attempt_key){ 0 };
	bind_number(row, 1, job);
	code = sqlite3_step(row);
	if (code == SQLITE_ROW)
		*ret_key = (struct attempt_key){ job, sqlite3_column_int64(row, 0),
			sqlite3_column_int64(row, 1) };
	*ret_is_started =
	    code == SQLITE_ROW && sqlite3_column_type(row, 2) != SQLITE_NULL;
	return statement_end(row, code);
}

static int
set_hold(struct sqlite_engine *engine, int64_t job, const char *hold)
{
	sqlite3_stmt *statement = engine->change.prepared[SET_HOLD];

	bind_number(statement, 1, job);
	bind_text(statement, 2, hold);
	return statement_run(statement);
}

/* What a person held may wait for others too. */
static int
release_hold(struct sqlite_engine *engine, int64_t job)
{
	sqlite3_stmt *row = engine->change.prepared[HAS_DEPENDENCIES];
	bool waits_for_others;
	int code;

	bind_number(row, 1, job);
	code = statement_exists(row, &waits_for_others);
	if (code == SQLITE_OK)
		code = set_hold(engine, job, waits_for_others ? "dependency" : NULL);
	if (code == SQLITE_OK && waits_for_others)
		code = sqlite_check_dependencies(engine, job);
	return code;
}

int
sqlite_apply_event(struct sqlite_engine *engine, int64_t job, enum job_event event,
    struct reason reason, const char *detail, bool *ret_allowed,
    struct lifecycle_verdict *ret_verdict)
{
	static const char *const words[JOB_EVENT_COUNT] = {
		[JOB_CANCEL] = "cancelled",
		[JOB_RETRY] = "retry asked for",
		[JOB_HOLD] = "held",
		[JOB_RELEASE] = "released",
		[JOB_REFUSED] = "failed",
		[JOB_SHUT_DOWN] = "stopped",
	};
	struct lifecycle_job rules;
	char text[REASON_TEXT_SIZE];
	bool found, ends, is_partly_gone = false;
	int code = sqlite_read_job(engine, job, &rules, &found);

	*ret_allowed = code == SQLITE_OK && found &&
	    lifecycle_decide(&rules, event, 0, ret_verdict) == 0;
	if (*ret_allowed && (ret_verdict->actions & ACTION_REVIVE))
		code = sqlite_is_partly_gone(engine, job, &is_partly_gone);
	*ret_allowed = *ret_allowed && code == SQLITE_OK && !is_partly_gone;
	if (!*ret_allowed)
		return code;
	ends = (ret_verdict->actions & ACTION_END) != 0;
	if (code == SQLITE_OK && (ret_verdict->actions & ACTION_HOLD))
		code = set_hold(engine, job, "user");
	if (code == SQLITE_OK &&
	    (ends || (ret_verdict->actions & (ACTION_WAKE | ACTION_REVIVE))))
		code = sqlite_apply(engine, job, ret_verdict, 0,
		    ends ? reason_format(text, reason) : NULL, detail);
	if (code == SQLITE_OK && (ret_verdict->actions & ACTION_RESET))
		code = sqlite_begin_life(engine, job);
	if (code == SQLITE_OK)
		code = sqlite_write_event(engine, job, 0, words[event], detail);
	if (code == SQLITE_OK && (ret_verdict->actions & ACTION_UNHOLD))
		code = release_hold(engine, job);
	if (code == SQLITE_OK && (ret_verdict->actions & ACTION_HOLD))
		code = sqlite_supervise_job(engine, job); /* nobody waits for it any more */
	if (code == SQLITE_OK && ends)
		code = sqlite_settle_end(engine, job, ret_verdict->next, reason);
	return code;
}

static int
refuse_change(struct sqlite_engine *engine, struct step *step)
{
	struct lifecycle_job rules;
	bool found;
	int code = sqlite_read_job(engine, step->change.job, &rules, &found);

	if (!found) {
		step->answer = STEP_NOT_FOUND;
		error_set(&step->error, STATUS_NOT_FOUND, "there is no job %" PRId64,
		    step->change.job);
		return code;
	}
	step->answer = STEP_REFUSED;
	step->change.ret_status = rules.status;
	error_set(&step->error, STATUS_STATE, "job %" PRId64 " is %s: %s is not possible",
	    step->change.job, job_status_name(rules.status),
	    job_event_name(step->change.event));
	return code;
}

/* A job that is only claimed is recalled; if it starts all the same, that counts. */
static int
hold_claimed(struct sqlite_engine *engine, struct step *step)
{
	bool is_hold = step->change.event == JOB_HOLD, found;
	int64_t job = step->change.job;
	struct lifecycle_job rules;
	int code = set_hold(engine, job, is_hold ? "user" : NULL);

	if (code == SQLITE_OK)
		code = sqlite_write_event(
		    engine, job, 0, is_hold ? "held" : "released", NULL);
	if (code == SQLITE_OK)
		code = sqlite_read_job(engine, job, &rules, &found);
	if (code == SQLITE_OK)
		step->change.ret_status = rules.status;
	step->change.ret_must_recall = is_hold;
	return code == SQLITE_OK ? sqlite_supervise_job(engine, job) : code;
}

/* A job that is claimed or has a process: a cancel is a wish until it is gone. */
static int
change_claimed(struct sqlite_engine *engine, struct step *step, bool is_started)
{
	const struct reason cancelled = { .kind = REASON_CANCELLED };
	enum job_event event = step->change.event;

	if (!is_started && (event == JOB_HOLD || event == JOB_RELEASE))
		return hold_claimed(engine, step);
	if (step->change.event != JOB_CANCEL) {
		step->answer = STEP_REFUSED;
		step->change.ret_status = JOB_RUNNING;
		error_set(&step->error, STATUS_STATE,
		    "job %" PRId64 " is running: %s is not possible", step->change.job,
		    job_event_name(step->change.event));
		return SQLITE_OK;
	}
	step->change.ret_must_stop = true;
	step->change.ret_status = JOB_RUNNING;
	return sqlite_stop_attempt(engine, &step->change.ret_attempt, cancelled);
}

/* Many may be asked for at once: which one was refused is said first. */
static int
refuse_retry(struct step *step, int code, const char *words)
{
	step->answer = STEP_REFUSED;
	error_set(&step->error, code, "job %" PRId64 ": %s", step->change.job, words);
	return SQLITE_OK;
}

/*
 * May it start afresh? A job of which a part is gone does not, a pool does with all its processes,
 * and a job that has ended has no place with a supervisor that rejects. Refuses the step if not.
 */
static int
check_retry(struct sqlite_engine *engine, struct step *step)
{
	struct lifecycle_job rules;
	bool found, is_blocked = false, is_partly_gone, has_place = true;
	struct error full;
	int code = sqlite_is_partly_gone(engine, step->change.job, &is_partly_gone);

	if (code == SQLITE_OK && is_partly_gone)
		return refuse_retry(step, STATUS_STATE, "it is being deleted");
	if (code == SQLITE_OK)
		code = sqlite_pool_is_blocked(engine, step->change.job, &is_blocked);
	if (code == SQLITE_OK && is_blocked)
		return refuse_retry(step, STATUS_TRY_LATER,
		    "a process of this pool is still ending, or another job has its name");
	if (code == SQLITE_OK)
		code = sqlite_read_job(engine, step->change.job, &rules, &found);
	if (code == SQLITE_OK && found && !job_status_is_live(rules.status))
		code = sqlite_job_has_place(engine, step->change.job, &full, &has_place);
	return code == SQLITE_OK && !has_place ? refuse_retry(step, full.code, full.text) : code;
}

/* A server ends its own tasks only. */
static int
check_task(struct sqlite_engine *engine, struct step *step)
{
	bool is_task = true;
	int code = SQLITE_OK;

	if (step->change.task_of != 0)
		code = sqlite_take_task(
		    engine, step->change.job, step->change.task_of, &is_task);
	if (code == SQLITE_OK && !is_task)
		step->answer = STEP_NOT_FOUND;
	return code;
}

int
sqlite_step_change(struct sqlite_engine *engine, struct step *step)
{
	struct lifecycle_verdict verdict;
	struct lifecycle_job rules;
	bool is_allowed, found, is_started;
	int code = check_task(engine, step);

	step->change.ret_must_stop = step->change.ret_must_recall = false;
	if (code != SQLITE_OK || step->answer != STEP_OK)
		return code;
	code = find_open_attempt(
	    engine, step->change.job, &step->change.ret_attempt, &is_started);
	if (code != SQLITE_OK)
		return code;
	if (step->change.ret_attempt.job != 0)
		return change_claimed(engine, step, is_started);
	if (step->change.event == JOB_RETRY)
		code = check_retry(engine, step);
	if (code != SQLITE_OK || step->answer != STEP_OK)
		return code;
	code = sqlite_apply_event(engine, step->change.job, step->change.event,
	    store_change_reason(step->change.event), NULL, &is_allowed, &verdict);
	if ((code & 0xff) == SQLITE_CONSTRAINT) {
		step->answer = STEP_REFUSED;
		error_set(&step->error, STATUS_STATE,
		    "already_started: another live job has the name of job %" PRId64,
		    step->change.job);
		return SQLITE_OK;
	}
	if (code == SQLITE_OK && !is_allowed)
		return refuse_change(engine, step);
	if (code == SQLITE_OK && step->change.event == JOB_RETRY)
		code = sqlite_begin_pool(engine, step->change.job);
	if (code == SQLITE_OK) /* not the verdict: a dependency may have ended it again */
		code = sqlite_read_job(engine, step->change.job, &rules, &found);
	if (code == SQLITE_OK)
		step->change.ret_status = rules.status;
	return code;
}
