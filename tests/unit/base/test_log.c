/* log: one line a call on standard error, which goes through a pipe here. */

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LINE_SIZE 2048

static char logged[4 * LINE_SIZE];

static int
reset_level(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_INFO);
	return 0;
}

static void
log_on_every_level(void *arg)
{
	(void)arg;
	log_error("number=%d", 1);
	log_warn("number=%d", 2);
	log_info("number=%d", 3);
	log_debug("number=%d", 4);
}

static void
log_a_line_of_this_length(void *arg)
{
	log_info("%0*d", *(int *)arg, 7);
}

/* What say(arg) writes to standard error. No assertion stands while that is a pipe. */
static const char *
capture(void (*say)(void *arg), void *arg)
{
	int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3), ends[2];
	ssize_t got;

	assert_int_not_equal(saved, -1);
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	dup2(ends[1], STDERR_FILENO);
	say(arg);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(ends[1]);
	got = read(ends[0], logged, sizeof(logged) - 1);
	close(ends[0]);
	assert_true(got >= 0);
	logged[got] = '\0';
	return logged;
}

static void
log_says_what_is_up_to_its_level(void **state)
{
	(void)state;
	assert_string_equal(capture(log_on_every_level, NULL),
	    "error number=1\nwarn number=2\ninfo number=3\n");
	log_set_level(LOG_LEVEL_ERROR);
	assert_string_equal(capture(log_on_every_level, NULL), "error number=1\n");
	log_set_level(LOG_LEVEL_DEBUG);
	assert_string_equal(capture(log_on_every_level, NULL),
	    "error number=1\nwarn number=2\ninfo number=3\ndebug number=4\n");
}

static void
log_line_is_cut_but_ends_when_too_long(void **state)
{
	(void)state;
	for (int length = LINE_SIZE - 12; length < LINE_SIZE + 12; length++) {
		size_t written;

		capture(log_a_line_of_this_length, &length);
		written = strlen(logged);
		assert_true(written < LINE_SIZE);
		assert_ptr_equal(strchr(logged, '\n'), logged + written - 1);
		if ((size_t)length + strlen("info \n") < LINE_SIZE)
			assert_int_equal(written, (size_t)length + strlen("info \n"));
	}
}

static void
log_to_nobody(void *arg)
{
	close(STDERR_FILENO);
	errno = ENOENT;
	log_info("lost");
	*(int *)arg = errno;
}

static void
log_keeps_errno_when_it_cannot_be_written(void **state)
{
	int kept = 0;

	(void)state;
	capture(log_to_nobody, &kept);
	assert_string_equal(logged, "");
	assert_int_equal(kept, ENOENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(log_says_what_is_up_to_its_level, reset_level),
		cmocka_unit_test_teardown(
		    log_line_is_cut_but_ends_when_too_long, reset_level),
		cmocka_unit_test_teardown(
		    log_keeps_errno_when_it_cannot_be_written, reset_level),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
