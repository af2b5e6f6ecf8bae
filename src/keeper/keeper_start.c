/*
 * keeper_start: orders become processes: at once, or when the attempt has ended whose place
 * they take over.
 */

#include "base/log.h"
#include "base/xalloc.h"
#include "keeper/keeper.h"
#include "keeper/keeper_launch.h"
#include "keeper/keeper_leaf.h"
#include "keeper/spawn.h"

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_KEPT 128 /* descriptor */
/* Of the descriptors: the processes' own, and those of clients, who may want to end a job. */
#define FOR_OTHERS 96
_Static_assert(FOR_OTHERS < FEWEST_DESCRIPTORS, "some are left for jobs");

static void
report_refused(struct keeper *keeper, const struct order_key *key, int error)
{
	struct report report = { .version = ORDERS_VERSION, .kind = REPORT_REFUSED,
		.key = *key, .refused.error = error };

	keeper_report(keeper, &report, -1);
}

static void
not_executed(struct keeper *keeper, struct child *child, int error, enum end_place place)
{
	keeper_begin_report(child, END_NOT_EXECUTED, error);
	child->report->ended.place = place;
	keeper_finish(keeper, child);
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

/* What is behind the equals sign is to be its pid. */
static char *
room_for_pid(char **variables)
{
	for (; *variables != NULL; variables++) {
		if (strcmp(*variables, PID_VARIABLE "=" PID_ROOM) == 0)
			return *variables + sizeof(PID_VARIABLE);
	}
	return NULL;
}

struct spawn
keeper_spawn_of(struct keeper *keeper, struct child *child, const struct order_start *start,
    const struct start_text *text, int output_fd, int socket_fd)
{
	return (struct spawn){
		.behaviour = spawn_find_behaviour(
		    keeper->setup->behaviours, text->arguments[0]),
		.map = keeper->has_map ? &keeper->map : NULL,
		.arguments = text->arguments,
		.variables = text->variables,
		.cwd = text->cwd,
		.stdin_path = text->stdin_path,
		.stdin_fd = keeper->null_fd,
		.output_fd = output_fd,
		.socket_fd = socket_fd,
		.ready_fd = start->ready_fd,
		.own_pid = start->knows_pid ? room_for_pid(text->variables) : NULL,
		.umask = (mode_t)start->umask,
		.files = &keeper->files,
		.resets_oom_score = keeper->resets_oom_score,
		.cgroup_fd = keeper_leaf_make(keeper, child),
		.journal_fd = keeper->journal.fd,
		.journal_slot = child->journal_slot,
		.record = { .check = JOURNAL_CHECK, .key = child->key,
		    .pid_start = child->pid_start },
	};
}

void
keeper_launched(struct keeper *keeper, struct child *child, const struct order_start *start,
    int error, enum end_place place, bool is_lack)
{
	/* A supervisor process that came while it was on its way was told with the table. */
	if (error == 0 && child->is_start_told)
		return;
	if (error == 0) {
		children_set_untold(&keeper->children, child, true);
		if (start->is_awaited != 0)
			keeper_tell_now(keeper);
		else
			keeper_tell_soon(keeper);
	} else if (is_lack || spawn_is_lack(error))
		refused(keeper, child, error);
	else
		not_executed(keeper, child, error, place);
}

int
keeper_move_high(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_KEPT);

	if (high == -1)
		return fd;
	close(fd);
	return high;
}

/* The supervisor process has one for each job, too, and the same limit. */
static int
check_descriptors(const struct keeper *keeper)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == -1 ||
	    keeper->children.pid_count + FOR_OTHERS < files.rlim_cur)
		return 0;
	errno = EMFILE;
	return -1;
}

/* Takes over the text. */
static void
start_now(struct keeper *keeper, struct child *child, const struct order *order,
    struct start_text *text)
{
	const struct order_start *start = &order->start;
	int output_fd = outputs_make(&keeper->outputs, &child->key), sockets[2];

	child->grace_ms = start->grace_ms;
	child->leaves_children = start->leaves_children != 0;
	if (start->stop_signal != 0)
		child->stop_signal = start->stop_signal;
	child->journal_slot = journal_take(&keeper->journal);
	children_set_state(&keeper->children, child, CHILD_RUNNING);
	child->started = clock_mono();
	child->pid_start = spawn_start_ticks();
	if (output_fd == -1 || check_descriptors(keeper) == -1 ||
	    (start->notifies && keeper_notify_open(keeper, child) == -1) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == -1) {
		int error = errno;

		if (output_fd != -1)
			close(output_fd);
		start_text_done(text);
		refused(keeper, child, error);
		return;
	}
	child->socket_fd = keeper_move_high(sockets[0]);
	child->timer = (struct timer){ .fire = keeper_child_timer, .arg = child };
	if (start->timeout_ms >= 0)
		loop_timer_set(keeper->loop, &child->timer, start->timeout_ms);
	keeper_launch(keeper, child, start, text, output_fd, sockets[1]);
}

/* ---- claims ahead: whoever ends is followed at once, without anybody being asked ---- */

/* The last in the chain behind this attempt; NULL when its place is free already. */
static struct child *
find_tail(struct child *child)
{
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

void
keeper_start_successor(struct keeper *keeper, struct child *child)
{
	struct start_text text = child->text;
	struct order order = *child->order;

	child->text = (struct start_text){ 0 };
	free(child->order);
	child->order = NULL;
	start_now(keeper, child, &order, &text);
}

static void
report_recalled(struct keeper *keeper, const struct order_key *key)
{
	struct report report = { .version = ORDERS_VERSION, .kind = REPORT_RECALLED,
		.key = *key };

	keeper_report(keeper, &report, -1);
}

void
keeper_start_child(struct keeper *keeper, const struct order *order, size_t length,
    int descriptor)
{
	const struct order_key *after = &order->start.after;
	struct child *held = children_find_job(&keeper->children, order->key.job), *child;
	struct child *named = after->job != 0 ? children_find(&keeper->children, after) : NULL;
	struct child *before = find_tail(named);
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
	/* An end is known until it is acknowledged: who is not was recalled, and had no place. */
	if (after->job != 0 && named == NULL) {
		report_recalled(keeper, &order->key);
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
}

void
keeper_recall_child(struct keeper *keeper, struct child *child)
{
	report_recalled(keeper, &child->key);
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
