/*
 * outfile: reading a file that a job may still be writing, and whose middle jobberd may
 * be punching out meanwhile. A chunk counts as read only if no hole has come into it by
 * the time it was read, so zeros of a hole are never taken for the job's.
 */

#include "cli/outfile.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "cli/escape.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 65536

void
outfile_open(struct outfile *file, const char *state_directory, int64_t job,
    int64_t attempt)
{
	*file = (struct outfile){
		.path = xasprintf(
		    "%s/output/%" PRId64 ".%" PRId64, state_directory, job, attempt),
		.fd = -1,
		.escapes = isatty(STDOUT_FILENO) != 0,
	};
}

void
outfile_close(struct outfile *file)
{
	if (file->fd != -1)
		close(file->fd);
	free(file->path);
	buf_done(&file->held);
	*file = (struct outfile){ .fd = -1 };
}

static void
write_out(struct outfile *file, const char *bytes, size_t length)
{
	if (length == 0)
		return;
	fwrite(bytes, 1, length, stdout);
	file->is_mid_line = bytes[length - 1] != '\n';
}

/* What is held back at the end of a chunk goes before the next one. */
static void
write_escaped(struct outfile *file, const char *bytes, size_t length, bool is_end)
{
	struct buf out = { 0 };

	buf_add(&file->held, bytes, length);
	if (file->held.length > 0)
		buf_consume(&file->held,
		    escape_add(&out, buf_start(&file->held), file->held.length,
			ESCAPE_KEEP_LINES | ESCAPE_KEEP_COLOUR, is_end));
	write_out(file, buf_start(&out), out.length);
	buf_done(&out);
}

static void
print_bytes(struct outfile *file, const char *bytes, size_t length)
{
	if (file->escapes)
		write_escaped(file, bytes, length, false);
	else
		write_out(file, bytes, length);
}

static void
print_gap(struct outfile *file, int64_t bytes)
{
	char size[32];

	write_escaped(file, "", 0, true);
	printf("%s… %s left out …\n", file->is_mid_line ? "\n" : "",
	    text_format_size(size, sizeof(size), bytes));
	file->is_mid_line = false;
}

/* Where data goes on: `at` itself unless it is in a hole; -1: no data is left. */
static int64_t
data_from(int fd, int64_t at)
{
	int64_t data = lseek(fd, at, SEEK_DATA);

	if (data == -1)
		return errno == ENXIO ? -1 : at; /* a file system that knows no holes */
	return data;
}

/* How many of these bytes are before the next hole. */
static size_t
bytes_before_hole(int fd, int64_t at, size_t length)
{
	int64_t hole = lseek(fd, at, SEEK_HOLE);

	if (hole == -1 || hole >= at + (int64_t)length)
		return length;
	return hole > at ? (size_t)(hole - at) : 0;
}

/* Print one chunk, or skip one hole. False when there is nothing more now. */
static bool
print_chunk(struct outfile *file)
{
	char bytes[CHUNK];
	int64_t data = data_from(file->fd, file->at);
	ssize_t got;

	if (data > file->at) {
		print_gap(file, data - file->at);
		file->at = data;
	}
	if (data == -1)
		return false;
	got = pread(file->fd, bytes, sizeof(bytes), file->at);
	if (got <= 0)
		return false;
	got = (ssize_t)bytes_before_hole(file->fd, file->at, (size_t)got);
	print_bytes(file, bytes, (size_t)got);
	file->at += got;
	return true;
}

void
outfile_print(struct outfile *file, bool is_end)
{
	int flags = O_RDONLY | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC;

	if (file->fd == -1)
		file->fd = open(file->path, flags);
	while (file->fd != -1 && print_chunk(file))
		;
	if (is_end)
		write_escaped(file, "", 0, true);
	fflush(stdout);
}
