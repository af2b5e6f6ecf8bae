/*
 * keeper: its start, its signals, and the lives of the supervisor process. It promises
 * that as long as it lives no exit status and no socket of a job is lost, whatever
 * happens to the supervisor process.
 */

#include "keeper/keeper.h"
#include "base/file.h"
#include "base/log.h"
#include "base/socket.h"
#include "base/xalloc.h"
#include "keeper/keeper_launch.h"
#include "keeper/keeper_leaf.h"
#include "keeper/lock.h"
#include "keeper/notify.h"
#include "keeper/spawn.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEALTHY_MS 10000 /* a life this long is no crash loop */
#define FIRST_DELAY_MS 100
#define HANG_MS 5000
#define LONGEST_DELAY_MS 10000
#define LONGEST_DELAY_ALONE_MS 1000 /* somebody waits for us to leave */

static void start_supervisor(void *arg);

/* ---- the supervisor process ---- */

static void
link_packet(void *arg, const void *packet, size_t length, int descriptor)
{
	keeper_receive_order(arg, packet, length, descriptor);
}

static void
still_there(void *arg)
{
	struct keeper *keeper = arg;

	if (keeper->supervisor_pid != 0)
		kill(keeper->supervisor_pid, SIGKILL);
}

/* It is leaving, which is seen by waiting for it; if it hangs there, it is killed. */
static void
link_gone(void *arg)
{
	struct keeper *keeper = arg;

	link_free(keeper->link);
	keeper->link = NULL;
	loop_timer_set(keeper->loop, &keeper->hang_timer, HANG_MS);
}

static void
send_wish(struct keeper *keeper, enum wish wish)
{
	struct report report = { .version = ORDERS_VERSION, .kind = REPORT_WISH,
		.wish.wish = wish };

	keeper->pending_wish = wish;
	keeper_report(keeper, &report, -1);
	if (keeper->is_starting)
		loop_timer_set(keeper->loop, &keeper->hang_timer, HANG_MS);
}

void
keeper_leave(struct keeper *keeper, int status)
{
	if (!keeper->leaves)
		keeper_stop_all(keeper, 0);
	keeper->status = status;
	loop_stop(keeper->loop);
}

/* One that has died once is followed by another that does what is wished. */
static void
schedule_restart(struct keeper *keeper)
{
	int64_t longest_ms;

	if (keeper->pending_wish != -1 && (keeper->is_alone || keeper->restart_delay_ms > 0) &&
	    keeper_leaves_alone(keeper))
		return;
	log_info("the supervisor process is started again in %lld ms",
	    (long long)keeper->restart_delay_ms);
	loop_timer_set(keeper->loop, &keeper->restart_timer, keeper->restart_delay_ms);
	longest_ms = keeper->is_alone ? LONGEST_DELAY_ALONE_MS : LONGEST_DELAY_MS;
	keeper->restart_delay_ms = keeper->restart_delay_ms == 0
	    ? FIRST_DELAY_MS
	    : 2 * keeper->restart_delay_ms;
	if (keeper->restart_delay_ms > longest_ms)
		keeper->restart_delay_ms = longest_ms;
}

void
keeper_supervisor_died(struct keeper *keeper, int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

	keeper->supervisor_pid = 0;
	keeper_drop_waiting(keeper);
	/* What it said before it left still counts: its last orders are in the socket. */
	if (keeper->link != NULL && code == 0)
		link_read(keeper->link);
	link_free(keeper->link);
	keeper->link = NULL;
	loop_timer_remove(keeper->loop, &keeper->hang_timer); /* that read may have set it */
	if (keeper->is_quitting) {
		keeper_leave(keeper, keeper->status);
		return;
	}
	/* Refused at the very first start: it has said why on standard error. */
	if (!keeper->was_ready && keeper->restarts == 0 &&
	    (code == STATUS_CONFIG || code == STATUS_NOT_PERMITTED || code == 127)) {
		keeper_leave(keeper, code);
		return;
	}
	log_warn("supervisor process ended %s=%d", code == -1 ? "signal" : "exit",
	    code == -1 ? WTERMSIG(status) : code);
	keeper->restarts++;
	if (clock_mono().ms - keeper->supervisor_started.ms >= HEALTHY_MS)
		keeper->restart_delay_ms = 0;
	schedule_restart(keeper);
}

static void
start_supervisor(void *arg)
{
	struct keeper *keeper = arg;
	int pair[2], descriptors[KEEPER_FD_COUNT];

	keeper->supervisor_started = clock_mono();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1) {
		log_error("cannot make a socket pair: %s", strerror(errno));
		schedule_restart(keeper);
		return;
	}
	descriptors[KEEPER_LINK_FD - 3] = pair[1];
	descriptors[KEEPER_LISTEN_FD - 3] = keeper->listen_fd;
	descriptors[KEEPER_LOCK_FD - 3] = keeper->lock_fd;
	if (spawn_helper(keeper->setup->program, keeper->setup->arguments, descriptors,
		KEEPER_FD_COUNT, &keeper->supervisor_pid) == -1) {
		log_error("cannot start the supervisor process: %s", strerror(errno));
		close(pair[0]);
		close(pair[1]);
		keeper->supervisor_pid = 0;
		schedule_restart(keeper);
		return;
	}
	close(pair[1]);
	keeper->is_starting = true;
	keeper->link = link_new(keeper->loop, pair[0], link_packet, link_gone, keeper);
	keeper_send_table(keeper);
	if (keeper->pending_wish != -1)
		send_wish(keeper, (enum wish)keeper->pending_wish);
	keeper_signals_ask(keeper);
	keeper_turn_end(keeper); /* the first one is started before the first turn */
}

/* ---- signals ---- */

static void
wish(struct keeper *keeper, enum wish wish)
{
	send_wish(keeper, wish);
	/* In a pause between two: the next one is tried at once. */
	if (loop_timer_left(keeper->loop, &keeper->restart_timer) <= 0)
		return;
	loop_timer_remove(keeper->loop, &keeper->restart_timer);
	schedule_restart(keeper);
}

static void
signalled(void *arg, int number, pid_t pid)
{
	struct keeper *keeper = arg;

	switch (number) {
	case SIGCHLD:
		keeper_reap(keeper, pid);
		break;
	case SIGTERM:
	case SIGINT:
		if (++keeper->stop_signals > 2) {
			log_warn("leaving at once: ends of jobs may be recorded as lost");
			keeper_leave(keeper, STATUS_NO);
			break;
		}
		if (keeper->stop_signals == 2)
			keeper_stop_all(keeper, 0);
		wish(keeper, keeper->stop_signals == 2 ? WISH_STOP_NOW : WISH_STOP);
		break;
	case SIGQUIT:
		if (getpid() == 1)
			log_warn("leaving is not possible as process 1");
		else
			wish(keeper, WISH_LEAVE);
		break;
	case SIGHUP:
	case SIGUSR1:
	case SIGUSR2:
	case SIGWINCH:
		if (keeper->setup->passes_signals)
			keeper_signals_add(keeper, number);
		break;
	default: /* SIGPIPE, SIGXFSZ: nothing */
		break;
	}
}

/* ---- start and end ---- */

static int
raise_file_limit(struct keeper *keeper, struct error *error)
{
	struct rlimit raised;

	if (getrlimit(RLIMIT_NOFILE, &keeper->files) == -1)
		return 0;
	raised = keeper->files;
	raised.rlim_cur = raised.rlim_max;
	setrlimit(RLIMIT_NOFILE, &raised);
	if (raised.rlim_max < FEWEST_DESCRIPTORS)
		return error_set(error, STATUS_CONFIG,
		    "%ju descriptors are allowed (RLIMIT_NOFILE), and %d are wanted",
		    (uintmax_t)raised.rlim_max, FEWEST_DESCRIPTORS);
	return 0;
}

/* A manager may have made us less likely to be killed for want of memory. */
static void
look_at_oom_score(struct keeper *keeper)
{
	struct buf text = { 0 };

	if (file_read(AT_FDCWD, "/proc/self/oom_score_adj", 64, &text) == 0)
		keeper->resets_oom_score = buf_text(&text)[0] == '-';
	buf_done(&text);
}

static int
open_state(struct keeper *keeper, struct error *error)
{
	const char *path = keeper->setup->state_directory;

	keeper->state_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (keeper->state_fd == -1)
		return error_set_errno(error, STATUS_CONFIG, "%s", path);
	if (lock_take(keeper->state_fd, &keeper->lock_fd, error) == -1)
		return -1;
	if (outputs_open(&keeper->outputs, keeper->state_fd) == -1)
		return error_set_errno(error, STATUS_CONFIG, "%s/output", path);
	keeper->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (keeper->null_fd == -1)
		return error_set_errno(error, STATUS_CONFIG, "/dev/null");
	if (journal_open(&keeper->journal, keeper->state_fd, &keeper->old_records,
		&keeper->old_record_count) == -1)
		return error_set_errno(error, STATUS_CONFIG, "%s/" JOURNAL_FILE, path);
	keeper->listen_fd = socket_listen(keeper->state_fd);
	if (keeper->listen_fd == -1)
		return error_set_errno(error, STATUS_CONFIG, "%s/" SOCKET_FILE, path);
	return 0;
}

static int
take_signals(struct keeper *keeper)
{
	sigset_t signals;

	spawn_reset_signals();
	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGQUIT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGPIPE); /* standard error may be a closed pipe */
	sigaddset(&signals, SIGXFSZ); /* write(2) says so */
	if (keeper->setup->passes_signals) {
		sigaddset(&signals, SIGUSR1);
		sigaddset(&signals, SIGUSR2);
		sigaddset(&signals, SIGWINCH);
	}
	return loop_signals(keeper->loop, &signals, signalled, keeper);
}

static int
set_up(struct keeper *keeper, struct error *error)
{
	/* Descriptor 3 stays taken, so that a child's socket never is it already. */
	if (fcntl(3, F_GETFD) == -1 && open("/dev/null", O_RDWR | O_CLOEXEC) == -1)
		return error_set_errno(error, STATUS_CONFIG, "/dev/null");
	if (raise_file_limit(keeper, error) == -1 || open_state(keeper, error) == -1)
		return -1;
	keeper_leaves_open(keeper);
	keeper_notify_sweep(keeper);
	look_at_oom_score(keeper);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	keeper->loop = loop_new(LOOP_MONOTONIC);
	if (keeper->loop == NULL || take_signals(keeper) == -1)
		return error_set_errno(error, STATUS_CONFIG, "event loop");
	loop_on_turn_end(keeper->loop, keeper_turn_end, keeper);
	tree_self_init(&keeper->self);
	keeper->has_map = keeper->setup->behaviours != NULL && spawn_read_map(&keeper->map) == 0;
	return 0;
}

static void
tear_down(struct keeper *keeper)
{
	struct child *child;

	keeper_drop_waiting(keeper); /* nobody is started any more */
	keeper_settle_all(keeper);
	while ((child = children_first(&keeper->children)) != NULL)
		keeper_free_child(keeper, child);
	link_free(keeper->link);
	keeper_leaves_close(keeper);
	if (keeper->state_fd != -1 && keeper->listen_fd != -1)
		unlinkat(keeper->state_fd, SOCKET_FILE, 0);
	keeper_launches_done(keeper);
	tree_self_done(&keeper->self);
	journal_close(&keeper->journal);
	free(keeper->old_records);
	loop_free(keeper->loop);
	close(keeper->state_fd);
	outputs_close(&keeper->outputs);
	close(keeper->null_fd);
	close(keeper->listen_fd);
	if (keeper->notify_fd != -1)
		close(keeper->notify_fd);
	close(keeper->lock_fd);
}

static int
run(const struct keeper_setup *setup, struct error *error)
{
	struct keeper keeper = {
		.setup = setup,
		.journal.fd = -1,
		.self.fd = -1,
		.state_fd = -1,
		.outputs = { .fd = -1, .spare_fd = -1 },
		.lock_fd = -1,
		.listen_fd = -1,
		.notify_fd = -1,
		.null_fd = -1,
		.cgroup.directory = -1,
		.leaf_inotify = -1,
		.pending_wish = -1,
		.restart_timer.fire = start_supervisor,
		.hang_timer.fire = still_there,
		.tell_timer.fire = keeper_tell_now,
		.reap_timer.fire = keeper_reap_all,
		.remains_timer.fire = keeper_look_for_remains,
	};
	int status = error != NULL ? STATUS_CONFIG : STATUS_INTERNAL;

	keeper.restart_timer.arg = keeper.hang_timer.arg = keeper.tell_timer.arg =
	    keeper.reap_timer.arg = keeper.remains_timer.arg = &keeper;
	children_init(&keeper.children);
	TAILQ_INIT(&keeper.watched_leaves);
	sigemptyset(&keeper.signals);
	keeper_launches_init(&keeper);
	if (set_up(&keeper, error) == -1) {
		status = error->code;
		tear_down(&keeper);
		return status;
	}
	start_supervisor(&keeper);
	if (loop_run(keeper.loop) == -1)
		status = error_set_errno(error, STATUS_INTERNAL, "event loop");
	else
		status = keeper.status;
	tear_down(&keeper);
	return status;
}

struct thread {
	const struct keeper_setup *setup;
	struct error *error;
	int status;
};

static void *
run_thread(void *arg)
{
	struct thread *thread = arg;

	thread->status = run(thread->setup, thread->error);
	return NULL;
}

/*
 * The kernel keeps a list of children for each thread, and gives orphans to the first thread.
 * In a second one all else is done; so what is left of ended attempts is found at once, and
 * not among thousands of those that live (tree_self_children()).
 */
int
keeper_run(const struct keeper_setup *setup, struct error *error)
{
	struct thread thread = { .setup = setup, .error = error };
	sigset_t all, before;
	pthread_t id;

	xalloc_one_heap(); /* the first thread needs no memory */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before); /* they are the second thread's */
	if (pthread_create(&id, NULL, run_thread, &thread) == 0)
		pthread_join(id, NULL);
	else
		run_thread(&thread); /* slower */
	sigprocmask(SIG_SETMASK, &before, NULL);
	return thread.status;
}
