/*
 * outfile: reading a file that a job may still be writing, and of which jobberd may be
 * punching out parts meanwhile. A chunk counts as read only if no hole has come into it by
 * the time it was read, so zeros of a hole are never taken for the job's. What is in a hole
 * is in a segment, which was there before the hole, or it is gone.
 */

#include "cli/outfile.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "cli/escape.h"
#include "model/output_name.h"

#include <dirent.h>
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
	char name[OUTPUT_NAME_SIZE], segments[OUTPUT_NAME_SIZE];

	output_name(name, job, attempt, "");
	output_name(segments, job, attempt, OUTPUT_SEGMENTS);
	*file = (struct outfile){
		.path = xasprintf("%s/output/%s", state_directory, name),
		.segments = xasprintf("%s/output/%s", state_directory, segments),
		.fd = -1,
		.segment_fd = -1,
		.escapes = isatty(STDOUT_FILENO) != 0,
	};
}

void
outfile_close(struct outfile *file)
{
	if (file->fd != -1)
		close(file->fd);
	if (file->segment_fd != -1)
		close(file->segment_fd);
	free(file->path);
	free(file->segments);
	buf_done(&file->held);
	*file = (struct outfile){ .fd = -1, .segment_fd = -1 };
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
	if (file->take != NULL)
		file->take(file->arg, file->at, bytes, length);
	else if (file->escapes)
		write_escaped(file, bytes, length, false);
	else
		write_out(file, bytes, length);
}

static void
print_gap(struct outfile *file, int64_t bytes)
{
	char size[32];

	if (file->left_out != NULL)
		*file->left_out += bytes;
	if (file->take != NULL || file->left_out != NULL)
		return;
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

/* ---- segments ---- */

static void
close_segment(struct outfile *file)
{
	if (file->segment_fd != -1)
		close(file->segment_fd);
	file->segment_fd = -1;
}

/* Where the segment begins that has `at` in it, else the next one; -1: there is none. */
static int64_t
find_segment(const char *directory_path, int64_t at)
{
	DIR *directory = opendir(directory_path);
	int64_t before = -1, behind = -1;
	struct dirent *entry;
	struct stat info;

	while (directory != NULL && (entry = readdir(directory)) != NULL) {
		int64_t offset = segment_parse(entry->d_name);

		if (offset > at && (behind == -1 || offset < behind))
			behind = offset;
		if (offset == -1 || offset > at || offset < before ||
		    fstatat(dirfd(directory), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == -1)
			continue;
		if (at < offset + info.st_size)
			before = offset;
	}
	if (directory != NULL)
		closedir(directory);
	return before != -1 ? before : behind;
}

/* It may have been removed since it was found (ENOENT): then it is looked for again. */
static void
open_segment(struct outfile *file, int64_t offset)
{
	char name[SEGMENT_NAME_SIZE];
	char *path = xasprintf("%s/%s", file->segments, segment_name(name, offset));
	int error;

	file->segment_fd = open(path, O_RDONLY | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
	file->segment_at = offset;
	error = errno;
	free(path);
	errno = error;
}

static void
print_from_segment(struct outfile *file)
{
	char bytes[CHUNK];
	ssize_t got = pread(
	    file->segment_fd, bytes, sizeof(bytes), file->at - file->segment_at);

	if (got == -1) { /* what cannot be read is left out */
		off_t length = lseek(file->segment_fd, 0, SEEK_END);
		int64_t end = file->segment_at + (length > 0 ? length : 0);

		print_gap(file, end > file->at ? end - file->at : 1);
		file->at = end > file->at ? end : file->at + 1;
	}
	if (got <= 0) {
		close_segment(file);
		return;
	}
	print_bytes(file, bytes, (size_t)got);
	file->at += got;
}

/*
 * There is a hole here as far as `data`, or -1: as far as the file goes. Go on in a segment,
 * or behind what is gone. False when there is nothing more now.
 */
static bool
skip_hole(struct outfile *file, int64_t data)
{
	int64_t segment = lseek(file->fd, 0, SEEK_END) > file->at
	    ? find_segment(file->segments, file->at)
	    : -1;
	int64_t next = segment > file->at && (data == -1 || segment < data) ? segment : data;

	if (segment != -1 && segment <= file->at) {
		open_segment(file, segment);
		if (file->segment_fd != -1 || errno == ENOENT)
			return true;
	}
	if (next == -1)
		return false;
	print_gap(file, next - file->at);
	file->at = next;
	return true;
}

/* Print one chunk, or skip one hole. False when there is nothing more now. */
static bool
print_chunk(struct outfile *file)
{
	char bytes[CHUNK];
	int64_t data;
	ssize_t got;

	if (file->segment_fd != -1) {
		print_from_segment(file);
		return true;
	}
	data = data_from(file->fd, file->at);
	if (data != file->at)
		return skip_hole(file, data);
	got = pread(file->fd, bytes, sizeof(bytes), file->at);
	if (got <= 0)
		return false;
	got = (ssize_t)bytes_before_hole(file->fd, file->at, (size_t)got);
	print_bytes(file, bytes, (size_t)got);
	file->at += got;
	return true;
}

static void
open_file(struct outfile *file)
{
	if (file->fd == -1)
		file->fd = open(file->path,
		    O_RDONLY | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
}

void
outfile_begin_at(struct outfile *file, int64_t at)
{
	struct stat info;

	open_file(file);
	if (file->fd != -1 && fstat(file->fd, &info) == 0 && at <= info.st_size)
		file->at = at;
}

void
outfile_print(struct outfile *file, bool is_end)
{
	open_file(file);
	while (file->fd != -1 && print_chunk(file))
		;
	if (is_end && file->take == NULL)
		write_escaped(file, "", 0, true);
	fflush(stdout);
}
