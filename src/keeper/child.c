/* child: the keeper's table of attempts, by key and by pid. */

#include "keeper/child.h"
#include "base/xalloc.h"

#include <signal.h>
#include <string.h>

static int
compare(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

static int
compare_keys(const struct child *a, const struct child *b)
{
	int order = compare(a->key.job, b->key.job);

	return order != 0 ? order : compare(a->key.attempt, b->key.attempt);
}

static int
compare_pids(const struct child *a, const struct child *b)
{
	return compare(a->pid, b->pid);
}

#define UNUSED_STATIC __attribute__((unused)) static
RB_GENERATE_INTERNAL(children_by_key, child, by_key, compare_keys, UNUSED_STATIC)
RB_GENERATE_INTERNAL(children_by_pid, child, by_pid, compare_pids, UNUSED_STATIC)

void
children_init(struct children *children)
{
	RB_INIT(&children->keys);
	RB_INIT(&children->pids);
	TAILQ_INIT(&children->closing);
	TAILQ_INIT(&children->untold);
	children->count = children->pid_count = 0;
}

struct child *
children_add(struct children *children, const struct order_key *key)
{
	struct child *child = xcalloc(1, sizeof(*child));

	child->key = *key;
	child->socket_fd = child->pidfd = child->notify_fd = -1;
	child->stop_signal = SIGTERM;
	RB_INSERT(children_by_key, &children->keys, child);
	children->count++;
	return child;
}

void
children_remove(struct children *children, struct child *child)
{
	children_forget_pid(children, child);
	if (child->state == CHILD_CLOSING)
		TAILQ_REMOVE(&children->closing, child, in_closing);
	children_set_untold(children, child, false);
	RB_REMOVE(children_by_key, &children->keys, child);
	children->count--;
}

void
children_set_pid(struct children *children, struct child *child, pid_t pid)
{
	child->pid = pid;
	child->is_known_by_pid = RB_INSERT(children_by_pid, &children->pids, child) == NULL;
	children->pid_count += child->is_known_by_pid;
}

void
children_forget_pid(struct children *children, struct child *child)
{
	if (child->is_known_by_pid)
		RB_REMOVE(children_by_pid, &children->pids, child);
	children->pid_count -= child->is_known_by_pid;
	child->is_known_by_pid = false;
}

void
children_set_state(struct children *children, struct child *child, enum child_state state)
{
	if (child->state == CHILD_CLOSING)
		TAILQ_REMOVE(&children->closing, child, in_closing);
	child->state = state;
	if (child->state == CHILD_CLOSING)
		TAILQ_INSERT_TAIL(&children->closing, child, in_closing);
}

void
children_set_untold(struct children *children, struct child *child, bool is_untold)
{
	if (child->is_start_untold)
		TAILQ_REMOVE(&children->untold, child, in_untold);
	child->is_start_untold = is_untold;
	if (is_untold)
		TAILQ_INSERT_TAIL(&children->untold, child, in_untold);
}

struct child *
children_find(struct children *children, const struct order_key *key)
{
	struct child wanted = { .key = *key };

	return RB_FIND(children_by_key, &children->keys, &wanted);
}

struct child *
children_find_pid(struct children *children, pid_t pid)
{
	struct child wanted = { .pid = pid };

	return RB_FIND(children_by_pid, &children->pids, &wanted);
}

struct child *
children_find_job(struct children *children, int64_t job)
{
	struct child wanted = { .key = { .job = job } }, *child;

	child = RB_NFIND(children_by_key, &children->keys, &wanted);
	return child != NULL && child->key.job == job ? child : NULL;
}

struct child *
children_first(struct children *children)
{
	return RB_MIN(children_by_key, &children->keys);
}

struct child *
children_next(struct child *child)
{
	return RB_NEXT(children_by_key, NULL, child);
}

struct child *
children_last(struct children *children)
{
	return RB_MAX(children_by_key, &children->keys);
}

struct child *
children_previous(struct child *child)
{
	return RB_PREV(children_by_key, NULL, child);
}
