/* migrate: the files of migrations/, in order, one transaction each. */

#include "store/migrate.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "store/db.h"

#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

int
migrate_newest(void)
{
	int newest = 0;

	for (const struct migration *m = migrations; m->number != 0; m++)
		newest = m->number;
	return newest;
}

static int
back_up(struct db *db, int from, struct error *error)
{
	char *path = xasprintf("%s.backup-%d", db->path, from);
	char *sql = sqlite3_mprintf("VACUUM INTO %Q", path);
	int code;

	unlink(path); /* of an earlier try: VACUUM INTO wants a new file */
	code = db_execute(db, sql);
	if (code == SQLITE_OK)
		log_info("backup=%s version=%d", path, from);
	sqlite3_free(sql);
	free(path);
	return code == SQLITE_OK ? 0 : db_error(db, code, error);
}

/* `default` has as many places as this process may use CPUs. */
static int
usable_cpus(void)
{
	cpu_set_t cpus;

	return sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
}

/*
 * One migration and all that says so in one transaction. Another process may have been
 * faster: the version is read again under the lock.
 */
static int
apply(struct db *db, const struct migration *migration, bool *ret_applied,
    struct error *error)
{
	char *finish = xasprintf(
	    "INSERT OR IGNORE INTO supervisors VALUES ('default', %d);"
	    "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
	    usable_cpus(), DB_APPLICATION_ID, migration->number);
	int64_t version = 0;
	int code = db_execute(db, "BEGIN IMMEDIATE");

	*ret_applied = false;
	if (code == SQLITE_OK)
		code = db_number(db, "PRAGMA user_version", &version);
	if (code == SQLITE_OK && version < migration->number) {
		code = db_execute(db, migration->sql);
		if (code == SQLITE_OK)
			code = db_execute(db, finish);
		*ret_applied = code == SQLITE_OK;
	}
	free(finish);
	if (code != SQLITE_OK)
		db_error(db, code, error); /* before the rollback clears it */
	if (!*ret_applied)
		db_execute(db, "ROLLBACK");
	return code == SQLITE_OK ? 0 : -1;
}

int
migrate_run(struct db *db, int from, bool is_empty, struct error *error)
{
	bool applied;

	if (!is_empty && back_up(db, from, error) == -1)
		return -1;
	for (const struct migration *m = migrations; m->number != 0; m++) {
		if (m->number <= from)
			continue;
		if (apply(db, m, &applied, error) == -1)
			return -1;
		if (applied && !is_empty)
			log_info("migrated=%s version=%d", m->name, m->number);
	}
	return 0;
}
