#ifndef CLI_FORMAT_H
#define CLI_FORMAT_H

#include "base/buf.h"
#include "cli/cli.h"
#include "store/query.h"

/*
 * How every verb that has rows prints them: a table for people, tab-separated lines for
 * programs, JSON with --json; -o chooses columns, -H leaves out the header.
 */

/* A column as people see it. A list of them ends with a NULL name. */
struct format_column {
	const char *name;
	unsigned flags;
	/*
	 * Append the cell, which is escaped later: from the row and what the verb knows,
	 * or (cells.h) from one stored column. Neither: the row's column of this name.
	 */
	void (*print)(struct buf *out, const struct rows *row, const void *context);
	void (*cell)(struct buf *out, const struct rows *row, const char *stored);
	const char *stored;
};

enum format_flags {
	FORMAT_FLEXIBLE = 1 << 0,     /* may be cut on a narrow terminal */
	FORMAT_IMPORTANT = 1 << 1,    /* … but less than the others */
	FORMAT_MAY_BE_EMPTY = 1 << 2, /* nothing instead of "-" */
	FORMAT_IN_JSON = 1 << 3,      /* not in the row, but among its keys with --json */
};

struct format;

/*
 * `shape` has the columns of the rows to come, even if none comes. NULL with *error when
 * -o names a column that is neither in `columns` nor in the rows.
 */
struct format *format_open(const struct invocation *invocation,
    const struct format_column *columns, const struct rows *shape, const void *context,
    struct error *error);
void format_row(struct format *format, const struct rows *row);
void format_close(struct format *format); /* NULL is allowed */

/* The cells of one row, a line each with its name before it, without the empty ones. */
void format_lines(const struct format_column *columns, const struct rows *row,
    const void *context);

#endif
