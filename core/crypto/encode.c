/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64 is small enough to be strict by hand: OpenSSL's decoder skips blanks and
 * forgives padding, and knows no URL alphabet.
 */
#include "crypto/encode.h"

#include "base/base.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

void hex_encode(const void *p, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *in = p;
    for (size_t i = 0; i < n; i++) {
        *out++ = digits[in[i] >> 4];
        *out++ = digits[in[i] & 15];
    }
    *out = '\0';
}

static int hex_value(char c, bool lower_only)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F' && !lower_only)
        return c - 'A' + 10;
    return -1;
}

int hex_decode(struct span text, bool lower_only, uint8_t *out)
{
    if (text.n % 2)
        return E_INVALID;
    for (size_t i = 0; i < text.n; i += 2) {
        int high = hex_value(text.p[i], lower_only);
        int low = hex_value(text.p[i + 1], lower_only);
        if (high < 0 || low < 0)
            return E_INVALID;
        out[i / 2] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

static const char alphabets[2][65] = {
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

size_t base64_encode(const void *p, size_t n, bool url, char *out)
{
    const uint8_t *in = p;
    const char *alphabet = alphabets[url];
    char *o = out;
    for (size_t i = 0; i < n; i += 3) {
        size_t have = n - i < 3 ? n - i : 3;
        uint32_t v = (uint32_t)in[i] << 16;
        v |= have > 1 ? (uint32_t)in[i + 1] << 8 : 0;
        v |= have > 2 ? in[i + 2] : 0;
        for (size_t k = 0; k < 4; k++) {
            if (k <= have)
                *o++ = alphabet[v >> (18 - 6 * k) & 63];
            else if (!url)
                *o++ = '=';
        }
    }
    *o = '\0';
    return (size_t)(o - out);
}

static int base64_value(char c, bool url)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == alphabets[url][62])
        return 62;
    if (c == alphabets[url][63])
        return 63;
    return -1;
}

int base64_decode(struct span text, bool url, uint8_t *out, size_t *out_n)
{
    size_t n = text.n;
    uint32_t bits = 0;
    unsigned have = 0;
    uint8_t *o = out;
    if (!url) {
        if (n % 4)
            return E_INVALID;
        for (int i = 0; i < 2 && n && text.p[n - 1] == '='; i++)
            n--;
    }
    if (n % 4 == 1)
        return E_INVALID;
    for (size_t i = 0; i < n; i++) {
        int v = base64_value(text.p[i], url);
        if (v < 0)
            return E_INVALID;
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            *o++ = (uint8_t)(bits >> have);
        }
    }
    if (bits & ((1U << have) - 1))
        return E_INVALID;
    *out_n = (size_t)(o - out);
    return 0;
}

void random_bytes(void *p, size_t n)
{
    char *at = p;
    while (n) {
        ssize_t got = getrandom(at, n, 0);
        if (got <= 0) {
            fprintf(stderr, "tidegate: the system gives no random bytes\n");
            abort();
        }
        at += got;
        n -= (size_t)got;
    }
}

bool bytes_equal_ct(const void *a, const void *b, size_t n)
{
    return CRYPTO_memcmp(a, b, n) == 0;
}
