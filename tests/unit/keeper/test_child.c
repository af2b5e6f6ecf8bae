/* child: the table finds each attempt by its key and by its pid, and no longer than it should. */

#include "base/xalloc.h"
#include "keeper/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct child *
add(struct children *children, int64_t job, int64_t attempt)
{
	return children_add(children, &(struct order_key){ job, attempt, 1 });
}

static struct child *
find(struct children *children, int64_t job, int64_t attempt)
{
	return children_find(children, &(struct order_key){ job, attempt, 1 });
}

static void
remove_all(struct children *children)
{
	struct child *child;

	while ((child = children_first(children)) != NULL) {
		children_remove(children, child);
		free(child);
	}
	assert_int_equal(children->count, 0);
	assert_true(TAILQ_EMPTY(&children->closing));
	assert_true(RB_EMPTY(&children->pids));
}

static void
children_of_an_empty_table_are_none(void **state)
{
	struct children children;

	(void)state;
	children_init(&children);
	assert_null(children_first(&children));
	assert_null(find(&children, 1, 1));
	assert_null(children_find_pid(&children, 1));
	assert_null(children_find_job(&children, 1));
	remove_all(&children);
}

static void
children_add_makes_one_with_nothing_in_it(void **state)
{
	struct children children;
	struct child *child;

	(void)state;
	children_init(&children);
	child = add(&children, 7, 3);
	assert_int_equal(child->key.job, 7);
	assert_int_equal(child->key.attempt, 3);
	assert_int_equal(child->socket_fd, -1);
	assert_int_equal(child->pidfd, -1);
	assert_int_equal(child->pid, 0);
	assert_false(child->is_known_by_pid);
	assert_int_equal(children.count, 1);
	assert_null(children_find_pid(&children, 0));
	remove_all(&children);
}

static void
children_find_goes_by_job_and_attempt(void **state)
{
	struct children children;
	struct child *first, *second, *other;

	(void)state;
	children_init(&children);
	first = add(&children, 7, 1);
	second = add(&children, 7, 2);
	other = add(&children, 8, 1);
	assert_ptr_equal(find(&children, 7, 1), first);
	assert_ptr_equal(find(&children, 7, 2), second);
	assert_ptr_equal(find(&children, 8, 1), other);
	assert_null(find(&children, 7, 3));
	assert_null(find(&children, 8, 2));
	/* The generation is that of the claim, not of the process. */
	assert_ptr_equal(
	    children_find(&children, &(struct order_key){ 8, 1, 99 }), other);
	remove_all(&children);
}

static void
children_find_job_finds_its_first_attempt(void **state)
{
	struct children children;
	struct child *child;

	(void)state;
	children_init(&children);
	add(&children, 1, 1);
	child = add(&children, 5, 4);
	add(&children, 9, 1);
	assert_ptr_equal(children_find_job(&children, 5), child);
	assert_null(children_find_job(&children, 4));
	assert_null(children_find_job(&children, 6));
	assert_null(children_find_job(&children, 10));
	add(&children, 5, 5);
	assert_ptr_equal(children_find_job(&children, 5), child);
	remove_all(&children);
}

static void
children_are_walked_in_the_order_of_their_keys(void **state)
{
	static const int64_t jobs[] = { 5, 1, INT64_MAX, 3, INT64_MIN, -1, 2 };
	static const int64_t sorted[] = { INT64_MIN, -1, 1, 2, 3, 5, INT64_MAX };
	struct children children;
	struct child *child;
	size_t walked = 0;

	(void)state;
	children_init(&children);
	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++)
		add(&children, jobs[i], 1);
	for (child = children_first(&children); child != NULL; child = children_next(child))
		assert_true(child->key.job == sorted[walked++]);
	assert_int_equal(walked, sizeof(jobs) / sizeof(jobs[0]));
	remove_all(&children);
}

static void
children_find_pid_finds_it_until_it_is_forgotten(void **state)
{
	struct children children;
	struct child *child;

	(void)state;
	children_init(&children);
	child = add(&children, 1, 1);
	children_set_pid(&children, child, 1234);
	assert_ptr_equal(children_find_pid(&children, 1234), child);
	assert_null(children_find_pid(&children, 1235));
	children_forget_pid(&children, child);
	assert_null(children_find_pid(&children, 1234));
	assert_int_equal(child->pid, 1234);
	children_forget_pid(&children, child);
	assert_ptr_equal(find(&children, 1, 1), child);
	remove_all(&children);
}

/* The kernel gives a pid again: the one that has it now is found, the other stays unharmed. */
static void
children_may_have_had_the_same_pid_one_after_the_other(void **state)
{
	struct children children;
	struct child *old, *fresh;

	(void)state;
	children_init(&children);
	old = add(&children, 1, 1);
	fresh = add(&children, 2, 1);
	children_set_pid(&children, old, 1234);
	children_forget_pid(&children, old);
	children_set_pid(&children, fresh, 1234);
	children_remove(&children, old);
	free(old);
	assert_ptr_equal(children_find_pid(&children, 1234), fresh);
	remove_all(&children);
}

static void
children_with_a_pid_that_is_taken_are_not_found_by_it(void **state)
{
	struct children children;
	struct child *first, *second;

	(void)state;
	children_init(&children);
	first = add(&children, 1, 1);
	second = add(&children, 2, 1);
	children_set_pid(&children, first, 1234);
	children_set_pid(&children, second, 1234);
	assert_false(second->is_known_by_pid);
	assert_ptr_equal(children_find_pid(&children, 1234), first);
	children_remove(&children, second);
	free(second);
	assert_ptr_equal(children_find_pid(&children, 1234), first);
	remove_all(&children);
}

static void
children_that_are_closing_stand_in_a_list_in_order(void **state)
{
	struct children children;
	struct child *first, *second;

	(void)state;
	children_init(&children);
	first = add(&children, 1, 1);
	second = add(&children, 2, 1);
	children_set_state(&children, second, CHILD_RUNNING);
	assert_true(TAILQ_EMPTY(&children.closing));
	children_set_state(&children, second, CHILD_CLOSING);
	children_set_state(&children, first, CHILD_CLOSING);
	assert_ptr_equal(TAILQ_FIRST(&children.closing), second);
	assert_ptr_equal(TAILQ_NEXT(second, in_closing), first);
	children_set_state(&children, second, CHILD_ENDED);
	assert_ptr_equal(TAILQ_FIRST(&children.closing), first);
	assert_null(TAILQ_NEXT(first, in_closing));
	children_remove(&children, first);
	free(first);
	assert_true(TAILQ_EMPTY(&children.closing));
	remove_all(&children);
}

static void
children_count_and_are_found_through_random_use(void **state)
{
	enum { JOBS = 200 };
	struct child *there[JOBS] = { 0 };
	struct children children;
	uint32_t random = 7;
	size_t count = 0;

	(void)state;
	children_init(&children);
	for (int round = 0; round < 20000; round++) {
		size_t job;

		random = random * 1664525 + 1013904223;
		job = (random >> 16) % JOBS;
		if (there[job] == NULL) {
			there[job] = add(&children, (int64_t)job, 1);
			children_set_pid(&children, there[job], 1000 + (pid_t)job);
			children_set_state(&children, there[job], (random >> 8) % 4);
			count++;
		} else {
			children_remove(&children, there[job]);
			free(there[job]);
			there[job] = NULL;
			count--;
		}
		job = (random >> 4) % JOBS;
		assert_int_equal(children.count, count);
		assert_ptr_equal(find(&children, (int64_t)job, 1), there[job]);
		assert_ptr_equal(children_find_pid(&children, 1000 + (pid_t)job), there[job]);
	}
	remove_all(&children);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(children_of_an_empty_table_are_none),
		cmocka_unit_test(children_add_makes_one_with_nothing_in_it),
		cmocka_unit_test(children_find_goes_by_job_and_attempt),
		cmocka_unit_test(children_find_job_finds_its_first_attempt),
		cmocka_unit_test(children_are_walked_in_the_order_of_their_keys),
		cmocka_unit_test(children_find_pid_finds_it_until_it_is_forgotten),
		cmocka_unit_test(children_may_have_had_the_same_pid_one_after_the_other),
		cmocka_unit_test(children_with_a_pid_that_is_taken_are_not_found_by_it),
		cmocka_unit_test(children_that_are_closing_stand_in_a_list_in_order),
		cmocka_unit_test(children_count_and_are_found_through_random_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
