/* xalloc: the one owner of malloc; out of memory is the end of a process here. */

#include "base/xalloc.h"

#include <sys/mman.h>

#include <err.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HUGE_PAGE ((size_t)2 << 20)

void
xalloc_keep_some(void)
{
	mallopt(M_TRIM_THRESHOLD, 4 << 20);
	mallopt(M_TOP_PAD, 256 << 10);
	mallopt(M_MMAP_THRESHOLD, 4 << 20);
}

void
xalloc_one_heap(void)
{
	mallopt(M_ARENA_MAX, 1);
}

static void *
checked(void *memory)
{
	if (memory == NULL)
		err(EXIT_FAILURE, "out of memory");
	return memory;
}

void *
xmalloc(size_t size)
{
	return checked(malloc(size > 0 ? size : 1));
}

void *
xcalloc(size_t count, size_t size)
{
	return checked(calloc(count > 0 ? count : 1, size > 0 ? size : 1));
}

void *
xreallocarray(void *old, size_t count, size_t size)
{
	if (size > 0 && count > SIZE_MAX / size)
		errx(EXIT_FAILURE, "out of memory: %zu times %zu bytes", count, size);
	return checked(realloc(old, count * size > 0 ? count * size : 1));
}

void *
xalloc_huge(size_t size)
{
	void *memory = checked(aligned_alloc(HUGE_PAGE, size));

	madvise(memory, size, MADV_HUGEPAGE); /* small ones do, too */
	return memory;
}

char *
xstrdup(const char *text)
{
	return checked(strdup(text));
}

char *
xstrndup(const char *text, size_t length)
{
	return checked(strndup(text, length));
}

char *
xasprintf(const char *format, ...)
{
	char *text;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) == -1)
		err(EXIT_FAILURE, "out of memory");
	va_end(arguments);
	return text;
}
