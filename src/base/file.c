/* file: small files read whole, bytes written whole. */

#include "base/file.h"
#include "base/xalloc.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
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
	errno = saved;
	return saved == 0 ? 0 : -1;
}

int
file_write_all(int fd, const void *bytes, size_t length)
{
	const char *next = bytes;

	while (length > 0) {
		ssize_t written = write(fd, next, length);

		if (written == -1 && errno == EINTR)
			continue;
		if (written == -1)
			return -1;
		next += written;
		length -= (size_t)written;
	}
	return 0;
}

int
file_make_directories(const char *path)
{
	char *copy = xstrdup(path), *slash = copy;
	int result = 0;

	while (result == 0 && (slash = strchr(slash + 1, '/')) != NULL) {
		*slash = '\0';
		result = mkdir(copy, 0700) == -1 && errno != EEXIST ? -1 : 0;
		*slash = '/';
	}
	if (result == 0 && mkdir(path, 0700) == -1 && errno != EEXIST)
		result = -1;
	free(copy);
	return result;
}
