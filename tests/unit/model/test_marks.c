/* marks: from where on was it written since? Never too late. */

#include "model/marks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int64_t
find(const char *text, int64_t since_ms)
{
	return marks_find(text, strlen(text), since_ms);
}

static void
what_is_behind_the_last_mark_before_was_written_since(void **state)
{
	const char text[] = "1000 10\n2000 25\n5000 70\n";

	(void)state;
	assert_int_equal(find(text, 0), 0);
	assert_int_equal(find(text, 999), 0);
	assert_int_equal(find(text, 1000), 10);
	assert_int_equal(find(text, 4999), 25);
	assert_int_equal(find(text, 5000), 70);
	assert_int_equal(find(text, INT64_MAX), 70);
	assert_int_equal(find("", 5), 0);
}

static void
torn_and_senseless_lines_are_none(void **state)
{
	(void)state;
	assert_int_equal(find("1000 10\n2000 2", 9000), 10);
	assert_int_equal(find("1000 10\nrubbish\n3000 30\n", 9000), 10);
	assert_int_equal(find("\n", 9000), 0);
	assert_int_equal(
	    find("1000 10\n99999999999999999999999999999999999999999999999999 1\n", 9000), 10);
}

/* Then some of it has two times: better too much than too little. */
static void
clock_that_was_set_back_leaves_nothing_out(void **state)
{
	const char text[] = "1000 10\n9000 20\n2000 30\n3000 40\n";

	(void)state;
	assert_int_equal(find(text, 2500), 10);
	assert_int_equal(find(text, 9500), 40);
}

static void
thinning_keeps_the_new_half_and_every_other_old_one(void **state)
{
	char text[4096] = "";
	size_t length = 0;
	int lines = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		const struct mark mark = { 1000 + i, 100 + i };

		length += marks_format(text + length, &mark);
	}
	length = marks_thin(text, length);
	for (size_t i = 0; i < length; i++)
		lines += text[i] == '\n';
	assert_in_range(lines, 74, 76);
	assert_int_equal(marks_find(text, length, 1099), 199);
	assert_int_equal(marks_find(text, length, 1080), 180);
	for (int64_t since = 1000; since < 1100; since++) {
		int64_t offset = marks_find(text, length, since);

		assert_true(offset <= since - 900 && offset >= (since < 1002 ? 0 : since - 902));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_behind_the_last_mark_before_was_written_since),
		cmocka_unit_test(torn_and_senseless_lines_are_none),
		cmocka_unit_test(clock_that_was_set_back_leaves_nothing_out),
		cmocka_unit_test(thinning_keeps_the_new_half_and_every_other_old_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
