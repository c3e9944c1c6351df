/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS 1.2 and 1.3 by OpenSSL, for connections that were accepted.
 *
 * A context is what a listener has: certificates, chosen by the name that the client asks
 * for (SNI), whose clients must show one, and how. It never changes once made; it is
 * counted, and shared by all threads.
 *
 * A connection's TLS lies behind conn.h and is its worker's. Ciphertext passes through
 * our own BIO: what a call encrypts is gathered, up to BATCH bytes in records of 16 KiB,
 * and leaves in one send. What the kernel does not take stays with the connection, and
 * the bytes that it stands for are not reported as sent before it has left; so the next
 * write must begin with the same bytes, which is what callers do anyway. With kTLS, where
 * kernel and OpenSSL have it, the socket is OpenSSL's own and files leave by sendfile.
 *
 * The private key's operation of a handshake runs on the worker: 0.1 ms for ECDSA P-256,
 * about 1 ms for RSA 2048. Nothing here waits.
 */
#ifndef LOOP_TLS_H
#define LOOP_TLS_H

#include "base/mem.h"
#include "loop/conn.h"

struct tickets;
struct tls_context;

struct tls_pair {
    char *cert; /* PEM: the certificate, then those that signed it */
    char *key;  /* PEM; NULL: it stands in `cert`, too */
};

/* Paths, to be opened from where the process is. */
struct tls_options {
    struct tls_pair *pairs; /* the first is for clients that name none, or none we have */
    size_t n_pairs;
    char *client; /* PEM: who may sign clients' certificates; NULL: nobody asks for one */
    bool require; /* who shows none is refused */
    bool kernel;  /* let the kernel encrypt where it can */
};

/* Blocks: it reads the files. tickets: NULL for none, else counted. Returns 0 and a
 * context with one reference, or E_INVALID with *why owned: the file, and what is wrong
 * with it. */
int tls_context_new(const struct tls_options *o, struct tickets *tickets,
                    struct tls_context **out, char **why);
struct tls_context *tls_context_ref(struct tls_context *x);
/* Accepts NULL. */
void tls_context_unref(struct tls_context *x);
/* For certificate i: "a.example, *.example until 2027-01-31"; owned. */
char *tls_context_describe(const struct tls_context *x, size_t i);

/* What a script may ask about a connection; texts in the arena or static. */
struct tls_facts {
    const char *version, *cipher; /* "TLSv1.3", "TLS_AES_256_GCM_SHA384" */
    const char *name;             /* that the client asked for, or NULL */
    bool has_client;              /* it has shown a certificate, which was verified */
    const char *subject;          /* RFC 2253: "CN=ci,O=Example" */
    const char **names;           /* "DNS:ci.example", "URI:…", "email:…", "IP:…" */
    size_t n_names;
    const char *fingerprint; /* SHA-256, lower-case hex */
};
/* On a connection whose handshake is done. */
void tls_facts(const struct conn *c, struct arena *a, struct tls_facts *out);
/* "TLSv1.3"; static. */
const char *tls_version(const struct conn *c);
/* Why the handshake failed, for the log; static, or valid until the next call of
 * OpenSSL. */
const char *tls_failure(const struct conn *c);

/* -- for conn.c -------------------------------------------------------------------- */

struct tls *tls_new(struct conn *c, struct tls_context *x);
/* With a goodbye (close_notify) if that is possible at once. Accepts NULL. */
void tls_free(struct tls *t, bool goodbye);
int tls_handshake(struct conn *c);
ssize_t tls_recv(struct conn *c, void *buf, size_t n);
ssize_t tls_writev(struct conn *c, const struct iovec *iov, int count);
ssize_t tls_sendfile(struct conn *c, int file, off_t *offset, size_t n);
/* The socket is readable or writable again. */
void tls_wake(struct conn *c, bool readable, bool writable);
/* Nothing is left to be sent of what was encrypted. */
bool tls_is_flushed(const struct tls *t);
void tls_goodbye(struct conn *c);

#endif
