/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS behind a connection: small socket buffers and a client that takes its time, so that
 * every write is taken in part.
 */
#include "base/clock.h"
#include "base/err.h"
#include "loop/disk.h"
#include "loop/ticket.h"
#include "loop/tls_context.h"
#include "loop/worker.h"
#include "spec/unit/cert.h"
#include "spec/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SIZE ((size_t)1500 * 1000)

struct talk {
    struct conn conn;
    struct worker *worker;
    struct tls_context *context;
    pthread_t client;
    int peer, file; /* file: -1, or what is sent */
    char heard[5];  /* the client's word */
    size_t heard_n, sent;
    bool greeted, ended;
    size_t taken; /* by the client, all of it right */
    int how;      /* SSL_get_error at the end of it */
};

static struct talk t;

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(((uint32_t)i * 2654435761U) >> 23);
}

/* -- the client: a thread that blocks ---------------------------------------------- */

static void take_all(SSL *ssl)
{
    static uint8_t buf[50000];
    for (unsigned turn = 0;; turn++) {
        int n = SSL_read(ssl, buf, turn % 3 ? (int)sizeof buf : 100);
        if (n <= 0) {
            t.how = SSL_get_error(ssl, n);
            return;
        }
        for (int i = 0; i < n; i++)
            EXPECT(buf[i] == byte_at(t.taken + (size_t)i));
        t.taken += (size_t)n;
        if (turn % 16 == 0)
            usleep(1000);
    }
}

static void *be_client(void *arg)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    (void)arg;
    SSL_set_fd(ssl, t.peer);
    EXPECT_EQ(SSL_connect(ssl), 1);
    EXPECT_EQ(SSL_write(ssl, "hel", 3), 3);
    EXPECT_EQ(SSL_write(ssl, "lo", 2), 2);
    take_all(ssl);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return NULL;
}

/* -- the server: the worker under test --------------------------------------------- */

/* Writes in uneven pieces from where the last write has left off. */
static ssize_t write_on(struct conn *c)
{
    static const size_t sizes[] = {1, 300, 16384, 40000, 0, 70000, 17};
    static uint8_t bytes[130000];
    struct iovec iov[7];
    size_t at = 0, left = SIZE - t.sent;
    int n = 0;
    if (t.file >= 0) {
        off_t offset = (off_t)t.sent;
        ssize_t sent = conn_sendfile(c, t.file, &offset, left);
        EXPECT(sent < 0 || (size_t)offset == t.sent + (size_t)sent);
        return sent;
    }
    for (; n < 7 && at < left; n++) {
        size_t more = sizes[n] < left - at ? sizes[n] : left - at;
        iov[n] = (struct iovec){bytes + at, more};
        at += more;
    }
    for (size_t i = 0; i < at; i++)
        bytes[i] = byte_at(t.sent + i);
    return conn_writev(c, iov, n);
}

static void on_wake(struct conn *c)
{
    ssize_t n;
    if (!t.greeted) {
        int rc = conn_handshake(c);
        if (rc == -EAGAIN)
            return;
        EXPECT_EQ(rc, 0);
        t.greeted = true;
    }
    while (t.heard_n < 5) {
        n = conn_recv(c, t.heard + t.heard_n, 5 - t.heard_n);
        if (n == -EAGAIN)
            return;
        EXPECT(n > 0);
        t.heard_n += (size_t)n;
    }
    while (t.sent < SIZE) {
        n = write_on(c);
        if (n == -EAGAIN)
            return;
        EXPECT(n > 0 && (size_t)n <= SIZE - t.sent);
        t.sent += (size_t)n;
    }
    t.ended = true;
    worker_stop(t.worker);
}

static struct tls_context *make_context(bool direct)
{
    char path[96], *why = NULL;
    X509 *cert;
    EVP_PKEY *key;
    struct tls_pair pair = {path, NULL};
    struct tls_options o = {.pairs = &pair, .n_pairs = 1};
    struct tls_context *x;
    struct tickets *tickets = tickets_new();
    snprintf(path, sizeof path, "%s/own.pem", unit_tmpdir());
    cert_make(&cert, &key);
    cert_write(cert, key, path);
    EXPECT_EQ(tls_context_new(&o, tickets, &x, &why), 0);
    tls_context_force(x, direct);
    tickets_unref(tickets);
    X509_free(cert);
    EVP_PKEY_free(key);
    return x;
}

static void talk_start(bool direct, int file)
{
    int fds[2], small = 8192;
    signal(SIGPIPE, SIG_IGN); /* the client's OpenSSL says why it gives up */
    memset(&t, 0, sizeof t);
    t.file = file;
    t.context = make_context(direct);
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    t.peer = fds[1];
    t.worker = worker_new("tls");
    EXPECT_EQ(conn_init(&t.conn, t.worker, fds[0], "peer", on_wake), 0);
    EXPECT_EQ(conn_secure(&t.conn, t.context), 0);
    EXPECT_EQ(pthread_create(&t.client, NULL, be_client, NULL), 0);
    worker_run(t.worker);
    EXPECT(t.ended && memcmp(t.heard, "hello", 5) == 0);
}

static void talk_stop(void)
{
    conn_fini(&t.conn);
    pthread_join(t.client, NULL);
    worker_free(t.worker);
    close(t.peer);
    tls_context_unref(t.context);
    if (t.file >= 0)
        close(t.file);
}

static void expect_whole(bool direct, int file)
{
    talk_start(direct, file);
    conn_shutdown(&t.conn);
    talk_stop();
    EXPECT_EQ(t.taken, SIZE);
    EXPECT_EQ(t.how, SSL_ERROR_ZERO_RETURN);
}

TEST("tls: sends what a slow client takes in parts")
{
    expect_whole(false, -1);
}

TEST("tls: sends the same where the socket is OpenSSL's own")
{
    expect_whole(true, -1);
}

static int make_file(void)
{
    static uint8_t bytes[SIZE];
    char path[96];
    snprintf(path, sizeof path, "%s/bytes", unit_tmpdir());
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = byte_at(i);
    EXPECT_EQ(write(fd, bytes, SIZE), SIZE);
    return fd;
}

TEST("tls: sends a file")
{
    expect_whole(false, make_file());
}

TEST("tls: sends a file where the socket is OpenSSL's own")
{
    expect_whole(true, make_file());
}

TEST("tls: says no goodbye when a connection is torn")
{
    talk_start(false, -1);
    conn_tear(&t.conn);
    talk_stop();
    EXPECT(t.taken <= SIZE);
    EXPECT(t.how != SSL_ERROR_ZERO_RETURN);
}

/* -- tickets ----------------------------------------------------------------------- */

struct ticket {
    unsigned char name[16], iv[EVP_MAX_IV_LENGTH];
};

static int use(struct tickets *k, uint64_t now, struct ticket *one, int encrypting)
{
    EVP_MAC *kind = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *mac = EVP_MAC_CTX_new(kind);
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    int rc = tickets_use(k, now, one->name, one->iv, cipher, mac, encrypting);
    EVP_CIPHER_CTX_free(cipher);
    EVP_MAC_CTX_free(mac);
    EVP_MAC_free(kind);
    return rc;
}

TEST("tls: keys of tickets take turns, and are forgotten")
{
    struct tickets *k = tickets_new(), *other = tickets_new();
    struct ticket first, second, unknown;
    uint64_t start = 5 * TICKET_TURN;
    EXPECT_EQ(use(k, start, &first, 1), 1);
    EXPECT_EQ(use(other, start, &unknown, 1), 1);
    EXPECT_EQ(use(k, start, &unknown, 0), 0);
    EXPECT_EQ(use(k, start + 1, &first, 0), 1);
    EXPECT_EQ(use(k, start + TICKET_TURN, &first, 0), 2); /* its turn is over */
    EXPECT_EQ(use(k, start + TICKET_TURN, &second, 1), 1);
    EXPECT(memcmp(first.name, second.name, sizeof first.name) != 0);
    EXPECT_EQ(use(k, start + TICKET_TURN, &first, 0), 2);
    EXPECT_EQ(use(k, start + TICKET_TURN, &second, 0), 1);
    EXPECT_EQ(use(k, start + 3 * TICKET_TURN - 1, &first, 0), 2);
    EXPECT_EQ(use(k, start + 3 * TICKET_TURN, &first, 0), 0);
    EXPECT_EQ(use(k, start + 3 * TICKET_TURN, &second, 0), 2);
    tickets_unref(k);
    tickets_unref(other);
}
