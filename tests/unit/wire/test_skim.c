/* skim: what is plain, where its parts stand, and that nothing else is vouched for. */

#include "wire/skim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool
wants_all(struct rpc_text method)
{
	(void)method;
	return true;
}

static bool
wants_calls(struct rpc_text method)
{
	return skim_is(method, "call");
}

static int
skim_line(struct skim *ret, const char *line)
{
	/* Of just its size, so that reading further is seen. */
	size_t length = strlen(line);
	char *copy = malloc(length > 0 ? length : 1);
	int result;

	memcpy(copy, line, length);
	result = skim(ret, copy, length, wants_all);
	free(copy);
	return result;
}

static void
parts_of_a_call_are_where_they_stand(void **state)
{
	static const char line[] = "{ \"id\" : 1000,\"method\":\"call\",\"params\" :"
				   "{\"to\":\"echo\", \"message\": "
				   "[\"say\", {\"a\":[1,2.5],\"b\":\"\\n\"}] ,"
				   "\"timeout_ms\":5000,\"repeated\":true},\"jsonrpc\":\"2.0\"}\r";
	struct rpc_text word;
	struct skim skimmed;
	int64_t number;

	(void)state;
	assert_int_equal(skim(&skimmed, line, strlen(line), wants_all), 0);
	assert_int_equal(skimmed.kind, RPC_REQUEST);
	assert_true(skim_is(skimmed.method, "call"));
	assert_true(skim_integer(skimmed.id, &number));
	assert_int_equal(number, 1000);
	assert_int_equal(skimmed.member_count, 4);
	assert_true(skim_string(skim_param(&skimmed, "to"), &word));
	assert_true(skim_is(word, "echo"));
	assert_true(skim_is(skim_param(&skimmed, "message"),
	    "[\"say\", {\"a\":[1,2.5],\"b\":\"\\n\"}]"));
	assert_true(skim_is(skim_param(&skimmed, "repeated"), "true"));
	assert_null(skim_param(&skimmed, "group").text);
}

static void
notifications_and_results_are_told_apart(void **state)
{
	static const char answer[] = "{\"result\":{},\"id\":\"x\"}";
	struct skim skimmed;
	json_t *id;

	(void)state;
	assert_int_equal(skim_line(&skimmed, "{\"method\":\"cast\",\"params\":{}}"), 0);
	assert_int_equal(skimmed.kind, RPC_NOTIFICATION);
	assert_int_equal(skim_line(&skimmed, "{\"method\":\"cast\"}"), 0);
	assert_int_equal(skim_line(&skimmed, "{\"result\":null,\"id\":\"g1-2\"}"), 0);
	assert_int_equal(skimmed.kind, RPC_RESULT);
	assert_int_equal(skimmed.result.length, 4);
	assert_int_equal(skim(&skimmed, answer, strlen(answer), wants_all), 0);
	id = skim_json(skimmed.id);
	assert_string_equal(json_string_value(id), "x");
	json_decref(id);
}

static void
what_rpc_might_see_otherwise_is_not_plain(void **state)
{
	static const char *const lines[] = {
		"", "x", "1", "[]", "{}", "null", "[\"id\",1]",
		"{\"id\":1,\"method\":\"m\"} {}",
		"{\"id\":1,\"method\":\"m\"}\"", /* more behind it */
		"{\"id\":1,\"method\":\"m\"", "{\"id\":1,\"method\":\"m\",}",
		"{\"id\":1}", "{\"result\":1}", "{\"id\":null,\"result\":1}",
		"{\"id\":1.5,\"method\":\"m\"}", "{\"id\":[1],\"method\":\"m\"}",
		"{\"id\":1,\"error\":{\"code\":1,\"message\":\"no\"}}",
		"{\"id\":1,\"method\":5,\"result\":1}",
		"{\"id\":1,\"method\":\"m\",\"params\":[1]}", "{\"method\":\"m\",\"params\":3}",
		"{\"method\":\"m\",\"method\":\"m\"}", /* twice */
		"{\"method\":\"m\",\"params\":{\"a\":{\"k\":1,\"l\":{\"k\":2},\"k\":3}}}",
		"{\"method\":\"m\",\"params\":{\"\\u0061\":1}}",
		"{\"method\":\"m\",\"params\":{\"a\\tb\":1}}",
		"{\"method\":\"m\",\"params\":{\"a\":\"\\u0000\"}}",
		"{\"method\":\"m\",\"params\":{\"a\":1e5}}",
		"{\"method\":\"m\",\"params\":{\"a\":1234567890123456}}",
		"{\"method\":\"m\",\"params\":{\"a\":\"\xc0\xaf\"}}", /* overlong */
		"{\"method\":\"m\",\f\"params\":{}}",
		"{\"method\":\"m\",\"params\":{\"a\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}}",
		"{\"method\":\"m\",\"params\":{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,"
		"\"g\":1,\"h\":1,\"i\":1}}",
	};
	static const char umlaut[] = "{\"method\":\"m\",\"params\":{\"a\":\"\xc3\xa4\"}}";
	struct skim skimmed;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (skim_line(&skimmed, lines[i]) != -1)
			fail_msg("plain: %s", lines[i]);
	}
	assert_int_equal(skim_line(&skimmed, umlaut), 0);
}

static void
method_that_is_not_wanted_is_left_at_once(void **state)
{
	static const char line[] = "{\"method\":\"submit\",\"params\":{\"a\":1}}";
	struct skim skimmed;

	(void)state;
	assert_int_equal(skim(&skimmed, line, strlen(line), wants_calls), -1);
	assert_int_equal(skimmed.member_count, 0);
}

static void
values_are_read_only_as_what_they_are(void **state)
{
	struct rpc_text word = { 0 };
	int64_t number = 7;

	(void)state;
	assert_false(skim_integer(rpc_text("\"5\""), &number));
	assert_false(skim_integer(rpc_text("1.5"), &number));
	assert_false(skim_integer(rpc_text("true"), &number));
	assert_false(skim_integer(rpc_text("[1]"), &number));
	assert_false(skim_integer(rpc_text(NULL), &number));
	assert_int_equal(number, 7);
	assert_true(skim_integer(rpc_text("-12"), &number));
	assert_int_equal(number, -12);
	assert_false(skim_string(rpc_text("5"), &word));
	assert_false(skim_string(rpc_text("\"a\\n\""), &word));
	assert_false(skim_string(rpc_text(NULL), &word));
	assert_true(skim_string(rpc_text("\"\""), &word));
	assert_int_equal(word.length, 0);
	assert_null(skim_json(rpc_text("{}")));
	assert_false(skim_is(rpc_text(NULL), ""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_of_a_call_are_where_they_stand),
		cmocka_unit_test(notifications_and_results_are_told_apart),
		cmocka_unit_test(what_rpc_might_see_otherwise_is_not_plain),
		cmocka_unit_test(method_that_is_not_wanted_is_left_at_once),
		cmocka_unit_test(values_are_read_only_as_what_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
