/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/tls.h"

#include "base/span.h"
#include "loop/tls_context.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECORD ((size_t)16 * 1024) /* bytes of plaintext in the largest record */
#define BATCH (4 * RECORD)         /* encrypted before it is sent, at most */
#define OUT_MAX (3 * BATCH)        /* ciphertext that may wait; then reading waits, too */

struct tls {
    SSL *ssl;
    struct tls_context *context;
    struct conn *conn;
    char *out; /* ciphertext that the kernel has not taken; NULL: none */
    size_t out_at, out_end, out_cap;
    size_t owed;  /* plaintext in `out` that is not reported as sent */
    size_t batch; /* RECORD while the peer is slow, so that little waits in `out` */
    int broken;   /* what every later call answers; 0 while it works */
    char why[120];
    bool direct;  /* the socket is OpenSSL's own */
    bool greeted; /* the handshake is done */
    bool dry;     /* the socket had nothing more; until it is readable again */
    bool ended;   /* its stream has */
    bool stuck;   /* reading waits until `out` has left */
    bool parted;  /* our close_notify is said */
};

/* -- the wire: OpenSSL's side of `out` and the socket ------------------------------ */

/* A short read has emptied the socket, see conn_recv. */
static int wire_read(BIO *b, char *to, int n)
{
    struct tls *t = BIO_get_data(b);
    struct conn *c = t->conn;
    BIO_clear_retry_flags(b);
    if (t->broken)
        return -1;
    ssize_t got = -1;
    if (!t->dry)
        got = TEMP_FAILURE_RETRY(recv(c->fd, to, (size_t)n, MSG_DONTWAIT));
    if (got == 0)
        t->ended = true;
    if (got < 0 && (t->dry || errno == EAGAIN)) {
        t->dry = true;
        BIO_set_retry_read(b);
    } else if (got > 0 && got < n && !c->closed) {
        t->dry = true;
    }
    return (int)got;
}

static int wire_write(BIO *b, const char *p, int n)
{
    struct tls *t = BIO_get_data(b);
    size_t more = (size_t)n;
    BIO_clear_retry_flags(b);
    if (t->out_end + more > OUT_MAX) {
        BIO_set_retry_write(b);
        return -1;
    }
    if (t->out_end + more > t->out_cap) {
        size_t room = t->batch + t->batch / 8;
        t->out_cap = t->out_end + more > room ? t->out_end + more : room;
        t->out = xrealloc(t->out, t->out_cap);
    }
    memcpy(t->out + t->out_end, p, more);
    t->out_end += more;
    return n;
}

static long wire_ctrl(BIO *b, int what, long n, void *p)
{
    struct tls *t = BIO_get_data(b);
    (void)n;
    (void)p;
    if (what == BIO_CTRL_EOF)
        return t->ended;
    return what == BIO_CTRL_FLUSH; /* done behind each call into OpenSSL */
}

BIO_METHOD *tls_wire(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "connection");
    BIO_meth_set_read(m, wire_read);
    BIO_meth_set_write(m, wire_write);
    BIO_meth_set_ctrl(m, wire_ctrl);
    return m;
}

static int give_up(struct conn *c, int rc)
{
    c->closed = true;
    return c->tls->broken = rc;
}

/* 0 when nothing is left, -EAGAIN, or a failure. */
static int flush(struct conn *c)
{
    struct tls *t = c->tls;
    while (t->out_at < t->out_end) {
        ssize_t n =
            TEMP_FAILURE_RETRY(send(c->fd, t->out + t->out_at, t->out_end - t->out_at,
                                    MSG_DONTWAIT | MSG_NOSIGNAL));
        if (n < 0 && errno == EAGAIN) {
            c->writable = false;
            return -EAGAIN;
        }
        if (n < 0)
            return give_up(c, -errno);
        t->out_at += (size_t)n;
    }
    free(t->out);
    t->out = NULL;
    t->out_at = t->out_end = t->out_cap = 0;
    c->readable = c->readable || t->stuck;
    t->stuck = false;
    return 0;
}

bool tls_is_flushed(const struct tls *t)
{
    return !t->out;
}

void tls_wake(struct conn *c, bool readable, bool writable)
{
    struct tls *t = c->tls;
    if (readable)
        t->dry = false;
    if (!writable)
        return;
    if (t->out && !t->owed) /* a write that is owed bytes flushes by itself */
        flush(c);
    c->readable = c->readable || t->stuck;
    t->stuck = false;
}

/* -- failures ---------------------------------------------------------------------- */

static void explain(struct tls *t)
{
    long verdict = SSL_get_verify_result(t->ssl);
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    if (!t->greeted && verdict != X509_V_OK)
        text = X509_verify_cert_error_string(verdict);
    snprintf(t->why, sizeof t->why, "%s", text ? text : "the client left");
}

/* What others have left in this thread's queue would be taken for ours. Clearing an empty one
 * takes OpenSSL 330 ns, looking at it 50. */
static void forget_errors(void)
{
    if (ERR_peek_error())
        ERR_clear_error();
}

/* What a call that moved nothing has to say; its result was rc. */
static int verdict_of(struct conn *c, int rc)
{
    struct tls *t = c->tls;
    int error = SSL_get_error(t->ssl, rc);
    if (t->broken)
        return t->broken;
    switch (error) {
    case SSL_ERROR_WANT_READ:
        c->readable = false;
        return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        c->writable = c->writable && !t->direct;
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        c->closed = true;
        return 0;
    default:
        explain(t);
        give_up(c, t->ended || error == SSL_ERROR_SYSCALL ? -ECONNRESET : -EPROTO);
        ERR_clear_error();
        return t->broken;
    }
}

const char *tls_failure(const struct conn *c)
{
    return c->tls ? c->tls->why : "";
}

/* A client that wants to negotiate anew is refused anyway; but each attempt is work, so
 * it gets one. */
static void on_message(int written, int version, int type, const void *p, size_t n,
                       SSL *ssl, void *arg)
{
    struct tls *t = arg;
    (void)version;
    (void)ssl;
    if (!written && type == SSL3_RT_HANDSHAKE && n &&
        *(const unsigned char *)p == SSL3_MT_CLIENT_HELLO)
        t->broken = -EPROTO;
}

/* -- a connection ------------------------------------------------------------------ */

struct tls *tls_new(struct conn *c, struct tls_context *x)
{
    struct tls *t = xalloc(sizeof *t);
    t->ssl = tls_context_open(x, &t->direct);
    BIO *wire = t->ssl && !t->direct ? BIO_new(tls_context_wire(x)) : NULL;
    if (!t->ssl || (!t->direct && !wire) || (t->direct && !SSL_set_fd(t->ssl, c->fd))) {
        SSL_free(t->ssl);
        free(t);
        ERR_clear_error();
        return NULL;
    }
    if (wire) {
        BIO_set_data(wire, t);
        BIO_set_init(wire, 1);
        SSL_set_bio(t->ssl, wire, wire);
    }
    t->context = tls_context_ref(x);
    t->conn = c;
    t->batch = RECORD;
    SSL_set_accept_state(t->ssl);
    return t;
}

void tls_goodbye(struct conn *c)
{
    struct tls *t = c->tls;
    if (!t->greeted || t->broken || t->owed || t->parted)
        return;
    t->parted = true;
    SSL_shutdown(t->ssl);
    ERR_clear_error();
    flush(c);
}

void tls_free(struct tls *t, bool goodbye)
{
    if (!t)
        return;
    if (goodbye)
        tls_goodbye(t->conn);
    SSL_free(t->ssl);
    tls_context_unref(t->context);
    free(t->out);
    free(t);
}

int tls_handshake(struct conn *c)
{
    struct tls *t = c->tls;
    if (t->broken)
        return t->broken;
    ERR_clear_error();
    int rc = SSL_do_handshake(t->ssl);
    int verdict = rc == 1 ? 0 : verdict_of(c, rc);
    if (t->out)
        flush(c); /* an alert, too */
    if (rc != 1)
        return verdict ? verdict : -ECONNRESET;
    t->greeted = true;
    if (SSL_version(t->ssl) < TLS1_3_VERSION) {
        SSL_set_msg_callback(t->ssl, on_message);
        SSL_set_msg_callback_arg(t->ssl, t);
    }
    return 0;
}

ssize_t tls_recv(struct conn *c, void *buf, size_t n)
{
    struct tls *t = c->tls;
    size_t got = 0, one;
    int verdict = 0;
    if (t->broken)
        return t->broken;
    forget_errors();
    while (got < n) {
        if (got && t->dry && !SSL_has_pending(t->ssl)) { /* spares OpenSSL the question */
            c->readable = false;
            break;
        }
        int rc = SSL_read_ex(t->ssl, (char *)buf + got, n - got, &one);
        if (rc != 1) {
            verdict = verdict_of(c, rc);
            break;
        }
        got += one;
    }
    if (verdict == -EAGAIN && SSL_want_write(t->ssl)) { /* our answer must leave first */
        c->readable = false;
        t->stuck = true;
    }
    if (t->out && !t->owed)
        flush(c);
    return got ? (ssize_t)got : verdict;
}

/* Sends what was encrypted, and says how much plaintext that was: > 0, 0 if nobody is
 * owed any, -EAGAIN, or a failure. Of what leaves in part a part is reported, for the
 * sake of whoever counts on progress, but never all. */
static ssize_t settle(struct conn *c)
{
    struct tls *t = c->tls;
    size_t before = t->out_at;
    int rc = flush(c);
    if (rc == 0) {
        size_t n = t->owed;
        t->owed = 0;
        t->batch = t->batch < BATCH ? 2 * t->batch : BATCH;
        return (ssize_t)n;
    }
    if (rc != -EAGAIN)
        return rc;
    size_t moved = t->out_at - before;
    t->batch = RECORD;
    if (moved == 0 || t->owed < 2)
        return -EAGAIN;
    moved = moved < t->owed ? moved : t->owed - 1;
    t->owed -= moved;
    return (ssize_t)moved;
}

/* Before a write: what an earlier one is owed. 0: nothing, go on. */
static ssize_t prepare(struct conn *c)
{
    struct tls *t = c->tls;
    forget_errors();
    if (t->broken)
        return t->broken;
    return t->out || t->owed ? settle(c) : 0;
}

/* Encrypts one piece of at most RECORD bytes: 1 to n, or what verdict_of says. */
static ssize_t seal(struct conn *c, const void *p, size_t n)
{
    size_t put;
    int rc = SSL_write_ex(c->tls->ssl, p, n, &put);
    if (rc == 1)
        return (ssize_t)put;
    bool readable = c->readable;
    ssize_t verdict = verdict_of(c, rc);
    c->readable = readable;
    return verdict ? verdict : -EPIPE;
}

/* Behind a write that sealed n bytes, and then met `verdict` or an end (>= 0). */
static ssize_t conclude(struct conn *c, size_t n, ssize_t verdict)
{
    struct tls *t = c->tls;
    if (t->broken)
        return t->broken;
    if (n == 0)
        return verdict;
    if (t->direct)
        return (ssize_t)n;
    t->owed = n;
    return settle(c);
}

/* The next piece for a record at *at of iov: where it lies, or, if it is in parts, copied
 * together. */
static const void *piece_of(const struct iovec **iov, int *count, size_t *at,
                            char together[RECORD], size_t *n)
{
    size_t filled = 0;
    while (*count) {
        const char *p = (const char *)(*iov)->iov_base + *at;
        size_t left = (*iov)->iov_len - *at;
        size_t room = RECORD - filled;
        size_t take = left < room ? left : room;
        bool whole = filled == 0 && (take == RECORD || *count == 1);
        if (!whole)
            memcpy(together + filled, p, take);
        filled += take;
        *at += take;
        if (*at == (*iov)->iov_len) {
            (*iov)++;
            (*count)--;
            *at = 0;
        }
        if (whole) {
            *n = filled;
            return p;
        }
        if (filled == RECORD)
            break;
    }
    *n = filled;
    return together;
}

ssize_t tls_writev(struct conn *c, const struct iovec *iov, int count)
{
    struct tls *t = c->tls;
    char together[RECORD];
    size_t sealed = 0, at = 0;
    ssize_t put = prepare(c);
    if (put)
        return put;
    while (count && sealed < t->batch) {
        size_t n;
        const void *p = piece_of(&iov, &count, &at, together, &n);
        if (n == 0)
            break;
        put = seal(c, p, n);
        if (put > 0)
            sealed += (size_t)put;
        if (put != (ssize_t)n)
            break;
    }
    return conclude(c, sealed, put);
}

static ssize_t send_by_kernel(struct conn *c, int file, off_t *offset, size_t n)
{
    ossl_ssize_t sent = SSL_sendfile(c->tls->ssl, file, *offset, n, 0);
    if (sent > 0)
        *offset += sent;
    if (sent >= 0)
        return sent;
    ssize_t verdict = verdict_of(c, (int)sent);
    return verdict ? verdict : -EPIPE;
}

ssize_t tls_sendfile(struct conn *c, int file, off_t *offset, size_t n)
{
    struct tls *t = c->tls;
    char piece[RECORD];
    size_t sealed = 0;
    ssize_t put = prepare(c);
    if (put == 0 && t->direct && BIO_get_ktls_send(SSL_get_wbio(t->ssl)))
        return send_by_kernel(c, file, offset, n);
    if (put == 0) {
        while (sealed < n && sealed < t->batch) {
            size_t want = n - sealed < RECORD ? n - sealed : RECORD;
            put = TEMP_FAILURE_RETRY(pread(file, piece, want, *offset + (off_t)sealed));
            put = put < 0 ? -errno : put;
            if (put <= 0)
                break;
            want = (size_t)put;
            put = seal(c, piece, want);
            if (put > 0)
                sealed += (size_t)put;
            if (put != (ssize_t)want)
                break;
        }
        put = conclude(c, sealed, put);
    }
    if (put > 0)
        *offset += put;
    return put;
}

SSL *tls_object(const struct conn *c)
{
    return c->tls->ssl;
}
