/* channel: bytes to lines and back; never waits. */

#include "wire/channel.h"
#include "wire/line.h"

#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define READ_SIZE 65536
#define READS_AT_ONCE 4 /* a flood must not keep the others waiting */
#define SAVED_VERSION 1

struct saved {
	uint32_t version;
	uint32_t is_closing;
	uint64_t in_length, out_length;
};

static void
end(struct channel *channel, const char *why)
{
	if (channel->is_closed)
		return;
	channel->is_closed = true;
	loop_remove(channel->loop, channel->watch);
	channel->watch = NULL;
	channel->closed(channel->arg, why);
}

/* A peer that asks and does not listen waits for itself. */
static bool
may_read(const struct channel *channel)
{
	return !channel->is_closing && !channel->is_at_end &&
	    (channel->most_unread == 0 || channel->out.length <= channel->most_unread);
}

static void
watch_events(struct channel *channel)
{
	uint32_t events = may_read(channel) ? EPOLLIN : 0;

	if (channel->out.length > 0)
		events |= EPOLLOUT;
	if (channel->watch != NULL)
		loop_change(channel->loop, channel->watch, events);
}

/* The lines that are complete. false: the channel is closed, or about to be. */
static bool
deliver(struct channel *channel)
{
	const char *line;
	size_t length;

	for (;;) {
		switch (line_next(&channel->in, channel->largest_line, &line, &length)) {
		case LINE_NONE:
			return true;
		case LINE_TOO_LONG:
			end(channel, "line too long");
			return false;
		case LINE_COMPLETE:
			if (length > 0 || channel->hears_empty)
				channel->line(channel->arg, line, length);
			if (channel->is_closed || channel->is_closing)
				return false;
			line_consume(&channel->in);
		}
	}
}

/* A peer that still listens hears what it is owed; that it hangs up is told unasked. */
static void
end_of_file(struct channel *channel)
{
	channel->is_at_end = true;
	if (channel->owes == NULL || (channel->out.length == 0 && !channel->owes(channel->arg)))
		end(channel, NULL);
	else
		watch_events(channel);
}

/* Nothing was read. 1: there may be more; 0: not now; -1: no more. */
static int
read_nothing(struct channel *channel, ssize_t got)
{
	if (got == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	/* A reset may stand before the last bytes: only end of file is the end. */
	if (got == -1 && errno == ECONNRESET)
		return 1;
	if (got == 0)
		end_of_file(channel);
	else
		end(channel, strerror(errno));
	return channel->is_closed ? -1 : 0;
}

/* To make room for each read and to free it again costs as much as to read. */
static void
borrow_room(struct channel *channel)
{
	if (channel->in.room > 0)
		return;
	channel->in = *loop_room(channel->loop);
	*loop_room(channel->loop) = (struct buf){ 0 };
}

/* Idle peers cost no memory. */
static void
return_room(struct channel *channel)
{
	struct buf *room = loop_room(channel->loop);

	if (channel->in.length > 0)
		return;
	if (room->room == 0 && channel->in.room <= READ_SIZE)
		*room = channel->in;
	else
		buf_done(&channel->in);
	channel->in = (struct buf){ 0 };
}

static void
discard_held(struct channel *channel)
{
	/* Nothing of it is looked at: where the next bytes will be read is room enough. */
	while (channel->held > 0) {
		size_t most = channel->held < READ_SIZE ? channel->held : READ_SIZE;
		ssize_t got = recv(
		    channel->fd, buf_reserve(&channel->in, most), most, MSG_DONTWAIT);

		if (got == 0 || (got == -1 && errno != EINTR && errno != ECONNRESET))
			break; /* it was there a moment ago */
		channel->held -= got > 0 ? (size_t)got : 0;
	}
	channel->held = 0;
}

/* These lines are in the socket still. The same answers as read_once(). */
static int
deliver_held(struct channel *channel, size_t length)
{
	buf_grown(&channel->in, length);
	channel->held = length;
	if (!deliver(channel))
		return -1;
	if (!channel->must_hold(channel->arg)) {
		discard_held(channel);
		return channel->is_closed ? -1 : 1;
	}
	/* What is readable, or over, all the time would wake us all the time. */
	loop_remove(channel->loop, channel->watch);
	channel->watch = NULL;
	return 0;
}

/* One read. 1: there may be more; 0: not now; -1: no more. A short one took all there was. */
static int
read_once(struct channel *channel, bool *ret_was_short)
{
	char *room = buf_reserve(&channel->in, READ_SIZE);
	const char *newline;
	size_t most = READ_SIZE;
	ssize_t got;

	*ret_was_short = false;
	if (channel->must_hold != NULL) {
		got = recv(channel->fd, room, READ_SIZE, MSG_DONTWAIT | MSG_PEEK);
		if (got <= 0)
			return read_nothing(channel, got);
		newline = memrchr(room, '\n', (size_t)got);
		if (newline != NULL) {
			*ret_was_short = got < READ_SIZE && newline + 1 == room + got;
			return deliver_held(channel, (size_t)(newline - room) + 1);
		}
		/* No more than was looked at: what came since may be a line. */
		most = (size_t)got;
	}
	got = recv(channel->fd, room, most, MSG_DONTWAIT);
	if (got <= 0)
		return read_nothing(channel, got);
	*ret_was_short = got < READ_SIZE;
	buf_grown(&channel->in, (size_t)got);
	return deliver(channel) ? 1 : -1;
}

static void
read_some(struct channel *channel, int reads)
{
	bool was_short = false;

	borrow_room(channel);
	while (reads-- > 0 && !was_short && may_read(channel)) {
		int more = read_once(channel, &was_short);

		if (more == -1)
			return;
		if (more == 0)
			break;
	}
	return_room(channel);
}

static void
ready(void *arg, uint32_t events)
{
	struct channel *channel = arg;

	if (events & EPOLLOUT)
		channel_flush(channel);
	if ((events & EPOLLOUT) && channel->written != NULL && !channel->is_closed &&
	    channel->out.length == 0)
		channel->written(channel->arg);
	if (!channel->is_closed && (channel->is_closing || channel->is_at_end) &&
	    (events & (EPOLLHUP | EPOLLERR)))
		end(channel, NULL);
	else if (!channel->is_closed && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		read_some(channel, READS_AT_ONCE);
}

int
channel_init(struct channel *channel, struct loop *loop, int fd,
    void (*line)(void *arg, const char *line, size_t length),
    void (*closed)(void *arg, const char *why), void *arg)
{
	*channel = (struct channel){
		.fd = fd,
		.loop = loop,
		.largest_line = LINE_LARGEST,
		.largest_out = LINE_LARGEST,
		.line = line,
		.closed = closed,
		.arg = arg,
	};
	channel->watch = loop_add(loop, fd, EPOLLIN, ready, channel);
	return channel->watch != NULL ? 0 : -1;
}

void
channel_done(struct channel *channel)
{
	loop_remove(channel->loop, channel->watch);
	buf_done(&channel->in);
	buf_done(&channel->out);
	if (channel->fd != -1)
		close(channel->fd);
	*channel = (struct channel){ .fd = -1, .is_closed = true };
}

/* Nothing waits to be written: will nothing ever again? */
static bool
has_said_all(const struct channel *channel)
{
	return channel->is_closing || (channel->is_at_end && !channel->owes(channel->arg));
}

void
channel_flush(struct channel *channel)
{
	while (channel->out.length > 0 && !channel->is_closed) {
		ssize_t sent = send(channel->fd, buf_start(&channel->out),
		    channel->out.length, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent == -1 && errno == EINTR)
			continue;
		if (sent == -1 && errno == EAGAIN)
			break;
		if (sent == -1) {
			end(channel, strerror(errno));
			return;
		}
		buf_consume(&channel->out, (size_t)sent);
	}
	if (channel->is_closed)
		return;
	if (channel->out.length > channel->largest_out)
		end(channel, "it does not read what it is sent");
	else if (channel->out.length == 0 && has_said_all(channel))
		end(channel, NULL);
	else
		watch_events(channel);
	if (!channel->is_closed && channel->out.length == 0)
		buf_done(&channel->out);
}

/* All that is there at once, behind what was delivered of it already. */
static void
drain_held(struct channel *channel)
{
	struct buf all = { 0 };
	int there = 0;
	ssize_t got = -1;

	if (channel->is_drained || ioctl(channel->fd, FIONREAD, &there) == -1)
		return;
	channel->is_drained = true;
	for (int tries = 0; there > 0 && got == -1 && tries < 3; tries++)
		got = recv(channel->fd, buf_reserve(&all, (size_t)there), (size_t)there,
		    MSG_DONTWAIT | MSG_PEEK);
	if (got > 0 && (size_t)got > channel->held) {
		buf_grown(&all, (size_t)got);
		buf_add(&channel->in, buf_start(&all) + channel->held,
		    (size_t)got - channel->held);
		deliver(channel);
	}
	buf_done(&all);
}

void
channel_drain(struct channel *channel)
{
	bool was_short;

	if (channel->must_hold != NULL && !channel->is_closed) {
		drain_held(channel);
		return;
	}
	while (!channel->is_closed && !channel->is_closing &&
	    read_once(channel, &was_short) == 1)
		;
}

void
channel_release(struct channel *channel)
{
	if (channel->is_closed || channel->held == 0)
		return;
	discard_held(channel);
	return_room(channel);
	if (channel->is_drained || channel->watch != NULL)
		return;
	channel->watch = loop_add(channel->loop, channel->fd, EPOLLIN, ready, channel);
	watch_events(channel);
	if (channel->watch == NULL)
		end(channel, strerror(errno));
}

void
channel_close_when_written(struct channel *channel)
{
	channel->is_closing = true;
	channel_flush(channel);
}

void
channel_save(const struct channel *channel, struct buf *state)
{
	struct saved saved = {
		.version = SAVED_VERSION,
		.is_closing = channel->is_closing,
		.in_length = channel->in.length,
		.out_length = channel->out.length,
	};

	buf_add(state, &saved, sizeof(saved));
	buf_add(state, buf_start(&channel->in), channel->in.length);
	buf_add(state, buf_start(&channel->out), channel->out.length);
}

int
channel_load(struct channel *channel, const char *state, size_t length)
{
	struct saved saved;

	if (length < sizeof(saved))
		return -1;
	memcpy(&saved, state, sizeof(saved));
	if (saved.version != SAVED_VERSION || saved.in_length > length ||
	    saved.out_length > length ||
	    sizeof(saved) + saved.in_length + saved.out_length != length)
		return -1;
	channel->is_closing = saved.is_closing != 0;
	buf_add(&channel->in, state + sizeof(saved), saved.in_length);
	buf_add(&channel->out, state + sizeof(saved) + saved.in_length, saved.out_length);
	watch_events(channel);
	return 0;
}
