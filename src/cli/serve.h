#ifndef CLI_SERVE_H
#define CLI_SERVE_H

#include "base/error.h"

/*
 * Start a draining supervise in a session of its own, which says what it has to say in
 * supervise.log of the state directory; returns when it is ready, or has ended: then nobody
 * answers. It stays for 10 s for whoever comes to it. 0, or -1 with *error.
 */
int serve_in_background(const char *state_directory, struct error *error);

#endif
