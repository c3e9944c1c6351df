/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/password.h"

#include "base/base.h"
#include "crypto/encode.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX_N 7   /* "$2b$10$" */
#define DIGEST_AT 29 /* behind the salt */
#define HASH_N (PASSWORD_HASH_SIZE - 1)
#define SALT_N 16 /* bytes, before they are encoded */

/* How hashes begin that are not ours. The longer one of two that begin alike comes first.
 */
static const struct {
    const char *begin, *why;
} others[] = {
    {"$2x$", "the faulty bcrypt of before 2011 ($2x$)"},
    {"$2$", "the first bcrypt ($2$)"},
    {"$apr1$", "Apache's MD5 ($apr1$)"},
    {"$1$", "MD5-crypt ($1$)"},
    {"$5$", "SHA-256-crypt ($5$)"},
    {"$6$", "SHA-512-crypt ($6$)"},
    {"$7$", "scrypt ($7$)"},
    {"$y$", "yescrypt ($y$)"},
    {"$gy$", "yescrypt ($gy$)"},
    {"$argon2", "Argon2"},
    {"$pbkdf2", "PBKDF2"},
    {"{SHA}", "SHA-1 ({SHA})"},
    {"{SSHA}", "SHA-1 ({SSHA})"},
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '.' && c <= '9');
}

static bool are_letters(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_letter(s.p[i]))
            return false;
    return true;
}

static const char *scheme(struct span hash)
{
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (span_starts(hash, others[i].begin))
            return others[i].why;
    if (hash.n == 13 && are_letters(hash))
        return "DES-crypt";
    return "an unknown scheme, or no hash at all";
}

int password_look(struct span hash, unsigned *cost, const char **why)
{
    bool ours = span_starts(hash, "$2a$") || span_starts(hash, "$2b$") ||
                span_starts(hash, "$2y$");
    uint64_t number;
    if (!ours)
        *why = scheme(hash);
    else if (hash.n != HASH_N || hash.p[PREFIX_N - 1] != '$' ||
             span_u64((struct span){hash.p + 4, 2}, &number) != 0 ||
             !are_letters((struct span){hash.p + PREFIX_N, HASH_N - PREFIX_N}))
        *why = "a malformed bcrypt hash";
    else if (number < PASSWORD_COST_MIN || number > PASSWORD_COST_MAX)
        *why = "bcrypt of a cost that is not from 4 to 15";
    else {
        *cost = (unsigned)number;
        return 0;
    }
    return E_UNSUPPORTED;
}

/* The scratch memory is large, holds the password, and belongs to one call. */
static int compute(const char *password, const char *setting, char out[HASH_N])
{
    struct crypt_data *room = xalloc(sizeof *room);
    const char *got = crypt_r(password, setting, room);
    int rc = got && strlen(got) == HASH_N ? 0 : E_UNSUPPORTED;
    if (rc == 0)
        memcpy(out, got, HASH_N);
    explicit_bzero(room, sizeof *room);
    free(room);
    return rc;
}

static bool has_nul(struct span s)
{
    return s.n > 0 && memchr(s.p, 0, s.n) != NULL;
}

int password_verify(struct span password, struct span hash, bool *right)
{
    char setting[PASSWORD_HASH_SIZE] = "", phrase[PASSWORD_MAX + 1] = "", out[HASH_N];
    const char *why;
    unsigned cost;
    int rc = password_look(hash, &cost, &why);
    if (rc != 0)
        return rc;
    /* what cannot be a password costs as much as a wrong one */
    bool possible = password.n <= PASSWORD_MAX && !has_nul(password);
    memcpy(setting, hash.p, HASH_N);
    if (possible && password.n > 0)
        memcpy(phrase, password.p, password.n);
    rc = compute(phrase, setting, out);
    /* libcrypt may spell the last letter of the salt in its own way */
    if (rc == 0)
        *right =
            bytes_equal_ct(out + DIGEST_AT, setting + DIGEST_AT, HASH_N - DIGEST_AT) &&
            possible;
    explicit_bzero(phrase, sizeof phrase);
    explicit_bzero(out, sizeof out);
    return rc;
}

int password_hash(struct span password, unsigned cost, char out[PASSWORD_HASH_SIZE])
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE], phrase[PASSWORD_KEPT + 1] = "", salt[SALT_N];
    if (password.n > PASSWORD_KEPT)
        return E_TOO_LARGE;
    if (password.n == 0 || has_nul(password) || cost < PASSWORD_COST_MIN ||
        cost > PASSWORD_COST_MAX)
        return E_INVALID;
    random_bytes(salt, sizeof salt);
    if (!crypt_gensalt_rn("$2b$", cost, salt, sizeof salt, setting, sizeof setting))
        return E_UNSUPPORTED;
    memcpy(phrase, password.p, password.n);
    int rc = compute(phrase, setting, out);
    explicit_bzero(phrase, sizeof phrase);
    out[rc == 0 ? HASH_N : 0] = '\0';
    return rc;
}
