/* buf: bytes come out in the order they went in, however they were moved about. */

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
buf_is_empty_when_all_zero(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	buf_add(&buf, "", 0);
	buf_clear(&buf);
	assert_int_equal(buf.length, 0);
	assert_string_equal(buf_text(&buf), "");
	assert_int_equal(buf.length, 0);
	buf_done(&buf);
	buf_done(&buf);
}

static void
buf_add_appends_bytes_with_nul_among_them(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	buf_add(&buf, "a\0b", 3);
	buf_add_text(&buf, "cd");
	buf_addf(&buf, "%d-%s", 42, "x");
	assert_int_equal(buf.length, 9);
	assert_memory_equal(buf_start(&buf), "a\0bcd42-x", 9);
	buf_done(&buf);
	assert_int_equal(buf.length, 0);
	assert_null(buf.data);
}

static void
buf_addf_takes_texts_longer_than_its_room(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	for (int length = 1; length < 1030; length++) {
		buf_clear(&buf);
		buf_addf(&buf, "%*d", length, 7);
		assert_int_equal(buf.length, length);
		assert_int_equal(strlen(buf_text(&buf)), length);
	}
	buf_addf(&buf, "%s", "");
	assert_int_equal(buf.length, 1029);
	buf_done(&buf);
}

static void
buf_consume_drops_from_the_front(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	buf_add_text(&buf, "hello world");
	buf_consume(&buf, 6);
	assert_string_equal(buf_text(&buf), "world");
	buf_consume(&buf, 0);
	assert_int_equal(buf.length, 5);
	buf_consume(&buf, 5);
	assert_int_equal(buf.length, 0);
	assert_int_equal(buf.start, 0);
	buf_add_text(&buf, "again");
	assert_string_equal(buf_text(&buf), "again");
	buf_done(&buf);
}

static void
buf_reserve_gives_room_that_counts_only_when_grown(void **state)
{
	struct buf buf = { 0 };
	char *room;

	(void)state;
	buf_add_text(&buf, "abc");
	room = buf_reserve(&buf, 1000);
	memset(room, 'x', 1000);
	assert_int_equal(buf.length, 3);
	buf_grown(&buf, 2);
	assert_string_equal(buf_text(&buf), "abcxx");
	buf_done(&buf);
}

static void
buf_reserve_uses_consumed_room_before_it_grows(void **state)
{
	struct buf buf = { 0 };
	size_t room;

	(void)state;
	buf_addf(&buf, "%256d", 1);
	room = buf.room;
	for (int i = 0; i < 10000; i++) {
		buf_consume(&buf, 100);
		buf_addf(&buf, "%99d", i);
		buf_add(&buf, "y", 1);
	}
	assert_int_equal(buf.length, 256);
	assert_true(buf.room <= 2 * room);
	buf_done(&buf);
}

static void
buf_keeps_the_order_of_bytes_through_random_use(void **state)
{
	struct buf buf = { 0 };
	uint32_t random = 7;
	unsigned char in = 0, out = 0;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t length;

		random = random * 1664525 + 1013904223;
		length = (random >> 16) % 700;
		if (random >> 31 == 0) {
			char *room = buf_reserve(&buf, length);

			for (size_t i = 0; i < length; i++)
				room[i] = (char)in++;
			buf_grown(&buf, length);
			continue;
		}
		if (length > buf.length)
			length = buf.length;
		for (size_t i = 0; i < length; i++)
			assert_int_equal((unsigned char)buf_start(&buf)[i], out++);
		buf_consume(&buf, length);
	}
	buf_done(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buf_is_empty_when_all_zero),
		cmocka_unit_test(buf_add_appends_bytes_with_nul_among_them),
		cmocka_unit_test(buf_addf_takes_texts_longer_than_its_room),
		cmocka_unit_test(buf_consume_drops_from_the_front),
		cmocka_unit_test(buf_reserve_gives_room_that_counts_only_when_grown),
		cmocka_unit_test(buf_reserve_uses_consumed_room_before_it_grows),
		cmocka_unit_test(buf_keeps_the_order_of_bytes_through_random_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
