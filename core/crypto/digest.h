/* SPDX-License-Identifier: Apache-2.0
 *
 * Digests. A struct digest is plain memory: copy it to fork a computation, drop it to
 * forget it. One thread at a time.
 *
 * The portable state of SHA-256 is the 108 bytes that Go's crypto/sha256 MarshalBinary
 * writes (and so the distribution registry's hashstates): "sha\x03", h[0..7] big-endian,
 * the 64-byte pending block (only length % 64 bytes count, the rest is zero), the length
 * in bytes as big-endian u64. SHA-512: 204 bytes, "sha\x07", 8 u64, 128-byte block, u64
 * length.
 */
#ifndef CRYPTO_DIGEST_H
#define CRYPTO_DIGEST_H

#include "base/span.h"

#include <openssl/md5.h>
#include <openssl/sha.h>

enum digest_alg { DIGEST_SHA256, DIGEST_SHA512, DIGEST_MD5, DIGEST_CRC32C, DIGEST_ALGS };

#define DIGEST_MAX 64        /* bytes of the longest result */
#define DIGEST_STATE_MAX 204 /* bytes of the longest portable state */

struct digest {
    enum digest_alg alg;
    union {
        SHA256_CTX sha256;
        SHA512_CTX sha512;
        MD5_CTX md5;
        uint32_t crc;
    } u;
};

/* "sha256", "sha512", "md5", "crc32c". 0 or E_UNSUPPORTED. */
int digest_alg_parse(struct span name, enum digest_alg *out);
const char *digest_alg_name(enum digest_alg alg);
/* Bytes of the result: 32, 64, 16, 4 (big-endian). */
size_t digest_size(enum digest_alg alg);

void digest_init(struct digest *d, enum digest_alg alg);
void digest_update(struct digest *d, const void *p, size_t n);
/* Writes digest_size bytes; d is used up. Returns their number. */
size_t digest_final(struct digest *d, uint8_t out[DIGEST_MAX]);

/* How many bytes the state covers. SHA-256 and SHA-512 only, else 0. */
uint64_t digest_length(const struct digest *d);
/* The portable state at this point; d goes on. Returns its size, or E_UNSUPPORTED for
 * algorithms without one (MD5, CRC32C). */
int digest_export(const struct digest *d, uint8_t out[DIGEST_STATE_MAX]);
/* Continues from a portable state. E_INVALID unless size, magic, length (less than 2^61)
 * and the zeros behind the pending bytes are what export writes. */
int digest_import(struct digest *d, enum digest_alg alg, const void *state, size_t n);

/* HMAC (RFC 2104) of n bytes; alg must be SHA-256, SHA-512 or MD5. Writes digest_size
 * bytes. */
void hmac(enum digest_alg alg, const void *key, size_t key_n, const void *p, size_t n,
          uint8_t out[DIGEST_MAX]);

#endif
