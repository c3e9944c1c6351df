/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/http_peer.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS UINT64_C(1000000)
#define BIG (3 * 1024 * 1024 + 17)

static struct peer p;

/* One request with extra header lines; returns the reply. */
static const char *ask(int fd, const char *method, const char *path, const char *lines)
{
    char text[1024];
    snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: h\r\n%s\r\n", method, path,
             lines);
    peer_say(fd, text);
    return peer_hear(fd, strcmp(method, "HEAD") == 0, NULL);
}

static const char *const kinds[] = {"/bytes", "/memory", "/file"};

TEST("http reply: honours ranges of bytes, memory and files, in GET and in HEAD")
{
    static const struct {
        const char *lines;
        int status;
        const char *range, *body;
    } cases[] = {
        {"", 200, NULL, "0123456789"},
        {"Range: bytes=0-0\r\n", 206, "bytes 0-0/10", "0"},
        {"Range: bytes=3-5\r\n", 206, "bytes 3-5/10", "345"},
        {"Range: bytes=7-\r\n", 206, "bytes 7-9/10", "789"},
        {"Range: bytes=-4\r\n", 206, "bytes 6-9/10", "6789"},
        {"Range: bytes=0-99\r\n", 206, "bytes 0-9/10", "0123456789"},
        {"Range: bytes=10-\r\n", 416, "bytes */10", ""},
        {"Range: bytes=5-4\r\n", 416, "bytes */10", ""},
        {"Range: lines=1-2\r\n", 200, NULL, "0123456789"},
        {"Range: bytes=1-2\r\nIf-Range: \"ten\"\r\n", 206, "bytes 1-2/10", "12"},
        {"Range: bytes=1-2\r\nIf-Range: \"old\"\r\n", 200, NULL, "0123456789"},
        {"Range: bytes=1-2\r\nIf-Range: W/\"ten\"\r\n", 200, NULL, "0123456789"},
        {"Range: bytes=1-2\r\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 200, NULL,
         "0123456789"},
    };
    peer_start(&p, (struct http_limits){0});
    int fd = peer_connect(&p);
    for (size_t k = 0; k < 3; k++) {
        for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
            bool head = i % 2;
            char line[80];
            const char *text =
                ask(fd, head ? "HEAD" : "GET", kinds[k], cases[i / 2].lines);
            EXPECT_EQ(atoi(text + 9), cases[i / 2].status);
            snprintf(line, sizeof line, "\r\nContent-Length: %zu\r\n",
                     strlen(cases[i / 2].body));
            EXPECT(strstr(text, line));
            snprintf(line, sizeof line, "\r\nContent-Range: %s\r\n",
                     cases[i / 2].range ? cases[i / 2].range : "");
            EXPECT((strstr(text, line) != NULL) == (cases[i / 2].range != NULL));
            EXPECT(strstr(text, "\r\nAccept-Ranges: bytes\r\n"));
            EXPECT(strstr(text, "\r\nETag: \"ten\"\r\n"));
            EXPECT(strstr(text, "\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
            EXPECT_STR(strstr(text, "\r\n\r\n") + 4, head ? "" : cases[i / 2].body);
        }
    }
    close(fd);
    peer_stop(&p);
}

TEST("http reply: sends several ranges as multipart/byteranges")
{
    peer_start(&p, (struct http_limits){0});
    int fd = peer_connect(&p);
    for (size_t k = 0; k < 3; k++) {
        char want[600], mark[20];
        const char *lines = "Range: bytes=0-1, -2,50-60,4-4\r\n";
        const char *text = ask(fd, "GET", kinds[k], lines);
        const char *type =
            strstr(text, "\r\nContent-Type: multipart/byteranges; boundary=");
        EXPECT_EQ(atoi(text + 9), 206);
        EXPECT(type && sscanf(strstr(type, "boundary=") + 9, "%19[0-9a-f]", mark) == 1);
        EXPECT(!strstr(text, "\r\nContent-Type: text/plain\r\nAccept"));
        snprintf(
            want, sizeof want,
            "\r\n--%s\r\nContent-Type: text/plain\r\nContent-Range: bytes "
            "0-1/10\r\n\r\n01"
            "\r\n--%s\r\nContent-Type: text/plain\r\nContent-Range: bytes "
            "8-9/10\r\n\r\n89"
            "\r\n--%s\r\nContent-Type: text/plain\r\nContent-Range: bytes 4-4/10\r\n\r\n4"
            "\r\n--%s--\r\n",
            mark, mark, mark, mark);
        EXPECT_STR(strstr(text, "\r\n\r\n") + 4, want);
        unsigned long length = strtoul(strstr(text, "Content-Length: ") + 16, NULL, 10);
        EXPECT_EQ(length, strlen(want));
        text = ask(fd, "HEAD", kinds[k], lines);
        EXPECT_EQ(strtoul(strstr(text, "Content-Length: ") + 16, NULL, 10), length);
    }
    close(fd);
    peer_stop(&p);
}

TEST("http reply: is 304 when nothing has changed")
{
    static const struct {
        const char *lines;
        int status;
    } cases[] = {
        {"If-None-Match: \"ten\"\r\n", 304},
        {"If-None-Match: \"x\", W/\"ten\"\r\n", 304},
        {"If-None-Match: *\r\n", 304},
        {"If-None-Match: \"x\"\r\n", 200},
        {"If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 304},
        {"If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 200},
        {"If-Modified-Since: yesterday\r\n", 200},
        {"If-None-Match: \"x\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
         200},
        {"If-None-Match: \"ten\"\r\nRange: bytes=0-1\r\n", 304},
    };
    peer_start(&p, (struct http_limits){0});
    int fd = peer_connect(&p);
    for (size_t k = 0; k < 3; k++)
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            const char *text = ask(fd, "GET", kinds[k], cases[i].lines);
            EXPECT_EQ(atoi(text + 9), cases[i].status);
            EXPECT(strstr(text, "\r\nETag: \"ten\"\r\n"));
            EXPECT((strstr(text, "Content-Length") == NULL) == (cases[i].status == 304));
        }
    EXPECT_EQ(atoi(ask(fd, "POST", "/bytes", "If-None-Match: *\r\n") + 9), 200);
    close(fd);
    peer_stop(&p);
}

TEST("http reply: frames what has no size")
{
    peer_start(&p, (struct http_limits){0});
    int fd = peer_connect(&p);
    EXPECT_STR(strstr(ask(fd, "GET", "/stream", ""), "\r\n\r\n") + 4,
               "4\r\none \r\n4\r\ntwo \r\n6\r\nthree \r\n0\r\n\r\n");
    const char *text = ask(fd, "HEAD", "/stream", "");
    EXPECT(!strstr(text, "Content-Length") && !strstr(text, "Transfer-Encoding"));
    text = ask(fd, "GET", "/empty", "");
    EXPECT(atoi(text + 9) == 204 && !strstr(text, "Content-Length"));
    EXPECT(strstr(ask(fd, "DELETE", "/hello", ""), "\r\nContent-Length: 5\r\n"));
    peer_say(fd, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    text = peer_rest(fd, NULL);
    EXPECT(strstr(text, "\r\nConnection: close\r\n"));
    EXPECT_STR(strstr(text, "\r\n\r\n") + 4, "one two three ");
    close(fd);
    peer_stop(&p);
}

TEST("http reply: that ends short is cut off, not completed")
{
    peer_start(&p, (struct http_limits){0});
    int fd = peer_connect(&p);
    peer_say(
        fd,
        "GET /short HTTP/1.1\r\nHost: h\r\n\r\nGET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    const char *text = peer_rest(fd, NULL);
    EXPECT(strstr(text, "\r\nContent-Length: 15\r\n") && !strstr(text, "hello"));
    peer_wait(&p.ended);
    EXPECT_EQ(p.rc, E_CORRUPT);
    close(fd);
    peer_stop(&p);
}

/* Makes /file as large as `size`, so that it is sent in several slices. The handler still
 * says 10 bytes; /all says all of them. */
static char *grow_file(size_t size)
{
    char *bytes = malloc(size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)unit_random();
    int fd = open(p.big, O_WRONLY | O_CLOEXEC);
    EXPECT(write(fd, bytes, size) == (ssize_t)size && close(fd) == 0);
    return bytes;
}

TEST("http reply: sends a large file whole and in part, warm and cold")
{
    size_t n;
    peer_start(&p, (struct http_limits){0});
    char *bytes = grow_file(BIG);
    int fd = peer_connect(&p), file = open(p.big, O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < 2; i++) {
        peer_say(fd, "GET /all HTTP/1.1\r\nHost: h\r\n\r\n");
        const char *text = peer_hear(fd, false, &n);
        EXPECT(n > BIG && memcmp(text + n - BIG, bytes, BIG) == 0);
        peer_say(fd, "GET /all HTTP/1.1\r\nHost: h\r\nRange: bytes=5-2097999\r\n\r\n");
        text = peer_hear(fd, false, &n);
        EXPECT(memcmp(text + n - 2097995, bytes + 5, 2097995) == 0);
        EXPECT_EQ(fdatasync(file), 0);
        posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    }
    close(file);
    close(fd);
    peer_stop(&p);
    free(bytes);
}

TEST("http reply: gives up on a client that does not read")
{
    peer_start(&p, (struct http_limits){.stall = 30 * MS});
    free(grow_file(BIG));
    int fd = peer_connect(&p);
    peer_say(fd, "GET /all HTTP/1.1\r\nHost: h\r\n\r\n");
    peer_wait(&p.ended);
    EXPECT_EQ(p.rc, E_STALLED);
    close(fd);
    fd = peer_connect(&p);
    peer_say(fd, "GET /all HTTP/1.1\r\nHost: h\r\n\r\n");
    peer_wait(&p.began);
    peer_wait(&p.began);
    close(fd);
    peer_wait(&p.ended);
    EXPECT(p.rc == E_GONE || p.rc == E_STALLED);
    peer_stop(&p);
}

TEST("http reply: checks the headers it is given")
{
    struct reply r;
    reply_init(&r, 200);
    static const char *const bad[][2] = {
        {"Content-Length", "1"},
        {"transfer-encoding", "chunked"},
        {"CONNECTION", "x"},
        {"Date", "now"},
        {"Trailer", "x"},
        {"Upgrade", "h2c"},
        {"Keep-Alive", "x"},
        {"X Y", "z"},
        {"", "z"},
        {"X:", "z"},
        {"X", "a\r\nb: c"},
        {"X", "a\nb"},
        {"X", " a"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        EXPECT_EQ(reply_header(&r, span_of(bad[i][0]), span_of(bad[i][1])), E_INVALID);
    for (int i = 0; i < REPLY_HEADERS_MAX; i++)
        EXPECT_EQ(reply_header(&r, span_of("X"), span_of("")), 0);
    EXPECT_EQ(reply_header(&r, span_of("X"), span_of("y")), E_INVALID);
}
