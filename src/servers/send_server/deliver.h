#ifndef SERVERS_SEND_SERVER_DELIVER_H
#define SERVERS_SEND_SERVER_DELIVER_H

#include "servers/send_server/smtp.h"

#define DELIVER_OPTION "--deliver"

/*
 * Be the task that sends one mail: `send_server --deliver FILE`. The file, which only its
 * owner may read and which is removed, is a JSON object: url, from, tls, ca, credentials (a
 * path, "" for none), message_id, timeout_ms, message. The job's result is
 * deliver_result(). The exit status of the program: 0, unless that could not be told.
 */
int deliver_main(const char *path);

/* {"sent": BOOL, "unknown": BOOL, "code": N, "answer": TEXT} */
json_t *deliver_result(const struct smtp_outcome *outcome);

/* Back from it. null: it was sent, but could not tell so. -1: this is no result. */
int deliver_read_result(const json_t *result, struct smtp_outcome *ret_outcome);

#endif
