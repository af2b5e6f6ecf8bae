/*
 * skim: whatever it takes, rpc_parse() takes too and understands in the same way, and each part
 * that it points at is a value by itself.
 */

#include "fuzz/fuzz.h"
#include "wire/skim.h"

#include <string.h>

static bool
wants_all(struct rpc_text method)
{
	(void)method;
	return true;
}

/* The text is this value; NULL: neither is there. */
static void
must_be(struct rpc_text text, const json_t *value)
{
	json_t *loaded;

	must((text.text != NULL) == (value != NULL));
	if (text.text == NULL)
		return;
	loaded = json_loadb(
	    text.text, text.length, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	must(loaded != NULL && json_equal(loaded, value));
	json_decref(loaded);
}

static void
compare_params(const struct skim *skimmed, const json_t *params)
{
	must(skimmed->member_count == json_object_size(params));
	for (size_t i = 0; i < skimmed->member_count; i++) {
		struct rpc_text name = skimmed->members[i].name;

		must_be(skimmed->members[i].value,
		    json_object_getn(params, name.text, name.length));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rpc_message message;
	struct skim skimmed;
	json_t *id;

	/* A line has no newline. */
	if (memchr(data, '\n', size) != NULL ||
	    skim(&skimmed, (const char *)data, size, wants_all) == -1)
		return 0;
	must(rpc_parse((const char *)data, size, &message) == 0);
	must(message.kind == skimmed.kind);
	must_be(skimmed.id, message.id);
	id = skim_json(skimmed.id);
	must((id != NULL) == (message.id != NULL));
	must(id == NULL || json_equal(id, message.id));
	json_decref(id);
	if (message.kind == RPC_RESULT)
		must_be(skimmed.result, message.result);
	else {
		must(skim_is(skimmed.method, message.method));
		compare_params(&skimmed, message.params);
	}
	rpc_message_done(&message);
	return 0;
}
