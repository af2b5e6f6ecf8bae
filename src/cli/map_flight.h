#ifndef CLI_MAP_FLIGHT_H
#define CLI_MAP_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The jobs of a map that are recorded and have not ended, in the order of their items. */
struct map_entry {
	int64_t number; /* of its item; MAP_NO_NUMBER: nothing is to be told of it */
	int64_t job;
	bool has_ended;
};
#define MAP_NO_NUMBER INT64_MAX

struct map_flight {
	struct map_entry *entries;
	size_t count, room;
	size_t first; /* of those that live; count: there is none */
	size_t live;
};

void map_flight_done(struct map_flight *flight);
/* Behind all others. */
void map_flight_add(struct map_flight *flight, int64_t number, int64_t job);
/* The live one with this job, or NULL. */
struct map_entry *map_flight_find(struct map_flight *flight, int64_t job);
void map_flight_end(struct map_flight *flight, struct map_entry *entry);
/* The lowest number that lives, MAP_NO_NUMBER if none does. */
int64_t map_flight_lowest(const struct map_flight *flight);

#endif
