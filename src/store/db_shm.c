/* db_shm: SQLite's own methods of its file, but for the one that maps shared memory. */

#include "store/db_shm.h"
#include "base/xalloc.h"

#include <sys/mman.h>

#include <errno.h>
#include <stdlib.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; an older one says EINVAL, as for what is read only */
#endif

struct db_shm {
	sqlite3_io_methods methods; /* first, since the file points to it */
	const sqlite3_io_methods *real;
};

static int
map(sqlite3_file *file, int region, int size, int extends, void volatile **ret_memory)
{
	const struct db_shm *shm = (const struct db_shm *)file->pMethods;
	int code = shm->real->xShmMap(file, region, size, extends, ret_memory);

	/* It may have been made long enough by somebody for whom the disk was full. */
	if (code == SQLITE_OK && *ret_memory != NULL &&
	    madvise((void *)*ret_memory, (size_t)size, MADV_POPULATE_WRITE) == -1 &&
	    errno == EFAULT) {
		*ret_memory = NULL;
		return SQLITE_FULL;
	}
	return code;
}

struct db_shm *
db_shm_guard(sqlite3 *handle)
{
	struct db_shm *shm;
	sqlite3_file *file = NULL;

	if (sqlite3_file_control(handle, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK ||
	    file == NULL || file->pMethods == NULL || file->pMethods->iVersion < 2)
		return NULL;
	shm = xmalloc(sizeof(*shm));
	shm->methods = *file->pMethods;
	shm->real = file->pMethods;
	shm->methods.xShmMap = map;
	file->pMethods = &shm->methods;
	return shm;
}

void
db_shm_free(struct db_shm *shm)
{
	free(shm);
}
