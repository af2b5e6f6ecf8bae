#ifndef CLI_OUTFILE_H
#define CLI_OUTFILE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What one attempt of a job wrote: STATE/output/JOB.ATTEMPT, printed to standard output
 * from where the last call ended. A middle that was left out is told of on a line of its
 * own. On a terminal what could do more than colour is escaped; else it is byte for byte.
 */
struct outfile {
	char *path;
	int fd;		  /* -1: not there (yet), which is the same as empty */
	int64_t at;	  /* printed up to here */
	bool escapes;
	bool is_mid_line; /* the last byte printed was no newline */
	struct buf held;  /* a character or sequence that is not complete yet */
};

void outfile_open(struct outfile *file, const char *state_directory, int64_t job,
    int64_t attempt);
void outfile_close(struct outfile *file);

/* Print what there is, as far as it goes now; is_end: nothing more will come. */
void outfile_print(struct outfile *file, bool is_end);

#endif
