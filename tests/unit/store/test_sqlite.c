/* What only the SQLite engine has: files, other processes, failing disks. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../support/fault_vfs.h"
#include "../../support/subject.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "store/db.h"
#include "store/migrate.h"
#include "store/sqlite_engine.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LONGEST_MS 60000 /* that a busy machine may take for one database */

/* A sweep over all calls that may fail; the sanitizers make each try slow, and leave some out. */
#ifdef SANITIZED
#define STRIDE 3
#else
#define STRIDE 1
#endif

/* ---- files ---- */

struct place {
	char directory[64];
	char *database;
};

static int
make_place(void **state)
{
	struct place *place = xcalloc(1, sizeof(*place));

	scratch_make(place->directory);
	place->database = xasprintf("%s/" DB_FILE, place->directory);
	*state = place;
	return 0;
}

static int
remove_place(void **state)
{
	struct place *place = *state;

	scratch_remove(place->directory);
	free(place->database);
	free(place);
	return 0;
}

static void
write_file(const char *path, const char *bytes, size_t length)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd != -1);
	assert_int_equal(file_write_all(fd, bytes, length), 0);
	close(fd);
}

static struct buf
read_whole(const char *path)
{
	struct buf buf = { 0 };

	assert_int_equal(file_read(AT_FDCWD, path, SIZE_MAX, &buf), 0);
	return buf;
}

static void
copy_file(const char *from, const char *to)
{
	struct buf buf = read_whole(from);

	write_file(to, buf_start(&buf), buf.length);
	buf_done(&buf);
}

static void
assert_same_bytes(const char *path, const struct buf *before)
{
	struct buf after = read_whole(path);

	assert_int_equal(after.length, before->length);
	assert_memory_equal(buf_start(&after), buf_start(before), before->length);
	buf_done(&after);
}

static int
count_files(const char *directory)
{
	DIR *stream = opendir(directory);
	struct dirent *entry;
	int count = 0;

	while ((entry = readdir(stream)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(stream);
	return count;
}

static void
assert_refused(const char *directory, const char *words)
{
	struct error error = { 0 };
	struct store *store = sqlite_store_open(directory, 0, false, &error);

	assert_null(store);
	assert_int_equal(error.code, STATUS_CONFIG);
	if (strstr(error.text, words) == NULL)
		fail_msg("refused, but as: %s", error.text);
}

static struct store *
open_at(const char *directory)
{
	struct error error = { 0 };
	struct store *store = sqlite_store_open(directory, 0, false, &error);

	if (store == NULL)
		fail_msg("%s", error.text);
	return store;
}

static void
file_that_is_no_database_is_refused_untouched(void **state)
{
	struct place *place = *state;
	char text[2048];
	struct buf before;

	memset(text, 'x', sizeof(text));
	write_file(place->database, text, sizeof(text));
	before = read_whole(place->database);
	assert_refused(place->directory, "is not a database; it was left untouched");
	assert_same_bytes(place->database, &before);
	assert_int_equal(count_files(place->directory), 1);
	buf_done(&before);
}

static void
database_of_another_program_is_refused_untouched(void **state)
{
	static const char *const makers[] = {
		"CREATE TABLE t (x); PRAGMA user_version = 1",
		"PRAGMA application_id = 77",
		"PRAGMA user_version = 1",
	};
	struct place *place = *state;

	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
		sqlite3 *handle = connect_to(place->directory);
		struct buf before;

		tell(handle, makers[i]);
		sqlite3_close(handle);
		before = read_whole(place->database);
		assert_refused(place->directory, "belongs to another program");
		assert_same_bytes(place->database, &before);
		assert_int_equal(count_files(place->directory), 1);
		buf_done(&before);
		unlink(place->database);
	}
}

/* What it has not moved out of its WAL yet stays there too. */
static void
database_of_another_program_keeps_its_wal(void **state)
{
	struct place *place = *state, other;
	char *wal = xasprintf("%s-wal", place->database), *other_wal;
	struct buf database_before, wal_before;
	sqlite3 *handle;

	scratch_make(other.directory);
	other.database = xasprintf("%s/" DB_FILE, other.directory);
	other_wal = xasprintf("%s-wal", other.database);
	handle = connect_to(other.directory);
	tell(handle,
	    "PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)");
	copy_file(other.database, place->database);
	copy_file(other_wal, wal);
	sqlite3_close(handle);
	database_before = read_whole(place->database);
	wal_before = read_whole(wal);
	assert_true(wal_before.length > 0);
	assert_refused(place->directory, "belongs to another program");
	assert_same_bytes(place->database, &database_before);
	assert_same_bytes(wal, &wal_before);
	buf_done(&database_before);
	buf_done(&wal_before);
	scratch_remove(other.directory);
	free(other.database);
	free(other_wal);
	free(wal);
}

static void
database_from_the_future_is_refused_with_both_versions(void **state)
{
	struct place *place = *state;
	struct buf before;
	sqlite3 *handle;
	char words[64];

	store_close(open_at(place->directory));
	handle = connect_to(place->directory);
	tell(handle, "PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE)");
	sqlite3_close(handle);
	before = read_whole(place->database);
	snprintf(words, sizeof(words), "has version 99, newer than this program's %d",
	    migrate_newest());
	assert_refused(place->directory, words);
	assert_same_bytes(place->database, &before);
	buf_done(&before);
}

static void
database_from_the_past_is_not_written_without_a_migration(void **state)
{
	struct place *place = *state;
	struct error error = { 0 };
	sqlite3 *handle;
	struct db db;

	store_close(open_at(place->directory));
	handle = connect_to(place->directory);
	tell(handle, "PRAGMA user_version = 0");
	sqlite3_close(handle);
	assert_int_equal(db_open(&db, place->directory, DB_WRITE, 0, &error), -1);
	assert_int_equal(error.code, STATUS_CONFIG);
	assert_non_null(strstr(error.text, "has version 0"));
	assert_int_equal(db_open(&db, place->directory, DB_READ, 0, &error), -1);
	assert_non_null(strstr(error.text, "has version 0"));
}

static void
database_that_is_not_there_is_not_found(void **state)
{
	struct place *place = *state;
	struct error error = { 0 };
	struct db db;

	assert_int_equal(db_open(&db, place->directory, DB_WRITE, 0, &error), -1);
	assert_int_equal(error.code, STATUS_NOT_FOUND);
	assert_int_equal(db_open(&db, place->directory, DB_READ, 0, &error), -1);
	assert_int_equal(error.code, STATUS_NOT_FOUND);
	assert_int_equal(count_files(place->directory), 0);
}

/* SQLite would open it for reading, and refuse each transaction. */
static void
database_that_we_may_not_write_is_refused_with_its_file(void **state)
{
	char directory[] = "/tmp/jobberd-sqlite.XXXXXX", *wal;
	uid_t us = geteuid();
	struct error error = { 0 };
	struct db db;

	(void)state;
	assert_non_null(mkdtemp(directory));
	assert_int_equal(chmod(directory, 0755), 0);
	store_close(open_at(directory));
	wal = xasprintf("%s/" DB_FILE "-wal", directory);
	write_file(wal, "", 0);
	assert_int_equal(chmod(wal, 0444), 0);
	if (us == 0)
		assert_int_equal(seteuid(65534), 0);
	assert_int_equal(db_open(&db, directory, DB_CREATE, 0, &error), -1);
	assert_int_equal(error.code, STATUS_NOT_PERMITTED);
	assert_non_null(strstr(error.text, us == 0 ? "/jobberd.db: Permission denied"
						   : "/jobberd.db-wal: Permission denied"));
	assert_int_equal(db_open(&db, directory, DB_WRITE, 0, &error), -1);
	assert_int_equal(error.code, STATUS_NOT_PERMITTED);
	if (us == 0)
		assert_int_equal(seteuid(us), 0);
	scratch_remove(directory);
	free(wal);
}

static void
path_that_is_no_regular_file_is_refused(void **state)
{
	struct place *place = *state;

	assert_int_equal(mkdir(place->database, 0700), 0);
	assert_refused(place->directory, "not a regular file");
	rmdir(place->database);
	assert_int_equal(symlink("/dev/null", place->database), 0);
	assert_refused(place->directory, "not a regular file");
}

static void
fresh_directory_gets_the_newest_schema(void **state)
{
	struct place *place = *state;
	struct store *store = open_at(place->directory);
	sqlite3 *handle = connect_to(place->directory);
	char number[16];
	struct stat info;

	snprintf(number, sizeof(number), "%d", migrate_newest());
	assert_string_equal(ask(handle, "PRAGMA user_version"), number);
	snprintf(number, sizeof(number), "%d", DB_APPLICATION_ID);
	assert_string_equal(ask(handle, "PRAGMA application_id"), number);
	assert_string_equal(ask(handle, "PRAGMA journal_mode"), "wal");
	assert_string_equal(ask(handle, "PRAGMA integrity_check"), "ok");
	assert_string_equal(ask(handle, "SELECT group_concat(name) FROM supervisors"),
	    "default,serial,servers");
	assert_string_equal(
	    ask(handle,
		"SELECT max_children > 0 FROM supervisors WHERE name = 'default'"),
	    "1");
	assert_int_equal(stat(place->database, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0600);
	sqlite3_close(handle);
	store_close(store);
}

/* As it is when its maker was killed before the first commit. */
static void
empty_file_becomes_a_database(void **state)
{
	struct place *place = *state;

	write_file(place->database, "", 0);
	store_close(open_at(place->directory));
}

/* SQLite alone would delete the WAL, and with it the last jobs. */
static void
wal_whose_database_is_gone_is_not_thrown_away(void **state)
{
	struct place *place = *state;
	char *wal = xasprintf("%s-wal", place->database);
	struct buf before;

	write_file(wal, "not empty", 9);
	before = read_whole(wal);
	assert_refused(place->directory, "this database is gone");
	write_file(place->database, "", 0);
	assert_refused(place->directory, "this database is gone");
	assert_same_bytes(wal, &before);
	buf_done(&before);
	write_file(wal, "", 0); /* as it is left at a clean end */
	store_close(open_at(place->directory));
	free(wal);
}

static void
directory_behind_a_link_is_fine(void **state)
{
	struct place *place = *state;
	char *real = xasprintf("%s/real", place->directory);
	char *link = xasprintf("%s/link", place->directory);

	assert_int_equal(mkdir(real, 0700), 0);
	assert_int_equal(symlink("real", link), 0);
	store_close(open_at(link));
	store_close(open_at(real));
	free(real);
	free(link);
}

static void
file_system_without_wal_is_refused_in_words(void **state)
{
	struct place *place = *state;

	fault_vfs_install();
	fault_vfs_set(FAULT_NO_SHARED_MEMORY);
	assert_refused(place->directory, "cannot hold a database in WAL mode");
	fault_vfs_remove();
}

static void
migration_that_fails_changes_nothing_and_leaves_a_copy(void **state)
{
	struct place *place = *state;
	sqlite3 *handle;
	char *backup = xasprintf("%s.backup-0", place->database);
	struct db db = { .path = backup };

	store_close(open_at(place->directory));
	handle = connect_to(place->directory);
	tell(handle,
	    "INSERT INTO jobs(command) VALUES('[\"true\"]'); PRAGMA user_version = 0");
	sqlite3_close(handle);
	assert_refused(place->directory, "already exists");
	handle = connect_to(place->directory);
	assert_string_equal(ask(handle, "PRAGMA user_version"), "0");
	assert_string_equal(ask(handle, "SELECT count(*) FROM jobs"), "1");
	sqlite3_close(handle);
	assert_int_equal(sqlite3_open(backup, &db.handle), SQLITE_OK);
	assert_string_equal(ask(db.handle, "SELECT count(*) FROM jobs"), "1");
	sqlite3_close(db.handle);
	free(backup);
}

static void
damaged_database_is_seen_by_the_check(void **state)
{
	struct place *place = *state;
	struct error error = { 0 };
	struct buf buf;
	sqlite3 *handle;
	size_t page;

	store_close(open_at(place->directory));
	handle = connect_to(place->directory);
	tell(handle, "INSERT INTO jobs(command) VALUES('[\"true\"]');"
		     "PRAGMA wal_checkpoint(TRUNCATE)");
	page = strtoul(
	    ask(handle, "SELECT rootpage FROM sqlite_schema WHERE name = 'events'"), NULL,
	    10);
	sqlite3_close(handle);
	buf = read_whole(place->database);
	memset(buf_start(&buf) + (page - 1) * 4096, 0x5a, 64);
	write_file(place->database, buf_start(&buf), buf.length);
	buf_done(&buf);
	assert_null(sqlite_store_open(place->directory, 0, true, &error));
	assert_int_equal(error.code, STATUS_CONFIG);
	assert_non_null(strstr(error.text, "damaged"));
}

/* ---- other processes ---- */

static void
store_is_busy_while_another_writes(void **state)
{
	struct subject *subject = *state;
	sqlite3 *handle = connect_to(subject->directory);
	struct batch batch;
	bool is_changed = false;

	submit(subject, "");
	tell(handle, "BEGIN IMMEDIATE; INSERT INTO jobs(command) VALUES('[\"true\"]')");
	batch_init(&batch);
	add_submit(&batch, "");
	assert_int_equal(run(subject, &batch), STORE_BUSY);
	assert_int_equal(store_changed(subject->store, &is_changed), STORE_BUSY);
	assert_string_equal(status_of(subject, 1), "new"); /* reading is fine */
	assert_string_equal(status_of(subject, 2), "none");
	tell(handle, "COMMIT");
	run_ok(subject, &batch);
	assert_int_equal(batch.steps[0]->submit.ret_ids[0], 3);
	batch_done(&batch);
	sqlite3_close(handle);
}

static bool
has_changed(struct subject *subject)
{
	bool is_changed = false;

	assert_int_equal(store_changed(subject->store, &is_changed), STORE_OK);
	return is_changed;
}

static void
commits_of_others_are_changes_and_own_ones_are_not(void **state)
{
	struct subject *subject = *state;
	sqlite3 *handle = connect_to(subject->directory);

	assert_false(has_changed(subject));
	tell(handle, "INSERT INTO jobs(command) VALUES('[\"true\"]')");
	assert_true(has_changed(subject));
	assert_false(has_changed(subject));
	submit(subject, "");
	assert_false(has_changed(subject));
	tell(handle, "BEGIN; INSERT INTO jobs(command) VALUES('[\"true\"]'); ROLLBACK");
	assert_false(has_changed(subject));
	tell(handle, "UPDATE jobs SET priority = 1");
	submit(subject, ""); /* it sees the change first … */
	assert_true(has_changed(subject)); /* … and does not keep it to itself */
	assert_false(has_changed(subject));
	sqlite3_close(handle);
}

/* In a child: make the database or open it, add a job. Its exit status says how far. */
static int
open_and_submit(const char *directory)
{
	struct error error;
	struct store *store = sqlite_store_open(directory, LONGEST_MS, false, &error);
	sqlite3 *handle;
	char *path = xasprintf("%s/" DB_FILE, directory);
	int code;

	if (store == NULL) {
		fprintf(stderr, "%s\n", error.text);
		return 1;
	}
	store_close(store);
	if (sqlite3_open(path, &handle) != SQLITE_OK)
		return 2;
	sqlite3_busy_timeout(handle, LONGEST_MS);
	code = sqlite3_exec(
	    handle, "INSERT INTO jobs(command) VALUES('[\"true\"]')", NULL, NULL, NULL);
	sqlite3_close(handle);
	free(path);
	return code == SQLITE_OK ? 0 : 3;
}

static pid_t
fork_opener(const char *directory, int start_fd, int unused_fd)
{
	pid_t pid = fork();
	char byte;

	if (pid == 0) {
		close(unused_fd);
		if (read(start_fd, &byte, 1) != 0)
			_exit(9);
		_exit(open_and_submit(directory));
	}
	return pid;
}

static void
two_processes_can_make_it_at_once(void **state)
{
	struct place *place = *state;

	for (int round = 0; round < 10; round++) {
		int start[2], status;
		pid_t children[3];
		sqlite3 *handle;

		assert_int_equal(pipe2(start, O_CLOEXEC), 0);
		for (int i = 0; i < 3; i++)
			children[i] = fork_opener(place->directory, start[0], start[1]);
		close(start[0]);
		close(start[1]); /* now */
		for (int i = 0; i < 3; i++) {
			assert_int_equal(waitpid(children[i], &status, 0), children[i]);
			assert_true(WIFEXITED(status));
			assert_int_equal(WEXITSTATUS(status), 0);
		}
		handle = connect_to(place->directory);
		assert_string_equal(ask(handle, "SELECT count(*) FROM jobs"), "3");
		assert_string_equal(ask(handle, "PRAGMA integrity_check"), "ok");
		sqlite3_close(handle);
		scratch_remove(place->directory);
		assert_int_equal(mkdir(place->directory, 0700), 0);
	}
}

static void
table_dropped_by_another_is_damage(void **state)
{
	struct subject *subject = *state;
	sqlite3 *handle = connect_to(subject->directory);
	struct batch batch;

	tell(handle, "DROP TABLE foreign_cancels");
	batch_init(&batch);
	add_submit(&batch, "");
	assert_int_equal(run(subject, &batch), STORE_CORRUPT);
	batch_done(&batch);
	sqlite3_close(handle);
}

/* ---- syncs ---- */

static void
sync_is_of_the_wal_and_only_when_needed(void **state)
{
	struct subject *subject = *state;
	int before;

	submit(subject, "");
	before = fault_vfs_syncs();
	submit(subject, "");
	assert_int_equal(fault_vfs_syncs(), before); /* a commit alone does not sync */
	assert_int_equal(store_sync(subject->store), STORE_OK);
	assert_int_equal(fault_vfs_syncs(), before + 1);
	assert_int_equal(store_sync(subject->store), STORE_OK);
	status_of(subject, 1);
	assert_int_equal(store_sync(subject->store), STORE_OK);
	assert_int_equal(fault_vfs_syncs(), before + 1);
}

static int64_t
wal_size(const struct subject *subject)
{
	char *path = xasprintf("%s/" DB_FILE "-wal", subject->directory);
	struct stat info;

	assert_int_equal(stat(path, &info), 0);
	free(path);
	return info.st_size;
}

static void
turn_that_changes_nothing_writes_nothing(void **state)
{
	struct subject *subject = *state;
	struct batch empty;
	int64_t size;
	int before;

	submit(subject, "");
	claim(subject, "default");
	assert_int_equal(store_sync(subject->store), STORE_OK);
	size = wal_size(subject);
	before = fault_vfs_syncs();
	assert_int_equal(claim_count(subject, "default", 1), 0);
	assert_int_equal(store_sync(subject->store), STORE_OK);
	assert_int_equal(wal_size(subject), size);
	assert_int_equal(fault_vfs_syncs(), before);
	/* But for one that is there to see whether it can. */
	batch_init(&empty);
	run_ok(subject, &empty);
	batch_done(&empty);
	assert_true(wal_size(subject) > size);
}

static void
sync_that_failed_succeeds_only_by_a_checkpoint(void **state)
{
	struct subject *subject = *state;
	sqlite3 *reader = connect_to(subject->directory);

	submit(subject, "");
	tell(reader, "BEGIN; SELECT count(*) FROM jobs");
	submit(subject, "");
	fault_vfs_set(FAULT_SYNC);
	assert_int_equal(store_sync(subject->store), STORE_UNAVAILABLE);
	/* A reader of the past is in the way: the kernel's word alone is not believed. */
	assert_int_equal(store_sync(subject->store), STORE_BUSY);
	submit(subject, "");
	assert_int_equal(store_sync(subject->store), STORE_BUSY);
	assert_true(wal_size(subject) > 0);
	tell(reader, "COMMIT");
	assert_int_equal(store_sync(subject->store), STORE_OK);
	assert_int_equal(wal_size(subject), 0);
	sqlite3_close(reader);
}

/* What was written before may not be on disk, whoever wrote it. */
static void
sync_after_a_reopen_is_a_checkpoint(void **state)
{
	struct subject *subject = *state;
	struct batch batch;

	batch_init(&batch);
	add_submit(&batch, "");
	fault_vfs_set(FAULT_COMMIT_KEPT);
	assert_int_equal(run(subject, &batch), STORE_IN_DOUBT);
	assert_int_equal(store_reopen(subject->store), STORE_OK);
	assert_true(wal_size(subject) > 0);
	assert_int_equal(store_sync(subject->store), STORE_OK);
	assert_int_equal(wal_size(subject), 0);
	batch_done(&batch);
}

static void
sync_of_a_database_that_was_moved_away_does_not_succeed(void **state)
{
	struct subject *subject = *state;
	char *path = xasprintf("%s/" DB_FILE, subject->directory);
	char *elsewhere = xasprintf("%s/elsewhere", subject->directory);

	submit(subject, "");
	assert_int_equal(rename(path, elsewhere), 0);
	assert_int_equal(store_sync(subject->store), STORE_UNAVAILABLE);
	write_file(path, "", 0); /* another one in its place */
	assert_int_equal(store_sync(subject->store), STORE_UNAVAILABLE);
	assert_int_equal(store_reopen(subject->store), STORE_UNAVAILABLE);
	assert_int_equal(store_sync(subject->store), STORE_UNAVAILABLE);
	assert_int_equal(rename(elsewhere, path), 0);
	assert_int_equal(store_reopen(subject->store), STORE_OK);
	assert_int_equal(store_sync(subject->store), STORE_OK);
	assert_string_equal(status_of(subject, 1), "new");
	free(path);
	free(elsewhere);
}

/* ---- disks that fail: the n-th call, for every n ---- */

struct sweep {
	struct subject subject;
	struct attempt_key running;
};

/* A job that runs, one that waits for it; read from the file, not from the cache. */
static void
sweep_begin(struct sweep *sweep)
{
	struct subject *subject = &sweep->subject;

	subject_open(subject, &subject_sqlite);
	submit(subject, "");
	submit(subject, "after=1");
	sweep->running = start(subject);
	subject_restart(subject);
}

static void
fill(struct batch *batch, struct attempt_key running)
{
	batch_init(batch);
	add_ended(batch, running, "exit:100");
	add_submit(batch, "name=new;after=1");
	add_claim(batch, "default", 9);
	batch_add(batch, STEP_DUE, NULL, NULL);
}

static void
check_state(struct subject *subject, bool is_there)
{
	sqlite3 *handle = connect_to(subject->directory);

	assert_string_equal(ask(handle, "SELECT group_concat(status) FROM jobs"),
	    is_there ? "failed,cancelled,new,cancelled" : "running,new");
	assert_string_equal(ask(handle, "SELECT is_writing FROM writer"), "0");
	assert_string_equal(ask(handle, "PRAGMA integrity_check"), "ok");
	sqlite3_close(handle);
}

/* One turn with this fault ordered. Is it there, after a reopen if need be? */
static bool
run_through(struct subject *subject, struct batch *batch)
{
	enum store_answer answer = run(subject, batch), reopened;

	assert_int_not_equal(answer, STORE_CORRUPT);
	if (answer != STORE_IN_DOUBT && answer != STORE_UNAVAILABLE)
		return answer == STORE_OK;
	fault_vfs_set(FAULT_NONE);
	reopened = store_reopen(subject->store);
	if (answer == STORE_UNAVAILABLE)
		assert_int_equal(reopened, STORE_ABSENT);
	return reopened == STORE_OK;
}

/* Did the fault come at all? */
static bool
sweep_one(int nth, bool is_for_good)
{
	struct sweep sweep;
	struct batch batch;
	bool has_failed, is_there;

	sweep_begin(&sweep);
	fill(&batch, sweep.running);
	fault_vfs_fail_nth(nth, is_for_good);
	is_there = run_through(&sweep.subject, &batch);
	has_failed = fault_vfs_has_failed();
	fault_vfs_set(FAULT_NONE);
	check_state(&sweep.subject, is_there);
	if (!is_there)
		run_ok(&sweep.subject, &batch);
	check_state(&sweep.subject, true);
	assert_int_equal(batch.ended_count, 3);
	assert_int_equal(batch.steps[2]->claim.ret_count, 1);
	assert_int_equal(store_sync(sweep.subject.store), STORE_OK);
	batch_done(&batch);
	subject_close(&sweep.subject);
	return has_failed;
}

static void
turn_is_there_or_not_whichever_call_fails(void **state)
{
	(void)state;
	for (int is_for_good = 0; is_for_good < 2; is_for_good++) {
		int nth = 1;

		/* One without the fault may be luck (a lock not asked); two are not. */
		for (int unharmed = 0; unharmed < 2; nth++)
			unharmed = sweep_one(nth, is_for_good) ? 0 : unharmed + 1;
		assert_true(nth > 10);
	}
}

static void
making_the_database_can_be_repeated_whichever_call_fails(void **state)
{
	struct place *place = *state;
	bool has_failed = true;
	int nth;

	fault_vfs_install();
	for (nth = 1; has_failed; nth += STRIDE) {
		struct error error = { 0 };
		struct store *store;
		sqlite3 *handle;

		fault_vfs_fail_nth(nth, false);
		store = sqlite_store_open(place->directory, 0, false, &error);
		has_failed = fault_vfs_has_failed();
		fault_vfs_set(FAULT_NONE);
		if (store == NULL)
			assert_true(error.text[0] != '\0');
		store_close(store);
		store_close(open_at(place->directory));
		handle = connect_to(place->directory);
		assert_string_equal(ask(handle, "PRAGMA integrity_check"), "ok");
		assert_string_equal(ask(handle, "SELECT count(*) FROM supervisors"), "3");
		sqlite3_close(handle);
		scratch_remove(place->directory);
		assert_int_equal(mkdir(place->directory, 0700), 0);
	}
	assert_true(nth > 10);
	fault_vfs_remove();
}

/* The commit was written, and the answer to it was an error; the disk is fine again. */
static void
turn_in_doubt_is_there_exactly_if_the_reopen_says_so(void **state)
{
	static const enum fault faults[] = { FAULT_COMMIT_KEPT, FAULT_COMMIT_LOST };
	struct subject *subject = *state;

	for (int i = 0; i < 2; i++) {
		struct batch batch;
		sqlite3 *handle;

		batch_init(&batch);
		add_submit(&batch, "name=a");
		fault_vfs_set(faults[i]);
		assert_int_equal(run(subject, &batch), STORE_IN_DOUBT);
		assert_int_equal(
		    store_reopen(subject->store), i == 0 ? STORE_OK : STORE_ABSENT);
		handle = connect_to(subject->directory);
		assert_string_equal(
		    ask(handle, "SELECT count(*) FROM jobs"), i == 0 ? "1" : "0");
		if (i == 0)
			tell(handle,
			    "UPDATE jobs SET status = 'cancelled'; DELETE FROM jobs");
		sqlite3_close(handle);
		batch_done(&batch);
	}
}

static void
turn_before_a_reopen_that_failed_is_unavailable(void **state)
{
	struct subject *subject = *state;
	char *path = xasprintf("%s/" DB_FILE, subject->directory);
	char *elsewhere = xasprintf("%s/elsewhere", subject->directory);
	struct batch batch;
	bool is_changed;

	submit(subject, "");
	assert_int_equal(rename(path, elsewhere), 0);
	assert_int_equal(store_reopen(subject->store), STORE_UNAVAILABLE);
	batch_init(&batch);
	add_submit(&batch, "");
	assert_int_equal(run(subject, &batch), STORE_UNAVAILABLE);
	assert_int_equal(store_changed(subject->store, &is_changed), STORE_UNAVAILABLE);
	assert_int_equal(store_sync(subject->store), STORE_UNAVAILABLE);
	assert_int_equal(rename(elsewhere, path), 0);
	/* The turn that was tried meanwhile is not there, the one before it is. */
	assert_int_equal(store_reopen(subject->store), STORE_ABSENT);
	assert_string_equal(status_of(subject, 1), "new");
	run_ok(subject, &batch);
	batch_done(&batch);
	free(path);
	free(elsewhere);
}

#define AT_PLACE(function) \
	cmocka_unit_test_setup_teardown(function, make_place, remove_place)
#define ON_STORE(function)                                                              \
	{ #function, function, subject_setup, subject_teardown, (void *)&subject_sqlite }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		AT_PLACE(file_that_is_no_database_is_refused_untouched),
		AT_PLACE(database_of_another_program_is_refused_untouched),
		AT_PLACE(database_of_another_program_keeps_its_wal),
		AT_PLACE(database_from_the_future_is_refused_with_both_versions),
		AT_PLACE(database_from_the_past_is_not_written_without_a_migration),
		AT_PLACE(database_that_is_not_there_is_not_found),
		AT_PLACE(database_that_we_may_not_write_is_refused_with_its_file),
		AT_PLACE(path_that_is_no_regular_file_is_refused),
		AT_PLACE(fresh_directory_gets_the_newest_schema),
		AT_PLACE(empty_file_becomes_a_database),
		AT_PLACE(wal_whose_database_is_gone_is_not_thrown_away),
		AT_PLACE(directory_behind_a_link_is_fine),
		AT_PLACE(file_system_without_wal_is_refused_in_words),
		AT_PLACE(migration_that_fails_changes_nothing_and_leaves_a_copy),
		AT_PLACE(damaged_database_is_seen_by_the_check),
		AT_PLACE(two_processes_can_make_it_at_once),
		AT_PLACE(making_the_database_can_be_repeated_whichever_call_fails),
		ON_STORE(store_is_busy_while_another_writes),
		ON_STORE(commits_of_others_are_changes_and_own_ones_are_not),
		ON_STORE(table_dropped_by_another_is_damage),
		ON_STORE(sync_is_of_the_wal_and_only_when_needed),
		ON_STORE(turn_that_changes_nothing_writes_nothing),
		ON_STORE(sync_that_failed_succeeds_only_by_a_checkpoint),
		ON_STORE(sync_after_a_reopen_is_a_checkpoint),
		ON_STORE(sync_of_a_database_that_was_moved_away_does_not_succeed),
		ON_STORE(turn_in_doubt_is_there_exactly_if_the_reopen_says_so),
		ON_STORE(turn_before_a_reopen_that_failed_is_unavailable),
		cmocka_unit_test(turn_is_there_or_not_whichever_call_fails),
	};

	return cmocka_run_group_tests_name("store sqlite", tests, NULL, NULL);
}
