/*
 * sqlite_pool: pools, several servers with one mailbox. The first is what the pool is called
 * and described by; the others are NAME.2 and so on, and end and begin with it. A message is
 * a job of the supervisor that has the pool's name.
 */

#include "base/text.h"
#include "base/xalloc.h"
#include "store/sqlite_engine.h"

#include <stdlib.h>

enum { ANY, BY_NAME, BY_ID, REGISTER, REGISTER_AGAIN, OTHERS, OPEN, BLOCKED, COUNT };

#define POOL_COLUMNS                                                                     \
	"SELECT j.name, j.max_retries, j.backoff, j.jitter, j.timeout_ms, j.priority "   \
	"FROM jobs j JOIN servers s ON s.job_id = j.id WHERE s.pool = j.id "             \
	"AND " JOB_IS_LIVE("j.") " "

static const char *const sql[] = {
	[ANY] = "SELECT EXISTS (SELECT 1 FROM servers WHERE pool IS NOT NULL)",
	[BY_NAME] = POOL_COLUMNS "AND j.name = ?1",
	[BY_ID] = POOL_COLUMNS "AND j.id = ?1",
	[REGISTER] = "INSERT INTO supervisors (name, max_children, pool) VALUES (?1, ?2, ?3) "
		     "ON CONFLICT (name) DO UPDATE SET max_children = ?2, pool = ?3 "
		     "WHERE pool IS NOT NULL",
	[REGISTER_AGAIN] = "UPDATE supervisors SET pool = ?1, max_children = "
			   "(SELECT pool_size FROM servers WHERE job_id = ?1) WHERE name = "
			   "(SELECT name FROM jobs WHERE id = ?1) AND pool IS NOT NULL "
			   "AND EXISTS (SELECT 1 FROM servers WHERE job_id = ?1 "
			   "AND pool = ?1)",
	[OTHERS] = "SELECT job_id FROM servers WHERE pool = ?1 AND job_id <> ?1 "
		   "ORDER BY job_id",
	[OPEN] = "SELECT generation, attempt, stop_reason IS NOT NULL FROM attempts "
		 "WHERE job_id = ?1 AND ended_at IS NULL",
	/* One of the others is not gone yet, or its name is. */
	[BLOCKED] = "SELECT 1 FROM servers s JOIN jobs j ON j.id = s.job_id "
		    "WHERE s.pool = ?1 AND s.job_id <> ?1 AND (EXISTS (SELECT 1 "
		    "FROM attempts a WHERE a.job_id = j.id AND a.ended_at IS NULL) "
		    "OR EXISTS (SELECT 1 FROM jobs o WHERE o.name = j.name AND o.id <> j.id "
		    "AND o.name IS NOT NULL AND " JOB_IS_LIVE("o.") "))",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_pool_prepare(struct sqlite_engine *engine, struct error *error)
{
	sqlite3_stmt *row;

	if (statements_prepare(&engine->pool, &engine->db, sql, COUNT, error) == -1)
		return -1;
	/* Most instances have none: then no end of a job looks for them. */
	row = engine->pool.prepared[ANY];
	engine->has_pools = sqlite3_step(row) != SQLITE_ROW || sqlite3_column_int(row, 0);
	statement_end(row, SQLITE_OK);
	return 0;
}

static void
describe(struct spec *spec, sqlite3_stmt *row)
{
	const char *backoff = column_text(row, 2);

	free(spec->supervisor);
	spec->supervisor = xstrdup(column_text(row, 0));
	free(spec->command.items[0]);
	spec->command.items[0] = xstrdup(column_text(row, 0));
	spec->retry.max_retries = column_number(row, 1, RETRY_FOR_EVER);
	spec->has_backoff = backoff != NULL;
	if (backoff != NULL)
		retry_parse_backoff(backoff, &spec->retry);
	spec->retry.jitter_percent = (int)column_number(row, 3, 0);
	spec->timeout_ms = column_number(row, 4, SPEC_UNSET);
	spec->priority = column_number(row, 5, SPEC_DEFAULT_PRIORITY);
}

int
sqlite_describe_message(struct sqlite_engine *engine, struct spec *spec, bool *ret_found)
{
	const char *to = spec->command.items[0];
	int64_t id;
	bool is_id = text_number(to, 1, SPEC_LARGEST_ID, &id) == 0;
	sqlite3_stmt *row = engine->pool.prepared[is_id ? BY_ID : BY_NAME];
	int code;

	if (is_id)
		bind_number(row, 1, id);
	else
		bind_text(row, 1, to);
	code = sqlite3_step(row);
	*ret_found = code == SQLITE_ROW;
	if (*ret_found)
		describe(spec, row);
	return statement_end(row, code);
}

int
sqlite_register_pool(struct sqlite_engine *engine, int64_t first, const struct spec *spec,
    bool *ret_is_free)
{
	sqlite3_stmt *statement = engine->pool.prepared[REGISTER];
	int code;

	engine->has_pools = true;
	bind_text(statement, 1, spec->name);
	bind_number(statement, 2, spec->pool_size);
	bind_number(statement, 3, first);
	code = statement_run(statement);
	*ret_is_free = sqlite3_changes(engine->db.handle) > 0;
	return code;
}

static int
read_others(struct sqlite_engine *engine, int64_t first, int64_t **ret_jobs, size_t *ret_count)
{
	sqlite3_stmt *row = engine->pool.prepared[OTHERS];
	int code;

	bind_number(row, 1, first);
	while ((code = sqlite3_step(row)) == SQLITE_ROW) {
		*ret_jobs = xreallocarray(*ret_jobs, *ret_count + 1, sizeof(**ret_jobs));
		(*ret_jobs)[(*ret_count)++] = sqlite3_column_int64(row, 0);
	}
	return statement_end(row, code);
}

/*
 * It is cancelled, or its process is to be ended, which a supervisor process after us would
 * find written, too; unless that was asked to stop already, and does.
 */
static int
end_other(struct sqlite_engine *engine, int64_t job)
{
	const struct reason cancelled = { .kind = REASON_CANCELLED };
	sqlite3_stmt *row = engine->pool.prepared[OPEN];
	struct attempt_key key = { .job = job };
	struct lifecycle_verdict verdict;
	bool has_process, is_stopping, is_allowed;
	int code;

	bind_number(row, 1, job);
	code = sqlite3_step(row);
	has_process = code == SQLITE_ROW;
	is_stopping = has_process && sqlite3_column_int(row, 2) != 0;
	if (has_process) {
		key.generation = sqlite3_column_int64(row, 0);
		key.attempt = sqlite3_column_int64(row, 1);
	}
	code = statement_end(row, code);
	if (code != SQLITE_OK || is_stopping)
		return code;
	if (!has_process)
		return sqlite_apply_event(
		    engine, job, JOB_CANCEL, cancelled, NULL, &is_allowed, &verdict);
	batch_add_abandoned(engine->batch, job);
	return sqlite_stop_attempt(engine, &key, cancelled);
}

int
sqlite_end_pool(struct sqlite_engine *engine, int64_t first)
{
	int64_t *jobs = NULL;
	size_t count = 0;
	int code;

	if (!engine->has_pools)
		return SQLITE_OK;
	code = read_others(engine, first, &jobs, &count);
	for (size_t i = 0; i < count && code == SQLITE_OK; i++)
		code = end_other(engine, jobs[i]);
	free(jobs);
	return code;
}

int
sqlite_pool_is_blocked(struct sqlite_engine *engine, int64_t first, bool *ret_is_blocked)
{
	sqlite3_stmt *row = engine->pool.prepared[BLOCKED];

	*ret_is_blocked = false;
	if (!engine->has_pools)
		return SQLITE_OK;
	bind_number(row, 1, first);
	return statement_exists(row, ret_is_blocked);
}

int
sqlite_begin_pool(struct sqlite_engine *engine, int64_t first)
{
	sqlite3_stmt *statement = engine->pool.prepared[REGISTER_AGAIN];
	const struct reason none = { 0 };
	struct lifecycle_verdict verdict;
	bool is_allowed;
	int64_t *jobs = NULL;
	size_t count = 0;
	int code;

	if (!engine->has_pools)
		return SQLITE_OK;
	code = read_others(engine, first, &jobs, &count);
	if (code == SQLITE_OK) {
		bind_number(statement, 1, first);
		code = statement_run(statement);
	}
	for (size_t i = 0; i < count && code == SQLITE_OK; i++)
		code = sqlite_apply_event(
		    engine, jobs[i], JOB_RETRY, none, NULL, &is_allowed, &verdict);
	free(jobs);
	return code;
}
