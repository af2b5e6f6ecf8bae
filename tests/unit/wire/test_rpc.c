/* rpc: what is a message and what is none, and that what we write can be read. */

#include "base/xalloc.h"
#include "wire/rpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int
parse(const char *line, struct rpc_message *message)
{
	return rpc_parse(line, strlen(line), message);
}

/* The line that was written, which must be the only one; without its newline. */
static void
parse_written(struct buf *out, struct rpc_message *message)
{
	const char *text = buf_text(out);
	size_t length = strcspn(text, "\n");

	assert_int_equal(length + 1, out->length);
	assert_int_equal(rpc_parse(text, length, message), 0);
	buf_done(out);
}

static void
rpc_request_has_method_params_and_id(void **state)
{
	struct rpc_message message;

	(void)state;
	assert_int_equal(parse("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"wait\","
			       "\"params\":{\"ids\":[1]}}",
			     &message),
	    0);
	assert_int_equal(message.kind, RPC_REQUEST);
	assert_string_equal(message.method, "wait");
	assert_int_equal(json_integer_value(message.id), 7);
	assert_true(json_is_object(message.params));
	rpc_message_done(&message);
	assert_null(message.root);
}

static void
rpc_kinds_are_told_apart(void **state)
{
	static const struct {
		const char *line;
		enum rpc_kind kind;
	} rows[] = {
		{ "{\"id\":1,\"method\":\"a\"}", RPC_REQUEST },
		{ "{\"id\":\"x\",\"method\":\"a\",\"params\":[1]}", RPC_REQUEST },
		{ "{\"id\":null,\"method\":\"a\"}", RPC_REQUEST },
		{ " {\"method\":\"a\"} ", RPC_NOTIFICATION },
		{ "{\"method\":\"a\",\"params\":{}}", RPC_NOTIFICATION },
		{ "{\"method\":\"\"}", RPC_NOTIFICATION },
		{ "{\"id\":1,\"result\":null}", RPC_RESULT },
		{ "{\"id\":1,\"result\":[],\"error\":null}", RPC_RESULT },
		{ "{\"id\":1,\"error\":{\"code\":1,\"message\":\"m\"}}", RPC_ERROR },
		{ "{\"id\":null,\"error\":{\"code\":-32700,\"message\":\"m\"}}", RPC_ERROR },
		{ "{\"error\":{\"message\":\"m\"}}", RPC_ERROR },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rpc_message message;

		assert_int_equal(parse(rows[i].line, &message), 0);
		assert_int_equal(message.kind, rows[i].kind);
		rpc_message_done(&message);
	}
}

static void
rpc_error_tells_code_message_and_data(void **state)
{
	struct rpc_message message;

	(void)state;
	assert_int_equal(parse("{\"id\":3,\"error\":{\"code\":-32601,\"message\":\"no\","
			       "\"data\":{\"x\":1}}}",
			     &message),
	    0);
	assert_int_equal(message.code, RPC_METHOD_NOT_FOUND);
	assert_string_equal(message.message, "no");
	assert_int_equal(json_integer_value(json_object_get(message.data, "x")), 1);
	assert_null(message.method);
	rpc_message_done(&message);
}

static void
rpc_parse_refuses_what_is_no_message(void **state)
{
	static const char *const lines[] = {
		"{}",
		"{\"jsonrpc\":\"2.0\"}",
		"{\"id\":1}",
		"{\"result\":1}",
		"{\"id\":1,\"method\":5}",
		"{\"id\":1,\"method\":null}",
		"{\"id\":1.5,\"method\":\"a\"}",
		"{\"id\":true,\"method\":\"a\"}",
		"{\"id\":[],\"method\":\"a\"}",
		"{\"id\":{},\"result\":1}",
		"{\"id\":1,\"method\":\"a\",\"params\":1}",
		"{\"method\":\"a\",\"params\":\"text\"}",
		"{\"method\":\"a\",\"params\":null}",
		"{\"id\":1,\"error\":{}}",
		"{\"id\":1,\"error\":{\"code\":1,\"message\":2}}",
		"{\"id\":1,\"error\":\"text\"}",
		"[]",
		"[{\"id\":1,\"method\":\"a\"}]", /* a batch: one message a line instead */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct rpc_message message = { .code = 42 };

		assert_int_equal(parse(lines[i], &message), RPC_INVALID_REQUEST);
		assert_int_equal(message.code, 42);
	}
}

static void
rpc_parse_refuses_what_is_no_json(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
	} rows[] = {
#define BYTES(text) { text, sizeof(text) - 1 }
		BYTES(""),
		BYTES(" "),
		BYTES("garbage"),
		BYTES("{\"method\":\"a\""),
		BYTES("{\"method\":\"a\"} x"),
		BYTES("{\"method\":\"a\"}{\"method\":\"b\"}"),
		BYTES("{\"method\":\"a\",\"method\":\"b\"}"),
		BYTES("{\"method\":\"\xff\"}"),
		BYTES("{\"method\":\"\xc0\x80\"}"),
		BYTES("{\"method\":\"\xed\xa0\x80\"}"),
		BYTES("{\"method\":\"a\0b\"}"),
		BYTES("{\"method\":\"a\\u0000b\"}"),
		BYTES("{\"method\":\"\\ud800\"}"),
		BYTES("\0"),
		BYTES("{\"method\":\"a\"}\0"),
		BYTES("{\"id\":99999999999999999999,\"method\":\"a\"}"),
		BYTES("{\"id\":1,\"result\":1e999}"),
		BYTES("true"),
		BYTES("\"text\""),
		BYTES("17"),
#undef BYTES
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rpc_message message;

		assert_int_equal(
		    rpc_parse(rows[i].bytes, rows[i].length, &message), RPC_PARSE_ERROR);
	}
}

static void
rpc_parse_reads_no_further_than_the_length(void **state)
{
	const char line[] = "{\"method\":\"a\"}";
	struct rpc_message message;

	(void)state;
	for (size_t length = 0; length < sizeof(line) - 1; length++) {
		char *copy = xmalloc(length);

		memcpy(copy, line, length);
		assert_int_equal(rpc_parse(copy, length, &message), RPC_PARSE_ERROR);
		free(copy);
	}
}

static void
check_depth(size_t depth, int expected)
{
	struct rpc_message message;
	struct buf line = { 0 };

	buf_add_text(&line, "{\"id\":1,\"result\":");
	for (size_t i = 0; i < depth; i++)
		buf_add_text(&line, "[");
	for (size_t i = 0; i < depth; i++)
		buf_add_text(&line, "]");
	buf_add_text(&line, "}");
	assert_int_equal(rpc_parse(buf_start(&line), line.length, &message), expected);
	if (expected == 0)
		rpc_message_done(&message);
	buf_done(&line);
}

static void
rpc_parse_refuses_deep_nesting_without_using_up_the_stack(void **state)
{
	(void)state;
	check_depth(1000, 0);
	check_depth(5000, RPC_PARSE_ERROR);
	check_depth(500000, RPC_PARSE_ERROR);
}

static void
rpc_add_request_writes_one_line_that_reads_back(void **state)
{
	struct rpc_message message;
	struct buf out = { 0 };

	(void)state;
	rpc_add_request(&out, 9007199254740993, "submit", json_pack("{s:s}", "k", "a\nb"));
	parse_written(&out, &message);
	assert_int_equal(message.kind, RPC_REQUEST);
	assert_true(json_integer_value(message.id) == 9007199254740993);
	assert_string_equal(json_string_value(json_object_get(message.params, "k")), "a\nb");
	assert_string_equal(
	    json_string_value(json_object_get(message.root, "jsonrpc")), "2.0");
	rpc_message_done(&message);
	rpc_add_request(&out, 1, "status", NULL);
	parse_written(&out, &message);
	assert_null(message.params);
	rpc_message_done(&message);
}

static void
rpc_add_notification_has_no_id(void **state)
{
	struct rpc_message message;
	struct buf out = { 0 };

	(void)state;
	rpc_add_notification(&out, "changed", json_array());
	parse_written(&out, &message);
	assert_int_equal(message.kind, RPC_NOTIFICATION);
	assert_null(message.id);
	assert_true(json_is_array(message.params));
	rpc_message_done(&message);
}

static void
rpc_add_result_answers_the_id_it_was_asked_with(void **state)
{
	json_t *ids[] = { json_integer(5), json_string("five"), json_null() };

	(void)state;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		struct rpc_message message;
		struct buf out = { 0 };

		rpc_add_result(&out, ids[i], json_pack("[i]", 1));
		parse_written(&out, &message);
		assert_int_equal(message.kind, RPC_RESULT);
		assert_true(json_equal(message.id, ids[i]));
		assert_int_equal(json_array_size(message.result), 1);
		rpc_message_done(&message);
		json_decref(ids[i]);
	}
}

static void
rpc_add_error_without_an_id_says_null(void **state)
{
	json_t *id = json_integer(5);
	struct rpc_message message;
	struct buf out = { 0 };

	(void)state;
	rpc_add_error(&out, NULL, RPC_PARSE_ERROR, "what?", NULL);
	parse_written(&out, &message);
	assert_int_equal(message.kind, RPC_ERROR);
	assert_true(json_is_null(message.id));
	assert_int_equal(message.code, RPC_PARSE_ERROR);
	assert_string_equal(message.message, "what?");
	assert_null(message.data);
	rpc_message_done(&message);
	rpc_add_error(&out, id, 4, "no such job", json_integer(1));
	parse_written(&out, &message);
	assert_true(json_equal(message.id, id));
	assert_int_equal(json_integer_value(message.data), 1);
	rpc_message_done(&message);
	json_decref(id);
}

/* A sentence that was cut to its buffer may end within a character. */
static void
rpc_add_error_answers_even_with_words_that_are_not_utf8(void **state)
{
	json_t *id = json_integer(5);
	struct rpc_message message;
	struct buf out = { 0 };

	(void)state;
	rpc_add_error(&out, id, 2, "caf\xc3", json_integer(1));
	parse_written(&out, &message);
	assert_int_equal(message.kind, RPC_ERROR);
	assert_true(json_equal(message.id, id));
	assert_int_equal(message.code, 2);
	assert_string_equal(message.message, "caf\\xc3");
	assert_int_equal(json_integer_value(message.data), 1);
	rpc_message_done(&message);
	json_decref(id);
}

static void
rpc_add_param_makes_what_a_whole_request_is(void **state)
{
	struct buf whole = { 0 }, parts = { 0 };

	(void)state;
	rpc_add_named_request(&whole, "a\"b", "call", json_pack("{s:[i], s:s}", "m", 1, "f", "c"));
	rpc_begin(&parts, "a\"b", "call");
	rpc_add_param(&parts, "m", json_pack("[i]", 1));
	rpc_add_param(&parts, "f", json_string("c"));
	rpc_end(&parts);
	assert_string_equal(buf_text(&parts), buf_text(&whole));
	buf_clear(&whole);
	buf_clear(&parts);
	rpc_add_notification(&whole, "go", json_object());
	rpc_begin(&parts, NULL, "go");
	rpc_end(&parts);
	assert_string_equal(buf_text(&parts), buf_text(&whole));
	buf_done(&whole);
	buf_done(&parts);
}

static void
rpc_add_result_that_contains_itself_is_null(void **state)
{
	json_t *id = json_integer(1), *outer = json_array(), *inner = json_array();
	struct rpc_message message;
	struct buf out = { 0 };

	(void)state;
	json_array_append(outer, inner);
	json_array_append(inner, outer);
	rpc_add_result(&out, id, json_incref(outer));
	parse_written(&out, &message);
	assert_true(json_is_null(message.result));
	rpc_message_done(&message);
	json_array_clear(inner);
	json_decref(inner);
	json_decref(outer);
	json_decref(id);
}

static void
rpc_add_appends(void **state)
{
	struct buf out = { 0 };

	(void)state;
	rpc_add_notification(&out, "a", NULL);
	rpc_add_notification(&out, "b", NULL);
	assert_string_equal(buf_text(&out), "{\"method\":\"a\",\"jsonrpc\":\"2.0\"}\n"
					    "{\"method\":\"b\",\"jsonrpc\":\"2.0\"}\n");
	buf_done(&out);
}

static void
one_line_is_the_same_text_unless_it_has_more(void **state)
{
	static const struct {
		const char *text, *line;
	} rows[] = {
		{ "[0.1, 1]", "[0.1, 1]" }, /* written again it would be longer */
		{ "[1,\n2]", "[1,2]" },
		{ "\"a\"", "\"a\"" },
		{ "nonsense", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *line = rpc_one_line(rows[i].text);

		if (rows[i].line == NULL)
			assert_null(line);
		else
			assert_string_equal(line, rows[i].line);
		free(line);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rpc_request_has_method_params_and_id),
		cmocka_unit_test(rpc_kinds_are_told_apart),
		cmocka_unit_test(rpc_error_tells_code_message_and_data),
		cmocka_unit_test(rpc_parse_refuses_what_is_no_message),
		cmocka_unit_test(rpc_parse_refuses_what_is_no_json),
		cmocka_unit_test(rpc_parse_reads_no_further_than_the_length),
		cmocka_unit_test(rpc_parse_refuses_deep_nesting_without_using_up_the_stack),
		cmocka_unit_test(rpc_add_request_writes_one_line_that_reads_back),
		cmocka_unit_test(rpc_add_notification_has_no_id),
		cmocka_unit_test(rpc_add_result_answers_the_id_it_was_asked_with),
		cmocka_unit_test(rpc_add_error_without_an_id_says_null),
		cmocka_unit_test(rpc_add_error_answers_even_with_words_that_are_not_utf8),
		cmocka_unit_test(rpc_add_param_makes_what_a_whole_request_is),
		cmocka_unit_test(rpc_add_result_that_contains_itself_is_null),
		cmocka_unit_test(rpc_add_appends),
		cmocka_unit_test(one_line_is_the_same_text_unless_it_has_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
