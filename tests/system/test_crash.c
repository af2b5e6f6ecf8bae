/* Kill -9 of the supervisor process, of the keeper, of both: everything is accounted for. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/helper.h"
#include "support/system.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Its true end is recorded although the process that ordered it is dead. */
static void
command_outlives_the_supervisor_process_and_its_end_is_recorded(void **state)
{
	struct instance i;
	char *ready, *go, *line, *text, command[700];
	int64_t id;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	ready = fifo_make(&i, "ready");
	go = fifo_make(&i, "go");
	snprintf(command, sizeof(command), "echo $$ > %s; read x < %s; exit 7", ready, go);
	id = submit_job(&i, "-r", "0", "--", "sh", "-c", command, NULL);
	line = fifo_read(ready);
	instance_kill_supervisor(&i);
	assert_true(is_alive((pid_t)atoi(line)));
	fifo_write(go, "go\n");
	assert_int_equal(wait_job(&i, id), 1);
	text = sql(&i, "SELECT reason || count(*) FROM attempts");
	assert_string_equal(text, "exit:71");
	free(text);
	free(line);
	free(ready);
	free(go);
	instance_finish(&i);
}

/* It ends while nobody is there to hear of it. */
static void
end_during_the_supervisor_process_absence_is_recorded(void **state)
{
	struct instance i;
	char *ready, *line, *text, command[400];
	pid_t supervisor;
	int64_t id;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	ready = fifo_make(&i, "ready");
	snprintf(command, sizeof(command), "echo $$ > %s; exec sleep 1000", ready);
	id = submit_job(&i, "-r", "0", "--", "sh", "-c", command, NULL);
	line = fifo_read(ready);
	supervisor = instance_supervisor_pid(&i);
	kill(supervisor, SIGSTOP);
	kill((pid_t)atoi(line), SIGUSR1);
	wait_gone((pid_t)atoi(line));
	kill(supervisor, SIGKILL);
	assert_int_equal(wait_job(&i, id), 1);
	text = sql(&i, "SELECT reason FROM attempts");
	assert_string_equal(text, "signal:USR1");
	free(text);
	free(line);
	free(ready);
	instance_finish(&i);
}

/* Whoever waits asks the next one; without a keeper there is none. */
static void
wait_goes_on_with_the_next_supervisor_process(void **state)
{
	struct instance i;
	struct helper waiting;
	char *go, command[400];

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	go = fifo_make(&i, "go");
	snprintf(command, sizeof(command), "read x < %s; exit 7", go);
	submit_job(&i, "-r", "0", "--", "sh", "-c", command, NULL);
	helper_jobberd(&waiting, &i, NULL, "wait", "1", NULL);
	for (int n = 0; n < 3; n++) {
		assert_true(helper_runs_for(&waiting, 100));
		instance_kill_supervisor(&i);
	}
	assert_true(helper_runs_for(&waiting, 100));
	fifo_write(go, "go\n");
	assert_int_equal(helper_wait(&waiting), 1);
	helper_end(&waiting);
	submit_job(&i, "--in", "1h", "--", "true", NULL);
	helper_jobberd(&waiting, &i, NULL, "wait", "2", NULL);
	assert_true(helper_runs_for(&waiting, 100));
	instance_kill_keeper(&i);
	assert_int_equal(helper_wait(&waiting), 3);
	helper_end(&waiting);
	free(go);
	check_accounts(&i);
	instance_done(&i);
}

/* A command that writes to fd 3 all the time notices nothing. */
static void
command_that_writes_to_its_socket_notices_nothing(void **state)
{
	struct instance i;
	char *ready, *line, *text;
	int64_t id;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	ready = fifo_make(&i, "ready");
	id = submit_job(&i, "-r", "0", "--env", "F", "--cwd", i.directory, "--", "bash", "-c",
	    "n=0; while [ ! -e stop ]; do n=$((n+1)); echo "
	    "'{\"jsonrpc\":\"2.0\",\"method\":\"progress\",\"params\":{\"fraction\":0.5}}' >&3 "
	    "|| exit 9; [ $n = 100 ] && echo x > ready; done; echo "
	    "'{\"jsonrpc\":\"2.0\",\"method\":\"result\",\"params\":{\"value\":\"last\"}}' >&3",
	    NULL);
	line = fifo_read(ready);
	for (int n = 0; n < 3; n++)
		instance_kill_supervisor(&i);
	file_make(&i, "stop");
	assert_int_equal(wait_job(&i, id), 0);
	text = sql(&i, "SELECT result FROM jobs");
	assert_string_equal(text, "\"last\"");
	free(text);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM events WHERE event = "
					"'message not understood'"), 0);
	free(line);
	free(ready);
	instance_finish(&i);
}

static void
keeper_killed_next_supervise_adopts_with_true_exit_status(void **state)
{
	struct instance i;
	char *ready, *go, *line, *text, command[700];
	int64_t id;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	ready = fifo_make(&i, "ready");
	go = fifo_make(&i, "go");
	snprintf(command, sizeof(command), "echo $$ > %s; read x < %s; exit 7", ready, go);
	id = submit_job(&i, "-r", "0", "--", "sh", "-c", command, NULL);
	line = fifo_read(ready);
	instance_kill_keeper(&i);
	assert_true(is_alive((pid_t)atoi(line)));
	instance_start(&i, NULL);
	assert_true(is_alive((pid_t)atoi(line)));
	fifo_write(go, "go\n");
	assert_int_equal(wait_job(&i, id), 1);
	text = sql(&i, "SELECT reason || ' ' || exit_code || ' ' || count(*) FROM attempts");
	assert_string_equal(text, "exit:7 7 1");
	free(text);
	free(line);
	free(ready);
	free(go);
	instance_finish(&i);
}

/* Gone without a trace: said so, not counted, run again. */
static void
job_that_ended_while_no_keeper_was_there_is_lost_and_runs_again(void **state)
{
	struct instance i;
	char *ready, *line, *text, command[700];
	int64_t id;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	ready = fifo_make(&i, "ready");
	snprintf(command, sizeof(command),
	    "[ $JOBBERD_ATTEMPT = 2 ] && exit 0; echo $$ > %s; exec sleep 1000", ready);
	id = submit_job(&i, "-r", "3", "--", "sh", "-c", command, NULL);
	line = fifo_read(ready);
	/* Orphans come to us, so that we can reap this one: nobody knows how it ended. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	instance_kill_keeper(&i);
	kill((pid_t)atoi(line), SIGKILL);
	assert_int_equal(waitpid((pid_t)atoi(line), NULL, 0), atoi(line));
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	instance_start(&i, NULL);
	assert_int_equal(wait_job(&i, id), 0);
	text = sql(&i, "SELECT group_concat(reason) || (SELECT failures FROM jobs) FROM attempts");
	assert_string_equal(text, "lost:keeper,normal0");
	free(text);
	free(line);
	free(ready);
	instance_finish(&i);
}

/* Dead but not reaped yet: the kernel still tells how it ended. */
static void
job_that_is_a_zombie_when_the_next_keeper_comes_tells_its_status(void **state)
{
	struct instance i;
	char *ready, *line, *text, command[700];
	int64_t id;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	ready = fifo_make(&i, "ready");
	snprintf(command, sizeof(command), "echo $$ > %s; exec sleep 1000", ready);
	id = submit_job(&i, "-r", "0", "--", "sh", "-c", command, NULL);
	line = fifo_read(ready);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	instance_kill_keeper(&i);
	kill((pid_t)atoi(line), SIGUSR2);
	wait_gone((pid_t)atoi(line));
	instance_start(&i, NULL);
	assert_int_equal(wait_job(&i, id), 1);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	assert_int_equal(waitpid((pid_t)atoi(line), NULL, 0), atoi(line));
	text = sql(&i, "SELECT reason FROM attempts");
	assert_string_equal(text, "signal:USR2");
	free(text);
	free(line);
	free(ready);
	instance_finish(&i);
}

static void
leave_lets_commands_run_on_and_the_next_supervise_adopts_them(void **state)
{
	struct instance i;
	struct result result;
	char *ready, *go, *line, *text, command[700];
	int64_t id;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	ready = fifo_make(&i, "ready");
	go = fifo_make(&i, "go");
	snprintf(command, sizeof(command), "echo $$ > %s; read x < %s; exit 0", ready, go);
	id = submit_job(&i, "-r", "0", "--", "sh", "-c", command, NULL);
	line = fifo_read(ready);
	result = jobberd(&i, "shutdown", "--leave", NULL);
	assert_int_equal(result.status, 0);
	assert_has(result.err, "1 running job runs on");
	result_done(&result);
	assert_int_equal(instance_wait(&i), 0);
	assert_true(is_alive((pid_t)atoi(line)));
	instance_start(&i, NULL);
	fifo_write(go, "go\n");
	assert_int_equal(wait_job(&i, id), 0);
	text = sql(&i, "SELECT group_concat(end_reason) FROM generations WHERE id = 1");
	assert_string_equal(text, "leave");
	free(text);
	free(line);
	free(ready);
	free(go);
	instance_finish(&i);
}

static void
stop_interrupts_uncounted_and_the_next_supervise_runs_it_again(void **state)
{
	struct instance i;
	char *ready, *line, *text, command[700];
	int64_t id, once;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	ready = fifo_make(&i, "ready");
	snprintf(command, sizeof(command),
	    "[ $JOBBERD_ATTEMPT = 2 ] && exit 0; echo $$ > %s; exec sleep 1000", ready);
	id = submit_job(&i, "--", "sh", "-c", command, NULL);
	line = fifo_read(ready);
	free(line);
	once = submit_job(&i, "-r", "0", "--", "sh", "-c", command, NULL);
	line = fifo_read(ready);
	instance_stop(&i);
	text = sql(&i, "SELECT group_concat(status || failures) FROM jobs");
	assert_string_equal(text, "new0,failed0");
	free(text);
	instance_start(&i, NULL);
	assert_int_equal(wait_job(&i, id), 0);
	assert_int_equal(wait_job(&i, once), 1);
	text = sql(&i, "SELECT group_concat(reason) FROM attempts");
	assert_string_equal(text, "interrupted,normal,interrupted");
	free(text);
	free(line);
	free(ready);
	instance_finish(&i);
}

/*
 * A job that leaves its pid behind, and says so when it finds that an earlier run of the same
 * job still lives: that would be twice at the same time.
 */
#define WITNESS                                                                           \
	"f=pid.$JOBBERD_ID; p=$(cat $f 2>/dev/null); [ -n \"$p\" ] && [ -d /proc/$p ] && "     \
	"! grep -q 'State:.Z' /proc/$p/status && echo $JOBBERD_ID >> twice; echo $$ > $f; "   \
	"echo $JOBBERD_ID >> starts; "

/* Both processes, at random moments, with jobs in every phase; judged by witness files. */
static void
random_kills_lose_nothing_and_run_nothing_twice_at_once(void **state)
{
	struct instance i;
	char *text, *batch = calloc(1, 65536), path[400];
	unsigned seed = (unsigned)getpid();
	struct result result;
	int64_t starts = 0;
	int in_a_row = 0;

	(void)state;
	print_message("seed %u\n", seed);
	instance_init(&i);
	instance_start(&i, "--max-children", "4", NULL);
	for (int n = 0; n < 100; n++)
		strcat(batch, n % 3 == 0 ? WITNESS "sleep 0.05; rm $f; exit 1\n"
					 : WITNESS "sleep 0.02; rm $f\n");
	result = jobberd_with_input(&i, batch, "submit", "--batch", "-r", "2", "--backoff",
	    "constant:30ms", "--cwd", i.directory, NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	for (int kill_count = 0; kill_count < 12; kill_count++) {
		/* After more of them in a row the keeper waits for longer than clients do. */
		if (rand_r(&seed) % 3 != 0 && ++in_a_row < 6) {
			instance_kill_supervisor(&i);
		} else {
			instance_kill_keeper(&i);
			instance_start(&i, NULL);
			in_a_row = 0;
		}
	}
	instance_stop(&i);
	instance_start(&i, "--drain", NULL);
	assert_int_equal(instance_wait(&i), 0);
	check_accounts(&i);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM jobs WHERE status IN "
					"('done','failed')"), 100);
	snprintf(path, sizeof(path), "%s/twice", i.directory);
	text = file_text(path);
	assert_string_equal(text, "");
	free(text);
	/* Every start that is recorded was one, and the other way round. */
	snprintf(path, sizeof(path), "%s/starts", i.directory);
	text = file_text(path);
	for (char *at = text; *at != '\0'; at++)
		starts += *at == '\n';
	assert_in_range(sql_number(&i, "SELECT count(*) FROM attempts"), starts, starts + 60);
	free(text);
	free(batch);
	instance_done(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    command_outlives_the_supervisor_process_and_its_end_is_recorded),
		cmocka_unit_test(end_during_the_supervisor_process_absence_is_recorded),
		cmocka_unit_test(wait_goes_on_with_the_next_supervisor_process),
		cmocka_unit_test(command_that_writes_to_its_socket_notices_nothing),
		cmocka_unit_test(keeper_killed_next_supervise_adopts_with_true_exit_status),
		cmocka_unit_test(job_that_ended_while_no_keeper_was_there_is_lost_and_runs_again),
		cmocka_unit_test(
		    job_that_is_a_zombie_when_the_next_keeper_comes_tells_its_status),
		cmocka_unit_test(leave_lets_commands_run_on_and_the_next_supervise_adopts_them),
		cmocka_unit_test(stop_interrupts_uncounted_and_the_next_supervise_runs_it_again),
		cmocka_unit_test(random_kills_lose_nothing_and_run_nothing_twice_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
