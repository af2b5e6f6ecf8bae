#ifndef CLI_ENVIRONMENT_H
#define CLI_ENVIRONMENT_H

#include "base/error.h"
#include "model/spec.h"

/*
 * The environment a job gets. Every job of a request has the basics of where submit is
 * called: PATH HOME USER LOGNAME SHELL LANG LC_* TZ TMPDIR.
 */
void environment_basics(struct strings *basics);
/* Is this NAME=VALUE one of those? */
bool environment_is_basic(const char *variable);

/*
 * Resolve what a job asked for (--env, --env-all, --env-file) into spec->environment. 0, or
 * -1 with *error: a file cannot be read, or a line of it is not NAME=VALUE.
 */
int environment_resolve(struct spec *spec, struct error *error);

/* The value of a variable in a list, NULL if it is not there. */
const char *environment_get(const struct strings *environment, const char *name);

/* Would this program be found on that PATH, from that directory? */
bool environment_finds(const struct strings *environment, const char *cwd,
    const char *program);

#endif
