/* retry: the pause before each retry, and the words for it. */

#include "model/retry.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MIDDLE UINT32_C(0x80000000)
#define YEARS_100_MS (INT64_C(36525) * 86400000)

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint64_t
next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static struct retry_policy
policy(enum backoff_kind kind, int64_t base_ms, int64_t cap_ms)
{
	return (struct retry_policy){
		.max_retries = 3, .backoff = kind, .base_ms = base_ms, .cap_ms = cap_ms
	};
}

static void
retry_default_is_three_retries_five_seconds_apart(void **state)
{
	char text[64];

	(void)state;
	assert_int_equal(retry_default.max_retries, 3);
	assert_string_equal(
	    retry_format_backoff(text, sizeof(text), &retry_default), "constant:5s");
	assert_int_equal(retry_pause_ms(&retry_default, 1, 0), 5000);
	assert_int_equal(retry_pause_ms(&retry_default, 3, UINT32_MAX), 5000);
}

static void
retry_pause_stays_the_same_when_constant(void **state)
{
	struct retry_policy constant = policy(BACKOFF_CONSTANT, 7000, 1000);

	(void)state;
	for (int64_t failures = 1; failures < 100; failures++)
		assert_int_equal(retry_pause_ms(&constant, failures, 0), 7000);
	assert_int_equal(retry_pause_ms(&constant, INT64_MAX, 0), 7000);
}

static void
retry_pause_grows_linearly(void **state)
{
	struct retry_policy linear = policy(BACKOFF_LINEAR, 1000, 10000);

	(void)state;
	for (int64_t failures = 1; failures <= 10; failures++)
		assert_int_equal(retry_pause_ms(&linear, failures, 0), failures * 1000);
	assert_int_equal(retry_pause_ms(&linear, 11, 0), 10000);
	assert_int_equal(retry_pause_ms(&linear, INT64_MAX, 0), 10000);
}

static void
retry_pause_doubles_when_exponential(void **state)
{
	struct retry_policy exponential = policy(BACKOFF_EXPONENTIAL, 1000, 3600000);

	(void)state;
	for (int64_t failures = 1; failures <= 12; failures++)
		assert_int_equal(retry_pause_ms(&exponential, failures, 0),
		    INT64_C(1000) << (failures - 1));
	for (int64_t failures = 13; failures < 200; failures++)
		assert_int_equal(retry_pause_ms(&exponential, failures, 0), 3600000);
	assert_int_equal(retry_pause_ms(&exponential, INT64_MAX, 0), 3600000);
}

static void
retry_pause_before_any_failure_is_the_first(void **state)
{
	(void)state;
	for (int kind = 0; kind < BACKOFF_COUNT; kind++) {
		struct retry_policy any = policy(kind, 1000, 3600000);

		assert_int_equal(retry_pause_ms(&any, 0, 0), 1000);
		assert_int_equal(retry_pause_ms(&any, INT64_MIN, 0), 1000);
	}
}

static void
retry_pause_is_none_when_its_base_is_none(void **state)
{
	(void)state;
	for (int kind = 0; kind < BACKOFF_COUNT; kind++) {
		struct retry_policy none = policy(kind, 0, 3600000);

		none.jitter_percent = 100;
		assert_int_equal(retry_pause_ms(&none, 1, UINT32_MAX), 0);
		assert_int_equal(retry_pause_ms(&none, 62, UINT32_MAX), 0);
		assert_int_equal(retry_pause_ms(&none, 63, UINT32_MAX), 0);
		assert_int_equal(retry_pause_ms(&none, INT64_MAX, UINT32_MAX), 0);
	}
}

static void
retry_jitter_moves_the_pause_from_end_to_end(void **state)
{
	struct retry_policy moved = policy(BACKOFF_CONSTANT, 1000, 3600000);

	(void)state;
	moved.jitter_percent = 25;
	assert_int_equal(retry_pause_ms(&moved, 1, 0), 750);
	assert_int_equal(retry_pause_ms(&moved, 1, MIDDLE), 1000);
	assert_int_equal(retry_pause_ms(&moved, 1, UINT32_MAX), 1250);
	moved.jitter_percent = 100;
	assert_int_equal(retry_pause_ms(&moved, 1, 0), 0);
	assert_int_equal(retry_pause_ms(&moved, 1, UINT32_MAX), 2000);
	moved.jitter_percent = 0;
	assert_int_equal(retry_pause_ms(&moved, 1, UINT32_MAX), 1000);
}

/* The product of 32 random bits and the longest spread needs more than 64 bits. */
static void
retry_jitter_reaches_both_ends_of_the_longest_pause(void **state)
{
	struct retry_policy longest =
	    policy(BACKOFF_CONSTANT, YEARS_100_MS, YEARS_100_MS);
	int64_t late;

	(void)state;
	longest.jitter_percent = 100;
	assert_true(retry_pause_ms(&longest, 1, 0) == 0);
	assert_true(retry_pause_ms(&longest, 1, MIDDLE) == YEARS_100_MS);
	late = retry_pause_ms(&longest, 1, UINT32_MAX);
	assert_true(late > 2 * YEARS_100_MS - 2000 && late <= 2 * YEARS_100_MS);
}

/* The rule again, in a type in which nothing overflows. */
static long double
expected_pause(const struct retry_policy *any, int64_t failures)
{
	long double pause = (long double)any->base_ms;

	if (any->backoff == BACKOFF_CONSTANT)
		return pause;
	if (any->backoff == BACKOFF_LINEAR)
		pause *= (long double)failures;
	for (int64_t i = 1; any->backoff == BACKOFF_EXPONENTIAL && i < failures && i < 70;
	     i++)
		pause *= 2;
	return pause < (long double)any->cap_ms ? pause : (long double)any->cap_ms;
}

static void
retry_pause_stays_within_jitter_and_cap_for_random_policies(void **state)
{
	(void)state;
	for (int round = 0; round < 100000; round++) {
		struct retry_policy any = {
			.backoff = (enum backoff_kind)(next_random() % BACKOFF_COUNT),
			.base_ms =
			    (int64_t)(next_random() % YEARS_100_MS >> next_random() % 42),
			.cap_ms =
			    (int64_t)(next_random() % YEARS_100_MS >> next_random() % 42),
			.jitter_percent = (int)(next_random() % 101),
		};
		int64_t failures =
		    (int64_t)(1 + (next_random() >> (1 + next_random() % 63)));
		long double exact = expected_pause(&any, failures);
		long double spread = exact * any.jitter_percent / 100;
		int64_t pause = retry_pause_ms(&any, failures, (uint32_t)next_random());

		assert_true(pause >= 0);
		assert_true((long double)pause >= exact - spread - 1);
		assert_true((long double)pause <= exact + spread + 1);
		if (any.jitter_percent == 0 && any.backoff != BACKOFF_CONSTANT)
			assert_true(pause <= any.cap_ms);
	}
}

static void
retry_pause_of_extremes_does_not_overflow(void **state)
{
	static const int64_t numbers[] = { 0, 1, INT64_MAX / 2, INT64_MAX - 1,
		INT64_MAX };
	static const uint32_t randoms[] = { 0, MIDDLE, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < COUNT(numbers) * COUNT(numbers) * COUNT(numbers); i++) {
		for (int kind = 0; kind < BACKOFF_COUNT; kind++) {
			struct retry_policy extreme =
			    policy(kind, numbers[i % COUNT(numbers)],
				numbers[i / COUNT(numbers) % COUNT(numbers)]);
			int64_t failures = numbers[i / COUNT(numbers) / COUNT(numbers)];

			extreme.jitter_percent = 100;
			for (size_t j = 0; j < COUNT(randoms); j++)
				assert_true(
				    retry_pause_ms(&extreme, failures, randoms[j]) >= 0);
		}
	}
}

static const struct {
	const char *text;
	enum backoff_kind kind;
	int64_t base_ms, cap_ms;
	const char *formatted;
} good[] = {
	{ "constant:5s", BACKOFF_CONSTANT, 5000, RETRY_DEFAULT_CAP_MS, "constant:5s" },
	{ "linear:1s", BACKOFF_LINEAR, 1000, RETRY_DEFAULT_CAP_MS, "linear:1s" },
	{ "exponential:1s,10m", BACKOFF_EXPONENTIAL, 1000, 600000, "exponential:1s,10m" },
	{ "exponential:1s,1h", BACKOFF_EXPONENTIAL, 1000, 3600000, "exponential:1s" },
	{ "exp:250ms,90", BACKOFF_EXPONENTIAL, 250, 90000, "exponential:250ms,1m30s" },
	{ "exp:0", BACKOFF_EXPONENTIAL, 0, RETRY_DEFAULT_CAP_MS, "exponential:0s" },
	{ "constant:36525d,36525d", BACKOFF_CONSTANT, YEARS_100_MS, YEARS_100_MS,
	    "constant:36525d,36525d" },
	{ "linear:36524d23h59m59s999ms,36524d23h59m59s999ms", BACKOFF_LINEAR,
	    YEARS_100_MS - 1, YEARS_100_MS - 1,
	    "linear:36524d23h59m59s999ms,36524d23h59m59s999ms" },
};

static void
check_same(const struct retry_policy *one, const struct retry_policy *other)
{
	assert_true(one->max_retries == other->max_retries);
	assert_int_equal(one->backoff, other->backoff);
	assert_true(one->base_ms == other->base_ms);
	assert_true(one->cap_ms == other->cap_ms);
	assert_int_equal(one->jitter_percent, other->jitter_percent);
}

static void
retry_backoff_is_read_and_written_as_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		struct retry_policy read = { .max_retries = 7, .jitter_percent = 9 },
				    again;
		char text[80];

		assert_int_equal(retry_parse_backoff(good[i].text, &read), 0);
		assert_int_equal(read.backoff, good[i].kind);
		assert_true(
		    read.base_ms == good[i].base_ms && read.cap_ms == good[i].cap_ms);
		assert_int_equal(read.max_retries, 7);
		assert_int_equal(read.jitter_percent, 9);
		retry_format_backoff(text, sizeof(text), &read);
		assert_string_equal(text, good[i].formatted);
		again = read;
		assert_int_equal(retry_parse_backoff(text, &again), 0);
		check_same(&again, &read);
	}
}

static void
retry_backoff_refuses_garbage_and_leaves_the_policy(void **state)
{
	static const char *const bad[] = { "", ":", "5s", "constant",
		"constant:", "constant:x", "constant:-1", "constant: 5s", "constant:5s ",
		"constant:5s,", "constant:5s,x", "constant:5s,1h,1h", "constant:,1h",
		"constan:5s", "constants:5s", "Constant:5s", " constant:5s", "e:1s",
		"expo:1s", "exp1s", ":5s", "linear:1s:2s", "linear;1s", "linear:36526d",
		"linear:1s,36526d", "\xff:1s", "linear:\xff", "linear:1s,\xff" };
	struct retry_policy read = retry_default;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		char *copy = strdup(bad[i]);

		if (retry_parse_backoff(copy, &read) == 0)
			fail_msg("\"%s\" was read", bad[i]);
		free(copy);
	}
	check_same(&read, &retry_default);
}

static void
retry_backoff_refuses_garbage_behind_a_long_pause(void **state)
{
	struct retry_policy read = retry_default;
	char text[2000];

	(void)state;
	for (size_t length = 20; length < sizeof(text) - 1; length++) {
		memset(text, '0', length);
		memcpy(text, "constant:5s", 11);
		memcpy(text + length - 1, "x", 2);
		assert_int_equal(retry_parse_backoff(text, &read), -1);
	}
	memset(text, '0', sizeof(text) - 1);
	memcpy(text, "constant:", 9);
	memcpy(text + sizeof(text) - 3, "5s", 3);
	if (retry_parse_backoff(text, &read) == 0)
		assert_int_equal(read.base_ms, 5000);
}

static void
retry_format_stays_within_any_buffer(void **state)
{
	struct retry_policy longest =
	    policy(BACKOFF_EXPONENTIAL, YEARS_100_MS - 1, YEARS_100_MS - 1);
	char buffer[100];

	(void)state;
	for (size_t size = 0; size < 90; size++) {
		memset(buffer, '#', sizeof(buffer));
		retry_format_backoff(buffer, size, &longest);
		assert_int_equal(buffer[size], '#');
		assert_true(size == 0 || memchr(buffer, '\0', size) != NULL);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(retry_default_is_three_retries_five_seconds_apart),
		cmocka_unit_test(retry_pause_stays_the_same_when_constant),
		cmocka_unit_test(retry_pause_grows_linearly),
		cmocka_unit_test(retry_pause_doubles_when_exponential),
		cmocka_unit_test(retry_pause_before_any_failure_is_the_first),
		cmocka_unit_test(retry_pause_is_none_when_its_base_is_none),
		cmocka_unit_test(retry_jitter_moves_the_pause_from_end_to_end),
		cmocka_unit_test(retry_jitter_reaches_both_ends_of_the_longest_pause),
		cmocka_unit_test(
		    retry_pause_stays_within_jitter_and_cap_for_random_policies),
		cmocka_unit_test(retry_pause_of_extremes_does_not_overflow),
		cmocka_unit_test(retry_backoff_is_read_and_written_as_the_same),
		cmocka_unit_test(retry_backoff_refuses_garbage_and_leaves_the_policy),
		cmocka_unit_test(retry_backoff_refuses_garbage_behind_a_long_pause),
		cmocka_unit_test(retry_format_stays_within_any_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
