/*
 * A tree of supervisors lives through a long row of random events: children come up, crash, are
 * stopped, cancelled, held, lost with the machine; supervisors are stopped and started, by people
 * and by each other. Whenever the dust has settled nobody is in the middle of anything, and
 * whatever a running supervisor has to run runs. The seed is printed when that is not so.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../support/subject.h"
#include "base/xalloc.h"
#include "store/sqlite_engine.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS 30
#define EVENTS 200
#define MOST_OPEN 64

static const char *const supervisors[] = { "top", "mid", "low", "side" };
#define SUPERVISORS 4

struct world {
	struct subject *subject;
	struct sqlite3 *handle;
	uint64_t random;
	int64_t seed;
	struct attempt_key open[MOST_OPEN];
	bool is_ready[MOST_OPEN];
	size_t count;
};

static uint32_t
below(struct world *world, uint32_t limit)
{
	world->random = world->random * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)(world->random >> 33) % limit;
}

static void
forget(struct world *world, size_t which)
{
	world->count--;
	world->open[which] = world->open[world->count];
	world->is_ready[which] = world->is_ready[world->count];
}

/* ---- events ---- */

static enum step_answer
change_supervisor(struct world *world, const char *name, int kind, const char *options)
{
	struct batch batch;
	struct step *step;
	char *copy = xstrdup(options), *rest = copy, *word;
	enum step_answer answer;
	struct error error;

	batch_init(&batch);
	step = batch_add(&batch, STEP_SUPERVISOR, NULL, NULL);
	step->supervisor.change = kind;
	snprintf(step->supervisor.name, sizeof(step->supervisor.name), "%s", name);
	supervisor_spec_init(&step->supervisor.spec);
	while ((word = strsep(&rest, " ")) != NULL) {
		char *value = strchr(word, '=');

		if (value == NULL)
			continue;
		*value++ = '\0';
		if (supervisor_option_find(word)->set(
			&step->supervisor.spec, value, &error) == -1)
			fail_msg("%s", error.text);
	}
	free(copy);
	run_ok(world->subject, &batch);
	answer = step->answer;
	batch_done(&batch);
	return answer;
}

static void
add_child(struct world *world, const char *options)
{
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = add_submit(&batch, options);
	step->submit.specs[0].is_server = true;
	run_ok(world->subject, &batch);
	batch_done(&batch);
}

static size_t
claim_all(struct world *world)
{
	size_t before = world->count;

	for (int i = 0; i < SUPERVISORS; i++) {
		struct batch batch;
		struct step *step;

		batch_init(&batch);
		step = add_claim(&batch, supervisors[i], (int64_t)(MOST_OPEN - world->count));
		run_ok(world->subject, &batch);
		for (size_t j = 0; j < step->claim.ret_count; j++) {
			assert_int_equal(
			    started(world->subject, step->claim.ret_jobs[j].key), STEP_OK);
			world->is_ready[world->count] = false;
			world->open[world->count++] = step->claim.ret_jobs[j].key;
		}
		batch_done(&batch);
	}
	return world->count - before;
}

static void
comes_up(struct world *world, size_t which)
{
	struct batch batch;

	if (world->is_ready[which])
		return;
	batch_init(&batch);
	batch_add(&batch, STEP_READY, NULL, NULL)->ready.key = world->open[which];
	run_ok(world->subject, &batch);
	batch_done(&batch);
	world->is_ready[which] = true;
}

static void
ends(struct world *world, size_t which, const char *reason)
{
	struct attempt_key key = world->open[which];

	forget(world, which);
	assert_int_equal(ended(world->subject, key, reason), STEP_OK);
}

/* Some at once, as a machine does it. */
static void
machine_goes_down(struct world *world)
{
	struct batch batch;

	subject_restart(world->subject);
	batch_init(&batch);
	for (size_t i = 0; i < world->count; i++)
		add_ended(&batch, world->open[i], "lost:boot");
	run_ok(world->subject, &batch);
	batch_done(&batch);
	world->count = 0;
}

static void
is_asked_to_stop(struct world *world, size_t which)
{
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = batch_add(&batch, STEP_STOPPING, NULL, NULL);
	step->stopping.key = world->open[which];
	step->stopping.reason = reason_from_words(below(world, 2) ? "normal" : "shutdown");
	run_ok(world->subject, &batch);
	batch_done(&batch);
}

static void
happens(struct world *world)
{
	static const char *const reasons[] = { "normal", "shutdown", "exit:1", "exit:1",
		"signal:SEGV", "ignore", "spawn:ENOENT", "interrupted", "lost:keeper" };
	static const enum job_event events[] = { JOB_CANCEL, JOB_HOLD, JOB_RELEASE, JOB_RELEASE,
		JOB_RETRY, JOB_RETRY };
	size_t which = world->count > 0 ? below(world, (uint32_t)world->count) : 0;
	uint32_t what = below(world, 100);

	if (what < 25)
		claim_all(world);
	else if (what < 50 && world->count > 0)
		comes_up(world, which);
	else if (what < 75 && world->count > 0)
		ends(world, which, reasons[below(world, sizeof(reasons) / sizeof(reasons[0]))]);
	else if (what < 80 && world->count > 0)
		is_asked_to_stop(world, which);
	else if (what < 90)
		change(world->subject, 1 + below(world, 9), events[below(world, 6)]);
	else if (what < 93)
		change_supervisor(world, supervisors[below(world, 4)], SUPERVISOR_STOP, "");
	else if (what < 98)
		change_supervisor(world, supervisors[below(world, 4)], SUPERVISOR_START, "");
	else if (what < 99)
		subject_restart(world->subject);
	else
		machine_goes_down(world);
}

/* ---- when the dust has settled ---- */

static bool
is_to_stop(struct world *world, size_t which)
{
	char question[200];

	snprintf(question, sizeof(question), "SELECT stop_reason IS NOT NULL FROM attempts "
		 "WHERE job_id = %" PRId64 " AND ended_at IS NULL", world->open[which].job);
	return strcmp(ask(world->handle, question), "1") == 0;
}

static void
settle(struct world *world)
{
	bool is_moving = true;

	for (int round = 0; is_moving && round < 400; round++) {
		is_moving = claim_all(world) > 0;
		for (size_t i = 0; i < world->count; i++) {
			if (is_to_stop(world, i)) {
				ends(world, i, "normal");
				is_moving = true;
				break;
			}
			is_moving = is_moving || !world->is_ready[i];
			comes_up(world, i);
		}
	}
	if (is_moving)
		fail_msg("seed %" PRId64 ": it does not settle", world->seed);
}

static void
check(struct world *world)
{
	static const struct {
		const char *what, *question;
	} rows[] = {
		{ "in the middle of something", "SELECT group_concat(name || ' ' || state) FROM "
		  "supervisors WHERE state NOT IN ('running', 'ended')" },
		{ "runs beneath one that does not", "SELECT group_concat(c.name) FROM "
		  "supervisors c JOIN supervisors p ON p.name = c.parent WHERE c.state = 'running' "
		  "AND p.state <> 'running'" },
		{ "waits, although its supervisor runs", "SELECT group_concat(j.name) FROM jobs j "
		  "JOIN supervisors s ON s.name = j.supervisor WHERE s.state = 'running' AND "
		  "j.hold IS NULL AND j.status IN ('new', 'errored') AND NOT EXISTS (SELECT 1 "
		  "FROM jobs o JOIN servers v ON v.job_id = o.id JOIN servers m ON m.job_id = j.id "
		  "WHERE o.supervisor = j.supervisor AND v.position < m.position "
		  "AND o.status IN ('new', 'errored') AND o.hold IS NULL)" },
		{ "lives beneath one that has ended", "SELECT group_concat(j.name) FROM jobs j "
		  "JOIN supervisors s ON s.name = j.supervisor WHERE s.state = 'ended' AND "
		  "j.status IN ('new', 'running', 'errored')" },
		{ "has ended, but has a process", "SELECT group_concat(j.name) FROM jobs j JOIN "
		  "attempts a ON a.job_id = j.id AND a.ended_at IS NULL WHERE j.status NOT IN "
		  "('new', 'running', 'errored')" },
		{ "was asked to end, and forgot", "SELECT group_concat(job_id) FROM servers "
		  "WHERE stop_asked = 1 AND job_id IN (SELECT job_id FROM attempts "
		  "WHERE ended_at IS NULL)" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *answer = ask(world->handle, rows[i].question);

		if (strcmp(answer, "-") != 0)
			fail_msg("seed %" PRId64 ": %s: %s", world->seed, rows[i].what, answer);
	}
}

static void
make_tree(struct world *world)
{
	static const char *const strategies[] = { "one_for_one", "one_for_all", "rest_for_one" };
	static const char *const types[] = { "permanent", "transient", "temporary" };
	char options[200];

	for (int i = 0; i < SUPERVISORS; i++) {
		snprintf(options, sizeof(options), "strategy=%s max-restarts=%u restart=%s "
			 "budget=%s%s%s", strategies[below(world, 3)], below(world, 5),
		    types[below(world, 3)], below(world, 4) ? "shared" : "each",
		    i == 0 ? "" : " parent=", i == 0 ? "" : supervisors[i == 3 ? 0 : i - 1]);
		assert_int_equal(
		    change_supervisor(world, supervisors[i], SUPERVISOR_ADD, options), STEP_OK);
		for (int j = 0; j < 2; j++) {
			snprintf(options, sizeof(options), "name=%s/%c restart=%s", supervisors[i],
			    'a' + j, types[below(world, 3)]);
			add_child(world, options);
		}
	}
	add_child(world, "name=loose supervisor=mid restart=permanent");
}

static void
tree_settles_whatever_happens_to_it(void **state)
{
	struct world world = { .seed = 1 };
	const char *first = getenv("SEED");

	(void)state;
	for (int64_t seed = first != NULL ? strtoll(first, NULL, 10) : 1, n = 0; n < SEEDS;
	     seed++, n++) {
		struct subject subject;

		world = (struct world){ .subject = &subject, .seed = seed,
			.random = (uint64_t)seed };
		subject_open(&subject, &subject_sqlite);
		world.handle = connect_to(subject.directory);
		make_tree(&world);
		for (int event = 0; event < EVENTS; event++) {
			happens(&world);
			if (event % 10 == 9) {
				settle(&world);
				check(&world);
			}
		}
		sqlite3_close(world.handle);
		subject_close(&subject);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tree_settles_whatever_happens_to_it),
	};

	return cmocka_run_group_tests_name("store: tree, at random", tests, NULL, NULL);
}
