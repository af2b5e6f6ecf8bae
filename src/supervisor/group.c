/*
 * group: messages to all servers of a group. Who is in it is read from the store; then each
 * is sent the message as if it were the only one, and none waits for another.
 */

#include "supervisor/group.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "supervisor/asker.h"
#include "supervisor/pool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of all replies together, as JSON: what a line to a server, or an answer to a client, has. */
#define MOST_BYTES_TO_SERVER SERVER_LARGEST_MESSAGE
#define MOST_BYTES_TO_CLIENT (32 << 20)
#define LEAST_MS 100   /* to find out who is in a group, however short the time */
#define LARGEST_REF (ENVELOPE_REF_SIZE - 24) /* behind it each member's has its id */

const char *
group_of(const json_t *params, const char **ret_wrong)
{
	const json_t *group = json_object_get(params, "group");
	const char *name = json_string_value(group);

	*ret_wrong = NULL;
	if (group == NULL)
		return NULL;
	if (json_object_get(params, "to") != NULL)
		*ret_wrong = "to or group, not both";
	else if (name == NULL || !text_is_name(name))
		*ret_wrong = "group is not a name";
	return *ret_wrong == NULL ? name : NULL;
}

static struct step *
make_step(const char *group, void (*act)(void *arg, struct step *step), void *arg)
{
	struct step *step = batch_make_step(STEP_MEMBERS, act, arg);

	snprintf(step->members.name, sizeof(step->members.name), "%s", group);
	return step;
}

static struct server *
server_of(struct supervisor *supervisor, const struct group_member *member)
{
	struct live *live = live_find(supervisor, member->job);

	return live != NULL ? live->server : NULL;
}

/* ---- cast, send ---- */

struct sending {
	struct asker asker;
	char *message;
	bool is_info;
};

static struct sending *
sending_new(struct supervisor *supervisor, bool is_info, struct rpc_text message,
    struct caller caller)
{
	struct sending *sending = xcalloc(1, sizeof(*sending));

	sending->asker = asker_of(supervisor, caller);
	sending->is_info = is_info;
	sending->message = xstrndup(message.text, message.length);
	return sending;
}

/* true: it has it, in its mailbox or on its way. */
static bool
give(const struct sending *sending, const struct group_member *member)
{
	struct supervisor *supervisor = sending->asker.supervisor;
	struct server *server = server_of(supervisor, member);

	if (member->is_pool) {
		pool_look(pool_get(supervisor, member->job));
		return member->is_kept;
	}
	if (!member->is_durable)
		return server != NULL && server->plain == NULL &&
		    router_send(server, sending->is_info ? "info" : "cast",
			rpc_text(sending->message), 0, 0) == 0;
	if (member->is_kept && server != NULL) {
		behind_accepted(server, member->seq);
		mailbox_look(server);
	}
	return member->is_kept;
}

static void
recorded(void *arg, struct step *step)
{
	struct sending *sending = arg;
	json_int_t count = 0;

	for (size_t i = 0; step->answer == STEP_OK && i < step->members.ret_count; i++)
		count += give(sending, &step->members.ret_members[i]);
	if (step->answer == STEP_OK)
		router_answer(
		    asker_find(&sending->asker), json_pack("{s:I}", "count", count));
	else
		router_answer_error(asker_find(&sending->asker), step->error.code,
		    step->error.text, NULL);
	asker_drop(&sending->asker);
	free(sending->message);
	free(sending);
}

static struct step *
make_record(const char *group, struct sending *sending)
{
	struct step *step = make_step(group, recorded, sending);

	step->members.is_info = sending->is_info;
	step->members.text = xstrdup(sending->message);
	step->members.most = MAILBOX_MOST;
	return step;
}

/* Where all are in memory only, nothing needs to be written. */
static void
members_known(void *arg, struct step *step)
{
	struct sending *sending = arg;
	struct supervisor *supervisor = sending->asker.supervisor;
	bool is_any_kept = false;

	for (size_t i = 0; step->answer == STEP_OK && i < step->members.ret_count; i++)
		is_any_kept = is_any_kept || step->members.ret_members[i].is_durable ||
		    step->members.ret_members[i].is_pool;
	if (!is_any_kept) {
		recorded(sending, step);
		return;
	}
	turn_add_made(supervisor, make_record(step->members.name, sending));
	if (sending->asker.caller.request != NULL || sending->asker.key.job != 0)
		turn_tells(supervisor);
}

void
group_send(struct supervisor *supervisor, const char *group, bool is_info,
    struct rpc_text message, struct caller caller)
{
	turn_add_made(supervisor,
	    make_step(group, members_known,
		sending_new(supervisor, is_info, message, caller)));
}

struct step *
group_make_send(struct supervisor *supervisor, const char *group, bool is_info,
    struct rpc_text message)
{
	return make_record(
	    group, sending_new(supervisor, is_info, message, (struct caller){ 0 }));
}

/* ---- call ---- */

struct gather {
	struct asker asker;
	char *message;
	char ref[LARGEST_REF], from[40];
	int64_t timeout_ms;
	struct mono since;
	struct timer timer; /* until it is known who is in the group */
	bool is_repeated;
	bool is_late; /* that took too long, and who asked was told */
	json_t *replies, *bad;
	size_t bytes;	/* of the replies */
	size_t pending; /* who has not answered */
};

struct group_part {
	struct gather *gather;
	char name[NAME_SIZE];
};

static void
gather_free(struct gather *gather)
{
	loop_timer_remove(gather->asker.supervisor->loop, &gather->timer);
	asker_drop(&gather->asker);
	free(gather->message);
	json_decref(gather->replies);
	json_decref(gather->bad);
	free(gather);
}

static void
one_less(struct gather *gather)
{
	if (--gather->pending > 0)
		return;
	router_answer(asker_find(&gather->asker),
	    json_pack("{s:O, s:O}", "replies", gather->replies, "bad", gather->bad));
	gather_free(gather);
}

/* Room for it in the one answer that all have; false: there is none. */
static bool
take_room(struct gather *gather, const json_t *result)
{
	size_t most = gather->asker.key.job != 0 ? MOST_BYTES_TO_SERVER : MOST_BYTES_TO_CLIENT;
	size_t bytes = NAME_SIZE +
	    json_dumpb(result, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);

	if (bytes > most - gather->bytes)
		return false;
	gather->bytes += bytes;
	return true;
}

void
group_take_answer(struct group_part *part, json_t *result)
{
	struct gather *gather = part->gather;

	if (result != NULL && take_room(gather, result))
		json_object_set(gather->replies, part->name, result);
	else
		json_array_append_new(gather->bad, json_string(part->name));
	json_decref(result);
	free(part);
	one_less(gather);
}

/* What is left of the time. */
static int64_t
time_left(const struct gather *gather)
{
	int64_t left = gather->timeout_ms - (clock_mono().ms - gather->since.ms);

	return gather->timeout_ms < 0 ? -1 : left > 0 ? left : 0;
}

static void
ask_member(struct gather *gather, const struct group_member *member)
{
	struct supervisor *supervisor = gather->asker.supervisor;
	struct group_part *part = xcalloc(1, sizeof(*part));
	struct caller caller = { .part = part };
	struct server *server = server_of(supervisor, member);
	struct envelope envelope = {
		.message = rpc_text(gather->message),
		.timeout_ms = time_left(gather),
		.is_repeated = gather->is_repeated,
	};

	gather->pending++;
	part->gather = gather;
	memcpy(part->name, member->name, sizeof(part->name));
	snprintf(envelope.ref, sizeof(envelope.ref), "%s/%" PRId64, gather->ref, member->job);
	if (member->is_pool)
		pool_call(supervisor, pool_get(supervisor, member->job), &envelope, caller);
	else if (server == NULL || server->plain != NULL ||
	    member->job == gather->asker.key.job)
		group_take_answer(part, NULL);
	else
		router_call(server, caller, gather->from, &envelope);
}

static void
ask_members(void *arg, struct step *step)
{
	struct gather *gather = arg;

	if (step->answer != STEP_OK && !gather->is_late)
		router_answer_error(asker_find(&gather->asker), step->error.code,
		    step->error.text, NULL);
	if (step->answer != STEP_OK || gather->is_late) {
		gather_free(gather);
		return;
	}
	loop_timer_remove(gather->asker.supervisor->loop, &gather->timer);
	gather->pending = 1; /* so that it is not over before all are asked */
	for (size_t i = 0; i < step->members.ret_count; i++)
		ask_member(gather, &step->members.ret_members[i]);
	one_less(gather);
}

static void
took_too_long(void *arg)
{
	struct gather *gather = arg;

	gather->is_late = true;
	router_answer_error(asker_find(&gather->asker), STATUS_TIMED_OUT, "timeout", NULL);
}

void
group_call(struct supervisor *supervisor, const struct envelope *envelope,
    const char *from, struct caller caller)
{
	struct gather *gather;

	if (strlen(envelope->ref) >= LARGEST_REF) {
		router_answer_error(caller, RPC_INVALID_PARAMS, "ref is too long", NULL);
		return;
	}
	gather = xcalloc(1, sizeof(*gather));
	gather->asker = asker_of(supervisor, caller);
	gather->message = xstrndup(envelope->message.text, envelope->message.length);
	memcpy(gather->ref, envelope->ref, strlen(envelope->ref) + 1);
	snprintf(gather->from, sizeof(gather->from), "%s", from);
	gather->timeout_ms = envelope->timeout_ms;
	gather->is_repeated = envelope->is_repeated;
	gather->since = clock_mono();
	gather->replies = json_object();
	gather->bad = json_array();
	gather->timer = (struct timer){ .fire = took_too_long, .arg = gather };
	if (gather->timeout_ms >= 0)
		loop_timer_set(supervisor->loop, &gather->timer,
		    gather->timeout_ms > LEAST_MS ? gather->timeout_ms : LEAST_MS);
	turn_add_made(supervisor, make_step(envelope->group, ask_members, gather));
}
