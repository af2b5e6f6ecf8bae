/* clock: the one reader of clocks, so that tests can move time. */

#include "base/clock.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int64_t wall_shift_ms, boot_shift_ms;

static int64_t
read_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct wall
clock_wall(void)
{
	return (struct wall){ read_ms(CLOCK_REALTIME) + wall_shift_ms };
}

struct wall
clock_kernel_wall(void)
{
	return (struct wall){ read_ms(CLOCK_REALTIME) };
}

struct boot
clock_boot(void)
{
	return (struct boot){ read_ms(CLOCK_BOOTTIME) + boot_shift_ms };
}

struct mono
clock_mono(void)
{
	return (struct mono){ read_ms(CLOCK_MONOTONIC) };
}

int64_t
clock_mono_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void
clock_boot_id(char ret_id[CLOCK_BOOT_ID_SIZE])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t got = -1;

	if (fd != -1) {
		got = read(fd, ret_id, CLOCK_BOOT_ID_SIZE - 1);
		close(fd);
	}
	if (got == CLOCK_BOOT_ID_SIZE - 1)
		ret_id[got] = '\0';
	else
		memcpy(ret_id, "unknown", sizeof("unknown"));
}

void
clock_shift(int64_t wall_ms, int64_t boot_ms)
{
	wall_shift_ms = wall_ms;
	boot_shift_ms = boot_ms;
}
