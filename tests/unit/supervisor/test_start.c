/* start: the order that a claimed job becomes, read back as the keeper reads it. */

#include "base/buf.h"
#include "supervisor/start.h"

#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PLAIN_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define OURS ":" JOBBERD_LIBEXEC

/* A supervisor process of which nothing works but its link, and what came out of that. */
struct scene {
	struct supervisor_setup setup;
	struct supervisor supervisor;
	struct claimed_job claimed;
	struct strings environment;
	struct link *keeper; /* the other end */
	struct order order;
	struct start_text text;
};

/* As the keeper: take the order apart. */
static void
received(void *arg, const void *message, size_t length, int descriptor)
{
	struct scene *scene = arg;

	assert_non_null(orders_check_order(message, length));
	memcpy(&scene->order, message, sizeof(scene->order));
	assert_int_equal(scene->order.kind, ORDER_START);
	start_text_done(&scene->text);
	assert_int_equal(orders_read_start(message, length, descriptor, &scene->text), 0);
}

static void
closed(void *arg)
{
	(void)arg;
}

static int
begin(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	int ends[2];

	*state = scene;
	scene->setup.state_directory = "/the/state";
	scene->supervisor.setup = &scene->setup;
	scene->supervisor.loop = loop_new(LOOP_BOOTTIME);
	if (scene->supervisor.loop == NULL ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == -1)
		return -1;
	scene->supervisor.link =
	    link_new(scene->supervisor.loop, ends[0], received, closed, scene);
	scene->keeper = link_new(scene->supervisor.loop, ends[1], received, closed, scene);
	spec_init(&scene->claimed.spec);
	scene->claimed.key = (struct attempt_key){ .job = 41, .attempt = 2, .generation = 9 };
	strings_add(&scene->claimed.spec.command, "make");
	return 0;
}

static int
finish(void **state)
{
	struct scene *scene = *state;

	start_text_done(&scene->text);
	spec_done(&scene->claimed.spec);
	strings_done(&scene->environment);
	link_free(scene->supervisor.link);
	link_free(scene->keeper);
	loop_free(scene->supervisor.loop);
	free(scene);
	return 0;
}

/* Order it and take the order apart. */
static void
order(struct scene *scene, const struct attempt_key *after)
{
	memset(&scene->order, 0, sizeof(scene->order));
	start_order(&scene->supervisor, &scene->claimed, after);
	link_flush(scene->supervisor.link);
	link_read(scene->keeper);
	assert_int_equal(scene->order.kind, ORDER_START);
	assert_int_equal(scene->order.version, ORDERS_VERSION);
}

/* Exactly these, in this order. */
static void
check_strings(char *const *strings, const char *const *expected)
{
	for (; *expected != NULL; strings++, expected++) {
		assert_non_null(*strings);
		assert_string_equal(*strings, *expected);
	}
	assert_null(*strings);
}

#define STRINGS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define IDS "JOBBERD_ID=41", "JOBBERD_ATTEMPT=2", "JOBBERD_FD=3"
#define STATE "JOBBERD_STATE=/the/state"

static void
order_has_the_attempts_key_and_exact_arguments(void **state)
{
	struct scene *scene = *state;

	strings_add(&scene->claimed.spec.command, "");
	strings_add(&scene->claimed.spec.command, "a b\n$HOME");
	order(scene, NULL);
	assert_int_equal(scene->order.key.job, 41);
	assert_int_equal(scene->order.key.attempt, 2);
	assert_int_equal(scene->order.key.generation, 9);
	check_strings(scene->text.arguments, STRINGS("make", "", "a b\n$HOME"));
}

static void
order_starts_at_once_or_after_another(void **state)
{
	const struct attempt_key before = { .job = 7, .attempt = 8, .generation = 9 };
	struct scene *scene = *state;

	order(scene, NULL);
	assert_int_equal(scene->order.start.after.job, 0);
	order(scene, &before);
	assert_int_equal(scene->order.start.after.job, 7);
	assert_int_equal(scene->order.start.after.attempt, 8);
	assert_int_equal(scene->order.start.after.generation, 9);
}

static void
order_of_a_bare_job_has_the_defaults(void **state)
{
	struct scene *scene = *state;

	order(scene, NULL);
	assert_string_equal(scene->text.cwd, "/");
	assert_string_equal(scene->text.stdin_path, "");
	assert_int_equal(scene->order.start.timeout_ms, -1);
	assert_int_equal(scene->order.start.grace_ms, SPEC_DEFAULT_GRACE_MS);
	assert_int_equal(scene->order.start.umask, 022);
	assert_int_equal(scene->order.start.leaves_children, 0);
	assert_int_equal(scene->order.start.is_awaited, 0);
}

static void
order_has_what_was_asked_for(void **state)
{
	struct scene *scene = *state;
	struct spec *spec = &scene->claimed.spec;

	spec->cwd = strdup("/home/me");
	spec->stdin_path = strdup("/home/me/input");
	spec->timeout_ms = 1500;
	spec->grace_ms = 0;
	spec->umask = 0;
	spec->leaves_children = true;
	spec->is_server = true;
	order(scene, NULL);
	assert_string_equal(scene->text.cwd, "/home/me");
	assert_string_equal(scene->text.stdin_path, "/home/me/input");
	assert_int_equal(scene->order.start.timeout_ms, 1500);
	assert_int_equal(scene->order.start.grace_ms, 0);
	assert_int_equal(scene->order.start.umask, 0);
	assert_int_equal(scene->order.start.leaves_children, 1);
	assert_int_equal(scene->order.start.is_awaited, 1);
}

/* case 147: 5000 ms for a server, unless it is given */
static void
order_of_a_server_has_the_grace_of_servers(void **state)
{
	struct scene *scene = *state;

	scene->claimed.spec.is_server = true;
	order(scene, NULL);
	assert_int_equal(scene->order.start.grace_ms, 5000);
	scene->claimed.spec.grace_ms = SPEC_GRACE_FOR_EVER;
	order(scene, NULL);
	assert_int_equal(scene->order.start.grace_ms, SPEC_GRACE_FOR_EVER);
}

static void
order_of_a_plain_service_has_what_the_keeper_does_for_it(void **state)
{
	struct scene *scene = *state;
	struct spec *spec = &scene->claimed.spec;

	spec->is_server = spec->is_plain = true;
	order(scene, NULL);
	assert_int_equal(scene->order.start.stop_signal, SIGTERM);
	assert_int_equal(scene->order.start.notifies, 0);
	assert_int_equal(scene->order.start.ready_fd, 0);
	assert_int_equal(scene->order.start.knows_pid, 0);
	assert_int_equal(service_parse_ready("fd:9", &spec->service), 0);
	spec->service.stop_signal = SIGINT;
	order(scene, NULL);
	assert_int_equal(scene->order.start.stop_signal, SIGINT);
	assert_int_equal(scene->order.start.notifies, 0);
	assert_int_equal(scene->order.start.ready_fd, 9);
}

/* What was recorded of another service manager's, where it was submitted, is not for it. */
static void
environment_of_a_service_that_notifies_has_its_own_socket(void **state)
{
	struct scene *scene = *state;
	struct spec *spec = &scene->claimed.spec;

	strings_add(&scene->environment, "NOTIFY_SOCKET=/run/systemd/notify");
	strings_add(&scene->environment, "WATCHDOG_USEC=7");
	strings_add(&scene->environment, "WATCHDOG_PID=1");
	scene->claimed.environment = &scene->environment;
	spec->is_server = spec->is_plain = true;
	spec->service.ready = READY_NOTIFY;
	order(scene, NULL);
	check_strings(scene->text.variables, STRINGS("PATH=" PLAIN_PATH OURS, IDS, STATE,
	    "NOTIFY_SOCKET=/the/state/notify/41.2"));
	assert_int_equal(scene->order.start.notifies, 1);
	assert_int_equal(scene->order.start.knows_pid, 0);
	spec->service.watchdog_ms = 1500;
	order(scene, NULL);
	check_strings(scene->text.variables, STRINGS("PATH=" PLAIN_PATH OURS, IDS, STATE,
	    "NOTIFY_SOCKET=/the/state/notify/41.2", "WATCHDOG_USEC=1500000",
	    "WATCHDOG_PID=0000000000"));
	assert_int_equal(scene->order.start.knows_pid, 1);
	spec->service.ready = READY_EXEC;
	spec->service.watchdog_ms = -1;
	order(scene, NULL);
	check_strings(scene->text.variables, STRINGS("PATH=" PLAIN_PATH OURS, IDS, STATE));
}

static void
environment_is_the_recorded_one_and_ours_behind_it(void **state)
{
	struct scene *scene = *state;

	strings_add(&scene->environment, "B=2");
	strings_add(&scene->environment, "PATH=/bin");
	strings_add(&scene->environment, "A=x=y\nz");
	scene->claimed.environment = &scene->environment;
	scene->claimed.spec.name = strdup("report");
	order(scene, NULL);
	check_strings(scene->text.variables,
	    STRINGS("B=2", "PATH=/bin" OURS, "A=x=y\nz", IDS, "JOBBERD_NAME=report", STATE));
}

/* A job that submits another does not pass its own identity on. */
static void
environment_keeps_no_jobberd_variable_that_was_recorded(void **state)
{
	struct scene *scene = *state;

	strings_add(&scene->environment, "JOBBERD_ID=1");
	strings_add(&scene->environment, "JOBBERD_NAME=parent");
	strings_add(&scene->environment, "JOBBERD_STATE=/elsewhere");
	strings_add(&scene->environment, "JOBBERD=kept");
	strings_add(&scene->environment, "PATHS=kept");
	scene->claimed.environment = &scene->environment;
	order(scene, NULL);
	check_strings(scene->text.variables,
	    STRINGS("JOBBERD=kept", "PATHS=kept", "PATH=" PLAIN_PATH OURS, IDS, STATE));
}

static void
environment_that_is_empty_gets_a_path(void **state)
{
	struct scene *scene = *state;

	scene->claimed.environment = &scene->environment;
	order(scene, NULL);
	check_strings(scene->text.variables, STRINGS("PATH=" PLAIN_PATH OURS, IDS, STATE));
}

static void
environment_of_a_job_that_came_with_none_is_our_own_basics(void **state)
{
	static const char *const names[] = { "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG",
		"TZ", "TMPDIR" };
	struct scene *scene = *state;
	char *kept[8];

	for (size_t i = 0; i < 8; i++) {
		kept[i] = getenv(names[i]) != NULL ? strdup(getenv(names[i])) : NULL;
		unsetenv(names[i]);
	}
	setenv("SECRET", "not for jobs", 1);
	setenv("HOME", "/home/me", 1);
	order(scene, NULL);
	check_strings(scene->text.variables,
	    STRINGS("HOME=/home/me", "PATH=" PLAIN_PATH OURS, IDS, STATE));
	setenv("PATH", "/my/bin", 1);
	setenv("TZ", "", 1);
	order(scene, NULL);
	check_strings(scene->text.variables,
	    STRINGS("PATH=/my/bin" OURS, "HOME=/home/me", "TZ=", IDS, STATE));
	unsetenv("SECRET");
	for (size_t i = 0; i < 8; i++) {
		unsetenv(names[i]);
		if (kept[i] != NULL)
			setenv(names[i], kept[i], 1);
		free(kept[i]);
	}
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(order_has_the_attempts_key_and_exact_arguments),
		SCENE(order_starts_at_once_or_after_another),
		SCENE(order_of_a_bare_job_has_the_defaults),
		SCENE(order_has_what_was_asked_for),
		SCENE(order_of_a_server_has_the_grace_of_servers),
		SCENE(order_of_a_plain_service_has_what_the_keeper_does_for_it),
		SCENE(environment_of_a_service_that_notifies_has_its_own_socket),
		SCENE(environment_is_the_recorded_one_and_ours_behind_it),
		SCENE(environment_keeps_no_jobberd_variable_that_was_recorded),
		SCENE(environment_that_is_empty_gets_a_path),
		SCENE(environment_of_a_job_that_came_with_none_is_our_own_basics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
