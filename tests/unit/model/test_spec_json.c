/*
 * spec_json: what is written is read back as the same job, and no JSON text does more
 * harm than to be refused in words.
 */

#include "model/spec_json.h"
#include "base/text.h"
#include "base/xalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NOW INT64_C(1795377600000) /* 2026-11-22T20:00:00Z */

#define FULL                                                                             \
	"{\"command\": [\"sh\", \"-c\", \"echo \\\"ä\\\" \\u0001\", \"\"], \"name\": "  \
	"\"n\","                                                                         \
	" \"supervisor\": \"serial\", \"type\": \"report\", \"cwd\": \"/var tmp\","      \
	" \"stdin\": \"/etc/passwd\", \"once\": true, \"leave-children\": true,"         \
	" \"priority\": 0, \"max-retries\": 7, \"backoff\": \"exponential:250ms,10m\","  \
	" \"jitter\": 20, \"timeout\": \"1h30m\", \"grace\": \"0s\", \"in\": \"250ms\"," \
	" \"max-output\": 1048576, \"umask\": 18, \"after\": [41, 9007199254740991,"     \
	" \"report\"],"                                                                  \
	" \"after-any\": [43], \"environment\": {\"A\": \"1=2\", \"B\": \"\", \"ä\": "  \
	"\"€\"}}"

static int
from_text(struct spec *spec, const char *text, struct error *error)
{
	json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
	int result = spec_from_json(spec, json, (struct wall){ NOW }, error);

	json_decref(json);
	return result;
}

static void
from_good_text(struct spec *spec, const char *text)
{
	struct error error;

	if (from_text(spec, text, &error) == -1)
		fail_msg("%s was refused: %s", text, error.text);
}

static json_t *
to_json(const struct spec *spec)
{
	struct error error = { 0 };
	json_t *json = spec_to_json(spec, &error);

	if (json == NULL)
		fail_msg("%s", error.text);
	return json;
}

/* Is this text the canonical object of the job that it describes? */
static void
check_canonical(const char *text)
{
	json_t *expected = json_loads(text, 0, NULL), *written;
	struct spec spec;

	assert_non_null(expected);
	from_good_text(&spec, text);
	written = to_json(&spec);
	if (!json_equal(expected, written))
		fail_msg("%s became %s", text, json_dumps(written, 0));
	json_decref(expected);
	json_decref(written);
	spec_done(&spec);
}

static void
spec_json_is_read_and_written_as_the_same(void **state)
{
	(void)state;
	check_canonical("{\"command\": [\"true\"]}");
	check_canonical(FULL);
	check_canonical(
	    "{\"command\": [\"a\"], \"max-retries\": \"inf\", \"hold\": true}");
	check_canonical("{\"command\": [\"a\"], \"hold\": true, \"after\": [1]}");
	check_canonical("{\"command\": [\"a\"], \"max-retries\": 0}");
	check_canonical("{\"command\": [\"a\"], \"umask\": 0}");
	check_canonical("{\"command\": [\"a\"], \"umask\": 511}");
	check_canonical("{\"command\": [\"a\"], \"at\": \"2026-11-22T20:00:00.123Z\"}");
	check_canonical("{\"command\": [\"a\"], \"at\": \"1970-01-01T00:00:00.000Z\"}");
}

static void
spec_json_fills_in_every_field(void **state)
{
	struct spec spec;

	(void)state;
	from_good_text(&spec, FULL);
	assert_int_equal(spec.command.count, 4);
	assert_string_equal(spec.command.items[2], "echo \"ä\" \x01");
	assert_string_equal(spec.command.items[3], "");
	assert_null(spec.command.items[4]);
	assert_string_equal(spec.name, "n");
	assert_string_equal(spec.supervisor, "serial");
	assert_string_equal(spec.type, "report");
	assert_string_equal(spec.cwd, "/var tmp");
	assert_string_equal(spec.stdin_path, "/etc/passwd");
	assert_true(spec.is_once && spec.leaves_children && !spec.is_held);
	assert_int_equal(spec.priority, 0);
	assert_int_equal(spec.retry.max_retries, 7);
	assert_int_equal(spec.retry.base_ms, 250);
	assert_int_equal(spec.retry.cap_ms, 600000);
	assert_int_equal(spec.retry.jitter_percent, 20);
	assert_int_equal(spec.timeout_ms, 5400000);
	assert_int_equal(spec.grace_ms, 0);
	assert_int_equal(spec.start_in_ms, 250);
	assert_int_equal(spec.max_output, 1 << 20);
	assert_int_equal(spec.umask, 022);
	assert_int_equal(spec.dependency_count, 4);
	assert_true(spec.dependencies[1].on == SPEC_LARGEST_ID);
	assert_string_equal(spec.dependencies[2].name, "report");
	assert_int_equal(spec.dependencies[3].kind, DEPENDENCY_ENDED);
	assert_int_equal(spec.environment.count, 3);
	assert_string_equal(spec.environment.items[0], "A=1=2");
	assert_string_equal(spec.environment.items[2], "ä=€");
	spec_done(&spec);
}

static void
spec_json_takes_what_a_person_writes(void **state)
{
	struct spec spec;

	(void)state;
	from_good_text(&spec,
	    "{\"command\": [\"a\"], \"max_retries\": \"2\", \"timeout\": 1.5, \"grace\": "
	    "3,"
	    " \"after\": \"41,42\", \"after_any\": 43, \"env\": [\"A=1\", \"B\"],"
	    " \"env_all\": true, \"env-file\": [\"one\", \"two\"], \"once\": false,"
	    " \"log_rotate\": \"1M\", \"priority\": \"7\"}");
	assert_int_equal(spec.retry.max_retries, 2);
	assert_int_equal(spec.timeout_ms, 1500);
	assert_int_equal(spec.grace_ms, 3000);
	assert_int_equal(spec.dependency_count, 3);
	assert_int_equal(spec.environment_requests.count, 2);
	assert_true(spec.wants_all_environment);
	assert_int_equal(spec.environment_files.count, 2);
	assert_false(spec.is_once);
	assert_true(spec.log_rotate.bytes == 1 << 20 && spec.log_rotate.keep == 5);
	assert_int_equal(spec.priority, 7);
	spec_done(&spec);
	from_good_text(
	    &spec, "{\"command\": [\"a\"], \"env\": {\"A\": \"1\", \"B\": \"x=y\"},"
		   " \"meta\": {\"a\": \"1\"}}");
	assert_int_equal(spec.meta.count, 1);
	assert_string_equal(spec.meta.items[0], "a=1");
	assert_int_equal(spec.environment_requests.count, 2);
	assert_string_equal(spec.environment_requests.items[0], "A=1");
	assert_string_equal(spec.environment_requests.items[1], "B=x=y");
	spec_done(&spec);
}

static void
spec_json_writes_times_the_same_in_every_zone(void **state)
{
	char *before = getenv("TZ") != NULL ? xstrdup(getenv("TZ")) : NULL;

	(void)state;
	setenv("TZ", "XXX-5:45", 1);
	tzset();
	check_canonical("{\"command\": [\"a\"], \"at\": \"2026-11-22T20:00:00.000Z\"}");
	if (before != NULL)
		setenv("TZ", before, 1);
	else
		unsetenv("TZ");
	tzset();
	free(before);
}

#define WITH(members) "{\"command\": [\"a\"], " members "}"

static const char *const hostile[] = {
	"null",
	"true",
	"7",
	"\"job\"",
	"[]",
	"[{\"command\": [\"a\"]}]",
	"{}",
	"{\"command\": null}",
	"{\"command\": []}",
	"{\"command\": [\"\"]}",
	"{\"command\": \"a\"}",
	"{\"command\": {}}",
	"{\"command\": [7]}",
	"{\"command\": [\"a\", null]}",
	"{\"command\": [\"a\", [\"b\"]]}",
	"{\"Command\": [\"a\"]}",
	WITH("\"\": 1"),
	WITH("\"nosuch\": 1"),
	WITH("\"\\u001b[2J\": 1"),
	WITH("\"id\": 1"),
	WITH("\"status\": \"done\""),
	WITH("\"command \": []"),
	WITH("\"name\": null"),
	WITH("\"name\": 7"),
	WITH("\"name\": true"),
	WITH("\"name\": {}"),
	WITH("\"name\": [[]]"),
	WITH("\"name\": [\"a\", null]"),
	WITH("\"name\": \"a b\""),
	WITH("\"name\": \"\\u001b[2J\""),
	WITH("\"type\": true"),
	WITH("\"once\": true"),
	WITH("\"once\": 1"),
	WITH("\"once\": \"true\""),
	WITH("\"once\": null"),
	WITH("\"hold\": \"true\""),
	WITH("\"hold\": [\"true\"]"),
	WITH("\"in\": 1, \"at\": \"20:00\""),
	WITH("\"priority\": 10"),
	WITH("\"priority\": -1"),
	WITH("\"priority\": 5.5"),
	WITH("\"priority\": true"),
	WITH("\"priority\": 9223372036854775807"),
	WITH("\"priority\": \"\""),
	WITH("\"max-retries\": -1"),
	WITH("\"max-retries\": 1e300"),
	WITH("\"max-retries\": null"),
	WITH("\"backoff\": 5"),
	WITH("\"backoff\": {}"),
	WITH("\"jitter\": 101"),
	WITH("\"jitter\": \"0000000100\""),
	WITH("\"timeout\": 0"),
	WITH("\"timeout\": -1"),
	WITH("\"timeout\": 1e300"),
	WITH("\"timeout\": 1e18"),
	WITH("\"timeout\": -1e300"),
	WITH("\"timeout\": true"),
	WITH("\"in\": -0.001"),
	WITH("\"at\": 0"),
	WITH("\"at\": \"1969-12-31T23:59:59.999Z\""),
	WITH("\"at\": \"\""),
	WITH("\"after\": 0"),
	WITH("\"after\": -1"),
	WITH("\"after\": 1.5"),
	WITH("\"after\": [1, \"-x\"]"),
	WITH("\"after\": [1, [2]]"),
	WITH("\"after\": {}"),
	WITH("\"after\": 9007199254740992"),
	WITH("\"cwd\": \"here\""),
	WITH("\"cwd\": 1"),
	WITH("\"cwd\": \"\""),
	WITH("\"stdin\": \"\""),
	WITH("\"stdin\": false"),
	WITH("\"env\": 7"),
	WITH("\"env\": \"9A\""),
	WITH("\"env\": [\"=x\"]"),
	WITH("\"env\": {\"A\": 1}"),
	WITH("\"env\": {\"\": \"x\"}"),
	WITH("\"env\": {\"A=B\": \"x\"}"),
	WITH("\"env\": {\"A B\": \"x\"}"),
	WITH("\"env\": {\"9\": \"x\"}"),
	WITH("\"env\": [{\"A\": \"x\"}]"),
	WITH("\"env-file\": {}"),
	WITH("\"env-all\": \"yes\""),
	WITH("\"environment\": []"),
	WITH("\"environment\": \"A=1\""),
	WITH("\"environment\": {\"A\": null}"),
	WITH("\"environment\": {\"A\": 7}"),
	WITH("\"environment\": {\"\": \"x\"}"),
	WITH("\"environment\": {\"A=B\": \"x\"}"),
	WITH("\"umask\": -1"),
	WITH("\"umask\": 512"),
	WITH("\"umask\": \"022\""),
	WITH("\"umask\": 1.0"),
	WITH("\"umask\": null"),
	WITH("\"umask\": [18]"),
	WITH("\"umask\": 9223372036854775807"),
	WITH("\"max-output\": 65535"),
	WITH("\"max-output\": -1"),
	WITH("\"max-output\": 9223372036854775807"),
	WITH("\"max-output\": 1e300"),
	WITH("\"leave-children\": 0"),
};

static void
spec_json_refuses_hostile_objects_in_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(hostile); i++) {
		struct error error = { 0 };
		struct spec spec;

		if (from_text(&spec, hostile[i], &error) == 0)
			fail_msg("%s was taken", hostile[i]);
		assert_int_equal(error.code, STATUS_USAGE);
		assert_true(strlen(error.text) > 0);
		assert_null(strchr(error.text, '\x1b'));
		assert_int_equal(from_text(&spec, hostile[i], NULL), -1);
	}
	assert_int_equal(from_text(&(struct spec){ 0 }, "no JSON", NULL), -1);
}

/* Not as "%.3f", which is how a number is handed to a setter. */
static void
spec_json_quotes_a_refused_number_as_it_was_written(void **state)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{ WITH("\"timeout\": 0.0004"), "timeout: \"0.0004\" is not a duration above 0" },
		{ WITH("\"timeout\": 1e30"), "timeout: \"1e30\" is not a duration above 0" },
		{ WITH("\"timeout\": -1.25"), "timeout: \"-1.25\" is not a duration like" },
		{ WITH("\"priority\": 3.5"), "priority: \"3.5\" is not a number" },
		{ WITH("\"max-retries\": 1e300"), "max-retries: \"1e300\" is not" },
		{ WITH("\"after\": [1, 2.1]"), "after: \"2.1\" is not a list" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct error error = { 0 };
		struct spec spec;

		assert_int_equal(from_text(&spec, cases[i].text, &error), -1);
		if (strncmp(error.text, cases[i].words, strlen(cases[i].words)) != 0)
			fail_msg("%s was refused: %s", cases[i].text, error.text);
	}
}

static void
spec_json_refuses_more_dependencies_than_the_limit(void **state)
{
	json_t *object = json_pack("{s:[s]}", "command", "a"), *list = json_array();
	struct error error;
	struct spec spec;

	(void)state;
	for (int i = 1; i <= 100000; i++)
		json_array_append_new(list, json_integer(i));
	json_object_set_new(object, "after", list);
	assert_int_equal(spec_from_json(&spec, object, (struct wall){ NOW }, &error), -1);
	assert_int_equal(error.code, STATUS_USAGE);
	json_decref(object);
}

static uint32_t
next_random(uint32_t *random)
{
	*random = *random * 1664525 + 1013904223;
	return *random >> 8;
}

/* What is taken is a job: its canonical object is taken too and does not change again. */
static void
check_settles(struct spec *spec)
{
	json_t *once, *twice;
	struct spec again;
	struct error error;

	once = to_json(spec);
	if (spec_from_json(&again, once, (struct wall){ NOW }, &error) == -1)
		fail_msg("%s was refused: %s", json_dumps(once, 0), error.text);
	twice = to_json(&again);
	if (!json_equal(once, twice))
		fail_msg("%s became %s", json_dumps(once, 0), json_dumps(twice, 0));
	json_decref(once);
	json_decref(twice);
	spec_done(&again);
}

static void
spec_json_survives_random_changes_of_a_good_text(void **state)
{
	static const char letters[] = "{}[]\",:0123456789.-+eE truefalsnd/=ms\\\xff\x01";
	uint32_t random = 7;
	int taken = 0;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		char text[sizeof(FULL)];
		struct spec spec;

		memcpy(text, FULL, sizeof(FULL));
		for (uint32_t changes = 1 + next_random(&random) % 3; changes > 0;
		     changes--)
			text[next_random(&random) % (sizeof(FULL) - 1)] =
			    letters[next_random(&random) % (sizeof(letters) - 1)];
		if (from_text(&spec, text, NULL) == -1)
			continue;
		check_settles(&spec);
		spec_done(&spec);
		taken++;
	}
	assert_true(taken > 100);
}

static void
spec_json_is_not_written_when_a_string_is_not_utf8(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		struct error error = { 0 };
		struct spec spec;

		spec_init(&spec);
		strings_add(&spec.command, "a");
		if (i == 0)
			strings_add(&spec.command, "\xff");
		else if (i == 1)
			spec.cwd = xstrdup("/\xc3");
		else if (i == 2)
			spec.stdin_path = xstrdup("/\xed\xa0\x80");
		else
			strings_add(&spec.environment, i == 3 ? "A=\xff" : "\xff=A");
		assert_null(spec_to_json(&spec, &error));
		assert_int_equal(error.code, STATUS_USAGE);
		assert_non_null(strstr(error.text, "UTF-8"));
		assert_null(spec_to_json(&spec, NULL));
		spec_done(&spec);
	}
}

static void
strings_are_read_from_an_array_of_strings_only(void **state)
{
	static const char *const bad[] = { "", "null", "7", "{}", "\"a\"", "[7]",
		"[\"a\", null]", "[\"a\"", "[\"a\"]]", "[\"\\u0000\"]", "[\"\xff\"]",
		"[\"\\ud800\"]" };
	struct strings strings = { 0 };
	json_t *json;

	(void)state;
	strings_add(&strings, "first");
	assert_int_equal(strings_parse(&strings, "[\"a\", \"\", \"ä\"]"), 0);
	assert_int_equal(strings_parse(&strings, "[]"), 0);
	assert_int_equal(strings.count, 4);
	assert_string_equal(strings.items[3], "ä");
	json = strings_to_json(&strings);
	assert_int_equal(json_array_size(json), 4);
	assert_string_equal(json_string_value(json_array_get(json, 0)), "first");
	json_decref(json);
	strings_add(&strings, "\xff");
	assert_null(strings_to_json(&strings));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(strings_parse(&strings, bad[i]), -1);
	strings_done(&strings);
}

static void
environment_is_read_from_an_object_of_strings_only(void **state)
{
	static const char *const bad[] = { "", "null", "[]", "[\"A=1\"]", "{\"A\": 1}",
		"{\"A\": null}", "{\"A\": {}}", "{\"\": \"x\"}", "{\"A=B\": \"x\"}",
		"{\"A\": \"\\u0000\"}", "{\"\\u0000\": \"x\"}", "{\"A\": \"\xff\"}",
		"{\"A\": \"1\"" };
	struct strings environment = { 0 };
	json_t *json;

	(void)state;
	assert_int_equal(
	    environment_parse(&environment, "{\"A\": \"1=2\", \"odd name\": \"\"}"), 0);
	assert_int_equal(environment.count, 2);
	assert_string_equal(environment.items[0], "A=1=2");
	assert_string_equal(environment.items[1], "odd name=");
	strings_add(&environment, "no equals sign");
	json = environment_to_json(&environment);
	assert_int_equal(json_object_size(json), 2);
	assert_string_equal(json_string_value(json_object_get(json, "A")), "1=2");
	json_decref(json);
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(environment_parse(&environment, bad[i]), -1);
	strings_done(&environment);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spec_json_is_read_and_written_as_the_same),
		cmocka_unit_test(spec_json_fills_in_every_field),
		cmocka_unit_test(spec_json_takes_what_a_person_writes),
		cmocka_unit_test(spec_json_writes_times_the_same_in_every_zone),
		cmocka_unit_test(spec_json_refuses_hostile_objects_in_words),
		cmocka_unit_test(spec_json_quotes_a_refused_number_as_it_was_written),
		cmocka_unit_test(spec_json_refuses_more_dependencies_than_the_limit),
		cmocka_unit_test(spec_json_survives_random_changes_of_a_good_text),
		cmocka_unit_test(spec_json_is_not_written_when_a_string_is_not_utf8),
		cmocka_unit_test(strings_are_read_from_an_array_of_strings_only),
		cmocka_unit_test(environment_is_read_from_an_object_of_strings_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
