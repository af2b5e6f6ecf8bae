/* rpc: a peer's bytes, torn anywhere, as lines, as messages, and what is answered to them. */

#include "fuzz/fuzz.h"
#include "wire/beyond.h"
#include "wire/line.h"

#define LARGEST 4096

/* What we write is one line, and a message of this kind. */
static void
check_written(struct buf *out, enum rpc_kind kind)
{
	struct rpc_message message;
	const char *line;
	size_t length;

	must(line_next(out, SIZE_MAX, &line, &length) == LINE_COMPLETE);
	must(rpc_parse(line, length, &message) == 0);
	must(message.kind == kind);
	rpc_message_done(&message);
	line_consume(out);
	must(out->length == 0);
	buf_done(out);
}

static void
take_message(const char *line, size_t length)
{
	struct rpc_message message;
	struct buf out = { 0 };
	int code = rpc_parse(line, length, &message);

	if (code != 0 && beyond_message(line, length, &message) == NULL)
		return;
	must(code == 0 || code == RPC_PARSE_ERROR);
	if (message.kind == RPC_REQUEST || message.kind == RPC_NOTIFICATION)
		must(message.method != NULL);
	if (message.kind == RPC_REQUEST) {
		rpc_add_result(&out, message.id, json_true());
		check_written(&out, RPC_RESULT);
		rpc_add_error(&out, message.id, 2, message.method, json_incref(message.root));
		check_written(&out, RPC_ERROR);
	} else if (message.kind == RPC_ERROR)
		must(message.message != NULL);
	else if (message.kind == RPC_RESULT)
		must(message.result != NULL && message.id != NULL);
	rpc_message_done(&message);
}

/* The first byte says in pieces of what size the rest arrives. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t piece = size > 0 ? data[0] + 1U : 1, length;
	struct buf in = { 0 }, out = { 0 };
	enum line_state state = LINE_NONE;
	const char *line;

	for (size_t at = 1; at < size && state != LINE_TOO_LONG; at += piece) {
		buf_add(&in, data + at, size - at < piece ? size - at : piece);
		while ((state = line_next(&in, LARGEST, &line, &length)) == LINE_COMPLETE) {
			must(length <= LARGEST);
			take_message(line, length);
			line_consume(&in);
		}
	}
	buf_done(&in);
	/* Words of anybody's make an error that can be read. */
	buf_add(&in, data, size);
	rpc_add_error(&out, NULL, 1, buf_text(&in), NULL);
	check_written(&out, RPC_ERROR);
	buf_done(&in);
	return 0;
}
