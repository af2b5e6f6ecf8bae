/* cells: single values of rows in words. */

#include "cli/cells.h"
#include "base/text.h"
#include "cli/escape.h"
#include "cli/why.h"

#include <inttypes.h>
#include <string.h>

static bool
ends_with(const char *name, const char *ending)
{
	size_t length = strlen(name), wanted = strlen(ending);

	return length >= wanted && strcmp(name + length - wanted, ending) == 0;
}

bool
cells_is_time(const char *column)
{
	return strcmp(column, "at") == 0 || ends_with(column, "_at");
}

/* "created_at" of "created_at_text"; "" if the name is no such. */
static void
time_of_text(const char *column, char *stored, size_t size)
{
	size_t length = strlen(column);

	stored[0] = '\0';
	if (!ends_with(column, CELLS_TIME_TEXT) || length >= size)
		return;
	memcpy(stored, column, length + 1);
	stored[length - (sizeof(CELLS_TIME_TEXT) - 1)] = '\0';
	if (!cells_is_time(stored))
		stored[0] = '\0';
}

bool
cells_has_time_text(const struct rows *row, const char *column)
{
	char stored[64];

	time_of_text(column, stored, sizeof(stored));
	return rows_find(row, stored) != -1;
}

void
cell_stored(struct buf *out, const struct rows *row, const char *column)
{
	int found = rows_find(row, column);
	char stored[64];

	if (found == -1) {
		time_of_text(column, stored, sizeof(stored));
		cell_time(out, row, stored);
		return;
	}
	switch (rows_type(row, found)) {
	case ROW_INTEGER:
		buf_addf(out, "%" PRId64, rows_number(row, column, 0));
		break;
	case ROW_REAL:
		buf_addf(out, "%.15g", rows_real(row, column, 0));
		break;
	case ROW_TEXT:
		buf_add_text(out, rows_text(row, column));
		break;
	default:
		break;
	}
}

void
cell_duration(struct buf *out, const struct rows *row, const char *column_ms)
{
	int64_t ms = rows_number(row, column_ms, -1);
	char text[32];

	if (ms >= 0)
		buf_add_text(out, text_format_duration(text, sizeof(text), ms));
}

void
cell_size(struct buf *out, const struct rows *row, const char *column_bytes)
{
	int64_t bytes = rows_number(row, column_bytes, -1);
	char text[32];

	if (bytes >= 0)
		buf_add_text(out, text_format_size(text, sizeof(text), bytes));
}

void
cell_time(struct buf *out, const struct rows *row, const char *column_at)
{
	int64_t ms = rows_number(row, column_at, -1);
	char text[64];

	if (ms < 0)
		return;
	buf_add_text(out, text_format_time(text, sizeof(text), (struct wall){ ms }));
}

void
cell_command(struct buf *out, const struct rows *row, const char *column)
{
	const char *json = rows_text(row, column);

	if (json != NULL)
		escape_add_command(out, json);
}

void
cell_reason(struct buf *out, const struct rows *row, const char *column)
{
	const char *stored = rows_text(row, column);
	struct reason reason;
	char text[256];

	if (stored == NULL)
		return;
	if (reason_parse(stored, &reason) == -1)
		buf_add_text(out, stored);
	else if (reason.kind == REASON_NORMAL)
		buf_add_text(out, "done");
	else
		buf_add_text(out, reason_words(text, sizeof(text), reason,
				      why_limit(reason, rows_number(row, "timeout_ms", 0),
					  rows_number(row, "watchdog_ms", 0))));
}
