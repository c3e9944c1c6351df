/* SPDX-License-Identifier: Apache-2.0
 *
 * A metric's numbers are doubles in rows of atomic cells, a row for each shard of threads
 * and each row on cache lines of its own. Metrics of a family hang in buckets that only
 * grow: a reader follows pointers that were published whole, and needs no lock.
 */
#include "base/metric.h"

#include "base/err.h"
#include "base/line.h"
#include "base/log.h"
#include "base/mem.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

_Alignas(64) cell metrics_plain[METRIC_SHARDS][METRIC_PLAIN_CELLS];
struct metrics_registry metrics_registry = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* -- counting ---------------------------------------------------------------------- */

static double number_of(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static void add(cell *c, double by)
{
    uint64_t old = atomic_load_explicit(c, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(c, &old, bits_of(number_of(old) + by),
                                                  memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
}

double metric_load(cell *c)
{
    return number_of(atomic_load_explicit(c, memory_order_relaxed));
}

static unsigned my_shard(void)
{
    static _Thread_local unsigned shard; /* and one */
    if (!shard)
        shard = atomic_fetch_add(&metrics_registry.threads, 1) % METRIC_SHARDS + 1;
    return shard - 1;
}

void metric_count(enum metric_plain m, double by)
{
    add(&metrics_plain[my_shard()][m], by);
}

static cell *row_of(const struct metric *m, size_t shard)
{
    return m->cells + shard * m->stride;
}

double metric_sum(const struct metric *m, size_t column)
{
    double total = 0;
    for (size_t i = 0; i < METRIC_SHARDS; i++)
        total += metric_load(&row_of(m, i)[column]);
    return total;
}

void metric_add(struct metric *m, double by)
{
    add(&row_of(m, my_shard())[0], by);
}

void metric_set(struct metric *m, double value)
{
    double others = metric_sum(m, 0) - metric_load(&row_of(m, 0)[0]);
    atomic_store_explicit(&row_of(m, 0)[0], bits_of(value - others),
                          memory_order_relaxed);
}

/* A row holds a count for each bound, one for what is beyond all, and the sum. */
void metric_observe(struct metric *m, double value)
{
    const struct metric_spec *spec = &m->family->spec;
    cell *row = row_of(m, my_shard());
    size_t i = 0;
    while (i < spec->n_bounds && !(value <= spec->bounds[i]))
        i++;
    add(&row[i], 1);
    add(&row[spec->n_bounds + 1], value);
}

/* -- families and metrics ---------------------------------------------------------- */

static bool is_name(const char *name, bool colons)
{
    size_t n = strlen(name);
    if (n == 0 || n > METRIC_NAME_MAX || (*name >= '0' && *name <= '9'))
        return false;
    for (; *name; name++)
        if (!(*name == '_' || (colons && *name == ':') ||
              (*name >= '0' && *name <= '9') || (*name >= 'a' && *name <= 'z') ||
              (*name >= 'A' && *name <= 'Z')))
            return false;
    return true;
}

static bool is_valid(const struct metric_spec *s)
{
    bool ok = is_name(s->name, true) && s->n_labels <= METRIC_LABELS_MAX &&
              s->n_bounds <= METRIC_BOUNDS_MAX && s->most >= 1 && s->most <= 10000;
    for (size_t i = 0; ok && i < s->n_labels; i++) {
        ok = is_name(s->labels[i], false) && strncmp(s->labels[i], "__", 2) != 0 &&
             strcmp(s->labels[i], "le") != 0;
        for (size_t k = 0; ok && k < i; k++)
            ok = strcmp(s->labels[i], s->labels[k]) != 0;
    }
    for (size_t i = 0; ok && i < s->n_bounds; i++)
        ok = isfinite(s->bounds[i]) && (i == 0 || s->bounds[i] > s->bounds[i - 1]);
    return ok;
}

static bool same(const struct metric_spec *a, const struct metric_spec *b)
{
    bool same = a->kind == b->kind && a->n_labels == b->n_labels &&
                a->n_bounds == b->n_bounds && strcmp(a->name, b->name) == 0;
    for (size_t i = 0; same && i < a->n_labels; i++)
        same = strcmp(a->labels[i], b->labels[i]) == 0;
    return same && (a->n_bounds == 0 ||
                    memcmp(a->bounds, b->bounds, a->n_bounds * sizeof *a->bounds) == 0);
}

/* Is `name` what a histogram calls one of its parts? */
static bool is_part(const char *name, const struct metric_spec *of)
{
    size_t n = strlen(of->name);
    return of->kind == METRIC_HISTOGRAM && strncmp(name, of->name, n) == 0 &&
           (strcmp(name + n, "_bucket") == 0 || strcmp(name + n, "_sum") == 0 ||
            strcmp(name + n, "_count") == 0);
}

static bool clashes(const struct metric_spec *a, const struct metric_spec *b)
{
    return strcmp(a->name, b->name) == 0 || is_part(a->name, b) || is_part(b->name, a);
}

static struct metric_family *family_new(const struct metric_spec *spec)
{
    struct metric_family *f = xalloc(sizeof *f);
    f->spec = *spec;
    f->spec.name = xstrdup(spec->name);
    f->spec.help = xstrdup(spec->help ? spec->help : "");
    for (size_t i = 0; i < spec->n_labels; i++)
        f->spec.labels[i] = xstrdup(spec->labels[i]);
    f->next = metrics_registry.families;
    metrics_registry.families = f;
    metrics_registry.n++;
    return f;
}

int metrics_family(const struct metric_spec *spec, struct metric_family **out)
{
    struct metric_family *found = NULL;
    if (!is_valid(spec))
        return E_INVALID;
    pthread_mutex_lock(&metrics_registry.lock);
    int rc = 0;
    for (struct metric_family *f = metrics_registry.families; f && !found && !rc;
         f = f->next) {
        if (same(&f->spec, spec))
            found = f;
        else if (clashes(&f->spec, spec))
            rc = E_EXISTS;
    }
    if (!rc && !found && metrics_registry.n >= METRIC_FAMILIES_MAX)
        rc = E_NO_SPACE;
    if (!rc && !found && out)
        found = family_new(spec);
    pthread_mutex_unlock(&metrics_registry.lock);
    if (!rc && out)
        *out = found;
    return rc;
}

/* The values as they are kept: cut, with '?' for controls and for what is no UTF-8.
 * Returns the length. */
static size_t make_key(const struct metric_family *f, const struct span *values,
                       char key[METRIC_LABELS_MAX * (METRIC_VALUE_MAX + 1)])
{
    size_t n = 0;
    for (size_t i = 0; i < f->spec.n_labels; i++) {
        struct span v = values[i];
        v.n = v.n < METRIC_VALUE_MAX ? v.n : METRIC_VALUE_MAX;
        for (size_t k = 0, width; k < v.n; k += width) {
            uint32_t code = 0;
            width = utf8_char(v.p + k, v.n - k, &code);
            if (width == 0 || code < 0x20 || code == 0x7f) {
                key[n++] = '?';
                width = 1;
                continue;
            }
            memcpy(key + n, v.p + k, width);
            n += width;
        }
        key[n++] = '\0';
    }
    return n;
}

static size_t bucket_of(const char *key, size_t n)
{
    uint32_t h = 2166136261U; /* FNV-1a; clients choose few of these texts, and `most` */
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)key[i]) * 16777619U;
    return (h ^ h >> 16) % METRIC_BUCKETS;
}

static struct metric *look_up(struct metric *m, const char *key, size_t n)
{
    while (m && !(m->key_n == n && (n == 0 || memcmp(m->key, key, n) == 0)))
        m = m->next;
    return m;
}

static struct metric *metric_new(struct metric_family *f, const char *key, size_t n)
{
    struct metric *m = xalloc(sizeof *m);
    size_t width = f->spec.kind == METRIC_HISTOGRAM ? f->spec.n_bounds + 2 : 1;
    m->family = f;
    m->key = xmemdup(key, n);
    m->key_n = n;
    m->stride = (width + METRIC_LINE_CELLS - 1) / METRIC_LINE_CELLS * METRIC_LINE_CELLS;
    size_t bytes = METRIC_SHARDS * m->stride * sizeof(cell);
    m->cells = aligned_alloc(64, bytes);
    if (!m->cells)
        m->cells = xalloc(bytes);
    memset((void *)m->cells, 0, bytes); /* 0.0 */
    return m;
}

/* Under the lock. */
static struct metric *publish(struct metric_family *f, const char *key, size_t n)
{
    size_t b = bucket_of(key, n);
    struct metric *m = metric_new(f, key, n);
    m->next = f->buckets[b];
    f->buckets[b] = m;
    return m;
}

/* The one for everything past the bound, which may have been named before. Under the
 * lock. */
static struct metric *other_of(struct metric_family *f)
{
    struct span values[METRIC_LABELS_MAX];
    char key[METRIC_LABELS_MAX * (METRIC_VALUE_MAX + 1)];
    for (size_t i = 0; i < METRIC_LABELS_MAX; i++)
        values[i] = SPAN_LIT("other");
    size_t n = make_key(f, values, key);
    struct metric *m = look_up(f->buckets[bucket_of(key, n)], key, n);
    return m ? m : publish(f, key, n);
}

static struct metric *make(struct metric_family *f, const char *key, size_t n,
                           bool *overflow)
{
    pthread_mutex_lock(&metrics_registry.lock);
    struct metric *m = look_up(f->buckets[bucket_of(key, n)], key, n);
    if (!m && f->n >= f->spec.most) {
        *overflow = !f->other;
        m = other_of(f);
        f->other = m;
    } else if (!m) {
        m = publish(f, key, n);
        f->n++;
    }
    pthread_mutex_unlock(&metrics_registry.lock);
    return m;
}

struct metric *metrics_get(struct metric_family *f, const struct span *values)
{
    char key[METRIC_LABELS_MAX * (METRIC_VALUE_MAX + 1)];
    size_t n = make_key(f, values, key);
    bool overflow = false;
    struct metric *m =
        atomic_load_explicit(&f->buckets[bucket_of(key, n)], memory_order_acquire);
    m = look_up(m, key, n);
    if (m)
        return m;
    m = atomic_load_explicit(&f->other, memory_order_acquire);
    if (!m) /* once it is there, nothing new is made */
        m = make(f, key, n, &overflow);
    if (overflow)
        LOG_FIELDS(LOG_WARN, "a metric has too many values; further ones count as other",
                   {"metric", span_of(f->spec.name)});
    return m;
}
