/* rotation: when output becomes a segment, and which segments stay. */

#include "model/rotation.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Only whole blocks of a file can be taken out of it. */
#define BLOCK 4096

static int64_t
whole_blocks(int64_t bytes)
{
	return (bytes + BLOCK - 1) / BLOCK * BLOCK;
}

int
rotation_parse(const char *text, struct rotation_rule *rule)
{
	const char *comma = strchr(text, ',');
	size_t length = comma != NULL ? (size_t)(comma - text) : strlen(text);
	int64_t bytes, keep = ROTATION_KEEP;
	char size[32];

	errno = EINVAL;
	if (length >= sizeof(size))
		return -1;
	memcpy(size, text, length);
	size[length] = '\0';
	if (text_size(size, &bytes) == -1)
		return -1;
	errno = bytes > ROTATION_MOST_BYTES ? ERANGE : EINVAL;
	if (bytes < ROTATION_LEAST_BYTES || bytes > ROTATION_MOST_BYTES ||
	    (comma != NULL && text_number(comma + 1, 1, ROTATION_MOST_KEPT, &keep) == -1))
		return -1;
	*rule = (struct rotation_rule){ whole_blocks(bytes), keep };
	return 0;
}

const char *
rotation_format(char *buffer, size_t size, const struct rotation_rule *rule)
{
	snprintf(buffer, size, "%" PRId64 ",%" PRId64, rule->bytes, rule->keep);
	return buffer;
}

int64_t
rotation_full(const struct rotation_rule *rule, int64_t size)
{
	return size / rule->bytes * rule->bytes;
}

int64_t
rotation_kept_from(const struct rotation_rule *rule, int64_t size)
{
	int64_t segments = size / rule->bytes;

	return segments > rule->keep ? (segments - rule->keep) * rule->bytes : 0;
}
