/*
 * keeper_remains: what adopted processes left running. It came to somebody else, who reaps
 * it and tells us nothing, so all processes are looked through: for those of their sessions,
 * and for their environments. Each is killed by its pidfd, and looked for again until it is
 * gone. When thousands end together it is looked for together.
 */

#include "base/xalloc.h"
#include "keeper/keeper.h"
#include "keeper/keeper_leaf.h"
#include "keeper/pidfd.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#define AGAIN_MS 10
#define MOST_SCANS 1000

/* Whose remains are looked for, by what their pids were. */
struct searched {
	struct child **children;
	size_t count;
};

static int
compare(const void *a, const void *b)
{
	pid_t one = (*(struct child *const *)a)->pid, other = (*(struct child *const *)b)->pid;

	return one < other ? -1 : one > other;
}

static void
begin_search(struct keeper *keeper, struct searched *searched)
{
	struct child *child;

	*searched = (struct searched){ .children = xcalloc(
					   keeper->children.count, sizeof(struct child *)) };
	TAILQ_FOREACH (child, &keeper->children.closing, in_closing) {
		if (child->may_have_remains)
			searched->children[searched->count++] = child;
		child->may_have_remains = false; /* until one is found */
	}
	qsort(searched->children, searched->count, sizeof(struct child *), compare);
}

static struct child *
find_session(const struct searched *searched, pid_t session)
{
	struct child key = { .pid = session }, *wanted = &key, **found;

	found = bsearch(
	    &wanted, searched->children, searched->count, sizeof(struct child *), compare);
	return found != NULL ? *found : NULL;
}

/* As long as it has members, a session's id is nobody else's; but it may have none by now. */
static bool
session_is_its_own(const struct child *child)
{
	int64_t start;
	char state;
	int status;

	return tree_stat(child->pid, &start, &state, &status) == -1 ||
	    (state == 'Z' && (start == child->pid_start || start == child->pid_start + 1));
}

/* Who has left this process? NULL: none of those. */
static struct child *
find_owner(struct keeper *keeper, const struct searched *searched, pid_t pid)
{
	pid_t session = getsid(pid);
	struct child *owner;
	struct order_key key = { 0 };

	if (session == -1 || pid == getpid() || pid == keeper->supervisor_pid)
		return NULL;
	owner = session != 0 ? find_session(searched, session) : NULL;
	if (owner != NULL)
		return pid != owner->pid && session_is_its_own(owner) ? owner : NULL;
	/* Of another attempt: not worth a look. */
	if (children_find_pid(&keeper->children, session) != NULL ||
	    !keeper_read_key(keeper, pid, &key))
		return NULL;
	owner = children_find(&keeper->children, &key);
	for (size_t i = 0; owner != NULL && i < searched->count; i++) {
		if (searched->children[i] == owner)
			return owner;
	}
	return NULL;
}

static bool
runs(pid_t pid)
{
	int64_t start;
	char state;
	int status;

	return tree_stat(pid, &start, &state, &status) == 0 && state != 'Z';
}

static void
look_at(struct keeper *keeper, const struct searched *searched, pid_t pid)
{
	/* Opened first, so that what is looked at is what is killed. */
	int fd = pidfd_open_process(pid);
	struct child *owner = fd != -1 ? find_owner(keeper, searched, pid) : NULL;

	if (owner != NULL && runs(pid)) {
		owner->may_have_remains = true;
		if (keeper_note_killed(owner, pid))
			owner->report->ended.children_killed++;
		pidfd_signal(fd, SIGKILL);
	}
	if (fd != -1)
		close(fd);
}

/* What cannot be killed, an uninterruptible one, must not keep its job for ever. */
static bool
must_look_again(const struct searched *searched)
{
	bool must = false;

	for (size_t i = 0; i < searched->count; i++) {
		struct child *child = searched->children[i];

		if (child->may_have_remains && ++child->scans >= MOST_SCANS)
			child->may_have_remains = false;
		must = must || child->may_have_remains;
	}
	return must;
}

void
keeper_look_for_remains(void *arg)
{
	struct keeper *keeper = arg;
	DIR *processes = opendir("/proc");
	struct searched searched;
	struct dirent *entry;

	begin_search(keeper, &searched);
	while (processes != NULL && (entry = readdir(processes)) != NULL) {
		if (isdigit((unsigned char)entry->d_name[0]))
			look_at(keeper, &searched, (pid_t)strtol(entry->d_name, NULL, 10));
	}
	if (processes != NULL)
		closedir(processes);
	if (must_look_again(&searched))
		loop_timer_set(keeper->loop, &keeper->remains_timer, AGAIN_MS);
	free(searched.children);
	keeper_close_children(keeper);
}

void
keeper_close_adopted(struct keeper *keeper, struct child *child)
{
	children_forget_pid(&keeper->children, child);
	children_set_state(&keeper->children, child, CHILD_CLOSING);
	loop_timer_remove(keeper->loop, &child->timer);
	keeper_leaf_close(keeper, child);
	child->may_have_remains = !child->has_leaf && !child->leaves_children;
	if (child->may_have_remains)
		loop_timer_set(keeper->loop, &keeper->remains_timer, 0);
	else
		keeper_close_children(keeper);
}
