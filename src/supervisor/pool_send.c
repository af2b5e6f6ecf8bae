/*
 * pool_send: messages to pools on their way into the store, where each is a job, and those who
 * called and wait for what comes of it. A call that is asked again after a crash is known by
 * its name, and finds the job of the first time.
 */

#include "supervisor/pool.h"
#include "base/xalloc.h"
#include "supervisor/asker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- into the store ---- */

static struct step *
make_submit(const struct pool *pool, struct rpc_text message,
    void (*act)(void *arg, struct step *step), void *arg)
{
	struct step *step = batch_make_step(STEP_SUBMIT, act, arg);
	struct spec *spec = xcalloc(1, sizeof(*spec));

	spec_init(spec);
	spec->is_message = true;
	strings_add_owned(&spec->command, xasprintf("%" PRId64, pool->id));
	strings_add_owned(&spec->command, xstrndup(message.text, message.length));
	step->submit.specs = spec;
	step->submit.count = 1;
	return step;
}

struct sending {
	struct asker asker;
	int64_t pool;
};

static void
is_sent(void *arg, struct step *step)
{
	struct sending *sending = arg;
	struct caller caller = asker_find(&sending->asker);

	if (step->answer == STEP_OK) {
		pool_look(pool_get(sending->asker.supervisor, sending->pool));
		router_answer(caller,
		    json_pack("{s:I}", "id", (json_int_t)step->submit.ret_ids[0]));
	} else
		router_answer_error(caller, step->error.code, step->error.text, NULL);
	asker_drop(&sending->asker);
	free(sending);
}

struct step *
pool_make_send(struct supervisor *supervisor, const struct pool *pool,
    struct rpc_text message, struct caller caller)
{
	struct sending *sending = xcalloc(1, sizeof(*sending));

	sending->asker = asker_of(supervisor, caller);
	sending->pool = pool->id;
	return make_submit(pool, message, is_sent, sending);
}

/* ---- calls ---- */

struct pool_call {
	RB_ENTRY(pool_call) entry; /* by job, when that is known */
	struct asker asker;
	int64_t pool;
	int64_t job; /* 0: not recorded yet */
	json_t *result;
	struct timer timer;
	bool is_repeated, was_looked_up;
	bool is_waiting;  /* in the tree, for the end of its job */
	bool is_answered; /* freed when no step knows it any more */
	int steps;	  /* under way */
};

static int
compare(const struct pool_call *a, const struct pool_call *b)
{
	if (a->job != b->job)
		return a->job < b->job ? -1 : 1;
	return a < b ? -1 : a > b;
}

RB_GENERATE_INTERNAL(
    pool_call_tree, pool_call, entry, compare, __attribute__((unused)) static)

static struct pool_call_tree *
calls_of(struct supervisor *supervisor)
{
	return &supervisor->servers->pool_calls;
}

/* The first one that waits for this job, or for a later one. */
static struct pool_call *
first_for(struct supervisor *supervisor, int64_t job)
{
	struct pool_call wanted = { .job = job - 1 };
	struct pool_call *call = RB_NFIND(pool_call_tree, calls_of(supervisor), &wanted);

	while (call != NULL && call->job < job)
		call = RB_NEXT(pool_call_tree, NULL, call);
	return call;
}

static void
free_if_done(struct pool_call *call)
{
	if (!call->is_answered || call->steps > 0)
		return;
	asker_drop(&call->asker);
	json_decref(call->result);
	free(call);
}

static void
wait_no_more(struct pool_call *call)
{
	if (call->is_waiting)
		RB_REMOVE(pool_call_tree, calls_of(call->asker.supervisor), call);
	call->is_waiting = false;
}

/* It has been answered: nobody looks for it any more. */
static void
finish(struct pool_call *call)
{
	struct supervisor *supervisor = call->asker.supervisor;

	wait_no_more(call);
	loop_timer_remove(supervisor->loop, &call->timer);
	call->is_answered = true;
	free_if_done(call);
}

static void
answer_error(struct pool_call *call, int code, const char *words)
{
	json_t *data = call->job != 0 ? json_pack("{s:I}", "job", (json_int_t)call->job) : NULL;

	router_answer_error(asker_find(&call->asker), code, words, data);
	finish(call);
}

static void
timed_out(void *arg)
{
	answer_error(arg, STATUS_TIMED_OUT, "timeout");
}

static void looked_up(void *arg, struct step *step);

/* What it has come to, as it is on record. */
static void
look_up(struct pool_call *call)
{
	struct supervisor *supervisor = call->asker.supervisor;

	call->was_looked_up = true;
	wait_no_more(call);
	call->steps++;
	turn_add(supervisor, STEP_LOOKUP, looked_up, call)->lookup.job = call->job;
	turn_tells(supervisor);
}

static void
wait_for_end(struct pool_call *call)
{
	call->is_waiting = true;
	RB_INSERT(pool_call_tree, calls_of(call->asker.supervisor), call);
}

/* A member's own error is the caller's; any other end is told by its reason. */
static void
answer_end(struct pool_call *call, enum job_status status, struct reason reason)
{
	static const char prefix[] = "error: ";
	char text[REASON_TEXT_SIZE];

	reason_format(text, reason);
	if (status == JOB_DONE && call->result == NULL && !call->was_looked_up)
		look_up(call);
	else if (status == JOB_DONE) {
		router_answer(asker_find(&call->asker),
		    call->result != NULL ? json_incref(call->result) : json_null());
		finish(call);
	} else if (reason.kind == REASON_OWN && strncmp(text, prefix, strlen(prefix)) == 0)
		answer_error(call, STATUS_NO, text + strlen(prefix));
	else
		answer_error(call, STATUS_INTERNAL, text);
}

static void
looked_up(void *arg, struct step *step)
{
	struct pool_call *call = arg;

	call->steps--;
	if (call->is_answered) {
		free_if_done(call);
		return;
	}
	if (step->answer != STEP_OK) {
		answer_error(call, STATUS_NOT_FOUND, "noproc");
		return;
	}
	if (job_status_is_live(step->lookup.ret_status)) {
		call->was_looked_up = false;
		wait_for_end(call);
		return;
	}
	if (call->result == NULL && step->lookup.ret_result != NULL)
		call->result = json_loads(step->lookup.ret_result, JSON_DECODE_ANY, NULL);
	answer_end(call, step->lookup.ret_status, step->lookup.ret_reason);
}

static void
is_recorded(void *arg, struct step *step)
{
	struct pool_call *call = arg;
	struct supervisor *supervisor = call->asker.supervisor;

	call->steps--;
	if (step->answer == STEP_OK)
		pool_look(pool_get(supervisor, call->pool));
	if (call->is_answered)
		free_if_done(call);
	else if (step->answer != STEP_OK)
		answer_error(call, step->error.code, step->error.text);
	else {
		call->job = step->submit.ret_ids[0];
		if (call->is_repeated) /* it may have ended before */
			look_up(call);
		else
			wait_for_end(call);
	}
}

void
pool_call(struct supervisor *supervisor, const struct pool *pool,
    const struct envelope *envelope, struct caller caller)
{
	struct pool_call *call = xcalloc(1, sizeof(*call));
	struct step *step = make_submit(pool, envelope->message, is_recorded, call);

	call->asker = asker_of(supervisor, caller);
	call->pool = pool->id;
	call->is_repeated = envelope->is_repeated;
	call->timer = (struct timer){ .fire = timed_out, .arg = call };
	call->steps = 1;
	if (envelope->timeout_ms >= 0)
		loop_timer_set(supervisor->loop, &call->timer, envelope->timeout_ms);
	step->submit.token = xstrdup(envelope->ref);
	step->submit.is_repeated = envelope->is_repeated;
	turn_add_made(supervisor, step);
}

void
pool_note_result(struct supervisor *supervisor, int64_t job, json_t *result)
{
	for (struct pool_call *call = first_for(supervisor, job);
	     call != NULL && call->job == job; call = RB_NEXT(pool_call_tree, NULL, call)) {
		json_decref(call->result);
		call->result = json_incref(result);
	}
}

bool
pool_waits_for(struct supervisor *supervisor, const struct ended_job *ended, size_t count)
{
	if (RB_EMPTY(calls_of(supervisor)))
		return false;
	for (size_t i = 0; i < count; i++) {
		struct pool_call *call = first_for(supervisor, ended[i].job);

		if (call != NULL && call->job == ended[i].job)
			return true;
	}
	return false;
}

void
pool_jobs_ended(struct supervisor *supervisor, const struct ended_job *ended, size_t count)
{
	struct pool_call *call;

	if (RB_EMPTY(calls_of(supervisor)))
		return;
	for (size_t i = 0; i < count; i++) {
		while ((call = first_for(supervisor, ended[i].job)) != NULL &&
		    call->job == ended[i].job)
			answer_end(call, ended[i].status, ended[i].reason);
	}
}

void
pool_fail_calls(struct supervisor *supervisor, int code, const char *word)
{
	struct pool_call *call;

	while ((call = RB_MIN(pool_call_tree, calls_of(supervisor))) != NULL)
		answer_error(call, code, word);
}
