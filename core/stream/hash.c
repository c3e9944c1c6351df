/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/hash.h"

#include <string.h>

/* Under this a trip to the pool takes longer than the hashing. */
#define IN_PLACE_MAX (16 * 1024)

static void piece_work(struct job *j)
{
    struct hash_piece *piece = CONTAINER(j, struct hash_piece, job);
    digest_update(&piece->owner->digest, piece->p, piece->n);
}

static void piece_done(struct job *j)
{
    struct hash_piece *piece = CONTAINER(j, struct hash_piece, job);
    struct hash_observer *h = piece->owner;
    piece->p = NULL;
    h->lent--;
    h->sink.moved += piece->n;
    sink_answer(&h->sink, 0);
}

/* Pieces come home in any order, so the free one may be any of them. */
static struct hash_piece *free_piece(struct hash_observer *h)
{
    struct hash_piece *piece = h->pieces;
    assert(h->lent < HASH_DEPTH);
    while (piece->p)
        piece++;
    return piece;
}

static void hash_push(struct sink *k, const uint8_t *p, size_t n)
{
    struct hash_observer *h = CONTAINER(k, struct hash_observer, sink);
    if (n < IN_PLACE_MAX && !h->lent) {
        digest_update(&h->digest, p, n);
        k->moved += n;
        sink_answer(k, 0);
        return;
    }
    struct hash_piece *piece = free_piece(h);
    h->lent++;
    *piece = (struct hash_piece){h, p, n, {.work = piece_work, .done = piece_done}};
    strand_submit(&h->strand, lane_cpu(), &piece->job);
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
    .name = "hash", .depth = HASH_DEPTH, .push = hash_push, .finish = hash_finish};

void hash_observer_init(struct hash_observer *h, enum digest_alg alg)
{
    memset(h, 0, sizeof *h);
    sink_init(&h->sink, &hash_ops);
    digest_init(&h->digest, alg);
}
