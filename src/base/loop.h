#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include "base/buf.h"
#include "base/timers.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The event loop: epoll, one signalfd, one timerfd. Keeper and supervisor process each
 * run one. Idle, it makes no wake-ups at all.
 *
 * A turn is: wait; call what became ready, and what has become ready meanwhile, for some
 * rounds; call the timers that are due; call the turn's end. What is removed during a
 * turn is freed only after it, so that a callback may remove anything, itself included.
 */
struct loop;
struct loop_watch;

enum loop_clock {
	LOOP_MONOTONIC, /* timers stand still in suspend: running times */
	LOOP_BOOTTIME,	/* timers count suspended time, and wall clock steps are told */
};

/* NULL with errno set. The clock is that of every timer of this loop. */
struct loop *loop_new(enum loop_clock clock);
void loop_free(struct loop *loop);

/* Run turns until loop_stop(). 0, or -1 with errno when waiting itself failed. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/*
 * Call ready(arg, events) when the descriptor is ready for `events` (EPOLLIN …); EPOLLHUP
 * and EPOLLERR come unasked. The descriptor stays the caller's. NULL with errno.
 */
struct loop_watch *loop_add(struct loop *loop, int fd, uint32_t events,
    void (*ready)(void *arg, uint32_t events), void *arg);

/* Wait for other events from now on. */
void loop_change(struct loop *loop, struct loop_watch *watch, uint32_t events);

/* Stop watching; to be called before the descriptor is closed. NULL is allowed. */
void loop_remove(struct loop *loop, struct loop_watch *watch);

/*
 * Call received(arg, signal, pid) for each of these signals, which are blocked from now on
 * and are to be unblocked in children; pid: who has sent it, or the child of a SIGCHLD, of
 * which the kernel tells one when there were several. At most one set a loop. 0 or -1 with
 * errno.
 */
int loop_signals(struct loop *loop, const sigset_t *signals,
    void (*received)(void *arg, int signal, pid_t pid), void *arg);

/* Fire timer->fire(timer->arg) once, delay_ms from now; a set timer is moved. */
void loop_timer_set(struct loop *loop, struct timer *timer, int64_t delay_ms);
void loop_timer_remove(struct loop *loop, struct timer *timer);

/* Milliseconds until the timer fires, 0 if it is due, -1 if it is not set. */
int64_t loop_timer_left(const struct loop *loop, const struct timer *timer);

/* Called at the end of every turn, before waiting. */
void loop_on_turn_end(struct loop *loop, void (*end)(void *arg), void *arg);

/*
 * Asked after each round of a turn: LOOP_NO_MORE where the turn's end costs less than to ask
 * whether more is ready; 0: some rounds more, of what is; or the microseconds for which more is
 * waited for, in all, from the first such answer in a turn on. Without it every turn gathers
 * what is ready.
 */
#define LOOP_NO_MORE (-1)
void loop_gather_while(struct loop *loop, int64_t (*gather)(void *arg), void *arg);

/*
 * Room that is lent to whoever reads: taken by emptying this, and given back by filling it in
 * with what has nothing in it. Nobody needs to give it back.
 */
struct buf *loop_room(struct loop *loop);

/* Do not wait at the end of this turn: there is more to do. */
void loop_again(struct loop *loop);

/* LOOP_BOOTTIME only: called when the wall clock was set. */
void loop_on_clock_step(struct loop *loop, void (*stepped)(void *arg), void *arg);

#endif
