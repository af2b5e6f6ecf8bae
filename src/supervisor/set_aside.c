/*
 * set_aside: what people ask to be done with messages that their servers have crashed over
 * too often: back into the mailbox, or forgotten.
 */

#include "base/log.h"
#include "base/xalloc.h"
#include "supervisor/server.h"

#include <inttypes.h>
#include <stdlib.h>

/* One request may be about many messages: it is answered when the last is done. */
struct asked_for {
	struct request *request;
	json_t *results;
	size_t left;
};

static void
one_is_done(void *arg, struct step *step)
{
	struct asked_for *asked = arg;
	struct supervisor *supervisor = asked->request->client->supervisor;
	struct live *live = live_find(supervisor, step->set_aside.ret_job);
	json_t *result = json_pack("{s:I}", "seq", (json_int_t)step->set_aside.seq);

	json_array_append_new(asked->results, result);
	if (step->answer != STEP_OK) {
		json_object_set_new(result, "code", json_integer(step->error.code));
		json_object_set_new(result, "error", json_string(step->error.text));
	} else {
		log_info("job=%" PRId64 " message %" PRId64 " %s by request",
		    step->set_aside.ret_job, step->set_aside.seq,
		    step->set_aside.is_drop ? "dropped" : "put back");
		json_object_set_new(result, "id", json_integer(step->set_aside.ret_job));
		if (!step->set_aside.is_drop)
			json_object_set_new(
			    result, "new_seq", json_integer(step->set_aside.ret_seq));
		if (live != NULL && live->server != NULL)
			mailbox_look(live->server);
	}
	if (--asked->left > 0)
		return;
	request_reply(asked->request, json_pack("{s:o}", "results", asked->results));
	free(asked);
}

static bool
are_numbers(const json_t *seqs)
{
	size_t index;
	json_t *seq;

	json_array_foreach(seqs, index, seq) {
		if (!json_is_integer(seq))
			return false;
	}
	return json_array_size(seqs) > 0;
}

void
set_aside_request(struct client *client, json_t *id, json_t *params, bool is_drop)
{
	json_t *seqs = json_object_get(params, "seqs"), *seq;
	struct request *request = request_new(client, id);
	struct asked_for *asked;
	struct error error;
	size_t index;

	if (!are_numbers(seqs)) {
		error_set(&error, RPC_INVALID_PARAMS, "wants seqs, an array of numbers");
		request_fail(request, &error, NULL);
		return;
	}
	asked = xcalloc(1, sizeof(*asked));
	asked->request = request;
	asked->results = json_array();
	asked->left = json_array_size(seqs);
	json_array_foreach(seqs, index, seq) {
		struct step *step =
		    turn_add(client->supervisor, STEP_SET_ASIDE, one_is_done, asked);

		step->set_aside.seq = json_integer_value(seq);
		step->set_aside.is_drop = is_drop;
	}
	turn_tells(client->supervisor);
}
