#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * Rows of text in columns. For people: aligned, and cut to the terminal's width. For
 * programs: separated by tabs and whole. Cells are one line of harmless text already.
 */
struct table_setup {
	FILE *file;
	size_t columns;
	const char *const *headers; /* NULL: no header line */
	const size_t *shares; /* by column, of the room when it is narrow; 0: never cut */
	bool last_gives_way; /* the last one has what room the others leave, perhaps none */
	size_t width; /* of the terminal; 0: for programs */
	bool is_bold; /* the header */
};

struct table;

/* The setup's arrays are copied. */
struct table *table_new(const struct table_setup *setup);

/* The next cell of the current row; after the last one the next row begins. */
void table_add(struct table *table, const struct buf *cell);

/* Print what has not been printed yet and free it all. NULL is allowed. */
void table_close(struct table *table);

/* The width of the terminal that standard output is; 0 if it is none. */
size_t table_terminal_width(void);

#endif
