#ifndef SUPPORT_HELPER_H
#define SUPPORT_HELPER_H

#include "support/system.h"

/*
 * A process that a test runs beside the instance: a client in the background, strace, a
 * shell. What it writes is kept in memory; nothing here sleeps.
 */
struct stream {
	int fd; /* -1: at its end */
	char *text;
	size_t length;
};

struct helper {
	pid_t pid; /* 0: reaped */
	int pidfd;
	struct stream out, err;
};

/* Start a program (searched on PATH) with this standard input (NULL: none). */
void helper_start(struct helper *helper, const char *input, const char *const *arguments);
/* Start `jobberd -C STATE …` (NULL-terminated). */
void helper_jobberd(struct helper *helper, struct instance *instance, const char *input, ...);
/*
 * Attach strace with these `-e` expressions (NULL-terminated) to a process, and wait until
 * it has. helper_end() detaches it.
 */
void helper_strace(struct helper *helper, pid_t traced, ...);
/* The same for the processes that it makes from now on, too. */
void helper_strace_children(struct helper *helper, pid_t traced, ...);

/* Wait until one of its streams has this text. */
void helper_expect(struct helper *helper, const char *text);
/* Does it still run after so long? The time is what is tested. */
bool helper_runs_for(struct helper *helper, int64_t ms);
/* Wait for its own end; its exit status (128 + signal). */
int helper_wait(struct helper *helper);
/* SIGTERM if it still runs, wait, free. */
void helper_end(struct helper *helper);

#endif
