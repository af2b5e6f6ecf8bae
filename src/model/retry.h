#ifndef MODEL_RETRY_H
#define MODEL_RETRY_H

#include <stddef.h>
#include <stdint.h>

/* When a failed job runs again, and when it has failed for good. */

enum backoff_kind { BACKOFF_CONSTANT, BACKOFF_LINEAR, BACKOFF_EXPONENTIAL, BACKOFF_COUNT };

struct retry_policy {
	int64_t max_retries; /* RETRY_FOR_EVER or 0 … */
	enum backoff_kind backoff;
	int64_t base_ms;    /* D: the first pause */
	int64_t cap_ms;	    /* no pause is longer but by its jitter; not for constant ones */
	int jitter_percent; /* a pause is drawn from ±this, 0 to 100 */
};

#define RETRY_FOR_EVER (-1)
#define RETRY_DEFAULT_MAX_RETRIES 3
#define RETRY_DEFAULT_BASE_MS 5000
#define RETRY_DEFAULT_CAP_MS 3600000

extern const struct retry_policy retry_default; /* 3 retries, constant:5s */

/* "constant:5s", "linear:1s", "exponential:1s,1h" (also "exp") into *policy. 0 or -1. */
int retry_parse_backoff(const char *text, struct retry_policy *policy);
const char *retry_format_backoff(char *buffer, size_t size, const struct retry_policy *policy);

/*
 * The pause after the failures-th counted failure (1 …): D, n·D or D·2^(n-1), capped,
 * then moved by the jitter, for which `random` is any 32 random bits.
 */
int64_t retry_pause_ms(const struct retry_policy *policy, int64_t failures, uint32_t random);

#endif
