/*
 * text: what people write is read exactly or refused, what is shown fits its buffer.
 * Every parser gets its text at the very end of a heap block, so that a sanitizer or
 * valgrind sees a read behind it.
 */

#include "base/text.h"
#include "base/xalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define UNTOUCHED INT64_C(-77)
#define MINUTE_MS INT64_C(60000)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)
#define YEARS_100_MS (36525 * DAY_MS)
#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"

/* Sundays of 2026 on which the clocks in Berlin change, at 01:00 UTC. */
#define SPRING INT64_C(1774746000000)
#define AUTUMN INT64_C(1792890000000)
#define EVENING INT64_C(1795377600000) /* 2026-11-22T20:00:00Z */

typedef int quantity_parser(const char *text, int64_t *ret_value);

struct good {
	const char *text;
	int64_t value;
};

static uint64_t random_state = 88172645463325252;

static uint64_t
next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void
set_zone(const char *zone)
{
	if (zone != NULL)
		setenv("TZ", zone, 1);
	else
		unsetenv("TZ");
	tzset();
}

static char *zone_before;

static int
remember_zone(void **state)
{
	const char *zone = getenv("TZ");

	(void)state;
	zone_before = zone != NULL ? xstrdup(zone) : NULL;
	return 0;
}

static int
restore_zone(void **state)
{
	(void)state;
	set_zone(zone_before);
	free(zone_before);
	zone_before = NULL;
	return 0;
}

static int
parse(quantity_parser *parser, const char *text, int64_t *ret_value)
{
	char *copy = xstrdup(text);
	int result = parser(copy, ret_value);

	free(copy);
	return result;
}

static void
check_quantities(quantity_parser *parser, const struct good *good, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int64_t value = UNTOUCHED;

		if (parse(parser, good[i].text, &value) == -1)
			fail_msg("\"%s\" was refused", good[i].text);
		if (value != good[i].value)
			fail_msg(
			    "\"%s\" was read as %lld", good[i].text, (long long)value);
	}
}

static void
check_refused(quantity_parser *parser, const char *const *bad, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int64_t value = UNTOUCHED;

		if (parse(parser, bad[i], &value) == 0)
			fail_msg("\"%s\" was read as %lld", bad[i], (long long)value);
		assert_int_equal(value, UNTOUCHED);
	}
}

static char *
repeated(char c, size_t count, const char *end)
{
	char *text = xmalloc(count + strlen(end) + 1);

	memset(text, c, count);
	memcpy(text + count, end, strlen(end) + 1);
	return text;
}

static void
text_is_name_accepts_words_with_inner_signs(void **state)
{
	char *longest = repeated('n', NAME_MAX_LENGTH, "");

	(void)state;
	assert_true(text_is_name("a"));
	assert_true(text_is_name("_"));
	assert_true(text_is_name("Z9"));
	assert_true(text_is_name("mail.out:2026-11_x"));
	assert_true(text_is_name(longest));
	free(longest);
}

static void
text_is_variable_knows_names_that_a_shell_could_use(void **state)
{
	(void)state;
	assert_true(text_is_variable("A", 1));
	assert_true(text_is_variable("_a9=1", 3));
	assert_false(text_is_variable("", 0));
	assert_false(text_is_variable("9a", 2));
	assert_false(text_is_variable(" A", 2));
	assert_false(text_is_variable("export A", 8));
	assert_false(text_is_variable("a.b", 3));
	assert_false(text_is_variable("\xc3\xa9", 2));
	assert_false(text_is_variable("A\0", 2));
}

static void
text_is_name_refuses_ids_options_and_hostile_bytes(void **state)
{
	static const char *const bad[] = { "", "1", "42", "-a", "--name", ".a", ":a",
		"a b", "a\n", "a/b", "../a", "a%", "\xc3\xa4", "a\xc3\xa4", "a\x80",
		"a\x01", " a", "a;b", "a\x7f" };
	char *long_name = repeated('n', NAME_MAX_LENGTH + 1, "");
	char *huge = repeated('n', 1000000, "");

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(text_is_name(bad[i]));
	assert_false(text_is_name(long_name));
	assert_false(text_is_name(huge));
	free(long_name);
	free(huge);
}

static void
text_is_child_name_wants_two_names_and_one_stroke(void **state)
{
	static const char *const bad[] = { "", "/", "a", "a/", "/b", "a//b", "a/b/c", "1/b",
		"a/1", "-a/b", "a/-b", "a b/c", "a/b c", "a/b/", "\xff/b" };
	char longest[NAME_SIZE + 1];

	(void)state;
	assert_true(text_is_child_name("shop/db"));
	assert_true(text_is_child_name("_/Z9"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(text_is_child_name(bad[i]));
	memset(longest, 'a', sizeof(longest));
	longest[60] = '/';
	longest[NAME_SIZE] = '\0';
	assert_false(text_is_child_name(longest)); /* one more than a name may have */
	longest[NAME_SIZE - 1] = '\0';
	assert_true(text_is_child_name(longest));
}

static void
text_number_reads_whole_numbers_within_limits(void **state)
{
	int64_t number;

	(void)state;
	assert_int_equal(text_number("0", 0, 9, &number), 0);
	assert_int_equal(number, 0);
	assert_int_equal(text_number("9", 0, 9, &number), 0);
	assert_int_equal(number, 9);
	assert_int_equal(text_number("007", 0, 9, &number), 0);
	assert_int_equal(number, 7);
	assert_int_equal(text_number("-5", -5, 5, &number), 0);
	assert_int_equal(number, -5);
	assert_int_equal(text_number("9223372036854775807", 0, INT64_MAX, &number), 0);
	assert_true(number == INT64_MAX);
	assert_int_equal(text_number("-9223372036854775808", INT64_MIN, 0, &number), 0);
	assert_true(number == INT64_MIN);
}

static void
text_number_refuses_all_else_and_leaves_the_result(void **state)
{
	static const char *const bad[] = { "", " ", "-", "--1", "+1", " 1", "1 ", "1x",
		"0x10", "1.0", "1e1", "10", "-1", "9223372036854775808",
		"-9223372036854775809", "1\n", "99999999999999999999999999999999", "one",
		"\xff", "\xd9\xa1", "- 1" };
	int64_t number = UNTOUCHED;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (text_number(bad[i], 0, 9, &number) == 0)
			fail_msg("\"%s\" was read", bad[i]);
	}
	assert_int_equal(number, UNTOUCHED);
}

static void
text_duration_reads_units_and_combinations(void **state)
{
	static const struct good good[] = {
		{ "0", 0 },
		{ "90", 90000 },
		{ "007", 7000 },
		{ "1h30m", 90 * MINUTE_MS },
		{ "250ms", 250 },
		{ "1.5s", 1500 },
		{ ".5s", 500 },
		{ "1.s", 1000 },
		{ "2d", 2 * DAY_MS },
		{ "3min", 3 * MINUTE_MS },
		{ "3m", 3 * MINUTE_MS },
		{ "1m1ms", 60001 },
		{ "1min1m", 2 * MINUTE_MS },
		{ "0.5", 500 },
		{ "0.4ms", 0 },
		{ "0.5ms", 1 },
		{ "36525d", YEARS_100_MS },
		{ "1d2h3m4s5ms", 93784005 },
		{ "1s1s", 2000 },
	};

	(void)state;
	check_quantities(text_duration, good, COUNT(good));
}

static void
text_duration_refuses_garbage_and_more_than_100_years(void **state)
{
	static const char *const bad[] = { "", " ", "s", "h5", "-1", "-1s", "+1", "1x",
		"1s ", " 1s", "1 s", "1h30", "1..5s", "1.5.5s", ".", ".s", "1e3", "0x10",
		"inf", "nan", "1S", "1H", "1mi", "1s\n", "1s,1m", "36526d", "36525d1ms",
		"99999999999999999999d", "\xff", "1\x80", "1\xc2\xa0s", "\xef\xbc\x91s" };
	char *digits = repeated('9', 5000, "s");
	char *fraction = repeated('0', 5000, "1s");
	const char *const huge[] = { digits };
	int64_t value = UNTOUCHED;

	(void)state;
	check_refused(text_duration, bad, COUNT(bad));
	check_refused(text_duration, huge, 1);
	fraction[1] = '.';
	if (parse(text_duration, fraction, &value) == 0)
		assert_int_equal(value, 0);
	free(digits);
	free(fraction);
}

static void
text_size_reads_factors_of_1024(void **state)
{
	static const struct good good[] = {
		{ "0", 0 },
		{ "4096", 4096 },
		{ "4096B", 4096 },
		{ "1K", 1024 },
		{ "1k", 1024 },
		{ "1kB", 1024 },
		{ "1KiB", 1024 },
		{ "16M", 16 << 20 },
		{ "16m", 16 << 20 },
		{ "16MB", 16 << 20 },
		{ "16MiB", 16 << 20 },
		{ "1.5g", INT64_C(3) << 29 },
		{ "1G512M", INT64_C(3) << 29 },
		{ "2GiB", INT64_C(2) << 30 },
		{ "2T", INT64_C(2) << 40 },
		{ "2TiB", INT64_C(2) << 40 },
		{ "1000000T", INT64_C(1000000) << 40 },
	};

	(void)state;
	check_quantities(text_size, good, COUNT(good));
}

static void
text_size_refuses_garbage_and_overflow(void **state)
{
	static const char *const bad[] = { "", " ", "M", "-1", "-1M", "+1", "1 M", "1M ",
		"1X", "1MM", "1Mi", "1M5", "0x10", "1e6", "inf", "nan", ".", "1..5M",
		"4000000000000000001K", "9223372036854775808", "8388608T", "16\xc2\xa0M",
		"\xff" };
	char *digits = repeated('9', 5000, "");
	const char *const huge[] = { digits };

	(void)state;
	check_refused(text_size, bad, COUNT(bad));
	check_refused(text_size, huge, 1);
	free(digits);
}

static void
text_parsers_survive_random_bytes(void **state)
{
	static const char letters[] = "0123456789..::--+TZ smhdinKMGiB\xff\x01\xc3\xa4";
	struct wall time, now = { EVENING };

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t length = next_random() % 24;
		char *text = xmalloc(length + 1);
		int64_t value;

		for (size_t i = 0; i < length; i++)
			text[i] = letters[next_random() % (sizeof(letters) - 1)];
		text[length] = '\0';
		if (text_duration(text, &value) == 0)
			assert_true(value >= 0 && value <= YEARS_100_MS);
		if (text_size(text, &value) == 0)
			assert_true(value >= 0);
		if (text_number(text, -10, 10, &value) == 0)
			assert_true(value >= -10 && value <= 10);
		if (text_time(text, now, &time) == 0)
			assert_true(time.ms >= 0);
		text_is_name(text);
		free(text);
	}
}

static void
check_time(const char *text, int64_t now_ms, int64_t expected_ms)
{
	struct wall time = { UNTOUCHED };
	char *copy = xstrdup(text);

	if (text_time(copy, (struct wall){ now_ms }, &time) == -1)
		fail_msg("\"%s\" was refused", text);
	if (time.ms != expected_ms)
		fail_msg("\"%s\" was read as %lld, not %lld", text, (long long)time.ms,
		    (long long)expected_ms);
	free(copy);
}

static void
text_time_reads_rfc_3339_whatever_the_zone(void **state)
{
	static const char *const zones[] = { "UTC", BERLIN, "PST8PDT,M3.2.0,M11.1.0",
		"XXX-14" };

	(void)state;
	for (size_t i = 0; i < COUNT(zones); i++) {
		set_zone(zones[i]);
		check_time("2026-11-22T20:00:00Z", 0, EVENING);
		check_time("2026-11-22t20:00:00z", 0, EVENING);
		check_time("2026-11-22 20:00:00Z", 0, EVENING);
		check_time("2026-11-22T20:00Z", 0, EVENING);
		check_time("2026-11-22T21:00:00+01:00", 0, EVENING);
		check_time("2026-11-23T01:45:00+05:45", 0, EVENING);
		check_time("2026-11-22T12:00:00-08:00", 0, EVENING);
		check_time("2026-11-22T20:00:00.5Z", 0, EVENING + 500);
		check_time("2026-11-22T20:00:00.123456789Z", 0, EVENING + 123);
		check_time("2026-11-22T19:59:60Z", 0, EVENING);
		check_time("2024-02-29T12:00:00Z", 0, INT64_C(1709208000000));
		check_time("1970-01-01T00:00:00Z", 0, 0);
		check_time("9999-12-31T23:59:59Z", 0, INT64_C(253402300799000));
	}
}

static void
text_time_reads_local_time_through_both_changes_of_the_clock(void **state)
{
	(void)state;
	set_zone(BERLIN);
	check_time("2026-11-22 21:00", 0, EVENING);
	check_time("2026-11-22T21:00:00", 0, EVENING);
	check_time("2026-11-22 21:00:05", 0, EVENING + 5000);
	check_time("2026-07-01 12:00", 0, INT64_C(1782900000000));
	check_time("2026-03-29 01:59", 0, SPRING - MINUTE_MS);
	check_time("2026-03-29 03:00", 0, SPRING);
	check_time("2026-10-25 01:59", 0, AUTUMN - HOUR_MS - MINUTE_MS);
	check_time("2026-10-25 03:00", 0, AUTUMN + HOUR_MS);
}

static void
text_time_takes_one_of_both_when_a_local_time_comes_twice_or_never(void **state)
{
	struct wall time;

	(void)state;
	set_zone(BERLIN);
	assert_int_equal(text_time("2026-10-25 02:30", (struct wall){ 0 }, &time), 0);
	assert_true(time.ms == AUTUMN - HOUR_MS / 2 || time.ms == AUTUMN + HOUR_MS / 2);
	assert_int_equal(text_time("2026-03-29 02:30", (struct wall){ 0 }, &time), 0);
	assert_true(time.ms == SPRING - HOUR_MS / 2 || time.ms == SPRING + HOUR_MS / 2);
}

static void
text_time_of_day_is_the_next_one(void **state)
{
	(void)state;
	set_zone("UTC");
	check_time("20:01", EVENING, EVENING + MINUTE_MS);
	check_time("20:00", EVENING, EVENING + DAY_MS);
	check_time("20:00", EVENING + 999, EVENING + DAY_MS);
	check_time("20:00", EVENING - 1, EVENING);
	check_time("19:59", EVENING, EVENING + DAY_MS - MINUTE_MS);
	check_time("00:00", EVENING, EVENING + 4 * HOUR_MS);
	check_time("8:05", EVENING, EVENING + 12 * HOUR_MS + 5 * MINUTE_MS);
	set_zone(BERLIN);
	check_time("21:01", EVENING, EVENING + MINUTE_MS);
}

static void
text_time_of_day_is_right_through_both_changes_of_the_clock(void **state)
{
	(void)state;
	set_zone(BERLIN);
	/* from the day before: 23 and 25 hours later */
	check_time("12:00", SPRING - 14 * HOUR_MS, SPRING + 9 * HOUR_MS);
	check_time("12:00", AUTUMN - 15 * HOUR_MS, AUTUMN + 10 * HOUR_MS);
	/* within the night itself */
	check_time("03:30", SPRING - HOUR_MS / 2, SPRING + HOUR_MS / 2);
	check_time("03:30", AUTUMN - 2 * HOUR_MS, AUTUMN + HOUR_MS + HOUR_MS / 2);
	/* 02:30 does not come that night */
	check_time("02:30", SPRING - HOUR_MS / 2, SPRING + 23 * HOUR_MS + HOUR_MS / 2);
	/* and comes twice in the other, the second one being the next after the first */
	check_time("02:30", AUTUMN - 2 * HOUR_MS, AUTUMN - HOUR_MS / 2);
	check_time("02:30", AUTUMN - HOUR_MS / 2, AUTUMN + HOUR_MS / 2);
	check_time("02:30", AUTUMN + HOUR_MS / 2, AUTUMN + 24 * HOUR_MS + HOUR_MS / 2);
}

static void
text_time_refuses_what_is_no_time(void **state)
{
	static const char *const bad[] = { "", " ", "now", "20", "20:", "20:0", "24:00",
		"20:60", "-1:00", " 8:00", "8: 0", "+8:00", "8:-5", "20:00 ", "20:00:00",
		"20:00Z", "008:00", "2026-11-22", "2026-11-22T", "2026-11-22T20",
		"2026-11-22T20:", "2026-11-22T20:0", "2026-13-01 00:00",
		"2026-00-01 00:00", "2026-01-00 00:00", "2026-04-31 00:00",
		"2026-02-29 00:00", "2100-02-29 00:00", "2026-02-30 00:00",
		"2026-11-22 24:00", "2026-11-22 20:60", "2026-11-22T20:00:61Z",
		"2026-11-22T20:00:00 Z", "2026-11-22T20:00:00ZZ",
		"2026-11-22T20:00:00+1:00", "2026-11-22T20:00:00+01",
		"2026-11-22T20:00:00+0100", "2026-11-22T20:00:00+24:00",
		"2026-11-22T20:00:00+01:60", "2026-11-22T20:00:00+01:00Z",
		"2026-11-22T20:00:00+-1:30", "2026-11-22T20:00:00+ 1:30",
		"2026-11-22T20:00:00.", "2026-11-22T20:00:00.Z", "2026-11-22T20:00.5Z",
		"2026-11-22T20:00:-5", "2026-11-22T20:00: 5", "2026-11-22X20:00",
		"2026-11-22\n20:00", " 2026-11-22 20:00", "2026-11-22  20:00",
		"2026- 1-22 20:00", "+026-11-22 20:00", "-026-11-22 20:00",
		"1969-12-31T23:59:59Z", "1970-01-01T00:00:00+01:00",
		"0000-01-01T00:00:00Z", "9999-12-31T23:59:59-00:01",
		"9999-12-31T23:59:60Z", "12026-11-22 20:00", "2026-11-22T20:00:00\xff",
		"\xff",
		"2026-11-22\xff"
		"20:00" };
	struct wall time = { UNTOUCHED };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		char *copy = xstrdup(bad[i]);

		if (text_time(copy, (struct wall){ EVENING }, &time) == 0)
			fail_msg("\"%s\" was read as %lld", bad[i], (long long)time.ms);
		free(copy);
	}
	assert_int_equal(time.ms, UNTOUCHED);
}

static void
text_time_refuses_local_time_before_1970(void **state)
{
	struct wall time = { UNTOUCHED };

	(void)state;
	set_zone(BERLIN);
	assert_int_equal(text_time("1970-01-01 00:30", (struct wall){ 0 }, &time), -1);
	assert_int_equal(time.ms, UNTOUCHED);
}

static void
text_format_duration_shows_two_units_at_most(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {
		{ 0, "0 s" },
		{ 1, "1 ms" },
		{ 99, "99 ms" },
		{ 400, "0.4 s" },
		{ 1000, "1 s" },
		{ 1500, "1.5 s" },
		{ 5000, "5 s" },
		{ 12000, "12 s" },
		{ 12999, "12 s" },
		{ 119999, "119 s" },
		{ 120000, "2 min" },
		{ 2 * HOUR_MS - 1, "119 min" },
		{ 2 * HOUR_MS, "2 h" },
		{ 200 * MINUTE_MS, "3 h 20 min" },
		{ DAY_MS - 1, "23 h 59 min" },
		{ DAY_MS, "1 d" },
		{ 5 * DAY_MS, "5 d" },
		{ 5 * DAY_MS + 3 * HOUR_MS, "5 d 3 h" },
		{ 10 * DAY_MS + HOUR_MS, "10 d" },
		{ YEARS_100_MS, "36525 d" },
		{ -500, "-0.5 s" },
		{ -3000, "-3 s" },
	};
	char buffer[64];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(
		    text_format_duration(buffer, sizeof(buffer), cases[i].ms),
		    cases[i].text);
	text_format_duration(buffer, sizeof(buffer), INT64_MAX);
	text_format_duration(buffer, sizeof(buffer), INT64_MIN);
}

static void
text_format_exact_is_read_back_as_the_same(void **state)
{
	char buffer[64];
	int64_t read;

	(void)state;
	assert_string_equal(text_format_exact(buffer, sizeof(buffer), 0), "0s");
	assert_string_equal(text_format_exact(buffer, sizeof(buffer), 250), "250ms");
	assert_string_equal(text_format_exact(buffer, sizeof(buffer), 5400000), "1h30m");
	assert_string_equal(
	    text_format_exact(buffer, sizeof(buffer), 93784005), "1d2h3m4s5ms");
	assert_string_equal(
	    text_format_exact(buffer, sizeof(buffer), YEARS_100_MS), "36525d");
	assert_string_equal(text_format_exact(buffer, sizeof(buffer), -1), "0s");
	for (int round = 0; round < 10000; round++) {
		int64_t ms = (int64_t)(next_random() >> 1) % (YEARS_100_MS + 1);

		ms >>= next_random() % 40;
		text_format_exact(buffer, sizeof(buffer), ms);
		assert_int_equal(text_duration(buffer, &read), 0);
		assert_true(read == ms);
	}
}

static void
text_format_size_shows_one_decimal(void **state)
{
	char buffer[64];

	(void)state;
	assert_string_equal(text_format_size(buffer, sizeof(buffer), 0), "0 bytes");
	assert_string_equal(text_format_size(buffer, sizeof(buffer), 1023), "1023 bytes");
	assert_string_equal(text_format_size(buffer, sizeof(buffer), 1024), "1.0 KiB");
	assert_string_equal(
	    text_format_size(buffer, sizeof(buffer), 17 << 20), "17.0 MiB");
	assert_string_equal(
	    text_format_size(buffer, sizeof(buffer), INT64_C(3) << 29), "1.5 GiB");
	assert_string_equal(
	    text_format_size(buffer, sizeof(buffer), INT64_MAX), "8192.0 PiB");
}

static void
text_format_time_is_utc_with_milliseconds(void **state)
{
	char buffer[64];
	struct wall read;

	(void)state;
	set_zone(BERLIN);
	assert_string_equal(
	    text_format_time(buffer, sizeof(buffer), (struct wall){ EVENING }),
	    "2026-11-22T20:00:00.000Z");
	assert_string_equal(text_format_time(buffer, sizeof(buffer), (struct wall){ 7 }),
	    "1970-01-01T00:00:00.007Z");
	assert_string_equal(text_format_time(buffer, sizeof(buffer), (struct wall){ -1 }),
	    "1969-12-31T23:59:59.999Z");
	assert_string_equal(
	    text_format_time(buffer, sizeof(buffer), (struct wall){ -1000 }),
	    "1969-12-31T23:59:59.000Z");
	text_format_time(buffer, sizeof(buffer), (struct wall){ INT64_MAX });
	text_format_time(buffer, sizeof(buffer), (struct wall){ INT64_MIN });
	for (int round = 0; round < 2000; round++) {
		struct wall time = { (int64_t)(next_random() % 253402300800000) };

		text_format_time(buffer, sizeof(buffer), time);
		assert_int_equal(text_time(buffer, (struct wall){ 0 }, &read), 0);
		assert_true(read.ms == time.ms);
	}
}

static void
text_formats_stay_within_any_buffer(void **state)
{
	char buffer[48];

	(void)state;
	for (size_t size = 0; size < 40; size++) {
		memset(buffer, '#', sizeof(buffer));
		text_format_duration(buffer, size, 200 * MINUTE_MS);
		text_format_exact(buffer, size, 93784005);
		text_format_exact(buffer, size, 0);
		text_format_size(buffer, size, 17 << 20);
		text_format_time(buffer, size, (struct wall){ EVENING });
		for (size_t i = size; i < sizeof(buffer); i++)
			assert_int_equal(buffer[i], '#');
		assert_true(size == 0 || memchr(buffer, '\0', size) != NULL);
	}
}

static void
text_quote_escapes_control_bytes_and_invalid_utf8(void **state)
{
	static const struct {
		const char *text, *quoted;
	} cases[] = {
		{ "", "" },
		{ "plain words", "plain words" },
		{ "a\nb\tc", "a\\nb\\tc" },
		{ "say \"x\\y\"", "say \\\"x\\\\y\\\"" },
		{ "\x1b[31m", "\\x1b[31m" },
		{ "\r\x01\x7f", "\\x0d\\x01\\x7f" },
		{ "Bär €uro 😀", "Bär €uro 😀" },
		{ "\xff\xfe", "\\xff\\xfe" },
		{ "\xc3", "\\xc3" },
		{ "\xc3(", "\\xc3(" },
		{ "\xe2\x82", "\\xe2\\x82" },
		{ "\xc0\xaf", "\\xc0\\xaf" },
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },
		{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },
		{ "\xc2\x85\xc2\x9b", "\\xc2\\x85\\xc2\\x9b" },
		{ "\xc2\xa0", "\xc2\xa0" },
		{ "\x80", "\\x80" },
	};
	char buffer[128];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(
		    text_quote(buffer, sizeof(buffer), cases[i].text), cases[i].quoted);
}

static void
text_quote_cuts_only_what_does_not_fit(void **state)
{
	char buffer[16];

	(void)state;
	assert_string_equal(text_quote(buffer, 6, "hello"), "hello");
	assert_string_equal(text_quote(buffer, 2, "a"), "a");
	assert_string_equal(text_quote(buffer, 1, ""), "");
	assert_string_equal(text_quote(buffer, 6, "hello!"), "he…");
	assert_string_equal(text_quote(buffer, 6, "\n\n\n"), "\\n…");
	assert_string_equal(text_quote(buffer, 7, "€€€"), "€…");
	assert_string_equal(text_quote(buffer, 4, "hello"), "…");
	assert_string_equal(text_quote(buffer, 3, "hello"), "");
	assert_string_equal(text_quote(buffer, 1, "hello"), "");
	memset(buffer, '#', sizeof(buffer));
	assert_ptr_equal(text_quote(buffer, 0, "hello"), buffer);
	assert_int_equal(buffer[0], '#');
}

/* What a terminal may be given: printable, valid UTF-8. */
static void
check_safe(const char *text)
{
	size_t left = strlen(text), length;

	for (; left > 0; text += length, left -= length) {
		length = text_utf8_length(text, left);
		assert_true(length > 0);
		assert_true((unsigned char)*text >= 0x20 && *text != 0x7f);
	}
}

static void
text_quote_of_random_bytes_is_safe_in_any_buffer(void **state)
{
	char buffer[80];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t length = next_random() % 24, size = next_random() % 64;
		char *text = xmalloc(length + 1);

		for (size_t i = 0; i < length; i++)
			text[i] = (char)(next_random() % 255 + 1);
		text[length] = '\0';
		memset(buffer, '#', sizeof(buffer));
		text_quote(buffer, size, text);
		for (size_t i = size; i < sizeof(buffer); i++)
			assert_int_equal(buffer[i], '#');
		if (size > 0) {
			assert_non_null(memchr(buffer, '\0', size));
			check_safe(buffer);
		}
		free(text);
	}
}

static void
text_utf8_length_knows_the_limits_of_each_length(void **state)
{
	(void)state;
	assert_int_equal(text_utf8_length("", 0), 0);
	assert_int_equal(text_utf8_length("a", 1), 1);
	assert_int_equal(text_utf8_length("\0", 1), 1);
	assert_int_equal(text_utf8_length("\xc2\x80", 2), 2);
	assert_int_equal(text_utf8_length("\xdf\xbf", 2), 2);
	assert_int_equal(text_utf8_length("\xe0\xa0\x80", 3), 3);
	assert_int_equal(text_utf8_length("\xed\x9f\xbf", 3), 3);
	assert_int_equal(text_utf8_length("\xef\xbf\xbf", 3), 3);
	assert_int_equal(text_utf8_length("\xf0\x90\x80\x80", 4), 4);
	assert_int_equal(text_utf8_length("\xf4\x8f\xbf\xbf", 4), 4);
	assert_int_equal(text_utf8_length("\xc1\xbf", 2), 0);
	assert_int_equal(text_utf8_length("\xe0\x9f\xbf", 3), 0);
	assert_int_equal(text_utf8_length("\xed\xa0\x80", 3), 0);
	assert_int_equal(text_utf8_length("\xf0\x8f\xbf\xbf", 4), 0);
	assert_int_equal(text_utf8_length("\xf4\x90\x80\x80", 4), 0);
	assert_int_equal(text_utf8_length("\xf5\x80\x80\x80", 4), 0);
	assert_int_equal(text_utf8_length("\x80", 1), 0);
}

static void
text_utf8_length_is_none_when_the_text_ends_early(void **state)
{
	static const char *const characters[] = { "a", "ä", "€", "😀" };

	(void)state;
	for (size_t i = 0; i < COUNT(characters); i++) {
		for (size_t left = 0; left < i + 1; left++) {
			char *piece = xmalloc(left > 0 ? left : 1);

			memcpy(piece, characters[i], left);
			assert_int_equal(text_utf8_length(piece, left), 0);
			free(piece);
		}
		assert_int_equal(text_utf8_length(characters[i], i + 1), i + 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_name_accepts_words_with_inner_signs),
		cmocka_unit_test(text_is_variable_knows_names_that_a_shell_could_use),
		cmocka_unit_test(text_is_name_refuses_ids_options_and_hostile_bytes),
		cmocka_unit_test(text_is_child_name_wants_two_names_and_one_stroke),
		cmocka_unit_test(text_number_reads_whole_numbers_within_limits),
		cmocka_unit_test(text_number_refuses_all_else_and_leaves_the_result),
		cmocka_unit_test(text_duration_reads_units_and_combinations),
		cmocka_unit_test(text_duration_refuses_garbage_and_more_than_100_years),
		cmocka_unit_test(text_size_reads_factors_of_1024),
		cmocka_unit_test(text_size_refuses_garbage_and_overflow),
		cmocka_unit_test(text_parsers_survive_random_bytes),
		cmocka_unit_test_setup_teardown(
		    text_time_reads_rfc_3339_whatever_the_zone, remember_zone,
		    restore_zone),
		cmocka_unit_test_setup_teardown(
		    text_time_reads_local_time_through_both_changes_of_the_clock,
		    remember_zone, restore_zone),
		cmocka_unit_test_setup_teardown(
		    text_time_takes_one_of_both_when_a_local_time_comes_twice_or_never,
		    remember_zone, restore_zone),
		cmocka_unit_test_setup_teardown(
		    text_time_of_day_is_the_next_one, remember_zone, restore_zone),
		cmocka_unit_test_setup_teardown(
		    text_time_of_day_is_right_through_both_changes_of_the_clock,
		    remember_zone, restore_zone),
		cmocka_unit_test(text_time_refuses_what_is_no_time),
		cmocka_unit_test_setup_teardown(text_time_refuses_local_time_before_1970,
		    remember_zone, restore_zone),
		cmocka_unit_test(text_format_duration_shows_two_units_at_most),
		cmocka_unit_test(text_format_exact_is_read_back_as_the_same),
		cmocka_unit_test(text_format_size_shows_one_decimal),
		cmocka_unit_test_setup_teardown(text_format_time_is_utc_with_milliseconds,
		    remember_zone, restore_zone),
		cmocka_unit_test(text_formats_stay_within_any_buffer),
		cmocka_unit_test(text_quote_escapes_control_bytes_and_invalid_utf8),
		cmocka_unit_test(text_quote_cuts_only_what_does_not_fit),
		cmocka_unit_test(text_quote_of_random_bytes_is_safe_in_any_buffer),
		cmocka_unit_test(text_utf8_length_knows_the_limits_of_each_length),
		cmocka_unit_test(text_utf8_length_is_none_when_the_text_ends_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
