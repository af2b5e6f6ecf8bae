/* strings: argument lists and environments as the database keeps them. */

#include "base/xalloc.h"
#include "fuzz/fuzz.h"
#include "model/spec_json.h"

#include <string.h>

static void
check_strings(const char *text)
{
	struct strings first = { 0 }, second = { 0 };
	char *written;
	json_t *array;

	if (strings_parse(&first, text) == 0) {
		array = strings_to_json(&first);
		must(array != NULL);
		written = json_dumps(array, 0);
		must(strings_parse(&second, written) == 0 && second.count == first.count);
		for (size_t i = 0; i < first.count; i++)
			must(strcmp(first.items[i], second.items[i]) == 0);
		json_decref(array);
		free(written);
	}
	strings_done(&first);
	strings_done(&second);
}

static void
check_environment(const char *text)
{
	struct strings first = { 0 }, second = { 0 };
	json_t *object;
	char *written;

	if (environment_parse(&first, text) == 0) {
		object = environment_to_json(&first);
		must(object != NULL);
		written = json_dumps(object, 0);
		must(environment_parse(&second, written) == 0 && second.count == first.count);
		for (size_t i = 0; i < first.count; i++)
			strings_set_variable(&second, first.items[i]);
		must(second.count == first.count);
		json_decref(object);
		free(written);
	}
	strings_done(&first);
	strings_done(&second);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size);

	check_strings(text);
	check_environment(text);
	free(text);
	return 0;
}
