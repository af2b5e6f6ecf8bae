/* line: a line is found however it is torn, and no longer than allowed. */

#include "wire/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
check_line(const struct buf *buf, size_t most, const char *bytes, size_t length)
{
	const char *line = NULL;
	size_t found = 0;

	assert_int_equal(line_next(buf, most, &line, &found), LINE_COMPLETE);
	assert_int_equal(found, length);
	assert_memory_equal(line, bytes, length);
}

static void
check_state(const struct buf *buf, size_t most, enum line_state state)
{
	const char *line = "untouched";
	size_t length = 42;

	assert_int_equal(line_next(buf, most, &line, &length), state);
	assert_string_equal(line, "untouched");
	assert_int_equal(length, 42);
}

static void
line_is_none_until_its_newline_is_there(void **state)
{
	const char text[] = "{\"a\":1}\n";
	struct buf buf = { 0 };

	(void)state;
	check_state(&buf, 100, LINE_NONE);
	for (const char *at = text; *at != '\n'; at++) {
		buf_add(&buf, at, 1);
		check_state(&buf, 100, LINE_NONE);
	}
	buf_add(&buf, "\n", 1);
	check_line(&buf, 100, text, strlen(text) - 1);
	line_consume(&buf);
	check_state(&buf, 100, LINE_NONE);
	buf_done(&buf);
}

static void
line_next_says_the_same_until_it_is_consumed(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	buf_add_text(&buf, "one\ntwo\nthr");
	check_line(&buf, 100, "one", 3);
	check_line(&buf, 100, "one", 3);
	line_consume(&buf);
	check_line(&buf, 100, "two", 3);
	line_consume(&buf);
	check_state(&buf, 100, LINE_NONE);
	buf_add_text(&buf, "ee\n");
	check_line(&buf, 100, "three", 5);
	buf_done(&buf);
}

static void
line_may_be_empty_or_hold_nul_bytes(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	buf_add(&buf, "\n\0\n\xff\xfe\0x\n", 8);
	check_line(&buf, 100, "", 0);
	line_consume(&buf);
	check_line(&buf, 100, "", 1);
	line_consume(&buf);
	check_line(&buf, 100, "\xff\xfe\0x", 4);
	line_consume(&buf);
	assert_int_equal(buf.length, 0);
	buf_done(&buf);
}

static void
line_loses_one_carriage_return_before_its_newline(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	buf_add_text(&buf, "a\r\n\r\nb\rc\r\r\n");
	check_line(&buf, 100, "a", 1);
	line_consume(&buf);
	check_line(&buf, 100, "", 0);
	line_consume(&buf);
	check_line(&buf, 100, "b\rc\r", 4);
	line_consume(&buf);
	assert_int_equal(buf.length, 0);
	buf_done(&buf);
}

static void
line_may_be_as_long_as_the_limit_and_not_longer(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	buf_add_text(&buf, "12345");
	check_state(&buf, 5, LINE_NONE);
	check_state(&buf, 4, LINE_TOO_LONG);
	buf_add_text(&buf, "\nnext and much longer");
	check_line(&buf, 5, "12345", 5);
	check_state(&buf, 4, LINE_TOO_LONG);
	check_state(&buf, 0, LINE_TOO_LONG);
	buf_done(&buf);
}

static void
line_consume_without_a_newline_drops_all(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	buf_add_text(&buf, "torn");
	line_consume(&buf);
	assert_int_equal(buf.length, 0);
	buf_done(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_is_none_until_its_newline_is_there),
		cmocka_unit_test(line_next_says_the_same_until_it_is_consumed),
		cmocka_unit_test(line_may_be_empty_or_hold_nul_bytes),
		cmocka_unit_test(line_loses_one_carriage_return_before_its_newline),
		cmocka_unit_test(line_may_be_as_long_as_the_limit_and_not_longer),
		cmocka_unit_test(line_consume_without_a_newline_drops_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
