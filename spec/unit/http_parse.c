/* SPDX-License-Identifier: Apache-2.0 */
#include "http/parse.h"
#include "spec/unit/unit.h"

#include <stdio.h>
#include <string.h>

#define HOST "Host: h\r\n"

static const char *const valid[] = {
    "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET /v2/a%20b/tags/list?n=1&last=x HTTP/1.1\r\nHost: example.com:5000\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n",
    "PUT /x HTTP/1.1\r\nhOST: [::1]:80\r\ncontent-LENGTH:  42 \t\r\n\r\n",
    "PATCH /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST /x HTTP/1.1\r\nHost: h\r\nTRANSFER-ENCODING:CHUNKED\r\n\r\n",
    "PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 9223372036854775807\r\n\r\n",
    "PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 0005\r\nExpect: 100-Continue\r\n\r\n",
    "ABCDEFGHIJKLMNOP /?? HTTP/1.1\r\nHost: h\r\nEmpty:\r\nX: \t a\tb \xc3\xa9\t\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
};
#define N_VALID (sizeof valid / sizeof valid[0])

static bool same(const struct http_head *a, const struct http_head *b)
{
    bool equal = span_eq(a->method, b->method) && span_eq(a->target, b->target) &&
                 span_eq(a->path, b->path) && span_eq(a->query, b->query) &&
                 a->minor == b->minor && a->n_headers == b->n_headers &&
                 a->has_length == b->has_length && a->chunked == b->chunked &&
                 a->expects_continue == b->expects_continue &&
                 a->keep_alive == b->keep_alive && a->length == b->length;
    for (size_t i = 0; equal && i < a->n_headers; i++)
        equal = span_eq(a->headers[i].name, b->headers[i].name) &&
                span_eq(a->headers[i].value, b->headers[i].value);
    return equal;
}

static bool inside(struct span s, const char *buf, size_t n)
{
    return s.n == 0 || (s.p >= buf && s.p + s.n <= buf + n);
}

/* What must hold for any input at all. */
static void check_any(const char *buf, size_t n)
{
    static struct http_head h;
    ssize_t used = http_parse_head(buf, n, 0, &h);
    if (used <= 0) {
        EXPECT(used == E_MORE || http_is_fault((int)used));
        return;
    }
    EXPECT(used <= HTTP_HEAD_MAX && (size_t)used <= n);
    EXPECT(inside(h.method, buf, (size_t)used) && inside(h.target, buf, (size_t)used));
    EXPECT(inside(h.path, buf, (size_t)used) && inside(h.query, buf, (size_t)used));
    EXPECT(h.n_headers <= HTTP_HEADERS_MAX && !(h.has_length && h.chunked));
    for (size_t i = 0; i < h.n_headers; i++) {
        EXPECT(inside(h.headers[i].name, buf, (size_t)used));
        EXPECT(inside(h.headers[i].value, buf, (size_t)used));
    }
    for (size_t cut = 0; cut < (size_t)used; cut++)
        EXPECT_EQ(http_parse_head(buf, cut, 0, &h), E_MORE);
}

TEST("http parse: reads a head")
{
    static struct http_head h;
    const char *text =
        "PUT /a%20b/c?n=1&m=?2 HTTP/1.1\r\nHost: example.com\r\nX-Empty:\r\n"
        "Content-Length: 12\r\nx-two: a \t b\t\r\nX-TWO: second\r\n"
        "Expect: 100-continue\r\nConnection: close\r\n\r\nbody behind";
    EXPECT_EQ(http_parse_head(text, strlen(text), 0, &h), strlen(text) - 11);
    EXPECT(span_is(h.method, "PUT") && span_is(h.target, "/a%20b/c?n=1&m=?2"));
    EXPECT(span_is(h.path, "/a%20b/c") && span_is(h.query, "n=1&m=?2"));
    EXPECT_EQ(h.minor, 1);
    EXPECT_EQ(h.n_headers, 7);
    EXPECT(h.has_length && h.length == 12 && !h.chunked);
    EXPECT(h.expects_continue && !h.keep_alive);
    EXPECT(span_is(*http_header(&h, "X-Two"), "a \t b"));
    EXPECT(span_is(*http_header(&h, "x-empty"), ""));
    EXPECT(http_header(&h, "x-absent") == NULL);
    EXPECT(span_is(h.headers[3].name, "x-two"));
}

TEST("http parse: has no query without a question mark")
{
    static struct http_head h;
    const char *text = "GET /? HTTP/1.1\r\n" HOST "\r\n";
    EXPECT(http_parse_head(text, strlen(text), 0, &h) > 0);
    EXPECT(h.query.p != NULL && h.query.n == 0);
    text = valid[0];
    EXPECT(http_parse_head(text, strlen(text), 0, &h) > 0);
    EXPECT(h.query.p == NULL);
}

TEST("http parse: keeps alive by version and Connection")
{
    static const struct {
        int minor;
        const char *connection;
        bool keep;
    } cases[] = {
        {1, "", true},
        {0, "", false},
        {1, "Connection: close\r\n", false},
        {1, "Connection: Keep-Alive, CLOSE\r\n", false},
        {1, "Connection: keep-alive\r\nConnection: x ,close\r\n", false},
        {0, "Connection: Keep-Alive\r\n", true},
        {0, "Connection: closed\r\n", false},
        {1, "Connection: closed\r\n", true},
        {0, "Connection: keep-alive, close\r\n", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static struct http_head h;
        char text[200];
        int n = snprintf(text, sizeof text, "GET / HTTP/1.%d\r\n" HOST "%s\r\n",
                         cases[i].minor, cases[i].connection);
        EXPECT_EQ(http_parse_head(text, (size_t)n, 0, &h), n);
        EXPECT_EQ(h.keep_alive, cases[i].keep);
    }
}

TEST("http parse: answers the same wherever a head is split")
{
    static struct http_head whole, h;
    for (size_t i = 0; i < N_VALID; i++) {
        size_t n = strlen(valid[i]);
        EXPECT_EQ(http_parse_head(valid[i], n, 0, &whole), n);
        for (size_t cut = 0; cut < n; cut++) {
            EXPECT_EQ(http_parse_head(valid[i], cut, 0, &h), E_MORE);
            for (size_t more = cut; more < n; more++)
                EXPECT_EQ(http_parse_head(valid[i], more, cut, &h), E_MORE);
            EXPECT_EQ(http_parse_head(valid[i], n, cut, &h), n);
            EXPECT(same(&h, &whole));
        }
    }
}

TEST("http parse: reads nothing past the end")
{
    for (size_t i = 0; i < N_VALID; i++) {
        size_t n = strlen(valid[i]);
        for (size_t cut = 0; cut <= n; cut += cut < n - 8 ? 5 : 1) {
            static struct http_head h;
            char *p = unit_guarded(valid[i], cut);
            EXPECT_EQ(http_parse_head(p, cut, 0, &h), cut == n ? (ssize_t)n : E_MORE);
        }
    }
}

TEST("http parse: leaves what follows the head alone")
{
    for (size_t i = 0; i < N_VALID; i++) {
        static struct http_head h;
        char text[512];
        int n = snprintf(text, sizeof text, "%s\n\r\nGET \x16", valid[i]);
        EXPECT_EQ(http_parse_head(text, (size_t)n, 0, &h), strlen(valid[i]));
    }
}

static const struct {
    int fault;
    const char *text;
} broken[] = {
    /* 1: line ends */
    {HTTP_FAULT_LINE_END, "GET / HTTP/1.1\nHost: h\r\n\r\n"},
    {HTTP_FAULT_LINE_END, "GET / HTTP/1.1\r\nHost: h\n\r\n"},
    {HTTP_FAULT_LINE_END, "GET / HTTP/1.1\r\nHost: h\r\n\n"},
    {HTTP_FAULT_LINE_END, "GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n"},
    {HTTP_FAULT_LINE_END, "GET / HTTP/1.1\r\n" HOST "X: a\r\r\n\r\n"},
    {HTTP_FAULT_LINE_END, "GET / HTTP/1.1\r\n" HOST "\rX: a\r\n\r\n"},
    {HTTP_FAULT_LINE_END, "GET / HTTP/1.1\rX: y\r\n" HOST "\r\n"},
    {HTTP_FAULT_LINE_END, "GET / HTTP/1.1\r\n" HOST "X: y\n"},
    /* 2: the request line */
    {HTTP_FAULT_METHOD, "\r\nGET / HTTP/1.1\r\n" HOST "\r\n"},
    {HTTP_FAULT_METHOD, " GET / HTTP/1.1\r\n" HOST "\r\n"},
    {HTTP_FAULT_METHOD, "GE(T / HTTP/1.1\r\n" HOST "\r\n"},
    {HTTP_FAULT_METHOD, "GET\t/ HTTP/1.1\r\n" HOST "\r\n"},
    {HTTP_FAULT_METHOD, "ABCDEFGHIJKLMNOPQ / HTTP/1.1\r\n" HOST "\r\n"},
    {HTTP_FAULT_REQUEST_LINE, "GET\r\n" HOST "\r\n"},
    {HTTP_FAULT_REQUEST_LINE, "GET /\r\n" HOST "\r\n"},
    {HTTP_FAULT_REQUEST_LINE, "GET  / HTTP/1.1\r\n" HOST "\r\n"},
    {HTTP_FAULT_REQUEST_LINE, "GET /  HTTP/1.1\r\n" HOST "\r\n"},
    {HTTP_FAULT_REQUEST_LINE, "GET / a HTTP/1.1\r\n" HOST "\r\n"},
    {HTTP_FAULT_REQUEST_LINE, "GET / http/1.1\r\n" HOST "\r\n"},
    {HTTP_FAULT_PROTOCOL, "GET / HTTP/1.1 \r\n" HOST "\r\n"},
    {HTTP_FAULT_PROTOCOL, "GET / HTTP/1.2\r\n" HOST "\r\n"},
    {HTTP_FAULT_PROTOCOL, "GET / HTTP/1.10\r\n" HOST "\r\n"},
    {HTTP_FAULT_PROTOCOL, "GET / HTTP/01.1\r\n" HOST "\r\n"},
    {HTTP_FAULT_PROTOCOL, "GET / HTTP/2.0\r\n" HOST "\r\n"},
    {HTTP_FAULT_TARGET, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
    {HTTP_FAULT_PROTOCOL, "GET / HTTP/4294967297.1\r\n" HOST "\r\n"},
    /* 3: the target */
    {HTTP_FAULT_TARGET, "GET http://h/ HTTP/1.1\r\n" HOST "\r\n"},
    {HTTP_FAULT_TARGET, "GET h:80 HTTP/1.1\r\n" HOST "\r\n"},
    {HTTP_FAULT_TARGET, "GET * HTTP/1.1\r\n" HOST "\r\n"},
    {HTTP_FAULT_TARGET, "OPTIONS ** HTTP/1.1\r\n" HOST "\r\n"},
    {HTTP_FAULT_TARGET, "GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n"},
    {HTTP_FAULT_TARGET, "GET /\x7f HTTP/1.1\r\n" HOST "\r\n"},
    {HTTP_FAULT_TARGET, "GET /\ta HTTP/1.1\r\n" HOST "\r\n"},
    {HTTP_FAULT_TARGET, "GET /a#b HTTP/1.1\r\n" HOST "\r\n"},
    /* 4: header names */
    {HTTP_FAULT_HEADER_NAME, "GET / HTTP/1.1\r\n" HOST "X : y\r\n\r\n"},
    {HTTP_FAULT_HEADER_NAME, "GET / HTTP/1.1\r\n" HOST "X\t: y\r\n\r\n"},
    {HTTP_FAULT_HEADER_NAME, "GET / HTTP/1.1\r\n" HOST ": y\r\n\r\n"},
    {HTTP_FAULT_HEADER_NAME, "GET / HTTP/1.1\r\n" HOST "X\r\n\r\n"},
    {HTTP_FAULT_HEADER_NAME, "GET / HTTP/1.1\r\n" HOST "X[: y\r\n\r\n"},
    {HTTP_FAULT_HEADER_NAME, "GET / HTTP/1.1\r\n" HOST "\xc3\xa9: y\r\n\r\n"},
    {HTTP_FAULT_HEADER_NAME,
     "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding : chunked\r\n\r\n"},
    {HTTP_FAULT_HEADER_NAME, "PUT / HTTP/1.1\r\n" HOST "Content-Length : 1\r\n\r\n"},
    /* 5: folding */
    {HTTP_FAULT_FOLDED, "GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n"},
    {HTTP_FAULT_FOLDED, "GET / HTTP/1.1\r\n" HOST "X: a\r\n\tb\r\n\r\n"},
    {HTTP_FAULT_FOLDED, "GET / HTTP/1.1\r\n Host: h\r\n\r\n"},
    {HTTP_FAULT_CODING,
     "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n chunked\r\n\r\n"},
    /* 6: header values */
    {HTTP_FAULT_HEADER_VALUE, "GET / HTTP/1.1\r\n" HOST "X: a\x01\r\n\r\n"},
    {HTTP_FAULT_HEADER_VALUE, "GET / HTTP/1.1\r\n" HOST "X: a\x7f\r\n\r\n"},
    {HTTP_FAULT_HEADER_VALUE, "GET / HTTP/1.1\r\n" HOST "X: \x1b[0m\r\n\r\n"},
    /* 7: Host */
    {HTTP_FAULT_HOST, "GET / HTTP/1.1\r\n\r\n"},
    {HTTP_FAULT_HOST, "GET / HTTP/1.1\r\n" HOST HOST "\r\n"},
    {HTTP_FAULT_HOST, "GET / HTTP/1.0\r\n" HOST HOST "\r\n"},
    {HTTP_FAULT_HOST, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
    {HTTP_FAULT_HOST, "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"},
    {HTTP_FAULT_HOST, "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"},
    {HTTP_FAULT_HOST, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
    /* 8: Content-Length */
    {HTTP_FAULT_LENGTH, "PUT / HTTP/1.1\r\n" HOST "Content-Length: \r\n\r\n"},
    {HTTP_FAULT_LENGTH, "PUT / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n"},
    {HTTP_FAULT_LENGTH, "PUT / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n"},
    {HTTP_FAULT_LENGTH, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 0x1\r\n\r\n"},
    {HTTP_FAULT_LENGTH, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 1 1\r\n\r\n"},
    {HTTP_FAULT_LENGTH, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\n"},
    {HTTP_FAULT_LENGTH, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 1.0\r\n\r\n"},
    {HTTP_FAULT_LENGTH,
     "PUT / HTTP/1.1\r\n" HOST "Content-Length: 9223372036854775808\r\n\r\n"},
    {HTTP_FAULT_LENGTH,
     "PUT / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551617\r\n\r\n"},
    {HTTP_FAULT_LENGTH,
     "PUT / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"},
    {HTTP_FAULT_LENGTH,
     "PUT / HTTP/1.1\r\n" HOST "Content-Length: 1\r\ncontent-length: 2\r\n\r\n"},
    /* 9: Transfer-Encoding */
    {HTTP_FAULT_CODING, "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n"},
    {HTTP_FAULT_CODING, "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n"},
    {HTTP_FAULT_CODING, "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n"},
    {HTTP_FAULT_CODING,
     "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n"},
    {HTTP_FAULT_CODING,
     "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n"},
    {HTTP_FAULT_CODING,
     "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked;q=1\r\n\r\n"},
    {HTTP_FAULT_CODING,
     "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: \"chunked\"\r\n\r\n"},
    {HTTP_FAULT_CODING, "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked,\r\n\r\n"},
    {HTTP_FAULT_CODING,
     "PUT / HTTP/1.1\r\n" HOST
     "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {HTTP_FAULT_CODING, "PUT / HTTP/1.1\r\n" HOST
                        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n"},
    {HTTP_FAULT_CODING_OLD, "PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
    /* 10: both */
    {HTTP_FAULT_BOTH,
     "PUT / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {HTTP_FAULT_BOTH,
     "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"},
    /* 17 and 18: Expect, CONNECT, and what is no HTTP at all */
    {HTTP_FAULT_EXPECT, "PUT / HTTP/1.1\r\n" HOST "Expect: 200-ok\r\n\r\n"},
    {HTTP_FAULT_CONNECT, "CONNECT h:443 HTTP/1.1\r\n" HOST "\r\n"},
    {HTTP_FAULT_TLS, "\x16\x03\x01\x02"},
    {HTTP_FAULT_TLS, "\x16"},
    {HTTP_FAULT_METHOD, "\x80"},
};

TEST("http parse: refuses each fault by its name")
{
    static struct http_head h;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        size_t n = strlen(broken[i].text);
        char *p = unit_guarded(broken[i].text, n);
        ssize_t rc = http_parse_head(p, n, 0, &h);
        if (rc != broken[i].fault)
            unit_fail(__FILE__, __LINE__, "%s instead of %s for \"%s\"",
                      http_fault_name((int)rc), http_fault_name(broken[i].fault),
                      broken[i].text);
        EXPECT(http_fault_status((int)rc) >= 400);
        for (size_t cut = 1; cut < n; cut++) { /* the same fault, or not known yet */
            rc = http_parse_head(p, cut, 0, &h);
            EXPECT(rc == E_MORE || rc == broken[i].fault);
        }
    }
}

TEST("http parse: refuses NUL everywhere")
{
    static struct http_head h;
    static const char text[] = "GET /ab HTTP/1.1\r\nHost: h\r\nX-Y: zzz\r\n\r\n";
    for (size_t i = 0; i < sizeof text - 1; i++) {
        char copy[sizeof text];
        memcpy(copy, text, sizeof text);
        copy[i] = '\0';
        ssize_t rc = http_parse_head(copy, sizeof text - 1, 0, &h);
        EXPECT(rc == E_MORE || http_is_fault((int)rc));
        EXPECT(rc != E_MORE || i >= sizeof text - 5); /* an end that is no end any more */
    }
}

TEST("http parse: has exact limits")
{
    static struct http_head h;
    static char text[HTTP_HEAD_MAX * 2];
    static const struct {
        size_t target, headers, total; /* 0: as it comes */
        int fault;
    } cases[] = {
        {HTTP_TARGET_MAX, 1, 0, 0},
        {HTTP_TARGET_MAX + 1, 1, 0, HTTP_FAULT_TARGET_LONG},
        {HTTP_HEAD_MAX, 1, 0, HTTP_FAULT_TARGET_LONG},
        {1, HTTP_HEADERS_MAX, 0, 0},
        {1, HTTP_HEADERS_MAX + 1, 0, HTTP_FAULT_HEADERS_MANY},
        {1, 2, HTTP_HEAD_MAX, 0},
        {1, 2, HTTP_HEAD_MAX + 1, HTTP_FAULT_HEAD_LONG},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = (size_t)sprintf(text, "GET /");
        memset(text + n, 'a', cases[i].target - 1);
        n += cases[i].target - 1;
        n += (size_t)sprintf(text + n, " HTTP/1.1\r\n" HOST);
        for (size_t k = 1; k < cases[i].headers; k++)
            n += (size_t)sprintf(text + n, "x: y\r\n");
        if (cases[i].total) {
            memset(text + n - 2, 'z', cases[i].total - n);
            n = cases[i].total - 2;
            memcpy(text + n - 2, "\r\n", 2);
        }
        memcpy(text + n, "\r\n", 2);
        n += 2;
        EXPECT_EQ(http_parse_head(text, n, 0, &h),
                  cases[i].fault ? (ssize_t)cases[i].fault : (ssize_t)n);
    }
}

TEST("http parse: gives up on a head that does not end")
{
    static struct http_head h;
    static char text[HTTP_HEAD_MAX];
    memset(text, 'a', sizeof text);
    EXPECT_EQ(http_parse_head(text, sizeof text - 1, 0, &h), E_MORE);
    EXPECT_EQ(http_parse_head(text, sizeof text, 0, &h), HTTP_FAULT_TARGET_LONG);
    memcpy(text, "GET / HTTP/1.1\r\n", 16);
    EXPECT_EQ(http_parse_head(text, sizeof text, sizeof text - 1, &h),
              HTTP_FAULT_HEAD_LONG);
}

/* Bytes that mean something to the parser come more often than chance would have it. */
static char odd_byte(void)
{
    static const char odd[] = "\r\n :\t,;/\0\x7f\x80\xff\x16"
                              "chunkedHTTP/1.10";
    uint64_t r = unit_random();
    return r & 1 ? odd[(r >> 8) % sizeof odd] : (char)(r >> 8);
}

static size_t mutate(char *text, size_t n, size_t room)
{
    for (uint64_t edits = 1 + unit_random() % 4; edits; edits--) {
        size_t at = unit_random() % (n + 1);
        switch (unit_random() % 4) {
        case 0: /* another byte */
            if (at < n)
                text[at] = odd_byte();
            break;
        case 1: /* one more */
            if (n < room) {
                memmove(text + at + 1, text + at, n - at);
                text[at] = odd_byte();
                n++;
            }
            break;
        case 2: /* some fewer */
            if (at < n) {
                size_t cut = 1 + unit_random() % (n - at < 8 ? n - at : 8);
                memmove(text + at, text + at + cut, n - at - cut);
                n -= cut;
            }
            break;
        default: { /* a piece of another head */
            const char *other = valid[unit_random() % N_VALID];
            size_t from = unit_random() % strlen(other);
            size_t len = strlen(other) - from;
            len = len < room - n ? len : room - n;
            memmove(text + at + len, text + at, n - at);
            memcpy(text + at, other + from, len);
            n += len;
        }
        }
    }
    return n;
}

TEST("http parse: keeps its promises on 50000 mutated heads")
{
    enum { ROOM = 600 };
    char text[ROOM] = "", *place = unit_guarded(text, ROOM);
    for (int i = 0; i < 50000; i++) {
        const char *from = valid[unit_random() % N_VALID];
        size_t n = strlen(from);
        memcpy(text, from, n);
        n = mutate(text, n, ROOM);
        memcpy(place + ROOM - n, text, n);
        check_any(place + ROOM - n, n);
    }
}
