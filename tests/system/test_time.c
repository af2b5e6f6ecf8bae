/* Delays, timers and time-outs: they survive everything, and fire once. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/helper.h"
#include "support/outside.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LATE_MS (1000 * SLOWNESS) /* on a busy machine */

#define ROUNDING 1 /* both times are cut to milliseconds, of clocks that tick apart */

/* How long after its creation was the job claimed, and only once? */
static void
assert_claimed_after(struct instance *i, int64_t job, int64_t least, int64_t most)
{
	char question[300];

	snprintf(question, sizeof(question),
	    "SELECT count(*) FROM attempts WHERE job_id = %lld", (long long)job);
	assert_int_equal(sql_number(i, question), 1);
	snprintf(question, sizeof(question),
	    "SELECT claimed_at - created_at FROM attempts JOIN jobs ON id = job_id "
	    "WHERE job_id = %lld",
	    (long long)job);
	assert_between(sql_number(i, question), least - ROUNDING, most);
}

static void
format_time(char text[40], int64_t wall)
{
	time_t seconds = (time_t)(wall / 1000);
	struct tm parts;

	gmtime_r(&seconds, &parts);
	strftime(text, 40, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

/* ---- delayed starts ---- */

static void
delayed_job_starts_when_its_delay_is_over(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--in", "300ms", "--", "true", NULL);
	submit_job(&i, "--in", "1h", "--", "true", NULL);
	submit_job(&i, "--in", "100ms", "--", "true", NULL);
	submit_job(&i, "--in", "0s", "--", "true", NULL);
	assert_int_equal(wait_job(&i, 1), 0);
	assert_int_equal(wait_job(&i, 3), 0);
	assert_int_equal(wait_job(&i, 4), 0);
	assert_claimed_after(&i, 1, 300, 300 + LATE_MS);
	assert_claimed_after(&i, 3, 100, 100 + LATE_MS);
	assert_claimed_after(&i, 4, 0, LATE_MS);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts"), 3);
	instance_finish(&i);
}

static void
job_at_a_time_starts_then_and_at_once_if_that_is_past(void **state)
{
	struct instance i;
	char text[40], question[200];
	int64_t at = wall_ms() / 1000 * 1000 + 2000;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	format_time(text, at);
	submit_job(&i, "--at", text, "--", "true", NULL);
	submit_job(&i, "--at", "2020-01-01T00:00:00Z", "--", "true", NULL);
	assert_int_equal(wait_job(&i, 2), 0);
	assert_claimed_after(&i, 2, 0, LATE_MS);
	assert_int_equal(wait_job(&i, 1), 0);
	snprintf(question, sizeof(question),
	    "SELECT claimed_at - %lld FROM attempts WHERE job_id = 1", (long long)at);
	assert_between(sql_number(&i, question), 0, LATE_MS);
	instance_finish(&i);
}

static void
delay_survives_restart_and_kill_of_either_process(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--in", "2s", "--", "true", NULL);
	instance_kill_supervisor(&i);
	instance_stop(&i);
	instance_start(&i, NULL);
	instance_kill_keeper(&i);
	instance_start(&i, NULL);
	assert_int_equal(wait_job(&i, 1), 0);
	assert_claimed_after(&i, 1, 2000, 2000 + 3 * LATE_MS);
	instance_finish(&i);
}

/* Its time came while nothing ran. */
static void
overdue_timers_fire_once_at_the_next_start(void **state)
{
	struct instance i;
	struct bell bell;
	char command[400];

	(void)state;
	instance_init(&i);
	submit_job(&i, "--in", "1ms", "--", "true", NULL);
	bell_init(&bell, &i, "bell");
	snprintf(command, sizeof(command), "echo > %s; exit $((2 - JOBBERD_ATTEMPT))",
	    bell.path);
	submit_job(
	    &i, "-r", "1", "--backoff", "constant:1h", "--", "sh", "-c", command, NULL);
	instance_start(&i, NULL);
	assert_int_equal(wait_job(&i, 1), 0);
	free(bell_wait(&bell));
	instance_stop(&i); /* which may interrupt it: two runs in either case */
	assert_null(foreign(&i, "UPDATE jobs SET wake_at = 1000 WHERE id = 2"));
	instance_start(&i, NULL);
	assert_int_equal(wait_job(&i, 2), 0);
	instance_stop(&i);
	instance_start(&i, NULL);
	instance_stop(&i);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE job_id = 1"), 1);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE job_id = 2"), 2);
	bell_done(&bell);
	check_accounts(&i);
	instance_done(&i);
}

/* ---- the wall clock is set ---- */

/* To what it shows: no time is lost, but everybody who asked for it is told. */
static bool
set_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (clock_settime(CLOCK_REALTIME, &now) == 0)
		return true;
	assert_int_equal(errno, EPERM);
	return false;
}

static void
step_of_the_wall_clock_is_noticed_and_timers_stay_right(void **state)
{
	struct instance i;
	pid_t supervisor;
	int64_t woken;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--in", "1s", "--", "true", NULL);
	if (!set_clock())
		skip();
	instance_expect(&i, "the wall clock was set: timers are computed anew");
	assert_int_equal(wait_job(&i, 1), 0);
	assert_claimed_after(&i, 1, 1000, 1000 + LATE_MS);
	/* Idle and with no timer at all it still hears of it. */
	supervisor = instance_supervisor_pid(&i);
	assert_sleeps(&i, 500);
	woken = wakeups(supervisor);
	assert_true(set_clock());
	let_pass(&i, 500);
	assert_true(wakeups(supervisor) > woken);
	instance_finish(&i);
}

/* ---- time-outs ---- */

static void
job_that_ignores_sigterm_is_killed_after_its_grace(void **state)
{
	struct instance i;
	struct bell bell;
	char command[700], *line, *text;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&bell, &i, "bell");
	snprintf(command, sizeof(command),
	    "trap 'echo term > %s' TERM; while :; do sleep 0.05; done", bell.path);
	submit_job(&i, "-r", "0", "--timeout", "300ms", "--grace", "400ms", "--", "sh", "-c",
	    command, NULL);
	line = bell_wait(&bell);
	assert_string_equal(line, "term");
	free(line);
	assert_int_equal(wait_job(&i, 1), 1);
	text = sql(&i, "SELECT reason || ' ' || signal FROM attempts");
	assert_string_equal(text, "timeout 9");
	free(text);
	assert_between(sql_number(&i, "SELECT run_ms FROM attempts"), 700, 700 + LATE_MS);
	bell_done(&bell);
	instance_finish(&i);
}

static void
job_that_heeds_sigterm_is_not_killed_and_timed_out_all_the_same(void **state)
{
	struct instance i;
	char *text;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "-r", "0", "--timeout", "300ms", "--grace", "10min", "--", "sh", "-c",
	    "trap 'echo bye; exit 0' TERM; sleep 1000 & wait", NULL);
	assert_int_equal(wait_job(&i, 1), 1);
	text = sql(&i, "SELECT reason || ' ' || exit_code || ' ' || last_lines FROM attempts");
	assert_string_equal(text, "timeout 0 bye\n");
	free(text);
	assert_between(sql_number(&i, "SELECT run_ms FROM attempts"), 300, 300 + LATE_MS);
	instance_finish(&i);
}

/* It counts as a failure, and each run has its own. */
static void
each_run_has_its_own_time_out(void **state)
{
	struct instance i;
	char *text;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "-r", "1", "--backoff", "constant:10ms", "--timeout", "200ms", "--",
	    "sleep", "1000", NULL);
	assert_int_equal(wait_job(&i, 1), 1);
	text = sql(&i, "SELECT group_concat(reason) || (SELECT failures FROM jobs) FROM attempts");
	assert_string_equal(text, "timeout,timeout2");
	free(text);
	assert_between(sql_number(&i, "SELECT min(run_ms) FROM attempts"), 200, 200 + LATE_MS);
	instance_finish(&i);
}

/* With nobody there who could think, the keeper still ends it in time. */
static void
time_out_needs_no_supervisor_process(void **state)
{
	struct instance i;
	struct bell bell;
	char command[400];
	pid_t pid, supervisor;
	int64_t asked, begin;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&bell, &i, "bell");
	snprintf(command, sizeof(command), "echo $$ > %s; exec sleep 1000", bell.path);
	asked = now_ms();
	submit_job(&i, "-r", "0", "--timeout", "1s", "--", "sh", "-c", command, NULL);
	pid = (pid_t)bell_number(&bell);
	begin = now_ms();
	supervisor = instance_supervisor_pid(&i);
	kill(supervisor, SIGSTOP);
	wait_gone(pid);
	assert_true(now_ms() - asked >= 1000);
	assert_between(now_ms() - begin, 0, 1000 + LATE_MS);
	kill(supervisor, SIGKILL);
	assert_int_equal(wait_job(&i, 1), 1);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE reason = 'timeout' "
					"AND signal = 15"), 1);
	bell_done(&bell);
	instance_finish(&i);
}

/* What is left of it goes on with the next keeper; what was over already ends at once. */
static void
time_out_survives_the_keeper(void **state)
{
	struct instance i;
	struct bell bell;
	char command[400];
	pid_t first, second;
	int64_t begin;

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "2", NULL);
	bell_init(&bell, &i, "bell");
	snprintf(command, sizeof(command), "echo $$ > %s; exec sleep 1000", bell.path);
	submit_job(&i, "-r", "0", "--timeout", "3s", "--", "sh", "-c", command, NULL);
	first = (pid_t)bell_number(&bell);
	submit_job(&i, "-r", "0", "--timeout", "1500ms", "--", "sh", "-c", command, NULL);
	second = (pid_t)bell_number(&bell);
	instance_kill_keeper(&i);
	let_pass(&i, 1600); /* with nobody there */
	assert_true(is_alive(first));
	assert_true(is_alive(second));
	begin = now_ms();
	instance_start(&i, NULL);
	wait_gone(second);
	assert_between(now_ms() - begin, 0, LATE_MS);
	wait_gone(first);
	assert_int_equal(wait_job(&i, 1), 1);
	assert_int_equal(wait_job(&i, 2), 1);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE reason = "
					"'timeout' AND signal = 15"), 2);
	assert_between(sql_number(&i, "SELECT run_ms FROM attempts WHERE job_id = 1"), 2950,
	    3000 + LATE_MS);
	bell_done(&bell);
	instance_finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delayed_job_starts_when_its_delay_is_over),
		cmocka_unit_test(job_at_a_time_starts_then_and_at_once_if_that_is_past),
		cmocka_unit_test(delay_survives_restart_and_kill_of_either_process),
		cmocka_unit_test(overdue_timers_fire_once_at_the_next_start),
		cmocka_unit_test(step_of_the_wall_clock_is_noticed_and_timers_stay_right),
		cmocka_unit_test(job_that_ignores_sigterm_is_killed_after_its_grace),
		cmocka_unit_test(
		    job_that_heeds_sigterm_is_not_killed_and_timed_out_all_the_same),
		cmocka_unit_test(each_run_has_its_own_time_out),
		cmocka_unit_test(time_out_needs_no_supervisor_process),
		cmocka_unit_test(time_out_survives_the_keeper),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
