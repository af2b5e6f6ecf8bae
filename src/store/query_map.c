/*
 * query_map: the jobs of a map, found by their names. Its statements are prepared when they
 * are first wanted: no other verb pays for them.
 */

#include "store/query_map.h"
#include "base/xalloc.h"
#include "store/query_jobs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LAST, ITEM, ONE, LIVE, COUNT };

#define MAP_JOB                                                                          \
	"SELECT j.id, j.status, coalesce(j.reason, a.reason), j.command, a.attempt, "    \
	"a.exit_code, j.timeout_ms, a.output_left_out "                                  \
	"FROM jobs j LEFT JOIN attempts a ON a.job_id = j.id "                           \
	"AND a.attempt = (SELECT max(attempt) FROM attempts WHERE job_id = j.id) "

static const char *const sql[] = {
	/* ?2 is the prefix of its jobs' names, ?3 what comes behind all that begin with it. */
	[LAST] = "SELECT max(CAST(substr(name, length(?2) + 1) AS INTEGER)) FROM jobs "
		 "WHERE name IS NOT NULL AND name >= ?2 AND name < ?3 AND supervisor = ?1 "
		 "AND substr(name, length(?2) + 1) NOT GLOB '*[^0-9]*'",
	[ITEM] = MAP_JOB "WHERE j.name = ?1 AND j.name IS NOT NULL AND j.supervisor = ?2 "
			 "ORDER BY j.id DESC LIMIT 1",
	[ONE] = MAP_JOB "WHERE j.id = ?1",
	[LIVE] = "SELECT id FROM jobs WHERE supervisor = ?1 AND id > ?2 "
		 "AND name >= ?3 AND name < ?4 AND " JOB_IS_LIVE("") " ORDER BY id LIMIT ?5",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

static int
prepare(struct query *query, struct error *error)
{
	return query->map.count > 0
	    ? 0
	    : statements_prepare(&query->map, &query->db, sql, COUNT, error);
}

static int
end(struct query *query, sqlite3_stmt *row, int code, struct error *error)
{
	code = statement_end(row, code);
	return code == SQLITE_OK ? 0 : db_error(&query->db, code, error);
}

void
map_job_done(struct map_job *job)
{
	free(job->reason);
	free(job->command);
	*job = (struct map_job){ 0 };
}

/* "resize:" and, ';' being next to ':', what is behind all names that begin so. */
static void
bind_names(sqlite3_stmt *row, int place, const char *map, char **ret_from, char **ret_to)
{
	*ret_from = xasprintf("%s:", map);
	*ret_to = xasprintf("%s;", map);
	bind_text(row, place, *ret_from);
	bind_text(row, place + 1, *ret_to);
}

int
query_map_last(struct query *query, const char *map, int64_t *ret_number, struct error *error)
{
	sqlite3_stmt *row;
	char *from, *to;
	int code;

	if (prepare(query, error) == -1)
		return -1;
	row = query->map.prepared[LAST];
	bind_text(row, 1, map);
	bind_names(row, 2, map, &from, &to);
	code = sqlite3_step(row);
	*ret_number = code == SQLITE_ROW ? column_number(row, 0, 0) : 0;
	code = end(query, row, code, error);
	free(from);
	free(to);
	return code;
}

static char *
copy_text(sqlite3_stmt *row, int column)
{
	const char *text = column_text(row, column);

	return text != NULL ? xstrdup(text) : NULL;
}

static int
read_job(struct query *query, sqlite3_stmt *row, struct map_job *ret_job, struct error *error)
{
	int code = sqlite3_step(row);

	*ret_job = (struct map_job){ 0 };
	if (code == SQLITE_ROW) {
		ret_job->id = sqlite3_column_int64(row, 0);
		job_status_parse(column_text(row, 1), &ret_job->status);
		ret_job->reason = copy_text(row, 2);
		ret_job->command = copy_text(row, 3);
		ret_job->attempt = column_number(row, 4, 0);
		ret_job->exit_code = column_number(row, 5, -1);
		ret_job->timeout_ms = column_number(row, 6, 0);
		ret_job->left_out = column_number(row, 7, 0);
	}
	if (end(query, row, code, error) == 0)
		return 0;
	map_job_done(ret_job);
	return -1;
}

int
query_map_item(struct query *query, const char *map, int64_t number, struct map_job *ret_job,
    struct error *error)
{
	char *name;
	int result;

	if (prepare(query, error) == -1)
		return -1;
	name = xasprintf("%s:%" PRId64, map, number);
	bind_text(query->map.prepared[ITEM], 1, name);
	bind_text(query->map.prepared[ITEM], 2, map);
	result = read_job(query, query->map.prepared[ITEM], ret_job, error);
	free(name);
	return result;
}

int
query_map_job(struct query *query, int64_t id, struct map_job *ret_job, struct error *error)
{
	if (prepare(query, error) == -1)
		return -1;
	bind_number(query->map.prepared[ONE], 1, id);
	return read_job(query, query->map.prepared[ONE], ret_job, error);
}

int
query_map_live(struct query *query, const char *map, int64_t after, int64_t *ret_ids,
    size_t room, size_t *ret_count, struct error *error)
{
	sqlite3_stmt *row;
	char *from, *to;
	size_t count = 0;
	int code;

	if (prepare(query, error) == -1)
		return -1;
	row = query->map.prepared[LIVE];
	bind_text(row, 1, map);
	bind_number(row, 2, after);
	bind_names(row, 3, map, &from, &to);
	bind_number(row, 5, (int64_t)room);
	while ((code = sqlite3_step(row)) == SQLITE_ROW && count < room)
		ret_ids[count++] = sqlite3_column_int64(row, 0);
	*ret_count = count;
	code = end(query, row, code, error);
	free(from);
	free(to);
	return code;
}
