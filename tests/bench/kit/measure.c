/* measure: medians, quartiles and lines of the table. Decides nothing but ok or below. */

#include "bench/kit/measure.h"
#include "base/text.h"
#include "base/xalloc.h"

#include <err.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FIGURE_SIZE 64

void
samples_add(struct samples *samples, double value)
{
	samples->items =
	    xreallocarray(samples->items, samples->count + 1, sizeof(samples->items[0]));
	samples->items[samples->count++] = value;
}

static int
compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return left < right ? -1 : left > right;
}

double
samples_quantile(const struct samples *samples, double fraction)
{
	double *sorted, at, result;
	size_t below;

	if (samples->count == 0)
		return NAN;
	sorted = xcalloc(samples->count, sizeof(sorted[0]));
	memcpy(sorted, samples->items, samples->count * sizeof(sorted[0]));
	qsort(sorted, samples->count, sizeof(sorted[0]), compare);
	at = fraction * (double)(samples->count - 1);
	below = (size_t)at;
	result = sorted[below];
	if (below + 1 < samples->count)
		result += (at - (double)below) * (sorted[below + 1] - sorted[below]);
	free(sorted);
	return result;
}

void
samples_done(struct samples *samples)
{
	free(samples->items);
	*samples = (struct samples){ 0 };
}

int64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

double
seconds_since(int64_t begin_ns)
{
	return (double)(now_ns() - begin_ns) / 1e9;
}

double
cpu_seconds(const struct rusage *usage)
{
	const struct timeval *user = &usage->ru_utime, *system = &usage->ru_stime;

	return (double)(user->tv_sec + system->tv_sec) +
	    (double)(user->tv_usec + system->tv_usec) / 1e6;
}

int64_t
setting(const char *name, int64_t otherwise)
{
	const char *text = getenv(name);
	int64_t number;

	if (text == NULL || text[0] == '\0')
		return otherwise;
	if (text_number(text, 0, 1000000000, &number) == -1)
		errx(2, "%s=%s: this is not a number", name, text);
	return number;
}

size_t
rounds(void)
{
	return (size_t)setting("ROUNDS", 5);
}

struct row
row_make(const char *what, const char *format, enum bound bound, double target)
{
	return (struct row){
		.what = what, .format = format, .bound = bound, .target = target
	};
}

void
row_add(struct row *row, double bare, double plain, double ours)
{
	if (bare >= 0)
		samples_add(&row->bare, bare);
	if (plain >= 0)
		samples_add(&row->plain, plain);
	samples_add(&row->ours, ours);
	if (bare > 0)
		samples_add(&row->ratio, ours / bare);
}

static void
print_figure(const char *format, const struct samples *samples)
{
	if (samples->count > 0)
		printf(format, samples_quantile(samples, 0.5));
	else
		putchar('-');
	putchar('\t');
}

/* What is printed is what is compared: 0.4 bytes print as 0. */
static double
as_printed(const char *format, double value)
{
	char text[FIGURE_SIZE];

	snprintf(text, sizeof(text), format, value);
	return strtod(text, NULL);
}

static bool
is_reached(const struct row *row)
{
	double figure = row->ratio.count > 0
	    ? samples_quantile(&row->ratio, 0.5)
	    : as_printed(row->format, samples_quantile(&row->ours, 0.5));

	return row->bound == AT_LEAST ? figure >= row->target : figure <= row->target;
}

void
row_print(struct row *row)
{
	const struct samples *spread = row->ratio.count > 0 ? &row->ratio : &row->ours;
	const char *format = row->ratio.count > 0 ? "%.3f" : row->format;

	printf("row\t%s\t", row->what);
	print_figure(row->format, &row->bare);
	print_figure(row->format, &row->plain);
	print_figure(row->format, &row->ours);
	print_figure("%.3f", &row->ratio);
	if (spread->count > 1) {
		printf(format, samples_quantile(spread, 0.25));
		printf(" to ");
		printf(format, samples_quantile(spread, 0.75));
	} else
		putchar('-');
	if (row->bound == ONLY_SHOWN)
		printf("\t-\t-\n");
	else {
		printf("\t%s ", row->bound == AT_LEAST ? ">=" : "<=");
		printf(row->ratio.count > 0 ? "%g" : row->format, row->target);
		printf("\t%s\n", is_reached(row) ? "ok" : "**below**");
	}
	fflush(stdout);
	samples_done(&row->bare);
	samples_done(&row->plain);
	samples_done(&row->ours);
	samples_done(&row->ratio);
}

void
progress(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}
