#ifndef BENCH_KIT_LINES_H
#define BENCH_KIT_LINES_H

#include <stddef.h>
#include <sys/types.h>

/* Lines over a stream socket, and the least that can stand between two ends of one. */

/*
 * Send `count` lines, these `kinds` ones in turns, with at most so many not answered; an answer
 * is a line. Returns the seconds it took. An answer that tells an error ends the benchmark.
 */
double lines_exchange(int fd, char *const *lines, size_t kinds, size_t count, size_t in_flight);
/* The same, and only after the last one comes an answer, the only one. */
double lines_pour(int fd, char *const *lines, size_t kinds, size_t count);

/*
 * Two processes: one that passes bytes on, both ways, and behind it one that sends back what
 * it gets, or, with `count`, answers one line after so many of them.
 */
struct relay {
	int fd; /* to write to and read from */
	pid_t pids[2];
};

void relay_start(struct relay *relay, size_t count);
void relay_end(struct relay *relay);

#endif
