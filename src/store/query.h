#ifndef STORE_QUERY_H
#define STORE_QUERY_H

#include "base/error.h"
#include "base/text.h"
#include "model/lifecycle.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Reading the state database, for the command line: a connection that never writes and is
 * never in anybody's way. Rows come with the names of their columns, which are what
 * --json and -o show.
 */
struct query;
struct rows;

/* NULL with *error; STATUS_NOT_FOUND when there is no database yet. */
struct query *query_open(const char *state_directory, struct error *error);
/* Where there is no database: without rows, but with the columns that they would have. */
struct query *query_open_empty(struct error *error);
void query_close(struct query *query); /* NULL is allowed */

/*
 * Which jobs. All zero: the live ones and the ten that ended last. A status, a name, a type
 * a kind, a group, a key or words look at all jobs.
 */
struct job_filter {
	int64_t id;	       /* this one; 0: any */
	bool has_statuses;
	bool statuses[JOB_STATUS_COUNT];
	const char *name;      /* a glob pattern; NULL: any */
	const char *type;      /* NULL: any */
	const char *kind;      /* "command", "server", "message"; NULL: any */
	const char *supervisor; /* NULL: any */
	const char *group;      /* NULL: any */
	const char *key;        /* NULL: any */
	/*
	 * Conditions that all hold, or NULL: a JSON array of [NAME, COMPARISON, VALUE], which are
	 * texts. = and != compare texts; < <= > >= numbers, if both are (as JSON), texts, if none
	 * is, and else do not hold. Without that name none holds.
	 */
	const char *meta;
	bool wants_all, wants_live;
	bool wants_entries;    /* and servers in order that do not run */
	int64_t limit;	       /* 0: none */
};

/*
 * Readers, each NULL with *error. Rows are copies, read in portions; no transaction is
 * open while the caller looks at them, so that a slow reader is in nobody's way.
 *
 * A job's row has its own columns, those of its last attempt, and what it waits for:
 * `line` (its place among the ready ones), `busy` and `max_children` (places taken and
 * places of its supervisor), `waits_for` (a JSON array of ids). A server's also has
 * `restart`, `durable`, `restarts` in this life, `mailbox` and `last_message_at`.
 * Live jobs come first, then the ended ones, the last first. With `id` also `last_lines`,
 * `after` and a durable server's `state`, which are long.
 */
struct rows *query_jobs(struct query *query, const struct job_filter *filter,
    struct error *error);
/* How many query_jobs() would find; the live ones, where it would add the last ten. Or -1. */
int64_t query_count_jobs(struct query *query, const struct job_filter *filter,
    struct error *error);
/* The live job that has this name: its id, or 0. -1 with *error. */
int64_t query_holder(struct query *query, const char *name, struct error *error);
/* The live jobs of a group, by id: rows of id and name. `group` is borrowed until they are read. */
struct rows *query_group(struct query *query, const char *group, struct error *error);
/*
 * Every supervisor with its live jobs that run, are being started or have failed: a row a job,
 * or one with id NULL if it has none of these. `children`: its live jobs, all of them.
 */
struct rows *query_tree(struct query *query, struct error *error);
/*
 * Every server that is a child in order, whatever it is at, and temporary ones that were: with its
 * description, what has stopped it, and what of it is kept: has_state, and messages with its
 * timers (query_children.c). Of several of one name the last row is what counts.
 */
struct rows *query_children(struct query *query, struct error *error);
/* What each supervisor has, as OTP's count_children: specs, active, supervisors, workers. */
struct rows *query_counts(struct query *query, struct error *error);
struct rows *query_attempts(struct query *query, int64_t job, struct error *error);
/*
 * Events but `submitted`, which is no news, behind `since`, of one job or of all (0); the
 * last `limit` of them if not 0.
 */
struct rows *query_events(struct query *query, int64_t job, int64_t since, int64_t limit,
    struct error *error);
/*
 * What no event tells: that jobs were submitted. Rows of job_id and at, by job, of those
 * behind `behind`, of one job or of all; the last `limit` of them if not 0.
 */
struct rows *query_submissions(struct query *query, int64_t job, int64_t behind,
    int64_t limit, struct error *error);
/*
 * A durable server's messages: those that wait in its mailbox, in the order in which they are
 * given to it, or those that were set aside.
 */
struct rows *query_messages(struct query *query, int64_t job, bool is_set_aside,
    struct error *error);
/* `restarts`: those of itself that its parent may still count. */
struct rows *query_supervisors(struct query *query, struct error *error);
/* The variables of a job's environment, one row each: name, value. */
struct rows *query_environment(struct query *query, int64_t job, struct error *error);

/* The next row: 1, 0 at the end, -1 with *error. */
int rows_next(struct rows *rows, struct error *error);
void rows_close(struct rows *rows); /* NULL is allowed */

int rows_columns(const struct rows *rows);
const char *rows_name(const struct rows *rows, int column);
int rows_find(const struct rows *rows, const char *name); /* -1 if there is none */
enum row_type { ROW_NULL, ROW_INTEGER, ROW_REAL, ROW_TEXT } rows_type(
    const struct rows *rows, int column);
/* By name, for code that knows what it asked for; NULL, 0 and `otherwise` for NULL. */
const char *rows_text(const struct rows *rows, const char *name);
int64_t rows_number(const struct rows *rows, const char *name, int64_t otherwise);
double rows_real(const struct rows *rows, const char *name, double otherwise);

/*
 * The job meant by an id or a name (its live job, else the one that ended last). 0, or -1
 * with *error (STATUS_NOT_FOUND).
 */
int query_find_job(struct query *query, const char *word, int64_t *ret_job,
    struct error *error);

/* Is there a supervisor of this name? 0, or -1 with *error (STATUS_NOT_FOUND). */
int query_must_be_supervisor(struct query *query, const char *name, struct error *error);

/* Is this job a durable server? 0, or -1 with *error: STATUS_STATE says what it is else. */
int query_must_be_durable(struct query *query, int64_t job, struct error *error);

/* The newest job that was run. 0, or -1 with *error (STATUS_NOT_FOUND). */
int query_latest_run(struct query *query, int64_t *ret_job, struct error *error);

/* The number of the job's last attempt, 0 if it has none yet. 0 or -1 with *error. */
int query_last_attempt(struct query *query, int64_t job, int64_t *ret_attempt,
    struct error *error);

/* The newest job that was submitted when this event happened, 0: none. 0 or -1. */
int query_newest_at(struct query *query, int64_t event, int64_t *ret_job,
    struct error *error);

#endif
