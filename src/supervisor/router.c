/*
 * router: messages to servers. A message is a line in the server's channel; a call stands
 * here until it is answered, by the server, its end, or the caller's time-out. Nothing here
 * waits: past the limits of memory the sender is told `overloaded`.
 */

#include "base/log.h"
#include "base/xalloc.h"
#include "supervisor/group.h"
#include "supervisor/plain.h"
#include "supervisor/pool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct call {
	RB_ENTRY(call) entry;	    /* by ref */
	TAILQ_ENTRY(call) outgoing; /* of the calling server */
	struct server *server;	    /* that is to answer */
	char ref[ENVELOPE_REF_SIZE];
	struct caller caller;
	struct timer timer;
};

static int
compare(const struct call *a, const struct call *b)
{
	return strcmp(a->ref, b->ref);
}

RB_GENERATE_INTERNAL(call_tree, call, entry, compare, __attribute__((unused)) static)

/* ---- callers ---- */

struct buf *
router_out(struct server *server)
{
	return server->live->channel != NULL ? &server->live->channel->out : &server->early;
}

static void
drop_id(struct caller caller)
{
	if (caller.server != NULL)
		json_decref(caller.id);
}

void
router_answer(struct caller caller, json_t *result)
{
	if (caller.request != NULL)
		request_reply(caller.request, result);
	else if (caller.server != NULL) {
		rpc_add_result(router_out(caller.server), caller.id, result);
		router_queue(caller.server);
	} else if (caller.part != NULL)
		group_take_answer(caller.part, result);
	else
		json_decref(result);
}

void
router_answer_text(struct caller caller, struct rpc_text result)
{
	if (caller.request != NULL)
		request_reply_text(caller.request, result);
	else if (caller.server != NULL) {
		rpc_add_text_result(router_out(caller.server), caller.id, result);
		router_queue(caller.server);
	} else if (caller.part != NULL)
		group_take_answer(caller.part,
		    json_loadb(result.text, result.length, JSON_DECODE_ANY, NULL));
}

void
router_answer_error(struct caller caller, int code, const char *word, json_t *data)
{
	struct error error;

	if (caller.request != NULL) {
		error_set(&error, code, "%s", word);
		request_fail(caller.request, &error, data);
	} else if (caller.server != NULL) {
		rpc_add_error(router_out(caller.server), caller.id, code, word, data);
		router_queue(caller.server);
	} else {
		json_decref(data);
		if (caller.part != NULL)
			group_take_answer(caller.part, NULL);
	}
}

/* The server's error as it is, its code and words included. */
static void
pass_error(struct caller caller, const struct rpc_message *message)
{
	json_t *data = json_pack("{s:i, s:O*}", "code", message->code, "data", message->data);

	router_answer_error(caller, STATUS_NO, message->message, data);
}

void
router_pass_answer(struct caller caller, const struct rpc_message *message)
{
	if (message->kind == RPC_RESULT)
		router_answer(caller, json_incref(message->result));
	else
		pass_error(caller, message);
}

static void
finish(struct call *call)
{
	struct server *server = call->server;

	RB_REMOVE(call_tree, &server->calls, call);
	server->call_count--;
	gauge_changed(server);
	if (call->caller.server != NULL)
		TAILQ_REMOVE(&call->caller.server->outgoing, call, outgoing);
	loop_timer_remove(server->supervisor->loop, &call->timer);
	drop_id(call->caller);
	free(call);
}

static void
timed_out(void *arg)
{
	struct call *call = arg;

	router_answer_error(call->caller, STATUS_TIMED_OUT, "timeout", NULL);
	finish(call);
}

/* ---- what waits to be written ---- */

void
router_queue(struct server *server)
{
	struct supervisor *supervisor = server->supervisor;

	if (server->is_queued)
		return;
	server->is_queued = true;
	TAILQ_INSERT_TAIL(&supervisor->servers->queued, server, queued);
}

static void
count_bytes(struct server *server)
{
	struct supervisor *supervisor = server->supervisor;
	size_t now = router_out(server)->length;

	supervisor->servers->bytes += now - server->counted_bytes;
	server->counted_bytes = now;
}

void
router_flush(struct supervisor *supervisor)
{
	struct server *server;

	while ((server = TAILQ_FIRST(&supervisor->servers->queued)) != NULL) {
		TAILQ_REMOVE(&supervisor->servers->queued, server, queued);
		server->is_queued = false;
		if (server->live->channel != NULL)
			channel_flush(server->live->channel);
		count_bytes(server);
		pool_written(server);
	}
}

static bool
is_overloaded(struct server *server)
{
	return router_out(server)->length + server->held_bytes > SERVER_MOST_BYTES ||
	    server->supervisor->servers->bytes > SERVER_MOST_BYTES_ALL;
}

int64_t
router_mailbox(struct server *server)
{
	return server->counts ? server->sent - server->handled
	    : router_out(server)->length > 0
	    ? (int64_t)server->call_count + 1
	    : (int64_t)server->call_count;
}

/* ---- messages ---- */

_Static_assert(SERVER_LARGEST_MESSAGE == 1047552, "SERVER_TOO_LARGE says so");

int
router_send(struct server *to, const char *method, struct rpc_text message, int64_t seq,
    int64_t timer)
{
	bool is_next = seq != 0 && to->in_flight_count == 0; /* … without which it would wait */
	struct buf *out;

	if (to->plain != NULL)
		return 0; /* as if it were thrown away unread */
	if (to->live == NULL || (is_overloaded(to) && !is_next))
		return -1;
	if (to->is_being_stopped && seq == 0)
		return 0; /* behind the stop nothing is handled */
	out = router_out(to);
	rpc_begin(out, NULL, method);
	rpc_add_text_param(out, "message", message);
	if (seq != 0)
		rpc_add_param(out, "seq", json_integer(seq));
	if (timer != 0)
		rpc_add_param(out, "timer", json_integer(timer));
	rpc_end(out);
	to->sent++;
	if (seq == 0)
		gauge_sent(to);
	router_queue(to);
	return 0;
}

static struct call *
find_call(struct server *server, const char *ref)
{
	struct call wanted;

	if (strlen(ref) >= sizeof(wanted.ref))
		return NULL;
	memcpy(wanted.ref, ref, strlen(ref) + 1);
	return RB_FIND(call_tree, &server->calls, &wanted);
}

static struct call *
add_call(struct server *to, struct caller caller, const struct envelope *envelope)
{
	struct call *call = xcalloc(1, sizeof(*call));

	call->server = to;
	call->caller = caller;
	memcpy(call->ref, envelope->ref, strlen(envelope->ref) + 1);
	call->timer = (struct timer){ .fire = timed_out, .arg = call };
	if (caller.server != NULL) {
		json_incref(caller.id);
		TAILQ_INSERT_TAIL(&caller.server->outgoing, call, outgoing);
	}
	RB_INSERT(call_tree, &to->calls, call);
	to->call_count++;
	if (envelope->timeout_ms >= 0)
		loop_timer_set(to->supervisor->loop, &call->timer, envelope->timeout_ms);
	return call;
}

/*
 * Its caller asks again after a supervisor process has died, and its first line may or may
 * not have been heard: only a server that remembers is sent it again.
 */
static bool
must_send(const struct server *to, bool is_repeated)
{
	return !is_repeated || to->resumes;
}

/* true: it has to wait. */
static bool
write_call(struct server *to, const char *from, const struct envelope *envelope)
{
	struct rpc_text message = envelope->message;
	struct buf *out = router_out(to);
	size_t before = out->length;

	rpc_begin(out, envelope->ref, message.text != NULL ? "call" : "state");
	if (message.text != NULL) {
		rpc_add_text_param(out, "message", message);
		rpc_add_param(out, "from", json_string(from));
	}
	rpc_end(out);
	return behind_hold(to, before, false);
}

void
router_call(struct server *to, struct caller caller, const char *from,
    const struct envelope *envelope)
{
	bool is_repeated = envelope->is_repeated;
	struct call *twin;

	if (caller.server == to) {
		router_answer_error(caller, STATUS_STATE, "calling_self", NULL);
		return;
	}
	if (is_repeated && late_answer(to, caller, envelope->ref))
		return;
	if (is_overloaded(to) || to->call_count >= SERVER_MOST_CALLS) {
		router_answer_error(caller, STATUS_TRY_LATER, "overloaded", NULL);
		return;
	}
	twin = find_call(to, envelope->ref);
	if (twin != NULL) { /* its connection broke, and this is the same caller */
		router_answer_error(twin->caller, STATUS_STATE, "asked again", NULL);
		finish(twin);
		is_repeated = true;
	}
	add_call(to, caller, envelope);
	if (!must_send(to, is_repeated) || to->is_being_stopped)
		return;
	gauge_sent(to);
	if (write_call(to, from, envelope))
		return;
	to->sent++;
	router_queue(to);
}

void
router_take_answer(struct server *server, const struct rpc_message *message)
{
	const char *ref = json_string_value(message->id);
	struct call *call;

	if (pool_take_answer(server, message))
		return;
	call = ref != NULL ? find_call(server, ref) : NULL;
	if (call == NULL) { /* its caller has given up, or will come back */
		late_keep(server, message);
		return;
	}
	router_pass_answer(call->caller, message);
	finish(call);
}

bool
router_pass_on_answer(struct server *server, const struct skim *skim)
{
	struct rpc_text id;
	char ref[ENVELOPE_REF_SIZE];
	struct call *call;

	if (!skim_string(skim->id, &id) || id.length >= sizeof(ref))
		return false;
	memcpy(ref, id.text, id.length);
	ref[id.length] = '\0';
	call = find_call(server, ref);
	if (call == NULL)
		return false;
	router_answer_text(call->caller, skim->result);
	finish(call);
	return true;
}

void
router_fail_calls(struct server *server, int code, const char *word)
{
	struct call *call;

	while ((call = RB_MIN(call_tree, &server->calls)) != NULL) {
		router_answer_error(call->caller, code, word, NULL);
		finish(call);
	}
}

void
router_forget_caller(struct server *server)
{
	struct call *call;

	while ((call = TAILQ_FIRST(&server->outgoing)) != NULL) {
		TAILQ_REMOVE(&server->outgoing, call, outgoing);
		json_decref(call->caller.id);
		call->caller.server = NULL;
	}
	if (server->is_queued)
		TAILQ_REMOVE(&server->supervisor->servers->queued, server, queued);
	server->is_queued = false;
	server->supervisor->servers->bytes -= server->counted_bytes;
	server->counted_bytes = 0;
}
