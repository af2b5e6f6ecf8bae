/*
 * map_template: {} in the words of a command stands for the item; without any the item is the
 * last word. No shell is involved. The item can be read back from the command.
 */

#include "base/xalloc.h"
#include "cli/map.h"
#include "model/spec_json.h"

#include <stdlib.h>
#include <string.h>

#define PLACE "{}"

static size_t
count_places(const char *word)
{
	size_t count = 0;

	while ((word = strstr(word, PLACE)) != NULL) {
		word += strlen(PLACE);
		count++;
	}
	return count;
}

static char *
fill_word(const char *word, const char *item)
{
	struct buf filled = { 0 };
	const char *place;
	char *text;

	while ((place = strstr(word, PLACE)) != NULL) {
		buf_add(&filled, word, (size_t)(place - word));
		buf_add_text(&filled, item);
		word = place + strlen(PLACE);
	}
	buf_add_text(&filled, word);
	text = xstrdup(buf_text(&filled));
	buf_done(&filled);
	return text;
}

static size_t
count_all_places(const struct strings *template)
{
	size_t places = 0;

	for (size_t i = 0; i < template->count; i++)
		places += count_places(template->items[i]);
	return places;
}

size_t
map_template_longest(const struct strings *template, const char *item)
{
	size_t length = strlen(item);
	size_t longest = count_all_places(template) == 0 ? length : 0;

	for (size_t i = 0; i < template->count; i++) {
		size_t places = count_places(template->items[i]);
		size_t filled =
		    strlen(template->items[i]) + places * length - places * strlen(PLACE);

		longest = filled > longest ? filled : longest;
	}
	return longest;
}

size_t
map_template_places(const struct strings *template)
{
	size_t places = count_all_places(template);

	return places > 0 ? places : 1;
}

void
map_template_fill(const struct strings *template, const char *item,
    struct strings *ret_command)
{
	for (size_t i = 0; i < template->count; i++)
		strings_add_owned(ret_command, fill_word(template->items[i], item));
	if (count_all_places(template) == 0)
		strings_add(ret_command, item);
}

char *
map_template_json(const struct strings *template, const char *item)
{
	struct strings command = { 0 };
	json_t *array;
	char *text;

	map_template_fill(template, item, &command);
	array = strings_to_json(&command);
	text = json_dumps(array, JSON_COMPACT);
	json_decref(array);
	strings_done(&command);
	return text;
}

/* What stands for each of the places of a word; NULL if it cannot come of it. */
static char *
read_places(const char *word, const char *filled)
{
	size_t count = count_places(word), fixed = strlen(word) - count * strlen(PLACE);
	size_t length = strlen(filled), before = (size_t)(strstr(word, PLACE) - word);

	if (length < fixed || (length - fixed) % count != 0)
		return NULL;
	return xstrndup(filled + before, (length - fixed) / count);
}

/* The words of the command tell the item; that it makes the same words is asked then. */
static char *
guess(const struct strings *template, const struct strings *command)
{
	for (size_t i = 0; i < template->count && i < command->count; i++) {
		if (count_places(template->items[i]) > 0)
			return read_places(template->items[i], command->items[i]);
	}
	return command->count > 0 ? xstrdup(command->items[command->count - 1]) : NULL;
}

char *
map_template_item(const struct strings *template, const char *command)
{
	struct strings words = { 0 }, again = { 0 };
	char *item = strings_parse(&words, command) == 0 ? guess(template, &words) : NULL;

	if (item != NULL)
		map_template_fill(template, item, &again);
	if (item != NULL && !strings_are_equal(&words, &again)) {
		free(item);
		item = NULL;
	}
	strings_done(&words);
	strings_done(&again);
	return item;
}
