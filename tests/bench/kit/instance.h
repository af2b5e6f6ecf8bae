#ifndef BENCH_KIT_INSTANCE_H
#define BENCH_KIT_INSTANCE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The real program (JOBBERD) on a state directory of its own below SCRATCH. All of these
 * end the benchmark when something goes wrong or does not come, and so do the signals
 * that ask it to leave; what runs then is ended too.
 */
struct instance {
	char *state;  /* its state directory */
	pid_t keeper; /* 0: not running */
};

/* A fresh directory; instance_done() ends what runs there and removes it. */
void instance_make(struct instance *instance);
void instance_done(struct instance *instance);

/* Start `supervise` with these words (NULL-terminated); returns when it is ready. */
void instance_start(struct instance *instance, const char *const *words);
/* The same with another program. */
void instance_start_program(
    struct instance *instance, const char *program, const char *const *words);
/*
 * Wait until it leaves by itself. The processor seconds of it, of its supervisor process
 * and of its jobs.
 */
double instance_wait(struct instance *instance);
void instance_stop(struct instance *instance);
pid_t instance_supervisor(const struct instance *instance);

/* Begin a verb; what it prints goes to `output`. input, output -1: /dev/null. */
pid_t instance_begin(const struct instance *instance, int input, int output,
    const char *const *words);
/* Wait for this process, which must exit 0. Its processor seconds, its children's too. */
double process_wait(pid_t pid, const char *what);
/* Both. */
void instance_command(
    const struct instance *instance, int input, const char *const *words);

/* `submit --batch` of this line `count` times. */
void instance_fill(const struct instance *instance, size_t count, const char *line);

/* A file of so many such lines, read from its start. */
int lines_file(size_t count, const char *line);

/* Remove a directory and all that is in it. */
void directory_remove(const char *path);
char *directory_make(void);
const char *needed(const char *variable); /* of the environment */

#endif
