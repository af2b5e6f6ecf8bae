/*
 * gen_links: tasks whose failure is their server's. It is seen where lines come in, so that it
 * needs no turn among the messages, and ends a server that waits within a callback, too.
 */

#include "runtime/runtime.h"
#include "base/xalloc.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

/* As an exit signal of OTP's: no terminate, and what waits is lost. */
static void
end_at_once(struct gen_server *server, json_t *reason)
{
	rpc_add_notification(&server->out, "stop", json_pack("{s:O}", "reason", reason));
	stream_flush(server);
	_exit(EX_OK);
}

/* {"exit": ID, "reason": R}, in front of the message that the task's end is told with. */
static void
add_notice(struct message *down)
{
	struct message *notice = xcalloc(1, sizeof(*notice));

	notice->kind = MESSAGE_INFO;
	notice->is_own = true;
	notice->value = json_pack("{s:O, s:O}", "exit", json_object_get(down->value, "down"),
	    "reason", json_object_get(down->value, "reason"));
	TAILQ_INSERT_BEFORE(down, notice, entry);
}

static void
heed(struct gen_server *server, struct message *down)
{
	json_t *reason = json_object_get(down->value, "reason");
	const char *word = json_string_value(reason);

	if (server->traps_exit)
		add_notice(down);
	else if (word == NULL || strcmp(word, "normal") != 0)
		end_at_once(server, reason);
}

/* Forget the link. Was there one? */
static bool
unlink_task(struct gen_server *server, int64_t task)
{
	char key[24];

	snprintf(key, sizeof(key), "%lld", (long long)task);
	return server->links != NULL && json_object_del(server->links, key) == 0;
}

void
links_take(struct gen_server *server, struct message *message)
{
	const json_t *down;

	if (server->links == NULL)
		return;
	down = json_object_get(message->value, "down");
	if (json_is_integer(down) && json_equal(down, json_object_get(message->value, "ref")) &&
	    json_object_get(message->value, "reason") != NULL &&
	    unlink_task(server, json_integer_value(down)))
		heed(server, message);
}

void
links_forget(struct gen_server *server, int64_t task)
{
	unlink_task(server, task);
}

void
gen_link_task(struct gen_server *server, int64_t task)
{
	struct message *down = mailbox_find_info(server, task_is_down, &task);
	char key[24];

	if (server->links == NULL)
		server->links = json_object();
	snprintf(key, sizeof(key), "%lld", (long long)task);
	json_object_set_new(server->links, key, json_true());
	if (down != NULL) /* it was quicker */
		links_take(server, down);
}
