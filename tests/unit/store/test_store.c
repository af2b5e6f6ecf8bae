/* Batches: what every engine leaves to store.c. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/xalloc.h"
#include "store/store.h"

#include <string.h>

struct called {
	struct step *steps[4];
	size_t count;
};

static void
note_call(void *arg, struct step *step)
{
	struct called *called = arg;

	called->steps[called->count++] = step;
}

static void
batch_acts_in_the_order_of_its_steps(void **state)
{
	struct called called = { 0 };
	struct batch batch;
	struct step *first, *last;

	(void)state;
	batch_init(&batch);
	first = batch_add(&batch, STEP_OPEN, note_call, &called);
	batch_add(&batch, STEP_DUE, NULL, NULL);
	last = batch_add(&batch, STEP_OPEN, note_call, &called);
	batch_act(&batch);
	assert_int_equal(called.count, 2);
	assert_ptr_equal(called.steps[0], first);
	assert_ptr_equal(called.steps[1], last);
	batch_done(&batch);
}

static void
batch_acts_on_each_step_once(void **state)
{
	struct called called = { 0 };
	struct batch batch;

	(void)state;
	batch_init(&batch);
	batch_add(&batch, STEP_OPEN, note_call, &called);
	batch_act(&batch);
	assert_int_equal(called.count, 1);
	batch_act(&batch);
	assert_int_equal(called.count, 1);
	batch_done(&batch);
}

static void
batch_acts_on_processes_before_the_rest(void **state)
{
	static const enum step_kind kinds[] = { STEP_LOOKUP, STEP_CLAIM, STEP_SUBMIT,
		STEP_ENDED };
	struct called called = { 0 };
	struct batch batch;

	(void)state;
	batch_init(&batch);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		batch_add(&batch, kinds[i], note_call, &called);
	batch_act_on_processes(&batch);
	assert_int_equal(called.count, 2);
	assert_int_equal(called.steps[0]->kind, STEP_CLAIM);
	assert_int_equal(called.steps[1]->kind, STEP_ENDED);
	batch_act(&batch);
	assert_int_equal(called.count, 4);
	assert_int_equal(called.steps[2]->kind, STEP_LOOKUP);
	assert_int_equal(called.steps[3]->kind, STEP_SUBMIT);
	batch_done(&batch);
}

static void
batch_keeps_its_steps_where_they_are(void **state)
{
	struct batch batch;
	struct step *first;

	(void)state;
	batch_init(&batch);
	first = batch_add(&batch, STEP_DUE, NULL, NULL);
	for (int i = 0; i < 1000; i++)
		batch_add(&batch, STEP_OPEN, NULL, NULL);
	assert_int_equal(batch.count, 1001);
	assert_ptr_equal(batch.steps[0], first);
	assert_int_equal(first->kind, STEP_DUE);
	batch_done(&batch);
	assert_int_equal(batch.count, 0);
}

static void
batch_notes_any_number_of_ended_jobs(void **state)
{
	struct batch batch;

	(void)state;
	batch_init(&batch);
	for (int round = 0; round < 2; round++) {
		for (int64_t job = 1; job <= 100; job++)
			batch_add_ended(&batch, job, JOB_DONE,
			    (struct reason){ .kind = REASON_NORMAL });
		assert_int_equal(batch.ended_count, 100);
		for (int64_t job = 1; job <= 100; job++)
			assert_int_equal(batch.ended[job - 1].job, job);
		batch_forget_results(&batch); /* it is run again */
		assert_int_equal(batch.ended_count, 0);
	}
	batch_done(&batch);
}

static void
batch_reads_only_if_each_step_does(void **state)
{
	static const enum step_kind readers[] = { STEP_OPEN, STEP_LOOKUP, STEP_REMAINING,
		STEP_LIMITS, STEP_MAILBOX, STEP_TIMER_END, STEP_MEMBERS };
	struct batch batch;

	(void)state;
	for (int kind = 0; kind < STEP_KIND_COUNT; kind++) {
		bool is_reader = false;

		for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
			is_reader = is_reader || readers[i] == (enum step_kind)kind;
		batch_init(&batch);
		assert_false(batch_is_read_only(&batch)); /* it asks: can you write? */
		batch_add(&batch, STEP_LOOKUP, NULL, NULL);
		batch_add(&batch, kind, NULL, NULL);
		assert_int_equal(batch_is_read_only(&batch), is_reader);
		batch_done(&batch);
	}
	batch_init(&batch);
	batch_add(&batch, STEP_MEMBERS, NULL, NULL)->members.text = xstrdup("1");
	assert_false(batch_is_read_only(&batch)); /* a message for them */
	batch_done(&batch);
}

static void
batch_reads_only_depending_on_what_is_asked(void **state)
{
	struct batch batch;
	struct step *step;

	(void)state;
	batch_init(&batch);
	step = batch_add(&batch, STEP_PRUNE, NULL, NULL);
	step->prune.is_dry_run = true;
	assert_true(batch_is_read_only(&batch));
	step = batch_add(&batch, STEP_LIMITS, NULL, NULL);
	memcpy(step->limits.set, "serial", sizeof("serial"));
	assert_false(batch_is_read_only(&batch));
	batch_done(&batch);
}

static void
answer_has_words_of_its_own(void **state)
{
	(void)state;
	for (int a = 0; a < STORE_ANSWER_COUNT; a++) {
		for (int b = 0; b < a; b++)
			assert_string_not_equal(
			    store_answer_words(a), store_answer_words(b));
	}
}

static void
store_close_takes_null(void **state)
{
	(void)state;
	store_close(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batch_acts_in_the_order_of_its_steps),
		cmocka_unit_test(batch_acts_on_each_step_once),
		cmocka_unit_test(batch_acts_on_processes_before_the_rest),
		cmocka_unit_test(batch_keeps_its_steps_where_they_are),
		cmocka_unit_test(batch_notes_any_number_of_ended_jobs),
		cmocka_unit_test(batch_reads_only_if_each_step_does),
		cmocka_unit_test(batch_reads_only_depending_on_what_is_asked),
		cmocka_unit_test(answer_has_words_of_its_own),
		cmocka_unit_test(store_close_takes_null),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
