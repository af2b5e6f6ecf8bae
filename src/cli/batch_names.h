#ifndef CLI_BATCH_NAMES_H
#define CLI_BATCH_NAMES_H

#include <bsd/sys/tree.h>

#include <stddef.h>

/* Which line of a batch is the first to give which name. */
struct batch_name;

struct batch_names {
	RB_HEAD(batch_name_tree, batch_name) tree;
};

void batch_names_init(struct batch_names *names);
void batch_names_done(struct batch_names *names);

/* This line (from 1) gives this name, which is borrowed: the first line that did, or 0. */
size_t batch_names_add(struct batch_names *names, const char *name, size_t line);

#endif
