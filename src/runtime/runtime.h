#ifndef RUNTIME_RUNTIME_H
#define RUNTIME_RUNTIME_H

#include "base/buf.h"
#include "base/clock.h"
#include "wire/rpc.h"

#include <jobber/jobber.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* What libjobber is made of; nothing in here is for its users. */

/* ---- what came and waits ---- */

enum message_kind {
	MESSAGE_CALL,
	MESSAGE_CAST,
	MESSAGE_INFO,
	MESSAGE_STATE, /* somebody asks for it, unknown to the callbacks */
	MESSAGE_TERMINATE,
	MESSAGE_KIND_COUNT
};

struct message {
	TAILQ_ENTRY(message) entry;
	enum message_kind kind;
	json_t *value; /* MESSAGE_TERMINATE: the reason */
	json_t *id;    /* MESSAGE_CALL, MESSAGE_STATE, MESSAGE_TERMINATE */
	json_t *from;  /* MESSAGE_CALL */
	json_t *seq;   /* of a durable server's casts and infos; else NULL */
	json_int_t timer; /* that it comes from; 0: none */
	bool is_own; /* nobody sent it: the supervisor does not count it */
};

TAILQ_HEAD(message_queue, message);

/* ---- calls, from handle_call until their answer ---- */

struct gen_from {
	TAILQ_ENTRY(gen_from) entry;
	json_t *id;
	json_t *name; /* a string */
};

TAILQ_HEAD(from_queue, gen_from);

/* Answers that were given, for calls that a client repeats after a `resume`. */
#define ANSWERS_MOST 256
#define ANSWERS_MOST_BYTES (4U << 20)

struct answer {
	json_t *id;
	char *line;
	size_t length;
};

struct answers {
	struct answer *ring; /* ANSWERS_MOST of them, `count` used from `first` on; NULL first */
	size_t first, count, bytes;
};

/* ---- a request of ours; there is one at a time ---- */

struct request {
	json_int_t id;
	const char *method;
	json_t *params;
	bool is_answered;
	struct rpc_message answer; /* RPC_RESULT or RPC_ERROR */
};

/* ---- what a durable callback has issued, until its commit ---- */

enum outgoing {
	OUTGOING_REPLY,
	OUTGOING_CAST,
	OUTGOING_SEND,
	OUTGOING_SEND_AFTER,
	OUTGOING_CANCEL,
	OUTGOING_START_JOB,
	OUTGOING_COUNT
};

/* Messages that were committed last, or taken by gen_await(): so few suffice, see durable.c. */
#define COMMITTED_MOST 64

struct gen_server {
	const struct gen_server_ops *ops;
	void *state;
	bool has_state; /* init or load has made it */

	/* stream.c */
	int fd;
	struct buf in, out;
	bool is_at_end;		 /* nothing more will come */
	bool has_unseen; /* bytes were read into `in` while something was written */
	bool is_unheard;	 /* nothing that we write arrives */

	/* mailbox.c */
	struct message_queue queue;
	bool was_garbled;	 /* the last line was no message */
	bool was_resumed;	 /* calls and messages may come twice from now on */
	json_t *ended_tasks;	 /* ids whose "down" is still to be dropped, as keys */
	json_t *links;		 /* gen_links.c: ids of linked tasks, as keys; or NULL */
	uint64_t unreported;	 /* messages handled and not said so yet */

	/* who we are */
	json_t *init_id, *init_params, *init_answer;
	char *name;
	int64_t id, attempt;
	bool is_durable, traps_exit;
	bool trap_exit_was_told; /* since the answer to `init` */

	/* answers.c */
	struct from_queue at_work;
	struct answers answers;

	/* requests.c */
	json_int_t last_request;
	struct request *request; /* that waits for its answer; or NULL */

	/* durable.c */
	json_t *outgoing[OUTGOING_COUNT]; /* arrays, or NULL */
	uint32_t last_ref;
	json_t *consumed; /* seqs that gen_await() and others took: an array, or NULL */
	json_int_t fired[COMMITTED_MOST]; /* timers whose messages were taken, the last ones */
	size_t fired_count;
	json_int_t committed[COMMITTED_MOST];
	size_t committed_count;

	/* dispatch.c: what follows the last callback */
	json_t *continue_with;
	int64_t idle_timeout_ms;
	bool hibernates, is_ending;
};

/* ---- gen_server.c ---- */

/* gen_server_main() on this descriptor, which is taken over. */
int gen_server_run(const struct gen_server_ops *ops, int fd, int argc, char **argv);
void server_tell_trap_exit(struct gen_server *server);
/* The words behind a program's name as an array of strings. */
json_t *words_to_json(int argc, char **argv);

/* ---- work.c ---- */

/* Be this work: tell its result on this descriptor. Returns the exit status. */
int jobber_work_run(jobber_work *work, int fd, int argc, char **argv);

/* ---- stream.c: bytes ---- */

/* A line of ours, as of the supervisor; what it says to us may carry such a line within. */
#define STREAM_LARGEST (1U << 20)

enum stream_event { STREAM_BYTES, STREAM_TIMEOUT, STREAM_END, STREAM_SIGTERM };

/* Wait for more bytes in `in`, at most so long; -1: as long as it takes. */
enum stream_event stream_wait(struct gen_server *server, int64_t timeout_ms);
/* Write all of `out`. */
void stream_flush(struct gen_server *server);
/* SIGTERM is STREAM_SIGTERM from now on, or is deadly again. */
void stream_trap_sigterm(bool traps);

/* ---- mailbox.c: lines ---- */

/* Turn what was read into messages, and answers. */
void mailbox_take_lines(struct gen_server *server);
/* The next message, or NULL; to message_free(). */
struct message *mailbox_pop(struct gen_server *server);
/* The first info for which this is true; NULL if there is none. */
struct message *mailbox_find_info(struct gen_server *server,
    bool (*is_it)(const json_t *message, const void *arg), const void *arg);
/* Take it out, unhandled: it counts as handled. */
void mailbox_consume(struct gen_server *server, struct message *message);
/* Tell how many messages have been handled. */
void mailbox_report(struct gen_server *server);
void message_free(struct message *message);
/* Wait, until this time (-1: for ever), for more lines, and take them. */
enum stream_event mailbox_wait(struct gen_server *server, int64_t until_ms);

/* ---- gen_tasks.c ---- */

/* Is it the end of the task whose id is at `arg`? */
bool task_is_down(const json_t *message, const void *arg);

/* ---- gen_links.c ---- */

/* An info came, which may be the end of a linked task: it may end the process. */
void links_take(struct gen_server *server, struct message *message);
void links_forget(struct gen_server *server, int64_t task);

/* ---- answers.c: calls at work, and answers that were given ---- */

struct gen_from *answers_begin(struct gen_server *server, struct message *call);
bool answers_is_at_work(const struct gen_server *server, const struct gen_from *from);
void from_free(struct gen_server *server, struct gen_from *from);
/*
 * Answer and free: with `result` (taken over), or with an error. It leaves with the next
 * stream_flush(), or with the commit.
 */
void answers_result(struct gen_server *server, struct gen_from *from, json_t *result);
void answers_error(struct gen_server *server, struct gen_from *from, int code,
    const char *message, json_t *data);
/* These replies of a commit are on disk: remember them. */
void answers_committed(struct gen_server *server, const json_t *replies);
/* This call came before: it was answered again, or is at work. */
bool answers_repeat(struct gen_server *server, const json_t *id);
void answers_done(struct gen_server *server);

/* ---- requests.c: requests and notifications to the supervisor ---- */

/*
 * Send, and wait for the answer while messages queue. 0 and *ret_result, which the caller
 * releases; or -1 and *error. `params` is taken over. `timeout` is what `timeout` was.
 */
int request_send(struct gen_server *server, const char *method, json_t *params,
    json_t **ret_result, struct gen_error *ret_error);
/* `resume`: what was not answered goes out again. */
void request_again(struct gen_server *server);
/* A response came. It is taken over, if it is ours. */
void request_take_answer(struct gen_server *server, struct rpc_message *message);
/* Send; `params` is taken over. What does not fit a line is noted in the history instead. */
void notify(struct gen_server *server, const char *method, json_t *params);
int gen_error_set(struct gen_error *error, const char *word, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* {"to": TO, "message": MESSAGE}; message is taken over. `to` in digits is an id. */
json_t *addressed(const char *to, json_t *message);
/* Text of anybody's as a JSON string: what is not UTF-8 is escaped. */
json_t *json_text(const char *text);
/* A reason as terminate gets it; to be freed. */
char *reason_text(const json_t *reason);

/* ---- durable.c ---- */

/* Keep it for the commit. Takes over `item`. */
void durable_add(struct gen_server *server, enum outgoing kind, json_t *item);
/* A number for a timer or a job, never used before by this server. */
json_int_t durable_ref(struct gen_server *server);
/* What the callback issued is forgotten. */
void durable_discard(struct gen_server *server);
bool durable_has_outgoing(const struct gen_server *server);
/*
 * Commit `state` (taken over) and what was issued since the last time. 0, or -1 with *ret_reason,
 * for which the server has to end.
 */
int durable_commit(
    struct gen_server *server, json_t *seq, json_t *state, json_t **ret_reason);
/* It was committed just now, or is going to be. */
bool durable_knows_seq(const struct gen_server *server, const json_t *seq);
/* A timer or job of this callback's, still uncommitted: its place, or -1. */
int durable_find(
    const struct gen_server *server, enum outgoing kind, json_int_t ref);

/* ---- dispatch.c: callbacks, and what they lead to ---- */

enum callback {
	CALLBACK_INIT,
	CALLBACK_CONTINUE,
	CALLBACK_CALL,
	CALLBACK_CAST,
	CALLBACK_INFO,
	CALLBACK_COUNT
};

/* Run init, or load when there is a state, and answer. */
void dispatch_init(struct gen_server *server, const json_t *arguments, json_t *dumped);
void dispatch_continue(struct gen_server *server);
void dispatch_message(struct gen_server *server, struct message *message);
/* handle_info("timeout") */
void dispatch_idle(struct gen_server *server);

/* ---- ending.c ---- */

/* Does a durable server commit at its end? */
enum ending_commit {
	ENDING_NO_COMMIT,   /* a callback failed: what was committed last holds */
	ENDING_COMMITS_NEWS, /* if terminate has issued something */
	ENDING_COMMITS,
};

/* How a server ends. What is in it is taken over, `seq` apart. */
struct ending {
	json_t *reason;
	struct gen_from *from; /* with `reply`: who gets it, after terminate */
	json_t *reply;
	json_t *terminate_id;  /* of the request that asked for it */
	json_t *seq;
	enum ending_commit commit;
};

void server_end(struct gen_server *server, struct ending *ending);
/* The state as JSON, a new reference; or NULL with *ret_reason. */
json_t *server_dump(struct gen_server *server, json_t **ret_reason);

/* ---- gen_return.c ---- */

/* Is this allowed in that callback? If not, false and what it is in words. */
bool return_is_allowed(
    const struct gen_return *what, enum callback callback, char *ret_words, size_t size);
/* Drop what a return value holds. */
void return_done(struct gen_return *what);

#endif
