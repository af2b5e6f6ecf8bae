#ifndef KEEPER_PIDFD_H
#define KEEPER_PIDFD_H

#include <stdbool.h>
#include <sys/types.h>

/* Processes that are not our children, through their pidfds. */

/* -1 with errno when there is no such process (a zombie has one still). */
int pidfd_open_process(pid_t pid);

/* false once it is dead, reaped or not. */
bool pidfd_is_alive(int pidfd);

/* A signal for nobody but this process. 0, or -1 with errno. */
int pidfd_signal(int pidfd, int number);

/*
 * The wait status of a dead process: from /proc/PID/stat while it is a zombie, from the
 * pidfd itself (Linux 6.15 and later) once somebody else has reaped it. false: not known.
 */
bool pidfd_exit_status(int pidfd, pid_t pid, int *ret_status);

#endif
