/*
 * orders: the messages between keeper and supervisor process, put together and taken
 * apart. Nothing here knows what a job is.
 */

#include "keeper/orders.h"
#include "base/file.h"
#include "base/xalloc.h"

#include <sys/mman.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct order_name
order_name(const struct order_key *key)
{
	struct order_name name;

	snprintf(name.text, sizeof(name.text), "%" PRId64 ".%" PRId64, key->job, key->attempt);
	return name;
}

void
orders_send_text(struct link *link, const struct order *order, const char *text)
{
	size_t length = strlen(text);
	struct order sent = *order;

	if (length > LINK_LARGEST_MESSAGE - sizeof(sent))
		length = LINK_LARGEST_MESSAGE - sizeof(sent);
	sent.text_length = (uint32_t)length;
	link_send_text(link, &sent, sizeof(sent), text, length);
}

void
orders_send_start(struct link *link, const struct order *order, const char *text)
{
	size_t length = order->start.text_length;
	struct order sent = *order;
	int memfd;

	if (length <= LINK_LARGEST_MESSAGE - sizeof(sent)) {
		sent.start.text_in_memfd = 0;
		link_send_text(link, &sent, sizeof(sent), text, length);
		return;
	}
	sent.start.text_in_memfd = 1;
	memfd = memfd_create("start", MFD_CLOEXEC);
	/* Without a memfd, or with a short one, the keeper answers that it cannot start it. */
	if (memfd != -1 && file_write_all(memfd, text, length) == -1 &&
	    ftruncate(memfd, 0) == -1)
		sent.start.text_length = 0;
	link_give(link, &sent, sizeof(sent), memfd);
}

static int
read_text(const struct order *order, size_t length, int descriptor, char *text)
{
	size_t wanted = order->start.text_length, done = 0;

	if (!order->start.text_in_memfd) {
		if (length - sizeof(*order) != wanted)
			return -1;
		memcpy(text, (const char *)order + sizeof(*order), wanted);
		return 0;
	}
	while (descriptor != -1 && done < wanted) {
		ssize_t got = pread(descriptor, text + done, wanted - done, (off_t)done);

		if (got <= 0)
			return -1;
		done += (size_t)got;
	}
	return descriptor != -1 ? 0 : -1;
}

/* The next string of the text; NULL when there is none. */
static char *
next_string(char **at, const char *end)
{
	char *string = *at, *nul = *at < end ? memchr(*at, '\0', (size_t)(end - *at)) : NULL;

	if (nul == NULL)
		return NULL;
	*at = nul + 1;
	return string;
}

static char **
next_strings(char **at, const char *end, uint32_t count)
{
	char **strings = xcalloc((size_t)count + 1, sizeof(*strings));

	for (uint32_t i = 0; i < count; i++) {
		strings[i] = next_string(at, end);
		if (strings[i] == NULL) {
			free(strings);
			return NULL;
		}
	}
	return strings;
}

int
orders_read_start(
    const void *message, size_t length, int descriptor, struct start_text *ret_text)
{
	const struct order *order = orders_check_order(message, length);
	struct start_text text = { 0 };
	char *at, *end;

	if (order == NULL || order->start.text_length > ORDERS_LARGEST_PAYLOAD ||
	    order->start.argument_count == 0 ||
	    order->start.argument_count > order->start.text_length ||
	    order->start.variable_count > order->start.text_length)
		return -1;
	text.text = xmalloc(order->start.text_length);
	if (read_text(order, length, descriptor, text.text) == -1)
		goto failed;
	at = text.text;
	end = text.text + order->start.text_length;
	text.arguments = next_strings(&at, end, order->start.argument_count);
	text.variables = next_strings(&at, end, order->start.variable_count);
	text.cwd = next_string(&at, end);
	text.stdin_path = next_string(&at, end);
	if (text.arguments == NULL || text.variables == NULL || text.cwd == NULL ||
	    text.stdin_path == NULL || at != end)
		goto failed;
	*ret_text = text;
	return 0;
failed:
	start_text_done(&text);
	return -1;
}

void
start_text_done(struct start_text *text)
{
	free(text->arguments);
	free(text->variables);
	free(text->text);
	*text = (struct start_text){ 0 };
}

const struct order *
orders_check_order(const void *message, size_t length)
{
	const struct order *order = message;

	if (length < sizeof(*order) || order->version != ORDERS_VERSION ||
	    order->kind >= ORDER_KIND_COUNT)
		return NULL;
	return order;
}

const struct report *
orders_check_report(const void *message, size_t length)
{
	const struct report *report = message;

	if (length != sizeof(*report) || report->version != ORDERS_VERSION ||
	    report->kind >= REPORT_KIND_COUNT)
		return NULL;
	return report;
}
