#include "cli/cli.h"
#define S(n) __attribute__((weak)) int n(struct invocation *i){(void)i;return 70;}
S(verb_run)S(verb_log)S(verb_events)

#include "store/query.h"
#include <stdlib.h>
#define W __attribute__((weak))
W struct query *query_open(const char *s, struct error *e){(void)s;(void)e;return (struct query*)1;}
W void query_close(struct query *q){(void)q;}
W struct rows *query_jobs(struct query *q,const struct job_filter*f,struct error*e){(void)q;(void)f;(void)e;return 0;}
W struct rows *query_supervisors(struct query *q,struct error*e){(void)q;(void)e;return 0;}
W int rows_next(struct rows*r,struct error*e){(void)r;(void)e;return 0;}
W void rows_close(struct rows*r){(void)r;}
W const char *rows_text(const struct rows*r,const char*n){(void)r;(void)n;return 0;}
W int64_t rows_number(const struct rows*r,const char*n,int64_t o){(void)r;(void)n;return o;}
W int query_find_job(struct query*q,const char*w,int64_t*j,struct error*e){(void)q;(void)e;*j=atoll(w);return 0;}
