/* buf: bytes on their way in or out. */

#include "base/buf.h"
#include "base/xalloc.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
buf_done(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){ 0 };
}

void
buf_clear(struct buf *buf)
{
	buf->start = buf->length = 0;
}

char *
buf_reserve(struct buf *buf, size_t length)
{
	if (buf->start > 0 && buf->start + buf->length + length > buf->room) {
		memmove(buf->data, buf->data + buf->start, buf->length);
		buf->start = 0;
	}
	if (buf->length + length > buf->room) {
		buf->room = buf->room > 0 ? buf->room : 256;
		while (buf->length + length > buf->room)
			buf->room *= 2;
		buf->data = xreallocarray(buf->data, buf->room, 1);
	}
	return buf->data + buf->start + buf->length;
}

void
buf_grown(struct buf *buf, size_t length)
{
	buf->length += length;
}

void
buf_add(struct buf *buf, const void *bytes, size_t length)
{
	if (length == 0)
		return;
	memcpy(buf_reserve(buf, length), bytes, length);
	buf->length += length;
}

void
buf_add_text(struct buf *buf, const char *text)
{
	buf_add(buf, text, strlen(text));
}

void
buf_addf(struct buf *buf, const char *format, ...)
{
	va_list arguments;
	size_t room = 128;
	int length;

	va_start(arguments, format);
	length = vsnprintf(buf_reserve(buf, room), room, format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	if ((size_t)length >= room) {
		room = (size_t)length + 1;
		va_start(arguments, format);
		vsnprintf(buf_reserve(buf, room), room, format, arguments);
		va_end(arguments);
	}
	buf->length += (size_t)length;
}

void
buf_consume(struct buf *buf, size_t length)
{
	buf->start += length;
	buf->length -= length;
	if (buf->length == 0)
		buf->start = 0;
}

const char *
buf_text(struct buf *buf)
{
	*buf_reserve(buf, 1) = '\0';
	return buf_start(buf);
}

int
buf_send(struct buf *buf, int fd)
{
	while (buf->length > 0) {
		ssize_t sent = send(fd, buf_start(buf), buf->length, MSG_NOSIGNAL);

		if (sent == -1 && errno == EINTR)
			continue;
		if (sent == -1)
			return -1;
		buf_consume(buf, (size_t)sent);
	}
	return 0;
}
