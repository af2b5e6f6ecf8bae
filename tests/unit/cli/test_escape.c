/* escape: nothing from outside reaches a terminal as a command to it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/escape.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LINES ESCAPE_KEEP_LINES
#define COLOUR (ESCAPE_KEEP_LINES | ESCAPE_KEEP_COLOUR)

static const struct {
	const char *bytes;
	unsigned keep;
	const char *text;
} known[] = {
	{ "", ESCAPE_KEEP_NONE, "" },
	{ "plain \"text\" with \\", ESCAPE_KEEP_NONE, "plain \"text\" with \\" },
	{ "a\nb\tc\rd", ESCAPE_KEEP_NONE, "a\\nb\\tc\\rd" },
	{ "a\nb\tc\rd\r\n", LINES, "a\nb\tc\\rd\r\n" },
	{ "end\r", LINES, "end\\r" },
	{ "\033[2J\007\177\001", COLOUR, "\\x1b[2J\\x07\\x7f\\x01" },
	{ "\033[31;1mred\033[0m\033[m", COLOUR, "\033[31;1mred\033[0m\033[m" },
	{ "\033[38:2:1:2:3mx", COLOUR, "\033[38:2:1:2:3mx" },
	{ "\033[31mred", LINES, "\\x1b[31mred" },
	{ "\033[31", COLOUR, "\\x1b[31" },
	{ "\033[31\033[31m", COLOUR, "\\x1b[31\033[31m" },
	{ "\033[?25l\033]0;t\007", COLOUR, "\\x1b[?25l\\x1b]0;t\\x07" },
	{ "\033", COLOUR, "\\x1b" },
	{ "äöü 漢字 \U0001f600", ESCAPE_KEEP_NONE, "äöü 漢字 \U0001f600" },
	{ "\302\233x", COLOUR, "\\xc2\\x9bx" }, /* U+009B is ESC [ to some */
	{ "\377\300\200", ESCAPE_KEEP_NONE, "\\xff\\xc0\\x80" },
	{ "\303", ESCAPE_KEEP_NONE, "\\xc3" },
	{ "\342\202x", ESCAPE_KEEP_NONE, "\\xe2\\x82x" },
};

static void
control_bytes_are_escaped_and_text_is_not(void **state)
{
	struct buf out = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(known); i++) {
		size_t length = strlen(known[i].bytes);

		buf_clear(&out);
		length -= escape_add(&out, known[i].bytes, length, known[i].keep, true);
		assert_int_equal(length, 0);
		assert_string_equal(buf_text(&out), known[i].text);
	}
	buf_done(&out);
}

/* However the bytes come, what is shown is the same. */
static void
text_in_pieces_is_escaped_like_the_whole(void **state)
{
	struct buf out = { 0 }, held = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(known); i++) {
		buf_clear(&out);
		buf_clear(&held);
		for (const char *c = known[i].bytes; *c != '\0'; c++) {
			buf_add(&held, c, 1);
			buf_consume(&held, escape_add(&out, buf_start(&held), held.length,
					       known[i].keep, false));
		}
		if (held.length > 0)
			escape_add(
			    &out, buf_start(&held), held.length, known[i].keep, true);
		assert_string_equal(buf_text(&out), known[i].text);
	}
	buf_done(&out);
	buf_done(&held);
}

/* A sequence that never ends is not waited for without end. */
static void
endless_sequence_is_not_held_back(void **state)
{
	struct buf out = { 0 };
	char bytes[4096] = "\033[";

	(void)state;
	memset(bytes + 2, '1', sizeof(bytes) - 2);
	assert_int_equal(
	    escape_add(&out, bytes, sizeof(bytes), COLOUR, false), sizeof(bytes));
	buf_done(&out);
}

static const struct {
	const char *json, *text;
} commands[] = {
	{ "[\"make\",\"report\"]", "make report" },
	{ "[\"sh\",\"-c\",\"echo a; exit 3\"]", "sh -c 'echo a; exit 3'" },
	{ "[\"printf\",\"it's\",\"\"]", "printf 'it'\\''s' ''" },
	{ "[\"printf\",\"a\\nb\",\"\\u001b'\\\\\"]", "printf $'a\\nb' $'\\x1b\\'\\\\'" },
	{ "[\"echo\",\"$HOME\",\"*\",\"~\"]", "echo '$HOME' '*' '~'" },
	{ "[\"curl\",\"-f\",\"https://a.b/c_d?e=f\"]", "curl -f 'https://a.b/c_d?e=f'" },
	{ "[\"echo\",\"ä\"]", "echo ä" },
	{ "[1,\"a\"]", "'?' a" },
	{ "no\tjson", "no\\tjson" },
};

static void
command_is_shown_as_it_could_be_typed(void **state)
{
	struct buf out = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(commands); i++) {
		buf_clear(&out);
		escape_add_command(&out, commands[i].json);
		assert_string_equal(buf_text(&out), commands[i].text);
	}
	buf_done(&out);
}

static void
width_counts_columns_not_bytes(void **state)
{
	const char *text = "aä漢字e\314\201"; /* the last is e with an accent of its own */

	(void)state;
	setlocale(LC_CTYPE, "C.UTF-8");
	assert_int_equal(escape_width(text, strlen(text)), 7);
	assert_int_equal(escape_fitting(text, strlen(text), 7), strlen(text));
	assert_int_equal(escape_fitting(text, strlen(text), 6), 9);
	assert_int_equal(escape_fitting(text, strlen(text), 5), 6);
	assert_int_equal(escape_fitting(text, strlen(text), 3), 3);
	assert_int_equal(escape_fitting(text, strlen(text), 0), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(control_bytes_are_escaped_and_text_is_not),
		cmocka_unit_test(text_in_pieces_is_escaped_like_the_whole),
		cmocka_unit_test(endless_sequence_is_not_held_back),
		cmocka_unit_test(command_is_shown_as_it_could_be_typed),
		cmocka_unit_test(width_counts_columns_not_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
