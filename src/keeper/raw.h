#ifndef KEEPER_RAW_H
#define KEEPER_RAW_H

#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

/*
 * System calls of a child that shares our memory until it is another program. libc's own would
 * write into the errno of a thread of ours that runs at the same time. Each returns what the
 * kernel does: an errno is negative.
 */

#if defined(__x86_64__)

static inline long
raw_call(long number, long a, long b, long c, long d)
{
	register long fourth __asm__("r10") = d;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth)
			 : "rcx", "r11", "memory");
	return result;
}

#elif defined(__aarch64__)

static inline long
raw_call(long number, long a, long b, long c, long d)
{
	register long which __asm__("x8") = number;
	register long first __asm__("x0") = a, second __asm__("x1") = b,
	    third __asm__("x2") = c, fourth __asm__("x3") = d;

	__asm__ volatile("svc 0"
			 : "+r"(first)
			 : "r"(which), "r"(second), "r"(third), "r"(fourth)
			 : "memory");
	return first;
}

#else

/* Here we have to wait until it is another program. */
#define RAW_USES_ERRNO

static inline long
raw_call(long number, long a, long b, long c, long d)
{
	long result = syscall(number, a, b, c, d);

	return result == -1 ? -errno : result;
}

#endif

static inline int
raw_open(const char *path, int flags)
{
	return (int)raw_call(SYS_openat, AT_FDCWD, (long)path, flags, 0);
}

static inline int
raw_close(int fd)
{
	return (int)raw_call(SYS_close, fd, 0, 0, 0);
}

static inline ssize_t
raw_read(int fd, void *bytes, size_t length)
{
	return raw_call(SYS_read, fd, (long)bytes, (long)length, 0);
}

static inline ssize_t
raw_write(int fd, const void *bytes, size_t length)
{
	return raw_call(SYS_write, fd, (long)bytes, (long)length, 0);
}

static inline int
raw_fcntl(int fd, int command, long argument)
{
	return (int)raw_call(SYS_fcntl, fd, command, argument, 0);
}

/* Open for the program, too, also if it was there already. */
static inline int
raw_dup2(int from, int to)
{
	return from == to ? raw_fcntl(to, F_SETFD, 0)
			  : (int)raw_call(SYS_dup3, from, to, 0, 0);
}

static inline int
raw_close_range(unsigned first, unsigned last, int flags)
{
	return (int)raw_call(SYS_close_range, first, last, flags, 0);
}

#endif
