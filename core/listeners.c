/* SPDX-License-Identifier: Apache-2.0
 *
 * The listening sockets, and the way of a connection from one of them to the worker that
 * has the fewest.
 */
#include "loop/acceptor.h"
#include "serving.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct listener {
    struct list link;
    struct serving *serving;
    struct acceptor *acceptor;
    const char *address; /* bound; interned */
    bool kept;           /* the configuration in question has it */
    bool fresh;          /* it is opened for that configuration */
    char wanted[];       /* as configured */
};

/* Connections name the address that they came in by, for longer than it is open. */
struct address {
    struct list link;
    char text[];
};

/* A socket on its way from main to a worker. */
struct handoff {
    struct call call;
    struct crew *crew;
    const char *listener;
    int fd;
    char peer[64];
};

static void handoff_arrive(struct call *call)
{
    struct handoff *h = CONTAINER(call, struct handoff, call);
    worker_load_add(h->crew->worker, -1); /* from here on the connection counts itself */
    http_server_take(h->crew->http, h->fd, h->peer, h->listener);
    free(h);
}

static void take(void *arg, int fd, const char *peer)
{
    struct listener *l = arg;
    struct serving *s = l->serving;
    struct crew *least = &s->crews[0];
    for (size_t i = 1; i < s->n_crews; i++)
        if (worker_load(s->crews[i].worker) < worker_load(least->worker))
            least = &s->crews[i];
    struct handoff *h = xalloc(sizeof *h);
    h->call.fn = handoff_arrive;
    h->crew = least;
    h->listener = l->address;
    h->fd = fd;
    snprintf(h->peer, sizeof h->peer, "%s", peer);
    worker_load_add(least->worker, 1);
    worker_post(least->worker, &h->call);
}

static const char *intern(struct serving *s, const char *text)
{
    for (struct list *l = s->addresses.next; l != &s->addresses; l = l->next) {
        struct address *a = CONTAINER(l, struct address, link);
        if (strcmp(a->text, text) == 0)
            return a->text;
    }
    struct address *a = xalloc(sizeof *a + strlen(text) + 1);
    strcpy(a->text, text);
    list_init(&a->link);
    list_append(&s->addresses, &a->link);
    return a->text;
}

static void listener_close(struct listener *l)
{
    list_remove(&l->link);
    acceptor_close(l->acceptor);
    free(l);
}

static int listener_open(struct serving *s, const char *wanted, char **why)
{
    size_t n = strlen(wanted) + 1;
    struct listener *l = xalloc(sizeof *l + n);
    memcpy(l->wanted, wanted, n);
    l->serving = s;
    l->kept = l->fresh = true;
    int rc = acceptor_open(s->main, wanted, take, l, &l->acceptor);
    if (rc) {
        *why = xasprintf("cannot listen on %s: %s", wanted, err_text(rc));
        free(l);
        return rc;
    }
    l->address = intern(s, acceptor_address(l->acceptor));
    list_init(&l->link);
    list_append(&s->listeners, &l->link);
    return 0;
}

/* Closes the listeners whose `kept` or `fresh` is not what it is for those that stay. */
static void sift(struct serving *s, bool settle)
{
    struct list *next;
    for (struct list *l = s->listeners.next; l != &s->listeners; l = next) {
        struct listener *it = CONTAINER(l, struct listener, link);
        next = l->next;
        if (settle ? !it->kept : it->fresh)
            listener_close(it);
    }
}

static bool keep(struct serving *s, const char *wanted)
{
    for (struct list *l = s->listeners.next; l != &s->listeners; l = l->next) {
        struct listener *it = CONTAINER(l, struct listener, link);
        if (!it->kept && strcmp(it->wanted, wanted) == 0)
            return it->kept = true;
    }
    return false;
}

int listeners_open(struct serving *s, const struct gate_config *config, char **why)
{
    int rc = 0;
    for (struct list *l = s->listeners.next; l != &s->listeners; l = l->next)
        CONTAINER(l, struct listener, link)->kept = false;
    for (size_t i = 0; rc == 0 && i < config->n_listen; i++)
        if (!keep(s, config->listen[i]))
            rc = listener_open(s, config->listen[i], why);
    if (rc)
        sift(s, false);
    return rc;
}

static char *name_of(const struct listener *l)
{
    bool local = strncmp(l->address, "unix:", 5) == 0;
    return xasprintf("%s%s", local ? "" : "http://", l->address);
}

void listeners_settle(struct serving *s)
{
    sift(s, true);
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
    while (!list_empty(&s->addresses)) {
        struct address *a = CONTAINER(s->addresses.next, struct address, link);
        list_remove(&a->link);
        free(a);
    }
}
