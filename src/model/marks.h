#ifndef MODEL_MARKS_H
#define MODEL_MARKS_H

#include <stddef.h>
#include <stdint.h>

/*
 * How long an output was when: lines of "MILLISECONDS BYTES\n", the time since 1970 first.
 * What stands before those bytes had been written by then. Lines of output have no times
 * of their own; these say from where on it was written since a time.
 */
struct mark {
	int64_t ms, offset;
};

#define MARK_TEXT_SIZE 48

/* Its line. Returns the length. */
size_t marks_format(char buffer[MARK_TEXT_SIZE], const struct mark *mark);

/*
 * From where on was written since then: what was before is surely older, what follows was
 * written at most as long before it as the next mark is behind this one. A torn last line,
 * of a writer that was killed, is none.
 */
int64_t marks_find(const char *text, size_t length, int64_t since_ms);

/*
 * Leave every other mark of the older half out, in place: the new ones stay as close as
 * they are, old ones become rare. Returns the new length.
 */
size_t marks_thin(char *text, size_t length);

#endif
