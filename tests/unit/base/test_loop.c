/*
 * loop: what is ready is called once, in order, and not after its removal. A test that
 * waited for ever would be ended by alarm(2). Some ask the kernel to set the wall clock
 * to what it is, which tells every timer that wants to know; who may not do that passes.
 */

#include "base/clock.h"
#include "base/loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define LONGEST_TEST_SECONDS 20
#define MANY 150
#define HOUR_MS INT64_C(3600000)

static const enum loop_clock both_clocks[] = { LOOP_MONOTONIC, LOOP_BOOTTIME };

/* What a test's callbacks see and write down. */
struct scene {
	struct loop *loop;
	char story[64]; /* a letter for each callback */
	int calls, turns, again, fd;
	int expected; /* so many callbacks end the loop; 0: none do */
	int64_t last_at;
	bool is_out_of_order;
	uint32_t events;
	struct loop_watch *watches[MANY];
	struct timer timer;
};

/* A timer that adds its letter to the story; a capital one ends the loop. */
struct note {
	struct timer timer;
	struct scene *scene;
	char letter;
	struct timer *victim; /* removed when it fires */
	int64_t repeat_ms;    /* set again after so long, three times in all */
};

static sigset_t mask_before;

static int
begin(void **state)
{
	(void)state;
	sigprocmask(SIG_SETMASK, NULL, &mask_before);
	alarm(LONGEST_TEST_SECONDS);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	alarm(0);
	clock_shift(0, 0);
	sigprocmask(SIG_SETMASK, &mask_before, NULL);
	return 0;
}

static void
scene_init(struct scene *scene, enum loop_clock clock)
{
	*scene = (struct scene){ .loop = loop_new(clock), .fd = -1 };
	assert_non_null(scene->loop);
}

static void
tell(struct scene *scene, char letter)
{
	size_t length = strlen(scene->story);

	if (length + 1 < sizeof(scene->story))
		scene->story[length] = letter;
	scene->calls++;
}

static void
note_fires(void *arg)
{
	struct note *note = arg;
	struct scene *scene = note->scene;

	tell(scene, note->letter);
	scene->is_out_of_order |= note->timer.at < scene->last_at;
	scene->last_at = note->timer.at;
	if (note->victim != NULL)
		loop_timer_remove(scene->loop, note->victim);
	if (note->repeat_ms > 0 && scene->calls < 3)
		loop_timer_set(scene->loop, &note->timer, note->repeat_ms);
	if ((note->letter >= 'A' && note->letter <= 'Z') ||
	    scene->calls == scene->expected)
		loop_stop(scene->loop);
}

static void
note_set(struct note *note, struct scene *scene, char letter, int64_t delay_ms)
{
	note->scene = scene;
	note->letter = letter;
	note->timer.fire = note_fires;
	note->timer.arg = note;
	loop_timer_set(scene->loop, &note->timer, delay_ms);
}

static void
stop_loop(void *arg)
{
	loop_stop(arg);
}

static void
count_turn(void *arg)
{
	struct scene *scene = arg;

	scene->turns++;
}

static void
tell_turn_end(void *arg)
{
	tell(arg, '.');
}

static void
tell_step_and_stop(void *arg)
{
	struct scene *scene = arg;

	tell(scene, 's');
	loop_stop(scene->loop);
}

/* Make the kernel tell that the wall clock was set. False: we may not. */
static bool
set_clock_to_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return clock_settime(CLOCK_REALTIME, &now) == 0;
}

static int
ready_descriptor(void)
{
	int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_int_not_equal(fd, -1);
	return fd;
}

static void
loop_timers_fire_in_order_of_their_times(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct note notes[50] = { 0 };
		struct scene scene;

		scene_init(&scene, both_clocks[i]);
		scene.expected = 50;
		for (int j = 0; j < 50; j++)
			note_set(&notes[j], &scene, 'n', j * 7 % 20);
		assert_int_equal(loop_run(scene.loop), 0);
		assert_int_equal(scene.calls, 50);
		assert_false(scene.is_out_of_order);
		loop_free(scene.loop);
	}
}

static int64_t
now_of(enum loop_clock clock)
{
	return clock == LOOP_MONOTONIC ? clock_mono().ms : clock_boot().ms;
}

static void
loop_timer_fires_at_its_time_and_wakes_the_loop_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct note note = { 0 };
		struct scene scene;

		scene_init(&scene, both_clocks[i]);
		loop_on_turn_end(scene.loop, count_turn, &scene);
		for (int round = 0; round < 20; round++) {
			int64_t before = now_of(both_clocks[i]);

			note_set(&note, &scene, 'A', 5);
			assert_int_equal(loop_run(scene.loop), 0);
			assert_true(now_of(both_clocks[i]) >= before + 5);
			assert_false(timer_is_set(&note.timer));
		}
		assert_true(scene.turns >= 20);
		/* a step of the wall clock meanwhile is a turn more */
		assert_true(scene.turns <= 25);
		loop_free(scene.loop);
	}
}

static void
loop_timer_that_is_due_fires_without_waiting(void **state)
{
	struct note notes[2] = { 0 };
	struct scene scene;

	(void)state;
	scene_init(&scene, LOOP_MONOTONIC);
	note_set(&notes[0], &scene, 'a', -5000);
	note_set(&notes[1], &scene, 'b', INT64_MIN);
	assert_int_equal(loop_timer_left(scene.loop, &notes[0].timer), 0);
	scene.expected = 2;
	assert_int_equal(loop_run(scene.loop), 0);
	assert_int_equal(scene.calls, 2);
	loop_free(scene.loop);
}

static void
loop_timer_of_the_longest_delay_does_not_overflow(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct note far = { 0 }, near = { 0 };
		struct scene scene;

		scene_init(&scene, both_clocks[i]);
		note_set(&far, &scene, 'X', INT64_MAX);
		assert_true(
		    loop_timer_left(scene.loop, &far.timer) > 24 * 36525 * HOUR_MS);
		loop_on_turn_end(scene.loop, stop_loop, scene.loop);
		loop_again(scene.loop);
		assert_int_equal(loop_run(scene.loop), 0);
		loop_on_turn_end(scene.loop, NULL, NULL);
		note_set(&near, &scene, 'A', 1);
		assert_int_equal(loop_run(scene.loop), 0);
		assert_string_equal(scene.story, "A");
		loop_free(scene.loop);
		assert_false(timer_is_set(&far.timer));
	}
}

static void
loop_timer_left_counts_down_to_none(void **state)
{
	struct note note = { 0 };
	struct scene scene;

	(void)state;
	scene_init(&scene, LOOP_MONOTONIC);
	assert_int_equal(loop_timer_left(scene.loop, &note.timer), -1);
	note_set(&note, &scene, 'A', HOUR_MS);
	assert_in_range(
	    loop_timer_left(scene.loop, &note.timer), HOUR_MS - 60000, HOUR_MS);
	note_set(&note, &scene, 'A', 1);
	assert_in_range(loop_timer_left(scene.loop, &note.timer), 0, 1);
	assert_int_equal(loop_run(scene.loop), 0);
	assert_int_equal(loop_timer_left(scene.loop, &note.timer), -1);
	loop_free(scene.loop);
}

static void
loop_timer_removed_or_moved_fires_not_at_its_old_time(void **state)
{
	struct note removed = { 0 }, moved = { 0 }, last = { 0 };
	struct scene scene;

	(void)state;
	scene_init(&scene, LOOP_MONOTONIC);
	note_set(&removed, &scene, 'r', 1);
	note_set(&moved, &scene, 'm', 1);
	note_set(&last, &scene, 'L', 5);
	loop_timer_remove(scene.loop, &removed.timer);
	loop_timer_remove(scene.loop, &removed.timer);
	loop_timer_set(scene.loop, &moved.timer, HOUR_MS);
	assert_int_equal(loop_run(scene.loop), 0);
	assert_string_equal(scene.story, "L");
	loop_free(scene.loop);
}

static void
loop_timer_removed_by_another_in_the_same_turn_does_not_fire(void **state)
{
	struct note notes[2] = { 0 }, last = { 0 };
	struct scene scene;

	(void)state;
	scene_init(&scene, LOOP_MONOTONIC);
	notes[0].victim = &notes[1].timer;
	notes[1].victim = &notes[0].timer;
	note_set(&notes[0], &scene, 'n', 0);
	note_set(&notes[1], &scene, 'n', 0);
	note_set(&last, &scene, 'L', 3);
	assert_int_equal(loop_run(scene.loop), 0);
	assert_string_equal(scene.story, "nL");
	loop_free(scene.loop);
}

static void
loop_timer_set_in_its_own_callback_fires_again(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct note repeated = { .repeat_ms = 2 };
		struct scene scene;

		scene_init(&scene, both_clocks[i]);
		scene.expected = 3;
		note_set(&repeated, &scene, 'r', 1);
		assert_int_equal(loop_run(scene.loop), 0);
		assert_string_equal(scene.story, "rrr");
		loop_free(scene.loop);
	}
}

static void
take_event_and_stop(void *arg, uint32_t events)
{
	struct scene *scene = arg;
	char byte;

	scene->events = events;
	if (events & EPOLLIN)
		tell(scene, read(scene->fd, &byte, 1) == 1 ? byte : '0');
	loop_stop(scene->loop);
}

static void
loop_watch_is_told_what_is_ready(void **state)
{
	struct loop_watch *watch;
	struct scene scene;
	int ends[2];

	(void)state;
	scene_init(&scene, LOOP_MONOTONIC);
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	scene.fd = ends[0];
	watch = loop_add(scene.loop, ends[0], EPOLLIN, take_event_and_stop, &scene);
	assert_non_null(watch);
	assert_int_equal(write(ends[1], "x", 1), 1);
	assert_int_equal(loop_run(scene.loop), 0);
	assert_int_equal(scene.events, EPOLLIN);
	assert_string_equal(scene.story, "x");
	close(ends[1]);
	assert_int_equal(loop_run(scene.loop), 0);
	assert_int_equal(scene.events, EPOLLHUP);
	loop_remove(scene.loop, watch);
	close(ends[0]);
	loop_free(scene.loop);
}

static void
loop_change_waits_for_other_events(void **state)
{
	struct note limit = { 0 };
	struct loop_watch *watch;
	struct scene scene;

	(void)state;
	scene_init(&scene, LOOP_MONOTONIC);
	scene.fd = ready_descriptor();
	watch = loop_add(scene.loop, scene.fd, EPOLLIN, take_event_and_stop, &scene);
	assert_non_null(watch);
	loop_change(scene.loop, watch, EPOLLOUT);
	assert_int_equal(loop_run(scene.loop), 0);
	assert_int_equal(scene.events, EPOLLOUT);
	loop_change(scene.loop, watch, 0);
	scene.events = 0;
	note_set(&limit, &scene, 'L', 2);
	assert_int_equal(loop_run(scene.loop), 0);
	assert_int_equal(scene.events, 0);
	assert_string_equal(scene.story, "L");
	loop_remove(scene.loop, watch);
	close(scene.fd);
	loop_free(scene.loop);
}

static void
loop_add_fails_when_the_descriptor_cannot_be_watched(void **state)
{
	struct loop_watch *watch;
	struct scene scene;
	int directory = open("/", O_RDONLY | O_CLOEXEC);

	(void)state;
	scene_init(&scene, LOOP_MONOTONIC);
	assert_null(loop_add(scene.loop, -1, EPOLLIN, take_event_and_stop, &scene));
	assert_int_equal(errno, EBADF);
	assert_null(
	    loop_add(scene.loop, directory, EPOLLIN, take_event_and_stop, &scene));
	assert_int_equal(errno, EPERM);
	scene.fd = ready_descriptor();
	watch = loop_add(scene.loop, scene.fd, EPOLLIN, take_event_and_stop, &scene);
	assert_non_null(watch);
	assert_null(loop_add(scene.loop, scene.fd, EPOLLIN, take_event_and_stop, &scene));
	assert_int_equal(errno, EEXIST);
	loop_remove(scene.loop, watch);
	close(scene.fd);
	close(directory);
	loop_free(scene.loop);
}

/* All are ready in one batch: the first one called removes all. */
static void
remove_all_and_stop(void *arg, uint32_t events)
{
	struct scene *scene = arg;

	(void)events;
	tell(scene, 'r');
	for (int i = 0; i < 3; i++)
		loop_remove(scene->loop, scene->watches[i]);
	loop_stop(scene->loop);
}

static void
loop_watch_removed_in_the_same_batch_is_not_called(void **state)
{
	struct scene scene;
	int fds[3];

	(void)state;
	scene_init(&scene, LOOP_MONOTONIC);
	for (int i = 0; i < 3; i++) {
		fds[i] = ready_descriptor();
		scene.watches[i] =
		    loop_add(scene.loop, fds[i], EPOLLIN, remove_all_and_stop, &scene);
		assert_non_null(scene.watches[i]);
	}
	assert_int_equal(loop_run(scene.loop), 0);
	assert_string_equal(scene.story, "r");
	loop_again(scene.loop);
	loop_on_turn_end(scene.loop, stop_loop, scene.loop);
	assert_int_equal(loop_run(scene.loop), 0);
	assert_string_equal(scene.story, "r");
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	loop_free(scene.loop);
}

static void
added_again_is_ready(void *arg, uint32_t events)
{
	struct scene *scene = arg;

	(void)events;
	tell(scene, 'n');
	loop_stop(scene->loop);
}

static void
remove_and_add_again(void *arg, uint32_t events)
{
	struct scene *scene = arg;

	(void)events;
	tell(scene, 'o');
	loop_remove(scene->loop, scene->watches[0]);
	scene->watches[0] =
	    loop_add(scene->loop, scene->fd, EPOLLIN, added_again_is_ready, scene);
}

static void
loop_watch_replaced_in_its_callback_is_called_in_its_turn(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, LOOP_MONOTONIC);
	scene.fd = ready_descriptor();
	scene.watches[0] =
	    loop_add(scene.loop, scene.fd, EPOLLIN, remove_and_add_again, &scene);
	assert_int_equal(loop_run(scene.loop), 0);
	assert_string_equal(scene.story, "on");
	loop_remove(scene.loop, scene.watches[0]);
	loop_remove(scene.loop, scene.watches[0]);
	loop_remove(scene.loop, NULL);
	close(scene.fd);
	loop_free(scene.loop);
}

/* Its own watch is the argument's: called once each, all in as few turns as can be. */
struct member {
	struct scene *scene;
	struct loop_watch *watch;
	int fd, calls;
};

static void
member_is_ready(void *arg, uint32_t events)
{
	struct member *member = arg;
	struct scene *scene = member->scene;

	(void)events;
	member->calls++;
	loop_remove(scene->loop, member->watch);
	if (++scene->calls == MANY)
		loop_stop(scene->loop);
}

static void
loop_calls_every_watch_when_more_are_ready_than_a_batch_takes(void **state)
{
	static struct member members[MANY];
	struct scene scene;

	(void)state;
	scene_init(&scene, LOOP_MONOTONIC);
	for (int i = 0; i < MANY; i++) {
		members[i] = (struct member){ .scene = &scene, .fd = ready_descriptor() };
		members[i].watch = loop_add(
		    scene.loop, members[i].fd, EPOLLIN, member_is_ready, &members[i]);
		assert_non_null(members[i].watch);
	}
	assert_int_equal(loop_run(scene.loop), 0);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(members[i].calls, 1);
		close(members[i].fd);
	}
	loop_free(scene.loop);
}

static void
signal_received(void *arg, int signal, pid_t pid)
{
	struct scene *scene = arg;

	assert_int_equal(pid, getpid());
	tell(scene, signal == SIGUSR1 ? '1' : signal == SIGUSR2 ? '2' : '?');
	if (scene->calls >= 2)
		loop_stop(scene->loop);
}

static void
loop_signals_are_received_in_a_turn(void **state)
{
	struct scene scene;
	sigset_t signals;

	(void)state;
	scene_init(&scene, LOOP_BOOTTIME);
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGUSR2);
	assert_int_equal(loop_signals(scene.loop, &signals, signal_received, &scene), 0);
	raise(SIGUSR2);
	raise(SIGUSR1);
	raise(SIGUSR1);
	assert_int_equal(scene.calls, 0);
	assert_int_equal(loop_run(scene.loop), 0);
	assert_int_equal(scene.calls, 2);
	assert_non_null(strchr(scene.story, '1'));
	assert_non_null(strchr(scene.story, '2'));
	loop_free(scene.loop);
}

static void
signal_received_again(void *arg, int signal, pid_t pid)
{
	struct scene *scene = arg;

	(void)pid;
	tell(scene, 'u');
	if (scene->calls < 3)
		raise(signal);
	else
		loop_stop(scene->loop);
}

static void
loop_signal_raised_in_its_callback_is_received_again(void **state)
{
	struct scene scene;
	sigset_t signals;

	(void)state;
	scene_init(&scene, LOOP_MONOTONIC);
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	assert_int_equal(
	    loop_signals(scene.loop, &signals, signal_received_again, &scene), 0);
	raise(SIGUSR1);
	assert_int_equal(loop_run(scene.loop), 0);
	assert_string_equal(scene.story, "uuu");
	loop_free(scene.loop);
}

static void
more_to_do(void *arg)
{
	struct scene *scene = arg;

	scene->turns++;
	if (--scene->again > 0)
		loop_again(scene->loop);
	else
		loop_stop(scene->loop);
}

static void
loop_again_makes_a_turn_without_waiting(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct scene scene;

		scene_init(&scene, both_clocks[i]);
		scene.again = 10;
		loop_on_turn_end(scene.loop, more_to_do, &scene);
		loop_again(scene.loop);
		assert_int_equal(loop_run(scene.loop), 0);
		assert_int_equal(scene.turns, 10);
		loop_free(scene.loop);
	}
}

static void
count_ready(void *arg, uint32_t events)
{
	struct scene *scene = arg;

	(void)events;
	scene->calls++;
}

static void
end_first_turn(void *arg)
{
	struct scene *scene = arg;

	loop_stop(scene->loop);
}

static int64_t
gathers_so_often(void *arg)
{
	struct scene *scene = arg;

	return scene->again-- > 0 ? 0 : LOOP_NO_MORE;
}

/* What is ready all the time shows how often a turn looks. */
static void
loop_gathers_only_while_it_is_told_to(void **state)
{
	(void)state;
	for (int again = 0; again < 2; again++) {
		struct scene scene;
		int fd = eventfd(1, EFD_CLOEXEC);

		scene_init(&scene, LOOP_BOOTTIME);
		scene.again = again;
		scene.watches[0] = loop_add(scene.loop, fd, EPOLLIN, count_ready, &scene);
		loop_on_turn_end(scene.loop, end_first_turn, &scene);
		loop_gather_while(scene.loop, gathers_so_often, &scene);
		assert_int_equal(loop_run(scene.loop), 0);
		assert_int_equal(scene.calls, 1 + again);
		loop_remove(scene.loop, scene.watches[0]);
		close(fd);
		loop_free(scene.loop);
	}
}

#define LONG_US 10000000 /* nobody waits for that in vain */

static int64_t
gathers_two(void *arg)
{
	struct scene *scene = arg;

	return scene->calls < 2 ? scene->again : LOOP_NO_MORE;
}

static void
count_once(void *arg, uint32_t events)
{
	struct scene *scene = arg;

	count_ready(arg, events);
	loop_remove(scene->loop, scene->watches[scene->calls - 1]);
}

/* The second is ready only a while after the first. How many has one turn called? */
static int
gather_two(int most_us)
{
	const struct itimerspec soon = { .it_value.tv_nsec = 20000000 };
	struct scene scene;
	int first = eventfd(1, EFD_CLOEXEC), second = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	scene_init(&scene, LOOP_BOOTTIME);
	scene.again = most_us;
	scene.watches[0] = loop_add(scene.loop, first, EPOLLIN, count_once, &scene);
	scene.watches[1] = loop_add(scene.loop, second, EPOLLIN, count_once, &scene);
	loop_on_turn_end(scene.loop, end_first_turn, &scene);
	loop_gather_while(scene.loop, gathers_two, &scene);
	assert_int_equal(timerfd_settime(second, 0, &soon, NULL), 0);
	assert_int_equal(loop_run(scene.loop), 0);
	if (scene.calls < 2)
		loop_remove(scene.loop, scene.watches[1]);
	close(first);
	close(second);
	loop_free(scene.loop);
	return scene.calls;
}

static void
loop_turn_waits_for_what_is_to_be_gathered_as_long_as_it_may(void **state)
{
	(void)state;
	assert_int_equal(gather_two(LONG_US), 2);
	assert_int_equal(gather_two(0), 1);
	assert_int_equal(gather_two(1), 1);
}

static void
tell_ready_once(void *arg, uint32_t events)
{
	struct scene *scene = arg;

	(void)events;
	tell(scene, 'w');
	loop_remove(scene->loop, scene->watches[0]);
}

static void
loop_turn_calls_watches_then_timers_then_its_end(void **state)
{
	struct note due = { 0 };
	struct scene scene;

	(void)state;
	scene_init(&scene, LOOP_MONOTONIC);
	scene.fd = ready_descriptor();
	scene.watches[0] =
	    loop_add(scene.loop, scene.fd, EPOLLIN, tell_ready_once, &scene);
	loop_on_turn_end(scene.loop, tell_turn_end, &scene);
	note_set(&due, &scene, 'T', 0);
	assert_int_equal(loop_run(scene.loop), 0);
	assert_string_equal(scene.story, "wT.");
	note_set(&due, &scene, 'T', 0);
	assert_int_equal(loop_run(scene.loop), 0);
	assert_string_equal(scene.story, "wT.T.");
	close(scene.fd);
	loop_free(scene.loop);
}

static void
loop_tells_a_clock_step_when_idle_and_when_a_timer_is_set(void **state)
{
	struct note far = { 0 };
	struct scene scene;

	(void)state;
	scene_init(&scene, LOOP_BOOTTIME);
	loop_on_clock_step(scene.loop, tell_step_and_stop, &scene);
	loop_on_turn_end(scene.loop, stop_loop, scene.loop);
	loop_again(scene.loop);
	assert_int_equal(loop_run(scene.loop), 0);
	loop_on_turn_end(scene.loop, NULL, NULL);
	for (int round = 0; round < 3 && set_clock_to_now(); round++) {
		scene.calls = 0;
		assert_int_equal(loop_run(scene.loop), 0);
		assert_true(scene.calls > 0);
		note_set(&far, &scene, 'F', HOUR_MS);
	}
	loop_free(scene.loop);
}

static void
set_clock_and_a_timer(void *arg, uint32_t events)
{
	struct scene *scene = arg;

	(void)events;
	loop_remove(scene->loop, scene->watches[0]);
	if (set_clock_to_now())
		loop_timer_set(scene->loop, &scene->timer, HOUR_MS);
	else
		loop_stop(scene->loop);
}

/* timerfd_settime(2) takes the news away from read(2). */
static void
loop_tells_a_clock_step_when_a_timer_is_armed_after_it(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, LOOP_BOOTTIME);
	loop_on_clock_step(scene.loop, tell_step_and_stop, &scene);
	scene.fd = ready_descriptor();
	scene.watches[0] =
	    loop_add(scene.loop, scene.fd, EPOLLIN, set_clock_and_a_timer, &scene);
	assert_int_equal(loop_run(scene.loop), 0);
	if (timer_is_set(&scene.timer))
		assert_true(strlen(scene.story) > 0);
	close(scene.fd);
	loop_free(scene.loop);
}

static void
set_clock(void *arg)
{
	tell(arg, 'c');
	set_clock_to_now();
}

static void
loop_timer_keeps_its_delay_when_the_clock_is_set_meanwhile(void **state)
{
	struct note last = { 0 };
	struct scene scene;
	int64_t before = clock_boot().ms;

	(void)state;
	scene_init(&scene, LOOP_BOOTTIME);
	scene.timer = (struct timer){ .fire = set_clock, .arg = &scene };
	loop_timer_set(scene.loop, &scene.timer, 2);
	note_set(&last, &scene, 'L', 8);
	assert_int_equal(loop_run(scene.loop), 0);
	assert_string_equal(scene.story, "cL");
	assert_true(clock_boot().ms >= before + 8);
	loop_free(scene.loop);
}

static void
loop_on_the_monotonic_clock_tells_no_clock_step(void **state)
{
	struct note last = { 0 };
	struct scene scene;

	(void)state;
	scene_init(&scene, LOOP_MONOTONIC);
	loop_on_clock_step(scene.loop, tell_step_and_stop, &scene);
	note_set(&last, &scene, 'L', 3);
	set_clock_to_now();
	assert_int_equal(loop_run(scene.loop), 0);
	assert_string_equal(scene.story, "L");
	loop_free(scene.loop);
}

static void
loop_timer_fires_in_real_time_when_the_clocks_are_shifted(void **state)
{
	static const int64_t shifts[][2] = {
		{ HOUR_MS, HOUR_MS },
		{ -HOUR_MS, 0 },
		{ 0, HOUR_MS },
		{ HOUR_MS, 0 },
	};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct note note = { 0 };
		struct scene scene;
		int64_t before;

		clock_shift(shifts[i][0], shifts[i][1]);
		before = clock_mono().ms;
		scene_init(&scene, LOOP_BOOTTIME);
		note_set(&note, &scene, 'A', 20);
		assert_int_equal(loop_run(scene.loop), 0);
		assert_true(clock_mono().ms >= before + 19);
		loop_free(scene.loop);
	}
}

static void
shift_an_hour(void *arg)
{
	(void)arg;
	clock_shift(HOUR_MS, HOUR_MS);
}

static void
loop_timer_is_due_when_the_boot_clock_is_shifted_past_it(void **state)
{
	struct timer shift = { .fire = shift_an_hour };
	struct note far = { 0 };
	struct scene scene;

	(void)state;
	scene_init(&scene, LOOP_BOOTTIME);
	note_set(&far, &scene, 'F', HOUR_MS / 2);
	loop_timer_set(scene.loop, &shift, 1);
	assert_int_equal(loop_run(scene.loop), 0);
	assert_string_equal(scene.story, "F");
	loop_free(scene.loop);
}

static void
loop_free_takes_nothing_and_closes_its_descriptors(void **state)
{
	int before = dup(STDIN_FILENO), after;
	sigset_t signals;

	(void)state;
	loop_free(NULL);
	close(before);
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	for (size_t i = 0; i < 2; i++) {
		struct scene scene;

		scene_init(&scene, both_clocks[i]);
		assert_int_equal(
		    loop_signals(scene.loop, &signals, signal_received, &scene), 0);
		loop_free(scene.loop);
	}
	after = dup(STDIN_FILENO);
	close(after);
	assert_int_equal(before, after);
}

#define GUARDED(test) cmocka_unit_test_setup_teardown(test, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		GUARDED(loop_timers_fire_in_order_of_their_times),
		GUARDED(loop_timer_fires_at_its_time_and_wakes_the_loop_once),
		GUARDED(loop_timer_that_is_due_fires_without_waiting),
		GUARDED(loop_timer_of_the_longest_delay_does_not_overflow),
		GUARDED(loop_timer_left_counts_down_to_none),
		GUARDED(loop_timer_removed_or_moved_fires_not_at_its_old_time),
		GUARDED(loop_timer_removed_by_another_in_the_same_turn_does_not_fire),
		GUARDED(loop_timer_set_in_its_own_callback_fires_again),
		GUARDED(loop_watch_is_told_what_is_ready),
		GUARDED(loop_change_waits_for_other_events),
		GUARDED(loop_add_fails_when_the_descriptor_cannot_be_watched),
		GUARDED(loop_watch_removed_in_the_same_batch_is_not_called),
		GUARDED(loop_watch_replaced_in_its_callback_is_called_in_its_turn),
		GUARDED(loop_calls_every_watch_when_more_are_ready_than_a_batch_takes),
		GUARDED(loop_signals_are_received_in_a_turn),
		GUARDED(loop_signal_raised_in_its_callback_is_received_again),
		GUARDED(loop_again_makes_a_turn_without_waiting),
		GUARDED(loop_gathers_only_while_it_is_told_to),
		GUARDED(loop_turn_waits_for_what_is_to_be_gathered_as_long_as_it_may),
		GUARDED(loop_turn_calls_watches_then_timers_then_its_end),
		GUARDED(loop_tells_a_clock_step_when_idle_and_when_a_timer_is_set),
		GUARDED(loop_tells_a_clock_step_when_a_timer_is_armed_after_it),
		GUARDED(loop_timer_keeps_its_delay_when_the_clock_is_set_meanwhile),
		GUARDED(loop_on_the_monotonic_clock_tells_no_clock_step),
		GUARDED(loop_timer_fires_in_real_time_when_the_clocks_are_shifted),
		GUARDED(loop_timer_is_due_when_the_boot_clock_is_shifted_past_it),
		GUARDED(loop_free_takes_nothing_and_closes_its_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
