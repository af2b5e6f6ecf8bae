/* map_items: items as they come, each checked where it comes in. */

#include "cli/map_items.h"
#include "base/text.h"
#include "base/xalloc.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define PORTION 65536

void
map_items_done(struct map_items *items)
{
	buf_done(&items->in);
}

bool
map_items_is_ready(const struct map_items *items)
{
	struct pollfd polled = { .fd = items->fd, .events = POLLIN };

	return !items->is_at_end && poll(&polled, 1, 0) == 1;
}

int
map_items_read(struct map_items *items, struct error *error)
{
	ssize_t got = read(items->fd, buf_reserve(&items->in, PORTION), PORTION);

	if (got == -1 && errno != EINTR && errno != EAGAIN)
		return error_set_errno(error, STATUS_USAGE, "standard input");
	if (got > 0)
		buf_grown(&items->in, (size_t)got);
	items->is_at_end = got == 0;
	return 0;
}

static int
refuse(const struct map_items *items, const char *why, struct error *error)
{
	return error_set(error, STATUS_USAGE, "item %" PRId64 ": %s", items->count + 1, why);
}

static int
check(const struct map_items *items, const char *item, size_t length, struct error *error)
{
	if (memchr(item, '\0', length) != NULL)
		return refuse(items, "it has a NUL byte (-0 is for items that end with one)",
		    error);
	for (size_t at = 0; at < length;) {
		size_t one = text_utf8_length(item + at, length - at);

		if (one == 0)
			return refuse(items, "it is not UTF-8", error);
		at += one;
	}
	return 0;
}

/* The bytes up to the next end, or to the end of all: their length, -1: none is complete. */
static ssize_t
measure(const struct map_items *items)
{
	const char *start = buf_start(&items->in), *end;

	if (items->in.length == 0)
		return -1;
	end = memchr(start, items->is_nul ? '\0' : '\n', items->in.length);
	if (end != NULL)
		return end - start;
	return items->is_at_end ? (ssize_t)items->in.length : -1;
}

int
map_items_next(struct map_items *items, char **ret_item, struct error *error)
{
	ssize_t length;

	while ((length = measure(items)) == 0 && !items->is_nul)
		buf_consume(&items->in, 1);
	if (length > MAP_LONGEST_ITEM ||
	    (length == -1 && items->in.length > MAP_LONGEST_ITEM + 1))
		return refuse(items, "it is longer than an argument can be (128 KiB)", error);
	if (length == -1)
		return 0;
	if (check(items, buf_start(&items->in), (size_t)length, error) == -1)
		return -1;
	*ret_item = xstrndup(buf_start(&items->in), (size_t)length);
	buf_consume(&items->in,
	    (size_t)length < items->in.length ? (size_t)length + 1 : (size_t)length);
	items->count++;
	return 1;
}

bool
map_items_are_over(const struct map_items *items)
{
	return items->is_at_end && items->in.length == 0;
}
