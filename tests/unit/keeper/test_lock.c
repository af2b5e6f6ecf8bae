/*
 * lock: one keeper a state directory, whatever killed the one before. A test that waited
 * for ever would be ended by alarm(2).
 */

#include "keeper/lock.h"
#include "keeper/tree.h"

#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LONGEST_TEST_SECONDS 40

/* A directory of its own for each test; *state is a descriptor of it. */
static char place[PATH_MAX];

static int
make_place(void **state)
{
	const char *parent = getenv("TMPDIR");
	int fd;

	alarm(LONGEST_TEST_SECONDS);
	snprintf(place, sizeof(place), "%s/lock.XXXXXX", parent != NULL ? parent : "/tmp");
	if (mkdtemp(place) == NULL)
		return -1;
	fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = (void *)(intptr_t)fd;
	return fd == -1 ? -1 : 0;
}

static int
remove_place(void **state)
{
	int fd = (int)(intptr_t)*state;

	alarm(0);
	unlinkat(fd, LOCK_FILE, 0);
	close(fd);
	return rmdir(place);
}

static void
write_lock_file(int directory, const char *text)
{
	int fd = openat(directory, LOCK_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* Another process that takes the lock, says so and lives until its pipe ends. */
struct holder {
	pid_t pid;
	int release; /* close it, and it goes */
};

static void
hold(int directory, int ready, int release)
{
	struct error error;
	char byte = 'x';
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (lock_take(directory, &fd, &error) == -1)
		_exit(1);
	if (write(ready, &byte, 1) != 1 || read(release, &byte, 1) != 0)
		_exit(2);
	_exit(0);
}

static void
holder_start(struct holder *holder, int directory)
{
	int ready[2], release[2];
	char byte;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(release, O_CLOEXEC), 0);
	holder->pid = fork();
	assert_int_not_equal(holder->pid, -1);
	if (holder->pid == 0) {
		close(release[1]);
		hold(directory, ready[1], release[0]);
	}
	close(ready[1]);
	close(release[0]);
	holder->release = release[1];
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
}

static void
holder_reap(struct holder *holder, int expected)
{
	int status;

	assert_int_equal(waitpid(holder->pid, &status, 0), holder->pid);
	assert_int_equal(status, expected);
}

static void
lock_of_a_fresh_directory_is_taken_and_tells_our_pid(void **state)
{
	int directory = (int)(intptr_t)*state, fd;
	struct error error;

	assert_int_equal(lock_holder(place), 0);
	assert_int_equal(lock_take(directory, &fd, &error), 0);
	assert_int_equal(lock_holder(place), getpid());
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}

static void
lock_that_a_living_process_holds_is_refused_with_its_pid(void **state)
{
	int directory = (int)(intptr_t)*state, fd = -1;
	struct holder holder;
	struct error error;
	char pid[32];

	holder_start(&holder, directory);
	assert_int_equal(lock_holder(place), holder.pid);
	assert_int_equal(lock_take(directory, &fd, &error), -1);
	assert_int_equal(error.code, STATUS_STATE);
	snprintf(pid, sizeof(pid), "(pid %d)", (int)holder.pid);
	assert_non_null(strstr(error.text, pid));
	assert_int_equal(fd, -1);
	close(holder.release);
	holder_reap(&holder, 0);
}

/* Dead and not even reaped yet: a zombie holds nothing. */
static void
lock_of_a_killed_holder_is_taken(void **state)
{
	int directory = (int)(intptr_t)*state, fd;
	struct holder holder;
	struct error error;
	siginfo_t info;

	holder_start(&holder, directory);
	assert_int_equal(kill(holder.pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)holder.pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(lock_holder(place), 0);
	assert_int_equal(lock_take(directory, &fd, &error), 0);
	assert_int_equal(lock_holder(place), getpid());
	close(fd);
	close(holder.release);
	holder_reap(&holder, SIGKILL);
}

/*
 * Somebody who inherited the lock from a keeper that is gone, and goes when it hears on this
 * pipe that he is waited for.
 */
static pid_t
leave_remains(int directory, int heard)
{
	int lock = openat(directory, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	pid_t pid;
	char byte;

	assert_int_equal(flock(lock, LOCK_EX), 0);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(read(heard, &byte, 1) == 1 ? 0 : 1);
	}
	close(lock);
	return pid;
}

static void
lock_waits_for_the_remains_of_a_killed_holder(void **state)
{
	int directory = (int)(intptr_t)*state, fd = -1, said[2], errors = dup(2);
	struct holder remains;
	struct error error;
	int result;

	write_lock_file(directory, "999999999 1\n");
	assert_int_equal(pipe2(said, O_CLOEXEC), 0);
	remains.pid = leave_remains(directory, said[0]);
	dup2(said[1], 2); /* it says that it waits: that is the signal to go */
	result = lock_take(directory, &fd, &error);
	dup2(errors, 2);
	assert_int_equal(result, 0);
	assert_int_equal(lock_holder(place), getpid());
	holder_reap(&remains, 0);
	close(fd);
	close(said[0]);
	close(said[1]);
	close(errors);
}

static void
lock_holder_is_nobody_when_the_pid_is_another_process_now(void **state)
{
	int directory = (int)(intptr_t)*state, status;
	int64_t start;
	char text[64], life;

	assert_int_equal(tree_stat(getpid(), &start, &life, &status), 0);
	snprintf(text, sizeof(text), "%d %lld\n", (int)getpid(), (long long)start);
	write_lock_file(directory, text);
	assert_int_equal(lock_holder(place), getpid());
	snprintf(text, sizeof(text), "%d %lld\n", (int)getpid(), (long long)start + 1);
	write_lock_file(directory, text);
	assert_int_equal(lock_holder(place), 0);
}

static void
lock_holder_is_nobody_when_the_file_is_damaged(void **state)
{
	static const char *const texts[] = { "", "\n", "garbage", "1", "12345678901234567890",
		"-1 1\n", "0 0\n", "99999999999999999999 1\n", "\xff\xff\xff\xff" };
	int directory = (int)(intptr_t)*state, fd;
	struct error error;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		write_lock_file(directory, texts[i]);
		assert_int_equal(lock_holder(place), 0);
		assert_int_equal(lock_take(directory, &fd, &error), 0);
		assert_int_equal(lock_holder(place), getpid());
		close(fd);
	}
	assert_int_equal(lock_holder("/nonexistent"), 0);
}

static void
lock_is_not_taken_through_a_link(void **state)
{
	int directory = (int)(intptr_t)*state, fd = -1;
	struct error error;

	assert_int_equal(symlinkat("elsewhere", directory, LOCK_FILE), 0);
	assert_int_equal(lock_take(directory, &fd, &error), -1);
	assert_int_equal(error.code, STATUS_CONFIG);
	assert_non_null(strstr(error.text, LOCK_FILE));
	assert_int_equal(faccessat(directory, "elsewhere", F_OK, 0), -1);
	assert_int_equal(lock_take(-1, &fd, &error), -1);
	assert_int_equal(error.code, STATUS_CONFIG);
	assert_int_equal(fd, -1);
}

/* Lets the holder go once somebody has a pidfd open in this place. */
struct release {
	struct holder holder;
	char path[64];
};

static void *
release_when_waited_for(void *arg)
{
	struct release *release = arg;
	char target[64] = "";

	while (strstr(target, "pidfd") == NULL) {
		ssize_t length = readlink(release->path, target, sizeof(target) - 1);

		target[length > 0 ? length : 0] = '\0';
		sched_yield();
	}
	close(release->holder.release);
	return NULL;
}

static void
lock_wait_for_holder_waits_until_it_is_gone(void **state)
{
	int directory = (int)(intptr_t)*state, next;
	struct release release;
	pthread_t thread;

	assert_false(lock_wait_for_holder(place));
	holder_start(&release.holder, directory);
	next = dup(directory);
	close(next);
	snprintf(release.path, sizeof(release.path), "/proc/self/fd/%d", next);
	assert_int_equal(pthread_create(&thread, NULL, release_when_waited_for, &release), 0);
	assert_true(lock_wait_for_holder(place));
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(lock_holder(place), 0);
	assert_false(lock_wait_for_holder(place));
	holder_reap(&release.holder, 0);
}

#define IN_A_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_PLACE(lock_of_a_fresh_directory_is_taken_and_tells_our_pid),
		IN_A_PLACE(lock_that_a_living_process_holds_is_refused_with_its_pid),
		IN_A_PLACE(lock_of_a_killed_holder_is_taken),
		IN_A_PLACE(lock_waits_for_the_remains_of_a_killed_holder),
		IN_A_PLACE(lock_holder_is_nobody_when_the_pid_is_another_process_now),
		IN_A_PLACE(lock_holder_is_nobody_when_the_file_is_damaged),
		IN_A_PLACE(lock_is_not_taken_through_a_link),
		IN_A_PLACE(lock_wait_for_holder_waits_until_it_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
