/* outside: looking at an instance from outside, and making things hard for it. */

#include "support/outside.h"
#include "keeper/tree.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int64_t
read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t
now_ms(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t
wall_ms(void)
{
	return read_clock(CLOCK_REALTIME);
}

void
assert_between(int64_t number, int64_t least, int64_t most)
{
	if (number < least || number > most)
		fail_msg("%lld is not between %lld and %lld", (long long)number,
		    (long long)least, (long long)most);
}

static int
open_pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

void
let_pass(struct instance *instance, int64_t ms)
{
	struct pollfd keeper = { .fd = open_pidfd(instance->keeper), .events = POLLIN };

	if (poll(&keeper, 1, (int)ms) != 0)
		fail_msg("the keeper has ended");
	close(keeper.fd);
}

void
wait_sql(struct instance *instance, const char *question)
{
	int64_t deadline = now_ms() + PATIENCE_MS;

	while (sql_number(instance, question) == 0) {
		if (now_ms() > deadline)
			fail_msg("it does not become true: %s", question);
		let_pass(instance, 1);
	}
}

/* ---- processes ---- */

static char *
proc_text(pid_t pid, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return file_text(path);
}

/* The pidfd says when it is reaped (Linux 6.15), on older kernels only when it is dead. */
void
wait_reaped(pid_t pid, int64_t within_ms)
{
	struct pollfd wanted = { .fd = open_pidfd(pid), .events = 0 };
	int64_t deadline = now_ms() + within_ms;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	while (access(path, F_OK) == 0) {
		if (now_ms() > deadline)
			fail_msg("process %d is still there", (int)pid);
		poll(&wanted, 1, 10);
	}
	close(wanted.fd);
}

int64_t
wakeups(pid_t pid)
{
	static const char field[] = "\nvoluntary_ctxt_switches:";
	char *text = proc_text(pid, "status"), *at = strstr(text, field);
	int64_t count = at != NULL ? strtoll(at + strlen(field), NULL, 10) : -1;

	free(text);
	return count;
}

#define SETTLE_MS 1000 /* longer than any of its short timers */
#define MOST_CLOCK_STEPS 10

/* A descriptor for clock_was_set(). */
static int
watch_clock(void)
{
	return timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
}

/* Since the last call; the first one only begins. */
static bool
clock_was_set(int watch)
{
	const struct itimerspec far_away = { .it_value.tv_sec = 4102444800 }; /* 2100 */
	uint64_t expirations;
	bool was_set = read(watch, &expirations, sizeof(expirations)) == -1 &&
	    errno == ECANCELED;

	/* A step since the read is told by this instead. */
	return (timerfd_settime(watch, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far_away,
		    NULL) == -1 &&
		   errno == ECANCELED) ||
	    was_set;
}

void
assert_sleeps(struct instance *instance, int64_t ms)
{
	pid_t pids[] = { instance->keeper, instance_supervisor_pid(instance) };
	int watch = watch_clock(), steps = 0;
	int64_t before[2], after[2];

	clock_was_set(watch);
	do {
		if (steps > 0)
			print_message("the wall clock was set meanwhile\n");
		let_pass(instance, SETTLE_MS);
		for (size_t n = 0; n < 2; n++)
			before[n] = wakeups(pids[n]);
		let_pass(instance, ms);
		for (size_t n = 0; n < 2; n++)
			after[n] = wakeups(pids[n]);
	} while (clock_was_set(watch) && ++steps < MOST_CLOCK_STEPS);
	close(watch);
	if (steps == MOST_CLOCK_STEPS)
		fail_msg("somebody sets the wall clock all the time");
	assert_int_equal(after[0], before[0]);
	assert_int_equal(after[1], before[1]);
}

int64_t
cpu_ms(pid_t pid)
{
	char *text = proc_text(pid, "stat"), *at = strrchr(text, ')');
	unsigned long long user = 0, system = 0;

	if (at == NULL ||
	    sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
		&system) != 2)
		fail_msg("process %d: no times", (int)pid);
	free(text);
	return (int64_t)(user + system) * 1000 / sysconf(_SC_CLK_TCK);
}

size_t
children_of(pid_t pid)
{
	pid_t *pids;
	size_t count;

	assert_int_equal(tree_children(pid, &pids, &count), 0);
	free(pids);
	return count;
}

/* ---- bells ---- */

void
bell_init(struct bell *bell, struct instance *instance, const char *name)
{
	snprintf(bell->path, sizeof(bell->path), "%s/%s", instance->directory, name);
	if (mkfifo(bell->path, 0600) == -1)
		fail_msg("%s: %s", bell->path, strerror(errno));
	bell->fd = open(bell->path, O_RDWR | O_CLOEXEC);
}

void
bell_done(struct bell *bell)
{
	close(bell->fd);
}

char *
bell_wait(struct bell *bell)
{
	struct pollfd wanted = { .fd = bell->fd, .events = POLLIN };
	char *line = calloc(1, 4096);
	size_t used = 0;

	for (;;) {
		if (poll(&wanted, 1, PATIENCE_MS) != 1)
			fail_msg("nobody rings %s", bell->path);
		if (used == 4095 || read(bell->fd, line + used, 1) != 1 ||
		    line[used] == '\n')
			break;
		used++;
	}
	line[used] = '\0';
	return line;
}

int64_t
bell_number(struct bell *bell)
{
	char *line = bell_wait(bell);
	int64_t number = strtoll(line, NULL, 10);

	free(line);
	return number;
}

bool
bell_has_rung(struct bell *bell)
{
	struct pollfd wanted = { .fd = bell->fd, .events = POLLIN };

	return poll(&wanted, 1, 0) == 1;
}

/* ---- its socket ---- */

int
connect_client(struct instance *instance)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%.*s/jobberd.sock",
	    (int)sizeof(address.sun_path) - 16, instance->state);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == -1)
		fail_msg("connect: %s", strerror(errno));
	return fd;
}

void
changes_init(struct changes *changes, struct instance *instance)
{
	static const char request[] =
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"follow\"}\n";

	*changes = (struct changes){ .instance = instance, .fd = connect_client(instance) };
	assert_int_equal(write(changes->fd, request, strlen(request)), strlen(request));
}

void
changes_done(struct changes *changes)
{
	close(changes->fd);
}

void
changes_wait(struct changes *changes, int64_t until)
{
	struct pollfd wanted = { .fd = changes->fd, .events = POLLIN };
	int64_t left = until - now_ms();
	char bytes[4096];

	if (left <= 0 || poll(&wanted, 1, (int)left) == 0 ||
	    read(changes->fd, bytes, sizeof(bytes)) > 0)
		return;
	changes_done(changes);
	changes_init(changes, changes->instance);
}

/* ---- the database ---- */

sqlite3 *
other_open(struct instance *instance)
{
	sqlite3 *database;
	char path[400];

	snprintf(path, sizeof(path), "%s/jobberd.db", instance->state);
	if (sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
		fail_msg("%s: %s", path, sqlite3_errmsg(database));
	sqlite3_busy_timeout(database, PATIENCE_MS);
	other_run(database, "PRAGMA synchronous = FULL");
	return database;
}

void
other_close(sqlite3 *database)
{
	if (sqlite3_close(database) != SQLITE_OK)
		fail_msg("close: %s", sqlite3_errmsg(database));
}

void
other_run(sqlite3 *database, const char *statement)
{
	if (sqlite3_exec(database, statement, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", statement, sqlite3_errmsg(database));
}

/* ---- disks ---- */

static bool
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool is_written = fd != -1 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd != -1)
		close(fd);
	return is_written;
}

/* Once a test program: mounts of our own, as root or in a user namespace of our own. */
bool
disk_own_mounts(void)
{
	static int state; /* 0: not tried, 1: yes, -1: no */
	unsigned user = getuid(), group = getgid();
	char map[64];

	if (state != 0)
		return state == 1;
	state = -1;
	if (user != 0) {
		if (unshare(CLONE_NEWUSER) == -1)
			return false;
		snprintf(map, sizeof(map), "%u %u 1", user, user);
		if (!write_file("/proc/self/uid_map", map) ||
		    !write_file("/proc/self/setgroups", "deny"))
			return false;
		snprintf(map, sizeof(map), "%u %u 1", group, group);
		if (!write_file("/proc/self/gid_map", map))
			return false;
	}
	if (unshare(CLONE_NEWNS) == -1 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1)
		return false;
	state = 1;
	return true;
}

bool
disk_mount(struct instance *instance, const char *size)
{
	char options[64];

	if (!disk_own_mounts())
		return false;
	snprintf(options, sizeof(options), "size=%s", size);
	if (mkdir(instance->state, 0700) == -1 ||
	    mount("tmpfs", instance->state, "tmpfs", 0, options) == -1)
		fail_msg("cannot mount: %s", strerror(errno));
	return true;
}

void
disk_unmount(struct instance *instance)
{
	if (umount(instance->state) == -1)
		fail_msg("cannot unmount: %s", strerror(errno));
}

static void
filler(struct instance *instance, char path[400])
{
	snprintf(path, 400, "%s/filler", instance->state);
}

void
disk_fill(struct instance *instance)
{
	static const char bytes[65536];
	char path[400];
	int fd;

	filler(instance, path);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd == -1)
		fail_msg("%s: %s", path, strerror(errno));
	for (size_t size = sizeof(bytes); size > 0; size /= 2) {
		while (write(fd, bytes, size) == (ssize_t)size)
			;
	}
	close(fd);
}

void
disk_free(struct instance *instance)
{
	char path[400];

	filler(instance, path);
	if (unlink(path) == -1)
		fail_msg("%s: %s", path, strerror(errno));
}

int64_t
witness_count(struct instance *instance, const char *name, const char *start)
{
	char path[400], *text, *line, *rest;
	int64_t count = 0;

	snprintf(path, sizeof(path), "%s/%s", instance->directory, name);
	text = rest = file_text(path);
	while ((line = strsep(&rest, "\n")) != NULL)
		count += line[0] != '\0' && strncmp(line, start, strlen(start)) == 0;
	free(text);
	return count;
}
