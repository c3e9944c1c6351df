/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/http_origin.h"

#include "http/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct origin o;
static struct trial t;

static const struct http_header secret[] = {
    {SPAN_LIT("Authorization"), SPAN_LIT("Bearer s")},
    {SPAN_LIT("X-Auth-Token"), SPAN_LIT("s")},
    {SPAN_LIT("Accept"), SPAN_LIT("x/y")},
};

static void ask(const char *path, unsigned follow)
{
    trial_init(&t, &o, path);
    t.fetch.follow = follow;
    t.fetch.headers = secret;
    t.fetch.n_headers = 3;
}

TEST("http client: a redirect is the answer unless it is to be followed")
{
    origin_start(&o, 0);
    ask("/to?/hello", 0);
    trial_expect(&t, 0, 302, "elsewhere");
    EXPECT_STR(t.head, "Location: /hello\n");
    trial_fini(&t);
    ask("/to?/hello", 1);
    trial_expect(&t, 0, 200, "hello");
    trial_fini(&t);
    EXPECT_EQ(atomic_load(&o.connections), 1); /* the body was read to its end */
    ask("/to?/to?/hello", 1);
    trial_expect(&t, 0, 302, "elsewhere");
    trial_fini(&t);
    ask("/to?/to?/hello", 2);
    trial_expect(&t, 0, 200, "hello");
    trial_fini(&t);
    origin_stop(&o);
}

TEST("http client: a redirect within the origin keeps every header")
{
    origin_start(&o, 0);
    ask("/to?/show", 1);
    trials_run(&t, 1);
    struct span text = {(char *)t.sink.p, t.sink.n};
    char *shown = xmemdup(text.p, text.n);
    EXPECT(strstr(shown, "Authorization: Bearer s\nX-Auth-Token: s\nAccept: x/y\n"));
    free(shown);
    trial_fini(&t);
    origin_stop(&o);
}

TEST("http client: credentials never follow to another origin, nor come back")
{
    char url[64], answer[256];
    origin_start(&o, 0);
    snprintf(answer, sizeof answer,
             "HTTP/1.1 307 X\r\nLocation: %s/show\r\nContent-Length: 0\r\n\r\n", o.base);
    struct canned *c = canned_start(answer, url);
    char *path = xasprintf("/to?%s/x", url);
    ask(path, 3);
    trials_run(&t, 1);
    EXPECT_EQ(t.fetch.status, 200);
    char *shown = xmemdup(t.sink.p, t.sink.n), *heard = canned_stop(c);
    const char *texts[] = {shown, heard};
    for (int i = 0; i < 2; i++) {
        EXPECT(!strstr(texts[i], "Authorization") && !strstr(texts[i], "X-Auth-Token"));
        EXPECT(strstr(texts[i], "Accept: x/y"));
    }
    free(shown);
    free(heard);
    free(path);
    trial_fini(&t);
    origin_stop(&o);
}

TEST("http client: redirects that cannot be followed are the answer")
{
    static const char *const paths[] = {"/to?ftp://127.0.0.1/", "/to?file:///etc/passwd",
                                        "/to?http://u:p@127.0.0.1/", "/to?"};
    origin_start(&o, 0);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        ask(paths[i], 5);
        trial_expect(&t, 0, 302, "elsewhere");
        trial_fini(&t);
    }
    ask("/to?/hello", 5);
    t.fetch.method = "POST";
    t.fetch.has_body = true;
    t.fetch.bytes = SPAN_LIT("x");
    trial_expect(&t, 0, 302, "elsewhere");
    trial_fini(&t);
    origin_stop(&o);
}

TEST("http client: where a redirect leads")
{
    static const struct {
        const char *from, *to, *next;
    } cases[] = {
        {"http://a/b/c?q", "d", "http://a/b/d"},
        {"http://a/b/c?q", "/d?e", "http://a/d?e"},
        {"http://a/b", "//c/d", "http://c/d"},
        {"http://a/b", "https://a/b", "https://a/b"},
        {"https://a/b", "https://c/d#e", "https://c/d#e"},
        {"https://a/b", "http://a/b", NULL},
        {"https://a/b", "//u@c/d", NULL},
    };
    const char *why;
    const struct curl_calls *curl = curl_calls(&why);
    EXPECT(curl);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *next = target_next(curl, cases[i].from, span_of(cases[i].to));
        if (cases[i].next)
            EXPECT_STR(next, cases[i].next);
        else
            EXPECT(next == NULL);
        free(next);
    }
}

TEST("http client: a redirect with an endless body is cut off and followed")
{
    char url[64];
    origin_start(&o, 0);
    size_t n = 300 * 1024;
    char *text = xalloc(n + 512);
    int head = sprintf(text, "HTTP/1.1 301 X\r\nLocation: %s/hello\r\n\r\n", o.base);
    memset(text + head, 'x', n);
    struct canned *c = canned_start(text, url);
    ask(url, 1);
    trial_expect(&t, 0, 200, "hello");
    trial_fini(&t);
    free(canned_stop(c));
    free(text);
    origin_stop(&o);
}
