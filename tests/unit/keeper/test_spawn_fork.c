/*
 * spawn_fork: what a behaviour finds when it runs. It tells so itself, in its output file;
 * nothing is asserted in a child.
 */

#include "base/buf.h"
#include "base/file.h"
#include "keeper/spawn.h"
#include "keeper/tree.h"
#include "support/spawning.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LONGEST_TEST_SECONDS 20

struct scene {
	struct spawn spawn;
	struct spawn_behaviour behaviour;
	char place[PATH_MAX];
	int socket; /* our end of its descriptor 3 */
	struct buf output;
	struct rlimit files;
};

static const char *const arguments[] = { "tell", "a b", "", NULL };
static const char *const variables[] = { "JOBBERD_ID=7", "A=b=c", NULL };
static const int answer = 42;

static int
begin(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	const char *parent = getenv("TMPDIR");
	int ends[2];

	*state = scene;
	alarm(LONGEST_TEST_SECONDS);
	snprintf(scene->place, sizeof(scene->place), "%s/fork.XXXXXX",
	    parent != NULL ? parent : "/tmp");
	if (mkdtemp(scene->place) == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == -1)
		return -1;
	scene->socket = ends[0];
	scene->files = (struct rlimit){ 123, 123 };
	scene->behaviour = (struct spawn_behaviour){ .name = "tell", .arg = &answer };
	scene->spawn = (struct spawn){
		.behaviour = &scene->behaviour,
		.arguments = (char *const *)arguments,
		.variables = (char *const *)variables,
		.cwd = scene->place,
		.stdin_path = "",
		.stdin_fd = open("/dev/null", O_RDWR | O_CLOEXEC),
		.output_fd = memfd_create("output", MFD_CLOEXEC),
		.socket_fd = ends[1],
		.umask = 027,
		.files = &scene->files,
		.cgroup_fd = -1,
		.journal_fd = memfd_create("journal", MFD_CLOEXEC),
		.record = { .check = JOURNAL_CHECK, .key = { 1, 2, 3 }, .pid_start = 77 },
	};
	return 0;
}

static int
finish(void **state)
{
	struct scene *scene = *state;

	alarm(0);
	close(scene->socket);
	close(scene->spawn.stdin_fd);
	close(scene->spawn.output_fd);
	close(scene->spawn.socket_fd);
	close(scene->spawn.journal_fd);
	buf_done(&scene->output);
	if (rmdir(scene->place) == -1)
		return -1;
	free(scene);
	return 0;
}

/* Run this to its end with this exit status, and return all it said; valid until the next. */
static struct buf *
output_of(
    struct scene *scene, int (*run)(const void *arg, int argc, char **argv), int expected)
{
	char bytes[4096];
	off_t at = 0;
	ssize_t got;
	pid_t pid;
	int64_t start;
	int status;

	assert_int_equal(ftruncate(scene->spawn.output_fd, 0), 0);
	assert_int_equal(lseek(scene->spawn.output_fd, 0, SEEK_SET), 0);
	scene->behaviour.run = run;
	assert_int_equal(spawn_whole(&scene->spawn, &pid, &start), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	buf_clear(&scene->output);
	while ((got = pread(scene->spawn.output_fd, bytes, sizeof(bytes), at)) > 0) {
		buf_add(&scene->output, bytes, (size_t)got);
		at += got;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != expected)
		fail_msg("status %d, it said: %s", status, buf_text(&scene->output));
	return &scene->output;
}

static void
tell_file(const char *path)
{
	struct buf text = { 0 };

	if (file_read(AT_FDCWD, path, 1 << 20, &text) == 0)
		file_write_all(STDOUT_FILENO, buf_start(&text), text.length);
	buf_done(&text);
}

/* ---- what it is given ---- */

static int
tell_arguments(const void *arg, int argc, char **argv)
{
	dprintf(STDOUT_FILENO, "%d %d %s|%s|%s|%s", *(const int *)arg, argc, argv[0], argv[1],
	    argv[2], argv[3] == NULL ? "end" : argv[3]);
	return 5;
}

static void
behaviour_gets_its_arguments_and_gives_its_status(void **state)
{
	assert_string_equal(
	    buf_text(output_of(*state, tell_arguments, 5)), "42 3 tell|a b||end");
}

static int
tell_proc(const void *arg, int argc, char **argv)
{
	(void)arg, (void)argc, (void)argv;
	tell_file("/proc/self/comm");
	tell_file("/proc/self/cmdline");
	tell_file("/proc/self/environ");
	dprintf(STDOUT_FILENO, "%s%s", getenv("A"), getenv("PATH") != NULL ? "PATH" : "");
	return 0;
}

static void
behaviour_has_its_own_name_words_and_environment(void **state)
{
	static const char expected[] = "tell\ntell\0a b\0\0JOBBERD_ID=7\0A=b=c\0b=c";
	struct scene *scene = *state;
	struct prctl_mm_map map;

	for (int i = 0; i < 2; i++) { /* it looks itself, and we have looked */
		struct buf *said = output_of(scene, tell_proc, 0);

		assert_int_equal(said->length, sizeof(expected) - 1);
		assert_memory_equal(buf_start(said), expected, sizeof(expected) - 1);
		assert_int_equal(spawn_read_map(&map), 0);
		scene->spawn.map = &map;
	}
	assert_non_null(getenv("PATH")); /* ours is ours */
}

static int
wait_for_end(const void *arg, int argc, char **argv)
{
	char byte;

	(void)arg, (void)argc, (void)argv;
	if (fork() == 0)
		setsid();
	return (int)read(3, &byte, 1);
}

/* What it forks, and what has left its session, is known by its environment. */
static void
process_of_a_behaviour_is_known_by_its_environment(void **state)
{
	struct scene *scene = *state;
	pid_t pid, *children = NULL;
	int64_t start;
	char id[16] = "", life = 0;
	size_t count = 0;
	int status;

	scene->behaviour.run = wait_for_end;
	assert_int_equal(spawn_whole(&scene->spawn, &pid, &start), 0);
	while (count == 0) {
		free(children);
		assert_int_equal(tree_children(pid, &children, &count), 0);
	}
	assert_true(tree_variable(children[0], "JOBBERD_ID", id, sizeof(id)));
	assert_string_equal(id, "7");
	free(children);
	assert_int_equal(tree_stat(pid, &start, &life, &status), 0);
	assert_int_equal(getsid(pid), pid);
	assert_int_equal(shutdown(scene->socket, SHUT_WR), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int
tell_place(const void *arg, int argc, char **argv)
{
	char path[PATH_MAX];
	struct rlimit files;
	mode_t mask = umask(0);
	int death = -1;

	(void)arg, (void)argc, (void)argv;
	prctl(PR_GET_PDEATHSIG, &death);
	getrlimit(RLIMIT_NOFILE, &files);
	dprintf(STDOUT_FILENO, "%s %o %d %d %d %d", getcwd(path, sizeof(path)), mask,
	    getsid(0) == getpid(), getpgrp() == getpid(), (int)files.rlim_cur, death);
	return 0;
}

static void
behaviour_has_place_umask_session_and_limits_and_no_death_signal(void **state)
{
	struct scene *scene = *state;
	char expected[PATH_MAX + 40];

	snprintf(expected, sizeof(expected), "%s 27 1 1 123 0", scene->place);
	assert_string_equal(buf_text(output_of(scene, tell_place, 0)), expected);
}

static int
tell_signals(const void *arg, int argc, char **argv)
{
	(void)arg, (void)argc, (void)argv;
	execlp("sed", "sed", "-n", "/^Sig[BIC]/p", "/proc/self/status", NULL);
	return 1;
}

static void
behaviour_has_default_signals_and_none_blocked(void **state)
{
	sigset_t all, before;
	struct buf *said;

	/* As the keeper has it: reset once, then blocked for its loop. */
	spawn_reset_signals();
	sigfillset(&all);
	sigdelset(&all, SIGALRM);
	sigprocmask(SIG_SETMASK, &all, &before);
	said = output_of(*state, tell_signals, 0);
	sigprocmask(SIG_SETMASK, &before, NULL);
	assert_string_equal(buf_text(said), "SigBlk:\t0000000000000000\n"
					    "SigIgn:\t0000000000000000\n"
					    "SigCgt:\t0000000000000000\n");
}

static int
tell_descriptors(const void *arg, int argc, char **argv)
{
	char path[PATH_MAX] = "";

	(void)arg, (void)argc, (void)argv;
	for (int fd = 0; fd < 1000; fd++) {
		if (fcntl(fd, F_GETFD) != -1)
			dprintf(STDOUT_FILENO, "%d ", fd);
	}
	if (readlink("/proc/self/fd/0", path, sizeof(path) - 1) == -1)
		return 1;
	dprintf(STDERR_FILENO, "%s", path);
	return write(3, "said", 4) == 4 ? 0 : 1;
}

static void
behaviour_has_descriptors_0_to_3_and_no_others(void **state)
{
	struct scene *scene = *state;
	int extra = fcntl(scene->spawn.journal_fd, F_DUPFD, 500);
	char text[8] = "";

	assert_string_equal(
	    buf_text(output_of(scene, tell_descriptors, 0)), "0 1 2 3 /dev/null");
	assert_int_equal(read(scene->socket, text, sizeof(text)), 4);
	assert_string_equal(text, "said");
	close(extra);
}

static void
behaviour_is_recorded_before_it_runs(void **state)
{
	struct scene *scene = *state;
	struct journal_record record;
	int64_t start, true_start;
	pid_t pid;
	int status;
	char life;

	scene->spawn.journal_slot = 5;
	scene->behaviour.run = wait_for_end;
	assert_int_equal(spawn_whole(&scene->spawn, &pid, &start), 0);
	assert_int_equal(pread(scene->spawn.journal_fd, &record, sizeof(record),
			     5 * sizeof(record)),
	    sizeof(record));
	assert_int_equal(tree_stat(pid, &true_start, &life, &status), 0);
	assert_true(start == true_start || start == true_start - 1);
	assert_true(
	    record.pid_start == true_start || record.pid_start == true_start - 1);
	assert_true(record.check == JOURNAL_CHECK);
	assert_int_equal(record.pid, pid);
	assert_memory_equal(
	    &record.key, &scene->spawn.record.key, sizeof(struct order_key));
	assert_int_equal(shutdown(scene->socket, SHUT_WR), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

/* ---- what takes long ---- */

/* Its way leads through a pipe that is full. */
static void
begin_behind_pipe(struct scene *scene, struct spawn_plan *plan, int pipe_ends[2], pid_t *ret_pid)
{
	char bytes[4096] = { 0 };

	assert_int_equal(pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK), 0);
	while (write(pipe_ends[1], bytes, sizeof(bytes)) > 0)
		;
	assert_int_equal(fcntl(pipe_ends[1], F_SETFL, 0), 0);
	scene->spawn.cgroup_fd = pipe_ends[1];
	scene->behaviour.run = wait_for_end;
	assert_int_equal(spawn_begin(plan, &scene->spawn, NULL, ret_pid), 0);
	spawn_wait(plan, 20000);
	assert_false(spawn_is_over(plan));
}

static void
end_behind_pipe(struct scene *scene, struct spawn_plan *plan, const int pipe_ends[2], pid_t pid)
{
	assert_true(spawn_is_over(plan));
	assert_int_equal(spawn_end(plan, pid), 0);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	scene->spawn.cgroup_fd = -1;
}

static void
behaviour_on_its_way_is_not_waited_for(void **state)
{
	struct scene *scene = *state;
	struct spawn_plan plan;
	int pipe_ends[2], status;
	char bytes[4096];
	pid_t pid;

	begin_behind_pipe(scene, &plan, pipe_ends, &pid);
	while (read(pipe_ends[0], bytes, sizeof(bytes)) > 0)
		;
	while (!spawn_is_over(&plan))
		spawn_wait(&plan, 1000000);
	end_behind_pipe(scene, &plan, pipe_ends, pid);
	assert_true(plan.start > 77); /* it has looked itself: that was long ago */
	assert_int_equal(shutdown(scene->socket, SHUT_WR), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void
behaviour_that_dies_on_its_way_has_been_one(void **state)
{
	struct scene *scene = *state;
	struct spawn_plan plan;
	int pipe_ends[2], status;
	pid_t pid;

	begin_behind_pipe(scene, &plan, pipe_ends, &pid);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(spawn_is_over(&plan));
	spawn_died(&plan);
	end_behind_pipe(scene, &plan, pipe_ends, pid);
	assert_int_equal(plan.start, 77);
}

/* Also where the keeper's end of what it reports by would be. */
static void
behaviour_has_its_ready_fd_wherever_that_is(void **state)
{
	struct scene *scene = *state;
	char wanted[64];

	for (int ready_fd = 4; ready_fd < 20; ready_fd++) {
		scene->spawn.ready_fd = ready_fd;
		snprintf(wanted, sizeof(wanted), "0 1 2 3 %d /dev/null", ready_fd);
		assert_string_equal(
		    buf_text(output_of(scene, tell_descriptors, 0)), wanted);
	}
}

/* ---- what cannot be started ---- */

static int
never(const void *arg, int argc, char **argv)
{
	(void)arg, (void)argc, (void)argv;
	dprintf(STDOUT_FILENO, "ran");
	return 0;
}

static void
check_refused(struct scene *scene, int result, int error)
{
	struct stat info;
	int64_t start;
	pid_t pid = 42;

	scene->behaviour.run = never;
	errno = 0;
	assert_int_equal(spawn_whole(&scene->spawn, &pid, &start), result);
	assert_int_equal(errno, error);
	assert_int_equal(pid, 42);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(fstat(scene->spawn.output_fd, &info), 0);
	assert_int_equal(info.st_size, 0);
}

static enum end_place
place_of_failure(struct scene *scene)
{
	struct spawn_plan plan;
	pid_t pid;

	assert_int_equal(spawn_begin(&plan, &scene->spawn, NULL, &pid), 0);
	while (!spawn_is_over(&plan))
		spawn_wait(&plan, 1000000);
	assert_int_equal(spawn_end(&plan, pid), ENOENT);
	return plan.place;
}

static void
behaviour_that_cannot_start_says_why(void **state)
{
	struct scene *scene = *state;

	scene->spawn.cwd = "/no/such/place";
	check_refused(scene, ENOENT, ENOENT);
	assert_int_equal(place_of_failure(scene), PLACE_DIRECTORY);
	scene->spawn.cwd = scene->place;
	scene->spawn.stdin_path = "no-such-file";
	check_refused(scene, ENOENT, ENOENT);
	assert_int_equal(place_of_failure(scene), PLACE_INPUT);
}

static void
behaviour_that_cannot_be_recorded_is_not_run(void **state)
{
	struct scene *scene = *state;
	int journal = scene->spawn.journal_fd;

	scene->spawn.journal_fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	check_refused(scene, -1, ENOSPC);
	close(scene->spawn.journal_fd);
	scene->spawn.journal_fd = journal;
}

static void
behaviour_is_found_by_its_whole_name(void **state)
{
	static const struct spawn_behaviour list[] = { { .name = "ab" }, { .name = "a" },
		{ .name = NULL } };

	(void)state;
	assert_ptr_equal(spawn_find_behaviour(list, "a"), &list[1]);
	assert_null(spawn_find_behaviour(list, "abc"));
	assert_null(spawn_find_behaviour(list, ""));
	assert_null(spawn_find_behaviour(NULL, "a"));
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(behaviour_gets_its_arguments_and_gives_its_status),
		SCENE(behaviour_has_its_own_name_words_and_environment),
		SCENE(process_of_a_behaviour_is_known_by_its_environment),
		SCENE(behaviour_has_place_umask_session_and_limits_and_no_death_signal),
		SCENE(behaviour_has_default_signals_and_none_blocked),
		SCENE(behaviour_has_descriptors_0_to_3_and_no_others),
		SCENE(behaviour_has_its_ready_fd_wherever_that_is),
		SCENE(behaviour_is_recorded_before_it_runs),
		SCENE(behaviour_on_its_way_is_not_waited_for),
		SCENE(behaviour_that_dies_on_its_way_has_been_one),
		SCENE(behaviour_that_cannot_start_says_why),
		SCENE(behaviour_that_cannot_be_recorded_is_not_run),
		cmocka_unit_test(behaviour_is_found_by_its_whole_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
