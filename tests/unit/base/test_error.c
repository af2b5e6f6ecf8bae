/* error: -1 for the caller's return, a sentence that always fits. */

#include "base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
error_set_fills_in_code_and_text(void **state)
{
	struct error error = { 0 };

	(void)state;
	assert_int_equal(error_set(&error, STATUS_USAGE, "no %s in %d", "word", 7), -1);
	assert_int_equal(error.code, STATUS_USAGE);
	assert_string_equal(error.text, "no word in 7");
	assert_int_equal(error_set(&error, STATUS_NO, "%s", ""), -1);
	assert_int_equal(error.code, STATUS_NO);
	assert_string_equal(error.text, "");
}

static void
error_set_errno_adds_the_words_of_errno_and_keeps_it(void **state)
{
	struct error error = { 0 };

	(void)state;
	errno = ENOENT;
	assert_int_equal(error_set_errno(&error, STATUS_NOT_FOUND, "open %s", "x"), -1);
	assert_int_equal(error.code, STATUS_NOT_FOUND);
	assert_string_equal(error.text, "open x: No such file or directory");
	assert_int_equal(errno, ENOENT);
}

static void
error_set_only_answers_when_nobody_wants_the_words(void **state)
{
	(void)state;
	errno = EACCES;
	assert_int_equal(error_set(NULL, STATUS_NO, "%s", "x"), -1);
	assert_int_equal(error_set_errno(NULL, STATUS_NO, "%s", "x"), -1);
	assert_int_equal(errno, EACCES);
}

static void
error_text_is_cut_when_too_long(void **state)
{
	struct error error;

	(void)state;
	memset(&error, '#', sizeof(error));
	error_set(&error, STATUS_NO, "%1000d", 1);
	assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
	errno = ENOENT;
	error_set_errno(&error, STATUS_NO, "%1000d", 1);
	assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
	error_set_errno(&error, STATUS_NO, "%505d", 1);
	assert_string_equal(error.text + 504, "1: No s");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(error_set_fills_in_code_and_text),
		cmocka_unit_test(error_set_errno_adds_the_words_of_errno_and_keeps_it),
		cmocka_unit_test(error_set_only_answers_when_nobody_wants_the_words),
		cmocka_unit_test(error_text_is_cut_when_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
