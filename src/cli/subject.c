/* subject: from the word on the command line to the job's row. */

#include "cli/subject.h"
#include "base/text.h"
#include "cli/database.h"

void
subject_close(struct subject *subject)
{
	rows_close(subject->row);
	query_close(subject->query);
	*subject = (struct subject){ 0 };
}

static int
no_such_job(const char *word, struct error *error)
{
	char quoted[256];

	return error_set(error, STATUS_NOT_FOUND, "there is no job %s",
	    text_quote(quoted, sizeof(quoted), word));
}

int
subject_open(struct subject *subject, const struct invocation *invocation,
    struct error *error)
{
	const char *word = invocation->arguments[0];
	struct job_filter filter = { 0 };
	int found = -1;

	*subject = (struct subject){ .query = database_open(invocation->state, error) };
	if (subject->query == NULL)
		return error->code == STATUS_NOT_FOUND ? no_such_job(word, error) : -1;
	why_now(&subject->now, invocation->state);
	if (query_find_job(subject->query, word, &subject->job, error) == 0) {
		filter.id = subject->job;
		subject->row = query_jobs(subject->query, &filter, error);
		found = subject->row != NULL ? rows_next(subject->row, error) : -1;
	}
	if (found == 1)
		return 0;
	subject_close(subject);
	return found == 0 ? no_such_job(word, error) : -1;
}
