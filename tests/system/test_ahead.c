/* Claims ahead: what follows another attempt takes over its place, and no other. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/helper.h"
#include "support/outside.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* With runs so short, three to 60 ms, four attempts are claimed for one place. */
#define SHORT_RUN_US 19000
#define MOST_WARM_UPS 200

static int64_t
submit_true(struct instance *i)
{
	return submit_job(i, "-s", "serial", "--", "true", NULL);
}

static void
run_true(struct instance *i)
{
	assert_int_equal(wait_job(i, submit_true(i)), 0);
}

/*
 * An instance whose one place is known for short runs: what waits for it is claimed ahead. On
 * a busy machine the first ones may take so long that it takes many short ones to outweigh
 * them: each counts for an eighth.
 */
static void
start_serial(struct instance *i)
{
	static const char last_run[] =
	    "SELECT run_ms FROM attempts ORDER BY job_id DESC LIMIT 1";
	double mean_us;

	instance_init(i);
	instance_start(i, NULL);
	run_true(i);
	mean_us = 1000.0 * (double)sql_number(i, last_run) + 500;
	for (int n = 0; mean_us > SHORT_RUN_US; n++) {
		if (n == MOST_WARM_UPS)
			fail_msg("runs do not get short: %.0f us", mean_us);
		run_true(i);
		mean_us += (1000.0 * (double)sql_number(i, last_run) + 500 - mean_us) / 8;
	}
}

/* Until somebody's hold is recorded, whatever he is told. */
static void
wait_held(struct instance *i)
{
	wait_sql(i, "SELECT count(*) > 0 FROM jobs WHERE hold = 'user'");
}

static void
assert_ran_after(struct instance *i, int64_t later, int64_t earlier)
{
	char question[300];

	snprintf(question, sizeof(question),
	    "SELECT (SELECT started_at FROM attempts WHERE job_id = %lld) + 20 >= "
	    "(SELECT ended_at FROM attempts WHERE job_id = %lld)",
	    (long long)later, (long long)earlier);
	assert_int_equal(sql_number(i, question), 1);
}

static void
claim_behind_one_that_was_recalled_does_not_start_in_a_place_that_is_taken(void **state)
{
	struct instance i;
	struct helper hold;
	char held[32], question[200], *text;
	int64_t first, last;

	(void)state;
	start_serial(&i);
	/* So that the keeper reads all of this at once, in this order. */
	kill(i.keeper, SIGSTOP);
	first = submit_job(&i, "-s", "serial", "--", "sleep", "0.3", NULL);
	submit_true(&i);
	snprintf(held, sizeof(held), "%lld", (long long)submit_true(&i));
	helper_jobberd(&hold, &i, NULL, "hold", held, NULL);
	wait_held(&i);
	last = submit_true(&i);
	wait_sql(&i, "SELECT count(*) >= 4 FROM attempts WHERE ended_at IS NULL");
	kill(i.keeper, SIGCONT);
	assert_int_equal(helper_wait(&hold), 0);
	helper_end(&hold);
	assert_int_equal(wait_job(&i, last), 0);
	assert_int_equal(wait_job(&i, first), 0);
	assert_ran_after(&i, last, first);
	snprintf(question, sizeof(question),
	    "SELECT status || hold || (SELECT count(*) FROM attempts WHERE job_id = id) "
	    "FROM jobs WHERE id = %s", held);
	text = sql(&i, question);
	assert_string_equal(text, "newuser0");
	free(text);
	instance_finish(&i);
}

/* Nobody is told that a job is held that runs: the answer waits until that is known. */
static void
hold_of_a_claimed_job_that_starts_all_the_same_is_refused(void **state)
{
	struct instance i;
	struct helper hold;
	struct bell pids, go;
	char command[900];

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&pids, &i, "pids");
	bell_init(&go, &i, "go");
	kill(i.keeper, SIGSTOP);
	snprintf(command, sizeof(command), "echo $$ > %s; read x < %s; exit 3", pids.path,
	    go.path);
	submit_job(&i, "-r", "1", "--backoff", "constant:10ms", "--", "sh", "-c", command,
	    NULL);
	helper_jobberd(&hold, &i, NULL, "hold", "1", NULL);
	wait_held(&i);
	assert_true(helper_runs_for(&hold, 200));
	kill(i.keeper, SIGCONT);
	assert_int_equal(helper_wait(&hold), 5);
	assert_has(hold.err.text, "job 1 has been started: hold is not possible");
	helper_end(&hold);
	/* Nor is what comes after this run. */
	free(bell_wait(&pids));
	fifo_write(go.path, "go\n");
	free(bell_wait(&pids));
	fifo_write(go.path, "go\n");
	assert_int_equal(wait_job(&i, 1), 1);
	bell_done(&pids);
	bell_done(&go);
	instance_finish(&i);
}

/* Its client does not wait for the answer: what was asked for is asked for. */
static void
hold_of_a_claimed_job_outlives_the_client_that_asked_for_it(void **state)
{
	struct instance i;
	struct helper hold;
	char held[32];
	int64_t first;

	(void)state;
	start_serial(&i);
	kill(i.keeper, SIGSTOP);
	first = submit_job(&i, "-s", "serial", "--", "sleep", "0.3", NULL);
	snprintf(held, sizeof(held), "%lld", (long long)submit_true(&i));
	helper_jobberd(&hold, &i, NULL, "hold", held, NULL);
	wait_held(&i);
	helper_end(&hold);
	kill(i.keeper, SIGCONT);
	assert_int_equal(wait_job(&i, first), 0);
	run_true(&i);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE job_id IN "
					"(SELECT id FROM jobs WHERE hold = 'user')"), 0);
	instance_finish(&i);
}

static void
ask(int fd, const char *method)
{
	char request[100];
	int length = snprintf(request, sizeof(request),
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":{}}\n", method);

	assert_int_equal(write(fd, request, (size_t)length), length);
}

static void
claim_that_took_over_its_place_while_all_were_stopped_is_stopped_too(void **state)
{
	struct pollfd answer = { .events = POLLIN };
	struct instance i;
	struct bell bell;
	char command[400], bytes[4096];
	pid_t supervisor, pid;

	(void)state;
	start_serial(&i);
	bell_init(&bell, &i, "bell");
	supervisor = instance_supervisor_pid(&i);
	answer.fd = connect_client(&i);
	ask(answer.fd, "status");
	assert_int_equal(poll(&answer, 1, PATIENCE_MS), 1);
	assert_true(read(answer.fd, bytes, sizeof(bytes)) > 0);
	kill(i.keeper, SIGSTOP);
	submit_true(&i);
	snprintf(command, sizeof(command), "echo $$ > %s; exec sleep 1000", bell.path);
	submit_job(&i, "-s", "serial", "--", "sh", "-c", command, NULL);
	wait_sql(&i, "SELECT count(*) >= 2 FROM attempts WHERE ended_at IS NULL");
	/* It reads the request first, then what happened before. */
	kill(supervisor, SIGSTOP);
	ask(answer.fd, "shutdown");
	kill(i.keeper, SIGCONT);
	pid = (pid_t)bell_number(&bell);
	kill(supervisor, SIGCONT);
	assert_int_equal(instance_wait(&i), 0);
	assert_false(is_alive(pid));
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE "
					"reason = 'interrupted'"), 1);
	close(answer.fd);
	bell_done(&bell);
	check_accounts(&i);
	instance_done(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    claim_behind_one_that_was_recalled_does_not_start_in_a_place_that_is_taken),
		cmocka_unit_test(hold_of_a_claimed_job_that_starts_all_the_same_is_refused),
		cmocka_unit_test(hold_of_a_claimed_job_outlives_the_client_that_asked_for_it),
		cmocka_unit_test(
		    claim_that_took_over_its_place_while_all_were_stopped_is_stopped_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
