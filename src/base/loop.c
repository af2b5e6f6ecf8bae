/*
 * loop: the one owner of epoll, signalfd and timerfd.
 *
 * With LOOP_BOOTTIME the timerfd is on CLOCK_REALTIME with CANCEL_ON_SET, re-expressed
 * from the boot clock each time it is armed: it wakes a suspended machine's delays in
 * time, and a step of the wall clock shows as ECANCELED.
 */

#include "base/loop.h"
#include "base/clock.h"
#include "base/xalloc.h"

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define BATCH 64
#define MOST_ROUNDS 4
#define FOR_EVER (-2)
#define SIGNALS 8 /* a read */
#define LONGEST_DELAY_MS INT64_C(31557600000000) /* 1000 years */

struct loop_watch {
	int fd;
	uint32_t events;
	bool is_removed;
	void (*ready)(void *arg, uint32_t events);
	void *arg;
	struct loop_watch *next_removed;
};

struct loop {
	int epoll_fd, timer_fd, signal_fd;
	enum loop_clock clock;
	bool is_stopped, is_again;
	struct timers timers;
	int64_t armed_at; /* what the timerfd stands at, or will have; -1 = nothing */
	struct loop_watch *timer_watch, *signal_watch;
	struct loop_watch *removed; /* freed at the end of the turn */
	struct buf room;
	void (*received)(void *arg, int signal, pid_t pid);
	void *received_arg;
	void (*turn_end)(void *arg);
	void *turn_end_arg;
	int64_t (*gather)(void *arg);
	void *gather_arg;
	void (*stepped)(void *arg);
	void *stepped_arg;
};

static int64_t
now_ms(const struct loop *loop)
{
	return loop->clock == LOOP_MONOTONIC ? clock_mono().ms : clock_boot().ms;
}

/* The wall clock was set: our time stands at another place on it now. */
static void
tell_step(struct loop *loop)
{
	loop->armed_at = -1;
	if (loop->stepped != NULL)
		loop->stepped(loop->stepped_arg);
}

static void
timer_ready(void *arg, uint32_t events)
{
	struct loop *loop = arg;
	uint64_t expirations;

	(void)events;
	loop->armed_at = -1;
	if (read(loop->timer_fd, &expirations, sizeof(expirations)) == -1 &&
	    errno == ECANCELED)
		tell_step(loop);
}

static void
signal_ready(void *arg, uint32_t events)
{
	struct loop *loop = arg;
	struct signalfd_siginfo infos[SIGNALS];
	ssize_t got;

	(void)events;
	do {
		got = read(loop->signal_fd, infos, sizeof(infos));
		for (ssize_t i = 0; i < got / (ssize_t)sizeof(infos[0]); i++)
			loop->received(loop->received_arg, (int)infos[i].ssi_signo,
			    (pid_t)infos[i].ssi_pid);
	} while (got == sizeof(infos));
}

struct loop *
loop_new(enum loop_clock clock)
{
	struct loop *loop = xcalloc(1, sizeof(*loop));

	loop->clock = clock;
	loop->signal_fd = -1;
	loop->armed_at = -1;
	timers_init(&loop->timers);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->timer_fd =
	    timerfd_create(clock == LOOP_MONOTONIC ? CLOCK_MONOTONIC : CLOCK_REALTIME,
		TFD_CLOEXEC | TFD_NONBLOCK);
	if (loop->epoll_fd == -1 || loop->timer_fd == -1)
		goto failed;
	loop->timer_watch = loop_add(loop, loop->timer_fd, EPOLLIN, timer_ready, loop);
	if (loop->timer_watch == NULL)
		goto failed;
	return loop;
failed:
	loop_free(loop);
	return NULL;
}

static void
sweep(struct loop *loop)
{
	struct loop_watch *watch;

	while ((watch = loop->removed) != NULL) {
		loop->removed = watch->next_removed;
		free(watch);
	}
}

void
loop_free(struct loop *loop)
{
	int saved = errno;

	if (loop == NULL)
		return;
	loop_remove(loop, loop->timer_watch);
	loop_remove(loop, loop->signal_watch);
	sweep(loop);
	timers_done(&loop->timers);
	buf_done(&loop->room);
	if (loop->signal_fd != -1)
		close(loop->signal_fd);
	if (loop->timer_fd != -1)
		close(loop->timer_fd);
	if (loop->epoll_fd != -1)
		close(loop->epoll_fd);
	free(loop);
	errno = saved;
}

struct loop_watch *
loop_add(struct loop *loop, int fd, uint32_t events,
    void (*ready)(void *arg, uint32_t events), void *arg)
{
	struct loop_watch *watch = xcalloc(1, sizeof(*watch));
	struct epoll_event event = { .events = events, .data.ptr = watch };

	watch->fd = fd;
	watch->events = events;
	watch->ready = ready;
	watch->arg = arg;
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) == -1) {
		free(watch);
		return NULL;
	}
	return watch;
}

void
loop_change(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	if (watch->events == events)
		return;
	watch->events = events;
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event);
}

void
loop_remove(struct loop *loop, struct loop_watch *watch)
{
	if (watch == NULL || watch->is_removed)
		return;
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	watch->is_removed = true;
	watch->next_removed = loop->removed;
	loop->removed = watch;
}

int
loop_signals(struct loop *loop, const sigset_t *signals,
    void (*received)(void *arg, int signal, pid_t pid), void *arg)
{
	loop->received = received;
	loop->received_arg = arg;
	if (sigprocmask(SIG_BLOCK, signals, NULL) == -1)
		return -1;
	loop->signal_fd = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (loop->signal_fd == -1)
		return -1;
	loop->signal_watch = loop_add(loop, loop->signal_fd, EPOLLIN, signal_ready, loop);
	return loop->signal_watch == NULL ? -1 : 0;
}

void
loop_timer_set(struct loop *loop, struct timer *timer, int64_t delay_ms)
{
	if (delay_ms < 0)
		delay_ms = 0;
	else if (delay_ms > LONGEST_DELAY_MS)
		delay_ms = LONGEST_DELAY_MS;
	timers_set(&loop->timers, timer, now_ms(loop) + delay_ms);
}

void
loop_timer_remove(struct loop *loop, struct timer *timer)
{
	timers_remove(&loop->timers, timer);
}

int64_t
loop_timer_left(const struct loop *loop, const struct timer *timer)
{
	int64_t left;

	if (!timer_is_set(timer))
		return -1;
	left = timer->at - now_ms(loop);
	return left > 0 ? left : 0;
}

void
loop_on_turn_end(struct loop *loop, void (*end)(void *arg), void *arg)
{
	loop->turn_end = end;
	loop->turn_end_arg = arg;
}

void
loop_gather_while(struct loop *loop, int64_t (*gather)(void *arg), void *arg)
{
	loop->gather = gather;
	loop->gather_arg = arg;
}

void
loop_on_clock_step(struct loop *loop, void (*stepped)(void *arg), void *arg)
{
	loop->stepped = stepped;
	loop->stepped_arg = arg;
}

struct buf *
loop_room(struct loop *loop)
{
	return &loop->room;
}

void
loop_again(struct loop *loop)
{
	loop->is_again = true;
}

/*
 * Let the timerfd stand at the earliest timer, or before it: most timers are removed before
 * they fire, and to wake once for nothing is cheaper than to move it each time. Even with no
 * timer set a LOOP_BOOTTIME loop keeps it armed, far away, so that a step of the clock is
 * told. A step since the last read(2) is told by timerfd_settime(2) instead, and then by
 * nobody else.
 */
static void
arm(struct loop *loop)
{
	const struct timer *first = timers_first(&loop->timers);
	struct itimerspec spec = { 0 };
	int flags = TFD_TIMER_ABSTIME;
	int64_t at = first != NULL ? first->at : INT64_MAX;

	if ((loop->armed_at != -1 && loop->armed_at <= at) ||
	    (first == NULL && loop->clock == LOOP_MONOTONIC))
		return;
	loop->armed_at = at;
	if (loop->clock == LOOP_BOOTTIME) {
		flags |= TFD_TIMER_CANCEL_ON_SET;
		/* Both clocks are cut to whole ms: without 1 more it rings too early. */
		at = first != NULL ? at + clock_kernel_wall().ms - clock_boot().ms + 1
				   : INT64_C(4102444800000); /* 2100 */
	}
	spec.it_value.tv_sec = at / 1000;
	spec.it_value.tv_nsec = at % 1000 * 1000000 + (at == 0);
	if (timerfd_settime(loop->timer_fd, flags, &spec, NULL) == -1 &&
	    errno == ECANCELED) {
		tell_step(loop);
		loop_again(loop);
	}
}

static void
fire_due(struct loop *loop)
{
	int64_t now = now_ms(loop);
	struct timer *timer;

	while ((timer = timers_first(&loop->timers)) != NULL && timer->at <= now) {
		timers_remove(&loop->timers, timer);
		timer->fire(timer->arg);
	}
}

/*
 * How many there were, or -1 with errno. wait_us: FOR_EVER, or how long; not at all where the
 * kernel cannot wait for less than 1 ms.
 */
static int
wait_for_events(struct loop *loop, struct epoll_event events[BATCH], int64_t wait_us)
{
	struct timespec wait = { wait_us / 1000000, wait_us % 1000000 * 1000 };
	int count = -1;

	if (wait_us > 0)
		count = epoll_pwait2(loop->epoll_fd, events, BATCH, &wait, NULL);
	if (count == -1)
		count = epoll_wait(
		    loop->epoll_fd, events, BATCH, wait_us == FOR_EVER ? -1 : 0);
	return count;
}

/* The same, and they are told. */
static int
take_events(struct loop *loop, int64_t wait_us)
{
	struct epoll_event events[BATCH];
	int count = wait_for_events(loop, events, wait_us);

	for (int i = 0; i < count; i++) {
		struct loop_watch *watch = events[i].data.ptr;

		if (!watch->is_removed)
			watch->ready(watch->arg, events[i].events);
	}
	return count;
}

/* How long to wait for another round, or LOOP_NO_MORE. *until_us: when that is over, 0 at first. */
static int64_t
next_round(const struct loop *loop, int rounds, int64_t *until_us)
{
	int64_t most = loop->gather != NULL ? loop->gather(loop->gather_arg) : 0, left;

	if (most <= 0)
		return rounds < MOST_ROUNDS ? most : LOOP_NO_MORE;
	if (*until_us == 0)
		*until_us = clock_mono_us() + most;
	left = *until_us - clock_mono_us();
	return left > 0 ? left : LOOP_NO_MORE;
}

static int
turn(struct loop *loop)
{
	const struct timer *first;
	int64_t wait_us, until_us = 0;
	int count, rounds = 0;

	arm(loop);
	first = timers_first(&loop->timers);
	wait_us =
	    loop->is_again || (first != NULL && first->at <= now_ms(loop)) ? 0 : FOR_EVER;
	loop->is_again = false;
	/* The turn is over when nothing more is ready: its end, a commit say, is dear. */
	do {
		count = take_events(loop, wait_us);
		wait_us = next_round(loop, ++rounds, &until_us);
	} while (count > 0 && !loop->is_stopped && wait_us != LOOP_NO_MORE);
	if (count == -1)
		return errno == EINTR ? 0 : -1;
	fire_due(loop);
	if (loop->turn_end != NULL)
		loop->turn_end(loop->turn_end_arg);
	sweep(loop);
	return 0;
}

int
loop_run(struct loop *loop)
{
	loop->is_stopped = false;
	while (!loop->is_stopped) {
		if (turn(loop) == -1)
			return -1;
	}
	return 0;
}

void
loop_stop(struct loop *loop)
{
	loop->is_stopped = true;
}
