#ifndef SUPPORT_FAMILY_H
#define SUPPORT_FAMILY_H

#include "support/helper.h"

/*
 * Supervisors and their children in system tests: made, watched, hurt. The children are
 * build/servers/child, which writes "+NAME" and "-NAME" into the file `log` of the test's
 * directory when it has come up and when its terminate has run.
 */

/* jobberd supervisor … */
#define SUP(i, status, err, ...) \
	expect(jobberd(i, "supervisor", __VA_ARGS__, NULL), status, NULL, err)

/*
 * jobberd start OPTIONS NAME -- child log=… ARGUMENTS; both are words with blanks between them,
 * or NULL.
 */
struct result child_start(
    struct instance *instance, const char *options, const char *name, const char *arguments);
/* The same; must succeed. Its id. */
int64_t child_up(
    struct instance *instance, const char *options, const char *name, const char *arguments);
/* The same in the background. */
void child_start_behind(struct helper *helper, struct instance *instance, const char *options,
    const char *name, const char *arguments);

/* Wait until the statement's answer is this; fails with the last one. */
void await_sql(struct instance *instance, const char *wanted, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Wait until this server has a process whose init has answered, in this attempt or later. */
void await_up(struct instance *instance, const char *name, int attempt);
/* Wait until this supervisor is at this. */
void await_state(struct instance *instance, const char *supervisor, const char *state);

pid_t child_pid(struct instance *instance, const char *name);
/* kill -9 of it. */
void child_kill(struct instance *instance, const char *name);
/* So often, each time when it has come up; from its first process on. */
void child_kill_often(struct instance *instance, const char *name, int times);
/* How many processes has it had? */
int64_t child_attempts(struct instance *instance, const char *name);
/* "running", "done shutdown" … To be freed. */
char *child_status(struct instance *instance, const char *name);
void check_child(struct instance *instance, const char *name, const char *status);

/* The file `log` in one line, "+a +b -b"; fails if it is another. */
void check_log(struct instance *instance, const char *wanted);
void clear_log(struct instance *instance);

/* jobberd count, as "specs active supervisors workers". */
void check_count(struct instance *instance, const char *supervisor, const char *wanted);

/* Make and remove a file in the test's directory. */
void flag_up(struct instance *instance, const char *name);
void flag_down(struct instance *instance, const char *name);

#endif
