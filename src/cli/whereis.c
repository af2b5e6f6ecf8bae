/* whereis: names and groups to ids. */

#include "cli/cli.h"
#include "store/query.h"

#include <inttypes.h>
#include <stdio.h>

static int
print_group(struct query *query, const char *group, struct error *error)
{
	struct rows *rows = query_group(query, group, error);
	int more, count = 0;

	while ((more = rows_next(rows, error)) == 1) {
		printf("%" PRId64 "\n", rows_number(rows, "id", 0));
		count++;
	}
	rows_close(rows);
	if (more == -1)
		return cli_fail(error);
	return count > 0 ? STATUS_OK
			 : cli_complain(STATUS_NOT_FOUND, "no live job is in this group");
}

static int
print_holder(struct query *query, const char *name, struct error *error)
{
	int64_t job = query_holder(query, name, error);

	if (job == -1)
		return cli_fail(error);
	if (job == 0)
		return cli_complain(STATUS_NOT_FOUND, "no live job has this name");
	printf("%" PRId64 "\n", job);
	return STATUS_OK;
}

int
verb_whereis(struct invocation *invocation)
{
	const char *group = option_value(invocation, "group");
	struct error error;
	struct query *query;
	int status;

	if ((group != NULL) == (invocation->argument_count > 0))
		return cli_complain(STATUS_USAGE, "whereis: wants a name or --group, one of them");
	query = query_open(invocation->state, &error);
	if (query == NULL)
		return cli_fail(&error);
	status = group != NULL ? print_group(query, group, &error)
			       : print_holder(query, invocation->arguments[0], &error);
	query_close(query);
	return status;
}
