/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/http_peer.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define MS UINT64_C(1000000)

static struct peer p;

TEST("http server: keeps a connection for several requests")
{
    peer_start(&p, (struct http_limits){0});
    int fd = peer_connect(&p);
    for (int i = 0; i < 5; i++) {
        peer_say(fd, GET("/hello"));
        const char *text = peer_expect(fd, 200, "hello");
        EXPECT(strncmp(text, "HTTP/1.1 200 OK\r\nDate: ", 23) == 0);
        EXPECT(!strstr(text, "Connection:") && !strstr(text, "Server:"));
    }
    close(fd);
    peer_stop(&p);
}

TEST("http server: answers pipelined requests in order")
{
    char text[4096] = "";
    peer_start(&p, (struct http_limits){0});
    int fd = peer_connect(&p);
    for (int i = 0; i < 40; i++)
        strcat(text, i % 2 ? GET("/hello") : GET("/bytes"));
    peer_say(fd, text);
    for (int i = 0; i < 40; i++)
        peer_expect(fd, 200, i % 2 ? "hello" : "0123456789");
    close(fd);
    peer_stop(&p);
}

TEST("http server: takes a request byte by byte")
{
    static const char text[] =
        "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3;x\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n" GET("/hello");
    peer_start(&p, (struct http_limits){0});
    int fd = peer_connect(&p);
    for (size_t i = 0; i < sizeof text - 1; i++)
        peer_send(fd, text + i, 1);
    peer_expect(fd, 200, "abcde");
    peer_expect(fd, 200, "hello");
    close(fd);
    peer_stop(&p);
}

TEST("http server: ends the connection when either side says so")
{
    static const char *const cases[] = {
        "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        "GET /hello HTTP/1.0\r\n\r\n",
        GET("/close"),
    };
    peer_start(&p, (struct http_limits){0});
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int fd = peer_connect(&p);
        peer_say(fd, cases[i]);
        EXPECT(strstr(peer_expect(fd, 200, NULL), "\r\nConnection: close\r\n"));
        peer_expect_end(fd);
        close(fd);
    }
    peer_stop(&p);
}

TEST("http server: keeps an HTTP/1.0 connection that asks for it")
{
    peer_start(&p, (struct http_limits){0});
    int fd = peer_connect(&p);
    for (int i = 0; i < 2; i++) {
        peer_say(fd, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        EXPECT(strstr(peer_expect(fd, 200, "hello"), "\r\nConnection: keep-alive\r\n"));
    }
    close(fd);
    peer_stop(&p);
}

TEST("http server: answers wrong framing once and closes")
{
    static const struct {
        int status;
        const char *text, *code;
    } cases[] = {
        {400, "GET / HTTP/1.1\n\n", "LINE_END"},
        {400, "GET / HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n", "HEADER_NAME"},
        {400, "GET / HTTP/1.1\r\n\r\n", "HOST"},
        {400,
         "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: "
         "chunked\r\n\r\n0\r\n\r\n",
         "BOTH"},
        {501, "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", "CODING"},
        {501, "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", "CONNECT"},
        {505, "GET / HTTP/2.0\r\n\r\n", "PROTOCOL"},
        {417, "PUT / HTTP/1.1\r\nHost: h\r\nExpect: tea\r\n\r\n", "EXPECT"},
    };
    peer_start(&p, (struct http_limits){0});
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char code[64];
        int fd = peer_connect(&p);
        peer_say(fd, cases[i].text);
        peer_say(fd, GET("/hello")); /* never answered */
        snprintf(code, sizeof code, "{\"errors\":[{\"code\":\"%s\",", cases[i].code);
        const char *text = peer_expect(fd, cases[i].status, NULL);
        EXPECT(strstr(text, code) && strstr(text, "\r\nConnection: close\r\n"));
        peer_expect_end(fd);
        close(fd);
    }
    peer_stop(&p);
}

TEST("http server: refuses a head past 16 KiB")
{
    static char text[HTTP_HEAD_MAX + 100];
    peer_start(&p, (struct http_limits){0});
    int fd = peer_connect(&p);
    memset(text, 'x', sizeof text);
    memcpy(text, "GET / HTTP/1.1\r\nX: ", 19);
    peer_send(fd, text, sizeof text);
    peer_expect(fd, 431, NULL);
    peer_expect_end(fd);
    close(fd);
    peer_stop(&p);
}

/* By the text clients know that plain HTTP is spoken here: Docker's command line tries it
 * only then. */
TEST("http server: answers a TLS handshake in plain text")
{
    peer_start(&p, (struct http_limits){0});
    int fd = peer_connect(&p);
    peer_send(fd, "\x16", 1);
    peer_expect(fd, 400, NULL);
    peer_expect_end(fd);
    close(fd);
    peer_stop(&p);
}

TEST("http server: answers what came before garbage, then refuses the garbage")
{
    peer_start(&p, (struct http_limits){0});
    int fd = peer_connect(&p);
    peer_say(fd, GET("/hello") "\r\n\r\nrubbish\r\n\r\n");
    peer_expect(fd, 200, "hello");
    peer_expect(fd, 400, NULL);
    peer_expect_end(fd);
    close(fd);
    peer_stop(&p);
}

TEST("http server: closes a connection that stays idle")
{
    peer_start(&p, (struct http_limits){.idle = 20 * MS});
    int fresh = peer_connect(&p), used = peer_connect(&p);
    peer_say(used, GET("/hello"));
    peer_expect(used, 200, "hello");
    peer_expect_end(fresh);
    peer_expect_end(used);
    close(fresh);
    close(used);
    peer_stop(&p);
}

TEST("http server: gives a head its time and no more")
{
    peer_start(&p, (struct http_limits){.head = 30 * MS});
    int fd = peer_connect(&p);
    peer_say(fd, "GET / HTTP/1.1\r\nX:");
    peer_expect(fd, 408, NULL);
    peer_expect_end(fd);
    close(fd);
    peer_stop(&p);
}

TEST("http server: tells the handler that the client has left")
{
    peer_start(&p, (struct http_limits){0});
    int fd = peer_connect(&p);
    peer_say(fd, GET("/held"));
    peer_wait(&p.began);
    close(fd);
    peer_wait(&p.gone);
    peer_release(&p);
    peer_wait(&p.ended);
    EXPECT_EQ(p.rc, E_GONE);
    peer_stop(&p);
}

TEST("http server: answers a request that was held back")
{
    peer_start(&p, (struct http_limits){0});
    int fd = peer_connect(&p);
    peer_say(fd, GET("/held") GET("/hello"));
    peer_wait(&p.began);
    peer_release(&p);
    EXPECT(
        strstr(peer_expect(fd, 200, NULL), "\r\n4\r\ntwo \r\n6\r\nthree \r\n0\r\n\r\n"));
    peer_expect(fd, 200, "hello");
    close(fd);
    peer_stop(&p);
}

TEST("http server: drains: idle connections now, the others after their reply")
{
    peer_start(&p, (struct http_limits){0});
    int idle = peer_connect(&p), busy = peer_connect(&p);
    peer_say(busy, GET("/held"));
    peer_wait(&p.began);
    peer_drain(&p);
    peer_expect_end(idle);
    peer_release(&p);
    EXPECT(strstr(peer_expect(busy, 200, NULL), "\r\nConnection: close\r\n"));
    peer_expect_end(busy);
    close(busy);
    peer_wait(&p.drained);
    EXPECT_EQ(peer_count(&p), 0);
    sem_post(&p.drained); /* for peer_stop */
    close(idle);
    peer_stop(&p);
}

TEST("http server: aborts every connection, handlers included")
{
    size_t n;
    peer_start(&p, (struct http_limits){0});
    int idle = peer_connect(&p), busy = peer_connect(&p);
    peer_say(busy, GET("/held"));
    peer_wait(&p.began);
    peer_abort(&p);
    peer_wait(&p.gone);
    peer_expect_end(idle);
    peer_release(&p);
    peer_rest(busy, &n);
    EXPECT_EQ(n, 0);
    close(idle);
    close(busy);
    peer_stop(&p);
}

static void other_begin(struct req *q, void *arg)
{
    struct reply r;
    reply_init(&r, 200);
    r.bytes = span_of(arg);
    req_reply(q, &r);
}

static void other_end(struct req *q, int rc, void *arg)
{
    (void)q;
    (void)arg;
    EXPECT_EQ(rc, 0);
}

TEST("http server: a new handler gets the next request of every connection")
{
    static const struct http_handler other = {other_begin, NULL, other_end, "other"};
    peer_start(&p, (struct http_limits){0});
    int running = peer_connect(&p), idle = peer_connect(&p);
    peer_say(running, GET("/held"));
    peer_say(idle, GET("/hello"));
    peer_expect(idle, 200, "hello");
    peer_wait(&p.began);
    peer_wait(&p.began);
    peer_wait(&p.ended);
    peer_use(&p, &other);
    peer_say(idle, GET("/hello"));
    peer_expect(idle, 200, "other");
    peer_release(&p); /* the running one ends where it began */
    peer_expect(running, 200, NULL);
    peer_wait(&p.ended);
    peer_say(running, GET("/held"));
    peer_expect(running, 200, "other");
    close(running);
    close(idle);
    peer_stop(&p);
}
