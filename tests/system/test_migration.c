/*
 * An older database: brought up whole or left as it was, whatever is killed in between. And
 * files that are not ours, or not there any more.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/helper.h"
#include "support/outside.h"

#include "store/db.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
database_path(struct instance *i, char path[400])
{
	snprintf(path, 400, "%s/jobberd.db", i->state);
}

/* Ours by its mark, and of version 0: the migrations have it all to do. */
static void
make_old_database(struct instance *i)
{
	char path[400], mark[100];
	sqlite3 *database;

	assert_int_equal(mkdir(i->state, 0700), 0);
	database_path(i, path);
	assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
	snprintf(mark, sizeof(mark), "PRAGMA journal_mode = WAL; PRAGMA application_id = %d",
	    DB_APPLICATION_ID);
	other_run(database, mark);
	other_close(database);
}

/* Each with the version that it had before or will have, and nothing in between. */
static int
migrate_under(struct instance *i, const char *expression)
{
	const char *arguments[] = { "strace", "-f", "-qq", "-o", "/dev/null", "-e", expression,
		getenv("JOBBERD"), "-C", i->state, "migrate", NULL };
	struct helper helper;
	int status;

	helper_start(&helper, NULL, arguments);
	status = helper_wait(&helper);
	helper_end(&helper);
	return status;
}

/* 0 or 1: is it the new one? Fails if it is neither. */
static int
is_migrated(struct instance *i)
{
	int64_t version = sql_number(i, "PRAGMA user_version");
	int64_t tables = sql_number(i, "SELECT count(*) FROM sqlite_schema");
	char *sound = sql(i, "PRAGMA integrity_check");

	assert_string_equal(sound, "ok");
	free(sound);
	if (version == 0) {
		assert_int_equal(tables, 0);
		return 0;
	}
	assert_int_equal(sql_number(i, "SELECT count(*) FROM jobs"), 0);
	assert_int_equal(sql_number(i, "SELECT count(*) FROM supervisors"), 3);
	return 1;
}

static void
sweep(const char *call, int *ret_old, int *ret_new)
{
	char expression[100];

	for (int when = 1;; when++) {
		struct instance i;
		int status;

		instance_init(&i);
		make_old_database(&i);
		snprintf(expression, sizeof(expression), "inject=%s:signal=SIGKILL:when=%d",
		    call, when);
		status = migrate_under(&i, expression);
		if (is_migrated(&i))
			++*ret_new;
		else
			++*ret_old;
		if (status == 0) /* there were not so many */
			assert_int_equal(is_migrated(&i), 1);
		else { /* … and what was killed is done the next time */
			struct result result = jobberd(&i, "migrate", NULL);

			assert_int_equal(result.status, 0);
			result_done(&result);
			assert_int_equal(is_migrated(&i), 1);
		}
		instance_done(&i);
		if (status == 0)
			return;
	}
}

static void
migration_killed_at_any_write_or_sync_is_whole_or_not_begun(void **state)
{
	int old = 0, new = 0;

	(void)state;
	sweep("pwrite64", &old, &new);
	sweep("fdatasync", &old, &new);
	print_message("%d old, %d new\n", old, new);
	assert_true(old > 5 && new > 2);
}

/* ---- not ours ---- */

static void
assert_refused(struct instance *i, const char *words)
{
	struct result result;

	instance_launch(i, NULL);
	instance_expect(i, words);
	assert_int_equal(instance_wait(i), 78);
	instance_forget_log(i);
	result = jobberd(i, "submit", "--", "true", NULL);
	assert_int_equal(result.status, 78);
	assert_has(result.err, words);
	result_done(&result);
}

static void
database_with_the_mark_of_another_program_is_refused(void **state)
{
	struct instance i;
	char path[400];
	sqlite3 *database;

	(void)state;
	instance_init(&i);
	assert_int_equal(mkdir(i.state, 0700), 0);
	database_path(&i, path);
	assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
	other_run(database, "PRAGMA application_id = 252006674");
	other_close(database);
	assert_refused(&i, "belongs to another program");
	assert_int_equal(sql_number(&i, "PRAGMA application_id"), 252006674);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM sqlite_schema"), 0);
	instance_done(&i);
}

static void
empty_file_becomes_a_database(void **state)
{
	struct instance i;
	char path[400];
	int fd;

	(void)state;
	instance_init(&i);
	assert_int_equal(mkdir(i.state, 0700), 0);
	database_path(&i, path);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close(fd);
	submit_job(&i, "--", "true", NULL);
	instance_start(&i, "--drain", NULL);
	assert_int_equal(instance_wait(&i), 0);
	check_accounts(&i);
	instance_done(&i);
}

/* ---- deleted, replaced ---- */

/* There is no database any more that knows their pids. */
static void
kill_both(struct instance *i)
{
	kill(i->keeper, SIGKILL);
	instance_wait(i);
	wait_until_nothing_runs(i);
}

/* Refused at once, or waiting for the file to come back: in words. */
static void
assert_not_acknowledged(struct instance *i)
{
	static const char words[] = "the database cannot be read or written";
	struct helper submit;

	helper_jobberd(&submit, i, NULL, "submit", "--", "true", NULL);
	helper_expect(&submit, words);
	if (helper_runs_for(&submit, 100))
		kill(submit.pid, SIGTERM);
	assert_int_not_equal(helper_wait(&submit), 0);
	assert_string_equal(submit.out.text, "");
	helper_end(&submit);
}

/* Nothing is acknowledged into a file that nobody will find again. */
static void
database_deleted_under_the_supervisor_acknowledges_nothing(void **state)
{
	struct instance i;
	struct result result;
	char path[400];

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--", "true", NULL);
	assert_int_equal(wait_job(&i, 1), 0);
	database_path(&i, path);
	assert_int_equal(unlink(path), 0);
	assert_not_acknowledged(&i);
	result = jobberd(&i, "status", NULL);
	assert_has(result.out, "trouble: ");
	result_done(&result);
	kill_both(&i);
	instance_done(&i);
}

/* A number that tells whether a file has changed. */
static uint64_t
file_sum(const char *path)
{
	uint64_t sum = 1;
	FILE *file = fopen(path, "re");

	assert_non_null(file);
	for (int byte; (byte = getc(file)) != EOF;)
		sum = (sum ^ (unsigned)byte) * UINT64_C(1099511628211);
	fclose(file);
	return sum;
}

static void
database_replaced_under_the_supervisor_is_not_written_to(void **state)
{
	struct instance i, other;
	char path[400], log_path[410], new_path[400];
	uint64_t before, log_before;

	(void)state;
	instance_init(&i);
	instance_init(&other);
	instance_start(&i, NULL);
	submit_job(&i, "--", "true", NULL);
	assert_int_equal(wait_job(&i, 1), 0);
	submit_job(&other, "--hold", "--", "false", NULL);
	database_path(&i, path);
	snprintf(log_path, sizeof(log_path), "%s-wal", path);
	database_path(&other, new_path);
	free(sql(&other, "PRAGMA wal_checkpoint(TRUNCATE)"));
	assert_int_equal(rename(new_path, path), 0);
	before = file_sum(path);
	log_before = file_sum(log_path);
	assert_not_acknowledged(&i);
	assert_not_acknowledged(&i);
	assert_true(file_sum(path) == before);
	assert_true(file_sum(log_path) == log_before);
	kill_both(&i);
	instance_done(&other);
	instance_done(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(database_with_the_mark_of_another_program_is_refused),
		cmocka_unit_test(empty_file_becomes_a_database),
		cmocka_unit_test(database_deleted_under_the_supervisor_acknowledges_nothing),
		cmocka_unit_test(database_replaced_under_the_supervisor_is_not_written_to),
	};
	const struct CMUnitTest injected[] = {
		cmocka_unit_test(migration_killed_at_any_write_or_sync_is_whole_or_not_begun),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	if (!IS_SANITIZED)
		failed += cmocka_run_group_tests(injected, NULL, NULL);
	return failed;
}
