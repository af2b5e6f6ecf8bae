/* gen_calls: talking to other servers, and answering them. */

#include "runtime/runtime.h"

/* ---- replies ---- */

void
gen_reply(struct gen_server *server, struct gen_from *from, json_t *reply)
{
	if (!answers_is_at_work(server, from)) {
		json_decref(reply); /* the first answer counts */
		return;
	}
	answers_result(server, from, reply != NULL ? reply : json_null());
	stream_flush(server);
}

void
gen_reply_error(
    struct gen_server *server, struct gen_from *from, const char *word, json_t *data)
{
	if (!answers_is_at_work(server, from)) {
		json_decref(data);
		return;
	}
	answers_error(server, from, 1, word, data);
	stream_flush(server);
}

const char *
gen_from_name(const struct gen_from *from)
{
	return json_string_value(from->name);
}

/* ---- call, cast, send ---- */

json_t *
gen_call(struct gen_server *server, const char *to, json_t *message, int64_t timeout_ms,
    struct gen_error *ret_error)
{
	json_t *params = addressed(to, message), *reply;

	if (timeout_ms < GEN_INFINITY) {
		json_decref(params);
		gen_error_set(ret_error, "error", "a negative timeout");
		return NULL;
	}
	json_object_set_new(params, "timeout_ms",
	    timeout_ms == GEN_INFINITY ? json_null() : json_integer(timeout_ms));
	return request_send(server, "call", params, &reply, ret_error) == 0 ? reply : NULL;
}

static void
send_to(struct gen_server *server, enum outgoing kind, const char *method, const char *to,
    json_t *message)
{
	json_t *params = addressed(to, message);

	if (server->is_durable)
		durable_add(server, kind, params);
	else
		notify(server, method, params);
}

void
gen_cast(struct gen_server *server, const char *to, json_t *message)
{
	send_to(server, OUTGOING_CAST, "cast", to, message);
}

void
gen_send(struct gen_server *server, const char *to, json_t *message)
{
	send_to(server, OUTGOING_SEND, "send", to, message);
}

/* ---- whereis, monitors ---- */

/* The number that this member of the result is; `otherwise` if it is none. */
static int64_t
ask_number(struct gen_server *server, const char *method, json_t *params,
    const char *member, int64_t otherwise)
{
	json_t *result = NULL, *value;

	if (request_send(server, method, params, &result, NULL) == 0) {
		value = json_object_get(result, member);
		if (json_is_integer(value))
			otherwise = json_integer_value(value);
	}
	json_decref(result);
	return otherwise;
}

int64_t
gen_whereis(struct gen_server *server, const char *name)
{
	return ask_number(
	    server, "whereis", json_pack("{s:o}", "name", json_text(name)), "id", 0);
}

int64_t
gen_monitor(struct gen_server *server, const char *to)
{
	json_t *params = addressed(to, NULL);

	json_object_del(params, "message");
	return ask_number(server, "monitor", params, "ref", -1);
}

static bool
is_down(const json_t *message, const void *arg)
{
	const json_t *ref = json_object_get(message, "ref");

	return json_object_get(message, "down") != NULL && json_is_integer(ref) &&
	    json_integer_value(ref) == *(const int64_t *)arg;
}

void
gen_demonitor(struct gen_server *server, int64_t ref)
{
	struct message *message;

	/* What was sent before the answer is in the mailbox then. */
	request_send(server, "demonitor", json_pack("{s:I}", "ref", (json_int_t)ref), NULL, NULL);
	while ((message = mailbox_find_info(server, is_down, &ref)) != NULL)
		mailbox_consume(server, message);
}
