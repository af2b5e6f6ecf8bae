/*
 * siblings: how long a commit waits for those who are about to ask. Clients that ask one request
 * after the other are answered together when a commit is synced, and come back one by one: to
 * commit for the first of them alone costs the others a whole commit more. So those who were
 * answered together are waited for, together no longer than such a commit takes; that is at most
 * twice of what it would cost if it were known who comes. One that does not come back is waited
 * for once.
 */

#include "supervisor/client.h"

#include <assert.h>

#define MOST_US 1000 /* on a slow disk, too */

void
siblings_commit(struct supervisor *supervisor)
{
	supervisor->siblings.began_us = clock_mono_us();
}

void
siblings_begin(struct supervisor *supervisor)
{
	struct siblings *siblings = &supervisor->siblings;
	int64_t took_us = clock_mono_us() - siblings->began_us;

	siblings->most_us = took_us < MOST_US ? took_us : MOST_US;
	siblings->round++;
	siblings->expected = 0;
	siblings->is_answering = true;
}

void
siblings_end(struct supervisor *supervisor)
{
	supervisor->siblings.is_answering = false;
}

void
siblings_answered(struct client *client)
{
	struct siblings *siblings = &client->supervisor->siblings;

	if (!siblings->is_answering || client->answered_in == siblings->round)
		return;
	client->answered_in = siblings->round;
	siblings->expected++;
}

void
siblings_heard(struct client *client)
{
	struct siblings *siblings = &client->supervisor->siblings;

	if (client->answered_in != 0 && client->answered_in == siblings->round) {
		siblings->expected--;
		assert(siblings->expected >= 0);
	}
	client->answered_in = 0;
}

int64_t
siblings_us(const struct supervisor *supervisor)
{
	return supervisor->siblings.expected > 0 ? supervisor->siblings.most_us : 0;
}
