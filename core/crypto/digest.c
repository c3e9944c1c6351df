/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenSSL 3 hides a running digest's state behind EVP, and a portable state needs it in
 * the open. So this file, and no other, calls the low-level functions, which OpenSSL
 * keeps but deprecates; they run the same assembly as EVP.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/digest.h"

#include "base/base.h"

#include <isa-l/crc.h>
#include <string.h>

#define CRC_STEP (1 << 30)           /* ISA-L takes an int */
#define LENGTH_MAX (UINT64_MAX >> 3) /* bytes; SHA-256 counts bits in 64 bits */

#define BLOCK_MAX 128 /* of SHA-512 */

static const struct alg {
    const char *name;
    size_t size;
    size_t block; /* bytes that it takes in at once; 0: no HMAC of it */
} algs[DIGEST_ALGS] = {
    [DIGEST_SHA256] = {"sha256", 32, 64},
    [DIGEST_SHA512] = {"sha512", 64, 128},
    [DIGEST_MD5] = {"md5", 16, 64},
    [DIGEST_CRC32C] = {"crc32c", 4, 0},
};

int digest_alg_parse(struct span name, enum digest_alg *out)
{
    for (unsigned i = 0; i < DIGEST_ALGS; i++) {
        if (span_is(name, algs[i].name)) {
            *out = (enum digest_alg)i;
            return 0;
        }
    }
    return E_UNSUPPORTED;
}

const char *digest_alg_name(enum digest_alg alg)
{
    return algs[alg].name;
}

size_t digest_size(enum digest_alg alg)
{
    return algs[alg].size;
}

void digest_init(struct digest *d, enum digest_alg alg)
{
    d->alg = alg;
    switch (alg) {
    case DIGEST_SHA256:
        SHA256_Init(&d->u.sha256);
        break;
    case DIGEST_SHA512:
        SHA512_Init(&d->u.sha512);
        break;
    case DIGEST_MD5:
        MD5_Init(&d->u.md5);
        break;
    default:
        d->u.crc = ~0U;
    }
}

static uint32_t crc32c(uint32_t crc, const uint8_t *p, size_t n)
{
    while (n) {
        int step = n < CRC_STEP ? (int)n : CRC_STEP;
        /* ISA-L reads only, though its prototype lacks the const */
        crc = crc32_iscsi((unsigned char *)(uintptr_t)p, step, crc);
        p += step;
        n -= (size_t)step;
    }
    return crc;
}

void digest_update(struct digest *d, const void *p, size_t n)
{
    if (n == 0)
        return;
    switch (d->alg) {
    case DIGEST_SHA256:
        SHA256_Update(&d->u.sha256, p, n);
        break;
    case DIGEST_SHA512:
        SHA512_Update(&d->u.sha512, p, n);
        break;
    case DIGEST_MD5:
        MD5_Update(&d->u.md5, p, n);
        break;
    default:
        d->u.crc = crc32c(d->u.crc, p, n);
    }
}

static void put_be(uint8_t *out, uint64_t v, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
}

static uint64_t get_be(const uint8_t *p, size_t bytes)
{
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

size_t digest_final(struct digest *d, uint8_t out[DIGEST_MAX])
{
    switch (d->alg) {
    case DIGEST_SHA256:
        SHA256_Final(out, &d->u.sha256);
        break;
    case DIGEST_SHA512:
        SHA512_Final(out, &d->u.sha512);
        break;
    case DIGEST_MD5:
        MD5_Final(out, &d->u.md5);
        break;
    default:
        put_be(out, ~d->u.crc, 4);
    }
    return algs[d->alg].size;
}

/* OpenSSL counts bits in two halves. The high half of SHA-512's 128 bits is never
 * reached: a length in bytes fits 61 bits here. */
uint64_t digest_length(const struct digest *d)
{
    if (d->alg == DIGEST_SHA256)
        return ((uint64_t)d->u.sha256.Nh << 32 | d->u.sha256.Nl) >> 3;
    if (d->alg == DIGEST_SHA512)
        return d->u.sha512.Nl >> 3 | d->u.sha512.Nh << 61;
    return 0;
}

/* The two portable forms differ in the width of a word and of a block only. */
struct form {
    uint8_t version; /* the byte behind "sha" */
    size_t word, block;
};

static const struct form sha256_form = {3, 4, 64};
static const struct form sha512_form = {7, 8, 128};

static size_t form_size(const struct form *f)
{
    return 4 + 8 * f->word + f->block + 8;
}

int digest_export(const struct digest *d, uint8_t out[DIGEST_STATE_MAX])
{
    const struct form *f = d->alg == DIGEST_SHA256 ? &sha256_form : &sha512_form;
    const void *pending = d->alg == DIGEST_SHA256 ? (const void *)d->u.sha256.data
                                                  : (const void *)d->u.sha512.u.p;
    if (d->alg != DIGEST_SHA256 && d->alg != DIGEST_SHA512)
        return E_UNSUPPORTED;
    uint64_t length = digest_length(d);
    memset(out, 0, form_size(f));
    memcpy(out, "sha", 3);
    out[3] = f->version;
    for (size_t i = 0; i < 8; i++)
        put_be(out + 4 + i * f->word,
               d->alg == DIGEST_SHA256 ? d->u.sha256.h[i] : d->u.sha512.h[i], f->word);
    memcpy(out + 4 + 8 * f->word, pending, length % f->block);
    put_be(out + 4 + 8 * f->word + f->block, length, 8);
    return (int)form_size(f);
}

int digest_import(struct digest *d, enum digest_alg alg, const void *state, size_t n)
{
    const struct form *f = alg == DIGEST_SHA256 ? &sha256_form : &sha512_form;
    const uint8_t *p = state;
    if (alg != DIGEST_SHA256 && alg != DIGEST_SHA512)
        return E_UNSUPPORTED;
    if (n != form_size(f) || memcmp(p, "sha", 3) != 0 || p[3] != f->version)
        return E_INVALID;
    const uint8_t *pending = p + 4 + 8 * f->word;
    uint64_t length = get_be(pending + f->block, 8);
    size_t part = length % f->block;
    if (length > LENGTH_MAX)
        return E_INVALID;
    for (size_t i = part; i < f->block; i++)
        if (pending[i] != 0)
            return E_INVALID;
    digest_init(d, alg);
    if (alg == DIGEST_SHA256) {
        for (size_t i = 0; i < 8; i++)
            d->u.sha256.h[i] = (SHA_LONG)get_be(p + 4 + i * 4, 4);
        memcpy(d->u.sha256.data, pending, part);
        d->u.sha256.num = (unsigned)part;
        d->u.sha256.Nl = (SHA_LONG)(length << 3);
        d->u.sha256.Nh = (SHA_LONG)(length >> 29);
    } else {
        for (size_t i = 0; i < 8; i++)
            d->u.sha512.h[i] = get_be(p + 4 + i * 8, 8);
        memcpy(d->u.sha512.u.p, pending, part);
        d->u.sha512.num = (unsigned)part;
        d->u.sha512.Nl = length << 3;
        d->u.sha512.Nh = length >> 61;
    }
    return 0;
}

/* One half of an HMAC: the digest of the key, padded and masked, and of what follows. */
static void hmac_half(enum digest_alg alg, const uint8_t block[BLOCK_MAX], uint8_t mask,
                      const void *p, size_t n, uint8_t out[DIGEST_MAX])
{
    struct digest d;
    uint8_t pad[BLOCK_MAX];
    for (size_t i = 0; i < BLOCK_MAX; i++)
        pad[i] = block[i] ^ mask;
    digest_init(&d, alg);
    digest_update(&d, pad, algs[alg].block);
    digest_update(&d, p, n);
    digest_final(&d, out);
    explicit_bzero(pad, sizeof pad);
}

/* By the functions above: OpenSSL's HMAC looks the digest up by name each time, which takes
 * ten times as long as a short message. */
void hmac(enum digest_alg alg, const void *key, size_t key_n, const void *p, size_t n,
          uint8_t out[DIGEST_MAX])
{
    uint8_t block[BLOCK_MAX] = {0}, inner[DIGEST_MAX];
    assert(algs[alg].block);
    if (key_n > algs[alg].block) {
        struct digest d;
        digest_init(&d, alg);
        digest_update(&d, key, key_n);
        digest_final(&d, block);
    } else if (key_n) {
        memcpy(block, key, key_n);
    }
    hmac_half(alg, block, 0x36, p, n, inner);
    hmac_half(alg, block, 0x5c, inner, algs[alg].size, out);
    explicit_bzero(block, sizeof block);
}
