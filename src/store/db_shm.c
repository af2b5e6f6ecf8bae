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
	bool is_optional;
	bool does_without; /* SQLite was told that it cannot have it */
	bool lacks_room;
};

static int
map_real(struct db_shm *shm, sqlite3_file *file, int region, int size, int extends,
    void volatile **ret_memory)
{
	int code = shm->real->xShmMap(file, region, size, extends, ret_memory);

	if (code == SQLITE_IOERR_SHMSIZE)
		return SQLITE_FULL;
	/* It may have been made long enough by somebody for whom the disk was full. */
	if (code == SQLITE_OK && *ret_memory != NULL &&
	    madvise((void *)*ret_memory, (size_t)size, MADV_POPULATE_WRITE) == -1 &&
	    errno == EFAULT) {
		*ret_memory = NULL;
		return SQLITE_FULL;
	}
	return code;
}

static int
map(sqlite3_file *file, int region, int size, int extends, void volatile **ret_memory)
{
	struct db_shm *shm = (struct db_shm *)file->pMethods;
	int code = map_real(shm, file, region, size, extends, ret_memory);
	bool has_it = code == SQLITE_OK && *ret_memory != NULL;

	if (code == SQLITE_FULL)
		shm->lacks_room = true;
	if (!shm->is_optional || region > 0)
		return code;
	if (!has_it && (code == SQLITE_OK || code == SQLITE_FULL)) {
		shm->does_without = true;
		return SQLITE_READONLY_CANTINIT;
	}
	/* Its question whether somebody has made it meanwhile. */
	return has_it && shm->does_without ? SQLITE_READONLY : code;
}

struct db_shm *
db_shm_guard(sqlite3 *handle, bool is_optional)
{
	struct db_shm *shm;
	sqlite3_file *file = NULL;

	if (sqlite3_file_control(handle, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK ||
	    file == NULL || file->pMethods == NULL || file->pMethods->iVersion < 2)
		return NULL;
	shm = xmalloc(sizeof(*shm));
	*shm = (struct db_shm){
		.methods = *file->pMethods,
		.real = file->pMethods,
		.is_optional = is_optional,
	};
	shm->methods.xShmMap = map;
	file->pMethods = &shm->methods;
	return shm;
}

bool
db_shm_lacks_room(const struct db_shm *shm)
{
	return shm != NULL && shm->lacks_room;
}

void
db_shm_free(struct db_shm *shm)
{
	free(shm);
}
