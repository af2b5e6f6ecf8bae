/* groups: messages to all servers of a group, from the command line and from servers. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/xalloc.h"
#include "cli/client.h"
#include "support/outside.h"
#include "support/play.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOBBERD(play, ...) jobberd(&(play)->instance, __VA_ARGS__, NULL)
/* A script that gives back the state. */
#define STATE "{\"quiet\":true,\"reply_state\":1}"

/* The puppet's state is this from init on. */
static void
start_in(struct play *play, const char *group, const char *name, const char *state)
{
	char *option = xasprintf("--group=%s", group);
	char *script = xasprintf("{'do':[['set',%s]]}", state);

	expect(play_try_start(play, option, name, script), 0, NULL, NULL);
	free(option);
	free(script);
}

/* Both lists, in order: {"bad":["x"],"replies":{"a":1}}. */
static void
expect_gathered(struct result result, const char *wanted)
{
	json_t *gathered = json_loads(result.out, 0, NULL), *bad;
	size_t count;
	char *text;

	if (result.status != 0 || gathered == NULL)
		fail_msg("exit %d, \"%s\", \"%s\"", result.status, result.out, result.err);
	bad = json_object_get(gathered, "bad");
	count = json_array_size(bad);
	for (size_t i = 1; i < count; i++) {
		for (size_t j = i; j > 0 && strcmp(json_string_value(json_array_get(bad, j)),
					    json_string_value(json_array_get(bad, j - 1))) < 0;
		     j--) {
			json_t *moved = json_incref(json_array_get(bad, j));

			json_array_remove(bad, j);
			json_array_insert_new(bad, j - 1, moved);
		}
	}
	text = json_dumps(gathered, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(text, wanted);
	free(text);
	json_decref(gathered);
	result_done(&result);
}

/* ---- call ---- */

static void
call_gathers_replies_and_names_who_gave_none(void **state) /* case 116 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	start_in(&play, "web", "a", "1");
	start_in(&play, "web", "b", "[2]");
	start_in(&play, "web", "stuck", "3");
	start_in(&play, "other", "stranger", "4");
	/* It answers what it does not know with an error. */
	expect(JOBBERD(&play, "start", "--group", "web", "counter", "--",
			SERVERS_DIRECTORY "/counter"), 0, NULL, NULL);
	/* No process, and about to be started again. */
	play_start_with(&play, "--group=web", "--restart=permanent", "dead", "{}");
	expect(JOBBERD(&play, "supervisor", "pause", "servers"), 0, NULL, NULL);
	expect(play_call(&play, "dead", "{'quiet':true,'do':[['crash']]}"), 70, "", NULL);
	play_cast(&play, "stuck", "{'quiet':true,'do':[['tell',HERE],['wait',GO]]}");
	play_pid(&play);
	expect_gathered(JOBBERD(&play, "call", "--group", "web", "--timeout", "2s", STATE),
	    "{\"bad\":[\"counter\",\"dead\",\"stuck\"],\"replies\":{\"a\":1,\"b\":[2]}}");
	play_go(&play);
	expect(JOBBERD(&play, "supervisor", "resume", "servers"), 0, NULL, NULL);
	play_done(&play);
}

static void
group_of_nobody_is_no_error(void **state) /* cases 116, 118 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	expect_gathered(
	    JOBBERD(&play, "call", "-g", "nobody", "x"), "{\"bad\":[],\"replies\":{}}");
	expect(JOBBERD(&play, "cast", "-g", "nobody", "x"), 0, "0\n", NULL);
	expect(JOBBERD(&play, "send", "-g", "nobody", "x"), 0, "0\n", NULL);
	expect(JOBBERD(&play, "call", "-g", "9", "x"), 2, "", "group is not a name");
	expect(JOBBERD(&play, "cast", "-g", "web"), 2, "", "");
	expect(JOBBERD(&play, "cast", "web"), 2, "", "there is no message");
	play_done(&play);
}

/* Who is slow is waited for, and keeps nobody else waiting. */
static void
slow_member_holds_up_nobody(void **state)
{
	struct helper caller;
	struct play play;

	(void)state;
	play_begin(&play);
	start_in(&play, "web", "quick", "1");
	start_in(&play, "web", "slow", "2");
	play_cast(&play, "slow", "{'quiet':true,'do':[['tell',HERE],['wait',GO]]}");
	play_pid(&play);
	play_follow(&play);
	helper_jobberd(&caller, &play.instance, NULL, "call", "-g", "web", "--timeout", "1h",
	    "asked", NULL);
	play_until(&play, "call \"asked\""); /* the quick one was */
	expect(JOBBERD(&play, "call", "quick", "2"), 0, "2\n", NULL);
	play_go(&play);
	helper_expect(&caller, "\"slow\":\"asked\"");
	helper_expect(&caller, "\"quick\":\"asked\"");
	assert_int_equal(helper_wait(&caller), 0);
	helper_end(&caller);
	play_done(&play);
}

static void
member_that_ends_is_bad_at_once(void **state)
{
	struct helper caller;
	struct play play;

	(void)state;
	play_begin(&play);
	start_in(&play, "web", "a", "1");
	start_in(&play, "web", "slow", "2");
	play_cast(&play, "slow", "{'quiet':true,'do':[['tell',HERE],['wait',GO]]}");
	kill(play_pid(&play), SIGSTOP);
	helper_jobberd(&caller, &play.instance, NULL, "call", "-g", "web", "--timeout", "1h", "x",
	    NULL);
	play_follow(&play);
	play_until(&play, "call \"x\"");
	expect(JOBBERD(&play, "cancel", "slow"), 0, NULL, NULL);
	helper_expect(&caller, "{\"replies\":{\"a\":\"x\"},\"bad\":[\"slow\"]}");
	assert_int_equal(helper_wait(&caller), 0);
	helper_end(&caller);
	play_done(&play);
}

static void
call_outlives_the_supervisor_process(void **state)
{
	struct helper caller;
	struct play play;

	(void)state;
	play_begin(&play);
	start_in(&play, "web", "a", "1");
	start_in(&play, "web", "slow", "2");
	play_cast(&play, "slow", "{'quiet':true,'do':[['tell',HERE],['wait',GO]]}");
	play_pid(&play);
	play_follow(&play);
	helper_jobberd(&caller, &play.instance, NULL, "call", "-g", "web", "--timeout", "1h",
	    "once", NULL);
	play_until(&play, "call \"once\"");
	instance_kill_supervisor(&play.instance);
	play_go(&play);
	helper_expect(&caller, "\"slow\":\"once\"");
	helper_expect(&caller, "\"a\":\"once\"");
	assert_int_equal(helper_wait(&caller), 0);
	helper_end(&caller);
	play_history(&play, "a", "call \"once\""); /* and not twice */
	play_done(&play);
}

/* What is no request is told so, and nothing is sent. */
static void
requests_that_make_no_sense_are_refused(void **state)
{
	static const struct {
		const char *method, *params, *words;
	} rows[] = {
		{ "call", "{'to':'a','group':'web','message':1}", "to or group, not both" },
		{ "call", "{'group':7,'message':1}", "group is not a name" },
		{ "call", "{'group':'web'}", "wants a message" },
		{ "call", "{'group':'web','message':1,'timeout_ms':'x'}", "timeout_ms" },
		{ "call", "{'to':'a','message':1,'ref':'terminate'}", "ref is a name of ours" },
		{ "call", "{'to':'a','message':'\\u00e4','ref':'g1-7'}", "ref is a name of ours" },
		{ "cast", "{'to':1,'group':'web','message':1}", "to or group, not both" },
		{ "cast", "{'group':'','message':1}", "group is not a name" },
		{ "send", "{'group':'web'}", "wants to or group, and message" },
	};
	struct client_connection connection;
	struct error error;
	struct play play;

	(void)state;
	play_begin(&play);
	start_in(&play, "web", "a", "1");
	assert_int_equal(client_open(&connection, play.instance.state, &error), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = xstrdup(rows[i].params);

		for (char *at = text; (at = strchr(at, '\'')) != NULL;)
			*at = '"';
		assert_null(client_call(&connection, rows[i].method, json_loads(text, 0, NULL),
		    NULL, &error));
		assert_has(error.text, rows[i].words);
		free(text);
	}
	client_close(&connection);
	play_stop(&play, "a");
	play_history(&play, "a", "terminate normal 1");
	play_done(&play);
}

/* All replies that an answer has room for are in it. */
static void
replies_that_have_no_place_are_bad(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play);
	start_in(&play, "web", "a", "1");
	start_in(&play, "web", "b", "1");
	start_in(&play, "none", "asker", "1");
	play_cast(&play, "asker",
	    "{'quiet':true,'do':[['set',2],['multi_call','web',{'quiet':true,"
	    "'long_reply':1047000}],['multi_call','web',3]]}");
	play_follow(&play);
	play_until(&play, "multi_call: [{\"a\":3,\"b\":3},[]]");
	/* One that has no place takes none: the others have theirs. */
	play_cast(&play, "asker",
	    "{'quiet':true,'do':[['multi_call','web',{'quiet':true,"
	    "'long_reply':{'a':1047530,'b':300000}}],['multi_call','web',4]]}");
	play_until(&play, "multi_call: [{\"a\":4,\"b\":4},[]]");
	play_stop(&play, "asker");
	/* One of the two has the whole line; which one is a matter of time. */
	assert_int_equal(sql_number(&play.instance, "SELECT count(*) FROM events WHERE event = "
						    "'log' AND (detail LIKE 'multi_call: "
						    "[{\"_\":\"xx%' OR detail LIKE "
						    "'multi_call:%xx%[\"_\"]]')"), 2);
	assert_int_equal(sql_number(&play.instance,
			     "SELECT detail LIKE 'multi_call: [{\"b\":\"xx%' FROM events WHERE "
			     "detail LIKE 'multi_call:%xx%' ORDER BY seq DESC LIMIT 1"), 1);
	play_done(&play);
}

/* ---- cast and send ---- */

static void
cast_and_send_reach_all_and_are_kept_for_the_durable(void **state) /* case 118 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	start_in(&play, "web", "a", "1");
	play_start_with(&play, "--group=web", "--durable", "kept", "{}");
	play_start_with(&play, "--group=web", "--restart=permanent", "dead", "{}");
	expect(JOBBERD(&play, "submit", "--group", "web", "--in", "1h", "true"), 0, NULL,
	    NULL); /* a command is spoken to by nobody */
	expect(JOBBERD(&play, "cast", "-g", "web", "one"), 0, "3\n", NULL);
	expect(JOBBERD(&play, "supervisor", "pause", "servers"), 0, NULL, NULL);
	expect(play_call(&play, "dead", "{'quiet':true,'do':[['crash']]}"), 70, "", NULL);
	play_cast(&play, "kept", "{'quiet':true,'verb':'stop','reason':'bad'}");
	play_follow(&play);
	play_until(&play, "terminate bad 0");
	wait_sql(&play.instance, "SELECT count(*) = 0 FROM attempts a JOIN jobs j ON "
				 "j.id = a.job_id WHERE j.name = 'kept' "
				 "AND a.ended_at IS NULL");
	expect(JOBBERD(&play, "send", "-g", "web", "two"), 0, "2\n", NULL);
	assert_int_equal(sql_number(&play.instance, "SELECT count(*) FROM messages WHERE "
						    "message = '\"two\"' AND kind = 'info'"), 1);
	expect(JOBBERD(&play, "supervisor", "resume", "servers"), 0, NULL, NULL);
	play_until(&play, "info \"two\"");
	expect(JOBBERD(&play, "call", "kept", "3"), 0, "3\n", NULL);
	play_stop(&play, "kept");
	play_stop(&play, "a");
	play_history(&play, "a", "cast \"one\"; info \"two\"; terminate normal 1");
	play_history(&play, "kept",
	    "cast \"one\"; terminate bad 0; info \"two\"; call 3; terminate normal 0");
	play_history(&play, "dead", "cast \"one\"");
	play_done(&play);
}

static void
pool_is_one_member(void **state)
{
	struct play play;
	char *name;

	(void)state;
	play_begin(&play);
	start_in(&play, "web", "a", "1");
	play_start_pool(&play, "3", "pool", "{}");
	assert_null(foreign(&play.instance, "INSERT INTO groups (job_id, name) "
					    "SELECT id, 'web' FROM jobs WHERE name = 'pool'"));
	name = foreign(&play.instance, "INSERT INTO groups (job_id, name) "
				       "SELECT id, 'web' FROM jobs WHERE name = 'pool.2'");
	assert_has(name, "with its first server");
	free(name);
	name = sql(&play.instance, "SELECT group_concat(name) FROM group_list");
	assert_string_equal(name, "a,pool");
	free(name);
	expect_gathered(JOBBERD(&play, "call", "-g", "web", "7"),
	    "{\"bad\":[],\"replies\":{\"a\":7,\"pool\":7}}");
	expect(JOBBERD(&play, "cast", "-g", "web", "8"), 0, "2\n", NULL);
	name = sql(&play.instance, "SELECT id FROM jobs WHERE kind = 'message' "
				   "AND json_extract(command, '$[1]') = '8'");
	expect(JOBBERD(&play, "wait", name), 0, NULL, NULL);
	free(name);
	play_done(&play);
}

static void
pool_is_in_the_groups_that_it_was_started_with(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play);
	expect(JOBBERD(&play, "start", "--durable", "--pool", "2", "--group", "web", "p", "--",
			SERVERS_DIRECTORY "/counter"), 0, NULL, NULL);
	expect(JOBBERD(&play, "whereis", "-g", "web"), 0, "1\n", NULL);
	play_done(&play);
}

/* ---- servers themselves ---- */

static void
server_joins_and_leaves_while_its_process_lives(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_start_with(&play, "--group=born", "--restart=transient", "a",
	    "{'do':[['who']]}");
	play_follow(&play);
	play_cast(&play, "a", "{'quiet':true,'do':[['join','own'],['join','own'],['leave','born'],"
			      "['leave','never'],['join','9']]}");
	play_until(&play, "join: error (group is not a name)");
	expect(JOBBERD(&play, "whereis", "-g", "own"), 0, "1\n", NULL);
	expect(JOBBERD(&play, "whereis", "-g", "born"), 4, "", "no live job");
	instance_kill_supervisor(&play.instance);
	expect(JOBBERD(&play, "cast", "-g", "own", "1"), 0, "1\n", NULL);
	kill((pid_t)sql_number(&play.instance, "SELECT pid FROM attempts"), SIGKILL);
	play_until(&play, "a 1 2 not durable"); /* its next process */
	expect(JOBBERD(&play, "whereis", "-g", "born"), 0, "1\n", NULL);
	expect(JOBBERD(&play, "whereis", "-g", "own"), 4, "", "no live job");
	play_cast(&play, "a", "{'quiet':true,'do':[['join','own'],['leave','own'],['join','x']]}");
	play_stop(&play, "a");
	assert_int_equal(sql_number(&play.instance, "SELECT count(*) FROM group_list"), 0);
	assert_int_equal(sql_number(&play.instance, "SELECT count(*) FROM groups"), 1);
	play_done(&play);
}

static void
what_was_joined_is_gone_with_the_keeper(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_start_with(&play, "--group=born", "--restart=permanent", "a", "{'do':[['who']]}");
	play_cast(&play, "a", "{'quiet':true,'do':[['join','own'],['leave','born']]}");
	play_follow(&play);
	play_until(&play, "leave: true");
	helper_end(&play.news);
	play.news = (struct helper){ .pidfd = 0 };
	instance_kill_keeper(&play.instance);
	expect(JOBBERD(&play, "whereis", "-g", "own"), 0, "1\n", NULL); /* not settled yet */
	instance_start(&play.instance, NULL);
	play_follow(&play);
	play_until(&play, "a 1 2 not durable");
	expect(JOBBERD(&play, "whereis", "-g", "own"), 4, "", "no live job");
	expect(JOBBERD(&play, "whereis", "-g", "born"), 0, "1\n", NULL);
	play_done(&play);
}

static void
server_calls_and_casts_to_groups(void **state) /* cases 116, 118 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	start_in(&play, "web", "a", "1");
	start_in(&play, "web", "asker", "2");
	play_cast(&play, "asker", "{'quiet':true,'do':[['multi_call','web','hi'],"
				  "['abcast','web','all'],['multi_call','nobody',1]]}");
	play_follow(&play);
	play_until(&play, "cast \"all\"");
	play_stop(&play, "asker");
	play_stop(&play, "a");
	/* It would wait for itself. */
	play_history(&play, "asker", "multi_call: [{\"a\":\"hi\"},[\"asker\"]]; "
				     "multi_call: [{},[]]; cast \"all\"; terminate normal 2");
	play_history(&play, "a", "call \"hi\"; cast \"all\"; terminate normal 1");
	play_done(&play);
}

/* All that is sent is part of the commit, or nothing is. */
static void
durable_server_commits_what_it_casts_to_a_group(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play);
	start_in(&play, "web", "a", "1");
	play_start_with(&play, "--group=web", "--durable", "kept", "{}");
	play_start_with(&play, "--group=none", "--durable", "asker", "{}");
	play_follow(&play);
	play_cast(&play, "asker", "{'quiet':true,'do':[['abcast','web','lost'],['exit',1]]}");
	play_cast(&play, "asker", "{'quiet':true,'do':[['abcast','web','sent']]}");
	play_until(&play, "cast \"sent\"");
	play_stop(&play, "a");
	play_stop(&play, "kept");
	play_history(&play, "a", "cast \"sent\"; terminate normal 1");
	play_history(&play, "kept", "cast \"sent\"; terminate normal 0");
	play_done(&play);
}

/* ---- what is recorded ---- */

static void
groups_are_shown_listed_and_pruned(void **state)
{
	struct play play;
	struct result result;

	(void)state;
	play_begin(&play);
	expect(jobberd_with_input(&play.instance,
			"{\"command\":[\"true\"],\"group\":[\"b\",\"a\",\"b\"],\"in\":\"1h\"}\n"
			"{\"command\":[\"true\"],\"group\":\"b\",\"in\":\"1h\"}\n",
			"submit", "--batch", NULL), 0, "1\n2\n", NULL);
	expect(JOBBERD(&play, "submit", "--group", "a", "--group", "c", "--in", "1h", "true"),
	    0, "3\n", NULL);
	expect(JOBBERD(&play, "submit", "--group", "a b", "true"), 2, "", "group");
	expect(JOBBERD(&play, "whereis", "-g", "b"), 0, "1\n2\n", NULL);
	expect(JOBBERD(&play, "list", "-H", "-g", "a", "-o", "id"), 0, "1\n3\n", NULL);
	result = JOBBERD(&play, "show", "1");
	assert_has(result.out, "a b\n");
	result_done(&result);
	result = JOBBERD(&play, "show", "--json", "3");
	assert_has(result.out, "\"groups\":[\"a\",\"c\"]");
	result_done(&result);
	expect(JOBBERD(&play, "cancel", "1", "2", "3"), 0, NULL, NULL);
	expect(JOBBERD(&play, "whereis", "-g", "b"), 4, "", "no live job");
	expect(JOBBERD(&play, "list", "-H", "-g", "b", "-o", "id", "--live"), 0, "", NULL);
	expect(JOBBERD(&play, "prune", "--status", "cancelled"), 0, NULL, NULL);
	assert_int_equal(sql_number(&play.instance, "SELECT count(*) FROM groups"), 0);
	play_done(&play);
}

static void
tree_tells_groups(void **state)
{
	struct play play;
	struct result result;

	(void)state;
	play_begin(&play);
	start_in(&play, "web", "a", "1");
	result = JOBBERD(&play, "tree", "--json");
	assert_has(result.out, "\"groups\":[\"web\"]");
	result_done(&result);
	play_done(&play);
}

/* Others may write what a job is described with, and nothing else. */
static void
foreign_writers_describe_jobs(void **state)
{
	static const struct {
		const char *statement, *refused;
	} rows[] = {
		{ "INSERT INTO groups (job_id, name) VALUES (1, 'sql')", NULL },
		{ "INSERT INTO groups (job_id, name) VALUES (77, 'sql')", "there is no such job" },
		{ "INSERT INTO groups (job_id, name) VALUES (1, 'a b')", "CHECK" },
		{ "INSERT INTO groups (job_id, name, attempt) VALUES (1, 'x', 1)", "itself joins" },
		{ "INSERT OR REPLACE INTO groups (job_id, name) VALUES (1, 'own')",
		    "itself joins" },
		{ "UPDATE groups SET name = 'y'", "insert and delete" },
		{ "DELETE FROM groups WHERE name = 'own'", "joined the group itself" },
		{ "DELETE FROM groups WHERE name = 'born'", NULL },
	};
	struct play play;

	(void)state;
	play_begin(&play);
	expect(play_try_start(&play, "--group=born", "a", "{'do':[['join','own']]}"), 0, NULL,
	    NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *message = foreign(&play.instance, rows[i].statement);

		if (rows[i].refused == NULL ? message != NULL
					    : message == NULL ||
				strstr(message, rows[i].refused) == NULL)
			fail_msg("%s: %s", rows[i].statement, message != NULL ? message : "done");
		free(message);
	}
	expect(JOBBERD(&play, "cast", "-g", "sql", "1"), 0, "1\n", NULL);
	expect(JOBBERD(&play, "cast", "-g", "born", "1"), 0, "0\n", NULL);
	play_done(&play);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(call_gathers_replies_and_names_who_gave_none),
		cmocka_unit_test(group_of_nobody_is_no_error),
		cmocka_unit_test(slow_member_holds_up_nobody),
		cmocka_unit_test(member_that_ends_is_bad_at_once),
		cmocka_unit_test(call_outlives_the_supervisor_process),
		cmocka_unit_test(requests_that_make_no_sense_are_refused),
		cmocka_unit_test(replies_that_have_no_place_are_bad),
		cmocka_unit_test(cast_and_send_reach_all_and_are_kept_for_the_durable),
		cmocka_unit_test(pool_is_one_member),
		cmocka_unit_test(pool_is_in_the_groups_that_it_was_started_with),
		cmocka_unit_test(server_joins_and_leaves_while_its_process_lives),
		cmocka_unit_test(what_was_joined_is_gone_with_the_keeper),
		cmocka_unit_test(server_calls_and_casts_to_groups),
		cmocka_unit_test(durable_server_commits_what_it_casts_to_a_group),
		cmocka_unit_test(groups_are_shown_listed_and_pruned),
		cmocka_unit_test(tree_tells_groups),
		cmocka_unit_test(foreign_writers_describe_jobs),
	};
	int status;

	if (play_is_puppet(argc, argv, &status))
		return status;
	return cmocka_run_group_tests_name("groups", tests, NULL, NULL);
}
