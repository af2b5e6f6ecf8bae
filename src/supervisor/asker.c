/* asker: who asked, looked for when the answer is there. */

#include "supervisor/asker.h"

struct asker
asker_of(struct supervisor *supervisor, struct caller caller)
{
	struct asker asker = { .supervisor = supervisor, .caller = caller };

	if (caller.server != NULL) {
		asker.key = caller.server->live->key;
		json_incref(caller.id);
	}
	return asker;
}

struct caller
asker_find(const struct asker *asker)
{
	struct caller caller = asker->caller;
	struct live *live =
	    asker->key.job != 0 ? live_find(asker->supervisor, asker->key.job) : NULL;

	caller.server =
	    live != NULL && live->key.attempt == asker->key.attempt ? live->server : NULL;
	return caller;
}

void
asker_drop(struct asker *asker)
{
	if (asker->key.job != 0)
		json_decref(asker->caller.id);
}
