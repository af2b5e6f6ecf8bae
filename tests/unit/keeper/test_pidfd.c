/* pidfd: who lives, who does not, and how the dead died. */

#include "keeper/pidfd.h"

#include <sys/prctl.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define LONGEST_TEST_SECONDS 20

/* A child that waits to be killed, or exits with this status. */
static pid_t
start(int exit_status)
{
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (exit_status == -1)
			pause();
		_exit(exit_status);
	}
	return pid;
}

static void
wait_until_dead(pid_t pid)
{
	siginfo_t info;

	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

static void
reap(pid_t pid, int expected)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, expected);
}

static int
begin(void **state)
{
	(void)state;
	alarm(LONGEST_TEST_SECONDS);
	return 0;
}

static int
finish(void **state)
{
	(void)state;
	alarm(0);
	return 0;
}

static void
pidfd_of_a_living_process_says_so(void **state)
{
	int pidfd = pidfd_open_process(getpid()), status;

	(void)state;
	assert_int_not_equal(pidfd, -1);
	assert_int_equal(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
	assert_true(pidfd_is_alive(pidfd));
	assert_false(pidfd_exit_status(pidfd, getpid(), &status));
	close(pidfd);
}

static void
pidfd_of_nobody_is_an_error(void **state)
{
	pid_t pid = start(0);

	(void)state;
	reap(pid, 0);
	errno = 0;
	assert_int_equal(pidfd_open_process(pid), -1);
	assert_int_equal(errno, ESRCH);
	assert_int_equal(pidfd_open_process(0), -1);
	assert_int_equal(pidfd_open_process(-5), -1);
}

static void
pidfd_of_a_zombie_tells_its_exit_status(void **state)
{
	pid_t pid = start(7);
	int pidfd, status = -1;

	(void)state;
	wait_until_dead(pid);
	pidfd = pidfd_open_process(pid);
	assert_int_not_equal(pidfd, -1);
	assert_false(pidfd_is_alive(pidfd));
	assert_true(pidfd_exit_status(pidfd, pid, &status));
	assert_int_equal(status, 7 << 8);
	reap(pid, 7 << 8);
	close(pidfd);
}

static void
pidfd_tells_the_signal_that_killed(void **state)
{
	pid_t pid = start(-1);
	int pidfd = pidfd_open_process(pid), status = -1;

	(void)state;
	assert_true(pidfd_is_alive(pidfd));
	assert_int_equal(kill(pid, SIGTERM), 0);
	wait_until_dead(pid);
	assert_false(pidfd_is_alive(pidfd));
	assert_true(pidfd_exit_status(pidfd, pid, &status));
	assert_int_equal(status, SIGTERM);
	reap(pid, SIGTERM);
	close(pidfd);
}

/* Newer kernels still know it, older ones do not; neither may say anything wrong. */
static void
pidfd_of_a_process_that_others_reaped_tells_the_truth_or_nothing(void **state)
{
	pid_t pid = start(9);
	int pidfd = pidfd_open_process(pid), status = -1;

	(void)state;
	reap(pid, 9 << 8);
	assert_false(pidfd_is_alive(pidfd));
	if (pidfd_exit_status(pidfd, pid, &status))
		assert_int_equal(status, 9 << 8);
	close(pidfd);
}

/* Forks a process that exits with 7 when `go` ends, tells its pid, and reaps it at once. */
static pid_t
start_reaper(int tell, const int go[2])
{
	pid_t reaper = fork(), pid;
	char byte;

	assert_int_not_equal(reaper, -1);
	if (reaper != 0)
		return reaper;
	close(go[1]);
	pid = fork();
	if (pid == 0)
		_exit(read(go[0], &byte, 1) == 0 ? 7 : 8);
	if (pid == -1 || write(tell, &pid, sizeof(pid)) != sizeof(pid))
		_exit(1);
	_exit(waitpid(pid, NULL, 0) == pid ? 0 : 2);
}

/* As init does with what a killed keeper has left: between two looks of ours, too. */
static bool
is_told_while_others_reap(void)
{
	int tell[2], go[2], pidfd, status = -1;
	struct pollfd wanted = { .events = POLLIN };
	pid_t reaper, pid;
	bool is_told;

	assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	reaper = start_reaper(tell[1], go);
	assert_int_equal(read(tell[0], &pid, sizeof(pid)), sizeof(pid));
	pidfd = wanted.fd = pidfd_open_process(pid);
	close(go[0]);
	close(go[1]);
	assert_int_equal(poll(&wanted, 1, -1), 1);
	is_told = pidfd_exit_status(pidfd, pid, &status);
	if (is_told)
		assert_int_equal(status, 7 << 8);
	reap(reaper, 0);
	close(pidfd);
	close(tell[0]);
	close(tell[1]);
	return is_told;
}

/* Does this kernel tell of what others have reaped? */
static bool
kernel_tells(void)
{
	pid_t pid = start(0);
	int pidfd = pidfd_open_process(pid), status;
	bool tells;

	reap(pid, 0);
	tells = pidfd_exit_status(pidfd, pid, &status);
	close(pidfd);
	return tells;
}

static void
pidfd_tells_a_status_while_others_reap(void **state)
{
	(void)state;
	if (!kernel_tells())
		skip();
	for (int round = 0; round < 300; round++)
		assert_true(is_told_while_others_reap());
}

#define LIMITED(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LIMITED(pidfd_of_a_living_process_says_so),
		LIMITED(pidfd_of_nobody_is_an_error),
		LIMITED(pidfd_of_a_zombie_tells_its_exit_status),
		LIMITED(pidfd_tells_the_signal_that_killed),
		LIMITED(pidfd_of_a_process_that_others_reaped_tells_the_truth_or_nothing),
		LIMITED(pidfd_tells_a_status_while_others_reap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
