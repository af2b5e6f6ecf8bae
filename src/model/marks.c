/* marks: which part of an output was written since a time. */

#include "model/marks.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

size_t
marks_format(char buffer[MARK_TEXT_SIZE], const struct mark *mark)
{
	return (size_t)snprintf(
	    buffer, MARK_TEXT_SIZE, "%" PRId64 " %" PRId64 "\n", mark->ms, mark->offset);
}

/* The line at *text; *text moves behind it. -1: that was the last, or nonsense. */
static int
next_mark(const char **text, const char *end, struct mark *mark)
{
	const char *newline = memchr(*text, '\n', (size_t)(end - *text));
	char line[MARK_TEXT_SIZE];

	if (newline == NULL || newline - *text >= MARK_TEXT_SIZE)
		return -1;
	memcpy(line, *text, (size_t)(newline - *text));
	line[newline - *text] = '\0';
	*text = newline + 1;
	return sscanf(line, "%19" SCNd64 " %19" SCNd64, &mark->ms, &mark->offset) == 2 ? 0 : -1;
}

/* As far as the first later one: if the clock was set back, rather too much than too little. */
int64_t
marks_find(const char *text, size_t length, int64_t since_ms)
{
	const char *end = text + length;
	struct mark mark;
	int64_t offset = 0;

	while (next_mark(&text, end, &mark) == 0 && mark.ms <= since_ms) {
		if (mark.offset > offset)
			offset = mark.offset;
	}
	return offset;
}

size_t
marks_thin(char *text, size_t length)
{
	const char *end = text + length, *middle = text + length / 2, *from = text;
	char *to = text;

	for (size_t number = 0; from < end; number++) {
		const char *newline = memchr(from, '\n', (size_t)(end - from));
		size_t bytes;

		if (newline == NULL)
			break;
		bytes = (size_t)(newline + 1 - from);
		if (from >= middle || number % 2 == 1) {
			memmove(to, from, bytes);
			to += bytes;
		}
		from = newline + 1;
	}
	return (size_t)(to - text);
}
