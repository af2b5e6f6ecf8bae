/*
 * cgroup: the leaves, by the files of cgroup version 2; see the header. It never waits:
 * whoever wants to know when a leaf is empty watches its cgroup.events.
 */

#include "keeper/cgroup.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/text.h"
#include "base/xalloc.h"

#include <sys/stat.h>

#include <bsd/string.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LARGEST_FILE (16 << 20)
#define DEEPEST 64 /* nobody makes cgroups below cgroups further than this */

/* ---- files ---- */

/* The directory of a leaf. -1 with errno. */
static int
open_directory(int directory, const char *name)
{
	return openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* The kernel takes such a text whole or not at all. */
int
cgroup_write(int directory, const char *file, const char *text)
{
	int fd = openat(directory, file, O_WRONLY | O_CLOEXEC), saved;
	ssize_t written;

	if (fd == -1)
		return -1;
	written = write(fd, text, strlen(text));
	saved = errno;
	close(fd);
	errno = saved;
	return written == (ssize_t)strlen(text) ? 0 : -1;
}

/* The number behind a key at the beginning of a line; -1 if there is no such line or file. */
static int64_t
read_keyed(int directory, const char *file, const char *key)
{
	struct buf buf = { 0 };
	size_t length = strlen(key);
	int64_t number = -1;

	if (file_read(directory, file, LARGEST_FILE, &buf) == 0) {
		const char *line = buf_text(&buf);

		for (; line != NULL && number == -1; line = strchr(line, '\n')) {
			line += *line == '\n';
			if (strncmp(line, key, length) == 0 && line[length] == ' ')
				number = strtoll(line + length, NULL, 10);
		}
	}
	buf_done(&buf);
	return number;
}

/* The next cgroup that is a child of this one; NULL after the last. */
static const char *
next_child(DIR *stream)
{
	struct dirent *entry;

	while ((entry = readdir(stream)) != NULL) {
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			return entry->d_name;
	}
	return NULL;
}

static DIR *
open_children(int directory, const char *name)
{
	int fd = open_directory(directory, name);
	DIR *stream = fd != -1 ? fdopendir(fd) : NULL;

	if (stream == NULL && fd != -1)
		close(fd);
	return stream;
}

/* ---- leaves ---- */

void
cgroup_leaf_name(char buffer[CGROUP_NAME_SIZE], int64_t job, int64_t attempt)
{
	snprintf(buffer, CGROUP_NAME_SIZE, "job-%" PRId64 "-%" PRId64, job, attempt);
}

bool
cgroup_leaf_attempt(const char *name, int64_t *ret_job, int64_t *ret_attempt)
{
	char copy[CGROUP_NAME_SIZE], *dash;
	size_t length = strlen(name);

	if (strncmp(name, "job-", 4) != 0 || length >= sizeof(copy))
		return false;
	memcpy(copy, name, length + 1);
	dash = strchr(copy + 4, '-');
	if (dash == NULL)
		return false;
	*dash = '\0';
	return text_number(copy + 4, 1, INT64_MAX, ret_job) == 0 &&
	    text_number(dash + 1, 1, INT64_MAX, ret_attempt) == 0;
}

int
cgroup_make(int directory, const char *name)
{
	char path[CGROUP_NAME_SIZE + 16];

	/* What is there already was left by somebody: it serves if it is empty. */
	if (mkdirat(directory, name, 0755) == -1 &&
	    (errno != EEXIST || cgroup_remove(directory, name) == -1 ||
		mkdirat(directory, name, 0755) == -1))
		return -1;
	snprintf(path, sizeof(path), "%s/cgroup.procs", name);
	return openat(directory, path, O_WRONLY | O_CLOEXEC);
}

static int
remove_tree(int directory, const char *name, int depth)
{
	const char *child;
	DIR *stream;

	if (unlinkat(directory, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY || depth > DEEPEST || cgroup_is_populated(directory, name))
		return -1;
	/* No process in it, but a job may have made cgroups of its own there. */
	stream = open_children(directory, name);
	if (stream == NULL)
		return -1;
	while ((child = next_child(stream)) != NULL)
		remove_tree(dirfd(stream), child, depth + 1);
	closedir(stream);
	return unlinkat(directory, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -1;
}

int
cgroup_remove(int directory, const char *name)
{
	return remove_tree(directory, name, 0);
}

bool
cgroup_is_populated(int directory, const char *name)
{
	int fd = open_directory(directory, name);
	bool is_populated = fd != -1 && read_keyed(fd, "cgroup.events", "populated") > 0;
	int saved = errno;

	if (fd != -1)
		close(fd);
	errno = is_populated ? EBUSY : saved;
	return is_populated;
}

struct pids {
	pid_t *items;
	size_t count;
};

static void
add_pids(int directory, const char *name, struct pids *pids, int depth)
{
	DIR *stream = open_children(directory, name);
	struct buf buf = { 0 };
	const char *child;

	if (stream == NULL)
		return;
	if (file_read(dirfd(stream), "cgroup.procs", LARGEST_FILE, &buf) == 0) {
		const char *at = buf_text(&buf);
		char *end;

		for (long pid; (pid = strtol(at, &end, 10)) > 0; at = end) {
			pids->items = xreallocarray(
			    pids->items, pids->count + 1, sizeof(pids->items[0]));
			pids->items[pids->count++] = (pid_t)pid;
		}
	}
	buf_done(&buf);
	while (depth < DEEPEST && (child = next_child(stream)) != NULL)
		add_pids(dirfd(stream), child, pids, depth + 1);
	closedir(stream);
}

size_t
cgroup_pids(int directory, const char *name, pid_t **ret_pids)
{
	struct pids pids = { 0 };

	add_pids(directory, name, &pids, 0);
	*ret_pids = pids.items;
	return pids.count;
}

int
cgroup_kill(int directory, const char *name)
{
	char path[CGROUP_NAME_SIZE + 16];

	snprintf(path, sizeof(path), "%s/cgroup.kill", name);
	return cgroup_write(directory, path, "1");
}

bool
cgroup_saw_oom(int directory, const char *name)
{
	int fd = open_directory(directory, name);
	bool saw_oom;

	if (fd == -1)
		return false;
	saw_oom = read_keyed(fd, "memory.events", "oom_kill") > 0 ||
	    read_keyed(fd, "memory.events", "oom_group_kill") > 0;
	close(fd);
	return saw_oom;
}

size_t
cgroup_leaves(int directory, char (**ret_names)[CGROUP_NAME_SIZE])
{
	char(*names)[CGROUP_NAME_SIZE] = NULL;
	DIR *stream = open_children(directory, ".");
	int64_t job, attempt;
	size_t count = 0;
	const char *child;

	while (stream != NULL && (child = next_child(stream)) != NULL) {
		if (!cgroup_leaf_attempt(child, &job, &attempt))
			continue;
		names = xreallocarray(names, count + 1, sizeof(names[0]));
		strlcpy(names[count++], child, CGROUP_NAME_SIZE);
	}
	if (stream != NULL)
		closedir(stream);
	*ret_names = names;
	return count;
}
