#ifndef BASE_XALLOC_H
#define BASE_XALLOC_H

#include <stddef.h>

/*
 * Keep memory that was freed, up to a little: a loop that takes and gives back the same
 * amount each turn need not ask the kernel each time.
 */
void xalloc_keep_some(void);

/* One heap for all threads: for a process of which one thread does the work. */
void xalloc_one_heap(void);

/*
 * Allocation that does not fail: out of memory ends the process, since everything
 * that matters is on disk already. Results are freed with free(3).
 */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);			/* zeroed; ends on overflow */
void *xreallocarray(void *old, size_t count, size_t size);	/* ends on overflow */
/* A multiple of 2 MiB, not zeroed, of huge pages if the kernel gives them. */
void *xalloc_huge(size_t size);
char *xstrdup(const char *text);
char *xstrndup(const char *text, size_t length);
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
