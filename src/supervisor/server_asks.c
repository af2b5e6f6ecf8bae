/*
 * server_asks: what servers ask for that the store answers: timers, jobs, tasks, monitors,
 * names. The answer follows the commit, if the server that asked is still there.
 */

#include "base/text.h"
#include "base/xalloc.h"
#include "model/spec_json.h"
#include "supervisor/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Who asked. */
struct asked {
	struct supervisor *supervisor;
	struct attempt_key key;
	json_t *id; /* NULL: a notification, not answered */
};

static struct asked *
ask(struct server *server, json_t *id)
{
	struct asked *asked = xcalloc(1, sizeof(*asked));

	asked->supervisor = server->supervisor;
	asked->key = server->live->key;
	asked->id = json_incref(id);
	return asked;
}

/* Takes over result, or tells the step's error when that is NULL. */
static void
answer(struct asked *asked, const struct step *step, json_t *result)
{
	struct live *live = live_find(asked->supervisor, asked->key.job);
	struct caller caller = { .id = asked->id };

	if (live != NULL && live->key.attempt == asked->key.attempt && asked->id != NULL)
		caller.server = live->server;
	if (result != NULL)
		router_answer(caller, result);
	else
		router_answer_error(caller, step->error.code, step->error.text, NULL);
	json_decref(asked->id);
	free(asked);
}

/* Whom a message is for: an id, or a name; itself if there is none. 0, or -1. */
static int
read_address(const struct server *server, const json_t *to, int64_t *ret_job,
    char name[NAME_SIZE])
{
	const char *word = json_string_value(to);

	*ret_job = json_integer_value(to);
	if (to == NULL)
		*ret_job = server->live->key.job;
	if (word != NULL && text_number(word, 1, SPEC_LARGEST_ID, ret_job) == -1) {
		*ret_job = 0;
		if (strlen(word) >= NAME_SIZE)
			return -1;
		memcpy(name, word, strlen(word) + 1);
		return 0;
	}
	return *ret_job > 0 ? 0 : -1;
}

/* ---- timers ---- */

static void
timer_made(void *arg, struct step *step)
{
	struct asked *asked = arg;
	json_t *result = NULL;

	asks_heed_timer(asked->supervisor, step);
	if (step->answer == STEP_OK)
		result = json_pack("{s:I}", "timer", (json_int_t)step->timer.ret_timer);
	answer(asked, step, result);
}

const char *
asks_read_timer(struct server *server, const json_t *params, struct step *step)
{
	const json_t *ms = json_object_get(params, "ms");
	const json_t *message = json_object_get(params, "message");

	if (message == NULL || !json_is_integer(ms) || json_integer_value(ms) < 0 ||
	    json_integer_value(ms) > SERVER_LATEST_TIMER_MS)
		return "send_after wants message and ms, from 0 to 4503599627370496";
	if (read_address(server, json_object_get(params, "to"), &step->timer.to,
		step->timer.to_name) == -1)
		return "to is not a name or an id";
	step->timer.key = server->live->key;
	step->timer.is_durable = server->is_durable;
	step->timer.delay_ms = json_integer_value(ms);
	step->timer.text = rpc_dump(message);
	return NULL;
}

const char *
asks_send_after(struct server *server, json_t *id, const json_t *params)
{
	struct step *step =
	    batch_make_step(STEP_TIMER, timer_made, NULL);
	const char *wrong = asks_read_timer(server, params, step);

	if (wrong != NULL) {
		batch_free_step(step);
		return wrong;
	}
	step->arg = ask(server, id);
	step->timer.most = TIMERS_MOST;
	turn_add_made(server->supervisor, step);
	return NULL;
}

static void
timer_told(void *arg, struct step *step)
{
	answer(arg, step,
	    step->timer_end.ret_left_ms >= 0 ? json_integer(step->timer_end.ret_left_ms)
					     : json_false());
}

static const char *
end_timer(struct server *server, json_t *id, const json_t *params, bool is_cancel)
{
	const json_t *timer = json_object_get(params, "timer");
	struct step *step;

	if (!json_is_integer(timer))
		return "timer is not a number";
	step = turn_add(
	    server->supervisor, STEP_TIMER_END, timer_told, ask(server, id));
	step->timer_end.owner = server->live->key.job;
	step->timer_end.timer = json_integer_value(timer);
	step->timer_end.is_ref = server->is_durable;
	step->timer_end.is_cancel = is_cancel;
	return NULL;
}

const char *
asks_cancel_timer(struct server *server, json_t *id, const json_t *params)
{
	return end_timer(server, id, params, true);
}

const char *
asks_read_timer_left(struct server *server, json_t *id, const json_t *params)
{
	return end_timer(server, id, params, false);
}

/* ---- jobs ---- */

static void
job_made(void *arg, struct step *step)
{
	struct asked *asked = arg;
	bool is_in = step->answer == STEP_OK;

	if (is_in)
		live_ready_at(asked->supervisor, spec_supervisor(&step->submit.specs[0]));
	answer(asked, step, is_in
		? json_pack("{s:I}", "id", (json_int_t)step->submit.ret_ids[0])
		: NULL);
}

/* What it may not be when a server asks for it. 0 or -1 with *error. */
static int
check_job(const struct spec *spec, bool is_task, struct error *error)
{
	if (spec->is_server)
		return error_set(error, STATUS_USAGE, "a server is started with start");
	if (is_task && spec->is_once)
		return error_set(error, STATUS_USAGE,
		    "once: the job that has the name already would be no task of this server");
	return spec_check_resolved(spec, error);
}

/* A job as in --batch; a task runs once unless told otherwise. */
const char *
asks_read_job(struct server *server, const json_t *job, bool is_task, struct step *step,
    struct error *error)
{
	json_t *copy = json_deep_copy(job);
	struct spec *spec = xcalloc(1, sizeof(*spec));
	int result;

	if (is_task && json_object_get(copy, "max_retries") == NULL &&
	    json_object_get(copy, "max-retries") == NULL)
		json_object_set_new(copy, "max-retries", json_integer(0));
	result = spec_from_json(spec, copy, clock_wall(), error);
	json_decref(copy);
	if (result == 0 && check_job(spec, is_task, error) == -1) {
		spec_done(spec);
		result = -1;
	}
	if (result == -1) {
		free(spec);
		return error->text;
	}
	step->submit.specs = spec;
	step->submit.count = 1;
	step->submit.by_server.owner = server->live->key.job;
	step->submit.by_server.owner_attempt =
	    server->is_durable ? 0 : server->live->key.attempt;
	step->submit.by_server.is_task = is_task;
	return NULL;
}

static const char *
make_job(struct server *server, json_t *id, const json_t *params, bool is_task)
{
	struct step *step = batch_make_step(STEP_SUBMIT, job_made, NULL);
	struct caller caller = { .server = server, .id = id };
	struct error error;

	if (asks_read_job(server, params, is_task, step, &error) != NULL) {
		batch_free_step(step);
		if (id != NULL)
			router_answer_error(caller, error.code, error.text, NULL);
		return id != NULL ? NULL : "it is not a job";
	}
	step->arg = ask(server, id);
	turn_add_made(server->supervisor, step);
	live_ready_at(server->supervisor, spec_supervisor(&step->submit.specs[0]));
	return NULL;
}

const char *
asks_start_job(struct server *server, json_t *id, const json_t *params)
{
	return make_job(server, id, params, false);
}

const char *
asks_async(struct server *server, json_t *id, const json_t *params)
{
	return make_job(server, id, params, true);
}

static void
task_cancelled(void *arg, struct step *step)
{
	struct asked *asked = arg;
	bool was_live = step->answer == STEP_OK;

	if (was_live && step->change.ret_must_stop)
		live_stop(asked->supervisor, &step->change.ret_attempt, STOP_CANCELLED,
		    STOP_OWN_GRACE);
	if (was_live && step->change.ret_must_recall)
		claims_recall(asked->supervisor, &step->change.ret_attempt);
	answer(asked, step, json_boolean(was_live));
}

const char *
asks_shutdown_task(struct server *server, json_t *id, const json_t *params)
{
	const json_t *task = json_object_get(params, "id");
	struct step *step;

	if (!json_is_integer(task))
		return "id is not a number";
	step = turn_add(
	    server->supervisor, STEP_CHANGE, task_cancelled, ask(server, id));
	step->change.job = json_integer_value(task);
	step->change.task_of = server->live->key.job;
	step->change.event = JOB_CANCEL;
	return NULL;
}

void
asks_end_tasks(struct supervisor *supervisor, const int64_t *jobs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct asked *nobody = xcalloc(1, sizeof(*nobody));
		struct step *step;

		nobody->supervisor = supervisor;
		step = turn_add(supervisor, STEP_CHANGE, task_cancelled, nobody);
		step->change.job = jobs[i];
		step->change.event = JOB_CANCEL;
	}
}

/* ---- monitors and names ---- */

static void
monitor_made(void *arg, struct step *step)
{
	answer(arg, step, json_pack("{s:I}", "ref", (json_int_t)step->monitor.ret_ref));
}

const char *
asks_monitor(struct server *server, json_t *id, const json_t *params)
{
	const json_t *to = json_object_get(params, "to");
	struct step *step = batch_make_step(STEP_MONITOR, monitor_made, NULL);

	if (to == NULL ||
	    read_address(server, to, &step->monitor.job, step->monitor.name) == -1) {
		batch_free_step(step);
		return "to is not a name or an id";
	}
	step->monitor.key = server->live->key;
	step->monitor.is_durable = server->is_durable;
	step->arg = ask(server, id);
	turn_add_made(server->supervisor, step);
	return NULL;
}

static void
demonitored(void *arg, struct step *step)
{
	answer(arg, step, json_true());
}

const char *
asks_demonitor(struct server *server, json_t *id, const json_t *params)
{
	const json_t *ref = json_object_get(params, "ref");
	struct step *step;

	if (!json_is_integer(ref))
		return "ref is not a number";
	step = turn_add(
	    server->supervisor, STEP_DEMONITOR, demonitored, ask(server, id));
	step->demonitor.owner = server->live->key.job;
	step->demonitor.ref = json_integer_value(ref);
	return NULL;
}

static void
name_looked_up(void *arg, struct step *step)
{
	bool is_live = step->answer == STEP_OK && job_status_is_live(step->lookup.ret_status);

	answer(arg, step, json_pack("{s:o}", "id",
	    is_live ? json_integer(step->lookup.ret_job) : json_null()));
}

const char *
asks_whereis(struct server *server, json_t *id, const json_t *params)
{
	const char *name = json_string_value(json_object_get(params, "name"));
	struct step *step;

	if (name == NULL)
		return "name is not a string";
	step = turn_add(
	    server->supervisor, STEP_LOOKUP, name_looked_up, ask(server, id));
	step->lookup.name = xstrdup(name);
	return NULL;
}

/* ---- groups ---- */

static void
group_changed(void *arg, struct step *step)
{
	answer(arg, step, step->answer == STEP_OK ? json_true() : NULL);
}

static const char *
change_group(struct server *server, json_t *id, const json_t *params, bool is_leave)
{
	const char *group = json_string_value(json_object_get(params, "group"));
	struct step *step;

	if (group == NULL || !text_is_name(group))
		return "group is not a name";
	if (server->pool != NULL)
		return "a pool is in the groups that it was started with";
	step = turn_add(server->supervisor, STEP_GROUP, group_changed, ask(server, id));
	step->group.key = server->live->key;
	step->group.is_leave = is_leave;
	memcpy(step->group.name, group, strlen(group) + 1);
	return NULL;
}

const char *
asks_join(struct server *server, json_t *id, const json_t *params)
{
	return change_group(server, id, params, false);
}

const char *
asks_leave(struct server *server, json_t *id, const json_t *params)
{
	return change_group(server, id, params, true);
}

/* For a part of a commit: its timer is to be heeded, and nobody is answered. */
void
asks_heed_timer(void *arg, struct step *step)
{
	if (step->answer == STEP_OK)
		turn_wake_in(arg, step->timer.delay_ms);
}

/* Likewise: its job may start. */
void
asks_heed_job(void *arg, struct step *step)
{
	if (step->answer == STEP_OK)
		live_anything_ready(arg);
}
