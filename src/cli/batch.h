#ifndef CLI_BATCH_H
#define CLI_BATCH_H

#include "cli/submit.h"

/*
 * submit --batch: a job a line of standard input, a JSON object or else a line for
 * /bin/sh -c. Every line is checked before the first is sent. The options of the verb are
 * defaults for all. Ids are printed as they are acknowledged. Returns the exit status.
 */
int batch_submit(struct submission *submission);

#endif
