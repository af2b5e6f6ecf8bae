/*
 * container: supervise for one job, with whose status it ends and to which it passes signals on;
 * and as the first process of a pid namespace, to which every orphan comes.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/xalloc.h"
#include "support/helper.h"
#include "support/outside.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RUN(i, ...) jobberd(i, __VA_ARGS__, NULL)

/* ---- the status of the job it is for ---- */

static void
supervise_ends_with_the_status_of_its_job(void **state)
{
	static const struct {
		const char *verb, *option, *command;
		int status;
	} cases[] = {
		{ "submit", "--max-retries=0", "exit 0", 0 },
		{ "submit", "--max-retries=0", "exit 3", 3 },
		{ "submit", "--max-retries=0", "kill -KILL $$", 128 + SIGKILL },
		{ "submit", "--max-retries=1", "exit $((6 + JOBBERD_ATTEMPT))", 8 },
		{ "submit", "--max-retries=0", "exec /nowhere/x", 127 },
		{ "start", "--restart=temporary", "exit 4", 4 },
		{ "start", "--restart=transient", "exit 0", 0 },
		{ "start", "--success-exit=4", "exit 5", 5 }, /* too often */
	};

	(void)state;
	for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		bool is_service = strcmp(cases[n].verb, "start") == 0;
		struct instance i;

		instance_init(&i);
		instance_start(&i, "--exit-with", "web", NULL);
		submit_job(&i, "--", "sleep", "1000", NULL); /* all else is stopped */
		if (is_service)
			expect(RUN(&i, "start", "--plain", cases[n].option, "web", "--", "sh", "-c",
				   cases[n].command), 0, NULL, "");
		else
			submit_job(&i, cases[n].option, "--backoff", "constant:10ms", "--name",
			    "web", "--", "sh", "-c", cases[n].command, NULL);
		assert_int_equal(instance_wait(&i), cases[n].status);
		assert_int_equal(sql_number(&i, "SELECT count(*) FROM jobs "
						"WHERE status = 'new'"), 1);
		check_accounts(&i);
		instance_done(&i);
	}
}

static void
end_from_before_is_not_meant_and_a_new_one_is(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "-r", "0", "--name", "web", "--", "sh", "-c",
	    "exit $((8 + JOBBERD_ATTEMPT))", NULL);
	expect(RUN(&i, "wait", "web"), 1, NULL, NULL);
	instance_stop(&i);
	instance_start(&i, "--exit-with", "web", NULL);
	submit_job(&i, "--name", "other", "--", "true", NULL);
	expect(RUN(&i, "wait", "other"), 0, NULL, NULL);
	expect(RUN(&i, "retry", "web"), 0, NULL, NULL);
	assert_int_equal(instance_wait(&i), 10);
	check_accounts(&i);
	instance_done(&i);
}

static void
end_while_no_supervisor_process_lives_is_not_missed(void **state)
{
	struct instance i;
	struct bell pid, go;
	char command[800];
	pid_t supervisor;

	(void)state;
	instance_init(&i);
	bell_init(&pid, &i, "pid");
	bell_init(&go, &i, "go");
	instance_start(&i, "--exit-with", "web", NULL);
	snprintf(command, sizeof(command), "echo $$ > %s; read x < %s; exit 6", pid.path, go.path);
	expect(RUN(&i, "start", "--plain", "--restart", "temporary", "web", "--", "sh", "-c",
		   command), 0, NULL, "");
	bell_number(&pid);
	supervisor = instance_supervisor_pid(&i);
	kill(supervisor, SIGSTOP);
	fifo_write(go.path, "go\n");
	kill(supervisor, SIGKILL);
	assert_int_equal(instance_wait(&i), 6);
	check_accounts(&i);
	bell_done(&pid);
	bell_done(&go);
	instance_done(&i);
}

static void
name_that_is_none_is_refused(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	expect(RUN(&i, "supervise", "--exit-with", "a b"), 2, NULL,
	    "exit-with: \"a b\" is no job's name");
	expect(RUN(&i, "supervise", "--exit-with", "0"), 2, NULL, "exit-with");
	instance_done(&i);
}

/* ---- signals that are for that job ---- */

/* Says which signals it gets, and ends by the one that is to end it. */
static const char hearer[] =
    "import signal, sys\n"
    "names = 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGTERM'\n"
    "numbers = [getattr(signal, name) for name in names]\n"
    "signal.pthread_sigmask(signal.SIG_BLOCK, numbers)\n"
    "bell = open(sys.argv[1], 'w', buffering=1)\n"
    "word = 'here'\n"
    "while print(word, file=bell) or word != 'SIGTERM':\n"
    "    word = signal.Signals(signal.sigwait(numbers)).name\n"
    "sys.exit(7)\n";

static void
expect_word(struct bell *bell, const char *word)
{
	char *found = bell_wait(bell);

	assert_string_equal(found, word);
	free(found);
}

static void
start_hearer(struct instance *i, const char *name, struct bell *bell)
{
	bell_init(bell, i, name);
	expect(RUN(i, "start", "--plain", name, "--", "python3", "-c", hearer, bell->path), 0, NULL,
	    "");
	expect_word(bell, "here");
}

static void
signals_are_passed_on_to_the_job_it_is_for(void **state)
{
	static const struct {
		int number;
		const char *name;
	} cases[] = {
		{ SIGHUP, "SIGHUP" },
		{ SIGUSR1, "SIGUSR1" },
		{ SIGUSR2, "SIGUSR2" },
		{ SIGWINCH, "SIGWINCH" },
		{ SIGHUP, "SIGHUP" },
	};
	struct instance i;
	struct bell web, other;

	(void)state;
	instance_init(&i);
	instance_start(&i, "--exit-with", "web", NULL);
	start_hearer(&i, "web", &web);
	start_hearer(&i, "other", &other);
	for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		kill(i.keeper, cases[n].number);
		expect_word(&web, cases[n].name);
	}
	instance_kill_supervisor(&i);
	kill(i.keeper, SIGUSR1);
	expect_word(&web, "SIGUSR1");
	assert_false(bell_has_rung(&other));
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts"), 2);
	bell_done(&web);
	bell_done(&other);
	instance_finish(&i);
}

/* Each once, as signals are that come several times before they are looked at. */
static void
signals_wait_for_the_next_supervisor_process(void **state)
{
	struct instance i;
	struct bell web;
	pid_t supervisor;

	(void)state;
	instance_init(&i);
	instance_start(&i, "--exit-with", "web", NULL);
	start_hearer(&i, "web", &web);
	supervisor = instance_supervisor_pid(&i);
	kill(supervisor, SIGSTOP);
	kill(i.keeper, SIGUSR1);
	kill(i.keeper, SIGUSR1);
	kill(supervisor, SIGKILL);
	kill(i.keeper, SIGUSR2);
	expect_word(&web, "SIGUSR1");
	expect_word(&web, "SIGUSR2");
	kill(i.keeper, SIGWINCH);
	expect_word(&web, "SIGWINCH");
	bell_done(&web);
	instance_finish(&i);
}

static void
signals_reach_an_adopted_service(void **state)
{
	struct instance i;
	struct bell web;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	start_hearer(&i, "web", &web);
	instance_kill_keeper(&i);
	instance_start(&i, "--exit-with", "web", NULL);
	kill(i.keeper, SIGHUP);
	expect_word(&web, "SIGHUP");
	bell_done(&web);
	instance_finish(&i);
}

static void
signals_while_the_job_does_not_run_are_dropped(void **state)
{
	struct instance i;
	struct bell web, other;

	(void)state;
	instance_init(&i);
	bell_init(&web, &i, "web");
	instance_start(&i, "--exit-with", "web", NULL);
	start_hearer(&i, "other", &other);
	kill(i.keeper, SIGHUP); /* there is none */
	instance_expect(&i, "signal=HUP is dropped");
	submit_job(&i, "--name", "web", "-r", "1", "--backoff", "constant:1h", "--", "sh", "-c",
	    "[ $JOBBERD_ATTEMPT = 2 ] || exit 3; exec python3 -c \"$0\" $1", hearer, web.path,
	    NULL);
	instance_expect(&i, "retry_in_ms=");
	kill(i.keeper, SIGUSR1);
	instance_expect(&i, "signal=USR1 is dropped");
	expect(RUN(&i, "retry", "web"), 0, NULL, NULL);
	expect_word(&web, "here");
	kill(i.keeper, SIGUSR2);
	expect_word(&web, "SIGUSR2");
	assert_false(bell_has_rung(&other));
	bell_done(&web);
	bell_done(&other);
	instance_finish(&i);
}

/* It cannot have said yet what it does with them: most would end it. */
static void
signals_while_the_program_is_being_loaded_are_dropped(void **state)
{
	struct instance i;
	char *path, command[400];
	int lease;

	(void)state;
	instance_init(&i);
	path = xasprintf("%s/program", i.directory);
	snprintf(command, sizeof(command), "cp /bin/sh %s", path);
	instance_start(&i, "--exit-with", "web", "--max-children", "2", NULL);
	assert_int_equal(wait_job(&i, submit_job(&i, "--", "sh", "-c", command, NULL)), 0);
	lease = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fcntl(lease, F_SETSIG, SIGURG), 0); /* of which nobody takes notice */
	assert_int_equal(fcntl(lease, F_SETLEASE, F_WRLCK), 0);
	submit_job(&i, "--name", "web", "-r", "0", "--", path, "-c", "exit 7", NULL);
	assert_int_equal(wait_job(&i, submit_job(&i, "--", "true", NULL)), 0);
	kill(i.keeper, SIGUSR1);
	instance_expect(&i, "signal=USR1 is dropped");
	assert_int_equal(fcntl(lease, F_SETLEASE, F_UNLCK), 0);
	assert_int_equal(instance_wait(&i), 7);
	close(lease);
	free(path);
	check_accounts(&i);
	instance_done(&i);
}

/* SIGUSR1 and SIGUSR2 are then what they are for everybody. */
static void
signals_without_a_job_they_are_for_are_passed_on_to_none(void **state)
{
	struct instance i;
	struct bell web;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	start_hearer(&i, "web", &web);
	kill(i.keeper, SIGHUP);
	kill(i.keeper, SIGWINCH);
	expect(RUN(&i, "stop", "web"), 0, NULL, "");
	expect_word(&web, "SIGTERM");
	kill(i.keeper, SIGUSR1);
	assert_int_equal(instance_wait(&i), 128 + SIGUSR1);
	bell_done(&web);
	check_accounts(&i);
	instance_done(&i);
}

/* ---- process 1 ---- */

struct container {
	struct instance i;
	struct helper first; /* unshare(1), whose child is the first process */
	pid_t one;	     /* its pid out here */
};

static pid_t
child_of(pid_t pid)
{
	char path[64], *text;
	pid_t child;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	text = file_text(path);
	child = (pid_t)atoi(text);
	free(text);
	return child;
}

static void
begin(struct container *container)
{
	const char *arguments[] = { "unshare", "--fork", "--pid", "--mount-proc", "--kill-child",
		getenv("JOBBERD"), "-C", container->i.state, "supervise", "--exit-with", "web",
		NULL };

	instance_init(&container->i);
	helper_start(&container->first, NULL, arguments);
	helper_expect(&container->first, ": "); /* ready, or why not */
	if (strstr(container->first.err.text, "unshare") != NULL) {
		print_message("needs a pid namespace: %s\n", container->first.err.text);
		helper_end(&container->first);
		instance_done(&container->i);
		skip();
	}
	container->one = child_of(container->first.pid);
	assert_true(container->one > 0);
}

static void
end(struct container *container, int status)
{
	int seen = helper_wait(&container->first);

	if (seen != status)
		fail_msg("exit %d: %s", seen, container->first.err.text);
	helper_end(&container->first);
	check_accounts(&container->i);
	instance_done(&container->i);
}

static void
first_process_ends_with_its_service_and_takes_all_along(void **state)
{
	struct container c;

	(void)state;
	begin(&c);
	expect(RUN(&c.i, "start", "--plain", "other", "--", "sleep", "1000"), 0, NULL, "");
	expect(RUN(&c.i, "start", "--plain", "--restart", "temporary", "web", "--", "sh", "-c",
		   "kill -TERM $$"), 0, NULL, "");
	end(&c, 128 + SIGTERM);
}

static void
first_process_passes_signals_on_cannot_be_left_and_stops_in_order(void **state)
{
	struct container c;
	struct bell web;

	(void)state;
	begin(&c);
	start_hearer(&c.i, "web", &web);
	expect(RUN(&c.i, "shutdown", "--leave"), 5, NULL, "not possible as process 1");
	kill(c.one, SIGHUP);
	expect_word(&web, "SIGHUP");
	kill(c.one, SIGQUIT);
	helper_expect(&c.first, "leaving is not possible as process 1");
	expect(RUN(&c.i, "status"), 0, NULL, "");
	kill(c.one, SIGTERM);
	expect_word(&web, "SIGTERM"); /* it was asked */
	bell_done(&web);
	end(&c, 0);
}

/*
 * An orphan that no job has left comes to it all the same, lives as long as it likes, and is
 * reaped. What jobs have left is ended with them.
 */
static void
first_process_reaps_orphans_that_are_not_its_own(void **state)
{
	char target[32], command[800];
	const char *arguments[] = { "nsenter", "--pid", "--target", target, "setsid", "sh", "-c",
		command, NULL };
	struct container c;
	struct bell go, here;
	struct helper stranger;

	(void)state;
	begin(&c);
	bell_init(&go, &c.i, "go");
	bell_init(&here, &c.i, "here");
	snprintf(target, sizeof(target), "%d", (int)c.one);
	snprintf(command, sizeof(command),
	    "{ echo here > %s; read x < %s; } >/dev/null 2>&1 & exit 0",
	    here.path, go.path);
	helper_start(&stranger, NULL, arguments);
	free(bell_wait(&here));
	assert_int_equal(helper_wait(&stranger), 0);
	helper_end(&stranger);
	expect(RUN(&c.i, "submit", "--name", "job", "--", "sh", "-c", "sleep 1000 & exit 0"), 0,
	    NULL, NULL);
	expect(RUN(&c.i, "wait", "job"), 0, NULL, NULL);
	assert_int_equal(children_of(c.one), 2); /* the supervisor process, and the orphan */
	fifo_write(go.path, "go\n");
	for (int64_t until = now_ms() + 10000; children_of(c.one) > 1;) {
		if (now_ms() > until)
			fail_msg("the orphan was not reaped");
		expect(RUN(&c.i, "run", "--", "true"), 0, NULL, NULL);
	}
	kill(c.one, SIGTERM);
	bell_done(&go);
	bell_done(&here);
	end(&c, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(supervise_ends_with_the_status_of_its_job),
		cmocka_unit_test(end_from_before_is_not_meant_and_a_new_one_is),
		cmocka_unit_test(end_while_no_supervisor_process_lives_is_not_missed),
		cmocka_unit_test(name_that_is_none_is_refused),
		cmocka_unit_test(signals_are_passed_on_to_the_job_it_is_for),
		cmocka_unit_test(signals_wait_for_the_next_supervisor_process),
		cmocka_unit_test(signals_reach_an_adopted_service),
		cmocka_unit_test(signals_while_the_job_does_not_run_are_dropped),
		cmocka_unit_test(signals_while_the_program_is_being_loaded_are_dropped),
		cmocka_unit_test(signals_without_a_job_they_are_for_are_passed_on_to_none),
		cmocka_unit_test(first_process_ends_with_its_service_and_takes_all_along),
		cmocka_unit_test(first_process_passes_signals_on_cannot_be_left_and_stops_in_order),
		cmocka_unit_test(first_process_reaps_orphans_that_are_not_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
