/*
 * batch_names: names that lines of a batch give, so that one that two of them have is found
 * before any is sent. It holds nothing for lines without one.
 */

#include "cli/batch_names.h"
#include "base/xalloc.h"

#include <stdlib.h>
#include <string.h>

struct batch_name {
	RB_ENTRY(batch_name) entry;
	const char *name;
	size_t line;
};

static int
compare(const struct batch_name *one, const struct batch_name *other)
{
	return strcmp(one->name, other->name);
}

RB_GENERATE_INTERNAL(
    batch_name_tree, batch_name, entry, compare, __attribute__((unused)) static)

void
batch_names_init(struct batch_names *names)
{
	RB_INIT(&names->tree);
}

void
batch_names_done(struct batch_names *names)
{
	struct batch_name *each;

	while ((each = RB_ROOT(&names->tree)) != NULL) {
		RB_REMOVE(batch_name_tree, &names->tree, each);
		free(each);
	}
}

size_t
batch_names_add(struct batch_names *names, const char *name, size_t line)
{
	struct batch_name *added = xmalloc(sizeof(*added)), *first;

	added->name = name;
	added->line = line;
	first = RB_INSERT(batch_name_tree, &names->tree, added);
	if (first == NULL)
		return 0;
	free(added);
	return first->line;
}
