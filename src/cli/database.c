/*
 * database: it is opened to be read. Where there is none yet there are no jobs; one that was
 * removed while a supervise runs on it is another thing, and is said.
 */

#include "cli/database.h"
#include "base/xalloc.h"
#include "cli/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool
database_is_missing(const char *state_directory)
{
	char *path = xasprintf("%s/jobberd.db", state_directory);
	bool result = faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == -1 &&
	    errno == ENOENT;

	free(path);
	return result;
}

/*
 * Does a supervisor process run that has opened its database? One that does not answer, or that
 * comes up again and again, may have. False with *error, which is left alone if nothing runs.
 */
static bool
is_in_use(const char *state_directory, struct error *error)
{
	struct error asked;
	json_t *status = client_status(state_directory, &asked);
	const char *phase = json_string_value(json_object_get(status, "phase"));
	bool result = phase != NULL && strcmp(phase, "starting") != 0;

	if (status == NULL && asked.code == STATUS_TRY_LATER)
		*error = asked;
	json_decref(status);
	return result;
}

struct query *
database_open(const char *state_directory, struct error *error)
{
	struct query *query = query_open(state_directory, error);

	if (query != NULL || error->code != STATUS_NOT_FOUND || !is_in_use(state_directory, error))
		return query;
	query = query_open(state_directory, error); /* it may have been made meanwhile */
	if (query == NULL && error->code == STATUS_NOT_FOUND)
		error_set(error, STATUS_CONFIG,
		    "%s/jobberd.db is gone, and a supervise runs on it: put it back",
		    state_directory);
	return query;
}
