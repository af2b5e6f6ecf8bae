#ifndef SUPPORT_TERMINAL_H
#define SUPPORT_TERMINAL_H

#include "support/system.h"

/*
 * A verb with a terminal of its own as standard input, output and error, as a person has
 * it: what is on the screen, what is typed. Nothing here sleeps.
 */
struct terminal {
	pid_t pid; /* 0: reaped */
	int fd;
	char *text; /* all that was written to the screen */
	size_t length;
};

/* Start `jobberd -C STATE …` (NULL-terminated) on a terminal of so many columns. */
void terminal_start(struct terminal *terminal, struct instance *instance, int width, ...);
/* Wait until the screen was given this text. */
void terminal_expect(struct terminal *terminal, const char *text);
/* "\003" is ^C. */
void terminal_type(struct terminal *terminal, const char *keys);
/* Wait for its own end and the last of its text; its exit status (128 + signal). */
int terminal_wait(struct terminal *terminal);
void terminal_done(struct terminal *terminal);

#endif
