/* select: words of the command line to job ids, by reading the database. */

#include "cli/select.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "cli/database.h"

#include <stdlib.h>
#include <string.h>

static int
parse_statuses(const char *text, struct job_filter *filter, struct error *error)
{
	char *copy = xstrdup(text), *rest = copy, *word;
	int result = 0;

	while (result == 0 && (word = strsep(&rest, ",")) != NULL) {
		enum job_status status;

		if (job_status_parse(word, &status) == -1)
			result = error_set(error, STATUS_USAGE,
			    "status: \"%s\" is none of new, running, errored, done, failed, "
			    "cancelled", word);
		else
			filter->statuses[status] = filter->has_statuses = true;
	}
	free(copy);
	return result;
}

int
select_filter(const struct invocation *invocation, struct job_filter *filter,
    bool *ret_given, struct error *error)
{
	const char *statuses = option_value(invocation, "status");

	filter->name = option_value(invocation, "name");
	filter->type = option_value(invocation, "type");
	if (statuses != NULL && parse_statuses(statuses, filter, error) == -1)
		return -1;
	if (option_is_given(invocation, "failed"))
		filter->statuses[JOB_FAILED] = filter->has_statuses = true;
	*ret_given = filter->has_statuses || filter->name != NULL || filter->type != NULL;
	return 0;
}

/* "retries>=3" is [NAME, COMPARISON, VALUE]; NULL: it is no condition. */
static json_t *
parse_condition(const char *text)
{
	static const char *const comparisons[] = { "!=", "<=", ">=", "=", "<", ">" };
	size_t length = strcspn(text, "=<>!");

	for (size_t i = 0; length > 0 && i < sizeof(comparisons) / sizeof(comparisons[0]); i++) {
		size_t skipped = length + strlen(comparisons[i]);

		if (strncmp(text + length, comparisons[i], skipped - length) == 0)
			return json_pack("[s%, s, s]", text, length, comparisons[i],
			    text + skipped);
	}
	return NULL;
}

int
select_meta(const struct invocation *invocation, char **ret_conditions, struct error *error)
{
	json_t *conditions = json_array();
	char quoted[80];

	for (size_t i = 0; i < invocation->given_count; i++) {
		const char *text = invocation->given[i].value;

		if (strcmp(invocation->given[i].option->name, "meta") != 0)
			continue;
		if (json_array_append_new(conditions, parse_condition(text)) == -1) {
			json_decref(conditions);
			return error_set(error, STATUS_USAGE,
			    "meta: \"%s\" is not NAME=VALUE, or with one of != < <= > >=",
			    text_quote(quoted, sizeof(quoted), text));
		}
	}
	*ret_conditions =
	    json_array_size(conditions) > 0 ? json_dumps(conditions, JSON_COMPACT) : NULL;
	json_decref(conditions);
	return 0;
}

static void
add_id(struct selection *selection, int64_t id)
{
	if ((selection->count & (selection->count + 1)) == 0)
		selection->ids = xreallocarray(selection->ids, 2 * selection->count + 3,
		    sizeof(selection->ids[0]));
	selection->ids[selection->count++] = id;
}

/* One of those that are meant, and where it is among them: by filter the last end is first. */
struct found {
	int64_t id;
	char *name; /* NULL: none */
	size_t place;
	bool is_former; /* another one of this name is before it */
};

struct found_list {
	struct found *found;
	size_t count;
};

static void
add_found(struct found_list *list, int64_t id, const char *name)
{
	if ((list->count & (list->count + 1)) == 0)
		list->found = xreallocarray(
		    list->found, 2 * list->count + 3, sizeof(list->found[0]));
	list->found[list->count] = (struct found){ .id = id,
		.name = name != NULL ? xstrdup(name) : NULL, .place = list->count };
	list->count++;
}

static int
compare_names(const void *a, const void *b)
{
	const struct found *one = a, *other = b;
	int order = strcmp(
	    one->name != NULL ? one->name : "", other->name != NULL ? other->name : "");

	if (order == 0)
		order = (one->place > other->place) - (one->place < other->place);
	return order;
}

static int
compare_turns(const void *a, const void *b)
{
	const struct found *one = a, *other = b;

	if (one->is_former != other->is_former)
		return one->is_former - other->is_former;
	return (one->id > other->id) - (one->id < other->id);
}

/*
 * What waits for others has a higher id than they have: retried before them, it would be
 * cancelled again, since they have not ended well yet. But of one name the last is meant first.
 */
static void
order_found(struct found *found, size_t count)
{
	if (count == 0)
		return;
	qsort(found, count, sizeof(*found), compare_names);
	for (size_t i = 1; i < count; i++)
		found[i].is_former = found[i].name != NULL && found[i - 1].name != NULL &&
		    strcmp(found[i].name, found[i - 1].name) == 0;
	qsort(found, count, sizeof(*found), compare_turns);
}

static void
select_found(struct selection *selection, struct found_list *list)
{
	order_found(list->found, list->count);
	for (size_t i = 0; i < list->count; i++) {
		add_id(selection, list->found[i].id);
		free(list->found[i].name);
	}
	free(list->found);
}

static int
add_filtered(struct query *query, struct job_filter *filter, struct selection *selection,
    struct error *error)
{
	struct found_list list = { 0 };
	struct rows *rows;
	int more;

	filter->wants_all = true;
	rows = query_jobs(query, filter, error);
	if (rows == NULL)
		return -1;
	while ((more = rows_next(rows, error)) == 1)
		add_found(&list, rows_number(rows, "id", 0), rows_text(rows, "name"));
	rows_close(rows);
	select_found(selection, &list);
	return more;
}

/* As they were given. */
static int
add_given(struct query *query, const struct invocation *invocation,
    struct selection *selection, struct error *error)
{
	for (int i = 0; i < invocation->argument_count; i++) {
		int64_t id;

		if (query_find_job(query, invocation->arguments[i], &id, error) == -1)
			return -1;
		add_id(selection, id);
	}
	return 0;
}

/* The same in the order of a filter; of one name the one that was given first is meant first. */
static int
order_given(struct query *query, struct selection *selection, struct error *error)
{
	struct selection given = *selection;
	struct found_list list = { 0 };
	int result = 0;

	*selection = (struct selection){ 0 };
	for (size_t i = 0; i < given.count && result != -1; i++) {
		struct job_filter filter = { .id = given.ids[i] };
		struct rows *rows = query_jobs(query, &filter, error);

		result = rows != NULL ? rows_next(rows, error) : -1;
		add_found(&list, filter.id, result == 1 ? rows_text(rows, "name") : NULL);
		rows_close(rows);
	}
	select_found(selection, &list);
	selection_done(&given);
	return result == -1 ? -1 : 0;
}

int
select_jobs(const struct invocation *invocation, bool in_order, struct selection *selection,
    struct error *error)
{
	struct job_filter filter = { 0 };
	struct query *query;
	char quoted[256];
	int result = 0;

	*selection = (struct selection){ 0 };
	if (select_filter(invocation, &filter, &selection->is_by_filter, error) == -1)
		return -1;
	if (selection->is_by_filter == (invocation->argument_count > 0))
		return error_set(error, STATUS_USAGE,
		    selection->is_by_filter ? "either ids or filters, not both"
					    : "which jobs? give ids, names or a filter");
	query = database_open(invocation->state, error);
	if (query == NULL && error->code == STATUS_NOT_FOUND && !selection->is_by_filter)
		return error_set(error, STATUS_NOT_FOUND, "there is no job %s",
		    text_quote(quoted, sizeof(quoted), invocation->arguments[0]));
	if (query == NULL)
		return -1;
	if (selection->is_by_filter)
		result = add_filtered(query, &filter, selection, error);
	else
		result = add_given(query, invocation, selection, error);
	if (result == 0 && !selection->is_by_filter && in_order)
		result = order_given(query, selection, error);
	query_close(query);
	if (result == -1)
		selection_done(selection);
	return result;
}

void
selection_done(struct selection *selection)
{
	free(selection->ids);
	*selection = (struct selection){ 0 };
}
