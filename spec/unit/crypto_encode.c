/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/unit.h"

#include "base/base.h"
#include "crypto/encode.h"

#include <string.h>

TEST("crypto: base64 round trips in both alphabets")
{
    uint8_t in[64], back[BASE64_SIZE(64)];
    char text[BASE64_SIZE(64)];
    for (size_t n = 0; n <= sizeof in; n++) {
        for (int url = 0; url < 2; url++) {
            size_t got = 0;
            for (size_t i = 0; i < n; i++)
                in[i] = (uint8_t)unit_random();
            size_t length = base64_encode(in, n, url, text);
            EXPECT_EQ(length, strlen(text));
            EXPECT_EQ(base64_decode(span_of(text), url, back, &got), 0);
            EXPECT_EQ(got, n);
            EXPECT(memcmp(back, in, n) == 0);
        }
    }
}

TEST("crypto: base64 gives the known answers and refuses the rest")
{
    static const struct {
        const char *text;
        bool url;
        const char *want; /* NULL: refused */
    } table[] = {
        {"", false, ""},        {"Zg==", false, "f"},   {"Zm8=", false, "fo"},
        {"Zm9v", false, "foo"}, {"Zg", true, "f"},      {"Zm8", true, "fo"},
        {"Zg", false, NULL},    {"Zg=", false, NULL},   {"Zg==", true, NULL},
        {"Zh==", false, NULL},  {"Zm9", true, NULL},    {"Z", true, NULL},
        {"Zm 9v", false, NULL}, {"Zm9v\n", true, NULL}, {"====", false, NULL},
        {"-_-_", false, NULL},  {"+/+/", true, NULL},   {"Zg==Zg==", false, NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint8_t out[32];
        size_t n = 0;
        int rc = base64_decode(span_of(table[i].text), table[i].url, out, &n);
        EXPECT_EQ(rc, table[i].want ? 0 : E_INVALID);
        if (table[i].want) {
            EXPECT_EQ(n, strlen(table[i].want));
            EXPECT(memcmp(out, table[i].want, n) == 0);
        }
    }
}

TEST("crypto: hex is read strictly")
{
    uint8_t out[4];
    char text[9];
    EXPECT_EQ(hex_decode(SPAN_LIT("00ff1aB2"), false, out), 0);
    hex_encode(out, 4, text);
    EXPECT_STR(text, "00ff1ab2");
    EXPECT_EQ(hex_decode(SPAN_LIT("1B"), true, out), E_INVALID);
    EXPECT_EQ(hex_decode(SPAN_LIT("123"), false, out), E_INVALID);
    EXPECT_EQ(hex_decode(SPAN_LIT("0x"), false, out), E_INVALID);
}
