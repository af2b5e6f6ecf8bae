/*
 * stream: the bytes of the one descriptor, read and written with waiting. What arrives while
 * we write is read, so that no peer that reads and writes by turns can be stuck with us.
 */

#include "runtime/runtime.h"

#include <sys/eventfd.h>
#include <sys/socket.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#define READ_AT_ONCE (16 << 10)

/* Becomes readable with a SIGTERM; a handler can reach nothing else. -1: not trapping. */
static int sigterm_fd = -1;

static void
on_sigterm(int signal)
{
	int saved = errno;
	uint64_t one = 1;

	(void)signal;
	if (write(sigterm_fd, &one, sizeof(one)) == -1)
		errno = saved; /* it is readable already */
	errno = saved;
}

void
stream_trap_sigterm(bool traps)
{
	struct sigaction action = { .sa_flags = SA_RESTART };

	if (sigterm_fd == -1)
		sigterm_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	action.sa_handler = traps && sigterm_fd != -1 ? on_sigterm : SIG_DFL;
	sigaction(SIGTERM, &action, NULL);
}

/* STREAM_TIMEOUT: there is nothing right now. */
static enum stream_event
read_some(struct gen_server *server)
{
	char *room = buf_reserve(&server->in, READ_AT_ONCE);
	ssize_t got;

	do {
		/* ECONNRESET comes once, before what the peer had written. */
		got = recv(server->fd, room, READ_AT_ONCE, MSG_DONTWAIT);
	} while (got == -1 && (errno == EINTR || errno == ECONNRESET));
	if (got > 0) {
		buf_grown(&server->in, (size_t)got);
		return STREAM_BYTES;
	}
	if (got == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return STREAM_TIMEOUT;
	server->is_at_end = true;
	return STREAM_END;
}

static int
poll_limit(int64_t timeout_ms)
{
	return timeout_ms < 0 ? -1 : timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms;
}

static bool
was_sigterm(const struct gen_server *server, const struct pollfd *wanted)
{
	uint64_t count;

	return server->traps_exit && wanted->revents != 0 &&
	    read(wanted->fd, &count, sizeof(count)) == sizeof(count);
}

enum stream_event
stream_wait(struct gen_server *server, int64_t timeout_ms)
{
	struct pollfd wanted[2] = {
		{ .fd = server->fd, .events = POLLIN },
		{ .fd = sigterm_fd, .events = POLLIN },
	};
	int ready;

	/* No poll(2) tells of what was read while we wrote. */
	if (server->has_unseen) {
		server->has_unseen = false;
		return STREAM_BYTES;
	}
	if (server->is_at_end)
		return STREAM_END;
	ready = poll(wanted, sigterm_fd != -1 ? 2 : 1, poll_limit(timeout_ms));
	if (ready == -1 && errno != EINTR) {
		server->is_at_end = true;
		return STREAM_END;
	}
	if (ready <= 0)
		return STREAM_TIMEOUT;
	if (was_sigterm(server, &wanted[1]))
		return STREAM_SIGTERM;
	return wanted[0].revents != 0 ? read_some(server) : STREAM_TIMEOUT;
}

/* Until something can be written. */
static void
wait_writable(struct gen_server *server)
{
	struct pollfd wanted = { .fd = server->fd, .events = POLLOUT };

	if (!server->is_at_end)
		wanted.events |= POLLIN;
	if (poll(&wanted, 1, -1) == 1 && (wanted.revents & POLLIN) != 0 &&
	    !server->is_at_end && read_some(server) == STREAM_BYTES)
		server->has_unseen = true;
}

void
stream_flush(struct gen_server *server)
{
	struct buf *out = &server->out;
	ssize_t sent;

	while (out->length > 0 && !server->is_unheard) {
		sent = send(server->fd, buf_start(out), out->length,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent > 0)
			buf_consume(out, (size_t)sent);
		else if (sent == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
			wait_writable(server);
		else if (sent == -1 && errno != EINTR)
			server->is_unheard = true;
	}
	buf_clear(out);
}
