/* spec_labels: the setters of what jobs are known and limited by: keys, words and groups. */

#include "base/text.h"
#include "base/xalloc.h"
#include "model/spec_setters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
spec_set_key(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	if (value[0] == '\0' || strlen(value) > 256)
		return spec_bad(error, "key", value, "a word of 1 to 256 bytes");
	free(spec->key);
	spec->key = xstrdup(value);
	return 0;
}

int
spec_set_limit(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	if (text_number(value, 1, 1000000, &spec->key_limit) == -1)
		return spec_bad(error, "limit", value, "a number from 1 to 1000000");
	return 0;
}

int
spec_set_meta(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	size_t length = strcspn(value, "=");
	char name[129], quoted[80];

	(void)now;
	if (value[length] != '=' || length == 0 || length > 128)
		return spec_bad(error, "meta", value, "NAME=VALUE");
	snprintf(name, sizeof(name), "%.*s", (int)length, value);
	for (size_t i = 0; i < spec->meta.count; i++) {
		if (strncmp(spec->meta.items[i], value, length + 1) == 0)
			return error_set(error, STATUS_USAGE, "meta: \"%s\" is given twice",
			    text_quote(quoted, sizeof(quoted), name));
	}
	strings_add(&spec->meta, value);
	return 0;
}

int
spec_set_group(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	if (!text_is_name(value))
		return spec_bad(error, "group", value, "a word like a name");
	if (spec->groups.count >= SPEC_MOST_GROUPS)
		return error_set(error, STATUS_USAGE, "group: a job is in %d groups at most",
		    SPEC_MOST_GROUPS);
	strings_add(&spec->groups, value);
	return 0;
}
