/*
 * pool_work: messages at the members of pools. A message's attempt is open from its claim
 * until its member has answered or ended; it is started when the member's socket has the whole
 * line, so that a supervisor process after us knows whether to write it again. A member whose
 * message is cancelled or takes too long is ended, which is no failure of the member's, as is
 * none what it does with a message.
 */

#include "supervisor/pool.h"
#include "base/log.h"
#include "base/text.h"
#include "base/xalloc.h"

#include <bsd/stdlib.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_RETRY_CODE LIFECYCLE_NO_RETRY_STATUS /* of an error: as a command's exit status */

/* ---- given ---- */

static void
timed_out(void *arg)
{
	struct handling *handling = arg;
	struct step *step =
	    turn_add(handling->message->supervisor, STEP_STOPPING, NULL, NULL);

	step->stopping.key = handling->message->key;
	step->stopping.reason = (struct reason){ .kind = REASON_TIMEOUT };
	pool_interrupt(handling->message);
}

static struct live *
take_up(struct supervisor *supervisor, const struct attempt_key *key, const char *place,
    struct live *member, int64_t timeout_ms)
{
	struct live *live = live_add(supervisor, key, place);
	struct handling *handling = xcalloc(1, sizeof(*handling));

	live->handling = handling;
	supervisor->live->messages++;
	live->is_ordered = live->is_in_store = true;
	handling->message = live;
	handling->member = member;
	handling->member_key = member->key;
	handling->timer = (struct timer){ .fire = timed_out, .arg = handling };
	snprintf(handling->ref, sizeof(handling->ref), "m%" PRId64 ".%" PRId64, key->job,
	    key->attempt);
	member->handling = handling;
	if (timeout_ms >= 0)
		loop_timer_set(supervisor->loop, &handling->timer, timeout_ms);
	return live;
}

/* As a call, of the pool's name and the message's id. */
static void
write_call(struct handling *handling, const char *pool, const char *text)
{
	struct server *server = handling->member->server;
	const struct attempt_key *key = &handling->message->key;
	struct buf *out = router_out(server);
	char *line = rpc_one_line(text), from[NAME_SIZE + 32];

	snprintf(from, sizeof(from), "%s#%" PRId64, pool, key->job);
	rpc_begin(out, handling->ref, "call");
	rpc_add_text_param(out, "message", rpc_text(line != NULL ? line : "null"));
	rpc_add_param(out, "from", json_string(from));
	rpc_add_param(out, "job", json_integer(key->job));
	rpc_add_param(out, "attempt", json_integer(key->attempt));
	rpc_end(out);
	free(line);
	server->sent++;
	gauge_sent(server);
	router_queue(server);
}

static struct live *
member_that_is_free(struct supervisor *supervisor, int64_t job)
{
	struct live *live = live_find(supervisor, job);

	return live != NULL && live->server != NULL && pool_member_is_free(live->server)
	    ? live
	    : NULL;
}

void
pool_give(struct supervisor *supervisor, const struct claimed_job *claimed, const char *place)
{
	struct live *member = member_that_is_free(supervisor, claimed->member), *live;
	struct step *step;

	if (member == NULL) { /* it has ended meanwhile */
		live_anything_ready(supervisor);
		step = turn_add(supervisor, STEP_WITHDRAW, NULL, NULL);
		step->withdraw.key = claimed->key;
		return;
	}
	live = take_up(supervisor, &claimed->key, place, member, claimed->spec.timeout_ms);
	live->priority = claimed->spec.priority;
	write_call(live->handling, claimed->spec.command.items[0],
	    claimed->spec.command.items[1]);
}

static void
start_recorded(void *arg, struct step *step)
{
	struct live *live = live_find(arg, step->started.key.job);

	if (step->answer == STEP_OK)
		log_info("job=%" PRId64 " started attempt=%" PRId64 " member=%" PRId64,
		    step->started.key.job, step->started.key.attempt, step->started.pid);
	if (live != NULL && live->key.attempt == step->started.key.attempt)
		claims_tell(live, false);
}

static void
note_start(struct handling *handling)
{
	struct live *live = handling->message;
	struct step *step;

	if (handling->is_written)
		return;
	handling->is_written = true;
	live_has_started(live);
	live->started = clock_mono();
	step = turn_add(live->supervisor, STEP_STARTED, start_recorded, live->supervisor);
	step->started.key = live->key;
	step->started.pid = handling->member->pid;
}

void
pool_written(struct server *server)
{
	struct live *live = server->live;

	if (live->handling != NULL && live->channel != NULL && live->channel->out.length == 0)
		note_start(live->handling);
}

/* ---- ended ---- */

/* What the member said is on record: it may leave its socket. */
static void
forget_answer(struct supervisor *supervisor, const struct attempt_key *key)
{
	struct live *member = live_find(supervisor, key->job);

	if (member != NULL && member->key.attempt == key->attempt && member->channel != NULL)
		channel_release(member->channel);
}

static void
end_recorded(void *arg, struct step *step)
{
	struct supervisor *supervisor = arg;
	const struct attempt_key *key = &step->ended.key;
	struct live *live = live_find(supervisor, key->job);

	if (live != NULL && live->key.attempt == key->attempt && live->handling != NULL)
		forget_answer(supervisor, &live->handling->member_key);
	if (step->answer == STEP_OK)
		reports_log_end(step);
	if (step->answer == STEP_OK && step->ended.ret_status == JOB_ERRORED)
		turn_wake_in(supervisor, step->ended.ret_pause_ms - step->ended.age_ms);
	if (step->answer != STEP_OK || job_status_is_live(step->ended.ret_status))
		live_anything_ready(supervisor);
	if (live != NULL && live->key.attempt == key->attempt)
		live_remove(live);
}

/* The member has nothing to do with it any more. */
static void
part(struct handling *handling)
{
	loop_timer_remove(handling->message->supervisor->loop, &handling->timer);
	handling->message->has_ended = true;
	handling->member->handling = NULL;
	handling->member = NULL;
}

static void
record_end(struct handling *handling, struct reason reason, bool is_final)
{
	struct live *live = handling->message;
	struct step *step = turn_add(live->supervisor, STEP_ENDED, end_recorded,
	    live->supervisor);

	step->ended.key = live->key;
	step->ended.random = arc4random();
	step->ended.is_final = is_final;
	step->ended.end = (struct attempt_end){ .reason = reason, .exit_code = -1,
		.run_ms = clock_mono().ms - live->started.ms, .user_ms = -1, .system_ms = -1,
		.max_rss_kib = -1 };
	part(handling);
}

static void
record_result(struct live *live, json_t *result)
{
	struct step *step = turn_add(live->supervisor, STEP_NOTE, NULL, NULL);

	step->note.key = live->key;
	step->note.note = NOTE_RESULT;
	step->note.text = rpc_dump(result);
	pool_note_result(live->supervisor, live->key.job, result);
}

/* Its words, and what it says beside them. */
static struct reason
error_reason(const struct rpc_message *message)
{
	char *data = message->data != NULL
	    ? rpc_dump(message->data)
	    : NULL;
	char *words = xasprintf("error: %s%s%s", message->message, data != NULL ? " " : "",
	    data != NULL ? data : "");
	struct reason reason = reason_from_words(words);

	free(words);
	free(data);
	return reason;
}

/* A process that has had as many messages as it is to have is started anew. */
static void
recycle(struct server *server)
{
	struct live *live = server->live;

	if (live->has_ended || server->max_messages == SPEC_UNSET ||
	    ++server->messages < server->max_messages)
		return;
	turn_add_event(live->supervisor, live->key.job, live->key.attempt, "recycled",
	    xasprintf("after %" PRId64 " messages", server->messages));
	live_interrupt(live, STOP_OWN_GRACE);
}

bool
pool_take_answer(struct server *server, const struct rpc_message *message)
{
	struct handling *handling = server->live->handling;
	const char *ref = json_string_value(message->id);

	if (handling == NULL || ref == NULL || strcmp(handling->ref, ref) != 0)
		return false;
	server->live->has_notes = true; /* should we die before it is recorded, it is there */
	note_start(handling); /* it has the line, whatever else waits to be written */
	if (message->kind == RPC_RESULT) {
		record_result(handling->message, message->result);
		record_end(handling, (struct reason){ .kind = REASON_NORMAL }, false);
	} else
		record_end(
		    handling, error_reason(message), message->code == NO_RETRY_CODE);
	recycle(server);
	pool_look(server->pool);
	return true;
}

bool
pool_member_ended(struct live *member, struct reason seen)
{
	struct handling *handling = member->handling;
	struct reason reason = seen;

	if (!handling->is_written && !handling->is_in_doubt) { /* it never had it */
		part(handling);
		claims_withdraw(handling->message);
		return false;
	}
	/* Whoever ended it did not mean the message; the store knows who did. */
	if (member->is_being_ended || reason_is_stop(seen))
		reason = (struct reason){ .kind = REASON_INTERRUPTED };
	else if (!reason_is_failure(seen) && !reason_is_loss(seen))
		reason = reason_from_words("its process ended without an answer");
	record_end(handling, reason, false);
	return true;
}

void
pool_interrupt(struct live *message)
{
	struct live *member = message->handling->member;

	if (member != NULL && !member->is_being_ended && !member->has_ended)
		live_interrupt(member, STOP_OWN_GRACE);
}

/* ---- a new supervisor process ---- */

/*
 * A member that remembers is asked again. Of another one that has perhaps not got the line it
 * will not be known: it is ended, so that nobody else has the message at the same time.
 */
static void
ask_again(struct live *live, const struct open_attempt *open)
{
	if (live->handling->member->server->resumes)
		write_call(live->handling, open->supervisor, open->message);
	else if (!open->is_started)
		pool_interrupt(live);
}

void
pool_settle(struct supervisor *supervisor, const struct open_attempt *open)
{
	struct live *member = live_find(supervisor, open->member), *live;
	bool has_stream = member != NULL && member->server != NULL && member->channel != NULL;

	if (member == NULL || member->handling != NULL) {
		settle_loss(supervisor, open);
		return;
	}
	live = take_up(supervisor, &open->key, open->supervisor, member,
	    open->timeout_ms == SPEC_UNSET    ? -1
		: open->timeout_ms > open->age_ms ? open->timeout_ms - open->age_ms
						  : 0);
	live->handling->is_written = open->is_started;
	if (open->is_started)
		live_has_started(live);
	live->handling->is_in_doubt = !open->is_started;
	live->started.ms = clock_mono().ms - open->age_ms;
	if (member->has_ended)
		return; /* its end, and what it said last, are recorded next */
	if (has_stream)
		ask_again(live, open);
	if (open->stop.kind != REASON_NONE)
		pool_interrupt(live);
}

void
pool_forget(struct live *live)
{
	struct handling *handling = live->handling;

	if (handling == NULL)
		return;
	live->handling = NULL;
	if (handling->member == live) { /* it was withdrawn, or we leave */
		handling->member = NULL;
		return;
	}
	if (handling->member != NULL)
		handling->member->handling = NULL;
	loop_timer_remove(live->supervisor->loop, &handling->timer);
	live->supervisor->live->messages--;
	free(handling);
}
