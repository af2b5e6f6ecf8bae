#ifndef SUPERVISOR_LIVE_H
#define SUPERVISOR_LIVE_H

#include "base/clock.h"
#include "keeper/orders.h"
#include "store/store.h"
#include "supervisor/supervisor.h"
#include "wire/channel.h"

#include <bsd/sys/tree.h>

struct server;

struct asked;
struct handling;
struct output_times;
struct rotation;

/*
 * A live attempt, from its claim until its end is recorded. What the database holds is not
 * held here again, except what every packet about it needs.
 */
struct live {
	RB_ENTRY(live) entry; /* by job: at most one each */
	struct supervisor *supervisor;
	struct attempt_key key;
	struct place_count *place;
	bool is_ahead; /* claimed to follow its predecessor */
	int64_t priority;
	struct live *predecessor, *successor;
	bool is_ordered;  /* the keeper has the order, or the process */
	bool is_started;  /* its process is known, if not recorded yet: live_has_started() */
	bool has_ended;	  /* the keeper has reported its end */
	bool was_attached; /* we came to it in the middle of its life */
	bool is_in_store; /* settling: it has an open row */
	bool must_note_start; /* settling: the row does not say started yet */
	bool is_orphan;	  /* its row is gone: it is being stopped */
	bool has_key;	  /* its end may let others start */
	bool is_being_ended; /* by us, or because somebody asked for it */
	bool is_being_killed; /* … without any grace */
	struct handling *handling; /* pool.h: a message's, and its member's; or NULL */
	int socket_fd;	  /* its fd 3, ours to read; -1: none (adopted), or the channel's */
	int notify_fd;	  /* plain.h: what it says how it is to; -1: none */
	struct loop_watch *watch; /* of socket_fd, until the channel is there */
	struct channel *channel;  /* made when it says something, or is a server */
	struct server *server;	  /* NULL: a command */
	int64_t position;	  /* among its siblings in order; 0: not one of them */
	int64_t pid, pid_start;
	struct mono ordered, started; /* ordered: 0 if we did not order it */
	int64_t ordered_ticks; /* when the keeper was told, as /proc/PID/stat has times */
	int64_t max_output, left_out; /* of its output file */
	int output_watch; /* its inotify watch, -1: none */
	bool is_unwatched; /* among those whose output is to be looked at */
	TAILQ_ENTRY(live) unwatched;
	struct rotation *rotation;   /* of its output; or NULL */
	struct output_times *times; /* when it grew; NULL: it has not yet */
	char *last_lines;
	struct report *end; /* has_ended: the report, until recorded */
	int64_t log_lines; /* it has sent so many */
	bool has_notes;	   /* it said something that is in the batch now */
	bool has_babbled;  /* it said something we do not know; noted once */
	struct asked *asked; /* who waits to hear what becomes of its claim */
};

RB_HEAD(live_tree, live);

struct live_table {
	struct live_tree tree;
	size_t count, messages; /* of these, those of pools */
	TAILQ_HEAD(, live) unwatched;
	int inotify_fd;
	struct loop_watch *inotify_watch;
	TAILQ_HEAD(, rotation) rotations; /* with something to copy */
	struct timer rotate_timer;
};

struct live *live_find(struct supervisor *supervisor, int64_t job);
/* The live attempt that a report is about; NULL if it is an old one. */
struct live *live_find_key(struct supervisor *supervisor, const struct order_key *key);
struct live *live_first(struct supervisor *supervisor);
struct live *live_next(struct live *live);
struct live *live_add(struct supervisor *supervisor, const struct attempt_key *key,
    const char *place);
void live_remove(struct live *live);
void live_has_started(struct live *live);
/* Out of the chain of those who take each other's place. */
void live_unlink(struct live *live);
struct place_count *live_place(struct supervisor *supervisor, const char *name);

/* reports.c: steps for what the keeper has reported of it */
void reports_init(struct supervisor *supervisor);
void reports_record_start(struct live *live);
void reports_record_end(struct live *live);
/* What has come of an attempt, once it is recorded. */
void reports_log_end(const struct step *step);
/* The reason in what the keeper says of an end. */
struct reason reports_reason(const struct report_ended *ended);
/* Tell the keeper to forget it. */
void reports_acknowledge(struct supervisor *supervisor, const struct attempt_key *key);
/* Its job's row was deleted: end the process, and say so. */
void live_disown(struct live *live);

/* The keeper's part of live_stop(): nothing is asked first. */
void live_order_stop(struct live *live, enum stop_cause cause, int64_t grace_ms);

/* settle.c: nobody knows what came of it */
void settle_loss(struct supervisor *supervisor, const struct open_attempt *open);

/* rate.c: starts in a time, counted in memory, and read from the history at first */
void rate_set(struct place_count *place, struct supervisor *supervisor,
    const struct supervisor_limit *limit);
void rate_free(struct place_count *place);
/* How many may start now; asks again by itself when more may. */
int64_t rate_allows(struct place_count *place);
void rate_count(struct place_count *place, size_t starts);

/* claims.c */
/* End it, to be started again some time: that is no failure. grace_ms as for live_stop(). */
void live_interrupt(struct live *live, int64_t grace_ms);
void claims_init(struct supervisor *supervisor);
void claims_withdraw(struct live *live); /* forget a claim that was not started */
/*
 * Recall it, and say what came of that when it is known: true, it was not started and will
 * not be; false, it was.
 */
void claims_recall_and_tell(struct supervisor *supervisor, const struct attempt_key *key,
    void (*tell)(void *arg, bool was_recalled), void *arg);
void claims_tell(struct live *live, bool was_recalled);
/* Recall what was claimed ahead of its turn here. */
void claims_recall_place(struct place_count *place);
/* It has ended: its place is its successor's now, by the keeper's own doing. */
void claims_promote(struct live *live, const struct report_ended *ended);

/* output.c: the cap on an output file and its last lines */
void output_cut(struct live *live); /* punch out the middle if it is too long */
void output_end(struct live *live, int64_t bytes); /* it is complete */
char *output_last_lines(struct live *live, int64_t bytes); /* to be freed; NULL: none */
void output_watch(struct live *live);
/* It is removed. */
void output_forget(struct live *live);

/* output_remove.c */
/* All that there is of this attempt. */
void output_remove(struct supervisor *supervisor, int64_t job, int64_t attempt);
/* This attempt has ended: one long before it loses its output. */
void output_remove_old(struct supervisor *supervisor, int64_t job, int64_t attempt,
    bool is_server);
void output_remove_job(struct supervisor *supervisor, int64_t job, int64_t last_attempt,
    const char *stdin_path);

/* output_times.c: it was seen to be so long now */
void output_times_note(struct live *live, int64_t size);
void output_times_end(struct live *live);

/* rotate.c: output that becomes segments (only with live->rotation) */
void rotate_init(struct supervisor *supervisor);
void rotate_start(struct live *live, const struct rotation_rule *rule);
void rotate_look(struct live *live, int64_t size); /* it is so long now */
/* It is complete: how much of its beginning is gone. */
int64_t rotate_end(struct live *live, int64_t size);
void rotate_free(struct live *live);

/* talk.c: what a job says on its fd 3 */
/*
 * Listen from now on, if it has a socket and we do not yet. Not at its start: what a short
 * job said is read at its end, and that is cheaper.
 */
void talk_listen(struct live *live);
int talk_start(struct live *live);    /* a channel to speak to it, now: 0 or -1 */
void talk_drain(struct live *live);  /* its process is dead: the last words */
void talk_done(struct live *live);

#endif
