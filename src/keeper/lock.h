#ifndef KEEPER_LOCK_H
#define KEEPER_LOCK_H

#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

/*
 * One keeper a state directory: a lock on STATE/jobberd.lock, held by the keeper and its
 * supervisor process for as long as they live, whatever kills them. The file tells the
 * keeper's pid.
 */
#define LOCK_FILE "jobberd.lock"

/*
 * Take it. When a living keeper has it: -1 with STATUS_STATE and its pid in the sentence.
 * When only the remains of a killed one have it, wait for them to be gone.
 */
int lock_take(int directory, int *ret_fd, struct error *error);

/* Who holds it: the keeper's pid, 0 if nobody does. */
pid_t lock_holder(const char *state_directory);

/* A pidfd of the keeper that holds it, -1 if there is none. */
int lock_watch_holder(const char *state_directory);

/* Wait until the keeper that holds it, if there is one, is gone. false: there was none. */
bool lock_wait_for_holder(const char *state_directory);

#endif
