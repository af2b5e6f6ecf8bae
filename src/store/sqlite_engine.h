#ifndef STORE_SQLITE_ENGINE_H
#define STORE_SQLITE_ENGINE_H

#include "store/db.h"
#include "store/store.h"

/*
 * The store on SQLite. busy_ms: 0 for a loop that must not block (a locked database is
 * then STORE_BUSY at once), else how long to wait. `checks`: look for damage first. NULL
 * with *error when the database cannot be opened, made or migrated, or is damaged.
 */
struct store *sqlite_store_open(const char *state_directory, int busy_ms, bool checks,
    struct error *error);

/* ---- between the files of the engine ---- */

#define TIMER_ROOMS 64

struct sqlite_engine {
	struct store store;
	char *state_directory;
	int busy_ms;
	struct db db;
	struct statements turn, environment, submit, submit_check, server, replace, message,
	    set_aside, monitor, pool, supervisor, node, group, supervision, restarts,
	    supervisor_change, labels, groups, commit, claim, advance, end, depend, change, prune,
	    other, timer_room, forget;
	int64_t token;	      /* of the last turn; -1: it cannot be there */
	int64_t data_version; /* as last seen */
	int64_t settled_version; /* foreign cancels were settled at this one; -1: never */
	bool is_changed;      /* seen by a turn, not yet told by changed() */
	int64_t generation;   /* of this supervisor process, 0 before STEP_GENERATION */
	char boot_id[CLOCK_BOOT_ID_SIZE];
	struct wall now;      /* of the turn under way */
	struct boot boot_now;
	struct batch *batch;  /* the turn under way */
	int64_t last_sent_to, last_sent_token; /* whose time of a message was noted in which */
	struct timer_room {
		int64_t owner; /* a server; 0: none */
		int64_t room;  /* it has at least so much */
		int64_t token; /* of the turn in which its timers were counted */
	} timer_rooms[TIMER_ROOMS]; /* by the last digits of owner */
	struct attempt_key *to_forget; /* these have ended, and may have timers still */
	size_t to_forget_count;
	/* Of the jobs claimed in the last turn; the newest serves the next turn too. */
	struct known_environment {
		int64_t id; /* 0: not to be used again */
		struct strings *variables;
	} *environments;
	size_t environment_count;
	/* What the last request to submit came with, since most come from the same place. */
	bool has_monitors, has_pools, has_keys, has_groups; /* there may be some */
	bool has_tree; /* some supervisor has more to do than to let jobs start */
	struct strings recent_variables;
	int64_t recent_environment; /* 0: not to be used */
};

/* Each runs one step inside the transaction: SQLITE_OK or what failed. */
int sqlite_step_generation(struct sqlite_engine *engine, struct step *step);
int sqlite_step_open(struct sqlite_engine *engine, struct step *step);
int sqlite_step_submit(struct sqlite_engine *engine, struct step *step);
int sqlite_step_claim(struct sqlite_engine *engine, struct step *step);
int sqlite_step_withdraw(struct sqlite_engine *engine, struct step *step);
int sqlite_step_started(struct sqlite_engine *engine, struct step *step);
int sqlite_step_ready(struct sqlite_engine *engine, struct step *step);
int sqlite_step_stopping(struct sqlite_engine *engine, struct step *step);
int sqlite_step_ended(struct sqlite_engine *engine, struct step *step);
int sqlite_step_change(struct sqlite_engine *engine, struct step *step);
int sqlite_step_note(struct sqlite_engine *engine, struct step *step);
int sqlite_step_event(struct sqlite_engine *engine, struct step *step);
int sqlite_step_due(struct sqlite_engine *engine, struct step *step);
int sqlite_step_lookup(struct sqlite_engine *engine, struct step *step);
int sqlite_step_supervisor(struct sqlite_engine *engine, struct step *step);
int sqlite_step_limits(struct sqlite_engine *engine, struct step *step);
int sqlite_step_prune(struct sqlite_engine *engine, struct step *step);
int sqlite_step_remaining(struct sqlite_engine *engine, struct step *step);
int sqlite_step_send(struct sqlite_engine *engine, struct step *step);
int sqlite_step_mailbox(struct sqlite_engine *engine, struct step *step);
int sqlite_step_set_aside(struct sqlite_engine *engine, struct step *step);
int sqlite_step_timer(struct sqlite_engine *engine, struct step *step);
int sqlite_step_timer_end(struct sqlite_engine *engine, struct step *step);
int sqlite_step_monitor(struct sqlite_engine *engine, struct step *step);
int sqlite_step_demonitor(struct sqlite_engine *engine, struct step *step);
/* This job, as a task of this server, is its own from now on; *ret_was: it was one. */
int sqlite_take_task(struct sqlite_engine *engine, int64_t job, int64_t owner, bool *ret_was);
int sqlite_step_gauge(struct sqlite_engine *engine, struct step *step);
int sqlite_step_commit(struct sqlite_engine *engine, struct step *step);
int sqlite_step_group(struct sqlite_engine *engine, struct step *step);
int sqlite_step_members(struct sqlite_engine *engine, struct step *step);

/* Run one step inside the transaction, whatever it is (engine.c). */
int sqlite_run_step(struct sqlite_engine *engine, struct step *step);

/* Each file's statements. */
int sqlite_environment_prepare(struct sqlite_engine *engine, struct error *error);
int sqlite_submit_check_prepare(struct sqlite_engine *engine, struct error *error);
int sqlite_submit_prepare(struct sqlite_engine *engine, struct error *error);
int sqlite_message_prepare(struct sqlite_engine *engine, struct error *error);
int sqlite_forget_prepare(struct sqlite_engine *engine, struct error *error);
int sqlite_timer_room_prepare(struct sqlite_engine *engine, struct error *error);
int sqlite_set_aside_prepare(struct sqlite_engine *engine, struct error *error);
int sqlite_monitor_prepare(struct sqlite_engine *engine, struct error *error);
int sqlite_supervisor_prepare(struct sqlite_engine *engine, struct error *error);
int sqlite_node_prepare(struct sqlite_engine *engine, struct error *error);
int sqlite_group_prepare(struct sqlite_engine *engine, struct error *error);
int sqlite_supervision_prepare(struct sqlite_engine *engine, struct error *error);
int sqlite_restarts_prepare(struct sqlite_engine *engine, struct error *error);
int sqlite_supervisor_change_prepare(struct sqlite_engine *engine, struct error *error);
int sqlite_labels_prepare(struct sqlite_engine *engine, struct error *error);
int sqlite_groups_prepare(struct sqlite_engine *engine, struct error *error);
int sqlite_pool_prepare(struct sqlite_engine *engine, struct error *error);
int sqlite_commit_prepare(struct sqlite_engine *engine, struct error *error);
int sqlite_server_prepare(struct sqlite_engine *engine, struct error *error);
int sqlite_replace_prepare(struct sqlite_engine *engine, struct error *error);
int sqlite_claim_prepare(struct sqlite_engine *engine, struct error *error);
int sqlite_advance_prepare(struct sqlite_engine *engine, struct error *error);
int sqlite_end_prepare(struct sqlite_engine *engine, struct error *error);
int sqlite_depend_prepare(struct sqlite_engine *engine, struct error *error);
int sqlite_change_prepare(struct sqlite_engine *engine, struct error *error);
int sqlite_prune_prepare(struct sqlite_engine *engine, struct error *error);
int sqlite_other_prepare(struct sqlite_engine *engine, struct error *error);

/* Write one event of the history (advance.c). */
int sqlite_write_event(struct sqlite_engine *engine, int64_t job, int64_t attempt,
    const char *event, const char *detail);

/* … with a statement of one's own that takes it in the same places (advance.c). */
int sqlite_run_event(struct sqlite_engine *engine, sqlite3_stmt *statement, int64_t job,
    int64_t attempt, const char *event, const char *detail);

/* An attempt is ?1, ?2 and ?3 of a statement (advance.c). */
void sqlite_bind_key(sqlite3_stmt *statement, const struct attempt_key *key);

/* What the rules look at: status, failures, max_retries, backoff, jitter (advance.c). */
void sqlite_read_rules(sqlite3_stmt *row, struct lifecycle_job *job);

/* What the rules look at in a job (advance.c). */
int sqlite_read_job(struct sqlite_engine *engine, int64_t job, struct lifecycle_job *ret_job,
    bool *ret_found);

/*
 * Write what the rules said about something that happened so long ago (advance.c).
 * `reason` is stored only where no attempt tells it.
 */
int sqlite_apply(struct sqlite_engine *engine, int64_t job,
    const struct lifecycle_verdict *verdict, int64_t age_ms, const char *reason,
    const char *detail);

/* Note the wish to end an open attempt; sqlite3_changes() 0: there is none (advance.c). */
int sqlite_stop_attempt(struct sqlite_engine *engine, const struct attempt_key *key,
    struct reason reason);

/* Let an event happen to a job that has no open attempt (change.c): the rules decide.
 * *ret_allowed is false, and nothing changed, when they do not allow it. */
int sqlite_apply_event(struct sqlite_engine *engine, int64_t job, enum job_event event,
    struct reason reason, const char *detail, bool *ret_allowed,
    struct lifecycle_verdict *ret_verdict);

/* A job has ended: tell those above and those that wait for it (depend.c). */
int sqlite_settle_end(struct sqlite_engine *engine, int64_t job, enum job_status status,
    struct reason reason);

/* What a name means: its live job, else the one that ended last, 0 if none (other.c). */
int sqlite_find_name(struct sqlite_engine *engine, const char *name, int64_t *ret_job);

/* What a new job waits for (depend.c). */
int sqlite_insert_dependencies(struct sqlite_engine *engine, const struct spec *spec,
    int64_t job);
/* A job waits for others: release it, or cancel it if one ended badly (depend.c). */
int sqlite_check_dependencies(struct sqlite_engine *engine, int64_t job);

/* Jobs that others cancelled with SQL: tell those above and those that wait (depend.c). */
int sqlite_settle_foreign_cancels(struct sqlite_engine *engine);

/* ---- messages that are kept (message.c) ---- */

int sqlite_is_durable(struct sqlite_engine *engine, int64_t job, bool *ret_is_durable);
int sqlite_add_message(struct sqlite_engine *engine, int64_t job, bool is_info,
    const char *text, int64_t *ret_seq);
int sqlite_remove_message(struct sqlite_engine *engine, int64_t seq);
void sqlite_refuse_overloaded(struct step *step); /* there is no room for what it adds */

struct timer_row {
	int64_t to;	     /* a job, or 0: … */
	const char *to_name; /* … who has this name then */
	const char *text;
	int64_t owner, owner_attempt, ref; /* 0: none */
	int64_t delay_ms;
};
int sqlite_add_timer(struct sqlite_engine *engine, const struct timer_row *timer,
    int64_t *ret_seq);
/* Part of STEP_DUE: what is due; and when the next one is, by the boot clock, -1: none. */
int sqlite_fire_timers(struct sqlite_engine *engine, struct step *step);
int sqlite_next_timer(struct sqlite_engine *engine, int64_t *ret_at);
int sqlite_timers_to_this_boot(struct sqlite_engine *engine);

/* ---- timers that go with an attempt (forget.c) ---- */

/* It has ended: this one does not come any more. */
#define TIMER_HAS_GONE(of)                                                               \
	of "owner_attempt IS NOT NULL AND NOT EXISTS (SELECT 1 FROM attempts a "         \
	"WHERE a.job_id = " of "owner AND a.attempt = " of "owner_attempt "             \
	"AND a.ended_at IS NULL)"
/* The attempt has ended: some go now, the others with the next steps of STEP_DUE. */
int sqlite_forget_timers(struct sqlite_engine *engine, const struct attempt_key *key);
int sqlite_forget_more(struct sqlite_engine *engine, struct step *step);
/* A supervisor process begins: those that the one before it has left. */
int sqlite_find_forgotten(struct sqlite_engine *engine);

/* ---- how many timers a server may have (timer_room.c) ---- */

/*
 * It is to set so many, and may have `most` (0: any number): else the step is refused. Attempt
 * 0: it is durable.
 */
int sqlite_take_timer_room(struct sqlite_engine *engine, struct step *step,
    const struct attempt_key *owner, int64_t most, int64_t count);
/* A turn that took from them is not there. */
void sqlite_forget_timer_rooms(struct sqlite_engine *engine);

/* ---- messages that were set aside (set_aside.c) ---- */

/* The server has crashed over it: count that, and set it aside if that is enough. */
int sqlite_blame_message(struct sqlite_engine *engine, int64_t job, int64_t seq,
    int64_t max_redeliveries, struct reason reason);

/* ---- monitors (monitor.c) ---- */

int sqlite_add_monitor(struct sqlite_engine *engine, const struct attempt_key *owner,
    int64_t job, bool is_task, int64_t *ret_ref); /* owner's attempt 0: it is durable */
/* This job, or this process of a server, has ended. */
int sqlite_tell_monitors(struct sqlite_engine *engine, int64_t job, struct reason reason);
/* Whoever set them has ended, with this attempt, or (0) for good; its tasks are abandoned. */
int sqlite_forget_monitors(struct sqlite_engine *engine, int64_t owner, int64_t attempt);

/* Is it being forgotten, and a part of it is gone? Then it is not revived (prune.c). */
int sqlite_is_partly_gone(struct sqlite_engine *engine, int64_t job, bool *ret_is_partly_gone);

/* What a CHECK refuses is this one statement, and a refusal of its step (other.c). */
int sqlite_refuse_constraint(struct sqlite_engine *engine, struct step *step, int code);

/* ---- supervisors (supervisor.c) ---- */

struct supervisor_row {
	bool is_there, is_pool;
	int64_t most; /* it rejects when so many live jobs are there; -1: it does not */
	enum supervisor_state state;
	int strategy, auto_shutdown; /* enums of model/supervision.h */
	char reason[256]; /* of its end; "" */
};
int sqlite_find_supervisor(struct sqlite_engine *engine, const char *name,
    struct supervisor_row *ret);
int sqlite_count_live(struct sqlite_engine *engine, const char *name, int64_t *ret_count);
/* May this ended job be live again? If not *error says why. */
int sqlite_job_has_place(struct sqlite_engine *engine, int64_t job, struct error *error,
    bool *ret_has_place);
void sqlite_say_ended(struct error *error, const char *name,
    const struct supervisor_row *supervisor);
void sqlite_say_full(struct error *error, const char *name, int64_t live, int64_t most);

/* ---- the tree (supervision.c) ---- */

int sqlite_look_for_tree(struct sqlite_engine *engine);
/* Others have written, or were here before us: go on with all that is not at rest. */
int sqlite_supervise_all(struct sqlite_engine *engine);
/* May anything beneath this supervisor start, as it is now? */
int sqlite_lets_start(struct sqlite_engine *engine, const char *name, bool *ret_lets);
/* A job has come up, or is not about to any more: its supervisor goes on with what it is at. */
int sqlite_supervise_job(struct sqlite_engine *engine, int64_t job);
/* A server has ended, and this is what the rules say of it. */
int sqlite_server_ended(struct sqlite_engine *engine, int64_t job, enum supervision verdict,
    bool is_forgotten, struct reason reason);

/* ---- keys and meta (labels.c) ---- */

int sqlite_look_for_keys(struct sqlite_engine *engine); /* others may have written one */
int sqlite_insert_labels(struct sqlite_engine *engine, int64_t job, const struct spec *spec);
/* May this job start, as far as its key goes? */
int sqlite_key_has_room(struct sqlite_engine *engine, int64_t job, bool *ret_has_key,
    bool *ret_has_room);

/* ---- groups (groups.c) ---- */

int sqlite_look_for_groups(struct sqlite_engine *engine); /* others may have written one */
/* Those that a job is described with. */
int sqlite_insert_groups(struct sqlite_engine *engine, int64_t job, const struct spec *spec);
/* A process of this server has ended: it is in those that it was described with. */
int sqlite_end_groups(struct sqlite_engine *engine, int64_t job);

/* ---- pools (pool.c) ---- */

/* Fill in what the pool says of a message to it; false: there is no such pool. */
int sqlite_describe_message(struct sqlite_engine *engine, struct spec *spec, bool *ret_found);
/* Make the supervisor of its messages; false: another one has the name. */
int sqlite_register_pool(struct sqlite_engine *engine, int64_t first, const struct spec *spec,
    bool *ret_is_free);
/* This job has ended: if it is a pool's first server, the others end with it. */
int sqlite_end_pool(struct sqlite_engine *engine, int64_t first);
/* May it begin again? And the others begin again with it. */
int sqlite_pool_is_blocked(struct sqlite_engine *engine, int64_t first, bool *ret_is_blocked);
int sqlite_begin_pool(struct sqlite_engine *engine, int64_t first);

/* The five columns of a plain service, from this one on (service.c). */
#define SERVICE_COLUMNS(of)                                                              \
	of "plain, " of "ready, " of "stop_signal, " of "success_exit, " of "watchdog_ms"
struct service_text { /* what is bound, until the statement has run */
	char ready[16], signal[16];
	struct buf good;
};
void sqlite_bind_service(sqlite3_stmt *statement, int place, const struct spec *spec,
    struct service_text *text);
void service_text_done(struct service_text *text);
/* true: it is one. */
bool sqlite_read_service(sqlite3_stmt *row, int column, struct service *ret_service);

/* What only a server has (server.c): its row, `pool` 0 if it is of none, */
int sqlite_insert_server(struct sqlite_engine *engine, int64_t job, int64_t pool,
    const struct spec *spec);
/* … for a claim, */
int sqlite_read_server(struct sqlite_engine *engine, struct claimed_job *claimed);
/* … for the rules when this attempt of it has ended, */
int sqlite_read_server_rules(struct sqlite_engine *engine, const struct attempt_key *key,
    struct lifecycle_job *job, int64_t run_ms, int64_t *ret_max_redeliveries);
/* … what goes with the attempt, and, if it is over, with the server, */
int sqlite_end_server(struct sqlite_engine *engine, const struct step *step,
    struct reason reason, int64_t max_redeliveries, bool is_over);
/* … that somebody has asked for its end, which is more than its supervisor's wish, */
int sqlite_ask_stop(struct sqlite_engine *engine, int64_t job, bool is_asked);
/* … how many restarts in a row it has had, */
int sqlite_set_in_a_row(struct sqlite_engine *engine, int64_t job, int64_t restarts);
/* … and when it starts afresh; nothing, if it is none. */
int sqlite_begin_life(struct sqlite_engine *engine, int64_t job);

/*
 * This job, new and in order, takes the place of the one of its name that has ended; described
 * anew, a durable one also takes over its state, mailbox and timers (replace.c).
 */
int sqlite_replace_server(struct sqlite_engine *engine, int64_t job, const struct spec *spec);
/* The one of which something is kept that would be lost, the new one not being durable; or 0. */
int sqlite_replace_loses(
    struct sqlite_engine *engine, const struct spec *spec, int64_t *ret_loses);

/*
 * The id of what a job's own variables make of the shared ones; false in *ret_is_text when
 * something is not UTF-8 (environment.c).
 */
int sqlite_keep_environment(struct sqlite_engine *engine, const struct strings *shared,
    const struct strings *own, int64_t *ret_id, bool *ret_is_text);

/*
 * The variables, good until the next turn but one; NULL for id 0, or when *ret_why says what
 * is wrong with it (environment.c).
 */
int sqlite_read_environment(struct sqlite_engine *engine, int64_t id,
    const struct strings **ret, const char **ret_why);
/* Free those of the last turn but one that may serve again (environment.c) … */
void sqlite_forget_environments(struct sqlite_engine *engine);
/* … and let none serve again: their ids may not have been committed. */
void sqlite_distrust_environments(struct sqlite_engine *engine);

#endif
