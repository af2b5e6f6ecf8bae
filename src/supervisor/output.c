/*
 * output: files that the jobs write themselves. Ours are the cap (the middle of a long
 * file is punched out, so that head and tail stay) and the last lines; rotate.c has the
 * other way to keep them short.
 *
 * A file is looked at when an inotify watch says that it was written to; the watch is
 * one-shot and armed again 50 ms later at the earliest, so a flood costs 20 looks a
 * second. A job shorter than that costs none.
 */

#include "base/log.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "model/output_name.h"
#include "supervisor/live.h"

#include <sys/inotify.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define LOOK_AGAIN_MS 50
#define BLOCK 4096
#define MOST_EVENTS 2048
#define LAST_BYTES 2048
#define LAST_LINES 10

/* Keep half of the cap at each end; round so that whole blocks go. */
void
output_cut(struct live *live)
{
	int64_t head = (live->max_output / 2 + BLOCK - 1) / BLOCK * BLOCK, end;
	struct stat info;
	char name[OUTPUT_NAME_SIZE];
	int fd;

	output_name(name, live->key.job, live->key.attempt, "");
	if (fstatat(live->supervisor->output_fd, name, &info, AT_SYMLINK_NOFOLLOW) == -1 ||
	    info.st_size <= live->max_output)
		return;
	end = (info.st_size - live->max_output / 2) / BLOCK * BLOCK;
	if (end <= head + live->left_out)
		return;
	fd = openat(live->supervisor->output_fd, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return;
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, head, end - head) == 0)
		live->left_out = end - head;
	else
		log_debug("job=%" PRId64 " output cannot be cut: %s", live->key.job,
		    strerror(errno));
	close(fd);
}

/* Text for the database and for people: UTF-8 without control bytes but newline and tab. */
static char *
clean(const char *bytes, size_t length)
{
	char *text = xmalloc(length + 1);
	size_t used = 0, step;

	for (size_t i = 0; i < length; i += step) {
		unsigned char byte = (unsigned char)bytes[i];

		step = text_utf8_length(bytes + i, length - i);
		if (step == 0 || (byte < 0x20 && byte != '\n' && byte != '\t') ||
		    byte == 0x7f) {
			step = 1;
			text[used++] = '?';
			continue;
		}
		memcpy(text + used, bytes + i, step);
		used += step;
	}
	text[used] = '\0';
	return text;
}

char *
output_last_lines(struct live *live, int64_t bytes)
{
	char name[OUTPUT_NAME_SIZE], tail[LAST_BYTES], *start;
	int64_t at = bytes > (int64_t)sizeof(tail) ? bytes - (int64_t)sizeof(tail) : 0, data;
	ssize_t got;
	int fd, newlines = 0;

	if (bytes == 0)
		return NULL;
	output_name(name, live->key.job, live->key.attempt, "");
	fd = openat(live->supervisor->output_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return NULL;
	data = lseek(fd, at, SEEK_DATA); /* what was rotated is a hole, as far as a segment went */
	if (data == -1 && errno == ENXIO)
		data = bytes;
	got = pread(fd, tail, sizeof(tail), data > at ? data : at);
	close(fd);
	if (got <= 0)
		return NULL;
	for (start = tail + got - 1; start > tail; start--) {
		if (start[-1] == '\n' && ++newlines == LAST_LINES)
			break;
	}
	/* The first line is a torn one when the tail does not begin at the file's start. */
	if (start == tail && at > 0 && data <= at) {
		char *newline = memchr(tail, '\n', (size_t)got - 1);

		if (newline != NULL)
			start = newline + 1;
	}
	return clean(start, (size_t)(tail + got - start));
}

void
output_end(struct live *live, int64_t bytes)
{
	output_times_end(live);
	if (live->rotation != NULL)
		live->left_out = rotate_end(live, bytes);
	else if (bytes > live->max_output)
		output_cut(live);
}

/* ---- looking while it is written ---- */

static void
look_at(struct live *live)
{
	struct stat info;
	char name[OUTPUT_NAME_SIZE];

	output_name(name, live->key.job, live->key.attempt, "");
	if (fstatat(live->supervisor->output_fd, name, &info, AT_SYMLINK_NOFOLLOW) == -1 ||
	    info.st_size == 0)
		return;
	output_times_note(live, info.st_size);
	if (live->rotation != NULL)
		rotate_look(live, info.st_size);
	else
		output_cut(live);
}

static void
watch_file(struct live *live)
{
	char path[128], name[OUTPUT_NAME_SIZE];

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", live->supervisor->output_fd,
	    output_name(name, live->key.job, live->key.attempt, ""));
	live->output_watch = inotify_add_watch(
	    live->supervisor->live->inotify_fd, path, IN_MODIFY | IN_ONESHOT);
	/* Watched first, looked at second: nothing is missed in between. */
	look_at(live);
}

static void
look(void *arg)
{
	struct supervisor *supervisor = arg;
	struct live *live, *next;

	TAILQ_FOREACH_SAFE(live, &supervisor->live->unwatched, unwatched, next) {
		if (live->is_started && !live->has_ended) {
			talk_listen(live);
			watch_file(live);
			if (live->output_watch == -1)
				continue; /* again with the next ones */
		}
		output_forget(live);
	}
}

static void
look_later(struct live *live)
{
	struct supervisor *supervisor = live->supervisor;

	if (!live->is_unwatched)
		TAILQ_INSERT_TAIL(&supervisor->live->unwatched, live, unwatched);
	live->is_unwatched = true;
	if (!timer_is_set(&supervisor->output_timer))
		loop_timer_set(supervisor->loop, &supervisor->output_timer, LOOK_AGAIN_MS);
}

void
output_forget(struct live *live)
{
	if (live->is_unwatched)
		TAILQ_REMOVE(&live->supervisor->live->unwatched, live, unwatched);
	live->is_unwatched = false;
}

static int
compare_watches(const void *a, const void *b)
{
	return *(const int *)a < *(const int *)b ? -1 : *(const int *)a > *(const int *)b;
}

/* These have been written to: they are watched no more, until they were looked at. */
static void
take_watches(struct supervisor *supervisor, int *watches, size_t count, bool is_all)
{
	qsort(watches, count, sizeof(watches[0]), compare_watches);
	for (struct live *live = live_first(supervisor); live != NULL;
	     live = live_next(live)) {
		if (!is_all && bsearch(&live->output_watch, watches, count, sizeof(watches[0]),
				   compare_watches) == NULL)
			continue;
		live->output_watch = -1;
		look_later(live);
	}
}

/* Many at a time: for each read all attempts are gone through. */
static void
inotify_ready(void *arg, uint32_t events)
{
	struct supervisor *supervisor = arg;
	union {
		char bytes[MOST_EVENTS * sizeof(struct inotify_event)];
		struct inotify_event align;
	} buffer;
	int watches[MOST_EVENTS];
	size_t count = 0;
	bool is_overflow = false;
	ssize_t got = read(supervisor->live->inotify_fd, buffer.bytes, sizeof(buffer.bytes));

	(void)events;
	for (ssize_t at = 0; at < got;) {
		const struct inotify_event *event =
		    (const struct inotify_event *)(buffer.bytes + at);

		at += (ssize_t)sizeof(*event) + event->len;
		is_overflow = is_overflow || (event->mask & IN_Q_OVERFLOW);
		if (event->mask & IN_MODIFY)
			watches[count++] = event->wd;
	}
	if (count > 0 || is_overflow)
		take_watches(supervisor, watches, count, is_overflow);
}

void
output_watch(struct live *live)
{
	struct supervisor *supervisor = live->supervisor;
	struct live_table *table = supervisor->live;

	/* Without inotify the cap is kept at the end only. */
	if (table->inotify_fd == -1 &&
	    (table->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) != -1)
		table->inotify_watch = loop_add(
		    supervisor->loop, table->inotify_fd, EPOLLIN, inotify_ready, supervisor);
	supervisor->output_timer.fire = look;
	supervisor->output_timer.arg = supervisor;
	look_later(live);
}
