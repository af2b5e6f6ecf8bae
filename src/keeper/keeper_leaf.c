/*
 * keeper_leaf: the cgroups of attempts, where one was delegated to us: made before the process
 * is, killed and removed when its main process is dead. Elsewhere nothing here does anything.
 * A leaf that is not empty yet is watched: nobody polls.
 */

#include "base/log.h"
#include "base/xalloc.h"
#include "keeper/keeper_leaf.h"

#include <sys/epoll.h>
#include <sys/inotify.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct watched_leaf {
	TAILQ_ENTRY(watched_leaf) link;
	int watch; /* of its cgroup.events */
	struct order_key key;
	char name[CGROUP_NAME_SIZE];
};

void
keeper_leaves_open(struct keeper *keeper)
{
	cgroup_open(&keeper->cgroup, keeper->state_fd);
}

enum cgroup_use
keeper_cgroup_use(const struct keeper *keeper)
{
	if (keeper->cgroup.directory == -1)
		return CGROUPS_NONE;
	return keeper->cgroup.watches_memory ? CGROUPS_MEMORY : CGROUPS_PLAIN;
}

/* ---- until they are empty ---- */

/* Removed, that is; one that cannot be removed is left for the next start. */
static bool
is_empty(struct keeper *keeper, const char *name)
{
	if (cgroup_remove(keeper->cgroup.directory, name) == 0)
		return true;
	if (cgroup_is_populated(keeper->cgroup.directory, name))
		return false;
	cgroup_remove(keeper->cgroup.directory, name); /* it may have been until just now */
	return true;
}

static void
forget_leaf(struct keeper *keeper, struct watched_leaf *leaf)
{
	inotify_rm_watch(keeper->leaf_inotify, leaf->watch);
	TAILQ_REMOVE(&keeper->watched_leaves, leaf, link);
	free(leaf);
}

/* It may have changed: let go whoever waits for it to be empty. */
static void
check_leaf(struct keeper *keeper, struct watched_leaf *leaf)
{
	struct child *child;

	if (!is_empty(keeper, leaf->name))
		return;
	child = children_find(&keeper->children, &leaf->key);
	if (child != NULL && child->state == CHILD_CLOSING)
		child->has_leaf = false;
	forget_leaf(keeper, leaf);
}

static void
leaves_changed(void *arg, uint32_t events)
{
	struct keeper *keeper = arg;
	struct watched_leaf *leaf, *next;
	union {
		struct inotify_event event;
		char bytes[4096];
	} buffer;
	ssize_t got;

	(void)events;
	while ((got = read(keeper->leaf_inotify, &buffer, sizeof(buffer))) > 0) {
		for (const char *at = buffer.bytes; at < buffer.bytes + got;) {
			const struct inotify_event *event = (const void *)at;

			/* -1: events were lost, it may be any of them. */
			TAILQ_FOREACH_SAFE(leaf, &keeper->watched_leaves, link, next) {
				if (leaf->watch == event->wd || event->wd == -1)
					check_leaf(keeper, leaf);
			}
			at += sizeof(*event) + event->len;
		}
	}
	keeper_close_children(keeper);
}

static bool
open_inotify(struct keeper *keeper)
{
	if (keeper->leaf_watch != NULL)
		return true;
	keeper->leaf_inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (keeper->leaf_inotify == -1)
		return false;
	keeper->leaf_watch =
	    loop_add(keeper->loop, keeper->leaf_inotify, EPOLLIN, leaves_changed, keeper);
	if (keeper->leaf_watch == NULL) {
		close(keeper->leaf_inotify);
		keeper->leaf_inotify = -1;
	}
	return keeper->leaf_watch != NULL;
}

/* NULL with errno. It may have become empty before it was watched: to be looked at again. */
static struct watched_leaf *
watch_leaf(struct keeper *keeper, const struct order_key *key, const char *name)
{
	struct watched_leaf *leaf;
	char path[128];
	int watch;

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s/cgroup.events",
	    keeper->cgroup.directory, name);
	if (!open_inotify(keeper) ||
	    (watch = inotify_add_watch(keeper->leaf_inotify, path, IN_MODIFY)) == -1)
		return NULL;
	leaf = xcalloc(1, sizeof(*leaf));
	leaf->watch = watch;
	leaf->key = *key;
	snprintf(leaf->name, sizeof(leaf->name), "%s", name);
	TAILQ_INSERT_TAIL(&keeper->watched_leaves, leaf, link);
	return leaf;
}

/* ---- the leaf of an attempt ---- */

int
keeper_leaf_make(struct keeper *keeper, struct child *child)
{
	char name[CGROUP_NAME_SIZE];
	int fd;

	if (keeper->cgroup.directory == -1)
		return -1;
	cgroup_leaf_name(name, child->key.job, child->key.attempt);
	fd = cgroup_make(keeper->cgroup.directory, name);
	child->has_leaf = fd != -1;
	if (fd == -1)
		log_warn("job=%" PRId64 " has no cgroup of its own: %s", child->key.job,
		    strerror(errno));
	return fd;
}

void
keeper_leaf_made(struct keeper *keeper, struct child *child, int fd, bool is_in_use)
{
	char name[CGROUP_NAME_SIZE];

	if (fd == -1)
		return;
	close(fd);
	if (is_in_use)
		return;
	cgroup_leaf_name(name, child->key.job, child->key.attempt);
	cgroup_remove(keeper->cgroup.directory, name);
	child->has_leaf = false;
}

void
keeper_leaf_adopt(struct keeper *keeper, struct child *child)
{
	char name[CGROUP_NAME_SIZE];

	if (keeper->cgroup.directory == -1)
		return;
	cgroup_leaf_name(name, child->key.job, child->key.attempt);
	child->has_leaf = faccessat(keeper->cgroup.directory, name, F_OK, 0) == 0;
}

/* false: it cannot be done, which is nothing to wait for then. */
static bool
kill_leaf(struct keeper *keeper, struct child *child)
{
	char name[CGROUP_NAME_SIZE];
	pid_t *pids;
	size_t count;

	cgroup_leaf_name(name, child->key.job, child->key.attempt);
	count = cgroup_pids(keeper->cgroup.directory, name, &pids);
	for (size_t i = 0; i < count; i++) {
		if (pids[i] != child->pid)
			keeper_note_killed(child, pids[i]);
	}
	free(pids);
	if (cgroup_kill(keeper->cgroup.directory, name) == 0)
		return true;
	log_warn("job=%" PRId64 " cannot be killed by its cgroup: %s", child->key.job,
	    strerror(errno));
	return false;
}

void
keeper_leaf_kill(struct keeper *keeper, struct child *child)
{
	if (child->has_leaf && !child->leaves_children)
		kill_leaf(keeper, child);
}

/* End what is in it, and be told when that has happened. */
static void
empty_leaf(struct keeper *keeper, struct child *child, const char *name)
{
	struct watched_leaf *leaf = watch_leaf(keeper, &child->key, name);

	if (leaf == NULL)
		log_warn("job=%" PRId64 " leaves a cgroup behind: it cannot be watched: %s",
		    child->key.job, strerror(errno));
	/* Whoever lives on is not waited for. */
	child->has_leaf =
	    !child->leaves_children && kill_leaf(keeper, child) && leaf != NULL;
	if (leaf != NULL && is_empty(keeper, name)) {
		child->has_leaf = false;
		forget_leaf(keeper, leaf);
	}
}

void
keeper_leaf_close(struct keeper *keeper, struct child *child)
{
	struct report_ended *ended = &child->report->ended;
	char name[CGROUP_NAME_SIZE];

	if (!child->has_leaf)
		return;
	cgroup_leaf_name(name, child->key.job, child->key.attempt);
	ended->is_oom = ended->how == END_SIGNALLED && ended->code == SIGKILL &&
	    !child->was_killed && cgroup_saw_oom(keeper->cgroup.directory, name);
	if (is_empty(keeper, name))
		child->has_leaf = false;
	else
		empty_leaf(keeper, child, name);
	/* Those that went with a SIGKILL to its main process are among them. */
	ended->children_killed += (int64_t)child->killed_count;
}

/* ---- start and end ---- */

void
keeper_leaves_sweep(struct keeper *keeper)
{
	char(*names)[CGROUP_NAME_SIZE] = NULL;
	size_t count = 0;

	if (keeper->cgroup.directory != -1)
		count = cgroup_leaves(keeper->cgroup.directory, &names);
	for (size_t i = 0; i < count; i++) {
		struct order_key key = { 0 };
		struct watched_leaf *leaf;

		if (!cgroup_leaf_attempt(names[i], &key.job, &key.attempt) ||
		    children_find(&keeper->children, &key) != NULL ||
		    is_empty(keeper, names[i]))
			continue;
		leaf = watch_leaf(keeper, &key, names[i]);
		if (leaf != NULL)
			check_leaf(keeper, leaf);
	}
	free(names);
}

void
keeper_leaves_close(struct keeper *keeper)
{
	struct watched_leaf *leaf;

	while ((leaf = TAILQ_FIRST(&keeper->watched_leaves)) != NULL)
		forget_leaf(keeper, leaf);
	loop_remove(keeper->loop, keeper->leaf_watch);
	if (keeper->leaf_inotify != -1)
		close(keeper->leaf_inotify);
	cgroup_close(&keeper->cgroup);
}
