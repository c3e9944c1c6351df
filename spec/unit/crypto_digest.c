/* SPDX-License-Identifier: Apache-2.0
 *
 * Known answers: FIPS 180-4 and RFC 1321 examples, RFC 3720 B.4 for CRC32C, RFC 4231 for
 * HMAC.
 */
#include "spec/unit/unit.h"

#include "base/base.h"
#include "crypto/crypto.h"

#include <openssl/hmac.h>
#include <string.h>

static const char *hex_of(const uint8_t *p, size_t n)
{
    static char text[2 * DIGEST_STATE_MAX + 1];
    hex_encode(p, n, text);
    return text;
}

static const char *digest_text(enum digest_alg alg, const void *p, size_t n)
{
    struct digest d;
    uint8_t out[DIGEST_MAX];
    digest_init(&d, alg);
    digest_update(&d, p, n);
    return hex_of(out, digest_final(&d, out));
}

TEST("crypto: digests give the known answers")
{
    static const struct {
        enum digest_alg alg;
        const char *in, *want;
    } table[] = {
        {DIGEST_SHA256, "",
         "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {DIGEST_SHA256, "abc",
         "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {DIGEST_SHA512, "abc",
         "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
         "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
        {DIGEST_MD5, "abc", "900150983cd24fb0d6963f7d28e17f72"},
        {DIGEST_CRC32C, "123456789", "e3069283"},
        {DIGEST_CRC32C, "", "00000000"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        EXPECT_STR(digest_text(table[i].alg, table[i].in, strlen(table[i].in)),
                   table[i].want);
    uint8_t zeros[32] = {0};
    EXPECT_STR(digest_text(DIGEST_CRC32C, zeros, sizeof zeros), "8a9136aa");
}

TEST("crypto: algorithm names are read exactly")
{
    enum digest_alg alg = DIGEST_ALGS;
    EXPECT_EQ(digest_alg_parse(SPAN_LIT("sha512"), &alg), 0);
    EXPECT_EQ(alg, DIGEST_SHA512);
    EXPECT_EQ(digest_alg_parse(SPAN_LIT("SHA512"), &alg), E_UNSUPPORTED);
    EXPECT_EQ(digest_alg_parse(SPAN_LIT("sha"), &alg), E_UNSUPPORTED);
    EXPECT_EQ(digest_size(DIGEST_SHA512), 64);
    EXPECT_STR(digest_alg_name(DIGEST_CRC32C), "crc32c");
}

static void split_and_carry(enum digest_alg alg, size_t state_n)
{
    uint8_t text[300], state[DIGEST_STATE_MAX], out[DIGEST_MAX];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)unit_random();
    for (size_t cut = 0; cut <= sizeof text; cut++) {
        struct digest a, b;
        char want[2 * DIGEST_MAX + 1];
        digest_init(&a, alg);
        digest_update(&a, text, cut);
        EXPECT_EQ(digest_export(&a, state), state_n);
        EXPECT_EQ(digest_import(&b, alg, state, state_n), 0);
        EXPECT_EQ(digest_length(&b), cut);
        digest_update(&b, text + cut, sizeof text - cut);
        strcpy(want, digest_text(alg, text, sizeof text));
        EXPECT_STR(hex_of(out, digest_final(&b, out)), want);
    }
}

TEST("crypto: a state carries a SHA-256 over at every split")
{
    split_and_carry(DIGEST_SHA256, 108);
}

TEST("crypto: a state carries a SHA-512 over at every split")
{
    split_and_carry(DIGEST_SHA512, 204);
}

TEST("crypto: a state is what Go's crypto/sha256 marshals")
{
    /* after 100 bytes of 'a': magic, h after one block, 36 pending bytes, zeros, length
     */
    struct digest d;
    uint8_t state[DIGEST_STATE_MAX];
    char text[100];
    memset(text, 'a', sizeof text);
    digest_init(&d, DIGEST_SHA256);
    EXPECT_EQ(digest_export(&d, state), 108);
    EXPECT_STR(
        hex_of(state, 36),
        "736861036a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19");
    digest_update(&d, text, sizeof text);
    EXPECT_EQ(digest_export(&d, state), 108);
    EXPECT(memcmp(state + 36, text, 36) == 0);
    for (size_t i = 72; i < 100; i++)
        EXPECT_EQ(state[i], 0);
    EXPECT_STR(hex_of(state + 100, 8), "0000000000000064");
}

TEST("crypto: a damaged state is refused")
{
    struct digest d;
    uint8_t state[DIGEST_STATE_MAX];
    digest_init(&d, DIGEST_SHA256);
    digest_update(&d, "abc", 3);
    EXPECT_EQ(digest_export(&d, state), 108);
    EXPECT_EQ(digest_import(&d, DIGEST_SHA512, state, 108), E_INVALID);
    EXPECT_EQ(digest_import(&d, DIGEST_SHA256, state, 107), E_INVALID);
    EXPECT_EQ(digest_import(&d, DIGEST_MD5, state, 108), E_UNSUPPORTED);
    static const size_t faults[] = {0, 3, 36 + 3, 36 + 63, 100};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        state[faults[i]] ^= 0x80;
        EXPECT_EQ(digest_import(&d, DIGEST_SHA256, state, 108), E_INVALID);
        state[faults[i]] ^= 0x80;
    }
    EXPECT_EQ(digest_import(&d, DIGEST_SHA256, state, 108), 0);
}

TEST("crypto: lengths past 512 MiB survive a state")
{
    struct digest d;
    uint8_t state[108] = "sha\x03";
    state[100 + 2] = 0x12; /* 0x120000000000 bytes, a multiple of the block */
    EXPECT_EQ(digest_import(&d, DIGEST_SHA256, state, sizeof state), 0);
    EXPECT_EQ(digest_length(&d), INT64_C(0x120000000000));
    uint8_t again[DIGEST_STATE_MAX];
    digest_export(&d, again);
    EXPECT(memcmp(again, state, sizeof state) == 0);
}

/* SHA-256 counts bits in 64 bits. */
TEST("crypto: a state is of less than 2^61 bytes")
{
    static const struct {
        enum digest_alg alg;
        size_t n;
        char magic[5];
    } cases[] = {{DIGEST_SHA256, 108, "sha\x03"}, {DIGEST_SHA512, 204, "sha\x07"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct digest d;
        uint8_t state[DIGEST_STATE_MAX] = {0}, again[DIGEST_STATE_MAX];
        size_t n = cases[i].n;
        memcpy(state, cases[i].magic, 4);
        state[n - 8] = 0x1f;
        EXPECT_EQ(digest_import(&d, cases[i].alg, state, n), 0);
        EXPECT_EQ(digest_export(&d, again), n);
        EXPECT(memcmp(again, state, n) == 0);
        state[n - 8] = 0x20;
        EXPECT_EQ(digest_import(&d, cases[i].alg, state, n), E_INVALID);
    }
}

TEST("crypto: HMAC gives the known answers")
{
    uint8_t key[20], out[DIGEST_MAX];
    memset(key, 0x0b, sizeof key);
    hmac(DIGEST_SHA256, key, sizeof key, "Hi There", 8, out);
    EXPECT_STR(hex_of(out, 32),
               "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    hmac(DIGEST_SHA256, "", 0, "", 0, out);
    EXPECT_STR(hex_of(out, 32),
               "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST("crypto: HMAC is OpenSSL's, for keys and texts of every length")
{
    uint8_t key[300], text[300], got[DIGEST_MAX], want[DIGEST_MAX];
    const EVP_MD *mds[] = {EVP_sha256(), EVP_sha512(), EVP_md5()};
    const enum digest_alg ours[] = {DIGEST_SHA256, DIGEST_SHA512, DIGEST_MD5};
    for (size_t i = 0; i < sizeof key; i++) {
        key[i] = (uint8_t)unit_random();
        text[i] = (uint8_t)unit_random();
    }
    for (size_t n = 0; n <= sizeof key; n++) {
        for (size_t a = 0; a < 3; a++) {
            size_t text_n = unit_random() % sizeof text;
            HMAC(mds[a], key, (int)n, text, text_n, want, NULL);
            hmac(ours[a], key, n, text, text_n, got);
            EXPECT(memcmp(got, want, digest_size(ours[a])) == 0);
        }
    }
}
