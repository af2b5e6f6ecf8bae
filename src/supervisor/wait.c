/* wait: clients that wait for the end of jobs. Told only of what is committed and synced. */

#include "base/xalloc.h"
#include "supervisor/client.h"

#include <stdlib.h>

#define MOST_WAITED_FOR 200000

struct waited {
	int64_t job;
	bool has_ended;
	enum job_status status;
	struct reason reason;
};

struct waiter {
	TAILQ_ENTRY(waiter) entry;
	struct supervisor *supervisor;
	struct request *request; /* NULL: answered, only look-ups under way keep it */
	bool wants_any;
	bool wants_each;    /* told of each end as it comes, and nothing new in the answer */
	size_t count, left; /* jobs, and how many of them have not ended */
	size_t lookups;	    /* still under way */
	struct waited jobs[]; /* by id */
};

static int
compare(const void *a, const void *b)
{
	const struct waited *left = a, *right = b;

	return left->job < right->job ? -1 : left->job > right->job;
}

static void
free_if_done(struct waiter *waiter)
{
	if (waiter->request != NULL || waiter->lookups > 0)
		return;
	TAILQ_REMOVE(&waiter->supervisor->waiters, waiter, entry);
	free(waiter);
}

static json_t *
end_json(const struct waited *job)
{
	char reason[REASON_TEXT_SIZE];

	return json_pack("{s:I, s:s, s:s}", "id", (json_int_t)job->job, "status",
	    job_status_name(job->status), "reason", reason_format(reason, job->reason));
}

static json_t *
ended_json(const struct waiter *waiter)
{
	json_t *list = json_array();

	for (size_t i = 0; i < waiter->count && !waiter->wants_each; i++) {
		if (waiter->jobs[i].has_ended)
			json_array_append_new(list, end_json(&waiter->jobs[i]));
	}
	return json_pack("{s:o}", "ended", list);
}

/* Answer it if it has what it waits for, which all look-ups must have said. */
static void
answer(struct waiter *waiter)
{
	if (waiter->request == NULL || waiter->lookups > 0 ||
	    (waiter->left > 0 && !(waiter->wants_any && waiter->left < waiter->count)))
		return;
	request_reply(waiter->request, ended_json(waiter));
	waiter->request = NULL;
}

static struct waited *
find_waited(struct waiter *waiter, int64_t job)
{
	const struct waited wanted = { .job = job };

	return bsearch(&wanted, waiter->jobs, waiter->count, sizeof(wanted), compare);
}

static void
mark(struct waiter *waiter, int64_t job, enum job_status status, struct reason reason)
{
	struct waited *waited = find_waited(waiter, job);

	if (waited == NULL || waited->has_ended)
		return;
	waited->has_ended = true;
	waited->status = status;
	waited->reason = reason;
	waiter->left--;
	if (waiter->wants_each && waiter->request != NULL)
		request_notify(waiter->request, "ended", end_json(waited));
}

static void
looked_up(void *arg, struct step *step)
{
	struct waiter *waiter = arg;
	struct error error;

	waiter->lookups--;
	if (waiter->request != NULL && step->answer == STEP_NOT_FOUND) {
		error_set(&error, STATUS_NOT_FOUND, "there is no job %lld",
		    (long long)step->lookup.job);
		request_fail(waiter->request, &error, NULL);
		waiter->request = NULL;
	} else if (!job_status_is_live(step->lookup.ret_status))
		mark(waiter, step->lookup.ret_job, step->lookup.ret_status,
		    step->lookup.ret_reason);
	answer(waiter);
	free_if_done(waiter);
}

/* The ids, sorted, each once. -1 if they are not ids. */
static int
read_ids(json_t *list, struct waiter *waiter)
{
	size_t index, kept = 0;
	json_t *id;

	json_array_foreach(list, index, id) {
		if (!json_is_integer(id))
			return -1;
		waiter->jobs[index] = (struct waited){ .job = json_integer_value(id) };
	}
	qsort(waiter->jobs, index, sizeof(waiter->jobs[0]), compare);
	for (size_t i = 0; i < index; i++) {
		if (i == 0 || waiter->jobs[i].job != waiter->jobs[kept - 1].job)
			waiter->jobs[kept++] = waiter->jobs[i];
	}
	waiter->count = waiter->left = kept;
	return 0;
}

void
wait_request(struct client *client, json_t *id, json_t *params)
{
	struct supervisor *supervisor = client->supervisor;
	json_t *list = json_object_get(params, "ids");
	size_t count = json_array_size(list);
	struct request *request = request_new(client, id);
	struct waiter *waiter;
	struct error error;

	waiter = xcalloc(1, sizeof(*waiter) + count * sizeof(waiter->jobs[0]));
	waiter->supervisor = supervisor;
	waiter->request = request;
	waiter->wants_any = json_is_true(json_object_get(params, "any"));
	waiter->wants_each = json_is_true(json_object_get(params, "each"));
	if (count == 0 || count > MOST_WAITED_FOR || read_ids(list, waiter) == -1) {
		free(waiter);
		error_set(&error, RPC_INVALID_PARAMS, "wait: wants ids, an array of 1 to %d",
		    MOST_WAITED_FOR);
		request_fail(request, &error, NULL);
		return;
	}
	TAILQ_INSERT_TAIL(&supervisor->waiters, waiter, entry);
	waiter->lookups = waiter->count;
	for (size_t i = 0; i < waiter->count; i++)
		turn_add(supervisor, STEP_LOOKUP, looked_up, waiter)->lookup.job =
		    waiter->jobs[i].job;
	turn_tells(supervisor);
}

bool
wait_is_for(struct supervisor *supervisor, const struct ended_job *ended, size_t count)
{
	struct waiter *waiter;

	TAILQ_FOREACH(waiter, &supervisor->waiters, entry) {
		for (size_t i = 0; waiter->request != NULL && i < count; i++) {
			if (find_waited(waiter, ended[i].job) != NULL)
				return true;
		}
	}
	return false;
}

void
wait_jobs_ended(struct supervisor *supervisor, const struct ended_job *ended, size_t count)
{
	struct waiter *waiter, *next;

	if (count == 0)
		return;
	TAILQ_FOREACH_SAFE(waiter, &supervisor->waiters, entry, next) {
		for (size_t i = 0; i < count; i++)
			mark(waiter, ended[i].job, ended[i].status, ended[i].reason);
		answer(waiter);
		free_if_done(waiter);
	}
}

void
wait_client_gone(struct client *client)
{
	struct waiter *waiter, *next;

	TAILQ_FOREACH_SAFE(waiter, &client->supervisor->waiters, entry, next) {
		if (waiter->request == NULL || waiter->request->client != client)
			continue;
		request_reply(waiter->request, json_null());
		waiter->request = NULL;
		free_if_done(waiter);
	}
}

void
wait_done(struct supervisor *supervisor)
{
	struct waiter *waiter;

	while ((waiter = TAILQ_FIRST(&supervisor->waiters)) != NULL) {
		TAILQ_REMOVE(&supervisor->waiters, waiter, entry);
		if (waiter->request != NULL)
			request_reply(waiter->request, json_null());
		free(waiter);
	}
}
