/* clock: three clocks in milliseconds, two of which tests may move. */

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define HOUR_MS INT64_C(3600000)

static int
unshift(void **state)
{
	(void)state;
	clock_shift(0, 0);
	return 0;
}

static int64_t
kernel_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
clock_readings_lie_between_those_of_the_kernel(void **state)
{
	int64_t before[] = { kernel_ms(CLOCK_BOOTTIME), kernel_ms(CLOCK_MONOTONIC) };
	int64_t boot = clock_boot().ms, mono = clock_mono().ms;

	(void)state;
	assert_true(boot >= before[0]);
	assert_true(boot <= kernel_ms(CLOCK_BOOTTIME));
	assert_true(mono >= before[1]);
	assert_true(mono <= kernel_ms(CLOCK_MONOTONIC));
	/* the wall clock may be set meanwhile, but hardly by an hour */
	assert_true(clock_wall().ms > kernel_ms(CLOCK_REALTIME) - HOUR_MS);
	assert_true(clock_wall().ms < kernel_ms(CLOCK_REALTIME) + HOUR_MS);
}

static void
clock_shift_moves_wall_and_boot_but_not_mono(void **state)
{
	int64_t boot = clock_boot().ms, mono = clock_mono().ms,
		wall = clock_kernel_wall().ms;

	(void)state;
	clock_shift(10 * HOUR_MS, -5 * HOUR_MS);
	assert_true(clock_wall().ms > wall + 9 * HOUR_MS);
	assert_true(clock_kernel_wall().ms < wall + HOUR_MS);
	assert_true(clock_boot().ms < boot - 4 * HOUR_MS);
	assert_true(clock_mono().ms >= mono && clock_mono().ms < mono + HOUR_MS);
	clock_shift(0, 0);
	assert_true(clock_wall().ms < wall + HOUR_MS);
	assert_true(clock_boot().ms >= boot && clock_boot().ms < boot + HOUR_MS);
}

static void
clock_boot_id_is_the_same_each_time_and_fits(void **state)
{
	char first[CLOCK_BOOT_ID_SIZE + 1], second[CLOCK_BOOT_ID_SIZE];

	(void)state;
	memset(first, '#', sizeof(first));
	clock_boot_id(first);
	clock_boot_id(second);
	assert_string_equal(first, second);
	assert_int_equal(first[CLOCK_BOOT_ID_SIZE], '#');
	if (strcmp(first, "unknown") != 0) {
		assert_int_equal(strlen(first), CLOCK_BOOT_ID_SIZE - 1);
		assert_int_equal(
		    strspn(first, "0123456789abcdef-"), CLOCK_BOOT_ID_SIZE - 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clock_readings_lie_between_those_of_the_kernel),
		cmocka_unit_test_teardown(
		    clock_shift_moves_wall_and_boot_but_not_mono, unshift),
		cmocka_unit_test(clock_boot_id_is_the_same_each_time_and_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
