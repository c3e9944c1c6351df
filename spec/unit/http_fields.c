/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "http/fields.h"
#include "spec/unit/unit.h"

#include <string.h>

TEST("http fields: reads ranges")
{
    static const struct {
        const char *value;
        uint64_t size;
        int n;
        struct http_range out[4];
    } cases[] = {
        {"bytes=0-9", 100, 1, {{0, 10}}},
        {"bytes=90-", 100, 1, {{90, 10}}},
        {"bytes=-10", 100, 1, {{90, 10}}},
        {"bytes=-1000", 100, 1, {{0, 100}}},
        {"bytes=95-1000", 100, 1, {{95, 5}}},
        {"bytes=0-99999999999999999999999", 100, 1, {{0, 100}}},
        {"Bytes=0-0", 1, 1, {{0, 1}}},
        {"bytes=0-0, 9-,-2", 10, 3, {{0, 1}, {9, 1}, {8, 2}}},
        {"bytes=5-6,100-,1-2", 10, 2, {{5, 2}, {1, 2}}},
        {"bytes= 1-2 ,, 3-3", 10, 2, {{1, 2}, {3, 1}}},
        {"bytes=10-", 10, E_RANGE, {{0, 0}}},
        {"bytes=-0", 10, E_RANGE, {{0, 0}}},
        {"bytes=-5", 0, E_RANGE, {{0, 0}}},
        {"bytes=0-", 0, E_RANGE, {{0, 0}}},
        {"bytes=5-4", 10, E_RANGE, {{0, 0}}},
        {"bytes=99999999999999999999-", 10, E_RANGE, {{0, 0}}},
        {"bytes=5-4,0-1", 10, 0, {{0, 0}}},
        {"bytes=0-9,0-9", 10, 0, {{0, 0}}},
        {"bytes=0-,0-,0-", INT64_MAX, 0, {{0, 0}}},
        {"bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,10-10,11-11,12-12,13-13,14-14,"
         "15-15,16-16",
         100,
         0,
         {{0, 0}}},
        {"items=0-9", 100, 0, {{0, 0}}},
        {"bytes", 100, 0, {{0, 0}}},
        {"bytes=", 100, 0, {{0, 0}}},
        {"bytes=,", 100, 0, {{0, 0}}},
        {"bytes=-", 100, 0, {{0, 0}}},
        {"bytes=5", 100, 0, {{0, 0}}},
        {"bytes=a-b", 100, 0, {{0, 0}}},
        {"bytes=+1-2", 100, 0, {{0, 0}}},
        {"bytes=1-2-3", 100, 0, {{0, 0}}},
        {"bytes=--1", 100, 0, {{0, 0}}},
        {"bytes=1 - 2", 100, 0, {{0, 0}}},
        {"", 100, 0, {{0, 0}}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_range out[HTTP_RANGES_MAX];
        struct span value = span_of(cases[i].value);
        int n = http_ranges(&value, cases[i].size, out);
        if (n != cases[i].n)
            unit_fail(__FILE__, __LINE__, "\"%s\" gives %d", cases[i].value, n);
        for (int k = 0; k < n; k++) {
            EXPECT_EQ(out[k].offset, cases[i].out[k].offset);
            EXPECT_EQ(out[k].n, cases[i].out[k].n);
        }
    }
    EXPECT_EQ(http_ranges(NULL, 10, NULL), 0);
}

TEST("http fields: compares entity tags weakly")
{
    static const struct {
        const char *list, *etag;
        bool matches;
    } cases[] = {
        {"\"a\"", "\"a\"", true},
        {"W/\"a\"", "\"a\"", true},
        {"\"a\"", "W/\"a\"", true},
        {"*", "\"a\"", true},
        {" * ", "\"a\"", true},
        {"\"b\", \"a\"", "\"a\"", true},
        {"\"b\",W/\"c\" ,\"a\"", "\"a\"", true},
        {"\"x,\"a\"", "\"a\"", false},
        {"\"a,b\"", "\"a,b\"", true},
        {"\"b\"", "\"a\"", false},
        {"a", "\"a\"", false},
        {"\"a", "\"a\"", false},
        {"\"A\"", "\"a\"", false},
        {"w/\"a\"", "\"a\"", false},
        {"", "\"a\"", false},
        {"W/", "\"a\"", false},
        {"\"", "\"a\"", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        EXPECT_EQ(http_etag_matches(span_of(cases[i].list), span_of(cases[i].etag)),
                  cases[i].matches);
}

TEST("http fields: reads the three forms of dates")
{
    static const struct {
        const char *text;
        time_t t; /* -1: malformed */
    } cases[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"Wed Nov 16 08:49:37 1994", 784975777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Thu, 29 Feb 2024 12:00:00 GMT", 1709208000},
        {"Friday, 01-Jan-69 00:00:00 GMT", 3124224000},
        {"Thu, 30 Feb 2024 12:00:00 GMT", -1},
        {"Sun, 06 Nov 1994 24:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 08:60:37 GMT", -1},
        {"Sun, 06 Nov 1994 08:49:61 GMT", -1},
        {"Sun, 00 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 6 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 08:49:37 UTC", -1},
        {"Sun, 06 Nov 1994 08:49:37 GMT ", -1},
        {"Sun, 06 Nov 1994 08:49:37", -1},
        {"Sun Nov 6 08:49:37 1994", -1},
        {"784111777", -1},
        {"", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        time_t t = -1;
        int rc = http_date_parse(span_of(cases[i].text), &t);
        EXPECT_EQ(rc, cases[i].t == -1 ? E_INVALID : 0);
        EXPECT_EQ(t, cases[i].t);
    }
}

TEST("http fields: reads back the dates it is given to send")
{
    for (int i = 0; i < 2000; i++) {
        time_t t = (time_t)(unit_random() % 4000000000U), got;
        char text[HTTP_DATE_SIZE];
        clock_http_date(t, text);
        EXPECT_EQ(http_date_parse(span_of(text), &got), 0);
        EXPECT_EQ(got, t);
    }
}

TEST("http fields: tells tokens and values")
{
    EXPECT(http_is_token(span_of("X-a!#$%&'*+.^_`|~09")));
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;
        struct span s = {&byte, 1};
        bool mark = c && strchr("!#$%&'*+-.^_`|~", c);
        bool letter = (c | 32) >= 'a' && (c | 32) <= 'z' && c < 128;
        EXPECT_EQ(http_is_token(s), mark || letter || (c >= '0' && c <= '9'));
        EXPECT_EQ(http_is_value(s), c > 0x20 && c != 0x7f);
    }
    EXPECT(!http_is_token(span_of("")));
    EXPECT(http_is_value(span_of("")) && http_is_value(span_of("a \t b")));
    EXPECT(!http_is_value(span_of(" a")) && !http_is_value(span_of("a\t")));
    EXPECT(!http_is_value(span_of("a\r\nb: c")));
}

TEST("http fields: knows phrases")
{
    EXPECT_STR(http_phrase(200), "OK");
    EXPECT_STR(http_phrase(416), "Range Not Satisfiable");
    EXPECT_STR(http_phrase(299), "Unknown");
}
