/*
 * sqlite_groups: names that any number of live jobs may have. A job is in those that it was
 * described with, and a server that runs also in those that it joins, which end with its
 * process. A message to a group is put into each of its mailboxes that are kept.
 */

#include "base/xalloc.h"
#include "store/sqlite_engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANY, ADD, COUNT_OF_JOB, JOIN, LEAVE_OWN, LEAVE, END_OWN, END_LEFT, MEMBERS, COUNT };

/* ?1 to ?3: the attempt that asks. */
#define IS_OPEN                                                                          \
	"EXISTS (SELECT 1 FROM attempts WHERE job_id = ?1 AND attempt = ?2 "             \
	"AND generation = ?3 AND ended_at IS NULL)"

static const char *const sql[] = {
	[ANY] = "SELECT EXISTS (SELECT 1 FROM groups)",
	[ADD] = "INSERT OR IGNORE INTO groups (job_id, name) VALUES (?1, ?2)",
	[COUNT_OF_JOB] = "SELECT count(*) FROM groups WHERE job_id = ?1 AND name <> ?2",
	[JOIN] = "INSERT INTO groups (job_id, name, attempt) SELECT ?1, ?4, ?2 WHERE " IS_OPEN
		 " ON CONFLICT (job_id, name) DO UPDATE SET is_left = 0",
	[LEAVE_OWN] = "DELETE FROM groups WHERE job_id = ?1 AND name = ?4 "
		      "AND attempt IS NOT NULL AND " IS_OPEN,
	[LEAVE] = "UPDATE groups SET is_left = 1 WHERE job_id = ?1 AND name = ?4 "
		  "AND attempt IS NULL AND " IS_OPEN,
	[END_OWN] = "DELETE FROM groups WHERE job_id = ?1 AND attempt IS NOT NULL",
	[END_LEFT] = "UPDATE groups SET is_left = 0 WHERE job_id = ?1 AND is_left = 1",
	[MEMBERS] = "SELECT j.id, j.name, v.durable, v.pool FROM groups g "
		    "JOIN jobs j ON j.id = g.job_id JOIN servers v ON v.job_id = j.id "
		    "WHERE g.name = ?1 AND g.is_left = 0 AND " JOB_IS_LIVE("j.") " "
		    "ORDER BY j.id",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_groups_prepare(struct sqlite_engine *engine, struct error *error)
{
	if (statements_prepare(&engine->groups, &engine->db, sql, COUNT, error) == -1)
		return -1;
	sqlite_look_for_groups(engine);
	return 0;
}

int
sqlite_look_for_groups(struct sqlite_engine *engine)
{
	sqlite3_stmt *row = engine->groups.prepared[ANY];
	int code = sqlite3_step(row);

	engine->has_groups = code != SQLITE_ROW || sqlite3_column_int(row, 0) != 0;
	return statement_end(row, code);
}

int
sqlite_insert_groups(struct sqlite_engine *engine, int64_t job, const struct spec *spec)
{
	sqlite3_stmt *statement = engine->groups.prepared[ADD];
	int code = SQLITE_OK;

	for (size_t i = 0; i < spec->groups.count && code == SQLITE_OK; i++) {
		engine->has_groups = true;
		bind_number(statement, 1, job);
		bind_text(statement, 2, spec->groups.items[i]);
		code = statement_run(statement);
	}
	return code;
}

int
sqlite_end_groups(struct sqlite_engine *engine, int64_t job)
{
	sqlite3_stmt *own = engine->groups.prepared[END_OWN];
	sqlite3_stmt *left = engine->groups.prepared[END_LEFT];
	int code;

	if (!engine->has_groups)
		return SQLITE_OK;
	bind_number(own, 1, job);
	code = statement_run(own);
	bind_number(left, 1, job);
	return code == SQLITE_OK ? statement_run(left) : code;
}

/* ---- a server joins and leaves ---- */

static int
run_for(struct sqlite_engine *engine, int which, const struct step *step)
{
	sqlite3_stmt *statement = engine->groups.prepared[which];

	sqlite_bind_key(statement, &step->group.key);
	bind_text(statement, 4, step->group.name);
	return statement_run(statement);
}

static int
join(struct sqlite_engine *engine, struct step *step)
{
	sqlite3_stmt *row = engine->groups.prepared[COUNT_OF_JOB];
	int64_t count;
	int code;

	bind_number(row, 1, step->group.key.job);
	bind_text(row, 2, step->group.name);
	code = sqlite3_step(row);
	count = code == SQLITE_ROW ? sqlite3_column_int64(row, 0) : 0;
	code = statement_end(row, code);
	if (code == SQLITE_OK && count >= SPEC_MOST_GROUPS) {
		step->answer = STEP_REFUSED;
		error_set(&step->error, STATUS_TRY_LATER, "a job is in %d groups at most",
		    SPEC_MOST_GROUPS);
		return SQLITE_OK;
	}
	engine->has_groups = true;
	if (code == SQLITE_OK)
		code = run_for(engine, JOIN, step);
	if (code == SQLITE_OK && sqlite3_changes(engine->db.handle) == 0)
		step->answer = STEP_STALE;
	return code;
}

int
sqlite_step_group(struct sqlite_engine *engine, struct step *step)
{
	int code;

	if (!step->group.is_leave)
		return join(engine, step);
	code = run_for(engine, LEAVE_OWN, step);
	return code == SQLITE_OK ? run_for(engine, LEAVE, step) : code;
}

/* ---- messages ---- */

static int
read_members(struct sqlite_engine *engine, struct step *step)
{
	sqlite3_stmt *row = engine->groups.prepared[MEMBERS];
	int code;

	bind_text(row, 1, step->members.name);
	while ((code = sqlite3_step(row)) == SQLITE_ROW) {
		size_t count = step->members.ret_count;
		struct group_member *member;

		if ((count & (count + 1)) == 0)
			step->members.ret_members = xreallocarray(step->members.ret_members,
			    2 * count + 3, sizeof(step->members.ret_members[0]));
		member = &step->members.ret_members[step->members.ret_count++];
		*member = (struct group_member){
			.job = sqlite3_column_int64(row, 0),
			.is_durable = sqlite3_column_int(row, 2) != 0,
			.is_pool = column_number(row, 3, 0) != 0,
		};
		snprintf(member->name, sizeof(member->name), "%s", column_text(row, 1));
	}
	return statement_end(row, code);
}

/* A pool's messages are jobs: its id and the message are their command. */
static struct step *
make_job(const struct step *step, const struct group_member *member)
{
	struct step *part = batch_make_step(STEP_SUBMIT, NULL, NULL);
	struct spec *spec = xcalloc(1, sizeof(*spec));

	spec_init(spec);
	spec->is_message = true;
	strings_add_owned(&spec->command, xasprintf("%" PRId64, member->job));
	strings_add(&spec->command, step->members.text);
	part->submit.specs = spec;
	part->submit.count = 1;
	return part;
}

static struct step *
make_send(const struct step *step, const struct group_member *member)
{
	struct step *part = batch_make_step(STEP_SEND, NULL, NULL);

	part->send.job = member->job;
	part->send.is_info = step->members.is_info;
	part->send.text = xstrdup(step->members.text);
	part->send.most = step->members.most;
	return part;
}

static int
keep_message(struct sqlite_engine *engine, const struct step *step, struct group_member *member)
{
	struct step *part =
	    member->is_pool ? make_job(step, member) : make_send(step, member);
	int code = sqlite_run_step(engine, part);

	member->is_kept = code == SQLITE_OK && part->answer == STEP_OK;
	if (member->is_kept && !member->is_pool)
		member->seq = part->send.ret_seq;
	batch_free_step(part);
	return code;
}

int
sqlite_step_members(struct sqlite_engine *engine, struct step *step)
{
	int code = read_members(engine, step);

	for (size_t i = 0; i < step->members.ret_count && code == SQLITE_OK; i++) {
		struct group_member *member = &step->members.ret_members[i];

		if (step->members.text != NULL && (member->is_durable || member->is_pool))
			code = keep_message(engine, step, member);
	}
	return code;
}
