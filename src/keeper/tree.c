/*
 * tree: process trees by way of /proc. The pids that are killed here are our own
 * children, which cannot be recycled before we reap them, or children of stopped ones.
 */

#include "keeper/tree.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/xalloc.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <time.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LARGEST_PROC_FILE (16 << 20)
#define MOST_PASSES 100
#define MOST_TRIES 250 /* at 0.2 ms, until a process has stopped */

struct pids {
	pid_t *items;
	size_t count, room;
};

static void
pids_add(struct pids *pids, pid_t pid)
{
	if (pids->count == pids->room) {
		pids->room = pids->room > 0 ? 2 * pids->room : 16;
		pids->items = xreallocarray(pids->items, pids->room, sizeof(pid_t));
	}
	pids->items[pids->count++] = pid;
}

static bool
pids_has(const struct pids *pids, pid_t pid)
{
	for (size_t i = 0; i < pids->count; i++) {
		if (pids->items[i] == pid)
			return true;
	}
	return false;
}

/* Numbers separated by spaces. */
static void
parse_pids(char *text, struct pids *pids)
{
	for (char *rest = text, *end;; rest = end) {
		long pid = strtol(rest, &end, 10);

		if (end == rest)
			return;
		pids_add(pids, (pid_t)pid);
	}
}

int
tree_children(pid_t pid, pid_t **ret_pids, size_t *ret_count)
{
	struct pids pids = { 0 };
	struct buf text = { 0 };
	struct dirent *task;
	char path[64];
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	if (tasks == NULL)
		return -1;
	while ((task = readdir(tasks)) != NULL) {
		if (!isdigit((unsigned char)task->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "%.20s/children", task->d_name);
		buf_clear(&text);
		if (file_read(dirfd(tasks), path, LARGEST_PROC_FILE, &text) == 0)
			parse_pids((char *)buf_text(&text), &pids);
	}
	closedir(tasks);
	buf_done(&text);
	*ret_pids = pids.items;
	*ret_count = pids.count;
	return 0;
}

void
tree_self_init(struct tree_self *self)
{
	char path[64];

	*self = (struct tree_self){ 0 };
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	self->fd = open(path, O_RDONLY | O_CLOEXEC);
}

void
tree_self_done(struct tree_self *self)
{
	if (self->fd != -1)
		close(self->fd);
	free(self->text);
	*self = (struct tree_self){ .fd = -1 };
}

int
tree_self_children(struct tree_self *self, pid_t **ret_pids, size_t *ret_count)
{
	struct pids pids = { 0 };
	size_t used = 0;

	if (self->fd == -1)
		return tree_children(getpid(), ret_pids, ret_count);
	for (;;) {
		ssize_t got;

		if (self->room - used < 512) {
			self->room = self->room > 0 ? 2 * self->room : 1024;
			self->text = xreallocarray(self->text, self->room, 1);
		}
		got = pread(
		    self->fd, self->text + used, self->room - used - 1, (off_t)used);
		if (got == -1)
			return -1;
		if (got == 0)
			break;
		used += (size_t)got;
		if (used < self->room / 2)
			break; /* a short read of seq_file is the end */
	}
	self->text[used] = '\0';
	parse_pids(self->text, &pids);
	*ret_pids = pids.items;
	*ret_count = pids.count;
	return 0;
}

bool
tree_variable(pid_t pid, const char *name, char *buffer, size_t size)
{
	struct buf text = { 0 };
	size_t length = strlen(name);
	char path[64];
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	if (file_read(AT_FDCWD, path, LARGEST_PROC_FILE, &text) == 0) {
		const char *at = buf_text(&text), *end = at + text.length;

		for (; at < end && !found; at += strlen(at) + 1) {
			if (strncmp(at, name, length) == 0 && at[length] == '=') {
				snprintf(buffer, size, "%s", at + length + 1);
				found = true;
			}
		}
	}
	buf_done(&text);
	return found;
}

/*
 * The start of its code, field 26, is what execve(2) sets last of what can be seen. (A zombie
 * has none any more.)
 */
static bool
is_between_programs(pid_t pid)
{
	struct buf text = { 0 };
	char path[64], *at = NULL;
	bool is_between = false;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (file_read(AT_FDCWD, path, LARGEST_PROC_FILE, &text) == 0)
		at = strrchr(buf_text(&text), ')');
	if (at != NULL && at[1] == ' ' && at[2] != 'Z' && at[2] != 'X') {
		at += 2;
		for (int field = 3; at != NULL && field < 26; field++)
			at = strchr(at + 1, ' ');
		is_between = at != NULL && strtoll(at, NULL, 10) == 0;
	}
	buf_done(&text);
	return is_between;
}

void
tree_await_program(pid_t pid)
{
	const struct timespec pause = { .tv_nsec = 200000 };

	for (int tries = 0; tries < MOST_TRIES && is_between_programs(pid); tries++)
		nanosleep(&pause, NULL);
}

int
tree_stat(pid_t pid, int64_t *ret_start, char *ret_state, int *ret_wait_status)
{
	struct buf text = { 0 };
	char path[64], *at;
	int field, result = -1;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (file_read(AT_FDCWD, path, LARGEST_PROC_FILE, &text) == -1)
		goto out;
	/* The name in parentheses may contain anything: fields count from behind it. */
	at = strrchr(buf_text(&text), ')');
	if (at == NULL || at[1] != ' ')
		goto out;
	*ret_state = at[2];
	at += 2;
	for (field = 3; at != NULL && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at == NULL)
		goto out;
	*ret_start = strtoll(at, NULL, 10);
	for (; at != NULL && field < 52; field++)
		at = strchr(at + 1, ' ');
	*ret_wait_status = at != NULL ? (int)strtol(at, NULL, 10) : 0;
	result = 0;
out:
	buf_done(&text);
	return result;
}

/*
 * A process that is told to stop may be in the middle of a fork, and waiting for a processor
 * there: its child is listed only when it gets on. It has done so when it has stopped. One in
 * an uninterruptible sleep has no processor to get (or waits in vfork(2) for its child).
 */
static void
stop(pid_t pid)
{
	const struct timespec pause = { .tv_nsec = 200000 };
	int64_t start;
	int status;
	char state;

	kill(pid, SIGSTOP);
	for (int tries = 0; tries < MOST_TRIES; tries++) {
		if (tree_stat(pid, &start, &state, &status) == -1 ||
		    (state != 'R' && state != 'S'))
			return;
		nanosleep(&pause, NULL);
	}
}

/* Stop one process and note its children. */
static void
stop_and_look_below(struct pids *found, pid_t pid)
{
	pid_t *children;
	size_t count;

	stop(pid);
	if (tree_children(pid, &children, &count) == -1)
		return;
	for (size_t i = 0; i < count; i++) {
		if (!pids_has(found, children[i]))
			pids_add(found, children[i]);
	}
	free(children);
}

size_t
tree_kill(const pid_t *pids, size_t count)
{
	struct pids found = { 0 };
	size_t before, killed;

	for (size_t i = 0; i < count; i++)
		pids_add(&found, pids[i]);
	for (int pass = 0; pass < MOST_PASSES; pass++) {
		before = found.count;
		for (size_t i = 0; i < found.count; i++)
			stop_and_look_below(&found, found.items[i]);
		if (found.count == before)
			break;
	}
	for (size_t i = 0; i < found.count; i++)
		kill(found.items[i], SIGKILL);
	killed = found.count;
	free(found.items);
	return killed;
}
