/*
 * server: the life of a server's process as we see it. It is spoken to as soon as it is
 * there; it runs when its init has answered; it has ended when its process has, with the
 * reason that it gave if it went quietly, and with the kernel's if it did not.
 */

#include "supervisor/plain.h"
#include "supervisor/pool.h"
#include "base/log.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "model/spec_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
compare(const struct server *a, const struct server *b)
{
	return strcmp(a->name, b->name);
}

RB_GENERATE_INTERNAL(server_tree, server, by_name, compare, __attribute__((unused)) static)

void
server_init(struct supervisor *supervisor)
{
	supervisor->servers = xcalloc(1, sizeof(*supervisor->servers));
	RB_INIT(&supervisor->servers->by_name);
	TAILQ_INIT(&supervisor->servers->queued);
	TAILQ_INIT(&supervisor->servers->ended);
	TAILQ_INIT(&supervisor->servers->starts);
	TAILQ_INIT(&supervisor->servers->stops);
	gauge_init(supervisor);
	pool_init(supervisor);
}

/* ---- made and gone ---- */

static struct server *
new_server(struct live *live, const char *name, bool is_durable)
{
	struct server *server = xcalloc(1, sizeof(*server));

	server->supervisor = live->supervisor;
	server->live = live;
	live->server = server;
	server->is_durable = is_durable;
	server->grace_ms = SPEC_SERVER_GRACE_MS;
	memcpy(server->name, name, strlen(name) + 1);
	RB_INIT(&server->calls);
	TAILQ_INIT(&server->outgoing);
	behind_init(server);
	late_init(server);
	server->timer = (struct timer){ .fire = server_takes_too_long, .arg = server };
	/* The store has seen to it that no other live job has the name. */
	RB_INSERT(server_tree, &live->supervisor->servers->by_name, server);
	return server;
}

static void
copy_claimed(struct server *server, const struct claimed_job *claimed)
{
	server->claimed = xcalloc(1, sizeof(*server->claimed));
	server->claimed->key = claimed->key;
	server->claimed->state = claimed->state != NULL ? xstrdup(claimed->state) : NULL;
	spec_init(&server->claimed->spec);
	server->claimed->spec.init_timeout_ms = claimed->spec.init_timeout_ms;
	strings_add_all(&server->claimed->spec.command, &claimed->spec.command);
}

static void
drop_claimed(struct server *server)
{
	if (server->claimed == NULL)
		return;
	spec_done(&server->claimed->spec);
	free(server->claimed->state);
	free(server->claimed);
	server->claimed = NULL;
}

void
server_add(struct live *live, const struct claimed_job *claimed)
{
	struct server *server = new_server(live, claimed->spec.name, claimed->spec.is_durable);

	if (claimed->spec.is_plain) {
		plain_add(server, &claimed->spec.service, claimed->spec.init_timeout_ms);
		return;
	}
	copy_claimed(server, claimed);
	if (claimed->spec.grace_ms != SPEC_UNSET)
		server->grace_ms = claimed->spec.grace_ms;
	if (claimed->spec.pool != 0)
		pool_join(server, claimed->spec.pool, claimed->spec.max_messages);
}

/* Nobody finds it any more, and nothing reaches it. */
static void
detach(struct server *server)
{
	if (server->live == NULL)
		return;
	router_forget_caller(server);
	gauge_forget(server);
	pool_leave(server);
	behind_done(server);
	late_done(server);
	plain_done(server);
	loop_timer_remove(server->supervisor->loop, &server->timer);
	RB_REMOVE(server_tree, &server->supervisor->servers->by_name, server);
	drop_claimed(server);
	free(server->commit_id);
	free(server->committed_id);
	server->commit_id = server->committed_id = NULL;
	buf_done(&server->early);
	server->live->server = NULL;
	server->live = NULL;
}

void
server_free(struct server *server)
{
	if (server == NULL)
		return;
	detach(server);
	router_fail_calls(server, STATUS_INTERNAL, "it has ended");
	free(server);
}

void
server_done(struct supervisor *supervisor)
{
	gauge_done(supervisor);
	pool_done(supervisor);
	free(supervisor->servers);
	supervisor->servers = NULL;
}

struct server *
server_by_name(struct supervisor *supervisor, const char *name)
{
	struct server wanted;

	if (strlen(name) >= sizeof(wanted.name))
		return NULL;
	memcpy(wanted.name, name, strlen(name) + 1);
	return RB_FIND(server_tree, &supervisor->servers->by_name, &wanted);
}

struct server *
server_find(struct supervisor *supervisor, const json_t *to)
{
	const char *word = json_string_value(to);
	int64_t id = json_integer_value(to);
	struct live *live;

	if (word != NULL && text_number(word, 1, SPEC_LARGEST_ID, &id) == -1)
		return server_by_name(supervisor, word);
	live = id > 0 ? live_find(supervisor, id) : NULL;
	return live != NULL ? live->server : NULL;
}

/* ---- init ---- */

static json_t *
words_behind_the_program(const struct strings *command)
{
	json_t *array = strings_to_json(command);

	json_array_remove(array, 0);
	return array;
}

static void
send_init(struct server *server)
{
	const struct claimed_job *claimed = server->claimed;
	json_t *state = claimed->state != NULL
	    ? json_loads(claimed->state, JSON_DECODE_ANY, NULL)
	    : NULL;

	rpc_add_named_request(&server->live->channel->out, INIT_ID, "init",
	    json_pack("{s:s, s:I, s:o, s:I, s:b, s:o}", "name", server->name, "id",
		(json_int_t)server->live->key.job, "args",
		words_behind_the_program(&claimed->spec.command), "attempt",
		(json_int_t)claimed->key.attempt, "durable", server->is_durable, "state",
		state != NULL ? state : json_null()));
	router_queue(server);
	if (claimed->spec.init_timeout_ms != SPEC_UNSET)
		loop_timer_set(server->live->supervisor->loop, &server->timer,
		    claimed->spec.init_timeout_ms);
}

void
server_started(struct live *live)
{
	struct server *server = live->server;

	if (server->plain != NULL) {
		plain_started(server);
		return;
	}
	if (live->has_ended || talk_start(live) == -1)
		return;
	live->channel->largest_out = SIZE_MAX; /* we see to that ourselves */
	live->channel->most_unread = SERVER_MOST_BYTES;
	if (server->claimed != NULL) {
		send_init(server);
		drop_claimed(server);
	}
	buf_add(&live->channel->out, buf_start(&server->early), server->early.length);
	buf_done(&server->early);
	router_queue(server);
}

/* The empty line ends what the supervisor process before us had begun to write. */
static void
send_resume(struct server *server)
{
	struct live *live = server->live;

	buf_add_text(&live->channel->out, "\n");
	rpc_add_notification(&live->channel->out, "resume",
	    json_pack("{s:I}", "generation", (json_int_t)live->supervisor->generation));
	router_queue(server);
}

void
server_attach(struct live *live, const struct open_attempt *open)
{
	struct server *server = new_server(live, open->name, open->is_durable);

	server->was_attached = true;
	if (open->is_plain) {
		plain_attach(server, open);
		return;
	}
	server->grace_ms = open->grace_ms;
	server->traps_exit = open->traps_exit;
	server->resumes = open->resumes;
	if (open->pool != 0)
		pool_join(server, open->pool, open->max_messages);
	if (live->has_ended)
		return;
	server->phase = SERVER_READY;
	server_started(live);
	if (live->channel == NULL)
		return; /* its socket went with the keeper: it is leaving */
	if (open->stop.kind != REASON_NONE)
		server_terminate(server, open->stop, open->grace_ms);
	else if (open->is_ready) {
		send_resume(server);
		gauge_changed(server); /* what was written last is old */
		mailbox_look(server);
	} else {
		/* Whether it has heard of init is not known: it begins again. */
		server->phase = SERVER_INIT;
		live_interrupt(live, STOP_OWN_GRACE);
	}
}

static void
is_ready(void *arg, struct step *step)
{
	struct supervisor *supervisor = arg;
	const struct attempt_key *key = &step->ready.key;
	struct live *live = live_find(supervisor, key->job);

	struct server *server = live != NULL && live->key.attempt == key->attempt
	    ? live->server
	    : NULL; /* it has ended in the same turn: it was ready all the same */

	if (server != NULL && server->plain != NULL)
		plain_recorded(server);
	if (step->answer != STEP_OK)
		return;
	log_info("job=%" PRId64 " ready attempt=%" PRId64, key->job, key->attempt);
	if (server != NULL)
		mailbox_look(server);
	if (server != NULL && server->pool != NULL)
		pool_look(server->pool);
	server_tell_ready(supervisor, key->job);
}

void
server_is_ready(struct server *server)
{
	struct supervisor *supervisor = server->live->supervisor;
	struct step *step = turn_add(supervisor, STEP_READY, is_ready, supervisor);

	turn_tells(supervisor);
	server->phase = SERVER_READY;
	step->ready.key = server->live->key;
	step->ready.traps_exit = server->traps_exit;
	step->ready.resumes = server->resumes;
}

static void
init_is_ok(struct server *server, const json_t *answer)
{
	server->traps_exit = json_is_true(json_object_get(answer, "trap_exit"));
	server->resumes = json_is_true(json_object_get(answer, "resumes"));
	server_is_ready(server);
}

/* With what was answered; as text, cut off, if that is too long for a reason. */
static struct reason
bad_return_value(const json_t *answer)
{
	char words[REASON_OWN_SIZE], cut[REASON_OWN_SIZE - sizeof("{'bad_return_value':''}") + 1];
	char *text = rpc_dump(answer);
	const char *value = text != NULL ? text : "null";

	if (snprintf(words, sizeof(words), "{\"bad_return_value\":%s}", value) >=
	    (int)sizeof(words))
		snprintf(words, sizeof(words), "{\"bad_return_value\":\"%s\"}",
		    text_quote(cut, sizeof(cut), value));
	free(text);
	return reason_from_words(words);
}

static void
take_init_answer(struct server *server, const struct rpc_message *message)
{
	const json_t *stop = json_object_get(message->result, "stop");

	if (server->phase != SERVER_INIT)
		return;
	loop_timer_remove(server->live->supervisor->loop, &server->timer);
	if (message->kind == RPC_ERROR)
		server_says_it_stops(server, reason_from_words(message->message));
	else if (json_is_true(json_object_get(message->result, "ok")))
		init_is_ok(server, message->result);
	else if (json_is_true(json_object_get(message->result, "ignore")))
		server_says_it_stops(server, (struct reason){ .kind = REASON_IGNORE });
	else if (stop != NULL)
		server_says_it_stops(server, server_reason_from_json(stop));
	else
		server_says_it_stops(server, bad_return_value(message->result));
}

bool
server_take_answer(struct server *server, const struct rpc_message *message)
{
	const char *id = json_string_value(message->id);

	if (id != NULL && strcmp(id, INIT_ID) == 0)
		take_init_answer(server, message);
	else if (id != NULL && strcmp(id, TERMINATE_ID) == 0)
		server_take_terminate_answer(server, message);
	else
		return false;
	return true;
}

void
server_ended(struct server *server, const struct step *step)
{
	struct supervisor *supervisor = server->supervisor;

	server->job = step->ended.key.job;
	server->reason = step->ended.end.reason;
	server->is_over = !job_status_is_live(step->ended.ret_status) ||
	    supervisor->phase != PHASE_RUNNING;
	detach(server);
	TAILQ_INSERT_TAIL(&supervisor->servers->ended, server, ended);
}
