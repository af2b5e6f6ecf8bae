/* rotation: the rule as it is written, and what it keeps. */

#include "model/rotation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void
rule_is_read_as_it_is_written(void **state)
{
	static const struct {
		const char *text;
		int64_t bytes, keep;
	} good[] = {
		{ "64K", 65536, 5 }, { "65536", 65536, 5 }, { "10M,3", 10 << 20, 3 },
		{ "1.5M,1000", 3 << 19, 1000 }, { "65537", 65536 + 4096, 5 },
		{ "1G,1", 1 << 30, 1 },
	};
	struct rotation_rule rule, again;
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(rotation_parse(good[i].text, &rule), 0);
		assert_int_equal(rule.bytes, good[i].bytes);
		assert_int_equal(rule.keep, good[i].keep);
		assert_int_equal(
		    rotation_parse(rotation_format(text, sizeof(text), &rule), &again), 0);
		assert_memory_equal(&rule, &again, sizeof(rule));
	}
}

static void
rule_that_makes_no_sense_changes_nothing(void **state)
{
	static const char *const bad[] = { "", ",", "1K", "65535", "64K,", "64K,0", "64K,1001",
		"64K,x", "64K,1,2", "x", "-1", "0", "2000000000M", " 64K",
		"00000000000000000000000000000000065536" };
	struct rotation_rule rule = { 1, 2 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(rotation_parse(bad[i], &rule), -1);
		assert_true(rule.bytes == 1 && rule.keep == 2);
	}
}

static void
last_segments_and_what_follows_are_kept(void **state)
{
	const struct rotation_rule rule = { 100, 2 };

	(void)state;
	assert_int_equal(rotation_full(&rule, 0), 0);
	assert_int_equal(rotation_full(&rule, 99), 0);
	assert_int_equal(rotation_full(&rule, 100), 100);
	assert_int_equal(rotation_full(&rule, 350), 300);
	assert_int_equal(rotation_kept_from(&rule, 0), 0);
	assert_int_equal(rotation_kept_from(&rule, 299), 0);
	assert_int_equal(rotation_kept_from(&rule, 300), 100);
	assert_int_equal(rotation_kept_from(&rule, 399), 100);
	assert_int_equal(rotation_kept_from(&rule, 1000), 800);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rule_is_read_as_it_is_written),
		cmocka_unit_test(rule_that_makes_no_sense_changes_nothing),
		cmocka_unit_test(last_segments_and_what_follows_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
