/* Groups as the store has them: who is in one, for how long, and messages to all of them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../support/subject.h"
#include "base/xalloc.h"
#include "store/sqlite_engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- short ways ---- */

static int64_t
submit_server(struct subject *subject, const char *options)
{
	struct batch batch;
	struct step *step;
	int64_t id;

	batch_init(&batch);
	step = add_submit(&batch, options);
	step->submit.specs[0].is_server = true;
	run_ok(subject, &batch);
	if (step->answer != STEP_OK)
		fail_msg("%s: %s", options, step->error.text);
	id = step->submit.ret_ids[0];
	batch_done(&batch);
	return id;
}

static struct attempt_key
begin(struct subject *subject, const char *options)
{
	struct attempt_key key;
	struct batch batch;

	submit_server(subject, options);
	key = claim(subject, "servers");
	assert_int_equal(started(subject, key), STEP_OK);
	batch_init(&batch);
	batch_add(&batch, STEP_READY, NULL, NULL)->ready.key = key;
	run_ok(subject, &batch);
	batch_done(&batch);
	return key;
}

static enum step_answer
change_group(struct subject *subject, struct attempt_key key, const char *name, bool is_leave)
{
	enum step_answer answer;
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = batch_add(&batch, STEP_GROUP, NULL, NULL);
	step->group.key = key;
	step->group.is_leave = is_leave;
	snprintf(step->group.name, sizeof(step->group.name), "%s", name);
	run_ok(subject, &batch);
	answer = step->answer;
	batch_done(&batch);
	return answer;
}

static enum step_answer
join(struct subject *subject, struct attempt_key key, const char *name)
{
	return change_group(subject, key, name, false);
}

static enum step_answer
leave(struct subject *subject, struct attempt_key key, const char *name)
{
	return change_group(subject, key, name, true);
}

/* "1a 2b+": who is in it, and (+) for whom this message was kept. Good for one call. */
static const char *
members_told(struct subject *subject, const char *name, const char *text, int64_t most)
{
	static char words[1000];
	size_t length = 0;
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = batch_add(&batch, STEP_MEMBERS, NULL, NULL);
	snprintf(step->members.name, sizeof(step->members.name), "%s", name);
	step->members.text = text != NULL ? xstrdup(text) : NULL;
	step->members.most = most;
	run_ok(subject, &batch);
	words[0] = '\0';
	for (size_t i = 0; i < step->members.ret_count; i++)
		length += (size_t)snprintf(words + length, sizeof(words) - length,
		    "%s%" PRId64 "%s%s", i > 0 ? " " : "", step->members.ret_members[i].job,
		    step->members.ret_members[i].name,
		    step->members.ret_members[i].is_kept ? "+" : "");
	batch_done(&batch);
	return words;
}

static const char *
members(struct subject *subject, const char *name)
{
	return members_told(subject, name, NULL, 0);
}

/* ---- who is in it ---- */

static void
live_servers_are_in_the_groups_of_their_descriptions(void **state)
{
	struct subject *subject = *state;
	struct attempt_key a = begin(subject, "name=a group=g group=h group=g");

	submit_server(subject, "name=b group=g");
	submit(subject, "name=c group=g"); /* a command is sent nothing */
	assert_string_equal(members(subject, "g"), "1a 2b");
	assert_string_equal(members(subject, "h"), "1a");
	assert_string_equal(members(subject, "none"), "");
	assert_int_equal(ended(subject, a, "normal"), STEP_OK);
	assert_string_equal(members(subject, "g"), "2b");
}

static void
what_a_process_joins_goes_with_it_and_what_it_leaves_comes_back(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin(subject, "name=a group=born restart=permanent");

	assert_int_equal(join(subject, key, "own"), STEP_OK);
	assert_int_equal(join(subject, key, "own"), STEP_OK);
	assert_int_equal(leave(subject, key, "born"), STEP_OK);
	assert_int_equal(leave(subject, key, "never"), STEP_OK);
	assert_string_equal(members(subject, "own"), "1a");
	assert_string_equal(members(subject, "born"), "");
	assert_int_equal(join(subject, key, "born"), STEP_OK);
	assert_string_equal(members(subject, "born"), "1a");
	assert_int_equal(leave(subject, key, "born"), STEP_OK);
	assert_int_equal(ended(subject, key, "signal:ABRT"), STEP_OK);
	assert_string_equal(members(subject, "born"), "1a"); /* it is about to be back */
	assert_string_equal(members(subject, "own"), "");
	assert_int_equal(join(subject, key, "own"), STEP_STALE); /* too late */
	assert_int_equal(leave(subject, key, "born"), STEP_OK);
	assert_string_equal(members(subject, "own"), "");
	assert_string_equal(members(subject, "born"), "1a");
}

static void
one_that_it_has_joined_is_left_for_good(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin(subject, "name=a");

	assert_int_equal(join(subject, key, "own"), STEP_OK);
	assert_int_equal(leave(subject, key, "own"), STEP_OK);
	assert_string_equal(members(subject, "own"), "");
}

static void
server_is_in_so_many_groups_at_most(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin(subject, "name=a group=g0");
	char name[16];

	for (int i = 1; i < SPEC_MOST_GROUPS; i++) {
		snprintf(name, sizeof(name), "g%d", i);
		assert_int_equal(join(subject, key, name), STEP_OK);
	}
	assert_int_equal(join(subject, key, "more"), STEP_REFUSED);
	assert_int_equal(join(subject, key, "g7"), STEP_OK);
	assert_int_equal(leave(subject, key, "g7"), STEP_OK);
	assert_int_equal(join(subject, key, "more"), STEP_OK);
}

/* Ends ask about groups only where there may be some. */
static void
groups_are_noticed_whoever_makes_them(void **state)
{
	struct subject *subject = *state;
	struct sqlite_engine *engine = (struct sqlite_engine *)subject->store;
	struct sqlite3 *other = connect_to(subject->directory);
	struct attempt_key key = begin(subject, "name=a");

	assert_false(engine->has_groups);
	tell(other, "INSERT INTO groups (job_id, name) VALUES (1, 'g')");
	sqlite3_close(other);
	assert_int_equal(leave(subject, key, "g"), STEP_OK);
	assert_true(engine->has_groups);
	assert_int_equal(ended(subject, key, "signal:ABRT"), STEP_OK);
	assert_string_equal(members(subject, "g"), "1a");
}

/* ---- messages ---- */

static void
message_is_kept_for_durable_members_and_pools(void **state)
{
	struct subject *subject = *state;
	struct sqlite3 *other = connect_to(subject->directory);

	submit_server(subject, "name=a group=g");
	submit_server(subject, "name=b group=g durable");
	submit_server(subject, "name=p group=g durable pool=2");
	assert_string_equal(members_told(subject, "g", "[1]", 100), "1a 2b+ 3p+");
	assert_string_equal(ask(other, "SELECT group_concat(job_id || message) FROM messages"),
	    "2[1]");
	assert_string_equal(ask(other, "SELECT group_concat(json_extract(command, '$[1]')) "
				       "FROM jobs WHERE kind = 'message'"), "[1]");
	assert_string_equal(members_told(subject, "g", "2", 1), "1a 2b 3p+"); /* b has enough */
	sqlite3_close(other);
}

#define AT_PLACE(test)                                                                    \
	{ #test, test, subject_setup, subject_teardown, (void *)(uintptr_t)&subject_sqlite }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		AT_PLACE(live_servers_are_in_the_groups_of_their_descriptions),
		AT_PLACE(what_a_process_joins_goes_with_it_and_what_it_leaves_comes_back),
		AT_PLACE(one_that_it_has_joined_is_left_for_good),
		AT_PLACE(server_is_in_so_many_groups_at_most),
		AT_PLACE(groups_are_noticed_whoever_makes_them),
		AT_PLACE(message_is_kept_for_durable_members_and_pools),
	};

	return cmocka_run_group_tests_name("groups", tests, NULL, NULL);
}
