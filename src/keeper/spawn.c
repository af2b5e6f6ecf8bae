/*
 * spawn: the child's way from clone to execve. It shares our memory until then, on a
 * stack of its own: only system calls, no locks, no allocation, and its result is written
 * where we can read it.
 */

#include "keeper/spawn.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STACK_SIZE (128 << 10)
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

void
spawn_reset_signals(void)
{
	/* The kernel's own call: glibc hides two signals that a parent may have ignored. */
	struct {
		void (*handler)(int);
		unsigned long flags;
		void (*restorer)(void);
		unsigned long mask;
	} action = { .handler = SIG_DFL };
	sigset_t none;

	for (int number = 1; number <= 64; number++) {
		if (number != SIGKILL && number != SIGSTOP)
			syscall(SYS_rt_sigaction, number, &action, NULL, sizeof(action.mask));
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

int64_t
spawn_start_ticks(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 100 + now.tv_nsec / 10000000;
}

static const char *
find_variable(char *const *variables, const char *name)
{
	size_t length = strlen(name);

	for (; *variables != NULL; variables++) {
		if (strncmp(*variables, name, length) == 0 && (*variables)[length] == '=')
			return *variables + length + 1;
	}
	return NULL;
}

/*
 * What runs on the child's stack leaves without unwinding it, so that stack must not be
 * instrumented.
 */
#define ON_CHILD_STACK __attribute__((no_sanitize_address))

/* execve by the job's own PATH, as a shell would look for it; returns an errno. */
ON_CHILD_STACK static int
execute(const struct spawn *spawn)
{
	const char *name = spawn->arguments[0], *path, *end;
	size_t name_length = strlen(name);
	char candidate[PATH_MAX];
	int error = ENOENT;

	if (strchr(name, '/') != NULL) {
		execve(name, spawn->arguments, spawn->variables);
		return errno;
	}
	path = find_variable(spawn->variables, "PATH");
	if (path == NULL)
		path = DEFAULT_PATH;
	for (;; path = end + 1) {
		size_t length;

		end = strchrnul(path, ':');
		length = (size_t)(end - path);
		if (length + name_length + 2 <= sizeof(candidate)) {
			memcpy(candidate, path, length);
			if (length > 0)
				candidate[length++] = '/';
			memcpy(candidate + length, name, name_length + 1);
			execve(candidate, spawn->arguments, spawn->variables);
			if (errno == EACCES)
				error = EACCES;
			else if (errno != ENOENT && errno != ENOTDIR)
				return errno;
		}
		if (*end == '\0')
			return error;
	}
}

/* Where neither can be had, it runs all the same. */
ON_CHILD_STACK static void
enter_place(const struct spawn *spawn)
{
	if (spawn->cgroup_fd != -1 && write(spawn->cgroup_fd, "0", 1) == -1)
		errno = 0;
	if (spawn->resets_oom_score) {
		int fd = open("/proc/self/oom_score_adj", O_WRONLY);

		if (fd != -1 && write(fd, "0", 1) == -1)
			errno = 0;
	}
}

/*
 * Until the program runs our parent waits: a FIFO or a line must not keep us in open(2). A
 * FIFO would then be read as empty when nobody writes to it yet, so it is no input here.
 */
ON_CHILD_STACK static int
open_input(const char *path)
{
	int fd = open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK);
	struct stat info;

	if (fd == -1 || fstat(fd, &info) == -1 || fcntl(fd, F_SETFL, 0) == -1)
		return -1;
	if (S_ISFIFO(info.st_mode)) {
		errno = ENOTSUP;
		return -1;
	}
	return fd;
}

/* Field 22 of our own stat, whose second may have blanks in it; otherwise if it cannot be read. */
ON_CHILD_STACK static int64_t
own_start(int64_t otherwise)
{
	int fd = open("/proc/self/stat", O_RDONLY), field = 2;
	char text[512];
	ssize_t length = fd != -1 ? read(fd, text, sizeof(text) - 1) : -1;
	int64_t start = 0;
	char *at;

	if (fd != -1)
		close(fd);
	if (length <= 0)
		return otherwise;
	text[length] = '\0';
	at = strrchr(text, ')');
	for (; at != NULL && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at == NULL)
		return otherwise;
	while (*++at >= '0' && *at <= '9')
		start = 10 * start + (*at - '0');
	return start;
}

ON_CHILD_STACK int
spawn_enter(struct spawn_plan *plan)
{
	const struct spawn *spawn = plan->spawn;
	struct journal_record record = spawn->record;
	int stdin_fd = spawn->stdin_fd;
	sigset_t none;

	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	enter_place(spawn);
	umask(spawn->umask);
	if (chdir(spawn->cwd) == -1)
		goto failed;
	if (spawn->stdin_path[0] != '\0' &&
	    (stdin_fd = open_input(spawn->stdin_path)) == -1)
		goto failed;
	record.pid = getpid();
	/* On a busy machine it may have taken long from the first look at the clock to here. */
	if (spawn_start_ticks() > record.pid_start + 1)
		record.pid_start = own_start(record.pid_start);
	plan->start = record.pid_start;
	/* Unrecorded it could be started a second time after a crash of the keeper. */
	if (journal_write(spawn->journal_fd, spawn->journal_slot, &record) == -1) {
		plan->is_unrecorded = true;
		goto failed;
	}
	if (dup2(stdin_fd, STDIN_FILENO) == -1 ||
	    dup2(spawn->output_fd, STDOUT_FILENO) == -1 ||
	    dup2(spawn->output_fd, STDERR_FILENO) == -1 || dup2(spawn->socket_fd, 3) == -1)
		goto failed;
	close_range(4, ~0U, 0);
	/* Only now: a keeper of many jobs has more files open, and the next would be refused. */
	if (spawn->files != NULL)
		setrlimit(RLIMIT_NOFILE, spawn->files);
	return 0;
failed:
	plan->error = errno;
	return -1;
}

/*
 * A table of open files of our own, as far as we need them: all of it would be copied, and
 * closed again, for each child of a keeper that has thousands.
 */
ON_CHILD_STACK static int
take_files(struct spawn_plan *plan)
{
	const struct spawn *spawn = plan->spawn;
	const int needed[] = { STDERR_FILENO, spawn->stdin_fd, spawn->output_fd,
		spawn->socket_fd, spawn->cgroup_fd, spawn->journal_fd };
	int last = 3;

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		last = needed[i] > last ? needed[i] : last;
	if (close_range((unsigned)last + 1, ~0U, CLOSE_RANGE_UNSHARE) == 0)
		return 0;
	plan->error = errno;
	return -1;
}

ON_CHILD_STACK static int
child_main(void *arg)
{
	struct spawn_plan *plan = arg;

	if (take_files(plan) == 0 && spawn_enter(plan) == 0)
		plan->error = execute(plan->spawn);
	syscall(SYS_exit_group, 127);
	return 127;
}

int
spawn_command(const struct spawn *spawn, pid_t *ret_pid, int64_t *ret_start)
{
	static char *stack;
	struct spawn_plan plan = { .spawn = spawn };
	pid_t pid;

	if (stack == NULL) {
		char *memory = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

		if (memory == MAP_FAILED)
			return -1;
		stack = memory + STACK_SIZE;
	}
	pid = clone(child_main, stack, CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &plan);
	if (pid == -1)
		return -1;
	if (plan.error != 0) {
		while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
			;
		errno = plan.error;
		return plan.is_unrecorded ? -1 : plan.error;
	}
	*ret_pid = pid;
	*ret_start = plan.start;
	return 0;
}

bool
spawn_is_lack(int error)
{
	return error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE ||
	    error == ETXTBSY;
}

int
spawn_helper(const char *path, char *const *arguments, const int *descriptors,
    size_t descriptor_count, pid_t *ret_pid)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == -1)
		return -1;
	if (pid > 0) {
		*ret_pid = pid;
		return 0;
	}
	setsid();
	spawn_reset_signals();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	/* First out of the way of each other, then into place. */
	for (size_t i = 0; i < descriptor_count; i++) {
		int moved = fcntl(descriptors[i], F_DUPFD, 64 + (int)descriptor_count);

		if (moved == -1 || dup2(moved, 64 + (int)i) == -1)
			_exit(1);
	}
	for (size_t i = 0; i < descriptor_count; i++) {
		if (dup2(64 + (int)i, 3 + (int)i) == -1)
			_exit(1);
	}
	close_range(3 + (unsigned)descriptor_count, ~0U, 0);
	execv(path, arguments);
	_exit(127);
}

int
spawn_detached(const char *path, char *const *arguments, int output_fd, int error_fd)
{
	pid_t pid = fork();
	int null;

	if (pid != 0)
		return pid == -1 ? -1 : 0;
	setsid();
	spawn_reset_signals();
	null = open("/dev/null", O_RDWR);
	if (null == -1 || dup2(null, STDIN_FILENO) == -1 ||
	    dup2(output_fd, STDOUT_FILENO) == -1 || dup2(error_fd, STDERR_FILENO) == -1)
		_exit(1);
	close_range(3, ~0U, 0);
	execv(path, arguments);
	_exit(127);
}
