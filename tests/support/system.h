#ifndef SUPPORT_SYSTEM_H
#define SUPPORT_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The real program in a state directory of its own. Nothing here sleeps: a test waits
 * for a line, an exit, a fifo. Everything fails the test (by cmocka's fail) after PATIENCE_MS.
 */
#define PATIENCE_MS 60000

struct instance {
	char directory[256]; /* of the test: fifos, files */
	char state[300];     /* the state directory below it */
	pid_t keeper;	     /* 0: not running */
	int log_fd;	     /* its standard output and error */
	char *log;	     /* what was read of it so far */
	size_t log_length;
};

struct result {
	int status; /* exit status, or 128 + signal */
	char *out, *err;
};

/* A fresh directory; instance_done() ends what runs there and removes it. */
void instance_init(struct instance *instance);
void instance_done(struct instance *instance);

/* Start `supervise` with these further arguments (NULL-terminated) and wait until it is ready. */
void instance_start(struct instance *instance, ...);
/* Start it without waiting for anything. */
void instance_launch(struct instance *instance, const char *const *arguments);
/* Free what was read of its log. */
void instance_forget_log(struct instance *instance);
/* Wait until its log has this text (since the start of this keeper). */
void instance_expect(struct instance *instance, const char *text);
/* Wait for the keeper's own exit; its exit status (128 + signal). */
int instance_wait(struct instance *instance);
/* SIGTERM and wait for exit 0. */
void instance_stop(struct instance *instance);
/* kill -9 of the keeper, and wait until it and its supervisor process are gone. */
void instance_kill_keeper(struct instance *instance);
/* kill -9 of the supervisor process, and wait until a new one answers. Its old pid. */
pid_t instance_kill_supervisor(struct instance *instance);
pid_t instance_supervisor_pid(struct instance *instance);

/* Stop it, check what it leaves behind (check_accounts()), and remove the directory. */
void instance_finish(struct instance *instance);

/* Run `jobberd -C STATE …` (NULL-terminated) to its end. result_done() frees. */
struct result jobberd(struct instance *instance, ...);
/* The same with text on its standard input. */
struct result jobberd_with_input(struct instance *instance, const char *input, ...);
void result_done(struct result *result);
/* Fails unless it ended so and said exactly that. Frees. */
void assert_result(struct result result, int status, const char *out, const char *err);
/* Fails unless it ended so; `out` and `err` may be NULL, err is a part. Frees. */
void expect(struct result result, int status, const char *out, const char *err);
/* Run `jobberd submit …`, which must exit 0; the first number of its output. */
int64_t submit_job(struct instance *instance, ...);
/* jobberd wait ID; its exit status. */
int wait_job(struct instance *instance, int64_t id);

/* The first column of the first row, as text; "" for NULL or none. To be freed. */
char *sql(struct instance *instance, const char *statement);
int64_t sql_number(struct instance *instance, const char *statement);
/* Run a statement as a foreign writer: the plain SQLite library. SQLite's message or NULL. */
char *foreign(struct instance *instance, const char *statement);
/* The database is sound and every job is accounted for; fails with what is wrong. */
void check_accounts(struct instance *instance);

/* A fifo in the test's directory: its path, to be freed. */
char *fifo_make(struct instance *instance, const char *name);
/* Read a line that a job writes to it (waits for the writer). To be freed. */
char *fifo_read(const char *path);
/* Let go a job that reads from it. */
void fifo_write(const char *path, const char *text);

/* Make an empty file in the test's directory. */
void file_make(struct instance *instance, const char *name);
/* Read a whole file; "" if it is not there. To be freed. */
char *file_text(const char *path);
/* Wait until no keeper has the state directory's lock any more. */
void wait_until_nothing_runs(struct instance *instance);
/* Fail unless text has part. */
void assert_has(const char *text, const char *part);
/* Wait until this process is gone (or a zombie). */
void wait_gone(pid_t pid);
bool is_alive(pid_t pid);

#endif
