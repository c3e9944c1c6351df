/* SPDX-License-Identifier: Apache-2.0
 *
 * What comes before the first request head: the PROXY header, from proxies that we trust,
 * then the TLS handshake. All of it together has limits.head, from accept on.
 */
#include "base/log.h"
#include "http/proxy.h"
#include "http/session.h"

#include <errno.h>

#define LINGER_NS NS_PER_S
#define TLS_HANDSHAKE 0x16 /* a record of this type comes first */

/* The client has not kept to what the listener speaks. It may still be sending: read on
 * for a while, so that the reset does not overtake our alert. */
static enum next part(struct session *s, enum log_level level, const char *why)
{
    struct conn *c = &s->conn;
    LOG_FIELDS(level, "TLS handshake failed", {"peer", span_of(c->peer)},
               {"listener", span_of(s->front->address)}, {"why", span_of(why)});
    conn_bare(c);
    conn_shutdown(c);
    conn_deadline(c, worker_now(s->server->worker) + LINGER_NS);
    s->step = STEP_LINGER;
    return NEXT;
}

/* Only a look at the first byte tells a request from a handshake, and only before OpenSSL
 * has it. */
static enum next begin_tls(struct session *s)
{
    unsigned char first;
    ssize_t n = conn_peek(&s->conn, &first, 1);
    if (n == -EAGAIN)
        return WAIT;
    if (n <= 0)
        return DONE;
    if (first != TLS_HANDSHAKE)
        return session_refuse(s, HTTP_FAULT_PLAIN);
    return conn_secure(&s->conn, s->front->tls) == 0 ? NEXT : DONE;
}

/* Other connections to such a listener are served, too; they speak for themselves. */
void greet_init(struct session *s)
{
    const struct front *f = s->front;
    struct span peer = span_of(s->conn.peer);
    s->address = net_host(peer);
    s->trusted = f->n_trust && net_parse(peer, &s->from) == 0 &&
                 net_in(f->trust, f->n_trust, &s->from);
    s->introduced = !f->proxy || !s->trusted;
}

void greet_name(struct session *s, struct req *q)
{
    const struct front *f = s->front;
    struct net_addr from = s->from;
    forwarded_for(&q->head, f->forwarded, f->trust, f->n_trust, &from);
    forwarded_proto(&q->head, f->forwarded, &q->secure);
    if (memcmp(&from, &s->from, sizeof from) == 0)
        return;
    char *text = arena_alloc(&q->arena, NET_TEXT_SIZE);
    net_text(&from, text);
    q->address = span_of(text);
}

/* The header is looked at where it lies, so that not a byte of TLS is taken with it. */
static enum next meet_proxy(struct session *s)
{
    struct conn *c = &s->conn;
    struct proxy_header h;
    char bytes[PROXY_HEADER_MAX];
    ssize_t got = conn_peek(c, bytes, sizeof bytes);
    if (got == -EAGAIN)
        return WAIT;
    if (got <= 0)
        return DONE;
    ssize_t n = proxy_parse(bytes, (size_t)got, &h);
    if (n == E_MORE && !c->closed) {
        c->readable = false; /* more of it is a new edge */
        return WAIT;
    }
    if (n < 0) {
        LOG_FIELDS(LOG_WARN, "PROXY header refused", {"peer", span_of(c->peer)},
                   {"listener", span_of(s->front->address)},
                   {"why", span_of(n == E_TOO_LARGE ? "too long" : "malformed")});
        return DONE;
    }
    conn_skip(c, (size_t)n);
    s->introduced = true;
    if (!h.told)
        return NEXT;
    s->from = h.from;
    s->shown = xalloc(NET_TEXT_SIZE);
    net_text(&h.from, s->shown);
    s->address = span_of(s->shown);
    s->trusted = net_in(s->front->trust, s->front->n_trust, &h.from);
    return NEXT;
}

enum next step_greet(struct session *s)
{
    struct conn *c = &s->conn;
    if (s->aborted || s->server->draining)
        return DONE;
    if (c->late)
        return c->tls ? part(s, LOG_INFO, "took too long") : DONE;
    enum next next = s->introduced ? NEXT : meet_proxy(s);
    if (next == NEXT && s->front->tls && !c->tls)
        next = begin_tls(s);
    if (next != NEXT || s->step != STEP_GREET)
        return next;
    int rc = c->tls ? conn_handshake(c) : 0;
    if (rc == -EAGAIN)
        return WAIT;
    if (rc)
        return part(s, rc == -ECONNRESET ? LOG_DEBUG : LOG_INFO, tls_failure(c));
    s->step = STEP_HEAD;
    return NEXT;
}
