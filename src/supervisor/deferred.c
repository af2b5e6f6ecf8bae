/*
 * deferred: requests that need the database while a new supervisor process has not settled it
 * yet. They are put off until it has; while there is no room on the disk, or it is broken, they
 * are refused in words, so that people are not kept waiting for somebody to do something.
 */

#include "base/xalloc.h"
#include "supervisor/client.h"

#include <stdlib.h>

struct deferred {
	TAILQ_ENTRY(deferred) entry;
	struct request *request;
	const struct method *method;
	json_t *params;
};

static bool
is_refused(const struct supervisor *supervisor, const struct method *method)
{
	return method->when == METHOD_REFUSABLE && turn_is_refusing(supervisor->answer);
}

static void
refuse(struct client *client, json_t *id)
{
	struct error error;

	error_set(&error, STATUS_TRY_LATER, "%s: nothing was changed",
	    store_answer_words(client->supervisor->answer));
	request_fail(request_new(client, id), &error, NULL);
}

void
deferred_add(struct client *client, const struct method *method, json_t *id, json_t *params)
{
	struct deferred *deferred;

	if (is_refused(client->supervisor, method)) {
		refuse(client, id);
		return;
	}
	deferred = xmalloc(sizeof(*deferred));
	*deferred = (struct deferred){ .request = request_new(client, id), .method = method,
		.params = json_incref(params) };
	TAILQ_INSERT_TAIL(&client->supervisor->deferred, deferred, entry);
}

/* Its answer is that of the request that is made of it now. */
static void
drop(struct supervisor *supervisor, struct deferred *deferred)
{
	TAILQ_REMOVE(&supervisor->deferred, deferred, entry);
	request_drop(deferred->request);
	json_decref(deferred->params);
	free(deferred);
}

void
deferred_refuse(struct supervisor *supervisor)
{
	struct deferred *deferred, *next;

	TAILQ_FOREACH_SAFE(deferred, &supervisor->deferred, entry, next) {
		if (!is_refused(supervisor, deferred->method))
			continue;
		refuse(deferred->request->client, deferred->request->id);
		drop(supervisor, deferred);
	}
}

void
deferred_handle(struct supervisor *supervisor)
{
	struct deferred *deferred;

	while ((deferred = TAILQ_FIRST(&supervisor->deferred)) != NULL) {
		struct request *request = deferred->request;

		if (!request->client->is_gone)
			deferred->method->handle(
			    request->client, request->id, deferred->params);
		drop(supervisor, deferred);
	}
}

void
deferred_done(struct supervisor *supervisor)
{
	while (!TAILQ_EMPTY(&supervisor->deferred))
		drop(supervisor, TAILQ_FIRST(&supervisor->deferred));
}
