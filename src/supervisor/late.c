/*
 * late: answers whose callers have not asked again yet. A supervisor process that has taken
 * over knows no calls: what a server answers is kept, as far as there is room, for callers
 * that come back to it.
 */

#include "base/xalloc.h"
#include "supervisor/server.h"

#include <stdlib.h>
#include <string.h>

#define MOST_ANSWERS 1000	 /* of one server; the oldest go first */
#define MOST_BYTES (4U << 20) /* likewise */

struct late_answer {
	TAILQ_ENTRY(late_answer) entry;
	struct rpc_message message; /* its root is ours */
	size_t bytes;
};

void
late_init(struct server *server)
{
	TAILQ_INIT(&server->late);
}

static void
drop(struct server *server, struct late_answer *answer)
{
	TAILQ_REMOVE(&server->late, answer, entry);
	server->late_count--;
	server->late_bytes -= answer->bytes;
	rpc_message_done(&answer->message);
	free(answer);
}

void
late_done(struct server *server)
{
	struct late_answer *answer;

	while ((answer = TAILQ_FIRST(&server->late)) != NULL)
		drop(server, answer);
}

void
late_keep(struct server *server, const struct rpc_message *message)
{
	struct late_answer *answer;

	if (!server->was_attached || !json_is_string(message->id))
		return;
	answer = xcalloc(1, sizeof(*answer));
	answer->message = *message;
	json_incref(answer->message.root);
	answer->bytes = json_dumpb(message->root, NULL, 0, JSON_COMPACT);
	TAILQ_INSERT_TAIL(&server->late, answer, entry);
	server->late_count++;
	server->late_bytes += answer->bytes;
	while (server->late_count > MOST_ANSWERS || server->late_bytes > MOST_BYTES)
		drop(server, TAILQ_FIRST(&server->late));
}

bool
late_answer(struct server *server, struct caller caller, const char *ref)
{
	struct late_answer *answer;

	TAILQ_FOREACH (answer, &server->late, entry) {
		if (strcmp(json_string_value(answer->message.id), ref) == 0)
			break;
	}
	if (answer == NULL)
		return false;
	router_pass_answer(caller, &answer->message);
	drop(server, answer);
	return true;
}
