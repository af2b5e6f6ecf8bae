/* pidfd: what the kernel tells of processes that are somebody else's children. */

#include "keeper/pidfd.h"
#include "keeper/tree.h"

#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

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

bool
pidfd_exit_status(int pidfd, pid_t pid, int *ret_status)
{
	struct exit_info info = { .mask = EXIT_INFO_EXIT };
	int64_t start;
	char state;

	if (ioctl(pidfd, EXIT_INFO_GET, &info) == 0 && (info.mask & EXIT_INFO_EXIT)) {
		*ret_status = info.exit_code;
		return true;
	}
	return tree_stat(pid, &start, &state, ret_status) == 0 && state == 'Z';
}
