/* row_json: what --json prints of a row. */

#include "cli/row_json.h"
#include "base/buf.h"
#include "base/text.h"
#include "cli/cells.h"
#include "cli/escape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
holds_json(const char *name)
{
	static const char *const names[] = { "command", "result", "waits_for", "after",
		"message", "state", "meta", "groups" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

json_t *
row_json_string(const char *text)
{
	json_t *json = json_string(text);
	struct buf escaped = { 0 };

	if (json != NULL)
		return json;
	escape_add_text(&escaped, text); /* it is not UTF-8 */
	json = json_string(buf_text(&escaped));
	buf_done(&escaped);
	return json;
}

json_t *
row_json_text(const char *text)
{
	json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);

	return json != NULL ? json : row_json_string(text);
}

json_t *
row_json_cell(const struct rows *row, int column)
{
	const char *name = rows_name(row, column);

	switch (rows_type(row, column)) {
	case ROW_INTEGER:
		return json_integer(rows_number(row, name, 0));
	case ROW_REAL:
		return json_real(rows_real(row, name, 0));
	case ROW_TEXT:
		return holds_json(name) ? row_json_text(rows_text(row, name))
					: row_json_string(rows_text(row, name));
	default:
		return json_null();
	}
}

json_t *
row_json(const struct rows *row)
{
	json_t *object = json_object();

	for (int i = 0; i < rows_columns(row); i++) {
		const char *name = rows_name(row, i);
		char text_name[64], text[64];
		int64_t ms = rows_number(row, name, -1);

		json_object_set_new(object, name, row_json_cell(row, i));
		if (!cells_is_time(name))
			continue;
		snprintf(text_name, sizeof(text_name), "%s" CELLS_TIME_TEXT, name);
		json_object_set_new(object, text_name,
		    ms == -1 ? json_null()
			     : json_string(text_format_time(
				   text, sizeof(text), (struct wall){ ms })));
	}
	return object;
}

char *
row_json_line(json_t *json)
{
	char *text =
	    json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));

	json_decref(json);
	return text;
}

void
row_json_print(json_t *json)
{
	char *text = row_json_line(json);

	if (text != NULL)
		puts(text);
	free(text);
}
