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

static void
every_line_arrives_once_although_the_supervisor_process_is_killed(void **state)
{
	struct instance i;
	struct bell bell;
	unsigned seed = (unsigned)getpid();
	char question[200];
	int64_t arrived, last;

	(void)state;
	print_message("seed %u\n", seed);
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&bell, &i, "bell");
	submit_job(&i, "-r", "0", "--cwd", i.directory, "--", "bash", "-c",
	    "mkfifo never; for ((n = 1; n <= 900; n++)); do echo "
	    "'{\"jsonrpc\":\"2.0\",\"method\":\"log\",\"params\":{\"text\":\"n'$n'\"}}' >&3 "
	    "|| exit 9; [ $n = 1 ] && echo > bell; read -t 0.001 x <> never; done; true", NULL);
	free(bell_wait(&bell));
	for (int n = 0; n < 4; n++) {
		let_pass(&i, rand_r(&seed) % 100);
		instance_kill_supervisor(&i);
	}
	assert_int_equal(wait_job(&i, 1), 0);
	arrived = sql_number(&i, "SELECT count(*) FROM events WHERE detail LIKE 'n%'");
	snprintf(question, sizeof(question), "SELECT count(DISTINCT detail) FROM events WHERE "
					     "detail LIKE 'n%%'");
	print_message("%d of %d arrived\n", (int)arrived, LINES);
	assert_int_equal(sql_number(&i, question), arrived);
	assert_between(arrived, LINES - 4, LINES);
	/* In order, too. */
	last = sql_number(&i, "SELECT count(*) FROM events a JOIN events b ON b.seq > a.seq "
			      "WHERE a.detail LIKE 'n%' AND b.detail LIKE 'n%' AND "
			      "CAST(substr(b.detail, 2) AS INT) < CAST(substr(a.detail, 2) AS INT)");
	assert_int_equal(last, 0);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM events WHERE event = "
					"'message not understood'"), 0);
	bell_done(&bell);
	instance_stop(&i);
	check_accounts(&i);
	instance_done(&i);
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
	assert_between(peak_kib(supervisor), 1, 64 << 10);
	assert_between(sql_number(&i, "SELECT count(*) FROM events WHERE event = "
				      "'message not understood'"), 0, 1);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM generations"), 1);
	instance_stop(&i);
	check_accounts(&i);
	instance_done(&i);
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
		cmocka_unit_test(
		    every_line_arrives_once_although_the_supervisor_process_is_killed),
		cmocka_unit_test(job_may_close_its_socket),
		cmocka_unit_test(job_that_floods_its_socket_with_garbage_hurts_nobody),
		cmocka_unit_test(gigabyte_without_an_end_of_line_hurts_nobody),
		cmocka_unit_test(job_that_asks_and_never_reads_hurts_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
