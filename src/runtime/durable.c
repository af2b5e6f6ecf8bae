/*
 * durable: what a callback of a durable server issues is kept until it has returned, and goes
 * out in one commit with its new state, all or nothing.
 *
 * After a resume the supervisor may deliver again what we have at work or have committed just
 * before its predecessor died. One commit is under way at a time, so knowing the last few is
 * enough.
 */

#include "runtime/runtime.h"

#include <stdio.h>
#include <string.h>

static const char *const members[] = {
	[OUTGOING_REPLY] = "reply",
	[OUTGOING_CAST] = "cast",
	[OUTGOING_SEND] = "send",
	[OUTGOING_SEND_AFTER] = "send_after",
	[OUTGOING_CANCEL] = "cancel",
	[OUTGOING_START_JOB] = "start_job",
};
_Static_assert(sizeof(members) / sizeof(members[0]) == OUTGOING_COUNT, "a name for each");

void
durable_add(struct gen_server *server, enum outgoing kind, json_t *item)
{
	if (server->outgoing[kind] == NULL)
		server->outgoing[kind] = json_array();
	json_array_append_new(server->outgoing[kind], item);
}

/* The attempt grows with every start of the server: no two lives of it say the same number. */
json_int_t
durable_ref(struct gen_server *server)
{
	return (json_int_t)server->attempt << 32 | ++server->last_ref;
}

void
durable_discard(struct gen_server *server)
{
	for (int kind = 0; kind < OUTGOING_COUNT; kind++) {
		json_decref(server->outgoing[kind]);
		server->outgoing[kind] = NULL;
	}
}

bool
durable_has_outgoing(const struct gen_server *server)
{
	for (int kind = 0; kind < OUTGOING_COUNT; kind++) {
		if (server->outgoing[kind] != NULL)
			return true;
	}
	return false;
}

int
durable_find(const struct gen_server *server, enum outgoing kind, json_int_t ref)
{
	const json_t *item;
	size_t i;

	json_array_foreach(server->outgoing[kind], i, item) {
		if (json_integer_value(json_object_get(item, "ref")) == ref)
			return (int)i;
	}
	return -1;
}

bool
durable_knows_seq(const struct gen_server *server, const json_t *seq)
{
	const json_t *consumed;
	size_t i, count = json_is_integer(seq) ? server->committed_count : 0;

	json_array_foreach(server->consumed, i, consumed) {
		if (json_equal(consumed, seq))
			return true;
	}
	for (i = 0; i < count && i < COMMITTED_MOST; i++) {
		if (server->committed[i] == json_integer_value(seq))
			return true;
	}
	return false;
}

static void
remember_seq(struct gen_server *server, const json_t *seq)
{
	if (json_is_integer(seq))
		server->committed[server->committed_count++ % COMMITTED_MOST] =
		    json_integer_value(seq);
}

static int
send_commit(struct gen_server *server, json_t *params, json_t **ret_reason)
{
	struct gen_error error = { .data = NULL };

	if (request_send(server, "commit", params, NULL, &error) == 0)
		return 0;
	if (strcmp(error.word, "too_large") == 0) {
		gen_log(server, "state_%s", error.reason);
		*ret_reason = json_string("state_too_large");
	} else
		*ret_reason = json_text(error.reason);
	gen_error_done(&error);
	return -1;
}

/* What gen_await() took out of the mailbox is done with, too. */
static int
commit_consumed(struct gen_server *server, json_t *state, json_t **ret_reason)
{
	json_t *consumed = server->consumed, *seq;
	int status = 0;
	size_t i;

	json_array_foreach(consumed, i, seq) {
		status = send_commit(server,
		    json_pack("{s:O, s:O}", "seq", seq, "state", state), ret_reason);
		if (status == -1)
			break;
		remember_seq(server, seq);
	}
	json_decref(consumed);
	server->consumed = NULL;
	return status;
}

int
durable_commit(struct gen_server *server, json_t *seq, json_t *state, json_t **ret_reason)
{
	json_t *params = json_pack("{s:o, s:O}", "seq",
	    seq != NULL ? json_incref(seq) : json_null(), "state", state);
	int status;

	for (int kind = 0; kind < OUTGOING_COUNT; kind++) {
		if (server->outgoing[kind] != NULL)
			json_object_set(params, members[kind], server->outgoing[kind]);
	}
	status = send_commit(server, params, ret_reason);
	if (status == 0) {
		remember_seq(server, seq);
		answers_committed(server, server->outgoing[OUTGOING_REPLY]);
	}
	durable_discard(server);
	if (status == 0 && server->consumed != NULL)
		status = commit_consumed(server, state, ret_reason);
	json_decref(state);
	return status;
}
