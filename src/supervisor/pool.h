#ifndef SUPERVISOR_POOL_H
#define SUPERVISOR_POOL_H

#include "supervisor/live.h"
#include "supervisor/server.h"

/*
 * A pool: several servers with one mailbox. A message to it is a job without a process of its
 * own: it is claimed for a member that is free, written to it as a call, and has ended when
 * the member has answered, or when the member has ended. So it has a job's retries, pauses,
 * time-out and history.
 *
 *   pool.c       the pools, their members, and who is free
 *   pool_work.c  messages at their members
 *   pool_send.c  messages on their way into the store, and who waits for what comes of them
 */

struct pool {
	TAILQ_ENTRY(pool) entry;
	int64_t id; /* the job of its first server */
	char name[NAME_SIZE];
	struct place_count *place; /* of its messages; NULL: not read yet */
	TAILQ_HEAD(, server) members; /* those that live */
};

/* A message at a member. Both attempts have it until it is answered or the member has ended. */
struct handling {
	struct live *message; /* its attempt */
	struct live *member;  /* NULL: it has answered */
	struct attempt_key member_key;
	struct timer timer;   /* the message's time-out */
	bool is_written;      /* the member has the whole line */
	bool is_in_doubt;     /* … or may have it: a supervisor process before us wrote it */
	char ref[64];	      /* the call's id */
};

/* ---- pool.c ---- */

void pool_init(struct supervisor *supervisor);
void pool_done(struct supervisor *supervisor);
/* It is made if it is not known yet. */
struct pool *pool_get(struct supervisor *supervisor, int64_t id);
/* What the store says of the supervisor of its messages. */
void pool_has_place(struct supervisor *supervisor, int64_t id, struct place_count *place);
/* A server that is of a pool is there, or is not any more. */
void pool_join(struct server *server, int64_t id, int64_t max_messages);
void pool_leave(struct server *server);
/*
 * The pool with this name or id, or NULL. `server`: the live server that has it, from
 * server_find(), which may be the pool's first, another one, or NULL.
 */
struct pool *pool_find(struct supervisor *supervisor, const json_t *to,
    const struct server *server);
/* The pool whose first server this is; or NULL. */
struct pool *pool_of_first(const struct server *server);
/* Has it a process, of any of its members? */
bool pool_is_alive(struct supervisor *supervisor, int64_t id);
/* It runs, nobody ends it, and it has no message. */
bool pool_member_is_free(const struct server *server);
/* Those that are free now, at most so many; how many they are. */
size_t pool_free_members(const struct pool *pool, int64_t *ret_jobs, size_t most);
/* Ask for ready messages again: a member may be free. */
void pool_look(struct pool *pool);

/* ---- pool_work.c ---- */

/* A message was claimed for a member. */
void pool_give(struct supervisor *supervisor, const struct claimed_job *claimed,
    const char *place);
/* Is this the member's answer to its message? Then it is taken. */
bool pool_take_answer(struct server *server, const struct rpc_message *message);
/* What was said to this server has been written. */
void pool_written(struct server *server);
/*
 * A member's end is being recorded, with what was seen: so is that of its message. False: it
 * had not got that yet.
 */
bool pool_member_ended(struct live *member, struct reason seen);
/* End the attempt of a message, which nobody but its member's end can. */
void pool_interrupt(struct live *message);
/* A new supervisor process finds the open attempt of a message. */
void pool_settle(struct supervisor *supervisor, const struct open_attempt *open);
/* The attempt is freed. */
void pool_forget(struct live *live);

/* Is this the attempt of a message? */
static inline bool
pool_is_message(const struct live *live)
{
	return live->handling != NULL && live->handling->message == live;
}

/* ---- pool_send.c ---- */

/* A step that records the message; who asked is answered {"id": JOB} then. */
struct step *pool_make_send(struct supervisor *supervisor, const struct pool *pool,
    struct rpc_text message, struct caller caller);
/*
 * The same at once, and the caller is answered with what the member says in the end. The
 * envelope has a ref.
 */
void pool_call(struct supervisor *supervisor, const struct pool *pool,
    const struct envelope *envelope, struct caller caller);
/* A member has answered this message: kept for those that wait for its end. */
void pool_note_result(struct supervisor *supervisor, int64_t job, json_t *result);
/* Does somebody wait for one of these? And they are told. */
bool pool_waits_for(struct supervisor *supervisor, const struct ended_job *ended, size_t count);
void pool_jobs_ended(struct supervisor *supervisor, const struct ended_job *ended,
    size_t count);
/* All who wait get this. */
void pool_fail_calls(struct supervisor *supervisor, int code, const char *word);

#endif
