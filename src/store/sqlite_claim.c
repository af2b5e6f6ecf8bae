/*
 * sqlite_claim: the attempts that begin. A claim is the attempt's row and nothing else: its
 * job stays new or errored until the keeper has started the process.
 */

#include "base/xalloc.h"
#include "model/spec_json.h"
#include "store/sqlite_engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { READY, READY_KEYED, READY_IN_TREE, READY_KEYED_IN_TREE, CLAIM, WITHDRAW, COUNT };

#define READY_JOBS                                                                       \
	"SELECT id, name, command, cwd, environment, umask, stdin, timeout_ms, "         \
	"grace_ms, max_output, leave_children, max_retries, priority, "                  \
	"(SELECT coalesce(max(attempt), 0) + 1 FROM attempts WHERE job_id = jobs.id), "  \
	"kind, log_rotate, backoff FROM jobs "                                           \
	"WHERE supervisor = ?1 AND " JOB_WAITS("") " AND hold IS NULL "                  \
	"AND wake_at IS NULL AND NOT EXISTS (SELECT 1 FROM attempts "                    \
	"WHERE job_id = jobs.id AND ended_at IS NULL) "
#define IN_ORDER "ORDER BY priority, id LIMIT ?2"
#define WITH_BUSY                                                                        \
	"WITH busy(key, running) AS MATERIALIZED (SELECT m.key, count(*) "               \
	"FROM attempts o INDEXED BY attempts_open CROSS JOIN keys m "                    \
	"ON m.job_id = o.job_id WHERE o.ended_at IS NULL GROUP BY m.key) "
#define HAS_ROOM                                                                         \
	"AND NOT EXISTS (SELECT 1 FROM keys k JOIN busy b ON b.key = k.key "             \
	"WHERE k.job_id = jobs.id AND b.running >= k.max_running) "
/*
 * A child in order starts when those before it are up: none of them waits, but for one that
 * pauses before it is restarted, or is held, and none is still to be ended since its keeper was
 * killed, so that it comes again. Nothing starts in a group that is being ended.
 */
#define ITS_TURN                                                                         \
	"AND NOT EXISTS (SELECT 1 FROM servers me JOIN supervisors p ON p.name = ?1 "    \
	"WHERE me.job_id = jobs.id AND me.position IS NOT NULL AND "                     \
	"((p.state = 'regrouping' AND me.position >= p.group_from) "                     \
	"OR EXISTS (SELECT 1 FROM servers v INDEXED BY servers_static "                  \
	"CROSS JOIN jobs o ON o.id = v.job_id WHERE v.position < me.position "           \
	"AND o.supervisor = ?1 AND o.hold IS NULL AND ((" JOB_WAITS("o.") " "            \
	"AND (o.wake_at IS NULL OR p.state <> 'running')) OR (o.status = 'running' "     \
	"AND EXISTS (SELECT 1 FROM attempts e WHERE e.job_id = o.id "                    \
	"AND e.ended_at IS NULL AND e.stop_reason = 'interrupted' "                      \
	"AND e.generation < (SELECT max(id) FROM generations))))) "                      \
	"OR EXISTS (SELECT 1 FROM supervisors c WHERE c.parent = ?1 "                    \
	"AND c.position < me.position AND c.state <> 'running' AND c.state <> 'ended'))) "

static const char *const sql[] = {
	[READY] = READY_JOBS IN_ORDER,
	[READY_KEYED] = WITH_BUSY READY_JOBS HAS_ROOM IN_ORDER,
	[READY_IN_TREE] = READY_JOBS ITS_TURN IN_ORDER,
	[READY_KEYED_IN_TREE] = WITH_BUSY READY_JOBS HAS_ROOM ITS_TURN IN_ORDER,
	[CLAIM] = "INSERT INTO attempts (job_id, attempt, generation, claimed_at, member) "
		  "VALUES (?1, ?2, ?3, ?4, ?5)",
	[WITHDRAW] = "DELETE FROM attempts WHERE job_id = ?1 AND attempt = ?2 "
		     "AND generation = ?3 AND started_at IS NULL AND ended_at IS NULL "
		     "RETURNING stop_reason",
};
_Static_assert(sizeof(sql) / sizeof(sql[0]) == COUNT, "all statements");

int
sqlite_claim_prepare(struct sqlite_engine *engine, struct error *error)
{
	return statements_prepare(&engine->claim, &engine->db, sql, COUNT, error);
}

/* A row's description. -1 when it makes no sense, with a sentence in *ret_why. */
static int
read_spec(sqlite3_stmt *row, struct spec *spec, const char **ret_why)
{
	const char *text;

	spec_init(spec);
	if (strings_parse(&spec->command, column_text(row, 2)) == -1 ||
	    spec->command.count == 0 || spec->command.items[0][0] == '\0') {
		*ret_why = "command is not an array of strings that begins with a program";
		return -1;
	}
	if ((text = column_text(row, 1)) != NULL)
		spec->name = xstrdup(text);
	spec->cwd = xstrdup(column_text(row, 3));
	spec->umask = column_number(row, 5, SPEC_UNSET);
	if ((text = column_text(row, 6)) != NULL)
		spec->stdin_path = xstrdup(text);
	spec->timeout_ms = column_number(row, 7, SPEC_UNSET);
	spec->grace_ms = column_number(row, 8, SPEC_UNSET);
	spec->max_output = column_number(row, 9, SPEC_UNSET);
	spec->leaves_children = column_number(row, 10, 0) != 0;
	spec->retry.max_retries = column_number(row, 11, RETRY_FOR_EVER);
	spec->priority = column_number(row, 12, SPEC_DEFAULT_PRIORITY);
	if ((text = column_text(row, 15)) != NULL &&
	    rotation_parse(text, &spec->log_rotate) == -1) {
		*ret_why = "log_rotate is not SIZE or SIZE,N as --log-rotate takes it";
		return -1;
	}
	if ((text = column_text(row, 16)) != NULL &&
	    retry_parse_backoff(text, &spec->retry) == -1) {
		*ret_why = "backoff is not KIND:PAUSE or KIND:PAUSE,LONGEST as --backoff takes it";
		return -1;
	}
	text = column_text(row, 14);
	spec->is_server = text != NULL && strcmp(text, "server") == 0;
	spec->is_message = text != NULL && strcmp(text, "message") == 0;
	return 0;
}

static int
claim_attempt(struct sqlite_engine *engine, struct claimed_job *claimed)
{
	sqlite3_stmt *statement = engine->claim.prepared[CLAIM];

	claimed->key.generation = engine->generation;
	sqlite_bind_key(statement, &claimed->key);
	bind_number(statement, 4, engine->now.ms);
	bind_unless(statement, 5, claimed->member, 0);
	return statement_run(statement);
}

/* A row that somebody wrote and that cannot be run ends, in words. */
static int
refuse_row(struct sqlite_engine *engine, struct step *step, int64_t job, const char *why)
{
	struct reason reason = { .kind = REASON_SPAWN, .number = EINVAL };
	struct lifecycle_verdict verdict;
	bool is_allowed;

	step->claim.ret_refused++;
	return sqlite_apply_event(engine, job, JOB_REFUSED, reason, why, &is_allowed, &verdict);
}

struct candidate {
	struct claimed_job claimed;
	int64_t environment;
	const char *why; /* it makes no sense */
};

struct candidates {
	struct candidate *items;
	size_t count, room;
};

static int
read_candidates(struct sqlite_engine *engine, const struct step *step, int64_t most,
    struct candidates *candidates)
{
	static const int which[2][2] = {
		{ READY, READY_IN_TREE },
		{ READY_KEYED, READY_KEYED_IN_TREE },
	};
	sqlite3_stmt *row =
	    engine->claim.prepared[which[engine->has_keys][engine->has_tree]];
	int code;

	bind_text(row, 1, step->claim.supervisor);
	bind_number(row, 2, most);
	while ((code = sqlite3_step(row)) == SQLITE_ROW) {
		struct candidate *candidate;

		if (candidates->count == candidates->room) {
			candidates->room = candidates->room > 0 ? 2 * candidates->room : 4;
			candidates->items = xreallocarray(candidates->items, candidates->room,
			    sizeof(candidates->items[0]));
		}
		candidate = &candidates->items[candidates->count++];
		*candidate = (struct candidate){
			.claimed.key.job = sqlite3_column_int64(row, 0),
			.claimed.key.attempt = sqlite3_column_int64(row, 13),
			.environment = column_number(row, 4, 0),
		};
		if (read_spec(row, &candidate->claimed.spec, &candidate->why) == -1)
			spec_done(&candidate->claimed.spec);
	}
	return statement_end(row, code);
}

static void
drop_candidates(struct candidates *candidates)
{
	for (size_t i = 0; i < candidates->count; i++)
		spec_done(&candidates->items[i].claimed.spec);
}

/* Claim it, or end it in words. Takes over its description. */
static int
take(struct sqlite_engine *engine, struct step *step, struct candidate *candidate)
{
	struct claimed_job *claimed = &candidate->claimed;
	int code = SQLITE_OK;

	if (candidate->why == NULL)
		code = sqlite_read_environment(engine, candidate->environment,
		    &claimed->environment, &candidate->why);
	if (candidate->why == NULL && claimed->spec.is_message != (step->claim.members != NULL))
		candidate->why = claimed->spec.is_message ? "its pool is gone"
							  : "its supervisor is a pool";
	if (code == SQLITE_OK && candidate->why == NULL && claimed->spec.is_server)
		code = sqlite_read_server(engine, claimed);
	if (candidate->why == NULL && claimed->spec.is_message)
		claimed->member = step->claim.members[step->claim.ret_count];
	if (code == SQLITE_OK && candidate->why == NULL)
		code = claim_attempt(engine, claimed);
	else if (code == SQLITE_OK)
		code = refuse_row(engine, step, claimed->key.job, candidate->why);
	if (code == SQLITE_OK && candidate->why == NULL)
		step->claim.ret_jobs[step->claim.ret_count++] = *claimed;
	else {
		spec_done(&claimed->spec);
		free(claimed->state);
	}
	return code;
}

/*
 * Ahead of its turn nothing is claimed that a crash must not start again, nor what has a key:
 * others of it could not run meanwhile.
 */
static bool
is_too_early(const struct step *step, const struct candidate *candidate)
{
	return (int64_t)step->claim.ret_count >= step->claim.places - step->claim.ahead &&
	    (candidate->claimed.spec.retry.max_retries == 0 || candidate->claimed.has_key);
}

/*
 * Take them in their order, as far as the first that is too early (the later ones must not
 * overtake it) or was refused (others that waited for it may be ready now).
 */
static int
take_all(struct sqlite_engine *engine, struct step *step, struct candidates *candidates,
    bool *ret_skipped)
{
	int64_t refused = step->claim.ret_refused;
	bool goes_on = true, has_room = true;
	int code = SQLITE_OK;

	step->claim.ret_jobs = xreallocarray(step->claim.ret_jobs,
	    step->claim.ret_count + candidates->count, sizeof(step->claim.ret_jobs[0]));
	for (size_t i = 0; i < candidates->count; i++) {
		struct candidate *candidate = &candidates->items[i];

		goes_on = goes_on && code == SQLITE_OK && step->claim.ret_refused == refused;
		if (goes_on)
			code = sqlite_key_has_room(engine, candidate->claimed.key.job,
			    &candidate->claimed.has_key, &has_room);
		goes_on = goes_on && code == SQLITE_OK;
		if (goes_on && !has_room) { /* one before it has just taken the last */
			*ret_skipped = true;
			spec_done(&candidate->claimed.spec);
			continue;
		}
		if (goes_on && is_too_early(step, candidate)) {
			step->claim.ret_is_too_early = true;
			goes_on = false;
		}
		if (goes_on)
			code = take(engine, step, candidate);
		else
			spec_done(&candidate->claimed.spec);
	}
	return code;
}

int
sqlite_step_claim(struct sqlite_engine *engine, struct step *step)
{
	struct candidates candidates = { 0 };
	int64_t refused;
	bool skipped, is_open = true;
	int code = SQLITE_OK;

	if (engine->has_tree)
		code = sqlite_lets_start(engine, step->claim.supervisor, &is_open);
	if (code != SQLITE_OK || !is_open)
		return code;
	do {
		int64_t most = step->claim.places - (int64_t)step->claim.ret_count;

		refused = step->claim.ret_refused;
		skipped = false;
		candidates.count = 0;
		if (most > 0)
			code = read_candidates(engine, step, most, &candidates);
		if (code == SQLITE_OK)
			code = take_all(engine, step, &candidates, &skipped);
		else
			drop_candidates(&candidates);
	} while (code == SQLITE_OK && !step->claim.ret_is_too_early &&
	    (step->claim.ret_refused > refused || skipped));
	free(candidates.items);
	return code;
}

int
sqlite_step_withdraw(struct sqlite_engine *engine, struct step *step)
{
	const struct reason cancelled = { .kind = REASON_CANCELLED };
	sqlite3_stmt *statement = engine->claim.prepared[WITHDRAW];
	struct lifecycle_verdict verdict;
	bool is_cancelled, is_allowed;
	int code;

	sqlite_bind_key(statement, &step->withdraw.key);
	code = sqlite3_step(statement);
	if (code == SQLITE_DONE)
		step->answer = STEP_STALE;
	is_cancelled = code == SQLITE_ROW &&
	    column_reason(statement, 0).kind == REASON_CANCELLED;
	code = statement_end(statement, code);
	if (code == SQLITE_OK && is_cancelled) /* the wish does not go with the attempt */
		code = sqlite_apply_event(engine, step->withdraw.key.job, JOB_CANCEL,
		    cancelled, NULL, &is_allowed, &verdict);
	return code == SQLITE_OK ? sqlite_supervise_job(engine, step->withdraw.key.job) : code;
}
