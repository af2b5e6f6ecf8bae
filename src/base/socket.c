/* socket: the control socket's address. */

#include "base/socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static void
fill_address(struct sockaddr_un *address, int directory)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(address->sun_path, sizeof(address->sun_path),
	    "/proc/self/fd/%d/" SOCKET_FILE, directory);
}

int
socket_listen(int directory)
{
	struct sockaddr_un address;
	mode_t mask = umask(0177);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), saved;

	fill_address(&address, directory);
	if (fd == -1 ||
	    (unlinkat(directory, SOCKET_FILE, 0) == -1 && errno != ENOENT) ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) == -1 ||
	    listen(fd, 1024) == -1) {
		saved = errno;
		if (fd != -1)
			close(fd);
		fd = -1;
		errno = saved;
	}
	umask(mask);
	return fd;
}

int
socket_connect(const char *state_directory)
{
	int directory = open(state_directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct sockaddr_un address;
	int fd, saved;

	if (directory == -1)
		return -1;
	fill_address(&address, directory);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd != -1 &&
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) == -1) {
		saved = errno;
		close(fd);
		fd = -1;
		errno = saved;
	}
	saved = errno;
	close(directory);
	errno = saved;
	return fd;
}
