/*
 * heap: linked into a copy of the program, gives its supervisor process a heap of 200 MB
 * that was written to, in small pages as a fragmented one has them. The program itself
 * knows nothing of this.
 */

#include <sys/mman.h>

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define HEAP_SIZE ((size_t)200 << 20)
#define PAGE_SIZE 4096

static int
is_supervisor_process(void)
{
	char text[8192];
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd != -1 ? read(fd, text, sizeof(text)) : -1;

	if (fd != -1)
		close(fd);
	return got > 0 && memmem(text, (size_t)got, "\0_supervisor", 13) != NULL;
}

__attribute__((constructor)) static void
fill(void)
{
	char *heap;

	if (!is_supervisor_process())
		return;
	heap = mmap(
	    NULL, HEAP_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (heap == MAP_FAILED)
		_exit(1);
	madvise(heap, HEAP_SIZE, MADV_NOHUGEPAGE);
	for (size_t at = 0; at < HEAP_SIZE; at += PAGE_SIZE)
		heap[at] = 1;
}
