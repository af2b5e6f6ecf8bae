/*
 * gen_timers: the supervisor keeps them. A durable server's own are part of its commit, and
 * its REFs are their ids.
 */

#include "runtime/runtime.h"

/* Text of a timer's request; `to` is left out when it is ourselves. */
static json_t *
timer_params(const char *to, json_t *message, int64_t delay_ms)
{
	json_t *params = addressed(to != NULL ? to : "", message);

	if (to == NULL)
		json_object_del(params, "to");
	json_object_set_new(params, "ms", json_integer(delay_ms));
	return params;
}

int64_t
gen_send_after(
    struct gen_server *server, const char *to, json_t *message, int64_t delay_ms)
{
	json_t *params, *result = NULL;
	int64_t timer = -1;

	if (delay_ms < 0) {
		json_decref(message);
		return -1;
	}
	params = timer_params(to, message, delay_ms);
	if (server->is_durable) {
		timer = durable_ref(server);
		json_object_set_new(params, "ref", json_integer(timer));
		durable_add(server, OUTGOING_SEND_AFTER, params);
		return timer;
	}
	if (request_send(server, "send_after", params, &result, NULL) == 0 &&
	    json_is_integer(json_object_get(result, "timer")))
		timer = json_integer_value(json_object_get(result, "timer"));
	json_decref(result);
	return timer;
}

/* What is left; -1: nothing is. */
static int64_t
ask_left(struct gen_server *server, const char *method, int64_t timer)
{
	json_t *result = NULL;
	int64_t left_ms = -1;

	if (request_send(server, method, json_pack("{s:I}", "timer", (json_int_t)timer), &result,
		NULL) == 0 && json_is_integer(result))
		left_ms = json_integer_value(result);
	json_decref(result);
	return left_ms;
}

/* One that this callback has set has all its time left; it is not running yet. */
static int64_t
uncommitted_left(const struct gen_server *server, int64_t timer, int *ret_place)
{
	*ret_place = durable_find(server, OUTGOING_SEND_AFTER, timer);
	if (*ret_place == -1)
		return -1;
	return json_integer_value(json_object_get(
	    json_array_get(server->outgoing[OUTGOING_SEND_AFTER], (size_t)*ret_place), "ms"));
}

static bool
is_cancelled(const struct gen_server *server, int64_t timer)
{
	const json_t *cancelled;
	size_t i;

	json_array_foreach(server->outgoing[OUTGOING_CANCEL], i, cancelled) {
		if (json_integer_value(cancelled) == timer)
			return true;
	}
	return false;
}

int64_t
gen_cancel_timer(struct gen_server *server, int64_t timer)
{
	int64_t left_ms;
	int place;

	if (!server->is_durable)
		return ask_left(server, "cancel_timer", timer);
	left_ms = uncommitted_left(server, timer, &place);
	if (place != -1) {
		json_array_remove(server->outgoing[OUTGOING_SEND_AFTER], (size_t)place);
		return left_ms;
	}
	left_ms = gen_read_timer(server, timer);
	if (left_ms >= 0)
		durable_add(server, OUTGOING_CANCEL, json_integer(timer));
	return left_ms;
}

int64_t
gen_read_timer(struct gen_server *server, int64_t timer)
{
	int64_t left_ms;
	int place;

	left_ms = uncommitted_left(server, timer, &place);
	if (place != -1 || is_cancelled(server, timer))
		return left_ms;
	return ask_left(server, "read_timer", timer);
}
