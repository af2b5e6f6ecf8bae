/*
 * query_children: the servers that are children of supervisors, with all that they are described
 * with. Its statement is prepared when it is first wanted: no other verb pays for it.
 */

#include "store/query_jobs.h"

enum { CHILDREN, COUNT };

static const char *const sql[] = {
	[CHILDREN] = "SELECT j.id, j.name, j.supervisor, j.status, j.kind, j.type, "
		     "j.priority, j.command, j.cwd, j.umask, j.timeout_ms, j.grace_ms, "
		     "j.max_output, j.log_rotate, j.leave_children, v.restart, v.durable, "
		     "v.init_timeout_ms, v.max_redeliveries, v.restart_delay, v.significant, "
		     "v.autostart, v.plain, v.ready, v.stop_signal, v.success_exit, "
		     "v.watchdog_ms, (SELECT vars FROM environments "
		     "WHERE id = j.environment) AS environment, "
		     "(SELECT json_group_array(name || '=' || value) FROM meta "
		     "WHERE job_id = j.id) AS meta, (SELECT json_group_array(name) FROM groups "
		     "WHERE job_id = j.id AND attempt IS NULL) AS groups, "
		     "v.position, v.description, v.stop_asked, (SELECT stop_reason FROM attempts "
		     "WHERE job_id = j.id ORDER BY attempt DESC LIMIT 1) AS stop_reason, "
		     "v.state IS NOT NULL AS has_state, (SELECT count(*) FROM messages "
		     "WHERE job_id = j.id) + (SELECT count(*) FROM messages WHERE owner = j.id "
		     "AND job_id IS NOT j.id) AS messages "
		     "FROM servers v CROSS JOIN jobs j ON j.id = v.job_id "
		     "WHERE " SERVER_IS_CHILD("v.") " "
		     "ORDER BY j.supervisor, v.position IS NOT NULL, v.position, j.id",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

struct rows *
query_children(struct query *query, struct error *error)
{
	struct rows_source source = { .db = &query->db, .way = ROWS_WHOLE };

	if (query->children.count == 0 &&
	    statements_prepare(&query->children, &query->db, sql, COUNT, error) == -1)
		return NULL;
	source.statement = query->children.prepared[CHILDREN];
	return rows_new(&source);
}
