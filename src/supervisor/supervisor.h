#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

#include "base/error.h"
#include "base/loop.h"
#include "keeper/orders.h"
#include "store/store.h"

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The supervisor process: decides and records. Everything that became ready in a turn of
 * its loop becomes steps of one batch; at the turn's end the batch is one transaction;
 * what follows from it (start, kill, reply, arm) happens after the commit.
 */

#define TOLD_AFTER_MS 1000 /* shorter troubles with the database are not worth a line */

struct supervisor_setup {
	const char *state_directory;
	const char *program;	/* for what a person is told to type */
	bool drains;		/* leave when nothing is left to do */
	int64_t linger_ms;	/* … but so long not before a client has come to submit */
	int64_t max_children;	/* of `default`, recorded; -1: as it is */
	const char *exit_with;	/* leave when this job has ended, with its status; or NULL */
	int64_t keeper_since_ms; /* … wall time: an end before this was not meant */
	int link_fd, listen_fd; /* from the keeper */
};

/* Until told to leave. The exit status; 77 and 78 at the first start end the keeper too. */
int supervisor_run(const struct supervisor_setup *setup, struct error *error);

/* ---- between the files of the supervisor process ---- */

struct live;
struct live_table;
struct client;
struct waiter;
struct watch;
struct server_table;
struct pool;
struct rate;

/* What a supervisor (the record) may run, and runs. */
struct place_count {
	TAILQ_ENTRY(place_count) entry;
	RB_ENTRY(place_count) by_name;
	struct supervisor *supervisor;
	char name[NAME_SIZE];
	int64_t max_children; /* -1: no limit */
	int64_t taken;	      /* attempts that have, or are about to have, a process */
	int64_t ahead;	      /* attempts claimed to follow one of these */
	int64_t starting;     /* of all these, those whose processes are not there yet */
	int64_t run_us;	      /* how long a run takes, a running average; -1: not known */
	bool may_have_ready;  /* something may be ready: ask */
	bool wants_free_place; /* … which is not to be claimed ahead of its turn */
	struct pool *pool; /* of messages to this one; or NULL */
	bool is_there;	   /* its row is: if not, nothing is claimed */
	bool is_paused;	   /* nothing is claimed either */
	struct rate *rate; /* rate.c: how many may start in a time; NULL: any */
	bool has_state;
	enum supervisor_state state; /* what it is at */
	char *reason; /* why it is ending or has ended; or NULL */
	struct place_count *parent; /* the supervisor that it is beneath; NULL: the root */
	int64_t position; /* among its children in order; 0: not one of them */
	bool has_order; /* it, or one beneath it, has children in order */
};

enum supervisor_phase {
	PHASE_ATTACHING, /* the keeper's table is coming in */
	PHASE_SETTLING,	 /* it is being compared and recorded */
	PHASE_RUNNING,
	PHASE_STOPPING, /* nothing starts; every process is being ended */
	PHASE_LEAVING,	/* nothing starts; what was claimed is being recorded */
	PHASE_QUITTING,
};

struct supervisor {
	const struct supervisor_setup *setup;
	struct loop *loop;
	struct store *store;
	struct link *link;
	enum supervisor_phase phase;
	int64_t generation;
	uint32_t restarts; /* supervisor processes before this one */
	enum cgroup_use cgroups;
	int output_fd;
	struct wall started_at;

	/* turn.c */
	struct batch *batch;	/* being filled */
	struct batch *under_way; /* handed to the store, not acted on yet; or NULL */
	enum store_answer answer; /* the last one that was not STORE_OK */
	bool under_way_is_committed; /* … but not synced */
	bool must_reopen;
	bool cannot_sync; /* nobody may be told of anything */
	bool tells;		     /* the batch being filled answers somebody */
	bool under_way_tells;
	struct timer open_timer; /* the database cannot be opened yet */
	struct timer retry_timer;
	int64_t retry_ms;
	struct timer sync_timer;
	struct siblings { /* siblings.c */
		uint64_t round;	   /* of answers */
		int expected;	   /* clients that were answered in it and have not come back */
		bool is_answering; /* the round's answers are being given */
		int64_t began_us;  /* the commit */
		int64_t most_us;   /* that the next one waits for them */
	} siblings;
	struct mono troubled_since; /* ms 0: no trouble */
	bool clock_stepped, must_look_at_timers;
	struct timer wake_timer;

	/* live.c */
	struct live_table *live;
	TAILQ_HEAD(, place_count) places; /* one for each supervisor's row; none ever goes */
	RB_HEAD(place_tree, place_count) places_by_name;
	struct timer pause_timer; /* starting pauses for want of resources */
	int64_t pause_ms;
	int pause_error;
	struct timer output_timer;
	struct timer ahead_timer; /* are claims stuck behind a long run? */

	/* settle.c: records of a killed keeper, until compared */
	struct report *journal;
	size_t journal_count;

	struct server_table *servers; /* server.c */

	struct watch *watch; /* foreign commits */

	bool goes_on_pruning; /* prune.c: what was left partly gone */
	struct timer prune_timer;

	/* control.c */
	struct loop_watch *listen_watch;
	TAILQ_HEAD(client_list, client) clients;
	struct client_list queued_clients; /* with something to write at a turn's end */
	struct client_list gone_clients; /* freed at the end of a turn */
	size_t client_count;
	TAILQ_HEAD(, deferred) deferred; /* requests, until all is settled */
	TAILQ_HEAD(, waiter) waiters;
	TAILQ_HEAD(, drain) drains; /* supervisors.c */
	int64_t drain_clients; /* clients that keep a draining supervisor */
	struct timer linger_timer; /* set: counted in drain_clients for one that is to come */
	bool must_count;       /* something happened since it was last counted what is left */
	struct timer listen_timer;
	size_t follower_count;
	bool must_tell; /* followers, when tell_timer fires */
	struct timer tell_timer;
	const char *leaving_because; /* for the generation's row */
	bool is_leaving_jobs;	     /* they run on */
	bool is_giving_up;	     /* … before the start was done */
	int64_t stop_grace_ms;	     /* PHASE_STOPPING: what jobs get; or STOP_OWN_GRACE */
	bool somebody_waits_to_end;  /* likewise: for those behind it to be gone */
	int wish;		     /* enum wish heard from the keeper, -1: none */
	int64_t *just_ended; /* exit_with.c: jobs, until it is known which ones they are */
	size_t just_ended_count;
	bool was_signalled; /* … and what the keeper waits to hear of, once all is settled */
	int exit_status;	     /* of the keeper, when all has gone well */
	int status;		     /* exit status, error if not 0 */
	struct error error;
};

/* turn.c: one transaction a turn */

/* A step for the transaction at this turn's end; act(supervisor's arg) after the commit. */
struct step *turn_add(struct supervisor *supervisor, enum step_kind kind,
    void (*act)(void *arg, struct step *step), void *arg);

/* The same for a step that was made outside (batch_make_step()). */
void turn_add_made(struct supervisor *supervisor, struct step *step);

/* Somebody is told after this transaction: it is synced first. */
void turn_tells(struct supervisor *supervisor);

/* The timer of a job was set to this many milliseconds from now. */
void turn_wake_in(struct supervisor *supervisor, int64_t delay_ms);

/* Note something in the history. Takes over detail (may be NULL). */
void turn_add_event(struct supervisor *supervisor, int64_t job, int64_t attempt,
    const char *event, char *detail);

/* Does this answer of the store mean that people are refused, and not kept waiting? */
bool turn_is_refusing(enum store_answer answer);

void turn_init(struct supervisor *supervisor);
void turn_done(struct supervisor *supervisor);
void turn_end(void *arg); /* the loop's turn end */

/* siblings.c: how long a commit waits for clients that are about to ask */
void siblings_commit(struct supervisor *supervisor); /* a commit begins */
/* It is done, and synced: who is answered until siblings_end() is about to ask again. */
void siblings_begin(struct supervisor *supervisor);
void siblings_end(struct supervisor *supervisor);
int64_t siblings_us(const struct supervisor *supervisor); /* 0: nobody is waited for */

/* reports.c: what the keeper says of attempts. Takes over the descriptor. */
void reports_take(struct supervisor *supervisor, const struct report *report, int descriptor);

/* claims.c: what starts */
void claims_add(struct supervisor *supervisor); /* at a turn's end */
void claims_recall(struct supervisor *supervisor, const struct attempt_key *key);
/* At the end of all: nobody waits to hear of a recall any more. */
void claims_tell_all(struct supervisor *supervisor);
void claims_recall_ahead(struct supervisor *supervisor, int64_t below_priority);

/* supervisors.c: nothing of it runs any more; all of them have been read */
void supervisors_emptied(struct place_count *place);
void supervisors_look(struct supervisor *supervisor);

/* live.c: attempts from claim to recorded end */
void live_init(struct supervisor *supervisor);
void live_done(struct supervisor *supervisor);
void live_anything_ready(struct supervisor *supervisor); /* ask every supervisor again */
void live_ready_at(struct supervisor *supervisor, const char *name); /* … only this one */
void live_look_at_foreign(struct supervisor *supervisor); /* cancels and vanished rows */
void live_read_limits(struct supervisor *supervisor);
void live_take_limits(void *arg, struct step *step); /* a STEP_LIMITS' act */
size_t live_count(const struct supervisor *supervisor); /* attempts that are processes */
size_t live_count_servers(struct supervisor *supervisor); /* of these, that end with us */
bool live_is_empty(const struct supervisor *supervisor);
bool live_has_ends(struct supervisor *supervisor); /* some have ended: it is to be recorded */
void live_stop(struct supervisor *supervisor, const struct attempt_key *key,
    enum stop_cause cause, int64_t grace_ms);

/* ending.c: the order in which processes are ended when we stop */
void ending_begin(struct supervisor *supervisor, int64_t grace_ms); /* 0: all, at once */
void ending_go_on(struct supervisor *supervisor); /* some have ended */
/* The same before anything can be read or written: all, in no order. */
void ending_unrecorded(struct supervisor *supervisor, int64_t grace_ms);

/* settle.c: the first turns of a supervisor process */
void settle_add_journal(struct supervisor *supervisor, const struct report *report);
void settle_begin(struct supervisor *supervisor); /* the keeper's table is complete */

/* control.c */
int control_init(struct supervisor *supervisor); /* once; then it does nothing */
void control_done(struct supervisor *supervisor);
/* Will somebody be told of these ends? */
bool control_tells_of(struct supervisor *supervisor, const struct ended_job *ended,
    size_t count);
void control_jobs_ended(struct supervisor *supervisor, const struct ended_job *ended,
    size_t count);
void control_flush(struct supervisor *supervisor);   /* write what was answered */
void control_changed(struct supervisor *supervisor); /* something was committed */
void control_sweep(struct supervisor *supervisor);   /* free clients that are gone */

/* exit_with.c: a supervise that is for one job */
void exit_with_begin(struct supervisor *supervisor); /* all is settled */
void exit_with_jobs_ended(
    struct supervisor *supervisor, const struct ended_job *ended, size_t count);
void exit_with_signalled(struct supervisor *supervisor); /* it is for that job */
void exit_with_done(struct supervisor *supervisor);

/* watch.c */
int watch_init(struct supervisor *supervisor);
void watch_done(struct supervisor *supervisor);
void watch_turn_end(struct supervisor *supervisor);
void watch_own_commit(struct supervisor *supervisor); /* so it need not be looked for */

/* prune.c: jobs that were left partly gone, if there are any */
void prune_init(struct supervisor *supervisor);
void prune_go_on(struct supervisor *supervisor);

/* supervisor.c */
void supervisor_stop(struct supervisor *supervisor, bool now);
void supervisor_leave(struct supervisor *supervisor);
void supervisor_heed(struct supervisor *supervisor, int wish);
/* It cannot be settled yet, and that takes a while: say so, to clients too. */
void supervisor_waits(struct supervisor *supervisor);
void supervisor_ready(struct supervisor *supervisor); /* all is settled */
void supervisor_turned(struct supervisor *supervisor); /* may it leave now? */
void supervisor_end_linger(struct supervisor *supervisor); /* a client has come to submit */

#endif
