/* scene: a link in a loop, and the bare other end of its pair. */

#include "support/scene.h"

#include <sys/socket.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LONGEST_TEST_SECONDS 20

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

struct link *
scene_link(struct scene *scene, int fd)
{
	return link_new(scene->loop, fd, received, closed, scene);
}

int
scene_begin(void **state)
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
	scene->link = scene_link(scene, ends[0]);
	return scene->link != NULL ? 0 : -1;
}

int
scene_finish(void **state)
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

void
scene_wait(struct scene *scene, int expected)
{
	scene->expected = expected;
	assert_int_equal(loop_run(scene->loop), 0);
}

void
scene_send_raw(struct scene *scene, const void *bytes, size_t length, int descriptor, int copies)
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

void
scene_add_message(struct buf *packet, const void *bytes, size_t length)
{
	const uint64_t zero = 0;
	const uint32_t head[2] = { (uint32_t)length, 0 };

	buf_add(packet, head, sizeof(head));
	buf_add(packet, bytes, length);
	buf_add(packet, &zero, (8 - length % 8) % 8);
}

void
scene_send(struct scene *scene, const void *bytes, size_t length, int descriptor, int copies)
{
	struct buf packet = { 0 };

	scene_add_message(&packet, bytes, length);
	scene_send_raw(scene, buf_start(&packet), packet.length, descriptor, copies);
	buf_done(&packet);
}

ssize_t
scene_receive(struct scene *scene, void *bytes, size_t size)
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
