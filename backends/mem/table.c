/* SPDX-License-Identifier: Apache-2.0
 *
 * The table: a sorted array. Trials hold thousands of objects, not millions; a shift of
 * pointers is cheaper to trust than a tree.
 */
#include "backends/mem/mem.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct content *content_new(const void *p, size_t n)
{
    struct content *c = xalloc(sizeof *c + n);
    atomic_init(&c->refs, 1);
    c->n = n;
    if (n)
        memcpy(c->bytes, p, n);
    return c;
}

struct content *content_ref(struct content *c)
{
    atomic_fetch_add(&c->refs, 1);
    return c;
}

void content_unref(void *content)
{
    struct content *c = content;
    if (c && atomic_fetch_sub(&c->refs, 1) == 1)
        free(c);
}

size_t table_at(const struct mem *m, const char *key)
{
    size_t low = 0, high = m->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(m->items[mid]->key, key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct item *table_find(const struct mem *m, const char *key)
{
    size_t at = table_at(m, key);
    return at < m->n && strcmp(m->items[at]->key, key) == 0 ? m->items[at] : NULL;
}

int table_tree(const struct mem *m, const char *key)
{
    char path[KEY_MAX + 2];
    size_t n = strlen(key);
    memcpy(path, key, n + 1);
    for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (table_find(m, path))
            return E_INVALID;
        *slash = '/';
    }
    path[n] = '/';
    path[n + 1] = '\0';
    size_t at = table_at(m, path);
    return at < m->n && strncmp(m->items[at]->key, path, n + 1) == 0 ? E_INVALID : 0;
}

static struct item *insert(struct mem *m, const char *key)
{
    size_t at = table_at(m, key);
    if (m->n == m->cap) {
        m->cap = m->cap ? 2 * m->cap : 64;
        m->items = xrealloc(m->items, m->cap * sizeof *m->items);
    }
    memmove(m->items + at + 1, m->items + at, (m->n - at) * sizeof *m->items);
    m->n++;
    struct item *i = m->items[at] = xalloc(sizeof *i);
    i->key = xstrdup(key);
    return i;
}

int table_set(struct mem *m, const char *key, struct content *content, const char *type,
              const char *meta, size_t meta_n, struct item **out)
{
    struct item *i = table_find(m, key);
    uint64_t used = m->used - (i ? i->content->n : 0);
    int rc = i ? 0 : table_tree(m, key);
    if (rc)
        return rc;
    if (content->n > m->limit || used > m->limit - content->n)
        return E_NO_SPACE;
    char *new_type = type ? xstrdup(type) : NULL;
    char *new_meta = meta_n ? xmemdup(meta, meta_n) : NULL;
    i = i ? i : insert(m, key);
    content_unref(i->content);
    free(i->type);
    free(i->meta);
    i->content = content;
    i->type = new_type;
    i->meta = new_meta;
    i->meta_n = meta_n;
    i->modified = clock_wall();
    i->version = ++m->writes;
    m->used = used + content->n;
    *out = i;
    return 0;
}

void table_remove(struct mem *m, size_t at)
{
    struct item *i = m->items[at];
    m->used -= i->content->n;
    m->n--;
    memmove(m->items + at, m->items + at + 1, (m->n - at) * sizeof *m->items);
    content_unref(i->content);
    free(i->key);
    free(i->type);
    free(i->meta);
    free(i);
}

void item_object(const struct item *i, struct object *object)
{
    object->size = i->content->n;
    object->modified = i->modified;
    object->type = i->type ? xstrdup(i->type) : NULL;
    object->meta = i->meta_n ? xmemdup(i->meta, i->meta_n) : NULL;
    object->meta_n = i->meta_n;
    snprintf(object->etag, sizeof object->etag, "m%llx", (unsigned long long)i->version);
}
