/* lock: flock(2), which belongs to the open file and so to everybody who inherited it. */

#include "keeper/lock.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "keeper/pidfd.h"
#include "keeper/tree.h"

#include <sys/file.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_MS 30000

/* The pid in the file, 0 if that process is not (any more) the one that wrote it. */
static pid_t
read_holder(int fd)
{
	char text[64] = "", state;
	long long pid = 0, start = 0;
	int64_t actual;
	int status;

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0 ||
	    sscanf(text, "%lld %lld", &pid, &start) != 2 || pid <= 0)
		return 0;
	if (tree_stat((pid_t)pid, &actual, &state, &status) == -1 || actual != start ||
	    state == 'Z')
		return 0;
	return (pid_t)pid;
}

static int
write_holder(int fd)
{
	char text[64], state;
	int64_t start = 0;
	int status, length;

	if (tree_stat(getpid(), &start, &state, &status) == -1)
		return -1;
	length = snprintf(text, sizeof(text), "%d %lld\n", (int)getpid(), (long long)start);
	return ftruncate(fd, 0) == -1 || pwrite(fd, text, (size_t)length, 0) == -1 ? -1 : 0;
}

/* The supervisor process of a killed keeper dies at once, but not in no time. */
static int
wait_for_remains(int fd)
{
	struct mono begin = clock_mono();
	bool was_told = false;

	while (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -1;
		if (read_holder(fd) != 0 || clock_mono().ms - begin.ms > PATIENCE_MS) {
			errno = EWOULDBLOCK;
			return -1;
		}
		if (!was_told)
			log_info("waiting for the remains of a killed supervisor to leave");
		was_told = true;
		poll(NULL, 0, 10); /* at a start, not in the loop: there is nothing to wait on */
	}
	return 0;
}

/* The words of errno, behind the path. */
static int
lock_fail(int directory, struct error *error)
{
	char link[64], path[400];
	int problem = errno;
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", directory);
	length = readlink(link, path, sizeof(path) - 1);
	path[length > 0 ? length : 0] = '\0';
	errno = problem;
	return error_set_errno(error, STATUS_CONFIG, "%s%s" LOCK_FILE, path,
	    length > 0 ? "/" : "");
}

int
lock_take(int directory, int *ret_fd, struct error *error)
{
	int fd = openat(directory, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd == -1)
		return lock_fail(directory, error);
	if (wait_for_remains(fd) == -1) {
		int problem = errno;
		pid_t holder = read_holder(fd);

		errno = problem;
		if (errno != EWOULDBLOCK) {
			lock_fail(directory, error);
			close(fd);
			return -1;
		}
		close(fd);
		return error_set(error, STATUS_STATE,
		    "a supervisor runs on this state directory already (pid %d)", (int)holder);
	}
	if (write_holder(fd) == -1) {
		lock_fail(directory, error);
		close(fd);
		return -1;
	}
	*ret_fd = fd;
	return 0;
}

pid_t
lock_holder(const char *state_directory)
{
	char path[4096];
	pid_t holder;
	int fd;

	snprintf(path, sizeof(path), "%s/" LOCK_FILE, state_directory);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return 0;
	holder = read_holder(fd);
	close(fd);
	return holder;
}

int
lock_watch_holder(const char *state_directory)
{
	pid_t holder = lock_holder(state_directory);

	return holder != 0 ? pidfd_open_process(holder) : -1;
}

bool
lock_wait_for_holder(const char *state_directory)
{
	struct pollfd wanted = { .fd = lock_watch_holder(state_directory),
		.events = POLLIN };

	if (wanted.fd == -1)
		return false;
	while (poll(&wanted, 1, -1) == -1 && errno == EINTR)
		;
	close(wanted.fd);
	return true;
}
