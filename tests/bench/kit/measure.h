#ifndef BENCH_KIT_MEASURE_H
#define BENCH_KIT_MEASURE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

/* Figures taken in several rounds, and the line of the table that they become. */

struct samples {
	double *items;
	size_t count;
};

void samples_add(struct samples *samples, double value);
/* Linear between neighbours; NAN if there are none. */
double samples_quantile(const struct samples *samples, double fraction);
void samples_done(struct samples *samples);

/* CLOCK_MONOTONIC. */
int64_t now_ns(void);
double seconds_since(int64_t begin_ns);
/* User and system time together. */
double cpu_seconds(const struct rusage *usage);

/* A number from the environment. Ends the program if it is none. */
int64_t setting(const char *name, int64_t otherwise);
/* How often everything is measured: ROUNDS, else 5. */
size_t rounds(void);

enum bound { AT_LEAST, AT_MOST, ONLY_SHOWN };

/*
 * A line of the table. With a bare side the target is for the median of ratios, each of
 * one round; without one it is for the median itself, as it is printed.
 */
struct row {
	const char *what;
	const char *format;
	enum bound bound;
	double target;
	struct samples bare, plain, ours, ratio;
};

/* format: of the absolute figures, for one double. */
struct row row_make(
    const char *what, const char *format, enum bound bound, double target);

#define NOT_MEASURED (-1.0)

/* A round's figures. NOT_MEASURED: there is no such side. */
void row_add(struct row *row, double bare, double plain, double ours);

/* Print it for tests/bench/run: fields between tabs. Frees its samples. */
void row_print(struct row *row);

/* A word for who waits, on standard error. */
void progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
