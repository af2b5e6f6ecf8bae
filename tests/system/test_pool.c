/* pool: several servers with one mailbox, whose messages are jobs. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/xalloc.h"
#include "support/example.h"
#include "support/helper.h"
#include "support/outside.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A member: does what the message says. */
static const char member[] =
    "import json, os, signal, socket, sys\n"
    "stream = socket.socket(fileno=int(os.environ['JOBBERD_FD']))\n"
    "def answer(request, **more):\n"
    "    line = json.dumps({'jsonrpc': '2.0', 'id': request['id'], **more})\n"
    "    stream.sendall(line.encode() + b'\\n')\n"
    "def work(what, request):\n"
    "    if what == 'pid':\n"
    "        answer(request, result=os.getpid())\n"
    "    elif what == 'fail':\n"
    "        answer(request, error={'code': 1, 'message': 'no luck', 'data': [7]})\n"
    "    elif what == 'never':\n"
    "        answer(request, error={'code': 100, 'message': 'no use'})\n"
    "    elif what == 'crash':\n"
    "        os.kill(os.getpid(), signal.SIGSEGV)\n"
    "    elif what == 'leave':\n"
    "        sys.exit(0)\n"
    "    elif what[0] == 'note':\n"
    "        with open(what[1], 'a') as file:\n"
    "            file.write('%d\\n' % request['params']['job'])\n"
    "        answer(request, result=request['params']['attempt'])\n"
    "    elif what[0] == 'wait':\n" /* ring, and go on when the other fifo is written to */
    "        with open(what[1], 'w') as bell:\n"
    "            bell.write('%d\\n' % os.getpid())\n"
    "        open(what[2]).read()\n"
    "        answer(request, result='waited')\n"
    "    elif what[0] == 'crash':\n" /* however long it is */
    "        os.kill(os.getpid(), signal.SIGSEGV)\n"
    "    elif what[0] == 'add':\n"
    "        answer(request, result=what[1])\n"
    "for line in stream.makefile('rb'):\n"
    "    message = json.loads(line) if line.strip() else {}\n"
    "    if message.get('method') == 'init':\n"
    "        answer(message, result={'ok': True, 'trap_exit': 'trap' in sys.argv})\n"
    "    elif message.get('method') == 'call':\n"
    "        work(message['params']['message'], message)\n"
    "    elif message.get('method') == 'terminate':\n"
    "        answer(message, result=True)\n"
    "        break\n";

struct scene {
	struct instance i;
	char path[300];
	struct bell bell;
	char *go, *wait; /* a fifo, and the message that waits for it */
};

static void
scene_init(struct scene *scene)
{
	FILE *file;

	instance_init(&scene->i);
	snprintf(scene->path, sizeof(scene->path), "%s/member.py", scene->i.directory);
	file = fopen(scene->path, "w");
	assert_non_null(file);
	assert_true(fputs(member, file) >= 0 && fclose(file) == 0);
	bell_init(&scene->bell, &scene->i, "bell");
	scene->go = fifo_make(&scene->i, "go");
	scene->wait = xasprintf("[\"wait\", \"%s\", \"%s\"]", scene->bell.path, scene->go);
	instance_start(&scene->i, NULL);
}

static void
scene_done(struct scene *scene)
{
	bell_done(&scene->bell);
	free(scene->go);
	free(scene->wait);
	instance_finish(&scene->i);
}

#define START(scene, ...)                                                                    \
	expect(jobberd(&(scene)->i, "start", "--durable", "--backoff", "constant:1ms",        \
		   __VA_ARGS__, "p", "--", "python3", (scene)->path, NULL), 0, "1\n", NULL)

static int64_t
cast(struct scene *scene, const char *message)
{
	struct result result = jobberd(&scene->i, "cast", "p", message, NULL);
	int64_t id = strtoll(result.out, NULL, 10);

	assert_int_equal(result.status, 0);
	assert_true(id > 0);
	result_done(&result);
	return id;
}

static char *
column(struct scene *scene, int64_t job, const char *name)
{
	char *statement = xasprintf(
	    "SELECT %s FROM job_list WHERE id = %" PRId64, name, job);
	char *text = sql(&scene->i, statement);

	free(statement);
	return text;
}

static void
assert_column(struct scene *scene, int64_t job, const char *name, const char *wanted)
{
	char *text = column(scene, job, name);

	assert_string_equal(text, wanted);
	free(text);
}

/* Wait for a line, and look for this in it. */
static void
expect_line(FILE *in, const char *wanted)
{
	char *line = NULL;
	size_t room = 0;

	assert_true(getline(&line, &room, in) > 0);
	assert_has(line, wanted);
	free(line);
}

/* A line on the control socket, and its answer. */
static void
say_and_hear(struct instance *i, const char *line, const char *wanted)
{
	int fd = connect_client(i);
	FILE *in = fdopen(fd, "r");
	size_t length = strlen(line), said = 0;

	while (said < length) {
		ssize_t wrote = write(fd, line + said, length - said);

		assert_true(wrote > 0);
		said += (size_t)wrote;
	}
	expect_line(in, wanted);
	fclose(in);
}

static void
message_is_a_job_and_its_reply_the_result(void **state)
{
	struct scene scene;
	int64_t id;

	(void)state;
	scene_init(&scene);
	START(&scene, "--pool", "2");
	id = cast(&scene, "[\"note\", \"/dev/null\"]");
	assert_int_equal(wait_job(&scene.i, id), 0);
	assert_column(&scene, id, "status", "done");
	assert_column(&scene, id, "result", "1");
	assert_column(&scene, id, "supervisor", "p");
	assert_int_equal(sql_number(&scene.i,
	    "SELECT count(*) FROM attempts a JOIN servers s ON s.job_id = a.member "
	    "WHERE s.pool = 1 AND a.reason = 'normal' AND a.pid = (SELECT m.pid "
	    "FROM attempts m WHERE m.job_id = a.member)"), 1);
	expect(jobberd(&scene.i, "call", "p", "[\"note\", \"/dev/null\"]", NULL), 0, "1\n", NULL);
	expect(jobberd(&scene.i, "send", "1", "pid", NULL), 0, "5\n", NULL); /* by its id */
	assert_int_equal(wait_job(&scene.i, 5), 0);
	scene_done(&scene);
}

static void
messages_are_handled_side_by_side_one_at_each_member(void **state)
{
	struct scene scene;
	int64_t first, second, third;
	int64_t pids[2];
	char *other, *other_wait;

	(void)state;
	scene_init(&scene);
	other = fifo_make(&scene.i, "other");
	other_wait = xasprintf("[\"wait\", \"%s\", \"%s\"]", scene.bell.path, other);
	START(&scene, "--pool", "2");
	instance_expect(&scene.i, "job=2 ready");
	first = cast(&scene, scene.wait);
	second = cast(&scene, other_wait);
	third = cast(&scene, "pid");
	pids[0] = bell_number(&scene.bell);
	pids[1] = bell_number(&scene.bell);
	assert_true(pids[0] != pids[1]);
	assert_column(&scene, third, "status", "new");
	expect(jobberd(&scene.i, "why", "5", NULL), 0, "no free place (2 of 2), 1st in line\n",
	    NULL);
	fifo_write(scene.go, "x");
	assert_int_equal(wait_job(&scene.i, third), 0);
	fifo_write(other, "x");
	assert_int_equal(wait_job(&scene.i, first), 0);
	assert_int_equal(wait_job(&scene.i, second), 0);
	free(other_wait);
	free(other);
	scene_done(&scene);
}

static void
error_reply_is_a_failure_and_retried(void **state)
{
	struct scene scene;
	int64_t id;

	(void)state;
	scene_init(&scene);
	START(&scene, "--pool", "1", "--max-retries", "2");
	expect(jobberd(&scene.i, "call", "p", "fail", NULL), 1, "", "no luck [7]");
	assert_column(&scene, 2, "status", "failed");
	assert_column(&scene, 2, "tries", "3");
	assert_column(&scene, 2, "reason", "error: no luck [7]");
	id = cast(&scene, "never");
	assert_int_equal(wait_job(&scene.i, id), 1);
	assert_column(&scene, id, "tries", "1");
	/* The process was not to blame. */
	assert_int_equal(
	    sql_number(&scene.i, "SELECT count(*) FROM attempts WHERE job_id = 1"), 1);
	scene_done(&scene);
}

static void
crash_over_a_message_is_counted_against_the_message(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene);
	START(&scene, "--pool", "1", "--max-retries", "5");
	expect(jobberd(&scene.i, "call", "p", "crash", "--timeout", "60s", NULL), 70, "",
	    "message 2: killed by SIGSEGV");
	assert_column(&scene, 2, "tries", "6");
	/* Six crashes within five seconds, and the server runs. */
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM attempts WHERE job_id = 1 "
					      "AND reason GLOB 'signal:SEGV*'"), 6);
	expect(jobberd(&scene.i, "call", "p", "leave", "--timeout", "60s", NULL), 70, "",
	    "its process ended without an answer");
	expect(jobberd(&scene.i, "call", "p", "pid", "--timeout", "60s", NULL), 0, NULL, NULL);
	scene_done(&scene);
}

/* More than fits into a socket: it is written in pieces, and has started when it is all there. */
static void
large_message_is_one_failure_when_its_process_crashes(void **state)
{
	struct scene scene;
	char *message;

	(void)state;
	scene_init(&scene);
	START(&scene, "--pool", "1", "--max-retries", "0");
	message = xasprintf("[\"crash\", \"%0*d\"]", 100000, 7);
	for (int n = 2; n <= 3; n++) {
		assert_int_equal(cast(&scene, message), n);
		assert_int_equal(wait_job(&scene.i, n), 1);
		assert_column(&scene, n, "tries", "1");
	}
	free(message);
	message = xasprintf("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"cast\",\"params\":"
			    "{\"to\":\"p\",\"message\":[\"crash\",\"%0*d\"]}}\n", 900000, 7);
	say_and_hear(&scene.i, message, "\"id\":4");
	free(message);
	assert_int_equal(wait_job(&scene.i, 4), 1);
	assert_column(&scene, 4, "tries", "1");
	scene_done(&scene);
}

static void
message_that_takes_too_long_fails_and_its_process_is_new(void **state)
{
	struct scene scene;
	int64_t id, pid;
	char *after;

	(void)state;
	scene_init(&scene);
	START(&scene, "--pool", "1", "--max-retries", "0", "--timeout", "100ms");
	id = cast(&scene, scene.wait);
	pid = bell_number(&scene.bell);
	assert_int_equal(wait_job(&scene.i, id), 1);
	assert_column(&scene, id, "reason", "timeout");
	wait_gone((pid_t)pid);
	instance_expect(&scene.i, "job=1 ready attempt=2");
	after = sql(&scene.i, "SELECT reason FROM attempts WHERE job_id = 1 AND attempt = 1");
	assert_string_equal(after, "interrupted");
	free(after);
	scene_done(&scene);
}

static void
cancel_of_a_message_ends_its_process(void **state)
{
	struct scene scene;
	int64_t id, pid;
	char word[32];

	(void)state;
	scene_init(&scene);
	START(&scene, "--pool", "1");
	id = cast(&scene, scene.wait);
	pid = bell_number(&scene.bell);
	snprintf(word, sizeof(word), "%" PRId64, id);
	expect(jobberd(&scene.i, "cancel", word, NULL), 0, NULL, NULL);
	assert_int_equal(wait_job(&scene.i, id), 1);
	assert_column(&scene, id, "status", "cancelled");
	wait_gone((pid_t)pid);
	expect(jobberd(&scene.i, "call", "p", "[\"note\", \"/dev/null\"]", "--timeout", "60s",
		   NULL), 0, "1\n", NULL);
	scene_done(&scene);
}

static void
process_is_started_anew_after_max_messages(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene);
	START(&scene, "--pool", "1", "--max-messages", "3");
	for (int n = 0; n < 10; n++)
		expect(jobberd(&scene.i, "call", "p", "pid", "--timeout", "60s", NULL), 0, NULL,
		    NULL);
	assert_int_equal(sql_number(&scene.i, "SELECT count(DISTINCT result) FROM jobs "
					      "WHERE kind = 'message'"), 4);
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM events WHERE event = "
					      "'recycled' AND detail = 'after 3 messages'"), 3);
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM attempts WHERE job_id > 1 "
					      "AND attempt > 1"), 0);
	scene_done(&scene);
}

/* ---- it is stopped and started ---- */

/*
 * Ask for its end; once a question behind that is answered it has been begun, and has not
 * been reached. To be passed to await_stop().
 */
static FILE *
begin_stop(struct scene *scene)
{
	FILE *stream = fdopen(connect_client(&scene->i), "r+");

	assert_non_null(stream);
	fputs("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"stop\",\"params\":{\"to\":\"p\"}}\n"
	      "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"status\"}\n", stream);
	assert_int_equal(fflush(stream), 0);
	expect_line(stream, "\"id\":2");
	return stream;
}

static void
await_stop(FILE *stream)
{
	expect_line(stream, "\"id\":1");
	fclose(stream);
}

static void
stop_ends_all_and_start_begins_all_and_messages_wait(void **state)
{
	struct scene scene;
	FILE *stop;
	int64_t first, id;

	(void)state;
	scene_init(&scene);
	START(&scene, "--pool", "1");
	first = cast(&scene, scene.wait);
	id = cast(&scene, "pid");
	free(bell_wait(&scene.bell));
	stop = begin_stop(&scene); /* until it has done what it is at */
	fifo_write(scene.go, "x");
	await_stop(stop);
	assert_int_equal(wait_job(&scene.i, first), 0);
	assert_int_equal(
	    sql_number(&scene.i, "SELECT count(*) FROM attempts WHERE ended_at IS NULL"), 0);
	assert_column(&scene, id, "status", "new");
	expect(jobberd(&scene.i, "why", "3", NULL), 0, "no process of its pool runs\n", NULL);
	expect(jobberd(&scene.i, "call", "p", "pid", NULL), 4, "", "noproc");
	expect(jobberd(&scene.i, "cast", "p", "pid", NULL), 4, "", "noproc");
	expect(jobberd(&scene.i, "start", "p", NULL), 0, "1\n", NULL);
	assert_int_equal(wait_job(&scene.i, id), 0);
	scene_done(&scene);
}

static void
pool_ends_and_begins_as_one(void **state)
{
	struct scene scene;
	FILE *stop;
	int64_t id;

	(void)state;
	scene_init(&scene);
	START(&scene, "--pool", "3");
	instance_expect(&scene.i, "job=2 ready");
	instance_expect(&scene.i, "job=3 ready");
	id = cast(&scene, scene.wait);
	free(bell_wait(&scene.bell));
	stop = begin_stop(&scene);
	fifo_write(scene.go, "x");
	await_stop(stop);
	assert_int_equal(wait_job(&scene.i, id), 0);
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM job_list WHERE id <= 3 "
					      "AND status = 'done' AND reason = 'normal'"), 3);
	expect(jobberd(&scene.i, "start", "p", NULL), 0, "1\n", NULL);
	id = cast(&scene, scene.wait);
	free(bell_wait(&scene.bell));
	/* Without asking its processes. */
	expect(jobberd(&scene.i, "cancel", "p", NULL), 0, NULL, NULL);
	for (int64_t job = 1; job <= 3; job++)
		wait_job(&scene.i, job);
	assert_column(&scene, id, "status", "new");
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM job_list WHERE id <= 3 "
					      "AND status = 'cancelled'"), 3);
	scene_done(&scene);
}

static void
check_stop_of_what_takes_too_long(const char *word)
{
	struct scene scene;
	struct helper stop;
	int64_t id;

	scene_init(&scene);
	expect(jobberd(&scene.i, "start", "--durable", "--pool", "1", "--max-retries", "0",
		   "--timeout", "300ms", "p", "--", "python3", scene.path, word, NULL), 0,
	    "1\n", NULL);
	id = cast(&scene, scene.wait);
	free(bell_wait(&scene.bell));
	helper_jobberd(&stop, &scene.i, NULL, "stop", "p", NULL);
	helper_wait(&stop);
	helper_end(&stop);
	assert_int_equal(wait_job(&scene.i, id), 1);
	assert_column(&scene, id, "reason", "timeout");
	scene_done(&scene);
}

static void
stop_does_not_wait_for_what_takes_too_long(void **state)
{
	(void)state;
	check_stop_of_what_takes_too_long("plain");
	check_stop_of_what_takes_too_long("trap");
}

/* The job of a supervisor whose name a pool has got. */
static void
retry_brings_nothing_to_a_pool(void **state)
{
	struct scene scene;
	char *wrong;

	(void)state;
	scene_init(&scene);
	expect(jobberd(&scene.i, "supervisor", "add", "p", NULL), 0, NULL, NULL);
	expect(jobberd(&scene.i, "submit", "-s", "p", "true", NULL), 0, "1\n", NULL);
	assert_int_equal(wait_job(&scene.i, 1), 0);
	expect(jobberd(&scene.i, "supervisor", "rm", "p", NULL), 0, NULL, NULL);
	expect(jobberd(&scene.i, "retry", "1", NULL), 5, NULL, "its supervisor p is gone");
	expect(jobberd(&scene.i, "start", "--durable", "--pool", "1", "p", "--", "python3",
		   scene.path, NULL), 0, "2\n", NULL);
	expect(jobberd(&scene.i, "retry", "1", NULL), 5, NULL, "its supervisor p is gone");
	wrong = foreign(&scene.i, "INSERT OR REPLACE INTO supervisors (name) VALUES ('p')");
	assert_string_equal(wrong, "pools are started with jobberd start");
	free(wrong);
	expect(jobberd(&scene.i, "call", "p", "[\"note\", \"/dev/null\"]", NULL), 0, "1\n", NULL);
	say_and_hear(&scene.i, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"submit\","
			       "\"params\":{\"jobs\":[{\"kind\":1,\"command\":[\"true\"]}]}}\n",
	    "kind: command or server");
	scene_done(&scene);
}

static void
pool_needs_a_place_for_each_of_its_processes(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene);
	expect(jobberd(&scene.i, "supervisor", "set", "servers", "--max-children", "2",
		   "--overflow", "reject", NULL), 0, NULL, NULL);
	expect(jobberd(&scene.i, "start", "--durable", "--pool", "3", "p", "--", "python3",
		   scene.path, NULL), 75, "", "0 of 2 places taken");
	START(&scene, "--pool", "2");
	scene_done(&scene);
}

static void
pool_refuses_what_is_not_for_it(void **state)
{
	struct scene scene;
	char *wrong;

	(void)state;
	scene_init(&scene);
	expect(jobberd(&scene.i, "start", "--pool", "2", "p", "--", "true", NULL), 2, "",
	    "durable");
	expect(jobberd(&scene.i, "start", "--durable", "--max-messages", "2", "p", "--", "true",
		   NULL), 2, "", "only for a pool");
	expect(jobberd(&scene.i, "start", "--durable", "--pool", "2", "--restart", "temporary",
		   "p", "--", "true", NULL), 2, "", "not for a pool");
	expect(jobberd(&scene.i, "start", "--durable", "--pool", "2", "serial", "--", "true",
		   NULL), 5, "", "there is a supervisor serial");
	START(&scene, "--pool", "2");
	expect(jobberd(&scene.i, "start", "p.2", "--", "true", NULL), 5, "2\n", "already_started");
	expect(jobberd(&scene.i, "submit", "-s", "p", "true", NULL), 5, "", "p is a pool");
	expect(jobberd(&scene.i, "messages", "p", NULL), 5, "", "whose messages are jobs");
	wrong = foreign(&scene.i, "INSERT INTO jobs (command, supervisor) VALUES "
				  "('[\"true\"]', 'p')");
	assert_string_equal(wrong, "messages to a pool are sent with jobberd cast");
	free(wrong);
	wrong = foreign(&scene.i, "UPDATE supervisors SET max_children = 9 WHERE name = 'p'");
	assert_string_equal(wrong, "a pool is what its server was started with");
	free(wrong);
	scene_done(&scene);
}

/* ---- whatever is killed ---- */

static void
message_outlives_the_supervisor_process(void **state)
{
	struct scene scene;
	struct helper caller;

	(void)state;
	scene_init(&scene);
	START(&scene, "--pool", "1");
	helper_jobberd(&caller, &scene.i, NULL, "call", "p", scene.wait, "--timeout", "60s",
	    NULL);
	free(bell_wait(&scene.bell));
	instance_expect(&scene.i, "job=2 started"); /* else nobody knows who has it */
	instance_kill_supervisor(&scene.i);
	fifo_write(scene.go, "x");
	assert_int_equal(helper_wait(&caller), 0);
	assert_string_equal(caller.out.text, "\"waited\"\n");
	helper_end(&caller);
	assert_column(&scene, 2, "tries", "1"); /* and it was not given twice */
	assert_false(bell_has_rung(&scene.bell));
	scene_done(&scene);
}

/* What a member has said stays in its socket until it is recorded. */
static void
answer_that_is_not_recorded_yet_outlives_the_supervisor_process(void **state)
{
	struct scene scene;
	struct sqlite3 *other;
	int64_t id;

	(void)state;
	scene_init(&scene);
	START(&scene, "--pool", "1", "--max-retries", "0");
	id = cast(&scene, scene.wait);
	free(bell_wait(&scene.bell));
	instance_expect(&scene.i, "job=2 started");
	other = other_open(&scene.i);
	other_run(other, "BEGIN IMMEDIATE");
	fifo_write(scene.go, "x"); /* it answers, and that cannot be written */
	let_pass(&scene.i, 200);
	kill(instance_supervisor_pid(&scene.i), SIGKILL);
	other_run(other, "COMMIT");
	other_close(other);
	assert_int_equal(wait_job(&scene.i, id), 0);
	assert_column(&scene, id, "tries", "1");
	assert_column(&scene, id, "result", "\"waited\"");
	scene_done(&scene);
}

static void
message_of_a_killed_keeper_is_given_again(void **state)
{
	struct scene scene;
	int64_t id;

	(void)state;
	scene_init(&scene);
	START(&scene, "--pool", "1");
	id = cast(&scene, scene.wait);
	free(bell_wait(&scene.bell));
	instance_kill_keeper(&scene.i);
	instance_start(&scene.i, NULL);
	free(bell_wait(&scene.bell));
	fifo_write(scene.go, "x");
	assert_int_equal(wait_job(&scene.i, id), 0);
	assert_column(&scene, id, "tries", "2");
	assert_column(&scene, id, "failures", "0");
	scene_done(&scene);
}

/* Each is done at least once, and recorded as done once, whatever was killed in between. */
static void
messages_are_all_done_through_kills(void **state)
{
	enum { MESSAGES = 60, KILLS = 6 };
	struct scene scene;
	char *message, *path;

	(void)state;
	scene_init(&scene);
	START(&scene, "--pool", "3", "--max-messages", "7", "--max-retries", "inf");
	path = xasprintf("%s/noted", scene.i.directory);
	message = xasprintf("[\"note\", \"%s\"]", path);
	for (int n = 0; n < MESSAGES; n++) {
		cast(&scene, message);
		if (n % (MESSAGES / KILLS) != 5)
			continue;
		if (n % 3 == 0)
			instance_kill_supervisor(&scene.i);
		else if (n % 3 == 1) {
			instance_kill_keeper(&scene.i);
			instance_start(&scene.i, NULL);
		} else {
			char *pid = sql(&scene.i, "SELECT pid FROM attempts WHERE job_id <= 3 "
						  "AND ended_at IS NULL AND pid NOTNULL");

			if (pid[0] != '\0')
				kill(atoi(pid), SIGKILL);
			free(pid);
		}
	}
	for (int n = 0; n < MESSAGES; n++)
		assert_int_equal(wait_job(&scene.i, 4 + n), 0);
	free(message);
	message = file_text(path);
	for (int n = 0; n < MESSAGES; n++) {
		char line[32];

		snprintf(line, sizeof(line), "%d\n", 4 + n);
		assert_has(message, line);
	}
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM (SELECT job_id FROM attempts "
					      "WHERE reason = 'normal' AND member NOTNULL "
					      "GROUP BY job_id HAVING count(*) = 1)"), MESSAGES);
	free(message);
	free(path);
	scene_done(&scene);
}

/* ---- from a server, and as the page says ---- */

static void
durable_server_passes_on_to_a_pool_in_its_commit(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene);
	START(&scene, "--pool", "2");
	expect(jobberd(&scene.i, "start", "--durable", "c", "--", SERVERS_DIRECTORY "/counter",
		   NULL), 0, "3\n", NULL);
	expect(jobberd(&scene.i, "cast", "c", "pass", "p", "3", NULL), 0, "", NULL);
	instance_kill_supervisor(&scene.i);
	expect(jobberd(&scene.i, "cast", "c", "pass", "p", "4", NULL), 0, "", NULL);
	expect(jobberd(&scene.i, "call", "c", "get", "--timeout", "60s", NULL), 0, "7\n", NULL);
	assert_int_equal(wait_job(&scene.i, 4), 0);
	assert_int_equal(wait_job(&scene.i, 5), 0);
	assert_int_equal(
	    sql_number(&scene.i, "SELECT sum(result) FROM jobs WHERE kind = 'message'"), 7);
	scene_done(&scene);
}

static void
server_of_the_page_is_one(void **state)
{
	struct instance i;
	char path[300], *wanted;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	snprintf(path, sizeof(path), "%s/hash.py", i.directory);
	example_write_behind("man/jobberd-protocol.7", "A server of a pool in Python", path);
	assert_int_equal(chmod(path, 0755), 0);
	expect(jobberd(&i, "start", "--durable", "--pool", "4", "--max-messages", "1000",
		   "--max-retries", "0", "hash", "--", path, NULL), 0, "1\n", NULL);
	wanted = xasprintf("%s/empty", i.directory);
	file_make(&i, "empty");
	expect(jobberd(&i, "call", "hash", wanted, NULL), 0,
	    "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"\n", NULL);
	expect(jobberd(&i, "call", "hash", "/nothing", NULL), 1, "", "No such file");
	expect(jobberd(&i, "show", "--state", "hash", NULL), 0, "null\n", NULL);
	free(wanted);
	instance_finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message_is_a_job_and_its_reply_the_result),
		cmocka_unit_test(messages_are_handled_side_by_side_one_at_each_member),
		cmocka_unit_test(error_reply_is_a_failure_and_retried),
		cmocka_unit_test(crash_over_a_message_is_counted_against_the_message),
		cmocka_unit_test(large_message_is_one_failure_when_its_process_crashes),
		cmocka_unit_test(message_that_takes_too_long_fails_and_its_process_is_new),
		cmocka_unit_test(cancel_of_a_message_ends_its_process),
		cmocka_unit_test(process_is_started_anew_after_max_messages),
		cmocka_unit_test(stop_ends_all_and_start_begins_all_and_messages_wait),
		cmocka_unit_test(pool_ends_and_begins_as_one),
		cmocka_unit_test(stop_does_not_wait_for_what_takes_too_long),
		cmocka_unit_test(retry_brings_nothing_to_a_pool),
		cmocka_unit_test(pool_needs_a_place_for_each_of_its_processes),
		cmocka_unit_test(pool_refuses_what_is_not_for_it),
		cmocka_unit_test(message_outlives_the_supervisor_process),
		cmocka_unit_test(answer_that_is_not_recorded_yet_outlives_the_supervisor_process),
		cmocka_unit_test(message_of_a_killed_keeper_is_given_again),
		cmocka_unit_test(messages_are_all_done_through_kills),
		cmocka_unit_test(durable_server_passes_on_to_a_pool_in_its_commit),
		cmocka_unit_test(server_of_the_page_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
