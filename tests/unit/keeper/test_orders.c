/* orders: packets are what was sent, whole; what is out of bounds is refused. */

#include "base/xalloc.h"
#include "keeper/orders.h"
#include "support/scene.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- every kind ---- */

static void
every_kind_of_order_travels_whole(void **state)
{
	struct scene *scene = *state;

	for (uint32_t kind = 0; kind < ORDER_KIND_COUNT; kind++) {
		struct order order, got;

		memset(&order, (int)(kind + 1), sizeof(order));
		order.version = ORDERS_VERSION;
		order.kind = kind;
		scene_send(scene, &order, sizeof(order), -1, 0);
		scene_wait(scene, (int)kind + 1);
		assert_non_null(
		    orders_check_order(buf_start(&scene->last), scene->last.length));
		memcpy(&got, buf_start(&scene->last), sizeof(got));
		assert_memory_equal(&got, &order, sizeof(order));
	}
}

static void
every_kind_of_report_travels_whole(void **state)
{
	struct scene *scene = *state;

	for (uint32_t kind = 0; kind < REPORT_KIND_COUNT; kind++) {
		struct report report, got;

		memset(&report, (int)(kind + 1), sizeof(report));
		report.version = ORDERS_VERSION;
		report.kind = kind;
		link_send(scene->link, &report, sizeof(report), -1);
		assert_int_equal(scene_receive(scene, &got, sizeof(got)), sizeof(report));
		assert_non_null(orders_check_report(&got, sizeof(got)));
		assert_memory_equal(&got, &report, sizeof(report));
	}
}

/* ---- text ---- */

static void
orders_send_text_sends_it_behind_the_order(void **state)
{
	struct scene *scene = *state;
	struct order order = { .version = ORDERS_VERSION, .kind = ORDER_READY }, got;
	char packet[sizeof(order) + 100];

	orders_send_text(scene->link, &order, "ready to go");
	assert_int_equal(scene_receive(scene, packet, sizeof(packet)),
	    sizeof(order) + strlen("ready to go"));
	memcpy(&got, packet, sizeof(got));
	assert_int_equal(got.text_length, strlen("ready to go"));
	assert_memory_equal(packet + sizeof(got), "ready to go", strlen("ready to go"));
}

static void
orders_send_text_cuts_what_no_packet_holds(void **state)
{
	struct scene *scene = *state;
	struct order order = { .version = ORDERS_VERSION, .kind = ORDER_READY };
	char *text = xcalloc(1, LINK_LARGEST_PACKET + 1);
	char *packet = xcalloc(1, LINK_LARGEST_PACKET + 1);

	memset(text, 'x', LINK_LARGEST_PACKET);
	orders_send_text(scene->link, &order, text);
	assert_int_equal(scene_receive(scene, packet, LINK_LARGEST_PACKET + 1),
	    LINK_LARGEST_PACKET - 8);
	free(text);
	free(packet);
}

/* ---- a start order ---- */

/* "a", "" as arguments, one variable, cwd, no standard input. */
#define TEXT "a\0\0N=1\0/\0"

static size_t
write_packet(char *packet, const struct order *order, const char *text, size_t length)
{
	memcpy(packet, order, sizeof(*order));
	memcpy(packet + sizeof(*order), text, length);
	return sizeof(*order) + length;
}

static struct order
start_of_text(void)
{
	return (struct order){ .version = ORDERS_VERSION, .kind = ORDER_START,
		.key = { 1, 2, 3 },
		.start = { .argument_count = 2, .variable_count = 1,
		    .text_length = sizeof(TEXT) } };
}

static void
check_text(const struct start_text *text)
{
	assert_string_equal(text->arguments[0], "a");
	assert_string_equal(text->arguments[1], "");
	assert_null(text->arguments[2]);
	assert_string_equal(text->variables[0], "N=1");
	assert_null(text->variables[1]);
	assert_string_equal(text->cwd, "/");
	assert_string_equal(text->stdin_path, "");
}

static void
start_order_arrives_as_it_was_sent(void **state)
{
	struct scene *scene = *state;
	struct order order = start_of_text();
	struct start_text text;
	char packet[1000];
	ssize_t got;

	orders_send_start(scene->link, &order, TEXT);
	got = scene_receive(scene, packet, sizeof(packet));
	assert_int_equal(got, sizeof(order) + sizeof(TEXT));
	assert_int_equal(orders_read_start(packet, (size_t)got, -1, &text), 0);
	check_text(&text);
	start_text_done(&text);
	assert_null(text.text);
}

/* Arguments of so many bytes in all travel to the other side and back out. */
static void
check_long_start(struct scene *scene, size_t argument_length, bool is_in_memfd)
{
	char *argument = xcalloc(1, argument_length + 1);
	struct order order = { .version = ORDERS_VERSION, .kind = ORDER_START };
	struct start_text text;
	struct buf bytes = { 0 };
	struct link *other;
	int ends[2];

	memset(argument, 'x', argument_length);
	buf_add(&bytes, argument, argument_length + 1);
	buf_add(&bytes, "/\0", 3);
	order.start.argument_count = 1;
	order.start.text_length = (uint32_t)bytes.length;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	other = scene_link(scene, ends[0]);
	assert_non_null(other);
	link_free(scene->link);
	scene->link = scene_link(scene, ends[1]);
	assert_non_null(scene->link);
	orders_send_start(other, &order, buf_start(&bytes));
	link_flush(other);
	scene_wait(scene, scene->received + 1);
	assert_int_equal(scene->descriptor != -1, is_in_memfd);
	assert_int_equal(orders_read_start(buf_start(&scene->last), scene->last.length,
			     scene->descriptor, &text),
	    0);
	assert_string_equal(text.arguments[0], argument);
	start_text_done(&text);
	link_free(other);
	buf_done(&bytes);
	free(argument);
}

static void
start_order_that_no_packet_holds_travels_in_a_memfd(void **state)
{
	struct scene *scene = *state;
	const size_t most = LINK_LARGEST_PACKET - 8 - sizeof(struct order);

	check_long_start(scene, most - strlen("/") - 3, false);
	check_long_start(scene, most - strlen("/") - 2, true);
	check_long_start(scene, ORDERS_LARGEST_PAYLOAD - strlen("/") - 3, true);
}

static void
start_order_is_refused_when_a_count_or_length_is_wrong(void **state)
{
	static const struct {
		uint32_t arguments, variables, length, bytes;
	} rows[] = {
		{ 0, 1, 10, 10 },
		{ 1, 1, 10, 10 }, /* a string is left over */
		{ 3, 1, 10, 10 }, /* … or one is missing */
		{ 2, 0, 10, 10 },
		{ 2, 2, 10, 10 },
		{ 2, 4, 10, 10 },
		{ 10, 1, 10, 10 },
		{ 11, 1, 10, 10 },
		{ 2, 11, 10, 10 },
		{ UINT32_MAX, 1, 10, 10 },
		{ 2, UINT32_MAX, 10, 10 },
		{ UINT32_MAX, UINT32_MAX, UINT32_MAX, 10 },
		{ 2, 1, 9, 9 }, /* the last NUL is missing */
		{ 2, 1, 9, 10 },
		{ 2, 1, 11, 10 },
		{ 2, 1, 10, 9 },
		{ 2, 1, 10, 0 },
		{ 2, 1, 0, 0 },
		{ 2, 1, 0, 10 },
		{ 2, 1, ORDERS_LARGEST_PAYLOAD, 10 },
		{ 2, 1, ORDERS_LARGEST_PAYLOAD + 1, 10 },
		{ 2, 1, UINT32_MAX, 10 },
	};

	(void)state;
	assert_int_equal(sizeof(TEXT), 10);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct order order = start_of_text();
		struct start_text text;
		char *packet = xcalloc(1, sizeof(order) + rows[i].bytes);
		size_t length;

		order.start.argument_count = rows[i].arguments;
		order.start.variable_count = rows[i].variables;
		order.start.text_length = rows[i].length;
		length = write_packet(packet, &order, TEXT, rows[i].bytes);
		assert_int_equal(orders_read_start(packet, length, -1, &text), -1);
		free(packet);
	}
}

static void
start_order_is_refused_when_it_is_shorter_than_an_order(void **state)
{
	struct order order = start_of_text();
	struct start_text text;

	(void)state;
	for (size_t length = 0; length < sizeof(order); length++) {
		char *packet = xmalloc(length);

		memcpy(packet, &order, length);
		assert_int_equal(orders_read_start(packet, length, -1, &text), -1);
		free(packet);
	}
}

static void
start_order_without_a_descriptor_for_its_text_is_refused(void **state)
{
	struct order order = start_of_text();
	struct start_text text;

	(void)state;
	order.start.text_in_memfd = 1;
	assert_int_equal(orders_read_start(&order, sizeof(order), -1, &text), -1);
}

static void
start_order_is_refused_when_its_memfd_is_too_short(void **state)
{
	struct order order = start_of_text();
	int memfd = memfd_create("text", MFD_CLOEXEC);
	struct start_text text;

	(void)state;
	order.start.text_in_memfd = 1;
	for (size_t length = 0; length < sizeof(TEXT); length++) {
		assert_int_equal(pwrite(memfd, TEXT, length, 0), length);
		assert_int_equal(orders_read_start(&order, sizeof(order), memfd, &text), -1);
	}
	assert_int_equal(pwrite(memfd, TEXT, sizeof(TEXT), 0), sizeof(TEXT));
	assert_int_equal(orders_read_start(&order, sizeof(order), memfd, &text), 0);
	check_text(&text);
	start_text_done(&text);
	close(memfd);
}

static void
start_order_does_not_wait_for_a_pipe_in_place_of_its_memfd(void **state)
{
	struct order order = start_of_text();
	struct start_text text;
	int ends[2];

	(void)state;
	order.start.text_in_memfd = 1;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(orders_read_start(&order, sizeof(order), ends[0], &text), -1);
	close(ends[0]);
	close(ends[1]);
}

/* ---- what is a packet ---- */

static void
orders_check_order_refuses_other_versions_kinds_and_lengths(void **state)
{
	struct order order = { .version = ORDERS_VERSION };

	(void)state;
	for (size_t length = 0; length < sizeof(order); length++)
		assert_null(orders_check_order(&order, length));
	assert_ptr_equal(orders_check_order(&order, sizeof(order)), &order);
	for (uint32_t bit = 0; bit < 32; bit++) {
		order.version = ORDERS_VERSION ^ (UINT32_C(1) << bit);
		assert_null(orders_check_order(&order, sizeof(order)));
	}
	order.version = ORDERS_VERSION;
	order.kind = ORDER_KIND_COUNT;
	assert_null(orders_check_order(&order, sizeof(order)));
	order.kind = UINT32_MAX;
	assert_null(orders_check_order(&order, sizeof(order)));
}

static void
orders_check_report_refuses_other_versions_kinds_and_lengths(void **state)
{
	struct report reports[2] = { { .version = ORDERS_VERSION } };

	(void)state;
	for (size_t length = 0; length <= sizeof(reports); length++)
		assert_ptr_equal(orders_check_report(reports, length),
		    length == sizeof(reports[0]) ? reports : NULL);
	for (uint32_t bit = 0; bit < 32; bit++) {
		reports[0].version = ORDERS_VERSION ^ (UINT32_C(1) << bit);
		assert_null(orders_check_report(reports, sizeof(reports[0])));
	}
	reports[0].version = ORDERS_VERSION;
	reports[0].kind = REPORT_KIND_COUNT;
	assert_null(orders_check_report(reports, sizeof(reports[0])));
	reports[0].kind = UINT32_MAX;
	assert_null(orders_check_report(reports, sizeof(reports[0])));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(every_kind_of_order_travels_whole),
		SCENE(every_kind_of_report_travels_whole),
		SCENE(orders_send_text_sends_it_behind_the_order),
		SCENE(orders_send_text_cuts_what_no_packet_holds),
		SCENE(start_order_arrives_as_it_was_sent),
		SCENE(start_order_that_no_packet_holds_travels_in_a_memfd),
		cmocka_unit_test(start_order_is_refused_when_a_count_or_length_is_wrong),
		cmocka_unit_test(start_order_is_refused_when_it_is_shorter_than_an_order),
		cmocka_unit_test(start_order_without_a_descriptor_for_its_text_is_refused),
		cmocka_unit_test(start_order_is_refused_when_its_memfd_is_too_short),
		cmocka_unit_test(start_order_does_not_wait_for_a_pipe_in_place_of_its_memfd),
		cmocka_unit_test(orders_check_order_refuses_other_versions_kinds_and_lengths),
		cmocka_unit_test(orders_check_report_refuses_other_versions_kinds_and_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
