#ifndef SUPPORT_SPAWNING_H
#define SUPPORT_SPAWNING_H

#include "keeper/spawn.h"

/* spawn_begin() to spawn_end(), whose result it is; what is returned is untouched on failure. */
int spawn_whole(const struct spawn *spawn, pid_t *ret_pid, int64_t *ret_start);

#endif
