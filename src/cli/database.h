#ifndef CLI_DATABASE_H
#define CLI_DATABASE_H

#include "store/query.h"

#include <stdbool.h>

/*
 * query_open() for a person: NULL with *error, where STATUS_NOT_FOUND is that there is no database
 * yet, or no more and nobody uses it. If one is used that is gone, STATUS_CONFIG.
 */
struct query *database_open(const char *state_directory, struct error *error);

/* Is there nothing at its path? */
bool database_is_missing(const char *state_directory);

#endif
