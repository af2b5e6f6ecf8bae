#ifndef BENCH_KIT_TALK_H
#define BENCH_KIT_TALK_H

#include "cli/client.h"

#include <stdint.h>

/*
 * A client of the control socket that keeps its connection. It uses the command line's
 * own client code and sends what the command line sends.
 */
void talk_open(struct client_connection *connection, const char *state);
void talk_close(struct client_connection *connection);

/* Submit one command (NULL-terminated) and return its id, when it is acknowledged. */
int64_t talk_submit(struct client_connection *connection, const char *const *command);

/* Submit one command so many times at once, held. */
void talk_submit_held(struct client_connection *connection, const char *const *command,
    int count, int64_t *ret_ids);
void talk_release(struct client_connection *connection, const int64_t *ids, int count);

/* Wait for the end of a job. */
void talk_wait(struct client_connection *connection, int64_t id);

/* From now on be told of changes; wait until the next one. */
void talk_follow(struct client_connection *connection);
void talk_await_change(struct client_connection *connection);

#endif
