/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/hash.h"

#include <string.h>

/* Under this a trip to the pool takes longer than the hashing. */
#define IN_PLACE_MAX (16 * 1024)

static void hash_work(struct job *j)
{
    struct hash_observer *h = CONTAINER(j, struct hash_observer, job);
    digest_update(&h->digest, h->p, h->n);
}

static void hash_done(struct job *j)
{
    struct hash_observer *h = CONTAINER(j, struct hash_observer, job);
    h->sink.moved += h->n;
    sink_answer(&h->sink, 0);
}

static void hash_push(struct sink *k, const uint8_t *p, size_t n)
{
    struct hash_observer *h = CONTAINER(k, struct hash_observer, sink);
    if (n < IN_PLACE_MAX) {
        digest_update(&h->digest, p, n);
        k->moved += n;
        sink_answer(k, 0);
        return;
    }
    h->p = p;
    h->n = n;
    job_submit(lane_cpu(), &h->job);
}

static void hash_finish(struct sink *k)
{
    struct hash_observer *h = CONTAINER(k, struct hash_observer, sink);
    struct digest end = h->digest;
    size_t n = digest_final(&end, h->result);
    bool agrees = !h->expects || memcmp(h->result, h->expected, n) == 0;
    sink_answer(k, agrees ? 0 : E_MISMATCH);
}

static const struct sink_ops hash_ops = {
    .name = "hash", .push = hash_push, .finish = hash_finish};

void hash_observer_init(struct hash_observer *h, enum digest_alg alg)
{
    memset(h, 0, sizeof *h);
    sink_init(&h->sink, &hash_ops);
    digest_init(&h->digest, alg);
    h->job = (struct job){.work = hash_work, .done = hash_done};
}
