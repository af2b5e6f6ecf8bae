/*
 * plain_notify: what a service says to NOTIFY_SOCKET. The keeper holds that socket too: what
 * is to be recorded stays in it until it is, and nothing behind it is read before; so that
 * whoever comes after us, should we die, finds it there. A sender that waits for all before
 * to be heard (BARRIER=1) has put a descriptor into the socket, which closes when it is read.
 */

#include "base/socket.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "supervisor/plain.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LARGEST_DATAGRAM 8192
#define MOST_AT_ONCE 64
#define MOST_DESCRIPTORS 253 /* the kernel's limit */
#define MOST_EVENTS 100	     /* of an attempt */

/* ---- what it says ---- */

static void
note_recorded(void *arg, struct step *step)
{
	const struct attempt_key *key =
	    step->kind == STEP_NOTE ? &step->note.key : &step->ready.key;
	struct live *live = live_find(arg, key->job);

	if (live != NULL && live->key.attempt == key->attempt && live->server != NULL &&
	    live->server->plain != NULL)
		plain_recorded(live->server);
}

static bool
note_status(struct plain *plain, const struct notification *said)
{
	struct live *live = plain->server->live;
	struct step *step;

	if (!said->has_status || strcmp(said->status, plain->status) == 0)
		return false;
	memcpy(plain->status, said->status, sizeof(plain->status));
	step = turn_add(live->supervisor, STEP_NOTE, note_recorded, live->supervisor);
	step->note.key = live->key;
	step->note.note = NOTE_PROGRESS;
	step->note.fraction = -1;
	step->note.text = said->status[0] != '\0' ? xstrdup(said->status) : NULL;
	return true;
}

/* Of these none is worth to be held back for: what follows from them is not theirs. */
static void
note_event(struct plain *plain, const char *event, const char *detail)
{
	const struct live *live = plain->server->live;

	if (plain->events++ < MOST_EVENTS)
		turn_add_event(live->supervisor, live->key.job, live->key.attempt, event,
		    detail != NULL ? xstrdup(detail) : NULL);
}

static void
note_events(struct plain *plain, const struct notification *said)
{
	if (said->is_reloading)
		note_event(plain, "reloading", NULL);
	if (said->is_stopping) {
		note_event(plain, "stopping", NULL);
		plain->is_stopping = true;
		plain_unwatch(plain);
	}
	if (said->names_other)
		note_event(plain, "message not understood",
		    "MAINPID: the process that was started is the one that counts");
	if (said->sets_watchdog)
		note_event(plain, "message not understood",
		    "WATCHDOG_USEC: the limit is the one that it was started with");
	if (said->gives_descriptors)
		note_event(plain, "message not understood",
		    "FDSTORE: descriptors are not kept");
}

static void
heed_times(struct plain *plain, const struct notification *said)
{
	struct server *server = plain->server;
	struct loop *loop = server->supervisor->loop;

	if (said->lives)
		plain_lives(plain);
	if (said->extend_ms != -1 && server->phase == SERVER_INIT &&
	    timer_is_set(&server->timer) &&
	    loop_timer_left(loop, &server->timer) < said->extend_ms)
		loop_timer_set(loop, &server->timer, said->extend_ms);
}

/* true: something of it is to be recorded before it may be forgotten. */
static bool
heed(struct plain *plain, const struct notification *said)
{
	bool becomes_ready = said->is_ready && plain->service.ready == READY_NOTIFY &&
	    plain->server->phase == SERVER_INIT;
	bool has_status;

	heed_times(plain, said);
	if (becomes_ready)
		plain_is_ready(plain->server);
	has_status = note_status(plain, said);
	note_events(plain, said);
	if (said->is_stuck && plain->service.watchdog_ms != -1)
		plain_is_stuck(plain);
	return becomes_ready || has_status;
}

/* ---- its socket ---- */

static void
close_descriptors(struct msghdr *message)
{
	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL;
	     header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; at + sizeof(int) <= header->cmsg_len - CMSG_LEN(0);
		     at += sizeof(int)) {
			int descriptor;

			memcpy(&descriptor, CMSG_DATA(header) + at, sizeof(int));
			close(descriptor);
		}
	}
}

/* The length of the first datagram, cut off at the buffer's, or -1; its descriptors are closed. */
static ssize_t
receive(int fd, char *bytes, size_t size, int flags)
{
	union {
		char bytes[CMSG_SPACE(MOST_DESCRIPTORS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec vector = { bytes, size };
	struct msghdr message = { .msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	ssize_t got = recvmsg(fd, &message, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (got != -1)
		close_descriptors(&message);
	return got;
}

static void
take_out_first(struct plain *plain)
{
	char byte;

	receive(plain->server->live->notify_fd, &byte, sizeof(byte), 0);
}

void
plain_hear(struct plain *plain)
{
	struct server *server = plain->server;
	char bytes[LARGEST_DATAGRAM];
	struct notification said;

	if (server->live->notify_fd == -1 || plain->watch == NULL)
		return;
	for (int i = 0; i < MOST_AT_ONCE && !plain->holds; i++) {
		ssize_t got =
		    receive(server->live->notify_fd, bytes, sizeof(bytes), MSG_PEEK);

		if (got == -1)
			return;
		notification_parse(&said, bytes, (size_t)got);
		plain->holds = heed(plain, &said);
		if (!plain->holds)
			take_out_first(plain);
	}
	if (plain->holds)
		loop_change(server->supervisor->loop, plain->watch, 0);
}

static void
socket_ready(void *arg, uint32_t events)
{
	(void)events;
	plain_hear(arg);
}

static void
set_peek_offset(int fd, int offset)
{
	(void)setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset));
}

void
plain_listen(struct plain *plain)
{
	struct live *live = plain->server->live;

	if (live->notify_fd == -1 || plain->watch != NULL || live->has_ended)
		return;
	set_peek_offset(live->notify_fd, -1); /* one before us may have died at its end */
	plain->watch = loop_add(
	    live->supervisor->loop, live->notify_fd, EPOLLIN, socket_ready, plain);
}

/* Looked at one after the other, and left there: the keeper forgets them with its end. */
void
plain_hear_last(struct plain *plain)
{
	struct live *live = plain->server->live;
	bool was_heeded = plain->holds; /* the first: what follows from it is on its way */
	char bytes[LARGEST_DATAGRAM];
	struct notification said;
	ssize_t got;

	if (live->notify_fd == -1)
		return;
	loop_remove(live->supervisor->loop, plain->watch);
	plain->watch = NULL;
	set_peek_offset(live->notify_fd, 0);
	while ((got = receive(live->notify_fd, bytes, sizeof(bytes), MSG_PEEK)) > 0) {
		notification_parse(&said, bytes, (size_t)got);
		if (!was_heeded)
			heed(plain, &said);
		was_heeded = false;
	}
}

void
plain_release(struct plain *plain)
{
	if (!plain->holds || plain->watch == NULL)
		return;
	plain->holds = false;
	take_out_first(plain);
	loop_change(plain->server->supervisor->loop, plain->watch, EPOLLIN);
}

int
plain_check_path(const struct supervisor *supervisor, struct error *error)
{
	size_t length = strlen(supervisor->setup->state_directory);

	if (length <= socket_longest_state())
		return 0;
	return error_set(error, STATUS_USAGE,
	    "ready notify: the path of the state directory has %zu bytes, and with more than "
	    "%zu there can be no socket below it",
	    length, socket_longest_state());
}
