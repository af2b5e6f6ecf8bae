/*
 * rate: so many starts within a time. The starts are a ring in memory; a new supervisor
 * process reads them from the history, so that a restart gives nobody more.
 */

#include "base/xalloc.h"
#include "supervisor/live.h"

#include <stdlib.h>

struct rate {
	struct supervisor *supervisor;
	struct place_count *place;
	int64_t most, window_ms;
	struct mono *starts; /* a ring of `most`: the last `count` before `next`, in order */
	size_t count, next;
	struct timer timer; /* when one more may start */
};

static void
due(void *arg)
{
	struct rate *rate = arg;

	rate->place->may_have_ready = true;
}

static void
add_start(struct rate *rate, struct mono at)
{
	rate->starts[rate->next] = at;
	rate->next = (rate->next + 1) % (size_t)rate->most;
	if (rate->count < (size_t)rate->most)
		rate->count++;
}

void
rate_free(struct place_count *place)
{
	struct rate *rate = place->rate;

	if (rate == NULL)
		return;
	loop_timer_remove(rate->supervisor->loop, &rate->timer);
	free(rate->starts);
	free(rate);
	place->rate = NULL;
}

/* The i-th that it knows of, the oldest first. */
static struct mono
start_at(const struct rate *rate, size_t i)
{
	size_t most = (size_t)rate->most;

	return rate->starts[(rate->next + most - rate->count + i) % most];
}

/* The starts that a ring of another size knows of. */
static void
take_over(struct rate *rate, const struct rate *old)
{
	for (size_t i = 0; old != NULL && i < old->count; i++)
		add_start(rate, start_at(old, i));
}

void
rate_set(struct place_count *place, struct supervisor *supervisor,
    const struct supervisor_limit *limit)
{
	struct rate *rate, *old = place->rate;

	if (limit->rate == 0) {
		rate_free(place);
		return;
	}
	if (old != NULL && old->most == limit->rate && old->window_ms == limit->rate_ms)
		return;
	rate = xcalloc(1, sizeof(*rate));
	rate->supervisor = supervisor;
	rate->place = place;
	rate->most = limit->rate;
	rate->window_ms = limit->rate_ms;
	rate->starts = xcalloc((size_t)limit->rate, sizeof(rate->starts[0]));
	rate->timer = (struct timer){ .fire = due, .arg = rate };
	for (size_t i = limit->start_count; i > 0; i--)
		add_start(rate, (struct mono){ clock_mono().ms - limit->starts_ms[i - 1] });
	take_over(rate, old);
	rate_free(place);
	place->rate = rate;
}

int64_t
rate_allows(struct place_count *place)
{
	struct rate *rate = place->rate;
	int64_t since = clock_mono().ms - rate->window_ms;

	while (rate->count > 0 && start_at(rate, 0).ms <= since)
		rate->count--;
	if (rate->count == (size_t)rate->most)
		loop_timer_set(
		    rate->supervisor->loop, &rate->timer, start_at(rate, 0).ms - since);
	return rate->most - (int64_t)rate->count;
}

void
rate_count(struct place_count *place, size_t starts)
{
	if (place->rate == NULL)
		return;
	for (size_t i = 0; i < starts; i++)
		add_start(place->rate, clock_mono());
}
