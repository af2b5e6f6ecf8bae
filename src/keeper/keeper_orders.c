/*
 * keeper_orders: what the supervisor process says and hears. Dispatch by table.
 *
 * It is told at the end of a turn; but what it need not act on, a command's start, or an end
 * that was followed by the next claim already, waits up to TELL_MS for others of its kind.
 * Both wake it once then, and it records them in one transaction. A server does nothing before
 * it is spoken to: its start is told while others are still being made.
 */

#include "base/log.h"
#include "keeper/keeper.h"
#include "keeper/keeper_launch.h"
#include "keeper/keeper_leaf.h"
#include "keeper/notify.h"

#include <string.h>
#include <unistd.h>

#define TELL_MS 20

struct received {
	struct keeper *keeper;
	const struct order *order;
	size_t length;
	int descriptor;
};

static void
order_start(const struct received *received)
{
	keeper_start_child(
	    received->keeper, received->order, received->length, received->descriptor);
}

/* If it is on its way to its program it is given a moment to get there. */
static struct child *
find_settled(const struct received *received)
{
	struct children *children = &received->keeper->children;
	struct child *child = children_find(children, &received->order->key);

	if (child == NULL || child->launch == NULL)
		return child;
	keeper_settle(received->keeper, child);
	return children_find(children, &received->order->key);
}

static void
order_stop(const struct received *received)
{
	const struct order *order = received->order;
	struct child *child = find_settled(received);

	/* It may have ended meanwhile: its report is on the way. */
	if (child != NULL && order->stop.cause < STOP_CAUSE_COUNT)
		keeper_stop_child(
		    received->keeper, child, order->stop.cause, order->stop.grace_ms);
}

static void
order_recall(const struct received *received)
{
	struct child *child =
	    children_find(&received->keeper->children, &received->order->key);

	/* Too late is no answer: its start is on the way. */
	if (child != NULL && child->state == CHILD_WAITING)
		keeper_recall_child(received->keeper, child);
}

static void
order_acknowledge(const struct received *received)
{
	struct child *child =
	    children_find(&received->keeper->children, &received->order->key);

	if (child != NULL && child->state == CHILD_ENDED)
		keeper_free_child(received->keeper, child);
}

static void
order_adopt(const struct received *received)
{
	const struct order *order = received->order;
	struct child *child =
	    children_find_job(&received->keeper->children, order->key.job);

	if (child == NULL)
		keeper_adopt_child(received->keeper, order);
	else if (child->state == CHILD_ENDED && child->key.attempt == order->key.attempt)
		keeper_report(received->keeper, child->report, -1); /* it was not heard */
}

/* It hears what is wished. */
static void
is_up(struct keeper *keeper)
{
	keeper->is_starting = false;
	loop_timer_remove(keeper->loop, &keeper->hang_timer);
}

static void
order_ready(const struct received *received)
{
	struct keeper *keeper = received->keeper;
	size_t length = received->length - sizeof(*received->order);
	char text[8192];

	is_up(keeper);
	if (keeper->was_ready)
		return;
	keeper->was_ready = true;
	keeper_leaves_sweep(keeper);
	journal_settled(&keeper->journal);
	if (length >= sizeof(text))
		length = sizeof(text) - 1;
	memcpy(text, received->order + 1, length);
	text[length] = '\0';
	/* Never behind "stopping". */
	if (length == 0 || keeper->pending_wish != -1)
		return;
	keeper->setup->ready(text);
	notify_manager("READY=1");
}

static void
order_signal(const struct received *received)
{
	keeper_signals_pass(received->keeper, find_settled(received));
}

static void
order_stopping(const struct received *received)
{
	is_up(received->keeper);
	notify_manager("STOPPING=1");
}

static void
order_quit(const struct received *received)
{
	struct keeper *keeper = received->keeper;

	keeper->is_quitting = true;
	keeper->status = (int)received->order->quit.status;
	keeper->leaves = received->order->quit.leaves != 0;
}

static void (*const handlers[])(const struct received *) = {
	[ORDER_START] = order_start,
	[ORDER_STOP] = order_stop,
	[ORDER_RECALL] = order_recall,
	[ORDER_ACKNOWLEDGE] = order_acknowledge,
	[ORDER_ADOPT] = order_adopt,
	[ORDER_READY] = order_ready,
	[ORDER_SIGNAL] = order_signal,
	[ORDER_STOPPING] = order_stopping,
	[ORDER_QUIT] = order_quit,
};
_Static_assert(sizeof(handlers) / sizeof(handlers[0]) == ORDER_KIND_COUNT,
    "a handler for every order");

void
keeper_receive_order(
    struct keeper *keeper, const void *packet, size_t length, int descriptor)
{
	struct received received = {
		.keeper = keeper,
		.order = orders_check_order(packet, length),
		.length = length,
		.descriptor = descriptor,
	};

	if (received.order != NULL)
		handlers[received.order->kind](&received);
	else
		log_warn("keeper ignores an order of %zu bytes that it does not know", length);
	if (descriptor != -1)
		close(descriptor);
}

void
keeper_report_soon(struct keeper *keeper, const struct report *report, int descriptor)
{
	/* Between two lives of the supervisor process the table is the report. */
	if (keeper->link != NULL)
		link_send(keeper->link, report, sizeof(*report), descriptor);
	keeper_tell_soon(keeper);
}

void
keeper_report(struct keeper *keeper, const struct report *report, int descriptor)
{
	if (keeper->link != NULL)
		link_send(keeper->link, report, sizeof(*report), descriptor);
	keeper->must_tell = true;
}

void
keeper_tell_soon(struct keeper *keeper)
{
	if (!timer_is_set(&keeper->tell_timer))
		loop_timer_set(keeper->loop, &keeper->tell_timer, TELL_MS);
}

void
keeper_tell_now(void *arg)
{
	struct keeper *keeper = arg;
	struct child *child;

	while ((child = TAILQ_FIRST(&keeper->children.untold)) != NULL)
		keeper_report_started(keeper, child);
	keeper->must_tell = true;
}

void
keeper_turn_end(void *arg)
{
	struct keeper *keeper = arg;

	keeper_launches_look(keeper);
	if (keeper->must_tell)
		link_flush(keeper->link);
	keeper->must_tell = false;
	keeper_launches_wait(keeper);
}

static void
send_journal(struct keeper *keeper)
{
	for (size_t i = 0; i < keeper->old_record_count; i++) {
		const struct journal_record *record = &keeper->old_records[i];
		struct report report = { .version = ORDERS_VERSION, .kind = REPORT_JOURNAL,
			.key = record->key,
			.journal = { record->pid, record->pid_start } };

		keeper_report(keeper, &report, -1);
	}
}

void
keeper_send_table(struct keeper *keeper)
{
	struct report end = { .version = ORDERS_VERSION, .kind = REPORT_TABLE_END,
		.table_end = { keeper->restarts, keeper_cgroup_use(keeper) } };
	struct child *child;

	keeper_settle_all(keeper);
	for (child = children_first(&keeper->children); child != NULL;
	     child = children_next(child)) {
		if (child->pid != 0 || child->lost_pid != 0)
			keeper_report_started(keeper, child);
		keeper_report_notify(keeper, child);
		if (child->state == CHILD_ENDED)
			keeper_report(keeper, child->report, -1);
	}
	send_journal(keeper);
	keeper_report(keeper, &end, -1);
}
