#ifndef CLI_MAP_ITEMS_H
#define CLI_MAP_ITEMS_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The items on standard input, one a line or one before each NUL, as they come. Of lines the
 * empty ones are none. One that cannot be an argument ends all reading.
 */
#define MAP_LONGEST_ITEM 131071 /* what Linux takes as one argument, without its NUL */

struct map_items {
	int fd;
	bool is_nul; /* a NUL ends them, not a newline */
	struct buf in;
	bool is_at_end;	 /* of the input */
	int64_t count;	 /* how many have been taken */
};

void map_items_done(struct map_items *items);
/* Is there something to read, now? */
bool map_items_is_ready(const struct map_items *items);
/* Read once; waits if nothing is ready. 0, or -1 with *error. */
int map_items_read(struct map_items *items, struct error *error);
/* The next one that is here, to be freed: 1; 0: none; -1 with *error: it cannot be one. */
int map_items_next(struct map_items *items, char **ret_item, struct error *error);
/* The end, and nothing is left. */
bool map_items_are_over(const struct map_items *items);

#endif
