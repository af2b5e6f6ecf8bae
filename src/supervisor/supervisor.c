/*
 * supervisor: the life of a supervisor process. It takes over the keeper's table, settles
 * it, answers clients, and leaves when it is told to or, draining, when all is done.
 */

#include "supervisor/supervisor.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "store/sqlite_engine.h"
#include "supervisor/client.h"
#include "supervisor/pool.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPEN_AGAIN_MS 50
#define ROOM_AGAIN_MS 500
#define LAST_WORDS_MS 30000

static void
send_order(struct supervisor *supervisor, enum order_kind kind, const char *text)
{
	struct order order = { .version = ORDERS_VERSION, .kind = kind };

	if (text != NULL)
		orders_send_text(supervisor->link, &order, text);
	else
		link_send(supervisor->link, &order, sizeof(order), -1);
}

/* ---- leaving ---- */

static void
order_quit(struct supervisor *supervisor)
{
	struct order order = { .version = ORDERS_VERSION, .kind = ORDER_QUIT };

	order.quit.status = (uint32_t)supervisor->exit_status;
	order.quit.leaves = supervisor->is_leaving_jobs;
	link_send(supervisor->link, &order, sizeof(order), -1);
	loop_stop(supervisor->loop);
}

static void
generation_ended(void *arg, struct step *step)
{
	(void)step;
	order_quit(arg);
}

static void
quit(struct supervisor *supervisor)
{
	struct step *step;

	supervisor->phase = PHASE_QUITTING;
	step = turn_add(supervisor, STEP_GENERATION, generation_ended, supervisor);
	step->generation.end_reason = supervisor->leaving_because;
	turn_tells(supervisor);
	loop_again(supervisor->loop);
}

void
supervisor_stop(struct supervisor *supervisor, bool now)
{
	bool is_first = supervisor->phase < PHASE_STOPPING;

	if (supervisor->phase == PHASE_QUITTING || (!is_first && !now))
		return;
	if (is_first) {
		log_info("stopping: %zu running job%s ended", live_count(supervisor),
		    live_count(supervisor) == 1 ? " is" : "s are");
		send_order(supervisor, ORDER_STOPPING, NULL);
	}
	supervisor->leaving_because = "stop";
	supervisor->is_leaving_jobs = false;
	supervisor->phase = PHASE_STOPPING;
	claims_recall_ahead(supervisor, -1);
	ending_begin(supervisor, now ? 0 : STOP_OWN_GRACE);
	loop_again(supervisor->loop);
}

void
supervisor_leave(struct supervisor *supervisor)
{
	size_t servers = live_count_servers(supervisor);
	size_t commands = live_count(supervisor) - servers;

	if (supervisor->phase >= PHASE_STOPPING)
		return;
	if (servers == 0)
		log_info("leaving: %zu running job%s", commands,
		    commands == 1 ? " runs on" : "s run on");
	else
		log_info("leaving: %zu running job%s, %zu server%s", commands,
		    commands == 1 ? " runs on" : "s run on", servers,
		    servers == 1 ? " ends" : "s end");
	send_order(supervisor, ORDER_STOPPING, NULL);
	supervisor->leaving_because = "leave";
	supervisor->is_leaving_jobs = true;
	supervisor->phase = PHASE_LEAVING;
	claims_recall_ahead(supervisor, -1);
	loop_again(supervisor->loop);
}

static void
counted(void *arg, struct step *step)
{
	struct supervisor *supervisor = arg;
	int64_t delayed = step->remaining.ret_delayed, held = step->remaining.ret_held;

	supervisor->must_count = false;
	if (step->remaining.ret_keeping > 0 || !live_is_empty(supervisor) ||
	    supervisor->drain_clients > 0 || supervisor->phase != PHASE_RUNNING)
		return;
	if (delayed + held > 0)
		log_info("drained: nothing is left to do now; %" PRId64
			 " delayed and %" PRId64 " held jobs stay",
		    delayed, held);
	else
		log_info("drained: nothing is left to do");
	send_order(supervisor, ORDER_STOPPING, NULL);
	supervisor->leaving_because = "drain";
	quit(supervisor);
}

void
supervisor_end_linger(struct supervisor *supervisor)
{
	if (!timer_is_set(&supervisor->linger_timer))
		return;
	loop_timer_remove(supervisor->loop, &supervisor->linger_timer);
	supervisor->drain_clients--;
}

static void
linger_is_over(void *arg)
{
	struct supervisor *supervisor = arg;

	supervisor->drain_clients--;
}

static void
linger(struct supervisor *supervisor)
{
	supervisor->linger_timer = (struct timer){ .fire = linger_is_over, .arg = supervisor };
	if (supervisor->setup->linger_ms == 0)
		return;
	loop_timer_set(supervisor->loop, &supervisor->linger_timer, supervisor->setup->linger_ms);
	supervisor->drain_clients++;
}

static bool
has_unstarted(struct supervisor *supervisor)
{
	for (struct live *live = live_first(supervisor); live != NULL;
	     live = live_next(live)) {
		if ((!live->is_started && !pool_is_message(live)) || live->has_ended)
			return true;
	}
	return false;
}

/* Nothing is to be recorded: may it leave now? */
void
supervisor_turned(struct supervisor *supervisor)
{
	switch (supervisor->phase) {
	case PHASE_RUNNING:
		if (supervisor->setup->drains && supervisor->must_count &&
		    live_is_empty(supervisor) && supervisor->drain_clients == 0) {
			turn_add(supervisor, STEP_REMAINING, counted, supervisor);
			loop_again(supervisor->loop);
		}
		break;
	case PHASE_STOPPING:
		if (live_is_empty(supervisor))
			quit(supervisor);
		else
			ending_go_on(supervisor);
		break;
	case PHASE_LEAVING:
		if (!has_unstarted(supervisor))
			quit(supervisor);
		break;
	default:
		break;
	}
}

/* ---- beginning ---- */

void
supervisor_ready(struct supervisor *supervisor)
{
	const struct place_count *place = live_place(supervisor, "default");
	char *text, limit[32] = "any number";

	supervisor->phase = PHASE_RUNNING;
	supervisor->must_look_at_timers = true;
	live_anything_ready(supervisor);
	if (control_init(supervisor) == -1 || watch_init(supervisor) == -1) {
		log_error("cannot watch for clients and commits: %s", strerror(errno));
		loop_stop(supervisor->loop);
		supervisor->status = STATUS_INTERNAL;
		return;
	}
	if (place != NULL && place->max_children != -1)
		snprintf(limit, sizeof(limit), "%" PRId64, place->max_children);
	text = xasprintf("ready: default %s at a time, %s", limit,
	    supervisor->setup->state_directory);
	loop_again(supervisor->loop);
	deferred_handle(supervisor);
	prune_go_on(supervisor);
	exit_with_begin(supervisor);
	if (supervisor->wish != -1)
		supervisor_heed(supervisor, supervisor->wish);
	/* Whoever asked for a stop meanwhile has been told of that. */
	send_order(
	    supervisor, ORDER_READY, supervisor->phase == PHASE_RUNNING ? text : "");
	free(text);
}

/*
 * A stop, while nothing can be read or recorded. Processes that the keeper has are ended now, and
 * their ends recorded when that can be; with nothing to record, the start is given up.
 */
static void
heed_early(struct supervisor *supervisor)
{
	bool leaves = supervisor->wish == WISH_LEAVE;

	if (!supervisor->is_giving_up) {
		log_info("%s: the start is given up", leaves ? "leaving" : "stopping");
		send_order(supervisor, ORDER_STOPPING, NULL);
	}
	supervisor->is_giving_up = true;
	supervisor->is_leaving_jobs = leaves;
	if (!leaves)
		ending_unrecorded(
		    supervisor, supervisor->wish == WISH_STOP_NOW ? 0 : STOP_OWN_GRACE);
	if (leaves ? live_has_ends(supervisor) : !live_is_empty(supervisor))
		return;
	supervisor->error = (struct error){ 0 }; /* what kept it */
	supervisor->phase = PHASE_QUITTING;
	order_quit(supervisor);
}

void
supervisor_waits(struct supervisor *supervisor)
{
	int64_t lasted_ms = clock_mono().ms - supervisor->troubled_since.ms;
	bool is_refusing = turn_is_refusing(supervisor->answer);

	if (supervisor->wish != -1)
		heed_early(supervisor);
	if (supervisor->listen_watch == NULL && (is_refusing || lasted_ms >= TOLD_AFTER_MS)) {
		if (supervisor->answer == STORE_BUSY) /* others were told of at once */
			log_warn("%s: the start waits for it", store_answer_words(STORE_BUSY));
		control_init(supervisor); /* else when all is settled */
	}
	if (supervisor->listen_watch != NULL && is_refusing)
		deferred_refuse(supervisor);
}

void
supervisor_heed(struct supervisor *supervisor, int wish)
{
	supervisor->wish = wish;
	if (supervisor->phase < PHASE_RUNNING) {
		if (supervisor->troubled_since.ms != 0)
			heed_early(supervisor);
		return; /* else when all is settled */
	}
	if (wish == WISH_LEAVE)
		supervisor_leave(supervisor);
	else
		supervisor_stop(supervisor, wish == WISH_STOP_NOW);
}

/* In the words of db.c, which knows what kept it. STORE_OK: nothing that passes. */
static enum store_answer
what_kept_it(const struct error *error)
{
	static const enum store_answer passing[] = { STORE_BUSY, STORE_FULL };

	for (size_t i = 0; i < 2 && error->code == STATUS_TRY_LATER; i++) {
		if (strstr(error->text, store_answer_words(passing[i])) != NULL)
			return passing[i];
	}
	return STORE_OK;
}

/* As with a turn that finds it locked, or the disk full, later: it is tried until it can be. */
static void
open_database(void *arg)
{
	struct supervisor *supervisor = arg;
	enum store_answer answer;

	supervisor->store = sqlite_store_open(supervisor->setup->state_directory, 0,
	    supervisor->restarts == 0, &supervisor->error);
	if (supervisor->store != NULL) {
		supervisor->error = (struct error){ 0 };
		settle_begin(supervisor);
		loop_again(supervisor->loop);
		return;
	}
	answer = what_kept_it(&supervisor->error);
	if (answer == STORE_OK) {
		supervisor->status = supervisor->error.code;
		loop_stop(supervisor->loop);
		return;
	}
	if (supervisor->troubled_since.ms == 0)
		supervisor->troubled_since = clock_mono();
	if (answer == STORE_FULL && answer != supervisor->answer)
		log_warn("%s: the start waits for room", supervisor->error.text);
	supervisor->answer = answer;
	supervisor_waits(supervisor);
	loop_timer_set(supervisor->loop, &supervisor->open_timer,
	    answer == STORE_FULL ? ROOM_AGAIN_MS : OPEN_AGAIN_MS);
}

/* The keeper's table is complete: now the database. */
static void
attached(struct supervisor *supervisor, const struct report_table_end *table)
{
	supervisor->restarts = table->restarts;
	supervisor->cgroups = table->cgroups < CGROUP_USE_COUNT ? table->cgroups : CGROUPS_NONE;
	supervisor->open_timer = (struct timer){ .fire = open_database, .arg = supervisor };
	open_database(supervisor);
}

static void
link_packet(void *arg, const void *packet, size_t length, int descriptor)
{
	struct supervisor *supervisor = arg;
	const struct report *report = orders_check_report(packet, length);

	if (report == NULL) {
		log_warn("a report of %zu bytes is not known", length);
		if (descriptor != -1)
			close(descriptor);
		return;
	}
	switch (report->kind) {
	case REPORT_JOURNAL:
		settle_add_journal(supervisor, report);
		break;
	case REPORT_TABLE_END:
		attached(supervisor, &report->table_end);
		break;
	case REPORT_WISH:
		supervisor_heed(supervisor, (int)report->wish.wish);
		break;
	case REPORT_SIGNALLED:
		exit_with_signalled(supervisor);
		break;
	default:
		reports_take(supervisor, report, descriptor);
		break;
	}
}

static void
keeper_gone(void *arg)
{
	struct supervisor *supervisor = arg;

	/* Without it nothing can be started or reaped; the kernel is killing us anyway. */
	supervisor->status = STATUS_INTERNAL;
	loop_stop(supervisor->loop);
}

static void
signalled(void *arg, int number, pid_t pid)
{
	(void)arg;
	(void)pid;
	(void)number; /* SIGPIPE: standard error may be a closed pipe; SIGXFSZ: write(2) says so */
}

static int
set_up(struct supervisor *supervisor)
{
	const char *state = supervisor->setup->state_directory;
	sigset_t signals;
	char *path;

	sigemptyset(&signals);
	sigaddset(&signals, SIGPIPE);
	sigaddset(&signals, SIGXFSZ);
	/* A terminal's keys are the keeper's. */
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGQUIT);
	sigaddset(&signals, SIGHUP);
	supervisor->loop = loop_new(LOOP_BOOTTIME);
	if (supervisor->loop == NULL ||
	    loop_signals(supervisor->loop, &signals, signalled, supervisor) == -1)
		return error_set_errno(&supervisor->error, STATUS_INTERNAL, "event loop");
	path = xasprintf("%s/output", state);
	supervisor->output_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(path);
	if (supervisor->output_fd == -1)
		return error_set_errno(&supervisor->error, STATUS_CONFIG, "%s/output", state);
	live_init(supervisor);
	turn_init(supervisor);
	prune_init(supervisor);
	linger(supervisor);
	supervisor->link = link_new(supervisor->loop, supervisor->setup->link_fd, link_packet,
	    keeper_gone, supervisor);
	return supervisor->link != NULL ? 0 : -1;
}

int
supervisor_run(const struct supervisor_setup *setup, struct error *error)
{
	struct supervisor supervisor = {
		.setup = setup,
		.wish = -1,
		.started_at = clock_wall(),
		.leaving_because = "stop",
	};

	xalloc_keep_some();
	if (set_up(&supervisor) == -1) {
		*error = supervisor.error;
		return supervisor.error.code;
	}
	if (loop_run(supervisor.loop) == -1) {
		error_set_errno(&supervisor.error, STATUS_INTERNAL, "event loop");
		supervisor.status = STATUS_INTERNAL;
	}
	/* The keeper may have much to read before it comes to our last word. */
	if (supervisor.phase == PHASE_QUITTING && link_finish(supervisor.link, LAST_WORDS_MS) == -1)
		log_warn("the keeper does not listen");
	if (supervisor.listen_watch != NULL)
		control_done(&supervisor);
	watch_done(&supervisor);
	live_done(&supervisor);
	turn_done(&supervisor);
	store_close(supervisor.store);
	link_free(supervisor.link);
	loop_free(supervisor.loop);
	close(supervisor.output_fd);
	free(supervisor.journal);
	exit_with_done(&supervisor);
	*error = supervisor.error;
	return supervisor.status;
}
