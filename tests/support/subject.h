#ifndef SUPPORT_SUBJECT_H
#define SUPPORT_SUBJECT_H

#include "store/store.h"

/*
 * A store under test, of whatever engine, and short ways to say what is done to it. All
 * of these check, as a test does, what they do not hand back.
 */

enum trouble {
	TROUBLE_BUSY,
	TROUBLE_FULL,
	TROUBLE_UNAVAILABLE,
	TROUBLE_DOUBT_KEPT, /* the commit is in doubt, and there after the reopen … */
	TROUBLE_DOUBT_LOST, /* … or not */
	TROUBLE_SYNC,	    /* the next sync fails */
};

struct subject {
	const struct subject_kind *kind;
	struct store *store;
	char directory[64];
	int64_t generation;
};

struct subject_kind {
	const char *name;
	struct store *(*open)(struct subject *subject);
	/* The next turn (or sync) that writes meets this. */
	void (*order)(struct subject *subject, enum trouble trouble);
};

extern const struct subject_kind subject_sqlite, subject_memory, subject_memory_late;

/* cmocka's setup and teardown; *state is a kind before, a subject after. */
int subject_setup(void **state);
int subject_teardown(void **state);

void subject_open(struct subject *subject, const struct subject_kind *kind);
void subject_close(struct subject *subject);

/* As after a restart: close, open again, begin a generation. SQLite only. */
void subject_restart(struct subject *subject);

/* A directory for one test, and its end with all that is in it. */
void scratch_make(char directory[64]);
void scratch_remove(const char *directory);

/* Run the batch to its end, however late. */
enum store_answer run(struct subject *subject, struct batch *batch);
void run_ok(struct subject *subject, struct batch *batch);

/*
 * A description from options as on the command line, "name=a priority=3 after=1"; its
 * command is `true`. The step has one for each of them, separated by ';'.
 */
struct spec spec_of(const char *options);
struct step *add_submit(struct batch *batch, const char *options);
struct step *add_claim(struct batch *batch, const char *supervisor, int64_t places);
struct step *add_started(struct batch *batch, struct attempt_key key);
struct step *add_ended(struct batch *batch, struct attempt_key key, const char *reason);
struct step *add_change(struct batch *batch, int64_t job, enum job_event event);

/* Each of these is a turn of its own. */
int64_t submit(struct subject *subject, const char *options);
struct attempt_key claim(struct subject *subject, const char *supervisor); /* one */
size_t claim_count(struct subject *subject, const char *supervisor, int64_t places);
enum step_answer withdraw(struct subject *subject, struct attempt_key key);
enum step_answer started(struct subject *subject, struct attempt_key key);
enum step_answer stopping(
    struct subject *subject, struct attempt_key key, enum reason_kind reason);
enum step_answer ended(
    struct subject *subject, struct attempt_key key, const char *reason);
enum step_answer change(struct subject *subject, int64_t job, enum job_event event);

/* Claim and start one: it runs. */
struct attempt_key start(struct subject *subject);

/* Another program's plain connection to this state directory, and what is told it. */
struct sqlite3;
struct sqlite3 *connect_to(const char *directory);
void tell(struct sqlite3 *handle, const char *sql);

/* The answer's first column and row, "-" for NULL or none; good for a few calls. */
const char *ask(struct sqlite3 *handle, const char *sql);

/* What a job is: "running", "failed exit:3", "none". Good for a few calls. */
const char *status_of(struct subject *subject, int64_t job);

#endif
