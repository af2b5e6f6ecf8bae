/* whereis: names and groups to ids. */

#include "cli/cli.h"
#include "cli/database.h"
#include "cli/row_json.h"
#include "store/query.h"

/* Lines, or an array, of what is in the group. */
static int
print_group(const struct invocation *invocation, struct query *query, const char *group,
    struct error *error)
{
	struct rows *rows = query_group(query, group, error);
	json_t *list = json_array();
	int more;

	while ((more = rows_next(rows, error)) == 1) {
		json_array_append_new(list, row_json(rows));
		if (!invocation->wants_json)
			cli_print_id(invocation, rows_number(rows, "id", 0));
	}
	rows_close(rows);
	if (more == 0 && json_array_size(list) == 0)
		more = error_set(error, STATUS_NOT_FOUND, "no live job is in this group");
	if (more == 0 && invocation->wants_json)
		row_json_print(json_incref(list));
	json_decref(list);
	return more == 0 ? STATUS_OK : cli_fail(error);
}

static int
print_holder(const struct invocation *invocation, struct query *query, const char *name,
    struct error *error)
{
	int64_t job = query_holder(query, name, error);

	if (job == -1)
		return cli_fail(error);
	if (job == 0)
		return cli_complain(STATUS_NOT_FOUND, "no live job has this name");
	cli_print_id(invocation, job);
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
	query = database_open(invocation->state, &error);
	if (query == NULL)
		return cli_fail(&error);
	status = group != NULL ? print_group(invocation, query, group, &error)
			       : print_holder(invocation, query, invocation->arguments[0], &error);
	query_close(query);
	return status;
}
