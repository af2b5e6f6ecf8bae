/* Disks that are full, broken, or have other things on them than we left there. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/helper.h"
#include "support/outside.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define LARGE 100000 /* bytes of an argument that need more room than is left over */

static char *
large_argument(void)
{
	char *text = calloc(1, LARGE + 1);

	memset(text, 'x', LARGE);
	return text;
}

static int64_t
submit_waiting(struct instance *i, struct bell *pids, struct bell *go)
{
	char command[900];

	snprintf(command, sizeof(command), "echo $$ > %s; read x < %s; exit 7", pids->path,
	    go->path);
	return submit_job(i, "-r", "0", "--", "sh", "-c", command, NULL);
}

static void
assert_refused(struct instance *i, const char *words)
{
	char *argument = large_argument();
	struct helper submit;

	helper_jobberd(&submit, i, NULL, "submit", "--", "true", argument, NULL);
	assert_int_equal(helper_wait(&submit), 75);
	assert_string_equal(submit.out.text, "");
	assert_has(submit.err.text, words);
	helper_end(&submit);
	free(argument);
}

static void
assert_status_says(struct instance *i, const char *words)
{
	struct result result = jobberd(i, "status", NULL);

	assert_has(result.out, words);
	result_done(&result);
}

static void
full_disk_refuses_new_jobs_and_loses_no_end(void **state)
{
	struct instance i;
	struct bell pids, go;
	char *argument = large_argument(), *text;
	pid_t first, second;

	(void)state;
	instance_init(&i);
	if (!disk_mount(&i, "2m"))
		skip();
	instance_start(&i, "--max-children", "4", NULL);
	bell_init(&pids, &i, "pids");
	bell_init(&go, &i, "go");
	submit_waiting(&i, &pids, &go); /* 1 */
	first = (pid_t)bell_number(&pids);
	submit_waiting(&i, &pids, &go); /* 2 */
	second = (pid_t)bell_number(&pids);
	submit_job(&i, "--", "true", argument, NULL); /* 3 */
	assert_int_equal(wait_job(&i, 3), 0);
	disk_fill(&i);
	fifo_write(go.path, "go\n");
	fifo_write(go.path, "go\n");
	wait_reaped(first, 1000 * SLOWNESS);
	wait_reaped(second, 1000 * SLOWNESS);
	/* Ends wait for room; people are not kept waiting. */
	assert_refused(&i, "disk full");
	assert_refused(&i, "disk full");
	assert_status_says(&i, "trouble: disk full for ");
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE ended_at IS "
					"NULL"), 2);
	disk_free(&i);
	assert_int_equal(wait_job(&i, 1), 1);
	assert_int_equal(wait_job(&i, 2), 1);
	assert_int_equal(submit_job(&i, "--", "true", argument, NULL), 4);
	assert_int_equal(wait_job(&i, 4), 0);
	text = sql(&i, "SELECT group_concat(reason) FROM attempts");
	assert_string_equal(text, "exit:7,exit:7,normal,normal");
	free(text);
	free(argument);
	bell_done(&pids);
	bell_done(&go);
	instance_stop(&i);
	check_accounts(&i);
	disk_unmount(&i);
	instance_done(&i);
}

/* It comes up when there is room; people are not kept waiting for that. */
static void
assert_start_waits_for_room(struct instance *i)
{
	struct helper wait;

	assert_refused(i, "disk full: nothing was changed");
	assert_refused(i, "disk full: nothing was changed");
	expect(jobberd(i, "cancel", "1", NULL), 75, "", "disk full: nothing was changed");
	expect(jobberd(i, "prune", "--keep", "1", NULL), 75, "", "disk full: nothing was changed");
	assert_status_says(i, "starting for ");
	assert_status_says(i, "trouble: disk full for ");
	helper_jobberd(&wait, i, NULL, "wait", "1", NULL);
	assert_true(helper_runs_for(&wait, 700)); /* who waits for something else does */
	disk_free(i);
	assert_int_equal(helper_wait(&wait), 0);
	helper_end(&wait);
	instance_expect(i, "database is writable again after ");
	assert_int_equal(submit_job(i, "--", "true", NULL), 2);
	assert_int_equal(wait_job(i, 2), 0);
}

static void
finish_on_disk(struct instance *i)
{
	instance_stop(i);
	check_accounts(i);
	disk_unmount(i);
	instance_done(i);
}

static void
start_without_room_to_open_the_database_refuses_new_jobs_in_words(void **state)
{
	struct instance i;
	char path[400];

	(void)state;
	instance_init(&i);
	if (!disk_mount(&i, "2m"))
		skip();
	instance_start(&i, NULL);
	submit_job(&i, "--in", "1s", "--", "true", NULL);
	instance_stop(&i);
	instance_forget_log(&i);
	snprintf(path, sizeof(path), "%s/jobberd.db-shm", i.state);
	unlink(path);
	disk_fill(&i);
	instance_launch(&i, NULL);
	instance_expect(&i, "jobberd.db: disk full: the start waits for room");
	assert_start_waits_for_room(&i);
	assert_null(strstr(i.log, "started again"));
	finish_on_disk(&i);
}

/* The database can be opened, and nothing written. */
static void
supervisor_process_killed_on_a_full_disk_refuses_new_jobs_in_words(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	if (!disk_mount(&i, "2m"))
		skip();
	instance_start(&i, NULL);
	submit_job(&i, "--in", "1s", "--", "true", NULL);
	disk_fill(&i);
	kill(instance_supervisor_pid(&i), SIGKILL);
	instance_expect(&i, "started again");
	assert_start_waits_for_room(&i);
	finish_on_disk(&i);
}

/* As many as there is room for, then one by one as they are written anyway. */
static void
every_job_acknowledged_on_a_filling_disk_is_there_afterwards(void **state)
{
	struct instance i;
	char *argument = large_argument(), question[100];
	struct result result;
	int64_t acknowledged = 0;

	(void)state;
	instance_init(&i);
	if (!disk_mount(&i, "2m"))
		skip();
	instance_start(&i, NULL);
	for (;;) {
		result = jobberd(&i, "submit", "--hold", "--", "true", argument, NULL);
		if (result.status != 0)
			break;
		acknowledged = strtoll(result.out, NULL, 10);
		result_done(&result);
	}
	assert_int_equal(result.status, 75);
	assert_has(result.err, "disk full");
	result_done(&result);
	assert_true(acknowledged > 2);
	instance_kill_keeper(&i);
	snprintf(question, sizeof(question), "SELECT count(*) FROM jobs WHERE id <= %lld",
	    (long long)acknowledged);
	assert_int_equal(sql_number(&i, question), acknowledged);
	check_accounts(&i);
	free(argument);
	disk_unmount(&i);
	instance_done(&i);
}

/* Exactly what was printed is in, and the message says where to go on. */
static void
batch_on_a_filling_disk_is_in_as_far_as_printed(void **state)
{
	enum { JOBS = 9000 };
	struct instance i;
	struct result result;
	char *input = calloc(JOBS, 400), *at = input, words[64];
	int64_t printed = 0;

	(void)state;
	instance_init(&i);
	if (!disk_mount(&i, "4m"))
		skip();
	for (int n = 1; n <= JOBS; n++)
		at += sprintf(at, "exit %0300d\n", n);
	instance_start(&i, "--max-children", "0", NULL);
	result = jobberd_with_input(&i, input, "submit", "--batch", NULL);
	assert_int_equal(result.status, 75);
	for (at = result.out; *at != '\0'; at++)
		printed += *at == '\n';
	assert_between(printed, 1000, JOBS - 1000);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM jobs"), printed);
	snprintf(words, sizeof(words), "go on from line %lld", (long long)printed + 1);
	assert_has(result.err, "disk full");
	assert_has(result.err, words);
	result_done(&result);
	instance_kill_keeper(&i);
	check_accounts(&i);
	free(input);
	disk_unmount(&i);
	instance_done(&i);
}

/* Without its record the next keeper would start a second one beside it. */
static void
process_is_not_started_when_its_journal_record_cannot_be_written(void **state)
{
	struct instance i;
	struct helper strace;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--", "true", NULL);
	assert_int_equal(wait_job(&i, 1), 0);
	helper_strace_children(&strace, i.keeper, "inject=pwrite64:error=ENOSPC", NULL);
	submit_job(&i, "-r", "0", "--", "true", NULL);
	instance_expect(&i, "job=2 could not be started: No space left on device");
	assert_status_says(&i, "trouble: starting pauses: No space left on device");
	helper_end(&strace);
	assert_int_equal(wait_job(&i, 2), 0);
	assert_int_equal(sql_number(&i, "SELECT failures FROM jobs WHERE id = 2"), 0);
	instance_finish(&i);
}

/* ---- errors of the device ---- */

/* Submit two jobs while this happens to the supervisor process; what is acknowledged? */
static void
submit_under(struct instance *i, const char *expression, int64_t acknowledged[64],
    size_t *count)
{
	static const char *const commands[] = { "exit 0", "exit 3" };
	struct helper strace;

	helper_strace(&strace, instance_supervisor_pid(i), expression, NULL);
	for (size_t n = 0; n < 2; n++) {
		struct result result = jobberd(i, "submit", "-r", "0", "--", "sh", "-c",
		    commands[n], NULL);

		if (result.status == 0)
			acknowledged[(*count)++] = strtoll(result.out, NULL, 10);
		else
			assert_int_equal(result.status, 75);
		result_done(&result);
	}
	helper_end(&strace);
	/* It is well again: whatever it has to do, it does. */
	for (size_t n = 0; n < *count; n++)
		assert_between(wait_job(i, acknowledged[n]), 0, 1);
}

static void
check_acknowledged(struct instance *i, const int64_t *acknowledged, size_t count)
{
	char question[200];

	assert_true(count > 0);
	for (size_t n = 0; n < count; n++) {
		snprintf(question, sizeof(question),
		    "SELECT count(*) FROM attempts WHERE job_id = %lld AND reason IN "
		    "('normal', 'exit:3')",
		    (long long)acknowledged[n]);
		assert_int_equal(sql_number(i, question), 1);
	}
	instance_stop(i);
	check_accounts(i);
	assert_int_equal(sql_number(i, "SELECT count(*) FROM jobs WHERE status NOT IN "
				       "('done', 'failed')"), 0);
}

static void
failed_writes_and_syncs_lose_nothing_acknowledged(void **state)
{
	static const char *const faults[] = { "pwrite64:error=EIO", "pwrite64:error=ENOSPC",
		"fdatasync:error=EIO" };
	static const int most[] = { 6, 3, 3 };
	struct instance i;
	int64_t acknowledged[64];
	size_t count = 0;
	char expression[100];

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	for (size_t n = 0; n < 3; n++) {
		for (int when = 1; when <= most[n]; when++) {
			snprintf(expression, sizeof(expression), "inject=%s:when=%d", faults[n],
			    when);
			submit_under(&i, expression, acknowledged, &count);
		}
	}
	check_acknowledged(&i, acknowledged, count);
	instance_done(&i);
}

static void
death_at_any_write_or_sync_loses_nothing_acknowledged(void **state)
{
	static const char *const faults[] = { "pwrite64:signal=SIGKILL:when=1",
		"pwrite64:signal=SIGKILL:when=4", "fdatasync:signal=SIGKILL:when=1",
		"fdatasync:signal=SIGKILL:when=2" };
	struct instance i;
	int64_t acknowledged[64];
	size_t count = 0;
	char expression[100];

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	for (size_t n = 0; n < sizeof(faults) / sizeof(faults[0]); n++) {
		snprintf(expression, sizeof(expression), "inject=%s", faults[n]);
		submit_under(&i, expression, acknowledged, &count);
	}
	assert_true(sql_number(&i, "SELECT count(*) FROM generations") >= 4);
	check_acknowledged(&i, acknowledged, count);
	instance_done(&i);
}

static void
nothing_is_acknowledged_while_no_sync_succeeds(void **state)
{
	struct instance i;
	struct helper strace, submit;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	assert_sleeps(&i, 300); /* what it wrote at its start is synced: it does not know yet */
	helper_strace(&strace, instance_supervisor_pid(&i), "inject=fdatasync:error=EIO", NULL);
	helper_jobberd(&submit, &i, NULL, "submit", "--", "true", NULL);
	assert_true(helper_runs_for(&submit, 1500));
	assert_string_equal(submit.out.text, "");
	assert_status_says(&i, "trouble: the database cannot be read or written for ");
	helper_end(&strace);
	assert_int_equal(helper_wait(&submit), 0);
	assert_string_equal(submit.out.text, "1\n");
	helper_end(&submit);
	assert_int_equal(wait_job(&i, 1), 0);
	instance_finish(&i);
}

/* ---- somebody plays with the file ---- */

static void
nothing_is_acknowledged_while_the_database_is_moved_away(void **state)
{
	struct instance i;
	struct bell pids, go;
	char path[400], elsewhere[400], *text;
	pid_t pid;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&pids, &i, "pids");
	bell_init(&go, &i, "go");
	submit_waiting(&i, &pids, &go);
	pid = (pid_t)bell_number(&pids);
	snprintf(path, sizeof(path), "%s/jobberd.db", i.state);
	snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere.db", i.directory);
	assert_int_equal(rename(path, elsewhere), 0);
	assert_refused(&i, "the database cannot be read or written");
	fifo_write(go.path, "go\n");
	wait_reaped(pid, 1000 * SLOWNESS);
	assert_refused(&i, "the database cannot be read or written");
	assert_status_says(&i, "trouble: the database cannot be read or written for ");
	instance_expect(&i, "the database cannot be read or written");
	assert_int_equal(rename(elsewhere, path), 0);
	assert_int_equal(wait_job(&i, 1), 1);
	text = sql(&i, "SELECT reason FROM attempts");
	assert_string_equal(text, "exit:7");
	free(text);
	assert_int_equal(submit_job(&i, "--", "true", NULL), 2);
	assert_int_equal(wait_job(&i, 2), 0);
	bell_done(&pids);
	bell_done(&go);
	instance_finish(&i);
}

static char *
read_bytes(const char *path, size_t *ret_length)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat info;
	char *bytes;

	if (fd == -1 || fstat(fd, &info) == -1)
		fail_msg("cannot read %s", path);
	bytes = malloc((size_t)info.st_size + 1);
	*ret_length = (size_t)info.st_size;
	assert_int_equal(read(fd, bytes, *ret_length), *ret_length);
	close(fd);
	return bytes;
}

static void
write_bytes(const char *path, off_t at, const void *bytes, size_t length)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(pwrite(fd, bytes, length, at), length);
	close(fd);
}

/* `supervise` and `submit` say this and leave every byte as it is. */
static void
assert_left_untouched(struct instance *i, const char *words)
{
	char path[400], *before, *after;
	size_t length_before, length_after;
	struct result result;

	snprintf(path, sizeof(path), "%s/jobberd.db", i->state);
	before = read_bytes(path, &length_before);
	instance_launch(i, NULL);
	instance_expect(i, path);
	instance_expect(i, words);
	assert_int_equal(instance_wait(i), 78);
	instance_forget_log(i);
	result = jobberd(i, "submit", "--", "true", NULL);
	assert_int_equal(result.status, 78);
	assert_has(result.err, words);
	result_done(&result);
	after = read_bytes(path, &length_after);
	assert_int_equal(length_before, length_after);
	assert_memory_equal(before, after, length_before);
	free(before);
	free(after);
}

static void
remove_log(struct instance *i)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/jobberd.db-wal", i->state);
	assert_int_equal(unlink(path), 0);
}

/* Most of the database is in it, and SQLite would go on to write where nobody finds it. */
static void
log_that_is_removed_while_in_use_loses_nothing(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	assert_int_equal(submit_job(&i, "--hold", "--", "true", NULL), 1);
	remove_log(&i);
	instance_expect(&i, "-wal was removed while in use");
	instance_kill_keeper(&i);
	instance_start(&i, NULL);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM jobs"), 1);
	remove_log(&i);
	assert_int_equal(submit_job(&i, "--hold", "--", "true", NULL), 2);
	instance_kill_keeper(&i);
	instance_start(&i, NULL);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM jobs"), 2);
	instance_finish(&i);
}

/* Also when it cannot be emptied at once: it is the only place where that is. */
static void
log_that_is_removed_is_kept_until_it_could_be_emptied(void **state)
{
	struct instance i;
	struct helper strace;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	assert_int_equal(submit_job(&i, "--hold", "--", "true", NULL), 1);
	assert_sleeps(&i, 300);
	helper_strace(&strace, instance_supervisor_pid(&i), "inject=pwrite64:error=EIO:when=1..6",
	    NULL);
	remove_log(&i);
	instance_expect(&i, "-wal was removed while in use");
	helper_end(&strace);
	instance_kill_keeper(&i);
	instance_start(&i, NULL);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM jobs"), 1);
	instance_finish(&i);
}

/* Its signal, too, would be the death of whoever writes. */
static void
limit_of_file_sizes_counts_as_a_full_disk_and_is_not_our_death(void **state)
{
	const struct rlimit small = { 300000, RLIM_INFINITY };
	const struct rlimit large = { RLIM_INFINITY, RLIM_INFINITY };
	struct instance i;
	struct result result;
	char *lines = calloc(1, 80 * 1000 + 1), *at = lines;
	int64_t until;
	pid_t pid;
	int status;

	(void)state;
	for (int n = 0; n < 1000; n++)
		at += sprintf(at, "{\"command\":[\"true\",\"%032d\"],\"hold\":true}\n", n);
	instance_init(&i);
	instance_start(&i, NULL);
	pid = instance_supervisor_pid(&i);
	assert_int_equal(prlimit(pid, RLIMIT_FSIZE, &small, NULL), 0);
	result = jobberd_with_input(&i, lines, "submit", "--batch", NULL);
	assert_int_equal(result.status, 75);
	assert_string_equal(result.out, "");
	assert_has(result.err, "disk full: nothing was changed");
	result_done(&result);
	instance_expect(&i, "File too large");
	assert_int_equal(prlimit(pid, RLIMIT_FSIZE, &large, NULL), 0);
	until = now_ms() + PATIENCE_MS;
	do {
		result = jobberd_with_input(&i, lines, "submit", "--batch", NULL);
		status = result.status;
		result_done(&result);
	} while (status == 75 && now_ms() < until);
	assert_int_equal(status, 0);
	assert_int_equal(instance_supervisor_pid(&i), pid);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM jobs"), 1000);
	free(lines);
	instance_finish(&i);
}

static void
file_that_is_not_a_database_is_refused_untouched(void **state)
{
	struct instance i;
	char path[400], text[5000];

	(void)state;
	instance_init(&i);
	assert_int_equal(mkdir(i.state, 0700), 0);
	snprintf(path, sizeof(path), "%s/jobberd.db", i.state);
	memset(text, 'x', sizeof(text));
	write_bytes(path, 0, text, sizeof(text));
	assert_left_untouched(&i, "not a database");
	instance_done(&i);
}

static void
database_of_another_program_is_refused_untouched(void **state)
{
	struct instance i;
	char path[400];
	sqlite3 *database;

	(void)state;
	instance_init(&i);
	assert_int_equal(mkdir(i.state, 0700), 0);
	snprintf(path, sizeof(path), "%s/jobberd.db", i.state);
	assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
	other_run(database, "CREATE TABLE recipes (name TEXT); INSERT INTO recipes VALUES ('x')");
	other_close(database);
	assert_left_untouched(&i, "belongs to another program");
	instance_done(&i);
}

static void
newer_database_is_refused_untouched_with_both_versions(void **state)
{
	struct instance i;
	sqlite3 *other;
	char *version, words[100];

	(void)state;
	instance_init(&i);
	submit_job(&i, "--", "true", NULL);
	version = sql(&i, "PRAGMA user_version");
	other = other_open(&i);
	other_run(other, "PRAGMA user_version = 99");
	other_close(other);
	snprintf(words, sizeof(words), "has version 99, newer than this program's %s", version);
	assert_left_untouched(&i, words);
	free(version);
	instance_done(&i);
}

/* Pages of tables and of indices alike, one after the other. */
static void
damaged_database_is_refused_untouched_naming_the_file(void **state)
{
	struct instance i;
	char path[400], *good, bad[4096];
	size_t length;
	struct result result;

	(void)state;
	instance_init(&i);
	result = jobberd_with_input(&i, "true\ntrue\ntrue\ntrue\n", "submit", "--batch", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	snprintf(path, sizeof(path), "%s/jobberd.db", i.state);
	memset(bad, 0xa5, sizeof(bad));
	good = read_bytes(path, &length);
	assert_true(length > 10 * sizeof(bad));
	for (off_t page = 1; page < 10; page += 4) {
		write_bytes(path, page * 4096, bad, sizeof(bad));
		instance_launch(&i, NULL);
		instance_expect(&i, path);
		assert_int_equal(instance_wait(&i), 78);
		instance_forget_log(&i);
		write_bytes(path, 0, good, length);
	}
	free(good);
	instance_start(&i, NULL); /* and it was only that */
	assert_int_equal(wait_job(&i, 4), 0);
	instance_finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_disk_refuses_new_jobs_and_loses_no_end),
		cmocka_unit_test(
		    start_without_room_to_open_the_database_refuses_new_jobs_in_words),
		cmocka_unit_test(
		    supervisor_process_killed_on_a_full_disk_refuses_new_jobs_in_words),
		cmocka_unit_test(every_job_acknowledged_on_a_filling_disk_is_there_afterwards),
		cmocka_unit_test(nothing_is_acknowledged_while_the_database_is_moved_away),
		cmocka_unit_test(log_that_is_removed_while_in_use_loses_nothing),
		cmocka_unit_test(limit_of_file_sizes_counts_as_a_full_disk_and_is_not_our_death),
		cmocka_unit_test(file_that_is_not_a_database_is_refused_untouched),
		cmocka_unit_test(database_of_another_program_is_refused_untouched),
		cmocka_unit_test(newer_database_is_refused_untouched_with_both_versions),
		cmocka_unit_test(damaged_database_is_refused_untouched_naming_the_file),
	};

	/* Injected by tracing: the leak checker cannot look at a process that is traced. */
	const struct CMUnitTest injected[] = {
		cmocka_unit_test(batch_on_a_filling_disk_is_in_as_far_as_printed),
		cmocka_unit_test(
		    process_is_not_started_when_its_journal_record_cannot_be_written),
		cmocka_unit_test(failed_writes_and_syncs_lose_nothing_acknowledged),
		cmocka_unit_test(death_at_any_write_or_sync_loses_nothing_acknowledged),
		cmocka_unit_test(nothing_is_acknowledged_while_no_sync_succeeds),
		cmocka_unit_test(log_that_is_removed_is_kept_until_it_could_be_emptied),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	if (!IS_SANITIZED)
		failed += cmocka_run_group_tests(injected, NULL, NULL);
	return failed;
}
