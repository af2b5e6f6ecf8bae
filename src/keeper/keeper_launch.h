#ifndef KEEPER_KEEPER_LAUNCH_H
#define KEEPER_KEEPER_LAUNCH_H

#include "keeper/keeper.h"

/*
 * Processes on their way to what they are to be, a few at a time: one becomes its program while
 * the next is made, and one whose program takes for ever to load holds up nobody.
 */

void keeper_launches_init(struct keeper *keeper);
void keeper_launches_done(struct keeper *keeper);

/*
 * Make a process for this attempt; keeper_launched() is told what became of it, now or later. It
 * has a pid, is reaped and killed like any other from now on. Takes over the text and the
 * descriptors.
 */
void keeper_launch(struct keeper *keeper, struct child *child, const struct order_start *start,
    struct start_text *text, int output_fd, int socket_fd);

/* It is going to be stopped: wait, not for long, until it has become its program. */
void keeper_settle(struct keeper *keeper, struct child *child);
/* Its process, which was on its way, is dead: as if it had died a moment later. */
void keeper_launch_died(struct keeper *keeper, struct child *child);
/* The same for all. */
void keeper_settle_all(struct keeper *keeper);

/* At a turn's end: those that have become their programs, or have failed. */
void keeper_launches_look(struct keeper *keeper);
/* … and the last of all: wait for the others a moment. */
void keeper_launches_wait(struct keeper *keeper);

/* ---- keeper_start.c ---- */

/* How a child is made. */
struct spawn keeper_spawn_of(struct keeper *keeper, struct child *child,
    const struct order_start *start, const struct start_text *text, int output_fd,
    int socket_fd);
/*
 * It runs (error 0), or could not be executed, for want of what is at `place`, or no process
 * could be made (is_lack).
 */
void keeper_launched(struct keeper *keeper, struct child *child,
    const struct order_start *start, int error, enum end_place place, bool is_lack);

#endif
