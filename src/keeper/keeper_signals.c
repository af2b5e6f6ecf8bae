/*
 * keeper_signals: what is passed on to the one job that this supervise is for. Which process
 * that is only the supervisor process knows: it is asked, and until it answers the signals wait,
 * each once, as those that the kernel holds do. So none is lost or passed on twice when it dies.
 */

#include "base/log.h"
#include "keeper/keeper.h"
#include "keeper/pidfd.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

void
keeper_signals_ask(struct keeper *keeper)
{
	struct report report = { .version = ORDERS_VERSION, .kind = REPORT_SIGNALLED };

	if (!sigisemptyset(&keeper->signals))
		keeper_report(keeper, &report, -1);
}

void
keeper_signals_add(struct keeper *keeper, int number)
{
	bool is_asked = !sigisemptyset(&keeper->signals);

	sigaddset(&keeper->signals, number);
	if (!is_asked)
		keeper_signals_ask(keeper);
}

/* Its main process only. Nobody else has its pid: it is not reaped, or seen through its pidfd. */
static void
pass(const struct child *child, int number)
{
	const char *name = sigabbrev_np(number);
	int result = child->is_adopted ? pidfd_signal(child->pidfd, number)
				       : kill(child->pid, number);

	if (result == -1)
		log_warn("job=%" PRId64 " signal=%s is dropped: %s", child->key.job, name,
		    strerror(errno));
	else
		log_info("job=%" PRId64 " signal=%s is passed on", child->key.job, name);
}

void
keeper_signals_pass(struct keeper *keeper, const struct child *child)
{
	/* One that is not its program yet cannot have said what it does with them. */
	bool is_running =
	    child != NULL && child->state == CHILD_RUNNING && child->launch == NULL;

	for (int number = 1; number < NSIG; number++) {
		if (sigismember(&keeper->signals, number) != 1)
			continue;
		if (is_running)
			pass(child, number);
		else
			log_warn("signal=%s is dropped: the job that it is for does not run",
			    sigabbrev_np(number));
	}
	sigemptyset(&keeper->signals);
}
