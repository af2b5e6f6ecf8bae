/*
 * link: messages arrive whole, in order and with their descriptor, and nothing waits; who
 * breaks the rules is closed.
 */

#include "base/xalloc.h"
#include "support/scene.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MOST_PACKETS 2000 /* the kernel takes some hundreds */

/* Nobody holds the other end of this pipe any more. */
static void
check_that_nobody_writes(int read_end)
{
	char byte;

	assert_int_equal(fcntl(read_end, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(read(read_end, &byte, 1), 0);
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
	scene_add_message(&wanted, "one", 3);
	scene_add_message(&wanted, "", 0);
	scene_add_message(&wanted, "eighteen", 8);
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

	scene_add_message(&packet, "one", 3);
	scene_add_message(&packet, "", 0);
	scene_add_message(&packet, "the last", 8);
	scene_send_raw(scene, buf_start(&packet), packet.length, -1, 0);
	scene_wait(scene, 3);
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
	assert_int_equal(scene_receive(scene, got, sizeof(got)), 6);
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

		assert_int_equal(scene_begin(&own), 0);
		scene = own;
		assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
		scene_send_raw(scene, packets[i], lengths[i], ends[1], 1);
		close(ends[1]);
		scene_wait(scene, -1);
		assert_int_equal(scene->closed, 1);
		if (scene->descriptor != -1)
			close(scene->descriptor);
		scene->descriptor = -1;
		check_that_nobody_writes(ends[0]);
		close(ends[0]);
		scene_finish(&own);
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
	scene_send(scene, "x", 1, ends[1], 1);
	close(ends[1]);
	scene_wait(scene, 1);
	assert_int_not_equal(scene->descriptor, -1);
	assert_int_equal(fcntl(scene->descriptor, F_GETFD), FD_CLOEXEC);
	assert_int_equal(write(scene->descriptor, "hello", 5), 5);
	assert_int_equal(read(ends[0], text, sizeof(text)), 5);
	assert_string_equal(text, "hello");
	scene_send(scene, "y", 1, -1, 0);
	scene_wait(scene, 2);
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
		scene_send(scene, "x", 1, ends[1], copies);
		close(ends[1]);
		scene_wait(scene, copies - 1);
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
	scene_send(scene, bytes, LINK_LARGEST_PACKET - 8, -1, 0);
	scene_wait(scene, 1);
	assert_int_equal(scene->last.length, LINK_LARGEST_PACKET - 8);
	scene_send(scene, bytes, LINK_LARGEST_PACKET - 7, ends[1], 1);
	close(ends[1]);
	scene_wait(scene, -1);
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

	scene_send(scene, "last", 4, -1, 0);
	close(scene->peer);
	scene->peer = -1;
	scene_wait(scene, -1);
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
		while (scene_receive(scene, &got, sizeof(got)) == sizeof(got))
			assert_int_equal(got, next++);
		loop_again(scene->loop);
		assert_int_equal(loop_run(scene->loop), 0);
	}
	assert_int_equal(scene_receive(scene, &got, sizeof(got)), -1);
}

static void
link_free_forgets_what_was_queued(void **state)
{
	struct scene *scene = *state;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fill(scene);
	link_give(scene->link, "x", 1, ends[1]);
	link_free(scene->link);
	scene->link = NULL;
	check_that_nobody_writes(ends[0]); /* what it was given is closed too */
	close(ends[0]);
}

/* The reader is another process, and slow: it is waited for. */
static void
link_finish_waits_until_all_of_it_is_sent(void **state)
{
	struct scene *scene = *state;
	char packet[64];
	pid_t reader;
	int status, sent = 0;

	for (; sent < MOST_PACKETS; sent++) {
		link_send(scene->link, &sent, sizeof(sent), -1);
		link_flush(scene->link); /* packets of their own, beyond what the kernel takes */
	}
	assert_int_equal(link_finish(scene->link, 20), -1); /* nobody reads */
	reader = fork();
	assert_int_not_equal(reader, -1);
	if (reader == 0) {
		int got = 0;

		while (got < sent && recv(scene->peer, packet, sizeof(packet), 0) > 0)
			got++;
		_exit(got == sent ? 0 : 1);
	}
	assert_int_equal(link_finish(scene->link, 60000), 0);
	link_free(scene->link);
	scene->link = NULL;
	assert_int_equal(waitpid(reader, &status, 0), reader);
	assert_int_equal(status, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(link_finish_waits_until_all_of_it_is_sent),
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
