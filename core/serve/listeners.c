/* SPDX-License-Identifier: Apache-2.0
 *
 * The listening sockets, and the way of a connection from one of them to the worker that
 * has the fewest.
 */
#include "loop/acceptor.h"
#include "loop/handed.h"
#include "serve/serving.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct listener {
    struct list link;
    struct serving *serving;
    struct acceptor *acceptor;
    struct front *front; /* for connections; NULL as long as it is fresh */
    struct front *next;  /* of the configuration in question; NULL: that has it not */
    bool fresh;          /* it is opened for that configuration */
    char wanted[];       /* as configured */
};

/* A socket on its way from main to a worker. */
struct handoff {
    struct call call;
    struct crew *crew;
    struct front *front; /* counted */
    struct party *guest; /* bounds_admit's */
    int fd;
    char peer[64];
};

static void handoff_arrive(struct call *call)
{
    struct handoff *h = CONTAINER(call, struct handoff, call);
    worker_load_add(h->crew->worker, -1); /* from here on the connection counts itself */
    http_server_take(h->crew->http, h->fd, h->peer, h->front, h->guest);
    front_unref(h->front);
    free(h);
}

static void take(void *arg, int fd, const char *peer)
{
    struct listener *l = arg;
    struct serving *s = l->serving;
    struct crew *least = &s->crews[0];
    struct front *front = l->front ? l->front : l->next;
    struct party *guest = bounds_admit(front, peer);
    if (!guest) {
        bounds_turn_away(front, fd);
        return;
    }
    for (size_t i = 1; i < s->n_crews; i++)
        if (worker_load(s->crews[i].worker) < worker_load(least->worker))
            least = &s->crews[i];
    struct handoff *h = xalloc(sizeof *h);
    h->call.fn = handoff_arrive;
    h->crew = least;
    h->front = front_ref(front);
    h->guest = guest;
    h->fd = fd;
    snprintf(h->peer, sizeof h->peer, "%s", peer);
    worker_load_add(least->worker, 1);
    worker_post(least->worker, &h->call);
}

static void listener_close(struct listener *l)
{
    list_remove(&l->link);
    acceptor_close(l->acceptor);
    front_unref(l->front);
    front_unref(l->next);
    free(l);
}

static void lend(struct listener *l, struct front *front)
{
    l->next = front_ref(front);
    front_name(front, acceptor_address(l->acceptor));
}

static const char *reason(const char *wanted, int rc)
{
    if (handed_is(wanted) && rc == E_NOT_FOUND)
        return "the service manager has passed no such socket";
    if (handed_is(wanted) && rc == E_INVALID)
        return "what the service manager has passed does not listen for streams";
    return err_text(rc);
}

static int listener_open(struct serving *s, const char *wanted, struct front *front,
                         char **why)
{
    size_t n = strlen(wanted) + 1;
    struct listener *l = xalloc(sizeof *l + n);
    memcpy(l->wanted, wanted, n);
    l->serving = s;
    l->fresh = true;
    int rc = acceptor_open(s->main, wanted, take, l, &l->acceptor);
    if (rc) {
        *why = xasprintf("cannot listen on %s: %s", wanted, reason(wanted, rc));
        free(l);
        return rc;
    }
    lend(l, front);
    list_init(&l->link);
    list_append(&s->listeners, &l->link);
    return 0;
}

static bool keep(struct serving *s, const char *wanted, struct front *front)
{
    for (struct list *l = s->listeners.next; l != &s->listeners; l = l->next) {
        struct listener *it = CONTAINER(l, struct listener, link);
        if (it->next || strcmp(it->wanted, wanted) != 0)
            continue;
        lend(it, front);
        return true;
    }
    return false;
}

/* The configuration in question is not to be. */
static void take_back(struct serving *s)
{
    struct list *next;
    for (struct list *l = s->listeners.next; l != &s->listeners; l = next) {
        struct listener *it = CONTAINER(l, struct listener, link);
        next = l->next;
        front_unref(it->next);
        it->next = NULL;
        if (it->fresh)
            listener_close(it);
    }
}

int listeners_prepare(const struct gate_config *config, struct tickets *tickets,
                      struct fronts *out, char **why)
{
    struct fronts f = {xalloc((config->n_listen + 1) * sizeof *f.list), 0};
    for (; f.n < config->n_listen; f.n++) {
        int rc = front_new(&config->listen[f.n], tickets, &f.list[f.n], why);
        if (rc) {
            listeners_forget(&f);
            return rc;
        }
    }
    *out = f;
    return 0;
}

void listeners_forget(struct fronts *f)
{
    for (size_t i = 0; i < f->n; i++)
        front_unref(f->list[i]);
    free(f->list);
    *f = (struct fronts){NULL, 0};
}

int listeners_open(struct serving *s, const struct gate_config *config,
                   const struct fronts *fronts, char **why)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < config->n_listen; i++) {
        const char *wanted = config->listen[i].address;
        if (!keep(s, wanted, fronts->list[i]))
            rc = listener_open(s, wanted, fronts->list[i], why);
    }
    if (rc)
        take_back(s);
    return rc;
}

static char *name_of(const struct listener *l)
{
    const char *address = acceptor_address(l->acceptor);
    bool local = strncmp(address, "unix:", 5) == 0;
    const struct front *front = l->front ? l->front : l->next;
    return xasprintf("%s%s", local ? "" : front->tls ? "https://" : "http://", address);
}

static void settle(struct serving *s)
{
    struct list *next;
    for (struct list *l = s->listeners.next; l != &s->listeners; l = next) {
        struct listener *it = CONTAINER(l, struct listener, link);
        next = l->next;
        if (!it->next) {
            listener_close(it);
            continue;
        }
        front_unref(it->front);
        it->front = it->next;
        it->next = NULL;
    }
}

void listeners_settle(struct serving *s)
{
    settle(s);
    for (struct list *l = s->listeners.next; l != &s->listeners; l = l->next) {
        struct listener *it = CONTAINER(l, struct listener, link);
        char *name = name_of(it);
        if (it->fresh)
            printf("tidegate: listening on %s\n", name);
        it->fresh = false;
        free(name);
    }
    fflush(stdout);
}

void listeners_close(struct serving *s)
{
    while (!list_empty(&s->listeners))
        listener_close(CONTAINER(s->listeners.next, struct listener, link));
}

char *listeners_name(struct serving *s, size_t i)
{
    struct list *l = s->listeners.next;
    for (; i && l != &s->listeners; i--)
        l = l->next;
    return l == &s->listeners ? NULL : name_of(CONTAINER(l, struct listener, link));
}

void listeners_free(struct serving *s)
{
    listeners_close(s);
}
