/*
 * fault_vfs: SQLite's file system with faults to order. A file of ours is a small head
 * with the real one behind it; each method asks whether to fail, then passes the call on.
 */

#include "fault_vfs.h"

#include <sqlite3.h>
#include <stddef.h>
#include <string.h>

#define FRAME_HEAD_SIZE 24 /* of the WAL: bytes 4 to 7 are 0 but in a commit's last */
#define WRITERS_LOCK 0	   /* its place in the shared memory */

struct fault_file {
	sqlite3_file base;
	bool is_wal, is_in_commit; /* the next write ends a commit */
	sqlite3_file *real;
};

static struct {
	sqlite3_vfs vfs, *real;
	enum fault fault;
	bool has_failed, is_dead;
	int calls_left, syncs;
	bool is_for_good;
} the;

/* Does this call fail by number, or because nothing works any more? */
static bool
fails(void)
{
	if (the.is_dead)
		return true;
	if (the.fault != FAULT_NTH || --the.calls_left > 0)
		return false;
	if (the.is_for_good)
		the.is_dead = true;
	else
		the.fault = FAULT_NONE;
	the.has_failed = true;
	return true;
}

static int
fail_once(int code)
{
	the.fault = FAULT_NONE;
	the.has_failed = true;
	return code;
}

static struct fault_file *
file_of(sqlite3_file *file)
{
	return (struct fault_file *)file;
}

static sqlite3_file *
real_of(sqlite3_file *file)
{
	return file_of(file)->real;
}

static int
file_close(sqlite3_file *file)
{
	return real_of(file)->pMethods->xClose(real_of(file));
}

static int
file_read(sqlite3_file *file, void *bytes, int count, sqlite3_int64 offset)
{
	if (fails())
		return SQLITE_IOERR_READ;
	return real_of(file)->pMethods->xRead(real_of(file), bytes, count, offset);
}

static int
real_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset)
{
	return real_of(file)->pMethods->xWrite(real_of(file), bytes, count, offset);
}

/* A write to the WAL is a frame's head or its page. */
static int
wal_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset)
{
	struct fault_file *ours = file_of(file);
	bool ends_commit = ours->is_in_commit;

	ours->is_in_commit = count == FRAME_HEAD_SIZE &&
	    memcmp((const char *)bytes + 4, "\0\0\0", 4) != 0;
	if (the.fault == FAULT_FULL)
		return fail_once(SQLITE_FULL);
	if (ends_commit && the.fault == FAULT_COMMIT_LOST)
		return fail_once(SQLITE_IOERR_WRITE);
	if (ends_commit && the.fault == FAULT_COMMIT_KEPT) {
		real_write(file, bytes, count, offset);
		the.is_dead = true;
		return fail_once(SQLITE_IOERR_WRITE);
	}
	return real_write(file, bytes, count, offset);
}

static int
file_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset)
{
	if (fails())
		return SQLITE_IOERR_WRITE;
	if (file_of(file)->is_wal)
		return wal_write(file, bytes, count, offset);
	return real_write(file, bytes, count, offset);
}

static int
file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	if (fails())
		return SQLITE_IOERR_TRUNCATE;
	return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int
file_sync(sqlite3_file *file, int flags)
{
	(void)flags;
	if (fails())
		return SQLITE_IOERR_FSYNC;
	if (!file_of(file)->is_wal)
		return SQLITE_OK;
	the.syncs++;
	return the.fault == FAULT_SYNC ? fail_once(SQLITE_IOERR_FSYNC) : SQLITE_OK;
}

static int
file_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
	return real_of(file)->pMethods->xFileSize(real_of(file), ret_size);
}

static int
file_lock(sqlite3_file *file, int lock)
{
	if (fails())
		return SQLITE_IOERR_LOCK;
	return real_of(file)->pMethods->xLock(real_of(file), lock);
}

static int
file_unlock(sqlite3_file *file, int lock)
{
	return real_of(file)->pMethods->xUnlock(real_of(file), lock);
}

static int
file_check_lock(sqlite3_file *file, int *ret_is_locked)
{
	return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret_is_locked);
}

static int
file_control(sqlite3_file *file, int operation, void *arg)
{
	return real_of(file)->pMethods->xFileControl(real_of(file), operation, arg);
}

static int
file_sector_size(sqlite3_file *file)
{
	return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int
file_device(sqlite3_file *file)
{
	return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int
file_map(sqlite3_file *file, int region, int size, int extend, void volatile **ret_map)
{
	if (fails())
		return SQLITE_IOERR_SHMMAP;
	return real_of(file)->pMethods->xShmMap(
	    real_of(file), region, size, extend, ret_map);
}

static int
file_map_lock(sqlite3_file *file, int offset, int count, int flags)
{
	bool is_lock = (flags & SQLITE_SHM_LOCK) != 0;
	bool is_writers = (flags & SQLITE_SHM_EXCLUSIVE) != 0 && offset == WRITERS_LOCK;

	if (is_lock && fails())
		return SQLITE_IOERR_SHMLOCK;
	if (is_lock && is_writers && the.fault == FAULT_NO_LOCK)
		return fail_once(SQLITE_BUSY);
	if (is_lock && is_writers && the.fault == FAULT_LOCK_ERROR)
		return fail_once(SQLITE_IOERR_SHMLOCK);
	return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void
file_barrier(sqlite3_file *file)
{
	real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int
file_unmap(sqlite3_file *file, int deletes)
{
	return real_of(file)->pMethods->xShmUnmap(real_of(file), deletes);
}

static const sqlite3_io_methods methods = {
	2, file_close, file_read, file_write, file_truncate, file_sync, file_size,
	file_lock, file_unlock, file_check_lock, file_control, file_sector_size,
	file_device, file_map, file_map_lock, file_barrier, file_unmap, NULL, NULL,
};

/* Version 1 has no shared memory. */
static const sqlite3_io_methods methods_without_map = {
	1, file_close, file_read, file_write, file_truncate, file_sync, file_size,
	file_lock, file_unlock, file_check_lock, file_control, file_sector_size,
	file_device, NULL, NULL, NULL, NULL, NULL, NULL,
};

static int
vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags,
    int *ret_flags)
{
	struct fault_file *ours = file_of(file);
	int code;

	(void)vfs;
	if (flags & SQLITE_OPEN_MAIN_DB)
		the.is_dead = false;
	*ours = (struct fault_file){
		.is_wal = (flags & SQLITE_OPEN_WAL) != 0,
		.real = (sqlite3_file *)(ours + 1),
	};
	code = the.real->xOpen(the.real, path, ours->real, flags, ret_flags);
	if (ours->real->pMethods != NULL)
		ours->base.pMethods = the.fault == FAULT_NO_SHARED_MEMORY
		    ? &methods_without_map
		    : &methods;
	return code;
}

static int
vfs_delete(sqlite3_vfs *vfs, const char *path, int syncs)
{
	(void)vfs;
	(void)syncs;
	return the.real->xDelete(the.real, path, 0);
}

static int
vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *ret_result)
{
	(void)vfs;
	return the.real->xAccess(the.real, path, flags, ret_result);
}

static int
vfs_full_path(sqlite3_vfs *vfs, const char *path, int size, char *ret_path)
{
	(void)vfs;
	return the.real->xFullPathname(the.real, path, size, ret_path);
}

void
fault_vfs_install(void)
{
	the.real = sqlite3_vfs_find("unix");
	the.vfs = *the.real;
	the.vfs.zName = "fault";
	the.vfs.pNext = NULL;
	the.vfs.szOsFile = (int)sizeof(struct fault_file) + the.real->szOsFile;
	the.vfs.xOpen = vfs_open;
	the.vfs.xDelete = vfs_delete;
	the.vfs.xAccess = vfs_access;
	the.vfs.xFullPathname = vfs_full_path;
	fault_vfs_set(FAULT_NONE);
	the.syncs = 0;
	sqlite3_vfs_register(&the.vfs, 1);
}

void
fault_vfs_remove(void)
{
	sqlite3_vfs_unregister(&the.vfs);
	sqlite3_vfs_register(the.real, 1);
}

void
fault_vfs_set(enum fault fault)
{
	the.fault = fault;
	the.is_dead = false;
	if (fault != FAULT_NONE)
		the.has_failed = false;
}

void
fault_vfs_fail_nth(int nth, bool is_for_good)
{
	fault_vfs_set(FAULT_NTH);
	the.calls_left = nth;
	the.is_for_good = is_for_good;
}

bool
fault_vfs_has_failed(void)
{
	return the.has_failed;
}

int
fault_vfs_syncs(void)
{
	return the.syncs;
}
