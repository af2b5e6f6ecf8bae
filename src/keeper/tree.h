#ifndef KEEPER_TREE_H
#define KEEPER_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What /proc tells about processes: children, environments, start times. */

/* The children of this process, in no order; *ret_pids is to be freed. 0 or -1 with errno. */
int tree_children(pid_t pid, pid_t **ret_pids, size_t *ret_count);

/*
 * The children of our first thread: what it has started itself, and the orphans that came to
 * us, wherever they are from. The same as above, with one system call a time.
 */
struct tree_self {
	int fd;
	char *text;
	size_t room;
};
void tree_self_init(struct tree_self *self);
void tree_self_done(struct tree_self *self);
int tree_self_children(struct tree_self *self, pid_t **ret_pids, size_t *ret_count);

/*
 * The value of a variable in a process's environment as it was exec'd. false when it has
 * none or may not be read.
 */
bool tree_variable(pid_t pid, const char *name, char *buffer, size_t size);
/* A process in the middle of execve(2) has no environment for a moment: wait, up to 50 ms. */
void tree_await_program(pid_t pid);

/* Start time in clock ticks since boot; state 'Z' is a zombie. 0 or -1 when it is gone. */
int tree_stat(pid_t pid, int64_t *ret_start, char *ret_state, int *ret_wait_status);

/*
 * Kill these processes and all below them: first stopped, from the top down and until
 * nothing new appears, so that none escapes by forking. Returns how many.
 */
size_t tree_kill(const pid_t *pids, size_t count);

#endif
