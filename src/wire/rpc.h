#ifndef WIRE_RPC_H
#define WIRE_RPC_H

#include "base/buf.h"
#include "base/error.h"

#include <jansson.h>
#include <string.h>

/* JSON-RPC 2.0 messages, one object a line. Our own errors carry an exit status as code. */

enum rpc_code {
	RPC_PARSE_ERROR = -32700,
	RPC_INVALID_REQUEST = -32600,
	RPC_METHOD_NOT_FOUND = -32601,
	RPC_INVALID_PARAMS = -32602,
};

/* Bytes of a text that a job says on its descriptor 3. */
#define RPC_LARGEST_NOTE 65536

/* JSON, or a part of it, that somebody else has. */
struct rpc_text {
	const char *text; /* NULL: there is none; else not terminated */
	size_t length;
};

static inline struct rpc_text
rpc_text(const char *text)
{
	return (struct rpc_text){ text, text != NULL ? strlen(text) : 0 };
}

enum rpc_kind { RPC_REQUEST, RPC_NOTIFICATION, RPC_RESULT, RPC_ERROR };

struct rpc_message {
	enum rpc_kind kind;
	json_t *root;	    /* owns all below; rpc_message_done() */
	const char *method; /* RPC_REQUEST, RPC_NOTIFICATION */
	json_t *params;	    /* an object or array; NULL if absent */
	json_t *id;	    /* RPC_REQUEST, RPC_RESULT, RPC_ERROR */
	json_t *result;
	int code;	     /* RPC_ERROR */
	const char *message; /* RPC_ERROR */
	json_t *data;	     /* RPC_ERROR: may be NULL */
};

/* 0; else the code of the error to answer with, and *ret_message is not filled in. */
int rpc_parse(const char *line, size_t length, struct rpc_message *ret_message);
void rpc_message_done(struct rpc_message *message);

/* A value as it stands in a line; to be freed. NULL only for one that contains itself. */
char *rpc_dump(const json_t *value);
/*
 * JSON as it may stand in a line, to be freed: the same text, for numbers written again may be
 * longer, unless that has more lines than one. NULL: it is no JSON.
 */
char *rpc_one_line(const char *text);

/*
 * Append a message with its newline. `params`, `result` and `data` are taken over. `method` is
 * a plain word.
 */
void rpc_add_request(struct buf *out, json_int_t id, const char *method, json_t *params);
void rpc_add_named_request(struct buf *out, const char *id, const char *method,
    json_t *params);
void rpc_add_notification(struct buf *out, const char *method, json_t *params);
/* The same, parameter by parameter, all taken over; their names are plain. `id` may be NULL. */
void rpc_begin(struct buf *out, const char *id, const char *method);
void rpc_add_param(struct buf *out, const char *name, json_t *value);
void rpc_add_text_param(struct buf *out, const char *name, struct rpc_text value);
void rpc_end(struct buf *out);
void rpc_add_result(struct buf *out, json_t *id, json_t *result);
void rpc_add_text_result(struct buf *out, json_t *id, struct rpc_text result);
void rpc_add_error(struct buf *out, json_t *id, int code, const char *message, json_t *data);

#endif
