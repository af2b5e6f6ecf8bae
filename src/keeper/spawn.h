#ifndef KEEPER_SPAWN_H
#define KEEPER_SPAWN_H

#include "keeper/journal.h"

#include <linux/prctl.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <signal.h>
#include <stdbool.h>

/*
 * A behaviour: what a job whose first argument is this name does, in a process that is
 * forked from ours and becomes no other program. Its exit status.
 */
struct spawn_behaviour {
	const char *name; /* NULL ends a list */
	int (*run)(const void *arg, int argc, char **argv);
	const void *arg;
};

/*
 * Making a process: clone with VM, then nothing but system calls up to execve, so that the
 * keeper's size costs nothing; for a behaviour, fork (spawn_fork.c). The child gets its own
 * session and process group, default signals, nothing blocked, the descriptors below and no
 * others. It goes its way beside us: an execve takes longer than all the rest, and one from a
 * dead network file system for ever, as a chdir there does.
 */
struct spawn {
	const struct spawn_behaviour *behaviour; /* NULL: execute the arguments */
	const struct prctl_mm_map *map; /* of ours, for a behaviour; NULL: it looks itself */
	char *const *arguments;
	char *const *variables;
	const char *cwd;
	const char *stdin_path; /* opened by the child, below cwd; "": stdin_fd */
	int stdin_fd;
	int output_fd; /* becomes 1 and 2 */
	int socket_fd; /* becomes 3 … */
	int ready_fd;  /* … and this, if it is above */
	char *own_pid; /* in the variables: its pid is written there; NULL: nowhere */
	mode_t umask;
	const struct rlimit *files; /* RLIMIT_NOFILE as it was before we raised it */
	bool resets_oom_score;	    /* to 0: ours is not for it */
	int cgroup_fd;		    /* cgroup.procs of the one it goes to; -1: stay */
	int journal_fd;
	size_t journal_slot;
	struct journal_record record; /* all but the pid; its start: no later than it will be */
};

struct spawn_plan {
	const struct spawn *spawn;
	char **programs;    /* where it may be, the paths in their order … */
	bool is_searched;   /* … by PATH */
	int64_t start;	    /* written by the child: see journal.h */
	int error;	    /* … when it fails */
	enum end_place place; /* … and what it could not have */
	bool is_unrecorded; /* … and this was not the command's fault */
	int is_sharing;	    /* our memory: set to 0 by the kernel */
	int report_fd;	    /* a behaviour's, which has its own: what it has to say of these */
};

/* A stack for spawn_begin(); NULL with errno. */
void *spawn_stack_new(void);
void spawn_stack_free(void *stack);

/*
 * A child is on its way: *plan, *spawn with all in it, its descriptors and the stack are its,
 * too, until spawn_is_over(). 0 and *ret_pid, or -1: no process could be made (errno). A
 * behaviour's has its arguments and environment, for getenv(3) and in /proc, and its name.
 */
int spawn_begin(struct spawn_plan *plan, const struct spawn *spawn, void *stack, pid_t *ret_pid);
/* It has become its program or behaviour, or has failed: spawn_end() is next. */
bool spawn_is_over(struct spawn_plan *plan);
/* Its process is known to be dead: it is over, whether it had become anything or not. */
void spawn_died(struct spawn_plan *plan);
/* Wait for that, so many microseconds at most. */
void spawn_wait(struct spawn_plan *plan, int64_t us);
/*
 * 0: it runs, since plan->start. A positive errno: the child could not become the program; -1,
 * with errno: for a lack of ours. It has been reaped then. plan->place says of what.
 */
int spawn_end(struct spawn_plan *plan, pid_t pid);

/*
 * What the kernel says of our memory, which is what a behaviour's process, whose memory is the
 * same, has to tell it again. 0, or -1.
 */
int spawn_read_map(struct prctl_mm_map *ret_map);

/* The behaviour of this name in the list, which may be NULL; or NULL. */
const struct spawn_behaviour *spawn_find_behaviour(
    const struct spawn_behaviour *behaviours, const char *name);

/* Is this errno of a failed start our lack of resources and not the command's fault? */
bool spawn_is_lack(int error);

/*
 * Start a program that stays related: a session of its own, descriptors 0 to 2 kept,
 * `descriptors` become 3, 4 …; it dies with us. 0 and *ret_pid, or -1 with errno.
 */
int spawn_helper(const char *path, char *const *arguments, const int *descriptors,
    size_t descriptor_count, pid_t *ret_pid);

/*
 * Start a program that outlives us: its own session, standard input from /dev/null,
 * output_fd as its output, error_fd as its errors, no others. 0, or -1 with errno.
 */
int spawn_detached(const char *path, char *const *arguments, int output_fd, int error_fd);

/* ---- between spawn.c and spawn_fork.c ---- */

/*
 * In the child: become all that the plan says but the program, and close all but 0 to 3, the
 * ready_fd and the report_fd. 0, or -1 and its error.
 */
int spawn_enter(struct spawn_plan *plan);

/* spawn_begin() for a behaviour. */
int spawn_fork_begin(struct spawn_plan *plan, pid_t *ret_pid);
/* Has it reported? Then it has no report_fd any more. */
void spawn_fork_look(struct spawn_plan *plan);

/* ---- for others, spawn_self.c among them ---- */

/* The clock ticks since boot that a process made now would have as its start time. */
int64_t spawn_start_ticks(void);

/* Signals to the default, nothing blocked: what an exec'd program expects. For a child. */
void spawn_reset_signals(void);

#endif
