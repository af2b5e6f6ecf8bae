#ifndef KEEPER_OUTPUT_H
#define KEEPER_OUTPUT_H

#include "keeper/orders.h"

#include <stddef.h>

/*
 * The files that attempts write their output to, STATE/output/ID.ATTEMPT. One that is still
 * empty at the end goes to STATE/spare, and the next attempt gets it.
 */
struct outputs {
	int fd, spare_fd; /* the directories; the second may be -1 */
	size_t spares;	  /* files there, called 0, 1 … */
};

/* 0, or -1 with errno; outputs_close() in any case. */
int outputs_open(struct outputs *outputs, int state_fd);
void outputs_close(struct outputs *outputs);

/* A new and empty one, to append to: a descriptor, or -1 with errno. */
int outputs_make(struct outputs *outputs, const struct order_key *key);
/* How many bytes it has; 0 if it is not there. */
int64_t outputs_size(const struct outputs *outputs, const struct order_key *key);
/* It is empty: an empty output file says nothing. */
void outputs_drop(struct outputs *outputs, const struct order_key *key);

#endif
