/*
 * plain: programs that know nothing of us are kept running: their readiness, their ends, how
 * they are asked to end, and what happens to them when we die.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/helper.h"
#include "support/outside.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUN(i, ...) jobberd(i, __VA_ARGS__, NULL)
#define START(i, ...) jobberd(i, "start", "--plain", __VA_ARGS__, NULL)

static void
assert_sql(struct instance *i, const char *statement, const char *answer)
{
	char *text = sql(i, statement);

	if (strcmp(text, answer) != 0)
		fail_msg("%s: \"%s\" instead of \"%s\"", statement, text, answer);
	free(text);
}

static void
assert_said(struct instance *i, const char *verb, const char *name, const char *words)
{
	struct result result = jobberd(i, verb, name, NULL);

	assert_int_equal(result.status, 0);
	assert_has(result.out, words);
	result_done(&result);
}

static void
assert_rung(struct bell *bell, const char *line)
{
	char *text = bell_wait(bell);

	assert_string_equal(text, line);
	free(text);
}

/* ---- a service that does what it is told through a fifo, and rings when it has ---- */

struct scene {
	struct instance i;
	struct bell orders, answers;
	char path[400], go[400];
};

static const char program[] =
    "import array, os, signal, socket, sys, time\n"
    "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
    "def say(text, *fds):\n"
    "    s.sendmsg([text.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,\n"
    "        array.array('i', fds))] if fds else [], 0, os.environ['NOTIFY_SOCKET'])\n"
    "def answer(text):\n"
    "    with open(sys.argv[2], 'w') as f: f.write(str(text) + '\\n')\n"
    "def end(number, frame):\n"
    "    say('STOPPING=1'); os._exit(0)\n"
    "signal.signal(signal.SIGTERM, end)\n"
    "orders = os.fdopen(os.open(sys.argv[1], os.O_RDWR), 'r')\n"
    "answer(os.getpid())\n"
    "while True:\n"
    "    word, _, rest = orders.readline().strip().partition(' ')\n"
    "    if word == 'say': say(rest.replace('|', '\\n'))\n"
    "    elif word == 'exit': os._exit(int(rest))\n"
    "    elif word == 'env': rest = os.environ.get(rest, '')\n"
    "    elif word == 'beat':\n"
    "        until = time.monotonic() + float(rest)\n"
    "        while time.monotonic() < until:\n"
    "            say('WATCHDOG=1'); time.sleep(0.05)\n"
    "    elif word == 'barrier':\n"
    "        r, w = os.pipe(); say('BARRIER=1', w); os.close(w); os.read(r, 1)\n"
    "    answer(rest)\n";

static void
begin(struct scene *scene)
{
	FILE *file;

	instance_init(&scene->i);
	bell_init(&scene->orders, &scene->i, "orders");
	bell_init(&scene->answers, &scene->i, "answers");
	snprintf(scene->path, sizeof(scene->path), "%s/service.py", scene->i.directory);
	file = fopen(scene->path, "w");
	assert_non_null(file);
	assert_int_equal(fputs(program, file) >= 0 && fclose(file) == 0, 1);
	instance_start(&scene->i, NULL);
}

static void
end(struct scene *scene)
{
	bell_done(&scene->orders);
	bell_done(&scene->answers);
	instance_finish(&scene->i);
}

/* `start` in the background, until the service has its process, whose pid this is. */
static pid_t
start_told(struct scene *scene, struct helper *start, const char *option, const char *value)
{
	helper_jobberd(start, &scene->i, NULL, "start", "--plain", "--ready", "notify", option,
	    value, "s", "--", "python3", scene->path, scene->orders.path, scene->answers.path,
	    NULL);
	return (pid_t)bell_number(&scene->answers);
}

static void
tell(struct scene *scene, const char *order)
{
	char *answer;

	fifo_write(scene->orders.path, order);
	answer = bell_wait(&scene->answers);
	free(answer);
}

static void
assert_started(struct helper *start)
{
	if (helper_wait(start) != 0)
		fail_msg("start: %s", start->err.text);
	assert_string_equal(start->out.text, "1\n");
	helper_end(start);
}

/* ---- readiness ---- */

/* cases 139, 141 */
static void
executed_service_runs_until_it_is_stopped_and_starts_again(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	expect(START(&i, "s", "--", "sleep", "1000"), 0, "1\n", "");
	assert_sql(&i, "SELECT status FROM jobs", "running");
	assert_said(&i, "show", "s", "plain service, permanent");
	assert_said(&i, "tree", NULL, "s");
	assert_said(&i, "children", "servers", "sleep 1000");
	expect(START(&i, "s", "--", "sleep", "1000"), 5, "1\n", "already_started");
	expect(RUN(&i, "start", "s"), 5, "1\n", "already_started");
	expect(RUN(&i, "stop", "s"), 0, "", "");
	assert_sql(&i, "SELECT status || ' ' || (SELECT reason FROM attempts) FROM jobs",
	    "done normal");
	expect(RUN(&i, "stop", "s"), 4, "", "noproc");
	expect(RUN(&i, "start", "s"), 0, "1\n", "");
	expect(RUN(&i, "restart", "s"), 0, "1\n", "");
	assert_sql(&i, "SELECT group_concat(reason) FROM attempts", "normal,shutdown");
	expect(RUN(&i, "cancel", "s"), 0, NULL, NULL);
	expect(RUN(&i, "wait", "s"), 1, NULL, NULL);
	assert_sql(&i, "SELECT status FROM jobs", "cancelled");
	instance_finish(&i);
}

static void
service_that_cannot_be_executed_or_ends_before_it_is_ready_is_not_tried_again(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	expect(START(&i, "a", "--", "/nowhere/x"), 70, "", "No such file");
	expect(START(&i, "--ready", "fd:5", "b", "--", "sh", "-c", "exit 4"), 70, "", "exit 4");
	expect(START(&i, "--ready", "notify", "c", "--", "true"), 70, "", "before its init");
	expect(START(&i, "--ready", "fd:5", "--init-timeout", "50ms", "d", "--", "sleep", "60"),
	    124, "", "timeout");
	assert_sql(&i, "SELECT count(*) || ' ' || group_concat(DISTINCT attempt) FROM attempts",
	    "4 1");
	assert_sql(&i, "SELECT group_concat(reason) FROM attempts",
	    "spawn:ENOENT,exit:4,normal,timeout");
	instance_finish(&i);
}

static void
service_is_ready_when_it_writes_a_line_to_its_descriptor(void **state)
{
	static const char *const lines[] = { "echo >&7", "echo ready >&7; exec 7>&-",
		"printf 'so far' >&7; printf '\\n' >&7" };
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	for (size_t n = 0; n < sizeof(lines) / sizeof(lines[0]); n++) {
		char command[1200], name[8];
		struct helper start;
		struct bell pid, go;

		bell_init(&pid, &i, "pid");
		bell_init(&go, &i, "go");
		snprintf(name, sizeof(name), "s%zu", n);
		snprintf(command, sizeof(command), "echo $$ > %s; read x < %s; %s; exec sleep 1000",
		    pid.path, go.path, lines[n]);
		helper_jobberd(&start, &i, NULL, "start", "--plain", "--ready", "fd:7", name,
		    "--", "bash", "-c", command, NULL);
		bell_number(&pid);
		snprintf(command, sizeof(command), "job=%zu started", n + 1);
		instance_expect(&i, command); /* and recorded */
		assert_said(&i, "why", name, "it has not said that it is ready");
		fifo_write(go.path, "go\n");
		assert_int_equal(helper_wait(&start), 0);
		helper_end(&start);
		assert_said(&i, "why", name, "running");
		bell_done(&pid);
		bell_done(&go);
		unlink(pid.path);
		unlink(go.path);
	}
	instance_finish(&i);
}

/* A message to us on descriptor 3, the same socket, is no sign of being ready. */
static void
plain_service_may_say_what_a_command_may(void **state)
{
	struct instance i;
	struct bell pid;
	char command[1200];
	struct helper start;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&pid, &i, "pid");
	snprintf(command, sizeof(command),
	    "%s notify log hello; echo $$ > %s; read x < %s.go; echo >&4; exec sleep 1000",
	    getenv("JOBBERD"), pid.path, pid.path);
	free(fifo_make(&i, "pid.go"));
	helper_jobberd(&start, &i, NULL, "start", "--plain", "--ready", "fd:4", "s", "--",
	    "bash", "-c", command, NULL);
	bell_number(&pid);
	assert_sql(&i, "SELECT status FROM jobs", "new");
	snprintf(command, sizeof(command), "%s.go", pid.path);
	fifo_write(command, "go\n");
	assert_started(&start);
	assert_sql(&i, "SELECT detail FROM events WHERE event = 'log'", "hello");
	bell_done(&pid);
	instance_finish(&i);
}

static void
service_is_ready_when_it_notifies_and_its_words_are_heeded(void **state)
{
	struct scene scene;
	struct helper start;
	struct stat info;
	char path[400];

	(void)state;
	begin(&scene);
	start_told(&scene, &start, "--init-timeout", "50s");
	snprintf(path, sizeof(path), "%s/notify", scene.i.state);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode, S_IFDIR | 0700);
	snprintf(path, sizeof(path), "%s/notify/1.1", scene.i.state);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode, S_IFSOCK | 0600);
	tell(&scene, "say STATUS=warming up\n");
	tell(&scene, "barrier\n");
	assert_said(&scene.i, "show", "s", "warming up");
	assert_sql(&scene.i, "SELECT status FROM jobs", "new");
	tell(&scene, "say READY=1|STATUS=at your service|MAINPID=1\n");
	assert_started(&start);
	assert_said(&scene.i, "why", "s", "at your service");
	tell(&scene, "say RELOADING=1\n");
	tell(&scene, "say FDSTORE=1|X_OTHER=1\n");
	tell(&scene, "say READY=1\n");
	tell(&scene, "barrier\n");
	expect(RUN(&scene.i, "stop", "s"), 0, "", "");
	assert_sql(&scene.i, "SELECT group_concat(event, ', ') FROM events WHERE job_id = 1 "
			     "AND event <> 'submitted'",
	    "started, ready, message not understood, reloading, message not understood, "
	    "stopping, stopped");
	assert_sql(&scene.i, "SELECT detail FROM events WHERE detail LIKE 'MAINPID%'",
	    "MAINPID: the process that was started is the one that counts");
	assert_int_equal(access(path, F_OK), -1);
	end(&scene);
}

static void
init_timeout_holds_unless_more_time_is_asked_for(void **state)
{
	struct scene scene;
	struct helper start;

	(void)state;
	begin(&scene);
	start_told(&scene, &start, "--init-timeout", "6s");
	tell(&scene, "say EXTEND_TIMEOUT_USEC=50000000\n");
	assert_true(helper_runs_for(&start, 6200));
	tell(&scene, "say READY=1\n");
	assert_started(&start);
	end(&scene);
}

static void
state_directory_with_a_long_path_is_refused_in_one_sentence(void **state)
{
	static const char more[] = "/a-directory-with-a-name-that-is-much-longer-than-any-socket-"
				   "may-have";
	struct instance i;

	(void)state;
	instance_init(&i);
	assert_true(strlen(i.state) + sizeof(more) < sizeof(i.state));
	memcpy(i.state + strlen(i.state), more, sizeof(more));
	instance_start(&i, NULL);
	expect(START(&i, "--ready", "notify", "s", "--", "true"), 2, "",
	    "ready notify: the path of the state directory has");
	expect(START(&i, "s", "--", "sleep", "1000"), 0, "1\n", "");
	instance_finish(&i);
}

/* ---- ends ---- */

/* cases 126, 127, 128: exits, a kill, and a stranger's SIGTERM, which is a failure unless listed */
static void
service_is_started_again_by_its_type(void **state)
{
	static const struct {
		const char *type, *good, *command, *status;
		int64_t attempts;
	} cases[] = {
		{ "permanent", "0", "exit 0", "running", 2 },
		{ "permanent", "3", "exit 3", "running", 2 },
		{ "permanent", "0", "kill -9 $$", "running", 2 },
		{ "transient", "0", "exit 0", "done", 1 },
		{ "transient", "0", "exit 3", "running", 2 },
		{ "transient", "4,3", "exit 3", "done", 1 },
		{ "transient", "0", "kill -TERM $$", "running", 2 },
		{ "transient", "TERM", "kill -TERM $$", "done", 1 },
		{ "temporary", "0", "exit 3", "failed", 1 },
		{ "temporary", "3", "exit 3", "done", 1 },
	};
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		char command[200], name[16], line[64], question[100];

		snprintf(name, sizeof(name), "s%zu", n);
		snprintf(command, sizeof(command),
		    "[ $JOBBERD_ATTEMPT = 1 ] || exec sleep 1000; %s", cases[n].command);
		expect(START(&i, "--restart", cases[n].type, "--success-exit", cases[n].good, name,
			   "--", "sh", "-c", command), 0, NULL, "");
		if (cases[n].attempts == 2)
			snprintf(line, sizeof(line), "job=%zu ready attempt=2", n + 1);
		else
			snprintf(line, sizeof(line), "job=%zu exiting status=%s", n + 1,
			    cases[n].status);
		instance_expect(&i, line);
		snprintf(question, sizeof(question), "SELECT status FROM jobs WHERE id = %zu",
		    n + 1);
		assert_sql(&i, question, cases[n].status);
		snprintf(question, sizeof(question),
		    "SELECT count(*) FROM attempts WHERE job_id = %zu", n + 1);
		assert_int_equal(sql_number(&i, question), cases[n].attempts);
	}
	instance_finish(&i);
}

/* case 131, with its budget */
static void
service_that_fails_too_often_is_given_up(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	expect(START(&i, "s", "--", "sh", "-c", "exit 3"), 0, "1\n", "");
	expect(RUN(&i, "wait", "s"), 1, NULL, NULL);
	assert_sql(&i, "SELECT count(*) FROM attempts", "4");
	assert_said(&i, "why", "s", "restarted too often, last exit 3");
	instance_finish(&i);
}

static void
stop_sends_its_signal_and_any_exit_is_what_was_asked_for(void **state)
{
	struct instance i;
	struct bell pid;
	char command[1200];

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&pid, &i, "pid");
	snprintf(command, sizeof(command),
	    "trap 'exit 1' TERM; trap 'echo int > %s; exit 42' INT; echo $$ > %s; "
	    "sleep 1000 & wait", pid.path, pid.path);
	expect(START(&i, "--stop-signal", "INT", "s", "--", "bash", "-c", command), 0, "1\n",
	    "");
	bell_number(&pid);
	assert_said(&i, "show", "s", "SIGINT");
	expect(RUN(&i, "stop", "s", "shutdown"), 0, "", "");
	assert_rung(&pid, "int");
	assert_sql(&i, "SELECT status || ' ' || a.reason || ' ' || a.exit_code FROM jobs j "
		       "JOIN attempts a ON a.job_id = j.id",
	    "done shutdown 42");
	bell_done(&pid);
	instance_finish(&i);
}

/* case 144: it is killed when its grace is over; brutal_kill asks nothing */
static void
service_that_does_not_end_is_killed_after_its_grace(void **state)
{
	struct instance i;
	struct bell pid;
	char command[1200];

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&pid, &i, "pid");
	snprintf(command, sizeof(command),
	    "trap 'echo term > %s' TERM; echo $$ > %s; while :; do sleep 1000 & wait; done",
	    pid.path, pid.path);
	expect(START(&i, "--grace", "100ms", "deaf", "--", "bash", "-c", command), 0, "1\n", "");
	bell_number(&pid);
	expect(RUN(&i, "stop", "deaf"), 0, "", "");
	assert_rung(&pid, "term");
	expect(START(&i, "--grace", "brutal_kill", "asked", "--", "bash", "-c", command), 0,
	    "2\n", "");
	bell_number(&pid);
	expect(RUN(&i, "stop", "asked"), 0, "", "");
	assert_false(bell_has_rung(&pid));
	assert_sql(&i, "SELECT group_concat(reason || ' ' || signal) FROM attempts",
	    "normal 9,normal 9");
	bell_done(&pid);
	instance_finish(&i);
}

/* cases 146 and 147: infinity waits as long as it takes; 5 s unless given */
static void
service_with_an_infinite_grace_ends_when_it_likes(void **state)
{
	struct instance i;
	struct bell pid, go;
	char command[1200];

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&pid, &i, "pid");
	bell_init(&go, &i, "go");
	snprintf(command, sizeof(command),
	    "trap 'echo term > %s; read x < %s; exit 0' TERM; echo $$ > %s; "
	    "while :; do sleep 1000 & wait; done", pid.path, go.path, pid.path);
	expect(START(&i, "--grace", "infinity", "s", "--", "bash", "-c", command), 0, "1\n", "");
	bell_number(&pid);
	assert_said(&i, "show", "s", "infinity");
	expect(RUN(&i, "stop", "--timeout", "300ms", "s"), 124, "", "timeout");
	assert_rung(&pid, "term");
	assert_sql(&i, "SELECT status FROM jobs", "running");
	fifo_write(go.path, "go\n");
	expect(RUN(&i, "wait", "s"), 0, NULL, NULL);
	expect(START(&i, "t", "--", "sleep", "1000"), 0, "2\n", "");
	assert_said(&i, "show", "t", "5 s");
	bell_done(&pid);
	bell_done(&go);
	instance_finish(&i);
}

/* ---- signs of life ---- */

static void
service_that_gives_no_sign_of_life_is_ended_and_started_again(void **state)
{
	struct scene scene;
	struct helper start;
	struct result result;
	char *text;
	pid_t pid;

	(void)state;
	begin(&scene);
	pid = start_told(&scene, &start, "--watchdog", "1500ms");
	fifo_write(scene.orders.path, "env WATCHDOG_PID\n");
	assert_int_equal(bell_number(&scene.answers), pid);
	fifo_write(scene.orders.path, "env WATCHDOG_USEC\n");
	assert_int_equal(bell_number(&scene.answers), 1500000);
	tell(&scene, "say READY=1\n");
	assert_started(&start);
	tell(&scene, "beat 3\n");
	assert_true(is_alive(pid));
	assert_int_not_equal(bell_number(&scene.answers), pid); /* it is another one */
	instance_expect(&scene.i, "watchdog: no sign of life for 1.5 s");
	result = RUN(&scene.i, "attempts", "s");
	assert_has(result.out, "watchdog: no sign of life for 1.5 s");
	result_done(&result);
	text = sql(&scene.i, "SELECT reason || ' ' || signal FROM attempts WHERE attempt = 1");
	assert_string_equal(text, "watchdog 6");
	free(text);
	assert_sql(&scene.i, "SELECT detail FROM events WHERE event = 'watchdog'",
	    "no sign of life for 1.5 s");
	end(&scene);
}

/* A sign that comes once more is none that is waited for again; the last words count once. */
static void
service_that_says_it_stops_needs_no_sign_of_life(void **state)
{
	struct scene scene;
	struct helper start;
	pid_t pid;

	(void)state;
	begin(&scene);
	pid = start_told(&scene, &start, "--watchdog", IS_SANITIZED ? "4s" : "1s");
	tell(&scene, "say READY=1\n");
	assert_started(&start);
	tell(&scene, "say STOPPING=1\n");
	tell(&scene, "say WATCHDOG=1\n");
	let_pass(&scene.i, IS_SANITIZED ? 5000 : 1500);
	assert_true(is_alive(pid));
	assert_sql(&scene.i, "SELECT count(*) FROM events WHERE event = 'stopping'", "1");
	expect(RUN(&scene.i, "stop", "s"), 0, "", NULL);
	assert_sql(&scene.i, "SELECT count(*) FROM events WHERE event = 'watchdog'", "0");
	end(&scene);
}

static void
service_may_say_that_it_is_stuck(void **state)
{
	struct scene scene;
	struct helper start;

	(void)state;
	begin(&scene);
	start_told(&scene, &start, "--watchdog", "50s");
	tell(&scene, "say READY=1\n");
	assert_started(&start);
	fifo_write(scene.orders.path, "say WATCHDOG=trigger\n");
	instance_expect(&scene.i, "job=1 started attempt=2");
	assert_sql(&scene.i, "SELECT reason FROM attempts WHERE attempt = 1", "watchdog");
	end(&scene);
}

static void
idle_service_wakes_nobody(void **state)
{
	struct scene scene;
	struct helper start;

	(void)state;
	begin(&scene);
	start_told(&scene, &start, "--grace", "1s");
	tell(&scene, "say READY=1\n");
	assert_started(&start);
	expect(START(&scene.i, "other", "--", "sleep", "1000"), 0, "2\n", "");
	assert_sleeps(&scene.i, 1000);
	end(&scene);
}

/* ---- when we die ---- */

static void
ready_that_is_said_while_no_supervisor_process_lives_is_heard(void **state)
{
	struct scene scene;
	struct helper start;
	pid_t supervisor;

	(void)state;
	begin(&scene);
	start_told(&scene, &start, "--grace", "1s");
	tell(&scene, "say STATUS=here\n");
	tell(&scene, "barrier\n");
	supervisor = instance_supervisor_pid(&scene.i);
	kill(supervisor, SIGSTOP);
	tell(&scene, "say READY=1\n");
	kill(supervisor, SIGKILL);
	instance_expect(&scene.i, "job=1 ready attempt=1");
	assert_started(&start); /* it has asked the next one */
	assert_sql(&scene.i, "SELECT status FROM jobs", "running");
	end(&scene);
}

/* It was read, and could not be recorded; the next one reads it again. */
static void
ready_that_was_heard_and_not_recorded_is_heard_by_the_next_one(void **state)
{
	struct scene scene;
	struct helper start;
	struct result result;
	sqlite3 *other;

	(void)state;
	begin(&scene);
	start_told(&scene, &start, "--grace", "1s");
	tell(&scene, "say STATUS=here\n");
	tell(&scene, "barrier\n");
	other = other_open(&scene.i);
	other_run(other, "BEGIN IMMEDIATE");
	tell(&scene, "say READY=1\n");
	result = RUN(&scene.i, "status"); /* a turn has passed */
	result_done(&result);
	kill(instance_supervisor_pid(&scene.i), SIGKILL);
	other_run(other, "COMMIT");
	other_close(other);
	instance_expect(&scene.i, "job=1 ready attempt=1");
	assert_started(&start);
	assert_sql(&scene.i, "SELECT status FROM jobs", "running");
	end(&scene);
}

static void
service_runs_on_when_the_supervisor_process_is_replaced(void **state)
{
	struct scene scene;
	struct helper start;
	pid_t pid;

	(void)state;
	begin(&scene);
	pid = start_told(&scene, &start, "--watchdog", "50s");
	tell(&scene, "say READY=1\n");
	assert_started(&start);
	instance_kill_supervisor(&scene.i);
	assert_true(is_alive(pid));
	tell(&scene, "say STATUS=still here\n");
	tell(&scene, "barrier\n");
	assert_said(&scene.i, "why", "s", "still here");
	tell(&scene, "say WATCHDOG=trigger\n");
	instance_expect(&scene.i, "job=1 started attempt=2");
	end(&scene);
}

static void
service_runs_on_and_is_adopted_when_the_keeper_is_killed(void **state)
{
	struct scene scene;
	struct helper start;
	pid_t pid;

	(void)state;
	begin(&scene);
	pid = start_told(&scene, &start, "--stop-signal", "SIGTERM");
	tell(&scene, "say READY=1\n");
	assert_started(&start);
	expect(START(&scene.i, "--stop-signal", "INT", "other", "--", "sleep", "1000"), 0, "2\n",
	    "");
	instance_kill_keeper(&scene.i);
	instance_start(&scene.i, NULL);
	assert_true(is_alive(pid));
	assert_sql(&scene.i, "SELECT group_concat(status) FROM jobs", "running,running");
	tell(&scene, "say STATUS=still here\n");
	tell(&scene, "barrier\n");
	assert_said(&scene.i, "why", "s", "still here");
	assert_sql(&scene.i, "SELECT count(*) FROM attempts", "2");
	expect(RUN(&scene.i, "stop", "s"), 0, "", "");
	expect(RUN(&scene.i, "stop", "other"), 0, "", "");
	assert_sql(&scene.i, "SELECT group_concat(status) FROM jobs", "done,done");
	assert_false(is_alive(pid));
	end(&scene);
}

/* Nobody can know whether it has said that it is. */
static void
service_that_was_not_ready_is_started_again_when_the_keeper_was_killed(void **state)
{
	struct scene scene;
	struct helper start;
	pid_t pid;

	(void)state;
	begin(&scene);
	pid = start_told(&scene, &start, "--grace", "1s");
	instance_kill_keeper(&scene.i);
	helper_wait(&start);
	helper_end(&start);
	instance_start(&scene.i, NULL);
	assert_int_not_equal(bell_number(&scene.answers), pid);
	tell(&scene, "say READY=1\n");
	instance_expect(&scene.i, "job=1 ready attempt=2");
	assert_sql(&scene.i, "SELECT reason FROM attempts WHERE attempt = 1", "interrupted");
	end(&scene);
}

static void
service_runs_on_when_we_leave_and_is_interrupted_when_we_stop(void **state)
{
	struct instance i;
	int64_t pid;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	expect(START(&i, "s", "--", "sleep", "1000"), 0, "1\n", "");
	expect(RUN(&i, "shutdown", "--leave"), 0, NULL, "leaving: 1 running job runs on\n");
	assert_int_equal(instance_wait(&i), 0);
	pid = sql_number(&i, "SELECT pid FROM attempts");
	assert_true(is_alive((pid_t)pid));
	instance_start(&i, NULL);
	assert_sql(&i, "SELECT status || (SELECT count(*) FROM attempts) FROM jobs", "running1");
	instance_stop(&i);
	assert_false(is_alive((pid_t)pid));
	assert_sql(&i, "SELECT status || ' ' || (SELECT reason FROM attempts) FROM jobs",
	    "new interrupted");
	instance_start(&i, NULL);
	instance_expect(&i, "job=1 ready attempt=2");
	instance_finish(&i);
}

static void
stop_of_a_service_outlives_the_supervisor_process(void **state)
{
	struct instance i;
	struct bell pid, go;
	char command[1200];
	struct helper stop;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&pid, &i, "pid");
	bell_init(&go, &i, "go");
	snprintf(command, sizeof(command),
	    "trap 'echo term > %s; read x < %s; exit 0' TERM; echo $$ > %s; "
	    "while :; do sleep 1000 & wait; done", pid.path, go.path, pid.path);
	expect(START(&i, "--grace", "infinity", "s", "--", "bash", "-c", command), 0, "1\n", "");
	bell_number(&pid);
	helper_jobberd(&stop, &i, NULL, "stop", "s", NULL);
	assert_rung(&pid, "term");
	instance_kill_supervisor(&i);
	fifo_write(go.path, "go\n");
	assert_int_equal(helper_wait(&stop), 0);
	helper_end(&stop);
	assert_sql(&i, "SELECT status || ' ' || (SELECT reason FROM attempts) FROM jobs",
	    "done normal");
	bell_done(&pid);
	bell_done(&go);
	instance_finish(&i);
}

/* One process through all of it, and every word that it says between two deaths is heard. */
static void
service_outlives_any_number_of_deaths(void **state)
{
	struct scene scene;
	struct helper start;
	pid_t pid;

	(void)state;
	begin(&scene);
	pid = start_told(&scene, &start, "--watchdog", "50s");
	tell(&scene, "say READY=1\n");
	assert_started(&start);
	for (int n = 0; n < 6; n++) {
		char order[64], words[32];

		if (n % 2 == 0)
			instance_kill_supervisor(&scene.i);
		else {
			instance_kill_keeper(&scene.i);
			instance_start(&scene.i, NULL);
		}
		snprintf(words, sizeof(words), "death %d", n);
		snprintf(order, sizeof(order), "say WATCHDOG=1|STATUS=%s\n", words);
		tell(&scene, order);
		tell(&scene, "barrier\n");
		assert_said(&scene.i, "why", "s", words);
	}
	assert_int_equal(sql_number(&scene.i, "SELECT pid FROM attempts"), pid);
	assert_sql(&scene.i, "SELECT count(*) FROM attempts", "1");
	expect(RUN(&scene.i, "stop", "s"), 0, "", "");
	assert_sql(&scene.i, "SELECT status FROM jobs", "done");
	end(&scene);
}

/* ---- messages ---- */

static const char asker[] =
    "import json, os, socket\n"
    "s = socket.socket(fileno=int(os.environ['JOBBERD_FD']))\n"
    "asked = None\n"
    "def send(**m):\n"
    "    s.sendall(json.dumps({'jsonrpc': '2.0', **m}).encode() + b'\\n')\n"
    "for line in s.makefile('r'):\n"
    "    if line == '\\n': continue\n"
    "    m = json.loads(line); method = m.get('method')\n"
    "    if method == 'init': send(id=m['id'], result={'ok': True})\n"
    "    elif method == 'call':\n"
    "        asked = m['id']\n"
    "        send(id=1, method=m['params']['message'], params={'to': 's', 'message': 'x'})\n"
    "    elif m.get('id') == 1: send(id=asked, result=m['error']['message'])\n"
    "    elif method == 'terminate': send(id=m['id'], result=True); break\n";

static void
server_that_asks_a_plain_service_is_told_the_same(void **state)
{
	static const char *const methods[] = { "call", "cast", "send" };
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	expect(START(&i, "s", "--", "sleep", "1000"), 0, "1\n", "");
	expect(RUN(&i, "start", "asker", "--", "python3", "-c", asker), 0, "2\n", "");
	for (size_t n = 0; n < sizeof(methods) / sizeof(methods[0]); n++)
		expect(RUN(&i, "call", "-r", "--timeout", "50s", "asker", methods[n]), 0,
		    "it is a plain service, which takes no messages\n", "");
	instance_finish(&i);
}

static void
messages_to_a_plain_service_are_refused_in_one_sentence(void **state)
{
	static const char words[] = "s: it is a plain service, which takes no messages\n";
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	expect(START(&i, "s", "--", "sleep", "1000"), 0, "1\n", "");
	expect(RUN(&i, "call", "s", "get"), 5, "", words);
	expect(RUN(&i, "cast", "s", "add"), 5, "", words);
	expect(RUN(&i, "send", "s", "add"), 5, "", words);
	expect(RUN(&i, "show", "--state", "s"), 5, "", words);
	assert_sql(&i, "SELECT status FROM jobs", "running");
	/* While it has no process, too; who stops it needs none. */
	expect(RUN(&i, "supervisor", "pause", "servers"), 0, NULL, NULL);
	kill((pid_t)sql_number(&i, "SELECT pid FROM attempts"), SIGKILL);
	instance_expect(&i, "job=1 errored");
	expect(RUN(&i, "call", "s", "get"), 5, "", words);
	expect(RUN(&i, "stop", "s"), 0, "", "");
	assert_sql(&i, "SELECT status || ' ' || reason FROM jobs", "done shutdown");
	instance_finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(executed_service_runs_until_it_is_stopped_and_starts_again),
		cmocka_unit_test(
		    service_that_cannot_be_executed_or_ends_before_it_is_ready_is_not_tried_again),
		cmocka_unit_test(service_is_ready_when_it_writes_a_line_to_its_descriptor),
		cmocka_unit_test(plain_service_may_say_what_a_command_may),
		cmocka_unit_test(service_is_ready_when_it_notifies_and_its_words_are_heeded),
		cmocka_unit_test(init_timeout_holds_unless_more_time_is_asked_for),
		cmocka_unit_test(state_directory_with_a_long_path_is_refused_in_one_sentence),
		cmocka_unit_test(service_is_started_again_by_its_type),
		cmocka_unit_test(service_that_fails_too_often_is_given_up),
		cmocka_unit_test(stop_sends_its_signal_and_any_exit_is_what_was_asked_for),
		cmocka_unit_test(service_that_does_not_end_is_killed_after_its_grace),
		cmocka_unit_test(service_with_an_infinite_grace_ends_when_it_likes),
		cmocka_unit_test(service_that_gives_no_sign_of_life_is_ended_and_started_again),
		cmocka_unit_test(service_that_says_it_stops_needs_no_sign_of_life),
		cmocka_unit_test(service_may_say_that_it_is_stuck),
		cmocka_unit_test(idle_service_wakes_nobody),
		cmocka_unit_test(ready_that_is_said_while_no_supervisor_process_lives_is_heard),
		cmocka_unit_test(ready_that_was_heard_and_not_recorded_is_heard_by_the_next_one),
		cmocka_unit_test(service_runs_on_when_the_supervisor_process_is_replaced),
		cmocka_unit_test(service_runs_on_and_is_adopted_when_the_keeper_is_killed),
		cmocka_unit_test(
		    service_that_was_not_ready_is_started_again_when_the_keeper_was_killed),
		cmocka_unit_test(service_runs_on_when_we_leave_and_is_interrupted_when_we_stop),
		cmocka_unit_test(stop_of_a_service_outlives_the_supervisor_process),
		cmocka_unit_test(service_outlives_any_number_of_deaths),
		cmocka_unit_test(server_that_asks_a_plain_service_is_told_the_same),
		cmocka_unit_test(messages_to_a_plain_service_are_refused_in_one_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
