#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

/* A growing run of bytes, consumed from the front. All zero is a valid empty one. */
struct buf {
	char *data;    /* the first byte not consumed is data[start] */
	size_t start, length, room;
};

void buf_done(struct buf *buf);			/* frees; the buf is empty again */
void buf_clear(struct buf *buf);		/* empty, keeps its memory */
void buf_add(struct buf *buf, const void *bytes, size_t length);
void buf_add_text(struct buf *buf, const char *text); /* without its NUL */
void buf_addf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *buf_reserve(struct buf *buf, size_t length); /* room for this many at the end */
void buf_grown(struct buf *buf, size_t length);	   /* this many of them were filled */
void buf_consume(struct buf *buf, size_t length);  /* drop from the front */
const char *buf_text(struct buf *buf);		   /* the bytes with a NUL behind them */

/* Send all of it on a socket, however long that takes; no SIGPIPE. 0, or -1 with errno. */
int buf_send(struct buf *buf, int fd);

static inline char *
buf_start(const struct buf *buf)
{
	return buf->data + buf->start;
}

#endif
