/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/unit.h"

#include "base/base.h"
#include "crypto/password.h"

#include <stdio.h>
#include <string.h>

/* Published vectors of bcrypt, and what is near to them. */
static const struct {
    const char *hash, *password;
    bool right;
} vectors[] = {
    {"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U", true},
    {"$2b$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK", "U*U*", true},
    {"$2y$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a", "U*U*U", true},
    {"$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy", "", true},
    {"$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui",
     "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
     "chars after 72 are ignored",
     true},
    {"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "u*u", false},
    {"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "", false},
    {"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeX", "U*U", false},
};

TEST("crypto: bcrypt knows the right password from others")
{
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        bool right = !vectors[i].right;
        EXPECT_EQ(password_verify(span_of(vectors[i].password), span_of(vectors[i].hash),
                                  &right),
                  0);
        EXPECT_EQ(right, vectors[i].right);
    }
}

TEST("crypto: what cannot be a password is nobody's")
{
    char out[PASSWORD_HASH_SIZE], longest[PASSWORD_MAX + 1];
    bool right = true;
    EXPECT_EQ(password_hash(SPAN_LIT("half"), 4, out), 0);
    EXPECT_EQ(password_verify(SPAN_LIT("half\0and more"), span_of(out), &right), 0);
    EXPECT(!right);
    memset(longest, 'x', sizeof longest);
    EXPECT_EQ(password_hash((struct span){longest, PASSWORD_KEPT}, 4, out), 0);
    EXPECT_EQ(password_verify((struct span){longest, PASSWORD_MAX}, span_of(out), &right),
              0);
    EXPECT(right);
    EXPECT_EQ(
        password_verify((struct span){longest, PASSWORD_MAX + 1}, span_of(out), &right),
        0);
    EXPECT(!right);
}

TEST("crypto: a new hash is salted and has its cost")
{
    char a[PASSWORD_HASH_SIZE], b[PASSWORD_HASH_SIZE];
    const char *why;
    unsigned cost = 0;
    bool right = false;
    EXPECT_EQ(password_hash(SPAN_LIT("secret"), 5, a), 0);
    EXPECT_EQ(password_hash(SPAN_LIT("secret"), 5, b), 0);
    EXPECT(strcmp(a, b) != 0);
    EXPECT_EQ(password_look(span_of(a), &cost, &why), 0);
    EXPECT_EQ(cost, 5);
    EXPECT_EQ(password_verify(SPAN_LIT("secret"), span_of(b), &right), 0);
    EXPECT(right);
}

TEST("crypto: refuses passwords that cannot be hashed whole")
{
    char out[PASSWORD_HASH_SIZE], text[PASSWORD_KEPT + 1] = "";
    memset(text, 'x', sizeof text);
    EXPECT_EQ(password_hash((struct span){text, sizeof text}, 4, out), E_TOO_LARGE);
    EXPECT_EQ(password_hash(SPAN_LIT(""), 4, out), E_INVALID);
    EXPECT_EQ(password_hash(SPAN_LIT("a\0b"), 4, out), E_INVALID);
    EXPECT_EQ(password_hash(SPAN_LIT("a"), 3, out), E_INVALID);
    EXPECT_EQ(password_hash(SPAN_LIT("a"), 16, out), E_INVALID);
}

TEST("crypto: names the scheme of a hash that it does not verify")
{
    static const struct {
        const char *hash, *why;
    } table[] = {
        {"$apr1$salt$digest", "Apache's MD5 ($apr1$)"},
        {"$1$abc$OGyl6dDvZCDiGmIVbeuCq/", "MD5-crypt ($1$)"},
        {"$6$x$y", "SHA-512-crypt ($6$)"},
        {"$y$j9T$x$y", "yescrypt ($y$)"},
        {"$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
         "the faulty bcrypt of before 2011 ($2x$)"},
        {"{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "SHA-1 ({SHA})"},
        {"rl.3StKT.4T8M", "DES-crypt"},
        {"secret", "an unknown scheme, or no hash at all"},
        {"", "an unknown scheme, or no hash at all"},
        {"$2b$05$short", "a malformed bcrypt hash"},
        {"$2b$5$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeWx",
         "a malformed bcrypt hash"},
        {"$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe:",
         "a malformed bcrypt hash"},
        {"$2b$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
         "bcrypt of a cost that is not from 4 to 15"},
        {"$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
         "bcrypt of a cost that is not from 4 to 15"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const char *why = "";
        unsigned cost;
        bool right;
        EXPECT_EQ(password_look(span_of(table[i].hash), &cost, &why), E_UNSUPPORTED);
        EXPECT_STR(why, table[i].why);
        EXPECT_EQ(password_verify(SPAN_LIT("U*U"), span_of(table[i].hash), &right),
                  E_UNSUPPORTED);
    }
}

/* Every cut of a good hash, against an unreadable page, is refused without a look behind
 * its end. */
TEST("crypto: a cut hash is no hash")
{
    const char *whole = vectors[0].hash;
    for (size_t n = 0; n < PASSWORD_HASH_SIZE - 1; n++) {
        const char *why;
        unsigned cost;
        struct span cut = {unit_guarded(whole, n), n};
        EXPECT_EQ(password_look(cut, &cost, &why), E_UNSUPPORTED);
    }
}
