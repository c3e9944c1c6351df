/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/conn.h"

#include "base/clock.h"
#include "base/mem.h"
#include "loop/tls.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_NS NS_PER_S /* until a deadline is looked at again that a pace put off */
#define IOV_MAX_PACED 16

/* libevent folds EPOLLERR into "readable and writable" and drops the rest, so a reset
 * looks like good news to an owner who does not read just now. Ask again, but only once
 * the owner had its chance: the one who reads meets the error there, without this call.
 */
static void look_again(struct call *call)
{
    struct conn *c = CONTAINER(call, struct conn, look);
    CHECK(c, CONN_MAGIC);
    struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};
    if (!c->readable || c->closed || poll(&p, 1, 0) != 1 ||
        !(p.revents & (POLLERR | POLLHUP | POLLRDHUP)))
        return;
    c->closed = true;
    c->wake(c);
}

static void on_event(evutil_socket_t fd, short events, void *arg)
{
    struct conn *c = arg;
    CHECK(c, CONN_MAGIC);
    short both = EV_READ | EV_WRITE;
    (void)fd;
    if (events & EV_CLOSED)
        c->closed = true;
    else if ((events & both) == both && !c->look.queued)
        worker_defer(c->worker, &c->look);
    if (events & EV_READ || c->closed)
        c->readable = true;
    if (events & EV_WRITE)
        c->writable = true;
    if (c->tls)
        tls_wake(c, c->readable, c->writable);
    c->wake(c);
}

static void on_deadline(struct timer *t)
{
    struct conn *c = CONTAINER(t, struct conn, timer);
    CHECK(c, CONN_MAGIC);
    if (c->pace && (c->pace->holds_up || c->pace->holds_down)) {
        timer_set(t, worker_now(c->worker) + PATIENCE_NS);
        return;
    }
    c->late = true;
    c->wake(c);
}

int conn_init(struct conn *c, struct worker *w, int fd, const char *peer,
              void (*wake)(struct conn *))
{
    int on = 1;
    *c = (struct conn){.magic = CONN_MAGIC, .fd = fd, .worker = w, .wake = wake};
    snprintf(c->peer, sizeof c->peer, "%s", peer);
    c->look.fn = look_again;
    timer_init(&c->timer, w, on_deadline);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* a unix socket has none */
    c->event =
        event_new(worker_base(w), fd, EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST,
                  on_event, c);
    if (c->event && event_add(c->event, NULL) == 0)
        return 0;
    int rc = errno ? -errno : -ENOMEM;
    conn_fini(c);
    return rc;
}

void conn_fini(struct conn *c)
{
    CHECK(c, CONN_MAGIC);
    worker_undefer(c->worker, &c->look);
    timer_fini(&c->timer);
    tls_free(c->tls, !c->torn);
    c->tls = NULL;
    if (c->event)
        event_free(c->event); /* before the number can be given out again */
    close(c->fd);
    c->event = NULL;
    c->fd = -1;
    POISON(c);
}

void conn_deadline(struct conn *c, uint64_t due)
{
    c->late = false;
    if (due)
        timer_set(&c->timer, due);
    else
        timer_clear(&c->timer);
}

/* To the owner it looks as if the socket had become ready. */
static void free_held(struct conn *c)
{
    if (c->pace->holds_up)
        c->readable = true;
    if (c->pace->holds_down)
        c->writable = true;
    c->pace->holds_up = c->pace->holds_down = false;
}

void conn_pace(struct conn *c, struct pace *pace)
{
    CHECK(c, CONN_MAGIC);
    if (c->pace)
        free_held(c);
    c->pace = pace;
}

void conn_go_on(struct conn *c)
{
    CHECK(c, CONN_MAGIC);
    free_held(c);
    c->wake(c);
}

/* How many of n bytes may be read, or written; 0: the pace holds them back. What a peer
 * has left behind is here already, and only its end says that the peer is gone. */
static size_t allowed(struct conn *c, bool up, size_t n)
{
    bool paced = c->pace && n && !(up && c->closed);
    size_t room = paced ? pace_room(c->pace, up, n) : n;
    if (n && room == 0)
        *(up ? &c->readable : &c->writable) = false;
    return room;
}

static ssize_t charge(struct conn *c, bool up, ssize_t n)
{
    if (c->pace && n > 0)
        pace_moved(c->pace, up, (size_t)n);
    return n;
}

/* Turns the result of a system call into ours; `ready` is the flag that it may clear. */
static ssize_t moved(struct conn *c, ssize_t n, bool *ready)
{
    if (n >= 0)
        return n;
    int error = errno;
    if (error == EAGAIN)
        *ready = false;
    else if (error == EPIPE || error == ECONNRESET || error == ETIMEDOUT)
        c->closed = true;
    return -error;
}

ssize_t conn_peek(struct conn *c, void *buf, size_t n)
{
    CHECK(c, CONN_MAGIC);
    ssize_t got = TEMP_FAILURE_RETRY(recv(c->fd, buf, n, MSG_DONTWAIT | MSG_PEEK));
    if (got == 0)
        c->closed = true;
    return moved(c, got, &c->readable);
}

void conn_skip(struct conn *c, size_t n)
{
    char nowhere[1024];
    CHECK(c, CONN_MAGIC);
    while (n) {
        size_t want = n < sizeof nowhere ? n : sizeof nowhere;
        ssize_t got = TEMP_FAILURE_RETRY(recv(c->fd, nowhere, want, MSG_DONTWAIT));
        if (got <= 0)
            return; /* the next call meets the same */
        n -= (size_t)got;
    }
}

int conn_secure(struct conn *c, struct tls_context *x)
{
    CHECK(c, CONN_MAGIC);
    assert(!c->tls);
    c->tls = tls_new(c, x);
    return c->tls ? 0 : -ENOMEM;
}

int conn_handshake(struct conn *c)
{
    CHECK(c, CONN_MAGIC);
    return tls_handshake(c);
}

void conn_bare(struct conn *c)
{
    CHECK(c, CONN_MAGIC);
    tls_free(c->tls, false);
    c->tls = NULL;
    c->readable = true;
}

/* A short read has emptied the socket: what comes later is a new edge (epoll(7)), except
 * for an end that was reported already. This saves the read that would only say EAGAIN.
 */
static ssize_t plain_recv(struct conn *c, void *buf, size_t n)
{
    ssize_t got = TEMP_FAILURE_RETRY(recv(c->fd, buf, n, MSG_DONTWAIT));
    if (got == 0)
        c->closed = true;
    else if (got > 0 && (size_t)got < n && !c->closed)
        c->readable = false;
    return moved(c, got, &c->readable);
}

static ssize_t plain_writev(struct conn *c, const struct iovec *iov, int count)
{
    struct msghdr m = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count};
    ssize_t put = TEMP_FAILURE_RETRY(sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL));
    return moved(c, put, &c->writable);
}

static ssize_t plain_sendfile(struct conn *c, int file, off_t *offset, size_t n)
{
    ssize_t put = TEMP_FAILURE_RETRY(sendfile(c->fd, file, offset, n));
    return moved(c, put, &c->writable);
}

ssize_t conn_recv(struct conn *c, void *buf, size_t n)
{
    CHECK(c, CONN_MAGIC);
    size_t room = allowed(c, true, n);
    if (n && room == 0)
        return -EAGAIN;
    return charge(c, true, c->tls ? tls_recv(c, buf, room) : plain_recv(c, buf, room));
}

/* The part of iov that may be written now, and how many pieces it has. */
static int cut(struct conn *c, const struct iovec *iov, int count,
               struct iovec out[IOV_MAX_PACED])
{
    size_t all = 0;
    int n = 0;
    for (int i = 0; i < count; i++)
        all += iov[i].iov_len;
    size_t room = allowed(c, false, all);
    for (; n < count && n < IOV_MAX_PACED && room; n++) {
        out[n] = iov[n];
        if (out[n].iov_len > room)
            out[n].iov_len = room;
        room -= out[n].iov_len;
    }
    return n;
}

ssize_t conn_writev(struct conn *c, const struct iovec *iov, int count)
{
    struct iovec some[IOV_MAX_PACED];
    CHECK(c, CONN_MAGIC);
    if (c->pace) {
        count = cut(c, iov, count, some);
        iov = some;
        if (count == 0)
            return -EAGAIN;
    }
    return charge(c, false,
                  c->tls ? tls_writev(c, iov, count) : plain_writev(c, iov, count));
}

ssize_t conn_sendfile(struct conn *c, int file, off_t *offset, size_t n)
{
    CHECK(c, CONN_MAGIC);
    size_t room = allowed(c, false, n);
    if (n && room == 0)
        return -EAGAIN;
    return charge(c, false,
                  c->tls ? tls_sendfile(c, file, offset, room)
                         : plain_sendfile(c, file, offset, room));
}

/* The flag says that no write has failed yet, which is less. */
bool conn_is_roomy(struct conn *c)
{
    CHECK(c, CONN_MAGIC);
    struct pollfd p = {.fd = c->fd, .events = POLLOUT};
    if (c->tls && !tls_is_flushed(c->tls))
        tls_wake(c, false, true);
    c->writable = (!c->tls || tls_is_flushed(c->tls)) && poll(&p, 1, 0) == 1;
    return c->writable;
}

void conn_shutdown(struct conn *c)
{
    CHECK(c, CONN_MAGIC);
    if (c->tls)
        tls_goodbye(c);
    shutdown(c->fd, SHUT_WR);
}

void conn_tear(struct conn *c)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    CHECK(c, CONN_MAGIC);
    c->torn = true;
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void conn_cork(struct conn *c, bool on)
{
    int value = on;
    CHECK(c, CONN_MAGIC);
    setsockopt(c->fd, IPPROTO_TCP, TCP_CORK, &value, sizeof value);
}
