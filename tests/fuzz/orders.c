/* orders: a packet from the other process, with its text in it or in a memfd. */

#include "base/xalloc.h"
#include "fuzz/fuzz.h"
#include "keeper/orders.h"

#include <sys/mman.h>

#include <string.h>
#include <unistd.h>

/* Every string of it lies within the text, which is used up by them. */
static void
check_text(const struct order *order, struct start_text *text)
{
	size_t length = strlen(text->cwd) + 1 + strlen(text->stdin_path) + 1;

	must(order->start.argument_count > 0);
	for (uint32_t i = 0; i < order->start.argument_count; i++)
		length += strlen(text->arguments[i]) + 1;
	for (uint32_t i = 0; i < order->start.variable_count; i++)
		length += strlen(text->variables[i]) + 1;
	must(text->arguments[order->start.argument_count] == NULL);
	must(text->variables[order->start.variable_count] == NULL);
	must(length == order->start.text_length);
	start_text_done(text);
}

static void
read_packet(const uint8_t *data, size_t size, int descriptor)
{
	/* Of exactly its size, so that a read behind it is seen. */
	char *packet = xmalloc(size);
	const struct order *order;
	struct start_text text;

	memcpy(packet, data, size);
	order = orders_check_order(packet, size);
	orders_check_report(packet, size);
	if (orders_read_start(packet, size, descriptor, &text) == 0) {
		must(order != NULL);
		check_text(order, &text);
	}
	free(packet);
}

/* What no change of single bytes finds: the right version, kind and place of the text. */
static void
read_mended(const uint8_t *data, size_t size)
{
	struct order order;
	char *packet;
	int memfd;

	if (size < sizeof(order))
		return;
	packet = xmalloc(size);
	memcpy(packet, data, size);
	memcpy(&order, data, sizeof(order));
	order.version = ORDERS_VERSION;
	order.kind = ORDER_START;
	order.start.text_in_memfd = 0;
	memcpy(packet, &order, sizeof(order));
	read_packet((const uint8_t *)packet, size, -1);
	order.start.text_in_memfd = 1;
	memfd = memfd_create("text", MFD_CLOEXEC);
	must(memfd != -1);
	must(write(memfd, data + sizeof(order), size - sizeof(order)) != -1);
	read_packet((const uint8_t *)&order, sizeof(order), memfd);
	close(memfd);
	free(packet);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_packet(data, size, -1);
	read_mended(data, size);
	return 0;
}
