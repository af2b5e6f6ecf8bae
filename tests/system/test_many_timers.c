/*
 * many_timers: a server that sets timers without end has so many and no more, is told so, and
 * keeps nobody waiting when it ends with all of them.
 */

#include "base/xalloc.h"
#include "support/helper.h"
#include "support/system.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TIMERS "SELECT count(*) FROM messages WHERE wake_at IS NOT NULL"

/*
 * It answers ["set", N] with how many of N timers were set, were refused as overloaded and had
 * another answer; ["commit", N] with what a commit of N timers was answered; ["cancel", ID] with
 * whether time was left.
 */
static const char program[] =
    "import itertools, json, os, socket\n"
    "lines = socket.socket(fileno=int(os.environ['JOBBERD_FD'])).makefile('rw')\n"
    "def send(**m): lines.write(json.dumps({'jsonrpc': '2.0', **m}) + '\\n')\n"
    "def hear():\n"
    "    lines.flush(); line = lines.readline()\n"
    "    return hear() if line == '\\n' else json.loads(line)\n"
    "def ask(method, count=1, **params):\n"
    "    for i in range(count): send(id=next(ids), method=method, params=params)\n"
    "    return [hear() for i in range(count)]\n"
    "def word(m): return m['error']['message'] if 'error' in m else 'ok'\n"
    "timer = {'ms': 100000000, 'message': 'x' * 20}\n"
    "ids, last_ref = itertools.count(), 0\n"
    "while True:\n"
    "    m = hear(); result = True\n"
    "    if m['method'] == 'init': result = {'ok': True}\n"
    "    elif m['method'] == 'call':\n"
    "        what, number = m['params']['message']\n"
    "        if what == 'set':\n"
    "            words = [word(a) for a in ask('send_after', number, **timer)]\n"
    "            set, refused = words.count('ok'), words.count('overloaded')\n"
    "            result = [set, refused, number - set - refused]\n"
    "        elif what == 'commit':\n"
    "            refs = range(last_ref + 1, last_ref + 1 + number); last_ref += number\n"
    "            result = word(ask('commit', seq=None, state=number,\n"
    "                send_after=[{'ref': r, **timer} for r in refs])[0])\n"
    "        elif what == 'cancel':\n"
    "            result = ask('cancel_timer', timer=number)[0]['result'] > 0\n"
    "    if 'id' in m: send(id=m['id'], result=result); lines.flush()\n"
    "    if m['method'] == 'terminate': break\n";

struct scene {
	struct instance i;
	char path[300];
};

static void
begin(struct scene *scene)
{
	FILE *file;

	instance_init(&scene->i);
	snprintf(scene->path, sizeof(scene->path), "%s/many.py", scene->i.directory);
	file = fopen(scene->path, "w");
	assert_non_null(file);
	assert_true(fputs(program, file) >= 0 && fclose(file) == 0);
	instance_start(&scene->i, NULL);
}

static void
expect_out(struct result result, const char *out)
{
	if (result.status != 0 || (out != NULL && strcmp(result.out, out) != 0))
		fail_msg("exit %d, \"%s\", \"%s\" instead of \"%s\"", result.status, result.out,
		    result.err, out != NULL ? out : "…");
	result_done(&result);
}

#define START(scene, ...)                                                                    \
	expect_out(jobberd(&(scene)->i, "start", __VA_ARGS__, "--", "python3", (scene)->path,     \
		   NULL), NULL)

static void
expect_call(struct scene *scene, const char *name, const char *message, const char *reply)
{
	expect_out(jobberd(&scene->i, "call", "--timeout", "60s", name, message, NULL), reply);
}

static void
server_has_ten_thousand_timers_and_others_have_theirs(void **state)
{
	struct scene scene;

	(void)state;
	begin(&scene);
	START(&scene, "many");
	START(&scene, "other");
	expect_call(&scene, "many", "[\"set\", 9000]", "[9000,0,0]\n");
	expect_call(&scene, "many", "[\"set\", 3000]", "[1000,2000,0]\n");
	expect_call(&scene, "other", "[\"set\", 3]", "[3,0,0]\n");
	assert_int_equal(sql_number(&scene.i, TIMERS), 10003);
	/* Who has one less may set one more, also after another supervisor process has come. */
	expect_call(&scene, "many", "[\"cancel\", 7]", "true\n");
	expect_call(&scene, "many", "[\"set\", 2]", "[1,1,0]\n");
	instance_kill_supervisor(&scene.i);
	expect_call(&scene, "many", "[\"set\", 1]", "[0,1,0]\n");
	expect_call(&scene, "many", "[\"cancel\", 8]", "true\n");
	expect_call(&scene, "many", "[\"set\", 2]", "[1,1,0]\n");
	expect_out(jobberd(&scene.i, "stop", "many", NULL), "");
	/* They go in several turns, and others have theirs between them. */
	for (int i = 0; i < 1000 && sql_number(&scene.i, TIMERS) > 3; i++)
		expect_call(&scene, "other", "[\"set\", 0]", "[0,0,0]\n");
	assert_int_equal(sql_number(&scene.i, TIMERS), 3);
	instance_finish(&scene.i);
}

static void
commit_with_more_timers_than_there_is_room_for_is_refused_whole(void **state)
{
	struct scene scene;

	(void)state;
	begin(&scene);
	START(&scene, "--durable", "many");
	expect_call(&scene, "many", "[\"commit\", 10001]", "\"overloaded\"\n");
	assert_int_equal(sql_number(&scene.i, TIMERS), 0);
	expect_call(&scene, "many", "[\"commit\", 9999]", "\"ok\"\n");
	expect_call(&scene, "many", "[\"commit\", 2]", "\"overloaded\"\n");
	assert_int_equal(sql_number(&scene.i, "SELECT state FROM servers"), 9999);
	expect_call(&scene, "many", "[\"commit\", 1]", "\"ok\"\n");
	expect_call(&scene, "many", "[\"set\", 1]", "[0,1,0]\n");
	expect_call(&scene, "many", "[\"commit\", 0]", "\"ok\"\n");
	assert_int_equal(sql_number(&scene.i, TIMERS), 10000);
	instance_finish(&scene.i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(server_has_ten_thousand_timers_and_others_have_theirs),
		cmocka_unit_test(commit_with_more_timers_than_there_is_room_for_is_refused_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
