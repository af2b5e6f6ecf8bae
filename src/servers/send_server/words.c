/* words: text from outside, made fit for one line of a log and for JSON. */

#include "servers/send_server/words.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *
memory_new(size_t size)
{
	void *memory = calloc(1, size);

	if (memory == NULL)
		abort();
	return memory;
}

char *
words_copy(const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(memory_new(size), text, size);
}

const char *
words_of(const json_t *value)
{
	return json_is_string(value) ? json_string_value(value) : "";
}

static bool
is_utf8(const char *text, size_t length)
{
	json_t *string = json_stringn(text, length);

	json_decref(string);
	return string != NULL;
}

/* No more than `most` bytes, and cut between characters. */
static size_t
cut(const char *text, size_t length, size_t most)
{
	if (length <= most)
		return length;
	while (most > 0 && ((unsigned char)text[most] & 0xc0) == 0x80)
		most--;
	return most;
}

char *
words_clean(char *buffer, size_t size, const char *text, size_t length)
{
	static const char ellipsis[] = "…";
	size_t kept = cut(text, length, size - sizeof(ellipsis));
	bool keeps_bytes = is_utf8(text, length);

	for (size_t i = 0; i < kept; i++) {
		unsigned char byte = (unsigned char)text[i];

		if (byte < ' ' || byte == 0x7f)
			buffer[i] = ' ';
		else
			buffer[i] = byte < 0x80 || keeps_bytes ? text[i] : '?';
	}
	while (kept > 0 && kept == length && buffer[kept - 1] == ' ')
		length = --kept;
	memcpy(buffer + kept, kept < length ? ellipsis : "", kept < length ? sizeof(ellipsis) : 1);
	return buffer;
}

char *
words_set(char buffer[WORDS_SIZE], const char *format, ...)
{
	char text[2 * WORDS_SIZE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return words_clean(buffer, WORDS_SIZE, text, strlen(text));
}
