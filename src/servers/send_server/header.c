/* header: fields of a header: what is not plain text is encoded, what is long is folded. */

#include "servers/send_server/header.h"
#include "servers/send_server/words.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_PLAIN 60 /* characters; a line should have no more than 78 with its name */
#define WORD_BYTES 42	 /* in one encoded word, which may have 75 characters */

/* A text that grows. */
struct text {
	char *bytes;
	size_t size;
	FILE *file;
};

static void
begin(struct text *text)
{
	text->file = open_memstream(&text->bytes, &text->size);
	if (text->file == NULL)
		abort();
}

static char *
end(struct text *text)
{
	if (fclose(text->file) == EOF)
		abort();
	return text->bytes;
}

static bool
is_plain(const char *text)
{
	if (strlen(text) > LONGEST_PLAIN || strstr(text, "=?") != NULL)
		return false;
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text >= 0x80)
			return false;
	}
	return true;
}

/* The start of the next word: no more bytes than fit, and whole characters. */
static size_t
word_length(const char *text)
{
	size_t length = strlen(text);

	if (length <= WORD_BYTES)
		return length;
	length = WORD_BYTES;
	while (((unsigned char)text[length] & 0xc0) == 0x80)
		length--;
	return length;
}

static void
add_base64(FILE *out, const char *bytes, size_t length)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < length; i += 3) {
		size_t left = length - i;
		unsigned long group = (unsigned long)(unsigned char)bytes[i] << 16;

		if (left > 1)
			group |= (unsigned long)(unsigned char)bytes[i + 1] << 8;
		if (left > 2)
			group |= (unsigned char)bytes[i + 2];
		fprintf(out, "%c%c%c%c", digits[group >> 18], digits[group >> 12 & 63],
		    left > 1 ? digits[group >> 6 & 63] : '=', left > 2 ? digits[group & 63] : '=');
	}
}

/* The text, or encoded words with this between them. */
static void
add_encoded(FILE *out, const char *text, const char *between)
{
	size_t length;

	if (is_plain(text)) {
		fputs(text, out);
		return;
	}
	for (const char *start = text; *text != '\0'; text += length) {
		length = word_length(text);
		fprintf(out, "%s=?UTF-8?B?", text > start ? between : "");
		add_base64(out, text, length);
		fputs("?=", out);
	}
}

char *
header_encode(const char *text, const char *between)
{
	struct text encoded;

	begin(&encoded);
	add_encoded(encoded.file, text, between);
	return end(&encoded);
}

char *
header_text(const char *name, const char *text)
{
	struct text field;

	begin(&field);
	fprintf(field.file, "%s: ", name);
	add_encoded(field.file, text, "\r\n ");
	return end(&field);
}

char *
header_addresses(const char *name, const json_t *addresses)
{
	struct text field;
	const json_t *address;
	size_t i;

	begin(&field);
	fprintf(field.file, "%s: ", name);
	json_array_foreach(addresses, i, address)
		fprintf(field.file, "%s%s", i > 0 ? ",\r\n " : "", words_of(address));
	return end(&field);
}
