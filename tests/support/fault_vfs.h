#ifndef SUPPORT_FAULT_VFS_H
#define SUPPORT_FAULT_VFS_H

#include <stdbool.h>

/*
 * The file system under SQLite, with faults to order. Every connection opened while it is
 * installed goes through it to the ordinary one.
 */

enum fault {
	FAULT_NONE,
	FAULT_NO_LOCK,	    /* somebody else holds the writer's lock */
	FAULT_LOCK_ERROR,   /* asking for the writer's lock is an I/O error */
	FAULT_FULL,	    /* nothing more fits into the WAL */
	FAULT_COMMIT_LOST,  /* the commit is an I/O error and was not written … */
	FAULT_COMMIT_KEPT,  /* … or was, and all else fails until a database is opened */
	FAULT_SYNC,	    /* one sync of the WAL fails */
	FAULT_NO_SHARED_MEMORY, /* as on file systems that cannot have a WAL */
	FAULT_NTH,	    /* see fault_vfs_fail_nth() */
};

void fault_vfs_install(void); /* as the default; without the cost of real syncs */
void fault_vfs_remove(void);

/* Until the next call, or until a fault that happens once has happened. */
void fault_vfs_set(enum fault fault);

/*
 * The nth call from now on (1 …) that reads, writes, syncs, locks or cuts a file is an
 * I/O error; with is_for_good so are all after it, until the database is opened again.
 */
void fault_vfs_fail_nth(int nth, bool is_for_good);

bool fault_vfs_has_failed(void); /* has what was ordered last happened? */
int fault_vfs_syncs(void);	 /* of a WAL, since it was installed */

#endif
