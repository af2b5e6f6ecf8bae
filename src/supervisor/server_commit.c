/*
 * server_commit: what a durable server's handling of a message has led to becomes one step of
 * the store with parts: all of it, or nothing. Replies leave when it is on disk; what it
 * sends to servers that are not durable goes after the commit, from memory.
 */

#include "base/xalloc.h"
#include "supervisor/group.h"

#include <stdlib.h>
#include <string.h>

#define WANTS_MESSAGES "cast and send are arrays of objects with to or group, and message"
#define WANTS_TIMERS "send_after is an array of objects with ref, above 0, message and ms"
#define WANTS_NUMBERS "cancel is an array of numbers"
#define WANTS_JOBS "start_job is an array of objects with ref, above 0, and job"

struct commit {
	struct supervisor *supervisor;
	struct attempt_key key;
	json_t *id;
	json_t *replies; /* NULL, one, or an array */
	bool has_turn;
};

static void
add_part(struct step *commit, struct step *part)
{
	commit->commit.parts = xreallocarray(commit->commit.parts,
	    commit->commit.part_count + 1, sizeof(commit->commit.parts[0]));
	commit->commit.parts[commit->commit.part_count++] = part;
}

/* ---- the parts: each returns NULL or what is wrong ---- */

static const char *
add_message(struct server *server, struct step *commit, const json_t *item, bool is_info)
{
	struct envelope envelope;
	const char *wrong = envelope_read(&envelope, item, -1);

	if (wrong != NULL) {
	} else if (envelope.message.text == NULL ||
	    (envelope.to == NULL && envelope.group == NULL))
		wrong = WANTS_MESSAGES;
	else if (envelope.group != NULL)
		add_part(commit, group_make_send(server->supervisor, envelope.group, is_info,
		    envelope.message));
	else
		add_part(commit, mailbox_make_send(server->supervisor, envelope.to, is_info,
		    envelope.message, (struct caller){ 0 }));
	envelope_done(&envelope);
	return wrong;
}

static const char *
add_cast(struct server *server, struct step *commit, const json_t *item)
{
	return add_message(server, commit, item, false);
}

static const char *
add_send(struct server *server, struct step *commit, const json_t *item)
{
	return add_message(server, commit, item, true);
}

static const char *
add_timer(struct server *server, struct step *commit, const json_t *item)
{
	struct step *part = batch_make_step(STEP_TIMER, asks_heed_timer, server->supervisor);
	const char *wrong = asks_read_timer(server, item, part);

	part->timer.ref = json_integer_value(json_object_get(item, "ref"));
	add_part(commit, part);
	return wrong == NULL && part->timer.ref <= 0 ? WANTS_TIMERS : wrong;
}

static const char *
add_cancel(struct server *server, struct step *commit, const json_t *item)
{
	struct step *part = batch_make_step(STEP_TIMER_END, NULL, NULL);

	part->timer_end.owner = server->live->key.job;
	part->timer_end.timer = json_integer_value(item);
	part->timer_end.is_ref = part->timer_end.is_cancel = true;
	add_part(commit, part);
	return json_is_integer(item) ? NULL : WANTS_NUMBERS;
}

/* A job that makes no sense is told, as one that the store refuses is: by its REF. */
static const char *
add_job(struct server *server, struct step *commit, const json_t *item)
{
	json_int_t ref = json_integer_value(json_object_get(item, "ref"));
	struct step *part;
	struct error error;
	json_t *message;
	char *text;

	if (ref <= 0)
		return WANTS_JOBS;
	part = batch_make_step(STEP_SUBMIT, asks_heed_job, server->supervisor);
	if (asks_read_job(server, json_object_get(item, "job"),
		json_is_true(json_object_get(item, "task")), part, &error) == NULL) {
		part->submit.by_server.ref = ref;
		add_part(commit, part);
		return NULL;
	}
	batch_free_step(part);
	message = json_pack("{s:I, s:s}", "ref", ref, "error", error.text);
	text = rpc_dump(message);
	json_decref(message);
	part = mailbox_make_send(
	    server->supervisor, NULL, true, rpc_text(text), (struct caller){ 0 });
	free(text);
	part->send.job = server->live->key.job;
	add_part(commit, part);
	return NULL;
}

static const struct {
	const char *member, *wants;
	const char *(*add)(struct server *server, struct step *commit, const json_t *item);
} members[] = {
	{ "cast", WANTS_MESSAGES, add_cast },
	{ "send", WANTS_MESSAGES, add_send },
	{ "send_after", WANTS_TIMERS, add_timer },
	{ "cancel", WANTS_NUMBERS, add_cancel },
	{ "start_job", WANTS_JOBS, add_job },
};

static const char *
add_parts(struct server *server, struct step *commit, const json_t *params)
{
	const char *wrong = NULL;
	size_t index;
	json_t *item;

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]) && wrong == NULL; i++) {
		json_t *list = json_object_get(params, members[i].member);

		if (list != NULL && !json_is_array(list) && !json_is_null(list))
			wrong = members[i].wants;
		json_array_foreach(list, index, item) {
			if (wrong == NULL)
				wrong = members[i].add(server, commit, item);
		}
	}
	return wrong;
}

/* ---- the whole ---- */

static void
send_reply(struct server *server, json_t *reply)
{
	struct rpc_message message = {
		.kind = json_object_get(reply, "error") != NULL ? RPC_ERROR : RPC_RESULT,
		.root = reply,
		.id = json_object_get(reply, "id"),
		.result = json_object_get(reply, "result"),
	};
	const json_t *error = json_object_get(reply, "error");

	if (message.kind == RPC_ERROR) {
		message.code = (int)json_integer_value(json_object_get(error, "code"));
		message.message = json_string_value(json_object_get(error, "message"));
		message.data = json_object_get(error, "data");
		if (message.message == NULL)
			message.message = "error";
	} else if (message.result == NULL)
		return;
	router_take_answer(server, &message);
}

static void
send_replies(struct server *server, json_t *replies)
{
	size_t index;
	json_t *reply;

	if (json_is_object(replies))
		send_reply(server, replies);
	json_array_foreach(replies, index, reply)
		send_reply(server, reply);
}

static void
committed(void *arg, struct step *step)
{
	struct commit *commit = arg;
	struct live *live = live_find(commit->supervisor, commit->key.job);
	struct server *server = live != NULL && live->key.attempt == commit->key.attempt
	    ? live->server
	    : NULL;
	struct caller caller = { .server = server, .id = commit->id };

	if (server != NULL && commit->has_turn) {
		free(server->committed_id);
		server->committed_id = server->commit_id;
		server->commit_id = NULL;
	}
	if (server != NULL && step->answer == STEP_OK) {
		send_replies(server, commit->replies);
		router_answer(caller, json_true());
		mailbox_committed(server, step->commit.seq);
	} else if (server != NULL)
		router_answer_error(caller, step->error.code, step->error.text, NULL);
	json_decref(commit->id);
	json_decref(commit->replies);
	free(commit);
}

/* Each part's act frees what it has of its own. */
static void
drop(struct step *step)
{
	for (size_t i = 0; i < step->commit.part_count; i++) {
		struct step *part = step->commit.parts[i];

		part->answer = STEP_STALE;
		if (part->act != NULL)
			part->act(part->arg, part);
	}
	batch_free_step(step);
}

static bool
is_id(const char *known, const char *id)
{
	return known != NULL && strcmp(known, id) == 0;
}

/*
 * The store remembers the last one that was done, so that one that is repeated is not done
 * twice. With two on their way it would be the first that is done again, over the second: they
 * take turns. After a takeover one may come again that was read, and even answered, already;
 * the next one may be right behind it.
 */
const char *
server_handle_commit(struct server *server, json_t *id, const json_t *params)
{
	const json_t *seq = json_object_get(params, "seq");
	const json_t *state = json_object_get(params, "state");
	json_t *replies = json_object_get(params, "reply");
	struct commit *commit;
	struct step *step;
	const char *wrong;
	bool is_done, is_underway;
	char *text;

	if (!server->is_durable)
		return "this server is not durable";
	if (id == NULL || state == NULL || (!json_is_integer(seq) && !json_is_null(seq)))
		return "commit is a request with seq and state";
	text = json_dumps(id, JSON_ENCODE_ANY);
	is_done = is_id(server->committed_id, text);
	is_underway = is_id(server->commit_id, text);
	if (!is_done && server->commit_id != NULL) {
		free(text);
		return is_underway ? NULL /* its answer is that of both */
				   : "one commit at a time: the one before is not answered";
	}
	step = batch_make_step(STEP_COMMIT, NULL, NULL);
	wrong = add_parts(server, step, params);
	if (wrong != NULL) {
		free(text);
		drop(step);
		return wrong;
	}
	commit = xcalloc(1, sizeof(*commit));
	commit->supervisor = server->supervisor;
	commit->key = server->live->key;
	commit->id = json_incref(id);
	commit->replies = json_incref(replies);
	step->act = committed;
	step->arg = commit;
	step->commit.key = server->live->key;
	step->commit.seq = json_integer_value(seq);
	step->commit.most_timers = TIMERS_MOST;
	step->commit.state = rpc_dump(state);
	step->commit.id = text;
	commit->has_turn = !is_done;
	if (commit->has_turn)
		server->commit_id = xstrdup(text);
	turn_add_made(server->supervisor, step);
	/* Who asked is told when it is on disk; without a reply, nobody outside is told. */
	if (replies != NULL)
		turn_tells(server->supervisor);
	return NULL;
}
