/* gen_groups: talking to all servers of a group, and being in one. */

#include "runtime/runtime.h"

static json_t *
grouped(const char *group, json_t *message)
{
	return json_pack("{s:o, s:o}", "group", json_text(group), "message",
	    message != NULL ? message : json_null());
}

int
gen_multi_call(struct gen_server *server, const char *group, json_t *message,
    int64_t timeout_ms, json_t **ret_replies, json_t **ret_bad, struct gen_error *ret_error)
{
	json_t *params = grouped(group, message), *result = NULL;
	int status;

	if (timeout_ms < GEN_INFINITY) {
		json_decref(params);
		return gen_error_set(ret_error, "error", "a negative timeout");
	}
	json_object_set_new(params, "timeout_ms",
	    timeout_ms == GEN_INFINITY ? json_null() : json_integer(timeout_ms));
	status = request_send(server, "call", params, &result, ret_error);
	if (status == 0 && ret_replies != NULL)
		*ret_replies = json_incref(json_object_get(result, "replies"));
	if (status == 0 && ret_bad != NULL)
		*ret_bad = json_incref(json_object_get(result, "bad"));
	json_decref(result);
	return status;
}

void
gen_abcast(struct gen_server *server, const char *group, json_t *message)
{
	json_t *params = grouped(group, message);

	if (server->is_durable)
		durable_add(server, OUTGOING_CAST, params);
	else
		notify(server, "cast", params);
}

static int
change(struct gen_server *server, const char *method, const char *group,
    struct gen_error *ret_error)
{
	return request_send(server, method, json_pack("{s:o}", "group", json_text(group)), NULL,
	    ret_error);
}

int
gen_join(struct gen_server *server, const char *group, struct gen_error *ret_error)
{
	return change(server, "join", group, ret_error);
}

int
gen_leave(struct gen_server *server, const char *group, struct gen_error *ret_error)
{
	return change(server, "leave", group, ret_error);
}
