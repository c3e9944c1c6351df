/* SPDX-License-Identifier: Apache-2.0
 *
 * What comes before the first request head: the TLS handshake. All of it together has
 * limits.head, from accept on.
 */
#include "base/log.h"
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

enum next step_greet(struct session *s)
{
    struct conn *c = &s->conn;
    if (s->aborted || s->server->draining)
        return DONE;
    if (c->late)
        return c->tls ? part(s, LOG_INFO, "took too long") : DONE;
    if (!c->tls) {
        enum next next = begin_tls(s);
        if (next != NEXT || s->step != STEP_GREET)
            return next;
    }
    int rc = conn_handshake(c);
    if (rc == -EAGAIN)
        return WAIT;
    if (rc)
        return part(s, rc == -ECONNRESET ? LOG_DEBUG : LOG_INFO, tls_failure(c));
    s->step = STEP_HEAD;
    return NEXT;
}
