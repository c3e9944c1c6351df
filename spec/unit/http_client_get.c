/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/http_origin.h"

#include "base/clock.h"
#include "http/curl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct origin o;
static struct trial t;

/* One trial on its own, with what the case sets before. */
static void expect(const char *path, int rc, int status, const char *text)
{
    trial_init(&t, &o, path);
    trial_expect(&t, rc, status, text);
    trial_fini(&t);
}

TEST("http client: gets status, headers and body")
{
    origin_start(&o, 0);
    expect("/hello", 0, 200, "hello");
    EXPECT_STR(t.head, "X-Two: 1\nX-Two: 2\n");
    expect("/empty", 0, 204, "");
    expect("/early", 0, 413, "too much");
    origin_stop(&o);
}

TEST("http client: a HEAD has an empty body")
{
    origin_start(&o, 0);
    trial_init(&t, &o, "/hello");
    t.fetch.method = "HEAD";
    trial_expect(&t, 0, 200, "");
    trial_fini(&t);
    origin_stop(&o);
}

TEST("http client: keeps a connection for the next request")
{
    origin_start(&o, 0);
    for (int i = 0; i < 5; i++)
        expect("/hello", 0, 200, "hello");
    EXPECT_EQ(atomic_load(&o.connections), 1);
    origin_stop(&o);
}

TEST("http client: many at once")
{
    enum { MANY = 100 };
    static struct trial many[MANY];
    origin_start(&o, 0);
    for (int i = 0; i < MANY; i++)
        trial_init(&many[i], &o, i % 2 ? "/hello" : "/show");
    trials_run(many, MANY);
    for (int i = 0; i < MANY; i++) {
        EXPECT_EQ(many[i].fetch.rc, 0);
        EXPECT_EQ(many[i].body_rc, 0);
        EXPECT(many[i].sink.n >= 5);
        trial_fini(&many[i]);
    }
    EXPECT_EQ(atomic_load(&o.requests), MANY);
    origin_stop(&o);
}

TEST("http client: sends the method, the path as it is, and the headers")
{
    static const struct http_header headers[] = {
        {SPAN_LIT("X-One"), SPAN_LIT("a, b")},
        {SPAN_LIT("X-None"), SPAN_LIT("")},
        {SPAN_LIT("Accept"), SPAN_LIT("x/y")},
    };
    origin_start(&o, 0);
    trial_init(&t, &o, "/show?a=%2F/../b");
    t.fetch.method = "DELETE";
    t.fetch.headers = headers;
    t.fetch.n_headers = 3;
    char *want = xasprintf("DELETE /show?a=%%2F/../b\nHost: %s\nUser-Agent: tidegate\n"
                           "X-One: a, b\nX-None: \nAccept: x/y\n",
                           o.base + 7);
    trial_expect(&t, 0, 200, want);
    free(want);
    trial_fini(&t);
    origin_stop(&o);
}

TEST("http client: refuses what cannot be sent")
{
    static const struct http_header bad[] = {
        {SPAN_LIT("A b"), SPAN_LIT("")},
        {SPAN_LIT("X"), SPAN_LIT("a\r\nY: b")},
        {SPAN_LIT("Content-Length"), SPAN_LIT("1")},
        {SPAN_LIT("transfer-encoding"), SPAN_LIT("chunked")},
        {SPAN_LIT("Expect"), SPAN_LIT("100-continue")},
        {SPAN_LIT("Proxy-Authorization"), SPAN_LIT("x")},
    };
    static const char *const urls[] = {
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://u:p@127.0.0.1/",
        "http://127.0.0.1/a b",
        "http://",
        "nonsense://x",
        "http://127.0.0.1/\r\nX",
        "",
        "http://127.0.0.1:99999/",
    };
    static const char *const methods[] = {"", "G T", "CONNECT", "SEVENTEENLETTERSX"};
    origin_start(&o, 0);
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++)
        expect(urls[i], E_INVALID, 0, NULL);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        trial_init(&t, &o, "/hello");
        t.fetch.headers = &bad[i];
        t.fetch.n_headers = 1;
        trial_expect(&t, E_INVALID, 0, NULL);
        trial_fini(&t);
    }
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        trial_init(&t, &o, "/hello");
        t.fetch.method = methods[i];
        trial_expect(&t, E_INVALID, 0, NULL);
        trial_fini(&t);
    }
    EXPECT_EQ(atomic_load(&o.connections), 0);
    origin_stop(&o);
}

TEST("http client: takes nothing from the environment")
{
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    setenv("NO_PROXY", "*", 1);
    origin_start(&o, 0);
    expect("/hello", 0, 200, "hello");
    origin_stop(&o);
}

TEST("http client: asks the proxy that it is told")
{
    char url[64];
    origin_start(&o, 0);
    struct canned *c =
        canned_start("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", url);
    trial_init(&t, &o, "http://nowhere.invalid/x");
    t.fetch.proxy = url;
    trial_expect(&t, 0, 200, "hi");
    trial_fini(&t);
    origin_stop(&o);
    char *heard = canned_stop(c);
    EXPECT(strncmp(heard, "GET http://nowhere.invalid/x HTTP/1.1\r\n", 39) == 0);
    free(heard);
}

TEST("http client: nobody listens, or nobody knows the name")
{
    char url[64];
    origin_start(&o, 0);
    struct canned *c = canned_start("", url);
    expect(url, E_UPSTREAM, 0, NULL);
    free(canned_stop(c));
    expect(url, E_UPSTREAM, 0, NULL);
    EXPECT(strstr(t.fetch.cause, "refused") || strstr(t.fetch.cause, "connect"));
    origin_stop(&o);
}

TEST("http client: refuses malformed answers")
{
    static const char *const answers[] = {
        "hello\r\n\r\n",
        "HTTP/1.1 999 No\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nNo Token: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\001b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
    };
    origin_start(&o, 0);
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        char url[64];
        struct canned *c = canned_start(answers[i], url);
        expect(url, E_UPSTREAM, 0, NULL);
        free(canned_stop(c));
    }
    origin_stop(&o);
}

TEST("http client: bounds the head of an answer")
{
    char url[64], *text = xalloc(200 * 1024);
    origin_start(&o, 0);
    for (int kind = 0; kind < 3; kind++) {
        size_t n = (size_t)sprintf(text, "HTTP/1.1 200 OK\r\n");
        for (int i = 0; kind == 0 && i <= FETCH_HEADERS_MAX; i++)
            n += (size_t)sprintf(text + n, "X-%d: y\r\n", i);
        for (int i = 0; kind == 1 && i < 80; i++)
            n += (size_t)sprintf(text + n, "X-%d: %01000d\r\n", i, 0);
        for (int i = 0; kind == 2 && i < 4000; i++)
            n = (size_t)(stpcpy(text + n, "HTTP/1.1 100 Continue\r\n\r\n") - text);
        strcpy(text + n, "\r\n");
        struct canned *c = canned_start(text, url);
        expect(url, E_UPSTREAM, 0, NULL);
        EXPECT(kind == 2 || strstr(t.fetch.cause, "too "));
        free(canned_stop(c));
    }
    free(text);
    origin_stop(&o);
}

TEST("http client: passes over interim answers and trailers")
{
    char url[64];
    origin_start(&o, 0);
    struct canned *c =
        canned_start("HTTP/1.1 103 Early Hints\r\nContent-Type: a/a\r\n\r\n"
                     "HTTP/1.1 200 OK\r\nContent-Type: b/b\r\n"
                     "Transfer-Encoding: chunked\r\n\r\n"
                     "3\r\nabc\r\n2\r\nde\r\n0\r\nLocation: c\r\n\r\n",
                     url);
    expect(url, 0, 200, "abcde");
    EXPECT_STR(t.head, "Content-Type: b/b\n");
    free(canned_stop(c));
    origin_stop(&o);
}

TEST("http client: leaves the body's coding alone")
{
    char url[64];
    origin_start(&o, 0);
    struct canned *c = canned_start(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nraw", url);
    expect(url, 0, 200, "raw");
    free(canned_stop(c));
    origin_stop(&o);
}

TEST("http client: loads libcurl, and says why it cannot")
{
    struct curl_calls calls;
    char why[256] = "";
    EXPECT_EQ(curl_load("libnothing.so.9", &calls, why, sizeof why), E_UNSUPPORTED);
    EXPECT(strstr(why, "libnothing.so.9"));
    EXPECT_EQ(curl_load("libc.so.6", &calls, why, sizeof why), E_UNSUPPORTED);
    EXPECT_STR(why, "it has no curl_global_init");
    EXPECT_EQ(curl_load(CURL_LIBRARY, &calls, why, sizeof why), 0);
}
