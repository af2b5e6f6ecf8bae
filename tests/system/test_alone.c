/* A stop while no supervisor process comes up: the keeper carries it out by itself. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/helper.h"
#include "support/outside.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void
database_paths(struct instance *i, char *database, char *kept, size_t size)
{
	snprintf(database, size, "%s/jobberd.db", i->state);
	snprintf(kept, size, "%s/kept", i->state);
}

/* From now on each supervisor process dies at its start: its database is a directory. */
static void
let_none_come_up(struct instance *i)
{
	pid_t supervisor = instance_supervisor_pid(i);
	char database[400], kept[400];

	database_paths(i, database, kept, sizeof(kept));
	assert_int_equal(rename(database, kept), 0);
	assert_int_equal(mkdir(database, 0700), 0);
	kill(supervisor, SIGKILL);
	instance_expect(i, "is started again in 400 ms");
}

static void
let_them_come_up(struct instance *i)
{
	char database[400], kept[400];

	database_paths(i, database, kept, sizeof(kept));
	assert_int_equal(rmdir(database), 0);
	assert_int_equal(rename(kept, database), 0);
}

/* A job that says when it runs, and that heeds a SIGTERM once there is a file `go`. */
static int64_t
start_job(struct instance *i)
{
	char *ready = fifo_make(i, "ready");
	int64_t id = submit_job(i, "-r", "0", "-d", i->directory, "--", "sh", "-c",
	    "trap 'echo > ready; until [ -e go ]; do sleep 0.1; done; exit 3' TERM; "
	    "echo > ready; while :; do sleep 0.1; done", NULL);

	free(fifo_read(ready));
	free(ready);
	wait_sql(i, "SELECT count(*) > 0 FROM jobs WHERE status = 'running'");
	return id;
}

static void
await_term(struct instance *i)
{
	char ready[400];

	snprintf(ready, sizeof(ready), "%s/ready", i->directory);
	free(fifo_read(ready));
}

static void
stop_with_nothing_to_end_leaves_at_once(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	let_none_come_up(&i);
	instance_stop(&i);
	let_them_come_up(&i);
	check_accounts(&i);
	instance_done(&i);
}

/* The client is told, the jobs are ended, what could not be recorded is said to be lost. */
static void
stop_ends_jobs_and_leaves_though_nothing_can_be_recorded(void **state)
{
	struct instance i;
	struct helper shutdown;
	char *text;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	start_job(&i);
	let_none_come_up(&i);
	helper_jobberd(&shutdown, &i, NULL, "shutdown", NULL);
	assert_int_equal(helper_wait(&shutdown), 75);
	assert_has(shutdown.err.text, "has not answered for 10 s");
	helper_end(&shutdown);
	kill(i.keeper, SIGTERM);
	await_term(&i);
	file_make(&i, "go");
	instance_expect(&i, "ends of 1 job are not recorded: the next supervise records them "
			    "as lost");
	assert_int_equal(instance_wait(&i), 1);
	let_them_come_up(&i);
	instance_start(&i, NULL);
	assert_int_equal(wait_job(&i, 1), 1);
	text = sql(&i, "SELECT reason FROM attempts");
	assert_string_equal(text, "lost:keeper");
	free(text);
	instance_finish(&i);
}

static void
supervisor_process_that_comes_up_after_all_records_the_ends(void **state)
{
	struct instance i;
	char *text;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	start_job(&i);
	let_none_come_up(&i);
	kill(i.keeper, SIGTERM);
	await_term(&i);
	let_them_come_up(&i);
	file_make(&i, "go");
	assert_int_equal(instance_wait(&i), 0);
	text = sql(&i, "SELECT reason FROM attempts");
	assert_string_equal(text, "interrupted");
	free(text);
	check_accounts(&i);
	instance_done(&i);
}

/* Commands run on, as with any leave. */
static void
leave_lets_commands_run_on(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	start_job(&i);
	let_none_come_up(&i);
	kill(i.keeper, SIGQUIT);
	assert_int_equal(instance_wait(&i), 0);
	let_them_come_up(&i);
	instance_start(&i, NULL);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM jobs WHERE status = 'running'"), 1);
	file_make(&i, "go");
	kill(i.keeper, SIGTERM);
	await_term(&i);
	assert_int_equal(instance_wait(&i), 0);
	check_accounts(&i);
	instance_done(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stop_with_nothing_to_end_leaves_at_once),
		cmocka_unit_test(stop_ends_jobs_and_leaves_though_nothing_can_be_recorded),
		cmocka_unit_test(supervisor_process_that_comes_up_after_all_records_the_ends),
		cmocka_unit_test(leave_lets_commands_run_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
