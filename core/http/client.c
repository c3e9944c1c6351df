/* SPDX-License-Identifier: Apache-2.0
 *
 * libcurl's multi interface on a worker's loop. Each socket it names gets an event, its
 * one timeout a timer. Its warnings (CURLMOPT_SOCKETFUNCTION, CURLMOPT_TIMERFUNCTION, and
 * issue 6237, where the removal comes after the close) are why an event goes away at once
 * with its socket, and why the timer's callback never calls libcurl.
 */
#include "http/transfer.h"

#include "base/clock.h"

#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

#define IDLE_CONNECTIONS 32L /* kept for the next request, of one worker */

struct watch {
    struct client *client;
    struct list link;
    int fd;
    struct event *event;
};

/* Who has ended is read, and libcurl is left, before anything is done about it. */
static void collect(struct client *c)
{
    CURLMsg *message;
    int left;
    while ((message = c->curl->multi_info_read(c->multi, &left))) {
        void *arg = NULL;
        CURLcode code = message->data.result;
        if (message->msg != CURLMSG_DONE)
            continue;
        c->curl->easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &arg);
        transfer_over(arg, code);
    }
}

static void act(struct client *c, curl_socket_t fd, int ready)
{
    int running;
    c->curl->multi_socket_action(c->multi, fd, ready, &running);
    collect(c);
}

static void on_socket(evutil_socket_t fd, short events, void *arg)
{
    struct watch *w = arg;
    int ready = (events & EV_READ ? CURL_CSELECT_IN : 0) |
                (events & EV_WRITE ? CURL_CSELECT_OUT : 0);
    act(w->client, fd, ready); /* w may be gone */
}

static void on_time(struct timer *timer)
{
    struct client *c = CONTAINER(timer, struct client, timer);
    CHECK(c, CLIENT_MAGIC);
    act(c, CURL_SOCKET_TIMEOUT, 0);
}

static void watch_free(struct watch *w)
{
    list_remove(&w->link);
    event_free(w->event);
    free(w);
}

static int set_watch(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    struct client *c = arg;
    struct watch *w = known;
    short events = EV_PERSIST;
    (void)easy;
    if (w)
        watch_free(w);
    c->curl->multi_assign(c->multi, fd, NULL);
    if (what == CURL_POLL_REMOVE)
        return 0;
    events |= what & CURL_POLL_IN ? EV_READ : 0;
    events |= what & CURL_POLL_OUT ? EV_WRITE : 0;
    w = xalloc(sizeof *w);
    w->client = c;
    w->fd = fd;
    list_init(&w->link);
    list_append(&c->watches, &w->link);
    w->event = event_new(worker_base(c->worker), fd, events, on_socket, w);
    assert(w->event); /* a small allocation, like xalloc's */
    c->curl->multi_assign(c->multi, fd, w);
    return event_add(w->event, NULL);
}

int client_close(void *arg, curl_socket_t fd)
{
    struct client *c = arg;
    for (struct list *l = c->watches.next; l != &c->watches; l = l->next) {
        struct watch *w = CONTAINER(l, struct watch, link);
        if (w->fd == fd) {
            c->curl->multi_assign(c->multi, fd, NULL);
            watch_free(w);
            break;
        }
    }
    return close(fd);
}

static int set_timer(CURLM *multi, long ms, void *arg)
{
    struct client *c = arg;
    (void)multi;
    if (ms < 0)
        timer_clear(&c->timer);
    else
        timer_set(&c->timer, clock_now() + (uint64_t)ms * NS_PER_MS);
    return 0;
}

struct client *client_get(struct worker *w, const char **why)
{
    struct client *c = worker_get(w, WORKER_SLOT_HTTP);
    if (c)
        return c;
    const struct curl_calls *curl = curl_calls(why);
    if (!curl)
        return NULL;
    c = xalloc(sizeof *c);
    c->magic = CLIENT_MAGIC;
    c->worker = w;
    c->curl = curl;
    list_init(&c->watches);
    timer_init(&c->timer, w, on_time);
    c->multi = curl->multi_init();
    assert(c->multi); /* fails for want of memory alone */
    curl->multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, set_watch);
    curl->multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl->multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl->multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl->multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS);
    worker_set(w, WORKER_SLOT_HTTP, c);
    return c;
}

void http_client_free(struct worker *w)
{
    struct client *c = worker_get(w, WORKER_SLOT_HTTP);
    if (!c)
        return;
    CHECK(c, CLIENT_MAGIC);
    assert(c->transfers == 0);
    c->curl->multi_cleanup(c->multi);
    while (!list_empty(&c->watches))
        watch_free(CONTAINER(c->watches.next, struct watch, link));
    timer_fini(&c->timer);
    worker_set(w, WORKER_SLOT_HTTP, NULL);
    POISON(c);
    free(c);
}
