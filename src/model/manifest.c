/* manifest: a file of supervisors and servers, taken apart and checked. */

#include "model/manifest.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "model/spec_json.h"

#include <stdlib.h>
#include <string.h>

#define LARGEST_DEPTH 32

void
manifest_done(struct manifest *manifest)
{
	for (size_t i = 0; i < manifest->count; i++) {
		struct manifest_entry *entry = &manifest->entries[i];

		free(entry->name);
		free(entry->parent);
		spec_done(&entry->server);
		json_decref(entry->object);
	}
	free(manifest->entries);
	*manifest = (struct manifest){ 0 };
}

const struct manifest_entry *
manifest_find(const struct manifest *manifest, const char *name)
{
	for (size_t i = 0; i < manifest->count; i++) {
		if (strcmp(manifest->entries[i].name, name) == 0)
			return &manifest->entries[i];
	}
	return NULL;
}

static struct manifest_entry *
add_entry(struct manifest *manifest)
{
	struct manifest_entry *entry;

	if (manifest->count == manifest->room) {
		manifest->room = 2 * manifest->room + 8;
		manifest->entries = xreallocarray(
		    manifest->entries, manifest->room, sizeof(*manifest->entries));
	}
	entry = &manifest->entries[manifest->count++];
	*entry = (struct manifest_entry){ 0 };
	spec_init(&entry->server);
	return entry;
}

/* What is wrong, behind the name of what it is wrong with. */
static int
blame(struct error *error, const char *name)
{
	struct error first = *error;

	return error_set(error, STATUS_USAGE, "%s: %s", name, first.text);
}

/* '_' is as good as '-'. */
static bool
is_same_key(const char *one, const char *other)
{
	while (*one != '\0' && (*one == *other || (*one == '_' && *other == '-') ||
				   (*one == '-' && *other == '_'))) {
		one++;
		other++;
	}
	return *one == *other;
}

/* Which of the two would count nobody can know. */
static int
check_spellings(const json_t *object, struct error *error)
{
	const char *key, *other;
	json_t *value;

	json_object_foreach((json_t *)object, key, value) {
		json_object_foreach((json_t *)object, other, value) {
			if (strcmp(key, other) < 0 && is_same_key(key, other))
				return error_set(error, STATUS_USAGE,
				    "\"%s\" and \"%s\" are one key: give it once", key, other);
		}
	}
	return 0;
}

/* ---- servers ---- */

/* Paths in it are those of the file's directory. */
static void
make_absolute(json_t *object, const char *key, const char *directory)
{
	const char *path = json_string_value(json_object_get(object, key));
	char *absolute;

	if (path == NULL || path[0] == '/')
		return;
	absolute = xasprintf("%s/%s", directory, path);
	json_object_set_new(object, key, json_string(absolute));
	free(absolute);
}

/* What a client adds to the options of a job itself. */
static int
check_keys(const json_t *object, struct error *error)
{
	static const char *const others[] = { "kind", "description" };

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (json_object_get(object, others[i]) != NULL)
			return error_set(
			    error, STATUS_USAGE, "there is no option \"%s\"", others[i]);
	}
	if (json_object_get(object, "supervisor") != NULL)
		return error_set(error, STATUS_USAGE, "supervisor: is the one that it is in");
	return 0;
}

static int
read_server(struct manifest_entry *entry, const char *directory, struct wall now,
    struct error *error)
{
	json_t *object;
	int result;

	if (check_keys(entry->object, error) == -1)
		return blame(error, entry->name);
	object = json_copy(entry->object);
	json_object_del(object, "after");
	json_object_del(object, "comment");
	json_object_set_new(object, "kind", json_string("server"));
	json_object_set_new(object, "name", json_string(entry->name));
	if (json_object_get(object, "cwd") == NULL)
		json_object_set_new(object, "cwd", json_string(directory));
	make_absolute(object, "cwd", directory);
	make_absolute(object, "env_file", directory);
	make_absolute(object, "env-file", directory);
	result = spec_from_json(&entry->server, object, now, error);
	json_decref(object);
	return result == -1 ? blame(error, entry->name) : 0;
}

/* ---- supervisors ---- */

static int
set_option(struct manifest_entry *entry, const char *key, const json_t *value,
    struct error *error)
{
	const struct supervisor_option *option = supervisor_option_find(key);
	char buffer[32];
	const char *text = option_text(value, "none", buffer, sizeof(buffer));

	if (option == NULL || strcmp(option->name, "parent") == 0 ||
	    strcmp(option->name, "applied") == 0)
		return error_set(error, STATUS_USAGE, "a supervisor has no key \"%s\"", key);
	if (strcmp(option->name, "paused") == 0)
		return error_set(error, STATUS_USAGE,
		    "paused: is not described, since none of its children would start: "
		    "jobberd supervisor pause %s", entry->name);
	if (text == NULL)
		return error_set(error, STATUS_USAGE,
		    "%s: wants a string, a number, true, false or null", key);
	return option->set(&entry->supervisor, text, error) == 0
	    ? 0
	    : option_refuse(error, text, value);
}

static int
read_supervisor(struct manifest_entry *entry, struct error *error)
{
	const char *key;
	json_t *value;

	supervisor_spec_init(&entry->supervisor);
	json_object_foreach(entry->object, key, value) {
		if (strcmp(key, "name") == 0 || strcmp(key, "comment") == 0 ||
		    strcmp(key, "after") == 0)
			continue;
		if (set_option(entry, key, value, error) == -1)
			return blame(error, entry->name);
	}
	return 0;
}

/* ---- in their order ---- */

static const char *
name_of(const json_t *object)
{
	return json_string_value(json_object_get(object, "name"));
}

/* Does it wait for one of those that are not placed yet? -1: for one that is none of them. */
static int
waits(const json_t *child, const json_t *children, const bool *is_placed)
{
	const json_t *after = json_object_get(child, "after");
	size_t i, j;
	json_t *word, *other;

	json_array_foreach(after, i, word) {
		bool is_there = false;

		json_array_foreach(children, j, other) {
			const char *name = name_of(other);

			if (name == NULL || !json_is_string(word) ||
			    strcmp(name, json_string_value(word)) != 0)
				continue;
			if (!is_placed[j])
				return 1;
			is_there = true;
		}
		if (!is_there)
			return -1;
	}
	return 0;
}

static int
check_after(const json_t *child, struct error *error)
{
	const json_t *after = json_object_get(child, "after");

	if (after != NULL && !json_is_array(after))
		return error_set(error, STATUS_USAGE,
		    "%s: after: wants an array of names of its siblings", name_of(child));
	return 0;
}

/* The next one that waits for nobody; -1 with *error. */
static int
next_child(const json_t *children, const bool *is_placed, size_t *ret_next,
    struct error *error)
{
	const json_t *first = NULL;
	size_t i;
	json_t *child;

	json_array_foreach(children, i, child) {
		int wait;

		if (is_placed[i])
			continue;
		if (check_after(child, error) == -1)
			return -1;
		wait = waits(child, children, is_placed);
		if (wait == -1)
			return error_set(error, STATUS_USAGE,
			    "%s: after: names one that is not beside it", name_of(child));
		if (wait == 0) {
			*ret_next = i;
			return 0;
		}
		if (first == NULL)
			first = child;
	}
	return error_set(error, STATUS_USAGE, "%s: after: they wait for each other",
	    name_of(first));
}

struct reading {
	struct manifest *manifest;
	const char *directory;
	struct wall now;
	int depth;
};

static int read_children(struct reading *reading, const json_t *children, const char *parent,
    struct error *error);

static int
check_entry(const struct reading *reading, const json_t *object, const char *parent,
    struct error *error)
{
	const char *name = name_of(object);
	bool is_server = json_object_get(object, "command") != NULL;
	const json_t *children = json_object_get(object, "children");

	if (!json_is_object(object) || name == NULL || !text_is_name(name))
		return error_set(error, STATUS_USAGE,
		    "%s: each of its children is an object with a name",
		    parent != NULL ? parent : "supervisors");
	if (is_server && parent == NULL)
		return error_set(error, STATUS_USAGE, "%s: a server is in a supervisor", name);
	if (is_server == (children != NULL) && parent != NULL)
		return error_set(error, STATUS_USAGE,
		    "%s: wants either a command or children", name);
	if (children != NULL && !json_is_array(children))
		return error_set(error, STATUS_USAGE, "%s: children: wants an array", name);
	if (reading->depth > LARGEST_DEPTH)
		return error_set(error, STATUS_USAGE, "%s: is too deep", name);
	return 0;
}

/*
 * Nothing is there twice; nor is a server's name beside it that of a supervisor: it is by this
 * name that the children are put in order.
 */
static int
check_name(const struct reading *reading, const char *full, const char *name, const char *parent,
    struct error *error)
{
	if (manifest_find(reading->manifest, full) != NULL)
		return error_set(error, STATUS_USAGE, "%s: is there twice", full);
	for (size_t i = 0; parent != NULL && i < reading->manifest->count; i++) {
		const struct manifest_entry *entry = &reading->manifest->entries[i];

		if (entry->parent != NULL && strcmp(entry->parent, parent) == 0 &&
		    strcmp(entry->child, name) == 0)
			return error_set(error, STATUS_USAGE,
			    "%s: two of its children have the name %s", parent, name);
	}
	return 0;
}

static int
read_entry(struct reading *reading, const json_t *object, const char *parent,
    struct error *error)
{
	const char *name = name_of(object);
	bool is_server = json_object_get(object, "command") != NULL;
	struct manifest_entry *entry;
	char *full;

	if (check_entry(reading, object, parent, error) == -1)
		return -1;
	full = is_server ? xasprintf("%s/%s", parent, name) : xstrdup(name);
	if (check_name(reading, full, name, parent, error) == -1) {
		free(full);
		return -1;
	}
	entry = add_entry(reading->manifest);
	entry->name = full;
	entry->child = is_server ? strchr(full, '/') + 1 : full;
	entry->parent = parent != NULL ? xstrdup(parent) : NULL;
	entry->is_supervisor = !is_server;
	entry->object = json_copy((json_t *)object);
	json_object_del(entry->object, "children");
	if (check_spellings(entry->object, error) == -1)
		return blame(error, full);
	if (is_server)
		return read_server(entry, reading->directory, reading->now, error);
	if (read_supervisor(entry, error) == -1)
		return -1;
	return read_children(reading, json_object_get(object, "children"), full, error);
}

static int
read_children(struct reading *reading, const json_t *children, const char *parent,
    struct error *error)
{
	size_t count = json_array_size(children), next = 0;
	bool *is_placed = xcalloc(count + 1, sizeof(*is_placed));
	int result = 0;

	reading->depth++;
	for (size_t i = 0; i < count && result == 0; i++) {
		result = check_entry(reading, json_array_get(children, i), parent, error);
	}
	for (size_t i = 0; i < count && result == 0; i++) {
		result = next_child(children, is_placed, &next, error);
		if (result == -1)
			break;
		is_placed[next] = true;
		result = read_entry(reading, json_array_get(children, next), parent, error);
	}
	reading->depth--;
	free(is_placed);
	return result;
}

int
manifest_read(struct manifest *manifest, const json_t *file, const char *directory,
    struct wall now, struct error *error)
{
	struct reading reading = { manifest, directory, now, 0 };
	const json_t *supervisors = json_object_get(file, "supervisors");
	const char *key;
	json_t *value;
	int result = 0;

	*manifest = (struct manifest){ 0 };
	json_object_foreach((json_t *)file, key, value) {
		if (strcmp(key, "supervisors") != 0 && strcmp(key, "comment") != 0)
			result = error_set(error, STATUS_USAGE,
			    "there is no key \"%s\": a file has supervisors", key);
	}
	if (result == 0 && !json_is_array(supervisors))
		result = error_set(error, STATUS_USAGE,
		    "wants an object with supervisors, an array");
	if (result == 0)
		result = read_children(&reading, supervisors, NULL, error);
	if (result == -1)
		manifest_done(manifest);
	return result;
}
