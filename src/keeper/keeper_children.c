/*
 * keeper_children: the lives of processes: ending them, and what is reported of them. How
 * they start is in keeper_start.c and keeper_adopt.c, how they are reaped in keeper_reap.c.
 *
 * An attempt ends in two steps: its main process is seen dead (CHILD_CLOSING), and then
 * everything it left running is gone (CHILD_ENDED, reported).
 */

#include "base/xalloc.h"
#include "keeper/keeper.h"
#include "keeper/keeper_launch.h"
#include "keeper/keeper_leaf.h"
#include "keeper/pidfd.h"

#include <sys/ioctl.h>

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* Out of the chain of those who wait for one another. */
static void
unlink_child(struct child *child)
{
	if (child->predecessor != NULL)
		child->predecessor->successor = child->successor;
	if (child->successor != NULL)
		child->successor->predecessor = child->predecessor;
	child->predecessor = child->successor = NULL;
}

void
keeper_free_child(struct keeper *keeper, struct child *child)
{
	children_remove(&keeper->children, child);
	loop_timer_remove(keeper->loop, &child->timer);
	loop_remove(keeper->loop, child->pidfd_watch);
	if (child->pidfd != -1)
		close(child->pidfd);
	if (child->socket_fd != -1)
		close(child->socket_fd);
	keeper_notify_close(keeper, child);
	if (child->state != CHILD_WAITING)
		journal_give_back(&keeper->journal, child->journal_slot);
	unlink_child(child);
	start_text_done(&child->text);
	free(child->order);
	free(child->killed);
	free(child->report);
	free(child);
}

/* ---- ending ---- */

static void
signal_group(struct child *child, int number)
{
	if (child->state != CHILD_RUNNING)
		return;
	/* An adopted leader may be gone and its group's id somebody else's: ask its pidfd. */
	if (child->is_adopted && !pidfd_is_alive(child->pidfd))
		return;
	/* It may not have its group yet, and is all that there is of it. */
	kill(child->launch != NULL ? child->pid : -child->pid, number);
}

void
keeper_child_timer(void *arg)
{
	struct child *child = arg;

	if (child->cause == STOP_NONE) {
		keeper_stop_child(child->keeper, child, STOP_TIMEOUT, child->grace_ms);
		return;
	}
	child->was_killed = true;
	keeper_leaf_kill(child->keeper, child);
	signal_group(child, SIGKILL);
}

void
keeper_stop_child(struct keeper *keeper, struct child *child, enum stop_cause cause,
    int64_t grace_ms)
{
	if (child->state == CHILD_WAITING) {
		keeper_recall_child(keeper, child);
		return;
	}
	if (child->state != CHILD_RUNNING)
		return;
	if (grace_ms == STOP_OWN_GRACE)
		grace_ms = child->grace_ms;
	if (child->cause == STOP_NONE) {
		child->cause = cause;
		if (grace_ms > 0) {
			signal_group(
			    child, cause == STOP_WATCHDOG ? SIGABRT : child->stop_signal);
			signal_group(child, SIGCONT); /* a stopped one hears it too */
		}
		loop_timer_set(keeper->loop, &child->timer, grace_ms);
	} else if (loop_timer_left(keeper->loop, &child->timer) > grace_ms)
		loop_timer_set(keeper->loop, &child->timer, grace_ms);
}

void
keeper_stop_all(struct keeper *keeper, int64_t grace_ms)
{
	struct child *child, *next;

	keeper_settle_all(keeper);
	for (child = children_first(&keeper->children); child != NULL; child = next) {
		next = children_next(child);
		keeper_stop_child(keeper, child, STOP_INTERRUPTED, grace_ms);
	}
}

/* ---- reports ---- */

static struct report_started
start_of(const struct child *child)
{
	return (struct report_started){ .pid = child->pid != 0 ? child->pid : child->lost_pid,
		.pid_start = child->pid_start,
		.at_mono_ms = child->started.ms,
		.is_adopted = child->is_adopted };
}

void
keeper_report_started(struct keeper *keeper, struct child *child)
{
	struct report report = { .version = ORDERS_VERSION, .kind = REPORT_STARTED,
		.key = child->key, .started = start_of(child) };

	children_set_untold(&keeper->children, child, false);
	child->is_start_told = true;
	keeper_report(keeper, &report, child->socket_fd);
}

void
keeper_begin_report(struct child *child, enum end_kind how, int code)
{
	struct report *report = child->report = xmalloc(sizeof(*report));

	*report = (struct report){ .version = ORDERS_VERSION, .kind = REPORT_ENDED,
		.key = child->key };
	report->ended.how = how;
	report->ended.code = code;
	report->ended.cause = child->cause;
	report->ended.at_mono_ms = clock_mono().ms;
	report->ended.run_ms = report->ended.at_mono_ms - child->started.ms;
	report->ended.user_ms = report->ended.system_ms = report->ended.max_rss_kib = -1;
}

/* Its socket, if something it said was not read yet. */
static int
unread_socket(const struct child *child)
{
	int length = 0;

	return ioctl(child->socket_fd, FIONREAD, &length) == -1 || length > 0
	    ? child->socket_fd
	    : -1;
}

/* Its start goes along if nobody was told; then whoever took its place is reported soon. */
static void
report_end(struct keeper *keeper, struct child *child, bool has_more_to_do)
{
	struct report report = *child->report;
	int descriptor = -1;

	if (child->is_start_untold) {
		children_set_untold(&keeper->children, child, false);
		report.ended.start = start_of(child);
		descriptor = unread_socket(child);
	}
	if (has_more_to_do)
		keeper_report_soon(keeper, &report, descriptor);
	else
		keeper_report(keeper, &report, descriptor);
}

void
keeper_finish(struct keeper *keeper, struct child *child)
{
	struct child *next = child->successor;
	const struct order_key key = child->key;
	bool is_silent;

	child->report->ended.output_bytes = outputs_size(&keeper->outputs, &key);
	is_silent = child->report->ended.output_bytes == 0;
	children_set_state(&keeper->children, child, CHILD_ENDED);
	loop_timer_remove(keeper->loop, &child->timer);
	/* With one more behind the next the supervisor process is in no hurry. */
	report_end(keeper, child, next != NULL && next->successor != NULL);
	unlink_child(child);
	if (next != NULL)
		keeper_start_successor(keeper, next);
	if (is_silent) /* last: its place does not wait for the file system */
		outputs_drop(&keeper->outputs, &key);
}
