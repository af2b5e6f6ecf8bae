#ifndef CLI_APPLY_MAKING_H
#define CLI_APPLY_MAKING_H

#include "cli/apply_plan.h"

/* Between the files that make a plan. */

/* What there is: rows by name. */
struct present {
	json_t *supervisors; /* also those of pools */
	json_t *servers; /* children in order, and temporary ones that have ended */
};

struct making {
	struct plan *plan;
	const struct manifest *manifest;
	char *const *descriptions;
	const char *path;
	bool prunes;
	struct present present;
	struct query *query;
	struct error *error;
};

/* ---- what there is ---- */

const char *plan_text(const json_t *row, const char *key); /* NULL: none */
int64_t plan_number(const json_t *row, const char *key);   /* 0: none */
bool plan_is_live(const json_t *row);
/* Is a server's description from this file? Of those of earlier versions nobody knows. */
bool plan_is_described_here(const struct making *making, const json_t *row);
/* A server that this file has described before, and does not any more. */
bool plan_is_left_out(const struct making *making, const char *name, const json_t *row);
/* Likewise a supervisor; one that is built in never is. */
bool plan_is_supervisor_left_out(const struct making *making, const char *name);

/* ---- the plan ---- */

struct plan_step *plan_add_step(struct plan *plan, enum plan_kind kind, const char *name,
    const struct manifest_entry *entry);
void plan_remark(struct plan *plan, char *words); /* takes them over */

/* What becomes of children: their supervisor … */
enum plan_parent {
	PLAN_PARENT_RESTS,  /* does not run */
	PLAN_PARENT_BEGINS, /* will, with all its children, when they are there */
	PLAN_PARENT_RUNS,   /* so what is added is started by itself */
};

/* What a server wants. 0, or -1 with an error. */
int plan_make_server(
    struct making *making, const struct manifest_entry *entry, enum plan_parent parent);

/* Is a server that has no description from a file what this one says (apply_same.c)? */
bool plan_is_as_described(const json_t *row, const struct spec *wanted);

/*
 * Would it be refused halfway? What of an entry only makes sense beside others, and beside what
 * stays as it is (apply_check.c). 0, or -1 with an error.
 */
int plan_check(const struct making *making);

#endif
