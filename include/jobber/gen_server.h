#ifndef JOBBER_GEN_SERVER_H
#define JOBBER_GEN_SERVER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * GenServer: a process with a state, a mailbox and six callbacks, after Erlang's gen_server.
 * One callback runs at a time; it gets the state, which belongs to the process, and says
 * with its return value what follows. Messages and replies are JSON values (jansson).
 *
 * References: what a callback is given it borrows; what it hands over (a reply, a message, a
 * continue argument) is taken over. Strings are UTF-8. Times are milliseconds. Not for use
 * from more than one thread. gen_server(3) tells the whole story.
 */

struct gen_server; /* the process as its callbacks see it */
struct gen_from;   /* who waits for a reply: from handle_call until gen_reply() */

/* ---- what a callback returns ---- */

enum gen_verb {
	GEN_OK,	     /* init: the server runs */
	GEN_IGNORE,  /* init: it is not wanted, and that is no error */
	GEN_REPLY,   /* handle_call: answer now */
	GEN_NOREPLY, /* go on; a caller is answered later with gen_reply() */
	GEN_STOP,    /* terminate, then end with `reason` */
	GEN_UNKNOWN, /* no such message: a caller gets an error, it is noted, and all goes on */
	GEN_VERB_COUNT
};

/* Made by the functions below; anything else is bad_return_value and ends the server. */
struct gen_return {
	enum gen_verb verb;
	json_t *reply;		 /* GEN_REPLY, GEN_STOP with a reply; else NULL */
	json_t *reason;		 /* GEN_STOP */
	json_t *continue_with;	 /* NULL: none */
	int64_t idle_timeout_ms; /* GEN_NO_TIMEOUT: none */
	bool hibernates;
};

#define GEN_NO_TIMEOUT (-1)

struct gen_return gen_ok(void);
struct gen_return gen_ignore(void);
struct gen_return gen_reply_with(json_t *reply);
struct gen_return gen_noreply(void);
/*
 * A reason is any JSON value, a string as a rule. "normal", "shutdown" and {"shutdown": X}
 * are clean ends; all others are failures.
 */
struct gen_return gen_stop(json_t *reason);
struct gen_return gen_stop_with_reply(json_t *reason, json_t *reply);
struct gen_return gen_unknown(void);

/* What is to happen next, added to one of GEN_OK, GEN_REPLY and GEN_NOREPLY: */
/* handle_continue(argument) runs before any message. */
struct gen_return gen_then_continue(struct gen_return what, json_t *argument);
/* handle_info("timeout") if no message comes for so long (0: if none is there). */
struct gen_return gen_then_timeout(struct gen_return what, int64_t idle_timeout_ms);
/* Give memory back until the next message. */
struct gen_return gen_then_hibernate(struct gen_return what);

/* ---- the behaviour ---- */

struct gen_server_ops {
	const char *name; /* of the behaviour */

	/*
	 * Make the state: store it in *ret_state and return GEN_OK, or return gen_ignore() or
	 * gen_stop(). `arguments` is what was given at start: the words behind the program's
	 * name as an array of strings. NULL: the state is NULL.
	 */
	struct gen_return (*init)(
	    struct gen_server *server, const json_t *arguments, void **ret_state);
	struct gen_return (*handle_continue)(
	    struct gen_server *server, json_t *argument, void *state);
	/* `from` is freed after GEN_REPLY, GEN_STOP and GEN_UNKNOWN; else by gen_reply(). */
	struct gen_return (*handle_call)(
	    struct gen_server *server, json_t *message, struct gen_from *from, void *state);
	struct gen_return (*handle_cast)(
	    struct gen_server *server, json_t *message, void *state);
	struct gen_return (*handle_info)(
	    struct gen_server *server, json_t *message, void *state);
	/*
	 * The last callback, and where the state is freed: after a stop of any kind and after
	 * a bad return value, not after a kill, a crash or an init that failed. `reason` is
	 * text: a string as it is, any other JSON value as compact JSON.
	 */
	void (*terminate)(struct gen_server *server, const char *reason, void *state);

	/*
	 * A durable server's state as JSON, and back: dump() after every callback, load()
	 * instead of init() when a state was committed before. dump() returns a new reference.
	 * load() answers as init() does. One that is not durable may have dump() alone, to tell
	 * its state to `jobberd show --state`.
	 */
	json_t *(*dump)(void *state);
	struct gen_return (*load)(struct gen_server *server, const json_t *arguments,
	    const json_t *dumped, void **ret_state);
};

/*
 * Be this server, as a program of its own, on the descriptor in JOBBERD_FD. Returns the exit
 * status for main: 0, or 70 (EX_SOFTWARE) when it was not started by jobberd or its stream
 * broke. argv[1] … become init's arguments unless jobberd gives others.
 */
int gen_server_main(const struct gen_server_ops *ops, int argc, char **argv);

/* ---- who we are ---- */

const char *gen_name(const struct gen_server *server); /* the registered name */
int64_t gen_id(const struct gen_server *server);       /* the job's id */
int64_t gen_attempt(const struct gen_server *server);  /* 1 at the first start */
bool gen_is_durable(const struct gen_server *server);

/*
 * With true, a shutdown by the supervisor runs terminate first, in its place among the
 * messages; without, which is the default, the process is ended with SIGTERM at once.
 */
void gen_trap_exit(struct gen_server *server, bool traps);

/* ---- talking to others ---- */

/* Why gen_call() and others failed. */
struct gen_error {
	char word[32];	  /* timeout, noproc, calling_self, overloaded, restarting, error … */
	char reason[256]; /* for people; the reason of a server that died meanwhile */
	json_t *data;	  /* an error reply's data, to be released; or NULL */
};

/* Answer a caller whose handle_call returned GEN_NOREPLY. Frees `from`; takes over reply. */
void gen_reply(struct gen_server *server, struct gen_from *from, json_t *reply);
/* The same with an error: the caller's call fails with this word and data (may be NULL). */
void gen_reply_error(
    struct gen_server *server, struct gen_from *from, const char *word, json_t *data);
/* Which caller it is: "client:PID" or "job:ID". Good as long as `from`. */
const char *gen_from_name(const struct gen_from *from);

#define GEN_DEFAULT_TIMEOUT 5000
#define GEN_INFINITY (-1)

/*
 * Call a server by its name (or its id in digits) and wait for its answer; messages that come
 * meanwhile wait too. A new reference, or NULL with *ret_error (may be NULL).
 */
json_t *gen_call(struct gen_server *server, const char *to, json_t *message,
    int64_t timeout_ms, struct gen_error *ret_error);
void gen_error_done(struct gen_error *error);

/* These do not fail: to nobody is as good as to somebody. gen_send() arrives as an info. */
void gen_cast(struct gen_server *server, const char *to, json_t *message);
void gen_send(struct gen_server *server, const char *to, json_t *message);

/*
 * An info to ourselves, or to another (`to` not NULL), in so many milliseconds, 0 or more.
 * The timer's id, above 0; -1 when it could not be made. A timer to ourselves dies with the
 * process, unless the server is durable.
 */
int64_t gen_send_after(
    struct gen_server *server, const char *to, json_t *message, int64_t delay_ms);
/* What was left of it; -1: it has fired (its message may still be under way), or never was. */
int64_t gen_cancel_timer(struct gen_server *server, int64_t timer);
int64_t gen_read_timer(struct gen_server *server, int64_t timer);

/* The id of the live job that has this name, 0: none. */
int64_t gen_whereis(struct gen_server *server, const char *name);

/*
 * handle_info({"down": ID, "ref": REF, "reason": R}) once, when that server or job ends;
 * at once with reason "noproc" if there is none. REF, or -1.
 */
int64_t gen_monitor(struct gen_server *server, const char *to);
/* No news of it any more, not even that which waits already. */
void gen_demonitor(struct gen_server *server, int64_t ref);

/* ---- groups ---- */

/*
 * Call every server of a group, all at once, and wait until each has replied or cannot any
 * more. New references, each unless NULL: {NAME: REPLY, …}, and the names of all others. A
 * silent member is no error. 0; or -1 with *ret_error (may be NULL).
 */
int gen_multi_call(struct gen_server *server, const char *group, json_t *message,
    int64_t timeout_ms, json_t **ret_replies, json_t **ret_bad, struct gen_error *ret_error);
/* gen_cast() to every one of them; nobody is as good as somebody. */
void gen_abcast(struct gen_server *server, const char *group, json_t *message);

/*
 * Be in a group, besides those that it was started with, while this process lives; or be in
 * one no more. 0; or -1 with *ret_error (may be NULL).
 */
int gen_join(struct gen_server *server, const char *group, struct gen_error *ret_error);
int gen_leave(struct gen_server *server, const char *group, struct gen_error *ret_error);

/* ---- jobs and tasks ---- */

/*
 * Record a job: an object with the keys of submit --batch, at least "command". Its id; -1
 * with *ret_error (may be NULL). In a callback of a durable server the job is part of what
 * the callback commits, and its id comes as handle_info({"job": ID, "ref": REF}); the value
 * returned is REF.
 */
int64_t gen_start_job(struct gen_server *server, json_t *job, struct gen_error *ret_error);
/*
 * The same as a task of ours: max_retries 0 unless told, ended with us, and its end comes
 * back: handle_info({"task": ID, "result": VALUE}) if it succeeded, then, always,
 * handle_info({"down": ID, "ref": ID, "reason": R}). VALUE is the job's result, or null.
 */
int64_t gen_async(struct gen_server *server, json_t *job, struct gen_error *ret_error);

/*
 * From here on the failure of this task of ours is ours: when it has ended with R, and R is not
 * "normal", we end with the reason R, at once and without terminate, even in a callback that
 * waits for somebody. With gen_trap_exit() handle_info({"exit": ID, "reason": R}) comes instead,
 * however it ended, before its "down". The link is this process's: it does not outlive it.
 */
void gen_link_task(struct gen_server *server, int64_t task);

enum gen_await {
	GEN_AWAIT_OK,	   /* *ret_result is a new reference */
	GEN_AWAIT_EXIT,	   /* it ended otherwise: *ret_error says how */
	GEN_AWAIT_TIMEOUT, /* not yet */
};
/* Wait for a task's end; its messages are then not handled by handle_info. Once. */
enum gen_await gen_await(struct gen_server *server, int64_t task, int64_t timeout_ms,
    json_t **ret_result, struct gen_error *ret_error);
/*
 * End a task, and hear no more of it. GEN_AWAIT_OK: it had its result already;
 * GEN_AWAIT_EXIT: it had ended otherwise; GEN_AWAIT_TIMEOUT: it was ended now.
 */
enum gen_await gen_shutdown_task(struct gen_server *server, int64_t task,
    json_t **ret_result, struct gen_error *ret_error);

/* ---- being seen ---- */

void gen_log(struct gen_server *server, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void gen_progress(struct gen_server *server, double fraction, const char *text);

#endif
