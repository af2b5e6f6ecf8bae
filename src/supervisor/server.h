#ifndef SUPERVISOR_SERVER_H
#define SUPERVISOR_SERVER_H

#include "supervisor/client.h"
#include "supervisor/envelope.h"
#include "supervisor/live.h"

/*
 * The server in a live attempt: a process that is spoken to on its fd 3. What it was told
 * and has not answered is here; its mailbox is its channel's unsent bytes, what the kernel
 * holds, and what it has read and not said to be handled.
 *
 *   server.c        its life: init, terminate, its end
 *   server_wait.c   who waits for its start or end
 *   router.c        messages to it, and calls until they are answered
 *   group.c         messages to all of a group
 *   server_talk.c   what it says
 *   behind.c        calls that wait for messages before them
 *   gauge.c         how full its mailbox is, now and then written
 *   server_requests.c, server_start.c  what clients ask for
 *   plain.h         one that is any program, and is not spoken to
 */

#define MAILBOX_WINDOW 48 /* messages given to a process and not committed */

enum server_phase {
	SERVER_INIT,	/* init is not answered */
	SERVER_READY,
	SERVER_LEAVING, /* it has been told to end, or has said that it does */
};

RB_HEAD(call_tree, call);
TAILQ_HEAD(call_list, call);

struct server {
	struct supervisor *supervisor;
	struct live *live; /* NULL: it has ended, and those who wait are to be told */
	RB_ENTRY(server) by_name;
	char name[NAME_SIZE];
	enum server_phase phase;
	bool traps_exit, resumes, is_durable;
	bool was_attached; /* by another supervisor process before us */
	bool counts; /* it says what it has handled */
	struct buf early; /* what is said to it before its process is there */
	int64_t sent, handled; /* messages */
	struct call_tree calls; /* not answered by it */
	size_t call_count;
	struct call_list outgoing; /* its own, not answered by others */
	bool is_being_stopped; /* by request: what is sent to it now comes too late */
	bool has_closed; /* its end of the stream */
	bool has_said; /* why it ends, before it does */
	struct reason said;
	bool is_queued; /* among those with something to write */
	TAILQ_ENTRY(server) queued;
	size_t counted_bytes; /* of its channel, in the sum over all */
	bool is_gauged; /* among those whose mailbox is to be written */
	TAILQ_ENTRY(server) gauged;
	struct mono last_message; /* ms 0: none was sent to it */
	/* durable: */
	int64_t given; /* the last message that this process was given */
	int64_t in_flight[MAILBOX_WINDOW]; /* given and not committed, in order */
	size_t in_flight_count;
	bool is_reading, may_have_more;
	char *commit_id;    /* of the one that is not answered, as JSON; NULL: none is */
	char *committed_id; /* of the last one that was; or NULL */
	TAILQ_HEAD(, held_request) held; /* behind.c */
	size_t held_bytes;
	TAILQ_HEAD(, late_answer) late; /* late.c */
	size_t late_count, late_bytes;
	bool knows_mailbox; /* what is in it; only then: */
	int64_t accepted;   /* the last message that somebody was told is in it */
	struct timer timer;   /* init, or leaving, takes too long */
	int64_t grace_ms;     /* to terminate in */
	struct plain *plain;  /* plain.h; NULL: it speaks to us */
	struct pool *pool;    /* it is a member of; or NULL */
	TAILQ_ENTRY(server) member;
	int64_t messages, max_messages; /* of the pool: had by this process, and at most */
	struct claimed_job *claimed; /* until init is sent */

	/* live is NULL: */
	TAILQ_ENTRY(server) ended;
	int64_t job;
	bool is_over; /* it is not started again */
	struct reason reason;
};

/* What the rules of memory are: jobberd-protocol(7) tells them. */
#define SERVER_MOST_BYTES (16 << 20)	 /* unread, of one server */
#define SERVER_MOST_BYTES_ALL (256 << 20) /* of all of them */
#define SERVER_MOST_CALLS 100000	 /* not answered, of one server */
#define SERVER_LARGEST_MESSAGE ((1 << 20) - 1024) /* its line has 1 MiB at most */
#define SERVER_LATEST_TIMER_MS (INT64_C(1) << 52) /* from now: times have less than 2^53 */
#define SERVER_TOO_LARGE "too_large: a message to a server has at most 1047552 bytes"

RB_HEAD(server_tree, server);
RB_HEAD(pool_call_tree, pool_call);

struct server_table {
	struct server_tree by_name; /* live ones */
	TAILQ_HEAD(, server) queued; /* with something to write at this turn's end */
	size_t bytes;		     /* unread, of all */
	TAILQ_HEAD(, server) ended;  /* recorded, not told */
	TAILQ_HEAD(, start) starts;
	TAILQ_HEAD(, stop) stops;
	int64_t next_ref;
	TAILQ_HEAD(, server) gauged;
	struct timer gauge_timer;
	TAILQ_HEAD(, pool) pools;
	struct pool_call_tree pool_calls;
};

/* ---- server.c ---- */

void server_init(struct supervisor *supervisor);
void server_done(struct supervisor *supervisor);

/* A claimed one has been ordered: it has its name from now on. */
void server_add(struct live *live, const struct claimed_job *claimed);
/* A supervisor process has come to one that runs. */
void server_attach(struct live *live, const struct open_attempt *open);
void server_free(struct server *server);

/* Its process is there. */
void server_started(struct live *live);
/* Its init has been answered: that is to be recorded. */
void server_is_ready(struct server *server);
/* It has answered init or terminate: true; else false. */
bool server_take_answer(struct server *server, const struct rpc_message *message);
/* Its end is recorded: it has no live attempt and no name from now on. */
void server_ended(struct server *server, const struct step *step);
struct server *server_by_name(struct supervisor *supervisor, const char *name);
/* A name or an id, in a string or an integer; NULL if no live server is meant. */
struct server *server_find(struct supervisor *supervisor, const json_t *to);

/* ---- server_end.c ---- */

/* Tell it to terminate for this reason; it is killed if it does not within the time. */
void server_terminate(struct server *server, struct reason reason, int64_t grace_ms);
/* It was asked to terminate, and may take as long as it likes. */
bool server_is_leaving_at_leisure(const struct server *server);
/* An error is a new reason; anything else means that it is about to exit. */
void server_take_terminate_answer(struct server *server, const struct rpc_message *message);
/* It says why it is going to exit. If it does not, it is ended. */
void server_says_it_stops(struct server *server, struct reason reason);
/* Its channel is closed; why NULL: it closed it. */
void server_closed(struct server *server, const char *why);
/* What came of its process, in the light of what it has said. */
struct reason server_reason(const struct server *server, struct reason seen);
/* What its timer is for: init, or leaving. */
void server_takes_too_long(void *server);

/* ---- server_wait.c: who waits for the start or the end of a server ---- */

void server_await_start(struct supervisor *supervisor, int64_t job, struct request *request);
void server_await_stop(struct supervisor *supervisor, int64_t job, struct reason reason,
    struct request *request, int64_t timeout_ms);
void server_tell_ready(struct supervisor *supervisor, int64_t job); /* its init has answered */
/*
 * Its end is safe: who waits for it is told whether it was as he wanted. A pool has ended when
 * all its processes have.
 */
void server_has_stopped(struct supervisor *supervisor, int64_t job, struct reason reason);
/* Ends that are recorded are safe now. */
void server_tell_ended(struct supervisor *supervisor);
/* The same of jobs that had no process to end: nobody is to wait for their start any more. */
void server_jobs_ended(
    struct supervisor *supervisor, const struct ended_job *ended, size_t count);
/* Does a client wait for the start of one of these? */
bool server_waits_for(
    const struct supervisor *supervisor, const struct ended_job *ended, size_t count);
void server_wait_done(struct supervisor *supervisor); /* all are told that we leave … */
void server_leave(struct supervisor *supervisor); /* … and all who wait for an answer */

/* ---- router.c ---- */

/* Who asked: one of the three. `request` and `part` are taken over, `id` is borrowed. */
struct caller {
	struct request *request; /* a client */
	struct server *server;	 /* another server; all NULL: it has gone */
	json_t *id;		 /* … and the id of its request */
	struct group_part *part; /* a call to a group (group.h) */
};

/*
 * Call it: the caller, which goes by the name `from`, is answered some time, in any case. The
 * envelope has a ref, which names the call to the server, too; without a message it is asked
 * for its state. `to` and `group` in it do not matter.
 */
void router_call(struct server *to, struct caller caller, const char *from,
    const struct envelope *envelope);
/*
 * `method` is cast or info; seq and timer say where it comes from, 0: from nowhere. 0, or -1:
 * it is overloaded.
 */
int router_send(struct server *to, const char *method, struct rpc_text message, int64_t seq,
    int64_t timer);
void router_answer_error(struct caller caller, int code, const char *word, json_t *data);
void router_answer(struct caller caller, json_t *result); /* takes over result */
void router_answer_text(struct caller caller, struct rpc_text result);
/* It has answered a call, or something that we do not know. */
void router_take_answer(struct server *server, const struct rpc_message *message);
/* The same with a skimmed line, if it is a call's result; false: it has to be parsed. */
bool router_pass_on_answer(struct server *server, const struct skim *skim);
/* All who wait for its answer get this. */
void router_fail_calls(struct server *server, int code, const char *word);
/* The server's answer, to whoever asked. */
void router_pass_answer(struct caller caller, const struct rpc_message *message);
/* Where what is said to it goes, while it is live. */
struct buf *router_out(struct server *server);
/* Something was added to its channel: written at this turn's end. */
void router_queue(struct server *server);
void router_flush(struct supervisor *supervisor);
int64_t router_mailbox(struct server *server);
/* It has gone: nothing is answered to it any more. */
void router_forget_caller(struct server *server);

/* ---- server_asks.c: requests of servers that the store answers ---- */

/* Each returns NULL or what is wrong with the parameters. */
typedef const char *server_ask(struct server *server, json_t *id, const json_t *params);
server_ask asks_send_after, asks_cancel_timer, asks_read_timer_left, asks_start_job, asks_async,
    asks_shutdown_task, asks_monitor, asks_demonitor, asks_whereis, asks_join, asks_leave;
/* Fill in a step from what a server has said: NULL or what is wrong. */
const char *asks_read_timer(struct server *server, const json_t *params, struct step *step);
const char *asks_read_job(struct server *server, const json_t *job, bool is_task,
    struct step *step, struct error *error);
/* Acts of such steps that nobody is to be answered for; arg: the supervisor. */
void asks_heed_timer(void *arg, struct step *step);
void asks_heed_job(void *arg, struct step *step);
/* Tasks whose server has ended. */
void asks_end_tasks(struct supervisor *supervisor, const int64_t *jobs, size_t count);

/* ---- mailbox.c: messages of durable servers, and timers that have fired ---- */

#define MAILBOX_MOST 100000 /* waiting in one mailbox; then the sender hears `overloaded` */
#define TIMERS_MOST 10000 /* set by one server and not fired; then it hears `overloaded` */

/* Put a message into a mailbox that is kept; the caller (or nobody) is answered then. */
void mailbox_keep(struct supervisor *supervisor, const json_t *to, bool is_info,
    struct rpc_text message, struct caller caller);
/* The same as a part of something: its step, to be added to it. `to` NULL: set send.job. */
struct step *mailbox_make_send(struct supervisor *supervisor, const json_t *to, bool is_info,
    struct rpc_text message, struct caller caller);
/* Something may be in there that it has not been given. */
void mailbox_look(struct server *server);
/* All of them: messages were made that nobody was told of. */
void mailbox_look_at_all(struct supervisor *supervisor);
void mailbox_committed(struct server *server, int64_t seq);
int64_t mailbox_handling(const struct server *server); /* the message it is at; 0: none */
/* What STEP_DUE has handed out. */
void mailbox_take_due(struct supervisor *supervisor, const struct message *messages,
    size_t count);

/* ---- behind.c: a durable server's requests do not overtake what was accepted before them ---- */

void behind_init(struct server *server);
void behind_done(struct server *server);
/*
 * Has it not been given all that was accepted? Then the request, which is what router_out()
 * has more than `before`, is taken out of it and waits. is_last: nothing is given to the
 * process any more behind it.
 */
bool behind_hold(struct server *server, size_t before, bool is_last);
void behind_accepted(struct server *server, int64_t seq);
/* What was in its mailbox when that was read for the first time. */
void behind_begin(struct server *server, int64_t last);
void behind_release(struct server *server); /* it has been given more */

/* ---- late.c: answers whose callers have not asked this supervisor process yet ---- */

void late_init(struct server *server);
void late_done(struct server *server);
void late_keep(struct server *server, const struct rpc_message *message);
/* true: its answer was there, and is given. */
bool late_answer(struct server *server, struct caller caller, const char *ref);

/* ---- gauge.c: how full mailboxes in memory are, for those who read the database ---- */

void gauge_init(struct supervisor *supervisor);
void gauge_done(struct supervisor *supervisor);
/* A message was sent to it. */
void gauge_sent(struct server *server);
/* Its mailbox has changed otherwise. */
void gauge_changed(struct server *server);
/* It has ended: the last time, in the same turn. */
void gauge_last(struct server *server);
void gauge_forget(struct server *server);

/* ---- server_commit.c ---- */

const char *server_handle_commit(struct server *server, json_t *id, const json_t *params);

/* ---- server_talk.c ---- */

/* Is this method one of servers? Then it is handled, and *ret_wrong NULL or a sentence. */
bool server_handle(struct server *server, const struct rpc_message *message,
    const char **ret_wrong);
/* A skimmed line was passed on; false: nothing was done, it has to be parsed. */
bool server_pass_on(struct server *server, const struct skim *skim);
/* No live server is meant: answer noproc, or restarting. */
void router_call_nobody(struct supervisor *supervisor, const json_t *to, struct caller caller);
/*
 * The same for whoever wants to stop it: what waits for its next process does not get it. One
 * who asks again is told how it has ended.
 */
void router_stop_nobody(struct supervisor *supervisor, const json_t *to, struct reason reason,
    bool is_repeated, struct request *request);

/* A reason as JSON from outside, and for outside. */
struct reason server_reason_from_json(const json_t *value);

#endif
