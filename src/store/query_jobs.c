/*
 * query_jobs: first the ids of the jobs that are wanted, in order, then their rows by id.
 * The live ones come from the index jobs_live, the ones that ended last from the newest
 * events, so that neither grows with the history.
 */

#include "store/query_jobs.h"
#include "base/xalloc.h"

#include <stdlib.h>
#include <string.h>

#define LAST_ENDED 10
/* How far back to look for the ones that ended last. */
#define MOST_EVENTS "100000"
#define MOST_JOBS "20000"

enum {
	JOB, JOB_WHOLE, ONE, LIVE, ENDED, ENDED_NAMED, ENTRIES, ENDED_EVENTS, ENDED_NEWEST,
	COUNT
};

#define ENDED_STATUS "status IN ('done', 'failed', 'cancelled')"
#define IS_READY(job)                                                                    \
	JOB_WAITS(job ".") " AND " job ".hold IS NULL AND " job                          \
	    ".wake_at IS NULL AND NOT EXISTS (SELECT 1 FROM attempts "                   \
	    "WHERE job_id = " job ".id AND ended_at IS NULL)"
/* CROSS: from the few open attempts to their jobs, never the other way. */
#define OPEN_ATTEMPTS                                                                    \
	"attempts o INDEXED BY attempts_open CROSS JOIN jobs b ON b.id = o.job_id "      \
	"WHERE o.ended_at IS NULL"
#define JOB_COLUMNS                                                                      \
	"j.id, j.name, j.status, j.type, j.supervisor, j.priority, j.command, "          \
	"j.cwd, j.umask, j.stdin, j.max_retries, j.backoff, j.jitter, j.timeout_ms, "    \
	"j.grace_ms, j.max_output, j.log_rotate, j.leave_children, j.hold, j.wake_at, " \
	"j.wake_boot_ms, j.wake_boot_id, j.failures, j.retries, j.progress, "            \
	"j.progress_text, j.result, coalesce(j.reason, a.reason) AS reason, "            \
	"j.detail, j.created_at, j.ended_at, a.attempt, a.claimed_at, a.started_at, "    \
	"a.ended_at AS attempt_ended_at, a.reason AS attempt_reason, a.pid, "            \
	"a.stop_reason, a.stop_at, a.exit_code, a.signal, a.core, a.run_ms, "            \
	"a.user_ms, a.system_ms, a.max_rss_kib, a.output_bytes, a.output_left_out, "     \
	"a.children_killed, coalesce(j.kind, 'command') AS kind, v.restart, v.durable, "   \
	"CASE WHEN v.job_id IS NOT NULL THEN max(0, coalesce(a.attempt - "              \
	"v.first_attempt, 0)) END AS restarts, CASE WHEN v.durable THEN (SELECT "         \
	"count(*) FROM messages m WHERE m.job_id = j.id AND m.wake_boot_ms IS NULL "      \
	"AND m.dead_at IS NULL) WHEN v.pool = j.id THEN (SELECT count(*) FROM jobs r "    \
	"WHERE r.supervisor = j.name AND " IS_READY("r") ") "                             \
	"ELSE v.mailbox END AS mailbox, v.last_message_at, "                              \
	"v.pool, v.pool_size, v.max_messages, a.member, ?2 AS line, ?3 AS busy, "         \
	"CASE WHEN s.pool IS NULL THEN s.max_children ELSE (SELECT count(*) FROM "        \
	"servers m JOIN jobs p ON p.id = m.job_id WHERE m.pool = s.pool "                 \
	"AND p.status = 'running') END AS max_children, "                                 \
	"s.paused, s.state AS supervisor_state, s.reason AS supervisor_reason, "           \
	"v.position, s.rate, s.rate_ms, q.key, q.max_running, CASE WHEN q.key IS NOT NULL " \
	"THEN (SELECT count(*) FROM attempts o INDEXED BY attempts_open CROSS JOIN "      \
	"keys m ON m.job_id = o.job_id WHERE o.ended_at IS NULL AND m.key = q.key) "      \
	"END AS key_running, (SELECT json_group_object(name, value) FROM meta "           \
	"WHERE job_id = j.id HAVING count(*) > 0) AS meta, "                              \
	"(SELECT json_group_array(name) FROM groups WHERE job_id = j.id "                 \
	"AND is_left = 0 HAVING count(*) > 0) AS groups, "                                \
	"CASE WHEN j.hold = 'dependency' THEN (SELECT json_group_array(d.on_id) "        \
	"FROM dependencies d JOIN jobs b ON b.id = d.on_id WHERE d.job_id = j.id "       \
	"AND " JOB_IS_LIVE("b.") ") END AS waits_for"
#define JOB_SOURCE                                                                       \
	" FROM jobs j LEFT JOIN attempts a ON a.job_id = j.id AND a.attempt = "          \
	"(SELECT max(attempt) FROM attempts WHERE job_id = j.id) "                       \
	"LEFT JOIN supervisors s ON s.name = j.supervisor "                              \
	"LEFT JOIN servers v ON v.job_id = j.id "                                         \
	"LEFT JOIN keys q ON q.job_id = j.id WHERE j.id = ?1"
#define IS_NUMBER(text)                                                                   \
	"CASE WHEN json_valid(" text ") THEN json_type(" text ") IN ('integer', 'real') " \
	"ELSE 0 END"
/* -1, 0 or 1: two numbers, or two texts that are none; else NULL. */
#define ORDER_OF(one, other)                                                              \
	"CASE " IS_NUMBER(one) " + " IS_NUMBER(other) " WHEN 2 THEN "                    \
	"(" one " ->> '$' > " other " ->> '$') - (" one " ->> '$' < " other " ->> '$') " \
	"WHEN 0 THEN (" one " > " other ") - (" one " < " other ") END"
/* That of a job for which one of the conditions in ?9 does not hold. */
#define FAILS                                                                             \
	"EXISTS (SELECT 1 FROM (SELECT value ->> 0 AS name, value ->> 1 AS comparison, " \
	"value ->> 2 AS value FROM json_each(?9)) c WHERE NOT EXISTS (SELECT 1 FROM "    \
	"meta m WHERE m.job_id = j.id AND m.name = c.name AND CASE c.comparison "        \
	"WHEN '=' THEN m.value = c.value WHEN '!=' THEN m.value <> c.value "             \
	"WHEN '<' THEN " ORDER_OF("m.value", "c.value") " < 0 "                          \
	"WHEN '<=' THEN " ORDER_OF("m.value", "c.value") " <= 0 "                        \
	"WHEN '>' THEN " ORDER_OF("m.value", "c.value") " > 0 "                          \
	"ELSE " ORDER_OF("m.value", "c.value") " >= 0 END))"
/* What is asked for: ?1 a name pattern, ?2 a type, ?3 ",status,status,", ?4 a limit,
 * ?5 a kind, ?6 a supervisor, ?7 a group, ?8 a key, ?9 conditions. */
#define AS_ASKED                                                                         \
	"AND (?1 IS NULL OR j.name GLOB ?1) AND (?2 IS NULL OR j.type = ?2) "            \
	"AND (?3 IS NULL OR instr(?3, ',' || j.status || ',') > 0) "                 \
	"AND (?5 IS NULL OR coalesce(j.kind, 'command') = ?5) "                        \
	"AND (?6 IS NULL OR j.supervisor = ?6) "                                         \
	"AND (?7 IS NULL OR EXISTS (SELECT 1 FROM groups WHERE job_id = j.id "           \
	"AND name = ?7 AND is_left = 0)) "                                               \
	"AND (?8 IS NULL OR EXISTS (SELECT 1 FROM keys WHERE job_id = j.id "             \
	"AND key = ?8)) AND (?9 IS NULL OR NOT " FAILS ") "
#define LAST_FIRST "ORDER BY j.ended_at DESC, j.id DESC LIMIT ?4"

static const char *const sql[] = {
	[JOB] = "SELECT " JOB_COLUMNS JOB_SOURCE,
	[JOB_WHOLE] = "SELECT " JOB_COLUMNS ", a.last_lines, v.state, (SELECT json_group_array("
		      "json_object('id', on_id, 'until', kind)) FROM dependencies "
		      "WHERE job_id = j.id HAVING count(*) > 0) AS after" JOB_SOURCE,
	[ONE] = "SELECT j.id, CASE WHEN " IS_READY("j") " THEN (SELECT count(*) "
		"FROM jobs r WHERE r.supervisor = j.supervisor AND (r.priority, r.id) "
		"<= (j.priority, j.id) AND " IS_READY("r") ") END, (SELECT count(*) "
		"FROM " OPEN_ATTEMPTS " AND b.supervisor = j.supervisor) "
		"FROM jobs j WHERE j.id = ?1",
	[LIVE] = "WITH busy(supervisor, places) AS MATERIALIZED (SELECT b.supervisor, "
		 "count(*) FROM " OPEN_ATTEMPTS " GROUP BY b.supervisor), "
		 "line(id, place) AS MATERIALIZED (SELECT r.id, row_number() OVER "
		 "(PARTITION BY r.supervisor ORDER BY r.priority, r.id) FROM jobs r "
		 "WHERE " IS_READY("r") ") "
		 "SELECT j.id, line.place, busy.places FROM jobs j INDEXED BY jobs_live "
		 "LEFT JOIN line ON line.id = j.id "
		 "LEFT JOIN busy ON busy.supervisor = j.supervisor "
		 "WHERE " JOB_IS_LIVE("j.") " " AS_ASKED
		 "ORDER BY j.status = 'running' DESC, j.status = 'errored' DESC, "
		 "iif(j.status = 'running', 0, j.priority), j.id LIMIT ?4",
	[ENDED] = "SELECT j.id FROM jobs j WHERE j." ENDED_STATUS " " AS_ASKED LAST_FIRST,
	[ENDED_NAMED] = "SELECT j.id FROM jobs j WHERE j.name IS NOT NULL "
			"AND j.name GLOB ?1 AND j." ENDED_STATUS " " AS_ASKED LAST_FIRST,
	/* Children in order that do not run. */
	[ENTRIES] = "SELECT j.id FROM servers v INDEXED BY servers_static CROSS JOIN jobs j "
		    "ON j.id = v.job_id WHERE v.position IS NOT NULL "
		    "AND NOT (" JOB_IS_LIVE("j.") ") " AS_ASKED "ORDER BY v.position LIMIT ?4",
	[ENDED_EVENTS] = "SELECT j.id, j.ended_at FROM events e "
			 "JOIN jobs j ON j.id = e.job_id "
			 "WHERE e.event IN ('completed', 'failed', 'cancelled') "
			 "AND e.seq > (SELECT max(seq) FROM events) - " MOST_EVENTS " "
			 "AND j." ENDED_STATUS " ORDER BY e.seq DESC",
	[ENDED_NEWEST] = "SELECT id, ended_at FROM jobs WHERE " ENDED_STATUS " "
			 "AND id > (SELECT max(id) FROM jobs) - " MOST_JOBS " "
			 "ORDER BY ended_at DESC, id DESC LIMIT 10",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
query_jobs_prepare(struct query *query, struct error *error)
{
	return statements_prepare(&query->jobs, &query->db, sql, COUNT, error);
}

struct key_list {
	struct row_key *keys;
	size_t count, room;
};

static void
add_key(struct key_list *list, sqlite3_stmt *row)
{
	if (list->count == list->room) {
		list->room = list->room > 0 ? 2 * list->room : 16;
		list->keys = xreallocarray(list->keys, list->room, sizeof(list->keys[0]));
	}
	list->keys[list->count++] = (struct row_key){
		.id = sqlite3_column_int64(row, 0),
		.line = column_number(row, 1, 0),
		.busy = column_number(row, 2, 0),
	};
}

/* Run a bound statement whose rows are keys. */
static int
add_keys(struct key_list *list, sqlite3_stmt *row)
{
	int code;

	while ((code = sqlite3_step(row)) == SQLITE_ROW)
		add_key(list, row);
	return statement_end(row, code);
}

/* ",new,failed,", or NULL for any. */
static char *
wanted_statuses(const struct job_filter *filter)
{
	char *list = filter->has_statuses ? xstrdup(",") : NULL;

	for (int status = 0; list != NULL && status < JOB_STATUS_COUNT; status++) {
		char *longer;

		if (!filter->statuses[status])
			continue;
		longer = xasprintf("%s%s,", list, job_status_name(status));
		free(list);
		list = longer;
	}
	return list;
}

static bool
wants_any_of(const struct job_filter *filter, bool live)
{
	if (!filter->has_statuses)
		return true;
	for (int status = 0; status < JOB_STATUS_COUNT; status++) {
		if (filter->statuses[status] && job_status_is_live(status) == live)
			return true;
	}
	return false;
}

static int
add_filtered(struct query *query, int statement, const struct job_filter *filter,
    struct key_list *list)
{
	sqlite3_stmt *row = query->jobs.prepared[statement];
	int64_t limit = filter->limit > 0 ? filter->limit - (int64_t)list->count : -1;
	char *statuses;
	int code;

	if (limit == 0)
		return SQLITE_OK;
	statuses = wanted_statuses(filter);
	bind_text(row, 1, filter->name);
	bind_text(row, 2, filter->type);
	bind_text(row, 3, statuses);
	bind_number(row, 4, limit);
	bind_text(row, 5, filter->kind);
	bind_text(row, 6, filter->supervisor);
	bind_text(row, 7, filter->group);
	bind_text(row, 8, filter->key);
	bind_text(row, 9, filter->meta);
	code = add_keys(list, row);
	free(statuses);
	return code;
}

/* ---- the ten that ended last ---- */

struct last_ended {
	struct row_key keys[LAST_ENDED];
	int64_t ended_at[LAST_ENDED];
	size_t count;
};

/* Keep it where it belongs: the last to end first; of two at once the first noted. */
static void
note_ended(struct last_ended *last, int64_t id, int64_t ended_at)
{
	size_t at = 0;

	for (size_t i = 0; i < last->count; i++) {
		if (last->keys[i].id == id)
			return;
	}
	while (at < last->count && last->ended_at[at] >= ended_at)
		at++;
	memmove(&last->keys[at + 1], &last->keys[at],
	    (last->count - at) * sizeof(last->keys[0]));
	memmove(&last->ended_at[at + 1], &last->ended_at[at],
	    (last->count - at) * sizeof(last->ended_at[0]));
	last->keys[at] = (struct row_key){ .id = id };
	last->ended_at[at] = ended_at;
	last->count++;
}

static int
note_all(struct last_ended *last, sqlite3_stmt *row)
{
	int code = SQLITE_DONE;

	while (last->count < LAST_ENDED && (code = sqlite3_step(row)) == SQLITE_ROW)
		note_ended(last, sqlite3_column_int64(row, 0), column_number(row, 1, 0));
	return statement_end(row, code);
}

/*
 * Each end is an event, and events are in order. Only where ever so many newer events are
 * none of an end, the newest jobs have to do.
 */
static int
add_last_ended(struct query *query, const struct job_filter *filter,
    struct key_list *list)
{
	struct last_ended last = { .count = 0 };
	int code = note_all(&last, query->jobs.prepared[ENDED_EVENTS]);

	if (code == SQLITE_OK && last.count < LAST_ENDED)
		code = note_all(&last, query->jobs.prepared[ENDED_NEWEST]);
	for (size_t i = 0; i < last.count; i++) {
		if (filter->limit > 0 && list->count >= (size_t)filter->limit)
			break;
		list->keys = xreallocarray(
		    list->keys, list->count + 1, sizeof(list->keys[0]));
		list->keys[list->count++] = last.keys[i];
	}
	list->room = list->count;
	return code;
}

/* All that are asked for, not only the ten that ended last. */
static bool
wants_all_ended(const struct job_filter *filter)
{
	return filter->wants_all || filter->has_statuses || filter->type != NULL ||
	    filter->kind != NULL || filter->supervisor != NULL || filter->group != NULL ||
	    filter->key != NULL || filter->meta != NULL;
}

static int
choose(struct query *query, const struct job_filter *filter, struct key_list *list)
{
	sqlite3_stmt *one = query->jobs.prepared[ONE];
	int code = SQLITE_OK;

	if (filter->id != 0) {
		bind_number(one, 1, filter->id);
		return add_keys(list, one);
	}
	if (wants_any_of(filter, true))
		code = add_filtered(query, LIVE, filter, list);
	if (code == SQLITE_OK && filter->wants_entries)
		code = add_filtered(query, ENTRIES, filter, list);
	if (code != SQLITE_OK || filter->wants_live || !wants_any_of(filter, false))
		return code;
	if (filter->name != NULL)
		return add_filtered(query, ENDED_NAMED, filter, list);
	if (wants_all_ended(filter))
		return add_filtered(query, ENDED, filter, list);
	return add_last_ended(query, filter, list);
}

struct rows *
query_jobs(struct query *query, const struct job_filter *filter, struct error *error)
{
	struct key_list list = { 0 };
	struct rows_source source = { .db = &query->db, .way = ROWS_BY_KEY };
	struct rows *rows;
	int code = db_execute(&query->db, "BEGIN");

	if (code == SQLITE_OK)
		code = choose(query, filter, &list);
	source.statement = query->jobs.prepared[filter->id != 0 ? JOB_WHOLE : JOB];
	source.keys = list.keys;
	source.key_count = list.count;
	rows = rows_new(&source);
	/* The first rows are of the same moment as their places in line. */
	if (code == SQLITE_OK)
		code = rows_read(rows);
	if (code != SQLITE_OK) {
		db_error(&query->db, code, error);
		rows_close(rows);
		rows = NULL;
	}
	db_execute(&query->db, "COMMIT");
	return rows;
}

int64_t
query_count_jobs(struct query *query, const struct job_filter *filter, struct error *error)
{
	struct job_filter counted = *filter;
	struct key_list list = { 0 };
	int code;

	if (filter->name == NULL && !wants_all_ended(filter))
		counted.wants_live = true;
	code = choose(query, &counted, &list);
	free(list.keys);
	return code == SQLITE_OK ? (int64_t)list.count : db_error(&query->db, code, error);
}
