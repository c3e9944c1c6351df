/* SPDX-License-Identifier: Apache-2.0
 *
 * A small blocking HTTP client for the load generator: one connection to a server on
 * 127.0.0.1 that is trusted. Whatever goes wrong ends the program with a message.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client {
    int fd;
    struct ssl_st *ssl; /* NULL: plain */
    unsigned port;
    size_t n;                /* bytes read ahead in buf */
    char buf[256 * 1024];    /* also where bodies go */
    char location[4 * 1024]; /* of the last reply: path and query, or "" */
    uint64_t length;         /* of the last reply's body */
};

void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Connects, with TLS if wanted; no certificate is verified. Returns an owned client. */
struct client *client_open(unsigned port, bool tls);
void client_close(struct client *c);

/* Sends a head whose body is length bytes, to be sent by the two calls below. */
void client_head(struct client *c, const char *method, const char *path, uint64_t length);
void client_send(struct client *c, const void *p, size_t n);
/* Sends the first n bytes of an open file, in the kernel; plain clients only. */
void client_sendfile(struct client *c, int fd, uint64_t n);
/* Reads a whole reply and throws its body away; dies unless it has this status. */
void client_reply(struct client *c, int status);

#endif
