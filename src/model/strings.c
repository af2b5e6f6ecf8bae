/* strings: lists of strings, a command's and an environment's. */

#include "model/strings.h"
#include "base/xalloc.h"

#include <stdlib.h>
#include <string.h>

void
strings_add_owned(struct strings *strings, char *text)
{
	/* Room for 3, 7, 15 … and the NULL: grown when the count reaches a power of two. */
	if ((strings->count & (strings->count + 1)) == 0)
		strings->items = xreallocarray(
		    strings->items, 2 * strings->count + 4, sizeof(strings->items[0]));
	strings->items[strings->count++] = text;
	strings->items[strings->count] = NULL;
}

void
strings_add(struct strings *strings, const char *text)
{
	strings_add_owned(strings, xstrdup(text));
}

void
strings_set_variable(struct strings *environment, const char *assignment)
{
	size_t length = strcspn(assignment, "=") + 1;

	for (size_t i = 0; i < environment->count; i++) {
		if (strncmp(environment->items[i], assignment, length) == 0) {
			free(environment->items[i]);
			environment->items[i] = xstrdup(assignment);
			return;
		}
	}
	strings_add(environment, assignment);
}

bool
strings_are_equal(const struct strings *one, const struct strings *other)
{
	if (one->count != other->count)
		return false;
	for (size_t i = 0; i < one->count; i++) {
		if (strcmp(one->items[i], other->items[i]) != 0)
			return false;
	}
	return true;
}

void
strings_add_all(struct strings *strings, const struct strings *others)
{
	for (size_t i = 0; i < others->count; i++)
		strings_add(strings, others->items[i]);
}

void
strings_done(struct strings *strings)
{
	for (size_t i = 0; i < strings->count; i++)
		free(strings->items[i]);
	free(strings->items);
	*strings = (struct strings){ 0 };
}
