/*
 * escape: what jobs and others wrote, as a terminal may see it. Nothing that comes from
 * outside can move the cursor, set a title or hide itself.
 */

#include "cli/escape.h"
#include "base/text.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#define LONGEST_SEQUENCE 64

/*
 * "ESC [ … m" and nothing but digits, ; and : in it. Its length; 0 if it is something
 * else, -1 if the bytes end before that is known.
 */
static int
colour_length(const char *bytes, size_t length)
{
	size_t i = 2;

	if (length < 2)
		return length == 1 ? -1 : 0;
	if (bytes[1] != '[')
		return 0;
	while (i < length && i < LONGEST_SEQUENCE && bytes[i] != '\0' &&
	    strchr("0123456789;:", bytes[i]) != NULL)
		i++;
	if (i == length && i < LONGEST_SEQUENCE)
		return -1;
	return i < LONGEST_SEQUENCE && bytes[i] == 'm' ? (int)i + 1 : 0;
}

/* May these be the first bytes of a character whose others are still to come? */
static bool
is_begun(const char *bytes, size_t length)
{
	unsigned char lead = (unsigned char)bytes[0];
	size_t wanted = lead >= 0xf5 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;

	if (lead < 0xc2)
		return false;
	if (length >= wanted)
		return false;
	for (size_t i = 1; i < length; i++) {
		if (((unsigned char)bytes[i] & 0xc0) != 0x80)
			return false;
	}
	return true;
}

static bool
is_control(const char *character, size_t length)
{
	unsigned char byte = (unsigned char)character[0];

	return length == 0 || byte < 0x20 || byte == 0x7f ||
	    (length == 2 && byte == 0xc2 && (unsigned char)character[1] < 0xa0);
}

static void
add_escaped(struct buf *out, unsigned char byte)
{
	if (byte == '\n' || byte == '\t' || byte == '\r')
		buf_addf(out, "\\%c", byte == '\n' ? 'n' : byte == '\t' ? 't' : 'r');
	else
		buf_addf(out, "\\x%02x", byte);
}

/*
 * The length of what stands at the front and may be shown as it is; 0 if it may not, -1
 * if more bytes are needed to know.
 */
static int
shown_length(const char *bytes, size_t left, unsigned keep)
{
	size_t length = text_utf8_length(bytes, left);
	char byte = bytes[0];

	if (length == 0 && is_begun(bytes, left))
		return -1;
	if (!is_control(bytes, length))
		return (int)length;
	if (keep & ESCAPE_KEEP_LINES) {
		if (byte == '\n' || byte == '\t')
			return 1;
		if (byte == '\r' && left == 1)
			return -1;
		if (byte == '\r' && bytes[1] == '\n')
			return 2;
	}
	if (byte == '\033' && (keep & ESCAPE_KEEP_COLOUR))
		return colour_length(bytes, left);
	return 0;
}

size_t
escape_add(struct buf *out, const char *bytes, size_t length, unsigned keep, bool is_end)
{
	size_t at = 0;

	while (at < length) {
		int shown = shown_length(bytes + at, length - at, keep);

		if (shown == -1 && !is_end)
			break;
		if (shown > 0)
			buf_add(out, bytes + at, (size_t)shown);
		else
			add_escaped(out, (unsigned char)bytes[at]);
		at += shown > 0 ? (size_t)shown : 1;
	}
	return at;
}

void
escape_add_text(struct buf *out, const char *text)
{
	escape_add(out, text, strlen(text), ESCAPE_KEEP_NONE, true);
}

/* ---- commands ---- */

static bool
is_plain_word(const char *word)
{
	if (word[0] == '\0')
		return false;
	for (; *word != '\0'; word++) {
		if (isascii(*word) && !isalnum((unsigned char)*word) &&
		    strchr("@%+=:,./-_", *word) == NULL)
			return false;
	}
	return true;
}

/* In quotes if it must: in '…', or in $'…' where something is to be escaped. */
void
escape_add_word(struct buf *out, const char *word)
{
	struct buf escaped = { 0 };
	bool has_escapes;

	escape_add_text(&escaped, word);
	has_escapes = escaped.length != strlen(word);
	if (!has_escapes && is_plain_word(word))
		buf_add(out, buf_start(&escaped), escaped.length);
	else if (!has_escapes) {
		buf_add_text(out, "'");
		for (; *word != '\0'; word++) {
			if (*word == '\'')
				buf_add_text(out, "'\\''");
			else
				buf_add(out, word, 1);
		}
		buf_add_text(out, "'");
	} else {
		buf_add_text(out, "$'");
		for (size_t length; *word != '\0'; word += length) {
			length = text_utf8_length(word, strlen(word));
			length = length > 0 ? length : 1;
			if (*word == '\'' || *word == '\\')
				buf_add_text(out, "\\");
			escape_add(out, word, length, ESCAPE_KEEP_NONE, true);
		}
		buf_add_text(out, "'");
	}
	buf_done(&escaped);
}

void
escape_add_command(struct buf *out, const char *json)
{
	json_t *words = json_loads(json, JSON_DECODE_ANY, NULL), *word;
	size_t index;

	if (!json_is_array(words))
		escape_add_text(out, json);
	json_array_foreach(words, index, word) {
		const char *text = json_string_value(word);

		if (index > 0)
			buf_add_text(out, " ");
		escape_add_word(out, text != NULL ? text : "?");
	}
	json_decref(words);
}

/* ---- widths ---- */

static wchar_t
decode(const char *bytes, size_t length)
{
	static const unsigned char masks[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	wchar_t character = (unsigned char)bytes[0] & masks[length];

	for (size_t i = 1; i < length; i++)
		character = character << 6 | ((unsigned char)bytes[i] & 0x3f);
	return character;
}

/* Bytes that fit into `width` columns; *ret_width: the columns they take. */
static size_t
measure(const char *bytes, size_t length, size_t width, size_t *ret_width)
{
	size_t at = 0, used = 0;

	while (at < length) {
		size_t step = text_utf8_length(bytes + at, length - at);
		int columns = step > 1 ? wcwidth(decode(bytes + at, step)) : 1;

		columns = columns < 0 ? 1 : columns;
		if (used + (size_t)columns > width)
			break;
		used += (size_t)columns;
		at += step > 0 ? step : 1;
	}
	*ret_width = used;
	return at;
}

size_t
escape_width(const char *bytes, size_t length)
{
	size_t width;

	measure(bytes, length, SIZE_MAX, &width);
	return width;
}

size_t
escape_fitting(const char *bytes, size_t length, size_t width)
{
	size_t used;

	return measure(bytes, length, width, &used);
}
