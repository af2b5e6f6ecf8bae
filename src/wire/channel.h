#ifndef WIRE_CHANNEL_H
#define WIRE_CHANNEL_H

#include "base/buf.h"
#include "base/loop.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * One peer on a stream socket, in lines: a client of the control socket, or a job on its
 * fd 3. Everything that a peer's conversation consists of between two lines is in here,
 * so that channel_save() and channel_load() can hand it to another process.
 */
struct channel {
	int fd; /* owned */
	struct loop *loop;
	struct loop_watch *watch;
	struct buf in, out;
	size_t largest_line; /* a longer one ends the channel */
	size_t largest_out;  /* a peer that does not read is cut off beyond this */
	size_t most_unread;  /* 0, or: while more waits to be written nothing is read */
	bool hears_empty;    /* empty lines are delivered, too */
	bool is_closing;     /* no more lines; closed() once all is written */
	bool is_at_end;	     /* likewise, since the peer writes no more, and once nothing is owed */
	bool is_closed;	     /* closed() was called */
	size_t held;	     /* bytes of lines that were delivered and are still in the socket */
	bool is_drained;     /* all that is in the socket was delivered: no more reading */
	void (*line)(void *arg, const char *line, size_t length);
	void (*closed)(void *arg, const char *why); /* once; why NULL: end of file */
	/*
	 * NULL, or asked after lines: are they to stay in the socket, for whoever comes after us
	 * should we die, until channel_release()? Nothing more is read before that.
	 */
	bool (*must_hold)(void *arg);
	/*
	 * NULL: a peer that writes no more is gone. Or asked at its end of file, and when all is
	 * written after that: is there more that is still to be written?
	 */
	bool (*owes)(void *arg);
	void (*written)(void *arg); /* NULL, or: all that waited to be written has been */
	void *arg;
};

/* 0, or -1 with errno and the fd left to the caller. All limits are LINE_LARGEST first. */
int channel_init(struct channel *channel, struct loop *loop, int fd,
    void (*line)(void *arg, const char *line, size_t length),
    void (*closed)(void *arg, const char *why), void *arg);

/* Close the descriptor and free the buffers. closed() is not called. */
void channel_done(struct channel *channel);

/* Fill channel->out (rpc_add_…), then this: writes what can be written without waiting. */
void channel_flush(struct channel *channel);

/*
 * Read until there is nothing more right now, calling line() for each one. With must_hold this
 * is the end of reading, and leaves everything in the socket.
 */
void channel_drain(struct channel *channel);

/* What was delivered is safe: take it out of the socket and read on. */
void channel_release(struct channel *channel);

/* Call closed() as soon as everything is written; no line is heard any more. */
void channel_close_when_written(struct channel *channel);

/*
 * The conversation's state as bytes, and back into a fresh channel: 0, or -1 when the
 * bytes are damaged or of another version. The descriptor travels on its own.
 */
void channel_save(const struct channel *channel, struct buf *state);
int channel_load(struct channel *channel, const char *state, size_t length);

#endif
