/* SPDX-License-Identifier: Apache-2.0
 *
 * The text that Prometheus reads.
 */
#include "base/metric.h"

#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct metrics_out {
    FILE *f;
};

static void put_number(FILE *f, double v)
{
    if (isnan(v))
        fputs("NaN", f);
    else if (isinf(v))
        fputs(v > 0 ? "+Inf" : "-Inf", f);
    else if (v == floor(v) && fabs(v) < 9007199254740992.0)
        fprintf(f, "%.0f", v == 0 ? 0 : v);
    else
        fprintf(f, "%.15g", v);
}

static const char *const kinds[] = {"counter", "gauge", "histogram"};

static void put_escaped(FILE *f, const char *text, bool quotes)
{
    for (; *text; text++) {
        if (*text == '\\' || (quotes && *text == '"'))
            fputc('\\', f);
        if (*text == '\n')
            fputs("\\n", f);
        else
            fputc(*text, f);
    }
}

void metrics_head(struct metrics_out *out, const char *name, const char *help,
                  enum metric_kind kind)
{
    fprintf(out->f, "# HELP %s ", name);
    put_escaped(out->f, help, false);
    fprintf(out->f, "\n# TYPE %s %s\n", name, kinds[kind]);
}

void metrics_value(struct metrics_out *out, const char *name, const char *label,
                   const char *value, double number)
{
    fputs(name, out->f);
    if (label) {
        fprintf(out->f, "{%s=\"", label);
        put_escaped(out->f, value, true);
        fputs("\"}", out->f);
    }
    fputc(' ', out->f);
    put_number(out->f, number);
    fputc('\n', out->f);
}

/* "{a="1",le="5"}"; le NULL: none. */
static void put_labels(FILE *f, const struct metric *m, const double *le)
{
    const struct metric_spec *spec = &m->family->spec;
    const char *value = m->key;
    const char *before = "{";
    for (size_t i = 0; i < spec->n_labels; i++) {
        fprintf(f, "%s%s=\"", before, spec->labels[i]);
        put_escaped(f, value, true);
        fputc('"', f);
        value += strlen(value) + 1;
        before = ",";
    }
    if (le) {
        fprintf(f, "%sle=\"", before);
        put_number(f, *le);
        fputs("\"}", f);
    } else if (spec->n_labels) {
        fputc('}', f);
    }
}

static void put_line(FILE *f, const struct metric *m, const char *part, const double *le,
                     double v)
{
    fprintf(f, "%s%s", m->family->spec.name, part);
    put_labels(f, m, le);
    fputc(' ', f);
    put_number(f, v);
    fputc('\n', f);
}

static void put_histogram(FILE *f, const struct metric *m)
{
    const struct metric_spec *spec = &m->family->spec;
    double count = 0, infinity = INFINITY;
    for (size_t i = 0; i <= spec->n_bounds; i++) {
        count += metric_sum(m, i);
        put_line(f, m, "_bucket", i < spec->n_bounds ? &spec->bounds[i] : &infinity,
                 count);
    }
    put_line(f, m, "_sum", NULL, metric_sum(m, spec->n_bounds + 1));
    put_line(f, m, "_count", NULL, count);
}

static int by_key(const void *a, const void *b)
{
    const struct metric *x = *(struct metric *const *)a, *y = *(struct metric *const *)b;
    size_t n = x->key_n < y->key_n ? x->key_n : y->key_n;
    int d = n ? memcmp(x->key, y->key, n) : 0;
    return d ? d : (x->key_n > y->key_n) - (x->key_n < y->key_n);
}

/* Those that are there now, sorted. Returns an owned list. */
static struct metric **list_of(struct metric_family *f, size_t *n)
{
    struct metric **list = xalloc((f->spec.most + 1) * sizeof(void *));
    *n = 0;
    pthread_mutex_lock(&metrics_registry.lock);
    for (size_t b = 0; b < METRIC_BUCKETS; b++)
        for (struct metric *m = f->buckets[b]; m; m = m->next)
            list[(*n)++] = m;
    pthread_mutex_unlock(&metrics_registry.lock);
    qsort(list, *n, sizeof(void *), by_key);
    return list;
}

static void put_family(struct metrics_out *out, struct metric_family *f)
{
    size_t n;
    struct metric **list = list_of(f, &n);
    metrics_head(out, f->spec.name, f->spec.help, f->spec.kind);
    for (size_t i = 0; i < n; i++) {
        if (f->spec.kind == METRIC_HISTOGRAM)
            put_histogram(out->f, list[i]);
        else
            put_line(out->f, list[i], "", NULL, metric_sum(list[i], 0));
    }
    free(list);
}

static void put_plain(struct metrics_out *out)
{
    static const struct {
        const char *name, *help;
        enum metric_kind kind;
    } all[] = {
#define X(name, kind, help) {"tidegate_" #name, help, METRIC_##kind},
        METRICS_PLAIN(X)
#undef X
    };
    for (size_t m = 0; m < METRICS_PLAIN_N; m++) {
        double v = 0;
        for (size_t i = 0; i < METRIC_SHARDS; i++)
            v += metric_load(&metrics_plain[i][m]);
        metrics_head(out, all[m].name, all[m].help, all[m].kind);
        metrics_value(out, all[m].name, NULL, "", v);
    }
}

static int by_name(const void *a, const void *b)
{
    const struct metric_family *x = *(struct metric_family *const *)a;
    const struct metric_family *y = *(struct metric_family *const *)b;
    return strcmp(x->spec.name, y->spec.name);
}

void metrics_look(void (*f)(struct metrics_out *out))
{
    for (size_t i = 0; i < metrics_registry.n_looks; i++)
        if (metrics_registry.looks[i] == f)
            return;
    assert(metrics_registry.n_looks < METRIC_LOOKS_MAX);
    metrics_registry.looks[metrics_registry.n_looks++] = f;
}

char *metrics_text(size_t *n)
{
    char *text = NULL;
    struct metrics_out out = {open_memstream(&text, n)};
    struct metric_family *families[METRIC_FAMILIES_MAX] = {NULL};
    size_t count = 0;
    assert(out.f);
    put_plain(&out);
    for (size_t i = 0; i < metrics_registry.n_looks; i++)
        metrics_registry.looks[i](&out);
    for (struct metric_family *f = metrics_registry.families; f; f = f->next)
        families[count++] = f;
    qsort(families, count, sizeof(void *), by_name);
    for (size_t i = 0; i < count; i++)
        put_family(&out, families[i]);
    fclose(out.f);
    return text;
}
