/* notification: what sd_notify(3) may bring, and what it may not do. */

#include "wire/notification.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct notification
parse(const char *text)
{
	struct notification said;

	notification_parse(&said, text, strlen(text));
	return said;
}

static void
every_word_is_understood_alone(void **state)
{
	(void)state;
	assert_true(parse("READY=1").is_ready);
	assert_true(parse("STOPPING=1").is_stopping);
	assert_true(parse("RELOADING=1").is_reloading);
	assert_true(parse("WATCHDOG=1").lives);
	assert_true(parse("WATCHDOG=trigger").is_stuck);
	assert_true(parse("MAINPID=7").names_other);
	assert_true(parse("FDSTORE=1").gives_descriptors);
	assert_int_equal(parse("EXTEND_TIMEOUT_USEC=1500001").extend_ms, 1501);
	assert_true(parse("WATCHDOG_USEC=20000000").sets_watchdog);
	assert_string_equal(parse("STATUS=it is = fine").status, "it is = fine");
}

static void
several_lines_are_all_heard(void **state)
{
	struct notification said = parse("STATUS=one\nREADY=1\n\nX=y\nSTATUS=two\nWATCHDOG=1\n");

	(void)state;
	assert_true(said.is_ready && said.lives && said.has_status);
	assert_string_equal(said.status, "two");
	assert_false(said.is_stopping || said.is_stuck || said.names_other);
}

static void
what_is_not_known_changes_nothing(void **state)
{
	static const char *const words[] = { "", "\n", "=", "READY", "READY=", "READY=0",
		"READY=11", "ready=1", " READY=1", "READY =1", "XREADY=1", "READ=1", "WATCHDOG=2",
		"EXTEND_TIMEOUT_USEC=-1", "EXTEND_TIMEOUT_USEC=99999999999999999999",
		"EXTEND_TIMEOUT_USEC=0", "EXTEND_TIMEOUT_USEC=1s" };
	struct notification nothing = parse("");

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct notification said = parse(words[i]);

		if (memcmp(&said, &nothing, sizeof(said)) != 0)
			fail_msg("\"%s\" was understood", words[i]);
	}
}

static void
status_is_text_and_of_limited_length(void **state)
{
	char large[2000] = "STATUS=";
	struct notification said;

	(void)state;
	assert_string_equal(parse("STATUS=a\xff" "b").status, "a?b");
	assert_string_equal(parse("STATUS=").status, "");
	assert_true(parse("STATUS=").has_status);
	/* a character of two bytes at the very place where it is cut */
	memset(large + 7, 'x', NOTIFICATION_STATUS_SIZE - 2);
	memcpy(large + 7 + NOTIFICATION_STATUS_SIZE - 2, "ää", 5);
	said = parse(large);
	assert_int_equal(strlen(said.status), NOTIFICATION_STATUS_SIZE - 2);
	notification_parse(&said, "STATUS=a\0b", 10);
	assert_false(said.has_status);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_word_is_understood_alone),
		cmocka_unit_test(several_lines_are_all_heard),
		cmocka_unit_test(what_is_not_known_changes_nothing),
		cmocka_unit_test(status_is_text_and_of_limited_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
