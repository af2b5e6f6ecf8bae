/*
 * keeper_reap: who has died, and what it left running. The group is killed while its leader
 * is still a zombie, so that the group's id cannot be somebody else's.
 */

#include "base/xalloc.h"
#include "keeper/keeper.h"
#include "keeper/keeper_launch.h"
#include "keeper/keeper_leaf.h"

#include <sys/wait.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FEW 64	      /* children, that are quickly looked through */
#define LOOKED_AT 500 /* for so many, which takes some 0.1 ms, there is a pause of 1 ms */
#define MOST_PROGRAMS 5 /* that a process becomes one after the other while it is looked at */

bool
keeper_read_key(const struct keeper *keeper, pid_t pid, struct order_key *ret_key)
{
	char job[32], attempt[32], state[4096];

	if (!tree_variable(pid, "JOBBERD_ID", job, sizeof(job)) ||
	    !tree_variable(pid, "JOBBERD_ATTEMPT", attempt, sizeof(attempt)) ||
	    !tree_variable(pid, "JOBBERD_STATE", state, sizeof(state)) ||
	    strcmp(state, keeper->setup->state_directory) != 0)
		return false;
	ret_key->job = strtoll(job, NULL, 10);
	ret_key->attempt = strtoll(attempt, NULL, 10);
	return true;
}

/* Whose child was this, which is not the main process of any attempt? */
static struct child *
find_owner(struct keeper *keeper, pid_t pid)
{
	struct child *child = children_find_pid(&keeper->children, getsid(pid));
	struct order_key key = { 0 };
	bool is_known = false;

	if (child != NULL)
		return child;
	/* It may go from program to program, and have no environment at any moment. */
	for (int tries = 0; tries < MOST_PROGRAMS && !is_known; tries++) {
		tree_await_program(pid);
		is_known = keeper_read_key(keeper, pid, &key);
	}
	return is_known ? children_find(&keeper->children, &key) : NULL;
}

static void
leader_died(struct keeper *keeper, struct child *child, const siginfo_t *info)
{
	struct report_ended *ended;
	struct rusage usage;
	int status;

	keeper_begin_report(child, info->si_code == CLD_EXITED ? END_EXITED : END_SIGNALLED,
	    info->si_status);
	keeper_leaf_close(keeper, child);
	if (!child->leaves_children)
		kill(-child->pid, SIGKILL); /* its zombie keeps the group's id ours */
	ended = &child->report->ended;
	ended->core = info->si_code == CLD_DUMPED;
	if (wait4(child->pid, &status, 0, &usage) == child->pid) {
		ended->user_ms =
		    usage.ru_utime.tv_sec * 1000 + usage.ru_utime.tv_usec / 1000;
		ended->system_ms =
		    usage.ru_stime.tv_sec * 1000 + usage.ru_stime.tv_usec / 1000;
		ended->max_rss_kib = usage.ru_maxrss;
	}
	children_set_state(&keeper->children, child, CHILD_CLOSING);
}

static bool
is_noted(const struct child *child, pid_t pid)
{
	for (size_t i = 0; i < child->killed_count; i++) {
		if (child->killed[i] == pid)
			return true;
	}
	return false;
}

bool
keeper_note_killed(struct child *child, pid_t pid)
{
	if (is_noted(child, pid))
		return false;
	child->killed = xreallocarray(
	    child->killed, child->killed_count + 1, sizeof(child->killed[0]));
	child->killed[child->killed_count++] = pid;
	return true;
}

/* An orphan of some attempt has died. */
static void
orphan_died(struct keeper *keeper, pid_t pid)
{
	struct child *owner = children_find_pid(&keeper->children, getsid(pid));

	if (owner != NULL && owner->state == CHILD_CLOSING && !owner->leaves_children &&
	    !is_noted(owner, pid))
		owner->report->ended.children_killed++;
	waitpid(pid, NULL, 0);
}

/*
 * The processes that came to us as subreaper: those of attempts that are closing are
 * killed. Marks the attempts that still have some.
 */
static void
kill_orphans(struct keeper *keeper)
{
	pid_t *pids = NULL;
	size_t count = 0;

	if (tree_self_children(&keeper->self, &pids, &count) == -1)
		return;
	for (size_t i = 0; i < count; i++) {
		struct child *owner;

		if (pids[i] == keeper->supervisor_pid)
			continue;
		owner = children_find_pid(&keeper->children, pids[i]);
		if (owner != NULL && owner->state == CHILD_RUNNING)
			continue;
		owner = find_owner(keeper, pids[i]);
		if (owner == NULL || owner->state != CHILD_CLOSING || owner->leaves_children)
			continue;
		owner->has_orphans = true;
		/* Its group has had its SIGKILL and is counted as it is reaped. */
		if (getsid(pids[i]) != owner->pid && keeper_note_killed(owner, pids[i]))
			owner->report->ended.children_killed +=
			    (int64_t)tree_kill(&pids[i], 1);
	}
	free(pids);
}

/* Is anything of it left? The leader is reaped, so an empty group has no id any more. */
static bool
is_closed(const struct child *child)
{
	if (child->has_leaf)
		return false;
	if (child->is_adopted) /* not our children: keeper_remains.c looks for them */
		return !child->may_have_remains;
	return child->leaves_children ||
	    (!child->has_orphans && kill(-child->pid, 0) == -1);
}

void
keeper_close_children(struct keeper *keeper)
{
	struct child *child, *next;

	if (TAILQ_EMPTY(&keeper->children.closing))
		return;
	TAILQ_FOREACH(child, &keeper->children.closing, in_closing)
		child->has_orphans = false;
	kill_orphans(keeper);
	TAILQ_FOREACH_SAFE(child, &keeper->children.closing, in_closing, next) {
		if (is_closed(child)) {
			children_forget_pid(&keeper->children, child);
			keeper_finish(keeper, child);
		}
	}
}

static void
died(struct keeper *keeper, const siginfo_t *info)
{
	struct child *child = children_find_pid(&keeper->children, info->si_pid);
	int status;

	if (child != NULL && child->launch != NULL) {
		keeper_launch_died(keeper, child);
		child = children_find_pid(&keeper->children, info->si_pid);
		if (child == NULL)
			return; /* it did not become its program, and has been reaped for that */
	}
	if (info->si_pid == keeper->supervisor_pid) {
		waitpid(info->si_pid, &status, 0);
		keeper_supervisor_died(keeper, status);
	} else if (child != NULL && child->state == CHILD_RUNNING)
		leader_died(keeper, child, info);
	else
		orphan_died(keeper, info->si_pid);
}

/* false: none of these has. */
static bool
reap_one(struct keeper *keeper, idtype_t which, pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };

	if (waitid(which, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == -1 ||
	    info.si_pid == 0)
		return false;
	died(keeper, &info);
	return true;
}

void
keeper_reap_all(void *arg)
{
	struct keeper *keeper = arg;
	bool found = false;

	while (reap_one(keeper, P_ALL, 0))
		found = true;
	if (found)
		keeper_close_children(keeper);
}

/* Of the jobs that came last: the short ones are among them. */
static bool
reap_young(struct keeper *keeper)
{
	struct child *child = children_last(&keeper->children);
	pid_t pids[FEW];
	size_t count = 0;
	bool found = false;

	/* First who they are: the end of one may be that of others in the table. */
	for (int i = 0; i < FEW && child != NULL; i++, child = children_previous(child)) {
		if (child->state == CHILD_RUNNING && !child->is_adopted)
			pids[count++] = child->pid;
	}
	for (size_t i = 0; i < count; i++)
		found = reap_one(keeper, P_PID, pids[i]) || found;
	return found;
}

/*
 * The kernel looks through all our children for one that has died, which with thousands takes
 * longer than all the rest of an end. So whoever is named goes first, and the others, if there
 * are any, are looked for in rounds that leave most of the time to other work.
 */
void
keeper_reap(struct keeper *keeper, pid_t pid)
{
	bool found;

	if (keeper->children.count <= FEW) {
		keeper_reap_all(keeper);
		return;
	}
	found = reap_one(keeper, P_PID, pid);
	if (reap_young(keeper) || found)
		keeper_close_children(keeper);
	if (!timer_is_set(&keeper->reap_timer))
		loop_timer_set(keeper->loop, &keeper->reap_timer,
		    1 + (int64_t)keeper->children.count / LOOKED_AT);
}
