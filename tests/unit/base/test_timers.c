/* timers: the heap gives the earliest, whatever was set, moved and removed before. */

#include "base/timers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MANY 300

static uint32_t
next_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* Every timer knows its place, and none is earlier than the one above it. */
static void
check_heap(const struct timers *timers)
{
	for (size_t place = 1; place <= timers->count; place++) {
		assert_int_equal(timers->heap[place]->place, place);
		if (place > 1)
			assert_true(
			    timers->heap[place / 2]->at <= timers->heap[place]->at);
	}
}

static void
timers_first_is_none_when_empty(void **state)
{
	struct timers timers;

	(void)state;
	timers_init(&timers);
	assert_null(timers_first(&timers));
	timers_done(&timers);
	assert_null(timers_first(&timers));
}

static void
timers_first_is_the_earliest_in_any_order_of_setting(void **state)
{
	struct timer three[3] = { 0 };
	static const int orders[][3] = {
		{ 0, 1, 2 },
		{ 0, 2, 1 },
		{ 1, 0, 2 },
		{ 1, 2, 0 },
		{ 2, 0, 1 },
		{ 2, 1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		struct timers timers;

		timers_init(&timers);
		for (int turn = 0; turn < 3; turn++)
			timers_set(&timers, &three[orders[i][turn]], orders[i][turn] - 1);
		for (int next = 0; next < 3; next++) {
			assert_ptr_equal(timers_first(&timers), &three[next]);
			timers_remove(&timers, &three[next]);
			assert_false(timer_is_set(&three[next]));
		}
		timers_done(&timers);
	}
}

static void
timers_set_moves_a_timer_that_is_set(void **state)
{
	struct timer early = { 0 }, late = { 0 };
	struct timers timers;

	(void)state;
	timers_init(&timers);
	timers_set(&timers, &early, 10);
	timers_set(&timers, &late, 20);
	timers_set(&timers, &early, 30);
	assert_int_equal(timers.count, 2);
	assert_ptr_equal(timers_first(&timers), &late);
	timers_set(&timers, &early, 5);
	assert_int_equal(timers.count, 2);
	assert_ptr_equal(timers_first(&timers), &early);
	timers_done(&timers);
}

static void
timers_remove_does_nothing_when_not_set(void **state)
{
	struct timer set = { 0 }, other = { 0 };
	struct timers timers;

	(void)state;
	timers_init(&timers);
	timers_remove(&timers, &other);
	timers_set(&timers, &set, 1);
	timers_remove(&timers, &other);
	assert_ptr_equal(timers_first(&timers), &set);
	timers_remove(&timers, &set);
	timers_remove(&timers, &set);
	assert_int_equal(timers.count, 0);
	timers_done(&timers);
}

static void
timers_done_forgets_all_that_are_set(void **state)
{
	struct timer many[40] = { 0 };
	struct timers timers;

	(void)state;
	timers_init(&timers);
	for (int i = 0; i < 40; i++)
		timers_set(&timers, &many[i], 40 - i);
	timers_done(&timers);
	for (int i = 0; i < 40; i++)
		assert_false(timer_is_set(&many[i]));
	timers_set(&timers, &many[0], 1);
	assert_ptr_equal(timers_first(&timers), &many[0]);
	timers_done(&timers);
}

static void
timers_order_the_least_and_the_greatest_time(void **state)
{
	struct timer least = { 0 }, zero = { 0 }, greatest = { 0 };
	struct timers timers;

	(void)state;
	timers_init(&timers);
	timers_set(&timers, &greatest, INT64_MAX);
	timers_set(&timers, &zero, 0);
	timers_set(&timers, &least, INT64_MIN);
	assert_ptr_equal(timers_first(&timers), &least);
	timers_remove(&timers, &least);
	assert_ptr_equal(timers_first(&timers), &zero);
	timers_done(&timers);
}

/* The same done to a plain array is the truth. */
static int64_t
earliest_of(const struct timer *many)
{
	int64_t earliest = INT64_MAX;

	for (int i = 0; i < MANY; i++) {
		if (timer_is_set(&many[i]) && many[i].at < earliest)
			earliest = many[i].at;
	}
	return earliest;
}

static void
timers_first_agrees_with_a_search_after_random_changes(void **state)
{
	static struct timer many[MANY];
	uint32_t random = 42;
	struct timers timers;

	(void)state;
	timers_init(&timers);
	for (int round = 0; round < 20000; round++) {
		struct timer *timer = &many[next_random(&random) % MANY];

		if (next_random(&random) % 3 == 0)
			timers_remove(&timers, timer);
		else
			timers_set(&timers, timer, next_random(&random) % 1000);
		if (timers.count == 0)
			assert_null(timers_first(&timers));
		else
			assert_int_equal(timers_first(&timers)->at, earliest_of(many));
		if (round % 100 == 0)
			check_heap(&timers);
	}
	for (int64_t before = INT64_MIN; timers.count > 0; check_heap(&timers)) {
		assert_true(timers_first(&timers)->at >= before);
		before = timers_first(&timers)->at;
		timers_remove(&timers, timers_first(&timers));
	}
	timers_done(&timers);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_first_is_none_when_empty),
		cmocka_unit_test(timers_first_is_the_earliest_in_any_order_of_setting),
		cmocka_unit_test(timers_set_moves_a_timer_that_is_set),
		cmocka_unit_test(timers_remove_does_nothing_when_not_set),
		cmocka_unit_test(timers_done_forgets_all_that_are_set),
		cmocka_unit_test(timers_order_the_least_and_the_greatest_time),
		cmocka_unit_test(timers_first_agrees_with_a_search_after_random_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
