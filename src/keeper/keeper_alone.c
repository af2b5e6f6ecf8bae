/*
 * keeper_alone: a stop, or a leave, while no supervisor process comes up to carry it out. What
 * is to be ended is ended, all of it at the same time. The ends are kept for a few more of
 * those processes to record; when none has, we leave all the same.
 */

#include "base/log.h"
#include "keeper/keeper.h"
#include "keeper/notify.h"

#define MOST_TRIES 5 /* to have the last ends recorded */

static size_t
count_ends(struct keeper *keeper)
{
	size_t count = 0;

	for (struct child *child = children_first(&keeper->children); child != NULL;
	     child = children_next(child))
		count += child->state == CHILD_ENDED;
	return count;
}

static void
begin(struct keeper *keeper)
{
	if (keeper->is_alone)
		return;
	log_warn("no supervisor process comes up: the keeper %s by itself",
	    keeper->pending_wish == WISH_LEAVE ? "leaves" : "stops");
	notify_manager("STOPPING=1");
	keeper->is_alone = true;
	keeper->restart_delay_ms = 0;
}

static void
give_up(struct keeper *keeper, size_t ends)
{
	log_error("ends of %zu job%s are not recorded: the next supervise records them as lost",
	    ends, ends == 1 ? "" : "s");
	keeper_leave(keeper, STATUS_NO);
}

bool
keeper_leaves_alone(struct keeper *keeper)
{
	size_t ends;

	begin(keeper);
	keeper->leaves = keeper->pending_wish == WISH_LEAVE;
	if (!keeper->leaves)
		keeper_stop_all(
		    keeper, keeper->pending_wish == WISH_STOP ? STOP_OWN_GRACE : 0);
	ends = count_ends(keeper);
	if (ends == 0 && (keeper->leaves || keeper->children.count == 0))
		keeper_leave(keeper, STATUS_OK);
	else if (!keeper->leaves && ends < keeper->children.count)
		return false; /* somebody has still to end */
	else if (keeper->tries++ < MOST_TRIES)
		return false;
	else
		give_up(keeper, ends);
	return true;
}
