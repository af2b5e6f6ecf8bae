/* reports: the terminate reason in what the keeper says of an end. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "supervisor/live.h"

#include <errno.h>
#include <signal.h>

static void
assert_reason(struct report_ended ended, const char *text)
{
	char found[REASON_TEXT_SIZE];

	assert_string_equal(reason_format(found, reports_reason(&ended)), text);
}

static void
sigkill_by_the_kernel_for_want_of_memory_is_oom(void **state)
{
	struct report_ended ended = { .how = END_SIGNALLED, .code = SIGKILL, .is_oom = 1 };
	char words[64];

	(void)state;
	assert_reason(ended, "oom");
	assert_true(reason_is_failure(reports_reason(&ended)));
	assert_string_equal(
	    reason_words(words, sizeof(words), reports_reason(&ended), 0), "out of memory");
	ended.is_oom = 0;
	assert_reason(ended, "signal:KILL");
}

/* It was being ended already: that is why. */
static void
oom_during_a_stop_of_ours_stays_that_stop(void **state)
{
	struct report_ended ended = { .how = END_SIGNALLED, .code = SIGKILL, .is_oom = 1,
		.cause = STOP_CANCELLED };

	(void)state;
	assert_reason(ended, "cancelled");
	ended.cause = STOP_INTERRUPTED;
	assert_reason(ended, "interrupted");
	ended.cause = STOP_TIMEOUT;
	assert_reason(ended, "timeout");
}

static void
reason_of_every_other_end(void **state)
{
	(void)state;
	assert_reason((struct report_ended){ .how = END_EXITED }, "normal");
	assert_reason((struct report_ended){ .how = END_EXITED, .code = 3 }, "exit:3");
	assert_reason((struct report_ended){ .how = END_SIGNALLED, .code = SIGSEGV, .core = 1 },
	    "signal:SEGV+core");
	assert_reason((struct report_ended){ .how = END_NOT_EXECUTED, .code = ENOENT },
	    "spawn:ENOENT");
	assert_reason((struct report_ended){ .how = END_NOT_EXECUTED, .code = ENOENT,
			  .place = PLACE_DIRECTORY }, "spawn:cwd:ENOENT");
	assert_reason((struct report_ended){ .how = END_NOT_EXECUTED, .code = EACCES,
			  .place = PLACE_INPUT }, "spawn:stdin:EACCES");
	assert_reason((struct report_ended){ .how = END_NOT_EXECUTED, .code = EACCES,
			  .place = END_PLACE_COUNT }, "spawn:EACCES");
	assert_reason((struct report_ended){ .how = END_UNKNOWN }, "lost:keeper");
	assert_reason(
	    (struct report_ended){ .how = END_EXITED, .cause = STOP_INTERRUPTED }, "normal");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sigkill_by_the_kernel_for_want_of_memory_is_oom),
		cmocka_unit_test(oom_during_a_stop_of_ours_stays_that_stop),
		cmocka_unit_test(reason_of_every_other_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
