/*
 * orders: packets arrive whole, in order and with their descriptor; what is out of bounds is
 * refused. A test that waited for ever would be ended by alarm(2).
 */

#include "base/buf.h"
#include "base/xalloc.h"
#include "keeper/orders.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LONGEST_TEST_SECONDS 20
#define MOST_PACKETS 2000 /* the kernel takes some hundreds */

/* A link, the bare other end of its pair, and what has come. */
struct scene {
	struct loop *loop;
	struct link *link;
	int peer;
	int received, closed, expected;
	struct buf last;
	int descriptor; /* that came with the last one, or -1 */
};

static void
received(void *arg, const void *packet, size_t length, int descriptor)
{
	struct scene *scene = arg;

	buf_clear(&scene->last);
	buf_add(&scene->last, packet, length);
	if (scene->descriptor != -1)
		close(scene->descriptor);
	scene->descriptor = descriptor;
	if (++scene->received == scene->expected)
		loop_stop(scene->loop);
}

static void
closed(void *arg)
{
	struct scene *scene = arg;

	scene->closed++;
	loop_stop(scene->loop);
}

static int
begin(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	int ends[2];

	*state = scene;
	scene->descriptor = -1;
	alarm(LONGEST_TEST_SECONDS);
	scene->loop = loop_new(LOOP_MONOTONIC);
	if (scene->loop == NULL ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == -1)
		return -1;
	scene->peer = ends[1];
	scene->link = link_new(scene->loop, ends[0], received, closed, scene);
	return scene->link != NULL ? 0 : -1;
}

static int
finish(void **state)
{
	struct scene *scene = *state;

	alarm(0);
	link_free(scene->link);
	loop_free(scene->loop);
	if (scene->peer != -1)
		close(scene->peer);
	if (scene->descriptor != -1)
		close(scene->descriptor);
	buf_done(&scene->last);
	free(scene);
	return 0;
}

static void
wait_for(struct scene *scene, int expected)
{
	scene->expected = expected;
	assert_int_equal(loop_run(scene->loop), 0);
}

/* From the bare end, with this many copies of a descriptor. */
static void
send_raw(struct scene *scene, const void *bytes, size_t length, int descriptor, int copies)
{
	union {
		char bytes[CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec vector = { (void *)bytes, length };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };

	if (copies > 0) {
		struct cmsghdr *header;

		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE((size_t)copies * sizeof(int));
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN((size_t)copies * sizeof(int));
		for (int i = 0; i < copies; i++)
			memcpy(CMSG_DATA(header) + (size_t)i * sizeof(int), &descriptor,
			    sizeof(int));
	}
	assert_int_equal(sendmsg(scene->peer, &message, 0), length);
}

/* Each message of a packet stands behind its length, at multiples of 8 bytes. */
static void
add_message(struct buf *packet, const void *bytes, size_t length)
{
	const uint64_t zero = 0;
	const uint32_t head[2] = { (uint32_t)length, 0 };

	buf_add(packet, head, sizeof(head));
	buf_add(packet, bytes, length);
	buf_add(packet, &zero, (8 - length % 8) % 8);
}

/* A packet of one message. */
static void
send_message(struct scene *scene, const void *bytes, size_t length, int descriptor, int copies)
{
	struct buf packet = { 0 };

	add_message(&packet, bytes, length);
	send_raw(scene, buf_start(&packet), packet.length, descriptor, copies);
	buf_done(&packet);
}

/* What was flushed: the one message of the next packet. Its length, -1: there is none. */
static ssize_t
receive_message(struct scene *scene, void *bytes, size_t size)
{
	static char packet[LINK_LARGEST_PACKET + 1];
	ssize_t got;
	uint32_t length;

	link_flush(scene->link);
	got = recv(scene->peer, packet, sizeof(packet), MSG_DONTWAIT);
	if (got == -1)
		return -1;
	assert_true(got >= 8);
	memcpy(&length, packet, sizeof(length));
	assert_int_equal(got, 8 + (length + 7) / 8 * 8);
	assert_true(length <= size);
	memcpy(bytes, packet + 8, length);
	return (ssize_t)length;
}

/* Nobody holds the other end of this pipe any more. */
static void
check_that_nobody_writes(int read_end)
{
	char byte;

	assert_int_equal(fcntl(read_end, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(read(read_end, &byte, 1), 0);
}

/* ---- the link ---- */

static void
link_carries_every_kind_of_order(void **state)
{
	struct scene *scene = *state;

	for (uint32_t kind = 0; kind < ORDER_KIND_COUNT; kind++) {
		struct order order, got;

		memset(&order, (int)(kind + 1), sizeof(order));
		order.version = ORDERS_VERSION;
		order.kind = kind;
		send_message(scene, &order, sizeof(order), -1, 0);
		wait_for(scene, (int)kind + 1);
		assert_non_null(
		    orders_check_order(buf_start(&scene->last), scene->last.length));
		memcpy(&got, buf_start(&scene->last), sizeof(got));
		assert_memory_equal(&got, &order, sizeof(order));
	}
}

static void
link_carries_every_kind_of_report(void **state)
{
	struct scene *scene = *state;

	for (uint32_t kind = 0; kind < REPORT_KIND_COUNT; kind++) {
		struct report report, got;

		memset(&report, (int)(kind + 1), sizeof(report));
		report.version = ORDERS_VERSION;
		report.kind = kind;
		link_send(scene->link, &report, sizeof(report), -1);
		assert_int_equal(receive_message(scene, &got, sizeof(got)), sizeof(report));
		assert_non_null(orders_check_report(&got, sizeof(got)));
		assert_memory_equal(&got, &report, sizeof(report));
	}
}

static void
link_gathers_messages_until_it_is_flushed(void **state)
{
	struct scene *scene = *state;
	struct buf wanted = { 0 };
	char got[100];

	link_send(scene->link, "one", 3, -1);
	link_send(scene->link, "", 0, -1);
	link_send(scene->link, "eighteen", 8, -1);
	assert_int_equal(recv(scene->peer, got, sizeof(got), MSG_DONTWAIT), -1);
	link_flush(scene->link);
	link_flush(scene->link);
	add_message(&wanted, "one", 3);
	add_message(&wanted, "", 0);
	add_message(&wanted, "eighteen", 8);
	assert_int_equal(recv(scene->peer, got, sizeof(got), MSG_DONTWAIT), wanted.length);
	assert_memory_equal(got, buf_start(&wanted), wanted.length);
	assert_int_equal(recv(scene->peer, got, sizeof(got), MSG_DONTWAIT), -1);
	buf_done(&wanted);
	link_flush(NULL);
}

static void
link_takes_a_packet_apart(void **state)
{
	struct scene *scene = *state;
	struct buf packet = { 0 };

	add_message(&packet, "one", 3);
	add_message(&packet, "", 0);
	add_message(&packet, "the last", 8);
	send_raw(scene, buf_start(&packet), packet.length, -1, 0);
	wait_for(scene, 3);
	assert_int_equal(scene->last.length, 8);
	assert_memory_equal(buf_start(&scene->last), "the last", 8);
	buf_done(&packet);
}

/* More than a packet holds: it goes out in two, in order. */
static void
link_sends_what_no_packet_holds_in_several(void **state)
{
	struct scene *scene = *state;
	char *bytes = xcalloc(1, LINK_LARGEST_PACKET), got[8];

	link_send(scene->link, bytes, LINK_LARGEST_PACKET - 8, -1);
	link_send(scene->link, "behind", 6, -1);
	link_flush(scene->link);
	assert_int_equal(recv(scene->peer, bytes, LINK_LARGEST_PACKET, MSG_DONTWAIT),
	    LINK_LARGEST_PACKET);
	assert_int_equal(receive_message(scene, got, sizeof(got)), 6);
	free(bytes);
}

static void
link_is_closed_by_a_packet_whose_lengths_do_not_add_up(void **state)
{
	static const uint32_t packets[][4] = { { 1 }, { 9, 0, 1, 2 }, { UINT32_MAX, 0, 1, 2 },
		{ 0, 0, 1 } };
	static const size_t lengths[] = { 4, 16, 16, 12 };

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		void *own;
		struct scene *scene;
		int ends[2];

		assert_int_equal(begin(&own), 0);
		scene = own;
		assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
		send_raw(scene, packets[i], lengths[i], ends[1], 1);
		close(ends[1]);
		wait_for(scene, -1);
		assert_int_equal(scene->closed, 1);
		if (scene->descriptor != -1)
			close(scene->descriptor);
		scene->descriptor = -1;
		check_that_nobody_writes(ends[0]);
		close(ends[0]);
		finish(&own);
	}
	(void)state;
}

static void
link_hands_on_a_descriptor(void **state)
{
	struct scene *scene = *state;
	int ends[2];
	char text[8] = "";

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	send_message(scene, "x", 1, ends[1], 1);
	close(ends[1]);
	wait_for(scene, 1);
	assert_int_not_equal(scene->descriptor, -1);
	assert_int_equal(fcntl(scene->descriptor, F_GETFD), FD_CLOEXEC);
	assert_int_equal(write(scene->descriptor, "hello", 5), 5);
	assert_int_equal(read(ends[0], text, sizeof(text)), 5);
	assert_string_equal(text, "hello");
	send_message(scene, "y", 1, -1, 0);
	wait_for(scene, 2);
	assert_int_equal(scene->descriptor, -1);
	close(ends[0]);
}

static void
link_keeps_one_descriptor_of_many_and_leaks_none(void **state)
{
	struct scene *scene = *state;

	for (int copies = 2; copies <= 8; copies++) {
		int ends[2];

		assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
		send_message(scene, "x", 1, ends[1], copies);
		close(ends[1]);
		wait_for(scene, copies - 1);
		assert_int_not_equal(scene->descriptor, -1);
		close(scene->descriptor);
		scene->descriptor = -1;
		check_that_nobody_writes(ends[0]);
		close(ends[0]);
	}
}

static void
link_is_closed_by_a_packet_that_is_too_long_and_its_descriptor_with_it(void **state)
{
	struct scene *scene = *state;
	char *bytes = xcalloc(1, LINK_LARGEST_PACKET + 1);
	int ends[2], big = 4 * LINK_LARGEST_PACKET;

	setsockopt(scene->peer, SOL_SOCKET, SO_SNDBUF, &big, sizeof(big));
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	send_message(scene, bytes, LINK_LARGEST_PACKET - 8, -1, 0);
	wait_for(scene, 1);
	assert_int_equal(scene->last.length, LINK_LARGEST_PACKET - 8);
	send_message(scene, bytes, LINK_LARGEST_PACKET - 7, ends[1], 1);
	close(ends[1]);
	wait_for(scene, -1);
	assert_int_equal(scene->closed, 1);
	assert_int_equal(scene->received, 1);
	check_that_nobody_writes(ends[0]);
	close(ends[0]);
	free(bytes);
}

static void
link_is_closed_when_the_other_side_is_gone_after_its_last_packet(void **state)
{
	struct scene *scene = *state;

	send_message(scene, "last", 4, -1, 0);
	close(scene->peer);
	scene->peer = -1;
	wait_for(scene, -1);
	assert_int_equal(scene->received, 1);
	assert_int_equal(scene->closed, 1);
}

static void
link_send_to_a_side_that_is_gone_is_dropped(void **state)
{
	struct scene *scene = *state;

	close(scene->peer);
	scene->peer = -1;
	link_send(scene->link, "x", 1, -1);
	link_flush(scene->link);
	link_read(scene->link);
	assert_int_equal(scene->closed, 1);
}

static void
link_read_without_anything_there_does_nothing(void **state)
{
	struct scene *scene = *state;

	link_read(scene->link);
	assert_int_equal(scene->received + scene->closed, 0);
	link_free(NULL);
}

/* More packets than the kernel takes. Returns how many. */
static uint32_t
fill(struct scene *scene)
{
	uint32_t sent;

	for (sent = 0; sent < MOST_PACKETS; sent++) {
		link_send(scene->link, &sent, sizeof(sent), -1);
		link_flush(scene->link);
	}
	return sent;
}

static void
turn_ended(void *arg)
{
	loop_stop(arg);
}

static void
link_queues_what_the_kernel_does_not_take_and_keeps_the_order(void **state)
{
	struct scene *scene = *state;
	uint32_t sent = fill(scene), got;

	loop_on_turn_end(scene->loop, turn_ended, scene->loop);
	for (uint32_t next = 0; next < sent;) {
		while (receive_message(scene, &got, sizeof(got)) == sizeof(got))
			assert_int_equal(got, next++);
		loop_again(scene->loop);
		assert_int_equal(loop_run(scene->loop), 0);
	}
	assert_int_equal(receive_message(scene, &got, sizeof(got)), -1);
}

static void
link_free_forgets_what_was_queued(void **state)
{
	struct scene *scene = *state;
	struct order order = { .version = ORDERS_VERSION, .kind = ORDER_START };
	size_t length = LINK_LARGEST_PACKET;
	char *text = xcalloc(1, length);
	int before = dup(scene->peer), after;

	close(before);
	fill(scene);
	order.start.text_length = (uint32_t)length;
	orders_send_start(scene->link, &order, text);
	link_free(scene->link);
	scene->link = NULL;
	after = dup(scene->peer);
	close(after);
	assert_in_range(after, 0, before); /* its memfd is closed too */
	free(text);
}

/* ---- text ---- */

static void
orders_send_text_sends_it_behind_the_order(void **state)
{
	struct scene *scene = *state;
	struct order order = { .version = ORDERS_VERSION, .kind = ORDER_READY }, got;
	char packet[sizeof(order) + 100];

	orders_send_text(scene->link, &order, "ready to go");
	assert_int_equal(receive_message(scene, packet, sizeof(packet)),
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
	assert_int_equal(receive_message(scene, packet, LINK_LARGEST_PACKET + 1),
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
	got = receive_message(scene, packet, sizeof(packet));
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
	other = link_new(scene->loop, ends[0], received, closed, scene);
	assert_non_null(other);
	link_free(scene->link);
	scene->link = link_new(scene->loop, ends[1], received, closed, scene);
	assert_non_null(scene->link);
	orders_send_start(other, &order, buf_start(&bytes));
	link_flush(other);
	wait_for(scene, scene->received + 1);
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

#define SCENE(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(link_carries_every_kind_of_order),
		SCENE(link_carries_every_kind_of_report),
		SCENE(link_hands_on_a_descriptor),
		SCENE(link_keeps_one_descriptor_of_many_and_leaks_none),
		SCENE(link_is_closed_by_a_packet_that_is_too_long_and_its_descriptor_with_it),
		SCENE(link_is_closed_when_the_other_side_is_gone_after_its_last_packet),
		SCENE(link_gathers_messages_until_it_is_flushed),
		SCENE(link_takes_a_packet_apart),
		SCENE(link_sends_what_no_packet_holds_in_several),
		SCENE(link_is_closed_by_a_packet_whose_lengths_do_not_add_up),
		SCENE(link_send_to_a_side_that_is_gone_is_dropped),
		SCENE(link_read_without_anything_there_does_nothing),
		SCENE(link_queues_what_the_kernel_does_not_take_and_keeps_the_order),
		SCENE(link_free_forgets_what_was_queued),
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
