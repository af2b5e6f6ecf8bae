/*
 * Random turns on SQLite and on the memory store at once, with every result and the
 * whole state compared. JOBBERD_SEED=N repeats the sequence that a failure names,
 * JOBBERD_SEED=N+1000 runs as many from there.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../support/fault_vfs.h"
#include "../../support/memory_store.h"
#include "../../support/subject.h"
#include "base/xalloc.h"
#include "store/db.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEQUENCES 80
#define TURNS 50
#define MOST_KEYS 512
#define HOUR_MS INT64_C(3600000)
#define TOLERANCE_MS (HOUR_MS / 6) /* between two engines, on a slow machine */

/* What both stores have told so far, to choose from. */
struct world {
	uint64_t seed, random;
	struct wall since;
	int64_t jobs;
	struct attempt_key keys[MOST_KEYS];
	size_t key_count;
	int64_t seconds, wall_hours, boot_hours; /* the clock's shift */
	bool clock_stepped;
	int turn;
	struct subject sqlite, memory;
};

/* ---- chance ---- */

static uint64_t
draw(uint64_t *random, uint64_t below)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random % below;
}

static bool
chance(uint64_t *random, int percent)
{
	return draw(random, 100) < (uint64_t)percent;
}

#define PICK(random, list) ((list)[draw(random, sizeof(list) / sizeof((list)[0]))])

/* Mostly a job there is. */
static int64_t
pick_job(const struct world *world, uint64_t *random)
{
	return (int64_t)draw(random, (uint64_t)world->jobs + 2);
}

/* Mostly a late attempt; now and then a key that never was. */
static struct attempt_key
pick_key(const struct world *world, uint64_t *random)
{
	size_t most = world->key_count < 8 ? world->key_count : 8;
	struct attempt_key key = { 1, 1, 1 };

	if (world->key_count > 0)
		key = world->keys[chance(random, 85)
			? world->key_count - 1 - draw(random, most)
			: draw(random, world->key_count)];
	if (chance(random, 4))
		key.attempt++;
	if (chance(random, 4))
		key.generation++;
	return key;
}

/* ---- steps ---- */

static void
add_after(const struct world *world, uint64_t *random, char *options, size_t size)
{
	size_t used = strlen(options);
	int64_t job = pick_job(world, random);
	const char *option = chance(random, 60) ? "after" : "after-any";

	if (chance(random, 20))
		snprintf(options + used, size - used, " %s=%c", option,
		    (int)('a' + draw(random, 3)));
	else if (job > 0)
		snprintf(options + used, size - used, " %s=%" PRId64, option, job);
}

static void
random_options(const struct world *world, uint64_t *random, char *options, size_t size)
{
	static const char *const names[] = { "", "", "", "name=a", "name=b once",
		"name=c", "name=a once" };
	static const char *const supervisors[] = { "", "", "", "", "", "",
		"supervisor=serial", "supervisor=serial", "supervisor=servers",
		"supervisor=nowhere" };
	static const char *const retries[] = { "", "max-retries=0", "max-retries=1",
		"max-retries=inf" };
	static const char *const pauses[] = { "", "backoff=constant:0",
		"backoff=linear:1h", "backoff=exponential:30m,2h jitter=40",
		"backoff=constant:1h" };
	static const char *const delays[] = { "", "", "", "", "in=1h", "in=2h", "AT",
		"hold" };
	static const char *const others[] = { "", "timeout=30 grace=0",
		"stdin=/etc/hosts", "cwd=/usr leave-children max-output=1M" };
	const char *delay = PICK(random, delays);
	char at[64] = "", time[40];

	if (strcmp(delay, "AT") == 0) {
		int64_t hours = (int64_t)draw(random, 6);

		snprintf(at, sizeof(at), "at=%s", text_format_time(time, sizeof(time),
		    (struct wall){ world->since.ms + hours * HOUR_MS }));
		delay = at;
	}
	snprintf(options, size, "%s %s %s %s %s %s", PICK(random, names),
	    PICK(random, supervisors), PICK(random, retries), PICK(random, pauses), delay,
	    PICK(random, others));
	if (chance(random, 30)) {
		add_after(world, random, options, size);
		if (chance(random, 40))
			add_after(world, random, options, size);
	}
	if (chance(random, 50)) {
		size_t used = strlen(options);

		snprintf(
		    options + used, size - used, " priority=%d", (int)draw(random, 10));
	}
}

static void
add_random_submit(const struct world *world, uint64_t *random, struct batch *batch)
{
	static const char *const variables[] = { "A=1", "A=2", "B=1" };
	char options[1024], one[256];
	size_t count = draw(random, 3) + 1;
	struct step *step;

	options[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		random_options(world, random, one, sizeof(one));
		snprintf(options + strlen(options), sizeof(options) - strlen(options),
		    "%s%s", i > 0 ? ";" : "", one);
	}
	step = add_submit(batch, options);
	if (chance(random, 40))
		strings_add(&step->submit.environment, PICK(random, variables));
	for (size_t i = 0; i < count; i++) {
		if (chance(random, 20))
			strings_add(&step->submit.specs[i].environment,
			    PICK(random, variables));
		if (chance(random, 3))
			step->submit.specs[i].command.items[0][0] = '\0';
	}
}

static void
add_random_claim(const struct world *world, uint64_t *random, struct batch *batch)
{
	static const char *const supervisors[] = { "default", "default", "default",
		"serial", "servers" };
	const char *supervisor = PICK(random, supervisors);

	(void)world;
	add_claim(batch, supervisor, (int64_t)draw(random, 5))->claim.ahead =
	    chance(random, 30) ? (int64_t)draw(random, 4) : 0;
}

static void
add_random_withdraw(const struct world *world, uint64_t *random, struct batch *batch)
{
	batch_add(batch, STEP_WITHDRAW, NULL, NULL)->withdraw.key =
	    pick_key(world, random);
}

static void
add_random_started(const struct world *world, uint64_t *random, struct batch *batch)
{
	add_started(batch, pick_key(world, random))->started.age_ms =
	    (int64_t)draw(random, 3) * HOUR_MS;
}

static void
add_random_stopping(const struct world *world, uint64_t *random, struct batch *batch)
{
	static const enum reason_kind kinds[] = { REASON_TIMEOUT, REASON_INTERRUPTED,
		REASON_CANCELLED };
	struct step *step = batch_add(batch, STEP_STOPPING, NULL, NULL);

	step->stopping.key = pick_key(world, random);
	step->stopping.reason.kind = PICK(random, kinds);
}

static void
add_random_ended(const struct world *world, uint64_t *random, struct batch *batch)
{
	static const char *const reasons[] = { "normal", "normal", "exit:1", "exit:1",
		"exit:100", "signal:SEGV+core", "signal:KILL", "timeout", "oom",
		"spawn:ENOENT", "interrupted", "lost:keeper", "lost:boot", "lost:boot",
		"cancelled" };
	struct attempt_key key = pick_key(world, random);
	struct step *step = add_ended(batch, key, PICK(random, reasons));

	step->ended.random = (uint32_t)draw(random, UINT32_MAX);
	step->ended.age_ms = (int64_t)draw(random, 2) * HOUR_MS;
	step->ended.end.children_killed = (int64_t)draw(random, 3);
	step->ended.end.last_lines = chance(random, 50) ? "last words" : NULL;
	if (chance(random, 30)) {
		step->ended.started.pid = 42;
		step->ended.started.age_ms = step->ended.age_ms + HOUR_MS;
	}
}

static void
add_random_change(const struct world *world, uint64_t *random, struct batch *batch)
{
	static const enum job_event events[] = { JOB_CANCEL, JOB_RETRY, JOB_RETRY,
		JOB_HOLD, JOB_RELEASE };
	int64_t job = pick_job(world, random);

	add_change(batch, job, PICK(random, events));
}

static void
add_random_note(const struct world *world, uint64_t *random, struct batch *batch)
{
	static const char *const texts[] = { "\"text\"", "{\"a\":[1]}", "none", "" };
	static const double fractions[] = { -1, 0, 0.25, 1, 1.5 };
	struct step *step = batch_add(batch, STEP_NOTE, NULL, NULL);

	step->note.key = pick_key(world, random);
	step->note.note = (enum note_kind)draw(random, 3);
	step->note.fraction = PICK(random, fractions);
	step->note.text = chance(random, 80) ? xstrdup(PICK(random, texts)) : NULL;
	if (step->note.note == NOTE_LOG && step->note.text == NULL)
		step->note.text = xstrdup("line");
}

static void
add_random_event(const struct world *world, uint64_t *random, struct batch *batch)
{
	struct step *step = batch_add(batch, STEP_EVENT, NULL, NULL);

	step->event.job = pick_job(world, random);
	step->event.attempt = (int64_t)draw(random, 3);
	step->event.event = "recalled";
	step->event.detail = chance(random, 50) ? xstrdup("detail") : NULL;
}

static void
add_random_due(const struct world *world, uint64_t *random, struct batch *batch)
{
	(void)random;
	batch_add(batch, STEP_DUE, NULL, NULL)->due.clock_stepped = world->clock_stepped;
}

static void
add_random_lookup(const struct world *world, uint64_t *random, struct batch *batch)
{
	static const char *const names[] = { "a", "b", "c", "d" };
	struct step *step = batch_add(batch, STEP_LOOKUP, NULL, NULL);

	step->lookup.job = pick_job(world, random);
	step->lookup.name = chance(random, 50) ? xstrdup(PICK(random, names)) : NULL;
}

static void
add_random_limits(const struct world *world, uint64_t *random, struct batch *batch)
{
	static const char *const names[] = { "", "serial", "nowhere" };
	struct step *step = batch_add(batch, STEP_LIMITS, NULL, NULL);

	(void)world;
	snprintf(step->limits.set, sizeof(step->limits.set), "%s", PICK(random, names));
	step->limits.set_max_children = (int64_t)draw(random, 4) - 1;
}

static void
add_random_prune(const struct world *world, uint64_t *random, struct batch *batch)
{
	struct step *step = batch_add(batch, STEP_PRUNE, NULL, NULL);

	(void)world;
	for (int status = 0; status < JOB_STATUS_COUNT; status++)
		step->prune.statuses[status] = chance(random, 50);
	step->prune.older_than_ms = (int64_t)draw(random, 3) * HOUR_MS - HOUR_MS / 2;
	step->prune.keep = (int64_t)draw(random, 3);
	step->prune.limit = (int64_t)draw(random, 4);
	step->prune.is_dry_run = chance(random, 30);
}

/* The first of a weight drawn below 100. */
static const struct {
	uint64_t below;
	void (*add)(const struct world *world, uint64_t *random, struct batch *batch);
} weights[] = {
	{ 18, add_random_submit },
	{ 34, add_random_claim },
	{ 38, add_random_withdraw },
	{ 50, add_random_started },
	{ 54, add_random_stopping },
	{ 70, add_random_ended },
	{ 82, add_random_change },
	{ 86, add_random_note },
	{ 87, add_random_event },
	{ 92, add_random_due },
	{ 95, add_random_lookup },
	{ 97, add_random_limits },
	{ 100, add_random_prune },
};

static void
add_random_step(const struct world *world, uint64_t *random, struct batch *batch)
{
	uint64_t drawn = draw(random, 100);
	size_t i = 0;

	while (drawn >= weights[i].below)
		i++;
	weights[i].add(world, random, batch);
}

/* The same batch again from the same random number. */
static void
fill(const struct world *world, uint64_t random, struct batch *batch)
{
	size_t count = draw(&random, 4) + 1;

	batch_init(batch);
	for (size_t i = 0; i < count; i++)
		add_random_step(world, &random, batch);
}

/* ---- comparing; SQLite's on the left ---- */

static void
assert_near(int64_t left_ms, int64_t right_ms)
{
	assert_true(
	    left_ms - right_ms < TOLERANCE_MS && right_ms - left_ms < TOLERANCE_MS);
}

static void
compare_reasons(struct reason left, struct reason right)
{
	assert_int_equal(left.kind, right.kind);
	assert_int_equal(left.number, right.number);
	assert_int_equal(left.core, right.core);
	assert_int_equal(left.place, right.place);
}

static void
compare_keys(const struct attempt_key *left, const struct attempt_key *right)
{
	assert_int_equal(left->job, right->job);
	assert_int_equal(left->attempt, right->attempt);
	assert_int_equal(left->generation, right->generation);
}

static int
by_job(const void *left, const void *right)
{
	const struct open_attempt *a = left, *b = right;

	return a->key.job < b->key.job ? -1 : a->key.job > b->key.job;
}

static void
compare_open(struct step *left, struct step *right)
{
	size_t count = left->open.ret_count;

	assert_int_equal(count, right->open.ret_count);
	if (count > 0) {
		qsort(
		    left->open.ret_attempts, count, sizeof(struct open_attempt), by_job);
		qsort(
		    right->open.ret_attempts, count, sizeof(struct open_attempt), by_job);
	}
	for (size_t i = 0; i < count; i++) {
		const struct open_attempt *a = &left->open.ret_attempts[i];
		const struct open_attempt *b = &right->open.ret_attempts[i];

		compare_keys(&a->key, &b->key);
		assert_string_equal(a->supervisor, b->supervisor);
		assert_int_equal(a->is_started, b->is_started);
		assert_int_equal(a->pid, b->pid);
		assert_near(a->age_ms, b->age_ms);
		compare_reasons(a->stop, b->stop);
		assert_int_equal(a->timeout_ms, b->timeout_ms);
		assert_int_equal(a->grace_ms, b->grace_ms);
		assert_int_equal(a->max_output, b->max_output);
		assert_int_equal(a->log_rotate.bytes, b->log_rotate.bytes);
		assert_int_equal(a->leaves_children, b->leaves_children);
	}
}

static void
compare_submit(struct step *left, struct step *right)
{
	assert_int_equal(left->submit.ret_holder, right->submit.ret_holder);
	assert_int_equal(left->submit.ret_bad, right->submit.ret_bad);
	for (size_t i = 0; i < left->submit.count; i++) {
		assert_int_equal(left->submit.ret_ids[i], right->submit.ret_ids[i]);
		assert_int_equal(
		    left->submit.ret_existed[i], right->submit.ret_existed[i]);
	}
}

static void
compare_environments(const struct strings *left, const struct strings *right)
{
	assert_int_equal(left == NULL, right == NULL);
	for (size_t i = 0; left != NULL && i < left->count; i++) {
		size_t j = 0;

		while (j < right->count && strcmp(left->items[i], right->items[j]) != 0)
			j++;
		assert_true(j < right->count);
	}
	if (left != NULL)
		assert_int_equal(left->count, right->count);
}

static void
compare_texts(const char *left, const char *right)
{
	assert_string_equal(
	    left != NULL ? left : "(null)", right != NULL ? right : "(null)");
}

static void
compare_claims(struct step *left, struct step *right)
{
	assert_int_equal(left->claim.ret_count, right->claim.ret_count);
	assert_int_equal(left->claim.ret_refused, right->claim.ret_refused);
	for (size_t i = 0; i < left->claim.ret_count; i++) {
		const struct claimed_job *a = &left->claim.ret_jobs[i];
		const struct claimed_job *b = &right->claim.ret_jobs[i];

		compare_keys(&a->key, &b->key);
		compare_texts(a->spec.command.items[0], b->spec.command.items[0]);
		compare_texts(a->spec.name, b->spec.name);
		compare_texts(a->spec.cwd, b->spec.cwd);
		compare_texts(a->spec.stdin_path, b->spec.stdin_path);
		assert_int_equal(a->spec.timeout_ms, b->spec.timeout_ms);
		assert_int_equal(a->spec.priority, b->spec.priority);
		assert_int_equal(a->spec.retry.max_retries, b->spec.retry.max_retries);
		compare_environments(a->environment, b->environment);
	}
}

static void
compare_ended(struct step *left, struct step *right)
{
	if (left->answer != STEP_OK)
		return;
	compare_reasons(left->ended.end.reason, right->ended.end.reason);
	assert_int_equal(left->ended.ret_counts, right->ended.ret_counts);
	assert_int_equal(left->ended.ret_status, right->ended.ret_status);
	assert_int_equal(left->ended.ret_failures, right->ended.ret_failures);
	assert_int_equal(left->ended.ret_max_retries, right->ended.ret_max_retries);
	assert_int_equal(left->ended.ret_pause_ms, right->ended.ret_pause_ms);
	assert_int_equal(left->ended.ret_timeout_ms, right->ended.ret_timeout_ms);
}

static void
compare_change(struct step *left, struct step *right)
{
	assert_int_equal(left->change.ret_must_stop, right->change.ret_must_stop);
	assert_int_equal(left->change.ret_must_recall, right->change.ret_must_recall);
	compare_keys(&left->change.ret_attempt, &right->change.ret_attempt);
	assert_int_equal(left->change.ret_status, right->change.ret_status);
}

static void
compare_due(struct step *left, struct step *right)
{
	assert_int_equal(left->due.ret_woken, right->due.ret_woken);
	assert_near(left->due.ret_next_ms, right->due.ret_next_ms);
}

static void
compare_lookup(struct step *left, struct step *right)
{
	if (left->answer != STEP_OK)
		return;
	assert_int_equal(left->lookup.ret_job, right->lookup.ret_job);
	assert_int_equal(left->lookup.ret_status, right->lookup.ret_status);
	assert_int_equal(left->lookup.ret_timeout_ms, right->lookup.ret_timeout_ms);
	assert_int_equal(left->lookup.ret_is_claimed, right->lookup.ret_is_claimed);
	compare_reasons(left->lookup.ret_reason, right->lookup.ret_reason);
}

static void
compare_limits(struct step *left, struct step *right)
{
	assert_int_equal(left->limits.ret_count, right->limits.ret_count);
	for (size_t i = 0; i < left->limits.ret_count; i++) {
		assert_string_equal(
		    left->limits.ret_limits[i].name, right->limits.ret_limits[i].name);
		assert_int_equal(left->limits.ret_limits[i].max_children,
		    right->limits.ret_limits[i].max_children);
	}
}

static void
compare_prune(struct step *left, struct step *right)
{
	assert_int_equal(left->prune.ret_count, right->prune.ret_count);
	for (size_t i = 0; i < left->prune.ret_count; i++) {
		assert_int_equal(left->prune.ret_jobs[i], right->prune.ret_jobs[i]);
		compare_texts(left->prune.ret_stdin[i], right->prune.ret_stdin[i]);
		assert_int_equal(left->prune.ret_last[i], right->prune.ret_last[i]);
	}
}

static void
compare_remaining(struct step *left, struct step *right)
{
	assert_int_equal(left->remaining.ret_keeping, right->remaining.ret_keeping);
	assert_int_equal(left->remaining.ret_delayed, right->remaining.ret_delayed);
	assert_int_equal(left->remaining.ret_held, right->remaining.ret_held);
}

static void (*const comparers[STEP_KIND_COUNT])(struct step *, struct step *) = {
	[STEP_OPEN] = compare_open,
	[STEP_SUBMIT] = compare_submit,
	[STEP_CLAIM] = compare_claims,
	[STEP_ENDED] = compare_ended,
	[STEP_CHANGE] = compare_change,
	[STEP_DUE] = compare_due,
	[STEP_LOOKUP] = compare_lookup,
	[STEP_LIMITS] = compare_limits,
	[STEP_PRUNE] = compare_prune,
	[STEP_REMAINING] = compare_remaining,
};

static const struct ended_job *
next_of_job(const struct batch *batch, int64_t job, size_t *place)
{
	while (*place < batch->ended_count && batch->ended[*place].job != job)
		++*place;
	return *place < batch->ended_count ? &batch->ended[(*place)++] : NULL;
}

/* In whatever order, but each job's own ends in theirs. */
static void
compare_ended_jobs(const struct batch *left, const struct batch *right)
{
	assert_int_equal(left->ended_count, right->ended_count);
	for (size_t i = 0; i < left->ended_count; i++) {
		const struct ended_job *a, *b;
		size_t left_place = 0, right_place = 0;

		do {
			a = next_of_job(left, left->ended[i].job, &left_place);
			b = next_of_job(right, left->ended[i].job, &right_place);
			assert_int_equal(a == NULL, b == NULL);
			if (a != NULL) {
				assert_int_equal(a->status, b->status);
				compare_reasons(a->reason, b->reason);
			}
		} while (a != NULL);
	}
}

static void
compare_batches(const struct batch *left, const struct batch *right)
{
	for (size_t i = 0; i < left->count; i++) {
		struct step *a = left->steps[i], *b = right->steps[i];

		assert_int_equal(a->answer, b->answer);
		assert_int_equal(a->error.code, b->error.code);
		if (a->kind == STEP_SUBMIT || a->kind == STEP_CHANGE)
			assert_string_equal(a->error.text, b->error.text);
		if (comparers[a->kind] != NULL)
			comparers[a->kind](a, b);
	}
	assert_int_equal(left->released, right->released);
	compare_ended_jobs(left, right);
}

/* ---- the whole state ---- */

/* Through the seam: every job by id and name, and all that can be asked for. */
static void
fill_dump(const struct world *world, struct batch *batch)
{
	static const char *const names[] = { "a", "b", "c" };
	struct step *prune;

	batch_init(batch);
	for (int64_t job = 1; job <= world->jobs; job++)
		batch_add(batch, STEP_LOOKUP, NULL, NULL)->lookup.job = job;
	for (size_t i = 0; i < 3; i++)
		batch_add(batch, STEP_LOOKUP, NULL, NULL)->lookup.name =
		    xstrdup(names[i]);
	batch_add(batch, STEP_OPEN, NULL, NULL);
	batch_add(batch, STEP_LIMITS, NULL, NULL);
	batch_add(batch, STEP_REMAINING, NULL, NULL);
	prune = batch_add(batch, STEP_PRUNE, NULL, NULL);
	prune->prune.limit = INT64_MAX;
	prune->prune.older_than_ms = -24 * HOUR_MS;
	prune->prune.is_dry_run = true;
	for (int status = 0; status < JOB_STATUS_COUNT; status++)
		prune->prune.statuses[status] = true;
	assert_true(batch_is_read_only(batch));
}

static void
compare_dumps(struct world *world)
{
	struct batch left, right;

	fill_dump(world, &left);
	fill_dump(world, &right);
	run_ok(&world->sqlite, &left);
	run_ok(&world->memory, &right);
	compare_batches(&left, &right);
	batch_done(&left);
	batch_done(&right);
}

#define HALF_HOURS(column) "coalesce((" column " - ?2 + 900000) / 1800000, -1)"

/* The lines of memory_store_dump(), of one job each. */
static const char *const dump_sql[] = {
	"SELECT 'job ' || id || ' ' || status || ' hold=' || coalesce(hold, '-') || ' "
	"wake=' || "
	HALF_HOURS("wake_at")
	" || ' boot=' || (wake_boot_ms IS NOT NULL) || ' failures=' || "
	"failures || ' progress=' || coalesce(CAST(progress * 100 AS INTEGER), -1) || ' "
	"text=' || coalesce(progress_text, '-') || ' result=' || coalesce(result, '-') "
	"|| ' reason=' || coalesce(reason, '-') || ' detail=' || coalesce(detail, '-') "
	"|| ' ended=' || "
	HALF_HOURS("ended_at") " FROM jobs WHERE id = ?1",
	"SELECT 'after ' || on_id || ' ' || kind FROM dependencies WHERE job_id = ?1 "
	"AND ?2 ORDER BY on_id",
	"SELECT 'attempt ' || job_id || '.' || attempt || ' gen=' || generation || ' "
	"started=' || " HALF_HOURS("started_at") " || ' pid=' || coalesce(pid, 0) || ' "
	"stop=' || coalesce(stop_reason, '') || ' reason=' || coalesce(reason, '') || ' "
	"exit=' || coalesce(exit_code, -1) || ' signal=' || coalesce(signal, 0) || ' "
	"ended=' || "
	HALF_HOURS("ended_at") " || ' lines=' || coalesce(last_lines, '-') FROM attempts "
	"WHERE job_id = ?1 ORDER BY attempt",
	"SELECT 'event ' || coalesce(attempt, 0) || ' ' || event || ': ' || "
	"coalesce(detail, '-') FROM events WHERE job_id = ?1 AND ?2 ORDER BY seq",
};

static void
dump_sqlite(const struct world *world, struct buf *buf)
{
	char *path = xasprintf("%s/" DB_FILE, world->sqlite.directory);
	sqlite3 *handle;
	sqlite3_stmt *statements[4];

	assert_int_equal(sqlite3_open_v2(path, &handle, SQLITE_OPEN_READONLY, NULL), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(
		    sqlite3_prepare_v2(handle, dump_sql[i], -1, &statements[i], NULL), 0);
	for (int64_t job = 1; job <= world->jobs; job++) {
		for (int i = 0; i < 4; i++) {
			sqlite3_bind_int64(statements[i], 1, job);
			sqlite3_bind_int64(statements[i], 2, world->since.ms);
			while (sqlite3_step(statements[i]) == SQLITE_ROW)
				buf_addf(
				    buf, "%s\n", sqlite3_column_text(statements[i], 0));
			sqlite3_reset(statements[i]);
		}
	}
	for (int i = 0; i < 4; i++)
		sqlite3_finalize(statements[i]);
	sqlite3_close(handle);
	free(path);
}

/* All that is stored, behind the seam too. */
static void
compare_contents(struct world *world)
{
	struct buf left = { 0 }, right = { 0 };
	const char *a, *b;

	dump_sqlite(world, &left);
	memory_store_dump(world->memory.store, world->since, &right);
	a = buf_text(&left);
	b = buf_text(&right);
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	if (*a != *b) {
		while (a > buf_text(&left) && a[-1] != '\n') {
			a--;
			b--;
		}
		fail_msg("sqlite: %.300s\nmemory: %.300s", a, b);
	}
	buf_done(&left);
	buf_done(&right);
}

/* ---- a sequence ---- */

static void
learn(struct world *world, const struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		const struct step *step = batch->steps[i];

		for (size_t j = 0; step->kind == STEP_SUBMIT && j < step->submit.count;
		     j++) {
			if (step->submit.ret_ids[j] > world->jobs)
				world->jobs = step->submit.ret_ids[j];
		}
		for (size_t j = 0; step->kind == STEP_CLAIM && j < step->claim.ret_count;
		     j++) {
			if (world->key_count < MOST_KEYS)
				world->keys[world->key_count++] =
				    step->claim.ret_jobs[j].key;
		}
	}
}

static void
move_clock(struct world *world)
{
	world->seconds++; /* so that no two turns are at the same time */
	world->clock_stepped = false;
	if (chance(&world->random, 25)) {
		int64_t hours = (int64_t)draw(&world->random, 3) + 1;

		world->wall_hours += hours;
		world->boot_hours += hours;
	} else if (chance(&world->random, 5)) {
		world->wall_hours += (int64_t)draw(&world->random, 7) - 3;
		world->clock_stepped = true;
	}
	clock_shift(world->seconds * 1000 + world->wall_hours * HOUR_MS,
	    world->seconds * 1000 + world->boot_hours * HOUR_MS);
}

/* What does not come true at once comes true after a reopen, or is run again. */
static enum store_answer
run_in_spite(struct subject *subject, struct batch *batch)
{
	enum store_answer answer = run(subject, batch);

	if (answer == STORE_IN_DOUBT || answer == STORE_UNAVAILABLE)
		answer = store_reopen(subject->store);
	if (answer != STORE_OK)
		run_ok(subject, batch);
	return answer;
}

static void
one_turn(struct world *world)
{
	static const enum trouble troubles[] = { TROUBLE_BUSY, TROUBLE_FULL,
		TROUBLE_UNAVAILABLE, TROUBLE_DOUBT_KEPT, TROUBLE_DOUBT_LOST };
	struct batch left, right;
	enum trouble trouble;
	uint64_t random;

	move_clock(world);
	random = world->random;
	fill(world, random, &left);
	fill(world, random, &right);
	draw(&world->random, 2);
	trouble = PICK(&world->random, troubles);
	if (chance(&world->random, 7) && !batch_is_read_only(&left)) {
		/* A turn that changes nothing would be spared. */
		batch_add(&left, STEP_EVENT, NULL, NULL)->event.event = "drained";
		batch_add(&right, STEP_EVENT, NULL, NULL)->event.event = "drained";
		world->sqlite.kind->order(&world->sqlite, trouble);
		world->memory.kind->order(&world->memory, trouble);
	}
	assert_int_equal(
	    run_in_spite(&world->sqlite, &left), run_in_spite(&world->memory, &right));
	compare_batches(&left, &right);
	learn(world, &left);
	batch_done(&left);
	batch_done(&right);
}

/* A new supervisor process, or only a connection. */
static void
open_again(struct world *world)
{
	struct batch batch;

	if (chance(&world->random, 50)) {
		store_reopen(world->sqlite.store);
		return;
	}
	subject_restart(&world->sqlite);
	batch_init(&batch);
	batch_add(&batch, STEP_GENERATION, NULL, NULL)->generation.version = "test";
	run_ok(&world->memory, &batch);
	assert_int_equal(
	    batch.steps[0]->generation.ret_generation, world->sqlite.generation);
	batch_done(&batch);
}

static void
same_limit(struct subject *subject)
{
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = batch_add(&batch, STEP_LIMITS, NULL, NULL);
	snprintf(step->limits.set, sizeof(step->limits.set), "default");
	step->limits.set_max_children = 4;
	run_ok(subject, &batch);
	batch_done(&batch);
}

static void
run_sequence(struct world *world)
{
	for (world->turn = 0; world->turn < TURNS; world->turn++) {
		one_turn(world);
		if (world->turn % 8 == 7)
			compare_dumps(world);
		if (world->turn % 20 == 9)
			compare_contents(world);
		if (chance(&world->random, 4))
			open_again(world);
	}
	compare_dumps(world);
	compare_contents(world);
}

static void
choose_seeds(uint64_t *ret_first, uint64_t *ret_count)
{
	const char *given = getenv("JOBBERD_SEED");
	char *behind;

	*ret_first = 1;
	*ret_count = SEQUENCES;
	if (given == NULL)
		return;
	*ret_first = strtoull(given, &behind, 10);
	*ret_count = *behind == '+' ? strtoull(behind + 1, NULL, 10) : 1;
}

static void
begin_world(struct world *world, uint64_t seed)
{
	*world = (struct world){ .seed = seed, .since = clock_wall(),
		.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1 };
	subject_open(&world->sqlite, &subject_sqlite);
	subject_open(&world->memory, seed % 2 ? &subject_memory : &subject_memory_late);
}

static void
end_world(struct world *world)
{
	clock_shift(0, 0);
	subject_close(&world->memory);
	subject_close(&world->sqlite);
	world->seed = 0;
}

static void
sqlite_and_memory_agree_on_random_turns(void **state)
{
	struct world *world = *state;
	uint64_t first, count, seed;

	choose_seeds(&first, &count);
	for (seed = first; seed < first + count; seed++) {
		begin_world(world, seed);
		same_limit(&world->sqlite);
		same_limit(&world->memory);
		run_sequence(world);
		end_world(world);
	}
}

/* ---- others write too: SQLite alone, and rules that must always hold ---- */

static void
foreign_write(struct world *world, sqlite3 *handle)
{
	static const char *const writes[] = {
		"UPDATE jobs SET status = 'cancelled' WHERE id = %d",
		"UPDATE jobs SET status = 'cancelled' WHERE id %% 5 = %d",
		"UPDATE jobs SET hold = 'user' WHERE id = %d",
		"UPDATE jobs SET hold = NULL WHERE id = %d",
		"UPDATE jobs SET wake_at = NULL WHERE id = %d",
		"UPDATE jobs SET wake_at = 1 WHERE id = %d",
		"UPDATE jobs SET wake_at = wake_at + 3600000 WHERE id = %d",
		"UPDATE jobs SET priority = 0, max_retries = 0 WHERE id = %d",
		"UPDATE jobs SET max_retries = NULL WHERE id = %d",
		"UPDATE OR IGNORE jobs SET status = 'done' WHERE id = %d",
		"UPDATE OR REPLACE jobs SET name = 'a' WHERE id = %d",
		"INSERT OR REPLACE INTO jobs(id, command) VALUES(%d, '[\"true\"]')",
		"INSERT OR REPLACE INTO jobs(name, command) VALUES('a', '[\"true\"]')",
		"INSERT INTO jobs(command, priority) VALUES('[\"true\"]', %d)",
		"INSERT INTO jobs(command) VALUES('[1]')",
		"DELETE FROM jobs WHERE id = %d",
		"DELETE FROM jobs WHERE status IN ('done', 'failed', 'cancelled')",
		"DELETE FROM dependencies WHERE job_id = %d",
		"DELETE FROM attempts WHERE job_id = %d",
	};
	char sql[160];

	snprintf(sql, sizeof(sql), PICK(&world->random, writes),
	    (int)pick_job(world, &world->random));
	sqlite3_exec(handle, sql, NULL, NULL, NULL); /* or it is refused */
}

static void
check_rules(sqlite3 *handle)
{
	static const char *const violations[] = {
		/* who runs has a started attempt, and the other way round */
		"SELECT id FROM jobs WHERE status = 'running' AND NOT EXISTS (SELECT 1 "
		"FROM attempts WHERE job_id = id AND ended_at IS NULL AND started_at IS "
		"NOT NULL)",
		"SELECT job_id FROM attempts JOIN jobs ON id = job_id WHERE "
		"attempts.ended_at IS NULL AND started_at IS NOT NULL AND status <> "
		"'running'",
		/* no attempt is open without a live job */
		"SELECT job_id FROM attempts a WHERE a.ended_at IS NULL AND NOT EXISTS "
		"(SELECT 1 FROM jobs WHERE id = job_id AND status IN ('new', 'running', "
		"'errored'))",
		/* who waits for others has one to wait for, and none that ended badly */
		"SELECT id FROM jobs j WHERE hold = 'dependency' AND NOT EXISTS (SELECT "
		"1 FROM dependencies d JOIN jobs b ON b.id = d.on_id WHERE d.job_id = "
		"j.id AND b.status IN ('new', 'running', 'errored'))",
		"SELECT d.job_id FROM dependencies d JOIN jobs j ON j.id = d.job_id JOIN "
		"jobs b ON b.id = d.on_id WHERE j.hold = 'dependency' AND d.kind = "
		"'done' AND b.status IN ('failed', 'cancelled')",
		/* what has ended says when, what is live does not; no dead is held */
		"SELECT id FROM jobs WHERE (ended_at IS NULL) <> (status IN ('new', "
		"'running', 'errored'))",
		"SELECT id FROM jobs WHERE hold IS NOT NULL AND status NOT IN ('new', "
		"'errored')",
		"SELECT job_id FROM foreign_cancels",
		"SELECT 1 FROM writer WHERE is_writing <> 0",
	};

	for (size_t i = 0; i < sizeof(violations) / sizeof(violations[0]); i++) {
		if (strcmp(ask(handle, violations[i]), "-") != 0)
			fail_msg("job %s: %s", ask(handle, violations[i]), violations[i]);
	}
}

static void
run_among_others(struct world *world, sqlite3 *handle)
{
	for (world->turn = 0; world->turn < TURNS; world->turn++) {
		struct batch batch;

		move_clock(world);
		for (uint64_t i = draw(&world->random, 3); i > 0; i--)
			foreign_write(world, handle);
		fill(world, world->random, &batch);
		draw(&world->random, 2);
		batch_add(&batch, STEP_DUE, NULL, NULL);
		run_ok(&world->sqlite, &batch);
		learn(world, &batch);
		batch_done(&batch);
		world->jobs = strtoll(
		    ask(handle, "SELECT coalesce(max(id), 0) FROM jobs"), NULL, 10);
		check_rules(handle);
	}
	assert_string_equal(ask(handle, "PRAGMA integrity_check"), "ok");
}

static void
rules_hold_whatever_others_write(void **state)
{
	struct world *world = *state;
	uint64_t first, count, seed;

	choose_seeds(&first, &count);
	for (seed = first; seed < first + (count + 1) / 2; seed++) {
		sqlite3 *handle;

		begin_world(world, seed);
		handle = connect_to(world->sqlite.directory);
		run_among_others(world, handle);
		sqlite3_close(handle);
		end_world(world);
	}
}

static int
make_world(void **state)
{
	*state = xcalloc(1, sizeof(struct world));
	return 0;
}

/* After a failure: say how to see it again, leave nothing behind. */
static int
free_world(void **state)
{
	struct world *world = *state;

	if (world->seed != 0) {
		print_message(
		    "JOBBERD_SEED=%" PRIu64 " turn=%d\n", world->seed, world->turn);
		end_world(world);
	}
	free(world);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    sqlite_and_memory_agree_on_random_turns, make_world, free_world),
		cmocka_unit_test_setup_teardown(
		    rules_hold_whatever_others_write, make_world, free_world),
	};

	return cmocka_run_group_tests_name("store random", tests, NULL, NULL);
}
