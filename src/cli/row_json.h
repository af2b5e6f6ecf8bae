#ifndef CLI_ROW_JSON_H
#define CLI_ROW_JSON_H

#include "store/query.h"

#include <jansson.h>

/* Rows as JSON. Each function that makes something returns a new reference. */

/*
 * The current row as an object: its columns as keys, columns that hold JSON as what they
 * hold, and beside each time, created_at, the same as text, created_at_text.
 */
json_t *row_json(const struct rows *row);
json_t *row_json_cell(const struct rows *row, int column);

/* A string; what is not UTF-8 in it is escaped. */
json_t *row_json_string(const char *text);

/* What this JSON text says; a string where it is none. */
json_t *row_json_text(const char *text);

/* The value as one line without its newline, to be freed; takes it over. */
char *row_json_line(json_t *json);

/* Print one value on a line of its own; takes it over. */
void row_json_print(json_t *json);

#endif
