/*
 * sqlite_claim: the attempts that begin. A claim is the attempt's row and nothing else: its
 * job stays new or errored until the keeper has started the process.
 */

#include "base/xalloc.h"
#include "model/spec_json.h"
#include "store/sqlite_engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { READY, CLAIM, ENVIRONMENT, WITHDRAW, COUNT };

static const char *const sql[] = {
	[READY] = "SELECT id, name, command, cwd, environment, umask, stdin, timeout_ms, "
		  "grace_ms, max_output, leave_children, max_retries FROM jobs "
		  "WHERE supervisor = ?1 AND status IN ('new', 'errored') AND hold IS NULL "
		  "AND wake_at IS NULL AND NOT EXISTS (SELECT 1 FROM attempts "
		  "WHERE job_id = jobs.id AND ended_at IS NULL) "
		  "ORDER BY priority, id LIMIT ?2",
	[CLAIM] = "INSERT INTO attempts (job_id, attempt, generation, claimed_at) VALUES (?1, "
		  "(SELECT coalesce(max(attempt), 0) + 1 FROM attempts WHERE job_id = ?1), "
		  "?2, ?3) RETURNING attempt",
	[ENVIRONMENT] = "SELECT vars FROM environments WHERE id = ?1",
	[WITHDRAW] = "DELETE FROM attempts WHERE job_id = ?1 AND attempt = ?2 "
		     "AND generation = ?3 AND started_at IS NULL AND ended_at IS NULL",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_claim_prepare(struct sqlite_engine *engine, struct error *error)
{
	return statements_prepare(&engine->claim, &engine->db, sql, COUNT, error);
}

/* A row's description. -1 when it makes no sense, with a sentence in *ret_why. */
static int
read_spec(sqlite3_stmt *row, struct spec *spec, const char **ret_why)
{
	const char *text;

	spec_init(spec);
	if (strings_parse(&spec->command, column_text(row, 2)) == -1 ||
	    spec->command.count == 0 || spec->command.items[0][0] == '\0') {
		*ret_why = "command is not an array of strings that begins with a program";
		return -1;
	}
	if ((text = column_text(row, 1)) != NULL)
		spec->name = xstrdup(text);
	spec->cwd = xstrdup(column_text(row, 3));
	spec->umask = column_number(row, 5, SPEC_UNSET);
	if ((text = column_text(row, 6)) != NULL)
		spec->stdin_path = xstrdup(text);
	spec->timeout_ms = column_number(row, 7, SPEC_UNSET);
	spec->grace_ms = column_number(row, 8, SPEC_UNSET);
	spec->max_output = column_number(row, 9, SPEC_UNSET);
	spec->leaves_children = column_number(row, 10, 0) != 0;
	spec->retry.max_retries = column_number(row, 11, RETRY_FOR_EVER);
	return 0;
}

/* One environment is kept: most jobs of a time share it. */
static int
find_environment(struct sqlite_engine *engine, int64_t id, const struct strings **ret)
{
	sqlite3_stmt *statement = engine->claim.prepared[ENVIRONMENT];
	int code = SQLITE_OK;

	*ret = NULL;
	if (id == 0)
		return SQLITE_OK;
	if (id != engine->cached_environment_id) {
		strings_done(&engine->cached_environment);
		engine->cached_environment_id = 0;
		bind_number(statement, 1, id);
		code = sqlite3_step(statement);
		if (code == SQLITE_ROW &&
		    environment_parse(&engine->cached_environment,
			column_text(statement, 0)) == 0)
			engine->cached_environment_id = id;
		code = statement_end(statement, code);
	}
	*ret = &engine->cached_environment;
	return code;
}

static int
claim_attempt(struct sqlite_engine *engine, struct claimed_job *claimed)
{
	sqlite3_stmt *statement = engine->claim.prepared[CLAIM];
	int code;

	bind_number(statement, 1, claimed->key.job);
	bind_number(statement, 2, engine->generation);
	bind_number(statement, 3, engine->now.ms);
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		claimed->key.attempt = sqlite3_column_int64(statement, 0);
	claimed->key.generation = engine->generation;
	return statement_end(statement, code);
}

/* A row that somebody wrote and that cannot be run ends, in words. */
static int
refuse_row(struct sqlite_engine *engine, struct step *step, int64_t job, const char *why)
{
	struct reason reason = { .kind = REASON_SPAWN, .number = EINVAL };
	struct lifecycle_verdict verdict;
	bool is_allowed;

	step->claim.ret_refused++;
	return sqlite_apply_event(engine, job, JOB_REFUSED, reason, why, &is_allowed, &verdict);
}

struct candidate {
	struct claimed_job claimed;
	int64_t environment;
	const char *why; /* it makes no sense */
};

static int
read_candidates(struct sqlite_engine *engine, struct step *step,
    struct candidate *candidates, size_t *ret_count)
{
	sqlite3_stmt *row = engine->claim.prepared[READY];
	int code;

	bind_text(row, 1, step->claim.supervisor);
	bind_number(row, 2, step->claim.places);
	while ((code = sqlite3_step(row)) == SQLITE_ROW) {
		struct candidate *candidate = &candidates[(*ret_count)++];

		*candidate = (struct candidate){
			.claimed.key.job = sqlite3_column_int64(row, 0),
			.environment = column_number(row, 4, 0),
		};
		if (read_spec(row, &candidate->claimed.spec, &candidate->why) == -1)
			spec_done(&candidate->claimed.spec);
	}
	return statement_end(row, code);
}

/*
 * The environments of one turn must all stay; only one is cached, so a claim takes jobs
 * until the environment changes, and the loop comes back for the others.
 */
int
sqlite_step_claim(struct sqlite_engine *engine, struct step *step)
{
	size_t places = (size_t)step->claim.places, count = 0;
	struct candidate *candidates = xcalloc(places, sizeof(*candidates));
	int64_t environment = -1;
	bool is_other = false;
	int code = read_candidates(engine, step, candidates, &count);

	step->claim.ret_jobs = xcalloc(count, sizeof(step->claim.ret_jobs[0]));
	for (size_t i = 0; i < count; i++) {
		struct candidate *candidate = &candidates[i];
		struct claimed_job *claimed;

		if (candidate->why != NULL && code == SQLITE_OK) {
			code = refuse_row(
			    engine, step, candidate->claimed.key.job, candidate->why);
			continue;
		}
		is_other = is_other || (environment != -1 && candidate->environment != 0 &&
					   environment != candidate->environment);
		if (code != SQLITE_OK || is_other) {
			spec_done(&candidate->claimed.spec);
			continue;
		}
		if (candidate->environment != 0)
			environment = candidate->environment;
		claimed = &step->claim.ret_jobs[step->claim.ret_count++];
		*claimed = candidate->claimed;
		code = find_environment(engine, candidate->environment, &claimed->environment);
		if (code == SQLITE_OK)
			code = claim_attempt(engine, claimed);
	}
	free(candidates);
	return code;
}

int
sqlite_step_withdraw(struct sqlite_engine *engine, struct step *step)
{
	sqlite3_stmt *statement = engine->claim.prepared[WITHDRAW];
	int code;

	bind_number(statement, 1, step->withdraw.key.job);
	bind_number(statement, 2, step->withdraw.key.attempt);
	bind_number(statement, 3, step->withdraw.key.generation);
	code = statement_run(statement);
	if (code == SQLITE_OK && sqlite3_changes(engine->db.handle) == 0)
		step->answer = STEP_STALE;
	return code;
}
