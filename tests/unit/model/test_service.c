/* service: how a plain service is described, as text and back, and how its ends are judged. */

#include "model/service.h"
#include "model/spec_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
ready_is_read_back_as_the_same(void **state)
{
	static const char *const words[] = { "exec", "notify", "fd:3", "fd:1023" };
	char text[16];

	(void)state;
	for (size_t i = 0; i < COUNT(words); i++) {
		struct service service = SERVICE_UNSET;

		assert_int_equal(service_parse_ready(words[i], &service), 0);
		assert_string_equal(service_format_ready(text, &service), words[i]);
	}
}

static void
good_ends_are_read_back_in_order_and_once(void **state)
{
	struct good_ends good = { 0 }, again = { 0 };
	struct buf text = { 0 };

	(void)state;
	assert_false(service_has_good_ends(&good));
	assert_int_equal(service_parse_good_ends("HUP,255,3,SIGTERM,0,3", &good), 0);
	assert_true(service_has_good_ends(&good));
	service_format_good_ends(&text, &good);
	assert_string_equal(buf_text(&text), "0,3,255,SIGHUP,SIGTERM");
	assert_int_equal(service_parse_good_ends(buf_text(&text), &again), 0);
	assert_memory_equal(&good, &again, sizeof(good));
	assert_int_equal(service_parse_good_ends("1,x", &good), -1);
	assert_memory_equal(&good, &again, sizeof(good));
	buf_done(&text);
}

static void
listed_ends_are_normal_and_no_others(void **state)
{
	static const struct {
		struct reason seen;
		enum reason_kind judged;
	} cases[] = {
		{ { .kind = REASON_EXIT, .number = 3 }, REASON_NORMAL },
		{ { .kind = REASON_EXIT, .number = 4 }, REASON_EXIT },
		{ { .kind = REASON_SIGNAL, .number = SIGTERM }, REASON_NORMAL },
		{ { .kind = REASON_SIGNAL, .number = SIGSEGV }, REASON_SIGNAL },
		{ { .kind = REASON_SIGNAL, .number = 3 }, REASON_SIGNAL },
		{ { .kind = REASON_EXIT, .number = SIGTERM }, REASON_EXIT },
		{ { .kind = REASON_TIMEOUT }, REASON_TIMEOUT },
		{ { .kind = REASON_WATCHDOG }, REASON_WATCHDOG },
		{ { .kind = REASON_LOST_BOOT }, REASON_LOST_BOOT },
	};
	struct service service = SERVICE_UNSET;

	(void)state;
	service_parse_good_ends("3,TERM", &service.good);
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(
		    service_judge(&service, cases[i].seen).kind, cases[i].judged);
}

static void
from_text(struct spec *spec, const char *text)
{
	json_t *json = json_loads(text, 0, NULL);
	struct error error;

	if (spec_from_json(spec, json, (struct wall){ 0 }, &error) == -1)
		fail_msg("%s: %s", text, error.text);
	json_decref(json);
}

#define WHOLE                                                                            \
	"{\"command\":[\"true\"],\"kind\":\"server\",\"name\":\"s\","                    \
	"\"grace\":\"infinity\",\"plain\":true,\"ready\":\"notify\","                    \
	"\"stop-signal\":\"SIGINT\",\"success-exit\":\"3,SIGTERM\",\"watchdog\":\"10s\"}"

static void
description_is_the_same_after_a_way_through_json(void **state)
{
	struct spec spec;
	json_t *json;
	char *text;

	(void)state;
	from_text(&spec, WHOLE);
	assert_true(spec.is_plain);
	assert_int_equal(spec.grace_ms, SPEC_GRACE_FOR_EVER);
	assert_int_equal(spec.service.watchdog_ms, 10000);
	json = spec_to_json(&spec, NULL);
	text = json_dumps(json, JSON_COMPACT);
	assert_string_equal(text, WHOLE);
	free(text);
	json_decref(json);
	spec_done(&spec);
}

/* case 126's default for a child, and what was asked for instead */
static void
plain_service_is_permanent_unless_told(void **state)
{
	static const struct {
		const char *more;
		enum restart_type restart;
	} cases[] = {
		{ ",\"plain\":true", RESTART_PERMANENT },
		{ ",\"restart\":\"transient\",\"plain\":true", RESTART_TRANSIENT },
		{ ",\"plain\":true,\"restart\":\"temporary\"", RESTART_TEMPORARY },
		{ "", RESTART_TRANSIENT },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct spec spec, again;
		char text[200];
		json_t *json;

		snprintf(text, sizeof(text),
		    "{\"command\":[\"true\"],\"kind\":\"server\",\"name\":\"s\"%s}",
		    cases[i].more);
		from_text(&spec, text);
		assert_int_equal(spec_restart(&spec), cases[i].restart);
		json = spec_to_json(&spec, NULL);
		assert_int_equal(
		    spec_from_json(&again, json, (struct wall){ 0 }, NULL), 0);
		assert_int_equal(spec_restart(&again), cases[i].restart);
		json_decref(json);
		spec_done(&spec);
		spec_done(&again);
	}
}

static void
options_that_do_not_fit_are_refused_in_words(void **state)
{
	static const struct {
		const char *more, *words;
	} cases[] = {
		{ "\"kind\":\"server\",\"ready\":\"exec\"", "only for a plain service" },
		{ "\"kind\":\"server\",\"stop-signal\":\"INT\"", "stop-signal: only for a plain" },
		{ "\"ready\":\"exec\"", "only for a server" },
		{ "\"plain\":true", "only for a server" },
		{ "\"kind\":\"server\",\"plain\":true,\"durable\":true", "has no mailbox" },
		{ "\"kind\":\"server\",\"plain\":true,\"durable\":true,\"pool\":2",
		    "has no mailbox" },
		{ "\"kind\":\"server\",\"plain\":true,\"max-redeliveries\":2", "has no mailbox" },
		{ "\"kind\":\"server\",\"plain\":true,\"watchdog\":\"10s\"", "only with ready" },
		{ "\"kind\":\"server\",\"plain\":true,\"ready\":\"fd:3\",\"watchdog\":\"10s\"",
		    "only with ready" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct error error = { 0 };
		struct spec spec;
		char text[300];
		json_t *json;

		snprintf(text, sizeof(text), "{\"command\":[\"true\"],\"name\":\"s\",%s}",
		    cases[i].more);
		json = json_loads(text, 0, NULL);
		assert_int_equal(
		    spec_from_json(&spec, json, (struct wall){ 0 }, &error), -1);
		if (strstr(error.text, cases[i].words) == NULL)
			fail_msg("%s: %s", cases[i].more, error.text);
		json_decref(json);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ready_is_read_back_as_the_same),
		cmocka_unit_test(good_ends_are_read_back_in_order_and_once),
		cmocka_unit_test(listed_ends_are_normal_and_no_others),
		cmocka_unit_test(description_is_the_same_after_a_way_through_json),
		cmocka_unit_test(plain_service_is_permanent_unless_told),
		cmocka_unit_test(options_that_do_not_fit_are_refused_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
