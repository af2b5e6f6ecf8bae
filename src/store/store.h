#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "model/lifecycle.h"
#include "model/reason.h"
#include "model/spec.h"
#include "model/supervisor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The seam between deciding and remembering. A turn of the supervisor process is a batch
 * of steps, and store_turn() makes it one transaction: all of it or nothing. The store
 * speaks jobs and attempts, never rows or SQL; engines are SQLite (sqlite_engine.h) and,
 * in the tests, a model in memory. Nothing above may know which.
 *
 * Durations go in (how long ago, in how long); the engine's clock makes times.
 *
 * A step about an attempt is fenced by (job, attempt, generation): a late word about an
 * old attempt answers STEP_STALE and changes nothing.
 */

enum store_answer {
	STORE_OK,
	STORE_BUSY,	   /* another process holds the database: try the same batch again */
	STORE_FULL,	   /* no space: nothing was changed */
	STORE_CORRUPT,	   /* damaged: nothing more will be written */
	STORE_UNAVAILABLE, /* an I/O error before the commit: nothing was changed */
	STORE_IN_DOUBT,	   /* the commit failed and may nevertheless be there: store_reopen() */
	STORE_ABSENT,	   /* store_reopen(): the doubtful turn is not there: run it again */
	STORE_ANSWER_COUNT
};

enum step_answer {
	STEP_OK,
	STEP_STALE,	/* no such open attempt (any more) */
	STEP_NOT_FOUND, /* no such job or supervisor */
	STEP_REFUSED,	/* its state or a name does not allow it; error says why */
	STEP_ANSWER_COUNT
};

enum step_kind {
	STEP_GENERATION, /* a supervisor process begins or ends: its row */
	STEP_OPEN,	 /* read the open attempts */
	STEP_SUBMIT,
	STEP_CLAIM,    /* the first ready jobs of a supervisor: their attempts' rows */
	STEP_WITHDRAW, /* a claim that was not started: as if it had never been, but for
			* a cancel since: that ends the job */
	STEP_STARTED,
	STEP_READY,    /* a server's init has answered */
	STEP_STOPPING, /* a process is about to be ended by us: why; the first reason
			* stays, unless this one is a cancel, or a shutdown in words
			* and the first was one without */
	STEP_ENDED,
	STEP_CHANGE, /* cancel, retry, hold, release */
	STEP_NOTE,   /* progress, a result or a log line from the job itself */
	STEP_EVENT,  /* something for the history */
	STEP_DUE,    /* wake what is due; when is the next one */
	STEP_LOOKUP, /* one job's status */
	STEP_LIMITS, /* read the supervisors' limits, or set one max_children */
	STEP_SUPERVISOR, /* a supervisor is made, changed or removed */
	STEP_PRUNE,
	STEP_REMAINING, /* what is left to do: for a draining supervisor */
	STEP_SEND,	/* a message into the mailbox of a durable server */
	STEP_MAILBOX,	/* read its next messages */
	STEP_SET_ASIDE, /* a message that was: back into the mailbox, or forgotten */
	STEP_TIMER,	/* a message, later */
	STEP_TIMER_END, /* how long until then; cancel it; or it was delivered */
	STEP_MONITOR,	/* be told of a job's end */
	STEP_DEMONITOR,
	STEP_GAUGE,  /* how full a server's mailbox in memory is */
	STEP_COMMIT, /* what a durable server's handling of a message has led to */
	STEP_GROUP,   /* a server joins or leaves a group */
	STEP_MEMBERS, /* read who is in a group, and perhaps put a message into the mailboxes
		       * that are kept */
	STEP_KIND_COUNT
};

struct attempt_key {
	int64_t job;
	int64_t attempt;
	int64_t generation;
};

/* An attempt as it stands in the store. */
struct open_attempt {
	struct attempt_key key;
	char supervisor[NAME_SIZE];
	bool is_started;
	bool has_vanished;	/* somebody deleted its job's row */
	int64_t pid, pid_start; /* 0: not known */
	bool is_same_boot;	/* it was claimed in this boot of the machine */
	int64_t age_ms;		/* since it was started, else claimed, by the wall clock */
	struct reason stop;	/* REASON_NONE: nobody ends it */
	int64_t timeout_ms, grace_ms, max_output;
	struct rotation_rule log_rotate; /* bytes 0: not rotated */
	bool leaves_children;
	bool is_server; /* then also: */
	bool is_ready;	/* its init has answered */
	bool is_durable, traps_exit, resumes;
	char name[NAME_SIZE];
	bool is_plain; /* then also: */
	struct service service;
	int64_t init_timeout_ms; /* or SPEC_UNSET */
	int64_t pool, max_messages; /* 0: not of one; SPEC_UNSET: without end */
	int64_t position; /* among its siblings in order; 0: not one of them */
	bool is_message; /* to a pool: it has no process of its own, but then also: */
	int64_t member;  /* the server that has it */
	char *message;	 /* its JSON text, owned by the batch */
	bool runs_once;
	bool has_key;
};

/* A claimed job, with all that starting it needs. Owned by the batch. */
struct claimed_job {
	struct attempt_key key;
	struct spec spec; /* command, name, cwd, stdin_path, limits, umask; unset = default */
	const struct strings *environment; /* the engine's, good until the next turn; or NULL */
	char *state; /* of a durable server, as last committed: JSON; or NULL */
	int64_t member; /* of a message to a pool: the server that is to have it */
	bool has_key;	/* others with the same one may wait for its end */
};

/* What an event of STEP_CHANGE that ends a job gives as its reason. */
struct reason store_change_reason(enum job_event event);

/* How an attempt ended, as the keeper saw it. */
struct attempt_end {
	struct reason reason;
	int exit_code;	 /* -1: none */
	int signal;	 /* 0: none */
	bool core;
	int64_t run_ms;	 /* -1: unknown */
	int64_t user_ms, system_ms, max_rss_kib; /* -1: unknown */
	int64_t output_bytes, output_left_out;
	const char *last_lines; /* borrowed; NULL: none */
	int64_t children_killed;
};

/* A message on its way to a server. */
struct message {
	int64_t seq;   /* of a durable server's mailbox, or the timer that it comes from */
	int64_t job;   /* whose it is */
	bool is_info;
	char *text;    /* JSON */
};

/* A live server that is in a group. */
struct group_member {
	int64_t job;
	char name[NAME_SIZE];
	bool is_durable, is_pool;
	bool is_kept; /* the message is in its mailbox … */
	int64_t seq;  /* … of a durable one, as this */
};

enum note_kind { NOTE_PROGRESS, NOTE_RESULT, NOTE_LOG };

struct step {
	enum step_kind kind;
	enum step_answer answer;
	struct error error; /* with STEP_REFUSED */
	struct mono noted;  /* when age_ms was right */
	bool is_owed;	    /* nobody asks for it now: it is done when it can be */

	/* Called by batch_act() after the turn is committed. */
	void (*act)(void *arg, struct step *step);
	void *arg;

	union {
		struct {
			const char *end_reason; /* NULL: it begins */
			int64_t pid;
			const char *version;
			int64_t ret_generation;
		} generation;
		struct {
			struct open_attempt *ret_attempts; /* owned by the batch */
			size_t ret_count;
		} open;
		struct {
			struct spec *specs; /* taken over: freed with the batch */
			size_t count;
			struct strings environment; /* taken over: beneath each spec's own */
			/*
			 * NULL, or a word of its own (taken over) for a step without `once`,
			 * noted in the history: repeated because nobody knows whether it is
			 * in, the step answers with the ids of the first time, if it was.
			 */
			char *token;
			bool is_repeated;
			/* No name may be that of a job of the same supervisor that has ended. */
			bool has_new_names;
			bool stays_down; /* servers: described, and started only by people */
			/* One job that a server starts, if owner is not 0: */
			struct {
				int64_t owner, owner_attempt; /* 0: it is durable */
				int64_t ref; /* a message tells it the id of that; 0: none */
				bool is_task;
			} by_server;
			int64_t *ret_ids;	    /* owned by the batch */
			bool *ret_existed; /* with `once`: that id had the name already */
			size_t ret_bad;	   /* STEP_REFUSED: which one */
			int64_t ret_holder; /* … because this job has its name; else 0 */
			bool ret_is_full; /* … because its supervisor rejects it */
		} submit;
		struct {
			char supervisor[NAME_SIZE];
			int64_t places; /* how many at most … */
			int64_t ahead;	/* … of which the last so many ahead of their turn:
					 * that ends before the first that may run once */
			int64_t *members; /* taken over: a pool's: who is to have each; or NULL */
			struct claimed_job *ret_jobs; /* owned by the batch */
			size_t ret_count; /* less than `places`: nothing more can start now */
			int64_t ret_refused; /* rows that made no sense and have ended failed */
			bool ret_is_too_early; /* it ended before one that may run once */
		} claim;
		struct {
			struct attempt_key key;
		} withdraw;
		struct {
			struct attempt_key key;
			int64_t pid, pid_start;
			int64_t age_ms;
		} started;
		struct {
			struct attempt_key key;
			bool traps_exit, resumes; /* what its init said */
		} ready;
		struct {
			struct attempt_key key;
			struct reason reason;
		} stopping;
		struct {
			struct attempt_key key;
			struct attempt_end end; /* its reason becomes the recorded one */
			struct {
				int64_t pid, pid_start; /* 0: its start is recorded, or … */
				int64_t age_ms;		/* … it had none */
			} started; /* the whole run in one step */
			int64_t age_ms;
			uint32_t random;
			int64_t handling; /* a durable server: this message was; 0: none */
			bool had_message; /* one of a pool: it is the message that is blamed */
			bool is_final;	  /* a message: its failure is not to be retried */
			bool ret_is_server;
			bool ret_counts; /* it used up a retry */
			enum job_status ret_status;
			int64_t ret_failures, ret_max_retries, ret_pause_ms;
			int64_t ret_timeout_ms; /* its limit; 0: none */
		} ended;
		struct {
			int64_t job;
			enum job_event event; /* JOB_CANCEL, _RETRY, _HOLD, _RELEASE; or
					       * _SHUT_DOWN, of what has no process */
			int64_t task_of; /* only a task of this server, who hears no more of it */
			bool ret_must_stop;   /* it has a process: end this attempt */
			bool ret_must_recall; /* it is only claimed: recall this attempt */
			struct attempt_key ret_attempt;
			enum job_status ret_status;
		} change;
		struct {
			struct attempt_key key;
			enum note_kind note;
			double fraction;  /* NOTE_PROGRESS, 0 to 1; -1: none */
			char *text;	  /* taken over: words, or JSON of a result; or NULL */
		} note;
		struct {
			int64_t job, attempt; /* 0: none */
			const char *event;    /* a constant */
			char *detail;	      /* taken over; NULL: none */
		} event;
		struct {
			bool clock_stepped; /* the wall clock was set: correct wake_at first */
			int64_t ret_woken;
			int64_t ret_next_ms; /* until the earliest timer; -1: none */
			/*
			 * Messages whose time has come, owned by the batch: text NULL, it is in
			 * the mailbox now; else to be delivered, then STEP_TIMER_END.
			 */
			struct message *ret_messages;
			size_t ret_count;
		} due;
		struct {
			int64_t job;
			char *name; /* taken over; instead of job when not NULL */
			int64_t ret_job;
			enum job_status ret_status;
			struct reason ret_reason; /* of its end; REASON_NONE while live */
			int64_t ret_timeout_ms;
			bool ret_is_claimed;
			bool ret_is_server, ret_is_durable, ret_is_plain;
			/* How its last process ended, which is not always how the job has. */
			struct reason ret_last;
			int64_t ret_ended_ago_ms; /* -1: it is live */
			char *ret_result; /* JSON or NULL, owned by the batch */
		} lookup;
		struct {
			char set[NAME_SIZE]; /* "": only read */
			int64_t set_max_children;
			bool wants_starts; /* also when jobs started, where there is a rate */
			struct supervisor_limit {
				char name[NAME_SIZE];
				int64_t max_children; /* -1: no limit */
				int64_t pool; /* of messages: its first server; 0: of jobs */
				int64_t rate, rate_ms; /* starts within this time; 0: any */
				bool is_paused;
				enum supervisor_state state;
				char *reason; /* why it is ending or has ended; or NULL */
				char parent[NAME_SIZE]; /* "": the root */
				int64_t position; /* among its parent's children; 0: by no order */
				int64_t *starts_ms; /* how long ago, the last first */
				size_t start_count;
			} *ret_limits;		      /* owned by the batch */
			size_t ret_count;
		} limits;
		struct supervisor_change {
			enum {
				SUPERVISOR_ADD,
				SUPERVISOR_SET,
				SUPERVISOR_REMOVE,
				SUPERVISOR_START, /* it, and its children in their order */
				SUPERVISOR_STOP,
				SUPERVISOR_ORDER, /* its children, anew */
				SUPERVISOR_DESCRIBE, /* a child, as it is anyway */
				SUPERVISOR_RESUME, /* all, when nothing runs yet: in their order */
			} change;
			char name[NAME_SIZE];
			struct supervisor_spec spec;
			bool is_ended; /* SUPERVISOR_ADD: it is to be started later */
			struct strings order; /* taken over: names of its children */
			int64_t job;	      /* SUPERVISOR_DESCRIBE: the child … */
			char *description;    /* … and what a file has of it; taken over */
		} supervisor;
		struct {
			bool statuses[JOB_STATUS_COUNT];
			int64_t older_than_ms; /* ended at least so long ago */
			int64_t keep;	       /* … and not among the last so many of its name;
						* jobs that a live one waits for stay too */
			bool is_dry_run;
			int64_t limit;	       /* at most so many in this turn */
			int64_t job;	       /* only this one, all else aside; 0: any;
						* STEP_NOT_FOUND, _REFUSED */
			bool goes_on;	       /* only the first that is partly gone already, if
						* there is one, all else aside */
			int64_t *ret_jobs;     /* owned by the batch: what is gone */
			char **ret_stdin;      /* its stdin file or NULL, owned by the batch */
			int64_t *ret_last;     /* its last attempt, owned by the batch; 0: none */
			size_t ret_count;
			bool ret_has_more; /* another one is only partly gone: ask again */
		} prune;
		struct {
			int64_t ret_keeping; /* running, claimed, ready or in retry pause */
			int64_t ret_delayed, ret_held; /* the other live ones */
		} remaining;
		struct {
			int64_t job; /* 0: the live one of this name */
			char name[NAME_SIZE];
			bool is_info;
			char *text;   /* taken over */
			int64_t most; /* refused, try later, if so many wait already */
			int64_t ret_job; /* with STEP_NOT_FOUND: of a server that is not durable */
			int64_t ret_seq;
		} send;
		struct {
			int64_t job;
			int64_t after; /* those behind this one … */
			int64_t limit; /* … at most so many */
			struct message *ret_messages; /* owned by the batch */
			size_t ret_count;
			int64_t ret_last; /* with `after` 0: the last one that waits; 0: none */
		} mailbox;
		struct {
			int64_t seq;
			bool is_drop; /* forgotten; else behind all in the mailbox, anew */
			int64_t ret_job, ret_seq; /* whose it is; what it is now */
		} set_aside;
		struct {
			struct attempt_key key; /* who sets it */
			bool is_durable;	/* it outlives the attempt */
			int64_t to;		/* a job, or 0: … */
			char to_name[NAME_SIZE]; /* … who has this name when it fires */
			char *text;		 /* taken over */
			int64_t delay_ms;
			int64_t ref; /* what a durable server calls it; 0: nothing */
			int64_t most; /* refused, try later, if it has set so many; 0: any */
			int64_t ret_timer;
		} timer;
		struct {
			int64_t owner; /* 0: any, it was delivered */
			int64_t timer; /* … or what the owner calls it: */
			bool is_ref, is_cancel;
			int64_t ret_left_ms; /* -1: there is none */
		} timer_end;
		struct {
			struct attempt_key key; /* who is to be told */
			bool is_durable;
			int64_t job; /* whose end; 0: of who has this name */
			char name[NAME_SIZE];
			int64_t ret_ref;
			int64_t ret_job; /* 0: there is none, or it has ended */
		} monitor;
		struct {
			int64_t owner, ref;
		} demonitor;
		struct {
			struct attempt_key key;
			int64_t mailbox; /* messages that wait; -1: kept, not in memory */
			int64_t age_ms;	 /* of the last one that came; -1: not known */
		} gauge;
		struct {
			struct attempt_key key;
			int64_t seq;  /* of the message that is done with; 0: none */
			char *state;  /* taken over */
			char *id;     /* taken over: of the request, told apart by it */
			struct step **parts; /* taken over: done only if it is new */
			size_t part_count;
			int64_t most_timers; /* refused, if it has more with these; 0: any */
			bool ret_was_there; /* it was done before: nothing was done now */
		} commit;
		struct {
			struct attempt_key key; /* the server, until this attempt ends */
			char name[NAME_SIZE];
			bool is_leave;
		} group;
		struct {
			char name[NAME_SIZE];
			char *text; /* taken over; of a message, or NULL: they are only read */
			bool is_info;
			int64_t most; /* not kept, if so many wait already */
			struct group_member *ret_members; /* owned by the batch; by id */
			size_t ret_count;
		} members;
	};
};

/*
 * A job that ended in the turn, in whatever way: an attempt's end, a cancel, a failed
 * dependency; or that others have cancelled since the last one. For waiters.
 */
struct ended_job {
	int64_t job;
	enum job_status status;
	struct reason reason;
};

struct batch {
	struct step **steps;
	size_t count, room;
	struct ended_job *ended; /* filled in by the engine */
	size_t ended_count;
	int64_t *abandoned; /* tasks whose server has ended: to be cancelled */
	size_t abandoned_count;
	struct attempt_key *to_stop; /* their supervisor ends them: it is written */
	size_t to_stop_count;
	bool supervised; /* a supervisor is at something else now */
	bool told; /* a message was made that is due, or in a mailbox */
	int64_t released; /* jobs whose dependencies are fulfilled now */
};

void batch_init(struct batch *batch);
void batch_done(struct batch *batch); /* frees the steps and what they own */

/* A new step of this kind, all else zero, in the batch; good until batch_done(). */
struct step *batch_add(struct batch *batch, enum step_kind kind,
    void (*act)(void *arg, struct step *step), void *arg);

/* Add a step that was made by batch_make_step(). */
void batch_add_made(struct batch *batch, struct step *step);

/* Free a step that was taken out of its batch. */
void batch_free_step(struct step *step);

/* Engines: forget what an earlier try of this batch filled in. */
void batch_forget_results(struct batch *batch);
/* Engines: note that this job has ended in this turn. */
void batch_add_ended(struct batch *batch, int64_t job, enum job_status status,
    struct reason reason);

/* Engines: a task whose server has ended. */
void batch_add_abandoned(struct batch *batch, int64_t job);

/* Engines: a process that is to be ended, since its supervisor is or restarts. */
void batch_add_to_stop(struct batch *batch, const struct attempt_key *key);

/* A step that is part of another one: batch_add() without the batch. */
struct step *batch_make_step(enum step_kind kind, void (*act)(void *arg, struct step *step),
    void *arg);

/* Does this batch change nothing? Then it needs no lock. */
bool batch_is_read_only(const struct batch *batch);

/* After STORE_OK: call each step's act(), in order, once. */
void batch_act(struct batch *batch);

/*
 * The same for the steps about processes (ends, starts, claims), in order: nobody outside is
 * told anything by them, so they need not wait for the sync.
 */
void batch_act_on_processes(struct batch *batch);

struct store {
	const struct store_engine *engine;
};

struct store_engine {
	const char *name;
	void (*turn)(struct store *store, struct batch *batch,
	    void (*done)(void *arg, enum store_answer answer), void *arg);
	int (*fd)(struct store *store);
	void (*step)(struct store *store);
	enum store_answer (*sync)(struct store *store);
	enum store_answer (*changed)(struct store *store, bool *ret_changed);
	enum store_answer (*reopen)(struct store *store);
	void (*close)(struct store *store);
};

/*
 * Run the batch as one transaction, then call done(arg, answer), which may be before this
 * returns (SQLite) or from a later store_step(). The batch must live until then; one
 * turn at a time.
 */
void store_turn(struct store *store, struct batch *batch,
    void (*done)(void *arg, enum store_answer answer), void *arg);

/* What to wait on for store_step(), -1 if turns complete at once. */
int store_fd(struct store *store);
void store_step(struct store *store);

/*
 * Make everything committed so far outlive a power cut. Before it answers STORE_OK nobody
 * may be told. After a failure it does not succeed before the store has found another way
 * to safety than the failed sync.
 */
enum store_answer store_sync(struct store *store);

/*
 * Has anybody else committed since the last call (or the last turn that looked)? STORE_BUSY:
 * somebody is about to, ask again soon.
 */
enum store_answer store_changed(struct store *store, bool *ret_changed);

/*
 * After STORE_IN_DOUBT or STORE_UNAVAILABLE: open the database again. STORE_OK: the last
 * turn is there, and what it filled in is true. STORE_ABSENT: it is not. Else as it says.
 */
enum store_answer store_reopen(struct store *store);

void store_close(struct store *store); /* NULL is allowed */

const char *store_answer_words(enum store_answer answer);

#endif
