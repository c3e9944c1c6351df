/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/mem/mem.h"

#include <stdlib.h>
#include <string.h>

/* An operation that takes its time. */
struct slow_op {
    struct op *op;
    struct timer timer;
};

bool mem_fails(struct mem *m, const char *what, int *rc)
{
    if (!m->fails || strcmp(m->fail_verb, what) != 0)
        return false;
    m->fails--;
    *rc = m->fail_rc;
    return true;
}

static void run(struct op *op)
{
    struct mem *m = (struct mem *)op->store;
    op_complete(op, op_is_cancelled(op) ? E_CANCELLED : mem_run(m, op));
}

static void end_slow(struct slow_op *s)
{
    struct op *op = s->op;
    op->state = NULL;
    timer_fini(&s->timer);
    free(s);
    run(op);
}

static void fire(struct timer *t)
{
    end_slow(CONTAINER(t, struct slow_op, timer));
}

static void mem_start(struct op *op)
{
    struct mem *m = (struct mem *)op->store;
    if (!m->delay) {
        run(op);
        return;
    }
    struct slow_op *s = xalloc(sizeof *s);
    s->op = op;
    op->state = s;
    timer_init(&s->timer, op->worker, fire);
    timer_set(&s->timer, worker_now(op->worker) + m->delay);
}

static void mem_cancel(struct op *op)
{
    if (op->state)
        end_slow(op->state);
}

/* "put:IO:1" */
static int parse_fail(struct mem *m, const char *text)
{
    struct span rest = span_of(text), verb = span_cut(&rest, ':');
    struct span name = span_cut(&rest, ':');
    if (!rest.p || span_u64(rest, &m->fails) != 0)
        return E_INVALID;
    for (m->fail_rc = E_NOT_FOUND; !span_is(name, err_name(m->fail_rc)); m->fail_rc--)
        if (m->fail_rc == E_IO)
            return E_INVALID;
    m->fail_verb = xmemdup(verb.p, verb.n);
    return 0;
}

static int set_option(struct mem *m, const struct store_option *o)
{
    if (strcmp(o->name, "limit") == 0)
        return span_u64(span_of(o->value), &m->limit);
    if (strcmp(o->name, "delay") == 0)
        return span_u64(span_of(o->value), &m->delay);
    if (strcmp(o->name, "stale") == 0)
        return span_u64(span_of(o->value), &m->stale);
    if (strcmp(o->name, "fail") == 0)
        return parse_fail(m, o->value);
    return 0;
}

static void mem_free(struct store *s)
{
    struct mem *m = (struct mem *)s;
    while (m->n)
        table_remove(m, m->n - 1);
    free(m->items);
    free(m->fail_verb);
    pthread_mutex_destroy(&m->lock);
    POISON(s);
    free(m);
}

static int mem_make(const struct store_option *options, size_t n, struct store **out,
                    char **why)
{
    struct mem *m = xalloc(sizeof *m);
    const char *name = "";
    int rc = 0;
    size_t i;
    m->limit = UINT64_C(256) << 20;
    for (i = 0; rc == 0 && i < n; i++) {
        if (strcmp(options[i].name, "name") == 0)
            name = options[i].value;
        rc = set_option(m, &options[i]);
    }
    pthread_mutex_init(&m->lock, NULL);
    store_init(&m->store, &mem_kind, xasprintf("mem:%s", name));
    if (rc) {
        *why =
            xasprintf("%s cannot be \"%s\"", options[i - 1].name, options[i - 1].value);
        free(m->store.id);
        mem_free(&m->store);
        return E_INVALID;
    }
    *out = &m->store;
    return 0;
}

static int mem_begin(struct store *s, char **why)
{
    (void)s;
    (void)why;
    return 0;
}

static const char *const mem_options[] = {"name", "limit", "delay",
                                          "fail", "stale", NULL};

const struct store_kind mem_kind = {
    .name = "mem",
    .options = mem_options,
    .native = STORE_IF_ABSENT | STORE_PUT_IF | STORE_APPEND | STORE_CONCAT,
    .make = mem_make,
    .begin = mem_begin,
    .free = mem_free,
    .start = mem_start,
    .cancel = mem_cancel,
};
