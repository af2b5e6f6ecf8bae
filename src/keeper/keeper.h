#ifndef KEEPER_KEEPER_H
#define KEEPER_KEEPER_H

#include "base/error.h"
#include "base/loop.h"
#include "keeper/cgroup.h"
#include "keeper/child.h"
#include "keeper/journal.h"
#include "keeper/orders.h"
#include "keeper/output.h"
#include "keeper/spawn.h"
#include "keeper/tree.h"

#include <sys/resource.h>

#include <signal.h>
#include <stdbool.h>

#define FEWEST_DESCRIPTORS 128 /* with fewer we do not start */

/*
 * The keeper: parent of the supervisor process and of every job. It spawns what it is
 * told, ends what runs too long, reaps, and keeps every end in memory until it is
 * acknowledged as recorded. It knows no database, no JSON and no rules.
 */

struct keeper_setup {
	const char *state_directory; /* exists */
	const char *program;	     /* what to exec for the supervisor process */
	char *const *arguments;	     /* its argument list; descriptors: see below */
	const struct spawn_behaviour *behaviours; /* forked from us, not executed; or NULL */
	void (*ready)(const char *text); /* the supervisor process answers clients */
	bool passes_signals; /* to the one job that this is for */
};

/* The descriptors that the supervisor process is started with. */
enum {
	KEEPER_LINK_FD = 3,   /* its end of the link */
	KEEPER_LISTEN_FD = 4, /* the listening control socket */
	KEEPER_LOCK_FD = 5,   /* holds the lock for as long as it lives */
	KEEPER_FD_COUNT = 3,
};

/*
 * Be the keeper of this state directory until told to leave. Returns the exit status for
 * the process, with *error filled in when it is not 0.
 */
int keeper_run(const struct keeper_setup *setup, struct error *error);

/* ---- between the files of the keeper ---- */

struct keeper {
	const struct keeper_setup *setup;
	struct loop *loop;
	struct children children;
	struct journal journal;
	struct journal_record *old_records; /* what a keeper before us left */
	size_t old_record_count;
	struct tree_self self;
	struct timer reap_timer; /* then all children are asked whether they have died */
	struct timer remains_timer; /* then those of adopted ones are looked for (again) */
	TAILQ_HEAD(, launch) launches, free_launches; /* keeper_launch.c */
	struct timer launch_timer;
	int state_fd, lock_fd, listen_fd, null_fd;
	int notify_fd; /* the directory of sockets of services; -1: not opened yet */
	struct outputs outputs;
	struct rlimit files; /* RLIMIT_NOFILE as it was before it was raised */
	bool resets_oom_score; /* ours is below 0, which is not for jobs */
	bool has_map;
	struct prctl_mm_map map; /* of our memory, for behaviours */

	struct cgroup cgroup;
	TAILQ_HEAD(, watched_leaf) watched_leaves; /* not empty yet */
	int leaf_inotify; /* -1: none was watched so far */
	struct loop_watch *leaf_watch;

	pid_t supervisor_pid; /* 0: between two lives */
	struct link *link;    /* NULL likewise */
	bool must_tell;	      /* what was reported goes out at this turn's end */
	struct timer tell_timer; /* … or now */
	struct mono supervisor_started;
	struct timer restart_timer;
	bool is_starting; /* it has said nothing yet of being ready, or of stopping */
	struct timer hang_timer; /* it has closed its link and does not die, or it is to stop
				  * and does not come to hear of that */
	int64_t restart_delay_ms;
	uint32_t restarts;
	bool was_ready; /* a supervisor process has once answered clients */

	int pending_wish; /* enum wish that no supervisor process has heard yet, -1: none */
	int stop_signals; /* how often we were asked to stop */
	sigset_t signals; /* that wait for the supervisor process to say to whom they go */
	bool is_alone; /* no supervisor process comes up for that wish (keeper_alone.c) */
	int tries;     /* of theirs since nothing was left to end */
	bool is_quitting; /* ORDER_QUIT: status and leaves hold */
	int status;
	bool leaves;
};

/* orders from the supervisor process (keeper_orders.c) */
void keeper_receive_order(struct keeper *keeper, const void *packet, size_t length,
    int descriptor);
void keeper_report(struct keeper *keeper, const struct report *report, int descriptor);
/* The same for what nobody waits for: more may come and go out with it. */
void keeper_report_soon(struct keeper *keeper, const struct report *report, int descriptor);
/* Some start is untold. */
void keeper_tell_soon(struct keeper *keeper);
void keeper_tell_now(void *arg); /* tell_timer's fire; also for what is awaited */
void keeper_turn_end(void *arg);
void keeper_send_table(struct keeper *keeper);

/* signals for the one job that this supervise is for (keeper_signals.c) */
void keeper_signals_add(struct keeper *keeper, int number);
/* Ask the supervisor process for its process, if any waits for that. */
void keeper_signals_ask(struct keeper *keeper);
/* This is the one; if it does not run, or is NULL, they are dropped. */
void keeper_signals_pass(struct keeper *keeper, const struct child *child);

/* processes (keeper_children.c, and _start, _adopt, _remains, _reap) */
void keeper_start_child(struct keeper *keeper, const struct order *order, size_t length,
    int descriptor);
void keeper_adopt_child(struct keeper *keeper, const struct order *order);
/* It is dead and its report begun: kill what it left running, then finish it. */
void keeper_close_adopted(struct keeper *keeper, struct child *child);
void keeper_stop_child(struct keeper *keeper, struct child *child, enum stop_cause cause,
    int64_t grace_ms);
void keeper_recall_child(struct keeper *keeper, struct child *child);
void keeper_drop_waiting(struct keeper *keeper); /* their supervisor process is dead */
/* grace_ms: STOP_OWN_GRACE, or what all of them get. */
void keeper_stop_all(struct keeper *keeper, int64_t grace_ms);
void keeper_free_child(struct keeper *keeper, struct child *child);
/*
 * The same descriptor with a high number, which what we keep of each child has, so that the low
 * ones are free for what the next one needs: it copies our table of open files as far as that.
 */
int keeper_move_high(int fd);
/* Reap what has died: this one, and soon whoever else has. */
void keeper_reap(struct keeper *keeper, pid_t pid);
void keeper_reap_all(void *arg); /* reap_timer's fire */
/* It has been reaped (keeper.c). */
void keeper_supervisor_died(struct keeper *keeper, int status);
void keeper_leave(struct keeper *keeper, int status);
/*
 * Something is wished and no supervisor process comes up for it: do what we can of it. true: we
 * leave; false: another one is to be tried (keeper_alone.c).
 */
bool keeper_leaves_alone(struct keeper *keeper);
/* Sockets that a keeper before us has left: nobody reads them (keeper_notify.c). */
void keeper_notify_sweep(struct keeper *keeper);
/* Make its socket and hand it on: 0, or -1 with errno. */
int keeper_notify_open(struct keeper *keeper, struct child *child);
void keeper_notify_close(struct keeper *keeper, struct child *child);
void keeper_report_notify(struct keeper *keeper, const struct child *child);
/* Start what waited for its turn. */
void keeper_start_successor(struct keeper *keeper, struct child *child);
/* Report the ends of those of which nothing is left any more. */
void keeper_close_children(struct keeper *keeper);
void keeper_look_for_remains(void *arg); /* remains_timer's fire */
/* The attempt to which this process belongs, as its environment says. false: to none of ours. */
bool keeper_read_key(const struct keeper *keeper, pid_t pid, struct order_key *ret_key);
/* false: this process was killed for it before, and is only not gone yet. */
bool keeper_note_killed(struct child *child, pid_t pid);
/* Its time is up: a timer's fire. */
void keeper_child_timer(void *arg);
/* Begin the report of its end; what came to light later is filled in. */
void keeper_begin_report(struct child *child, enum end_kind how, int code);
/* Nothing is left of it: report its end, let its successor start. */
void keeper_finish(struct keeper *keeper, struct child *child);
void keeper_report_started(struct keeper *keeper, struct child *child);

#endif
