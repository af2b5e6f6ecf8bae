/*
 * rotate: output that is rotated while whoever writes it knows nothing of that. What has
 * become a segment's length is copied out of the file, and then punched out of it: the
 * writer goes on at the end, the file becomes longer and takes no more room.
 *
 * A copy has its name only when it is complete and on disk, and only then the hole is made:
 * whenever we are killed, each byte is in one place at least, and the name says where it
 * belongs. What is kept is decided by the length alone, so a writer that is faster than our
 * copying costs no more room: what would be removed anyway is never copied.
 */

#include "base/log.h"
#include "base/xalloc.h"
#include "model/output_name.h"
#include "supervisor/live.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE (INT64_C(1) << 20) /* what is copied between two turns of the loop */
#define NEXT_PIECE_MS 5
#define COPYING "copying"

struct rotation {
	TAILQ_ENTRY(rotation) entry; /* of those that have something to copy */
	struct live *live;
	struct rotation_rule rule;
	int64_t gone;	/* all before it was taken away */
	int64_t done;	/* all before it is in segments, or gone */
	int64_t copied; /* of the segment that comes next */
	bool is_known;	/* what those before us have made was looked at */
	bool is_queued;
	bool is_hopeless; /* this file system cannot do it */
	bool has_complained;
};

static int
open_file(const struct rotation *rotation, const char *kind, int flags)
{
	char name[OUTPUT_NAME_SIZE];

	output_name(name, rotation->live->key.job, rotation->live->key.attempt, kind);
	return openat(rotation->live->supervisor->output_fd, name,
	    flags | O_NOFOLLOW | O_CLOEXEC);
}

static int
open_segments(const struct rotation *rotation)
{
	return open_file(rotation, OUTPUT_SEGMENTS, O_RDONLY | O_DIRECTORY);
}

static int
make_segments(const struct rotation *rotation)
{
	char name[OUTPUT_NAME_SIZE];

	output_name(name, rotation->live->key.job, rotation->live->key.attempt,
	    OUTPUT_SEGMENTS);
	if (mkdirat(rotation->live->supervisor->output_fd, name, 0700) == -1 &&
	    errno != EEXIST)
		return -1;
	return open_segments(rotation);
}

/* Once, until it works again. */
static void
complain(struct rotation *rotation, const char *what)
{
	if (!rotation->has_complained)
		log_warn("job=%" PRId64 " output cannot be rotated: %s: %s",
		    rotation->live->key.job, what, strerror(errno));
	rotation->has_complained = true;
}

static int
punch(struct rotation *rotation, int fd, int64_t from, int64_t to)
{
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, to - from) == 0)
		return 0;
	rotation->is_hopeless = errno == EOPNOTSUPP;
	complain(rotation, "the file cannot have holes");
	return -1;
}

/*
 * What a supervisor process before us has left; it may not have come to the hole. 0, or -1 when
 * that cannot be seen now: nothing may be done then, since what is there would be written over.
 */
static int
look_at_segments(struct rotation *rotation)
{
	int directory_fd = open_segments(rotation), fd;
	DIR *directory = directory_fd != -1 ? fdopendir(directory_fd) : NULL;
	int64_t first = INT64_MAX;
	struct dirent *entry;

	if (directory == NULL && errno != ENOENT) {
		complain(rotation, "its segments cannot be read");
		if (directory_fd != -1)
			close(directory_fd);
		return -1;
	}
	rotation->is_known = true;
	while (directory != NULL && (entry = readdir(directory)) != NULL) {
		int64_t offset = segment_parse(entry->d_name);

		if (offset == -1)
			continue;
		first = offset < first ? offset : first;
		if (offset + rotation->rule.bytes > rotation->done)
			rotation->done = offset + rotation->rule.bytes;
	}
	if (directory != NULL)
		closedir(directory);
	if (first == INT64_MAX)
		return 0;
	rotation->gone = first;
	fd = open_file(rotation, "", O_WRONLY);
	if (fd == -1)
		return 0;
	punch(rotation, fd, 0, rotation->done);
	close(fd);
	return 0;
}

/* All before this is no longer kept. */
static void
take_away(struct rotation *rotation, int64_t kept_from)
{
	int fd = open_file(rotation, "", O_WRONLY), directory;
	char name[SEGMENT_NAME_SIZE];
	bool is_done = fd != -1 && punch(rotation, fd, rotation->gone, kept_from) == 0;

	if (fd != -1)
		close(fd);
	if (!is_done)
		return;
	directory = open_segments(rotation);
	for (int64_t at = rotation->gone;
	     directory != -1 && at < kept_from && at < rotation->done;
	     at += rotation->rule.bytes)
		unlinkat(directory, segment_name(name, at), 0);
	if (directory != -1)
		close(directory);
	rotation->gone = kept_from;
	if (rotation->done < kept_from) {
		rotation->done = kept_from;
		rotation->copied = 0;
	}
}

static void
set_queued(struct rotation *rotation, bool is_queued)
{
	struct supervisor *supervisor = rotation->live->supervisor;

	if (rotation->is_queued == is_queued)
		return; /* it keeps its turn */
	if (rotation->is_queued)
		TAILQ_REMOVE(&supervisor->live->rotations, rotation, entry);
	rotation->is_queued = is_queued;
	if (!is_queued)
		return;
	TAILQ_INSERT_TAIL(&supervisor->live->rotations, rotation, entry);
	if (!timer_is_set(&supervisor->live->rotate_timer))
		loop_timer_set(
		    supervisor->loop, &supervisor->live->rotate_timer, NEXT_PIECE_MS);
}

void
rotate_look(struct live *live, int64_t size)
{
	struct rotation *rotation = live->rotation;
	int64_t kept_from = rotation_kept_from(&rotation->rule, size);

	if (rotation->is_hopeless || size < rotation->rule.bytes)
		return;
	if (!rotation->is_known && look_at_segments(rotation) == -1)
		return; /* it is tried again when the file has grown */
	if (kept_from > rotation->gone)
		take_away(rotation, kept_from);
	set_queued(rotation, rotation_full(&rotation->rule, size) > rotation->done);
}

/* ---- a piece at a time ---- */

/* 0, or -1 with errno. */
static int
copy_piece(struct rotation *rotation, int from, int to)
{
	off64_t in = rotation->done + rotation->copied, out = rotation->copied;
	int64_t left = rotation->rule.bytes - rotation->copied;

	if (left > PIECE)
		left = PIECE;
	while (left > 0) {
		ssize_t got = copy_file_range(from, &in, to, &out, (size_t)left, 0);

		if (got == 0)
			errno = EIO; /* somebody has cut it short */
		if (got <= 0)
			return -1;
		left -= got;
	}
	/* So that there is little left to wait for at the end. */
	sync_file_range(to, rotation->copied, out - rotation->copied, SYNC_FILE_RANGE_WRITE);
	rotation->copied = out;
	return 0;
}

/*
 * The name before the hole: a file system that keeps a journal brings them to the disk in
 * this order, and the segment's bytes before both.
 */
static int
finish_segment(struct rotation *rotation, int directory, int from, int to)
{
	int64_t end = rotation->done + rotation->rule.bytes;
	char name[SEGMENT_NAME_SIZE];

	if (fdatasync(to) == -1 || renameat(directory, COPYING, directory,
				       segment_name(name, rotation->done)) == -1)
		return -1;
	punch(rotation, from, rotation->done, end);
	rotation->done = end;
	rotation->copied = 0;
	rotation->has_complained = false;
	return 0;
}

/* On a disk that is full, say, it goes on as one file, and is tried again when it grows. */
static int
work(struct rotation *rotation)
{
	int directory = make_segments(rotation), from = open_file(rotation, "", O_RDWR);
	int to = -1, result = -1;

	if (directory != -1 && from != -1)
		to = openat(directory, COPYING,
		    O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC |
			(rotation->copied == 0 ? O_TRUNC : 0),
		    0600);
	if (to != -1)
		result = rotation->copied < rotation->rule.bytes
		    ? copy_piece(rotation, from, to)
		    : finish_segment(rotation, directory, from, to);
	if (result == -1) {
		complain(rotation, "a segment cannot be written");
		rotation->copied = 0;
		if (to != -1)
			unlinkat(directory, COPYING, 0);
	}
	if (directory != -1)
		close(directory);
	if (from != -1)
		close(from);
	if (to != -1)
		close(to);
	return result;
}

/* One after the other, so that none is kept waiting by one that writes without end. */
static void
next_piece(void *arg)
{
	struct supervisor *supervisor = arg;
	struct rotation *rotation = TAILQ_FIRST(&supervisor->live->rotations);
	struct stat info;
	int result, fd;

	if (rotation == NULL)
		return;
	result = work(rotation);
	set_queued(rotation, false);
	fd = open_file(rotation, "", O_RDONLY);
	if (result == 0 && fd != -1 && fstat(fd, &info) == 0)
		rotate_look(rotation->live, info.st_size);
	if (fd != -1)
		close(fd);
	if (!TAILQ_EMPTY(&supervisor->live->rotations) &&
	    !timer_is_set(&supervisor->live->rotate_timer))
		loop_timer_set(
		    supervisor->loop, &supervisor->live->rotate_timer, NEXT_PIECE_MS);
}

/* ---- from its start to its end ---- */

void
rotate_start(struct live *live, const struct rotation_rule *rule)
{
	if (rule->bytes == 0 || live->rotation != NULL)
		return;
	live->rotation = xcalloc(1, sizeof(*live->rotation));
	live->rotation->live = live;
	live->rotation->rule = *rule;
}

/* What is not rotated yet stays in the file: it is read from there as well. */
int64_t
rotate_end(struct live *live, int64_t size)
{
	struct rotation *rotation = live->rotation;
	char name[OUTPUT_NAME_SIZE];
	int directory;

	rotate_look(live, size);
	set_queued(rotation, false);
	directory = rotation->is_known ? open_segments(rotation) : -1;
	if (directory != -1) {
		unlinkat(directory, COPYING, 0);
		close(directory);
		/* Only if nothing is in it. */
		unlinkat(live->supervisor->output_fd,
		    output_name(name, live->key.job, live->key.attempt, OUTPUT_SEGMENTS),
		    AT_REMOVEDIR);
	}
	return rotation->gone;
}

void
rotate_free(struct live *live)
{
	if (live->rotation == NULL)
		return;
	set_queued(live->rotation, false);
	free(live->rotation);
	live->rotation = NULL;
}

void
rotate_init(struct supervisor *supervisor)
{
	TAILQ_INIT(&supervisor->live->rotations);
	supervisor->live->rotate_timer =
	    (struct timer){ .fire = next_piece, .arg = supervisor };
}
