/*
 * sqlite_submit: new jobs. A step's jobs are all recorded or none; whether they may be is
 * asked in sqlite_submit_check.c, and a refusal is no failure of the turn.
 */

#include "base/xalloc.h"
#include "model/spec_json.h"
#include "store/sqlite_submit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SAVE, RELEASE, UNDO, INSERT, FIND_TOKEN, COUNT
};

static const char *const sql[] = {
	[SAVE] = "SAVEPOINT submit",
	[RELEASE] = "RELEASE submit",
	[UNDO] = "ROLLBACK TO submit",
	[INSERT] = "INSERT INTO jobs (name, type, supervisor, priority, command, cwd, "
		   "environment, umask, stdin, max_retries, backoff, jitter, timeout_ms, "
		   "grace_ms, max_output, leave_children, hold, wake_at, wake_boot_ms, "
		   "wake_boot_id, created_at, kind, log_rotate) VALUES (?1, ?2, ?3, ?4, ?5, "
		   "?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, "
		   "?21, ?22, ?23)",
	[FIND_TOKEN] = "SELECT job_id FROM events WHERE seq > (SELECT max(seq) FROM events) - "
		       "1000000 AND event = 'submitted' AND detail = ?1",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_submit_prepare(struct sqlite_engine *engine, struct error *error)
{
	return statements_prepare(&engine->submit, &engine->db, sql, COUNT, error);
}

static int
refuse_bytes(struct step *step, size_t which)
{
	return submission_refuse(
	    step, which, STATUS_USAGE, "an argument or a variable is not UTF-8");
}

/* 0 for a job without any environment given: the supervisor's basics. */
static int
find_environment(struct sqlite_engine *engine, struct submission *submission, size_t which,
    int64_t *ret_id)
{
	const struct strings *shared = &submission->step->submit.environment;
	const struct strings *own = &submission->step->submit.specs[which].environment;
	bool is_text = true;
	int code;

	*ret_id = submission->environment;
	if (own->count == 0 && (submission->environment != 0 || shared->count == 0))
		return SQLITE_OK;
	code = sqlite_keep_environment(engine, shared, own, ret_id, &is_text);
	if (code == SQLITE_OK && !is_text)
		return refuse_bytes(submission->step, which);
	if (own->count == 0)
		submission->environment = *ret_id;
	return code;
}

static void
bind_times(struct sqlite_engine *engine, sqlite3_stmt *statement, const struct spec *spec)
{
	bool is_delayed = spec->start_in_ms != SPEC_UNSET;

	if (is_delayed)
		bind_number(statement, 18, engine->now.ms + spec->start_in_ms);
	else
		bind_unless(statement, 18, spec->start_at.ms, SPEC_UNSET);
	bind_unless(statement, 19,
	    is_delayed ? engine->boot_now.ms + spec->start_in_ms : SPEC_UNSET, SPEC_UNSET);
	bind_text(statement, 20, is_delayed ? engine->boot_id : NULL);
	bind_number(statement, 21, engine->now.ms);
}

/* It is described, to be started when somebody asks for it. */
static int
put_down(struct sqlite_engine *engine, int64_t job)
{
	const struct reason shutdown = { .kind = REASON_SHUTDOWN };
	struct lifecycle_verdict verdict;
	bool is_allowed;

	return sqlite_apply_event(
	    engine, job, JOB_SHUT_DOWN, shutdown, NULL, &is_allowed, &verdict);
}

static int
insert(struct sqlite_engine *engine, const struct spec *spec, const char *command,
    int64_t environment, int64_t pool, int64_t *ret_id)
{
	sqlite3_stmt *statement = engine->submit.prepared[INSERT];
	bool is_pool = spec->pool_size != SPEC_UNSET;
	const struct retry_policy *retry = &spec->retry;
	char backoff[96], rotation[64];
	int code;

	bind_text(statement, 1, spec->name);
	bind_text(statement, 2, spec->type);
	bind_text(statement, 3, spec_supervisor(spec));
	bind_number(statement, 4,
	    spec->priority != SPEC_UNSET ? spec->priority : SPEC_DEFAULT_PRIORITY);
	bind_text(statement, 5, command);
	bind_text(statement, 6, spec->cwd != NULL ? spec->cwd : "/");
	bind_unless(statement, 7, environment, 0);
	bind_unless(statement, 8, spec->umask, SPEC_UNSET);
	bind_text(statement, 9, spec->stdin_path);
	bind_unless(statement, 10,
	    spec->is_server && !is_pool ? RETRY_FOR_EVER : retry->max_retries,
	    RETRY_FOR_EVER);
	bind_text(statement, 11, spec->has_backoff
		? retry_format_backoff(backoff, sizeof(backoff), retry)
		: NULL);
	bind_unless(statement, 12, retry->jitter_percent, 0);
	bind_unless(statement, 13, spec->timeout_ms, SPEC_UNSET);
	bind_unless(statement, 14, spec->grace_ms, SPEC_UNSET);
	bind_unless(statement, 15, spec->max_output, SPEC_UNSET);
	bind_unless(statement, 16, spec->leaves_children, 0);
	bind_text(statement, 17, spec->is_held	    ? "user"
		: spec->dependency_count > 0 ? "dependency"
					     : NULL);
	bind_times(engine, statement, spec);
	bind_text(statement, 22, spec->is_server ? "server" : spec->is_message ? "message" : NULL);
	bind_text(statement, 23, spec->log_rotate.bytes > 0
		? rotation_format(rotation, sizeof(rotation), &spec->log_rotate)
		: NULL);
	code = statement_run(statement);
	*ret_id = sqlite3_last_insert_rowid(engine->db.handle);
	if (code == SQLITE_OK && spec->is_server)
		code = sqlite_insert_server(
		    engine, *ret_id, is_pool && pool == 0 ? *ret_id : pool, spec);
	if (code == SQLITE_OK && spec->dependency_count > 0)
		code = sqlite_insert_dependencies(engine, spec, *ret_id);
	if (code == SQLITE_OK && spec_has_labels(spec))
		code = sqlite_insert_labels(engine, *ret_id, spec);
	if (code == SQLITE_OK && pool == 0) /* a pool is one member, its first server */
		code = sqlite_insert_groups(engine, *ret_id, spec);
	if (code == SQLITE_OK && spec->description != NULL && spec->is_only_on_demand)
		code = put_down(engine, *ret_id);
	return code;
}

/* Somebody has stopped the one that it replaces: it counts as stopped, too. */
static int
stay_down(struct sqlite_engine *engine, int64_t job)
{
	int code = put_down(engine, job);

	return code == SQLITE_OK ? sqlite_ask_stop(engine, job, true) : code;
}

/* The others of a pool: NAME.2 and so on. */
static int
insert_pool(struct sqlite_engine *engine, struct step *step, size_t which,
    const char *command, int64_t environment)
{
	struct spec *spec = &step->submit.specs[which];
	int64_t first = step->submit.ret_ids[which], id, holder;
	enum job_status status = JOB_NEW;
	char *name = spec->name;
	bool is_free;
	int code = sqlite_register_pool(engine, first, spec, &is_free);

	if (code == SQLITE_OK && !is_free)
		return submission_refuse(step, which, STATUS_STATE,
		    "already_started: there is a supervisor %s", name);
	for (int64_t i = 2;
	     i <= spec->pool_size && code == SQLITE_OK && step->answer == STEP_OK; i++) {
		spec->name = xasprintf("%s.%" PRId64, name, i);
		code = submission_find_holder(engine, spec->name, &holder, &status);
		if (code == SQLITE_OK && holder != 0)
			code = submission_refuse_name(step, which, holder, status);
		else if (code == SQLITE_OK)
			code = insert(engine, spec, command, environment, first, &id);
		free(spec->name);
	}
	spec->name = name;
	return code;
}

static int
insert_job(struct sqlite_engine *engine, struct step *step, size_t which, int64_t environment)
{
	const struct spec *spec = &step->submit.specs[which];
	json_t *array = strings_to_json(&spec->command);
	char *command = json_dumps(array, JSON_COMPACT);
	int code;

	code = command != NULL
	    ? insert(engine, spec, command, environment, 0, &step->submit.ret_ids[which])
	    : refuse_bytes(step, which);
	if (code == SQLITE_OK && command != NULL && spec->pool_size != SPEC_UNSET)
		code = insert_pool(engine, step, which, command, environment);
	if (code == SQLITE_OK && step->submit.stays_down && step->submit.ret_ids[which] != 0)
		code = stay_down(engine, step->submit.ret_ids[which]);
	free(command);
	json_decref(array);
	return code;
}

static int
submit_one(struct sqlite_engine *engine, struct submission *submission, size_t which)
{
	struct step *step = submission->step;
	const struct spec *spec = &step->submit.specs[which];
	enum job_status status = JOB_NEW;
	int64_t holder = 0, environment;
	bool found = true;
	int code = SQLITE_OK;

	if (spec->is_message)
		code = sqlite_describe_message(engine, &step->submit.specs[which], &found);
	if (code == SQLITE_OK && !found)
		return submission_refuse(step, which, STATUS_NOT_FOUND, "noproc");
	if (code == SQLITE_OK && spec->name != NULL)
		code = submission_find_holder(engine, spec->name, &holder, &status);
	if (code == SQLITE_OK && holder == 0 && spec->name != NULL &&
	    step->submit.has_new_names)
		code = submission_find_namesake(engine, spec, &holder, &status);
	if (code != SQLITE_OK)
		return code;
	if (holder != 0 && spec->is_once) {
		step->submit.ret_ids[which] = holder;
		step->submit.ret_existed[which] = true;
		return SQLITE_OK;
	}
	if (holder != 0)
		return submission_refuse_name(step, which, holder, status);
	code = submission_check(engine, submission, which);
	if (code == SQLITE_OK && step->answer == STEP_OK)
		code = find_environment(engine, submission, which, &environment);
	if (code == SQLITE_OK && step->answer == STEP_OK)
		code = insert_job(engine, step, which, environment);
	if ((code & 0xff) == SQLITE_CONSTRAINT)
		return submission_refuse(step, which, STATUS_USAGE, "the database refuses it: %s",
		    sqlite3_errmsg(engine->db.handle));
	return code;
}

/* One command that waits for no other is one row, there or not: it needs no savepoint. */
static bool
has_parts(const struct step *step)
{
	return step->submit.count > 1 ||
	    (step->submit.count == 1 &&
		(step->submit.specs[0].dependency_count > 0 ||
		    spec_has_labels(&step->submit.specs[0]) ||
		    step->submit.specs[0].is_server));
}

/* Take the whole step back, with what followed from its jobs. */
static int
undo(struct sqlite_engine *engine, struct step *step, size_t ended_before,
    int64_t released_before)
{
	for (size_t i = 0; i < step->submit.count; i++) {
		step->submit.ret_ids[i] = 0;
		step->submit.ret_existed[i] = false;
	}
	engine->batch->ended_count = ended_before;
	engine->batch->released = released_before;
	sqlite_distrust_environments(engine); /* one may have been new */
	return has_parts(step) ? statement_run(engine->submit.prepared[UNDO]) : SQLITE_OK;
}

/* Was it recorded before? Jobs of one transaction have one id after the other. */
static int
find_token(struct sqlite_engine *engine, struct step *step, bool *ret_found)
{
	sqlite3_stmt *statement = engine->submit.prepared[FIND_TOKEN];
	int code;

	bind_text(statement, 1, step->submit.token);
	code = sqlite3_step(statement);
	*ret_found = code == SQLITE_ROW;
	for (size_t i = 0; i < step->submit.count && *ret_found; i++)
		step->submit.ret_ids[i] = sqlite3_column_int64(statement, 0) + (int64_t)i;
	return statement_end(statement, code);
}

static int
submit_all(struct sqlite_engine *engine, struct step *step)
{
	struct submission submission = { .step = step, .most = -1 };
	size_t ended_before = engine->batch->ended_count;
	int64_t released_before = engine->batch->released;
	int code = has_parts(step) ? statement_run(engine->submit.prepared[SAVE]) : SQLITE_OK;

	for (size_t i = 0;
	     i < step->submit.count && code == SQLITE_OK && step->answer == STEP_OK; i++)
		code = submit_one(engine, &submission, i);
	if (code == SQLITE_OK && step->answer != STEP_OK)
		code = undo(engine, step, ended_before, released_before);
	else if (code == SQLITE_OK && step->submit.token != NULL && step->submit.count > 0)
		code = sqlite_write_event(engine, step->submit.ret_ids[0], 0, "submitted",
		    step->submit.token);
	if (code == SQLITE_OK && has_parts(step))
		code = statement_run(engine->submit.prepared[RELEASE]);
	return code;
}

/* Its server is told: by a message, and of a task's end. */
static int
tell_server(struct sqlite_engine *engine, struct step *step)
{
	const struct attempt_key owner = { step->submit.by_server.owner,
		step->submit.by_server.owner_attempt, 0 };
	json_t *message;
	char *text;
	int64_t seq;
	int code = SQLITE_OK;

	if (step->answer == STEP_OK && step->submit.by_server.is_task)
		code = sqlite_add_monitor(
		    engine, &owner, step->submit.ret_ids[0], true, &seq);
	if (code != SQLITE_OK || step->submit.by_server.ref == 0)
		return code;
	message = json_pack("{s:I}", "ref", (json_int_t)step->submit.by_server.ref);
	if (step->answer == STEP_OK)
		json_object_set_new(
		    message, "job", json_integer(step->submit.ret_ids[0]));
	else
		json_object_set_new(message, "error", json_string(step->error.text));
	text = json_dumps(message, JSON_COMPACT);
	code = sqlite_add_message(engine, owner.job, true, text, &seq);
	engine->batch->told = true;
	free(text);
	json_decref(message);
	return code;
}

int
sqlite_step_submit(struct sqlite_engine *engine, struct step *step)
{
	bool is_in = false;
	int code = SQLITE_OK;

	step->submit.ret_ids = xcalloc(step->submit.count, sizeof(int64_t));
	step->submit.ret_existed = xcalloc(step->submit.count, sizeof(bool));
	if (step->submit.token != NULL && step->submit.is_repeated)
		code = find_token(engine, step, &is_in);
	if (code == SQLITE_OK && !is_in)
		code = submit_all(engine, step);
	if (code == SQLITE_OK && step->submit.by_server.owner != 0)
		code = tell_server(engine, step);
	return code;
}
