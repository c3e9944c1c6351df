/* SPDX-License-Identifier: Apache-2.0
 *
 * What each operation does, in one step under the lock.
 */
#include "backends/mem/mem.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

static int do_stat(struct mem *m, struct op *op)
{
    struct item *i = table_find(m, op->key);
    if (!i)
        return E_NOT_FOUND;
    item_object(i, &op->object);
    return 0;
}

static int do_open(struct mem *m, struct op *op)
{
    struct item *i = table_find(m, op->key);
    if (!i)
        return E_NOT_FOUND;
    struct content *c = i->content;
    item_object(i, &op->object);
    if (op->offset > c->n)
        return E_RANGE;
    uint64_t left = c->n - op->offset;
    op->source = memory_source_new(c->bytes + op->offset,
                                   op->n < left ? (size_t)op->n : (size_t)left,
                                   content_unref, content_ref(c));
    return 0;
}

static int do_read(struct mem *m, struct op *op)
{
    struct item *i = table_find(m, op->key);
    if (!i)
        return E_NOT_FOUND;
    item_object(i, &op->object);
    if (i->content->n > op->limit)
        return E_TOO_LARGE;
    op->out_n = i->content->n;
    op->out = (uint8_t *)xmemdup(i->content->bytes, op->out_n);
    return 0;
}

static int do_create(struct mem *m, struct op *op)
{
    op->sink = mem_sink_new(m, op);
    return 0;
}

/* Makes content the object key; takes it in any case. */
static int set(struct mem *m, const char *key, struct content *c, const struct item *like,
               struct object *object)
{
    struct item *i;
    int rc = table_set(m, key, c, like->type, like->meta, like->meta_n, &i);
    if (rc)
        content_unref(c);
    else if (object)
        item_object(i, object);
    return rc;
}

static int do_append(struct mem *m, struct op *op)
{
    struct item *i = table_find(m, op->key);
    if (!i && op->offset)
        return E_NOT_FOUND;
    if (!i) {
        int rc = set(m, op->key, content_new("", 0), &(struct item){0}, NULL);
        if (rc)
            return rc;
        i = table_find(m, op->key);
    }
    if (i->appending)
        return E_BUSY;
    if (i->content->n != op->offset) {
        op->object.size = i->content->n;
        return E_RANGE;
    }
    op->sink = mem_append_new(m, i);
    return 0;
}

static int do_put(struct mem *m, struct op *op)
{
    struct item like = {
        .type = (char *)op->type, .meta = (char *)op->meta, .meta_n = op->meta_n};
    if (op->if_absent && table_find(m, op->key))
        return E_EXISTS;
    return set(m, op->key, content_new(op->in.p, op->in.n), &like, &op->object);
}

static int do_put_if(struct mem *m, struct op *op)
{
    struct item *i = table_find(m, op->key);
    struct object now = {0};
    if (i)
        item_object(i, &now);
    free(now.type);
    free(now.meta);
    return strcmp(now.etag, op->version) == 0 ? do_put(m, op) : E_EXISTS;
}

static int do_copy(struct mem *m, struct op *op)
{
    struct item *i = table_find(m, op->key);
    return i ? set(m, op->to, content_ref(i->content), i, NULL) : E_NOT_FOUND;
}

static int do_move(struct mem *m, struct op *op)
{
    struct item *i = table_find(m, op->key);
    if (i && i->appending)
        return E_BUSY;
    if (i && op->n != SIZE_UNKNOWN && op->n != i->content->n)
        return E_RANGE;
    m->limit += i ? i->content->n : 0; /* both stand for a moment */
    int rc = do_copy(m, op);
    m->limit -= i ? i->content->n : 0;
    if (rc == 0 && strcmp(op->key, op->to) != 0)
        table_remove(m, table_at(m, op->key));
    return rc;
}

static int do_concat(struct mem *m, struct op *op)
{
    uint64_t n = 0;
    for (size_t i = 0; i < op->n_keys; i++) {
        struct item *part = table_find(m, op->keys[i]);
        if (!part)
            return E_NOT_FOUND;
        n += part->content->n;
        if (n > m->limit)
            return E_NO_SPACE;
    }
    uint8_t *whole = xalloc((size_t)n);
    size_t at = 0;
    for (size_t i = 0; i < op->n_keys; i++) {
        struct content *c = table_find(m, op->keys[i])->content;
        memcpy(whole + at, c->bytes, c->n);
        at += c->n;
    }
    struct content *c = content_new(whole, at);
    free(whole);
    return set(m, op->to, c, &(struct item){0}, NULL);
}

static int do_remove(struct mem *m, struct op *op)
{
    if (!table_find(m, op->key))
        return E_NOT_FOUND;
    table_remove(m, table_at(m, op->key));
    return 0;
}

static int do_remove_prefix(struct mem *m, struct op *op)
{
    size_t at = table_at(m, op->key), n = strlen(op->key);
    while (at < m->n && strncmp(m->items[at]->key, op->key, n) == 0) {
        table_remove(m, at);
        op->count++;
    }
    return 0;
}

static int do_touch(struct mem *m, struct op *op)
{
    struct item *i = table_find(m, op->key);
    if (!i)
        return E_NOT_FOUND;
    i->modified = clock_wall();
    return 0;
}

static int do_expire(struct mem *m, struct op *op)
{
    struct item *i = table_find(m, op->key);
    if (i && i->modified < op->before) {
        table_remove(m, table_at(m, op->key));
        op->removed = true;
    }
    return 0;
}

/* The name an item goes by in this listing, its length in *n: a common prefix ends behind
 * the delimiter. */
static bool folds(const struct op *op, const char *key, size_t *n)
{
    const char *slash = op->delimiter ? strchr(key + strlen(op->key), '/') : NULL;
    *n = slash ? (size_t)(slash - key) + 1 : strlen(key);
    return slash != NULL;
}

static void add_entry(struct op *op, const struct item *i, size_t n, bool prefix)
{
    struct entry *e = &op->entries[op->n_entries++];
    *e = (struct entry){.name = xmemdup(i->key, n), .prefix = prefix};
    if (!prefix) {
        e->size = i->content->n;
        e->modified = i->modified;
    }
}

static bool is_last(const struct op *op, const char *key, size_t n)
{
    const char *last = op->n_entries ? op->entries[op->n_entries - 1].name : "";
    return strlen(last) == n && memcmp(last, key, n) == 0;
}

static int do_list(struct mem *m, struct op *op)
{
    size_t prefix_n = strlen(op->key);
    op->entries = xalloc((size_t)op->limit * sizeof *op->entries);
    for (size_t at = table_at(m, op->key); at < m->n && !op->more; at++) {
        const struct item *i = m->items[at];
        size_t n;
        if (strncmp(i->key, op->key, prefix_n) != 0)
            break;
        bool prefix = folds(op, i->key, &n);
        char *name = xmemdup(i->key, n);
        bool skip = strcmp(name, op->after) <= 0 || (prefix && is_last(op, name, n)) ||
                    i->version + m->stale > m->writes;
        free(name);
        if (skip)
            continue;
        op->more = op->n_entries == op->limit;
        if (!op->more)
            add_entry(op, i, n, prefix);
    }
    return 0;
}

static int (*const verbs[OP_VERBS])(struct mem *, struct op *) = {
    [OP_stat] = do_stat,
    [OP_open] = do_open,
    [OP_read] = do_read,
    [OP_create] = do_create,
    [OP_commit] = mem_sink_commit,
    [OP_append] = do_append,
    [OP_put] = do_put,
    [OP_put_if] = do_put_if,
    [OP_list] = do_list,
    [OP_copy] = do_copy,
    [OP_move] = do_move,
    [OP_concat] = do_concat,
    [OP_remove] = do_remove,
    [OP_remove_prefix] = do_remove_prefix,
    [OP_touch] = do_touch,
    [OP_expire] = do_expire,
};

int mem_run(struct mem *m, struct op *op)
{
    int rc = 0;
    if (!verbs[op->verb])
        return E_UNSUPPORTED;
    pthread_mutex_lock(&m->lock);
    if (!mem_fails(m, op_name(op), &rc))
        rc = verbs[op->verb](m, op);
    pthread_mutex_unlock(&m->lock);
    return rc;
}
