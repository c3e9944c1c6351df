/* SPDX-License-Identifier: Apache-2.0
 *
 * The observer that computes a digest. Large pieces are hashed on the pool, small ones in
 * place. It takes several at once: a piece takes less than a millisecond, and to wait for the
 * next one by way of the worker would cost a fifth of that.
 */
#ifndef STREAM_HASH_H
#define STREAM_HASH_H

#include "crypto/digest.h"
#include "loop/job.h"
#include "stream/sink.h"

#define HASH_DEPTH 4 /* pieces at once; a pipe has no more chunks */

struct hash_piece {
    struct hash_observer *owner;
    const uint8_t *p; /* NULL: it is free */
    size_t n;
    struct job job;
};

struct hash_observer {
    struct sink sink;
    struct digest digest; /* start it by digest_init or digest_import; while no push is
                             outstanding, a copy of it is the state at that point */
    bool expects;         /* finish answers E_MISMATCH unless the result is `expected` */
    uint8_t expected[DIGEST_MAX];
    uint8_t result[DIGEST_MAX]; /* after a finish; digest keeps the state before it */
    /* its own */
    struct hash_piece pieces[HASH_DEPTH];
    size_t lent; /* of them */
    struct strand strand;
};

void hash_observer_init(struct hash_observer *h, enum digest_alg alg);

#endif
