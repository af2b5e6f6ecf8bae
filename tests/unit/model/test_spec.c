/* spec: every option takes what is good and refuses what is bad, with words for a person.
 */

#include "model/spec.h"
#include "base/text.h"
#include "base/xalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NOW INT64_C(1795377600000) /* 2026-11-22T20:00:00Z */
#define MOST_VALUES 16

/* What each option takes and what it does not. A test holds that none is left out. */
static const struct {
	const char *option;
	const char *good[MOST_VALUES], *bad[MOST_VALUES];
} cases[] = {
	{ "name", { "a", "mail.out:7", "shop/db" },
	    { "", "7", "-a", "a b", "a/", "/a", "a/b/c", "\xff", "a\n" } },
	{ "once", { "true", "false" }, { "", "1", "yes", "True", "true " } },
	{ "supervisor", { "default", "serial" }, { "", "1", "a b", "\xff" } },
	{ "type", { "report" }, { "", "1", "a b", "\x1b[2J" } },
	{ "priority", { "0", "5", "9" }, { "", "10", "-1", "x", "5.0", "5 " } },
	{ "max-retries", { "0", "3", "1000000", "inf" },
	    { "", "-1", "1000001", "infinite", "INF", "3x", "99999999999999999999" } },
	{ "backoff", { "constant:5s", "linear:1s", "exponential:1s,10m", "exp:0" },
	    { "", "5s", "constant:", "constant:-1", "none:1s", "exp:1s,", "exp:1s,x" } },
	{ "jitter", { "0", "20", "20%", "100%" },
	    { "", "%", "101", "-1", "20%%", "x", "0000000100", "0000050 percent", "50.5",
		"5000000000000000000000%" } },
	{ "timeout", { "90", "1h30m", "1ms" },
	    { "", "0", "0.4ms", "-1", "x", "36526d" } },
	{ "grace", { "0", "10s", "brutal_kill", "infinity" }, { "", "-1", "x", "36526d" } },
	{ "in", { "0", "2d" }, { "", "-1", "x", "20:00", "36526d" } },
	{ "at", { "2026-11-22T21:00:00Z", "2026-11-22 21:00", "20:00" },
	    { "", "now", "2026-11-22", "24:00", "2026-02-29 00:00",
		"1969-12-31T00:00:00Z" } },
	{ "after", { "1", "41,42", "9007199254740991", "41,report" },
	    { "", "0", "-1", "-x", "x,y z", "1,", ",1", "1,,2", "1 2", "9007199254740992" } },
	{ "after-any", { "1", "41,42", "a" }, { "", "0", "4x", "1,", "1;2" } },
	{ "hold", { "true", "false" }, { "", "1", "user" } },
	{ "key", { "acme", "a b", "1" }, { "" } },
	{ "limit", { "1", "1000000" }, { "", "0", "-1", "x", "1000001" } },
	{ "meta", { "a=b", "tenant=", "x=y=z" }, { "", "a", "=b" } },
	{ "group", { "web", "_a:b.c-9" }, { "", "9", "a b", "-x", "\xff" } },
	{ "cwd", { "/", "/var/tmp", "/\xff" }, { "", ".", "var", "~/x" } },
	{ "env", { "A", "A=", "_a9=b=c", "PATH=/bin" },
	    { "", "=", "=a", "9A=x", "A B=x", "A-B", "\xff=1" } },
	{ "env-all", { "true", "false" }, { "", "all" } },
	{ "env-file", { "env", "/etc/environment" }, { NULL } },
	{ "stdin", { "-", "/etc/passwd", "here" }, { "" } },
	{ "max-output", { "64K", "65536", "16M", "1T" },
	    { "", "0", "65535", "63K", "-1", "x", "99999999T" } },
	{ "log-rotate", { "64K", "1M,1", "1.5G,1000" },
	    { "", "0", "63K", "1M,", "1M,0", "1M,1001", "1M,x", ",5", "x" } },
	{ "leave-children", { "true", "false" }, { "", "no" } },
	{ "restart", { "temporary", "transient", "permanent" }, { "", "never", "Permanent" } },
	{ "durable", { "true", "false" }, { "", "yes" } },
	{ "restart-delay", { "constant:1s", "exponential:100ms,1min" }, { "", "1s", "none" } },
	{ "significant", { "true", "false" }, { "", "1" } },
	{ "autostart", { "true", "false" }, { "", "no" } },
	{ "init-timeout", { "5", "250ms" }, { "", "0", "-1", "soon" } },
	{ "max-redeliveries", { "0", "3", "inf" }, { "", "-1", "x", "1000001" } },
	{ "pool", { "1", "4", "1000" }, { "", "0", "-1", "x", "1001" } },
	{ "max-messages", { "1", "1000" }, { "", "0", "-1", "x" } },
	{ "plain", { "true", "false" }, { "", "yes" } },
	{ "ready", { "notify", "exec", "fd:3", "fd:1023" },
	    { "", "fd", "fd:", "fd:2", "fd:1024", "fd:x", "socket", "Notify" } },
	{ "stop-signal", { "SIGINT", "INT", "2", "RTMIN+3" },
	    { "", "KILL", "SIGSTOP", "9", "0", "65", "int", "FOO" } },
	{ "success-exit", { "0", "3,SIGTERM", "255,HUP,3" },
	    { "", "256", "-1", "3,", ",3", "3;4", "SIGFOO", "3 4" } },
	{ "watchdog", { "10s", "1ms" }, { "", "0", "-1", "x" } },
};

static int
set(struct spec *spec, const char *option, const char *value, struct error *error)
{
	char *copy = xstrdup(value);
	int result;

	assert_non_null(spec_option_find(option));
	result = spec_set(
	    spec, spec_option_find(option), copy, (struct wall){ NOW }, error);
	free(copy);
	return result;
}

static void
set_good(struct spec *spec, const char *option, const char *value)
{
	struct error error;

	if (set(spec, option, value, &error) == -1)
		fail_msg("%s: \"%s\" was refused: %s", option, value, error.text);
}

static void
spec_options_are_all_tried_here(void **state)
{
	size_t count = 0;

	(void)state;
	for (; spec_options[count].name != NULL; count++)
		assert_string_equal(spec_options[count].name, cases[count].option);
	assert_int_equal(count, COUNT(cases));
}

static void
spec_option_takes_what_is_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		for (size_t j = 0; j < MOST_VALUES && cases[i].good[j] != NULL; j++) {
			struct spec spec;

			spec_init(&spec);
			set_good(&spec, cases[i].option, cases[i].good[j]);
			if (strcmp(cases[i].option, "meta") != 0) /* each name once */
				set_good(&spec, cases[i].option, cases[i].good[j]);
			spec_done(&spec);
		}
	}
}

/* What a terminal may be given. */
static void
check_words(const char *option, const struct error *error)
{
	assert_int_equal(error->code, STATUS_USAGE);
	assert_ptr_equal(strstr(error->text, option), error->text);
	for (const char *at = error->text; *at != '\0'; at++)
		assert_true((unsigned char)*at >= 0x20);
	assert_null(strchr(error->text, '\xff'));
}

static void
spec_option_refuses_what_is_bad_in_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		for (size_t j = 0; j < MOST_VALUES && cases[i].bad[j] != NULL; j++) {
			struct error error = { 0 };
			struct spec spec;

			spec_init(&spec);
			if (set(&spec, cases[i].option, cases[i].bad[j], &error) == 0)
				fail_msg(
				    "%s took \"%s\"", cases[i].option, cases[i].bad[j]);
			check_words(cases[i].option, &error);
			assert_int_equal(
			    set(&spec, cases[i].option, cases[i].bad[j], NULL), -1);
			spec_done(&spec);
		}
	}
}

static void
spec_option_leaves_the_spec_when_it_refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct spec spec, before;

		if (strncmp(cases[i].option, "after", 5) == 0)
			continue; /* the ids before a bad one stay */
		spec_init(&spec);
		set_good(&spec, cases[i].option, cases[i].good[0]);
		memcpy(&before, &spec, sizeof(spec));
		for (size_t j = 0; j < MOST_VALUES && cases[i].bad[j] != NULL; j++)
			set(&spec, cases[i].option, cases[i].bad[j], NULL);
		assert_memory_equal(&before, &spec, sizeof(spec));
		spec_done(&spec);
	}
}

static void
spec_option_refuses_huge_values(void **state)
{
	char *huge = xmalloc(100001);
	struct error error;
	struct spec spec;

	(void)state;
	memset(huge, '7', 100000);
	huge[100000] = '\0';
	spec_init(&spec);
	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *option = cases[i].option;

		if (strcmp(option, "env-file") == 0 || strcmp(option, "stdin") == 0)
			continue;
		assert_int_equal(set(&spec, option, huge, &error), -1);
		check_words(option, &error);
	}
	spec_done(&spec);
	free(huge);
}

static void
spec_option_sets_its_field(void **state)
{
	struct spec spec;

	(void)state;
	spec_init(&spec);
	set_good(&spec, "name", "old");
	set_good(&spec, "name", "new");
	assert_string_equal(spec.name, "new");
	set_good(&spec, "once", "true");
	assert_true(spec.is_once);
	set_good(&spec, "once", "false");
	assert_false(spec.is_once);
	set_good(&spec, "supervisor", "serial");
	assert_string_equal(spec.supervisor, "serial");
	set_good(&spec, "type", "report");
	assert_string_equal(spec.type, "report");
	set_good(&spec, "priority", "0");
	assert_int_equal(spec.priority, 0);
	set_good(&spec, "timeout", "1.5");
	assert_int_equal(spec.timeout_ms, 1500);
	set_good(&spec, "grace", "0");
	assert_int_equal(spec.grace_ms, 0);
	set_good(&spec, "in", "1m");
	assert_int_equal(spec.start_in_ms, 60000);
	set_good(&spec, "at", "2026-11-22T20:00:00Z");
	assert_true(spec.start_at.ms == NOW);
	set_good(&spec, "hold", "true");
	assert_true(spec.is_held);
	set_good(&spec, "cwd", "/var");
	assert_string_equal(spec.cwd, "/var");
	set_good(&spec, "stdin", "-");
	assert_string_equal(spec.stdin_path, "-");
	set_good(&spec, "max-output", "1M");
	assert_int_equal(spec.max_output, 1 << 20);
	set_good(&spec, "log-rotate", "1M,3");
	assert_true(spec.log_rotate.bytes == 1 << 20 && spec.log_rotate.keep == 3);
	set_good(&spec, "leave-children", "true");
	assert_true(spec.leaves_children);
	spec_done(&spec);
	assert_null(spec.name);
	assert_int_equal(spec.priority, SPEC_UNSET);
}

static void
spec_retry_options_leave_each_other_alone(void **state)
{
	struct spec spec;

	(void)state;
	spec_init(&spec);
	assert_int_equal(spec.retry.max_retries, RETRY_DEFAULT_MAX_RETRIES);
	assert_false(spec.has_max_retries || spec.has_backoff);
	set_good(&spec, "jitter", "20%");
	set_good(&spec, "max-retries", "inf");
	set_good(&spec, "backoff", "linear:2s,1m");
	assert_int_equal(spec.retry.max_retries, RETRY_FOR_EVER);
	assert_int_equal(spec.retry.jitter_percent, 20);
	assert_int_equal(spec.retry.backoff, BACKOFF_LINEAR);
	assert_int_equal(spec.retry.base_ms, 2000);
	assert_int_equal(spec.retry.cap_ms, 60000);
	assert_true(spec.has_max_retries && spec.has_backoff);
	set_good(&spec, "max-retries", "0");
	assert_int_equal(spec.retry.max_retries, 0);
	assert_int_equal(spec.retry.base_ms, 2000);
	spec_done(&spec);
}

static void
spec_environment_options_gather_in_order(void **state)
{
	struct spec spec;

	(void)state;
	spec_init(&spec);
	set_good(&spec, "env", "A=1");
	set_good(&spec, "env", "B");
	set_good(&spec, "env-file", "one");
	set_good(&spec, "env-file", "two");
	set_good(&spec, "env-all", "true");
	assert_int_equal(spec.environment_requests.count, 2);
	assert_string_equal(spec.environment_requests.items[0], "A=1");
	assert_string_equal(spec.environment_requests.items[1], "B");
	assert_null(spec.environment_requests.items[2]);
	assert_string_equal(spec.environment_files.items[1], "two");
	assert_true(spec.wants_all_environment);
	spec_done(&spec);
}

static void
spec_dependencies_gather_up_to_a_limit(void **state)
{
	struct error error;
	struct spec spec;

	(void)state;
	spec_init(&spec);
	set_good(&spec, "after", "41,42");
	set_good(&spec, "after-any", "43");
	assert_int_equal(spec.dependency_count, 3);
	assert_int_equal(spec.dependencies[0].on, 41);
	assert_int_equal(spec.dependencies[1].on, 42);
	assert_int_equal(spec.dependencies[1].kind, DEPENDENCY_DONE);
	assert_int_equal(spec.dependencies[2].on, 43);
	assert_int_equal(spec.dependencies[2].kind, DEPENDENCY_ENDED);
	while (spec.dependency_count < 1000)
		set_good(&spec, "after", "7");
	assert_int_equal(set(&spec, "after", "8", &error), -1);
	check_words("after", &error);
	assert_int_equal(spec.dependency_count, 1000);
	spec_done(&spec);
}

static void
spec_option_is_found_by_its_whole_name(void **state)
{
	static const char *const bad[] = { "", "nam", "names", "max", "max-",
		"max-retries-", "max retries", "-name", "--name", "NAME", "max--retries",
		"command", "\xff" };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(
		    spec_option_find(cases[i].option)->name, cases[i].option);
	assert_string_equal(spec_option_find("max_retries")->name, "max-retries");
	assert_string_equal(spec_option_find("leave_children")->name, "leave-children");
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_null(spec_option_find(bad[i]));
}

static void
spec_options_each_have_help_and_a_letter_of_their_own(void **state)
{
	(void)state;
	for (size_t i = 0; spec_options[i].name != NULL; i++) {
		assert_non_null(spec_options[i].help);
		assert_non_null(spec_options[i].set);
		for (size_t j = 0; j < i; j++) {
			assert_string_not_equal(
			    spec_options[i].name, spec_options[j].name);
			assert_true(spec_options[i].letter == 0 ||
				    spec_options[i].letter != spec_options[j].letter);
		}
	}
}

static void
spec_check_wants_a_command(void **state)
{
	struct error error;
	struct spec spec;

	(void)state;
	spec_init(&spec);
	assert_int_equal(spec_check(&spec, &error), -1);
	assert_int_equal(error.code, STATUS_USAGE);
	strings_add(&spec.command, "");
	assert_int_equal(spec_check(&spec, &error), -1);
	spec_done(&spec);
	strings_add(&spec.command, "true");
	strings_add(&spec.command, "");
	assert_int_equal(spec_check(&spec, &error), 0);
	spec_done(&spec);
}

static void
spec_check_refuses_options_that_exclude_each_other(void **state)
{
	static const char *const pairs[][4] = {
		{ "once", "true", NULL, NULL },
		{ "in", "0", "at", "20:00" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		struct error error = { 0 };
		struct spec spec;

		spec_init(&spec);
		strings_add(&spec.command, "true");
		set_good(&spec, pairs[i][0], pairs[i][1]);
		if (pairs[i][2] != NULL)
			set_good(&spec, pairs[i][2], pairs[i][3]);
		assert_int_equal(spec_check(&spec, &error), -1);
		check_words(pairs[i][0], &error);
		set_good(&spec, "name", "now_it_is_good");
		assert_int_equal(spec_check(&spec, NULL), pairs[i][2] == NULL ? 0 : -1);
		spec_done(&spec);
	}
}

static void
spec_describe_says_what_was_understood(void **state)
{
	static const struct {
		const char *options[6];
		const char *words;
	} described[] = {
		{ { NULL }, "up to 4 runs, 5 s apart" },
		{ { "timeout", "30s", NULL },
		    "up to 4 runs, 5 s apart, 30 s each at most" },
		{ { "max-retries", "0", NULL }, "one run" },
		{ { "max-retries", "0", "timeout", "90", "in", "2h" },
		    "one run, 90 s each at most, in 2 h" },
		{ { "max-retries", "inf", "backoff", "linear:1s", NULL },
		    "runs until it succeeds, 1 s and more apart" },
		{ { "max-retries", "0", "at", "2026-11-22T20:00:00Z", NULL },
		    "one run, at 2026-11-22 20:00:00 +0000" },
		{ { "max-retries", "0", "at", "2020-11-22T20:00:00Z", NULL },
		    "one run, at 2020-11-22 20:00:00 +0000, which has passed" },
		{ { "max-retries", "0", "after", "41,report", "after-any", "43" },
		    "one run, after 41, report, 43 however it ends" },
		{ { "max-retries", "0", "after", "1,2,3,4,5,6", NULL },
		    "one run, after 1, 2, 3, 3 more" },
		{ { "max-retries", "0", "hold", "true", NULL },
		    "one run, when it is released" },
		{ { "backoff", "exp:500ms", NULL },
		    "up to 4 runs, 0.5 s and more apart" },
		{ { "in", "0", NULL }, "up to 4 runs, 5 s apart" },
	};
	char words[200];

	(void)state;
	for (size_t i = 0; i < COUNT(described); i++) {
		struct spec spec;

		spec_init(&spec);
		for (size_t j = 0; j < 6 && described[i].options[j] != NULL; j += 2)
			set_good(
			    &spec, described[i].options[j], described[i].options[j + 1]);
		spec_describe(&spec, (struct wall){ NOW - 1 }, words, sizeof(words));
		assert_string_equal(words, described[i].words);
		spec_done(&spec);
	}
}

static void
spec_describe_stays_within_any_buffer(void **state)
{
	struct spec spec;
	char buffer[100];

	(void)state;
	spec_init(&spec);
	set_good(&spec, "timeout", "90");
	set_good(&spec, "in", "2h");
	for (size_t size = 1; size < 80; size++) {
		memset(buffer, '#', sizeof(buffer));
		spec_describe(&spec, (struct wall){ 0 }, buffer, size);
		assert_int_equal(buffer[size], '#');
		assert_non_null(memchr(buffer, '\0', size));
	}
	spec_done(&spec);
}

static void
strings_keep_their_order_and_a_null_behind_them(void **state)
{
	struct strings strings = { 0 };
	char text[16];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		snprintf(text, sizeof(text), "%d", i);
		strings_add(&strings, text);
		assert_int_equal(strings.count, i + 1);
		assert_null(strings.items[i + 1]);
	}
	assert_string_equal(strings.items[1234], "1234");
	strings_done(&strings);
	assert_null(strings.items);
	strings_done(&strings);
}

static void
strings_set_variable_replaces_the_one_of_that_name(void **state)
{
	struct strings environment = { 0 };

	(void)state;
	strings_set_variable(&environment, "A=1");
	strings_set_variable(&environment, "AB=2");
	strings_set_variable(&environment, "B=3");
	strings_set_variable(&environment, "A=4=5");
	strings_set_variable(&environment, "AB=");
	strings_set_variable(&environment, "=odd");
	assert_int_equal(environment.count, 4);
	assert_string_equal(environment.items[0], "A=4=5");
	assert_string_equal(environment.items[1], "AB=");
	assert_string_equal(environment.items[2], "B=3");
	assert_string_equal(environment.items[3], "=odd");
	assert_null(environment.items[4]);
	strings_done(&environment);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spec_options_are_all_tried_here),
		cmocka_unit_test(spec_option_takes_what_is_good),
		cmocka_unit_test(spec_option_refuses_what_is_bad_in_words),
		cmocka_unit_test(spec_option_leaves_the_spec_when_it_refuses),
		cmocka_unit_test(spec_option_refuses_huge_values),
		cmocka_unit_test(spec_option_sets_its_field),
		cmocka_unit_test(spec_retry_options_leave_each_other_alone),
		cmocka_unit_test(spec_environment_options_gather_in_order),
		cmocka_unit_test(spec_dependencies_gather_up_to_a_limit),
		cmocka_unit_test(spec_option_is_found_by_its_whole_name),
		cmocka_unit_test(spec_options_each_have_help_and_a_letter_of_their_own),
		cmocka_unit_test(spec_check_wants_a_command),
		cmocka_unit_test(spec_check_refuses_options_that_exclude_each_other),
		cmocka_unit_test(spec_describe_says_what_was_understood),
		cmocka_unit_test(spec_describe_stays_within_any_buffer),
		cmocka_unit_test(strings_keep_their_order_and_a_null_behind_them),
		cmocka_unit_test(strings_set_variable_replaces_the_one_of_that_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
