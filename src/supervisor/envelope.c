/* envelope: messages to servers, from the outside. */

#include "supervisor/envelope.h"
#include "supervisor/group.h"

#include <stdlib.h>
#include <string.h>

static bool
is_address(const json_t *to)
{
	return json_is_string(to) || json_is_integer(to);
}

/* A duration that may be missing, or null for none. -2 if it is something else. */
static int64_t
read_timeout(const json_t *timeout, int64_t default_ms)
{
	if (timeout == NULL)
		return default_ms;
	if (json_is_null(timeout))
		return -1;
	return json_is_integer(timeout) && json_integer_value(timeout) >= 0
	    ? json_integer_value(timeout)
	    : -2;
}

/*
 * A name that is too long is none: the call gets another one. NULL, or what is wrong: what we
 * name ourselves (a letter before a number: calls without a ref, of servers, of pools) is ours.
 */
static const char *
set_ref(struct envelope *envelope, struct rpc_text ref)
{
	if (ref.text == NULL || ref.length > ENVELOPE_LONGEST_REF)
		return NULL;
	if (skim_is(ref, INIT_ID) || skim_is(ref, TERMINATE_ID) ||
	    (ref.length > 1 && strchr("gjm", ref.text[0]) != NULL && ref.text[1] >= '0' &&
		ref.text[1] <= '9'))
		return "ref is a name of ours";
	memcpy(envelope->ref, ref.text, ref.length);
	envelope->ref[ref.length] = '\0';
	return NULL;
}

const char *
envelope_read(struct envelope *ret, const json_t *params, int64_t default_ms)
{
	const json_t *message = json_object_get(params, "message");
	json_t *to = json_object_get(params, "to");
	const char *wrong, *wrong_ref;

	*ret = (struct envelope){ 0 };
	ret->group = group_of(params, &wrong);
	if (is_address(to))
		ret->to = json_incref(to);
	if (message != NULL)
		ret->dumped = rpc_dump(message);
	ret->message = rpc_text(ret->dumped);
	ret->timeout_ms = read_timeout(json_object_get(params, "timeout_ms"), default_ms);
	ret->is_repeated = json_is_true(json_object_get(params, "repeated"));
	wrong_ref = set_ref(ret, rpc_text(json_string_value(json_object_get(params, "ref"))));
	if (wrong == NULL && to != NULL && ret->to == NULL)
		wrong = "to is not a name or an id";
	if (wrong == NULL && ret->timeout_ms == -2)
		wrong = "timeout_ms is not a number, 0 or more";
	return wrong != NULL ? wrong : wrong_ref;
}

bool
envelope_skim(struct envelope *ret, const struct skim *skim, int64_t default_ms)
{
	struct rpc_text timeout = skim_param(skim, "timeout_ms"),
			given = skim_param(skim, "ref"), ref = { 0 };

	*ret = (struct envelope){ .timeout_ms = default_ms };
	ret->message = skim_param(skim, "message");
	ret->is_repeated = skim_is(skim_param(skim, "repeated"), "true");
	if (ret->message.text == NULL || skim_param(skim, "group").text != NULL ||
	    (given.text != NULL && !skim_string(given, &ref)))
		return false;
	if (skim_is(timeout, "null"))
		ret->timeout_ms = -1;
	else if (timeout.text != NULL &&
	    (!skim_integer(timeout, &ret->timeout_ms) || ret->timeout_ms < 0))
		return false;
	if (set_ref(ret, ref) != NULL)
		return false;
	ret->to = skim_json(skim_param(skim, "to"));
	return ret->to != NULL;
}

bool
envelope_is_for(struct rpc_text method)
{
	return skim_is(method, "call") || skim_is(method, "cast") || skim_is(method, "send");
}

bool
envelope_is_too_large(const struct envelope *envelope)
{
	return envelope->message.length > SERVER_LARGEST_MESSAGE;
}

void
envelope_done(struct envelope *envelope)
{
	json_decref(envelope->to);
	free(envelope->dumped);
	*envelope = (struct envelope){ 0 };
}
