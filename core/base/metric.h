/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the metrics: for metrics.c and metrics_text.c only.
 */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include "base/metrics.h"

#include <pthread.h>
#include <stdatomic.h>

#define METRIC_SHARDS 8
#define METRIC_LINE_CELLS 8 /* of a cache line */
#define METRIC_BUCKETS 64
#define METRIC_LOOKS_MAX 4
#define METRIC_PLAIN_CELLS ((METRICS_PLAIN_N / METRIC_LINE_CELLS + 1) * METRIC_LINE_CELLS)

typedef _Atomic uint64_t cell; /* the bits of a double */

struct metric {
    struct metric *next;
    struct metric_family *family;
    char *key; /* the values, each with a NUL behind it */
    size_t key_n, stride;
    cell *cells; /* a row of `stride` for each shard */
};

struct metric_family {
    struct metric_spec spec; /* its texts are owned */
    struct metric_family *next;
    _Atomic(struct metric *) buckets[METRIC_BUCKETS];
    _Atomic(struct metric *) other;
    size_t n; /* under the lock */
};

struct metrics_registry {
    pthread_mutex_t lock;
    _Atomic(struct metric_family *) families; /* the newest first */
    size_t n;
    void (*looks[METRIC_LOOKS_MAX])(struct metrics_out *out);
    size_t n_looks;
    atomic_uint threads;
};

extern struct metrics_registry metrics_registry;
extern cell metrics_plain[METRIC_SHARDS][METRIC_PLAIN_CELLS];

double metric_load(cell *c);
/* Of a column of all rows. */
double metric_sum(const struct metric *m, size_t column);

#endif
