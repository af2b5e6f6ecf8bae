/* keeper_signals: who gets what has waited, how often, and who does not. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/file.h"
#include "keeper/keeper.h"
#include "keeper/pidfd.h"

#include <sys/prctl.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BIT(number) (UINT64_C(1) << ((number) - 1))

/* The main process of an attempt: it holds back what it is sent, which can be looked at. */
static struct child
start(void)
{
	struct child child = { .key = { 7, 2, 1 }, .state = CHILD_RUNNING, .pidfd = -1 };
	sigset_t all, before;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before); /* from its first moment */
	child.pid = fork();
	if (child.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	assert_true(child.pid > 0);
	return child;
}

static void
end(const struct child *child)
{
	kill(child->pid, SIGKILL);
	assert_int_equal(waitpid(child->pid, NULL, 0), child->pid);
}

/* What it was sent, one bit each. */
static uint64_t
sent_to(pid_t pid)
{
	struct buf text = { 0 };
	const char *line;
	char path[64];
	uint64_t signals;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	assert_int_equal(file_read(AT_FDCWD, path, 65536, &text), 0);
	line = strstr(buf_text(&text), "\nShdPnd:");
	assert_non_null(line);
	signals = strtoull(line + strlen("\nShdPnd:"), NULL, 16);
	buf_done(&text);
	return signals;
}

static void
signals_wait_until_it_is_known_whom_they_are_for(void **state)
{
	struct keeper keeper = { 0 };
	struct child child = start();

	(void)state;
	keeper_signals_add(&keeper, SIGUSR1);
	keeper_signals_add(&keeper, SIGHUP);
	assert_int_equal(sent_to(child.pid), 0);
	keeper_signals_pass(&keeper, &child);
	assert_int_equal(sent_to(child.pid), BIT(SIGUSR1) | BIT(SIGHUP));
	end(&child);
	child = start();
	keeper_signals_pass(&keeper, &child); /* they went to the first */
	assert_int_equal(sent_to(child.pid), 0);
	end(&child);
}

static void
signals_are_asked_about_once_and_by_each_supervisor_process(void **state)
{
	struct keeper keeper = { 0 };

	(void)state;
	keeper_signals_ask(&keeper);
	assert_false(keeper.must_tell);
	keeper_signals_add(&keeper, SIGUSR1);
	assert_true(keeper.must_tell);
	keeper.must_tell = false;
	keeper_signals_add(&keeper, SIGUSR1);
	keeper_signals_add(&keeper, SIGUSR2);
	assert_false(keeper.must_tell);
	keeper_signals_ask(&keeper);
	assert_true(keeper.must_tell);
	keeper.must_tell = false;
	keeper_signals_pass(&keeper, NULL);
	keeper_signals_ask(&keeper);
	assert_false(keeper.must_tell);
}

static void
signals_reach_an_adopted_process_through_its_pidfd(void **state)
{
	struct keeper keeper = { 0 };
	struct child child = start();
	pid_t pid = child.pid;

	(void)state;
	child.is_adopted = true;
	child.pidfd = pidfd_open_process(pid);
	child.pid = -1;
	keeper_signals_add(&keeper, SIGWINCH);
	keeper_signals_pass(&keeper, &child);
	assert_int_equal(sent_to(pid), BIT(SIGWINCH));
	child.pid = pid;
	end(&child);
	keeper_signals_add(&keeper, SIGWINCH);
	keeper_signals_pass(&keeper, &child); /* it is reaped: nobody gets it */
	assert_true(sigisemptyset(&keeper.signals));
	close(child.pidfd);
}

static void
signals_for_what_does_not_run_are_dropped(void **state)
{
	static const enum child_state states[] = { CHILD_WAITING, CHILD_CLOSING, CHILD_ENDED };
	struct keeper keeper = { 0 };
	struct child child = start();

	(void)state;
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		child.state = states[i];
		keeper_signals_add(&keeper, SIGHUP);
		keeper_signals_pass(&keeper, &child);
	}
	child.state = CHILD_RUNNING;
	child.launch = (struct launch *)&child; /* it is not its program yet */
	keeper_signals_add(&keeper, SIGHUP);
	keeper_signals_pass(&keeper, &child);
	child.launch = NULL;
	keeper_signals_pass(&keeper, &child); /* none is left */
	assert_int_equal(sent_to(child.pid), 0);
	end(&child);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signals_wait_until_it_is_known_whom_they_are_for),
		cmocka_unit_test(signals_are_asked_about_once_and_by_each_supervisor_process),
		cmocka_unit_test(signals_reach_an_adopted_process_through_its_pidfd),
		cmocka_unit_test(signals_for_what_does_not_run_are_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
