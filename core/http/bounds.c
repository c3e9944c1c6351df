/* SPDX-License-Identifier: Apache-2.0 */
#include "http/bounds.h"

#include "base/log.h"
#include "base/metrics.h"
#include "http/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static atomic_uint all_most, all_now; /* connections of the process */

void bounds_set_connections(unsigned most)
{
    all_most = most;
}

static bool enter_all(void)
{
    unsigned most = all_most;
    if (atomic_fetch_add(&all_now, 1) < most || most == 0)
        return true;
    atomic_fetch_sub(&all_now, 1);
    return false;
}

static void tell_turned_away(const struct front *f, const char *peer, struct party *who,
                             const char *bound)
{
    metric_count(METRIC_connections_refused_total, 1);
    if (party_may_tell(who, clock_now()))
        LOG_FIELDS(LOG_WARN, "connections turned away", {"listen", span_of(f->address)},
                   {"peer", span_of(peer)}, {"limit", span_of(bound)});
}

struct party *bounds_admit(struct front *f, const char *peer)
{
    char room[PARTY_NAME_MAX];
    struct span name = party_address(peer, room);
    struct party *guest = party_get(name);
    unsigned most = name.n ? f->bounds.address.connections : 0;
    if (!party_enter(guest, most)) {
        tell_turned_away(f, peer, guest, "per_address.connections");
        goto full;
    }
    if (!party_enter(f->party, f->bounds.all.connections)) {
        tell_turned_away(f, peer, f->party, "connections of the listener");
        goto leave_address;
    }
    if (enter_all())
        return guest;
    tell_turned_away(f, peer, f->party, "connections");
    party_leave(f->party);
leave_address:
    party_leave(guest);
full:
    party_put(guest);
    return NULL;
}

void bounds_dismiss(struct front *f, struct party *guest)
{
    if (!guest)
        return;
    atomic_fetch_sub(&all_now, 1);
    party_leave(f->party);
    party_leave(guest);
    party_put(guest);
}

/* The client may be sending already. What it has sent is read, so that closing is no
 * reset which might overtake the answer; but nobody waits for more. */
void bounds_turn_away(const struct front *f, int fd)
{
    static const char text[] =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n"
        "Retry-After: 5\r\nContent-Length: 44\r\nConnection: close\r\n\r\n"
        "too many connections, please try again soon\n";
    char nowhere[4096];
    if (f->tls) {
        close(fd);
        return;
    }
    ssize_t ignored = send(fd, text, sizeof text - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    for (int i = 0; i < 4; i++)
        if (recv(fd, nowhere, sizeof nowhere, MSG_DONTWAIT) <= 0)
            break;
    (void)ignored; /* it leaves either way */
    close(fd);
}

/* -- requests ---------------------------------------------------------------------- */

static void log_refused(struct exchange *x, struct party *who, const char *limit)
{
    if (party_may_tell(who, clock_now()))
        LOG_FIELDS(LOG_WARN, "request refused", {"request", span_of(x->req.id)},
                   {"peer", span_of(x->req.peer)}, {"limit", span_of(limit)});
}

static void refuse_request(struct exchange *x, uint64_t wait, const char *whose)
{
    uint64_t s = (wait + NS_PER_S - 1) / NS_PER_S;
    char *text = arena_printf(
        &x->req.arena, "more requests than %s may make, try again in %" PRIu64 " s",
        whose, s);
    char *after = arena_printf(&x->req.arena, "%" PRIu64, s);
    req_reply_error(&x->req, 429, "TOOMANYREQUESTS", span_of(text));
    reply_header(&x->reply, SPAN_LIT("Retry-After"), span_of(after));
}

static void refuse_body(struct exchange *x)
{
    char *text = arena_printf(&x->req.arena, "a body has at most %" PRIu64 " bytes here",
                              x->session->front->bounds.body);
    req_reply_error(&x->req, 413, "SIZE_INVALID", span_of(text));
}

static bool bounds_any(const struct shares *s)
{
    return s->requests.per_s > 0 || s->up.per_s > 0 || s->down.per_s > 0;
}

/* The party of the client's address, with a reference; NULL when nothing bounds it. */
static struct party *party_of(struct exchange *x)
{
    char room[PARTY_NAME_MAX];
    struct span name;
    if (!bounds_any(&x->session->front->bounds.address))
        return NULL;
    name = party_network(x->req.address, room);
    return name.n ? party_get(name) : NULL;
}

static void charge(struct exchange *x, struct party *who, const struct shares *s)
{
    if (!pace_add(&x->pace, who, &s->up, &s->down))
        party_put(who);
}

bool bounds_let_in(struct exchange *x)
{
    struct front *f = x->session->front;
    const struct http_head *h = &x->req.head;
    uint64_t now = x->req.began, wait = 0;
    struct party *who = party_of(x);
    if (who && (wait = meter_take(&who->requests, &f->bounds.address.requests, now, 1))) {
        log_refused(x, who, "per_address.requests");
        party_put(who);
        refuse_request(x, wait, "one address");
        return false;
    }
    if (who)
        charge(x, who, &f->bounds.address);
    if (f->party &&
        (wait = meter_take(&f->party->requests, &f->bounds.all.requests, now, 1))) {
        log_refused(x, f->party, "requests");
        refuse_request(x, wait, "all clients together");
        return false;
    }
    if (f->party && bounds_any(&f->bounds.all))
        charge(x, party_ref(f->party), &f->bounds.all);
    if (f->bounds.body && h->has_length && h->length > f->bounds.body) {
        refuse_body(x);
        return false;
    }
    if (x->pace.n)
        conn_pace(&x->session->conn, &x->pace);
    return true;
}
