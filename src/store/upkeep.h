#ifndef STORE_UPKEEP_H
#define STORE_UPKEEP_H

#include "base/error.h"

/* The database as a whole, offline: its version, bringing it up. */

/* The version of the database of this state directory. 0, or -1 with *error. */
int upkeep_version(const char *state_directory, int *ret_version, struct error *error);

/* Migrate it to this program's version, after a copy. 0, or -1 with *error. */
int upkeep_migrate(const char *state_directory, struct error *error);

#endif
