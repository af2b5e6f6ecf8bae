/* rpc: JSON-RPC 2.0, to and from lines. */

#include "wire/rpc.h"
#include "base/text.h"
#include "base/xalloc.h"

#include <string.h>

static int
classify(struct rpc_message *message)
{
	json_t *root = message->root, *error;

	message->method = json_string_value(json_object_get(root, "method"));
	message->id = json_object_get(root, "id");
	if (message->id != NULL && !json_is_string(message->id) &&
	    !json_is_integer(message->id) && !json_is_null(message->id))
		return RPC_INVALID_REQUEST;
	if (message->method != NULL) {
		message->params = json_object_get(root, "params");
		if (message->params != NULL && !json_is_object(message->params) &&
		    !json_is_array(message->params))
			return RPC_INVALID_REQUEST;
		message->kind = message->id != NULL ? RPC_REQUEST : RPC_NOTIFICATION;
		return 0;
	}
	message->result = json_object_get(root, "result");
	error = json_object_get(root, "error");
	if (json_is_object(error)) {
		message->kind = RPC_ERROR;
		message->code = (int)json_integer_value(json_object_get(error, "code"));
		message->message = json_string_value(json_object_get(error, "message"));
		message->data = json_object_get(error, "data");
		return message->message != NULL ? 0 : RPC_INVALID_REQUEST;
	}
	message->kind = RPC_RESULT;
	return message->result != NULL && message->id != NULL ? 0 : RPC_INVALID_REQUEST;
}

int
rpc_parse(const char *line, size_t length, struct rpc_message *ret_message)
{
	struct rpc_message message = { .root = json_loadb(
					   line, length, JSON_REJECT_DUPLICATES, NULL) };
	int code;

	if (message.root == NULL)
		return RPC_PARSE_ERROR;
	code = json_is_object(message.root) ? classify(&message) : RPC_INVALID_REQUEST;
	if (code != 0)
		json_decref(message.root);
	else
		*ret_message = message;
	return code;
}

void
rpc_message_done(struct rpc_message *message)
{
	json_decref(message->root);
	*message = (struct rpc_message){ 0 };
}

char *
rpc_one_line(const char *text)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
	char *line = value == NULL	     ? NULL
	    : strchr(text, '\n') == NULL ? xstrdup(text)
					     : rpc_dump(value);

	json_decref(value);
	return line;
}

char *
rpc_dump(const json_t *value)
{
	return json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
}

/*
 * ---- to lines ----
 *
 * Values are jansson's to write. What stands around them is the same in every message, and is
 * text here: objects made only to be written are half of what a message costs.
 */

static int
add_bytes(const char *bytes, size_t length, void *arg)
{
	buf_add(arg, bytes, length);
	return 0;
}

/* Taken over. One that cannot be written, as it contains itself, is null: the line is whole. */
static void
add_value(struct buf *out, json_t *value)
{
	size_t before = out->length;

	if (json_dump_callback(
		value, add_bytes, out, JSON_COMPACT | JSON_ENCODE_ANY) == -1) {
		out->length = before;
		buf_add_text(out, "null");
	}
	json_decref(value);
}

static void
begin(struct buf *out, json_t *id, const char *method)
{
	buf_add_text(out, "{");
	if (id != NULL) {
		buf_add_text(out, "\"id\":");
		add_value(out, id);
		buf_add_text(out, ",");
	}
	buf_add_text(out, "\"method\":\"");
	buf_add_text(out, method);
	buf_add_text(out, "\"");
}

static void
end(struct buf *out)
{
	buf_add_text(out, ",\"jsonrpc\":\"2.0\"}\n");
}

static void
add_method(struct buf *out, json_t *id, const char *method, json_t *params)
{
	begin(out, id, method);
	if (params != NULL) {
		buf_add_text(out, ",\"params\":");
		add_value(out, params);
	}
	end(out);
}

void
rpc_add_request(struct buf *out, json_int_t id, const char *method, json_t *params)
{
	add_method(out, json_integer(id), method, params);
}

void
rpc_add_named_request(struct buf *out, const char *id, const char *method, json_t *params)
{
	add_method(out, json_string(id), method, params);
}

void
rpc_add_notification(struct buf *out, const char *method, json_t *params)
{
	add_method(out, NULL, method, params);
}

void
rpc_begin(struct buf *out, const char *id, const char *method)
{
	begin(out, id != NULL ? json_string(id) : NULL, method);
	buf_add_text(out, ",\"params\":{");
}

static void
begin_param(struct buf *out, const char *name)
{
	/* Nothing else that has been written ends with a brace that opens. */
	buf_add_text(out, buf_start(out)[out->length - 1] == '{' ? "\"" : ",\"");
	buf_add_text(out, name);
	buf_add_text(out, "\":");
}

void
rpc_add_param(struct buf *out, const char *name, json_t *value)
{
	begin_param(out, name);
	add_value(out, value);
}

void
rpc_add_text_param(struct buf *out, const char *name, struct rpc_text value)
{
	begin_param(out, name);
	buf_add(out, value.text, value.length);
}

void
rpc_end(struct buf *out)
{
	buf_add_text(out, "}");
	end(out);
}

static void
begin_answer(struct buf *out, json_t *id, const char *name)
{
	buf_add_text(out, "{\"id\":");
	add_value(out, id != NULL ? json_incref(id) : json_null());
	buf_add_text(out, name);
}

static void
add_answer(struct buf *out, json_t *id, const char *name, json_t *value)
{
	begin_answer(out, id, name);
	add_value(out, value);
	end(out);
}

void
rpc_add_result(struct buf *out, json_t *id, json_t *result)
{
	add_answer(out, id, ",\"result\":", result);
}

void
rpc_add_text_result(struct buf *out, json_t *id, struct rpc_text result)
{
	begin_answer(out, id, ",\"result\":");
	buf_add(out, result.text, result.length);
	end(out);
}

void
rpc_add_error(struct buf *out, json_t *id, int code, const char *message, json_t *data)
{
	json_t *error = json_pack("{s:i, s:s}", "code", code, "message", message);
	char quoted[1024];

	/* Words of others, or cut within a character: an answer there must be. */
	if (error == NULL)
		error = json_pack("{s:i, s:s}", "code", code, "message",
		    text_quote(quoted, sizeof(quoted), message));
	if (data != NULL)
		json_object_set_new(error, "data", data);
	add_answer(out, id, ",\"error\":", error);
}
