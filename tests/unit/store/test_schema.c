/*
 * The schema as others see it: what they may write works, everything else is refused and
 * changes nothing, whatever their connection's settings are.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../support/subject.h"
#include "base/buf.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "store/db.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_MS INT64_C(3600000)

struct outsider {
	struct subject subject;
	sqlite3 *handle;
};

static const char *
last_error(const struct outsider *outsider)
{
	return sqlite3_errmsg(outsider->handle);
}

static void
assert_ok(struct outsider *outsider, const char *sql)
{
	if (sqlite3_exec(outsider->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, last_error(outsider));
}

static int
set_up(void **state)
{
	struct outsider *outsider = xcalloc(1, sizeof(*outsider));

	subject_open(&outsider->subject, &subject_sqlite);
	outsider->handle = connect_to(outsider->subject.directory);
	*state = outsider;
	return 0;
}

static int
tear_down(void **state)
{
	struct outsider *outsider = *state;

	sqlite3_close(outsider->handle);
	clock_shift(0, 0);
	subject_close(&outsider->subject);
	free(outsider);
	return 0;
}

/*
 * 1 new, named a · 2 running · 3 errored · 4 done, named d, 6 waits for it · 5 claimed ·
 * 6 held for 1 and 4 · 7 delayed · 8 cancelled · 9 held by a person
 */
static void
make_jobs(struct subject *subject)
{
	struct attempt_key key;

	submit(subject, "name=a hold");
	submit(subject, "supervisor=serial");
	assert_int_equal(started(subject, claim(subject, "serial")), STEP_OK);
	submit(subject, "");
	assert_int_equal(ended(subject, start(subject), "exit:1"), STEP_OK);
	submit(subject, "name=d");
	assert_int_equal(ended(subject, start(subject), "normal"), STEP_OK);
	submit(subject, "");
	key = claim(subject, "default");
	assert_int_equal(key.job, 5);
	submit(subject, "after=1,4");
	submit(subject, "in=1h");
	submit(subject, "");
	assert_int_equal(change(subject, 8, JOB_CANCEL), STEP_OK);
	submit(subject, "hold");
	assert_int_equal(change(subject, 1, JOB_RELEASE), STEP_OK);
}

/* All rows of all tables. */
static void
dump_table(sqlite3 *handle, const char *table, struct buf *buf)
{
	char *sql = xasprintf("SELECT * FROM %s", table);
	sqlite3_stmt *statement;

	assert_int_equal(
	    sqlite3_prepare_v2(handle, sql, -1, &statement, NULL), SQLITE_OK);
	while (sqlite3_step(statement) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(statement); i++) {
			const char *text =
			    (const char *)sqlite3_column_text(statement, i);

			buf_addf(buf, "%s|", text != NULL ? text : "NULL");
		}
		buf_add_text(buf, "\n");
	}
	sqlite3_finalize(statement);
	free(sql);
}

static void
dump_all(sqlite3 *handle, struct buf *buf)
{
	static const char *const tables[] = { "jobs", "attempts", "events",
		"dependencies", "environments", "supervisors", "generations",
		"foreign_cancels", "deletions", "writer", "keys", "meta", "groups" };

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		dump_table(handle, tables[i], buf);
}

#define NEW(columns, values) \
	"INSERT INTO jobs(command, " columns ") VALUES('[\"true\"]', " values ")"
#define SET(id, assignments) "UPDATE jobs SET " assignments " WHERE id = " #id
#define NOTHING_YET "nothing has happened to it yet"
#define ONLY_THESE "only status, priority, wake_at, hold and max_retries"
#define WHILE_IT_WAITS "only be updated while the job waits"
#define OUR_OWN "written by jobberd"
#define KEPT_KEY "a job keeps its key"
#define NUL "char(0)" /* where a text ends for the program, though not for SQLite */
#define HAS_NUL "has a NUL in it"

/* SQL and the words it is refused with; NULL: it works. */
static const struct {
	const char *sql, *words;
} writes[] = {
	/* new jobs */
	{ "INSERT INTO jobs(command) VALUES('[\"make\",\"report\"]')", NULL },
	{ NEW("name, type, supervisor, priority, cwd, umask, stdin, max_retries, "
	      "backoff, jitter, timeout_ms, grace_ms, max_output, leave_children, "
	      "hold, wake_at",
	      "'b', 'nightly', 'serial', 0, '/usr', 511, '/etc/hosts', 0, 'linear:1s', "
	      "100, 1, "
	      "0, 65536, 1, 'user', 0"), NULL },
	{ NEW("max_retries, kind, created_at", "NULL, 'command', 1"), NULL },
	{ NEW("created_at", "9007199254740991"), "cannot have been submitted in the future" },
	{ NEW("created_at", "-1"), "cannot have been submitted in the future, or before 1970" },
	{ NEW("name", "'d'"), NULL }, /* its job has ended */
	{ NEW("wake_at", "9007199254740991"), NULL },
	{ "INSERT OR IGNORE INTO jobs(command) VALUES('[\"true\"]')", NULL },
	{ NEW("name", "'a'"), "already_started: a live job has this name" },
	{ "INSERT OR REPLACE INTO jobs(command, name) VALUES('[\"true\"]', 'a')",
	    "already_started" },
	{ "INSERT OR REPLACE INTO jobs(id, command) VALUES(2, '[\"true\"]')",
	    "a job with this id exists already" },
	{ "INSERT OR IGNORE INTO jobs(id, command) VALUES(2, '[\"true\"]')",
	    "a job with this id exists already" },
	{ NEW("id", "77"), "is given, not chosen" },
	{ NEW("id", "9007199254740991"), "is given, not chosen" },
	{ NEW("id", "9223372036854775807"), "is given, not chosen" },
	{ NEW("id", "0"), "is given, not chosen" },
	{ NEW("id", "-1"), "CHECK" },
	{ NEW("supervisor", "'nowhere'"), "no supervisor of this name" },
	{ NEW("environment", "77"), "no environment with this id" },
	{ NEW("status", "'running'"), NOTHING_YET },
	{ NEW("status", "'done'"), NOTHING_YET },
	{ NEW("status, ended_at", "'cancelled', 1"), NOTHING_YET },
	{ NEW("failures", "1"), NOTHING_YET },
	{ NEW("ended_at", "1"), NOTHING_YET },
	{ NEW("reason", "'normal'"), NOTHING_YET },
	{ NEW("detail", "'words'"), NOTHING_YET },
	{ NEW("result", "'1'"), NOTHING_YET },
	{ NEW("progress", "0.5"), NOTHING_YET },
	{ NEW("progress_text", "'half'"), NOTHING_YET },
	{ NEW("hold", "'dependency'"), NOTHING_YET },
	{ NEW("wake_at, wake_boot_ms, wake_boot_id", "1, 1, 'x'"), NOTHING_YET },
	{ "INSERT INTO jobs DEFAULT VALUES", "NOT NULL" },
	{ "INSERT INTO jobs(command) VALUES('make report')", "" },
	{ "INSERT INTO jobs(command) VALUES('{\"a\":1}')", "CHECK" },
	{ "INSERT INTO jobs(command) VALUES('\"make\"')", "CHECK" },
	{ "INSERT INTO jobs(command) VALUES('[]')", "CHECK" },
	{ NEW("name", "''"), "CHECK" },
	{ NEW("name", "'5x'"), "CHECK" },
	{ NEW("name", "'a b'"), "CHECK" },
	{ NEW("name", "'caf\u00e9'"), "CHECK" },
	{ NEW("name", "printf('%.129c', 'x')"), "CHECK" },
	{ NEW("kind", "'servant'"), "CHECK" },
	{ NEW("kind", "'server'"), "servers are started" },
	{ NEW("type", "''"), "CHECK" },
	{ NEW("priority", "10"), "CHECK" },
	{ NEW("priority", "'high'"), "cannot store TEXT value in INTEGER column" },
	{ NEW("cwd", "'here'"), "CHECK" },
	{ NEW("umask", "512"), "CHECK" },
	{ NEW("stdin", "'file'"), "CHECK" },
	{ NEW("max_retries", "-1"), "CHECK" },
	{ NEW("max_retries", "9223372036854775807"), "CHECK" },
	{ NEW("jitter", "101"), "CHECK" },
	{ NEW("timeout_ms", "0"), "CHECK" },
	{ NEW("timeout_ms", "9223372036854775807"), "CHECK" },
	{ NEW("grace_ms", "-1"), "CHECK" },
	{ NEW("grace_ms", "9223372036854775807"), "CHECK" },
	{ NEW("max_output", "65535"), "CHECK" },
	{ NEW("max_output", "9223372036854775807"), "CHECK" },
	{ NEW("log_rotate", "'64K,3'"), NULL },
	{ NEW("log_rotate", "'often'"), "CHECK" },
	{ NEW("leave_children", "2"), "CHECK" },
	{ NEW("hold", "'me'"), "CHECK" },
	{ NEW("wake_at", "-1"), "CHECK" },
	{ NEW("wake_at", "9223372036854775807"), "CHECK" },
	{ "INSERT INTO environments(hash, vars) VALUES(1, '{\"A\":\"1\"}')", NULL },
	{ "INSERT INTO environments(hash, vars) VALUES(1, '[]')", "CHECK" },
	{ "INSERT INTO environments(hash, vars) VALUES(1, 'A=1')", "" },
	{ "INSERT INTO environments(hash, vars) VALUES(1, '{}' || " NUL ")", HAS_NUL },
	{ NEW("type", "'a' || " NUL), HAS_NUL },

	/* a cancel */
	{ SET(1, "status = 'cancelled'"), NULL },
	{ SET(2, "status = 'cancelled'"), NULL },
	{ SET(3, "status = 'cancelled'"), NULL },
	{ SET(5, "status = 'cancelled'"), NULL },
	{ SET(6, "status = 'cancelled'"), NULL },
	{ SET(7, "status = 'cancelled'"), NULL },
	{ SET(8, "status = 'cancelled'"), NULL }, /* it is: nothing happens */
	{ SET(4, "status = 'cancelled'"), "this change of status is not legal" },
	{ SET(1, "status = 'running'"), "may only be set to cancelled" },
	{ SET(1, "status = 'done'"), "" },
	{ SET(2, "status = 'done'"), "may only be set to cancelled" },
	{ SET(2, "status = 'new'"), "may only be set to cancelled" },
	{ SET(3, "status = 'new'"), "" },
	{ SET(3, "status = 'failed'"), "may only be set to cancelled" },
	{ SET(4, "status = 'new'"), "may only be set to cancelled" },
	{ SET(1, "status = 'nonsense'"), "" },

	/* the rest, while it waits */
	{ SET(1, "priority = 0, max_retries = NULL"), NULL },
	{ SET(3, "priority = 9, max_retries = 0"), NULL },
	{ SET(1, "hold = 'user'"), NULL },
	{ SET(9, "hold = NULL"), NULL },
	{ SET(1, "wake_at = 1"), NULL },
	{ SET(3, "wake_at = NULL"), NULL },
	{ SET(7, "wake_at = 1"), NULL },
	{ SET(7, "wake_at = NULL"), NULL },
	{ SET(6, "priority = 0"), NULL },
	{ SET(6, "hold = NULL"), "not while it waits for others" },
	{ SET(6, "hold = 'user'"), "not while it waits for others" },
	{ SET(1, "hold = 'dependency'"), "not while it waits for others" },
	{ SET(1, "priority = 10"), "CHECK" },
	{ SET(2, "priority = 0"), WHILE_IT_WAITS },
	{ SET(2, "hold = 'user'"), WHILE_IT_WAITS },
	{ SET(4, "wake_at = 1"), WHILE_IT_WAITS },
	{ SET(4, "max_retries = 9"), WHILE_IT_WAITS },
	{ SET(8, "hold = 'user'"), WHILE_IT_WAITS },
	{ SET(5, "priority = 0, wake_at = 1, hold = 'user'"), NULL }, /* new still */
	{ SET(2, "status = 'cancelled', priority = 0"), WHILE_IT_WAITS },

	/* every other column */
	{ SET(1, "id = 77"), ONLY_THESE },
	{ SET(1, "kind = 'command'"), ONLY_THESE },
	{ SET(1, "name = 'z'"), ONLY_THESE },
	{ "UPDATE OR REPLACE jobs SET name = 'a' WHERE id = 3", ONLY_THESE },
	{ "UPDATE OR REPLACE jobs SET id = 2 WHERE id = 3", ONLY_THESE },
	{ SET(1, "type = 'z'"), ONLY_THESE },
	{ SET(1, "supervisor = 'serial'"), ONLY_THESE },
	{ SET(1, "command = '[\"false\"]'"), ONLY_THESE },
	{ SET(1, "cwd = '/usr'"), ONLY_THESE },
	{ SET(1, "environment = 1"), ONLY_THESE },
	{ SET(1, "umask = 0"), ONLY_THESE },
	{ SET(1, "stdin = '/etc/hosts'"), ONLY_THESE },
	{ SET(1, "backoff = 'constant:1s'"), ONLY_THESE },
	{ SET(1, "jitter = 1"), ONLY_THESE },
	{ SET(1, "timeout_ms = 1"), ONLY_THESE },
	{ SET(1, "grace_ms = 1"), ONLY_THESE },
	{ SET(1, "max_output = 65536"), ONLY_THESE },
	{ SET(1, "log_rotate = '1M'"), ONLY_THESE },
	{ SET(1, "leave_children = 1"), ONLY_THESE },
	{ SET(1, "failures = 1"), ONLY_THESE },
	{ SET(1, "progress = 1"), ONLY_THESE },
	{ SET(1, "progress_text = 'x'"), ONLY_THESE },
	{ SET(1, "result = '1'"), ONLY_THESE },
	{ SET(1, "reason = 'oom'"), ONLY_THESE },
	{ SET(1, "detail = 'x'"), ONLY_THESE },
	{ SET(1, "created_at = 1"), ONLY_THESE },
	{ SET(4, "ended_at = 1"), ONLY_THESE },
	{ SET(1, "ended_at = 1"), ONLY_THESE },
	{ SET(7, "wake_boot_ms = 1"), ONLY_THESE },
	{ SET(7, "wake_boot_id = 'x'"), ONLY_THESE },

	/* deletions */
	{ "DELETE FROM jobs WHERE id = 8", NULL },
	{ "DELETE FROM jobs WHERE id = 1", "this job is live" },
	{ "DELETE FROM jobs WHERE id = 2", "this job is live" },
	{ "DELETE FROM jobs WHERE id = 4", "a live job waits for this one" },
	{ "DELETE FROM jobs", "" },
	{ "DELETE FROM attempts WHERE job_id = 4", "attempts are history" },
	{ "DELETE FROM attempts WHERE job_id = 2", "this attempt has not ended" },

	/* keys and words */
	{ "INSERT INTO keys VALUES(1, 'k', 1)", NULL },
	{ "INSERT INTO keys VALUES(77, 'k', 1)", "there is no such job" },
	{ "INSERT INTO keys(key, max_running) VALUES('k', 1)", "there is no such job" },
	{ "INSERT INTO keys VALUES(9, 'k', 1)", "this job has a key already" },
	{ "INSERT OR REPLACE INTO keys VALUES(9, 'k', 1)", "this job has a key already" },
	{ "INSERT INTO keys VALUES(1, '', 1)", "CHECK" },
	{ "INSERT INTO keys VALUES(1, 'k' || " NUL ", 1)", HAS_NUL },
	{ "UPDATE keys SET max_running = 2", KEPT_KEY },
	{ "UPDATE OR REPLACE keys SET job_id = 1", KEPT_KEY },
	{ "DELETE FROM keys", KEPT_KEY },
	{ "INSERT INTO meta VALUES(1, 'a', '1')", NULL },
	{ "INSERT OR REPLACE INTO meta VALUES(9, 'a', '2')", NULL },
	{ "INSERT INTO meta VALUES(77, 'a', '1')", "there is no such job" },
	{ "INSERT INTO meta VALUES(1, 'a' || " NUL ", '1')", HAS_NUL },
	{ "INSERT INTO meta VALUES(1, 'a', '1' || " NUL ")", HAS_NUL },
	{ "INSERT OR REPLACE INTO meta VALUES(9, 'a', " NUL ")", HAS_NUL },
	{ "UPDATE meta SET name = 'b' || " NUL, HAS_NUL },
	{ "UPDATE meta SET value = '1' || " NUL, HAS_NUL },
	{ "UPDATE meta SET value = '2', name = 'b'", NULL },
	{ "UPDATE meta SET job_id = 1", "stay with it" },
	{ "UPDATE OR REPLACE meta SET job_id = 77", "stay with it" },
	{ "DELETE FROM meta", NULL },

	/* groups */
	{ "INSERT INTO groups(job_id, name) VALUES(1, 'g')", NULL },
	{ "INSERT INTO groups(job_id, name) VALUES(1, 'g' || " NUL ")", HAS_NUL },
	{ "INSERT INTO groups(job_id, name) VALUES(1, 'g' || " NUL " || ' ')", HAS_NUL },

	/* everything else */
	{ "INSERT INTO attempts(job_id, attempt, generation, claimed_at) "
	  "VALUES(1, 1, 1, 1)", OUR_OWN },
	{ "UPDATE attempts SET pid = 1", OUR_OWN },
	{ "INSERT INTO events(at, event) VALUES(1, 'x')", OUR_OWN },
	{ "UPDATE events SET event = 'x'", "events are history" },
	{ "DELETE FROM events", "events are history" },
	{ "INSERT INTO dependencies VALUES(1, 2, 'done')", "submit --after" },
	{ "UPDATE dependencies SET kind = 'ended'", "submit --after" },
	{ "DELETE FROM dependencies", "is live" },
	{ "INSERT INTO foreign_cancels VALUES(1)", OUR_OWN },
	{ "INSERT INTO deletions VALUES(4)", OUR_OWN },
	{ "INSERT INTO generations(boot_id, pid, version, started_at) "
	  "VALUES('x', 1, 'x', 1)", OUR_OWN },
	{ "UPDATE generations SET boot_id = 'x'", OUR_OWN },
	{ "DELETE FROM generations", OUR_OWN },
	{ "UPDATE environments SET vars = '{}'", "shared by jobs" },
	{ "DELETE FROM environments", "shared by jobs" },
	{ "UPDATE supervisors SET max_children = 7 WHERE name = 'serial'", NULL },
	{ "UPDATE supervisors SET max_children = -1", "CHECK" },
	{ "UPDATE supervisors SET name = 'x' WHERE name = 'serial'", "keeps its name" },
	{ "UPDATE supervisors SET name = name || " NUL, "keeps its name" },
	{ "INSERT INTO supervisors(name) VALUES('a' || " NUL ")", "a supervisor is called" },
	{ "INSERT INTO supervisors(name, overflow) VALUES('a', 'wait' || " NUL ")", "CHECK" },
	{ "DELETE FROM supervisors", "built in" },
	{ "DELETE FROM writer", "guards all others" },
};

static void
check_write(struct outsider *outsider, const char *sql, const char *words)
{
	struct buf before = { 0 }, after = { 0 };
	int code;

	dump_all(outsider->handle, &before);
	assert_ok(outsider, "BEGIN IMMEDIATE");
	code = sqlite3_exec(outsider->handle, sql, NULL, NULL, NULL);
	if (words == NULL && code != SQLITE_OK)
		fail_msg("%s: %s", sql, last_error(outsider));
	if (words == NULL)
		assert_string_equal(
		    ask(outsider->handle, "SELECT is_writing FROM writer"), "0");
	if (words != NULL && code == SQLITE_OK)
		fail_msg("%s: was not refused", sql);
	if (words != NULL && strstr(last_error(outsider), words) == NULL)
		fail_msg("%s: refused, but as: %s", sql, last_error(outsider));
	if (words == NULL)
		assert_ok(outsider, "ROLLBACK");
	else
		assert_ok(outsider, "COMMIT");
	dump_all(outsider->handle, &after);
	assert_string_equal(buf_text(&before), buf_text(&after));
	buf_done(&before);
	buf_done(&after);
}

static void
check_writes(struct outsider *outsider, const char *settings)
{
	struct subject *subject = &outsider->subject;
	struct batch batch;
	struct step *step;

	make_jobs(subject);
	batch_init(&batch);
	step = add_submit(&batch, "");
	strings_add(&step->submit.environment, "A=1");
	run_ok(subject, &batch);
	batch_done(&batch);
	assert_ok(outsider, "INSERT INTO keys VALUES(9, 'k', 1);"
			    "INSERT INTO meta VALUES(9, 'a', '1')");
	assert_ok(outsider, settings);
	for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++)
		check_write(outsider, writes[i].sql, writes[i].words);
}

static void
writes_of_others_work_where_they_may_and_are_refused_elsewhere(void **state)
{
	check_writes(*state, "PRAGMA recursive_triggers = OFF");
}

static void
writes_of_others_are_guarded_whatever_their_settings(void **state)
{
	check_writes(*state, "PRAGMA recursive_triggers = ON; PRAGMA foreign_keys = ON");
}

static void
key_and_words_go_with_their_job_when_it_is_deleted(void **state)
{
	struct outsider *outsider = *state;

	submit(&outsider->subject, "");
	assert_ok(outsider, "INSERT INTO keys VALUES(1, 'k', 1);"
			    "INSERT INTO meta VALUES(1, 'a', '1');"
			    "UPDATE jobs SET status = 'cancelled';"
			    "PRAGMA foreign_keys = ON; DELETE FROM jobs");
	assert_string_equal(
	    ask(outsider->handle, "SELECT (SELECT count(*) FROM keys) + count(*) FROM meta"), "0");
}

/* Without the cascade they stay behind, and may be cleared away. */
static void
key_whose_job_is_gone_may_be_deleted(void **state)
{
	struct outsider *outsider = *state;

	submit(&outsider->subject, "");
	assert_ok(outsider, "INSERT INTO keys VALUES(1, 'k', 1);"
			    "UPDATE jobs SET status = 'cancelled';"
			    "PRAGMA foreign_keys = OFF; DELETE FROM jobs; DELETE FROM keys");
}

/* Its row was there before the job that would get the id. */
static void
key_of_a_job_to_come_is_refused_and_harms_no_submission(void **state)
{
	struct outsider *outsider = *state;

	assert_int_not_equal(sqlite3_exec(outsider->handle, "INSERT INTO keys VALUES(1, 'k', 1)",
				 NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(submit(&outsider->subject, "key=k limit=1"), 1);
}

static bool
takes_supervisor(struct outsider *outsider, const char *name)
{
	char *sql = sqlite3_mprintf("INSERT INTO supervisors(name) VALUES(%Q)", name);
	int code;

	assert_ok(outsider, "BEGIN");
	code = sqlite3_exec(outsider->handle, sql, NULL, NULL, NULL);
	if (code != SQLITE_OK && strlen(name) <= NAME_MAX_LENGTH)
		assert_non_null(strstr(last_error(outsider), "a supervisor is called"));
	assert_ok(outsider, "ROLLBACK");
	sqlite3_free(sql);
	return code == SQLITE_OK;
}

static void
supervisor_name_is_taken_from_others_if_the_program_takes_it(void **state)
{
	static const char *const names[] = { "1 x", "1q", "a b", "a/b", "", "-a", "caf\u00e9",
		"\u00e9", "_", "Z", "a.b:c-d_9", "a\x1b[31m", "a\n" };
	char longest[NAME_SIZE + 1];
	struct outsider *outsider = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i][0] != '\0')
			assert_int_equal(takes_supervisor(outsider, names[i]),
			    text_is_name(names[i]));
	}
	for (int byte = 1; byte < 128; byte++) {
		char first[] = { (char)byte, '\0' }, second[] = { 'a', (char)byte, '\0' };

		assert_int_equal(takes_supervisor(outsider, first), text_is_name(first));
		assert_int_equal(takes_supervisor(outsider, second), text_is_name(second));
	}
	memset(longest, 'x', sizeof(longest));
	longest[NAME_MAX_LENGTH + 1] = '\0';
	assert_false(takes_supervisor(outsider, longest));
	longest[NAME_MAX_LENGTH] = '\0';
	assert_true(takes_supervisor(outsider, longest));
	assert_int_not_equal(sqlite3_exec(outsider->handle, "INSERT INTO supervisors(name) "
		"VALUES('a' || char(0) || 'b')", NULL, NULL, NULL), SQLITE_OK);
}

/* A turn of ours that finds nothing to do is enough. */
static void
guards_that_were_switched_off_are_on_again_after_our_next_turn(void **state)
{
	struct outsider *outsider = *state;
	struct batch batch;

	for (int submits = 0; submits < 2; submits++) {
		assert_ok(outsider, "UPDATE writer SET is_writing = 1");
		batch_init(&batch);
		if (submits)
			add_submit(&batch, "");
		else
			batch_add(&batch, STEP_DUE, NULL, NULL);
		run_ok(&outsider->subject, &batch);
		batch_done(&batch);
		check_write(outsider, "DELETE FROM generations", OUR_OWN);
	}
}

/* ---- new jobs ---- */

static void
insert_of_a_command_is_a_complete_submission(void **state)
{
	struct outsider *outsider = *state;
	const struct spec *spec;
	struct batch batch;
	struct step *step;

	assert_ok(outsider, "INSERT INTO jobs(command) VALUES('[\"make\",\"report\"]')");
	batch_init(&batch);
	step = add_claim(&batch, "default", 1);
	run_ok(&outsider->subject, &batch);
	assert_int_equal(step->claim.ret_count, 1);
	spec = &step->claim.ret_jobs[0].spec;
	assert_int_equal(spec->command.count, 2);
	assert_string_equal(spec->command.items[0], "make");
	assert_string_equal(spec->command.items[1], "report");
	assert_string_equal(spec->cwd, "/");
	assert_int_equal(spec->retry.max_retries, RETRY_DEFAULT_MAX_RETRIES);
	assert_true(spec->timeout_ms == SPEC_UNSET && spec->umask == SPEC_UNSET);
	assert_null(step->claim.ret_jobs[0].environment);
	batch_done(&batch);
}

static void
insert_may_give_every_option(void **state)
{
	struct outsider *outsider = *state;
	const struct claimed_job *claimed;
	struct batch batch;
	struct step *step;

	assert_ok(outsider,
	    "INSERT INTO environments(hash, vars) VALUES(1, '{\"A\":\"1\"}');"
	    "INSERT INTO jobs(command, name, cwd, environment, umask, stdin, "
	    "max_retries, timeout_ms, grace_ms, max_output, leave_children, backoff) "
	    "VALUES('[\"x\"]', 'a', '/usr', last_insert_rowid(), 63, '/etc/hosts', 0, "
	    "1500, 0, 65536, 1, 'linear:2s')");
	batch_init(&batch);
	step = add_claim(&batch, "default", 1);
	run_ok(&outsider->subject, &batch);
	claimed = &step->claim.ret_jobs[0];
	assert_string_equal(claimed->spec.name, "a");
	assert_string_equal(claimed->spec.cwd, "/usr");
	assert_string_equal(claimed->spec.stdin_path, "/etc/hosts");
	assert_int_equal(claimed->spec.umask, 077);
	assert_int_equal(claimed->spec.timeout_ms, 1500);
	assert_int_equal(claimed->spec.grace_ms, 0);
	assert_true(claimed->spec.leaves_children);
	assert_string_equal(claimed->environment->items[0], "A=1");
	batch_done(&batch);
}

static void
insert_of_nonsense_ends_failed_in_words(void **state)
{
	struct outsider *outsider = *state;
	struct subject *subject = &outsider->subject;
	struct batch batch;
	struct step *step;

	assert_ok(outsider,
	    "INSERT INTO environments(id, hash, vars) VALUES(1, 1, '{\"A\":1}'),"
	    "(2, 1, '{\"A=B\":\"1\"}');"
	    "INSERT INTO jobs(command) VALUES('[\"a\",1]'), ('[\"\"]'), ('[[\"a\"]]'),"
	    "('[\"a\\u0000b\"]'), (CAST(x'5b22e9225d' AS TEXT));"
	    "INSERT INTO jobs(command, environment) VALUES('[\"a\"]', 1), ('[\"a\"]', 2);"
	    "INSERT INTO jobs(command, backoff) VALUES('[\"a\"]', 'now and then');"
	    "INSERT INTO jobs(command) VALUES('[\"fine\"]')");
	batch_init(&batch);
	step = add_claim(&batch, "default", 1);
	run_ok(subject, &batch);
	assert_int_equal(step->claim.ret_refused, 8);
	assert_int_equal(batch.ended_count, 8);
	assert_int_equal(step->claim.ret_count, 1);
	assert_int_equal(step->claim.ret_jobs[0].key.job, 9);
	batch_done(&batch);
	for (int job = 1; job <= 8; job++)
		assert_string_equal(status_of(subject, job), "failed spawn:EINVAL");
	assert_string_equal(ask(outsider->handle, "SELECT detail FROM jobs WHERE id = 1"),
	    "command is not an array of strings that begins with a program");
	assert_string_equal(ask(outsider->handle, "SELECT detail FROM jobs WHERE id = 6"),
	    "its environment is not an object of strings");
	assert_string_equal(
	    ask(outsider->handle, "SELECT detail FROM events WHERE event = 'failed'"),
	    "command is not an array of strings that begins with a program");
}

static void
insert_with_a_time_waits_for_it(void **state)
{
	struct outsider *outsider = *state;
	struct batch batch;
	struct step *step;

	assert_ok(outsider, "INSERT INTO jobs(command, wake_at) VALUES('[\"x\"]', "
			    "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) "
			    "+ 7200000)");
	batch_init(&batch);
	step = batch_add(&batch, STEP_DUE, NULL, NULL);
	run_ok(&outsider->subject, &batch);
	assert_in_range(step->due.ret_next_ms, HOUR_MS, 2 * HOUR_MS + 1);
	clock_shift(2 * HOUR_MS + 1000, 0);
	run_ok(&outsider->subject, &batch);
	assert_int_equal(step->due.ret_woken, 1);
	batch_done(&batch);
}

/* ---- cancels ---- */

static void
cancel_of_a_waiting_job_ends_it(void **state)
{
	struct outsider *outsider = *state;

	submit(&outsider->subject, "in=1h name=a hold");
	assert_ok(outsider, "UPDATE jobs SET status = 'cancelled' WHERE id = 1");
	assert_string_equal(status_of(&outsider->subject, 1), "cancelled cancelled");
	assert_string_equal(
	    ask(outsider->handle,
		"SELECT ended_at IS NOT NULL AND hold IS NULL AND wake_at "
		"IS NULL AND wake_boot_ms IS NULL FROM jobs WHERE id = 1"),
	    "1");
	assert_string_equal(
	    ask(outsider->handle, "SELECT event FROM events WHERE job_id = 1"),
	    "cancelled");
	assert_int_equal(submit(&outsider->subject, "name=a"), 2);
	assert_int_equal(change(&outsider->subject, 2, JOB_CANCEL), STEP_OK);
	assert_int_equal(change(&outsider->subject, 1, JOB_RETRY), STEP_OK);
}

static void
cancel_of_a_waiting_job_is_told_to_all_that_wait_for_it(void **state)
{
	struct outsider *outsider = *state;
	struct subject *subject = &outsider->subject;
	struct batch batch;

	submit(subject, "hold");
	submit(subject, "after=1");
	submit(subject, "after-any=1");
	assert_ok(outsider, "UPDATE jobs SET status = 'cancelled' WHERE id = 1");
	assert_int_not_equal(sqlite3_exec(outsider->handle, "DELETE FROM foreign_cancels",
				 NULL, NULL, NULL),
	    SQLITE_OK);
	batch_init(&batch);
	batch_add(&batch, STEP_DUE, NULL, NULL);
	run_ok(subject, &batch);
	assert_int_equal(batch.ended_count, 2);
	assert_int_equal(batch.ended[0].job, 1);
	assert_int_equal(batch.ended[0].reason.kind, REASON_CANCELLED);
	assert_int_equal(batch.ended[1].job, 2);
	assert_int_equal(batch.released, 1);
	run_ok(subject, &batch);
	assert_int_equal(batch.ended_count, 0); /* once */
	batch_done(&batch);
	assert_string_equal(status_of(subject, 2), "cancelled dependency");
	assert_int_equal(claim(subject, "default").job, 3);
}

static void
cancel_while_nobody_runs_is_told_at_the_next_start(void **state)
{
	struct outsider *outsider = *state;
	struct subject *subject = &outsider->subject;

	submit(subject, "hold");
	submit(subject, "after=1");
	assert_ok(outsider, "UPDATE jobs SET status = 'cancelled' WHERE id = 1");
	subject_restart(subject);
	assert_string_equal(status_of(subject, 2), "cancelled dependency");
}

static void
cancel_before_a_reopen_is_told_after_it(void **state)
{
	struct outsider *outsider = *state;
	struct subject *subject = &outsider->subject;

	submit(subject, "hold");
	submit(subject, "after=1");
	assert_ok(outsider, "UPDATE jobs SET status = 'cancelled' WHERE id = 1");
	assert_int_equal(store_reopen(subject->store), STORE_OK);
	submit(subject, "");
	assert_string_equal(status_of(subject, 2), "cancelled dependency");
}

static void
cancel_of_a_process_is_a_wish(void **state)
{
	struct outsider *outsider = *state;
	struct subject *subject = &outsider->subject;
	struct attempt_key running, claimed;
	struct batch batch;
	struct step *step;

	submit(subject, "");
	running = start(subject);
	submit(subject, "");
	claimed = claim(subject, "default");
	assert_int_equal(stopping(subject, running, REASON_INTERRUPTED), STEP_OK);
	assert_ok(outsider, "UPDATE jobs SET status = 'cancelled'");
	assert_string_equal(status_of(subject, 1), "running");
	assert_string_equal(status_of(subject, 2), "new");
	batch_init(&batch);
	step = batch_add(&batch, STEP_OPEN, NULL, NULL);
	run_ok(subject, &batch);
	assert_int_equal(step->open.ret_attempts[0].stop.kind, REASON_CANCELLED);
	assert_int_equal(step->open.ret_attempts[1].stop.kind, REASON_CANCELLED);
	batch_done(&batch);
	assert_int_equal(ended(subject, running, "signal:TERM"), STEP_OK);
	assert_string_equal(status_of(subject, 1), "cancelled cancelled");
	assert_int_equal(withdraw(subject, claimed), STEP_OK);
	assert_string_equal(status_of(subject, 2), "cancelled cancelled");
}

/* ---- fewer retries than there were failures ---- */

static void
max_retries_below_the_failures_ends_a_job_that_waits_for_its_retry(void **state)
{
	struct outsider *outsider = *state;
	struct subject *subject = &outsider->subject;
	struct batch batch;

	submit(subject, "backoff=constant:1h name=a");
	assert_int_equal(ended(subject, start(subject), "exit:3"), STEP_OK);
	submit(subject, "after=1");
	submit(subject, "after-any=1");
	assert_ok(outsider, "UPDATE jobs SET max_retries = 1 WHERE id = 1");
	assert_string_equal(status_of(subject, 1), "errored");
	assert_ok(outsider, "UPDATE jobs SET max_retries = 0, hold = 'user', wake_at = wake_at + 1 "
			    "WHERE id = 1");
	assert_string_equal(status_of(subject, 1), "failed exit:3");
	assert_string_equal(
	    ask(outsider->handle,
		"SELECT ended_at IS NOT NULL AND hold IS NULL AND wake_at IS NULL AND "
		"wake_boot_ms IS NULL AND reason IS NULL AND failures = 1 FROM jobs WHERE id = 1"),
	    "1");
	assert_string_equal(ask(outsider->handle, "SELECT event || attempt FROM events "
						  "WHERE job_id = 1 ORDER BY seq DESC LIMIT 1"),
	    "failed1");
	assert_string_equal(ask(outsider->handle, "SELECT is_writing FROM writer"), "0");
	batch_init(&batch);
	batch_add(&batch, STEP_DUE, NULL, NULL);
	run_ok(subject, &batch);
	assert_int_equal(batch.ended_count, 2);
	assert_int_equal(batch.ended[0].job, 1);
	assert_int_equal(batch.ended[0].status, JOB_FAILED);
	assert_int_equal(batch.ended[0].reason.kind, REASON_EXIT);
	assert_int_equal(batch.ended[0].reason.number, 3);
	assert_int_equal(batch.ended[1].job, 2);
	assert_int_equal(batch.released, 1);
	batch_done(&batch);
	assert_string_equal(status_of(subject, 2), "cancelled dependency");
	assert_int_equal(claim(subject, "default").job, 3);
	assert_int_equal(change(subject, 1, JOB_RETRY), STEP_OK);
}

/* One that has never failed may run, and so may one whose run was decided before. */
static void
max_retries_set_to_0_ends_no_job_that_has_not_failed_or_is_claimed(void **state)
{
	struct outsider *outsider = *state;
	struct subject *subject = &outsider->subject;
	struct attempt_key claimed;

	submit(subject, "");
	assert_int_equal(ended(subject, start(subject), "exit:3"), STEP_OK);
	submit(subject, "hold");
	assert_int_equal(change(subject, 1, JOB_RETRY), STEP_OK);
	claimed = claim(subject, "default");
	assert_ok(outsider, "UPDATE jobs SET max_retries = 0");
	assert_string_equal(status_of(subject, 1), "errored");
	assert_string_equal(status_of(subject, 2), "new");
	assert_int_equal(started(subject, claimed), STEP_OK);
	assert_int_equal(ended(subject, claimed, "exit:4"), STEP_OK);
	assert_string_equal(status_of(subject, 1), "failed exit:4");
}

/* ---- other changes ---- */

static void
wake_at_moved_from_outside_goes_by_the_wall_clock(void **state)
{
	struct outsider *outsider = *state;
	struct batch batch;

	submit(&outsider->subject, "in=1h");
	assert_ok(outsider, "UPDATE jobs SET wake_at = wake_at + 3600000");
	assert_string_equal(ask(outsider->handle, "SELECT wake_boot_ms FROM jobs"), "-");
	clock_shift(0, 5 * HOUR_MS);
	batch_init(&batch);
	batch_add(&batch, STEP_DUE, NULL, NULL);
	run_ok(&outsider->subject, &batch);
	assert_int_equal(batch.steps[0]->due.ret_woken, 0);
	clock_shift(2 * HOUR_MS + 1000, 0);
	run_ok(&outsider->subject, &batch);
	assert_int_equal(batch.steps[0]->due.ret_woken, 1);
	batch_done(&batch);
}

static void
wake_at_set_to_null_from_outside_is_now(void **state)
{
	struct outsider *outsider = *state;

	submit(&outsider->subject, "in=1h");
	assert_ok(outsider, "UPDATE jobs SET wake_at = NULL");
	assert_int_equal(claim(&outsider->subject, "default").job, 1);
}

/* What was claimed before may start all the same; what was not, stays held. */
static void
hold_of_a_claimed_job_from_outside_holds_it_unless_it_starts(void **state)
{
	struct outsider *outsider = *state;
	struct subject *subject = &outsider->subject;
	struct attempt_key starts, withdrawn;

	submit(subject, "");
	starts = claim(subject, "default");
	submit(subject, "");
	withdrawn = claim(subject, "default");
	assert_ok(outsider, "UPDATE jobs SET hold = 'user', wake_at = 1");
	assert_int_equal(started(subject, starts), STEP_OK);
	assert_int_equal(withdraw(subject, withdrawn), STEP_OK);
	assert_string_equal(status_of(subject, 1), "running");
	assert_int_equal(claim_count(subject, "default", 9), 0);
	assert_int_equal(ended(subject, starts, "interrupted"), STEP_OK);
	assert_string_equal(status_of(subject, 1), "new");
}

static void
priority_changed_from_outside_counts(void **state)
{
	struct outsider *outsider = *state;

	submit(&outsider->subject, "");
	submit(&outsider->subject, "");
	assert_ok(outsider, "UPDATE jobs SET priority = 0 WHERE id = 2");
	assert_int_equal(claim(&outsider->subject, "default").job, 2);
}

static void
delay_counts_by_the_wall_clock_after_a_reboot(void **state)
{
	struct outsider *outsider = *state;
	struct batch batch;
	struct step *step;

	submit(&outsider->subject, "in=3h");
	/* As if it had been written in another boot, whose clock stood elsewhere. */
	assert_ok(outsider, "UPDATE writer SET is_writing = 1;"
			    "UPDATE jobs SET wake_boot_ms = 1, wake_boot_id = 'another';"
			    "UPDATE writer SET is_writing = 0");
	clock_shift(HOUR_MS, 77 * HOUR_MS);
	subject_restart(&outsider->subject);
	batch_init(&batch);
	step = batch_add(&batch, STEP_DUE, NULL, NULL);
	run_ok(&outsider->subject, &batch);
	assert_int_equal(step->due.ret_woken, 0);
	assert_in_range(step->due.ret_next_ms, HOUR_MS, 2 * HOUR_MS);
	clock_shift(HOUR_MS, 79 * HOUR_MS + 1000);
	run_ok(&outsider->subject, &batch);
	assert_int_equal(step->due.ret_woken, 1);
	batch_done(&batch);
}

static void
open_attempt_of_another_boot_is_told_as_such(void **state)
{
	struct outsider *outsider = *state;
	struct batch batch;

	submit(&outsider->subject, "");
	start(&outsider->subject);
	assert_ok(outsider, "UPDATE writer SET is_writing = 1;"
			    "UPDATE generations SET boot_id = 'another';"
			    "UPDATE writer SET is_writing = 0");
	batch_init(&batch);
	batch_add(&batch, STEP_OPEN, NULL, NULL);
	run_ok(&outsider->subject, &batch);
	assert_false(batch.steps[0]->open.ret_attempts[0].is_same_boot);
	batch_done(&batch);
}

/* Behind the guards' backs: it can be ended, and is not told of for ever. */
static void
attempt_whose_job_vanished_is_open_until_it_ends(void **state)
{
	struct outsider *outsider = *state;
	struct subject *subject = &outsider->subject;
	struct attempt_key key;
	struct batch batch;
	struct step *step;

	submit(subject, "");
	key = start(subject);
	assert_ok(outsider, "UPDATE writer SET is_writing = 1; DELETE FROM jobs;"
			    "UPDATE writer SET is_writing = 0");
	batch_init(&batch);
	step = batch_add(&batch, STEP_OPEN, NULL, NULL);
	run_ok(subject, &batch);
	assert_int_equal(step->open.ret_count, 1);
	assert_string_equal(step->open.ret_attempts[0].supervisor, "");
	assert_int_equal(ended(subject, key, "signal:KILL"), STEP_STALE);
	run_ok(subject, &batch);
	assert_int_equal(step->open.ret_count, 0);
	batch_done(&batch);
}

/* ---- views ---- */

static void
views_tell_what_each_job_waits_for(void **state)
{
	struct outsider *outsider = *state;

	make_jobs(&outsider->subject);
	assert_string_equal(
	    ask(outsider->handle, "SELECT group_concat(job_id || ' ' || cause) "
				  "FROM (SELECT * FROM waiting ORDER BY job_id)"),
	    "1 place,3 time,5 claimed,6 dependency,7 time,9 held");
	assert_string_equal(
	    ask(outsider->handle, "SELECT waits_for FROM waiting WHERE job_id = 6"), "1");
	assert_string_equal(
	    ask(outsider->handle, "SELECT line FROM waiting WHERE job_id = 1"), "1");
	assert_string_equal(
	    ask(outsider->handle,
		"SELECT group_concat(name || ' ' || running || ' ' || new || "
		"' ' || errored || ' ' || held) FROM supervisor_list"),
	    "default 0 5 1 2,serial 1 0 0 0,servers 0 0 0 0");
}

static void
views_can_be_read_by_anybody(void **state)
{
	static const char *const views[] = { "job_list", "attempt_list", "event_list",
		"waiting", "supervisor_list" };
	struct outsider *outsider = *state;

	make_jobs(&outsider->subject);
	assert_ok(outsider, "PRAGMA query_only = ON");
	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
		char *sql = xasprintf("SELECT count(*) > 0 FROM %s", views[i]);

		assert_string_equal(ask(outsider->handle, sql), "1");
		free(sql);
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(writes_of_others_work_where_they_may_and_are_refused_elsewhere),
		TEST(writes_of_others_are_guarded_whatever_their_settings),
		TEST(key_and_words_go_with_their_job_when_it_is_deleted),
		TEST(key_whose_job_is_gone_may_be_deleted),
		TEST(key_of_a_job_to_come_is_refused_and_harms_no_submission),
		TEST(supervisor_name_is_taken_from_others_if_the_program_takes_it),
		TEST(guards_that_were_switched_off_are_on_again_after_our_next_turn),
		TEST(insert_of_a_command_is_a_complete_submission),
		TEST(insert_may_give_every_option),
		TEST(insert_of_nonsense_ends_failed_in_words),
		TEST(insert_with_a_time_waits_for_it),
		TEST(cancel_of_a_waiting_job_ends_it),
		TEST(cancel_of_a_waiting_job_is_told_to_all_that_wait_for_it),
		TEST(cancel_while_nobody_runs_is_told_at_the_next_start),
		TEST(cancel_before_a_reopen_is_told_after_it),
		TEST(cancel_of_a_process_is_a_wish),
		TEST(max_retries_below_the_failures_ends_a_job_that_waits_for_its_retry),
		TEST(max_retries_set_to_0_ends_no_job_that_has_not_failed_or_is_claimed),
		TEST(wake_at_moved_from_outside_goes_by_the_wall_clock),
		TEST(wake_at_set_to_null_from_outside_is_now),
		TEST(hold_of_a_claimed_job_from_outside_holds_it_unless_it_starts),
		TEST(priority_changed_from_outside_counts),
		TEST(delay_counts_by_the_wall_clock_after_a_reboot),
		TEST(open_attempt_of_another_boot_is_told_as_such),
		TEST(attempt_whose_job_vanished_is_open_until_it_ends),
		TEST(views_tell_what_each_job_waits_for),
		TEST(views_can_be_read_by_anybody),
	};

	return cmocka_run_group_tests_name("store schema", tests, NULL, NULL);
}
