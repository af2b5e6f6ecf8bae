#ifndef KEEPER_LINK_H
#define KEEPER_LINK_H

#include "base/loop.h"

#include <stddef.h>

#define LINK_LARGEST_PACKET (128 << 10)
#define LINK_LARGEST_MESSAGE (LINK_LARGEST_PACKET - 8)

/*
 * Sends without ever waiting: messages gather until link_flush(), and what the kernel does
 * not take then is queued. A descriptor sent along must stay open until it is gone.
 */
struct link;

/* Called for each message; `descriptor` (-1: none) is the callee's to close. */
typedef void link_received(void *arg, const void *message, size_t length, int descriptor);
/* The other side is gone, or broke the rules. The link may be freed then. */
typedef void link_closed(void *arg);

/* Takes over fd. NULL with errno. */
struct link *link_new(struct loop *loop, int fd, link_received *received,
    link_closed *closed, void *arg);
void link_free(struct link *link); /* NULL is allowed; what was not flushed is dropped */
void link_send(struct link *link, const void *message, size_t length, int descriptor);
/* A message in two parts. */
void link_send_text(struct link *link, const void *message, size_t length, const char *text,
    size_t text_length);
/* The link closes the descriptor (-1: none) when it is gone. */
void link_give(struct link *link, const void *message, size_t length, int descriptor);
void link_flush(struct link *link); /* NULL is allowed */
/*
 * The last words: wait until the other side has taken, or will find in the socket, all that
 * was sent, or is gone; up to so many milliseconds. 0, or -1 if something is left.
 */
int link_finish(struct link *link, int timeout_ms);

/* Read what has arrived, without waiting for the loop to say so. */
void link_read(struct link *link);

#endif
