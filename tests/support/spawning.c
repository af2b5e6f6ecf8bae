/* spawning: a process from its beginning until it is its program. */

#include "support/spawning.h"

#include <errno.h>

int
spawn_whole(const struct spawn *spawn, pid_t *ret_pid, int64_t *ret_start)
{
	void *stack = spawn_stack_new();
	struct spawn_plan plan;
	pid_t pid;
	int result, error;

	if (stack == NULL || spawn_begin(&plan, spawn, stack, &pid) == -1)
		return -1;
	while (!spawn_is_over(&plan))
		spawn_wait(&plan, 1000000);
	result = spawn_end(&plan, pid);
	error = errno;
	spawn_stack_free(stack);
	if (result == 0) {
		*ret_pid = pid;
		*ret_start = plan.start;
	}
	errno = error;
	return result;
}
