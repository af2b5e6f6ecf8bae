#ifndef SUPPORT_PLAY_H
#define SUPPORT_PLAY_H

#include "support/helper.h"
#include "support/puppet.h"
#include "support/system.h"

/*
 * Puppets (puppet.h) as servers of the real program: the test's own program is one when it is
 * started with a script. In the text of scripts ' stands for ", and HERE and GO for the paths
 * of two fifos, to step ["tell", HERE] and ["wait", GO].
 */
struct play {
	struct instance instance;
	char *here, *go;
	struct helper news; /* `events -f`, if play_follow() was called */
};

/* Is this process to be a puppet? Then *ret_status is what main returns. */
bool play_is_puppet(int argc, char **argv, int *ret_status);

void play_begin(struct play *play);
void play_done(struct play *play);   /* with check_accounts() */


/* jobberd start NAME -- puppet SCRIPT; must succeed. */
void play_start(struct play *play, const char *name, const char *script);
/* The same with these options before it (NULL: none), and whatever comes of it. */
struct result play_try_start(
    struct play *play, const char *option, const char *name, const char *script);
/* play_start() with two options before it. */
void play_start_with(struct play *play, const char *option, const char *other, const char *name,
    const char *script);
/* The same with so many puppets that are one pool, whose messages are not retried. */
void play_start_pool(struct play *play, const char *size, const char *name, const char *script);
void play_start_beside(struct play *play, struct helper *starter, const char *name,
    const char *script);
struct result play_call(struct play *play, const char *name, const char *message);
void play_call_beside(struct play *play, struct helper *caller, const char *name,
    const char *message);
void play_cast(struct play *play, const char *name, const char *message);
void play_stop(struct play *play, const char *name);

/* The pid that a puppet tells HERE, when it does. */
pid_t play_pid(struct play *play);
/* Let go the puppet that waits for GO. */
void play_go(struct play *play);

/* Wait until the history has this text, of now or before. */
void play_follow(struct play *play);
void play_until(struct play *play, const char *text);
/* What a puppet has logged, joined with "; ", must be this. Best when it has ended. */
void play_history(struct play *play, const char *name, const char *wanted);

#endif
