#ifndef SUPPORT_SCENE_H
#define SUPPORT_SCENE_H

#include "base/buf.h"
#include "base/loop.h"
#include "keeper/link.h"

#include <sys/types.h>

/* A link, the bare other end of its pair, and what has come. */
struct scene {
	struct loop *loop;
	struct link *link;
	int peer; /* the bare other end; -1: closed */
	int received, closed, expected;
	struct buf last;
	int descriptor; /* that came with the last one, or -1 */
};

/* A cmocka setup and teardown. What waits for ever would be ended by alarm(2). */
int scene_begin(void **state);
int scene_finish(void **state);
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_begin, scene_finish)

/* A link of the same scene on this end of a pair. */
struct link *scene_link(struct scene *scene, int fd);
/* Run the loop until so many messages have come in all, or the link is closed. */
void scene_wait(struct scene *scene, int expected);

/* Each message of a packet stands behind its length, at multiples of 8 bytes. */
void scene_add_message(struct buf *packet, const void *bytes, size_t length);
/* A packet from the bare end, with this many copies of a descriptor. */
void scene_send_raw(struct scene *scene, const void *bytes, size_t length, int descriptor,
    int copies);
/* A packet of one message. */
void scene_send(struct scene *scene, const void *bytes, size_t length, int descriptor,
    int copies);
/* Flush; the one message of the next packet. Its length, -1: there is none. */
ssize_t scene_receive(struct scene *scene, void *bytes, size_t size);

#endif
