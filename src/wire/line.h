#ifndef WIRE_LINE_H
#define WIRE_LINE_H

#include "base/buf.h"

#include <stddef.h>

#define LINE_LARGEST (1 << 20) /* bytes of a line without its newline, unless told */

enum line_state { LINE_NONE, LINE_COMPLETE, LINE_TOO_LONG };

/*
 * The next line at the front of the buffer: LINE_COMPLETE with *ret_line (not terminated,
 * newline and a carriage return before it not counted) until line_consume(); LINE_NONE when
 * more bytes are needed; LINE_TOO_LONG when it is longer than `most`.
 */
enum line_state line_next(const struct buf *buf, size_t most, const char **ret_line,
    size_t *ret_length);

/* Drop the line that line_next() found, with its newline. */
void line_consume(struct buf *buf);

#endif
