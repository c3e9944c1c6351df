/* SPDX-License-Identifier: Apache-2.0
 *
 * Hex, base64 and random bytes. Pure but for random_bytes.
 */
#ifndef CRYPTO_ENCODE_H
#define CRYPTO_ENCODE_H

#include "base/span.h"

#include <stddef.h>
#include <stdint.h>

/* Lower-case; out takes 2 n bytes and a NUL. */
void hex_encode(const void *p, size_t n, char *out);
/* out takes text.n / 2 bytes. 0, or E_INVALID for odd length or other characters; both
 * cases of letters are read unless lower_only. */
int hex_decode(struct span text, bool lower_only, uint8_t *out);

/* RFC 4648: standard alphabet with padding, or url: '-' '_' without. out takes
 * base64_size(n) bytes, NUL included. Returns the length without the NUL. */
#define BASE64_SIZE(n) (((n) + 2) / 3 * 4 + 1)
size_t base64_encode(const void *p, size_t n, bool url, char *out);
/* Strict: no blanks, right padding (standard) or none (url), unused bits zero. out takes
 * text.n / 4 * 3 + 3 bytes. 0 or E_INVALID. */
int base64_decode(struct span text, bool url, uint8_t *out, size_t *out_n);

/* Cryptographically strong; ends the process if the system has none. */
void random_bytes(void *p, size_t n);

/* Compares in time that depends on n only. */
bool bytes_equal_ct(const void *a, const void *b, size_t n);

#endif
