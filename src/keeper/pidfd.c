/* pidfd: what the kernel tells of processes that are somebody else's children. */

#include "keeper/pidfd.h"
#include "keeper/tree.h"

#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#define MOST_LOOKS 50 /* at one that is being reaped: for 10 ms */

/* From linux/pidfd.h of Linux 6.15; the headers of an older system lack it. */
struct exit_info {
	uint64_t mask;
	uint64_t cgroup_id;
	uint32_t pid, tgid, ppid;
	uint32_t ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
	int32_t exit_code;
};
#define EXIT_INFO_EXIT (UINT64_C(1) << 3)
#define EXIT_INFO_GET _IOWR(0xff, 11, struct exit_info)

int
pidfd_open_process(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

bool
pidfd_is_alive(int pidfd)
{
	struct pollfd wanted = { .fd = pidfd, .events = POLLIN };

	return poll(&wanted, 1, 0) == 0;
}

int
pidfd_signal(int pidfd, int number)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0);
}

/* Once it has been reaped. */
static bool
is_told_by_pidfd(int pidfd, int *ret_status)
{
	struct exit_info info = { .mask = EXIT_INFO_EXIT };

	if (ioctl(pidfd, EXIT_INFO_GET, &info) == -1 || !(info.mask & EXIT_INFO_EXIT))
		return false;
	*ret_status = info.exit_code;
	return true;
}

/*
 * Whoever reaps it may do so between our two looks, and is at it while the state is X: a zombie
 * no more, and not told by the pidfd yet. So the pidfd is asked again.
 */
bool
pidfd_exit_status(int pidfd, pid_t pid, int *ret_status)
{
	const struct timespec pause = { .tv_nsec = 200000 };

	for (int looks = 1; looks <= MOST_LOOKS; looks++) {
		int64_t start;
		char state;
		int status;

		if (is_told_by_pidfd(pidfd, ret_status))
			return true;
		if (tree_stat(pid, &start, &state, &status) == -1) {
			if (looks > 1)
				return false;
		} else if (state == 'Z') {
			*ret_status = status;
			return true;
		} else if (state != 'X')
			return false;
		else if (looks > 1)
			nanosleep(&pause, NULL);
	}
	return false;
}
