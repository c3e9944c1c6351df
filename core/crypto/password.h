/* SPDX-License-Identifier: Apache-2.0
 *
 * Passwords, and the hashes by which they are known: bcrypt, computed by the system's
 * libcrypt. Other schemes are refused by name: what is fast to compute is fast to guess.
 *
 * Verifying and hashing take long on purpose (61 ms of one core at cost 10 where this was
 * written, twice as long for each further step), so they belong into a job, never on a
 * worker. Their 32 KiB of scratch memory live for one call and are wiped after it.
 * Thread-safe.
 */
#ifndef CRYPTO_PASSWORD_H
#define CRYPTO_PASSWORD_H

#include "base/span.h"

/* As long a password as libcrypt takes. bcrypt looks at 72 bytes of it. */
#define PASSWORD_MAX 511
#define PASSWORD_KEPT 72

#define PASSWORD_HASH_SIZE 61 /* with the NUL */
#define PASSWORD_COST 10      /* what new hashes get unless told */
#define PASSWORD_COST_MIN 4
#define PASSWORD_COST_MAX                                                                \
    15 /* two seconds: who may ask must not be able to ask for more */

/* Is this a hash that can be verified: $2a$, $2b$ or $2y$, 60 bytes? 0 with its cost, or
 * E_UNSUPPORTED with *why, which names the scheme and holds nothing of the hash. */
int password_look(struct span hash, unsigned *cost, const char **why);

/* Whether it is the password of a hash that password_look accepts; E_UNSUPPORTED for any
 * other. A password with a NUL or more than PASSWORD_MAX bytes is nobody's. Takes equally
 * long for right and wrong ones. Blocks for that time. */
int password_verify(struct span password, struct span hash, bool *right);

/* A new hash ($2b$) with a random salt. E_TOO_LARGE past PASSWORD_KEPT bytes, because the
 * rest would count for nothing; E_INVALID for an empty password, one with a NUL, and a
 * cost out of range. Blocks. */
int password_hash(struct span password, unsigned cost, char out[PASSWORD_HASH_SIZE]);

#endif
