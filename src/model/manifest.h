#ifndef MODEL_MANIFEST_H
#define MODEL_MANIFEST_H

#include "base/error.h"
#include "model/spec.h"
#include "model/supervisor.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * What a file says there should be: supervisors, and beneath each its children, servers and
 * supervisors, in their order. JSON, since it is what --json prints and --batch reads, and
 * since the library for it is here already. Pure: no file is read, nothing is compared with
 * what there is.
 *
 *	{ "supervisors": [ { "name": "shop", "strategy": "rest_for_one", "children": [
 *	    { "name": "db", "command": ["./db"] },
 *	    { "name": "workers", "max_restarts": 10, "children": [] },
 *	    { "name": "web", "command": ["./web"], "after": ["db"] } ] } ] }
 *
 * A child that has `command` is a server, and has the keys of job options; one that has
 * `children` is a supervisor, with the keys of supervisors. `comment` is for people.
 */

struct manifest_entry {
	char *name;	 /* of a server SUPERVISOR/CHILD */
	const char *child; /* its part behind the slash; of a supervisor its name */
	char *parent;	 /* the supervisor that it is beneath; NULL: the root */
	bool is_supervisor;
	struct supervisor_spec supervisor; /* what was not given is unset */
	struct spec server;
	json_t *object; /* as the file has it, without its children */
};

/* Depth first: a supervisor, then its children in their order, `after` heeded. */
struct manifest {
	struct manifest_entry *entries;
	size_t count, room;
};

/*
 * Relative paths are taken from `directory`, which is where servers run unless told otherwise.
 * 0, or -1 with *error, which names the entry.
 */
int manifest_read(struct manifest *manifest, const json_t *file, const char *directory,
    struct wall now, struct error *error);
void manifest_done(struct manifest *manifest);

/* The entry of this name; NULL if the file has none. */
const struct manifest_entry *manifest_find(const struct manifest *manifest, const char *name);

#endif
