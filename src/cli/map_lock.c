/*
 * map_lock: two clients of one map would not see each other's items. The lock is a byte of a
 * file of the instance, which the kernel gives back whatever ends its holder.
 */

#include "cli/map.h"
#include "base/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define MAP_LOCK_FILE "map.lock"

/* FNV-1a: which byte stands for this name. */
static int64_t
place_of(const char *name)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (; *name != '\0'; name++)
		hash = (hash ^ (unsigned char)*name) * UINT64_C(1099511628211);
	return (int64_t)(hash >> 2);
}

int
map_lock(const char *state_directory, const char *name, struct error *error)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET,
		.l_start = place_of(name), .l_len = 1 };
	char *path = xasprintf("%s/" MAP_LOCK_FILE, state_directory);
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600), result = 0;

	if (fd == -1)
		result = error_set_errno(error, STATUS_CONFIG, "%s", path);
	else if (fcntl(fd, F_OFD_SETLK, &lock) == -1)
		result = errno == EAGAIN || errno == EACCES
		    ? error_set(error, STATUS_STATE,
			  "already_started: another `jobberd map` has the name %s", name)
		    : error_set_errno(error, STATUS_CONFIG, "%s", path);
	if (result == -1 && fd != -1)
		close(fd);
	free(path);
	return result;
}
