/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/shared.h"

#include "base/clock.h"
#include "base/list.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SHARDS 8
#define BUCKETS_FIRST 64

struct item {
    struct item *next;  /* of its bucket */
    struct list recent; /* the latest used last */
    uint64_t expires;   /* clock_now() ns; 0: never */
    uint64_t hash;
    double number;
    unsigned kind;
    uint32_t key_n, text_n;
    char bytes[]; /* key, then text */
};

struct shard {
    pthread_mutex_t lock;
    struct item **buckets;
    size_t n_buckets, n;
    struct list recent;
    size_t used, budget;
};

struct shared {
    struct list link;
    char *name;
    unsigned refs;
    struct shard shards[SHARDS];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list all = {&all, &all};

/* FNV-1a: keys are the script's own choice, and a shard is bounded whatever they are. */
static uint64_t hash_of(struct span key)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < key.n; i++)
        h = (h ^ (unsigned char)key.p[i]) * UINT64_C(0x100000001b3);
    return h ^ h >> 32;
}

static struct shard *shard_of(struct shared *d, uint64_t hash)
{
    return &d->shards[hash % SHARDS];
}

static struct item **bucket_of(struct shard *s, uint64_t hash)
{
    return &s->buckets[hash / SHARDS % s->n_buckets];
}

static size_t cost(size_t key_n, size_t text_n)
{
    return sizeof(struct item) + sizeof(struct item *) + key_n + text_n;
}

static void drop(struct shard *s, struct item *i)
{
    struct item **at = bucket_of(s, i->hash);
    while (*at != i)
        at = &(*at)->next;
    *at = i->next;
    list_remove(&i->recent);
    s->used -= cost(i->key_n, i->text_n);
    s->n--;
    free(i);
}

/* What has expired goes when it is met. What is found is the latest used. */
static struct item *find(struct shard *s, struct span key, uint64_t hash)
{
    struct item *i = *bucket_of(s, hash);
    while (i &&
           (i->hash != hash || i->key_n != key.n || memcmp(i->bytes, key.p, key.n) != 0))
        i = i->next;
    if (i && i->expires && i->expires <= clock_now()) {
        drop(s, i);
        return NULL;
    }
    if (i) {
        list_remove(&i->recent);
        list_append(&s->recent, &i->recent);
    }
    return i;
}

static void shrink(struct shard *s, size_t room)
{
    while (s->used + room > s->budget && !list_empty(&s->recent))
        drop(s, CONTAINER(s->recent.next, struct item, recent));
}

static void grow_buckets(struct shard *s)
{
    struct item **old = s->buckets;
    size_t n = s->n_buckets;
    s->n_buckets = n ? 2 * n : BUCKETS_FIRST;
    s->buckets = xalloc(s->n_buckets * sizeof *s->buckets);
    for (size_t b = 0; b < n; b++) {
        for (struct item *i = old[b], *next; i; i = next) {
            next = i->next;
            struct item **at = bucket_of(s, i->hash);
            i->next = *at;
            *at = i;
        }
    }
    free(old);
}

static void add(struct shard *s, struct span key, uint64_t hash,
                const struct shared_value *v, uint64_t ttl)
{
    size_t text_n = v->kind == SHARED_STRING ? v->text.n : 0;
    shrink(s, cost(key.n, text_n));
    if (s->n >= s->n_buckets)
        grow_buckets(s);
    struct item *i = xalloc(sizeof *i + key.n + text_n);
    i->hash = hash;
    i->kind = v->kind;
    i->number = v->number;
    i->key_n = (uint32_t)key.n;
    i->text_n = (uint32_t)text_n;
    i->expires = ttl ? clock_now() + ttl : 0;
    memcpy(i->bytes, key.p, key.n);
    if (text_n)
        memcpy(i->bytes + key.n, v->text.p, text_n);
    struct item **at = bucket_of(s, hash);
    i->next = *at;
    *at = i;
    list_init(&i->recent);
    list_append(&s->recent, &i->recent);
    s->used += cost(key.n, text_n);
    s->n++;
}

/* -- dictionaries ------------------------------------------------------------------ */

static void shard_budget(struct shard *s, size_t bytes)
{
    pthread_mutex_lock(&s->lock);
    s->budget = bytes;
    shrink(s, 0);
    pthread_mutex_unlock(&s->lock);
}

static struct shared *make(const char *name)
{
    struct shared *d = xalloc(sizeof *d);
    d->name = xstrdup(name);
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *s = &d->shards[i];
        pthread_mutex_init(&s->lock, NULL);
        list_init(&s->recent);
        grow_buckets(s);
    }
    list_init(&d->link);
    list_append(&all, &d->link);
    return d;
}

static struct shared *by_name(const char *name)
{
    for (struct list *l = all.next; l != &all; l = l->next) {
        struct shared *d = CONTAINER(l, struct shared, link);
        if (strcmp(d->name, name) == 0)
            return d;
    }
    return make(name);
}

struct shared *shared_get(const char *name, size_t size)
{
    pthread_mutex_lock(&lock);
    struct shared *d = by_name(name);
    d->refs++;
    pthread_mutex_unlock(&lock);
    for (size_t i = 0; i < SHARDS; i++)
        shard_budget(&d->shards[i], size / SHARDS);
    return d;
}

void shared_put(struct shared *d)
{
    if (!d)
        return;
    pthread_mutex_lock(&lock);
    bool last = --d->refs == 0;
    if (last)
        list_remove(&d->link);
    pthread_mutex_unlock(&lock);
    if (!last)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *s = &d->shards[i];
        while (!list_empty(&s->recent))
            drop(s, CONTAINER(s->recent.next, struct item, recent));
        free(s->buckets);
        pthread_mutex_destroy(&s->lock);
    }
    free(d->name);
    free(d);
}

/* -- what can be asked ------------------------------------------------------------- */

static struct shard *enter(struct shared *d, uint64_t hash)
{
    struct shard *s = shard_of(d, hash);
    pthread_mutex_lock(&s->lock);
    return s;
}

int shared_read(struct shared *d, struct span key, struct shared_value *out,
                char room[SHARED_VALUE_MAX])
{
    *out = (struct shared_value){.kind = SHARED_NONE};
    if (key.n > SHARED_KEY_MAX)
        return E_INVALID;
    uint64_t hash = hash_of(key);
    struct shard *s = enter(d, hash);
    const struct item *i = find(s, key, hash);
    if (i) {
        out->kind = i->kind;
        out->number = i->number;
        out->text = (struct span){room, i->text_n};
        if (i->text_n)
            memcpy(room, i->bytes + i->key_n, i->text_n);
    }
    pthread_mutex_unlock(&s->lock);
    return 0;
}

int shared_write(struct shared *d, struct span key, const struct shared_value *value,
                 uint64_t ttl, bool if_absent)
{
    int rc = 0;
    size_t text_n = value->kind == SHARED_STRING ? value->text.n : 0;
    if (key.n > SHARED_KEY_MAX)
        return E_INVALID;
    uint64_t hash = hash_of(key);
    struct shard *s = enter(d, hash);
    struct item *i = find(s, key, hash);
    if (i && if_absent)
        rc = E_EXISTS;
    else if (text_n > SHARED_VALUE_MAX || cost(key.n, text_n) > s->budget)
        rc = E_TOO_LARGE;
    if (rc == 0) {
        if (i)
            drop(s, i);
        add(s, key, hash, value, ttl);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int shared_add(struct shared *d, struct span key, double by, double initial, uint64_t ttl,
               double *out)
{
    int rc = 0;
    if (key.n > SHARED_KEY_MAX)
        return E_INVALID;
    uint64_t hash = hash_of(key);
    struct shard *s = enter(d, hash);
    struct item *i = find(s, key, hash);
    struct shared_value v = {.kind = SHARED_NUMBER, .number = initial + by};
    if (!i) {
        add(s, key, hash, &v, ttl);
        *out = v.number;
    } else if (i->kind == SHARED_NUMBER) {
        *out = i->number += by;
    } else {
        rc = E_INVALID;
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

bool shared_delete(struct shared *d, struct span key)
{
    uint64_t hash = hash_of(key);
    struct shard *s = enter(d, hash);
    struct item *i = find(s, key, hash);
    if (i)
        drop(s, i);
    pthread_mutex_unlock(&s->lock);
    return i != NULL;
}

size_t shared_used(struct shared *d)
{
    size_t used = 0;
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *s = &d->shards[i];
        pthread_mutex_lock(&s->lock);
        used += s->used;
        pthread_mutex_unlock(&s->lock);
    }
    return used;
}
