/*
 * keeper_launch: children between clone and their program, or behaviour. Programs share our
 * memory and, for their first steps, our descriptors, so all that they need stays as it is
 * until the kernel says that they do not any more. That takes some 0.2 ms, which is worth
 * waiting for when there is nothing else to do; with a program on a dead network file system,
 * or a behaviour whose directory is there, it takes for ever.
 */

#include "keeper/keeper_launch.h"
#include "base/xalloc.h"
#include "keeper/keeper_leaf.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define MOST 3	      /* at once; more only take each other's processors … */
#define LONG_MS 5     /* … but one that has taken so long is not waited for */
#define VERY_LONG_MS 1000
#define WAIT_US 100   /* before others are heard again */
#define LOOK_MS 5     /* for those that take long … */
#define LOOK_LATE_MS 100 /* … and very long */
#define SETTLE_MS 50

struct launch {
	TAILQ_ENTRY(launch) entry;
	struct child *child;
	struct order_start start;
	struct start_text text;
	struct spawn spawn;
	struct spawn_plan plan;
	struct mono since;
	void *stack;
};

/* A turn's end looks at them. */
static void
due(void *arg)
{
	(void)arg;
}

void
keeper_launches_init(struct keeper *keeper)
{
	TAILQ_INIT(&keeper->launches);
	TAILQ_INIT(&keeper->free_launches);
	keeper->launch_timer = (struct timer){ .fire = due };
}

/* Those that are still on their way need what they have for longer than we are there. */
void
keeper_launches_done(struct keeper *keeper)
{
	struct launch *launch;

	while ((launch = TAILQ_FIRST(&keeper->free_launches)) != NULL) {
		TAILQ_REMOVE(&keeper->free_launches, launch, entry);
		spawn_stack_free(launch->stack);
		free(launch);
	}
}

/* One that is free; NULL with errno. */
static struct launch *
take(struct keeper *keeper)
{
	struct launch *launch = TAILQ_FIRST(&keeper->free_launches);

	if (launch != NULL) {
		TAILQ_REMOVE(&keeper->free_launches, launch, entry);
		return launch;
	}
	launch = xcalloc(1, sizeof(*launch));
	launch->stack = spawn_stack_new();
	if (launch->stack != NULL)
		return launch;
	free(launch);
	return NULL;
}

static int64_t
age_of(const struct launch *launch)
{
	return clock_mono().ms - launch->since.ms;
}

/* It does not share anything with us any more. */
static void
end(struct keeper *keeper, struct launch *launch)
{
	struct child *child = launch->child;
	const struct order_start start = launch->start;
	int result = spawn_end(&launch->plan, child->pid), error = result == -1 ? errno : result;

	close(launch->spawn.output_fd);
	close(launch->spawn.socket_fd);
	start_text_done(&launch->text);
	child->launch = NULL;
	if (error == 0)
		child->pid_start = launch->plan.start;
	else {
		children_forget_pid(&keeper->children, child);
		child->pid = 0;
	}
	keeper_leaf_made(keeper, child, launch->spawn.cgroup_fd, error == 0);
	TAILQ_REMOVE(&keeper->launches, launch, entry);
	TAILQ_INSERT_HEAD(&keeper->free_launches, launch, entry);
	keeper_launched(keeper, child, &start, error, launch->plan.place, result == -1);
}

static struct launch *
find_over(struct keeper *keeper)
{
	struct launch *launch;

	TAILQ_FOREACH(launch, &keeper->launches, entry) {
		if (spawn_is_over(&launch->plan))
			return launch;
	}
	return NULL;
}

void
keeper_launches_look(struct keeper *keeper)
{
	struct launch *launch;

	while ((launch = find_over(keeper)) != NULL)
		end(keeper, launch);
}

/* The first that is not on its way for long; NULL if there are fewer than MOST of them. */
static struct launch *
find_first_of_most(struct keeper *keeper)
{
	struct launch *launch, *first = NULL;
	size_t count = 0;

	TAILQ_FOREACH(launch, &keeper->launches, entry) {
		if (age_of(launch) >= LONG_MS)
			continue;
		if (first == NULL)
			first = launch;
		count++;
	}
	return count >= MOST ? first : NULL;
}

/* What others have is given back, and they are never more than a few; but nobody waits long. */
static void
make_room(struct keeper *keeper)
{
	struct launch *first;

	keeper_launches_look(keeper);
	while ((first = find_first_of_most(keeper)) != NULL) {
		spawn_wait(&first->plan, LONG_MS * 1000);
		keeper_launches_look(keeper);
	}
}

static int
begin(struct keeper *keeper, struct launch *launch)
{
	pid_t pid;

	launch->since = clock_mono();
	if (spawn_begin(&launch->plan, &launch->spawn, launch->stack, &pid) == -1)
		return errno;
	TAILQ_INSERT_TAIL(&keeper->launches, launch, entry);
	launch->child->launch = launch;
	children_set_pid(&keeper->children, launch->child, pid);
	return 0;
}

void
keeper_launch(struct keeper *keeper, struct child *child, const struct order_start *start,
    struct start_text *text, int output_fd, int socket_fd)
{
	struct launch *launch;
	int error;

	make_room(keeper);
	launch = take(keeper);
	if (launch == NULL)
		error = errno;
	else {
		launch->child = child;
		launch->start = *start;
		launch->text = *text;
		launch->spawn = keeper_spawn_of(
		    keeper, child, start, &launch->text, output_fd, socket_fd);
		error = begin(keeper, launch);
		if (error == 0)
			return;
		keeper_leaf_made(keeper, child, launch->spawn.cgroup_fd, false);
		TAILQ_INSERT_HEAD(&keeper->free_launches, launch, entry);
	}
	close(output_fd);
	close(socket_fd);
	start_text_done(text);
	keeper_launched(keeper, child, start, error, PLACE_PROGRAM, true);
}

static void
await(struct launch *launch)
{
	while (!spawn_is_over(&launch->plan) && age_of(launch) < SETTLE_MS)
		spawn_wait(&launch->plan, SETTLE_MS * 1000);
}

void
keeper_settle(struct keeper *keeper, struct child *child)
{
	struct launch *launch = child->launch;

	if (launch == NULL)
		return;
	await(launch);
	if (spawn_is_over(&launch->plan))
		end(keeper, launch);
}

void
keeper_launch_died(struct keeper *keeper, struct child *child)
{
	spawn_died(&child->launch->plan);
	end(keeper, child->launch);
}

/* The end of one may be the beginning of another, or its end. */
void
keeper_settle_all(struct keeper *keeper)
{
	struct launch *launch;

	TAILQ_FOREACH(launch, &keeper->launches, entry)
		await(launch);
	keeper_launches_look(keeper);
}

void
keeper_launches_wait(struct keeper *keeper)
{
	struct launch *launch;

	TAILQ_FOREACH(launch, &keeper->launches, entry) {
		int64_t age_ms = age_of(launch);

		if (age_ms < LONG_MS) {
			/* With nobody else there, there is nobody else's end to hear of. */
			spawn_wait(&launch->plan,
			    keeper->children.pid_count > 1 ? WAIT_US : LONG_MS * 1000);
			loop_again(keeper->loop);
			return;
		}
		if (!timer_is_set(&keeper->launch_timer))
			loop_timer_set(keeper->loop, &keeper->launch_timer,
			    age_ms < VERY_LONG_MS ? LOOK_MS : LOOK_LATE_MS);
	}
}
