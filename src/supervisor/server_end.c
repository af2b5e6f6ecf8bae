/*
 * server_end: how a server's process comes to its end: by its own word, by ours, or since it took
 * too long over something; and which reason is the true one.
 */

#include "supervisor/plain.h"
#include "supervisor/pool.h"

#include <sys/socket.h>

#define LEAVE_MS 1000 /* from saying that it ends to being ended */

void
server_says_it_stops(struct server *server, struct reason reason)
{
	struct live *live = server->live;

	if (!server->has_said)
		server->said = reason;
	server->has_said = true;
	server->phase = SERVER_LEAVING;
	shutdown(live->channel->fd, SHUT_WR); /* it has all that we had to say */
	loop_timer_set(live->supervisor->loop, &server->timer, LEAVE_MS);
}

void
server_takes_too_long(void *arg)
{
	struct server *server = arg;
	struct live *live = server->live;

	if (server->has_closed && !server->has_said) {
		server->said = reason_from_words("it closed its stream and did not exit");
		server->has_said = true;
	}
	if (server->phase == SERVER_INIT) {
		struct step *step =
		    turn_add(live->supervisor, STEP_STOPPING, NULL, live->supervisor);

		step->stopping.key = live->key;
		step->stopping.reason = (struct reason){ .kind = REASON_TIMEOUT };
		live_order_stop(live, STOP_TIMEOUT, 0);
	} else
		live_order_stop(live, STOP_INTERRUPTED, server->has_said ? STOP_OWN_GRACE : 0);
}

void
server_closed(struct server *server, const char *why)
{
	server->has_closed = true;
	server->phase = SERVER_LEAVING;
	if (why != NULL && !server->has_said) {
		server->said = reason_from_words(why);
		server->has_said = true;
	}
	loop_timer_set(server->supervisor->loop, &server->timer, why != NULL ? 0 : LEAVE_MS);
}

void
server_terminate(struct server *server, struct reason reason, int64_t grace_ms)
{
	struct live *live = server->live;
	char text[REASON_TEXT_SIZE];
	struct buf *out = router_out(server);
	size_t before = out->length;

	if (server->plain != NULL) {
		plain_stop(server, grace_ms);
		return;
	}
	/* A stop of one that has no process yet waits behind its init. */
	if (server->phase == SERVER_LEAVING || live->has_ended ||
	    (live->channel == NULL && (grace_ms >= 0 || server->claimed == NULL)))
		return;
	rpc_add_named_request(out, TERMINATE_ID, "terminate",
	    json_pack("{s:s}", "reason", reason_format(text, reason)));
	/* A stop is behind what waits; a shutdown leaves that for the next process. */
	if (grace_ms < 0 && behind_hold(server, before, true))
		return;
	server->phase = SERVER_LEAVING;
	router_queue(server);
	if (grace_ms >= 0)
		loop_timer_set(live->supervisor->loop, &server->timer, grace_ms);
}

bool
server_is_leaving_at_leisure(const struct server *server)
{
	return server->phase == SERVER_LEAVING && !timer_is_set(&server->timer);
}

void
server_take_terminate_answer(struct server *server, const struct rpc_message *message)
{
	if (message->kind == RPC_ERROR) {
		server->said = reason_from_words(message->message);
		server->has_said = true;
	}
	loop_timer_set(server->live->supervisor->loop, &server->timer, LEAVE_MS);
}

struct reason
server_reason(const struct server *server, struct reason seen)
{
	bool went_quietly = seen.kind == REASON_NORMAL ||
	    (server->has_said && reason_is_stop(seen)); /* ended by us since it dawdled */

	if (server->plain != NULL)
		return service_judge(&server->plain->service, seen);
	return server->has_said && went_quietly ? server->said : seen;
}
