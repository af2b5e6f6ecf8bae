#ifndef SUPPORT_OUTSIDE_H
#define SUPPORT_OUTSIDE_H

#include "support/system.h"

#include <sqlite3.h>

/* The instance as it is seen from outside, and what can be done to it from there. */

/* Sanitizers make everything slower: limits in tests are multiplied by this. */
#ifdef SANITIZED
#define SLOWNESS 10
#define IS_SANITIZED 1
#else
#define SLOWNESS 1
#define IS_SANITIZED 0
#endif

/* cmocka's own knows no negative numbers. */
void assert_between(int64_t number, int64_t least, int64_t most);

int64_t now_ms(void);  /* monotonic */
int64_t wall_ms(void); /* since 1970 */

/* This much time, which is what is tested; fails if the keeper dies meanwhile. */
void let_pass(struct instance *instance, int64_t ms);
/* Until this question about the database is answered by a number other than 0. */
void wait_sql(struct instance *instance, const char *question);

/* ---- processes ---- */

/* Wait until this process is not even a zombie any more; fails if that takes longer. */
void wait_reaped(pid_t pid, int64_t within_ms);
/* How often it has gone to sleep and been woken. */
int64_t wakeups(pid_t pid);
/*
 * Both processes settle, and are not woken for so long. Whoever sets the machine's wall clock
 * meanwhile wakes everybody who asked to hear of it, as we do: then it begins anew.
 */
void assert_sleeps(struct instance *instance, int64_t ms);
/* User and system time used so far. */
int64_t cpu_ms(pid_t pid);
/* How many processes has it below it, directly? */
size_t children_of(pid_t pid);

/* ---- bells: fifos that jobs ring, held open so that no line is lost ---- */

struct bell {
	char path[300];
	int fd;
};

void bell_init(struct bell *bell, struct instance *instance, const char *name);
void bell_done(struct bell *bell);
/* Wait for the next line; to be freed. */
char *bell_wait(struct bell *bell);
/* The same, as a number. */
int64_t bell_number(struct bell *bell);
/* Has it been rung, and nobody looked? */
bool bell_has_rung(struct bell *bell);

/* ---- its socket ---- */

/* Another client, which speaks for itself; the fd is the caller's. */
int connect_client(struct instance *instance);

/* Hears that something has changed, to look at it again. */
struct changes {
	struct instance *instance;
	int fd;
};

void changes_init(struct changes *changes, struct instance *instance);
void changes_done(struct changes *changes);
/*
 * Wait for a change since the last time, or since init; or until then (now_ms()). A supervisor
 * process that has died counts as one: its successor is followed.
 */
void changes_wait(struct changes *changes, int64_t until);

/* ---- the database, as others use it ---- */

/* An open connection with synchronous=FULL. */
sqlite3 *other_open(struct instance *instance);
void other_close(sqlite3 *database);
/* Fails unless it succeeds. */
void other_run(sqlite3 *database, const char *statement);

/* ---- disks ---- */

/* A mount namespace of this test program. false: not permitted here. */
bool disk_own_mounts(void);
/*
 * Let the state directory be a file system of its own of so many bytes, in a mount
 * namespace of this test program. false: not permitted here.
 */
bool disk_mount(struct instance *instance, const char *size);
void disk_unmount(struct instance *instance);
/* Use up all that is free, and free it. */
void disk_fill(struct instance *instance);
void disk_free(struct instance *instance);

/* Lines of a file in the test's directory that begin so. */
int64_t witness_count(struct instance *instance, const char *name, const char *start);

#endif
