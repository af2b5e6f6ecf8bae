#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include "base/buf.h"
#include "base/error.h"
#include "wire/rpc.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The command line's end of the control socket. It waits; the deadline is the verb's own.
 */
struct client_connection {
	int fd;
	const char *state_directory; /* the caller's */
	struct buf in, out;
	json_int_t next_id;
	bool has_changed; /* a `changed` notification came since it was last cleared */
	bool is_lost;	  /* the supervisor process went away before it answered … */
	bool is_silent;	  /* … or it is there and answers nobody */
	bool is_to_submit; /* opened so */
	bool was_repeated; /* the last call was asked more than one of them */
	bool was_told;	  /* what the answer waits for, on standard error */
	/* Optional: what is notified besides `changed`. */
	void (*notified)(void *arg, const char *method, const json_t *params);
	void *notified_arg;
	/* Optional: called once when an answer has not come for a second. */
	void (*still_waits)(void *arg);
	void *still_waits_arg;
};

/* 0, or -1: *error has STATUS_NOT_RUNNING when nobody listens. */
int client_open(struct client_connection *connection, const char *state_directory,
    struct error *error);
/*
 * The same for somebody who is going to submit: a draining supervisor stays from now on. One
 * that is leaving already counts as none: -1 with STATUS_NOT_RUNNING, and nothing was submitted.
 * One that dies while it is greeted is no sign that nobody is there: the next one is asked.
 */
int client_open_to_submit(struct client_connection *connection, const char *state_directory,
    struct error *error);
void client_close(struct client_connection *connection);

/* Put a request into `out`, which client_write() writes; returns its id. */
json_int_t client_encode(struct client_connection *connection, const char *method,
    json_t *params, struct buf *out);
/* 0, and `out` is empty, or -1 with *error. */
int client_write(
    struct client_connection *connection, struct buf *out, struct error *error);

/* Both at once; returns its id, -1 with *error. */
json_int_t client_send(struct client_connection *connection, const char *method,
    json_t *params, struct error *error);

/*
 * The next answer, which the caller frees: 1; 0 when timeout_ms (-1: none) has passed or,
 * with stops_for_change, a `changed` notification came; -1 with *error when the connection is
 * gone or speaks nonsense. Notifications are taken note of on the way.
 */
int client_receive(struct client_connection *connection, int64_t timeout_ms,
    bool stops_for_change, struct rpc_message *ret_message, struct error *error);

/*
 * A request and its answer. A new reference to the result; NULL with *error (and *ret_data,
 * if wanted, the error's data or NULL). An answer may take its time, as long as the supervisor
 * process does answer others: it is asked every few seconds.
 */
json_t *client_call(struct client_connection *connection, const char *method,
    json_t *params, json_t **ret_data, struct error *error);
/*
 * client_call() for what may be asked again: a supervisor process that dies before it answers
 * is followed by the next, which is asked the same, with "repeated": true among the params (an
 * object); some ten of them, and the functions that are to be called are forgotten by then.
 */
json_t *client_call_again(struct client_connection *connection, const char *method,
    json_t *params, json_t **ret_data, struct error *error);
/* A name for a call that may be asked again: nobody else makes the same one. */
json_t *client_new_ref(void);

/* The second half of it, after client_send() of the only request that is not answered. */
json_t *client_answer(struct client_connection *connection, json_t **ret_data,
    struct error *error);

/* What the supervisor process says of itself, asked in passing; NULL with *error. */
json_t *client_status(const char *state_directory, struct error *error);

struct invocation;

/*
 * client_open() for a verb that can do nothing without: STATUS_OK, or the status to end with
 * after a person has been told why.
 */
int client_connect(const struct invocation *invocation, struct client_connection *connection);

#endif
