#ifndef SUPPORT_FAKE_H
#define SUPPORT_FAKE_H

#include "base/buf.h"

#include <jansson.h>
#include <jobber/gen_server.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A supervisor made of nothing but its end of the socket: a test says each line and expects
 * each line. In the text of lines ' stands for ". What is not heard within PATIENCE fails.
 */
struct fake {
	int fd;
	pid_t pid;
	struct buf in;
	int64_t handled; /* the sum of what it has told; these lines are not expected */
};

/* A child that is this server, started with no more than `init` (NULL: some) to be said. */
void fake_start(struct fake *fake, const struct gen_server_ops *ops);
/* The same of a program; its JOBBERD_FD is set. */
void fake_start_program(struct fake *fake, const char *const *arguments);
/* fake_start() of the puppet, `init` with this script and durable state, and its answer. */
void fake_start_puppet(struct fake *fake, const char *script);
void fake_start_durable(struct fake *fake, const char *script, const char *state);
/* Its exit status, 128 + N for a signal; closes the socket before, and frees. */
int fake_end(struct fake *fake);
/* The same, when it is known to end by itself: hears that nothing more was said. */
int fake_ended(struct fake *fake);

/* One or more lines as they are; the newline is added. */
void fake_say(struct fake *fake, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fake_say_bytes(struct fake *fake, const char *bytes, size_t length);
void fake_init(struct fake *fake, const char *params); /* {'name': …}, id 0 */
void fake_call(struct fake *fake, int id, const char *message);
void fake_cast(struct fake *fake, const char *message);
void fake_info(struct fake *fake, const char *message);
void fake_result(struct fake *fake, int64_t id, const char *result);

/* The next line is this. */
void fake_hears(struct fake *fake, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void fake_hears_reply(struct fake *fake, int id, const char *result);
void fake_hears_log(struct fake *fake, const char *text);
/* The next line, a new reference. */
json_t *fake_next(struct fake *fake);
/* The next line is this request; its id. `params` may be NULL: whatever they are. */
int64_t fake_hears_request(struct fake *fake, const char *method, const char *params);
/* Wait until so many messages were reported as handled in all. */
void fake_hears_handled(struct fake *fake, int64_t count);
/* All that was said so far has been taken, and nothing was answered to it. */
void fake_hears_nothing(struct fake *fake);

#endif
