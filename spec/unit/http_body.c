/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/http_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MS UINT64_C(1000000)
#define MIB (1024 * 1024)

static struct peer p;

static void fill(char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)unit_random();
}

TEST("http body: comes as long as it says, in any pieces")
{
    static char body[300000];
    char head[100];
    size_t n;
    fill(body, sizeof body);
    peer_start(&p, (struct http_limits){0});
    int fd = peer_connect(&p);
    for (size_t size = 0; size <= sizeof body; size = size * 7 + 1) {
        int len = snprintf(head, sizeof head,
                           "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n",
                           size);
        peer_send(fd, head, (size_t)len);
        for (size_t at = 0, piece = 1; at < size;
             at += piece, piece = piece * 3 % 20011) {
            piece = piece < size - at ? piece : size - at;
            peer_send(fd, body + at, piece);
        }
        const char *text = peer_hear(fd, false, &n);
        EXPECT(n >= size && memcmp(text + n - size, body, size) == 0);
    }
    close(fd);
    peer_stop(&p);
}

TEST("http body: survives 1 MiB in odd chunks and odd pieces")
{
    static char body[MIB], wire[2 * MIB];
    size_t n = 0, echoed;
    fill(body, sizeof body);
    for (size_t at = 0, chunk; at < MIB; at += chunk) {
        chunk = 1 + unit_random() % 40000;
        chunk = chunk < MIB - at ? chunk : MIB - at;
        n += (size_t)sprintf(wire + n, "%zX%s\r\n", chunk, chunk % 3 ? "" : ";odd=1");
        memcpy(wire + n, body + at, chunk);
        n += chunk;
        n += (size_t)sprintf(wire + n, "\r\n");
    }
    n += (size_t)sprintf(wire + n,
                         "0\r\nSum: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    peer_start(&p, (struct http_limits){0});
    int fd = peer_connect(&p);
    peer_say(fd, "PATCH /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t at = 0, piece; at < n; at += piece) {
        piece = 1 + unit_random() % 30011;
        piece = piece < n - at ? piece : n - at;
        peer_send(fd, wire + at, piece);
    }
    const char *text = peer_hear(fd, false, &echoed);
    EXPECT(echoed > MIB && memcmp(text + echoed - MIB, body, MIB) == 0);
    peer_expect(fd, 200, "hello");
    close(fd);
    peer_stop(&p);
}

TEST("http body: is invited by 100 Continue when it is read")
{
    peer_start(&p, (struct http_limits){0});
    int fd = peer_connect(&p);
    peer_say(fd, "PUT /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                 "Content-Length: 4\r\n\r\n");
    EXPECT_STR(peer_hear(fd, true, NULL), "HTTP/1.1 100 Continue\r\n\r\n");
    peer_say(fd, "body");
    peer_expect(fd, 200, "body");
    peer_say(fd, "PUT /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                 "Content-Length: 4\r\n\r\nhere"); /* did not wait: nor do we */
    peer_expect(fd, 200, "here");
    close(fd);
    peer_stop(&p);
}

TEST("http body: is not asked for by a reply that does not want it")
{
    peer_start(&p, (struct http_limits){0});
    int fd = peer_connect(&p);
    peer_say(fd, "PUT /ignore HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                 "Content-Length: 4\r\n\r\n");
    EXPECT(strstr(peer_expect(fd, 200, "ignored"), "\r\nConnection: close\r\n"));
    peer_expect_end(fd);
    close(fd);
    peer_stop(&p);
}

TEST("http body: small and unread, is drained and the connection goes on")
{
    static char body[60000];
    peer_start(&p, (struct http_limits){0});
    int fd = peer_connect(&p);
    peer_say(fd, "PUT /ignore HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n");
    EXPECT(!strstr(peer_expect(fd, 200, "ignored"), "\r\nConnection:"));
    peer_send(fd, body, sizeof body);
    peer_say(fd, "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    peer_expect(fd, 200, "hello");
    peer_say(fd, "PUT /ignore HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "3\r\nabc\r\n0\r\n\r\n");
    EXPECT(!strstr(peer_expect(fd, 200, "ignored"), "\r\nConnection:"));
    peer_say(fd, "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    peer_expect(fd, 200, "hello");
    close(fd);
    peer_stop(&p);
}

TEST("http body: large and unread, costs the connection but not the reply")
{
    static char body[200000];
    peer_start(&p, (struct http_limits){0});
    int fd = peer_connect(&p);
    peer_say(fd, "PUT /ignore HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\n");
    peer_send(fd, body, sizeof body);
    peer_send(fd, body, sizeof body); /* read on after the reply, so this never breaks */
    EXPECT(strstr(peer_expect(fd, 200, "ignored"), "\r\nConnection: close\r\n"));
    peer_expect_end(fd);
    close(fd);
    peer_stop(&p);
}

TEST("http body: with a broken chunk is refused by name and ends the connection")
{
    static const char *const cases[] = {"0x5\r\nhello\r\n0\r\n\r\n",
                                        "5\r\nhelloworld\r\n", "2\nab\r\n0\r\n\r\n",
                                        "0\r\n bad: 1\r\n\r\n"};
    static const char *const codes[] = {"CHUNK_SIZE", "CHUNK_END", "CHUNK_SIZE",
                                        "TRAILER"};
    peer_start(&p, (struct http_limits){0});
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int fd = peer_connect(&p);
        peer_say(fd,
                 "PUT /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
        peer_say(fd, cases[i]);
        peer_say(fd, "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n"); /* never answered */
        EXPECT(strstr(peer_expect(fd, 400, NULL), codes[i]));
        peer_expect_end(fd);
        close(fd);
    }
    peer_stop(&p);
}

TEST("http body: that stops arriving fails in time")
{
    peer_start(&p, (struct http_limits){.stall = 30 * MS});
    int fd = peer_connect(&p);
    peer_say(fd, "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc");
    EXPECT(strstr(peer_expect(fd, 408, NULL), "STALLED"));
    EXPECT_EQ(p.body_rc, E_STALLED);
    peer_expect_end(fd);
    close(fd);
    peer_stop(&p);
}

TEST("http body: fails when its client leaves")
{
    static const char *const heads[] = {
        "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc",
        "PUT /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc",
        "PUT /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    };
    peer_start(&p, (struct http_limits){0});
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        int fd = peer_connect(&p);
        peer_say(fd, heads[i]);
        peer_wait(&p.began);
        close(fd);
        peer_wait(&p.ended);
        EXPECT_EQ(p.body_rc, E_GONE);
        EXPECT_EQ(p.rc, E_GONE);
    }
    peer_stop(&p);
}

TEST("http body: fails when the server aborts")
{
    peer_start(&p, (struct http_limits){0});
    int fd = peer_connect(&p);
    peer_say(fd, "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc");
    peer_wait(&p.began);
    peer_abort(&p);
    peer_wait(&p.ended);
    EXPECT(p.body_rc == E_GONE);
    close(fd);
    peer_stop(&p);
}
