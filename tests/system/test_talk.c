/* Descriptor 3: what jobs say arrives, whoever is killed meanwhile, and nothing on it hurts. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/helper.h"
#include "support/outside.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINES 900

/* It numbers its log lines, and says on the bell that it begins. */
static void
submit_counting(struct instance *i, const char *pace)
{
	char script[700];

	snprintf(script, sizeof(script),
	    "mkfifo never; echo > bell; read x < go; for ((n = 1; n <= %d; n++)); do echo "
	    "'{\"jsonrpc\":\"2.0\",\"method\":\"log\",\"params\":{\"text\":\"n'$n'\"}}' >&3 "
	    "|| exit 9; %s; done; true", LINES, pace);
	submit_job(i, "-r", "0", "--cwd", i->directory, "--", "bash", "-c", script, NULL);
}

/* All of them, in order; those of the very last moment before a kill perhaps twice. */
static void
check_counted(struct instance *i, int64_t most_twice)
{
	int64_t arrived = sql_number(i, "SELECT count(*) FROM events WHERE detail LIKE 'n%'");

	assert_int_equal(sql_number(i, "SELECT count(DISTINCT detail) FROM events WHERE detail "
				       "LIKE 'n%'"), LINES);
	assert_between(arrived, LINES, LINES + most_twice);
	if (arrived == LINES)
		assert_int_equal(sql_number(i, "SELECT count(*) FROM (SELECT detail, lag(detail) "
					       "OVER (ORDER BY seq) AS previous FROM events "
					       "WHERE detail LIKE 'n%') WHERE CAST(substr(detail, "
					       "2) AS INT) < CAST(substr(previous, 2) AS INT)"),
		    0);
	assert_int_equal(sql_number(i, "SELECT count(*) FROM events WHERE event = "
				       "'message not understood'"), 0);
}

static void
every_line_arrives_although_the_supervisor_process_is_killed(void **state)
{
	struct instance i;
	struct bell bell, go;
	unsigned seed = (unsigned)getpid();

	(void)state;
	print_message("seed %u\n", seed);
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&bell, &i, "bell");
	bell_init(&go, &i, "go");
	submit_counting(&i, "read -t 0.001 x <> never");
	free(bell_wait(&bell));
	fifo_write(go.path, "go\n");
	for (int n = 0; n < 4; n++) {
		let_pass(&i, rand_r(&seed) % 100);
		instance_kill_supervisor(&i);
	}
	assert_int_equal(wait_job(&i, 1), 0);
	check_counted(&i, 4 * 200); /* what one slow commit had in it */
	bell_done(&bell);
	bell_done(&go);
	instance_finish(&i);
}

/* Killed in the middle of writing them down. */
static void
lines_that_were_read_and_not_recorded_are_read_again(void **state)
{
	(void)state;
	for (int when = 1; when <= 13; when += 4) {
		struct instance i;
		struct bell bell, go;
		struct helper strace;
		char expression[100];

		instance_init(&i);
		instance_start(&i, NULL);
		bell_init(&bell, &i, "bell");
		bell_init(&go, &i, "go");
		submit_counting(&i, "((n % 30 != 0)) || read -t 0.01 x <> never");
		free(bell_wait(&bell));
		wait_sql(&i, "SELECT count(*) > 0 FROM jobs WHERE status = 'running'");
		snprintf(expression, sizeof(expression),
		    "inject=pwrite64:signal=SIGKILL:when=%d", when);
		helper_strace(&strace, instance_supervisor_pid(&i), expression, NULL);
		fifo_write(go.path, "go\n");
		assert_int_equal(wait_job(&i, 1), 0);
		helper_end(&strace);
		assert_int_equal(sql_number(&i, "SELECT count(*) FROM generations"), 2);
		check_counted(&i, 0);
		bell_done(&bell);
		bell_done(&go);
		instance_finish(&i);
	}
}

/* ---- what hurts nobody ---- */

/* The most memory that a process has had so far. */
static int64_t
peak_kib(pid_t pid)
{
	char path[64], *text, *at;
	int64_t kib;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	text = file_text(path);
	at = strstr(text, "VmHWM:");
	kib = at != NULL ? strtoll(at + strlen("VmHWM:"), NULL, 10) : -1;
	free(text);
	return kib;
}

/* It ends as it wants to, others are answered meanwhile, and it is noted once. */
static void
check_harmless(const char *script)
{
	struct instance i;
	struct helper waiting;
	pid_t supervisor;
	int64_t begin;

	instance_init(&i);
	instance_start(&i, NULL);
	supervisor = instance_supervisor_pid(&i);
	submit_job(&i, "-r", "0", "--", "bash", "-c", script, NULL);
	helper_jobberd(&waiting, &i, NULL, "wait", "1", NULL);
	for (int n = 0; n < 5; n++) {
		struct result result;

		begin = now_ms();
		result = jobberd(&i, "status", NULL);
		assert_int_equal(result.status, 0);
		assert_between(now_ms() - begin, 0, 1000 * SLOWNESS);
		result_done(&result);
		if (!helper_runs_for(&waiting, 50))
			break;
	}
	assert_int_equal(helper_wait(&waiting), 0);
	helper_end(&waiting);
	assert_int_equal(instance_supervisor_pid(&i), supervisor);
	assert_between(peak_kib(supervisor), 1, (64 << 10) * SLOWNESS);
	assert_between(sql_number(&i, "SELECT count(*) FROM events WHERE event = "
				      "'message not understood'"), 0, 1);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM generations"), 1);
	instance_finish(&i);
}

static void
job_may_close_its_socket(void **state)
{
	(void)state;
	check_harmless("exec 3>&-; exit 0");
}

static void
job_that_floods_its_socket_with_garbage_hurts_nobody(void **state)
{
	(void)state;
	check_harmless("head -c 100M /dev/urandom >&3; exit 0");
}

static void
gigabyte_without_an_end_of_line_hurts_nobody(void **state)
{
	(void)state;
	check_harmless("head -c 1G /dev/zero >&3; exit 0");
}

static void
job_that_asks_and_never_reads_hurts_nobody(void **state)
{
	(void)state;
	check_harmless("yes '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"no\"}' | "
		       "head -n 1000000 >&3; exit 0");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_line_arrives_although_the_supervisor_process_is_killed),
		cmocka_unit_test(job_may_close_its_socket),
		cmocka_unit_test(job_that_floods_its_socket_with_garbage_hurts_nobody),
		cmocka_unit_test(gigabyte_without_an_end_of_line_hurts_nobody),
		cmocka_unit_test(job_that_asks_and_never_reads_hurts_nobody),
	};

	const struct CMUnitTest injected[] = {
		cmocka_unit_test(lines_that_were_read_and_not_recorded_are_read_again),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	if (!IS_SANITIZED)
		failed += cmocka_run_group_tests(injected, NULL, NULL);
	return failed;
}
