#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/*
 * The three clocks, all in milliseconds. Each has a type of its own so that the
 * compiler refuses to mix them.
 */
struct wall { int64_t ms; };	/* CLOCK_REALTIME since 1970 UTC: stored and shown, may step */
struct boot { int64_t ms; };	/* CLOCK_BOOTTIME: pauses and delays, counts suspended time */
struct mono { int64_t ms; };	/* CLOCK_MONOTONIC: running times, stands still in suspend */

struct wall clock_wall(void);
struct boot clock_boot(void);
struct mono clock_mono(void);
int64_t clock_mono_us(void); /* in microseconds, to measure by */

#define CLOCK_BOOT_ID_SIZE 37

/*
 * The identity of this boot of the kernel, 36 characters and a NUL. "unknown" where
 * /proc does not tell.
 */
void clock_boot_id(char ret_id[CLOCK_BOOT_ID_SIZE]);

/*
 * The wall clock as the kernel has it, whatever clock_shift() says: what a timerfd on it
 * goes by.
 */
struct wall clock_kernel_wall(void);

/*
 * Tests only: from now on the wall and boot clocks read this many milliseconds later
 * than the kernel's.
 */
void clock_shift(int64_t wall_ms, int64_t boot_ms);

#endif
