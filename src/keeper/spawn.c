/*
 * spawn: the child's way from clone to execve. It shares our memory until then, on a stack of
 * its own, and runs beside us: only system calls, no errno, no locks, no allocation, and its
 * result is written where we can read it.
 */

#include "keeper/spawn.h"
#include "base/xalloc.h"
#include "keeper/raw.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SPAWN_STACK_SIZE (64 << 10)
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

/* ---- where the program is ---- */

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

/* One of the directories of PATH, and what is in it of this name; "" is where we are. */
static size_t
join(char *to, const char *directory, size_t length, const char *name)
{
	size_t name_length = strlen(name);

	memcpy(to, directory, length);
	if (length > 0)
		to[length++] = '/';
	memcpy(to + length, name, name_length + 1);
	return length + name_length + 1;
}

/*
 * Where a shell would look for it, by the job's own PATH: the paths, in their order, with a NULL
 * behind them. One block of memory.
 */
static char **
find_programs(const struct spawn *spawn, bool is_searched)
{
	const char *name = spawn->arguments[0], *path = find_variable(spawn->variables, "PATH");
	size_t count = 1, used = 0;
	char **programs, *text;

	path = !is_searched ? "" : path != NULL ? path : DEFAULT_PATH;
	for (const char *at = path; *at != '\0'; at++)
		count += *at == ':';
	programs = xmalloc((count + 1) * sizeof(programs[0]) + strlen(path) +
	    count * (strlen(name) + 2));
	text = (char *)(programs + count + 1);
	for (size_t i = 0; i < count; i++) {
		size_t length = strcspn(path, ":");

		programs[i] = text + used;
		used += join(text + used, path, length, name);
		path += length + (path[length] == ':');
	}
	programs[count] = NULL;
	return programs;
}

/* ---- in the child ---- */

/*
 * What runs on the child's stack leaves without unwinding it, so that stack must not be
 * instrumented.
 */
#define ON_CHILD_STACK __attribute__((no_sanitize_address))

/* Returns an errno. */
ON_CHILD_STACK static int
execute(const struct spawn_plan *plan)
{
	int error = ENOENT, got = 0;

	for (char **program = plan->programs; *program != NULL; program++) {
		got = (int)-raw_call(SYS_execve, (long)*program, (long)plan->spawn->arguments,
		    (long)plan->spawn->variables, 0);
		if (!plan->is_searched)
			return got;
		if (got == EACCES)
			error = EACCES;
		else if (got != ENOENT && got != ENOTDIR && got != ENAMETOOLONG)
			return got;
	}
	return error;
}

/* Where neither can be had, it runs all the same. */
ON_CHILD_STACK static void
enter_place(const struct spawn *spawn)
{
	if (spawn->cgroup_fd != -1)
		raw_write(spawn->cgroup_fd, "0", 1);
	if (spawn->resets_oom_score) {
		int fd = raw_open("/proc/self/oom_score_adj", O_WRONLY);

		if (fd >= 0)
			raw_write(fd, "0", 1);
	}
}

/*
 * A FIFO or a line must not keep us in open(2): the job has not started yet. A FIFO would then
 * be read as empty when nobody writes to it yet, so it is no input here. An errno is negative.
 */
ON_CHILD_STACK static int
open_input(const char *path)
{
	int fd = raw_open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK), error;
	struct stat info;

	if (fd < 0)
		return fd;
	if ((error = (int)raw_call(SYS_fstat, fd, (long)&info, 0, 0)) < 0 ||
	    (error = raw_fcntl(fd, F_SETFL, 0)) < 0)
		return error;
	return S_ISFIFO(info.st_mode) ? -ENOTSUP : fd;
}

/* Field 22 of our own stat, whose second may have blanks in it; otherwise if it cannot be read. */
ON_CHILD_STACK static int64_t
own_start(int64_t otherwise)
{
	int fd = raw_open("/proc/self/stat", O_RDONLY), field = 2;
	char text[512];
	ssize_t length = fd >= 0 ? raw_read(fd, text, sizeof(text) - 1) : -1;
	int64_t start = 0;
	char *at;

	if (fd >= 0)
		raw_close(fd);
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

/* Those from this one on, but for `kept`. What comes behind it. */
ON_CHILD_STACK static unsigned
close_up_to(unsigned first, int kept)
{
	if (kept < (int)first)
		return first;
	if (kept > (int)first)
		raw_close_range(first, (unsigned)kept - 1, 0);
	return (unsigned)kept + 1;
}

/* All descriptors but 0 to 3, this copy of 3, if it is above, and that one. 0 or an errno. */
ON_CHILD_STACK static int
close_others(int copy, int report)
{
	int got = copy > 3 ? raw_dup2(3, copy) : 0;
	unsigned first = 4;

	if (got < 0)
		return -got;
	first = close_up_to(first, copy < report ? copy : report);
	first = close_up_to(first, copy < report ? report : copy);
	raw_close_range(first, ~0U, 0);
	return 0;
}

/* As text, with a NUL behind it; there is room. */
ON_CHILD_STACK static void
write_number(char *text, pid_t number)
{
	char digits[16];
	size_t count = 0;

	for (; number > 0; number /= 10)
		digits[count++] = (char)('0' + number % 10);
	while (count > 0)
		*text++ = digits[--count];
	*text = '\0';
}

/* 0 or an errno. */
ON_CHILD_STACK static int
place_descriptors(const struct spawn_plan *plan, int stdin_fd)
{
	const struct spawn *spawn = plan->spawn;
	const int places[][2] = { { stdin_fd, STDIN_FILENO }, { spawn->output_fd, STDOUT_FILENO },
		{ spawn->output_fd, STDERR_FILENO }, { spawn->socket_fd, 3 } };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int got = raw_dup2(places[i][0], places[i][1]);

		if (got < 0)
			return -got;
	}
	return close_others(spawn->ready_fd, plan->report_fd);
}

ON_CHILD_STACK static int
enter(struct spawn_plan *plan)
{
	const struct spawn *spawn = plan->spawn;
	struct journal_record record = spawn->record;
	int stdin_fd = spawn->stdin_fd, error;
	uint64_t no_signals = 0;

	raw_call(SYS_setsid, 0, 0, 0, 0);
	raw_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&no_signals, 0, sizeof(no_signals));
	enter_place(spawn);
	raw_call(SYS_umask, spawn->umask, 0, 0, 0);
	plan->place = PLACE_DIRECTORY;
	if ((error = (int)-raw_call(SYS_chdir, (long)spawn->cwd, 0, 0, 0)) != 0)
		return error;
	plan->place = PLACE_INPUT;
	if (spawn->stdin_path[0] != '\0' && (stdin_fd = open_input(spawn->stdin_path)) < 0)
		return -stdin_fd;
	plan->place = PLACE_PROGRAM;
	record.pid = raw_call(SYS_getpid, 0, 0, 0, 0);
	/* On a busy machine it may have taken long from the first look at the clock to here. */
	if (spawn_start_ticks() > record.pid_start + 1)
		record.pid_start = own_start(record.pid_start);
	plan->start = record.pid_start;
	/* Unrecorded it could be started a second time after a crash of the keeper. */
	error = journal_put(spawn->journal_fd, spawn->journal_slot, &record);
	plan->is_unrecorded = error != 0;
	if (error == 0)
		error = place_descriptors(plan, stdin_fd);
	if (error != 0)
		return error;
	if (spawn->own_pid != NULL)
		write_number(spawn->own_pid, (pid_t)record.pid);
	/* Only now: a keeper of many jobs has more files open, and the next would be refused. */
	if (spawn->files != NULL)
		raw_call(SYS_prlimit64, 0, RLIMIT_NOFILE, (long)spawn->files, 0);
	return 0;
}

ON_CHILD_STACK int
spawn_enter(struct spawn_plan *plan)
{
	plan->error = enter(plan);
	return plan->error == 0 ? 0 : -1;
}

/*
 * A table of open files of our own, as far as we need them: all of it would be copied, and
 * closed again, for each child of a keeper that has thousands. Until here it is the keeper's.
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
	plan->error = -raw_close_range((unsigned)last + 1, ~0U, CLOSE_RANGE_UNSHARE);
	return plan->error == 0 ? 0 : -1;
}

ON_CHILD_STACK static int
child_main(void *arg)
{
	struct spawn_plan *plan = arg;

	if (take_files(plan) == 0 && spawn_enter(plan) == 0)
		plan->error = execute(plan);
	raw_call(SYS_exit_group, 127, 0, 0, 0);
	return 127;
}

/* ---- in the parent ---- */

void *
spawn_stack_new(void)
{
	void *memory = mmap(NULL, SPAWN_STACK_SIZE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	return memory != MAP_FAILED ? memory : NULL;
}

void
spawn_stack_free(void *stack)
{
	if (stack != NULL)
		munmap(stack, SPAWN_STACK_SIZE);
}

int
spawn_begin(struct spawn_plan *plan, const struct spawn *spawn, void *stack, pid_t *ret_pid)
{
	/*
	 * The kernel would set the oom_score_adj of all who share this memory, ours too, but for
	 * a child that we wait for.
	 */
	int flags = spawn->resets_oom_score ? CLONE_VFORK : 0;
	pid_t pid;

#ifdef RAW_USES_ERRNO
	flags = CLONE_VFORK;
#endif
	*plan = (struct spawn_plan){ .spawn = spawn, .is_sharing = 1, .report_fd = -1,
		.start = spawn->record.pid_start,
		.is_searched = strchr(spawn->arguments[0], '/') == NULL };
	if (spawn->behaviour != NULL)
		return spawn_fork_begin(plan, ret_pid);
	plan->programs = find_programs(spawn, plan->is_searched);
	pid = clone(child_main, (char *)stack + SPAWN_STACK_SIZE,
	    flags | CLONE_VM | CLONE_FILES | CLONE_CHILD_CLEARTID | SIGCHLD, plan, NULL, NULL,
	    &plan->is_sharing);
	if (pid == -1) {
		free(plan->programs);
		return -1;
	}
	*ret_pid = pid;
	return 0;
}

bool
spawn_is_over(struct spawn_plan *plan)
{
	if (plan->report_fd != -1)
		spawn_fork_look(plan);
	return plan->spawn->behaviour != NULL
	    ? plan->report_fd == -1
	    : __atomic_load_n(&plan->is_sharing, __ATOMIC_ACQUIRE) == 0;
}

/* Of a program the kernel has said so. */
void
spawn_died(struct spawn_plan *plan)
{
	if (spawn_is_over(plan) || plan->report_fd == -1)
		return;
	close(plan->report_fd);
	plan->report_fd = -1;
}

void
spawn_wait(struct spawn_plan *plan, int64_t us)
{
	struct timespec limit = { us / 1000000, us % 1000000 * 1000 };
	struct pollfd report = { .fd = plan->report_fd, .events = POLLIN };

	if (spawn_is_over(plan))
		return;
	if (plan->report_fd != -1)
		ppoll(&report, 1, &limit, NULL);
	else
		syscall(SYS_futex, &plan->is_sharing, FUTEX_WAIT, 1, &limit, NULL, 0);
}

int
spawn_end(struct spawn_plan *plan, pid_t pid)
{
	free(plan->programs);
	plan->programs = NULL;
	if (plan->error == 0)
		return 0;
	while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		;
	errno = plan->error;
	return plan->is_unrecorded ? -1 : plan->error;
}

bool
spawn_is_lack(int error)
{
	return error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE ||
	    error == ETXTBSY;
}
