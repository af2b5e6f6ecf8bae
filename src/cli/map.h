#ifndef CLI_MAP_H
#define CLI_MAP_H

#include "cli/client.h"
#include "cli/map_flight.h"
#include "cli/map_items.h"
#include "cli/map_progress.h"
#include "cli/submit.h"
#include "store/query_map.h"

/*
 * map: a job for each item of standard input. The job of the third item of the map `resize`
 * has the name resize:3 and belongs to the supervisor resize, which is all that is kept of a
 * map: whoever comes with the name finds what there is and goes on with it. Items are
 * numbered from 1. Nothing here grows with their number: what has ended is in the database,
 * what runs or waits is at most `most_in_flight`, and no more is read meanwhile.
 */
#define MAP_AT_ONCE 1000 /* jobs a request, as the supervisor process takes them */

struct map {
	struct invocation *invocation;
	const char *name;
	struct strings template; /* the command, with {} in it or not */
	int64_t places;
	size_t most_in_flight;
	bool is_ordered;
	bool has_own_name; /* nobody gave it one */

	struct query *query;
	struct map_items items;
	int64_t known;	/* the highest number that was recorded before us */
	int64_t fed;	/* up to here items are in flight or have ended */
	int64_t printed; /* … and up to here, in order, nothing is left to be told */
	struct strings pending; /* items that were read and not sent yet */
	size_t pending_bytes, most_pending_bytes; /* a request has its limit */
	bool is_input_bad; /* no more is read, and why has been said */

	struct submission submission;
	struct client_connection control, watch; /* requests; ends as they come */
	bool is_linked;
	struct map_flight flight;
	struct map_end { /* came, and is not told yet */
		int64_t number, job;
	} *ends;
	size_t end_count, end_room;

	int64_t done, failed, cancelled; /* by us */
	int64_t cut; /* of these, whose output is not whole */
	struct map_progress progress;
	int interrupt_fd;     /* readable after SIGINT or SIGTERM */
	bool is_interrupted;  /* … which was heeded: no more is begun */
};

/* Each returns 0, or -1 with *error, unless it says otherwise. */

/* map_loop.c: run it to its end. Returns the exit status. */
int map_run(struct map *map);
/*
 * Note SIGINT and SIGTERM: returns a descriptor that is readable then. A second one ends the
 * process once all that is left was asked to end, a third one whatever it waits for.
 */
int map_catch_signals(void);
bool map_is_interrupted(void);

/* map_lock.c: one client a map. STATUS_STATE when there is another. Ends with the process. */
int map_lock(const char *state_directory, const char *name, struct error *error);

/* map_known.c: what is recorded of it already. */
/* Are the items that come the ones that are there? 1: a signal came, and nothing is decided. */
int map_known_check(struct map *map, struct error *error);
/*
 * A request of a client before us has come in after we looked: what it has recorded of
 * `pending` is known now. -1 with *error untouched if there is no such job.
 */
int map_known_catch_up(struct map *map, struct error *error);
/* Take up the next of them: what has failed starts afresh, what is live is waited for. */
int map_known_feed(struct map *map, struct error *error);

/* map_send.c: requests to the supervisor process. The first use connects. */
int map_send_ready(struct map *map, struct error *error);
int map_send_pending(struct map *map, struct error *error);
int map_send_ids(struct map *map, const char *method, const int64_t *ids, size_t count,
    struct error *error);
int map_send_cancel_all(struct map *map, struct error *error);
/* Its supervisor is removed, unless something of it lives: no failure. */
void map_send_over(struct map *map);
void map_send_done(struct map *map);

/* map_watch.c: the ends of what is in flight, which come into map->ends. */
int map_watch_open(struct map *map, struct error *error);
int map_watch_add(struct map *map, const struct map_entry *entries, size_t count,
    struct error *error);
int map_watch_receive(struct map *map, struct error *error);

/* map_report.c: what is told of an item that has ended; its counts. */
int map_report(struct map *map, int64_t number, const struct map_job *job,
    struct error *error);
/* Of map->ends; with --ordered of what is next in the order, however long ago it ended. */
int map_report_ends(struct map *map, struct error *error);

/* map_template.c, pure: the command for an item; the item of a command (NULL: not of it). */
void map_template_fill(const struct strings *template, const char *item,
    struct strings *ret_command);
char *map_template_json(const struct strings *template, const char *item);
size_t map_template_places(const struct strings *template); /* 1 for the one behind all */
/* The bytes of the longest word with this item. */
size_t map_template_longest(const struct strings *template, const char *item);
char *map_template_item(const struct strings *template, const char *command);

#endif
