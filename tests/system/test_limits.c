/* Too many of something, or too few: processes, descriptors, supervisors, losses. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/helper.h"
#include "support/outside.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void
assert_status_says(struct instance *i, const char *words)
{
	struct result result = jobberd(i, "status", NULL);

	assert_int_equal(result.status, 0);
	assert_has(result.out, words);
	result_done(&result);
}

/* ---- starting ---- */

static void
fork_that_fails_is_not_counted_and_starting_pauses(void **state)
{
	struct instance i;
	struct helper strace;
	char *text;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	helper_strace(&strace, i.keeper, "inject=clone,clone3,vfork:error=EAGAIN", NULL);
	submit_job(&i, "-r", "0", "--", "sh", "-c", "exit 3", NULL);
	instance_expect(&i, "job=1 could not be started: Resource temporarily unavailable; "
			    "starting pauses for 200 ms");
	assert_status_says(&i, "starting pauses: Resource temporarily unavailable");
	helper_end(&strace);
	assert_int_equal(wait_job(&i, 1), 1);
	text = sql(&i, "SELECT attempt || ' ' || a.reason || ' ' || failures || ' ' || "
		       "(SELECT count(*) FROM attempts) FROM attempts a JOIN jobs ON id = job_id");
	assert_string_equal(text, "1 exit:3 1 1");
	free(text);
	instance_finish(&i);
}

static void
keeper_without_descriptors_starts_nothing_and_counts_nothing(void **state)
{
	struct instance i;
	struct rlimit before, none = { 4, 4 };

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	assert_int_equal(prlimit(i.keeper, RLIMIT_NOFILE, NULL, &before), 0);
	none.rlim_max = before.rlim_max;
	assert_int_equal(prlimit(i.keeper, RLIMIT_NOFILE, &none, NULL), 0);
	submit_job(&i, "-r", "0", "--", "true", NULL);
	instance_expect(&i, "job=1 could not be started: Too many open files");
	assert_int_equal(prlimit(i.keeper, RLIMIT_NOFILE, &before, NULL), 0);
	assert_int_equal(wait_job(&i, 1), 0);
	assert_int_equal(sql_number(&i, "SELECT count(*) + sum(attempt) FROM attempts"), 2);
	instance_finish(&i);
}

/* ---- clients ---- */

static void
assert_answers(int fd)
{
	static const char request[] =
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"}\n";
	struct pollfd wanted = { .fd = fd, .events = POLLIN };
	char bytes[4096];

	assert_int_equal(write(fd, request, strlen(request)), strlen(request));
	assert_int_equal(poll(&wanted, 1, 1000 * SLOWNESS), 1);
	assert_true(read(fd, bytes, sizeof(bytes)) > 0);
}

static void
more_clients_than_descriptors_neither_spin_the_loop_nor_stop_jobs(void **state)
{
	struct instance i;
	struct bell bell;
	struct rlimit few;
	struct pollfd nothing;
	char *message, statement[400];
	int clients[200];
	pid_t supervisor;
	int64_t woken, used;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&bell, &i, "bell");
	supervisor = instance_supervisor_pid(&i);
	assert_int_equal(prlimit(supervisor, RLIMIT_NOFILE, NULL, &few), 0);
	few.rlim_cur = 128;
	assert_int_equal(prlimit(supervisor, RLIMIT_NOFILE, &few, NULL), 0);
	for (size_t n = 0; n < 200; n++)
		clients[n] = connect_client(&i);
	assert_answers(clients[0]);
	/* The last one is not accepted: it has to wait. */
	nothing = (struct pollfd){ .fd = clients[199], .events = POLLIN };
	assert_int_equal(write(clients[199], "x", 1), 1);
	assert_int_equal(poll(&nothing, 1, 0), 0);
	woken = wakeups(supervisor);
	used = cpu_ms(supervisor);
	let_pass(&i, 1000);
	assert_between(wakeups(supervisor) - woken, 0, 50);
	assert_between(cpu_ms(supervisor) - used, 0, 100 * SLOWNESS);
	assert_answers(clients[1]);
	/* Jobs start all the same. */
	snprintf(statement, sizeof(statement),
	    "INSERT INTO jobs (command) VALUES (json_array('sh', '-c', 'echo x > %s'))",
	    bell.path);
	message = foreign(&i, statement);
	assert_null(message);
	free(bell_wait(&bell));
	for (size_t n = 0; n < 200; n++)
		close(clients[n]);
	assert_status_says(&i, "running");
	assert_int_equal(wait_job(&i, 1), 0);
	bell_done(&bell);
	instance_finish(&i);
}

static void
submit_sleepers(struct instance *i, size_t count)
{
	static const char line[] = "exec sleep 600\n";
	char *batch = calloc(count, sizeof(line));

	for (size_t n = 0; n < count; n++)
		memcpy(batch + n * strlen(line), line, strlen(line));
	expect(jobberd_with_input(i, batch, "submit", "--batch", NULL), 0, NULL, NULL);
	free(batch);
}

/* Jobs have a descriptor each, as clients have: without a rest nobody could end a job. */
static void
jobs_that_want_more_descriptors_than_there_are_leave_some_to_clients(void **state)
{
	struct instance i;
	struct rlimit few;
	struct result result;

	(void)state;
	instance_init(&i);
	submit_sleepers(&i, 200);
	instance_start(&i, "--max-children", "0", NULL);
	assert_int_equal(prlimit(i.keeper, RLIMIT_NOFILE, NULL, &few), 0);
	few.rlim_cur = 160;
	assert_int_equal(prlimit(i.keeper, RLIMIT_NOFILE, &few, NULL), 0);
	assert_int_equal(prlimit(instance_supervisor_pid(&i), RLIMIT_NOFILE, &few, NULL), 0);
	result = jobberd(&i, "supervisor", "set", "default", "--max-children", "200", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	instance_expect(&i, "could not be started: Too many open files");
	wait_sql(&i, "SELECT count(*) > 60 FROM attempts WHERE started_at IS NOT NULL");
	assert_between(
	    sql_number(&i, "SELECT count(*) FROM attempts WHERE started_at IS NOT NULL"), 60, 64);
	assert_status_says(&i, "running");
	result = jobberd(&i, "cancel", "1", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	instance_finish(&i);
}

/* Many that are refused at once are one want: the pause is not doubled by each of them. */
static void
want_of_descriptors_that_is_over_soon_is_paused_for_shortly(void **state)
{
	struct instance i;
	struct rlimit before, none = { 4, 4 };
	struct result result;
	int64_t begin;

	(void)state;
	instance_init(&i);
	submit_sleepers(&i, 60);
	instance_start(&i, "--max-children", "0", NULL);
	assert_int_equal(prlimit(i.keeper, RLIMIT_NOFILE, NULL, &before), 0);
	none.rlim_max = before.rlim_max;
	assert_int_equal(prlimit(i.keeper, RLIMIT_NOFILE, &none, NULL), 0);
	result = jobberd(&i, "supervisor", "set", "default", "--max-children", "60", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	instance_expect(&i, "job=60 could not be started: Too many open files");
	assert_int_equal(prlimit(i.keeper, RLIMIT_NOFILE, &before, NULL), 0);
	begin = now_ms();
	wait_sql(&i, "SELECT count(*) = 60 FROM attempts WHERE started_at IS NOT NULL");
	assert_between(now_ms() - begin, 0, 5000);
	instance_finish(&i);
}

static void
supervise_that_may_have_too_few_descriptors_is_refused_in_words(void **state)
{
	struct instance i;
	struct helper shell;
	const char *arguments[] = { "sh", "-c",
		"ulimit -n 64 && exec \"$JOBBERD\" -C \"$0\" supervise", i.state, NULL };

	(void)state;
	instance_init(&i);
	helper_start(&shell, NULL, arguments);
	helper_expect(&shell,
	    "jobberd: 64 descriptors are allowed (RLIMIT_NOFILE), and 128 are wanted\n");
	assert_int_equal(helper_wait(&shell), 78);
	helper_end(&shell);
	instance_done(&i);
}

/* ---- more than one supervisor ---- */

#define MANY 20

static void
of_twenty_supervise_at_once_one_wins_and_19_exit_5(void **state)
{
	struct instance i;
	struct helper helpers[MANY];
	struct pollfd ends[MANY];
	size_t winner = MANY, left = MANY;
	char pid[32];

	(void)state;
	instance_init(&i);
	for (size_t n = 0; n < MANY; n++) {
		helper_jobberd(&helpers[n], &i, NULL, "supervise", NULL);
		ends[n] = (struct pollfd){ .fd = helpers[n].pidfd, .events = POLLIN };
	}
	while (left > 1) {
		assert_true(poll(ends, MANY, PATIENCE_MS) > 0);
		for (size_t n = 0; n < MANY; n++) {
			if (ends[n].revents == 0)
				continue;
			ends[n].fd = -1;
			left--;
		}
	}
	for (size_t n = 0; n < MANY; n++) {
		if (ends[n].fd != -1)
			winner = n;
	}
	assert_true(winner < MANY);
	helper_expect(&helpers[winner], "ready: ");
	snprintf(pid, sizeof(pid), "(pid %d)", (int)helpers[winner].pid);
	for (size_t n = 0; n < MANY; n++) {
		if (n == winner)
			continue;
		assert_int_equal(helper_wait(&helpers[n]), 5);
		assert_has(helpers[n].err.text, pid);
		helper_end(&helpers[n]);
	}
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM generations"), 1);
	kill(helpers[winner].pid, SIGTERM);
	assert_int_equal(helper_wait(&helpers[winner]), 0);
	helper_end(&helpers[winner]);
	check_accounts(&i);
	instance_done(&i);
}

/* The keeper's open lock file, as a descriptor of ours. */
static int
take_lock_of(struct instance *i)
{
	int pidfd = (int)syscall(SYS_pidfd_open, i->keeper, 0), found = -1;
	char path[64], link[512], target[400];
	struct dirent *entry;
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)i->keeper);
	snprintf(link, sizeof(link), "%s/jobberd.lock", i->state);
	directory = opendir(path);
	while (found == -1 && (entry = readdir(directory)) != NULL) {
		ssize_t length =
		    readlinkat(dirfd(directory), entry->d_name, target, sizeof(target) - 1);

		target[length > 0 ? length : 0] = '\0';
		if (strcmp(target, link) == 0)
			found = (int)syscall(SYS_pidfd_getfd, pidfd, atoi(entry->d_name), 0);
	}
	closedir(directory);
	close(pidfd);
	return found;
}

static void
supervise_waits_for_the_remains_of_a_killed_keeper(void **state)
{
	struct instance i;
	pid_t supervisor;
	int lock;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--in", "1h", "--", "true", NULL);
	/* Stopped, so that it cannot leave by itself. */
	supervisor = instance_supervisor_pid(&i);
	kill(supervisor, SIGSTOP);
	lock = take_lock_of(&i);
	if (lock == -1)
		skip(); /* we may not look into it here */
	instance_kill_keeper(&i);
	assert_false(is_alive(supervisor));
	/* Whoever has the file open holds the lock. */
	instance_launch(&i, NULL);
	instance_expect(&i, "waiting for the remains of a killed supervisor to leave");
	let_pass(&i, 300);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM generations"), 1);
	close(lock);
	instance_expect(&i, "ready: ");
	instance_finish(&i);
}

/* ---- stopping ---- */

static void
second_sigterm_skips_the_grace(void **state)
{
	struct instance i;
	struct bell bell;
	char command[400], *text;
	int64_t begin;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&bell, &i, "bell");
	snprintf(command, sizeof(command),
	    "trap '' TERM; echo $$ > %s; while :; do sleep 1000; done", bell.path);
	submit_job(&i, "--grace", "10min", "--", "sh", "-c", command, NULL);
	free(bell_wait(&bell));
	kill(i.keeper, SIGTERM);
	instance_expect(&i, "stopping: 1 running job is ended");
	let_pass(&i, 200);
	begin = now_ms();
	kill(i.keeper, SIGTERM);
	assert_int_equal(instance_wait(&i), 0);
	assert_between(now_ms() - begin, 0, 5000 * SLOWNESS);
	text = sql(&i, "SELECT a.reason || ' ' || status || failures FROM attempts a, jobs");
	assert_string_equal(text, "interrupted new0");
	free(text);
	bell_done(&bell);
	check_accounts(&i);
	instance_done(&i);
}

static void
thousand_running_jobs_are_ended_in_seconds(void **state)
{
	struct instance i;
	struct bell bell;
	struct result result;
	char line[400], *batch = calloc(1000, 400);
	int64_t begin;

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "1000", NULL);
	bell_init(&bell, &i, "bell");
	snprintf(line, sizeof(line), "echo > %s; exec sleep 1000\n", bell.path);
	for (size_t n = 0, used = 0; n < 1000; n++, used += strlen(line))
		memcpy(batch + used, line, strlen(line));
	result = jobberd_with_input(&i, batch, "submit", "--batch", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	free(batch);
	for (size_t n = 0; n < 1000; n++)
		free(bell_wait(&bell));
	begin = now_ms();
	instance_stop(&i);
	assert_between(now_ms() - begin, 0, 10000 * SLOWNESS);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE reason = "
					"'interrupted'"), 1000);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM jobs WHERE status = 'new' AND "
					"failures = 0"), 1000);
	bell_done(&bell);
	check_accounts(&i);
	instance_done(&i);
}

/* ---- losses ---- */

static void
job_that_is_lost_three_times_in_a_row_has_failed(void **state)
{
	struct instance i;
	struct bell bell;
	char command[400], *text;

	(void)state;
	instance_init(&i);
	bell_init(&bell, &i, "bell");
	snprintf(command, sizeof(command), "echo $$ > %s; exec sleep 1000", bell.path);
	submit_job(&i, "-r", "inf", "--", "sh", "-c", command, NULL);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (int n = 0; n < 3; n++) {
		pid_t pid;

		instance_start(&i, NULL);
		pid = (pid_t)bell_number(&bell);
		instance_kill_keeper(&i);
		kill(pid, SIGKILL);
		/* Reaped by us, so nobody knows how it ended. */
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	instance_start(&i, NULL);
	assert_int_equal(wait_job(&i, 1), 1);
	text = sql(&i, "SELECT group_concat(reason) || ' ' || (SELECT status || failures FROM "
		       "jobs) FROM attempts");
	assert_string_equal(text, "lost:keeper,lost:keeper,lost:keeper failed0");
	free(text);
	bell_done(&bell);
	instance_finish(&i);
}

static void
run_once_job_is_never_started_twice(void **state)
{
	enum { JOBS = 40 };
	struct instance i;
	struct result result;
	char batch[JOBS * 64] = "", start[16];
	unsigned seed = 20261123;

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "3", NULL);
	for (int n = 0; n < JOBS; n++)
		strcat(batch, "echo \"s $JOBBERD_ID .\" >> witness; sleep 0.03\n");
	result = jobberd_with_input(&i, batch, "submit", "--batch", "-r", "0", "--cwd",
	    i.directory, NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	for (int n = 0; n < 8; n++) {
		if (rand_r(&seed) % 2 != 0) {
			instance_kill_supervisor(&i);
		} else {
			instance_kill_keeper(&i);
			instance_start(&i, NULL);
		}
	}
	instance_stop(&i);
	instance_start(&i, "--drain", NULL);
	assert_int_equal(instance_wait(&i), 0);
	for (int n = 1; n <= JOBS; n++) {
		snprintf(start, sizeof(start), "s %d .", n);
		assert_in_range(witness_count(&i, "witness", start), 0, 1);
	}
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM jobs WHERE status IN ('done', "
					"'failed')"), JOBS);
	assert_int_equal(sql_number(&i, "SELECT max(attempt) FROM attempts"), 1);
	check_accounts(&i);
	instance_done(&i);
}

/* ---- everything at once ---- */

static void
two_thousand_due_retries_go_through_the_same_gate(void **state)
{
	enum { JOBS = 2000, PLACES = 3 };
	static const char line[] = "if [ $JOBBERD_ATTEMPT = 1 ]; then echo > bell; exit 1; fi; "
				   "echo s >> witness; echo e >> witness\n";
	struct instance i;
	struct bell bell;
	struct result result;
	char *batch = calloc(JOBS, sizeof(line)), *message, path[400], *witness;
	int64_t running = 0, most = 0;

	(void)state;
	instance_init(&i);
	for (size_t n = 0; n < JOBS; n++)
		memcpy(batch + n * strlen(line), line, strlen(line));
	result = jobberd_with_input(&i, batch, "submit", "--batch", "--backoff", "constant:1h",
	    "--cwd", i.directory, NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	free(batch);
	bell_init(&bell, &i, "bell");
	instance_start(&i, "--max-children", "8", NULL);
	for (size_t n = 0; n < JOBS; n++)
		free(bell_wait(&bell));
	bell_done(&bell);
	instance_stop(&i); /* which may interrupt the last few */
	message = foreign(&i, "UPDATE jobs SET wake_at = 1");
	assert_null(message);
	instance_start(&i, "--drain", "--max-children", "3", NULL);
	assert_int_equal(instance_wait(&i), 0);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM jobs WHERE status = 'done'"),
	    JOBS);
	assert_between(sql_number(&i, "SELECT sum(failures) FROM jobs"), JOBS - 8, JOBS);
	assert_int_equal(witness_count(&i, "witness", "e"), JOBS);
	snprintf(path, sizeof(path), "%s/witness", i.directory);
	witness = file_text(path);
	for (const char *at = witness; at[0] != '\0'; at += 2) {
		running += at[0] == 's' ? 1 : -1;
		if (running > most)
			most = running;
	}
	free(witness);
	assert_between(most, 1, PLACES);
	check_accounts(&i);
	instance_done(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fork_that_fails_is_not_counted_and_starting_pauses),
		cmocka_unit_test(keeper_without_descriptors_starts_nothing_and_counts_nothing),
		cmocka_unit_test(
		    more_clients_than_descriptors_neither_spin_the_loop_nor_stop_jobs),
		cmocka_unit_test(
		    jobs_that_want_more_descriptors_than_there_are_leave_some_to_clients),
		cmocka_unit_test(want_of_descriptors_that_is_over_soon_is_paused_for_shortly),
		cmocka_unit_test(supervise_that_may_have_too_few_descriptors_is_refused_in_words),
		cmocka_unit_test(of_twenty_supervise_at_once_one_wins_and_19_exit_5),
		cmocka_unit_test(supervise_waits_for_the_remains_of_a_killed_keeper),
		cmocka_unit_test(second_sigterm_skips_the_grace),
		cmocka_unit_test(thousand_running_jobs_are_ended_in_seconds),
		cmocka_unit_test(job_that_is_lost_three_times_in_a_row_has_failed),
		cmocka_unit_test(run_once_job_is_never_started_twice),
		cmocka_unit_test(two_thousand_due_retries_go_through_the_same_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
