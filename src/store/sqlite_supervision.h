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

/* Not found: it is as the root, which has no row. */
int sqlite_read_node(struct sqlite_engine *engine, const char *name, struct node *node,
    bool *ret_found);

/* Go on with what it is at, as far as that goes now. */
int sqlite_supervise(struct sqlite_engine *engine, const char *name);

/* It has ended (or never run): start it, with its children one after another. */
int sqlite_start_node(struct sqlite_engine *engine, struct node *node);
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

#endif
