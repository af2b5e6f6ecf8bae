/*
 * channel: lines come out as they went in, and whatever the peer does ends the channel and
 * nothing else. A test that waited for ever would be ended by alarm(2).
 */

#include "wire/channel.h"
#include "wire/line.h"

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LONGEST_TEST_SECONDS 20

/* A channel, its peer, and what it has said. */
struct scene {
	struct loop *loop;
	struct channel channel;
	int peer;
	struct buf heard; /* the lines, "|" after each */
	int lines, closed;
	int expected; /* so many lines end the loop */
	int owed;     /* answers */
	char why[100]; /* "": end of file */
	void (*on_line)(struct scene *scene);
};

static void
line(void *arg, const char *line, size_t length)
{
	struct scene *scene = arg;

	assert_int_equal(scene->closed, 0);
	buf_add(&scene->heard, line, length);
	buf_add(&scene->heard, "|", 1);
	if (scene->on_line != NULL)
		scene->on_line(scene);
	if (++scene->lines == scene->expected)
		loop_stop(scene->loop);
}

static void
closed(void *arg, const char *why)
{
	struct scene *scene = arg;

	scene->closed++;
	snprintf(scene->why, sizeof(scene->why), "%s", why != NULL ? why : "");
	loop_stop(scene->loop);
}

static int
begin(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	int ends[2];

	*state = scene;
	alarm(LONGEST_TEST_SECONDS);
	scene->loop = loop_new(LOOP_MONOTONIC);
	if (scene->loop == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == -1)
		return -1;
	scene->peer = ends[1];
	return channel_init(&scene->channel, scene->loop, ends[0], line, closed, scene);
}

static int
finish(void **state)
{
	struct scene *scene = *state;

	alarm(0);
	channel_done(&scene->channel);
	loop_free(scene->loop);
	if (scene->peer != -1)
		close(scene->peer);
	buf_done(&scene->heard);
	free(scene);
	return 0;
}

static void
say(struct scene *scene, const char *text)
{
	assert_int_equal(write(scene->peer, text, strlen(text)), strlen(text));
}

/* Close the peer's side for good. */
static void
hang_up(struct scene *scene)
{
	close(scene->peer);
	scene->peer = -1;
}

/* Until so many lines were heard in all, or it is closed. */
static void
listen_for(struct scene *scene, int lines)
{
	scene->expected = lines;
	assert_int_equal(loop_run(scene->loop), 0);
}

static void
turn_ended(void *arg)
{
	loop_stop(arg);
}

static void
run_one_turn(struct scene *scene)
{
	loop_on_turn_end(scene->loop, turn_ended, scene->loop);
	loop_again(scene->loop);
	assert_int_equal(loop_run(scene->loop), 0);
	loop_on_turn_end(scene->loop, NULL, NULL);
}

/* All that can be read at the peer's side without waiting. */
static void
read_at_peer(struct scene *scene, struct buf *buf)
{
	ssize_t got;

	while ((got = recv(scene->peer, buf_reserve(buf, 65536), 65536, MSG_DONTWAIT)) > 0)
		buf_grown(buf, (size_t)got);
}

/* More than the kernel keeps for a peer that does not read. */
static void
add_flood(struct scene *scene, size_t length)
{
	memset(buf_reserve(&scene->channel.out, length), 'x', length);
	buf_grown(&scene->channel.out, length);
}

/* ---- reading ---- */

static void
channel_hears_lines_however_they_are_torn(void **state)
{
	struct scene *scene = *state;

	for (const char *at = "first\nsecond\n"; *at != '\0'; at++) {
		assert_int_equal(write(scene->peer, at, 1), 1);
		channel_drain(&scene->channel);
	}
	assert_string_equal(buf_text(&scene->heard), "first|second|");
	say(scene, "third\nfou");
	listen_for(scene, 3);
	say(scene, "rth\nfifth\n");
	listen_for(scene, 5);
	assert_string_equal(buf_text(&scene->heard), "first|second|third|fourth|fifth|");
	assert_int_equal(scene->closed, 0);
}

static void
channel_skips_empty_lines(void **state)
{
	struct scene *scene = *state;

	say(scene, "\n\r\n\na\n\n\nb\n");
	listen_for(scene, 2);
	assert_string_equal(buf_text(&scene->heard), "a|b|");
}

static void
channel_hands_on_nul_bytes_and_garbage_as_they_are(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(write(scene->peer, "a\0b\n\xff\xfe\n", 7), 7);
	listen_for(scene, 2);
	assert_int_equal(scene->heard.length, 7);
	assert_memory_equal(buf_start(&scene->heard), "a\0b|\xff\xfe|", 7);
}

static void
channel_takes_a_line_as_long_as_the_limit(void **state)
{
	struct scene *scene = *state;

	scene->channel.largest_line = 10;
	say(scene, "0123456789\n");
	listen_for(scene, 1);
	assert_string_equal(buf_text(&scene->heard), "0123456789|");
	assert_int_equal(scene->closed, 0);
}

static void
channel_is_closed_by_a_line_that_is_too_long(void **state)
{
	struct scene *scene = *state;

	scene->channel.largest_line = 10;
	say(scene, "good\n01234567890\nnever heard\n");
	listen_for(scene, -1);
	assert_int_equal(scene->closed, 1);
	assert_string_equal(scene->why, "line too long");
	assert_string_equal(buf_text(&scene->heard), "good|");
}

static void
channel_is_closed_by_a_line_without_end_before_it_takes_much_memory(void **state)
{
	struct scene *scene = *state;
	static char bytes[4096];
	size_t sent = 0;

	memset(bytes, 'x', sizeof(bytes));
	while (scene->closed == 0 && sent < 2 * LINE_LARGEST) {
		assert_int_equal(write(scene->peer, bytes, sizeof(bytes)), sizeof(bytes));
		sent += sizeof(bytes);
		channel_drain(&scene->channel);
	}
	assert_int_equal(scene->closed, 1);
	assert_int_equal(sent, LINE_LARGEST + sizeof(bytes));
}

static void
channel_tells_end_of_file_once_and_after_the_last_line(void **state)
{
	struct scene *scene = *state;

	say(scene, "last words\nwithout end");
	hang_up(scene);
	listen_for(scene, -1);
	assert_string_equal(buf_text(&scene->heard), "last words|");
	assert_int_equal(scene->closed, 1);
	assert_string_equal(scene->why, "");
	channel_drain(&scene->channel);
	channel_flush(&scene->channel);
	channel_close_when_written(&scene->channel);
	assert_int_equal(scene->closed, 1);
}

static void
channel_drain_hears_all_and_does_not_wait(void **state)
{
	struct scene *scene = *state;
	struct buf lines = { 0 };

	channel_drain(&scene->channel);
	assert_int_equal(scene->lines, 0);
	for (int i = 0; i < 10000; i++)
		buf_add_text(&lines, "line\n");
	say(scene, buf_text(&lines));
	buf_done(&lines);
	channel_drain(&scene->channel);
	assert_int_equal(scene->lines, 10000);
	assert_int_equal(scene->closed, 0);
	say(scene, "one more\n");
	hang_up(scene);
	channel_drain(&scene->channel);
	assert_int_equal(scene->lines, 10001);
	assert_int_equal(scene->closed, 1);
	assert_string_equal(scene->why, "");
}

/* A peer that leaves without having read what it was sent resets the connection. */
static void
channel_drain_hears_what_was_said_before_a_reset(void **state)
{
	struct scene *scene = *state;

	buf_add_text(&scene->channel.out, "never read\n");
	channel_flush(&scene->channel);
	say(scene, "last words\n");
	hang_up(scene);
	channel_drain(&scene->channel);
	assert_string_equal(buf_text(&scene->heard), "last words|");
	assert_int_equal(scene->closed, 1);
	assert_string_equal(scene->why, "");
}

static void
channel_tells_why_it_cannot_read(void **state)
{
	struct scene *scene = *state;
	int file = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_int_not_equal(file, -1);
	assert_int_equal(dup2(file, scene->channel.fd), scene->channel.fd);
	channel_drain(&scene->channel);
	assert_int_equal(scene->closed, 1);
	assert_string_equal(scene->why, strerror(ENOTSOCK));
	close(file);
}

static void
channel_leaves_the_loop_to_others_in_a_flood(void **state)
{
	struct scene *scene = *state;
	int buffer = 8 << 20;
	static char lines[65536];

	/* Held back by the peer's buffer otherwise. */
	setsockopt(scene->peer, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer));
	memset(lines, '\n', sizeof(lines));
	memset(lines, 'x', 9);
	fcntl(scene->peer, F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 40; i++) {
		if (write(scene->peer, lines, sizeof(lines)) != sizeof(lines))
			break;
	}
	run_one_turn(scene);
	assert_in_range(scene->lines, 1, 17);
}

static void
channel_of_an_idle_peer_keeps_no_memory(void **state)
{
	struct scene *scene = *state;

	say(scene, "a\n");
	listen_for(scene, 1);
	run_one_turn(scene);
	assert_null(scene->channel.in.data);
	buf_add_text(&scene->channel.out, "answer\n");
	channel_flush(&scene->channel);
	assert_null(scene->channel.out.data);
}

/* ---- writing ---- */

static void
channel_flush_writes_at_once_what_the_peer_takes(void **state)
{
	struct scene *scene = *state;
	struct buf got = { 0 };

	channel_flush(&scene->channel);
	buf_add_text(&scene->channel.out, "one\ntwo\n");
	channel_flush(&scene->channel);
	assert_int_equal(scene->channel.out.length, 0);
	read_at_peer(scene, &got);
	assert_string_equal(buf_text(&got), "one\ntwo\n");
	buf_done(&got);
}

static void
channel_writes_the_rest_when_the_peer_reads(void **state)
{
	struct scene *scene = *state;
	struct buf got = { 0 };
	const size_t length = 900000;

	add_flood(scene, length);
	channel_flush(&scene->channel);
	assert_int_not_equal(scene->channel.out.length, 0);
	while (got.length < length) {
		read_at_peer(scene, &got);
		run_one_turn(scene);
	}
	assert_int_equal(got.length, length);
	assert_int_equal(scene->channel.out.length, 0);
	assert_int_equal(scene->closed, 0);
	buf_done(&got);
}

static void
channel_cuts_off_a_peer_that_never_reads(void **state)
{
	struct scene *scene = *state;

	scene->channel.largest_out = 1000;
	add_flood(scene, 1000000);
	channel_flush(&scene->channel);
	assert_int_equal(scene->closed, 1);
	assert_string_equal(scene->why, "it does not read what it is sent");
}

static void
channel_keeps_as_much_as_largest_out_for_a_peer_that_does_not_read(void **state)
{
	struct scene *scene = *state;
	size_t kept;

	add_flood(scene, 1000000);
	channel_flush(&scene->channel);
	kept = scene->channel.out.length;
	assert_in_range(kept, 1, 999999);
	scene->channel.largest_out = kept + 5;
	add_flood(scene, 5);
	channel_flush(&scene->channel);
	assert_int_equal(scene->closed, 0);
	add_flood(scene, 1);
	channel_flush(&scene->channel);
	assert_int_equal(scene->closed, 1);
}

static void
channel_flush_to_a_peer_that_is_gone_tells_why(void **state)
{
	struct scene *scene = *state;

	hang_up(scene);
	buf_add_text(&scene->channel.out, "anybody there?\n");
	channel_flush(&scene->channel);
	assert_int_equal(scene->closed, 1);
	assert_string_equal(scene->why, strerror(EPIPE));
}

/* ---- closing ---- */

static void
channel_close_when_written_closes_at_once_when_all_is(void **state)
{
	struct scene *scene = *state;
	struct buf got = { 0 };

	buf_add_text(&scene->channel.out, "bye\n");
	channel_close_when_written(&scene->channel);
	assert_int_equal(scene->closed, 1);
	assert_string_equal(scene->why, "");
	read_at_peer(scene, &got);
	assert_string_equal(buf_text(&got), "bye\n");
	buf_done(&got);
}

static void
channel_close_when_written_waits_for_the_peer_to_read(void **state)
{
	struct scene *scene = *state;
	struct buf got = { 0 };
	const size_t length = 900000;

	add_flood(scene, length);
	channel_close_when_written(&scene->channel);
	assert_int_equal(scene->closed, 0);
	say(scene, "not heard any more\n");
	while (scene->closed == 0) {
		read_at_peer(scene, &got);
		run_one_turn(scene);
	}
	read_at_peer(scene, &got);
	assert_int_equal(got.length, length);
	assert_int_equal(scene->lines, 0);
	assert_string_equal(scene->why, "");
	buf_done(&got);
}

static void
channel_close_when_written_gives_up_when_the_peer_leaves(void **state)
{
	struct scene *scene = *state;

	add_flood(scene, 900000);
	channel_close_when_written(&scene->channel);
	hang_up(scene);
	listen_for(scene, -1);
	assert_int_equal(scene->closed, 1);
}

static void
answer_at_length_and_close(struct scene *scene)
{
	add_flood(scene, 900000);
	channel_close_when_written(&scene->channel);
}

/* Lines behind the one that ended the conversation are not part of it. */
/* ---- a peer that has ended what it writes, and reads on ---- */

static bool
owes(void *arg)
{
	const struct scene *scene = arg;

	return scene->owed > 0;
}

static void
channel_that_owes_answers_is_closed_after_the_last(void **state)
{
	struct scene *scene = *state;
	struct buf got = { 0 };

	scene->channel.owes = owes;
	scene->owed = 2;
	say(scene, "question\nquestion\n");
	shutdown(scene->peer, SHUT_WR);
	run_one_turn(scene);
	run_one_turn(scene);
	assert_int_equal(scene->lines, 2);
	assert_null(scene->channel.in.data);
	for (scene->owed = 1; scene->owed >= 0; scene->owed--) {
		assert_int_equal(scene->closed, 0);
		buf_add_text(&scene->channel.out, "answer\n");
		channel_flush(&scene->channel);
	}
	assert_int_equal(scene->closed, 1);
	assert_string_equal(scene->why, "");
	read_at_peer(scene, &got);
	assert_string_equal(buf_text(&got), "answer\nanswer\n");
	buf_done(&got);
}

static void
channel_that_owes_answers_is_closed_when_its_peer_hangs_up(void **state)
{
	struct scene *scene = *state;

	scene->channel.owes = owes;
	scene->owed = 1;
	say(scene, "question\n");
	shutdown(scene->peer, SHUT_WR);
	run_one_turn(scene);
	run_one_turn(scene);
	assert_int_equal(scene->closed, 0);
	hang_up(scene);
	listen_for(scene, 2);
	assert_int_equal(scene->closed, 1);
	assert_string_equal(scene->why, "");
}

static void
channel_that_owes_nothing_more_is_closed_when_all_is_written(void **state)
{
	struct scene *scene = *state;
	struct buf got = { 0 };
	const size_t length = 900000;

	scene->channel.owes = owes;
	add_flood(scene, length);
	channel_flush(&scene->channel);
	shutdown(scene->peer, SHUT_WR);
	run_one_turn(scene);
	while (got.length < length) {
		read_at_peer(scene, &got);
		run_one_turn(scene);
	}
	assert_int_equal(scene->closed, 1);
	buf_done(&got);
}

static void
channel_that_is_closing_hears_no_line_that_was_read_already(void **state)
{
	struct scene *scene = *state;

	scene->on_line = answer_at_length_and_close;
	say(scene, "garbage\nrequest\nrequest\n");
	channel_drain(&scene->channel);
	assert_string_equal(buf_text(&scene->heard), "garbage|");
	assert_int_equal(scene->closed, 0);
	hang_up(scene);
	listen_for(scene, -1);
	assert_int_equal(scene->closed, 1);
	assert_string_equal(buf_text(&scene->heard), "garbage|");
}

static void
close_at_once(struct scene *scene)
{
	channel_close_when_written(&scene->channel);
}

static void
channel_closed_by_its_own_line_hears_no_other(void **state)
{
	struct scene *scene = *state;

	scene->on_line = close_at_once;
	say(scene, "one\ntwo\n");
	listen_for(scene, -1);
	assert_string_equal(buf_text(&scene->heard), "one|");
	assert_int_equal(scene->closed, 1);
}

/* ---- save and load ---- */

/* A second channel on the same descriptors, as another process would have it. */
static void
take_over(struct scene *scene, const struct buf *saved)
{
	int fd = dup(scene->channel.fd);

	assert_int_not_equal(fd, -1);
	channel_done(&scene->channel);
	assert_int_equal(
	    channel_init(&scene->channel, scene->loop, fd, line, closed, scene), 0);
	assert_int_equal(
	    channel_load(&scene->channel, buf_start(saved), saved->length), 0);
}

static void
channel_goes_on_in_the_middle_of_a_line_after_save_and_load(void **state)
{
	struct scene *scene = *state;
	struct buf saved = { 0 };

	say(scene, "one\ntw");
	channel_drain(&scene->channel);
	channel_save(&scene->channel, &saved);
	take_over(scene, &saved);
	say(scene, "o\n");
	listen_for(scene, 2);
	assert_string_equal(buf_text(&scene->heard), "one|two|");
	buf_done(&saved);
}

static void
channel_writes_what_was_not_written_after_save_and_load(void **state)
{
	struct scene *scene = *state;
	struct buf saved = { 0 }, got = { 0 };
	const size_t length = 900000;

	add_flood(scene, length);
	channel_flush(&scene->channel);
	channel_save(&scene->channel, &saved);
	take_over(scene, &saved);
	while (got.length < length) {
		read_at_peer(scene, &got);
		run_one_turn(scene);
	}
	assert_int_equal(got.length, length);
	buf_done(&saved);
	buf_done(&got);
}

static void
channel_that_was_closing_closes_after_save_and_load(void **state)
{
	struct scene *scene = *state;
	struct buf saved = { 0 }, got = { 0 };

	add_flood(scene, 900000);
	channel_close_when_written(&scene->channel);
	channel_save(&scene->channel, &saved);
	take_over(scene, &saved);
	while (scene->closed == 0) {
		read_at_peer(scene, &got);
		run_one_turn(scene);
	}
	assert_string_equal(scene->why, "");
	buf_done(&saved);
	buf_done(&got);
}

static void
channel_save_appends(void **state)
{
	struct scene *scene = *state;
	struct buf saved = { 0 };
	size_t length;

	channel_save(&scene->channel, &saved);
	length = saved.length;
	channel_save(&scene->channel, &saved);
	assert_int_equal(saved.length, 2 * length);
	assert_memory_equal(buf_start(&saved), buf_start(&saved) + length, length);
	buf_done(&saved);
}

/* Each length but the right one, and each byte of the head changed. */
static void
channel_load_refuses_what_was_not_saved_so(void **state)
{
	struct scene *scene = *state;
	struct buf saved = { 0 };
	char *bytes;

	say(scene, "torn");
	channel_drain(&scene->channel);
	channel_save(&scene->channel, &saved);
	buf_consume(&scene->channel.in, scene->channel.in.length);
	bytes = malloc(saved.length + 1);
	memcpy(bytes, buf_start(&saved), saved.length);
	bytes[saved.length] = 0;
	for (size_t length = 0; length <= saved.length + 1; length++) {
		if (length != saved.length)
			assert_int_equal(channel_load(&scene->channel, bytes, length), -1);
	}
	for (size_t at = 0; at < saved.length - strlen("torn"); at++) {
		for (int bit = 0; bit < 8; bit++) {
			char kept = bytes[at];

			bytes[at] = (char)(kept ^ (1 << bit));
			if (at / 4 != 1) /* a flag */
				assert_int_equal(channel_load(&scene->channel, bytes,
						     saved.length),
				    -1);
			bytes[at] = kept;
		}
	}
	assert_int_equal(scene->channel.in.length, 0);
	assert_int_equal(scene->channel.out.length, 0);
	free(bytes);
	buf_done(&saved);
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(channel_hears_lines_however_they_are_torn),
		SCENE(channel_skips_empty_lines),
		SCENE(channel_hands_on_nul_bytes_and_garbage_as_they_are),
		SCENE(channel_takes_a_line_as_long_as_the_limit),
		SCENE(channel_is_closed_by_a_line_that_is_too_long),
		SCENE(channel_is_closed_by_a_line_without_end_before_it_takes_much_memory),
		SCENE(channel_tells_end_of_file_once_and_after_the_last_line),
		SCENE(channel_drain_hears_all_and_does_not_wait),
		SCENE(channel_drain_hears_what_was_said_before_a_reset),
		SCENE(channel_tells_why_it_cannot_read),
		SCENE(channel_leaves_the_loop_to_others_in_a_flood),
		SCENE(channel_of_an_idle_peer_keeps_no_memory),
		SCENE(channel_flush_writes_at_once_what_the_peer_takes),
		SCENE(channel_writes_the_rest_when_the_peer_reads),
		SCENE(channel_cuts_off_a_peer_that_never_reads),
		SCENE(channel_keeps_as_much_as_largest_out_for_a_peer_that_does_not_read),
		SCENE(channel_flush_to_a_peer_that_is_gone_tells_why),
		SCENE(channel_close_when_written_closes_at_once_when_all_is),
		SCENE(channel_close_when_written_waits_for_the_peer_to_read),
		SCENE(channel_close_when_written_gives_up_when_the_peer_leaves),
		SCENE(channel_that_owes_answers_is_closed_after_the_last),
		SCENE(channel_that_owes_answers_is_closed_when_its_peer_hangs_up),
		SCENE(channel_that_owes_nothing_more_is_closed_when_all_is_written),
		SCENE(channel_that_is_closing_hears_no_line_that_was_read_already),
		SCENE(channel_closed_by_its_own_line_hears_no_other),
		SCENE(channel_goes_on_in_the_middle_of_a_line_after_save_and_load),
		SCENE(channel_writes_what_was_not_written_after_save_and_load),
		SCENE(channel_that_was_closing_closes_after_save_and_load),
		SCENE(channel_save_appends),
		SCENE(channel_load_refuses_what_was_not_saved_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
