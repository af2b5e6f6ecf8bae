#ifndef SUPERVISOR_PLAIN_H
#define SUPERVISOR_PLAIN_H

#include "supervisor/server.h"
#include "wire/notification.h"

/*
 * A plain service in a live attempt: a server without a mailbox, which is any program. It is
 * started when it has been executed, or says so in one of two ways; it is asked to end by a
 * signal; and it may have to give signs of life.
 *
 *   plain.c         its life
 *   plain_notify.c  what it says to NOTIFY_SOCKET
 */
struct plain {
	struct server *server;
	struct service service;
	int64_t init_timeout_ms; /* to become ready in; or SPEC_UNSET */
	struct loop_watch *watch; /* of the live attempt's notify_fd; NULL: not yet */
	bool holds; /* what is first in that socket stays there until it is recorded */
	struct timer watchdog;
	bool is_stopping; /* it says so: no sign of life is expected any more */
	struct mono alive; /* its last sign of life */
	int events;	   /* it has led to so many in the history */
	char status[NOTIFICATION_STATUS_SIZE]; /* as it has said last */
};

/* ---- plain.c ---- */

/* It has been claimed, or runs since before us. */
void plain_add(struct server *server, const struct service *service, int64_t init_timeout_ms);
void plain_attach(struct server *server, const struct open_attempt *open);
void plain_done(struct server *server);
/* Does it run on when its keeper has died? Not if nobody can know whether it is ready. */
bool plain_survives(const struct open_attempt *open);

/* Its process is there. */
void plain_started(struct server *server);
/* It says that it is ready; heard only once. */
void plain_is_ready(struct server *server);
/* A line of its stream that is no message to us: is it what it is to say when it is ready? */
bool plain_takes_line(struct server *server);
/* What it said is recorded. */
void plain_recorded(struct server *server);
/* A sign of life. */
void plain_lives(struct plain *plain);
/* Nothing more is expected of it. */
void plain_unwatch(struct plain *plain);
/* End it: it does not do what it should. */
void plain_is_stuck(struct plain *plain);
/* Ask it to end, by its signal. */
void plain_stop(struct server *server, int64_t grace_ms);
/* It has ended: what it still has to say; was_there: it had become its program. */
void plain_last_words(struct server *server, bool was_there);

/* Whoever has a message for it is told that it takes none: true; false: it is not plain. */
bool plain_refuses(const struct server *server, struct caller caller);
#define PLAIN_NO_MAILBOX "it is a plain service, which takes no messages"

/* ---- plain_notify.c ---- */

/* The keeper has handed us its socket, or its process is there: hear it from now on. */
void plain_listen(struct plain *plain);
/* What has been said by now. */
void plain_hear(struct plain *plain);
/* All of it, at the end. */
void plain_hear_last(struct plain *plain);
/* What was held is recorded. */
void plain_release(struct plain *plain);
/* Can a service of this instance have such a socket? 0, or -1 with *error. */
int plain_check_path(const struct supervisor *supervisor, struct error *error);

#endif
