/*
 * answers: who waits for a reply, and the replies that were given. A client whose supervisor
 * process was killed sends its call again with the same id: it must not be carried out twice.
 */

#include "runtime/runtime.h"
#include "base/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gen_from *
answers_begin(struct gen_server *server, struct message *call)
{
	struct gen_from *from = xcalloc(1, sizeof(*from));

	from->id = json_incref(call->id);
	from->name = json_is_string(call->from) ? json_incref(call->from) : json_string("client");
	TAILQ_INSERT_TAIL(&server->at_work, from, entry);
	return from;
}

bool
answers_is_at_work(const struct gen_server *server, const struct gen_from *from)
{
	const struct gen_from *other;

	TAILQ_FOREACH(other, &server->at_work, entry) {
		if (other == from)
			return true;
	}
	return false;
}

void
from_free(struct gen_server *server, struct gen_from *from)
{
	TAILQ_REMOVE(&server->at_work, from, entry);
	json_decref(from->id);
	json_decref(from->name);
	free(from);
}

static void
forget_oldest(struct answers *answers)
{
	struct answer *answer = &answers->ring[answers->first];

	answers->bytes -= answer->length;
	json_decref(answer->id);
	free(answer->line);
	answers->first = (answers->first + 1) % ANSWERS_MOST;
	answers->count--;
}

static void
remember(struct answers *answers, json_t *id, const char *line, size_t length)
{
	struct answer *answer;

	if (answers->ring == NULL)
		answers->ring = xcalloc(ANSWERS_MOST, sizeof(*answers->ring));
	while (answers->count > 0 && (answers->count == ANSWERS_MOST ||
	    answers->bytes + length > ANSWERS_MOST_BYTES))
		forget_oldest(answers);
	answer = &answers->ring[(answers->first + answers->count) % ANSWERS_MOST];
	*answer = (struct answer){ json_incref(id), xmalloc(length), length };
	memcpy(answer->line, line, length);
	answers->bytes += length;
	answers->count++;
}

/* As it stands in a commit: without a NUL, which jansson writes and does not read. */
static json_t *
to_commit(const struct gen_from *from, const char *line, size_t length)
{
	json_t *response = json_loadb(line, length, 0, NULL);

	if (response == NULL)
		return json_pack("{s:O, s:{s:i, s:s}}", "id", from->id, "error", "code", 1,
		    "message", "bad_return_value: a NUL in a string, or too many levels");
	json_object_del(response, "jsonrpc");
	return response;
}

/*
 * The line, what `out` has more than `before`, goes out and is remembered; or it goes into the
 * commit.
 */
static void
give(struct gen_server *server, struct gen_from *from, size_t before)
{
	const char *line = buf_start(&server->out) + before;
	size_t length = server->out.length - before;

	if (server->is_durable) {
		durable_add(server, OUTGOING_REPLY, to_commit(from, line, length));
		server->out.length = before;
	} else
		remember(&server->answers, from->id, line, length);
	from_free(server, from);
}

void
answers_committed(struct gen_server *server, const json_t *replies)
{
	struct buf line = { 0 };
	json_t *reply, *id, *error;
	size_t i;

	json_array_foreach(replies, i, reply) {
		id = json_object_get(reply, "id");
		error = json_object_get(reply, "error");
		if (error != NULL)
			rpc_add_error(&line, id,
			    (int)json_integer_value(json_object_get(error, "code")),
			    json_string_value(json_object_get(error, "message")),
			    json_incref(json_object_get(error, "data")));
		else
			rpc_add_result(&line, id,
			    json_incref(json_object_get(reply, "result")));
		remember(&server->answers, id, buf_start(&line), line.length);
		buf_clear(&line);
	}
	buf_done(&line);
}

void
answers_result(struct gen_server *server, struct gen_from *from, json_t *result)
{
	struct buf *out = &server->out;
	size_t before = out->length;
	char words[128];

	rpc_add_result(out, from->id, result);
	if (out->length - before > STREAM_LARGEST) {
		snprintf(words, sizeof(words),
		    "reply_too_large: %zu bytes, and a line has at most %u",
		    out->length - before, STREAM_LARGEST);
		out->length = before;
		rpc_add_error(out, from->id, 1, words, NULL);
	}
	give(server, from, before);
}

void
answers_error(struct gen_server *server, struct gen_from *from, int code,
    const char *message, json_t *data)
{
	struct buf *out = &server->out;
	size_t before = out->length;

	rpc_add_error(out, from->id, code, message, data);
	if (out->length - before > STREAM_LARGEST) {
		out->length = before;
		rpc_add_error(out, from->id, 1,
		    "reply_too_large: the data of an error do not fit a line", NULL);
	}
	give(server, from, before);
}

bool
answers_repeat(struct gen_server *server, const json_t *id)
{
	const struct answers *answers = &server->answers;
	const struct gen_from *from;

	TAILQ_FOREACH(from, &server->at_work, entry) {
		if (json_equal(from->id, id))
			return true;
	}
	for (size_t i = 0; i < answers->count; i++) {
		const struct answer *answer =
		    &answers->ring[(answers->first + i) % ANSWERS_MOST];

		if (json_equal(answer->id, id)) {
			buf_add(&server->out, answer->line, answer->length);
			stream_flush(server);
			return true;
		}
	}
	return false;
}

void
answers_done(struct gen_server *server)
{
	while (server->answers.count > 0)
		forget_oldest(&server->answers);
	free(server->answers.ring);
	while (!TAILQ_EMPTY(&server->at_work))
		from_free(server, TAILQ_FIRST(&server->at_work));
}
