#ifndef CLI_CELLS_H
#define CLI_CELLS_H

#include "base/buf.h"
#include "store/query.h"

#include <stdbool.h>

/* Cells of a table for people, each from a column of the row; nothing for NULL. */

void cell_stored(struct buf *out, const struct rows *row, const char *column);
void cell_duration(struct buf *out, const struct rows *row, const char *column_ms);
void cell_size(struct buf *out, const struct rows *row, const char *column_bytes);
void cell_time(struct buf *out, const struct rows *row, const char *column_at);
void cell_command(struct buf *out, const struct rows *row, const char *column_json);
void cell_reason(struct buf *out, const struct rows *row, const char *column_reason);

/* created_at is shown as created_at_text too, by cell_stored() and with --json. */
#define CELLS_TIME_TEXT "_text"
bool cells_is_time(const char *column);
bool cells_has_time_text(const struct rows *row, const char *column);

#endif
