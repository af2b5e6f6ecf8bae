#ifndef WIRE_SKIM_H
#define WIRE_SKIM_H

#include "wire/rpc.h"

#include <stdbool.h>
#include <stdint.h>

#define SKIM_MEMBERS 8 /* of params */

/*
 * A line as far as it has to be understood to be passed on: who is asked for what, and where in
 * it the values stand, which remain text. Making values of them only to write them again would
 * be most of what a message costs.
 *
 * Only plain lines are vouched for, those of which it is sure that rpc_parse() takes them, too,
 * and so does whoever they are passed on to.
 */
struct skim {
	enum rpc_kind kind;   /* not RPC_ERROR */
	struct rpc_text id;   /* RPC_NOTIFICATION: text NULL */
	struct rpc_text method; /* RPC_REQUEST, RPC_NOTIFICATION; without quotes */
	struct rpc_text result; /* RPC_RESULT */
	size_t member_count;
	struct skim_member {
		struct rpc_text name; /* without quotes */
		struct rpc_text value;
	} members[SKIM_MEMBERS];
};

/*
 * 0; or -1: this is none, or not plain, and rpc_parse() has to say what it is. So it is with
 * methods that are not wanted, as soon as they are seen.
 */
int skim(struct skim *ret, const char *line, size_t length,
    bool (*wants)(struct rpc_text method));

/* A member of params, its text NULL if there is none. */
struct rpc_text skim_param(const struct skim *skim, const char *name);

/* Is the text this one? */
bool skim_is(struct rpc_text text, const char *word);
/* Is it an integer? Then *ret_value is set. */
bool skim_integer(struct rpc_text text, int64_t *ret_value);
/* Is it a string, without escapes? Then *ret_value is what stands between its quotes. */
bool skim_string(struct rpc_text text, struct rpc_text *ret_value);
/* Such an integer or string as a value, a new reference; NULL: it is neither. */
json_t *skim_json(struct rpc_text text);

#endif
