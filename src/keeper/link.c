/*
 * link: messages over a SOCK_SEQPACKET pair, without ever waiting.
 *
 * A packet is one message or many, each behind its length, at multiples of 8 bytes. One
 * that brings a descriptor has a packet of its own.
 */

#include "keeper/link.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/xalloc.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct packet {
	struct packet *next;
	size_t length;
	int descriptor;
	bool owns_descriptor; /* a memfd of our own */
	char bytes[];
};

struct head {
	uint32_t length; /* of the message that follows */
	uint32_t zero;
};

#define MOST_AT_ONCE 64 /* messages, or one packet of them */
#define ALIGNED(length) (((length) + 7) & ~(size_t)7)
_Static_assert(LINK_LARGEST_MESSAGE == LINK_LARGEST_PACKET - sizeof(struct head), "room");

struct link {
	struct loop *loop;
	struct loop_watch *watch;
	int fd;
	link_received *received;
	link_closed *closed;
	void *arg;
	struct buf gathered;	      /* the next packet */
	struct packet *first, **last; /* what the kernel did not take yet */
	char *buffer;		      /* LINK_LARGEST_PACKET bytes */
};

static void
packet_free(struct packet *packet)
{
	if (packet->owns_descriptor)
		close(packet->descriptor);
	free(packet);
}

static ssize_t
send_with(int fd, const void *bytes, size_t length, int descriptor)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec vector = { (void *)bytes, length };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };

	if (descriptor != -1) {
		struct cmsghdr *header;

		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* -1 with EAGAIN: not now. */
static ssize_t
send_now(int fd, const void *bytes, size_t length, int descriptor)
{
	ssize_t sent = send_with(fd, bytes, length, descriptor);

	/* With too many descriptors under way the word is worth more than what it brings. */
	if (sent == -1 && errno == ETOOMANYREFS)
		sent = send_with(fd, bytes, length, -1);
	if (sent == -1 && (errno == ENOBUFS || errno == ENOMEM || errno == EINTR))
		errno = EAGAIN;
	return sent;
}

/* The descriptor that came along, -1 if none did; any others are closed. */
static int
take_descriptor(struct msghdr *message)
{
	int found = -1;

	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL;
	     header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; at + sizeof(int) <= header->cmsg_len - CMSG_LEN(0);
		     at += sizeof(int)) {
			int descriptor;

			memcpy(&descriptor, CMSG_DATA(header) + at, sizeof(int));
			if (found == -1)
				found = descriptor;
			else
				close(descriptor);
		}
	}
	return found;
}

/* Every message of a packet: how many; -1 when its lengths do not add up. */
static int
take_apart(struct link *link, const char *packet, size_t length, int descriptor)
{
	struct head head;
	int count = 0;

	for (size_t at = 0; at < length; at += sizeof(head) + ALIGNED(head.length)) {
		if (length - at < sizeof(head))
			goto failed;
		memcpy(&head, packet + at, sizeof(head));
		if (ALIGNED((size_t)head.length) > length - at - sizeof(head))
			goto failed;
		link->received(link->arg, packet + at + sizeof(head), head.length, descriptor);
		descriptor = -1;
		count++;
	}
	return count;
failed:
	if (descriptor != -1)
		close(descriptor);
	return -1;
}

/* Until there is nothing more, or there were so many. */
static void
read_some(struct link *link, int most)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;

	/* Callbacks must not free the link; closed() is the last one. */
	for (int taken = 0, count; taken < most; taken += count) {
		struct iovec vector = { link->buffer, LINK_LARGEST_PACKET };
		struct msghdr message = { .msg_iov = &vector,
			.msg_iovlen = 1,
			.msg_control = control.bytes,
			.msg_controllen = sizeof(control.bytes) };
		ssize_t got = recvmsg(link->fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		int descriptor = got != -1 ? take_descriptor(&message) : -1;

		if (got == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got <= 0 || (message.msg_flags & MSG_TRUNC)) {
			if (descriptor != -1)
				close(descriptor);
			link->closed(link->arg);
			return;
		}
		count = take_apart(link, link->buffer, (size_t)got, descriptor);
		if (count == -1) {
			link->closed(link->arg);
			return;
		}
	}
}

void
link_read(struct link *link)
{
	read_some(link, INT_MAX);
}

static void
send_queued(struct link *link)
{
	struct packet *packet;

	while ((packet = link->first) != NULL) {
		if (send_now(link->fd, packet->bytes, packet->length, packet->descriptor) ==
			-1 &&
		    errno == EAGAIN)
			return;
		/* Any other failure is the other side's death, which link_read() will see. */
		link->first = packet->next;
		if (link->first == NULL)
			link->last = &link->first;
		packet_free(packet);
	}
	loop_change(link->loop, link->watch, EPOLLIN);
}

static void
link_ready(void *arg, uint32_t events)
{
	struct link *link = arg;

	if (events & EPOLLOUT)
		send_queued(link);
	/* Thousands of orders take seconds: who has more to say waits for the next turn. */
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		read_some(link, MOST_AT_ONCE);
}

struct link *
link_new(struct loop *loop, int fd, link_received *received, link_closed *closed, void *arg)
{
	struct link *link = xcalloc(1, sizeof(*link));
	const int room = 2 * LINK_LARGEST_PACKET;

	*link = (struct link){ .loop = loop, .fd = fd, .received = received,
		.closed = closed, .arg = arg };
	link->last = &link->first;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)); /* whatever the default is */
	link->buffer = xmalloc(LINK_LARGEST_PACKET);
	link->watch = loop_add(loop, fd, EPOLLIN, link_ready, link);
	if (link->watch == NULL) {
		link_free(link);
		return NULL;
	}
	return link;
}

void
link_free(struct link *link)
{
	struct packet *packet;

	if (link == NULL)
		return;
	loop_remove(link->loop, link->watch);
	while ((packet = link->first) != NULL) {
		link->first = packet->next;
		packet_free(packet);
	}
	close(link->fd);
	buf_done(&link->gathered);
	free(link->buffer);
	free(link);
}

int
link_finish(struct link *link, int timeout_ms)
{
	const struct mono begin = clock_mono();

	link_flush(link);
	while (link->first != NULL) {
		struct pollfd writable = { .fd = link->fd, .events = POLLOUT };
		int64_t left = timeout_ms - (clock_mono().ms - begin.ms);

		if (left <= 0 || (poll(&writable, 1, (int)left) == -1 && errno != EINTR))
			return -1;
		send_queued(link);
	}
	return 0;
}

static void
send_or_queue(struct link *link, const void *bytes, size_t length, int descriptor,
    bool owns_descriptor)
{
	struct packet *packet;

	if (link->first == NULL &&
	    (send_now(link->fd, bytes, length, descriptor) != -1 || errno != EAGAIN)) {
		if (owns_descriptor)
			close(descriptor);
		return;
	}
	packet = xmalloc(sizeof(*packet) + length);
	*packet = (struct packet){ .length = length, .descriptor = descriptor,
		.owns_descriptor = owns_descriptor };
	memcpy(packet->bytes, bytes, length);
	if (link->first == NULL)
		loop_change(link->loop, link->watch, EPOLLIN | EPOLLOUT);
	*link->last = packet;
	link->last = &packet->next;
}

void
link_flush(struct link *link)
{
	if (link == NULL || link->gathered.length == 0)
		return;
	send_or_queue(link, buf_start(&link->gathered), link->gathered.length, -1, false);
	buf_clear(&link->gathered);
}

void
link_send_text(struct link *link, const void *message, size_t length, const char *text,
    size_t text_length)
{
	struct head head = { .length = (uint32_t)(length + text_length) };
	size_t padded = ALIGNED(length + text_length);

	if (link->gathered.length + sizeof(head) + padded > LINK_LARGEST_PACKET)
		link_flush(link);
	buf_add(&link->gathered, &head, sizeof(head));
	buf_add(&link->gathered, message, length);
	if (text_length > 0)
		buf_add(&link->gathered, text, text_length);
	buf_add(&link->gathered, &(uint64_t){ 0 }, padded - length - text_length);
}

/* A packet of its own. */
static void
send_alone(struct link *link, const void *message, size_t length, int descriptor,
    bool owns_descriptor)
{
	link_flush(link);
	link_send_text(link, message, length, NULL, 0);
	send_or_queue(link, buf_start(&link->gathered), link->gathered.length, descriptor,
	    owns_descriptor);
	buf_clear(&link->gathered);
}

void
link_send(struct link *link, const void *message, size_t length, int descriptor)
{
	if (descriptor != -1)
		send_alone(link, message, length, descriptor, false);
	else
		link_send_text(link, message, length, NULL, 0);
}

void
link_give(struct link *link, const void *message, size_t length, int descriptor)
{
	send_alone(link, message, length, descriptor, descriptor != -1);
}
