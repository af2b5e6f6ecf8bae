#ifndef KEEPER_KEEPER_LEAF_H
#define KEEPER_KEEPER_LEAF_H

#include "keeper/keeper.h"

/*
 * The cgroups of attempts, from the keeper's side. Without a delegated one all of this does
 * nothing: no attempt has a leaf.
 */

void keeper_leaves_open(struct keeper *keeper);
void keeper_leaves_close(struct keeper *keeper);
/* Remove what a keeper before us left, now or when it is empty; all is adopted. */
void keeper_leaves_sweep(struct keeper *keeper);
enum cgroup_use keeper_cgroup_use(const struct keeper *keeper);
/* Make one. The descriptor by which its process goes there, -1: none. */
int keeper_leaf_make(struct keeper *keeper, struct child *child);
/* It was made, and there is a process or not. Closes the descriptor. */
void keeper_leaf_made(struct keeper *keeper, struct child *child, int fd, bool is_in_use);
/* It may have one from the keeper before us. */
void keeper_leaf_adopt(struct keeper *keeper, struct child *child);
/* SIGKILL to all in it, unless children are left alone. */
void keeper_leaf_kill(struct keeper *keeper, struct child *child);
/*
 * Its main process is dead and its report begun: what is left is killed. child->has_leaf is
 * true until nothing is; keeper_close_children() is called then.
 */
void keeper_leaf_close(struct keeper *keeper, struct child *child);

#endif
