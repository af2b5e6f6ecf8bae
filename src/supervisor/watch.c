/*
 * watch: commits of other processes, noticed through inotify and never by polling.
 *
 * The WAL file's IN_MODIFY comes before the commit is visible: the writer may still be
 * syncing. So the store's barrier is asked, and while it is BUSY asked again after 1, 2,
 * 5 … 50 ms. The directory is watched for a WAL file that is made anew.
 *
 * Our own commits look the same. The watch is one-shot, and what may have been ours is looked
 * at a little later, so that a thousand of them a second cost fifty looks.
 */

#include "base/log.h"
#include "base/xalloc.h"
#include "supervisor/supervisor.h"

#include <sys/epoll.h>
#include <sys/inotify.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAL_FILE "jobberd.db-wal"
#define WAL_EVENTS (IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM)
#define OWN_MS 20
#define TROUBLE_MS 500 /* what is in the way is no other writer */

struct watch {
	int fd, wal; /* wal -1: it was written to since we looked */
	struct loop_watch *loop_watch;
	char *wal_path;
	bool must_look;
	bool has_own; /* we have committed since we looked */
	struct timer again_timer;
	size_t next_delay;
};

static const int64_t delays_ms[] = { 1, 2, 5, 10, 20, 50 };

static void
watch_wal(struct watch *watch)
{
	watch->wal =
	    inotify_add_watch(watch->fd, watch->wal_path, IN_MODIFY | IN_ONESHOT);
}

static void
wal_was_written(struct supervisor *supervisor)
{
	struct watch *watch = supervisor->watch;

	watch->wal = -1;
	if (!watch->has_own)
		watch->must_look = true;
	else if (!timer_is_set(&watch->again_timer))
		loop_timer_set(supervisor->loop, &watch->again_timer, OWN_MS);
}

void
watch_own_commit(struct supervisor *supervisor)
{
	if (supervisor->watch != NULL)
		supervisor->watch->has_own = true;
}

static void
ready(void *arg, uint32_t events)
{
	struct supervisor *supervisor = arg;
	struct watch *watch = supervisor->watch;
	union {
		char bytes[4096];
		struct inotify_event align;
	} buffer;
	ssize_t got = read(watch->fd, buffer.bytes, sizeof(buffer.bytes));

	(void)events;
	for (ssize_t at = 0; at < got;) {
		const struct inotify_event *event =
		    (const struct inotify_event *)(buffer.bytes + at);

		at += (ssize_t)sizeof(*event) + event->len;
		if (event->wd == watch->wal)
			wal_was_written(supervisor);
		if ((event->mask & IN_Q_OVERFLOW) ||
		    (event->len > 0 && strcmp(event->name, WAL_FILE) == 0)) {
			watch->wal = -1;
			watch->must_look = true;
		}
	}
}

static void
again(void *arg)
{
	struct supervisor *supervisor = arg;

	supervisor->watch->must_look = true;
}

void
watch_turn_end(struct supervisor *supervisor)
{
	struct watch *watch = supervisor->watch;
	enum store_answer answer;
	bool has_changed = false;

	if (watch == NULL || !watch->must_look || supervisor->under_way != NULL ||
	    supervisor->phase < PHASE_RUNNING)
		return;
	watch->must_look = watch->has_own = false;
	if (watch->wal == -1) /* watched first, looked at second */
		watch_wal(watch);
	answer = store_changed(supervisor->store, &has_changed);
	if (answer != STORE_OK) {
		loop_timer_set(supervisor->loop, &watch->again_timer,
		    answer == STORE_BUSY ? delays_ms[watch->next_delay] : TROUBLE_MS);
		if (watch->next_delay + 1 < sizeof(delays_ms) / sizeof(delays_ms[0]))
			watch->next_delay++;
		return;
	}
	watch->next_delay = 0;
	loop_timer_remove(supervisor->loop, &watch->again_timer);
	if (has_changed)
		live_look_at_foreign(supervisor);
}

int
watch_init(struct supervisor *supervisor)
{
	const char *state = supervisor->setup->state_directory;
	struct watch *watch = xcalloc(1, sizeof(*watch));

	supervisor->watch = watch;
	watch->wal_path = xasprintf("%s/" WAL_FILE, state);
	watch->again_timer = (struct timer){ .fire = again, .arg = supervisor };
	watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (watch->fd == -1 ||
	    inotify_add_watch(watch->fd, state, WAL_EVENTS) == -1)
		return -1;
	watch_wal(watch);
	watch->must_look = true;
	watch->loop_watch = loop_add(supervisor->loop, watch->fd, EPOLLIN, ready, supervisor);
	return watch->loop_watch != NULL ? 0 : -1;
}

void
watch_done(struct supervisor *supervisor)
{
	struct watch *watch = supervisor->watch;

	if (watch == NULL)
		return;
	loop_timer_remove(supervisor->loop, &watch->again_timer);
	loop_remove(supervisor->loop, watch->loop_watch);
	if (watch->fd != -1)
		close(watch->fd);
	free(watch->wal_path);
	free(watch);
	supervisor->watch = NULL;
}
