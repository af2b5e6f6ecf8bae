/* subject: a store under test, and short ways to say what is done to it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/xalloc.h"
#include "fault_vfs.h"
#include "memory_store.h"
#include "store/sqlite_engine.h"
#include "subject.h"

#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the engines ---- */

static struct store *
open_sqlite(struct subject *subject)
{
	struct error error = { 0 };
	struct store *store;

	fault_vfs_install();
	store = sqlite_store_open(subject->directory, 0, false, &error);
	if (store == NULL)
		fail_msg("%s", error.text);
	return store;
}

static void
order_from_sqlite(struct subject *subject, enum trouble trouble)
{
	static const enum fault faults[] = {
		[TROUBLE_BUSY] = FAULT_NO_LOCK,
		[TROUBLE_FULL] = FAULT_FULL,
		[TROUBLE_UNAVAILABLE] = FAULT_LOCK_ERROR,
		[TROUBLE_DOUBT_KEPT] = FAULT_COMMIT_KEPT,
		[TROUBLE_DOUBT_LOST] = FAULT_COMMIT_LOST,
		[TROUBLE_SYNC] = FAULT_SYNC,
	};

	(void)subject;
	fault_vfs_set(faults[trouble]);
}

static struct store *
open_memory(struct subject *subject)
{
	(void)subject;
	return memory_store_new(false);
}

static struct store *
open_late_memory(struct subject *subject)
{
	(void)subject;
	return memory_store_new(true);
}

static void
order_from_memory(struct subject *subject, enum trouble trouble)
{
	switch (trouble) {
	case TROUBLE_BUSY:
		memory_store_inject(subject->store, MEMORY_TURN, STORE_BUSY, 1);
		break;
	case TROUBLE_FULL:
		memory_store_inject(subject->store, MEMORY_TURN, STORE_FULL, 1);
		break;
	case TROUBLE_UNAVAILABLE:
		memory_store_inject(subject->store, MEMORY_TURN, STORE_UNAVAILABLE, 1);
		break;
	case TROUBLE_DOUBT_KEPT:
		memory_store_doubt_next(subject->store, true);
		break;
	case TROUBLE_DOUBT_LOST:
		memory_store_doubt_next(subject->store, false);
		break;
	case TROUBLE_SYNC:
		memory_store_inject(subject->store, MEMORY_SYNC, STORE_UNAVAILABLE, 1);
		break;
	}
}

const struct subject_kind subject_sqlite = { "sqlite", open_sqlite, order_from_sqlite };
const struct subject_kind subject_memory = { "memory", open_memory, order_from_memory };
const struct subject_kind subject_memory_late = { "late memory", open_late_memory,
	order_from_memory };

/* ---- from setup to teardown ---- */

void
scratch_make(char directory[64])
{
	const char *parent = getenv("TMPDIR");

	snprintf(directory, 64, "%s/store.XXXXXX",
	    parent != NULL && strlen(parent) < 48 ? parent : "/tmp");
	if (mkdtemp(directory) == NULL)
		fail_msg("cannot make %s", directory);
}

static int
remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
	(void)info;
	(void)type;
	(void)where;
	return remove(path);
}

void
scratch_remove(const char *directory)
{
	nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void
begin_generation(struct subject *subject)
{
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = batch_add(&batch, STEP_GENERATION, NULL, NULL);
	step->generation.pid = 42;
	step->generation.version = "test";
	run_ok(subject, &batch);
	subject->generation = step->generation.ret_generation;
	batch_done(&batch);
}

void
subject_open(struct subject *subject, const struct subject_kind *kind)
{
	*subject = (struct subject){ .kind = kind };
	if (kind == &subject_sqlite)
		scratch_make(subject->directory);
	subject->store = kind->open(subject);
	begin_generation(subject);
}

void
subject_close(struct subject *subject)
{
	store_close(subject->store);
	if (subject->kind == &subject_sqlite) {
		fault_vfs_remove();
		scratch_remove(subject->directory);
	}
}

void
subject_restart(struct subject *subject)
{
	store_close(subject->store);
	fault_vfs_remove();
	subject->store = subject->kind->open(subject);
	begin_generation(subject);
}

int
subject_setup(void **state)
{
	const struct subject_kind *kind = *state;
	struct subject *subject = xcalloc(1, sizeof(*subject));

	subject_open(subject, kind);
	*state = subject;
	return 0;
}

int
subject_teardown(void **state)
{
	struct subject *subject = *state;

	clock_shift(0, 0);
	subject_close(subject);
	free(subject);
	return 0;
}

/* ---- turns ---- */

struct outcome {
	bool is_done;
	enum store_answer answer;
};

static void
note_outcome(void *arg, enum store_answer answer)
{
	struct outcome *outcome = arg;

	assert_false(outcome->is_done);
	*outcome = (struct outcome){ true, answer };
}

enum store_answer
run(struct subject *subject, struct batch *batch)
{
	struct outcome outcome = { 0 };
	struct pollfd poll_fd = { .fd = store_fd(subject->store), .events = POLLIN };

	store_turn(subject->store, batch, note_outcome, &outcome);
	if (poll_fd.fd == -1)
		assert_true(outcome.is_done);
	while (!outcome.is_done) {
		assert_int_equal(poll(&poll_fd, 1, 10000), 1);
		store_step(subject->store);
	}
	return outcome.answer;
}

void
run_ok(struct subject *subject, struct batch *batch)
{
	assert_string_equal(store_answer_words(run(subject, batch)), "ok");
}

struct spec
spec_of(const char *options)
{
	char *copy = xstrdup(options), *rest = copy, *word;
	struct error error;
	struct spec spec;

	spec_init(&spec);
	strings_add(&spec.command, "true");
	while ((word = strsep(&rest, " ")) != NULL) {
		char *value = strchr(word, '=');

		if (word[0] == '\0')
			continue;
		if (value != NULL)
			*value++ = '\0';
		if (spec_set(&spec, spec_option_find(word), value != NULL ? value : "true",
			clock_wall(), &error) == -1)
			fail_msg("%s", error.text);
	}
	free(copy);
	return spec;
}

struct step *
add_submit(struct batch *batch, const char *options)
{
	struct step *step = batch_add(batch, STEP_SUBMIT, NULL, NULL);
	char *copy = xstrdup(options), *rest = copy, *one;

	while ((one = strsep(&rest, ";")) != NULL) {
		step->submit.specs = xreallocarray(step->submit.specs,
		    step->submit.count + 1, sizeof(step->submit.specs[0]));
		step->submit.specs[step->submit.count++] = spec_of(one);
	}
	free(copy);
	return step;
}

struct step *
add_claim(struct batch *batch, const char *supervisor, int64_t places)
{
	struct step *step = batch_add(batch, STEP_CLAIM, NULL, NULL);

	snprintf(
	    step->claim.supervisor, sizeof(step->claim.supervisor), "%s", supervisor);
	step->claim.places = places;
	return step;
}

struct step *
add_started(struct batch *batch, struct attempt_key key)
{
	struct step *step = batch_add(batch, STEP_STARTED, NULL, NULL);

	step->started.key = key;
	step->started.pid = 4711;
	step->started.pid_start = 815;
	return step;
}

struct step *
add_ended(struct batch *batch, struct attempt_key key, const char *reason)
{
	struct step *step = batch_add(batch, STEP_ENDED, NULL, NULL);
	struct attempt_end *end = &step->ended.end;

	*end = (struct attempt_end){ .exit_code = -1, .run_ms = -1, .user_ms = -1,
		.system_ms = -1, .max_rss_kib = -1 };
	assert_int_equal(reason_parse(reason, &end->reason), 0);
	if (end->reason.kind == REASON_EXIT || end->reason.kind == REASON_NORMAL)
		end->exit_code = end->reason.number;
	if (end->reason.kind == REASON_SIGNAL)
		end->signal = end->reason.number;
	end->core = end->reason.core;
	step->ended.key = key;
	return step;
}

struct step *
add_change(struct batch *batch, int64_t job, enum job_event event)
{
	struct step *step = batch_add(batch, STEP_CHANGE, NULL, NULL);

	step->change.job = job;
	step->change.event = event;
	return step;
}

/* ---- a turn each ---- */

static enum step_answer
run_one(struct subject *subject, struct batch *batch)
{
	enum step_answer answer;

	run_ok(subject, batch);
	answer = batch->steps[0]->answer;
	batch_done(batch);
	return answer;
}

int64_t
submit(struct subject *subject, const char *options)
{
	struct batch batch;
	struct step *step;
	int64_t id;

	batch_init(&batch);
	step = add_submit(&batch, options);
	run_ok(subject, &batch);
	if (step->answer != STEP_OK)
		fail_msg("%s: %s", options, step->error.text);
	id = step->submit.ret_ids[0];
	batch_done(&batch);
	return id;
}

struct attempt_key
claim(struct subject *subject, const char *supervisor)
{
	struct attempt_key key;
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = add_claim(&batch, supervisor, 1);
	run_ok(subject, &batch);
	assert_int_equal(step->claim.ret_count, 1);
	key = step->claim.ret_jobs[0].key;
	batch_done(&batch);
	return key;
}

size_t
claim_count(struct subject *subject, const char *supervisor, int64_t places)
{
	struct batch batch;
	struct step *step;
	size_t count;

	batch_init(&batch);
	step = add_claim(&batch, supervisor, places);
	run_ok(subject, &batch);
	count = step->claim.ret_count;
	batch_done(&batch);
	return count;
}

enum step_answer
withdraw(struct subject *subject, struct attempt_key key)
{
	struct batch batch;

	batch_init(&batch);
	batch_add(&batch, STEP_WITHDRAW, NULL, NULL)->withdraw.key = key;
	return run_one(subject, &batch);
}

enum step_answer
started(struct subject *subject, struct attempt_key key)
{
	struct batch batch;

	batch_init(&batch);
	add_started(&batch, key);
	return run_one(subject, &batch);
}

enum step_answer
stopping(struct subject *subject, struct attempt_key key, enum reason_kind reason)
{
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = batch_add(&batch, STEP_STOPPING, NULL, NULL);
	step->stopping.key = key;
	step->stopping.reason.kind = reason;
	return run_one(subject, &batch);
}

enum step_answer
ended(struct subject *subject, struct attempt_key key, const char *reason)
{
	struct batch batch;

	batch_init(&batch);
	add_ended(&batch, key, reason);
	return run_one(subject, &batch);
}

enum step_answer
change(struct subject *subject, int64_t job, enum job_event event)
{
	struct batch batch;

	batch_init(&batch);
	add_change(&batch, job, event);
	return run_one(subject, &batch);
}

struct attempt_key
start(struct subject *subject)
{
	struct attempt_key key = claim(subject, "default");

	assert_int_equal(started(subject, key), STEP_OK);
	return key;
}

/* ---- from outside ---- */

struct sqlite3 *
connect_to(const char *directory)
{
	char *path = xasprintf("%s/" DB_FILE, directory);
	sqlite3 *handle;

	assert_int_equal(sqlite3_open_v2(path, &handle,
			     SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL),
	    SQLITE_OK);
	free(path);
	return handle;
}

void
tell(struct sqlite3 *handle, const char *sql)
{
	char *error = NULL;

	if (sqlite3_exec(handle, sql, NULL, NULL, &error) != SQLITE_OK)
		fail_msg("%s: %s", sql, error);
}

const char *
ask(struct sqlite3 *handle, const char *sql)
{
	static char answers[4][512];
	static int next;
	char *answer = answers[next++ % 4];
	sqlite3_stmt *statement;
	const unsigned char *text = NULL;

	if (sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(handle));
	if (sqlite3_step(statement) == SQLITE_ROW)
		text = sqlite3_column_text(statement, 0);
	snprintf(
	    answer, sizeof(answers[0]), "%s", text != NULL ? (const char *)text : "-");
	sqlite3_finalize(statement);
	return answer;
}

const char *
status_of(struct subject *subject, int64_t job)
{
	static char texts[4][REASON_TEXT_SIZE + 16];
	static int next;
	char *text = texts[next++ % 4], reason[REASON_TEXT_SIZE];
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = batch_add(&batch, STEP_LOOKUP, NULL, NULL);
	step->lookup.job = job;
	run_ok(subject, &batch);
	if (step->answer == STEP_NOT_FOUND)
		snprintf(text, sizeof(texts[0]), "none");
	else if (step->lookup.ret_reason.kind == REASON_NONE)
		snprintf(text, sizeof(texts[0]), "%s",
		    job_status_name(step->lookup.ret_status));
	else
		snprintf(text, sizeof(texts[0]), "%s %s",
		    job_status_name(step->lookup.ret_status),
		    reason_format(reason, step->lookup.ret_reason));
	batch_done(&batch);
	return text;
}
