/*
 * output_times: how long an output was when, for those who ask what was written since a
 * time. A mark is written when the output has grown again, and says what was seen before
 * that: so what comes after a pause is told from what came before it, however long the
 * pause. While it grows, a mark a second; when there are many, the old ones are thinned out.
 * An attempt that is over within a second has none: its start and end say as much.
 */

#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "model/marks.h"
#include "model/output_name.h"
#include "supervisor/live.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define APART_MS 1000
#define MOST_BYTES (128 * 1024)

struct output_times {
	struct mark seen;    /* when it was last seen to have grown, and how long it was */
	int64_t marked_at; /* the last mark's time; before there is one, when output began */
};

static void
thin_out(struct live *live)
{
	int directory = live->supervisor->output_fd, fd;
	char name[OUTPUT_NAME_SIZE], new_name[OUTPUT_NAME_SIZE];
	struct buf text = { 0 };
	size_t length;

	output_name(name, live->key.job, live->key.attempt, OUTPUT_TIMES);
	output_name(new_name, live->key.job, live->key.attempt, OUTPUT_NEW_TIMES);
	if (file_read(directory, name, 2 * (size_t)MOST_BYTES, &text) == 0) {
		length = marks_thin(buf_start(&text), text.length);
		fd = openat(directory, new_name,
		    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd != -1 && file_write_all(fd, buf_start(&text), length) == 0)
			renameat(directory, new_name, directory, name);
		if (fd != -1)
			close(fd);
	}
	buf_done(&text);
}

static void
write_mark(struct live *live, const struct mark *mark)
{
	char name[OUTPUT_NAME_SIZE], line[MARK_TEXT_SIZE];
	int fd = openat(live->supervisor->output_fd,
	    output_name(name, live->key.job, live->key.attempt, OUTPUT_TIMES),
	    O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	size_t length = marks_format(line, mark);
	struct stat info = { 0 };

	live->times->marked_at = mark->ms;
	/* Without it `log --since` shows more than it has to, and nothing less. */
	if (fd == -1 || file_write_all(fd, line, length) == -1)
		log_debug("job=%" PRId64 " output times: %s", live->key.job, strerror(errno));
	else
		fstat(fd, &info);
	if (fd != -1)
		close(fd);
	if (info.st_size > MOST_BYTES)
		thin_out(live);
}

/* Does what was last seen tell more than the last mark? */
static bool
is_worth_a_mark(const struct output_times *times, int64_t now_ms)
{
	return times->seen.ms > times->marked_at &&
	    (now_ms - times->seen.ms >= APART_MS ||
		times->seen.ms - times->marked_at >= APART_MS);
}

void
output_times_note(struct live *live, int64_t size)
{
	struct mark now = { clock_wall().ms, size };

	if (live->times == NULL) {
		live->times = xcalloc(1, sizeof(*live->times));
		live->times->marked_at = now.ms - 1;
	} else if (size == live->times->seen.offset)
		return;
	else if (is_worth_a_mark(live->times, now.ms))
		write_mark(live, &live->times->seen);
	live->times->seen = now;
}

void
output_times_end(struct live *live)
{
	if (live->times != NULL && is_worth_a_mark(live->times, clock_wall().ms))
		write_mark(live, &live->times->seen);
	free(live->times);
	live->times = NULL;
}
