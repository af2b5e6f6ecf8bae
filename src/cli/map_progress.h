#ifndef CLI_MAP_PROGRESS_H
#define CLI_MAP_PROGRESS_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One line on a terminal's standard error: how far it is, how fast, how long it takes. It is
 * drawn at most ten times a second, and wiped before anything else is written.
 */
struct map_numbers {
	int64_t ended, failed;
	int64_t total;	    /* -1: the items have not all come */
	int64_t running_ms; /* since the first was sent */
	int64_t just_ended; /* of `ended`, what was run by now: what the rate is of */
};

struct map_progress {
	bool is_wanted;
	bool is_shown;
	bool is_due; /* something has changed since it was drawn */
	struct mono begin, drawn;
};

void map_progress_begin(struct map_progress *progress);
void map_progress_draw(struct map_progress *progress, const struct map_numbers *numbers);
void map_progress_wipe(struct map_progress *progress);
/* How long until it may be drawn: for poll(2), -1 if nothing is to be. */
int map_progress_wait_ms(const struct map_progress *progress);

/* The line itself, pure: at most `width` columns. Returns buffer. */
const char *map_progress_words(char *buffer, size_t size, size_t width,
    const struct map_numbers *numbers);

#endif
