/*
 * dispatch: a message to its callback, and what the callback returned to what it leads to,
 * both by table.
 */

#include "runtime/runtime.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

/* A callback that has returned. */
struct handled {
	enum callback callback;
	const json_t *message;
	struct gen_from *from; /* CALLBACK_CALL */
	json_t *seq;	       /* NULL: none */
	struct gen_return what;
};

static void
end_for(struct gen_server *server, json_t *reason)
{
	struct ending ending = { .reason = reason };

	server_end(server, &ending);
}

static void
end_in_words(struct gen_server *server, const char *attempt, const char *callback)
{
	end_for(server, json_sprintf("attempted to %s %s, which has no %s", attempt,
	    server->name, callback));
}

/* A durable server: what the callback has led to is on disk before anything else happens. */
static void
settle(struct gen_server *server, json_t *seq)
{
	json_t *state, *reason = NULL;

	if (server->is_durable) {
		state = server_dump(server, &reason);
		if (state == NULL || durable_commit(server, seq, state, &reason) == -1) {
			if (!server->is_at_end)
				end_for(server, reason);
			else
				json_decref(reason); /* serve() knows what to do then */
			return;
		}
	}
	stream_flush(server);
}

/* ---- what the verbs lead to ---- */

static void
go_on(struct gen_server *server, struct handled *handled)
{
	server->continue_with = handled->what.continue_with;
	handled->what.continue_with = NULL;
	server->idle_timeout_ms = handled->what.idle_timeout_ms;
	server->hibernates = handled->what.hibernates;
	settle(server, handled->seq);
}

static void
follow_reply(struct gen_server *server, struct handled *handled)
{
	/* gen_reply() may have been there before: the first answer counts. */
	if (answers_is_at_work(server, handled->from)) {
		answers_result(server, handled->from, handled->what.reply);
		handled->what.reply = NULL;
	}
	go_on(server, handled);
}

static void
follow_stop(struct gen_server *server, struct handled *handled)
{
	struct ending ending = {
		.reason = handled->what.reason,
		.from = handled->from,
		.reply = handled->what.reply,
		.seq = handled->seq,
		.commit = ENDING_COMMITS,
	};

	handled->what.reason = handled->what.reply = NULL;
	server_end(server, &ending);
}

static void
follow_unknown(struct gen_server *server, struct handled *handled)
{
	char *text = reason_text(handled->message), quoted[200];

	gen_log(server, "unknown message: %s", text_quote(quoted, sizeof(quoted), text));
	free(text);
	if (handled->from != NULL && answers_is_at_work(server, handled->from))
		answers_error(server, handled->from, 1, "unknown_message", NULL);
	go_on(server, handled);
}

/* init's verbs have functions of their own, below. */
static void (*const follow[GEN_VERB_COUNT])(struct gen_server *, struct handled *) = {
	[GEN_REPLY] = follow_reply,
	[GEN_NOREPLY] = go_on,
	[GEN_STOP] = follow_stop,
	[GEN_UNKNOWN] = follow_unknown,
};

static json_t *
bad_return_value(const char *words)
{
	return json_pack("{s:s}", "bad_return_value", words);
}

static void
lead_on(struct gen_server *server, struct handled *handled)
{
	char words[160];

	if (return_is_allowed(&handled->what, handled->callback, words, sizeof(words)))
		follow[handled->what.verb](server, handled);
	else
		end_for(server, bad_return_value(words));
	return_done(&handled->what);
}

/* ---- messages ---- */

static void
dispatch_call(struct gen_server *server, struct message *message)
{
	struct handled handled = { .callback = CALLBACK_CALL, .message = message->value };

	handled.from = answers_begin(server, message);
	if (server->ops->handle_call == NULL) {
		end_in_words(server, "call", "handle_call");
		return;
	}
	handled.what = server->ops->handle_call(
	    server, message->value, handled.from, server->state);
	lead_on(server, &handled);
}

static void
dispatch_cast(struct gen_server *server, struct message *message)
{
	struct handled handled = { .callback = CALLBACK_CAST, .message = message->value,
		.seq = message->seq };

	if (server->ops->handle_cast == NULL) {
		end_in_words(server, "cast to", "handle_cast");
		return;
	}
	handled.what = server->ops->handle_cast(server, message->value, server->state);
	lead_on(server, &handled);
}

static void
dispatch_info(struct gen_server *server, struct message *message)
{
	struct handled handled = { .callback = CALLBACK_INFO, .message = message->value,
		.seq = message->seq, .what = gen_unknown() };

	if (server->ops->handle_info != NULL)
		handled.what =
		    server->ops->handle_info(server, message->value, server->state);
	lead_on(server, &handled);
}

/*
 * For an administrator: between two callbacks, as it is then. It changes nothing, and so is
 * no part of a durable server's commits.
 */
static void
dispatch_state(struct gen_server *server, struct message *message)
{
	json_t *state, *reason = NULL;
	struct buf line = { 0 };

	if (server->ops->dump == NULL)
		rpc_add_error(&line, message->id, 1, "it cannot tell its state", NULL);
	else if ((state = server_dump(server, &reason)) != NULL)
		rpc_add_result(&line, message->id, state);
	else
		rpc_add_error(&line, message->id, 1, json_string_value(reason), NULL);
	json_decref(reason);
	if (line.length > STREAM_LARGEST) {
		buf_clear(&line);
		rpc_add_error(&line, message->id, 1, "state_too_large", NULL);
	}
	buf_add(&server->out, buf_start(&line), line.length);
	buf_done(&line);
	stream_flush(server);
}

static void
dispatch_terminate(struct gen_server *server, struct message *message)
{
	struct ending ending = {
		.reason = json_is_null(message->value) ? json_string("shutdown")
						       : json_incref(message->value),
		.terminate_id = message->id,
		.commit = ENDING_COMMITS_NEWS,
	};

	server_end(server, &ending);
}

static void (*const dispatch[MESSAGE_KIND_COUNT])(struct gen_server *, struct message *) = {
	[MESSAGE_CALL] = dispatch_call,
	[MESSAGE_CAST] = dispatch_cast,
	[MESSAGE_INFO] = dispatch_info,
	[MESSAGE_STATE] = dispatch_state,
	[MESSAGE_TERMINATE] = dispatch_terminate,
};

void
dispatch_message(struct gen_server *server, struct message *message)
{
	dispatch[message->kind](server, message);
}

void
dispatch_idle(struct gen_server *server)
{
	struct message message = { .kind = MESSAGE_INFO, .value = json_string("timeout") };

	dispatch_message(server, &message);
	json_decref(message.value);
}

void
dispatch_continue(struct gen_server *server)
{
	struct handled handled = { .callback = CALLBACK_CONTINUE };
	json_t *argument = server->continue_with;

	server->continue_with = NULL;
	if (server->ops->handle_continue == NULL)
		end_in_words(server, "continue", "handle_continue");
	else {
		handled.message = argument;
		handled.what =
		    server->ops->handle_continue(server, argument, server->state);
		lead_on(server, &handled);
	}
	json_decref(argument);
}

/* ---- init ---- */

/* Takes over the answer. */
static void
answer_init(struct gen_server *server, json_t *answer, bool runs)
{
	server->init_answer = answer;
	rpc_add_result(&server->out, server->init_id, json_incref(answer));
	stream_flush(server);
	server->is_ending = !runs;
}

static void
init_ok(struct gen_server *server, struct gen_return *what, bool is_new)
{
	struct handled handled = { .callback = CALLBACK_INIT, .what = *what };

	what->continue_with = NULL;
	server->has_state = true;
	answer_init(server, json_pack("{s:b, s:b, s:b}", "ok", 1, "trap_exit",
	    (int)server->traps_exit, "resumes", 1), true);
	/* What load() has not changed is on disk already. */
	if (server->is_durable && (is_new || durable_has_outgoing(server)))
		go_on(server, &handled);
	else {
		server->continue_with = handled.what.continue_with;
		server->idle_timeout_ms = handled.what.idle_timeout_ms;
		server->hibernates = handled.what.hibernates;
	}
}

static struct gen_return
make_state(struct gen_server *server, const json_t *arguments, json_t *dumped)
{
	const struct gen_server_ops *ops = server->ops;

	if (server->is_durable && (ops->dump == NULL || ops->load == NULL))
		return gen_stop(json_string("not a durable server: it has no dump and load"));
	if (server->is_durable && dumped != NULL && !json_is_null(dumped))
		return ops->load(server, arguments, dumped, &server->state);
	return ops->init != NULL ? ops->init(server, arguments, &server->state) : gen_ok();
}

void
dispatch_init(struct gen_server *server, const json_t *arguments, json_t *dumped)
{
	struct gen_return what = make_state(server, arguments, dumped);
	char words[160];

	if (!return_is_allowed(&what, CALLBACK_INIT, words, sizeof(words)))
		answer_init(server, json_pack("{s:o}", "stop", bad_return_value(words)), false);
	else if (what.verb == GEN_OK)
		init_ok(server, &what, dumped == NULL || json_is_null(dumped));
	else if (what.verb == GEN_IGNORE)
		answer_init(server, json_pack("{s:b}", "ignore", 1), false);
	else
		answer_init(server, json_pack("{s:O}", "stop", what.reason), false);
	return_done(&what);
}
