/*
 * keeper_children: starting, ending and reaping processes.
 *
 * An attempt ends in two steps: its main process is seen dead (CHILD_CLOSING), and then
 * everything it left running is gone (CHILD_ENDED, reported). The group is killed while
 * its leader is still a zombie, so that the group's id cannot be somebody else's.
 */

#include "base/log.h"
#include "base/xalloc.h"
#include "keeper/keeper.h"
#include "keeper/pidfd.h"
#include "keeper/spawn.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
output_name(char buffer[64], const struct order_key *key)
{
	snprintf(buffer, 64, "%" PRId64 ".%" PRId64, key->job, key->attempt);
}

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
	if (!child->is_adopted && child->state != CHILD_WAITING)
		journal_give_back(&keeper->journal, child->journal_slot);
	unlink_child(child);
	start_text_done(&child->text);
	free(child->order);
	free(child->killed);
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
	kill(-child->pid, number);
}

static void
timer_fired(void *arg)
{
	struct child *child = arg;

	if (child->cause == STOP_NONE) {
		keeper_stop_child(child->keeper, child, STOP_TIMEOUT, child->grace_ms);
		return;
	}
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
	if (child->cause == STOP_NONE) {
		child->cause = cause;
		if (grace_ms > 0) {
			signal_group(child, SIGTERM);
			signal_group(child, SIGCONT); /* a stopped one hears it too */
		}
		loop_timer_set(keeper->loop, &child->timer, grace_ms);
	} else if (loop_timer_left(keeper->loop, &child->timer) > grace_ms)
		loop_timer_set(keeper->loop, &child->timer, grace_ms);
}

void
keeper_kill_all(struct keeper *keeper)
{
	struct child *child, *next;

	for (child = children_first(&keeper->children); child != NULL; child = next) {
		next = children_next(child);
		keeper_stop_child(keeper, child, STOP_INTERRUPTED, 0);
	}
}

/* ---- reports ---- */

void
keeper_report_started(struct keeper *keeper, struct child *child)
{
	struct report report = { .version = ORDERS_VERSION, .kind = REPORT_STARTED,
		.key = child->key };

	report.started.pid = child->pid;
	report.started.pid_start = child->pid_start;
	report.started.at_mono_ms = child->started.ms;
	report.started.is_adopted = child->is_adopted;
	keeper_report(keeper, &report, child->socket_fd);
}

static void
report_refused(struct keeper *keeper, const struct order_key *key, int error)
{
	struct report report = { .version = ORDERS_VERSION, .kind = REPORT_REFUSED,
		.key = *key, .refused.error = error };

	keeper_report(keeper, &report, -1);
}

static void
begin_report(struct child *child, enum end_kind how, int code)
{
	struct report *report = &child->report;

	*report = (struct report){ .version = ORDERS_VERSION, .kind = REPORT_ENDED,
		.key = child->key };
	report->ended.how = how;
	report->ended.code = code;
	report->ended.cause = child->cause;
	report->ended.at_mono_ms = clock_mono().ms;
	report->ended.run_ms = report->ended.at_mono_ms - child->started.ms;
	report->ended.user_ms = report->ended.system_ms = report->ended.max_rss_kib = -1;
}

/* An empty output file says nothing: it is removed. */
static void
measure_output(struct keeper *keeper, struct child *child)
{
	struct stat info;
	char name[64];

	output_name(name, &child->key);
	if (fstatat(keeper->output_fd, name, &info, AT_SYMLINK_NOFOLLOW) == -1)
		return;
	if (info.st_size == 0)
		unlinkat(keeper->output_fd, name, 0);
	else
		child->report.ended.output_bytes = info.st_size;
}

static void start_successor(struct keeper *keeper, struct child *child);

static void
finish(struct keeper *keeper, struct child *child)
{
	struct child *next = child->successor;

	measure_output(keeper, child);
	children_set_state(&keeper->children, child, CHILD_ENDED);
	loop_timer_remove(keeper->loop, &child->timer);
	keeper_report(keeper, &child->report, -1);
	unlink_child(child);
	if (next != NULL)
		start_successor(keeper, next);
}

/* ---- starting ---- */

static int
open_output(struct keeper *keeper, const struct order_key *key)
{
	char name[64];

	output_name(name, key);
	return openat(keeper->output_fd, name,
	    O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static void
spawned(struct keeper *keeper, struct child *child, const struct order_start *start,
    pid_t pid)
{
	children_set_pid(&keeper->children, child, pid);
	child->timer = (struct timer){ .fire = timer_fired, .arg = child };
	if (start->timeout_ms >= 0)
		loop_timer_set(keeper->loop, &child->timer, start->timeout_ms);
	keeper_report_started(keeper, child);
}

static void
not_executed(struct keeper *keeper, struct child *child, int error)
{
	begin_report(child, END_NOT_EXECUTED, error);
	finish(keeper, child);
}

static void
refused(struct keeper *keeper, struct child *child, int error)
{
	/* Starting pauses: those who wait for it would fare no better. */
	while (child != NULL) {
		struct child *next = child->successor;

		report_refused(keeper, &child->key, error);
		keeper_free_child(keeper, child);
		child = next;
	}
}

static void
spawn_child(struct keeper *keeper, struct child *child, const struct order_start *start,
    const struct start_text *text, int output_fd, int sockets[2])
{
	struct spawn spawn = {
		.arguments = text->arguments,
		.variables = text->variables,
		.cwd = text->cwd,
		.stdin_path = text->stdin_path,
		.stdin_fd = keeper->null_fd,
		.output_fd = output_fd,
		.socket_fd = sockets[1],
		.umask = (mode_t)start->umask,
		.files = &keeper->files,
		.journal_fd = keeper->journal.fd,
		.journal_slot = child->journal_slot,
		.record = { .check = JOURNAL_CHECK, .key = child->key,
		    .pid_start = child->pid_start },
	};
	pid_t pid;
	int result = spawn_command(&spawn, &pid), error = result == -1 ? errno : result;

	close(sockets[1]);
	child->socket_fd = sockets[0];
	if (error == 0)
		spawned(keeper, child, start, pid);
	else if (result == -1 || spawn_is_lack(error))
		refused(keeper, child, error);
	else
		not_executed(keeper, child, error);
}

static void
start_now(struct keeper *keeper, struct child *child, const struct order *order,
    const struct start_text *text)
{
	int output_fd = open_output(keeper, &child->key), sockets[2];

	child->grace_ms = order->start.grace_ms;
	child->leaves_children = order->start.leaves_children != 0;
	child->journal_slot = journal_take(&keeper->journal);
	children_set_state(&keeper->children, child, CHILD_RUNNING);
	child->started = clock_mono();
	child->pid_start = spawn_start_ticks();
	if (output_fd == -1 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == -1) {
		int error = errno;

		if (output_fd != -1)
			close(output_fd);
		refused(keeper, child, error);
		return;
	}
	spawn_child(keeper, child, &order->start, text, output_fd, sockets);
	close(output_fd);
}

/* ---- claims ahead: whoever ends is followed at once, without anybody being asked ---- */

/* The last in the chain behind this attempt; NULL when its place is free already. */
static struct child *
find_tail(struct keeper *keeper, const struct order_key *key)
{
	struct child *child = key->job != 0 ? children_find(&keeper->children, key) : NULL;

	if (child == NULL || child->state == CHILD_ENDED)
		return NULL;
	while (child->successor != NULL)
		child = child->successor;
	return child;
}

/* Takes over the text. */
static void
wait_for_turn(struct child *child, struct child *before, const struct order *order,
    const struct start_text *text)
{
	child->state = CHILD_WAITING;
	child->order = xmalloc(sizeof(*child->order));
	*child->order = *order;
	child->text = *text;
	child->predecessor = before;
	before->successor = child;
}

static void
start_successor(struct keeper *keeper, struct child *child)
{
	struct start_text text = child->text;
	struct order order = *child->order;

	child->text = (struct start_text){ 0 };
	free(child->order);
	child->order = NULL;
	start_now(keeper, child, &order, &text);
	start_text_done(&text);
}

void
keeper_start_child(struct keeper *keeper, const struct order *order, size_t length,
    int descriptor)
{
	struct child *held = children_find_job(&keeper->children, order->key.job), *child;
	struct child *before = find_tail(keeper, &order->start.after);
	struct start_text text;

	/* Never two of one job, and never an old attempt again. */
	if (held != NULL &&
	    (held->state != CHILD_ENDED || held->key.attempt >= order->key.attempt)) {
		log_warn("job=%" PRId64 " attempt=%" PRId64
			 " not started: attempt %" PRId64 " is still there",
		    order->key.job, order->key.attempt, held->key.attempt);
		report_refused(keeper, &order->key, EBUSY);
		return;
	}
	if (orders_read_start(order, length, descriptor, &text) == -1) {
		report_refused(keeper, &order->key, EBADMSG);
		return;
	}
	child = children_add(&keeper->children, &order->key);
	child->keeper = keeper;
	if (before != NULL) {
		wait_for_turn(child, before, order, &text);
		return;
	}
	start_now(keeper, child, order, &text);
	start_text_done(&text);
}

void
keeper_recall_child(struct keeper *keeper, struct child *child)
{
	struct report report = { .version = ORDERS_VERSION, .kind = REPORT_RECALLED,
		.key = child->key };

	keeper_report(keeper, &report, -1);
	keeper_free_child(keeper, child);
}

void
keeper_drop_waiting(struct keeper *keeper)
{
	struct child *child, *next;

	for (child = children_first(&keeper->children); child != NULL; child = next) {
		next = children_next(child);
		if (child->state == CHILD_WAITING)
			keeper_free_child(keeper, child);
	}
}

/* ---- adopting what a killed keeper left ---- */

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
	begin_report(child, how, code);
	child->report.ended.core = has_core;
	if (how == END_UNKNOWN)
		child->report.ended.run_ms = -1;
	loop_remove(keeper->loop, child->pidfd_watch);
	child->pidfd_watch = NULL;
	children_forget_pid(&keeper->children, child);
	finish(keeper, child);
}

static void
pidfd_ready(void *arg, uint32_t events)
{
	struct child *child = arg;

	(void)events;
	/* A zombie nobody has reaped yet is as dead as it gets. */
	adopted_ended(child->keeper, child);
}

/* Is this the process that was recorded? In the same boot pid and start time say so. */
static bool
is_same_process(const struct order *order)
{
	int64_t start, recorded = order->adopt.pid_start;
	int status;
	char state;

	if (tree_stat((pid_t)order->adopt.pid, &start, &state, &status) == -1)
		return false;
	return start == recorded || start == recorded + 1;
}

void
keeper_adopt_child(struct keeper *keeper, const struct order *order)
{
	const struct order_adopt *adopt = &order->adopt;
	struct child *child = children_add(&keeper->children, &order->key);

	child->keeper = keeper;
	child->is_adopted = true;
	child->state = CHILD_RUNNING;
	child->grace_ms = adopt->grace_ms;
	child->leaves_children = adopt->leaves_children != 0;
	child->pid_start = adopt->pid_start;
	child->started.ms = clock_mono().ms - adopt->age_ms;
	child->timer = (struct timer){ .fire = timer_fired, .arg = child };
	child->pidfd = pidfd_open_process((pid_t)adopt->pid);
	if (child->pidfd != -1 && is_same_process(order)) {
		children_set_pid(&keeper->children, child, (pid_t)adopt->pid);
		child->pidfd_watch =
		    loop_add(keeper->loop, child->pidfd, EPOLLIN, pidfd_ready, child);
	}
	keeper_report_started(keeper, child);
	if (child->pidfd_watch == NULL) {
		begin_report(child, END_UNKNOWN, 0);
		child->report.ended.run_ms = -1;
		finish(keeper, child);
		return;
	}
	if (adopt->timeout_ms >= 0)
		loop_timer_set(keeper->loop, &child->timer, adopt->timeout_ms);
	if (adopt->stop_cause != STOP_NONE)
		keeper_stop_child(keeper, child, adopt->stop_cause, adopt->grace_ms);
}

/* ---- reaping ---- */

/* Whose child was this, which is not the main process of any attempt? */
static struct child *
find_owner(struct keeper *keeper, pid_t pid)
{
	struct child *child = children_find_pid(&keeper->children, getsid(pid));
	char job[32], attempt[32], state[4096];
	struct order_key key = { 0 };

	if (child != NULL)
		return child;
	if (!tree_variable(pid, "JOBBERD_ID", job, sizeof(job)) ||
	    !tree_variable(pid, "JOBBERD_ATTEMPT", attempt, sizeof(attempt)) ||
	    !tree_variable(pid, "JOBBERD_STATE", state, sizeof(state)) ||
	    strcmp(state, keeper->setup->state_directory) != 0)
		return NULL;
	key.job = strtoll(job, NULL, 10);
	key.attempt = strtoll(attempt, NULL, 10);
	return children_find(&keeper->children, &key);
}

static void
leader_died(struct keeper *keeper, struct child *child, const siginfo_t *info)
{
	struct report_ended *ended = &child->report.ended;
	struct rusage usage;
	int status;

	if (!child->leaves_children)
		kill(-child->pid, SIGKILL); /* its zombie keeps the group's id ours */
	begin_report(child, info->si_code == CLD_EXITED ? END_EXITED : END_SIGNALLED,
	    info->si_status);
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

/* An orphan of some attempt has died. */
static void
orphan_died(struct keeper *keeper, pid_t pid)
{
	struct child *owner = children_find_pid(&keeper->children, getsid(pid));

	if (owner != NULL && owner->state == CHILD_CLOSING && !owner->leaves_children)
		owner->report.ended.children_killed++;
	waitpid(pid, NULL, 0);
}

/* false: it was killed before, and is only not gone yet. */
static bool
note_killed(struct child *child, pid_t pid)
{
	for (size_t i = 0; i < child->killed_count; i++) {
		if (child->killed[i] == pid)
			return false;
	}
	child->killed = xreallocarray(
	    child->killed, child->killed_count + 1, sizeof(child->killed[0]));
	child->killed[child->killed_count++] = pid;
	return true;
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
		if (getsid(pids[i]) != owner->pid && note_killed(owner, pids[i]))
			owner->report.ended.children_killed +=
			    (int64_t)tree_kill(&pids[i], 1);
	}
	free(pids);
}

/* Is anything of it left? The leader is reaped, so an empty group has no id any more. */
static bool
is_closed(const struct child *child)
{
	return child->leaves_children ||
	    (!child->has_orphans && kill(-child->pid, 0) == -1);
}

static void
close_children(struct keeper *keeper)
{
	struct child *child, *next;

	TAILQ_FOREACH(child, &keeper->children.closing, in_closing)
		child->has_orphans = false;
	kill_orphans(keeper);
	TAILQ_FOREACH_SAFE(child, &keeper->children.closing, in_closing, next) {
		if (is_closed(child)) {
			children_forget_pid(&keeper->children, child);
			finish(keeper, child);
		}
	}
}

void
keeper_reap(struct keeper *keeper, void (*supervisor_died)(struct keeper *, int status))
{
	siginfo_t info;
	bool found = false;

	for (;;) {
		struct child *child;
		int status;

		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1 ||
		    info.si_pid == 0)
			break;
		found = true;
		child = children_find_pid(&keeper->children, info.si_pid);
		if (info.si_pid == keeper->supervisor_pid) {
			waitpid(info.si_pid, &status, 0);
			supervisor_died(keeper, status);
		} else if (child != NULL && child->state == CHILD_RUNNING)
			leader_died(keeper, child, &info);
		else
			orphan_died(keeper, info.si_pid);
	}
	if (found)
		close_children(keeper);
}
