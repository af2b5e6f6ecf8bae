/* beyond: what is wrong with JSON that is not held, and what is known of its message. */

#include "base/xalloc.h"
#include "wire/beyond.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *
look(const char *line, struct rpc_message *ret_message)
{
	/* Of just its size, so that reading further is seen. */
	size_t length = strlen(line);
	char *copy = xmalloc(length);
	const char *what;

	memcpy(copy, line, length);
	what = beyond_message(copy, length, ret_message);
	free(copy);
	return what;
}

/* `[` so many times, and as many `]`; to be freed. */
static char *
deep(size_t levels)
{
	char *text = xcalloc(1, 2 * levels + 1);

	memset(text, '[', levels);
	memset(text + levels, ']', levels);
	return text;
}

static void
beyond_says_which_limit(void **state)
{
	static const struct {
		const char *text, *what;
	} rows[] = {
		{ "1180591620717411303424", "a number beyond 64 bits" },
		{ " -9223372036854775809 ", "a number beyond 64 bits" },
		{ "1e999\n", "a number beyond 64 bits" },
		{ "{\"a\":[-1e999]}", "a number beyond 64 bits" },
		{ "\"\\u0000\"", "a NUL in a string" },
		{ "{\"a\\u0000\":1}", "a NUL in a string" },
		{ "\"\\ud800\"", "half a surrogate pair in a string" },
		{ "\"\\udc00\\ud800\"", "half a surrogate pair in a string" },
		{ "{\"a\":1,\"b\":{},\"\\u0061\":1}", "a key that comes twice" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *what = beyond(rows[i].text, strlen(rows[i].text));

		assert_non_null(what);
		assert_string_equal(what, rows[i].what);
	}
}

static void
beyond_depth_does_not_use_up_the_stack(void **state)
{
	static const size_t levels[] = { 2049, 500000 };
	char *text = deep(2048);

	(void)state;
	assert_null(beyond(text, strlen(text)));
	free(text);
	for (size_t i = 0; i < 2; i++) {
		text = deep(levels[i]);
		assert_string_equal(
		    beyond(text, strlen(text)), "more than 2048 levels in its line");
		assert_null(beyond(text, strlen(text) - 1));
		free(text);
	}
}

static void
beyond_is_silent_about_what_is_held_or_no_json(void **state)
{
	static const char *const texts[] = { "", "1", "9223372036854775807", "1e308", "1e-999",
		"\"\\ud83d\\ude00\"", "1e999 apples", "1e999,2", "1e999 \"", "[1e999",
		"1e999]", "\"\\u0000", "[\"\\ud800\"}", "apples", "[\f1]", "\"\xff\"", "01",
		"{\"a\":1e999} t" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_null(beyond(texts[i], strlen(texts[i])));
}

static void
beyond_request_has_its_id_and_method(void **state)
{
	static const char *const lines[] = {
		"{\"id\":7,\"method\":\"call\",\"params\":{\"id\":8,\"message\":1e999}}",
		"{\"method\" : \"call\" , \"params\":[{\"method\":1},\"\\u0000\"],\"id\" : 7 }\r",
		" {\"params\":{\"a\":1,\"a\":2},\"i\\u0064\":7,\"method\":\"c\\u0061ll\"}",
		"{\"id\":7,\"method\":\"call\",\"result\":\"\\ud800\",\"error\":1}",
		"{\"id\":7,\"method\":\"call\",\"params\":{},\"params\":{}}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct rpc_message message;

		assert_non_null(look(lines[i], &message));
		assert_int_equal(message.kind, RPC_REQUEST);
		assert_int_equal(json_integer_value(message.id), 7);
		assert_string_equal(message.method, "call");
		assert_null(message.params);
		rpc_message_done(&message);
	}
}

static void
beyond_notification_has_its_method(void **state)
{
	struct rpc_message message;

	(void)state;
	assert_non_null(look("{\"method\":\"cast\",\"params\":[1e999]}", &message));
	assert_int_equal(message.kind, RPC_NOTIFICATION);
	assert_string_equal(message.method, "cast");
	rpc_message_done(&message);
}

static void
beyond_answer_is_an_error_that_says_why(void **state)
{
	static const char *const lines[] = {
		"{\"id\":\"c1\",\"result\":[1e999]}",
		"{\"error\":null,\"result\":-1e999,\"id\":\"c1\"}",
		"{\"id\":\"c1\",\"error\":{\"code\":1,\"message\":\"m\",\"data\":1e999}}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct rpc_message message;

		assert_non_null(look(lines[i], &message));
		assert_int_equal(message.kind, RPC_ERROR);
		assert_string_equal(json_string_value(message.id), "c1");
		assert_int_equal(message.code, RPC_PARSE_ERROR);
		assert_string_equal(message.message,
		    "bad_return_value: an answer with a number beyond 64 bits");
		rpc_message_done(&message);
	}
}

/* Rather nobody is answered than somebody else. */
static void
beyond_gives_no_id_but_the_true_one(void **state)
{
	static const char *const lines[] = {
		"{\"id\":99999999999999999999,\"method\":\"call\"}",
		"{\"id\":\"a\\ud800\",\"method\":\"call\"}",
		"{\"id\":1,\"id\":2,\"method\":\"call\"}",
		"{\"id\":1,\"id\":2,\"result\":1}",
		"{\"id\":1.5,\"result\":1e999}",
		"{\"id\":1,\"params\":1e999}",
		"[{\"id\":1,\"method\":\"call\",\"params\":[1e999]}]",
		"[\"id\",1,1e999]",
		"1e999",
		"{\"id\":1,\"method\":\"call\",\"params\":[1e999]} \"",
		"{\"id\":1,\"method\":\"call\",\"params\":[1e999}",
		"{\"id\":1,\"method\":\"call\",\"params\":[]}",
		"{\"params\":[1e999],\"id\":1", /* where yajl has begun to count anew */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct rpc_message message = { .code = 42 };

		assert_null(look(lines[i], &message));
		assert_int_equal(message.code, 42);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(beyond_says_which_limit),
		cmocka_unit_test(beyond_depth_does_not_use_up_the_stack),
		cmocka_unit_test(beyond_is_silent_about_what_is_held_or_no_json),
		cmocka_unit_test(beyond_request_has_its_id_and_method),
		cmocka_unit_test(beyond_notification_has_its_method),
		cmocka_unit_test(beyond_answer_is_an_error_that_says_why),
		cmocka_unit_test(beyond_gives_no_id_but_the_true_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
