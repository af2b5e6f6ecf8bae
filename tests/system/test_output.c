/* What jobs write and read: files of their own, cut in the middle, gone with their job. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/xalloc.h"
#include "support/helper.h"
#include "support/outside.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (INT64_C(1) << 20)

static void
output_path(struct instance *i, int64_t job, char path[400])
{
	snprintf(path, 400, "%s/output/%lld.1", i->state, (long long)job);
}

/* Bytes on disk of its first attempt's file; -1: there is none. */
static int64_t
space_used(struct instance *i, int64_t job)
{
	char path[400];
	struct stat info;

	output_path(i, job, path);
	return stat(path, &info) == 0 ? (int64_t)info.st_blocks * 512 : -1;
}

static void
assert_output(struct instance *i, int64_t job, const char *wanted)
{
	char path[400], *text;

	output_path(i, job, path);
	text = file_text(path);
	assert_string_equal(text, wanted);
	free(text);
}

/* Head and tail are what was written there, and the record counts every byte. */
static void
check_cut(struct instance *i, int64_t job, int64_t written, int64_t cap)
{
	char question[200], path[400], text[16] = "";
	int64_t left_out;
	int fd;

	snprintf(question, sizeof(question),
	    "SELECT output_bytes FROM attempts WHERE job_id = %lld", (long long)job);
	assert_int_equal(sql_number(i, question), written);
	snprintf(question, sizeof(question),
	    "SELECT output_left_out FROM attempts WHERE job_id = %lld", (long long)job);
	left_out = sql_number(i, question);
	assert_between(written - left_out, cap - 3 * 4096, cap + 3 * 4096);
	assert_between(space_used(i, job), 1, cap + 4 * 4096);
	output_path(i, job, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, text, 6), 6);
	assert_string_equal(text, "begin\n");
	assert_int_equal(pread(fd, text, 4, written - 4), 4);
	text[4] = '\0';
	assert_string_equal(text, "end\n");
	/* Both halves are whole: what is missing is in the middle. */
	assert_int_equal(lseek(fd, 0, SEEK_HOLE) >= cap / 2, true);
	assert_int_equal(lseek(fd, written - cap / 2 + 4096, SEEK_HOLE), written);
	close(fd);
	snprintf(question, sizeof(question),
	    "SELECT last_lines LIKE '%%end%c' FROM attempts WHERE job_id = %lld", '\n',
	    (long long)job);
	assert_int_equal(sql_number(i, question), 1);
}

static void
output_at_100_mb_a_second_never_takes_much_more_than_its_cap(void **state)
{
	struct instance i;
	struct bell tick;
	char command[900];
	int64_t most = 0;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&tick, &i, "tick");
	snprintf(command, sizeof(command),
	    "echo begin; for n in $(seq 60); do head -c 5M /dev/zero; echo > %s; sleep 0.05; "
	    "done; echo end", tick.path);
	submit_job(&i, "--max-output", "1M", "--", "sh", "-c", command, NULL);
	for (int n = 0; n < 60; n++) {
		int64_t used;

		free(bell_wait(&tick));
		used = space_used(&i, 1);
		most = used > most ? used : most;
	}
	assert_between(most, 1, 64 * MIB);
	assert_int_equal(wait_job(&i, 1), 0);
	check_cut(&i, 1, 300 * MIB + 6 + 4, MIB);
	bell_done(&tick);
	instance_finish(&i);
}

static void
output_at_full_speed_is_cut_to_its_cap_at_the_end(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--max-output", "1M", "--", "sh", "-c",
	    "echo begin; head -c 300M /dev/zero; echo end", NULL);
	assert_int_equal(wait_job(&i, 1), 0);
	check_cut(&i, 1, 300 * MIB + 6 + 4, MIB);
	instance_finish(&i);
}

/* The one that has just come knows nothing of what the last one cut. */
static void
cap_holds_although_the_supervisor_process_is_killed(void **state)
{
	struct instance i;
	struct bell tick, go;
	char command[900];

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&tick, &i, "tick");
	bell_init(&go, &i, "go");
	snprintf(command, sizeof(command),
	    "echo begin; head -c 20M /dev/zero; echo > %s; read x < %s; head -c 20M /dev/zero; "
	    "echo end", tick.path, go.path);
	submit_job(&i, "--max-output", "1M", "--", "sh", "-c", command, NULL);
	free(bell_wait(&tick));
	instance_kill_supervisor(&i);
	fifo_write(go.path, "go\n");
	assert_int_equal(wait_job(&i, 1), 0);
	check_cut(&i, 1, 40 * MIB + 6 + 4, MIB);
	bell_done(&tick);
	bell_done(&go);
	instance_finish(&i);
}

static void
output_shorter_than_its_cap_is_whole(void **state)
{
	struct instance i;
	char path[400];
	struct stat info;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--max-output", "1M", "--", "head", "-c", "1048576", "/dev/zero", NULL);
	assert_int_equal(wait_job(&i, 1), 0);
	output_path(&i, 1, path);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_size, MIB);
	assert_true(info.st_blocks * 512 >= MIB);
	assert_int_equal(sql_number(&i, "SELECT coalesce(output_left_out, 0) FROM attempts"), 0);
	instance_finish(&i);
}

static void
last_lines_of_binary_garbage_are_clean_text(void **state)
{
	static const char *const commands[] = {
		"head -c 100000 /dev/urandom; printf '\\nlast\\n'",
		"printf '\\000\\001\\033[31m\\377\\376\\302\\nlast\\n'",
		"printf '\\360\\237\\230\\nlast\\n'",
		"head -c 5000 /dev/zero | tr '\\000' '\\377'; echo; echo last",
		"seq 100; echo last",
	};
	struct instance i;
	char question[200], *text;
	json_t *json;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	for (size_t n = 0; n < sizeof(commands) / sizeof(commands[0]); n++) {
		int64_t id = submit_job(&i, "--", "sh", "-c", commands[n], NULL);

		assert_int_equal(wait_job(&i, id), 0);
		snprintf(question, sizeof(question),
		    "SELECT last_lines FROM attempts WHERE job_id = %lld", (long long)id);
		text = sql(&i, question);
		assert_true(strlen(text) >= 5 && strlen(text) < 4096);
		assert_string_equal(text + strlen(text) - 5, "last\n");
		for (const char *at = text; *at != '\0'; at++) {
			unsigned char byte = (unsigned char)*at;

			assert_true(byte >= 0x20 || byte == '\n' || byte == '\t');
			assert_true(byte != 0x7f);
		}
		json = json_string(text);
		assert_non_null(json); /* it is UTF-8 */
		json_decref(json);
		free(text);
	}
	instance_finish(&i);
}

static void
empty_output_leaves_no_file(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--", "true", NULL);
	submit_job(&i, "--", "echo", NULL);
	submit_job(&i, "-r", "0", "--", "/no/such/program", NULL);
	assert_int_equal(wait_job(&i, 1), 0);
	assert_int_equal(wait_job(&i, 2), 0);
	assert_int_equal(wait_job(&i, 3), 1);
	assert_int_equal(space_used(&i, 1), -1);
	assert_output(&i, 2, "\n");
	assert_int_equal(space_used(&i, 3), -1);
	instance_stop(&i);
	instance_done(&i);
}

/* ---- what they read, and where ---- */

static void
write_text(struct instance *i, const char *name, const char *text)
{
	char path[400];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", i->directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static int64_t
count_files(struct instance *i, const char *name)
{
	char path[400];
	struct dirent *entry;
	int64_t count = 0;
	DIR *directory;

	snprintf(path, sizeof(path), "%s/%s", i->state, name);
	directory = opendir(path);
	while (directory != NULL && (entry = readdir(directory)) != NULL)
		count += entry->d_name[0] != '.';
	if (directory != NULL)
		closedir(directory);
	return count;
}

/* Nobody writes to it yet: neither we nor the jobs behind this one wait for that. */
static void
stdin_that_is_a_fifo_is_refused_and_holds_nobody_up(void **state)
{
	struct instance i;
	struct result result;
	char *path, *statement;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	path = fifo_make(&i, "input");
	result = jobberd(&i, "submit", "--stdin", path, "--", "cat", NULL);
	assert_int_equal(result.status, 2);
	assert_has(result.err, "is a FIFO");
	result_done(&result);
	statement = xasprintf("INSERT INTO jobs (command, stdin, max_retries) "
			      "VALUES ('[\"cat\"]', '%s', 0)", path);
	assert_null(foreign(&i, statement));
	assert_int_equal(wait_job(&i, submit_job(&i, "--", "true", NULL)), 0);
	assert_int_equal(wait_job(&i, 1), 1);
	free(statement);
	free(path);
	instance_finish(&i);
}

static void
standard_input_is_a_file_or_what_submit_was_given_or_nothing(void **state)
{
	struct instance i;
	struct result result;
	char path[400];
	int64_t id;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	write_text(&i, "input", "from a file\n");
	snprintf(path, sizeof(path), "%s/input", i.directory);
	id = submit_job(&i, "--stdin", path, "--", "cat", NULL);
	assert_int_equal(wait_job(&i, id), 0);
	assert_output(&i, id, "from a file\n");
	result = jobberd_with_input(
	    &i, "from a pipe\n", "submit", "--stdin", "-", "--", "cat", NULL);
	assert_string_equal(result.out, "2\n");
	result_done(&result);
	assert_int_equal(wait_job(&i, 2), 0);
	assert_output(&i, 2, "from a pipe\n");
	id = submit_job(&i, "--", "sh", "-c", "cat; readlink /proc/self/fd/0", NULL);
	assert_int_equal(wait_job(&i, id), 0);
	assert_output(&i, id, "/dev/null\n");
	/* A file that is gone when the job starts is the job's failure. */
	id = submit_job(&i, "-r", "0", "--stdin", "/no/such/file", "--", "cat", NULL);
	assert_int_equal(wait_job(&i, id), 1);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE job_id = 4 AND "
					"reason = 'spawn:stdin:ENOENT'"), 1);
	/* Each run reads it from its beginning. */
	result = jobberd_with_input(&i, "again\n", "submit", "--stdin", "-", "--backoff",
	    "constant:10ms", "--", "sh", "-c", "cat; exit $((2 - JOBBERD_ATTEMPT))", NULL);
	result_done(&result);
	assert_int_equal(wait_job(&i, 5), 0);
	assert_output(&i, 5, "again\n");
	snprintf(path, sizeof(path), "%s/output/5.2", i.state);
	assert_int_equal(access(path, F_OK), 0);
	instance_finish(&i);
}

/* As `submit --batch` says it: that is nothing to be tried again, and no file of ours. */
static void
standard_input_that_cannot_be_read_is_told_as_such(void **state)
{
	static const struct {
		const char *from, *says;
	} cases[] = {
		{ "<&-", "jobberd: standard input: Bad file descriptor\n" },
		{ "</", "jobberd: standard input: Is a directory\n" },
	};
	struct instance i;

	(void)state;
	instance_init(&i);
	for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		char *line = xasprintf("exec %s -C %s submit -i - -- cat %s", getenv("JOBBERD"),
		    i.state, cases[n].from);
		const char *arguments[] = { "sh", "-c", line, NULL };
		struct helper helper;

		helper_start(&helper, NULL, arguments);
		assert_int_equal(helper_wait(&helper), 2);
		assert_string_equal(helper.err.text, cases[n].says);
		helper_end(&helper);
		free(line);
	}
	instance_done(&i);
}

static void
umask_and_directory_are_those_of_who_submits(void **state)
{
	struct instance i;
	char wanted[400], before[400];
	mode_t mask;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(i.directory), 0);
	mask = umask(0037);
	submit_job(&i, "--", "sh", "-c", "umask; pwd; > made; stat -c %a made", NULL);
	umask(mask);
	assert_int_equal(chdir(before), 0);
	submit_job(&i, "--cwd", "/", "--", "pwd", NULL);
	assert_int_equal(wait_job(&i, 1), 0);
	assert_int_equal(wait_job(&i, 2), 0);
	snprintf(wanted, sizeof(wanted), "0037\n%s\n640\n", i.directory);
	assert_output(&i, 1, wanted);
	assert_output(&i, 2, "/\n");
	instance_stop(&i);
	instance_done(&i);
}

/* ---- when it is not wanted any more ---- */

static void
prune_removes_the_files_of_the_jobs_it_forgets_and_no_others(void **state)
{
	struct instance i;
	struct result result;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	result = jobberd_with_input(
	    &i, "x\n", "submit", "--stdin", "-", "--", "cat", NULL); /* 1 */
	result_done(&result);
	submit_job(&i, "-r", "2", "--backoff", "constant:1ms", "--", "sh", "-c",
	    "echo $JOBBERD_ATTEMPT; exit 1", NULL);			       /* 2 */
	submit_job(&i, "--", "echo", "keep", NULL);			       /* 3 */
	submit_job(&i, "--hold", "--", "echo", "waits", NULL);		       /* 4 */
	assert_int_equal(wait_job(&i, 1), 0);
	assert_int_equal(wait_job(&i, 2), 1);
	assert_int_equal(wait_job(&i, 3), 0);
	assert_int_equal(count_files(&i, "output"), 1 + 3 + 1);
	assert_int_equal(count_files(&i, "input"), 1);
	result = jobberd(&i, "prune", "--status", "failed", "--dry-run", NULL);
	assert_has(result.err, "1 job would be pruned");
	result_done(&result);
	assert_int_equal(count_files(&i, "output"), 5);
	result = jobberd(&i, "prune", "--status", "failed", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	assert_int_equal(count_files(&i, "output"), 2);
	assert_output(&i, 3, "keep\n");
	result = jobberd(&i, "prune", "--older-than", "0s", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	assert_int_equal(count_files(&i, "output"), 0);
	assert_int_equal(count_files(&i, "input"), 0);
	assert_int_equal(sql_number(&i, "SELECT group_concat(id) FROM jobs"), 4);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts"), 0);
	instance_finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stdin_that_is_a_fifo_is_refused_and_holds_nobody_up),
		cmocka_unit_test(output_at_100_mb_a_second_never_takes_much_more_than_its_cap),
		cmocka_unit_test(output_at_full_speed_is_cut_to_its_cap_at_the_end),
		cmocka_unit_test(cap_holds_although_the_supervisor_process_is_killed),
		cmocka_unit_test(output_shorter_than_its_cap_is_whole),
		cmocka_unit_test(last_lines_of_binary_garbage_are_clean_text),
		cmocka_unit_test(empty_output_leaves_no_file),
		cmocka_unit_test(standard_input_is_a_file_or_what_submit_was_given_or_nothing),
		cmocka_unit_test(standard_input_that_cannot_be_read_is_told_as_such),
		cmocka_unit_test(umask_and_directory_are_those_of_who_submits),
		cmocka_unit_test(prune_removes_the_files_of_the_jobs_it_forgets_and_no_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
