/*
 * keeper_remains: what an adopted process left running. It came to somebody else, who reaps
 * it and tells us nothing, so all processes are looked through: for those of its session, and
 * for its environment. Each is killed by its pidfd, and looked for again until it is gone.
 */

#include "keeper/keeper.h"
#include "keeper/keeper_leaf.h"
#include "keeper/pidfd.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AGAIN_MS 10
#define MOST_SCANS 1000

/* As long as it has members, a session's id is nobody else's; but it may have none by now. */
static bool
session_is_its_own(const struct child *child)
{
	int64_t start;
	char state;
	int status;

	if (child->pid == 0)
		return false;
	return tree_stat(child->pid, &start, &state, &status) == -1 ||
	    (state == 'Z' && (start == child->pid_start || start == child->pid_start + 1));
}

static bool
has_its_environment(struct keeper *keeper, const struct child *child, pid_t pid)
{
	char text[4096], wanted[32];

	snprintf(wanted, sizeof(wanted), "%" PRId64, child->key.job);
	if (!tree_variable(pid, "JOBBERD_ID", text, sizeof(text)) || strcmp(text, wanted) != 0)
		return false;
	snprintf(wanted, sizeof(wanted), "%" PRId64, child->key.attempt);
	return tree_variable(pid, "JOBBERD_ATTEMPT", text, sizeof(text)) &&
	    strcmp(text, wanted) == 0 &&
	    tree_variable(pid, "JOBBERD_STATE", text, sizeof(text)) &&
	    strcmp(text, keeper->setup->state_directory) == 0;
}

static bool
is_remains(struct keeper *keeper, const struct child *child, pid_t pid, bool has_session)
{
	pid_t session = getsid(pid);
	int64_t start;
	char state;
	int status;

	if (pid == getpid() || pid == keeper->supervisor_pid || pid == child->pid ||
	    session == -1)
		return false;
	if (session != child->pid) {
		/* Of another attempt: not worth a look. */
		if (children_find_pid(&keeper->children, session) != NULL ||
		    !has_its_environment(keeper, child, pid))
			return false;
	} else if (!has_session)
		return false;
	return tree_stat(pid, &start, &state, &status) == 0 && state != 'Z';
}

/* Returns how many are still there. */
static size_t
kill_remains(struct keeper *keeper, struct child *child)
{
	bool has_session = session_is_its_own(child);
	DIR *processes = opendir("/proc");
	struct dirent *entry;
	size_t count = 0;

	if (processes == NULL)
		return 0;
	while ((entry = readdir(processes)) != NULL) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		int fd;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		/* Opened first, so that what is looked at is what is killed. */
		fd = pidfd_open_process(pid);
		if (fd == -1)
			continue;
		if (is_remains(keeper, child, pid, has_session)) {
			count++;
			if (keeper_note_killed(child, pid))
				child->report->ended.children_killed++;
			pidfd_kill(fd);
		}
		close(fd);
	}
	closedir(processes);
	return count;
}

static void
look_again(void *arg)
{
	struct child *child = arg;
	struct keeper *keeper = child->keeper;

	/* What cannot be killed, an uninterruptible one, must not keep its job for ever. */
	if (kill_remains(keeper, child) > 0 && ++child->scans < MOST_SCANS)
		loop_timer_set(keeper->loop, &child->timer, AGAIN_MS);
	keeper_close_children(keeper);
}

void
keeper_close_adopted(struct keeper *keeper, struct child *child)
{
	children_forget_pid(&keeper->children, child);
	children_set_state(&keeper->children, child, CHILD_CLOSING);
	loop_timer_remove(keeper->loop, &child->timer);
	child->timer.fire = look_again;
	keeper_leaf_close(keeper, child);
	if (!child->has_leaf && !child->leaves_children && kill_remains(keeper, child) > 0)
		loop_timer_set(keeper->loop, &child->timer, AGAIN_MS);
	keeper_close_children(keeper);
}
