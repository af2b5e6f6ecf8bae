#ifndef SUPERVISOR_GROUP_H
#define SUPERVISOR_GROUP_H

#include "supervisor/server.h"

/* Messages to every live server of a group. Nobody there is no error. */

/* Who asked is answered {"count": N}: so many were given it, or have it in their mailbox. */
void group_send(struct supervisor *supervisor, const char *group, bool is_info,
    struct rpc_text message, struct caller caller);
/* The same as a part of something, for nobody. */
struct step *group_make_send(struct supervisor *supervisor, const char *group, bool is_info,
    struct rpc_text message);

/*
 * Call all of the envelope's group; each member's ref is made of the envelope's, its time is for
 * all of it. Who asked is answered {"replies": {NAME: REPLY, …}, "bad": [NAME, …]} when
 * each has answered, or cannot any more, or the time has passed.
 */
void group_call(struct supervisor *supervisor, const struct envelope *envelope,
    const char *from, struct caller caller);

/* What a member has answered, taken over; NULL: nothing good. `part` is gone then. */
struct group_part;
void group_take_answer(struct group_part *part, json_t *result);

/* The group that params ask for. NULL with *ret_wrong NULL: none; or what is wrong with it. */
const char *group_of(const json_t *params, const char **ret_wrong);

#endif
