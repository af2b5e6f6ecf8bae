#ifndef BASE_TIMERS_H
#define BASE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A binary heap of timers, embedded in what they belong to: a timer knows its own place,
 * so that removing one needs no search. Knows no clock: `at` is a number.
 */
struct timer {
	int64_t at;
	size_t place; /* 1-based place in the heap, 0 = not set */
	void (*fire)(void *arg);
	void *arg;
};

struct timers {
	struct timer **heap; /* heap[1] is the earliest */
	size_t count, room;
};

void timers_init(struct timers *timers);
void timers_done(struct timers *timers);

/* Set `timer` to `at`, moving it if it is set already. */
void timers_set(struct timers *timers, struct timer *timer, int64_t at);

/* Forget `timer`; nothing happens if it is not set. */
void timers_remove(struct timers *timers, struct timer *timer);

/* The earliest timer, NULL if none is set. */
struct timer *timers_first(const struct timers *timers);

static inline bool
timer_is_set(const struct timer *timer)
{
	return timer->place != 0;
}

#endif
