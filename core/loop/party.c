/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/party.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SHARDS 16
#define BUCKETS 2048 /* of a shard */
#define IDLE_MAX (PARTIES_IDLE / SHARDS)
#define TELL_NS NS_PER_S

struct shard {
    pthread_mutex_t lock;
    struct party *buckets[BUCKETS];
    struct list idle; /* the latest used last */
    size_t n, n_idle;
};

static struct shard shards[SHARDS];
static uint64_t secret[2]; /* so that nobody can aim at one bucket */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void prepare(void)
{
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&shards[i].lock, NULL);
        list_init(&shards[i].idle);
    }
    if (getrandom(secret, sizeof secret, GRND_NONBLOCK) != sizeof secret)
        secret[0] = clock_wall(), secret[1] = clock_now();
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_of(struct span name)
{
    uint64_t h = secret[0] ^ name.n;
    for (size_t at = 0; at < name.n; at += 8) {
        uint64_t word = 0;
        memcpy(&word, name.p + at, name.n - at < 8 ? name.n - at : 8);
        h = mix(h ^ word, secret[1] | 1);
    }
    return mix(h, UINT64_C(0x9e3779b97f4a7c15));
}

static struct shard *shard_of(uint64_t hash)
{
    return &shards[hash % SHARDS];
}

static struct party **bucket_of(struct shard *s, uint64_t hash)
{
    return &s->buckets[hash / SHARDS % BUCKETS];
}

static void forget(struct shard *s, struct party *p)
{
    struct party **at = bucket_of(s, p->hash);
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    list_remove(&p->idle);
    s->n--;
    s->n_idle--;
    free(p);
}

static struct party *find(struct shard *s, struct span name, uint64_t hash)
{
    struct party *p = *bucket_of(s, hash);
    while (p && (p->hash != hash || p->name_n != name.n ||
                 memcmp(p->name, name.p, name.n) != 0))
        p = p->next;
    return p;
}

static struct party *make(struct shard *s, struct span name, uint64_t hash)
{
    struct party *p = xalloc(sizeof *p + name.n);
    struct party **at = bucket_of(s, hash);
    p->hash = hash;
    p->name_n = (uint32_t)name.n;
    memcpy(p->name, name.p, name.n);
    list_init(&p->idle);
    p->next = *at;
    *at = p;
    s->n++;
    return p;
}

struct party *party_get(struct span name)
{
    assert(name.n <= PARTY_NAME_MAX);
    pthread_once(&once, prepare);
    uint64_t hash = hash_of(name);
    struct shard *s = shard_of(hash);
    pthread_mutex_lock(&s->lock);
    struct party *p = find(s, name, hash);
    if (!p)
        p = make(s, name, hash);
    if (p->refs++ == 0 && !list_empty(&p->idle)) {
        list_remove(&p->idle);
        s->n_idle--;
    }
    pthread_mutex_unlock(&s->lock);
    return p;
}

struct party *party_ref(struct party *p)
{
    struct shard *s = shard_of(p->hash);
    pthread_mutex_lock(&s->lock);
    p->refs++;
    pthread_mutex_unlock(&s->lock);
    return p;
}

void party_put(struct party *p)
{
    if (!p)
        return;
    struct shard *s = shard_of(p->hash);
    pthread_mutex_lock(&s->lock);
    if (--p->refs == 0) {
        list_append(&s->idle, &p->idle);
        if (++s->n_idle > IDLE_MAX)
            forget(s, CONTAINER(s->idle.next, struct party, idle));
    }
    pthread_mutex_unlock(&s->lock);
}

bool party_enter(struct party *p, unsigned most)
{
    if (atomic_fetch_add(&p->connections, 1) < most || most == 0)
        return true;
    party_leave(p);
    return false;
}

void party_leave(struct party *p)
{
    atomic_fetch_sub(&p->connections, 1);
}

bool party_may_tell(struct party *p, uint64_t now)
{
    uint64_t told = p->told;
    return (!told || now - told >= TELL_NS) &&
           atomic_compare_exchange_strong(&p->told, &told, now);
}

struct span party_network(struct span address, char room[PARTY_NAME_MAX])
{
    struct in6_addr v6;
    struct in_addr v4;
    char host[INET6_ADDRSTRLEN];
    if (address.n >= sizeof host)
        return (struct span){room, 0};
    memcpy(host, address.p, address.n);
    host[address.n] = '\0';
    if (inet_pton(AF_INET, host, &v4) == 1) {
        memcpy(room, host, address.n);
        return (struct span){room, address.n};
    }
    if (inet_pton(AF_INET6, host, &v6) != 1)
        return (struct span){room, 0};
    memset(v6.s6_addr + 8, 0, 8);
    inet_ntop(AF_INET6, &v6, host, sizeof host);
    return (struct span){room, (size_t)snprintf(room, PARTY_NAME_MAX, "%s/64", host)};
}

struct span party_address(const char *peer, char room[PARTY_NAME_MAX])
{
    bool bracket = *peer == '[';
    const char *colon = strchr(peer, ':');
    bool bare = !bracket && colon && strchr(colon + 1, ':');
    size_t n = bare ? strlen(peer) : strcspn(peer + bracket, bracket ? "]" : ":");
    return party_network((struct span){peer + bracket, n}, room);
}

size_t parties_known(void)
{
    size_t n = 0;
    pthread_once(&once, prepare);
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_lock(&shards[i].lock);
        n += shards[i].n;
        pthread_mutex_unlock(&shards[i].lock);
    }
    return n;
}

void parties_forget(void)
{
    pthread_once(&once, prepare);
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *s = &shards[i];
        pthread_mutex_lock(&s->lock);
        while (!list_empty(&s->idle))
            forget(s, CONTAINER(s->idle.next, struct party, idle));
        pthread_mutex_unlock(&s->lock);
    }
}
