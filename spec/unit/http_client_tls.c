/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates: a server with one of its own making is refused, unless it is the one that
 * the request trusts and its name is the one that was asked for.
 */
#include "spec/unit/cert.h"
#include "spec/unit/http_origin.h"

#include "base/clock.h"
#include "http/trust.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct origin o;
static struct trial t;

struct guard { /* a TLS server for one connection */
    pthread_t thread;
    SSL_CTX *ctx;
    X509 *cert;
    EVP_PKEY *key;
    int listener, port;
    bool greeted;
};

static void *stand_guard(void *arg)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret";
    struct guard *g = arg;
    char heard[4096];
    int fd = accept(g->listener, NULL, NULL);
    SSL *ssl = SSL_new(g->ctx);
    EXPECT(fd >= 0 && ssl);
    SSL_set_fd(ssl, fd);
    g->greeted = SSL_accept(ssl) == 1 && SSL_read(ssl, heard, sizeof heard) > 0;
    if (g->greeted) {
        SSL_write(ssl, answer, sizeof answer - 1);
        SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    close(fd);
    ERR_clear_error();
    return NULL;
}

static void guard_start(struct guard *g)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    memset(g, 0, sizeof *g);
    cert_make(&g->cert, &g->key);
    g->ctx = SSL_CTX_new(TLS_server_method());
    EXPECT(g->ctx && SSL_CTX_use_certificate(g->ctx, g->cert) == 1 &&
           SSL_CTX_use_PrivateKey(g->ctx, g->key) == 1);
    g->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT(bind(g->listener, (struct sockaddr *)&a, n) == 0 &&
           listen(g->listener, 1) == 0 &&
           getsockname(g->listener, (struct sockaddr *)&a, &n) == 0);
    g->port = ntohs(a.sin_port);
    signal(SIGPIPE,
           SIG_IGN); /* whoever is refused may be gone before OpenSSL has spoken */
    EXPECT_EQ(pthread_create(&g->thread, NULL, stand_guard, g), 0);
}

static void guard_stop(struct guard *g)
{
    pthread_join(g->thread, NULL);
    close(g->listener);
    SSL_CTX_free(g->ctx);
    X509_free(g->cert);
    EVP_PKEY_free(g->key);
}

TEST("http client: takes only certificates that it can verify")
{
    enum { SYSTEM, OURS, OTHERS };
    static const struct {
        const char *host;
        int trusts, rc;
    } cases[] = {
        {"127.0.0.1", SYSTEM, E_UPSTREAM},
        {"127.0.0.1", OTHERS, E_UPSTREAM},
        {"localhost", OURS, E_UPSTREAM}, /* the certificate is for another name */
        {"127.0.0.1", OURS, 0},
    };
    char files[3][80], url[64];
    struct guard other = {.port = 0};
    origin_start(&o, 0);
    snprintf(files[OURS], sizeof files[OURS], "%s/ours.pem", unit_tmpdir());
    snprintf(files[OTHERS], sizeof files[OTHERS], "%s/others.pem", unit_tmpdir());
    cert_make(&other.cert, &other.key);
    cert_write(other.cert, NULL, files[OTHERS]);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool good = cases[i].rc == 0;
        struct guard g;
        guard_start(&g);
        cert_write(g.cert, NULL, files[OURS]);
        snprintf(url, sizeof url, "https://%s:%d/", cases[i].host, g.port);
        trial_init(&t, &o, url);
        if (cases[i].trusts != SYSTEM)
            t.fetch.ca = files[cases[i].trusts];
        trial_expect(&t, cases[i].rc, good ? 200 : 0, good ? "secret" : NULL);
        trial_fini(&t);
        guard_stop(&g);
        EXPECT(g.greeted == good); /* not a byte of a request to a stranger */
    }
    X509_free(other.cert);
    EVP_PKEY_free(other.key);
    origin_stop(&o);
}

TEST("http client: trusts what the system does, on every connection")
{
    char file[80], url[64];
    struct guard g;
    origin_start(&o, 0);
    snprintf(file, sizeof file, "%s/system.pem", unit_tmpdir());
    for (int i = 0; i < 2; i++) {
        guard_start(&g);
        if (i == 0) {
            cert_write(g.cert, NULL, file);
            trust_set_file(file);
        }
        snprintf(url, sizeof url, "https://127.0.0.1:%d/", g.port);
        trial_init(&t, &o, url); /* the second one has a key of its own */
        trial_expect(&t, i ? E_UPSTREAM : 0, i ? 0 : 200, i ? NULL : "secret");
        trial_fini(&t);
        guard_stop(&g);
        EXPECT(g.greeted == (i == 0));
    }
    origin_stop(&o);
}

TEST("http client: says that a file of certificates cannot be read")
{
    struct guard g;
    char url[64];
    origin_start(&o, 0);
    guard_start(&g);
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", g.port);
    trial_init(&t, &o, url);
    t.fetch.ca = "/nonexistent/ca.pem";
    trial_expect(&t, E_IO, 0, NULL);
    EXPECT(strstr(t.fetch.cause, "/nonexistent/ca.pem"));
    trial_fini(&t);
    guard_stop(&g);
    origin_stop(&o);
}
