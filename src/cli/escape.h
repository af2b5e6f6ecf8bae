#ifndef CLI_ESCAPE_H
#define CLI_ESCAPE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

/* Text from outside, made harmless for a terminal. */

enum escape_keep {
	ESCAPE_KEEP_NONE = 0,	   /* one line without tabs */
	ESCAPE_KEEP_LINES = 1 << 0, /* newlines and tabs stay */
	ESCAPE_KEEP_COLOUR = 1 << 1, /* so do sequences that only colour */
};

/*
 * Append the bytes with control characters as \n, \t, \xNN and what is not UTF-8 as \xNN.
 * Returns how many bytes were used: fewer than all only where a character or sequence
 * may go on in what follows, and never with is_end.
 */
size_t escape_add(struct buf *out, const char *bytes, size_t length, unsigned keep,
    bool is_end);

/* The same for a whole text: one line. */
void escape_add_text(struct buf *out, const char *text);

/* A word as one could type it into a shell: in quotes if it must. */
void escape_add_word(struct buf *out, const char *word);

/* A command (a JSON array of strings) as one could type it into a shell, on one line. */
void escape_add_command(struct buf *out, const char *json);

/* How many columns of a terminal these UTF-8 bytes take (in a UTF-8 locale). */
size_t escape_width(const char *bytes, size_t length);

/* How many of the bytes fit in so many columns. */
size_t escape_fitting(const char *bytes, size_t length, size_t width);

#endif
