#ifndef SUPERVISOR_ENVELOPE_H
#define SUPERVISOR_ENVELOPE_H

#include "wire/skim.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What stands on a message to a server: to whom it goes, and for a call how long that may take.
 * The message itself is not opened.
 */
/* Requests of ours to a server; a call's is its ref. */
#define INIT_ID "init"
#define TERMINATE_ID "terminate"

#define ENVELOPE_REF_SIZE 96
#define ENVELOPE_LONGEST_REF 59 /* of a client's; we put names of our own behind it */

struct envelope {
	json_t *to;	   /* a name or an id, ours; NULL: it goes to a group, or nowhere */
	const char *group; /* borrowed; or NULL */
	struct rpc_text message; /* borrowed; its text NULL: there is none */
	int64_t timeout_ms; /* -1: none */
	bool is_repeated;   /* the caller has asked a supervisor process before this one */
	char ref[ENVELOPE_REF_SIZE]; /* the call's name; "": it has none yet */
	char *dumped;	    /* ours: the message, if it was opened */
};

/*
 * From the parameters of a request: NULL, or what is wrong with them. A time that is not said is
 * `default_ms`. envelope_done() in any case.
 */
const char *envelope_read(
    struct envelope *ret, const json_t *params, int64_t default_ms);
/* The same from a skimmed line; false: it has to be parsed to be understood. */
bool envelope_skim(struct envelope *ret, const struct skim *skim, int64_t default_ms);
void envelope_done(struct envelope *envelope);
/* Methods that envelope_skim() is for. */
bool envelope_is_for(struct rpc_text method);
/* Its message would not fit a line to a server. */
bool envelope_is_too_large(const struct envelope *envelope);

#endif
