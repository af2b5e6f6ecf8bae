/*
 * requests: what we ask of the supervisor. One request is under way at a time; messages that
 * come before its answer wait in the mailbox.
 */

#include "runtime/runtime.h"
#include "base/text.h"
#include "base/xalloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
gen_error_set(struct gen_error *error, const char *word, const char *format, ...)
{
	va_list arguments;

	if (error == NULL)
		return -1;
	*error = (struct gen_error){ .data = NULL };
	snprintf(error->word, sizeof(error->word), "%s", word);
	va_start(arguments, format);
	vsnprintf(error->reason, sizeof(error->reason), format, arguments);
	va_end(arguments);
	return -1;
}

void
gen_error_done(struct gen_error *error)
{
	json_decref(error->data);
	error->data = NULL;
}

/* The word that an error begins with: "noproc", or "too_large: 3 bytes …". */
static void
first_word(char *buffer, size_t size, const char *message)
{
	size_t length = strspn(message, "abcdefghijklmnopqrstuvwxyz_");

	if (length == 0 || length >= size || (message[length] != '\0' && message[length] != ':'))
		snprintf(buffer, size, "error");
	else
		snprintf(buffer, size, "%.*s", (int)length, message);
}

/* 70: the other one has ended, and the message is its reason, whatever that looks like. */
#define CODE_ENDED 70

static int
take_error(const struct rpc_message *answer, struct gen_error *error)
{
	char word[sizeof(error->word)] = "exit";

	if (error == NULL)
		return -1;
	if (answer->code != CODE_ENDED)
		first_word(word, sizeof(word), answer->message);
	gen_error_set(error, word, "%s", answer->message);
	error->data = answer->data != NULL ? json_incref(answer->data) : NULL;
	return -1;
}

static int
wait_for_answer(struct gen_server *server, struct request *request,
    json_t **ret_result, struct gen_error *ret_error)
{
	int status = -1;

	while (!request->is_answered && !server->is_at_end)
		mailbox_wait(server, -1);
	if (!request->is_answered)
		return gen_error_set(ret_error, "error", "the supervisor is gone");
	if (request->answer.kind == RPC_ERROR)
		take_error(&request->answer, ret_error);
	else {
		if (ret_result != NULL)
			*ret_result = json_incref(request->answer.result);
		status = 0;
	}
	rpc_message_done(&request->answer);
	return status;
}

int
request_send(struct gen_server *server, const char *method, json_t *params,
    json_t **ret_result, struct gen_error *ret_error)
{
	struct request request = { .id = ++server->last_request, .method = method,
		.params = params };
	size_t before = server->out.length, length;
	int status;

	rpc_add_request(&server->out, request.id, method, json_incref(params));
	length = server->out.length - before;
	if (length > STREAM_LARGEST) {
		server->out.length = before;
		status = gen_error_set(ret_error, "too_large",
		    "too_large: %zu bytes, and a line has at most %u", length,
		    STREAM_LARGEST);
	} else {
		server->request = &request;
		stream_flush(server);
		status = wait_for_answer(server, &request, ret_result, ret_error);
		server->request = NULL;
	}
	json_decref(params);
	return status;
}

void
request_again(struct gen_server *server)
{
	struct request *request = server->request;

	if (request == NULL || request->is_answered)
		return;
	json_object_set_new(request->params, "repeated", json_true());
	rpc_add_request(
	    &server->out, request->id, request->method, json_incref(request->params));
	stream_flush(server);
}

void
request_take_answer(struct gen_server *server, struct rpc_message *message)
{
	struct request *request = server->request;

	if (request == NULL || request->is_answered || !json_is_integer(message->id) ||
	    json_integer_value(message->id) != request->id)
		return; /* the second answer to a request that went out twice */
	request->answer = *message;
	request->is_answered = true;
	*message = (struct rpc_message){ 0 };
}

/* The line that `out` had before `length` is dropped, and that is noted. */
static void
drop_large(struct gen_server *server, const char *method, size_t before)
{
	size_t length = server->out.length - before;

	server->out.length = before;
	gen_log(server, "%s dropped: %zu bytes, and a line has at most %u", method, length,
	    STREAM_LARGEST);
}

void
notify(struct gen_server *server, const char *method, json_t *params)
{
	size_t before = server->out.length;

	rpc_add_notification(&server->out, method, params);
	if (server->out.length - before > STREAM_LARGEST)
		drop_large(server, method, before);
	stream_flush(server);
}

json_t *
json_text(const char *text)
{
	json_t *string = json_string(text);
	size_t size;
	char *quoted;

	if (string != NULL)
		return string;
	size = 4 * strlen(text) + 1;
	quoted = xmalloc(size);
	string = json_string(text_quote(quoted, size, text));
	free(quoted);
	return string != NULL ? string : json_string("?");
}

json_t *
addressed(const char *to, json_t *message)
{
	int64_t id;

	return json_pack("{s:o, s:o}", "to",
	    text_number(to, 1, INT64_MAX, &id) == 0 ? json_integer(id) : json_text(to),
	    "message", message != NULL ? message : json_null());
}

char *
reason_text(const json_t *reason)
{
	struct buf text = { 0 };
	char *dumped;

	if (json_is_string(reason))
		return xstrdup(json_string_value(reason));
	dumped = json_dumps(reason, JSON_COMPACT | JSON_ENCODE_ANY);
	buf_add_text(&text, dumped != NULL ? dumped : "?");
	free(dumped);
	dumped = xstrdup(buf_text(&text));
	buf_done(&text);
	return dumped;
}
