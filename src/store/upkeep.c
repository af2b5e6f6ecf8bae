/* upkeep: what `migrate` needs. */

#include "store/upkeep.h"
#include "store/db.h"

#define WAIT_MS 10000

int
upkeep_version(const char *state_directory, int *ret_version, struct error *error)
{
	struct db db;

	if (db_open(&db, state_directory, DB_INSPECT, WAIT_MS, error) == -1)
		return -1;
	*ret_version = db.version;
	db_close(&db);
	return 0;
}

int
upkeep_migrate(const char *state_directory, struct error *error)
{
	struct db db;

	if (db_open(&db, state_directory, DB_CREATE, WAIT_MS, error) == -1)
		return -1;
	db_close(&db);
	return 0;
}
