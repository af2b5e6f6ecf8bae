/* count: how much the supervisors have, as OTP counts it. */

#include "cli/cli.h"
#include "cli/database.h"
#include "cli/row_json.h"
#include "store/query.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const counted[] = { "specs", "active", "supervisors", "workers" };
#define COUNTED (sizeof(counted) / sizeof(counted[0]))

/* `wanted` NULL: the root, whose children those without a parent are. */
static int
sum_up(struct rows *rows, const char *wanted, int64_t sums[COUNTED], int64_t *ret_supervisors,
    struct error *error)
{
	int more;

	while ((more = rows_next(rows, error)) == 1) {
		if (wanted != NULL && strcmp(rows_text(rows, "name"), wanted) != 0)
			continue;
		++*ret_supervisors;
		for (size_t i = 0; i < COUNTED; i++)
			sums[i] += rows_number(rows, counted[i], 0);
		if (wanted == NULL && rows_text(rows, "parent") == NULL) {
			sums[0]++;
			sums[1] += strcmp(rows_text(rows, "state"), "ended") != 0;
			sums[2]++;
		}
	}
	return more;
}

static void
print_sums(const int64_t sums[COUNTED], bool wants_json)
{
	json_t *object = json_object();

	for (size_t i = 0; i < COUNTED; i++) {
		json_object_set_new(object, counted[i], json_integer(sums[i]));
		if (!wants_json)
			printf("%-12s %" PRId64 "\n", counted[i], sums[i]);
	}
	if (wants_json)
		row_json_print(object);
	else
		json_decref(object);
}

int
verb_count(struct invocation *invocation)
{
	const char *wanted = invocation->argument_count > 0 ? invocation->arguments[0] : NULL;
	struct error error;
	struct query *query = database_open(invocation->state, &error);
	struct rows *rows = query != NULL ? query_counts(query, &error) : NULL;
	int64_t sums[COUNTED] = { 0 }, supervisors = 0;
	int more = rows != NULL ? sum_up(rows, wanted, sums, &supervisors, &error) : -1;

	rows_close(rows);
	query_close(query);
	if (more == -1)
		return cli_fail(&error);
	if (supervisors == 0)
		return cli_complain(STATUS_NOT_FOUND, "there is no supervisor %s", wanted);
	print_sums(sums, invocation->wants_json);
	return STATUS_OK;
}
