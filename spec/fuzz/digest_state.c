/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the portable state of a digest: they are refused, or exported again just as
 * they came. And as content (the first byte says where it is cut): a digest that was
 * carried over by its state ends like one that was not.
 */
#include "crypto/digest.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_state(enum digest_alg alg, const uint8_t *state, size_t n)
{
    uint8_t again[DIGEST_STATE_MAX];
    struct digest d;
    if (digest_import(&d, alg, state, n) != 0)
        return;
    assert(digest_export(&d, again) == (int)n);
    assert(memcmp(state, again, n) == 0);
    digest_update(&d, state, n);
    assert(digest_final(&d, again) == digest_size(alg));
}

static void check_carried(enum digest_alg alg, const uint8_t *p, size_t n, size_t cut)
{
    uint8_t state[DIGEST_STATE_MAX], straight[DIGEST_MAX], carried[DIGEST_MAX];
    struct digest a, b;
    digest_init(&a, alg);
    digest_update(&a, p, cut);
    int size = digest_export(&a, state);
    assert(size > 0 && digest_import(&b, alg, state, (size_t)size) == 0);
    assert(digest_length(&a) == cut && digest_length(&b) == cut);
    digest_update(&a, p + cut, n - cut);
    digest_update(&b, p + cut, n - cut);
    digest_final(&a, straight);
    digest_final(&b, carried);
    assert(memcmp(straight, carried, digest_size(alg)) == 0);
}

/* A state whose form is right: the input is its length, big-endian, then its words and
 * what is pending. */
static void check_formed(enum digest_alg alg, const uint8_t *p, size_t n)
{
    uint8_t state[DIGEST_STATE_MAX] = {0};
    size_t block = alg == DIGEST_SHA256 ? 64 : 128;
    size_t size = alg == DIGEST_SHA256 ? 108 : 204;
    if (n < 8)
        return;
    size_t pending = p[7] % block, most = size - 12 - block + pending;
    memcpy(state, alg == DIGEST_SHA256 ? "sha\3" : "sha\7", 4);
    memcpy(state + 4, p + 8, n - 8 < most ? n - 8 : most);
    memcpy(state + size - 8, p, 8);
    check_state(alg, state, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const enum digest_alg algs[] = {DIGEST_SHA256, DIGEST_SHA512};
    if (n == 0)
        return 0;
    for (size_t i = 0; i < 2; i++) {
        check_state(algs[i], data, n);
        check_carried(algs[i], data, n, data[0] % (n + 1));
        check_formed(algs[i], data, n);
    }
    return 0;
}
