/* spawn_self: our own program once more: a supervisor process, or a keeper of its own. */

#include "keeper/spawn.h"

#include <sys/prctl.h>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

int
spawn_helper(const char *path, char *const *arguments, const int *descriptors,
    size_t descriptor_count, pid_t *ret_pid)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == -1)
		return -1;
	if (pid > 0) {
		*ret_pid = pid;
		return 0;
	}
	setsid();
	spawn_reset_signals();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	/* First out of the way of each other, then into place. */
	for (size_t i = 0; i < descriptor_count; i++) {
		int moved = fcntl(descriptors[i], F_DUPFD, 64 + (int)descriptor_count);

		if (moved == -1 || dup2(moved, 64 + (int)i) == -1)
			_exit(1);
	}
	for (size_t i = 0; i < descriptor_count; i++) {
		if (dup2(64 + (int)i, 3 + (int)i) == -1)
			_exit(1);
	}
	close_range(3 + (unsigned)descriptor_count, ~0U, 0);
	execv(path, arguments);
	_exit(127);
}

int
spawn_detached(const char *path, char *const *arguments, int output_fd, int error_fd)
{
	pid_t pid = fork();
	int null;

	if (pid != 0)
		return pid == -1 ? -1 : 0;
	setsid();
	spawn_reset_signals();
	null = open("/dev/null", O_RDWR);
	if (null == -1 || dup2(null, STDIN_FILENO) == -1 ||
	    dup2(output_fd, STDOUT_FILENO) == -1 || dup2(error_fd, STDERR_FILENO) == -1)
		_exit(1);
	close_range(3, ~0U, 0);
	execv(path, arguments);
	_exit(127);
}
