#ifndef BENCH_KIT_PROCESS_H
#define BENCH_KIT_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

/* What the kernel says of another process. Reading it costs that process nothing. */

/* Memory that would be free if it were gone: Private_Clean and Private_Dirty, bytes. */
int64_t process_private_bytes(pid_t pid);

struct process_activity {
	int64_t switches; /* of context, voluntary or not */
	int64_t cpu_ns;	  /* on a processor, exact: utime and stime are cut to ticks */
};

void process_activity(pid_t pid, struct process_activity *ret_activity);

#endif
