/* output_name: names there and back. */

#include "model/output_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void
names_say_job_attempt_and_kind(void **state)
{
	char name[OUTPUT_NAME_SIZE];

	(void)state;
	assert_string_equal(output_name(name, 7, 2, ""), "7.2");
	assert_string_equal(output_name(name, 7, 2, OUTPUT_SEGMENTS), "7.2.segments");
	assert_string_equal(
	    output_name(name, INT64_MAX, INT64_MAX, OUTPUT_NEW_TIMES),
	    "9223372036854775807.9223372036854775807.times.new");
}

static void
segments_are_called_by_where_they_begin(void **state)
{
	static const int64_t offsets[] = { 0, 65536, 9999999999999999, INT64_MAX };
	static const char *const others[] = { "", "copying", "0", "65536", "000000000006553x",
		"00000000000000000", "-000000000000001", "99999999999999999999", "." };
	char name[SEGMENT_NAME_SIZE], before[SEGMENT_NAME_SIZE] = "";

	(void)state;
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		segment_name(name, offsets[i]);
		assert_int_equal(segment_parse(name), offsets[i]);
		if (strlen(name) == strlen(before))
			assert_true(strcmp(before, name) < 0);
		memcpy(before, name, sizeof(before));
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(segment_parse(others[i]), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_say_job_attempt_and_kind),
		cmocka_unit_test(segments_are_called_by_where_they_begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
