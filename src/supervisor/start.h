#ifndef SUPERVISOR_START_H
#define SUPERVISOR_START_H

#include "store/store.h"
#include "supervisor/supervisor.h"

/*
 * Order a claimed job from the keeper: its argv, its environment (what was recorded, or
 * the basics, with the JOBBERD_ variables and PREFIX/libexec/jobberd at the end of PATH),
 * its directory and limits. To be started at once, or when `after` (not NULL) has ended.
 */
void start_order(struct supervisor *supervisor, const struct claimed_job *claimed,
    const struct attempt_key *after);

#endif
