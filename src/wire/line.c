/* line: framing. One message a line. */

#include "wire/line.h"

#include <string.h>

enum line_state
line_next(const struct buf *buf, size_t most, const char **ret_line, size_t *ret_length)
{
	const char *start = buf_start(buf);
	const char *newline = buf->length > 0 ? memchr(start, '\n', buf->length) : NULL;
	size_t length = newline != NULL ? (size_t)(newline - start) : buf->length;

	if (length > most)
		return LINE_TOO_LONG;
	if (newline == NULL)
		return LINE_NONE;
	if (length > 0 && start[length - 1] == '\r')
		length--;
	*ret_line = start;
	*ret_length = length;
	return LINE_COMPLETE;
}

void
line_consume(struct buf *buf)
{
	const char *start = buf_start(buf);
	const char *newline = memchr(start, '\n', buf->length);

	buf_consume(buf, newline != NULL ? (size_t)(newline - start) + 1 : buf->length);
}
