/* timers: the heap. Equal times fire in no promised order. */

#include "base/timers.h"
#include "base/xalloc.h"

#include <stdlib.h>

void
timers_init(struct timers *timers)
{
	*timers = (struct timers){ 0 };
}

void
timers_done(struct timers *timers)
{
	while (timers->count > 0)
		timers_remove(timers, timers->heap[timers->count]);
	free(timers->heap);
	*timers = (struct timers){ 0 };
}

static void
put(struct timers *timers, size_t place, struct timer *timer)
{
	timers->heap[place] = timer;
	timer->place = place;
}

static void
sift_up(struct timers *timers, size_t place, struct timer *timer)
{
	while (place > 1 && timers->heap[place / 2]->at > timer->at) {
		put(timers, place, timers->heap[place / 2]);
		place /= 2;
	}
	put(timers, place, timer);
}

static void
sift_down(struct timers *timers, size_t place, struct timer *timer)
{
	size_t child;

	while ((child = 2 * place) <= timers->count) {
		if (child < timers->count &&
		    timers->heap[child + 1]->at < timers->heap[child]->at)
			child++;
		if (timers->heap[child]->at >= timer->at)
			break;
		put(timers, place, timers->heap[child]);
		place = child;
	}
	put(timers, place, timer);
}

void
timers_set(struct timers *timers, struct timer *timer, int64_t at)
{
	timers_remove(timers, timer);
	if (timers->count + 1 >= timers->room) {
		timers->room = timers->room > 0 ? 2 * timers->room : 16;
		timers->heap =
		    xreallocarray(timers->heap, timers->room, sizeof(timers->heap[0]));
	}
	timer->at = at;
	sift_up(timers, ++timers->count, timer);
}

void
timers_remove(struct timers *timers, struct timer *timer)
{
	struct timer *last;
	size_t place = timer->place;

	if (place == 0)
		return;
	timer->place = 0;
	last = timers->heap[timers->count--];
	if (last == timer)
		return;
	if (place > 1 && timers->heap[place / 2]->at > last->at)
		sift_up(timers, place, last);
	else
		sift_down(timers, place, last);
}

struct timer *
timers_first(const struct timers *timers)
{
	return timers->count > 0 ? timers->heap[1] : NULL;
}
