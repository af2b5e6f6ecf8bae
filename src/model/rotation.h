#ifndef MODEL_ROTATION_H
#define MODEL_ROTATION_H

#include <stddef.h>
#include <stdint.h>

/*
 * How the output of a run is rotated: each `bytes` of it become a segment, and the last
 * `keep` segments stay. What is kept is a question of the size alone, so nobody has to
 * remember it, whoever is killed meanwhile.
 */
struct rotation_rule {
	int64_t bytes; /* whole blocks; 0: it is not rotated */
	int64_t keep;
};

#define ROTATION_LEAST_BYTES 65536
#define ROTATION_MOST_BYTES (INT64_C(1) << 50)
#define ROTATION_MOST_KEPT 1000
#define ROTATION_KEEP 5 /* unless given */

/* "10M" or "10M,3". 0, or -1 and *rule untouched, with errno, ERANGE: the size is too large. */
int rotation_parse(const char *text, struct rotation_rule *rule);
/* What rotation_parse() reads: "10485760,3". */
const char *rotation_format(char *buffer, size_t size, const struct rotation_rule *rule);

/* Where full segments end in so many bytes of output: what follows is in its file. */
int64_t rotation_full(const struct rotation_rule *rule, int64_t size);
/* All before this is gone. */
int64_t rotation_kept_from(const struct rotation_rule *rule, int64_t size);

#endif
