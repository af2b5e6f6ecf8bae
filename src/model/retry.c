/* retry: pauses between runs. Pure: randomness comes in as a number. */

#include "model/retry.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

const struct retry_policy retry_default = {
	.max_retries = RETRY_DEFAULT_MAX_RETRIES,
	.backoff = BACKOFF_CONSTANT,
	.base_ms = RETRY_DEFAULT_BASE_MS,
	.cap_ms = RETRY_DEFAULT_CAP_MS,
};

static const char *const names[] = {
	[BACKOFF_CONSTANT] = "constant",
	[BACKOFF_LINEAR] = "linear",
	[BACKOFF_EXPONENTIAL] = "exponential",
};
_Static_assert(sizeof(names) / sizeof(names[0]) == BACKOFF_COUNT, "a name for every kind");

int
retry_parse_backoff(const char *text, struct retry_policy *policy)
{
	const char *colon = strchr(text, ':'), *comma;
	struct retry_policy parsed = *policy;
	char base[64];
	size_t length;
	int kind;

	if (colon == NULL)
		return -1;
	for (kind = 0; kind < BACKOFF_COUNT; kind++) {
		if (strlen(names[kind]) == (size_t)(colon - text) &&
		    strncmp(text, names[kind], (size_t)(colon - text)) == 0)
			break;
	}
	if (kind == BACKOFF_COUNT && strncmp(text, "exp:", 4) == 0)
		kind = BACKOFF_EXPONENTIAL;
	if (kind == BACKOFF_COUNT)
		return -1;
	comma = strchr(colon, ',');
	length = comma != NULL ? (size_t)(comma - colon - 1) : strlen(colon + 1);
	if (length >= sizeof(base))
		return -1;
	memcpy(base, colon + 1, length);
	base[length] = '\0';
	parsed.backoff = kind;
	parsed.cap_ms = RETRY_DEFAULT_CAP_MS;
	if (text_duration(base, &parsed.base_ms) == -1)
		return -1;
	if (comma != NULL && text_duration(comma + 1, &parsed.cap_ms) == -1)
		return -1;
	*policy = parsed;
	return 0;
}

const char *
retry_format_backoff(char *buffer, size_t size, const struct retry_policy *policy)
{
	char base[40], cap[40];

	text_format_exact(base, sizeof(base), policy->base_ms);
	text_format_exact(cap, sizeof(cap), policy->cap_ms);
	if (policy->cap_ms == RETRY_DEFAULT_CAP_MS)
		snprintf(buffer, size, "%s:%s", names[policy->backoff], base);
	else
		snprintf(buffer, size, "%s:%s,%s", names[policy->backoff], base, cap);
	return buffer;
}

/* D times n without overflow, at most cap. */
static int64_t
times(int64_t base_ms, int64_t n, int64_t cap_ms)
{
	int64_t product;

	if (__builtin_mul_overflow(base_ms, n, &product) || product > cap_ms)
		return cap_ms;
	return product;
}

int64_t
retry_pause_ms(const struct retry_policy *policy, int64_t failures, uint32_t random)
{
	int64_t pause, spread;
	unsigned __int128 drawn;

	if (failures < 1)
		failures = 1;
	switch (policy->backoff) {
	case BACKOFF_LINEAR:
		pause = times(policy->base_ms, failures, policy->cap_ms);
		break;
	case BACKOFF_EXPONENTIAL:
		pause = failures > 62 ? (policy->base_ms > 0 ? policy->cap_ms : 0)
				      : times(policy->base_ms, INT64_C(1) << (failures - 1),
					    policy->cap_ms);
		break;
	default:
		pause = policy->base_ms;
		break;
	}
	spread = pause / 100 * policy->jitter_percent +
	    pause % 100 * policy->jitter_percent / 100;
	if (spread <= 0)
		return pause;
	drawn = (2 * (unsigned __int128)spread + 1) * random >> 32;
	if (__builtin_add_overflow(pause - spread, (uint64_t)drawn, &pause))
		return INT64_MAX;
	return pause;
}
