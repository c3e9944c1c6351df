/* SPDX-License-Identifier: Apache-2.0
 *
 * Many slow clients, a pool that has fewer buffers than they are, and one who is fast.
 */
#include "spec/unit/http_peer.h"
#include "stream/bufpool.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CROWD 200
#define FAST 1000000

static struct peer p;
static int slow[CROWD];

static void close_all(void)
{
    for (size_t i = 0; i < CROWD; i++)
        close(slow[i]);
    peer_stop(&p);
    EXPECT_EQ(bufpool_used(NULL), 0);
}

static void upload(void)
{
    static char body[FAST];
    int fd = peer_connect(&p);
    peer_say(fd, "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
    peer_send(fd, body, sizeof body);
    peer_expect(fd, 200, NULL);
    close(fd);
}

TEST("http crowd: slow uploads hold no buffers while a fast one passes")
{
    peer_start(&p, (struct http_limits){0});
    for (size_t i = 0; i < CROWD; i++) {
        slow[i] = peer_connect(&p);
        peer_say(slow[i],
                 "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\n");
    }
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < CROWD; i++)
            peer_say(slow[i], "a few bytes");
        upload();
    }
    close_all();
}

TEST("http crowd: slow uploads in chunks hold none either")
{
    peer_start(&p, (struct http_limits){0});
    for (size_t i = 0; i < CROWD; i++) {
        slow[i] = peer_connect(&p);
        peer_say(slow[i],
                 "PUT /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "9999\r\na few bytes");
    }
    upload();
    close_all();
}

TEST("http crowd: those who read slowly hold few buffers while a fast one passes")
{
    size_t n;
    peer_start(&p, (struct http_limits){0});
    for (size_t i = 0; i < CROWD; i++) {
        slow[i] = peer_connect(&p);
        peer_say(slow[i], "GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
        peer_wait(&p.began);
    }
    int fd = peer_connect(&p);
    peer_say(fd, "GET /large HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    const char *text = peer_rest(fd, &n);
    EXPECT(strncmp(text, "HTTP/1.1 200 OK", 15) == 0 && n > PEER_LARGE);
    close(fd);
    close_all();
}

TEST("http crowd: who reads slowly gets everything in the end")
{
    size_t n;
    peer_start(&p, (struct http_limits){0});
    for (size_t i = 0; i < CROWD; i++) {
        slow[i] = peer_connect(&p);
        peer_say(slow[i], "GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    for (size_t i = CROWD; i-- > CROWD / 2;) {
        peer_hear(slow[i], false, &n);
        EXPECT(n > PEER_LARGE);
    }
    close_all();
}

TEST("http crowd: a reply for which there is no buffer becomes a 503")
{
    uint8_t *held[PEER_BUFFERS];
    peer_start(&p, (struct http_limits){.stall = 50000000});
    for (size_t i = 0; i < PEER_BUFFERS; i++)
        held[i] = bufpool_get(&(struct buf_wait){.data = NULL});
    int fd = peer_connect(&p);
    peer_say(fd, "GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
    const char *text = peer_expect(fd, 503, NULL);
    EXPECT(strstr(text, "\r\nRetry-After: 5\r\n") && strstr(text, "\"BUSY\""));
    for (size_t i = 0; i < PEER_BUFFERS; i++)
        bufpool_put(held[i]);
    peer_say(fd, "GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
    peer_expect(fd, 200, NULL);
    close(fd);
    peer_stop(&p);
}
