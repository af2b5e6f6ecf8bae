/* lines: bursts of lines there and back, and a relay of two processes in plain C. */

#include "bench/kit/lines.h"
#include "base/xalloc.h"
#include "bench/kit/instance.h"
#include "bench/kit/measure.h"

#include <sys/socket.h>

#include <err.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK 65536

/* false: the other end is closed. */
static bool
send_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		bytes += sent;
		length -= (size_t)sent;
	}
	return true;
}

static size_t
count_lines(const char *bytes, size_t length)
{
	const char *end = bytes + length;
	size_t count = 0;

	while ((bytes = memchr(bytes, '\n', (size_t)(end - bytes))) != NULL) {
		bytes++;
		count++;
	}
	return count;
}

/* ---- the client ---- */

/* These kinds in turns, many times over: so a burst is one piece of memory. */
struct burst {
	char *text;
	size_t *ends; /* of each line */
	size_t most;  /* lines */
};

static void
burst_make(struct burst *burst, char *const *lines, size_t kinds, size_t most)
{
	size_t length = 0, room = 0;

	for (size_t i = 0; i < kinds; i++)
		room = strlen(lines[i]) > room ? strlen(lines[i]) : room;
	burst->text = xmalloc(room * most);
	burst->ends = xcalloc(most, sizeof(burst->ends[0]));
	burst->most = most;
	for (size_t i = 0; i < most; i++) {
		size_t add = strlen(lines[i % kinds]);

		memcpy(burst->text + length, lines[i % kinds], add);
		burst->ends[i] = length += add;
	}
}

static void
burst_done(struct burst *burst)
{
	free(burst->text);
	free(burst->ends);
}

static void
burst_send(const struct burst *burst, int fd, size_t count)
{
	if (!send_all(fd, burst->text, burst->ends[count - 1]))
		errx(1, "nobody reads what is sent");
}

static size_t
receive_lines(int fd)
{
	char bytes[CHUNK];
	ssize_t got = recv(fd, bytes, sizeof(bytes), 0);

	if (got <= 0)
		errx(1, "no answer");
	if (memmem(bytes, (size_t)got, "\"error\"", 7) != NULL)
		errx(1, "an error: %.*s", got < 300 ? (int)got : 300, bytes);
	return count_lines(bytes, (size_t)got);
}

double
lines_exchange(int fd, char *const *lines, size_t kinds, size_t count, size_t in_flight)
{
	struct burst burst;
	size_t sent = 0, answered = 0, more;
	double seconds;
	int64_t begin;

	burst_make(&burst, lines, kinds, in_flight);
	begin = now_ns();
	while (answered < count) {
		more = in_flight - (sent - answered);
		if (more > count - sent)
			more = count - sent;
		if (more > 0)
			burst_send(&burst, fd, more);
		sent += more;
		answered += receive_lines(fd);
	}
	seconds = seconds_since(begin);
	burst_done(&burst);
	return seconds;
}

double
lines_pour(int fd, char *const *lines, size_t kinds, size_t count)
{
	struct burst burst;
	size_t left = count;
	double seconds;
	int64_t begin;

	burst_make(&burst, lines, kinds, 256);
	begin = now_ns();
	while (left > 0) {
		size_t more = left < burst.most ? left : burst.most;

		burst_send(&burst, fd, more);
		left -= more;
	}
	while (receive_lines(fd) == 0)
		;
	seconds = seconds_since(begin);
	burst_done(&burst);
	return seconds;
}

/* ---- the relay ---- */

static void
pass_on(int one, int other)
{
	struct pollfd ends[2] = { { .fd = one, .events = POLLIN },
		{ .fd = other, .events = POLLIN } };
	char bytes[CHUNK];

	for (;;) {
		if (poll(ends, 2, -1) == -1)
			return;
		for (int i = 0; i < 2; i++) {
			ssize_t got;

			if (ends[i].revents == 0)
				continue;
			got = recv(ends[i].fd, bytes, sizeof(bytes), 0);
			if (got <= 0 || !send_all(ends[1 - i].fd, bytes, (size_t)got))
				return;
		}
	}
}

static void
answer(int fd, size_t count)
{
	char bytes[CHUNK];
	size_t lines = 0;
	ssize_t got;

	while ((got = recv(fd, bytes, sizeof(bytes), 0)) > 0) {
		if (count == 0) {
			if (!send_all(fd, bytes, (size_t)got))
				return;
			continue;
		}
		lines += count_lines(bytes, (size_t)got);
		if (lines >= count && !send_all(fd, "all\n", 4))
			return;
	}
}

static void
make_pair(int pair[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		err(1, "socketpair");
}

void
relay_start(struct relay *relay, size_t count)
{
	int near[2], far[2];

	make_pair(near);
	make_pair(far);
	for (int i = 0; i < 2; i++) {
		relay->pids[i] = fork();
		if (relay->pids[i] == -1)
			err(1, "fork");
		if (relay->pids[i] != 0)
			continue;
		close(near[0]);
		close(far[1 - i]);
		if (i == 0)
			pass_on(near[1], far[0]);
		else {
			close(near[1]);
			answer(far[1], count);
		}
		_exit(0);
	}
	close(near[1]);
	close(far[0]);
	close(far[1]);
	relay->fd = near[0];
}

void
relay_end(struct relay *relay)
{
	close(relay->fd);
	for (int i = 0; i < 2; i++)
		process_wait(relay->pids[i], "the relay");
}
