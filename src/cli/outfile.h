#ifndef CLI_OUTFILE_H
#define CLI_OUTFILE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What one attempt of a job wrote: STATE/output/JOB.ATTEMPT and what was rotated out of it,
 * printed to standard output from where the last call ended. What was left out is told of
 * on a line of its own. On a terminal what could do more than colour is escaped; else it is
 * byte for byte.
 */
struct outfile {
	char *path, *segments;
	int fd;		  /* -1: not there (yet), which is the same as empty */
	int64_t at;	  /* printed up to here */
	int segment_fd;	  /* -1: what comes next is looked for in the file */
	int64_t segment_at;
	bool escapes;
	bool is_mid_line; /* the last byte printed was no newline */
	int64_t *left_out; /* optional: is added to, and no line tells of it */
	struct buf held;  /* a character or sequence that is not complete yet */
	/* Instead of being printed; these begin at `at`. */
	void (*take)(void *arg, int64_t at, const char *bytes, size_t length);
	void *arg;
};

void outfile_open(struct outfile *file, const char *state_directory, int64_t job,
    int64_t attempt);
void outfile_close(struct outfile *file);

/* Begin there, or at its beginning if it is not so long. */
void outfile_begin_at(struct outfile *file, int64_t at);

/* Print what there is, as far as it goes now; is_end: nothing more will come. */
void outfile_print(struct outfile *file, bool is_end);

#endif
