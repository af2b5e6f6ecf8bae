#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/*
 * A target reads any bytes; `make fuzz` looks for some that break it. What it promises about
 * its result is a must(): a parser that does not crash but does not read back what it wrote is
 * a finding too. To add one: NAME.c here, a few good inputs in corpus/NAME/.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition) ((condition) ? (void)0 : abort())

#endif
