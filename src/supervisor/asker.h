#ifndef SUPERVISOR_ASKER_H
#define SUPERVISOR_ASKER_H

#include "supervisor/server.h"

/* Who asked, kept for longer than a turn: a server may have ended when the answer is there. */
struct asker {
	struct supervisor *supervisor;
	struct caller caller;
	struct attempt_key key; /* of the server that asks; job 0: a client, or nobody */
};

struct asker asker_of(struct supervisor *supervisor, struct caller caller);
/* Who is to be answered now: nobody, if the server that asked has ended. */
struct caller asker_find(const struct asker *asker);
void asker_drop(struct asker *asker);

#endif
