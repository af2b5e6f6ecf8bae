/* A keeper is gone and others come: what runs is adopted, once, and nobody else's. */

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
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MANY 1000

/* ---- a thousand ---- */

/* They wait for the gate, which opens when nobody has it open for writing any more. */
static void
start_many(struct instance *i, struct bell *bell)
{
	static const char line[] = "echo > bell; read x < gate; exit 7\n";
	char *batch = calloc(MANY, sizeof(line));
	struct result result;

	for (size_t n = 0; n < MANY; n++)
		memcpy(batch + n * strlen(line), line, strlen(line));
	result = jobberd_with_input(i, batch, "submit", "--batch", "-r", "0", "--cwd",
	    i->directory, NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	free(batch);
	for (size_t n = 0; n < MANY; n++)
		free(bell_wait(bell));
}

static void
check_many(struct instance *i)
{
	char *others = sql(i, "SELECT coalesce(group_concat('job ' || job_id || '.' || attempt || "
			      "': ' || coalesce(reason, 'open'), ', '), '') "
			      "FROM attempts WHERE reason IS NOT 'exit:7'");

	assert_int_equal(sql_number(i, "SELECT count(*) FROM attempts"), MANY);
	assert_string_equal(others, "");
	free(others);
	assert_int_equal(sql_number(i, "SELECT count(*) FROM attempts WHERE reason = 'exit:7'"),
	    MANY);
	check_accounts(i);
}

static void
thousand_running_jobs_are_adopted_in_seconds_with_their_true_ends(void **state)
{
	struct instance i;
	struct bell bell, gate;
	int64_t begin;

	(void)state;
	instance_init(&i);
	bell_init(&bell, &i, "bell");
	bell_init(&gate, &i, "gate");
	instance_start(&i, "--max-children", "1000", NULL);
	start_many(&i, &bell);
	begin = now_ms();
	instance_kill_supervisor(&i);
	assert_between(now_ms() - begin, 0, 1000 * SLOWNESS);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM jobs WHERE status = 'running'"),
	    MANY);
	instance_kill_keeper(&i);
	begin = now_ms();
	instance_start(&i, "--drain", NULL);
	assert_between(now_ms() - begin, 0, 4000 * SLOWNESS);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM jobs WHERE status = 'running'"),
	    MANY);
	bell_done(&gate);
	assert_int_equal(instance_wait(&i), 0);
	check_many(&i);
	bell_done(&bell);
	instance_done(&i);
}

/* While the table is read, compared, and what is found adopted. */
static void
keepers_killed_while_they_adopt_lose_none_of_a_thousand(void **state)
{
	unsigned seed = (unsigned)getpid();
	struct instance i;
	struct bell bell, gate;

	(void)state;
	print_message("seed %u\n", seed);
	instance_init(&i);
	bell_init(&bell, &i, "bell");
	bell_init(&gate, &i, "gate");
	instance_start(&i, "--max-children", "1000", NULL);
	start_many(&i, &bell);
	for (int n = 0; n < 8; n++) {
		instance_kill_keeper(&i);
		instance_launch(&i, NULL);
		let_pass(&i, rand_r(&seed) % 200);
		if (n % 2 != 0)
			kill(instance_supervisor_pid(&i), SIGKILL);
	}
	instance_kill_keeper(&i);
	instance_start(&i, "--drain", NULL);
	bell_done(&gate);
	assert_int_equal(instance_wait(&i), 0);
	check_many(&i);
	bell_done(&bell);
	instance_done(&i);
}

/* ---- the right one ---- */

/* A machine so busy that the start of a process takes its time. */
#define SLOW_START "inject=clone:delay_enter=200000"

static void
process_that_was_slow_to_start_is_adopted_and_not_started_again(void **state)
{
	struct instance i;
	struct helper strace;
	struct bell pids, go;
	char command[700], *text;

	(void)state;
	instance_init(&i);
	bell_init(&pids, &i, "pids");
	bell_init(&go, &i, "go");
	instance_start(&i, NULL);
	helper_strace(&strace, i.keeper, SLOW_START, NULL);
	snprintf(command, sizeof(command), "echo $$ > %s; read x < %s; exit 7", pids.path,
	    go.path);
	submit_job(&i, "--", "sh", "-c", command, NULL);
	bell_number(&pids);
	helper_end(&strace);
	wait_sql(&i, "SELECT count(*) > 0 FROM attempts WHERE pid IS NOT NULL");
	instance_kill_keeper(&i);
	instance_start(&i, NULL);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts"), 1);
	fifo_write(go.path, "go\n");
	wait_sql(&i, "SELECT count(*) <> 1 FROM jobs WHERE status = 'running'");
	text = sql(&i, "SELECT group_concat(reason) FROM attempts WHERE attempt = 1");
	assert_string_equal(text, "exit:7");
	free(text);
	bell_done(&pids);
	bell_done(&go);
	instance_finish(&i);
}

/* Only the journal knows of it. */
static void
process_that_was_slow_to_start_is_found_in_the_journal(void **state)
{
	struct instance i;
	struct helper strace;
	struct bell pids, go;
	char command[700], *text;

	(void)state;
	instance_init(&i);
	bell_init(&pids, &i, "pids");
	bell_init(&go, &i, "go");
	instance_start(&i, NULL);
	helper_strace(&strace, i.keeper, "inject=clone:delay_enter=1000000", NULL);
	snprintf(command, sizeof(command), "echo $$ > %s; read x < %s; exit 7", pids.path,
	    go.path);
	submit_job(&i, "-r", "0", "--", "sh", "-c", command, NULL);
	/* It has sent its order, and is not to hear what became of it. */
	wait_sql(&i, "SELECT count(*) > 0 FROM attempts");
	let_pass(&i, 100);
	kill(instance_supervisor_pid(&i), SIGSTOP);
	bell_number(&pids);
	helper_end(&strace);
	assert_int_equal(sql_number(&i, "SELECT count(started_at) FROM attempts"), 0);
	instance_kill_keeper(&i);
	instance_start(&i, NULL);
	fifo_write(go.path, "go\n");
	assert_int_equal(wait_job(&i, 1), 1);
	text = sql(&i, "SELECT group_concat(reason) FROM attempts");
	assert_string_equal(text, "exit:7");
	free(text);
	bell_done(&pids);
	bell_done(&go);
	instance_finish(&i);
}

/* The journal is all that is left of it: its row tells which process it was. */
static void
process_that_only_the_journal_knew_and_that_is_gone_is_lost_with_its_pid(void **state)
{
	struct instance i;
	struct bell pids;
	struct result status;
	char command[400], *text;
	int64_t pid;

	(void)state;
	instance_init(&i);
	bell_init(&pids, &i, "pids");
	instance_start(&i, NULL);
	kill(i.keeper, SIGSTOP);
	snprintf(command, sizeof(command), "echo $$ > %s; exec sleep 1000", pids.path);
	submit_job(&i, "-r", "0", "--", "sh", "-c", command, NULL);
	wait_sql(&i, "SELECT count(*) > 0 FROM attempts");
	/* Who answers has acted on what it recorded: the order is on its way. */
	status = jobberd(&i, "status", NULL);
	assert_int_equal(status.status, 0);
	result_done(&status);
	kill(instance_supervisor_pid(&i), SIGSTOP);
	kill(i.keeper, SIGCONT);
	pid = bell_number(&pids);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	instance_kill_keeper(&i);
	kill((pid_t)pid, SIGKILL);
	assert_int_equal(waitpid((pid_t)pid, NULL, 0), pid);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	instance_start(&i, NULL);
	assert_int_equal(wait_job(&i, 1), 1);
	text = sql(&i, "SELECT group_concat(reason || (started_at IS NULL)) FROM attempts");
	assert_string_equal(text, "lost:keeper0");
	free(text);
	assert_int_equal(sql_number(&i, "SELECT pid FROM attempts"), pid);
	status = jobberd(&i, "show", "1", NULL);
	assert_has(status.out, "lost");
	assert_null(strstr(status.out, "running time:")); /* nobody knows it */
	result_done(&status);
	bell_done(&pids);
	instance_finish(&i);
}

/*
 * In a pid namespace the next pid can be chosen, and orphans come to us, its first process: who
 * is gone is waited for. This program is called again for it. Exit 0: the stranger lives.
 */
#define IN_NAMESPACE "in-namespace"
#define NOT_HERE 77

static pid_t
start_with_pid(pid_t wanted)
{
	FILE *last = fopen("/proc/sys/kernel/ns_last_pid", "w");
	bool is_set = last != NULL && fprintf(last, "%d", (int)wanted - 1) > 0;
	pid_t pid;

	if (last == NULL || fclose(last) == EOF || !is_set)
		return -1;
	pid = fork();
	while (pid == 0)
		pause();
	return pid;
}

static int
leave_job_to_a_stranger(const char *directory, const char *state)
{
	struct instance i = { .log_fd = -1 };
	struct bell pids;
	char command[400];
	pid_t pid, stranger;

	snprintf(i.directory, sizeof(i.directory), "%s", directory);
	snprintf(i.state, sizeof(i.state), "%s", state);
	bell_init(&pids, &i, "pids");
	instance_start(&i, NULL);
	snprintf(command, sizeof(command),
	    "[ $JOBBERD_ATTEMPT = 2 ] || { echo $$ > %s; exec sleep 1000; }", pids.path);
	submit_job(&i, "-r", "1", "--timeout", "1s", "--", "sh", "-c", command, NULL);
	pid = (pid_t)bell_number(&pids);
	instance_expect(&i, "job=1 started"); /* and recorded */
	instance_kill_keeper(&i);
	kill(pid, SIGKILL);
	if (waitpid(pid, NULL, 0) != pid)
		return 1;
	stranger = start_with_pid(pid);
	if (stranger != pid)
		return NOT_HERE;
	instance_start(&i, NULL);
	if (wait_job(&i, 1) != 0)
		return 2;
	instance_stop(&i);
	instance_forget_log(&i);
	return waitpid(stranger, NULL, WNOHANG) == 0 ? 0 : 3;
}

static void
stranger_with_the_pid_of_a_lost_job_is_left_alone(void **state)
{
	char program[400] = "", *text;
	struct instance i;
	struct helper helper;
	const char *arguments[] = { "unshare", "--fork", "--pid", "--mount-proc", "--kill-child",
		program, IN_NAMESPACE, i.directory, i.state, NULL };
	int status;

	(void)state;
	instance_init(&i);
	assert_true(readlink("/proc/self/exe", program, sizeof(program) - 1) > 0);
	helper_start(&helper, NULL, arguments);
	status = helper_wait(&helper);
	if (status == NOT_HERE || strstr(helper.err.text, "unshare") != NULL) {
		print_message("needs a pid namespace: %s\n", helper.err.text);
		helper_end(&helper);
		instance_done(&i);
		skip();
	}
	if (status != 0)
		fail_msg("exit %d: %s%s", status, helper.out.text, helper.err.text);
	helper_end(&helper);
	text = sql(&i, "SELECT group_concat(reason) FROM attempts");
	assert_string_equal(text, "lost:keeper,normal");
	free(text);
	check_accounts(&i);
	instance_done(&i);
}

/* ---- poison ---- */

static void
reap_orphans(void)
{
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static void
job_that_kills_its_keeper_ends_after_three_losses(void **state)
{
	struct instance i;
	char *text;

	(void)state;
	instance_init(&i);
	submit_job(&i, "-r", "inf", "--backoff", "constant:10ms", "--", "sh", "-c",
	    "kill -9 $PPID; kill -9 $$", NULL);
	submit_job(&i, "--in", "1h", "--", "true", NULL);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (int n = 0; n < 3; n++) {
		instance_launch(&i, NULL);
		assert_int_equal(instance_wait(&i), 128 + SIGKILL);
		reap_orphans();
	}
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	instance_start(&i, NULL);
	assert_int_equal(wait_job(&i, 1), 1);
	text = sql(&i, "SELECT group_concat(reason) || ' ' || (SELECT group_concat(status || "
		       "failures) FROM jobs) FROM attempts");
	assert_string_equal(text, "lost:keeper,lost:keeper,lost:keeper failed0,new0");
	free(text);
	instance_finish(&i);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    thousand_running_jobs_are_adopted_in_seconds_with_their_true_ends),
		cmocka_unit_test(keepers_killed_while_they_adopt_lose_none_of_a_thousand),
		cmocka_unit_test(stranger_with_the_pid_of_a_lost_job_is_left_alone),
		cmocka_unit_test(
		    process_that_only_the_journal_knew_and_that_is_gone_is_lost_with_its_pid),
		cmocka_unit_test(job_that_kills_its_keeper_ends_after_three_losses),
	};

	const struct CMUnitTest injected[] = {
		cmocka_unit_test(
		    process_that_was_slow_to_start_is_adopted_and_not_started_again),
		cmocka_unit_test(process_that_was_slow_to_start_is_found_in_the_journal),
	};
	int failed;

	if (argc == 4 && strcmp(argv[1], IN_NAMESPACE) == 0)
		return leave_job_to_a_stranger(argv[2], argv[3]);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (!IS_SANITIZED)
		failed += cmocka_run_group_tests(injected, NULL, NULL);
	return failed;
}
