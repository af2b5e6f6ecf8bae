#ifndef WIRE_NOTIFICATION_H
#define WIRE_NOTIFICATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a service says of itself with sd_notify(3): lines of NAME=VALUE in one datagram.
 * Names that are not known are no mistake.
 */
#define NOTIFICATION_STATUS_SIZE 512

struct notification {
	bool is_ready, is_stopping, is_reloading;
	bool lives;	  /* WATCHDOG=1 */
	bool is_stuck;	  /* WATCHDOG=trigger */
	bool names_other; /* MAINPID=: another process is to count */
	bool gives_descriptors; /* FDSTORE=1 */
	bool has_status;
	char status[NOTIFICATION_STATUS_SIZE]; /* one line of UTF-8, cut off if longer */
	bool sets_watchdog; /* WATCHDOG_USEC=: another limit */
	int64_t extend_ms; /* it needs so long from now on; -1: it does not say */
};

void notification_parse(struct notification *ret, const char *bytes, size_t length);

#endif
