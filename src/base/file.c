/* file: small files read whole, bytes written whole. */

#include "base/file.h"
#include "base/xalloc.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int
file_read(int at, const char *path, size_t most, struct buf *buf)
{
	int fd = openat(at, path, O_RDONLY | O_CLOEXEC), saved = 0;
	size_t total = 0;
	ssize_t got;

	if (fd == -1)
		return -1;
	while ((got = read(fd, buf_reserve(buf, 4096), 4096)) != 0) {
		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1) {
			saved = errno;
			break;
		}
		buf_grown(buf, (size_t)got);
		total += (size_t)got;
		if (total > most) {
			saved = EFBIG;
			break;
		}
	}
	close(fd);
	if (saved == 0)
		return 0;
	buf->length -= total;
	errno = saved;
	return -1;
}

int
file_write_all(int fd, const void *bytes, size_t length)
{
	const char *next = bytes;

	while (length > 0) {
		ssize_t written = write(fd, next, length);

		if (written >= 0) {
			next += written;
			length -= (size_t)written;
		} else if (errno == EAGAIN) {
			poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, -1);
		} else if (errno != EINTR) {
			return -1;
		}
	}
	return 0;
}

int
file_make_directories(const char *path)
{
	char *copy = xstrdup(path), *slash = copy + strspn(copy, "/");
	struct stat status;
	int result = 0;

	for (; result == 0 && (slash = strchr(slash, '/')) != NULL; *slash++ = '/') {
		*slash = '\0';
		result = mkdir(copy, 0700) == -1 && errno != EEXIST ? -1 : 0;
	}
	free(copy);
	if (result == -1 || mkdir(path, 0700) == 0)
		return result;
	if (errno != EEXIST || stat(path, &status) == -1)
		return -1;
	errno = ENOTDIR;
	return S_ISDIR(status.st_mode) ? 0 : -1;
}
