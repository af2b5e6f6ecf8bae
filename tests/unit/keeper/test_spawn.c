/*
 * spawn: what a command finds when it starts. It tells so itself, in its output file; nothing
 * is asserted in a child. A test that waited for ever would be ended by alarm(2).
 */

#include "base/buf.h"
#include "base/file.h"
#include "keeper/orders.h"
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
#define ARGUMENTS(...) ((char *const *)(const char *const[]){ __VA_ARGS__, NULL })
#define SHELL(script) ARGUMENTS("/bin/sh", "-c", script)

/* Everything a command is started with, a directory, and what it said. */
struct scene {
	struct spawn spawn;
	char place[PATH_MAX];
	int socket; /* our end of its descriptor 3 */
	struct buf output;
	struct rlimit files;
	struct sigaction sigpipe;
	sigset_t mask;
};

static const char *const plain_variables[] = { "PATH=/usr/bin:/bin", NULL };

static int
begin(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	const char *parent = getenv("TMPDIR");
	int ends[2];

	*state = scene;
	alarm(LONGEST_TEST_SECONDS);
	sigprocmask(SIG_SETMASK, NULL, &scene->mask);
	sigaction(SIGPIPE, NULL, &scene->sigpipe);
	snprintf(scene->place, sizeof(scene->place), "%s/spawn.XXXXXX",
	    parent != NULL ? parent : "/tmp");
	if (mkdtemp(scene->place) == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == -1 ||
	    getrlimit(RLIMIT_NOFILE, &scene->files) == -1)
		return -1;
	scene->socket = ends[0];
	scene->spawn = (struct spawn){
		.variables = (char *const *)plain_variables,
		.cwd = scene->place,
		.stdin_path = "",
		.stdin_fd = open("/dev/null", O_RDWR | O_CLOEXEC),
		.output_fd = memfd_create("output", MFD_CLOEXEC),
		.socket_fd = ends[1],
		.umask = 022,
		.cgroup_fd = -1,
		.journal_fd = memfd_create("journal", MFD_CLOEXEC),
		.record = { .check = JOURNAL_CHECK, .key = { 1, 2, 3 }, .pid_start = 77 },
	};
	return 0;
}

static void
remove_below(const struct scene *scene, const char *name)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s", scene->place, name);
	remove(path);
}

static int
finish(void **state)
{
	static const char *const names[] = { "a/tool", "b/tool", "c/tool", "d/tool", "a", "b",
		"c", "d", "tool", "file" };
	struct scene *scene = *state;

	alarm(0);
	sigprocmask(SIG_SETMASK, &scene->mask, NULL);
	sigaction(SIGPIPE, &scene->sigpipe, NULL);
	setrlimit(RLIMIT_NOFILE, &scene->files);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		remove_below(scene, names[i]);
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

/* Run it to its end, exit 0, and return all it said; valid until the next call. */
static const char *
output_of(struct scene *scene, char *const *arguments)
{
	char bytes[4096];
	off_t at = 0;
	ssize_t got;
	pid_t pid;
	int64_t start;
	int status;

	assert_int_equal(ftruncate(scene->spawn.output_fd, 0), 0);
	assert_int_equal(lseek(scene->spawn.output_fd, 0, SEEK_SET), 0);
	scene->spawn.arguments = arguments;
	assert_int_equal(spawn_whole(&scene->spawn, &pid, &start), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	buf_clear(&scene->output);
	while ((got = pread(scene->spawn.output_fd, bytes, sizeof(bytes), at)) > 0) {
		buf_add(&scene->output, bytes, (size_t)got);
		at += got;
	}
	if (status != 0)
		fail_msg("status %d, it said: %s", status, buf_text(&scene->output));
	return buf_text(&scene->output);
}

/* It must not start, with this errno; nothing may be left of it. */
static void
check_error(struct scene *scene, char *const *arguments, int error)
{
	pid_t pid = 42;
	int64_t start;

	scene->spawn.arguments = arguments;
	assert_int_equal(spawn_whole(&scene->spawn, &pid, &start), error);
	assert_int_equal(pid, 42);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void
write_file(const struct scene *scene, const char *name, const char *text, mode_t mode)
{
	char path[PATH_MAX + 64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", scene->place, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_not_equal(fd, -1);
	assert_int_equal(file_write_all(fd, text, strlen(text)), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void
make_directory(const struct scene *scene, const char *name)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s", scene->place, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

/* ---- what it is given ---- */

static void
command_gets_its_arguments_exactly(void **state)
{
	static const char expected[] = "/bin/sh\0-c\0cat /proc/$$/cmdline; :\0name\0\0"
				       "a b\0$HOME *\0x\ny\0\xff\xfe\0--";
	struct scene *scene = *state;

	output_of(scene, ARGUMENTS("/bin/sh", "-c", "cat /proc/$$/cmdline; :", "name", "",
			     "a b", "$HOME *", "x\ny", "\xff\xfe", "--"));
	assert_int_equal(scene->output.length, sizeof(expected));
	assert_memory_equal(buf_start(&scene->output), expected, sizeof(expected));
}

static void
command_gets_its_environment_exactly(void **state)
{
	static const char expected[] = "PATH=/bin\0EMPTY=\0NOVALUE\0A=b=c d\0A=twice";
	struct scene *scene = *state;

	scene->spawn.variables =
	    ARGUMENTS("PATH=/bin", "EMPTY=", "NOVALUE", "A=b=c d", "A=twice");
	output_of(scene, ARGUMENTS("cat", "/proc/self/environ"));
	assert_int_equal(scene->output.length, sizeof(expected));
	assert_memory_equal(buf_start(&scene->output), expected, sizeof(expected));
}

/* Where a variable has room for it. */
static void
command_knows_its_own_pid_from_its_environment(void **state)
{
	struct scene *scene = *state;
	char variable[] = PID_VARIABLE "=" PID_ROOM;

	scene->spawn.variables = ARGUMENTS(variable, "PATH=/bin:/usr/bin");
	scene->spawn.own_pid = variable + sizeof(PID_VARIABLE);
	assert_string_equal(
	    output_of(scene, SHELL("[ $" PID_VARIABLE " = $$ ] && env | grep -c =$$'$'")), "1\n");
}

/* Also above the limit of descriptors that it is given. */
static void
descriptor_3_is_also_where_it_is_asked_for_and_no_others_are_there(void **state)
{
	static const char script[] =
	    "for ((n = 0; n < 1100; n++)); do [ ! -e /proc/$$/fd/$n ] || echo -n \"$n \"; done; "
	    "[ /proc/$$/fd/3 -ef /proc/$$/fd/$0 ]";
	static const int copies[] = { 4, 5, 17, 1023 };
	struct scene *scene = *state;
	struct rlimit few = { .rlim_cur = 20, .rlim_max = scene->files.rlim_max };

	scene->spawn.files = &few;
	for (size_t i = 0; i < sizeof(copies) / sizeof(copies[0]); i++) {
		char number[16], expected[64];

		snprintf(number, sizeof(number), "%d", copies[i]);
		snprintf(expected, sizeof(expected), "0 1 2 3 %d ", copies[i]);
		scene->spawn.ready_fd = copies[i];
		assert_string_equal(
		    output_of(scene, ARGUMENTS("/bin/bash", "-c", script, number)), expected);
	}
	scene->spawn.ready_fd = 3;
	assert_string_equal(
	    output_of(scene, ARGUMENTS("/bin/bash", "-c", script, "3")), "0 1 2 3 ");
}

static void
command_runs_in_its_directory_with_its_umask(void **state)
{
	struct scene *scene = *state;
	mode_t before = umask(0);
	char expected[PATH_MAX + 64];

	umask(before);
	scene->spawn.umask = 027;
	snprintf(expected, sizeof(expected), "%s\n0027\n", scene->place);
	assert_string_equal(output_of(scene, SHELL("pwd -P; umask")), expected);
	assert_int_equal(umask(before), before);
}

static void
command_has_default_signals_and_none_blocked(void **state)
{
	struct scene *scene = *state;
	sigset_t all;
	const char *said;

	/* As the keeper has it: reset once, then blocked for its loop. */
	spawn_reset_signals();
	sigfillset(&all);
	sigdelset(&all, SIGALRM);
	sigprocmask(SIG_SETMASK, &all, NULL);
	said = output_of(scene, ARGUMENTS("sed", "-n", "/^Sig[BIC]/p", "/proc/self/status"));
	assert_string_equal(said, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
				  "SigCgt:\t0000000000000000\n");
}

static void
command_leads_a_session_and_group_of_its_own(void **state)
{
	struct scene *scene = *state;
	int pid, group, session;

	output_of(scene, ARGUMENTS("cut", "-d ", "-f1,5,6", "/proc/self/stat"));
	assert_int_equal(
	    sscanf(buf_text(&scene->output), "%d %d %d", &pid, &group, &session), 3);
	assert_int_equal(group, pid);
	assert_int_equal(session, pid);
	assert_int_not_equal(session, getsid(0));
}

static void
command_has_descriptors_0_to_3_and_no_others(void **state)
{
	static const int extra[] = { 4, 5, 17, 63, 100, 255, 900 };
	struct scene *scene = *state;
	int opened[7];

	for (size_t i = 0; i < 7; i++)
		opened[i] = fcntl(scene->spawn.journal_fd, F_DUPFD, extra[i]);
	assert_string_equal(
	    output_of(scene, SHELL("for n in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 "
				   "63 64 100 101 255 256 900 901; do "
				   "[ ! -e /proc/$$/fd/$n ] || echo $n; done")),
	    "0\n1\n2\n3\n");
	for (size_t i = 0; i < 7; i++)
		close(opened[i]);
}

static void
command_writes_both_outputs_into_one_file_and_reads_nothing(void **state)
{
	struct scene *scene = *state;

	assert_string_equal(output_of(scene, SHELL("echo a; echo b >&2; echo c; cat; "
						   "readlink /proc/self/fd/0")),
	    "a\nb\nc\n/dev/null\n");
}

static void
command_speaks_on_descriptor_3(void **state)
{
	struct scene *scene = *state;
	char bytes[16] = "";

	assert_int_equal(write(scene->socket, "question\n", 9), 9);
	assert_string_equal(
	    output_of(scene, SHELL("read x <&3; echo $x; echo answer >&3")), "question\n");
	assert_int_equal(read(scene->socket, bytes, sizeof(bytes)), 7);
	assert_string_equal(bytes, "answer\n");
}

static void
command_reads_its_file_below_its_directory(void **state)
{
	struct scene *scene = *state;

	write_file(scene, "file", "what it reads", 0600);
	scene->spawn.stdin_path = "file";
	assert_string_equal(output_of(scene, ARGUMENTS("cat")), "what it reads");
}

static void
command_has_the_limit_of_files_it_is_given(void **state)
{
	struct scene *scene = *state;
	struct rlimit files = { 123, scene->files.rlim_max };

	scene->spawn.files = &files;
	assert_string_equal(output_of(scene, SHELL("ulimit -n")), "123\n");
}

/* The keeper of many jobs has more files open than each of them may have. */
static void
command_reads_its_file_though_the_keeper_has_more_open_than_it_may(void **state)
{
	struct scene *scene = *state;
	struct rlimit files = { 32, scene->files.rlim_max };
	int opened[64];

	write_file(scene, "file", "what it reads", 0600);
	scene->spawn.stdin_path = "file";
	scene->spawn.files = &files;
	for (int i = 0; i < 64; i++)
		opened[i] = fcntl(scene->spawn.journal_fd, F_DUPFD_CLOEXEC, 4);
	assert_string_equal(
	    output_of(scene, SHELL("cat; echo; ulimit -n")), "what it reads\n32\n");
	for (int i = 0; i < 64; i++)
		close(opened[i]);
}

static void
command_is_recorded_before_it_runs(void **state)
{
	struct scene *scene = *state;
	struct journal_record record;
	pid_t pid;
	int64_t start;
	int status;

	scene->spawn.journal_slot = 5;
	scene->spawn.arguments = ARGUMENTS("true");
	assert_int_equal(spawn_whole(&scene->spawn, &pid, &start), 0);
	assert_int_equal(pread(scene->spawn.journal_fd, &record, sizeof(record),
			     5 * sizeof(record)),
	    sizeof(record));
	assert_true(record.check == JOURNAL_CHECK);
	assert_int_equal(record.pid, pid);
	assert_int_equal(record.pid_start, start); /* 77 was long ago */
	assert_memory_equal(
	    &record.key, &scene->spawn.record.key, sizeof(struct order_key));
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void
command_that_cannot_be_recorded_is_not_run(void **state)
{
	struct scene *scene = *state;
	int journal = scene->spawn.journal_fd, full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	pid_t pid;
	int64_t start;

	scene->spawn.arguments = SHELL("echo ran");
	scene->spawn.journal_fd = full;
	assert_int_equal(spawn_whole(&scene->spawn, &pid, &start), -1);
	assert_int_equal(errno, ENOSPC);
	scene->spawn.journal_fd = -1;
	assert_int_equal(spawn_whole(&scene->spawn, &pid, &start), -1);
	assert_int_equal(errno, EBADF);
	scene->spawn.journal_fd = journal;
	assert_int_equal(lseek(scene->spawn.output_fd, 0, SEEK_END), 0);
	close(full);
}

static void
start_ticks_are_those_in_proc(void **state)
{
	struct scene *scene = *state;
	int64_t before = spawn_start_ticks(), start, after;
	int status;
	char life;
	pid_t pid;
	int64_t told;

	scene->spawn.arguments = SHELL("read x <&3; :");
	assert_int_equal(spawn_whole(&scene->spawn, &pid, &told), 0);
	after = spawn_start_ticks();
	assert_int_equal(tree_stat(pid, &start, &life, &status), 0);
	assert_true(start >= before && start <= after);
	assert_true(told == start || told == start - 1);
	assert_int_equal(write(scene->socket, "\n", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

/* ---- looking for it ---- */

/* a: may not be executed; b: runs; c: a directory; d: no program that anybody knows */
static void
make_tools(const struct scene *scene)
{
	make_directory(scene, "a");
	make_directory(scene, "b");
	make_directory(scene, "c");
	make_directory(scene, "d");
	write_file(scene, "a/tool", "#!/bin/sh\necho a\n", 0600);
	write_file(scene, "b/tool", "#!/bin/sh\necho b\n", 0700);
	make_directory(scene, "c/tool");
	write_file(scene, "d/tool", "neither one thing nor the other\n", 0700);
	write_file(scene, "tool", "#!/bin/sh\necho here\n", 0700);
	write_file(scene, "file", "", 0700);
}

static void
command_is_looked_for_along_its_own_path(void **state)
{
	static const struct {
		const char *path, *said; /* or NULL … */
		int error;
	} rows[] = {
		{ "PATH=b", "b\n", 0 },
		{ "PATH=b/", "b\n", 0 },
		{ "PATH=a:b", "b\n", 0 },
		{ "PATH=c:b", "b\n", 0 },
		{ "PATH=none:b:a", "b\n", 0 },
		{ "PATH=file:b", "b\n", 0 },
		{ "PATH=b:d", "b\n", 0 },
		{ "PATH=", "here\n", 0 },
		{ "PATH=:b", "here\n", 0 },
		{ "PATH=a::b", "here\n", 0 },
		{ "PATH=none:", "here\n", 0 },
		{ "PATH=.", "here\n", 0 },
		{ "PATH=none", NULL, ENOENT },
		{ "PATH=none:file", NULL, ENOENT },
		{ "PATH=a", NULL, EACCES },
		{ "PATH=a:none", NULL, EACCES },
		{ "PATH=none:c", NULL, EACCES },
		{ "PATH=d", NULL, ENOEXEC },
		{ "PATH=d:b", NULL, ENOEXEC },
		{ "PATHS=b", NULL, ENOENT },
		{ "XPATH=b", NULL, ENOENT },
	};
	struct scene *scene = *state;

	make_tools(scene);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		scene->spawn.variables = ARGUMENTS(rows[i].path);
		if (rows[i].said != NULL)
			assert_string_equal(
			    output_of(scene, ARGUMENTS("tool")), rows[i].said);
		else
			check_error(scene, ARGUMENTS("tool"), rows[i].error);
	}
}

static void
command_with_a_slash_is_not_looked_for(void **state)
{
	struct scene *scene = *state;

	make_tools(scene);
	scene->spawn.variables = ARGUMENTS("PATH=b");
	assert_string_equal(output_of(scene, ARGUMENTS("./tool")), "here\n");
	check_error(scene, ARGUMENTS("b/none"), ENOENT);
	check_error(scene, ARGUMENTS("a/tool"), EACCES);
	check_error(scene, ARGUMENTS("c/tool"), EACCES);
	check_error(scene, ARGUMENTS("file/tool"), ENOTDIR);
}

static void
command_without_a_path_is_looked_for_where_programs_are(void **state)
{
	struct scene *scene = *state;

	scene->spawn.variables = (char *const[]){ NULL };
	assert_string_equal(output_of(scene, ARGUMENTS("echo", "found")), "found\n");
}

static void
command_is_looked_for_past_places_whose_names_are_too_long(void **state)
{
	struct scene *scene = *state;
	struct buf path = { 0 };

	make_tools(scene);
	buf_addf(&path, "PATH=%0*d:%0*d:b", PATH_MAX - 2, 0, 3 * PATH_MAX, 0);
	scene->spawn.variables = ARGUMENTS(buf_text(&path));
	assert_string_equal(output_of(scene, ARGUMENTS("tool")), "b\n");
	buf_done(&path);
}

/* ---- what cannot be started ---- */

static void
command_that_cannot_be_executed_says_why(void **state)
{
	struct scene *scene = *state;
	static char huge[256 << 10];

	memset(huge, 'x', sizeof(huge) - 1);
	write_file(scene, "file", "", 0700);
	write_file(scene, "tool", "#!/no/such/interpreter\n", 0700);
	check_error(scene, ARGUMENTS("/no/such/program"), ENOENT);
	check_error(scene, ARGUMENTS("no-such-program-anywhere"), ENOENT);
	check_error(scene, ARGUMENTS("/dev/null"), EACCES);
	check_error(scene, ARGUMENTS("/"), EACCES);
	check_error(scene, ARGUMENTS("./file"), ENOEXEC);
	check_error(scene, ARGUMENTS("./tool"), ENOENT);
	check_error(scene, ARGUMENTS("/bin/echo", huge), E2BIG);
	assert_string_equal(output_of(scene, ARGUMENTS("echo", "all is well")), "all is well\n");
}

static void
command_in_a_directory_that_is_none_says_why(void **state)
{
	struct scene *scene = *state;

	scene->spawn.cwd = "/no/such/directory";
	check_error(scene, ARGUMENTS("true"), ENOENT);
	scene->spawn.cwd = "/dev/null";
	check_error(scene, ARGUMENTS("true"), ENOTDIR);
	scene->spawn.cwd = "";
	check_error(scene, ARGUMENTS("true"), ENOENT);
}

static void
command_whose_input_cannot_be_opened_says_why(void **state)
{
	struct scene *scene = *state;

	scene->spawn.stdin_path = "none";
	check_error(scene, ARGUMENTS("true"), ENOENT);
	scene->spawn.stdin_path = "/dev/null/x";
	check_error(scene, ARGUMENTS("true"), ENOTDIR);
}

static void
lack_is_ours_and_all_else_the_commands(void **state)
{
	static const int ours[] = { EAGAIN, ENOMEM, EMFILE, ENFILE, ETXTBSY };
	static const int theirs[] = { 0, ENOENT, EACCES, ENOEXEC, E2BIG, ENOTDIR, ELOOP, EPERM };

	(void)state;
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		assert_true(spawn_is_lack(ours[i]));
	for (size_t i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++)
		assert_false(spawn_is_lack(theirs[i]));
}

/* ---- other programs of ours ---- */

/* What comes out of a pipe up to its end. */
static void
read_to_end(int fd, char *text, size_t size)
{
	size_t used = 0;
	ssize_t got;

	while (used < size - 1 && (got = read(fd, text + used, size - 1 - used)) > 0)
		used += (size_t)got;
	text[used] = '\0';
}

static void
helper_has_the_descriptors_it_is_given_in_order(void **state)
{
	int first[2], second[2], status;
	char text[1000];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(first, O_CLOEXEC), 0);
	assert_int_equal(pipe2(second, O_CLOEXEC), 0);
	/* Each in the other's place, so that neither is overwritten by the other. */
	assert_int_equal(
	    spawn_helper("/bin/sh",
		SHELL("echo three >&3; echo four >&4; for n in 5 6 7 8 9 10 64 65 66 67; do "
		      "[ ! -e /proc/$$/fd/$n ] || echo $n >&3; done"),
		(int[]){ second[1], first[1] }, 2, &pid),
	    0);
	close(first[1]);
	close(second[1]);
	read_to_end(second[0], text, sizeof(text));
	assert_string_equal(text, "three\n");
	read_to_end(first[0], text, sizeof(text));
	assert_string_equal(text, "four\n");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(first[0]);
	close(second[0]);
}

static void
helper_has_default_signals_whatever_we_ignore(void **state)
{
	int said[2], status;
	char text[1000];
	sigset_t some;
	pid_t pid;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&some);
	sigaddset(&some, SIGUSR1);
	sigaddset(&some, SIGTERM);
	sigprocmask(SIG_BLOCK, &some, NULL);
	assert_int_equal(pipe2(said, O_CLOEXEC), 0);
	assert_int_equal(
	    spawn_helper("/bin/sh", SHELL("sed -n '/^Sig[BIC]/p' /proc/self/status >&3"),
		(int[]){ said[1] }, 1, &pid),
	    0);
	close(said[1]);
	read_to_end(said[0], text, sizeof(text));
	assert_string_equal(text, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
				  "SigCgt:\t0000000000000000\n");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(said[0]);
}

static void
helper_that_is_no_program_exits_with_127(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(spawn_helper("/no/such/program", ARGUMENTS("x"), NULL, 0, &pid), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 127 << 8);
}

/* In a process between us and it, which then dies. */
static void
start_helper_and_die(int said, int release)
{
	char byte;
	pid_t pid;
	int up[2];

	if (pipe2(up, O_CLOEXEC) == -1 ||
	    spawn_helper("/bin/sh", SHELL("echo >&5; read x <&4; :"),
		(int[]){ said, release, up[1] }, 3, &pid) == -1 ||
	    read(up[0], &byte, 1) != 1)
		_exit(1);
	_exit(0);
}

static void
helper_dies_with_us(void **state)
{
	int said[2], release[2], status;
	char text[16];
	pid_t middle;

	(void)state;
	assert_int_equal(pipe2(said, O_CLOEXEC), 0);
	assert_int_equal(pipe2(release, O_CLOEXEC), 0);
	middle = fork();
	if (middle == 0)
		start_helper_and_die(said[1], release[0]);
	close(said[1]);
	assert_int_equal(waitpid(middle, &status, 0), middle);
	assert_int_equal(status, 0);
	read_to_end(said[0], text, sizeof(text)); /* it would wait for ever */
	close(said[0]);
	close(release[0]);
	close(release[1]);
}

static void
detached_program_has_outputs_of_its_own_and_nothing_else(void **state)
{
	int output[2], errors[2], status;
	char text[1000];

	(void)state;
	assert_int_equal(pipe2(output, O_CLOEXEC), 0);
	assert_int_equal(pipe2(errors, O_CLOEXEC), 0);
	assert_int_equal(
	    spawn_detached("/bin/sh",
		SHELL("echo error >&2; cat; readlink /proc/$$/fd/0; "
		      "for n in 3 4 5 6 7 8 9 10 11 12; do "
		      "[ ! -e /proc/$$/fd/$n ] || echo $n; done; "
		      "set -- $(cut -d ' ' -f1,6 /proc/$$/stat); [ $1 = $2 ] && echo leader"),
		output[1], errors[1]),
	    0);
	close(output[1]);
	close(errors[1]);
	read_to_end(output[0], text, sizeof(text));
	assert_string_equal(text, "/dev/null\nleader\n");
	read_to_end(errors[0], text, sizeof(text));
	assert_string_equal(text, "error\n");
	assert_true(waitpid(-1, &status, 0) > 0);
	assert_int_equal(status, 0);
	close(output[0]);
	close(errors[0]);
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(command_gets_its_arguments_exactly),
		SCENE(command_gets_its_environment_exactly),
		SCENE(command_runs_in_its_directory_with_its_umask),
		SCENE(command_has_default_signals_and_none_blocked),
		SCENE(command_leads_a_session_and_group_of_its_own),
		SCENE(command_has_descriptors_0_to_3_and_no_others),
		SCENE(command_knows_its_own_pid_from_its_environment),
		SCENE(descriptor_3_is_also_where_it_is_asked_for_and_no_others_are_there),
		SCENE(command_writes_both_outputs_into_one_file_and_reads_nothing),
		SCENE(command_speaks_on_descriptor_3),
		SCENE(command_reads_its_file_below_its_directory),
		SCENE(command_has_the_limit_of_files_it_is_given),
		SCENE(command_reads_its_file_though_the_keeper_has_more_open_than_it_may),
		SCENE(command_is_recorded_before_it_runs),
		SCENE(command_that_cannot_be_recorded_is_not_run),
		SCENE(start_ticks_are_those_in_proc),
		SCENE(command_is_looked_for_along_its_own_path),
		SCENE(command_with_a_slash_is_not_looked_for),
		SCENE(command_without_a_path_is_looked_for_where_programs_are),
		SCENE(command_is_looked_for_past_places_whose_names_are_too_long),
		SCENE(command_that_cannot_be_executed_says_why),
		SCENE(command_in_a_directory_that_is_none_says_why),
		SCENE(command_whose_input_cannot_be_opened_says_why),
		SCENE(lack_is_ours_and_all_else_the_commands),
		SCENE(helper_has_the_descriptors_it_is_given_in_order),
		SCENE(helper_has_default_signals_whatever_we_ignore),
		SCENE(helper_that_is_no_program_exits_with_127),
		SCENE(helper_dies_with_us),
		SCENE(detached_program_has_outputs_of_its_own_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
