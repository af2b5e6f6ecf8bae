#ifndef SUPPORT_WITNESS_H
#define SUPPORT_WITNESS_H

#include <sys/types.h>

/*
 * Print what a process and all below it are doing at the moment: their states, and where in the
 * kernel they wait, if we may see it. For the output of a test that is about to fail.
 */
void witness_processes(pid_t pid);

#endif
