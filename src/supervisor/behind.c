/*
 * behind: requests to durable servers. A cast that was accepted is on disk, and may not have
 * been given to the process yet: a call that comes after it waits here until it has, so that
 * it is answered from a state that knows the cast; and so does a stop.
 */

#include "base/xalloc.h"
#include "supervisor/server.h"

#include <stdlib.h>

struct held_request {
	TAILQ_ENTRY(held_request) entry;
	int64_t behind; /* this message; INT64_MAX: what there is is not known yet */
	bool is_last; /* nothing is given behind it */
	struct buf line;
};

void
behind_init(struct server *server)
{
	TAILQ_INIT(&server->held);
}

static void
drop(struct server *server, struct held_request *held)
{
	TAILQ_REMOVE(&server->held, held, entry);
	server->held_bytes -= held->line.length;
	buf_done(&held->line);
	free(held);
}

void
behind_done(struct server *server)
{
	struct held_request *held;

	while ((held = TAILQ_FIRST(&server->held)) != NULL)
		drop(server, held);
}

bool
behind_hold(struct server *server, size_t before, bool is_last)
{
	struct buf *out = router_out(server);
	int64_t behind = server->knows_mailbox ? server->accepted : INT64_MAX;
	struct held_request *held;

	if (!server->is_durable || behind <= server->given)
		return false;
	held = xcalloc(1, sizeof(*held));
	held->behind = behind;
	held->is_last = is_last;
	buf_add(&held->line, buf_start(out) + before, out->length - before);
	out->length = before;
	server->held_bytes += held->line.length;
	TAILQ_INSERT_TAIL(&server->held, held, entry);
	return true;
}

void
behind_accepted(struct server *server, int64_t seq)
{
	if (seq > server->accepted)
		server->accepted = seq;
}

void
behind_begin(struct server *server, int64_t last)
{
	struct held_request *held;

	behind_accepted(server, last);
	server->knows_mailbox = true;
	TAILQ_FOREACH(held, &server->held, entry)
		held->behind = server->accepted;
	behind_release(server);
}

void
behind_release(struct server *server)
{
	struct held_request *held;

	while ((held = TAILQ_FIRST(&server->held)) != NULL && held->behind <= server->given) {
		buf_add(router_out(server), buf_start(&held->line), held->line.length);
		if (held->is_last)
			server->phase = SERVER_LEAVING;
		drop(server, held);
		server->sent++;
		router_queue(server);
	}
}
