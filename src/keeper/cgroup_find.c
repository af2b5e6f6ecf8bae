/*
 * cgroup_find: which cgroup is ours, and taking it. What was not delegated is not touched.
 */

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "keeper/cgroup.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LARGEST_FILE (16 << 20)

int
cgroup_parse_path(const char *text, char *buffer, size_t size)
{
	for (; text != NULL; text = strchr(text, '\n')) {
		text += *text == '\n';
		if (strncmp(text, "0::/", 4) == 0) {
			size_t length = strcspn(text + 3, "\n");

			if (length >= size)
				return -1;
			memcpy(buffer, text + 3, length);
			buffer[length] = '\0';
			return 0;
		}
	}
	return -1;
}

/* Blanks, newlines and backslashes are \ooo there. In place. */
static void
unescape(char *text)
{
	char *to = text;

	for (; *text != '\0'; text++) {
		if (text[0] == '\\' && strspn(text + 1, "01234567") >= 3) {
			*to++ = (char)((text[1] - '0') * 64 + (text[2] - '0') * 8 +
			    (text[3] - '0'));
			text += 3;
		} else
			*to++ = *text;
	}
	*to = '\0';
}

/* What is left of the path below this root, "" or "/…"; NULL if it is not below it. */
static const char *
path_below(const char *path, const char *root)
{
	size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);

	if (strncmp(path, root, length) != 0 || (path[length] != '/' && path[length] != '\0'))
		return NULL;
	return strcmp(path + length, "/") == 0 ? "" : path + length;
}

/* One line: id parent major:minor root mountpoint options … - type source options. */
static int
parse_mount(char *line, const char *path, char *buffer, size_t size)
{
	char *fields[5], *rest = NULL, *type = strstr(line, " - ");
	const char *below;

	if (type == NULL || strncmp(type + 3, "cgroup2 ", 8) != 0)
		return -1;
	for (int i = 0; i < 5; i++) {
		fields[i] = strtok_r(i == 0 ? line : NULL, " ", &rest);
		if (fields[i] == NULL)
			return -1;
	}
	unescape(fields[3]);
	unescape(fields[4]);
	below = path_below(path, fields[3]);
	if (below == NULL)
		return -1;
	return snprintf(buffer, size, "%s%s", fields[4], below) < (int)size ? 0 : -1;
}

int
cgroup_parse_mounts(const char *text, const char *path, char *buffer, size_t size)
{
	char *copy = xstrdup(text), *rest = NULL, *line = strtok_r(copy, "\n", &rest);
	int result = -1;

	for (; line != NULL && result == -1; line = strtok_r(NULL, "\n", &rest))
		result = parse_mount(line, path, buffer, size);
	free(copy);
	return result;
}

bool
cgroup_may_enable(const char *path)
{
	static const char service[] = ".service";
	size_t length = strlen(path), ending = sizeof(service) - 1;

	return length < ending || strcmp(path + length - ending, service) != 0;
}

/* Where we are: its path, and its directory opened, or -1. */
static int
open_own(char path[PATH_MAX])
{
	struct buf groups = { 0 }, mounts = { 0 };
	char directory[PATH_MAX];
	int fd = -1;

	if (file_read(AT_FDCWD, "/proc/self/cgroup", LARGEST_FILE, &groups) == 0 &&
	    file_read(AT_FDCWD, "/proc/self/mountinfo", LARGEST_FILE, &mounts) == 0 &&
	    cgroup_parse_path(buf_text(&groups), path, PATH_MAX) == 0 &&
	    cgroup_parse_mounts(buf_text(&mounts), path, directory, sizeof(directory)) == 0)
		fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	buf_done(&groups);
	buf_done(&mounts);
	return fd;
}

static bool
is_delegated(int directory)
{
	static const char *const names[] = { "user.delegate", "trusted.delegate" };
	struct statfs info;
	char value[2];

	if (fstatfs(directory, &info) == -1 || info.f_type != CGROUP2_SUPER_MAGIC)
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (fgetxattr(directory, names[i], value, sizeof(value)) == 1 &&
		    value[0] == '1')
			return true;
	}
	return false;
}

/* The one that was delegated: ours, or the one above if we were put into the keeper's leaf. */
static int
find_delegated(char path[PATH_MAX])
{
	int fd = open_own(path), above;
	char *slash;

	if (fd == -1 || is_delegated(fd))
		return fd;
	slash = strrchr(path, '/');
	above = strcmp(slash, "/" CGROUP_KEEPER_LEAF) == 0
	    ? openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
	    : -1;
	close(fd);
	if (above != -1 && !is_delegated(above)) {
		close(above);
		return -1;
	}
	*slash = '\0';
	return above;
}

/* Other than empty ones, which are removed. */
static bool
has_leaves(int directory)
{
	char(*names)[CGROUP_NAME_SIZE];
	size_t count = cgroup_leaves(directory, &names), left = 0;

	for (size_t i = 0; i < count; i++)
		left += cgroup_remove(directory, names[i]) == -1;
	free(names);
	return left > 0;
}

/*
 * Leaves have the names of attempts, so there can be one instance at a time: it is locked for
 * as long as we live, and marked for as long as jobs of ours may live that we left behind.
 */
static bool
take(int directory, int state_fd)
{
	static const char name[] = "user.jobberd";
	char mark[64], found[64] = "";
	struct stat state;

	if (flock(directory, LOCK_EX | LOCK_NB) == -1 || fstat(state_fd, &state) == -1)
		return false;
	snprintf(mark, sizeof(mark), "%jd:%jd", (intmax_t)state.st_dev,
	    (intmax_t)state.st_ino);
	if (fgetxattr(directory, name, found, sizeof(found) - 1) > 0 &&
	    strcmp(found, mark) != 0 && has_leaves(directory))
		return false;
	return fsetxattr(directory, name, mark, strlen(mark), 0) == 0;
}

static int
move_there(int directory)
{
	if ((mkdirat(directory, CGROUP_KEEPER_LEAF, 0755) == -1 && errno != EEXIST) ||
	    cgroup_write(directory, CGROUP_KEEPER_LEAF "/cgroup.procs", "0") == -1) {
		log_warn("a cgroup is delegated, but it cannot be used: %s", strerror(errno));
		return -1;
	}
	return 0;
}

/* Is this one of the words of the file? */
static bool
has_word(int directory, const char *file, const char *word)
{
	struct buf buf = { 0 };
	bool found = false;
	char *rest = NULL;

	if (file_read(directory, file, LARGEST_FILE, &buf) == 0) {
		char *at = strtok_r((char *)buf_text(&buf), " \n", &rest);

		for (; at != NULL && !found; at = strtok_r(NULL, " \n", &rest))
			found = strcmp(at, word) == 0;
	}
	buf_done(&buf);
	return found;
}

/* Fails where others are in the cgroup itself: then its leaves are good for killing only. */
static bool
enable_memory(int directory, const char *path)
{
	static const char file[] = "cgroup.subtree_control";

	if (has_word(directory, file, "memory"))
		return true;
	return cgroup_may_enable(path) && has_word(directory, "cgroup.controllers", "memory") &&
	    cgroup_write(directory, file, "+memory") == 0;
}

void
cgroup_open(struct cgroup *cgroup, int state_fd)
{
	char path[PATH_MAX];
	int fd = find_delegated(path);

	*cgroup = (struct cgroup){ .directory = -1 };
	if (fd == -1)
		return;
	if (!take(fd, state_fd) || move_there(fd) == -1) {
		close(fd);
		return;
	}
	cgroup->directory = fd;
	cgroup->watches_memory = enable_memory(fd, path);
}

void
cgroup_close(struct cgroup *cgroup)
{
	if (cgroup->directory != -1)
		close(cgroup->directory);
	cgroup->directory = -1;
}
