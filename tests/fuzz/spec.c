/* spec: a job's description from JSON, and that its canonical form describes the same job. */

#include "fuzz/fuzz.h"
#include "model/spec_json.h"

#include <string.h>

#define NOW_MS INT64_C(1795000000000)

static char *
canonical(const json_t *object)
{
	struct spec spec;
	struct error error;
	json_t *again;
	char *text, described[200];

	if (spec_from_json(&spec, object, (struct wall){ NOW_MS }, &error) == -1) {
		must(error.code == STATUS_USAGE && error.text[0] != '\0');
		return NULL;
	}
	must(spec.command.count > 0);
	spec_describe(&spec, described, sizeof(described));
	again = spec_to_json(&spec, &error);
	must(again != NULL);
	text = json_dumps(again, JSON_SORT_KEYS);
	json_decref(again);
	spec_done(&spec);
	return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *object = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	char *first, *second;

	if (object == NULL)
		return 0;
	first = canonical(object);
	json_decref(object);
	if (first == NULL)
		return 0;
	object = json_loads(first, JSON_REJECT_DUPLICATES, NULL);
	must(object != NULL);
	second = canonical(object);
	must(second != NULL && strcmp(first, second) == 0);
	json_decref(object);
	free(first);
	free(second);
	return 0;
}
