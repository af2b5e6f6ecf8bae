/*
 * pool: the pools, their members, and which of these are free for a message. A pool is known
 * from its first server's claim, or from the supervisor of its messages, whichever comes
 * first, and for as long as we live.
 */

#include "supervisor/pool.h"
#include "base/text.h"
#include "base/xalloc.h"

#include <stdlib.h>
#include <string.h>

void
pool_init(struct supervisor *supervisor)
{
	TAILQ_INIT(&supervisor->servers->pools);
	RB_INIT(&supervisor->servers->pool_calls);
}

void
pool_done(struct supervisor *supervisor)
{
	struct pool *pool;

	while ((pool = TAILQ_FIRST(&supervisor->servers->pools)) != NULL) {
		TAILQ_REMOVE(&supervisor->servers->pools, pool, entry);
		free(pool);
	}
}

static struct pool *
find_by_id(struct supervisor *supervisor, int64_t id)
{
	struct pool *pool;

	TAILQ_FOREACH (pool, &supervisor->servers->pools, entry) {
		if (pool->id == id)
			break;
	}
	return pool;
}

struct pool *
pool_get(struct supervisor *supervisor, int64_t id)
{
	struct pool *pool = find_by_id(supervisor, id);

	if (pool != NULL)
		return pool;
	pool = xcalloc(1, sizeof(*pool));
	pool->id = id;
	TAILQ_INIT(&pool->members);
	TAILQ_INSERT_TAIL(&supervisor->servers->pools, pool, entry);
	return pool;
}

void
pool_has_place(struct supervisor *supervisor, int64_t id, struct place_count *place)
{
	struct pool *pool;

	/* The name may have been another pool's before. */
	if (place->pool != NULL && place->pool->id != id) {
		place->pool->place = NULL;
		place->pool = NULL;
	}
	if (id == 0)
		return;
	pool = pool_get(supervisor, id);
	pool->place = place;
	place->pool = pool;
	memcpy(pool->name, place->name, sizeof(pool->name));
}

void
pool_join(struct server *server, int64_t id, int64_t max_messages)
{
	struct supervisor *supervisor = server->supervisor;
	struct pool *pool = pool_get(supervisor, id);

	server->pool = pool;
	server->max_messages = max_messages;
	TAILQ_INSERT_TAIL(&pool->members, server, member);
	if (pool->place == NULL) /* it was started just now */
		live_read_limits(supervisor);
	if (server->live->key.job == id)
		memcpy(pool->name, server->name, sizeof(pool->name));
}

void
pool_leave(struct server *server)
{
	if (server->pool == NULL)
		return;
	TAILQ_REMOVE(&server->pool->members, server, member);
	server->pool = NULL;
}

struct pool *
pool_of_first(const struct server *server)
{
	return server->pool != NULL && server->pool->id == server->live->key.job ? server->pool
										 : NULL;
}

struct pool *
pool_find(struct supervisor *supervisor, const json_t *to, const struct server *server)
{
	const char *word = json_string_value(to);
	int64_t id = json_integer_value(to);
	struct pool *pool;

	if (server != NULL)
		return pool_of_first(server);
	if (word == NULL || text_number(word, 1, SPEC_LARGEST_ID, &id) == 0)
		return find_by_id(supervisor, id);
	TAILQ_FOREACH (pool, &supervisor->servers->pools, entry) {
		if (pool->place != NULL && strcmp(pool->name, word) == 0)
			break;
	}
	return pool;
}

bool
pool_is_alive(struct supervisor *supervisor, int64_t id)
{
	const struct pool *pool = find_by_id(supervisor, id);

	return pool != NULL && !TAILQ_EMPTY(&pool->members);
}

bool
pool_member_is_free(const struct server *server)
{
	return server->phase == SERVER_READY && !server->is_being_stopped &&
	    !server->live->is_being_ended && !server->live->has_ended &&
	    server->live->handling == NULL && server->live->channel != NULL;
}

size_t
pool_free_members(const struct pool *pool, int64_t *ret_jobs, size_t most)
{
	const struct server *server;
	size_t count = 0;

	TAILQ_FOREACH (server, &pool->members, member) {
		if (count < most && pool_member_is_free(server))
			ret_jobs[count++] = server->live->key.job;
	}
	return count;
}

void
pool_look(struct pool *pool)
{
	if (pool->place != NULL)
		pool->place->may_have_ready = true;
}
