/*
 * mailbox: the messages that the store keeps. A durable server is given its next ones, a
 * window of them, and they are its until it has committed them; a process that comes after
 * it, and a supervisor process after us, gives the same ones again. Timers that fire for
 * others are given, and then forgotten: better twice than never, and they are numbered.
 */

#include "base/log.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "supervisor/pool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- into it ---- */

struct kept {
	struct supervisor *supervisor;
	struct attempt_key key; /* of the server that sends; job 0: a client, or nobody */
	struct caller caller;
};

static struct server *
server_of(struct supervisor *supervisor, int64_t job)
{
	struct live *live = live_find(supervisor, job);

	return live != NULL ? live->server : NULL;
}

static void
answer_kept(struct kept *kept, int code, const char *word)
{
	struct live *live = live_find(kept->supervisor, kept->key.job);
	struct caller caller = kept->caller;

	if (kept->key.job != 0 && (live == NULL || live->key.attempt != kept->key.attempt))
		caller.server = NULL;
	else if (kept->key.job != 0)
		caller.server = live->server;
	if (code == STATUS_OK)
		router_answer(caller, json_true());
	else
		router_answer_error(caller, code, word, NULL);
}

/* One that is not durable: it lives in memory, or not at all. */
static void
send_unkept(struct kept *kept, const struct step *step)
{
	struct server *server = server_of(kept->supervisor, step->send.ret_job);

	if (server != NULL &&
	    router_send(server, step->send.is_info ? "info" : "cast", rpc_text(step->send.text),
		0, 0) == 0)
		answer_kept(kept, STATUS_OK, NULL);
	else if (server != NULL)
		answer_kept(kept, STATUS_TRY_LATER, "overloaded");
	else if (step->send.ret_job != 0 && step->send.job == 0)
		answer_kept(kept, STATUS_TRY_LATER, "restarting");
	else
		answer_kept(kept, STATUS_NOT_FOUND, "noproc");
}

static void
is_kept(void *arg, struct step *step)
{
	struct kept *kept = arg;
	struct server *server = server_of(kept->supervisor, step->send.ret_job);

	if (step->answer == STEP_NOT_FOUND)
		send_unkept(kept, step);
	else if (step->answer != STEP_OK)
		answer_kept(kept, step->error.code, step->error.text);
	else {
		if (server != NULL) {
			behind_accepted(server, step->send.ret_seq);
			mailbox_look(server);
		}
		answer_kept(kept, STATUS_OK, NULL);
	}
	if (kept->key.job != 0)
		json_decref(kept->caller.id);
	free(kept);
}

struct step *
mailbox_make_send(struct supervisor *supervisor, const json_t *to, bool is_info,
    struct rpc_text message, struct caller caller)
{
	struct pool *pool =
	    to != NULL ? pool_find(supervisor, to, server_find(supervisor, to)) : NULL;
	const char *word = json_string_value(to);
	struct kept *kept;
	struct step *step;

	if (pool != NULL)
		return pool_make_send(supervisor, pool, message, caller);
	kept = xcalloc(1, sizeof(*kept));
	step = batch_make_step(STEP_SEND, is_kept, kept);
	kept->supervisor = supervisor;
	kept->caller = caller;
	if (caller.server != NULL) {
		kept->key = caller.server->live->key;
		json_incref(caller.id);
	}
	step->send.job = json_integer_value(to);
	if (word != NULL && text_number(word, 1, SPEC_LARGEST_ID, &step->send.job) == -1) {
		step->send.job = 0;
		snprintf(step->send.name, sizeof(step->send.name), "%.*s", NAME_SIZE - 1, word);
	}
	step->send.is_info = is_info;
	step->send.text = xstrndup(message.text, message.length);
	step->send.most = MAILBOX_MOST;
	return step;
}

void
mailbox_keep(struct supervisor *supervisor, const json_t *to, bool is_info,
    struct rpc_text message, struct caller caller)
{
	turn_add_made(supervisor, mailbox_make_send(supervisor, to, is_info, message, caller));
	if (caller.request != NULL || caller.server != NULL)
		turn_tells(supervisor);
}

/* ---- out of it ---- */

/* False: too much is on its way to it already; a commit makes room. */
static bool
give(struct server *server, const struct message *message)
{
	char *line = rpc_one_line(message->text);
	bool is_sent = line == NULL ||
	    router_send(server, message->is_info ? "info" : "cast", rpc_text(line), message->seq,
		0) == 0;

	free(line);
	if (!is_sent)
		return false;
	server->given = message->seq;
	server->in_flight[server->in_flight_count++] = message->seq;
	return true;
}

static void
read_more(void *arg, struct step *step)
{
	struct supervisor *supervisor = arg;
	struct server *server = server_of(supervisor, step->mailbox.job);

	if (server == NULL)
		return;
	server->is_reading = false;
	/* Another process of it has begun meanwhile: it begins at the beginning. */
	if (server->phase != SERVER_READY || server->given != step->mailbox.after) {
		mailbox_look(server);
		return;
	}
	if (step->mailbox.ret_count == (size_t)step->mailbox.limit)
		server->may_have_more = true;
	for (size_t i = 0; i < step->mailbox.ret_count &&
	     server->in_flight_count < MAILBOX_WINDOW; i++) {
		if (!give(server, &step->mailbox.ret_messages[i])) {
			server->may_have_more = true;
			break;
		}
	}
	if (step->mailbox.after == 0)
		behind_begin(server, step->mailbox.ret_last);
	behind_release(server);
}

void
mailbox_look(struct server *server)
{
	struct step *step;

	server->may_have_more = true;
	if (!server->is_durable || server->phase != SERVER_READY || server->is_reading ||
	    server->live == NULL || server->in_flight_count > MAILBOX_WINDOW / 2)
		return;
	server->is_reading = true;
	server->may_have_more = false;
	step = turn_add(
	    server->supervisor, STEP_MAILBOX, read_more, server->supervisor);
	step->mailbox.job = server->live->key.job;
	step->mailbox.after = server->given;
	step->mailbox.limit = (int64_t)(MAILBOX_WINDOW - server->in_flight_count);
}

void
mailbox_look_at_all(struct supervisor *supervisor)
{
	for (struct live *live = live_first(supervisor); live != NULL; live = live_next(live)) {
		if (live->server != NULL && live->server->is_durable)
			mailbox_look(live->server);
	}
}

void
mailbox_committed(struct server *server, int64_t seq)
{
	size_t kept = 0;

	for (size_t i = 0; i < server->in_flight_count; i++) {
		if (server->in_flight[i] != seq)
			server->in_flight[kept++] = server->in_flight[i];
	}
	server->in_flight_count = kept;
	if (server->may_have_more)
		mailbox_look(server);
}

int64_t
mailbox_handling(const struct server *server)
{
	return server->in_flight_count > 0 ? server->in_flight[0] : 0;
}

/* ---- timers ---- */

/* A timer's message to a pool: recorded together with that timer's end. */
static void
owe(struct supervisor *supervisor, const json_t *to, struct rpc_text message)
{
	struct step *step =
	    mailbox_make_send(supervisor, to, true, message, (struct caller){ 0 });

	step->is_owed = true;
	turn_add_made(supervisor, step);
}

void
mailbox_take_due(struct supervisor *supervisor, const struct message *messages, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct server *server = server_of(supervisor, messages[i].job);
		struct step *step;
		struct rpc_text line;
		char *owned;
		json_t *to;

		if (messages[i].text == NULL) { /* it is in the mailbox */
			if (server != NULL)
				mailbox_look(server);
			continue;
		}
		owned = rpc_one_line(messages[i].text);
		line = rpc_text(owned);
		to = json_integer(messages[i].job);
		if (owned != NULL && pool_find(supervisor, to, server) != NULL)
			owe(supervisor, to, line);
		else if (server != NULL && owned != NULL &&
		    router_send(server, "info", line, 0, messages[i].seq) == -1)
			log_warn("job=%" PRId64 " overloaded: a timer's message is dropped",
			    messages[i].job);
		json_decref(to);
		free(owned);
		step = turn_add(supervisor, STEP_TIMER_END, NULL, NULL);
		step->timer_end.timer = messages[i].seq;
		step->timer_end.is_cancel = true;
	}
}
