#ifndef CPPCHECK_H
#define CPPCHECK_H

/*
 * For `make lint`: what cppcheck must know of macros whose headers it does not read.
 */

#define TAILQ_HEAD(name, type) struct name { struct type *tqh_first, **tqh_last; }
#define TAILQ_ENTRY(type) struct { struct type *tqe_next, **tqe_prev; }
#define TAILQ_FIRST(head) ((head)->tqh_first)
#define TAILQ_NEXT(element, field) ((element)->field.tqe_next)
#define TAILQ_FOREACH(element, head, field) \
	for (element = (head)->tqh_first; element; element = (element)->field.tqe_next)
#define TAILQ_FOREACH_REVERSE(element, head, name, field) \
	for (element = *(head)->tqh_last; element; element = *(element)->field.tqe_prev)
#define TAILQ_FOREACH_SAFE(element, head, field, next) \
	for (element = (head)->tqh_first; \
	     element && ((next) = (element)->field.tqe_next, 1); element = (next))

#define RB_HEAD(name, type) struct name { struct type *rbh_root; }
#define RB_ENTRY(type) struct { struct type *rbe_left, *rbe_right, *rbe_parent; int color; }
#define RB_GENERATE_INTERNAL(name, type, field, compare, attributes)

#define json_array_foreach(array, index, value) \
	for (index = 0; \
	     index < json_array_size(array) && ((value) = json_array_get(array, index)); \
	     index++)
#define json_object_foreach(object, key, value) \
	for (key = json_object_iter_key(json_object_iter(object)); \
	     key && ((value) = json_object_get(object, key)); \
	     key = json_object_iter_key(json_object_iter_next(object, 0)))
#define JSON_INTEGER_FORMAT "lld"

#endif
