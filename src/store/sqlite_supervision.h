#ifndef STORE_SQLITE_SUPERVISION_H
#define STORE_SQLITE_SUPERVISION_H

#include "model/supervision.h"
#include "store/sqlite_engine.h"

/* Between the files of the engine: a supervisor's row as the tree sees it. */

#define NODE_REASON_SIZE (REASON_TEXT_SIZE + NAME_SIZE + 32)

/* Why it ends; another one is failed_to_start_child NAME: REASON. */
#define NODE_MAX_RESTARTS "max_restarts"
#define NODE_AUTO_SHUTDOWN "auto_shutdown"
#define NODE_BY_PARENT "shutdown" /* its parent ends it, or restarts it with others */
#define NODE_STOPPED "stopped"	  /* somebody asked for it */
#define NODE_RESUMED "resumed"	  /* waiting: its children are to come back, as they were */

struct node {
	char name[NAME_SIZE];
	char parent[NAME_SIZE]; /* "": the root */
	int64_t position;	/* 0: not one of its parent's children in order */
	enum supervisor_state state;
	int strategy, budget, auto_shutdown; /* enums of model/supervision.h */
	int64_t max_restarts, max_seconds;
	enum restart_type restart;
	bool is_significant;
	int64_t group_from; /* SUPERVISOR_REGROUPING: from this position on */
	bool has_run;	    /* since somebody started it */
	bool is_walked;	    /* by its parent, which goes on by itself */
	char reason[NODE_REASON_SIZE];
};

/* ---- its row (sqlite_node.c) ---- */

extern const struct node node_root;

/* Not found: it is as the root, which has no row. */
int sqlite_read_node(struct sqlite_engine *engine, const char *name, struct node *node,
    bool *ret_found);

/* reason NULL: none, or as it was while the state is one of ending. */
int node_set_state(struct sqlite_engine *engine, struct node *node,
    enum supervisor_state state, int64_t group_from, const char *reason);
int node_set_has_run(struct sqlite_engine *engine, struct node *node, bool has_run);
int node_tell(struct sqlite_engine *engine, const struct node *node, const char *event);
/* It is none of its parent's children any more; and it is one again, the last. */
int node_forget(struct sqlite_engine *engine, const char *name);
int node_place(struct sqlite_engine *engine, const char *name);

/* ---- its children together (sqlite_group.c) ---- */

/* End the last one from this position on that is there still, one at a time. */
int group_end_last(struct sqlite_engine *engine, const struct node *node, int64_t from,
    bool *ret_none);
/* End all that are in no order, once: none comes behind, nothing is claimed any more. */
int group_end_dynamic(struct sqlite_engine *engine, const struct node *node);
int group_has_dynamic(struct sqlite_engine *engine, const struct node *node, bool *ret_has);
/* Those whose turn had not come have ended; nothing of them runs. */
int group_end_waiting(struct sqlite_engine *engine, const struct node *node);
/* Those in order wait for their turn. */
int group_begin(struct sqlite_engine *engine, const struct node *node);
/* Start the supervisors whose turn it is. */
int group_start_next(struct sqlite_engine *engine, const struct node *node);
int group_is_up(struct sqlite_engine *engine, const struct node *node, bool *ret_is_up);
/* All in order run at once: without a place for each it would start for ever. Refuses the step. */
int group_check_places(struct sqlite_engine *engine, struct step *step, const char *name);

/* ---- at work (sqlite_supervision.c) ---- */

/* End it; start it, with those of its children that are in order. */
int node_begin_ending(struct sqlite_engine *engine, struct node *node, const char *reason);
int node_begin_starting(struct sqlite_engine *engine, struct node *node);
/* Its children were put back when we went, and come back in their order. */
int node_resume(struct sqlite_engine *engine, struct node *node);

/* Go on with what it is at, as far as that goes now. */
int sqlite_supervise(struct sqlite_engine *engine, const char *name);

/* It has ended (or never run): start it, with its children one after another. */
int sqlite_start_node(struct sqlite_engine *engine, struct node *node);
/* When nothing in order runs yet: all start in their order, as it was when they were put back. */
int sqlite_resume_nodes(struct sqlite_engine *engine);
/* End it, with its children; its parent does not restart it, also if it is ending already. */
int sqlite_stop_node(struct sqlite_engine *engine, struct node *node);

/* ---- restarts that count (sqlite_restarts.c); of a job, or, job 0, of a supervisor ---- */

int sqlite_add_restart(struct sqlite_engine *engine, const char *supervisor, int64_t job,
    const char *child);
/* So many count now against the budget that this child uses. */
int sqlite_count_restarts(struct sqlite_engine *engine, const struct node *node, int64_t job,
    const char *child, int64_t *ret_count);
int sqlite_forget_restarts(struct sqlite_engine *engine, const char *supervisor);
int sqlite_forget_restarts_of_job(struct sqlite_engine *engine, int64_t job);
/* No significant child of it but this one is up. */
int sqlite_is_last_significant(struct sqlite_engine *engine, const char *supervisor,
    int64_t job, const char *child, bool *ret_is_last);
/* One of its significant children, whether they are up or not; "": it has none. */
int sqlite_find_significant(struct sqlite_engine *engine, const char *supervisor,
    char ret_child[NAME_SIZE]);

#endif
