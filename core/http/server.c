/* SPDX-License-Identifier: Apache-2.0 */
#include "http/server.h"

#include "base/clock.h"
#include "http/session.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define STASH_MAX 64 /* pieces kept; more are freed */
#define WARM_JOBS 4  /* reads that one worker's cold downloads may have under way */

void *stash_get(struct stash *k)
{
    void *p = k->first;
    if (!p)
        return xalloc(k->size);
    memcpy(&k->first, p, sizeof k->first);
    k->count--;
    return p;
}

void stash_put(struct stash *k, void *p)
{
    if (k->count == STASH_MAX) {
        free(p);
        return;
    }
    memcpy(p, &k->first, sizeof k->first);
    k->first = p;
    k->count++;
}

static void stash_fini(struct stash *k)
{
    while (k->count)
        free(stash_get(k));
}

const char *server_date(struct http_server *s)
{
    uint64_t now_s = clock_wall() / NS_PER_S;
    if (now_s != s->date_s)
        clock_http_date((time_t)now_s, s->date);
    s->date_s = now_s;
    return s->date;
}

static void on_drained(struct call *c)
{
    struct http_server *s = CONTAINER(c, struct http_server, drained_call);
    s->drained(s->drained_arg);
}

void http_server_use(struct http_server *s, const struct http_limits *limits,
                     const struct http_handler *handler)
{
    s->limits = *limits;
    s->handler = handler;
}

struct http_server *http_server_new(struct worker *w, const struct http_limits *limits,
                                    const struct http_handler *handler)
{
    struct http_server *s = xalloc(sizeof *s);
    s->worker = w;
    http_server_use(s, limits, handler);
    s->lane = lane_new("http", WARM_JOBS);
    s->buffers.size = READ_BUFFER;
    s->exchanges.size = sizeof(struct exchange);
    s->drained_call.fn = on_drained;
    list_init(&s->sessions);
    /* ids need to differ, not to be secret */
    if (getrandom(&s->next_id, sizeof s->next_id, GRND_NONBLOCK) < 0)
        s->next_id = clock_wall();
    return s;
}

void http_server_take(struct http_server *s, int fd, const char *peer,
                      struct front *front, struct party *guest)
{
    struct session *c = NULL;
    if (s->draining)
        close(fd);
    else
        c = session_open(s, fd, peer, front, guest);
    if (!c) {
        bounds_dismiss(front, guest);
        return;
    }
    list_append(&s->sessions, &c->link);
    s->count++;
    worker_load_add(s->worker, 1);
}

void server_forget(struct session *c)
{
    struct http_server *s = c->server;
    list_remove(&c->link);
    s->count--;
    worker_load_add(s->worker, -1);
    if (s->draining && s->count == 0)
        worker_defer(s->worker, &s->drained_call);
}

void http_server_drain(struct http_server *s, void (*drained)(void *), void *arg)
{
    if (s->draining)
        return;
    s->draining = true;
    s->drained = drained;
    s->drained_arg = arg;
    for (struct list *l = s->sessions.next; l != &s->sessions; l = l->next)
        session_kick(CONTAINER(l, struct session, link));
    if (s->count == 0)
        worker_defer(s->worker, &s->drained_call);
}

void http_server_abort(struct http_server *s)
{
    for (struct list *l = s->sessions.next; l != &s->sessions; l = l->next) {
        struct session *c = CONTAINER(l, struct session, link);
        c->aborted = true;
        session_kick(c);
    }
}

void http_server_free(struct http_server *s)
{
    assert(s->count == 0);
    worker_undefer(s->worker, &s->drained_call);
    stash_fini(&s->buffers);
    stash_fini(&s->exchanges);
    lane_free(s->lane);
    free(s);
}

size_t http_server_count(const struct http_server *s)
{
    return s->count;
}
