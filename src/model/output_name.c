/* output_name: what the files of an attempt's output are called. */

#include "model/output_name.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *
output_name(char buffer[OUTPUT_NAME_SIZE], int64_t job, int64_t attempt, const char *kind)
{
	snprintf(buffer, OUTPUT_NAME_SIZE, "%" PRId64 ".%" PRId64 "%s", job, attempt, kind);
	return buffer;
}

const char *
segment_name(char buffer[SEGMENT_NAME_SIZE], int64_t offset)
{
	snprintf(buffer, SEGMENT_NAME_SIZE, "%016" PRId64, offset);
	return buffer;
}

int64_t
segment_parse(const char *name)
{
	char again[SEGMENT_NAME_SIZE];
	const char *digits = name + strspn(name, "0");
	int64_t offset;

	if (text_number(*digits != '\0' ? digits : "0", 0, INT64_MAX, &offset) == -1 ||
	    strcmp(segment_name(again, offset), name) != 0)
		return -1;
	return offset;
}
