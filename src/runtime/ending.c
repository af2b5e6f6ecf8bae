/*
 * ending: terminate first, then the last reply, then the supervisor is told; so whoever sees
 * the reply may rely on the cleaning up.
 */

#include "runtime/runtime.h"

#include <stdlib.h>

json_t *
server_dump(struct gen_server *server, json_t **ret_reason)
{
	json_t *state = server->ops->dump(server->state);

	if (state == NULL)
		*ret_reason = json_string("dump gave no state");
	return state;
}

static void
run_terminate(struct gen_server *server, const json_t *reason)
{
	char *text;

	if (!server->has_state)
		return;
	server->has_state = false;
	text = reason_text(reason);
	if (server->ops->terminate != NULL)
		server->ops->terminate(server, text, server->state);
	server->state = NULL;
	free(text);
}

/* A reason for which the end is a failure after all replaces the first one. */
static void
commit_last(struct gen_server *server, struct ending *ending, json_t *state)
{
	json_t *reason = NULL;

	if (ending->commit == ENDING_COMMITS_NEWS && !durable_has_outgoing(server)) {
		json_decref(state);
		return;
	}
	if (durable_commit(server, ending->seq, state, &reason) == 0)
		return;
	json_decref(ending->reason);
	ending->reason = reason;
}

static void
tell_supervisor(struct gen_server *server, const struct ending *ending)
{
	mailbox_report(server);
	if (ending->terminate_id != NULL)
		rpc_add_result(
		    &server->out, ending->terminate_id, json_true());
	else
		rpc_add_notification(&server->out, "stop",
		    json_pack("{s:O}", "reason", ending->reason));
	stream_flush(server);
}

void
server_end(struct gen_server *server, struct ending *ending)
{
	json_t *state = NULL, *reason = NULL;
	bool commits = server->is_durable && ending->commit != ENDING_NO_COMMIT;

	/* terminate frees what dump reads. */
	if (commits && (state = server_dump(server, &reason)) == NULL) {
		json_decref(ending->reason);
		ending->reason = reason;
		commits = false;
	}
	run_terminate(server, ending->reason);
	if (ending->from != NULL && ending->reply != NULL &&
	    answers_is_at_work(server, ending->from)) {
		answers_result(server, ending->from, ending->reply);
		ending->reply = NULL;
	}
	if (commits)
		commit_last(server, ending, state);
	tell_supervisor(server, ending);
	durable_discard(server);
	json_decref(ending->reason);
	json_decref(ending->reply);
	server->is_ending = true;
}
