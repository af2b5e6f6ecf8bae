/* map_flight: which jobs of a map have not ended. Its memory goes with how many these are. */

#include "cli/map_flight.h"
#include "base/xalloc.h"

#include <stdlib.h>

void
map_flight_done(struct map_flight *flight)
{
	free(flight->entries);
	*flight = (struct map_flight){ 0 };
}

/* Drop those that have ended, once they are half of all. */
static void
compact(struct map_flight *flight)
{
	size_t kept = 0;

	for (size_t i = 0; i < flight->count; i++) {
		if (!flight->entries[i].has_ended)
			flight->entries[kept++] = flight->entries[i];
	}
	flight->count = kept;
	flight->first = 0;
}

void
map_flight_add(struct map_flight *flight, int64_t number, int64_t job)
{
	if (flight->count == flight->room && flight->live <= flight->count / 2)
		compact(flight);
	if (flight->count == flight->room) {
		flight->room = flight->room > 0 ? 2 * flight->room : 64;
		flight->entries = xreallocarray(
		    flight->entries, flight->room, sizeof(flight->entries[0]));
	}
	flight->entries[flight->count++] =
	    (struct map_entry){ .number = number, .job = job };
	flight->live++;
}

/* Ids are in the order of the items unless somebody else made a job with such a name. */
static struct map_entry *
find_one_by_one(struct map_flight *flight, int64_t job)
{
	for (size_t i = flight->first; i < flight->count; i++) {
		if (flight->entries[i].job == job)
			return &flight->entries[i];
	}
	return NULL;
}

struct map_entry *
map_flight_find(struct map_flight *flight, int64_t job)
{
	size_t low = flight->first, high = flight->count;
	struct map_entry *entry;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (flight->entries[middle].job < job)
			low = middle + 1;
		else
			high = middle;
	}
	entry = low < flight->count && flight->entries[low].job == job
	    ? &flight->entries[low]
	    : find_one_by_one(flight, job);
	return entry != NULL && !entry->has_ended ? entry : NULL;
}

void
map_flight_end(struct map_flight *flight, struct map_entry *entry)
{
	entry->has_ended = true;
	flight->live--;
	while (flight->first < flight->count && flight->entries[flight->first].has_ended)
		flight->first++;
}

int64_t
map_flight_lowest(const struct map_flight *flight)
{
	return flight->first < flight->count ? flight->entries[flight->first].number
					     : MAP_NO_NUMBER;
}
