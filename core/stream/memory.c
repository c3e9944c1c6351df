/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/memory.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 4096

struct memory_source {
    struct source source;
    const uint8_t *p;
    size_t n;       /* as a whole */
    size_t at, end; /* the window's rest */
    void (*release)(void *);
    void *arg;
};

static void memory_pull(struct source *s, uint8_t *buf, size_t cap)
{
    struct memory_source *m = CONTAINER(s, struct memory_source, source);
    size_t n = m->end - m->at < cap ? m->end - m->at : cap;
    if (n)
        memcpy(buf, m->p + m->at, n);
    m->at += n;
    source_answer(s, (ssize_t)n);
}

static int memory_window(struct source *s, uint64_t offset, uint64_t n)
{
    struct memory_source *m = CONTAINER(s, struct memory_source, source);
    if (offset > m->n || n > m->n - offset)
        return E_RANGE;
    m->at = (size_t)offset;
    m->end = (size_t)(offset + n);
    s->size = n;
    return 0;
}

static const uint8_t *memory_memory(struct source *s, size_t *n)
{
    struct memory_source *m = CONTAINER(s, struct memory_source, source);
    *n = m->end - m->at;
    return m->p + m->at;
}

static void memory_close(struct source *s)
{
    struct memory_source *m = CONTAINER(s, struct memory_source, source);
    if (m->release)
        m->release(m->arg);
    free(m);
}

static const struct source_ops memory_source_ops = {.name = "memory",
                                                    .pull = memory_pull,
                                                    .window = memory_window,
                                                    .memory = memory_memory,
                                                    .close = memory_close};

struct source *memory_source_new(const void *p, size_t n, void (*release)(void *),
                                 void *arg)
{
    struct memory_source *m = xalloc(sizeof *m);
    source_init(&m->source, &memory_source_ops, n);
    m->p = p;
    m->n = m->end = n;
    m->release = release;
    m->arg = arg;
    return &m->source;
}

static void memory_push(struct sink *s, const uint8_t *p, size_t n)
{
    struct memory_sink *k = CONTAINER(s, struct memory_sink, sink);
    if (n > k->limit - k->n) {
        sink_answer(s, E_TOO_LARGE);
        return;
    }
    if (n > k->cap - k->n) {
        size_t cap = k->cap > k->limit / 2 ? k->limit : k->cap * 2;
        cap = cap < FIRST_CAP ? FIRST_CAP : cap;
        k->cap = cap < k->n + n ? k->n + n : cap;
        k->p = xrealloc(k->p, k->cap);
    }
    memcpy(k->p + k->n, p, n);
    k->n += n;
    s->moved += n;
    sink_answer(s, 0);
}

static const struct sink_ops memory_sink_ops = {.name = "memory", .push = memory_push};

void memory_sink_init(struct memory_sink *k, size_t limit)
{
    *k = (struct memory_sink){.limit = limit};
    sink_init(&k->sink, &memory_sink_ops);
}

void memory_sink_fini(struct memory_sink *k)
{
    free(k->p);
    k->p = NULL;
    k->n = k->cap = 0;
}
