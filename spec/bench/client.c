/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/bench/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

void die(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, ap);
    fputs("\n", stderr);
    va_end(ap);
    exit(1);
}

/* As a client does that wants to be fast: it asks the socket for much at once. */
static void secure(struct client *c)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx)
        die("no TLS");
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_default_read_buffer_len(ctx, sizeof c->buf);
    c->ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1 || SSL_connect(c->ssl) != 1)
        die("TLS with port %u: %s", c->port, ERR_error_string(ERR_peek_error(), NULL));
}

struct client *client_open(unsigned port, bool tls)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1;
    struct client *c = calloc(1, sizeof *c);
    if (!c)
        die("out of memory");
    c->port = port;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("connect to port %u: %s", port, strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (tls)
        secure(c);
    return c;
}

void client_close(struct client *c)
{
    SSL_free(c->ssl);
    close(c->fd);
    free(c);
}

void client_send(struct client *c, const void *p, size_t n)
{
    const char *at = p;
    while (n > 0) {
        ssize_t sent =
            c->ssl ? SSL_write(c->ssl, at, (int)n) : send(c->fd, at, n, MSG_NOSIGNAL);
        if (sent <= 0)
            die("send: %s", strerror(errno));
        at += sent;
        n -= (size_t)sent;
    }
}

void client_sendfile(struct client *c, int fd, uint64_t n)
{
    off_t at = 0;
    while ((uint64_t)at < n) {
        ssize_t sent = sendfile(c->fd, fd, &at, n - (uint64_t)at);
        if (sent < 0)
            die("sendfile: %s", strerror(errno));
        if (sent == 0)
            die("the file is shorter than %llu bytes", (unsigned long long)n);
    }
}

void client_head(struct client *c, const char *method, const char *path, uint64_t length)
{
    char head[8 * 1024];
    bool body = strcmp(method, "GET") != 0;
    int n = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n",
                     method, path, c->port);
    if (body)
        n +=
            snprintf(head + n, sizeof head - (size_t)n,
                     "Content-Type: application/octet-stream\r\nContent-Length: %llu\r\n",
                     (unsigned long long)length);
    n += snprintf(head + n, sizeof head - (size_t)n, "\r\n");
    client_send(c, head, (size_t)n);
}

static ssize_t take(struct client *c, char *to, size_t n)
{
    return c->ssl ? SSL_read(c->ssl, to, (int)n) : recv(c->fd, to, n, 0);
}

static void fill(struct client *c)
{
    ssize_t got = take(c, c->buf + c->n, sizeof c->buf - 1 - c->n);
    if (got < 0)
        die("recv: %s", strerror(errno));
    if (got == 0)
        die("the server closed the connection");
    c->n += (size_t)got;
    c->buf[c->n] = '\0';
}

/* Keeps path and query of an absolute or relative Location. */
static void keep_location(struct client *c, const char *value)
{
    const char *host = strstr(value, "://");
    const char *path = host ? strchr(host + 3, '/') : value;
    size_t n = path ? strcspn(path, "\r\n") : 0;
    if (n >= sizeof c->location)
        die("a Location of %zu bytes", n);
    memcpy(c->location, path, n);
    c->location[n] = '\0';
}

static const char *field(const char *line, const char *name)
{
    size_t n = strlen(name);
    if (strncasecmp(line, name, n) != 0)
        return NULL;
    return line + n + strspn(line + n, " ");
}

void client_reply(struct client *c, int status)
{
    char *end;
    while (!(end = c->n ? strstr(c->buf, "\r\n\r\n") : NULL))
        fill(c);
    end[2] = '\0';
    c->location[0] = '\0';
    c->length = 0;
    if (atoi(c->buf + strcspn(c->buf, " ")) != status)
        die("wanted %d, got: %s", status, c->buf);
    for (char *line = strchr(c->buf, '\n') + 1; line < end;
         line = strchr(line, '\n') + 1) {
        const char *value;
        if ((value = field(line, "Location:")))
            keep_location(c, value);
        if ((value = field(line, "Content-Length:")))
            c->length = strtoull(value, NULL, 10);
    }
    uint64_t left = c->length;
    size_t ahead = c->n - (size_t)(end + 4 - c->buf);
    c->n = 0;
    for (left -= ahead; left > 0;) {
        ssize_t got = take(c, c->buf, left < sizeof c->buf ? left : sizeof c->buf);
        if (got <= 0)
            die("the body ended early");
        left -= (uint64_t)got;
    }
}
