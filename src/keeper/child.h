#ifndef KEEPER_CHILD_H
#define KEEPER_CHILD_H

#include "base/clock.h"
#include "base/loop.h"
#include "keeper/orders.h"

#include <sys/types.h>

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdbool.h>

/* What the keeper knows of one attempt, from its order until its end is acknowledged. */

enum child_state {
	CHILD_WAITING, /* to be started when its predecessor has ended */
	CHILD_RUNNING,
	CHILD_CLOSING, /* its main process is dead, what it left is being ended */
	CHILD_ENDED,   /* reported, not acknowledged yet */
};

struct launch;

struct child {
	RB_ENTRY(child) by_key, by_pid;
	TAILQ_ENTRY(child) in_closing, in_untold;
	struct keeper *keeper;
	struct order_key key;
	enum child_state state; /* changed by children_set_state() */
	bool is_known_by_pid;	/* until the pid may be somebody else's */
	bool is_adopted;      /* not our child: seen through its pidfd */
	bool leaves_children;
	bool is_start_untold; /* it is reported soon, or with its end: children_set_untold() */
	bool is_start_told;   /* it was reported by itself */
	bool has_leaf;	      /* a cgroup of its own, until that is empty */
	bool was_killed;      /* its SIGKILL came from us */
	pid_t pid;	      /* also its process group and session; 0: never had one */
	struct launch *launch; /* it is not its program yet: keeper_launch.h; else NULL */
	pid_t lost_pid;	      /* adopted too late: what it had; told, but nothing is done to it */
	int64_t pid_start;
	int notify_fd;	      /* what it says how it is to; -1: nothing */
	int stop_signal;
	int socket_fd;	      /* our copy of the supervisor process's end; -1: none */
	int pidfd;	      /* adopted only, else -1 */
	struct loop_watch *pidfd_watch;
	size_t journal_slot;
	struct mono started;
	int64_t grace_ms;
	struct timer timer;   /* time-out, then the end of the grace */
	enum stop_cause cause;
	bool has_orphans;     /* CHILD_CLOSING: some were there a moment ago */
	bool may_have_remains; /* CHILD_CLOSING: it was adopted, and they are looked for */
	pid_t *killed;	      /* that were, and are not to be counted again */
	size_t killed_count;
	int scans;	      /* that have found some of them */
	struct report *report; /* CHILD_CLOSING, CHILD_ENDED: how it ended; else NULL */
	struct child *predecessor, *successor; /* claimed ahead: who takes whose place */
	struct order *order;	  /* CHILD_WAITING: a copy … */
	struct start_text text;	  /* … and its text */
};

RB_HEAD(children_by_key, child);
RB_HEAD(children_by_pid, child);

struct children {
	struct children_by_key keys;
	struct children_by_pid pids;
	TAILQ_HEAD(, child) closing;
	TAILQ_HEAD(, child) untold; /* is_start_untold, in their order */
	size_t count, pid_count; /* all, and those that are known by their pid */
};

void children_init(struct children *children);

/* A new one with nothing in it but the key. */
struct child *children_add(struct children *children, const struct order_key *key);
void children_remove(struct children *children, struct child *child); /* does not free */

/* Once its pid is known, and before it changes hands. */
void children_set_pid(struct children *children, struct child *child, pid_t pid);
void children_forget_pid(struct children *children, struct child *child);

void children_set_state(struct children *children, struct child *child,
    enum child_state state);

void children_set_untold(struct children *children, struct child *child, bool is_untold);

struct child *children_find(struct children *children, const struct order_key *key);
struct child *children_find_pid(struct children *children, pid_t pid);
/* The attempt of this job that is in the table, whatever its number. */
struct child *children_find_job(struct children *children, int64_t job);

struct child *children_first(struct children *children);
struct child *children_next(struct child *child);
struct child *children_last(struct children *children);
struct child *children_previous(struct child *child);

#endif
