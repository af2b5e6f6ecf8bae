/*
 * registry: names, types, words and groups as OTP's Registry has keys and values, for its
 * cases (jobberd-otp(7) has the table). A live job is the entry: its name is the key of a unique
 * registry, a group that of a duplicate one, its words are the values.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/xalloc.h"
#include "support/outside.h"
#include "support/play.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNTER SERVERS_DIRECTORY "/counter"
#define JOBBERD(play, ...) jobberd(&(play)->instance, __VA_ARGS__, NULL)

/* What --json says of a job under this key, as text; to be freed. */
static char *
shown(struct play *play, const char *job, const char *key)
{
	struct result result = JOBBERD(play, "show", "--json", job);
	json_t *row = json_loads(result.out, 0, NULL);
	char *text = json_dumps(
	    json_object_get(row, key), JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);

	assert_non_null(text);
	json_decref(row);
	result_done(&result);
	return text;
}

static void
expect_shown(struct play *play, const char *job, const char *key, const char *wanted)
{
	char *text = shown(play, job, key);

	assert_string_equal(text, wanted);
	free(text);
}

/* ---- keys that are unique ---- */

static void
name_means_its_live_holder_or_nobody(void **state) /* cases 215, 221 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_start(&play, "a", "{}");
	play_start(&play, "b", "{}");
	expect(JOBBERD(&play, "whereis", "a"), 0, "1\n", NULL);
	expect(JOBBERD(&play, "whereis", "b"), 0, "2\n", NULL);
	expect(JOBBERD(&play, "whereis", "c"), 4, "", "no live job has this name");
	expect(JOBBERD(&play, "call", "c", "1"), 4, "", "noproc");
	play_done(&play);
}

static void
taken_name_tells_its_holder(void **state) /* case 216 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_start(&play, "a", "{}");
	for (int i = 0; i < 2; i++)
		expect(play_try_start(&play, NULL, "a", "{}"), 5, "1\n",
		    "already_started: job 1 has the name a (running)");
	expect(JOBBERD(&play, "submit", "--name", "a", "true"), 5, NULL,
	    "already_started: job 1");
	play_done(&play);
}

static void
name_is_free_as_soon_as_its_holder_has_died(void **state) /* cases 217, 111 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_start_with(&play, "--group=g", "--restart=temporary", "a",
	    "{'quiet':true,'do':[['join','own']]}");
	expect(play_call(&play, "a", "{'quiet':true,'do':[['crash']]}"), 70, "", NULL);
	/* Whoever was told of its end finds none of its entries. */
	expect(JOBBERD(&play, "whereis", "a"), 4, "", NULL);
	expect(JOBBERD(&play, "whereis", "-g", "g"), 4, "", NULL);
	expect(JOBBERD(&play, "whereis", "-g", "own"), 4, "", NULL);
	expect(play_try_start(&play, NULL, "a", "{}"), 0, "2\n", NULL);
	play_done(&play);
}

static void
server_has_one_name(void **state) /* case 113 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	expect(play_try_start(&play, "--name=b", "a", "{}"), 2, "", "the name is given as");
	play_done(&play);
}

static void
numbers_are_no_names_and_as_values_are_texts(void **state) /* case 236, differs */
{
	struct play play;

	(void)state;
	play_begin(&play);
	expect(JOBBERD(&play, "start", "1", "--", COUNTER), 2, "", "is not a name");
	expect(JOBBERD(&play, "start", "1.0", "--", COUNTER), 2, "", "is not a name");
	expect(JOBBERD(&play, "start", "--meta", "n=1", "a", "--", COUNTER), 0, "1\n", NULL);
	expect(JOBBERD(&play, "start", "--meta", "n=1.0", "b", "--", COUNTER), 0, "2\n", NULL);
	expect(JOBBERD(&play, "list", "-H", "--meta", "n=1", "-o", "name"), 0, "a\n", NULL);
	play_done(&play);
}

/* Free with the record of its holder's end, and not before its process is gone. */
static void
name_is_taken_while_its_holder_lingers(void **state) /* cases 111, 217 */
{
	struct helper stopper;
	struct play play;

	(void)state;
	play_begin(&play);
	play_start_with(&play, "--group=g", "--restart=transient", "a",
	    "{'do':[['trap_exit',true],['set',[['tell',HERE],['wait',GO]]]]}");
	helper_jobberd(&stopper, &play.instance, NULL, "stop", "a", NULL);
	play_pid(&play); /* it cleans up */
	expect(play_try_start(&play, NULL, "a", "{}"), 5, "1\n", "already_started: job 1");
	expect(JOBBERD(&play, "start", "a"), 5, "1\n", "already_started: job 1");
	expect(JOBBERD(&play, "submit", "--name", "a", "true"), 5, NULL, "already_started");
	expect(JOBBERD(&play, "whereis", "a"), 0, "1\n", NULL);
	expect(JOBBERD(&play, "whereis", "-g", "g"), 0, "1\n", NULL);
	instance_kill_supervisor(&play.instance);
	expect(play_try_start(&play, NULL, "a", "{}"), 5, "1\n", "already_started: job 1");
	play_go(&play);
	helper_wait(&stopper); /* its supervisor process died: whatever it says */
	helper_end(&stopper);
	assert_int_equal(wait_job(&play.instance, 1), 0);
	expect(play_try_start(&play, NULL, "a", "{}"), 0, "2\n", NULL);
	play_done(&play);
}

static void
server_under_a_name_has_its_values(void **state) /* cases 219, 228 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	expect(JOBBERD(&play, "start", "--type", "import", "--meta", "value=5", "--meta",
			"tenant=acme", "--group", "g", "--group", "h", "a", "--", COUNTER), 0,
	    "1\n", NULL);
	expect(JOBBERD(&play, "start", "b", "--", COUNTER), 0, "2\n", NULL);
	expect(JOBBERD(&play, "cast", "a", "add", "2"), 0, "", NULL);
	expect(JOBBERD(&play, "call", "a", "get"), 0, "2\n", NULL);
	expect_shown(&play, "a", "meta", "{\"tenant\":\"acme\",\"value\":\"5\"}");
	expect_shown(&play, "a", "groups", "[\"g\",\"h\"]");
	expect_shown(&play, "a", "type", "\"import\"");
	expect_shown(&play, "b", "meta", "null");
	expect_shown(&play, "b", "groups", "null");
	play_done(&play);
}

static void
restarted_server_has_its_name_and_values_again(void **state) /* case 222 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_start_with(&play, "--group=g", "--meta=value=5", "a",
	    "{'do':[['who']]}");
	kill((pid_t)sql_number(&play.instance, "SELECT pid FROM attempts"), SIGKILL);
	play_follow(&play);
	play_until(&play, "a 1 2 not durable"); /* its second process */
	expect(JOBBERD(&play, "call", "a", "1"), 0, "1\n", NULL);
	expect(JOBBERD(&play, "whereis", "a"), 0, "1\n", NULL);
	expect(JOBBERD(&play, "whereis", "-g", "g"), 0, "1\n", NULL);
	expect_shown(&play, "a", "meta", "{\"value\":\"5\"}");
	expect_shown(&play, "a", "attempt", "2");
	play_done(&play);
}

/* ---- select and count ---- */

static void
begin_with_jobs(struct play *play)
{
	static const struct {
		const char *name, *type, *meta, *other;
	} jobs[] = {
		{ "one", "import", "retries=1", "due=2026-11-30" },
		{ "two", "import", "retries=10", "due=2026-12-01" },
		{ "three", "send_email", "retries=2", "version=1.10" },
		{ "four", "send_email", "retries=many", "version=1.1" },
	};

	play_begin(play);
	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++)
		expect(JOBBERD(play, "submit", "--in", "1h", "--name", jobs[i].name, "--type",
				jobs[i].type, "--meta", jobs[i].meta, "--meta", jobs[i].other,
				"true"), 0, NULL, NULL);
}

static void
entries_are_selected_by_value_and_projected(void **state) /* case 223 */
{
	struct play play;

	(void)state;
	begin_with_jobs(&play);
	expect(JOBBERD(&play, "list", "-H", "--type", "import", "-o", "id,name"), 0,
	    "1\tone\n2\ttwo\n", NULL);
	expect(JOBBERD(&play, "list", "-H", "--meta", "version=1.1", "-o", "name"), 0,
	    "four\n", NULL);
	expect(JOBBERD(&play, "list", "-H", "--meta", "version!=1.1", "-o", "name"), 0,
	    "three\n", NULL);
	expect(JOBBERD(&play, "list", "-H", "--meta", "nothing=", "-o", "name"), 0, "", NULL);
	play_done(&play);
}

static void
guards_compare_and_all_must_hold(void **state) /* case 224 */
{
	static const struct {
		const char *one, *other, *names;
	} rows[] = {
		{ "retries>1", NULL, "two\nthree\n" },
		{ "retries>=1", NULL, "one\ntwo\nthree\n" },
		{ "retries<10", NULL, "one\nthree\n" },
		{ "retries<=2.0", NULL, "one\nthree\n" },
		{ "retries>1e0", "retries<3", "three\n" },
		{ "retries>a", NULL, "four\n" }, /* words are compared with words only */
		{ "retries>1", "due>=2026-12-01", "two\n" },
		{ "due<2026-12-01", NULL, "one\n" },
		{ "retries>1", "due<2026-12-01", "" },
		{ "retries=1", NULL, "one\n" },
		{ "retries=1.0", NULL, "" },
		{ "retries!=1", "retries!=many", "two\nthree\n" },
		{ "absent!=1", NULL, "" },
	};
	struct play play;

	(void)state;
	begin_with_jobs(&play);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(jobberd(&play.instance, "list", "-H", "-o", "name", "--meta",
				rows[i].one, rows[i].other != NULL ? "--meta" : NULL,
				rows[i].other, NULL), 0, rows[i].names, NULL);
	expect(JOBBERD(&play, "list", "--meta", "retries"), 2, "", "is not NAME=VALUE");
	expect(JOBBERD(&play, "list", "--meta", "=1"), 2, "", "is not NAME=VALUE");
	expect(JOBBERD(&play, "list", "--meta", "a!b"), 2, "", "is not NAME=VALUE");
	play_done(&play);
}

static void
entries_are_counted_all_or_those_selected(void **state) /* case 226 */
{
	struct play play;

	(void)state;
	begin_with_jobs(&play);
	expect(JOBBERD(&play, "list", "--count"), 0, "4\n", NULL);
	expect(JOBBERD(&play, "list", "--count", "--type", "import"), 0, "2\n", NULL);
	expect(JOBBERD(&play, "list", "--count", "--meta", "retries>1"), 0, "2\n", NULL);
	expect(JOBBERD(&play, "list", "--count", "--meta", "retries>1", "--type", "import"), 0,
	    "1\n", NULL);
	expect(JOBBERD(&play, "cancel", "-y", "one", "three"), 0, NULL, NULL);
	expect(JOBBERD(&play, "list", "--count"), 0, "2\n", NULL);
	expect(JOBBERD(&play, "list", "--count", "-a"), 0, "4\n", NULL);
	expect(
	    JOBBERD(&play, "list", "--count", "--live", "--meta", "retries>1"), 0, "1\n", NULL);
	play_done(&play);
}

static void
jobs_are_listed_by_their_key(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play);
	for (int i = 0; i < 3; i++)
		expect(JOBBERD(&play, "submit", "--in", "1h", "--key",
				i == 1 ? "other" : "acme", "--limit", "1", "true"), 0, NULL, NULL);
	expect(JOBBERD(&play, "list", "-H", "--key", "acme", "-o", "id"), 0, "1\n3\n", NULL);
	expect(JOBBERD(&play, "list", "--count", "--key", "none"), 0, "0\n", NULL);
	play_done(&play);
}

/* ---- keys that several may have, and what is no registry ---- */

static void
several_may_be_in_a_group(void **state) /* case 230 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	for (int i = 0; i < 3; i++) {
		char name[2] = { (char)('a' + i), '\0' };

		expect(play_try_start(&play, "--group=g", name, "{}"), 0, NULL, NULL);
	}
	expect(JOBBERD(&play, "whereis", "-g", "g"), 0, "1\n2\n3\n", NULL);
	play_stop(&play, "b");
	expect(JOBBERD(&play, "whereis", "-g", "g"), 0, "1\n3\n", NULL);
	play_done(&play);
}

static void
state_directory_that_is_none_is_named(void **state) /* case 233 */
{
	struct instance instance, other;

	(void)state;
	instance_init(&instance);
	other = instance;
	snprintf(other.state, sizeof(other.state), "%s/nowhere", instance.directory);
	expect(jobberd(&other, "whereis", "a", NULL), 4, "", "/nowhere");
	expect(jobberd(&other, "whereis", "-g", "a", NULL), 4, "", "/nowhere");
	expect(jobberd(&other, "call", "a", "1", NULL), 3, "", "/nowhere");
	expect(jobberd(&other, "call", "-g", "a", "1", NULL), 3, "", "/nowhere");
	instance_done(&instance);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name_means_its_live_holder_or_nobody),
		cmocka_unit_test(taken_name_tells_its_holder),
		cmocka_unit_test(name_is_free_as_soon_as_its_holder_has_died),
		cmocka_unit_test(server_has_one_name),
		cmocka_unit_test(numbers_are_no_names_and_as_values_are_texts),
		cmocka_unit_test(name_is_taken_while_its_holder_lingers),
		cmocka_unit_test(server_under_a_name_has_its_values),
		cmocka_unit_test(restarted_server_has_its_name_and_values_again),
		cmocka_unit_test(entries_are_selected_by_value_and_projected),
		cmocka_unit_test(guards_compare_and_all_must_hold),
		cmocka_unit_test(entries_are_counted_all_or_those_selected),
		cmocka_unit_test(jobs_are_listed_by_their_key),
		cmocka_unit_test(several_may_be_in_a_group),
		cmocka_unit_test(state_directory_that_is_none_is_named),
	};
	int status;

	if (play_is_puppet(argc, argv, &status))
		return status;
	return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
