/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include "http/forwarded.h"
#include "http/proxy.h"
#include "spec/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define ADDRESSES_4 "\xc0\0\2\1\xc0\0\2\2\x12\x67\1\xbb"
#define ADDRESSES_6 " \1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1" ADDRESSES_4 "\0\0\0\0\0\0\0\0"
#define LINE "PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n"

struct header {
    const char *p;
    size_t n;
    const char *from; /* "" speaks for itself; NULL: refused */
    int rc;
};

#define GOOD(text, from)                                                                 \
    {                                                                                    \
        text, sizeof(text) - 1, from, 0                                                  \
    }
#define BAD(text, rc)                                                                    \
    {                                                                                    \
        text, sizeof(text) - 1, NULL, rc                                                 \
    }

static const struct header headers[] = {
    GOOD(LINE, "192.0.2.1"),
    GOOD("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n", "2001:db8::1"),
    GOOD("PROXY UNKNOWN\r\n", ""),
    GOOD("PROXY UNKNOWN anything at all\r\n", ""),
    GOOD(SIGNATURE "\x21\x11\0\x0c" ADDRESSES_4, "192.0.2.1"),
    GOOD(SIGNATURE "\x21\x11\0\x10" ADDRESSES_4 "\4\0\1x", "192.0.2.1"),
    GOOD(SIGNATURE "\x21\x21\0\x24" ADDRESSES_6, "2001:db8::1"),
    GOOD(SIGNATURE "\x20\0\0\0", ""),
    GOOD(SIGNATURE "\x20\x11\0\x0c" ADDRESSES_4, ""),
    GOOD(SIGNATURE "\x20\x21\0\0", ""), /* without what it announces */
    GOOD(SIGNATURE "\x21\0\0\0", ""),
    GOOD(SIGNATURE "\x21\x12\0\x0c" ADDRESSES_4, ""), /* datagrams */
    BAD("GET / HTTP/1.1\r\n", E_INVALID),
    BAD("PROXYTCP4", E_INVALID),
    BAD("PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\n", E_INVALID),
    BAD("PROXY TCP4 192.0.2.1 192.0.2.2 4711\r\n", E_INVALID),
    BAD("PROXY TCP4 192.0.2.1 192.0.2.2 4711 443 5\r\n", E_INVALID),
    BAD("PROXY TCP4  192.0.2.1 192.0.2.2 4711 443\r\n", E_INVALID),
    BAD("PROXY TCP4 ::1 ::1 4711 443\r\n", E_INVALID),
    BAD("PROXY TCP6 192.0.2.1 192.0.2.2 4711 443\r\n", E_INVALID),
    BAD("PROXY TCP4 192.0.2.0/24 192.0.2.2 4711 443\r\n", E_INVALID),
    BAD("PROXY TCP4 192.0.2.1 192.0.2.2 65536 443\r\n", E_INVALID),
    BAD("PROXY TCP4 192.0.2.1 192.0.2.2 4711 0443\r\n", E_INVALID),
    BAD("PROXY UDP4 192.0.2.1 192.0.2.2 4711 443\r\n", E_INVALID),
    BAD("PROXY \r\n", E_INVALID),
    BAD("PROXY TCP4 192.0.2.1 192.0.2.2 4711 443                                        "
        "                            \r\n",
        E_TOO_LARGE),
    BAD(SIGNATURE "\x11\x11\0\x0c" ADDRESSES_4, E_INVALID), /* version 1 in 2's clothes */
    BAD(SIGNATURE "\x22\x11\0\x0c" ADDRESSES_4, E_INVALID),
    BAD(SIGNATURE "\x21\x41\0\x0c" ADDRESSES_4, E_INVALID),
    BAD(SIGNATURE "\x21\x13\0\x0c" ADDRESSES_4, E_INVALID),
    BAD(SIGNATURE "\x21\x11\0\x0b" ADDRESSES_4, E_INVALID),
    BAD(SIGNATURE "\x21\x11\xff\xff" ADDRESSES_4, E_TOO_LARGE),
    BAD(SIGNATURE "\x20\0\x0f\xf1", E_TOO_LARGE),
};

TEST("http proxy: reads headers of both versions, and refuses the others")
{
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        const struct header *h = &headers[i];
        struct proxy_header out;
        char from[NET_TEXT_SIZE] = "";
        ssize_t n = proxy_parse(h->p, h->n, &out);
        if (n != (h->from ? (ssize_t)h->n : h->rc))
            unit_fail(__FILE__, __LINE__, "number %zu gives %zd", i, n);
        if (!h->from)
            continue;
        if (out.told)
            net_text(&out.from, from);
        EXPECT_STR(from, h->from);
    }
}

TEST("http proxy: asks for more at every split of a good header")
{
    for (size_t i = 0; headers[i].from; i++) {
        for (size_t n = 0; n < headers[i].n; n++) {
            struct proxy_header out;
            char *copy = xmemdup(headers[i].p, n);
            char *tight = xrealloc(copy, n ? n : 1); /* a byte too far is a fault */
            EXPECT_EQ(proxy_parse(tight, n, &out), E_MORE);
            free(tight);
        }
    }
    struct proxy_header out;
    EXPECT_EQ(proxy_parse(LINE "GET /", sizeof LINE + 4, &out), sizeof LINE - 1);
}

static void parse_head(const char *lines, struct http_head *head)
{
    static char text[4096];
    int n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: g\r\n%s\r\n", lines);
    EXPECT_EQ(http_parse_head(text, (size_t)n, 0, head), n);
}

TEST("http forwarded: believes addresses up to the first that is not trusted")
{
    static const struct {
        const char *lines, *from;
        enum forwarded which;
        const char *out;
    } cases[] = {
        {"", "10.0.0.1", FORWARDED_X, "10.0.0.1"},
        {"X-Forwarded-For: 192.0.2.7\r\n", "10.0.0.1", FORWARDED_X, "192.0.2.7"},
        {"X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.1", FORWARDED_X, "192.0.2.1"},
        {"X-Forwarded-For: 192.0.2.7\r\n", "10.0.0.1", FORWARDED_NONE, "10.0.0.1"},
        {"X-Forwarded-For: 192.0.2.7\r\n", "10.0.0.1", FORWARDED_RFC, "10.0.0.1"},
        {"X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\n", "10.0.0.1", FORWARDED_X, "192.0.2.7"},
        {"X-Forwarded-For: 6.6.6.6,192.0.2.7 , 10.0.0.2\r\n", "10.0.0.1", FORWARDED_X,
         "192.0.2.7"},
        {"x-forwarded-for: 6.6.6.6, 192.0.2.7\r\nX-Forwarded-For: 10.0.0.2\r\n",
         "10.0.0.1", FORWARDED_X, "192.0.2.7"},
        {"X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", "10.0.0.1", FORWARDED_X, "10.0.0.3"},
        {"X-Forwarded-For: [2001:db8::1]:4711\r\n", "10.0.0.1", FORWARDED_X,
         "2001:db8::1"},
        {"X-Forwarded-For: 6.6.6.6, unknown\r\n", "10.0.0.1", FORWARDED_X, "10.0.0.1"},
        {"X-Forwarded-For: 6.6.6.6, , 10.0.0.2\r\n", "10.0.0.1", FORWARDED_X, "10.0.0.2"},
        {"X-Forwarded-For: unix\r\n", "10.0.0.1", FORWARDED_X, "10.0.0.1"},
        {"X-Forwarded-For: 192.0.2.7\r\n", "unix", FORWARDED_X, "192.0.2.7"},
        {"Forwarded: for=192.0.2.7\r\n", "10.0.0.1", FORWARDED_RFC, "192.0.2.7"},
        {"Forwarded: For=\"[2001:db8::1]:80\";proto=https\r\n", "10.0.0.1", FORWARDED_RFC,
         "2001:db8::1"},
        {"Forwarded: for=6.6.6.6, by=10.0.0.1; for=192.0.2.7\r\n", "10.0.0.1",
         FORWARDED_RFC, "192.0.2.7"},
        {"Forwarded: for=\"6.6.6.6, for=192.0.2.7\r\n", "10.0.0.1", FORWARDED_RFC,
         "192.0.2.7"},
        {"Forwarded: for=_hidden\r\n", "10.0.0.1", FORWARDED_RFC, "10.0.0.1"},
        {"Forwarded: proto=https\r\n", "10.0.0.1", FORWARDED_RFC, "10.0.0.1"},
    };
    struct net_range trust[2];
    EXPECT_EQ(net_range_parse(SPAN_LIT("10.0.0.0/8"), &trust[0]), 0);
    EXPECT_EQ(net_range_parse(SPAN_LIT("unix"), &trust[1]), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static struct http_head head;
        struct net_addr from;
        char text[NET_TEXT_SIZE];
        parse_head(cases[i].lines, &head);
        EXPECT_EQ(net_parse(span_of(cases[i].from), &from), 0);
        forwarded_for(&head, cases[i].which, trust, 2, &from);
        net_text(&from, text);
        if (!span_is(span_of(text), cases[i].out))
            unit_fail(__FILE__, __LINE__, "number %zu gives %s", i, text);
    }
}

TEST("http forwarded: takes the scheme of the last proxy")
{
    static const struct {
        const char *lines;
        enum forwarded which;
        bool before, after;
    } cases[] = {
        {"X-Forwarded-Proto: https\r\n", FORWARDED_X, false, true},
        {"X-Forwarded-Proto: HTTPS\r\n", FORWARDED_X, false, true},
        {"X-Forwarded-Proto: http\r\n", FORWARDED_X, true, false},
        {"X-Forwarded-Proto: https, http\r\n", FORWARDED_X, true, false},
        {"X-Forwarded-Proto: gopher\r\n", FORWARDED_X, true, true},
        {"X-Forwarded-Proto: https\r\n", FORWARDED_RFC, false, false},
        {"X-Forwarded-Proto: https\r\n", FORWARDED_NONE, false, false},
        {"Forwarded: proto=http, for=::1;proto=\"https\"\r\n", FORWARDED_RFC, false,
         true},
        {"", FORWARDED_X, true, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static struct http_head head;
        bool secure = cases[i].before;
        parse_head(cases[i].lines, &head);
        forwarded_proto(&head, cases[i].which, &secure);
        if (secure != cases[i].after)
            unit_fail(__FILE__, __LINE__, "number %zu", i);
    }
}
