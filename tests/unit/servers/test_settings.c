/* The options of the mail sender. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "servers/send_server/settings.h"

#include <stdio.h>
#include <string.h>

static int
read_words(struct settings *settings, const char *text, char *words)
{
	json_t *arguments = json_array();
	char copy[200], *rest = copy, *word;
	int result;

	snprintf(copy, sizeof(copy), "%s", text);
	while ((word = strsep(&rest, " ")) != NULL)
		json_array_append_new(arguments, json_string(word));
	result = settings_init(settings, arguments, words);
	json_decref(arguments);
	return result;
}

/* case 237 */
static void
settings_have_defaults(void **state)
{
	struct settings settings;
	char words[WORDS_SIZE];

	(void)state;
	assert_int_equal(read_words(&settings, "--from me@example.org", words), 0);
	assert_string_equal(settings.smtp, "smtp://localhost");
	assert_string_equal(settings.from, "me@example.org");
	assert_string_equal(settings.tls, "never");
	assert_int_equal(settings.mail_retries, 5);
	assert_int_equal(settings.retry_every_ms, 5000);
	assert_int_equal(settings.parallel, 4);
	assert_int_equal(settings.keep, 100);
	settings_done(&settings);
}

static void
settings_are_read(void **state)
{
	struct settings settings;
	char words[WORDS_SIZE];

	(void)state;
	assert_int_equal(read_words(&settings,
			     "--smtp smtps://mail.example.org:465 --from=me@example.org --tls "
			     "always --ca /ca --mail-retries 0 --retry-every 1m30s --parallel 9 "
			     "--keep 0 --timeout 250ms",
			     words),
	    0);
	assert_string_equal(settings.smtp, "smtps://mail.example.org:465");
	assert_string_equal(settings.tls, "always");
	assert_string_equal(settings.ca, "/ca");
	assert_int_equal(settings.mail_retries, 0);
	assert_int_equal(settings.retry_every_ms, 90000);
	assert_int_equal(settings.parallel, 9);
	assert_int_equal(settings.keep, 0);
	assert_int_equal(settings.timeout_ms, 250);
	settings_done(&settings);
}

/* case 248 */
static void
wrong_settings_are_refused_in_words(void **state)
{
	static const struct {
		const char *arguments, *words;
	} cases[] = {
		{ "--mail-retries 1", "--from is missing" },
		{ "--from me", "address me: there is no @ in it" },
		{ "--from", "--from wants a value" },
		{ "--from a@b extra", "extra is not an option" },
		{ "--from a@b --password x", "--password is not an option" },
		{ "--mail-retries x", "--mail-retries: x is not a number from 0 to 1000000" },
		{ "--mail-retries -1", "--mail-retries: -1 is not a number from 0 to 1000000" },
		{ "--parallel 0", "--parallel: 0 is not a number from 1 to 1000" },
		{ "--keep 1001", "--keep: 1001 is not a number from 0 to 1000" },
		{ "--retry-every 0", "--retry-every: 0 is not a duration, like 5s or 1m30s" },
		{ "--retry-every 5x", "--retry-every: 5x is not a duration, like 5s or 1m30s" },
		{ "--retry-every s", "--retry-every: s is not a duration, like 5s or 1m30s" },
		{ "--retry-every 9999d",
		    "--retry-every: 9999d is not a duration, like 5s or 1m30s" },
		{ "--tls maybe", "--tls: maybe is not one of never, try, always" },
		{ "--smtp http://x", "--smtp: http://x is not smtp://HOST[:PORT] or smtps://…" },
		{ "--smtp smtp://", "--smtp: smtp:// is not smtp://HOST[:PORT] or smtps://…" },
		{ "--smtp smtp://me:secret@x",
		    "--smtp: user and password belong into the file of --credentials" },
		{ "--ca ca.pem", "--ca: ca.pem is not an absolute path" },
		{ "--credentials c", "--credentials: c is not an absolute path" },
		{ "--credentials /nowhere", "/nowhere: No such file or directory" },
	};
	struct settings settings;
	char words[WORDS_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(read_words(&settings, cases[i].arguments, words), -1);
		assert_string_equal(words, cases[i].words);
		settings_done(&settings);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_have_defaults),
		cmocka_unit_test(settings_are_read),
		cmocka_unit_test(wrong_settings_are_refused_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
