/*
 * query: the database as the command line reads it, whether somebody writes it or nobody
 * does. Which jobs there are is query_jobs.c.
 */

#include "store/query.h"
#include "base/xalloc.h"
#include "model/spec.h"
#include "store/query_jobs.h"

#include <inttypes.h>
#include <stdlib.h>

#define BUSY_MS 5000
#define MOST_OF_A_NAME "1000" /* the newest of them that are looked at */

enum {
	EXISTS, BY_NAME, LATEST_RUN, LAST_ATTEMPT, NEWEST_AT, ATTEMPTS, EVENTS,
	JOB_EVENTS, NTH_EVENT, NTH_JOB_EVENT, SUBMISSIONS, JOB_SUBMISSION, NTH_JOB,
	SUPERVISORS, HAS_SUPERVISOR, ENVIRONMENT, IS_DURABLE, HOLDER, IN_GROUP, TREE, COUNTS,
	MAILBOX, SET_ASIDE, COUNT
};

#define MESSAGE_COLUMNS                                                                      \
	"SELECT seq, job_id, kind, message, created_at, deliveries, dead_at, dead_reason "    \
	"FROM messages "
#define EVENT_COLUMNS "SELECT seq, at, job_id, attempt, event, detail "
/* The token of a request is nothing that happened to its first job. */
#define HAPPENED "AND event <> 'submitted' "

static const char *const sql[] = {
	[EXISTS] = "SELECT id FROM jobs WHERE id = ?1",
	[BY_NAME] = "SELECT id FROM (SELECT id, status, ended_at FROM jobs "
		    "WHERE name = ?1 AND name IS NOT NULL ORDER BY id DESC "
		    "LIMIT " MOST_OF_A_NAME ") ORDER BY " JOB_IS_LIVE("") " DESC, "
		    "ended_at DESC, id DESC LIMIT 1",
	[LATEST_RUN] = "SELECT max(job_id) FROM attempts",
	[LAST_ATTEMPT] = "SELECT max(attempt) FROM attempts WHERE job_id = ?1",
	[NEWEST_AT] = "SELECT id FROM jobs WHERE created_at <= (SELECT at FROM events "
		      "WHERE seq <= ?1 ORDER BY seq DESC LIMIT 1) "
		      "ORDER BY id DESC LIMIT 1",
	[ATTEMPTS] = "SELECT attempt, job_id, generation, claimed_at, started_at, "
		     "ended_at, run_ms, pid, stop_reason, stop_at, reason, exit_code, "
		     "signal, core, user_ms, system_ms, max_rss_kib, output_bytes, "
		     "output_left_out, last_lines, children_killed, (SELECT timeout_ms "
		     "FROM jobs WHERE id = job_id) AS timeout_ms, (SELECT watchdog_ms "
		     "FROM servers s WHERE s.job_id = attempts.job_id) AS watchdog_ms "
		     "FROM attempts "
		     "WHERE job_id = ?1 AND attempt > ?2 ORDER BY attempt LIMIT ?3",
	[EVENTS] = EVENT_COLUMNS "FROM events WHERE ?1 = 0 AND seq > ?2 " HAPPENED
				 "ORDER BY seq LIMIT ?3",
	[JOB_EVENTS] = EVENT_COLUMNS "FROM job_events WHERE job_id = ?1 AND seq > ?2 " HAPPENED
				     "ORDER BY seq LIMIT ?3",
	[NTH_EVENT] = "SELECT seq FROM events WHERE ?1 = 0 AND seq > ?2 " HAPPENED
		      "ORDER BY seq DESC LIMIT 1 OFFSET ?3",
	[NTH_JOB_EVENT] = "SELECT seq FROM job_events WHERE job_id = ?1 AND seq > ?2 " HAPPENED
			  "ORDER BY seq DESC LIMIT 1 OFFSET ?3",
	[SUBMISSIONS] = "SELECT id AS job_id, created_at AS at FROM jobs WHERE ?1 = 0 "
			"AND id > ?2 ORDER BY id LIMIT ?3",
	[JOB_SUBMISSION] = "SELECT id AS job_id, created_at AS at FROM jobs "
			   "WHERE id = ?1 AND id > ?2 LIMIT ?3",
	[NTH_JOB] = "SELECT id FROM jobs WHERE ?1 = 0 AND id > ?2 ORDER BY id DESC "
		    "LIMIT 1 OFFSET ?3",
	[SUPERVISORS] = "SELECT s.name, s.max_children, s.overflow, s.rate, s.rate_ms, "
			"s.paused, s.pool, s.parent, s.position, s.strategy, "
			"s.max_restarts, s.max_seconds, s.budget, s.auto_shutdown, "
			"s.restart, s.significant, s.state, s.reason, s.has_run, s.applied, "
			"(SELECT count(*) FROM restarts r WHERE r.supervisor = "
			"coalesce(s.parent, '') AND r.child = s.name) AS restarts, "
			"count(j.id) AS children, "
			"count(j.id) FILTER (WHERE j.status = 'running') AS running, "
			"count(j.id) FILTER (WHERE j.status = 'new') AS new, "
			"count(j.id) FILTER (WHERE j.status = 'errored') AS errored, "
			"count(j.id) FILTER (WHERE " JOB_WAITS("j.") " "
			"AND j.hold IS NULL AND j.wake_at IS NULL) AS ready, "
			"count(j.id) FILTER (WHERE j.hold IS NOT NULL) AS held "
			"FROM supervisors s LEFT JOIN (SELECT id, status, hold, wake_at, "
			"supervisor FROM jobs INDEXED BY jobs_live "
			"WHERE " JOB_IS_LIVE("") ") j "
			"ON j.supervisor = s.name GROUP BY s.name",
	[HAS_SUPERVISOR] = "SELECT 1 FROM supervisors WHERE name = ?1",
	[HOLDER] = "SELECT id FROM jobs WHERE name = ?1 AND name IS NOT NULL "
		   "AND " JOB_IS_LIVE(""),
	[IN_GROUP] = "SELECT j.id, j.name FROM groups g JOIN jobs j ON j.id = g.job_id "
		     "WHERE g.name = ?1 AND g.is_left = 0 AND " JOB_IS_LIVE("j.") " "
		     "ORDER BY j.id",
	/* What runs or is about to, and the children in order, whatever they are. */
	[TREE] = "SELECT j.supervisor, j.id, j.name, j.status, j.command, j.kind, a.attempt, "
		 "a.pid, a.started_at, v.position, v.description, "
		 "CASE WHEN v.job_id IS NOT NULL AND a.job_id IS NOT NULL "
		 "THEN max(0, a.attempt - v.first_attempt) END AS restarts, "
		 "(SELECT json_group_array(name) FROM groups WHERE job_id = j.id "
		 "AND is_left = 0 HAVING count(*) > 0) AS groups FROM "
		 "(SELECT id, name, status, command, kind, supervisor FROM jobs "
		 "INDEXED BY jobs_live WHERE " JOB_IS_LIVE("") " AND (status <> 'new' "
		 "OR EXISTS (SELECT 1 FROM attempts o WHERE o.job_id = jobs.id "
		 "AND o.ended_at IS NULL) OR EXISTS (SELECT 1 FROM servers s "
		 "WHERE s.job_id = jobs.id AND s.position IS NOT NULL)) UNION ALL "
		 "SELECT e.id, e.name, e.status, e.command, e.kind, e.supervisor "
		 "FROM servers s INDEXED BY servers_static CROSS JOIN jobs e ON e.id = s.job_id "
		 "WHERE s.position IS NOT NULL AND NOT (" JOB_IS_LIVE("e.") ")) j "
		 "LEFT JOIN attempts a ON a.job_id = j.id AND a.ended_at IS NULL "
		 "LEFT JOIN servers v ON v.job_id = j.id "
		 "ORDER BY j.supervisor, v.position IS NULL, v.position, j.id",
	/* A child supervisor, and a child in order, is one also when it does not run. */
	[COUNTS] = "SELECT s.name, s.parent, s.state, s.position, "
		   "coalesce(l.jobs, 0) + coalesce(e.entries, 0) + coalesce(c.nodes, 0) "
		   "AS specs, coalesce(l.active, 0) + coalesce(c.active, 0) AS active, "
		   "coalesce(c.nodes, 0) AS supervisors, "
		   "coalesce(l.jobs, 0) + coalesce(e.entries, 0) AS workers "
		   "FROM supervisors s LEFT JOIN (SELECT j.supervisor, count(*) AS jobs, "
		   "count(a.job_id) AS active FROM jobs j INDEXED BY jobs_live "
		   "LEFT JOIN attempts a ON a.job_id = j.id AND a.ended_at IS NULL "
		   "WHERE " JOB_IS_LIVE("j.") " GROUP BY j.supervisor) l "
		   "ON l.supervisor = s.name LEFT JOIN (SELECT j.supervisor, count(*) AS entries "
		   "FROM servers v INDEXED BY servers_static CROSS JOIN jobs j "
		   "ON j.id = v.job_id WHERE v.position IS NOT NULL "
		   "AND NOT (" JOB_IS_LIVE("j.") ") GROUP BY j.supervisor) e "
		   "ON e.supervisor = s.name LEFT JOIN (SELECT parent, count(*) AS nodes, "
		   "count(*) FILTER (WHERE state <> 'ended' AND state <> 'waiting') AS active "
		   "FROM supervisors WHERE parent IS NOT NULL AND position IS NOT NULL "
		   "GROUP BY parent) c ON c.parent = s.name ORDER BY s.name",
	[IS_DURABLE] = "SELECT iif(pool IS NULL, durable, 2) FROM servers WHERE job_id = ?1",
	[MAILBOX] = MESSAGE_COLUMNS "WHERE job_id = ?1 AND seq > ?2 AND dead_at IS NULL "
				    "AND wake_boot_ms IS NULL ORDER BY seq LIMIT ?3",
	[SET_ASIDE] = MESSAGE_COLUMNS "WHERE job_id = ?1 AND seq > ?2 "
				      "AND dead_at IS NOT NULL ORDER BY seq LIMIT ?3",
	[ENVIRONMENT] = "SELECT v.key AS name, v.value FROM jobs j JOIN environments e "
			"ON e.id = j.environment, json_each(e.vars) v WHERE j.id = ?1",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

/* `opened` is what opening its database came to. */
static struct query *
prepare(struct query *query, int opened, struct error *error)
{
	if (opened == -1) {
		free(query);
		return NULL;
	}
	if (query_jobs_prepare(query, error) == -1 ||
	    statements_prepare(&query->other, &query->db, sql, COUNT, error) == -1) {
		query_close(query);
		return NULL;
	}
	return query;
}

struct query *
query_open(const char *state_directory, struct error *error)
{
	struct query *query = xcalloc(1, sizeof(*query));

	return prepare(query, db_open(&query->db, state_directory, DB_READ, BUSY_MS, error),
	    error);
}

struct query *
query_open_empty(struct error *error)
{
	struct query *query = xcalloc(1, sizeof(*query));

	return prepare(query, db_open_empty(&query->db, error), error);
}

void
query_close(struct query *query)
{
	if (query == NULL)
		return;
	statements_done(&query->jobs);
	statements_done(&query->other);
	statements_done(&query->map);
	statements_done(&query->children);
	db_close(&query->db);
	free(query);
}

/* Run a bound statement of one row. *ret_number stays as it is where there is none. */
static int
read_number(struct query *query, sqlite3_stmt *row, int64_t *ret_number,
    struct error *error)
{
	int code = sqlite3_step(row);

	if (code == SQLITE_ROW)
		*ret_number = column_number(row, 0, *ret_number);
	code = statement_end(row, code);
	return code == SQLITE_OK ? 0 : db_error(&query->db, code, error);
}

int
query_find_job(struct query *query, const char *word, int64_t *ret_job,
    struct error *error)
{
	sqlite3_stmt *row;
	char quoted[256];
	int64_t id, found = 0;

	if (text_number(word, 1, SPEC_LARGEST_ID, &id) == 0) {
		row = query->other.prepared[EXISTS];
		bind_number(row, 1, id);
	} else {
		row = query->other.prepared[BY_NAME];
		bind_text(row, 1, word);
	}
	if (read_number(query, row, &found, error) == -1)
		return -1;
	if (found == 0)
		return error_set(error, STATUS_NOT_FOUND, "there is no job %s",
		    text_quote(quoted, sizeof(quoted), word));
	*ret_job = found;
	return 0;
}

int64_t
query_holder(struct query *query, const char *name, struct error *error)
{
	sqlite3_stmt *row = query->other.prepared[HOLDER];
	int64_t job = 0;

	bind_text(row, 1, name);
	return read_number(query, row, &job, error) == -1 ? -1 : job;
}

int
query_must_be_supervisor(struct query *query, const char *name, struct error *error)
{
	sqlite3_stmt *row = query->other.prepared[HAS_SUPERVISOR];
	int64_t found = 0;

	bind_text(row, 1, name);
	if (read_number(query, row, &found, error) == -1)
		return -1;
	return found != 0
	    ? 0
	    : error_set(error, STATUS_NOT_FOUND, "there is no supervisor %s", name);
}

int
query_must_be_durable(struct query *query, int64_t job, struct error *error)
{
	sqlite3_stmt *row = query->other.prepared[IS_DURABLE];
	int64_t durable = -1;

	bind_number(row, 1, job);
	if (read_number(query, row, &durable, error) == -1)
		return -1;
	if (durable == 1)
		return 0;
	if (durable == 2)
		return error_set(error, STATUS_STATE,
		    "job %" PRId64 " is of a pool, whose messages are jobs: "
		    "jobberd list --kind message", job);
	return error_set(error, STATUS_STATE,
	    durable == 0 ? "job %" PRId64 " is not durable: its messages are in memory only"
			 : "job %" PRId64 " is a command, not a server",
	    job);
}

int
query_latest_run(struct query *query, int64_t *ret_job, struct error *error)
{
	int64_t found = 0;

	if (read_number(query, query->other.prepared[LATEST_RUN], &found, error) == -1)
		return -1;
	if (found == 0)
		return error_set(error, STATUS_NOT_FOUND, "no job has been run yet");
	*ret_job = found;
	return 0;
}

int
query_last_attempt(struct query *query, int64_t job, int64_t *ret_attempt,
    struct error *error)
{
	sqlite3_stmt *row = query->other.prepared[LAST_ATTEMPT];
	int64_t found = 0;

	bind_number(row, 1, job);
	if (read_number(query, row, &found, error) == -1)
		return -1;
	*ret_attempt = found;
	return 0;
}

int
query_newest_at(struct query *query, int64_t event, int64_t *ret_job, struct error *error)
{
	sqlite3_stmt *row = query->other.prepared[NEWEST_AT];
	int64_t found = 0;

	bind_number(row, 1, event);
	if (read_number(query, row, &found, error) == -1)
		return -1;
	*ret_job = found;
	return 0;
}

/* ---- readers ---- */

static struct rows *
read_rows(struct query *query, int statement, enum rows_way way, int64_t subject,
    int64_t cursor)
{
	const struct rows_source source = {
		.db = &query->db,
		.statement = query->other.prepared[statement],
		.way = way,
		.subject = subject,
		.cursor = cursor,
	};

	return rows_new(&source);
}

/* Only the last `limit` rows: the cursor is moved up to before them. 0 or -1. */
static int
move_cursor(struct query *query, int nth_statement, int64_t subject, int64_t *cursor,
    int64_t limit, struct error *error)
{
	sqlite3_stmt *row = query->other.prepared[nth_statement];
	int64_t nth = 0;

	if (limit <= 0)
		return 0;
	bind_number(row, 1, subject);
	bind_number(row, 2, *cursor);
	bind_number(row, 3, limit - 1);
	if (read_number(query, row, &nth, error) == -1)
		return -1;
	if (nth > *cursor)
		*cursor = nth - 1;
	return 0;
}

struct rows *
query_attempts(struct query *query, int64_t job, struct error *error)
{
	(void)error;
	return read_rows(query, ATTEMPTS, ROWS_BY_CURSOR, job, 0);
}

struct rows *
query_events(struct query *query, int64_t job, int64_t since, int64_t limit,
    struct error *error)
{
	if (move_cursor(query, job != 0 ? NTH_JOB_EVENT : NTH_EVENT, job, &since, limit,
		error) == -1)
		return NULL;
	return read_rows(
	    query, job != 0 ? JOB_EVENTS : EVENTS, ROWS_BY_CURSOR, job, since);
}

struct rows *
query_submissions(struct query *query, int64_t job, int64_t behind, int64_t limit,
    struct error *error)
{
	if (job == 0 &&
	    move_cursor(query, NTH_JOB, job, &behind, limit, error) == -1)
		return NULL;
	return read_rows(
	    query, job != 0 ? JOB_SUBMISSION : SUBMISSIONS, ROWS_BY_CURSOR, job, behind);
}

struct rows *
query_messages(struct query *query, int64_t job, bool is_set_aside, struct error *error)
{
	(void)error;
	return read_rows(
	    query, is_set_aside ? SET_ASIDE : MAILBOX, ROWS_BY_CURSOR, job, 0);
}

struct rows *
query_supervisors(struct query *query, struct error *error)
{
	(void)error;
	return read_rows(query, SUPERVISORS, ROWS_WHOLE, 0, 0);
}

struct rows *
query_tree(struct query *query, struct error *error)
{
	(void)error;
	return read_rows(query, TREE, ROWS_WHOLE, 0, 0);
}

struct rows *
query_counts(struct query *query, struct error *error)
{
	(void)error;
	return read_rows(query, COUNTS, ROWS_WHOLE, 0, 0);
}

struct rows *
query_group(struct query *query, const char *group, struct error *error)
{
	sqlite3_stmt *row = query->other.prepared[IN_GROUP];

	(void)error;
	bind_text(row, 1, group);
	return read_rows(query, IN_GROUP, ROWS_WHOLE, 0, 0);
}

struct rows *
query_environment(struct query *query, int64_t job, struct error *error)
{
	(void)error;
	return read_rows(query, ENVIRONMENT, ROWS_WHOLE, job, 0);
}
