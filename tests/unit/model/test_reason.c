/* reason: every reason has one stored text, that is read back as the same reason. */

#include "model/reason.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LARGEST_ERRNO 133

static void
check_round_trip(struct reason reason)
{
	char text[REASON_TEXT_SIZE];
	struct reason read = { 0 };

	reason_format(text, reason);
	if (reason_parse(text, &read) == -1)
		fail_msg("\"%s\" is not read back", text);
	if (read.kind != reason.kind || read.number != reason.number ||
	    read.core != reason.core)
		fail_msg("\"%s\" is read back as another reason", text);
}

static void
reason_is_read_back_as_the_same_for_every_kind_and_number(void **state)
{
	(void)state;
	for (int kind = REASON_NORMAL; kind < REASON_COUNT; kind++) {
		if (kind != REASON_EXIT && kind != REASON_SIGNAL && kind != REASON_SPAWN &&
		    kind != REASON_OWN)
			check_round_trip((struct reason){ .kind = kind });
	}
	for (int status = 1; status <= 255; status++)
		check_round_trip(
		    (struct reason){ .kind = REASON_EXIT, .number = status });
	for (int signal = 1; signal <= SIGRTMAX; signal++) {
		check_round_trip(
		    (struct reason){ .kind = REASON_SIGNAL, .number = signal });
		check_round_trip((struct reason){
		    .kind = REASON_SIGNAL, .number = signal, .core = true });
	}
	for (int number = 1; number <= LARGEST_ERRNO; number++) {
		if (strerrorname_np(number) != NULL)
			check_round_trip(
			    (struct reason){ .kind = REASON_SPAWN, .number = number });
	}
}

static const struct {
	struct reason reason;
	int64_t timeout_ms;
	const char *text, *words;
} known[] = {
	{ { .kind = REASON_NONE }, 0, "", "" },
	{ { .kind = REASON_NORMAL }, 0, "normal", "" },
	{ { .kind = REASON_EXIT, .number = 3 }, 0, "exit:3", "exit 3" },
	{ { .kind = REASON_SIGNAL, .number = SIGKILL }, 0, "signal:KILL", "killed by SIGKILL" },
	{ { .kind = REASON_SIGNAL, .number = SIGSEGV, .core = true }, 0, "signal:SEGV+core",
	    "killed by SIGSEGV (core dumped)" },
	{ { .kind = REASON_TIMEOUT }, 30000, "timeout", "timed out after 30 s" },
	{ { .kind = REASON_TIMEOUT }, 0, "timeout", "timed out" },
	{ { .kind = REASON_OOM }, 0, "oom", "out of memory" },
	{ { .kind = REASON_WATCHDOG }, 10000, "watchdog",
	    "watchdog: no sign of life for 10 s" },
	{ { .kind = REASON_WATCHDOG }, 0, "watchdog", "watchdog: no sign of life" },
	{ { .kind = REASON_SPAWN, .number = ENOENT }, 0, "spawn:ENOENT",
	    "cannot execute: No such file or directory" },
	{ { .kind = REASON_SPAWN, .number = ENOTDIR, .place = REASON_OF_DIRECTORY }, 0,
	    "spawn:cwd:ENOTDIR", "cannot enter its working directory: Not a directory" },
	{ { .kind = REASON_SPAWN, .number = ENOENT, .place = REASON_OF_INPUT }, 0,
	    "spawn:stdin:ENOENT", "cannot open its input: No such file or directory" },
	{ { .kind = REASON_CANCELLED }, 0, "cancelled", "cancelled" },
	{ { .kind = REASON_INTERRUPTED }, 0, "interrupted", "interrupted by shutdown" },
	{ { .kind = REASON_LOST_KEEPER }, 0, "lost:keeper",
	    "lost: the keeper was killed" },
	{ { .kind = REASON_LOST_BOOT }, 0, "lost:boot", "lost: machine restarted" },
	{ { .kind = REASON_DEPENDENCY }, 0, "dependency",
	    "a job it waited for did not succeed" },
	{ { .kind = REASON_SHUTDOWN }, 0, "shutdown", "shutdown" },
	{ { .kind = REASON_SHUTDOWN, .own = "noon" }, 0, "shutdown:noon", "shutdown: noon" },
	{ { .kind = REASON_IGNORE }, 0, "ignore", "not wanted, its init says" },
	{ { .kind = REASON_MAX_RESTARTS }, 0, "max_restarts", "restarted too often" },
	{ { .kind = REASON_OWN, .own = "no money" }, 0, "no money", "no money" },
};

static void
reason_has_its_text_and_words_for_every_kind(void **state)
{
	bool seen[REASON_COUNT] = { false };
	char text[REASON_TEXT_SIZE], words[100];

	(void)state;
	for (size_t i = 0; i < COUNT(known); i++) {
		struct reason reason = known[i].reason;

		assert_string_equal(reason_format(text, reason), known[i].text);
		assert_string_equal(
		    reason_words(words, sizeof(words), reason, known[i].timeout_ms),
		    known[i].words);
		seen[reason.kind] = true;
	}
	for (int kind = 0; kind < REASON_COUNT; kind++)
		assert_true(seen[kind]);
}

static void
reason_words_stay_within_any_buffer(void **state)
{
	char buffer[64];

	(void)state;
	for (size_t i = 0; i < COUNT(known); i++) {
		for (size_t size = 0; size < 50; size++) {
			memset(buffer, '#', sizeof(buffer));
			reason_words(buffer, size, known[i].reason, known[i].timeout_ms);
			assert_int_equal(buffer[size], '#');
			assert_true(size == 0 || memchr(buffer, '\0', size) != NULL);
		}
	}
}

static void
reason_parse_refuses_what_is_none_of_ours(void **state)
{
	static const char *const bad[] = { "", " ", "norma", "normal ", "normalx",
		"Normal", "normal:1", "exit", "exit:", "exit:0", "exit:256", "exit:-1",
		"exit:+3", "exit: 3", "exit:3 ", "exit:3x", "exit:99999999999999999999",
		"signal", "signal:", "signal:SIGKILL", "signal:kill", "signal:9",
		"signal:NONE", "signal:KILL+", "signal:KILL+cor", "signal:KILL+core+core",
		"signal:+core", "signal:RTMIN", "signal:RTMIN+", "signal:RTMIN+99",
		"timeouts", "timeout:3", "oom:", "watchdog:10", "spawn", "spawn:", "spawn:2",
		"spawn:cwd", "spawn:cwd:", "spawn:stdin:cwd:ENOENT", "spawn:tty:ENOENT",
		"spawn:ENOSUCH", "spawn:enoent", "spawn:ENOENT ", "lost",
		"lost:", "lost:keepers", "lost:moon", "cancelled\n", "\xff", "exit:\xff",
		"signal:KILLKILLKILLKILLKILLKILLKILLKILLKILLKILLKILLKILLKILLKILL+core" };
	struct reason reason = { .kind = REASON_OOM, .number = 42 };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		char *copy = strdup(bad[i]);

		if (reason_parse(copy, &reason) == 0)
			fail_msg("\"%s\" was read", bad[i]);
		free(copy);
	}
	assert_int_equal(reason.kind, REASON_OOM);
	assert_int_equal(reason.number, 42);
}

static void
reason_from_words_knows_the_clean_ends_and_keeps_all_else(void **state)
{
	char text[REASON_TEXT_SIZE], longest[300];
	static const struct {
		const char *words;
		enum reason_kind kind;
	} rows[] = {
		{ "normal", REASON_NORMAL },
		{ "shutdown", REASON_SHUTDOWN },
		{ "shutdown:late", REASON_SHUTDOWN },
		{ "cancelled", REASON_OWN },
		{ "exit:3", REASON_OWN },
		{ "shutdowns", REASON_OWN },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct reason reason = reason_from_words(rows[i].words);

		assert_int_equal(reason.kind, rows[i].kind);
		assert_string_equal(reason_format(text, reason), rows[i].words);
	}
	/* Cut off between two characters: the é are two bytes each. */
	for (size_t i = 0; i < 140; i++)
		memcpy(longest + 2 * i, "\xc3\xa9", 3);
	reason_format(text, reason_from_words(longest));
	assert_int_equal(strlen(text), (REASON_OWN_SIZE - 1) / 2 * 2);
	assert_string_equal(reason_format(text, reason_from_words("")), "unknown");
}

static void
reason_counts_failures_losses_and_stops_apart(void **state)
{
	static const char classes[REASON_COUNT] = {
		[REASON_NONE] = '-',
		[REASON_NORMAL] = '-',
		[REASON_EXIT] = 'f',
		[REASON_SIGNAL] = 'f',
		[REASON_TIMEOUT] = 'f',
		[REASON_OOM] = 'f',
		[REASON_WATCHDOG] = 'f',
		[REASON_SPAWN] = 'f',
		[REASON_CANCELLED] = 's',
		[REASON_INTERRUPTED] = 's',
		[REASON_LOST_KEEPER] = 'l',
		[REASON_LOST_BOOT] = 'l',
		[REASON_DEPENDENCY] = 's',
		[REASON_SHUTDOWN] = '-',
		[REASON_IGNORE] = '-',
		[REASON_MAX_RESTARTS] = 'f',
		[REASON_OWN] = 'f',
	};

	(void)state;
	for (int kind = 0; kind < REASON_COUNT; kind++) {
		struct reason reason = { .kind = kind };

		assert_true(reason_is_failure(reason) == (classes[kind] == 'f'));
		assert_true(reason_is_loss(reason) == (classes[kind] == 'l'));
		assert_true(reason_is_stop(reason) == (classes[kind] == 's'));
	}
}

static void
reason_signal_number_is_found_by_any_of_its_names(void **state)
{
	static const struct {
		const char *word;
		int number;
	} cases[] = {
		{ "SIGTERM", SIGTERM }, { "TERM", SIGTERM }, { "15", SIGTERM }, { "KILL", SIGKILL },
		{ "", -1 }, { "SIG", -1 }, { "0", -1 }, { "65", -1 }, { "term", -1 },
		{ "SIGSIGTERM", -1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(reason_signal_number(cases[i].word), cases[i].number);
	assert_int_equal(reason_signal_number("SIGRTMIN+1"), SIGRTMIN + 1);
}

static void
reason_exit_status_is_the_process_s_own_or_that_of_run(void **state)
{
	static const struct {
		struct reason reason;
		int status;
	} cases[] = {
		{ { .kind = REASON_NORMAL }, 0 },
		{ { .kind = REASON_EXIT, .number = 3 }, 3 },
		{ { .kind = REASON_SIGNAL, .number = SIGSEGV }, 128 + SIGSEGV },
		{ { .kind = REASON_TIMEOUT }, 124 },
		{ { .kind = REASON_SPAWN, .number = ENOENT }, 127 },
		{ { .kind = REASON_SPAWN, .number = EACCES }, 126 },
		{ { .kind = REASON_SPAWN, .number = ENOENT, .place = REASON_OF_DIRECTORY }, 125 },
		{ { .kind = REASON_SPAWN, .number = EACCES, .place = REASON_OF_INPUT }, 125 },
		{ { .kind = REASON_CANCELLED }, 125 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(reason_exit_status(cases[i].reason), cases[i].status);
}

static void
reason_signal_name_is_known_for_any_number(void **state)
{
	static const struct {
		int signal;
		const char *name;
	} cases[] = {
		{ SIGHUP, "SIGHUP" },
		{ SIGSEGV, "SIGSEGV" },
		{ SIGSTKFLT, "SIGSTKFLT" },
		{ 0, "SIG0" },
		{ -1, "SIG-1" },
		{ 32, "SIG32" },
		{ 9999, "SIG9999" },
		{ INT32_MIN, "SIG-2147483648" },
	};
	char buffer[16];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(
		    reason_signal_name(cases[i].signal, buffer), cases[i].name);
	assert_string_equal(reason_signal_name(SIGRTMIN, buffer), "SIGRTMIN+0");
	assert_string_equal(reason_signal_name(SIGRTMAX, buffer), "SIGRTMIN+30");
}

static void
reason_of_an_unknown_errno_is_stored_as_one_that_can_be_read(void **state)
{
	static const int numbers[] = { 0, -1, 9999 };
	char text[REASON_TEXT_SIZE];
	struct reason read;

	(void)state;
	for (size_t i = 0; i < COUNT(numbers); i++) {
		reason_format(text, (struct reason){ .kind = REASON_SPAWN,
		    .number = numbers[i] });
		assert_int_equal(reason_parse(text, &read), 0);
		assert_int_equal(read.kind, REASON_SPAWN);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    reason_is_read_back_as_the_same_for_every_kind_and_number),
		cmocka_unit_test(reason_has_its_text_and_words_for_every_kind),
		cmocka_unit_test(reason_words_stay_within_any_buffer),
		cmocka_unit_test(reason_parse_refuses_what_is_none_of_ours),
		cmocka_unit_test(reason_from_words_knows_the_clean_ends_and_keeps_all_else),
		cmocka_unit_test(reason_counts_failures_losses_and_stops_apart),
		cmocka_unit_test(reason_signal_name_is_known_for_any_number),
		cmocka_unit_test(reason_signal_number_is_found_by_any_of_its_names),
		cmocka_unit_test(reason_exit_status_is_the_process_s_own_or_that_of_run),
		cmocka_unit_test(
		    reason_of_an_unknown_errno_is_stored_as_one_that_can_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
