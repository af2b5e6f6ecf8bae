/* gen_return: what callbacks return, and which of it is allowed in which callback. */

#include "runtime/runtime.h"

#include <stdio.h>

struct gen_return
gen_ok(void)
{
	return (struct gen_return){ .verb = GEN_OK, .idle_timeout_ms = GEN_NO_TIMEOUT };
}

struct gen_return
gen_ignore(void)
{
	return (struct gen_return){ .verb = GEN_IGNORE, .idle_timeout_ms = GEN_NO_TIMEOUT };
}

struct gen_return
gen_reply_with(json_t *reply)
{
	return (struct gen_return){ .verb = GEN_REPLY, .reply = reply,
		.idle_timeout_ms = GEN_NO_TIMEOUT };
}

struct gen_return
gen_noreply(void)
{
	return (struct gen_return){ .verb = GEN_NOREPLY, .idle_timeout_ms = GEN_NO_TIMEOUT };
}

struct gen_return
gen_stop(json_t *reason)
{
	return (struct gen_return){ .verb = GEN_STOP, .reason = reason,
		.idle_timeout_ms = GEN_NO_TIMEOUT };
}

struct gen_return
gen_stop_with_reply(json_t *reason, json_t *reply)
{
	struct gen_return what = gen_stop(reason);

	what.reply = reply;
	return what;
}

struct gen_return
gen_unknown(void)
{
	return (struct gen_return){ .verb = GEN_UNKNOWN, .idle_timeout_ms = GEN_NO_TIMEOUT };
}

struct gen_return
gen_then_continue(struct gen_return what, json_t *argument)
{
	json_decref(what.continue_with);
	what.continue_with = argument != NULL ? argument : json_null();
	return what;
}

struct gen_return
gen_then_timeout(struct gen_return what, int64_t idle_timeout_ms)
{
	what.idle_timeout_ms = idle_timeout_ms;
	return what;
}

struct gen_return
gen_then_hibernate(struct gen_return what)
{
	what.hibernates = true;
	return what;
}

/* ---- the rules ---- */

#define IN(callback) (1U << (callback))
#define IN_MESSAGES (IN(CALLBACK_CALL) | IN(CALLBACK_CAST) | IN(CALLBACK_INFO))

static const struct {
	const char *name;
	unsigned allowed_in;
	bool may_say_more; /* continue, timeout, hibernate */
} verbs[] = {
	[GEN_OK] = { "ok", IN(CALLBACK_INIT), true },
	[GEN_IGNORE] = { "ignore", IN(CALLBACK_INIT), false },
	[GEN_REPLY] = { "reply", IN(CALLBACK_CALL), true },
	[GEN_NOREPLY] = { "noreply", IN_MESSAGES | IN(CALLBACK_CONTINUE), true },
	[GEN_STOP] = { "stop", IN_MESSAGES | IN(CALLBACK_CONTINUE) | IN(CALLBACK_INIT), false },
	[GEN_UNKNOWN] = { "unknown", IN_MESSAGES | IN(CALLBACK_CONTINUE), false },
};
_Static_assert(sizeof(verbs) / sizeof(verbs[0]) == GEN_VERB_COUNT, "a row for each verb");

static const char *const callbacks[] = {
	[CALLBACK_INIT] = "init",
	[CALLBACK_CONTINUE] = "handle_continue",
	[CALLBACK_CALL] = "handle_call",
	[CALLBACK_CAST] = "handle_cast",
	[CALLBACK_INFO] = "handle_info",
};
_Static_assert(sizeof(callbacks) / sizeof(callbacks[0]) == CALLBACK_COUNT, "a name for each");

/* What is wrong with it, before " in handle_…"; NULL if nothing is. */
static const char *
complaint(const struct gen_return *what, enum callback callback, char *buffer, size_t size)
{
	bool says_more = what->continue_with != NULL || what->hibernates ||
	    what->idle_timeout_ms != GEN_NO_TIMEOUT;

	if ((unsigned)what->verb >= GEN_VERB_COUNT)
		snprintf(buffer, size, "verb %d", (int)what->verb);
	else if ((verbs[what->verb].allowed_in & IN(callback)) == 0)
		snprintf(buffer, size, "%s", verbs[what->verb].name);
	else if (what->verb == GEN_REPLY && what->reply == NULL)
		snprintf(buffer, size, "reply without a value");
	else if (what->verb == GEN_STOP && what->reason == NULL)
		snprintf(buffer, size, "stop without a reason");
	else if (what->verb == GEN_STOP && what->reply != NULL && callback != CALLBACK_CALL)
		snprintf(buffer, size, "stop with a reply");
	else if (what->idle_timeout_ms < GEN_NO_TIMEOUT)
		snprintf(buffer, size, "timeout %lld", (long long)what->idle_timeout_ms);
	else if (says_more && !verbs[what->verb].may_say_more)
		snprintf(buffer, size, "%s with a continue, timeout or hibernate",
		    verbs[what->verb].name);
	else if (what->continue_with != NULL &&
	    (what->hibernates || what->idle_timeout_ms != GEN_NO_TIMEOUT))
		snprintf(buffer, size, "continue with a timeout or hibernate");
	else
		return NULL;
	return buffer;
}

bool
return_is_allowed(
    const struct gen_return *what, enum callback callback, char *ret_words, size_t size)
{
	char wrong[80];

	if (complaint(what, callback, wrong, sizeof(wrong)) == NULL)
		return true;
	snprintf(ret_words, size, "%s in %s", wrong, callbacks[callback]);
	return false;
}

void
return_done(struct gen_return *what)
{
	json_decref(what->reply);
	json_decref(what->reason);
	json_decref(what->continue_with);
	what->reply = what->reason = what->continue_with = NULL;
}
