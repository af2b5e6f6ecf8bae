/* gen_seen: what people see of a server: lines in its history, and how far it is. */

#include "runtime/runtime.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MOST (64U << 10)

/* No longer than the supervisor takes, and cut between characters. */
static json_t *
clipped(struct buf *text)
{
	const unsigned char *bytes;
	json_t *clipped;

	if (text->length > TEXT_MOST) {
		text->length = TEXT_MOST;
		bytes = (const unsigned char *)buf_start(text);
		while (text->length > 0 && (bytes[text->length] & 0xc0) == 0x80)
			text->length--;
	}
	clipped = json_text(buf_text(text));
	buf_done(text);
	return clipped;
}

void
gen_log(struct gen_server *server, const char *format, ...)
{
	struct buf text = { 0 };
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(buf_reserve(&text, TEXT_MOST + 4), TEXT_MOST + 4, format, arguments);
	va_end(arguments);
	if (length < 0)
		length = 0;
	buf_grown(&text, (size_t)length > TEXT_MOST + 3 ? TEXT_MOST + 3 : (size_t)length);
	notify(server, "log", json_pack("{s:o}", "text", clipped(&text)));
}

void
gen_progress(struct gen_server *server, double fraction, const char *text)
{
	struct buf copy = { 0 };
	json_t *params = json_object();

	json_object_set_new(params, "fraction", json_real(fraction));
	if (text != NULL) {
		buf_add_text(&copy, text);
		json_object_set_new(params, "text", clipped(&copy));
	}
	notify(server, "progress", params);
}
