/*
 * tries: the count behind TRY, which never goes beyond what is allowed. A server's is how
 * often it was started in this life: its limit is a rate, not a number.
 */

#include "cli/tries.h"
#include "cli/why.h"

#include <inttypes.h>

int64_t
tries_of(const struct rows *row)
{
	int64_t failures = rows_number(row, "failures", 0);
	bool was_run = rows_number(row, "attempt", 0) != 0;
	struct why_job job;

	why_read(&job, row);
	if (!was_run || job.status == JOB_NEW || job.status == JOB_ERRORED)
		return failures;
	return reason_is_failure(job.last) ? failures : failures + 1;
}

void
tries_cell(struct buf *out, const struct rows *row, const char *max_retries)
{
	int64_t most = rows_number(row, max_retries, -1);
	int64_t restarts = rows_number(row, "restarts", -1);

	if (restarts != -1)
		buf_addf(out, "%" PRId64, restarts + (rows_number(row, "attempt", 0) != 0));
	else if (most == -1)
		buf_addf(out, "%" PRId64 "/inf", tries_of(row));
	else
		buf_addf(out, "%" PRId64 "/%" PRId64, tries_of(row), most + 1);
}
