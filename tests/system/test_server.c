/* server: the GenServer's story on the command line, with a server of some lines of Python. */

#include "base/xalloc.h"
#include "cli/client.h"
#include "support/helper.h"
#include "support/outside.h"
#include "support/system.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char program[] =
    "import json, os, socket, time\n"
    "s = socket.socket(fileno=int(os.environ['JOBBERD_FD']))\n"
    "lines, state = s.makefile('r'), 0\n"
    "def send(**m):\n"
    "    s.sendall(json.dumps({'jsonrpc': '2.0', **m}).encode() + b'\\n')\n"
    "for line in lines:\n"
    "    if line == '\\n': continue\n"
    "    m = json.loads(line); p = m.get('params', {})\n"
    "    if m['method'] == 'init':\n"
    "        a = p['args'][1:]\n"
    "        send(id=m['id'], result={a[0]: True} if a else {'ok': True})\n"
    "        if a: break\n"
    "    elif m['method'] == 'call':\n"
    "        msg = p['message']\n"
    "        if msg == 'get': send(id=m['id'], result=state)\n"
    "        elif msg == 'crash': os.abort()\n"
    "        elif msg == 'bad': send(id=m['id'], error={'code': 9, 'message': 'no such thing'})\n"
    "        elif isinstance(msg, list) and msg[0] == 'after':\n"
    "            if len(msg) > 2: open(msg[2], 'w').write('here\\n')\n"
    "            open(msg[1]).read(); send(id=m['id'], result='at last')\n"
    "        else: send(id=m['id'], result=msg)\n"
    "    elif m['method'] in ('cast', 'info'): state = state * 10 + p['message']\n"
    "    elif m['method'] == 'terminate':\n"
    "        send(id=m['id'], result=True); break\n";

#define RUN(i, ...) jobberd(i, __VA_ARGS__, NULL)

struct scene {
	struct instance instance;
	char path[300];
};

static void
begin(struct scene *scene)
{
	FILE *file;

	instance_init(&scene->instance);
	snprintf(scene->path, sizeof(scene->path), "%s/server.py", scene->instance.directory);
	file = fopen(scene->path, "w");
	assert_non_null(file);
	assert_int_equal(fputs(program, file) >= 0 && fclose(file) == 0, 1);
	instance_start(&scene->instance, NULL);
}

#define START(scene, name, ...)                                                              \
	jobberd(&(scene)->instance, "start", name, "--", "python3", (scene)->path,            \
	    __VA_ARGS__, NULL)

static void
start(struct scene *scene)
{
	expect(jobberd(&scene->instance, "start", "c", "--", "python3", scene->path, NULL), 0,
	    "1\n", NULL);
}

#define CALL(scene, ...) jobberd(&(scene)->instance, "call", __VA_ARGS__, NULL)

/* cases 1, 18, 53, 79, 81, 102, 111 */
static void
server_is_started_talked_to_and_stopped(void **state)
{
	struct scene scene;

	(void)state;
	begin(&scene);
	start(&scene);
	expect(CALL(&scene, "c", "get"), 0, "0\n", NULL);
	for (int i = 1; i <= 4; i++) {
		char digit[2] = { (char)('0' + i), '\0' };

		expect(jobberd(&scene.instance, i == 3 ? "send" : "cast", "c", digit, NULL), 0,
		    "", NULL);
	}
	expect(CALL(&scene, "c", "get"), 0, "1234\n", NULL);
	expect(CALL(&scene, "c", "a", "{\"b\":[1]}", "2"), 0, "[\"a\",{\"b\":[1]},2]\n", NULL);
	expect(CALL(&scene, "-t", "c", "x", "2"), 0, "[\"x\",\"2\"]\n", NULL);
	expect(CALL(&scene, "-r", "c", "word"), 0, "word\n", NULL);
	expect(jobberd_with_input(&scene.instance, "{\"c\":1}", "call", "c", "-", NULL), 0,
	    "{\"c\":1}\n", NULL);
	expect(CALL(&scene, "1", "by id"), 0, "\"by id\"\n", NULL);
	expect(CALL(&scene, "c", "bad"), 1, "", "no such thing");
	expect(jobberd(&scene.instance, "stop", "c", NULL), 0, "", NULL);
	expect(jobberd(&scene.instance, "stop", "c", NULL), 4, "", "noproc");
	expect(CALL(&scene, "c", "get"), 4, "", "noproc");
	expect(jobberd(&scene.instance, "cast", "c", "1", NULL), 4, "", "noproc");
	assert_int_equal(sql_number(&scene.instance, "SELECT count(*) FROM job_list WHERE "
						     "status = 'done' AND reason = 'normal'"), 1);
	instance_finish(&scene.instance);
}

/* cases 4, 5, 6, 12 */
static void
start_answers_when_init_has(void **state)
{
	struct scene scene;

	(void)state;
	begin(&scene);
	start(&scene);
	expect(START(&scene, "c", "ok", "1"), 5, "1\n", "already_started");
	expect(START(&scene, "d", "ignore", "1"), 1, NULL, "ignore");
	expect(jobberd(&scene.instance, "start", "e", "--", "false", NULL), 70, "", "exit 1");
	expect(jobberd(&scene.instance, "start", "e", "--", "/nowhere/x", NULL), 70, "",
	    "No such file");
	expect(jobberd(&scene.instance, "start", "--init-timeout", "50ms", "f", "--", "sleep",
		   "60", NULL), 124, "", "timeout");
	expect(jobberd_with_input(&scene.instance,
		   "{\"command\":[\"true\"],\"kind\":\"server\",\"name\":\"b\"}\n", "submit",
		   "--batch", NULL), 2, "", "started with start");
	expect(jobberd(&scene.instance, "start", "g", NULL), 4, "", "no server of this name");
	expect(jobberd(&scene.instance, "start", "--max-retries", "3", "h", "--", "x", NULL), 2,
	    "", "not for a server");
	assert_int_equal(sql_number(&scene.instance,
	    "SELECT count(*) FROM attempts WHERE job_id > 1 AND attempt > 1"), 0);
	instance_finish(&scene.instance);
}

/* The reason of the end of a server whose init has answered this. */
static char *
reason_of_init_answer(struct instance *instance, const char *answer)
{
	char *script = xasprintf("read l <&3; printf '%%s\\n' "
				 "'{\"jsonrpc\":\"2.0\",\"id\":\"init\",\"result\":%s}' >&3",
	    answer);

	expect(RUN(instance, "start", "r", "--", "sh", "-c", script), 70, "", "bad_return_value");
	free(script);
	return sql(instance, "SELECT reason FROM attempts ORDER BY job_id DESC LIMIT 1");
}

static void
init_that_answers_rubbish_is_told_with_what_it_was(void **state) /* case 8 */
{
	static const char *const answers[] = { "42", "null", "{\"what\":[\"\\n\"]}",
		"{\"ok\":false}" };
	char wanted[200], answer[400], *reason;
	struct scene scene;

	(void)state;
	begin(&scene);
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		reason = reason_of_init_answer(&scene.instance, answers[i]);
		snprintf(wanted, sizeof(wanted), "{\"bad_return_value\":%s}", answers[i]);
		assert_string_equal(reason, wanted);
		free(reason);
	}
	/* too long for a reason: as text, cut off */
	snprintf(answer, sizeof(answer), "[\"%0300d\"]", 0);
	reason = reason_of_init_answer(&scene.instance, answer);
	snprintf(wanted, sizeof(wanted), "{\"bad_return_value\":\"[\\\"%090d…\"}", 0);
	assert_string_equal(reason, wanted);
	free(reason);
	instance_finish(&scene.instance);
}

/* A whole name is no abbreviation: --in was taken as --init-timeout. */
static void
start_refuses_options_that_are_for_commands(void **state)
{
	static const char sentence[] = "is for commands: a server is restarted as";
	struct scene scene;

	(void)state;
	begin(&scene);
	expect(RUN(&scene.instance, "start", "--in", "300ms", "z", "--", "x"), 2, "", sentence);
	expect(RUN(&scene.instance, "start", "--in=300ms", "z", "--", "x"), 2, "", "--in is for");
	expect(RUN(&scene.instance, "start", "--at", "12:00", "z", "--", "x"), 2, "", sentence);
	expect(RUN(&scene.instance, "start", "--once", "--hold", "z", "--", "x"), 2, "", sentence);
	expect(RUN(&scene.instance, "start", "-i", "-", "z", "--", "x"), 2, "", "--stdin is for");
	expect(RUN(&scene.instance, "start", "-n", "y", "z", "--", "x"), 2, "",
	    "start: the name is given as an argument");
	expect(RUN(&scene.instance, "start", "--init", "1ms", "z", "--", "sleep", "60"), 124, "",
	    "timeout");
	expect(RUN(&scene.instance, "submit", "--watchdog", "1s", "--", "x"), 2, "",
	    "submit: --watchdog is only for a server");
	assert_int_equal(sql_number(&scene.instance, "SELECT count(*) FROM jobs"), 1);
	instance_finish(&scene.instance);
}

/* cases 21, 127: the caller is told at once, and the server is there again */
static void
crash_is_told_to_the_caller_and_the_server_is_started_again(void **state)
{
	struct scene scene;

	(void)state;
	begin(&scene);
	start(&scene);
	expect(jobberd(&scene.instance, "cast", "c", "7", NULL), 0, "", NULL);
	expect(CALL(&scene, "c", "crash"), 70, "", "killed by SIGABRT");
	instance_expect(&scene.instance, "ready attempt=2");
	expect(CALL(&scene, "c", "get"), 0, "0\n", NULL);
	instance_finish(&scene.instance);
}

/* case 131, with its budget: three restarts, and the fourth crash is the last */
static void
server_that_crashes_too_often_is_given_up(void **state)
{
	struct scene scene;

	(void)state;
	begin(&scene);
	assert_int_equal(sql_number(&scene.instance, "SELECT max_restarts = 3 AND max_seconds = 5 "
						     "FROM supervisors WHERE name = 'servers'"),
	    1);
	/* A slow machine crashes it less often in that time. */
	expect(jobberd(&scene.instance, "supervisor", "set", "servers", "--max-seconds", "60",
		   NULL), 0, NULL, NULL);
	start(&scene);
	for (int i = 2; i <= 5; i++) {
		char line[32];

		expect(CALL(&scene, "c", "crash"), 70, "", "killed by SIGABRT");
		snprintf(line, sizeof(line), i <= 4 ? "ready attempt=%d" : "exiting status=failed",
		    i);
		instance_expect(&scene.instance, line);
	}
	expect(CALL(&scene, "c", "get"), 4, "", "noproc");
	assert_int_equal(sql_number(&scene.instance,
	    "SELECT restarts FROM server_list WHERE reason = 'max_restarts'"), 3);
	expect(jobberd(&scene.instance, "start", "c", NULL), 0, "1\n", NULL);
	expect(CALL(&scene, "c", "get"), 0, "0\n", NULL);
	instance_finish(&scene.instance);
}

/* cases 35, 36 */
static void
call_that_takes_too_long_is_given_up_and_carried_out(void **state)
{
	struct scene scene;
	char *fifo;

	(void)state;
	begin(&scene);
	start(&scene);
	fifo = fifo_make(&scene.instance, "go");
	expect(CALL(&scene, "--timeout", "50ms", "c", "after", fifo), 124, "", "timeout");
	expect(jobberd(&scene.instance, "cast", "c", "5", NULL), 0, "", NULL);
	fifo_write(fifo, "go\n");
	expect(CALL(&scene, "c", "get"), 0, "5\n", NULL);
	free(fifo);
	instance_finish(&scene.instance);
}

/* The supervisor process is killed: state, callers and the next ones are none the worse. */
static void
server_and_its_caller_outlive_the_supervisor_process(void **state)
{
	struct scene scene;
	struct helper caller;
	char *go, *here;

	(void)state;
	begin(&scene);
	start(&scene);
	go = fifo_make(&scene.instance, "go");
	here = fifo_make(&scene.instance, "here");
	expect(jobberd(&scene.instance, "cast", "c", "7", NULL), 0, "", NULL);
	helper_jobberd(&caller, &scene.instance, NULL, "call", "c", "after", go, here, NULL);
	free(fifo_read(here));
	instance_kill_supervisor(&scene.instance);
	fifo_write(go, "go\n");
	assert_int_equal(helper_wait(&caller), 0);
	assert_string_equal(caller.out.text, "\"at last\"\n");
	helper_end(&caller);
	free(here);
	expect(CALL(&scene, "c", "get"), 0, "7\n", NULL);
	assert_int_equal(sql_number(&scene.instance, "SELECT count(*) FROM attempts"), 1);
	free(go);
	instance_finish(&scene.instance);
}

/*
 * The answer is written while no supervisor process is there to hear it, and its caller comes
 * back later than it: one that does not remember calls is not asked again, and need not be.
 */
static void
answer_that_came_before_its_caller_is_kept(void **state)
{
	struct scene scene;
	struct helper caller;
	char *go, *here;

	(void)state;
	begin(&scene);
	start(&scene);
	go = fifo_make(&scene.instance, "go");
	here = fifo_make(&scene.instance, "here");
	helper_jobberd(&caller, &scene.instance, NULL, "call", "c", "after", go, here, NULL);
	free(fifo_read(here));
	assert_int_equal(kill(caller.pid, SIGSTOP), 0);
	instance_kill_supervisor(&scene.instance);
	fifo_write(go, "go\n");
	/* Behind the answer, so that has been heard. */
	expect(CALL(&scene, "c", "get"), 0, "0\n", NULL);
	assert_int_equal(kill(caller.pid, SIGCONT), 0);
	assert_int_equal(helper_wait(&caller), 0);
	assert_string_equal(caller.out.text, "\"at last\"\n");
	helper_end(&caller);
	free(here);
	free(go);
	instance_finish(&scene.instance);
}

/* case 59: one connection sends a stop, and a cast and a call behind it */
static void
nothing_is_handled_behind_a_stop(void **state)
{
	struct client_connection connection;
	struct scene scene;
	struct error error;

	(void)state;
	begin(&scene);
	start(&scene);
	assert_int_equal(client_open(&connection, scene.instance.state, &error), 0);
	client_send(&connection, "stop", json_pack("{s:s}", "to", "c"), &error);
	client_send(&connection, "cast", json_pack("{s:s, s:s}", "to", "c", "message", "no number"),
	    &error);
	client_send(&connection, "call", json_pack("{s:s, s:s}", "to", "c", "message", "get"),
	    &error);
	for (int i = 0; i < 3; i++) {
		struct rpc_message answer;

		assert_int_equal(
		    client_receive(&connection, PATIENCE_MS, false, &answer, &error), 1);
		/* 3: the call fails with the reason of the end. */
		if (json_integer_value(answer.id) == 3) {
			assert_int_equal(answer.kind, RPC_ERROR);
			assert_int_equal(answer.code, STATUS_INTERNAL);
			assert_string_equal(answer.message, "normal");
		} else
			assert_int_equal(answer.kind, RPC_RESULT);
		rpc_message_done(&answer);
	}
	client_close(&connection);
	/* The cast would have crashed it. */
	assert_int_equal(sql_number(&scene.instance, "SELECT count(*) FROM job_list WHERE "
						     "status = 'done' AND reason = 'normal'"), 1);
	instance_finish(&scene.instance);
}

static void
server_that_is_being_stopped_is_said_to_be_without_an_empty_reason(void **state)
{
	struct helper caller, stopper;
	struct result result;
	struct scene scene;
	char *go, *here;

	(void)state;
	begin(&scene);
	start(&scene);
	go = fifo_make(&scene.instance, "go");
	here = fifo_make(&scene.instance, "here");
	helper_jobberd(&caller, &scene.instance, NULL, "call", "c", "after", go, here, NULL);
	free(fifo_read(here));
	helper_jobberd(&stopper, &scene.instance, NULL, "stop", "c", NULL);
	wait_sql(&scene.instance, "SELECT count(*) FROM attempts WHERE stop_reason = 'normal'");
	expect(RUN(&scene.instance, "list", "-H", "-o", "why"), 0, "being ended\n", "");
	expect(RUN(&scene.instance, "attempts", "-H", "-o", "why", "c"), 0, "being ended\n", "");
	result = RUN(&scene.instance, "why", "c");
	assert_non_null(strstr(result.out, " s, being ended\n"));
	result_done(&result);
	fifo_write(go, "go\n");
	free(here);
	free(go);
	assert_int_equal(helper_wait(&stopper), 0);
	helper_end(&stopper);
	helper_wait(&caller);
	helper_end(&caller);
	instance_finish(&scene.instance);
}

/* The keeper is killed: the server ends with its stream, and the next supervise starts it. */
static void
server_is_started_again_by_the_next_supervise(void **state)
{
	struct scene scene;

	(void)state;
	begin(&scene);
	start(&scene);
	instance_kill_keeper(&scene.instance);
	instance_start(&scene.instance, NULL);
	instance_expect(&scene.instance, "ready attempt=2");
	expect(CALL(&scene, "c", "get"), 0, "0\n", NULL);
	instance_stop(&scene.instance);
	instance_start(&scene.instance, NULL);
	instance_expect(&scene.instance, "ready attempt=3");
	instance_finish(&scene.instance);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(server_is_started_talked_to_and_stopped),
		cmocka_unit_test(start_answers_when_init_has),
		cmocka_unit_test(init_that_answers_rubbish_is_told_with_what_it_was),
		cmocka_unit_test(start_refuses_options_that_are_for_commands),
		cmocka_unit_test(crash_is_told_to_the_caller_and_the_server_is_started_again),
		cmocka_unit_test(server_that_crashes_too_often_is_given_up),
		cmocka_unit_test(call_that_takes_too_long_is_given_up_and_carried_out),
		cmocka_unit_test(server_and_its_caller_outlive_the_supervisor_process),
		cmocka_unit_test(answer_that_came_before_its_caller_is_kept),
		cmocka_unit_test(nothing_is_handled_behind_a_stop),
		cmocka_unit_test(
		    server_that_is_being_stopped_is_said_to_be_without_an_empty_reason),
		cmocka_unit_test(server_is_started_again_by_the_next_supervise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
