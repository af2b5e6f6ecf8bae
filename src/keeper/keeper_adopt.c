/*
 * keeper_adopt: what a killed keeper left running. Not our children, so they are seen
 * through pidfds.
 */

#include "base/log.h"
#include "keeper/keeper.h"
#include "keeper/keeper_leaf.h"
#include "keeper/pidfd.h"

#include <sys/epoll.h>
#include <sys/wait.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static void
adopted_ended(struct keeper *keeper, struct child *child)
{
	int status, how = END_UNKNOWN, code = 0;
	bool has_core = false;

	if (pidfd_exit_status(child->pidfd, child->pid, &status)) {
		how = WIFSIGNALED(status) ? END_SIGNALLED : END_EXITED;
		code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
		has_core = WIFSIGNALED(status) && WCOREDUMP(status);
	}
	keeper_begin_report(child, how, code);
	child->report->ended.core = has_core;
	if (how == END_UNKNOWN)
		child->report->ended.run_ms = -1;
	loop_remove(keeper->loop, child->pidfd_watch);
	child->pidfd_watch = NULL;
	keeper_close_adopted(keeper, child);
}

static void
pidfd_ready(void *arg, uint32_t events)
{
	struct child *child = arg;

	(void)events;
	/* A zombie nobody has reaped yet is as dead as it gets. */
	adopted_ended(child->keeper, child);
}

/*
 * Is this the process that was recorded? In the same boot pid and start time say so; as that
 * is known to 10 ms only, one that leads no session is not. Its environment may be another by
 * now.
 */
static bool
is_same_process(const struct order *order)
{
	int64_t start, recorded = order->adopt.pid_start;
	int status;
	char state;

	if (tree_stat((pid_t)order->adopt.pid, &start, &state, &status) == -1)
		return false;
	return (start == recorded || start == recorded + 1) &&
	    getsid((pid_t)order->adopt.pid) == (pid_t)order->adopt.pid;
}

void
keeper_adopt_child(struct keeper *keeper, const struct order *order)
{
	const struct order_adopt *adopt = &order->adopt;
	const struct journal_record record = { .check = JOURNAL_CHECK, .key = order->key,
		.pid = adopt->pid, .pid_start = adopt->pid_start };
	struct child *child = children_add(&keeper->children, &order->key);

	child->keeper = keeper;
	child->is_adopted = true;
	child->state = CHILD_RUNNING;
	/* Its start may not be recorded yet, and the next keeper must find it as we did. */
	child->journal_slot = journal_move(&keeper->journal, &record);
	child->grace_ms = adopt->grace_ms;
	child->leaves_children = adopt->leaves_children != 0;
	if (adopt->stop_signal != 0)
		child->stop_signal = (int)adopt->stop_signal;
	child->pid_start = adopt->pid_start;
	child->started.ms = clock_mono().ms - adopt->age_ms;
	child->timer = (struct timer){ .fire = keeper_child_timer, .arg = child };
	child->pidfd = pidfd_open_process((pid_t)adopt->pid);
	if (child->pidfd != -1 && is_same_process(order)) {
		children_set_pid(&keeper->children, child, (pid_t)adopt->pid);
		child->pidfd_watch =
		    loop_add(keeper->loop, child->pidfd, EPOLLIN, pidfd_ready, child);
	} else
		child->lost_pid = (pid_t)adopt->pid;
	keeper_leaf_adopt(keeper, child);
	keeper_report_started(keeper, child);
	if (adopt->notifies && child->pidfd_watch != NULL &&
	    keeper_notify_open(keeper, child) == -1)
		log_warn("job=%" PRId64 " its notify socket cannot be made anew: %s",
		    order->key.job, strerror(errno));
	if (child->pidfd_watch == NULL) {
		keeper_begin_report(child, END_UNKNOWN, 0);
		child->report->ended.run_ms = -1;
		keeper_close_adopted(keeper, child);
		return;
	}
	if (adopt->timeout_ms >= 0)
		loop_timer_set(keeper->loop, &child->timer, adopt->timeout_ms);
	if (adopt->stop_cause != STOP_NONE)
		keeper_stop_child(keeper, child, adopt->stop_cause, adopt->grace_ms);
}
