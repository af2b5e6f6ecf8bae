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

/* One migration and its number, inside a transaction. */
static int
apply_one(struct db *db, const struct migration *migration)
{
	char *finish = xasprintf(
	    "INSERT INTO supervisors (name, max_children) SELECT 'default', %d "
	    "WHERE NOT EXISTS (SELECT 1 FROM supervisors WHERE name = 'default');"
	    "PRAGMA application_id = %d; PRAGMA user_version = %d",
	    usable_cpus(), DB_APPLICATION_ID, migration->number);
	int code = db_execute(db, migration->sql);

	if (code == SQLITE_OK)
		code = db_execute(db, finish);
	free(finish);
	return code;
}

/*
 * The migrations from `first` to `last` in one transaction. Another process may have been
 * faster: the version is read again under the lock.
 */
static int
apply(struct db *db, const struct migration *first, const struct migration *last,
    bool *ret_applied, struct error *error)
{
	int64_t version = 0;
	int code = db_execute(db, "BEGIN IMMEDIATE");

	*ret_applied = false;
	if (code == SQLITE_OK)
		code = db_number(db, "PRAGMA user_version", &version);
	for (const struct migration *m = first; m <= last && code == SQLITE_OK; m++) {
		if (version >= m->number)
			continue;
		code = apply_one(db, m);
		*ret_applied = code == SQLITE_OK;
	}
	if (code == SQLITE_OK && *ret_applied)
		code = db_execute(db, "COMMIT");
	if (code != SQLITE_OK)
		db_error(db, code, error); /* before the rollback clears it */
	if (code != SQLITE_OK || !*ret_applied) {
		*ret_applied = false;
		db_execute(db, "ROLLBACK");
	}
	return code == SQLITE_OK ? 0 : -1;
}

/* A new database is made as a whole: nobody else sees one of an older version. */
static int
make(struct db *db, struct error *error)
{
	const struct migration *last = migrations;
	bool applied;

	while (last[1].number != 0)
		last++;
	return apply(db, migrations, last, &applied, error);
}

int
migrate_run(struct db *db, int from, bool is_empty, struct error *error)
{
	bool applied;

	if (is_empty)
		return make(db, error);
	if (back_up(db, from, error) == -1)
		return -1;
	for (const struct migration *m = migrations; m->number != 0; m++) {
		if (m->number <= from)
			continue;
		if (apply(db, m, m, &applied, error) == -1)
			return -1;
		if (applied)
			log_info("migrated=%s version=%d", m->name, m->number);
	}
	return 0;
}
