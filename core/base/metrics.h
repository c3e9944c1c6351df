/* SPDX-License-Identifier: Apache-2.0
 *
 * Metrics: what is counted, for Prometheus (text format 0.0.4,
 * https://prometheus.io/docs/instrumenting/exposition_formats/). A family has a name and
 * labels, a metric is one member of it with values for them. Families and metrics live as
 * long as the process; a family has at most `most` metrics, and the one of which every
 * label is "other" stands for all that come later, so that no client can make it grow.
 *
 * Any thread. To count takes no lock: each thread adds to a row of its own (or, when there
 * are many threads, to one that few share), relaxed, and who reads adds the rows up. Only
 * a new family or metric takes the lock.
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include "base/span.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

#define METRIC_LABELS_MAX 4
#define METRIC_BOUNDS_MAX 24
#define METRIC_NAME_MAX 120     /* bytes */
#define METRIC_VALUE_MAX 128    /* bytes of a label's value; the rest is cut */
#define METRIC_FAMILIES_MAX 256 /* that scripts may make */

/* What is counted without labels, each by one place of the program.
 * X(name, kind, help), every name with tidegate_ before it */
#define METRICS_PLAIN(X)                                                                 \
    X(connections_total, COUNTER, "Connections accepted.")                               \
    X(connections_open, GAUGE, "Connections open now.")                                  \
    X(connections_refused_total, COUNTER, "Connections turned away by a limit.")         \
    X(requests_open, GAUGE, "Requests between their head and the end of their reply.")   \
    X(received_bytes_total, COUNTER, "Bytes of request bodies, when requests end.")      \
    X(sent_bytes_total, COUNTER, "Bytes of reply bodies, when requests end.")            \
    X(bodies_open, GAUGE, "Request bodies being received now.")                          \
    X(pipes_open, GAUGE, "Transfers from a source to a sink under way.")                 \
    X(pipes_finished_total, COUNTER, "Transfers that reached their end.")                \
    X(pipes_failed_total, COUNTER, "Transfers that failed or were cancelled.")           \
    X(cache_hits_total, COUNTER, "Openings of small contents answered from memory.")     \
    X(cache_misses_total, COUNTER, "Openings of small contents that asked the store.")   \
    X(tasks, GAUGE, "Coroutines of scripts that run or wait.")                           \
    X(script_memory_bytes, GAUGE, "Memory of all Lua VMs, as of their last request.")    \
    X(generations, GAUGE, "Generations of the script in use.")                           \
    X(reloads_total, COUNTER, "Reloads that took effect.")                               \
    X(reloads_refused_total, COUNTER, "Reloads that were refused.")                      \
    X(watchdog_stops_total, COUNTER, "Slices of scripts that the watchdog stopped.")     \
    X(audit_records_total, COUNTER, "Records made durable in audit logs.")               \
    X(audit_failures_total, COUNTER, "Records that audit logs could not take.")

enum metric_plain {
#define X(name, kind, help) METRIC_##name,
    METRICS_PLAIN(X)
#undef X
        METRICS_PLAIN_N
};

/* The hot path: nanoseconds. A gauge may be given a negative number. */
void metric_count(enum metric_plain m, double by);

struct metric_family;
struct metric;

struct metric_spec {
    const char *name, *help;
    enum metric_kind kind;
    const char *labels[METRIC_LABELS_MAX];
    size_t n_labels;
    double bounds[METRIC_BOUNDS_MAX]; /* of a histogram: ascending, finite */
    size_t n_bounds;
    size_t most; /* metrics of the family, 1 to 10000 */
};

/* The family of that description; one that is there already is found again. 0, E_EXISTS
 * when another one has the name (or the name of its parts), E_NO_SPACE past
 * METRIC_FAMILIES_MAX, E_INVALID for a name or label that cannot be one. With out NULL it
 * is only looked whether it could be made. */
int metrics_family(const struct metric_spec *spec, struct metric_family **out);
/* The metric with these values, one for each label: any bytes. Never NULL. */
struct metric *metrics_get(struct metric_family *f, const struct span *values);
void metric_add(struct metric *m, double by);
void metric_set(struct metric *m, double value);
void metric_observe(struct metric *m, double value);

/* The whole text, owned, in an order that stays. */
char *metrics_text(size_t *n);

/* What is not counted but looked at when somebody asks: f writes by the two functions
 * below, a head and then its values. Once at start; at most 4. */
struct metrics_out;
void metrics_look(void (*f)(struct metrics_out *out));
void metrics_head(struct metrics_out *out, const char *name, const char *help,
                  enum metric_kind kind);
/* label NULL: none, whatever the value is. */
void metrics_value(struct metrics_out *out, const char *name, const char *label,
                   const char *value, double number);

#endif
