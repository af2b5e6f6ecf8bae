#ifndef SUPERVISOR_CLIENT_H
#define SUPERVISOR_CLIENT_H

#include "supervisor/supervisor.h"
#include "wire/channel.h"
#include "wire/skim.h"

/* A connection to the control socket. */
struct client {
	TAILQ_ENTRY(client) entry;
	struct supervisor *supervisor;
	struct channel channel;
	bool is_queued; /* among those with something to write */
	TAILQ_ENTRY(client) queued;
	bool is_gone;	    /* freed when nothing refers to it any more */
	bool has_submitted; /* it keeps a draining supervisor */
	bool follows;	    /* wants to hear of commits */
	bool was_told;	    /* of the commits since the last pause */
	char name[32];	    /* "client:PID", as servers are told; "": not asked yet */
	uint64_t answered_in; /* the round of siblings.c, 0: none */
	int open_requests;  /* answers that are still to come */
};

/*
 * A request on its way through a turn: who asked, and with what id. Ends with
 * request_reply() or request_fail(), which free it.
 */
struct request {
	struct client *client;
	json_t *id;
	void *own; /* of whoever handles it */
};

struct request *request_new(struct client *client, json_t *id);
void request_reply(struct request *request, json_t *result); /* takes over result */
void request_reply_text(struct request *request, struct rpc_text result);
void request_fail(struct request *request, const struct error *error, json_t *data);
void request_drop(struct request *request); /* another one is answered for it */
/* The same for one that is answered at once. */
void request_refuse(struct client *client, json_t *id, int code, const char *text);
/* Something ahead of the answer, as a notification; takes over params. */
void request_notify(struct request *request, const char *method, json_t *params);

/* siblings.c: it was answered; it has come back, or is gone */
void siblings_answered(struct client *client);
void siblings_heard(struct client *client);

/* requests.c: the methods of the control socket */
struct method {
	const char *name;
	void (*handle)(struct client *client, json_t *id, json_t *params);
	enum {
		METHOD_AT_ONCE,	 /* needs no database; else it is put off until all is settled … */
		METHOD_WAITS,	 /* … however long that takes */
		METHOD_REFUSABLE /* … but refused if a full or broken disk is in the way */
	} when;
};
extern const struct method methods[]; /* ends with a NULL name */

/* deferred.c: those that are put off. The first two may refuse. */
void deferred_add(
    struct client *client, const struct method *method, json_t *id, json_t *params);
void deferred_refuse(struct supervisor *supervisor); /* something is in the way */
void deferred_handle(struct supervisor *supervisor); /* all is settled */
void deferred_done(struct supervisor *supervisor);

/* change.c: cancel, retry, hold, release */
void change_request(
    struct client *client, json_t *id, json_t *params, enum job_event event);

/* submit.c: new jobs */
void submit_request(struct client *client, json_t *id, json_t *params);
/*
 * A step that records these jobs, with what `params` says for all of them; the caller gives
 * it its act. NULL with *error and which one was bad, or how many there are.
 */
struct step *submit_add(struct client *client, const json_t *jobs, const json_t *params,
    size_t *ret_bad, struct error *error);
/* Add to an error's data whose the name is, or which supervisor has no place. */
void submit_add_refusal(json_t *data, const struct step *step);
/* From here on a draining supervisor does not leave before this client does. */
void submit_keep_for(struct client *client);

/* server_start.c, and server_requests.c: what clients ask of servers */
void server_handle_start(struct client *client, json_t *id, json_t *params);
void server_handle_call(struct client *client, json_t *id, json_t *params);
void server_handle_state(struct client *client, json_t *id, json_t *params);
void server_handle_cast(struct client *client, json_t *id, json_t *params);
void server_handle_send(struct client *client, json_t *id, json_t *params);
/* A skimmed request was passed on; false: nothing was done, it has to be parsed. */
bool server_handle_skimmed(struct client *client, const struct skim *skim);
void server_handle_stop(struct client *client, json_t *id, json_t *params);

/* set_aside.c: messages that their servers have crashed over too often */
void set_aside_request(struct client *client, json_t *id, json_t *params, bool is_drop);

/* supervisors.c: supervisors, the records, as people make them */
void supervisors_request(struct client *client, json_t *id, json_t *params);
void supervisors_done(struct supervisor *supervisor); /* all are told that we leave */

/* wait.c: who waits for the end of which jobs */
void wait_request(struct client *client, json_t *id, json_t *params);
/* Does somebody wait for one of these? */
bool wait_is_for(struct supervisor *supervisor, const struct ended_job *ended, size_t count);
void wait_jobs_ended(struct supervisor *supervisor, const struct ended_job *ended,
    size_t count);
void wait_client_gone(struct client *client);
void wait_done(struct supervisor *supervisor);

/* prune.c: jobs that are forgotten */
void prune_request(struct client *client, json_t *id, json_t *params);
void prune_delete_request(struct client *client, json_t *id, json_t *params);

/* status.c: the state of the supervisor process, for the verb `status` */
json_t *status_json(struct supervisor *supervisor);

#endif
