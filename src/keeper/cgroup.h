#ifndef KEEPER_CGROUP_H
#define KEEPER_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Control groups, version 2, where one was delegated to us: the manager that started us has
 * marked ours with the extended attribute user.delegate or trusted.delegate (systemd does so
 * for Delegate=), and we may write it. Below it the keeper and the supervisor process are in
 * the leaf CGROUP_KEEPER_LEAF, for a cgroup that has children should have no processes, and
 * each attempt is in a leaf of its own, which nothing that it starts can get out of by accident.
 *
 * A leaf is named by a directory descriptor and its name below it; that of an attempt is made
 * by cgroup_leaf_name().
 */
#define CGROUP_KEEPER_LEAF "jobberd"
#define CGROUP_NAME_SIZE 64

struct cgroup {
	int directory;	     /* the one that is ours; -1: none is */
	bool watches_memory; /* its leaves count what the kernel kills for want of memory */
};

/* ---- the one that is ours (cgroup_find.c) ---- */

/*
 * Find it, take it for ourselves and move there; directory is -1 if nothing was delegated, or
 * if it has leaves of the jobs of another instance. To be called before anything is started.
 */
void cgroup_open(struct cgroup *cgroup, int state_fd);
void cgroup_close(struct cgroup *cgroup);

/* ---- leaves (cgroup.c) ---- */

/* Write a file of a cgroup. 0 or -1 with errno. */
int cgroup_write(int directory, const char *file, const char *text);

void cgroup_leaf_name(char buffer[CGROUP_NAME_SIZE], int64_t job, int64_t attempt);
/* The other way round. false: not an attempt's. */
bool cgroup_leaf_attempt(const char *name, int64_t *ret_job, int64_t *ret_attempt);

/*
 * Make a leaf. A descriptor of its cgroup.procs, into which a process writes "0" to go there,
 * or -1 with errno.
 */
int cgroup_make(int directory, const char *name);

/* Remove it, and all below it. 0, also if there is none; -1 with errno, EBUSY: not empty. */
int cgroup_remove(int directory, const char *name);

/* Is any process in it or below, zombies aside? One that is not there has none. */
bool cgroup_is_populated(int directory, const char *name);

/* Who is in it or below; *ret_pids is to be freed. */
size_t cgroup_pids(int directory, const char *name, pid_t **ret_pids);

/* SIGKILL to all in it and below, however fast they fork. 0 or -1 with errno. */
int cgroup_kill(int directory, const char *name);

/* Has the kernel killed a process of it for want of memory? false also where nobody counts. */
bool cgroup_saw_oom(int directory, const char *name);

/* The names of all leaves that are attempts': *ret_names is an array to be freed. */
size_t cgroup_leaves(int directory, char (**ret_names)[CGROUP_NAME_SIZE]);

/* ---- how it is found: pure, for tests ---- */

/* The path in the line of version 2 of /proc/PID/cgroup. 0, or -1 if there is none. */
int cgroup_parse_path(const char *text, char *buffer, size_t size);

/*
 * The directory of this path by the lines of /proc/PID/mountinfo: the mount point of a
 * cgroup2 file system that shows it, and what is left of the path below its root. 0 or -1.
 */
int cgroup_parse_mounts(const char *text, const char *path, char *buffer, size_t size);

/*
 * May controllers be enabled for what is below the cgroup of this path? Nobody can enter it
 * any more then, and a service manager puts the next keeper of a service there.
 */
bool cgroup_may_enable(const char *path);

#endif
