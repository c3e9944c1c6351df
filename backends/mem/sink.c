/* SPDX-License-Identifier: Apache-2.0
 *
 * Sinks of mem: bytes are collected and become an object in one step. An appender takes
 * the old bytes with it and publishes both; until it is closed, nobody else appends, and
 * the object does not move.
 */
#include "backends/mem/mem.h"

#include <stdlib.h>
#include <string.h>

#define MEM_SINK_MAGIC 0x3E351200U

struct mem_sink {
    struct sink sink;
    unsigned magic;
    struct mem *mem;
    char *key; /* NULL: OP_commit names it */
    char *type, *meta;
    size_t meta_n;
    bool if_absent, appends, finished;
    uint8_t *p;
    size_t n, cap;
};

static struct mem_sink *sink_of(struct sink *k)
{
    struct mem_sink *s = CONTAINER(k, struct mem_sink, sink);
    CHECK(s, MEM_SINK_MAGIC);
    return s;
}

/* The limit holds for what is still on its way, too: one sink alone cannot pass it. */
static void mem_push(struct sink *k, const uint8_t *p, size_t n)
{
    struct mem_sink *s = sink_of(k);
    if (n > s->mem->limit || s->n > s->mem->limit - n) {
        sink_answer(k, E_NO_SPACE);
        return;
    }
    if (s->cap - s->n < n) {
        s->cap = 2 * s->cap > s->n + n ? 2 * s->cap : s->n + n;
        s->p = xrealloc(s->p, s->cap);
    }
    memcpy(s->p + s->n, p, n);
    s->n += n;
    k->moved += n;
    sink_answer(k, 0);
}

/* With the lock held. */
static int publish(struct mem_sink *s, const char *key, bool if_absent,
                   struct object *object)
{
    struct item *item = table_find(s->mem, key);
    if (if_absent && item)
        return E_EXISTS;
    struct content *content = content_new(s->p, s->n);
    int rc = table_set(s->mem, key, content, s->type, s->meta, s->meta_n, &item);
    if (rc)
        content_unref(content);
    else if (object)
        item_object(item, object);
    return rc;
}

/* With the lock held. An object that was removed meanwhile stays away. */
static int publish_appended(struct mem_sink *s)
{
    struct item *item = table_find(s->mem, s->key);
    return item && item->appending ? publish(s, s->key, false, NULL) : 0;
}

static void mem_finish(struct sink *k)
{
    struct mem_sink *s = sink_of(k);
    int rc = 0;
    pthread_mutex_lock(&s->mem->lock);
    if (s->appends)
        rc = publish_appended(s);
    else if (s->key && !mem_fails(s->mem, "finish", &rc))
        rc = publish(s, s->key, s->if_absent, NULL);
    s->finished = rc == 0;
    pthread_mutex_unlock(&s->mem->lock);
    sink_answer(k, rc);
}

static void mem_abort(struct sink *k)
{
    struct mem_sink *s = sink_of(k);
    int rc = 0;
    pthread_mutex_lock(&s->mem->lock);
    if (s->appends)
        rc = publish_appended(s);
    pthread_mutex_unlock(&s->mem->lock);
    sink_answer(k, rc);
}

static void mem_close(struct sink *k)
{
    struct mem_sink *s = sink_of(k);
    if (s->appends) {
        pthread_mutex_lock(&s->mem->lock);
        struct item *item = table_find(s->mem, s->key);
        if (item)
            item->appending = false;
        pthread_mutex_unlock(&s->mem->lock);
    }
    free(s->key);
    free(s->type);
    free(s->meta);
    free(s->p);
    POISON(s);
    free(s);
}

static const struct sink_ops mem_sink_ops = {
    .name = "mem object",
    .push = mem_push,
    .finish = mem_finish,
    .abort = mem_abort,
    .close = mem_close,
};

static struct mem_sink *new_sink(struct mem *m, const char *key, const char *type,
                                 const char *meta, size_t meta_n)
{
    struct mem_sink *s = xalloc(sizeof *s);
    s->magic = MEM_SINK_MAGIC;
    s->mem = m;
    s->key = key ? xstrdup(key) : NULL;
    s->type = type ? xstrdup(type) : NULL;
    s->meta = meta_n ? xmemdup(meta, meta_n) : NULL;
    s->meta_n = meta_n;
    sink_init(&s->sink, &mem_sink_ops);
    return s;
}

struct sink *mem_sink_new(struct mem *m, const struct op *op)
{
    struct mem_sink *s = new_sink(m, op->key, op->type, op->meta, op->meta_n);
    s->if_absent = op->if_absent;
    return &s->sink;
}

struct sink *mem_append_new(struct mem *m, struct item *item)
{
    struct mem_sink *s = new_sink(m, item->key, item->type, item->meta, item->meta_n);
    s->appends = true;
    item->appending = true;
    s->n = s->cap = item->content->n;
    s->p = (uint8_t *)xmemdup(item->content->bytes, s->n);
    return &s->sink;
}

int mem_sink_commit(struct mem *m, struct op *op)
{
    if (op->sink->ops != &mem_sink_ops)
        return E_INVALID;
    struct mem_sink *s = sink_of(op->sink);
    if (s->mem != m || s->key || !s->finished)
        return E_INVALID;
    int rc = publish(s, op->key, op->if_absent, &op->object);
    s->finished = rc != 0;
    return rc;
}
