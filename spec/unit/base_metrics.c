/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/unit.h"

#include "base/base.h"
#include "base/log.h"
#include "base/metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 12
#define ROUNDS 20000

static bool has(const char *line)
{
    size_t n;
    char *text = metrics_text(&n);
    char *wanted = xasprintf("\n%s\n", line);
    bool found = strstr(text, wanted) != NULL;
    free(wanted);
    free(text);
    return found;
}

static struct metric_family *family(const char *name, enum metric_kind kind, size_t most)
{
    struct metric_family *f = NULL;
    struct metric_spec spec = {.name = name,
                               .help = "a \\ b\nc \"d\"",
                               .kind = kind,
                               .labels = {"who"},
                               .n_labels = 1,
                               .most = most};
    if (kind == METRIC_HISTOGRAM) {
        spec.bounds[0] = 0.1;
        spec.bounds[1] = 2;
        spec.n_bounds = 2;
    }
    EXPECT_EQ(metrics_family(&spec, &f), 0);
    return f;
}

static struct metric *get(struct metric_family *f, const char *value)
{
    struct span v = span_of(value);
    return metrics_get(f, &v);
}

static void *work(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        metric_count(METRIC_connections_total, 1);
        metric_add(get(arg, i % 2 ? "a" : "b"), 0.5);
    }
    return NULL;
}

TEST("base: what many threads count is all there")
{
    struct metric_family *f = family("many_total", METRIC_COUNTER, 10);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        EXPECT_EQ(pthread_create(&threads[i], NULL, work, f), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    EXPECT(has("tidegate_connections_total 240000"));
    EXPECT(has("many_total{who=\"a\"} 60000"));
    EXPECT(has("many_total{who=\"b\"} 60000"));
}

TEST("base: metrics are written as Prometheus reads them")
{
    struct metric_family *c = family("c_total", METRIC_COUNTER, 10);
    metric_add(get(c, "quote\" back\\ \xc3\xa9 \xff\n"), 1.25);
    EXPECT(has("# HELP c_total a \\\\ b\\nc \"d\""));
    EXPECT(has("# TYPE c_total counter"));
    EXPECT(has("c_total{who=\"quote\\\" back\\\\ \xc3\xa9 ??\"} 1.25"));
    struct metric *h = get(family("h", METRIC_HISTOGRAM, 10), "x");
    metric_observe(h, 0.1);
    metric_observe(h, 0.5);
    metric_observe(h, 3);
    EXPECT(has("h_bucket{who=\"x\",le=\"0.1\"} 1\nh_bucket{who=\"x\",le=\"2\"} 2\n"
               "h_bucket{who=\"x\",le=\"+Inf\"} 3\nh_sum{who=\"x\"} 3.6\n"
               "h_count{who=\"x\"} 3"));
    struct metric *g = get(family("g", METRIC_GAUGE, 10), "x");
    metric_add(g, 5);
    metric_set(g, -2.5);
    metric_add(g, 1);
    EXPECT(has("g{who=\"x\"} -1.5"));
}

TEST("base: past its bound a family counts under one name")
{
    log_setup(-1, LOG_ERROR, false);
    struct metric_family *f = family("few_total", METRIC_COUNTER, 3);
    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "v%d", i);
        metric_add(get(f, name), 1);
    }
    metric_add(get(f, "other"), 1);
    EXPECT(has("few_total{who=\"other\"} 98\nfew_total{who=\"v0\"} 1\n"
               "few_total{who=\"v1\"} 1\nfew_total{who=\"v2\"} 1"));
}

TEST("base: a family has one form, and no name has two families")
{
    struct metric_family *f = family("f_total", METRIC_COUNTER, 3);
    EXPECT(family("f_total", METRIC_COUNTER, 3) == f);
    family("hist", METRIC_HISTOGRAM, 3);
    static const struct {
        struct metric_spec spec;
        int rc;
    } cases[] = {
        {{.name = "f_total", .kind = METRIC_GAUGE, .most = 1}, E_EXISTS},
        {{.name = "f_total", .kind = METRIC_COUNTER, .most = 1}, E_EXISTS},
        {{.name = "hist_count", .kind = METRIC_COUNTER, .most = 1}, E_EXISTS},
        {{.name = "1st", .most = 1}, E_INVALID},
        {{.name = "a-b", .most = 1}, E_INVALID},
        {{.name = "", .most = 1}, E_INVALID},
        {{.name = "x", .labels = {"le"}, .n_labels = 1, .most = 1}, E_INVALID},
        {{.name = "x", .labels = {"__x"}, .n_labels = 1, .most = 1}, E_INVALID},
        {{.name = "x", .labels = {"a", "a"}, .n_labels = 2, .most = 1}, E_INVALID},
        {{.name = "x", .bounds = {2, 1}, .n_bounds = 2, .most = 1}, E_INVALID},
        {{.name = "x", .most = 0}, E_INVALID},
        {{.name = "x", .most = 1}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        EXPECT_EQ(metrics_family(&cases[i].spec, NULL), cases[i].rc);
}
