/*
 * takeover: the next supervisor process cannot read the database at once. Until it knows whose
 * they are, it lets alone what servers and jobs say and write meanwhile, and takes it then.
 */

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
#include <unistd.h>

#define COUNTER SERVERS_DIRECTORY "/counter"
#define LOCKED_MS 700 /* while it would look at what was said, several times */

static void
kill_supervisor(struct instance *i)
{
	pid_t pid = instance_supervisor_pid(i);

	kill(pid, SIGKILL);
	wait_reaped(pid, 1000 * SLOWNESS);
}

/* … while another process writes, for as long as it would look at what was said. */
static void
kill_supervisor_during_a_lock(struct instance *i)
{
	sqlite3 *other = other_open(i);

	other_run(other, "BEGIN IMMEDIATE");
	kill_supervisor(i);
	let_pass(i, LOCKED_MS);
	other_run(other, "ROLLBACK");
	other_close(other);
}

/* SQLite's own lock of whoever changes the file itself, so that it cannot even be opened. */
static int
lock_file(struct instance *i)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0x40000000,
		.l_len = 512 };
	char path[400];
	int fd;

	snprintf(path, sizeof(path), "%s/jobberd.db", i->state);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_not_equal(fd, -1);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	return fd;
}

static void
expect_out(struct result result, const char *out)
{
	if (result.status != 0)
		fail_msg("exit %d: %s", result.status, result.err);
	assert_string_equal(result.out, out);
	result_done(&result);
}

/* Commits while nobody can record it. */
static void
start_busy_server(struct instance *i)
{
	expect_out(jobberd(i, "start", "--durable", "c", "--", COUNTER, NULL), "1\n");
	expect_out(jobberd(i, "cast", "c", "add", "5", NULL), "");
	expect_out(jobberd(i, "call", "c", "get", NULL), "5\n");
	expect_out(jobberd(i, "cast", "c", "slow", "200", NULL), "");
}

static void
assert_server_is_well(struct instance *i)
{
	expect_out(jobberd(i, "call", "c", "get", NULL), "5\n");
	assert_int_equal(sql_number(i, "SELECT count(*) FROM attempts WHERE job_id = 1"), 1);
	assert_int_equal(sql_number(i, "SELECT count(*) FROM events WHERE event LIKE "
				       "'%not understood%'"), 0);
}

static void
what_a_server_says_while_the_database_is_locked_is_heard(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	start_busy_server(&i);
	kill_supervisor_during_a_lock(&i);
	assert_server_is_well(&i);
	instance_finish(&i);
}

static void
what_they_say_before_the_database_can_be_opened_is_heard(void **state)
{
	struct bell bell;
	struct instance i;
	char command[2000];
	pid_t supervisor;
	int fd;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	start_busy_server(&i);
	bell_init(&bell, &i, "bell");
	snprintf(command, sizeof(command),
	    "echo > %s; read x < %s.go; "
	    "echo '{\"jsonrpc\":\"2.0\",\"method\":\"result\",\"params\":{\"value\":7}}' >&3; "
	    "echo > %s; read x < %s.end",
	    bell.path, bell.path, bell.path, bell.path);
	free(fifo_make(&i, "bell.go"));
	free(fifo_make(&i, "bell.end"));
	submit_job(&i, "--", "sh", "-c", command, NULL);
	free(bell_wait(&bell));
	/* A connection has a lock of its own as long as it lives. */
	kill(i.keeper, SIGSTOP);
	supervisor = instance_supervisor_pid(&i);
	kill(supervisor, SIGKILL);
	wait_gone(supervisor);
	fd = lock_file(&i);
	kill(i.keeper, SIGCONT);
	snprintf(command, sizeof(command), "%s.go", bell.path);
	fifo_write(command, "\n");
	free(bell_wait(&bell)); /* it has said so */
	let_pass(&i, LOCKED_MS);
	close(fd);
	assert_server_is_well(&i);
	snprintf(command, sizeof(command), "%s.end", bell.path);
	fifo_write(command, "\n");
	assert_int_equal(wait_job(&i, 2), 0);
	assert_int_equal(sql_number(&i, "SELECT result FROM jobs WHERE id = 2"), 7);
	/* It has waited, and not ended again and again. */
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM generations"), 2);
	bell_done(&bell);
	instance_finish(&i);
}

static void
output_is_cut_by_the_job_s_own_limit_alone(void **state)
{
	struct bell bell;
	struct instance i;
	char command[2000];

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&bell, &i, "bell");
	snprintf(command, sizeof(command), "head -c 30000000 /dev/zero; echo > %s; read x < %s.go",
	    bell.path, bell.path);
	free(fifo_make(&i, "bell.go"));
	submit_job(&i, "--max-output", "1G", "--", "sh", "-c", command, NULL);
	free(bell_wait(&bell));
	kill_supervisor_during_a_lock(&i);
	snprintf(command, sizeof(command), "%s.go", bell.path);
	fifo_write(command, "\n");
	assert_int_equal(wait_job(&i, 1), 0);
	assert_int_equal(sql_number(&i, "SELECT ifnull(output_left_out, 0) FROM attempts"), 0);
	bell_done(&bell);
	instance_finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_server_says_while_the_database_is_locked_is_heard),
		cmocka_unit_test(what_they_say_before_the_database_can_be_opened_is_heard),
		cmocka_unit_test(output_is_cut_by_the_job_s_own_limit_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
