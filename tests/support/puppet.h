#ifndef SUPPORT_PUPPET_H
#define SUPPORT_PUPPET_H

#include <jobber/gen_server.h>

/*
 * A server that does what its messages say, and logs what it does. A message that is an object
 * is a script:
 *
 *	do: an array of steps, ["cast", "to", 5] and the like, see puppet.c; what a step
 *	    gives is logged as "STEP: RESULT"
 *	verb: ok, ignore, reply, noreply, stop, unknown, or a number; reply, reason
 *	continue, timeout, hibernate
 *
 * Any other is logged; a call replies it. Before each callback it logs "cast MESSAGE", or
 * only "cast" for a script; `quiet` in it true: nothing. terminate logs "terminate REASON
 * STATE". init does what its first argument says, which is such an object as text.
 */
extern const struct gen_server_ops puppet_ops;
/* The same without any callback but init and terminate. */
extern const struct gen_server_ops puppet_bare_ops;

#endif
