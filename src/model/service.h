#ifndef MODEL_SERVICE_H
#define MODEL_SERVICE_H

#include "base/buf.h"
#include "model/reason.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A plain service: a program that knows nothing of our protocol and is kept running all the
 * same. When it counts as started, how it is asked to end, which of its ends are good ones,
 * and how often it must give a sign of life. Pure.
 */

enum ready_kind {
	READY_EXEC,   /* it has become its program */
	READY_NOTIFY, /* it says READY=1 to NOTIFY_SOCKET */
	READY_FD,     /* it writes a line to a descriptor */
	READY_KIND_COUNT
};

/* Ends that are as good as exit 0. */
struct good_ends {
	uint32_t codes[8]; /* one bit for each exit status … */
	uint64_t signals;  /* … and for each signal, the first one's is the lowest */
};

struct service {
	enum ready_kind ready;
	int ready_fd;	     /* READY_FD: which; else 0 */
	int stop_signal;     /* how it is asked to end */
	struct good_ends good;
	int64_t watchdog_ms; /* a sign of life is due so often; -1: none is */
};

#define SERVICE_UNSET { .stop_signal = SIGTERM, .watchdog_ms = -1 }
#define SERVICE_LARGEST_FD 1023

/* "exec", "notify", "fd:5". 0, or -1 and nothing changed. */
int service_parse_ready(const char *text, struct service *service);
const char *service_format_ready(char buffer[16], const struct service *service);

/* A signal that a program can hear: "SIGINT", "INT" or "2"; 0 or -1. */
int service_parse_signal(const char *text, int *ret_signal);

/* "0,3,SIGTERM". 0, or -1 and nothing changed. */
int service_parse_good_ends(const char *text, struct good_ends *ret_good);
void service_format_good_ends(struct buf *text, const struct good_ends *good);
bool service_has_good_ends(const struct good_ends *good);

/* What has come of it, in the light of which ends are good ones. */
struct reason service_judge(const struct service *service, struct reason seen);

#endif
