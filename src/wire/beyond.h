#ifndef WIRE_BEYOND_H
#define WIRE_BEYOND_H

#include "wire/rpc.h"

/*
 * JSON that nobody here can hold: a number beyond 64 bits, a string with a NUL or with half a
 * surrogate pair, a key twice in one object, too many levels. rpc_parse() takes it for garbage;
 * whoever wrote it, or waits for it, is to hear what is wrong.
 */

/* What it has, in words that follow "with"; NULL: it can be held, or is no JSON. */
const char *beyond(const char *text, size_t length);

/*
 * The same for a line, and *ret_message is what can be said of the message that it is: its id
 * and method, without params. An answer is an RPC_ERROR, bad_return_value. NULL also where that
 * much cannot be held either, or is no message; then *ret_message is not filled in.
 */
const char *beyond_message(
    const char *line, size_t length, struct rpc_message *ret_message);

#endif
