/* text_utf8: bytes that somebody else wrote, and that may be no text at all. */

#include "base/text.h"

#include <stdio.h>
#include <string.h>

size_t
text_utf8_length(const char *text, size_t left)
{
	unsigned char lead = left > 0 ? (unsigned char)text[0] : 0;
	size_t length = lead < 0x80 ? 1 : lead >= 0xf5 ? 0 : lead >= 0xf0 ? 4
	    : lead >= 0xe0				 ? 3
	    : lead >= 0xc2				 ? 2
							 : 0;
	unsigned char second = left > 1 ? (unsigned char)text[1] : 0;

	if (length == 0 || length > left)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if (((unsigned char)text[i] & 0xc0) != 0x80)
			return 0;
	}
	/* overlong forms, surrogates and what lies behind U+10FFFF */
	if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
	    (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f))
		return 0;
	return length;
}

const char *
text_quote(char *buffer, size_t size, const char *text)
{
	size_t used = 0, cut = 0, left = strlen(text), length;
	char piece[8];

	while (left > 0) {
		unsigned char byte = (unsigned char)text[0];

		if (used + sizeof("…") <= size)
			cut = used;
		length = text_utf8_length(text, left);
		if (byte == '\n' || byte == '\t' || byte == '"' || byte == '\\')
			snprintf(piece, sizeof(piece), "\\%c",
			    byte == '\n' ? 'n' : byte == '\t' ? 't' : byte);
		else if (length == 0 || byte < 0x20 || byte == 0x7f ||
		    (byte == 0xc2 && (unsigned char)text[1] < 0xa0)) {
			snprintf(piece, sizeof(piece), "\\x%02x", byte);
			length = 1;
		} else {
			memcpy(piece, text, length);
			piece[length] = '\0';
		}
		if (used + strlen(piece) + 1 > size) {
			used = cut;
			if (used + sizeof("…") <= size) {
				memcpy(buffer + used, "…", sizeof("…") - 1);
				used += sizeof("…") - 1;
			}
			break;
		}
		memcpy(buffer + used, piece, strlen(piece));
		used += strlen(piece);
		text += length > 0 ? length : 1;
		left -= length > 0 ? length : 1;
	}
	if (size > 0)
		buffer[used] = '\0';
	return buffer;
}
