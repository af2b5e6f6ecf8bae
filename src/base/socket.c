/* socket: the sockets of a state directory, whatever the length of its path. */

#include "base/socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static void
fill_address(struct sockaddr_un *address, int directory, const char *name)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s",
	    directory, name);
}

/* Whatever was there of this name is gone. The descriptor, or -1 with errno. */
static int
bind_anew(int directory, const char *name, int type)
{
	struct sockaddr_un address;
	mode_t mask = umask(0177);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), saved;

	fill_address(&address, directory, name);
	if (fd == -1 || (unlinkat(directory, name, 0) == -1 && errno != ENOENT) ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) == -1 ||
	    (type == SOCK_STREAM && listen(fd, 1024) == -1)) {
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
socket_listen(int directory)
{
	return bind_anew(directory, SOCKET_FILE, SOCK_STREAM);
}

int
socket_bind_datagram(int directory, const char *name)
{
	return bind_anew(directory, name, SOCK_DGRAM);
}

size_t
socket_longest_state(void)
{
	return sizeof(((struct sockaddr_un *)NULL)->sun_path) -
	    sizeof("/" NOTIFY_DIRECTORY "/") - NOTIFY_LARGEST_NAME;
}

int
socket_connect(const char *state_directory)
{
	int directory = open(state_directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct sockaddr_un address;
	int fd, saved;

	if (directory == -1)
		return -1;
	fill_address(&address, directory, SOCKET_FILE);
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
