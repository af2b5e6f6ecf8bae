#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buf.h"

#include <stddef.h>
#include <sys/types.h>

/* Append what can be read from `path` below directory `at` (or AT_FDCWD), at most `most`
 * bytes. 0, or -1 with errno (EFBIG if there was more). */
int file_read(int at, const char *path, size_t most, struct buf *buf);

/* Write all of it, waiting as long as it takes. 0 or -1 with errno. */
int file_write_all(int fd, const void *bytes, size_t length);

/* Make the directory `path` and those above it that are missing, with mode 0700. */
int file_make_directories(const char *path);

#endif
