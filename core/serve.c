/* SPDX-License-Identifier: Apache-2.0
 *
 * Main thread: accepts, hands each socket to the worker with the fewest, and takes
 * signals. Workers: a Lua VM and an HTTP server each. Everything that crosses is a posted
 * call.
 */
#include "serve.h"

#include "base/log.h"
#include "loop/acceptor.h"
#include "loop/loop.h"
#include "lua/gate.h"
#include "store/store.h"
#include "stream/bufpool.h"

#include <errno.h>
#include <event2/event.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define IDLE_BUFFERS (32u << 20) /* bytes of chunk buffers kept for the next body */

struct crew { /* one worker and what runs on it */
    struct serving *serving;
    struct worker *worker;
    struct gate *gate;
    struct http_server *http;
    struct call drain, abort,
        gone; /* posted to the worker, the worker, and back to main */
};

struct listening {
    struct serving *serving;
    struct acceptor *acceptor;
};

struct serving {
    const char *script;
    struct gate_config config;
    struct worker *main;
    struct crew *crews;
    size_t n_crews, drained;
    struct listening *listeners;
    struct event *signals[2];
    sem_t ready; /* a worker has set up, or failed to */
    int stops;   /* how often we were asked to stop */
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
    struct listening *l = arg;
    struct serving *s = l->serving;
    struct crew *least = &s->crews[0];
    for (size_t i = 1; i < s->n_crews; i++)
        if (worker_load(s->crews[i].worker) < worker_load(least->worker))
            least = &s->crews[i];
    struct handoff *h = xalloc(sizeof *h);
    h->call.fn = handoff_arrive;
    h->crew = least;
    h->listener = acceptor_address(l->acceptor);
    h->fd = fd;
    snprintf(h->peer, sizeof h->peer, "%s", peer);
    worker_load_add(least->worker, 1);
    worker_post(least->worker, &h->call);
}

static void crew_gone(struct call *call)
{
    struct crew *c = CONTAINER(call, struct crew, gone);
    struct serving *s = c->serving;
    if (++s->drained < s->n_crews)
        return;
    for (size_t i = 0; i < s->n_crews; i++)
        worker_stop(s->crews[i].worker);
    worker_stop(s->main);
}

static void crew_drained(void *arg)
{
    struct crew *c = arg;
    worker_post(c->serving->main, &c->gone);
}

static void crew_drain(struct call *call)
{
    struct crew *c = CONTAINER(call, struct crew, drain);
    http_server_drain(c->http, crew_drained, c);
}

static void crew_abort(struct call *call)
{
    struct crew *c = CONTAINER(call, struct crew, abort);
    http_server_abort(c->http);
}

static void crew_setup(void *arg)
{
    struct crew *c = arg;
    const struct gate_config *config = &c->serving->config;
    char *why = NULL;
    if (gate_load(c->serving->script, config->script_memory, &c->gate, &why) == 0)
        c->http = http_server_new(c->worker, &config->limits, gate_handler(c->gate));
    else
        fprintf(stderr, "tidegate: %s\n", why);
    free(why);
    sem_post(&c->serving->ready);
}

static void crew_teardown(void *arg)
{
    struct crew *c = arg;
    if (c->http)
        http_server_free(c->http);
    if (c->gate)
        gate_free(c->gate);
}

static void close_listeners(struct serving *s)
{
    for (size_t i = 0; s->listeners && i < s->config.n_listen; i++) {
        acceptor_close(s->listeners[i].acceptor);
        s->listeners[i].acceptor = NULL;
    }
}

static void on_stop(evutil_socket_t number, short events, void *arg)
{
    struct serving *s = arg;
    (void)events;
    if (++s->stops == 1) {
        log_msg(LOG_INFO, "%s: draining; a second signal stops at once",
                strsignal(number));
        close_listeners(s);
    } else if (s->stops == 2) {
        log_msg(LOG_WARN, "%s again: ending every connection", strsignal(number));
    }
    for (size_t i = 0; i < s->n_crews; i++) {
        struct crew *c = &s->crews[i];
        if (s->stops == 1)
            worker_post(c->worker, &c->drain);
        else if (s->stops == 2)
            worker_post(c->worker, &c->abort);
    }
}

static int start_crews(struct serving *s)
{
    size_t ready = 0;
    for (size_t i = 0; i < s->n_crews; i++) {
        struct crew *c = &s->crews[i];
        char name[32];
        snprintf(name, sizeof name, "worker-%zu", i + 1);
        c->serving = s;
        c->drain.fn = crew_drain;
        c->abort.fn = crew_abort;
        c->gone.fn = crew_gone;
        c->worker = worker_new(name);
        if (!c->worker || worker_start(c->worker, crew_setup, crew_teardown, c) != 0) {
            fprintf(stderr, "tidegate: cannot start a worker: %s\n", strerror(errno));
            worker_free(c->worker);
            s->n_crews = i;
            break;
        }
    }
    for (size_t i = 0; i < s->n_crews; i++) {
        while (sem_wait(&s->ready) != 0)
            ;
    }
    for (size_t i = 0; i < s->n_crews; i++)
        ready += s->crews[i].http != NULL;
    return ready > 0 && ready == s->n_crews ? 0 : E_INVALID;
}

static int start_listeners(struct serving *s)
{
    s->listeners = xalloc(s->config.n_listen * sizeof *s->listeners);
    for (size_t i = 0; i < s->config.n_listen; i++) {
        struct listening *l = &s->listeners[i];
        l->serving = s;
        int rc = acceptor_open(s->main, s->config.listen[i], take, l, &l->acceptor);
        if (rc) {
            fprintf(stderr, "tidegate: cannot listen on %s: %s\n", s->config.listen[i],
                    err_text(rc));
            return rc;
        }
    }
    for (size_t i = 0; i < s->config.n_listen; i++) {
        const char *address = acceptor_address(s->listeners[i].acceptor);
        bool local = strncmp(address, "unix:", 5) == 0;
        printf("tidegate: listening on %s%s\n", local ? "" : "http://", address);
    }
    fflush(stdout);
    return 0;
}

static void watch_signals(struct serving *s)
{
    static const int numbers[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < 2; i++) {
        s->signals[i] = evsignal_new(worker_base(s->main), numbers[i], on_stop, s);
        event_add(s->signals[i], NULL);
    }
    signal(SIGPIPE, SIG_IGN);
}

/* A connection costs a descriptor: take all that we are allowed to. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int start(struct serving *s)
{
    char *why = NULL;
    int rc = gate_look(s->script, &s->config, &why);
    if (rc)
        goto out;
    log_setup(2, s->config.log_level, s->config.log_json);
    raise_descriptor_limit();
    bufpool_start(s->config.buffer_memory, IDLE_BUFFERS);
    rc = pool_start(s->config.io_threads);
    if (rc)
        goto out;
    s->main = worker_new("main");
    if (!s->main) {
        rc = -errno;
        goto out;
    }
    watch_signals(s);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    s->n_crews = s->config.workers ? s->config.workers : (size_t)(cores > 0 ? cores : 1);
    s->crews = xalloc(s->n_crews * sizeof *s->crews);
    rc = start_crews(s);
    if (rc)
        return rc; /* the worker said why */
    rc = store_begin_all(&why);
    if (rc == 0)
        return start_listeners(s);
out:
    if (rc)
        fprintf(stderr, "tidegate: %s\n", why ? why : err_text(rc));
    free(why);
    return rc;
}

static void finish(struct serving *s)
{
    close_listeners(s);
    for (size_t i = 0; i < s->n_crews; i++) {
        worker_stop(s->crews[i].worker);
        worker_join(s->crews[i].worker);
    }
    pool_stop();
    for (size_t i = 0; i < s->n_crews; i++)
        worker_free(s->crews[i].worker);
    for (size_t i = 0; i < 2; i++)
        if (s->signals[i])
            event_free(s->signals[i]);
    worker_free(s->main);
    bufpool_stop();
    free(s->crews);
    free(s->listeners);
    gate_config_fini(&s->config);
}

int serve(const char *script)
{
    struct serving s = {.script = script};
    sem_init(&s.ready, 0, 0);
    int rc = start(&s);
    if (rc == 0)
        worker_run(s.main);
    finish(&s);
    sem_destroy(&s.ready);
    return rc ? 1 : 0;
}
