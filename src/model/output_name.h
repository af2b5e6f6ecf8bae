#ifndef MODEL_OUTPUT_NAME_H
#define MODEL_OUTPUT_NAME_H

#include <stddef.h>
#include <stdint.h>

/*
 * What belongs to the output of an attempt, in STATE/output:
 *
 *   7.2            what it writes to
 *   7.2.segments/  what was rotated: files called by where they begin in the output, so
 *                  that each byte is in one place, whoever is killed between two steps
 *   7.2.times      how long it was when (marks.h)
 */
#define OUTPUT_SEGMENTS ".segments"
#define OUTPUT_TIMES ".times"
#define OUTPUT_NEW_TIMES ".times.new" /* until it takes the other's place */
#define OUTPUT_NAME_SIZE 64

/* Of which kind: "" or one of the above. */
const char *output_name(char buffer[OUTPUT_NAME_SIZE], int64_t job, int64_t attempt,
    const char *kind);

/* Of the attempts of a job that have ended, the last so many keep their output. */
#define OUTPUTS_KEPT_OF_SERVER 10
#define OUTPUTS_KEPT_OF_COMMAND 100

#define SEGMENT_NAME_SIZE 32

/* In the order of their names as in that of what is in them. */
const char *segment_name(char buffer[SEGMENT_NAME_SIZE], int64_t offset);
/* Where it begins; -1: that is no segment's name. */
int64_t segment_parse(const char *name);

#endif
