/* SPDX-License-Identifier: Apache-2.0
 *
 * Main thread: accepts (listeners.c), takes signals and questions. Workers: a Lua VM and
 * an HTTP server each. Everything that crosses is a posted call.
 */
#include "serve/serve.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mode.h"
#include "http/client.h"
#include "serve/meters.h"
#include "serve/notify.h"
#include "serve/privileges.h"
#include "serve/serving.h"
#include "store/cache.h"
#include "store/store.h"
#include "stream/bufpool.h"

#include <errno.h>
#include <event2/event.h>
#include <malloc.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define IDLE_BUFFERS (32u << 20) /* bytes of chunk buffers kept for the next body */
#define DRAIN_MAX_MS 3600000u

void serving_end(struct serving *s)
{
    if (s->drained < s->n_crews || reload_runs(s) || pulse_runs(s))
        return;
    for (size_t i = 0; i < s->n_crews; i++)
        worker_stop(s->crews[i].worker);
    worker_stop(s->main);
}

static void crew_gone(struct call *call)
{
    struct crew *c = CONTAINER(call, struct crew, gone);
    c->serving->drained++;
    serving_end(c->serving);
}

/* The newest tenure stays; its gate is left to reload_fini. */
void crew_settle(struct crew *c)
{
    if (c->quiet && c->tenures.next == c->tenures.prev)
        worker_post(c->serving->main, &c->gone);
}

static struct gate *crew_gate(struct crew *c)
{
    return CONTAINER(c->tenures.prev, struct tenure, link)->gate;
}

static void crew_quiet(void *arg)
{
    struct crew *c = arg;
    c->quiet = true;
    crew_settle(c);
}

static void crew_drained(void *arg)
{
    struct crew *c = arg;
    gate_retire(crew_gate(c), crew_quiet, c);
}

static void crew_start(struct call *call)
{
    gate_start(crew_gate(CONTAINER(call, struct crew, start)));
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
    for (struct list *l = c->tenures.next; l != &c->tenures; l = l->next)
        gate_hurry(CONTAINER(l, struct tenure, link)->gate);
}

static void crew_setup(void *arg)
{
    struct crew *c = arg;
    struct serving *s = c->serving;
    struct tenure *t = &serving_newest(s)->tenures[c - s->crews];
    const struct gate_config *config = &t->generation->config;
    char *why = NULL;
    if (gate_load(s->script, config->script_memory, c->worker, &t->gate, &why) == 0) {
        c->http = http_server_new(c->worker, &config->limits, gate_handler(t->gate));
        tenure_enter(t);
    } else {
        fprintf(stderr, "tidegate: %s\n", why);
    }
    free(why);
    sem_post(&s->ready);
}

static void crew_teardown(void *arg)
{
    struct crew *c = arg;
    if (c->http)
        http_server_free(c->http);
    tenures_end(c);
    http_client_free(c->worker);
}

/* The first time everything that runs may end, the second time it has to. */
static void stop(struct serving *s, const char *why)
{
    if (++s->stops == 1) {
        log_msg(LOG_INFO, "%s: draining; a second signal stops at once", why);
        mode_set(MODE_DRAINING, true);
        timer_clear(&s->drain);
        listeners_close(s);
        notify_say(s->notify, "STOPPING=1\nSTATUS=draining");
    } else if (s->stops == 2) {
        log_msg(LOG_WARN, "%s again: ending every connection", why);
    }
    for (size_t i = 0; i < s->n_crews; i++) {
        struct crew *c = &s->crews[i];
        if (s->stops == 1)
            worker_post(c->worker, &c->drain);
        else if (s->stops == 2)
            worker_post(c->worker, &c->abort);
    }
}

static void on_stop(evutil_socket_t number, short events, void *arg)
{
    (void)events;
    stop(arg, strsignal(number));
}

static void on_drain(struct timer *t)
{
    stop(CONTAINER(t, struct serving, drain), "drain");
}

static void on_reload(evutil_socket_t number, short events, void *arg)
{
    (void)number;
    (void)events;
    reload_ask(arg, NULL);
}

/* The word behind the question, or "". */
static const char *word_of(const char *line, size_t n)
{
    return line[n] == ' ' ? line + n + 1 : "";
}

/* "readonly on" and "readonly off". The answer is a status, in which those are counted
 * that began before. */
static void ask_readonly(struct serving *s, struct control_call *call, const char *word)
{
    bool on = strcmp(word, "on") == 0;
    if (!on && strcmp(word, "off") != 0) {
        control_answer(call, xstrdup("{\"error\": \"readonly is on or off\"}"));
        return;
    }
    if (on != mode_is(MODE_READONLY))
        log_msg(LOG_WARN, "the gateway is %s", on ? "read-only" : "no longer read-only");
    mode_set(MODE_READONLY, on);
    survey_ask(s, call, false);
}

/* "drain MS": says so at once to whoever asks whether it is ready, and stops after so
 * long. Who asks again waits for what was asked first. */
static void ask_drain(struct serving *s, struct control_call *call, const char *word)
{
    uint64_t ms;
    if (span_u64(span_of(word), &ms) != 0 || ms > DRAIN_MAX_MS) {
        control_answer(call, xstrdup("{\"error\": \"drain takes milliseconds\"}"));
        return;
    }
    if (s->stops == 0 && !mode_is(MODE_DRAINING)) {
        log_msg(LOG_INFO, "drain: not ready from now on, the listeners close in %.1f s",
                (double)ms / 1e3);
        mode_set(MODE_DRAINING, true);
        timer_set(&s->drain, worker_now(s->main) + ms * NS_PER_MS);
    }
    survey_ask(s, call, false);
}

static void on_reopen(evutil_socket_t number, short events, void *arg)
{
    (void)number;
    (void)events;
    (void)arg;
    log_reopen();
}

/* "reopen", or "level NAME". */
static void ask_log(struct control_call *call, const char *what)
{
    enum log_level level;
    bool sets = strncmp(what, "level ", 6) == 0;
    if (sets && log_level_parse(span_of(what + 6), &level) == 0) {
        log_set_level(level);
        LOG_FIELDS(LOG_WARN, "log level set", {"to", span_of(what + 6)});
    } else if (strcmp(what, "reopen") == 0) {
        log_reopen();
    } else {
        control_answer(call, xstrdup("{\"error\": \"no such question\"}"));
        return;
    }
    control_answer(call, xstrdup("{}"));
}

static void on_ask(void *arg, struct control_call *call, const char *line)
{
    struct serving *s = arg;
    size_t n = strcspn(line, " ");
    if (strcmp(line, "reload") == 0)
        reload_ask(s, call);
    else if (strcmp(line, "status") == 0 || strcmp(line, "tasks") == 0)
        survey_ask(s, call, line[0] == 't');
    else if (n == strlen("readonly") && strncmp(line, "readonly", n) == 0)
        ask_readonly(s, call, word_of(line, n));
    else if (n == strlen("drain") && strncmp(line, "drain", n) == 0)
        ask_drain(s, call, word_of(line, n));
    else if (n == strlen("log") && strncmp(line, "log", n) == 0)
        ask_log(call, word_of(line, n));
    else
        control_answer(call, xstrdup("{\"error\": \"no such question\"}"));
}

static const char *no_control(int rc)
{
    switch (rc) {
    case -EADDRINUSE:
        return "another server has it";
    case -ENOENT:
        return "its folder is not there; make it, or name another path in "
               "TIDEGATE_CONTROL (\"off\" for none)";
    default:
        return err_text(rc);
    }
}

/* A server serves without it, so what goes wrong is a line in the log. */
static void start_control(struct serving *s)
{
    char *path = control_path();
    if (!path)
        return;
    int rc = control_open(s->main, path, on_ask, s, &s->control);
    if (rc)
        LOG_FIELDS(LOG_WARN, "no control socket: this server cannot be told anything",
                   {"path", span_of(path)}, {"error", span_of(no_control(rc))});
    free(path);
}

static void crew_init(struct serving *s, struct crew *c, size_t i)
{
    snprintf(c->name, sizeof c->name, "worker-%zu", i + 1);
    c->serving = s;
    list_init(&c->tenures);
    c->start.fn = crew_start;
    c->drain.fn = crew_drain;
    c->abort.fn = crew_abort;
    c->gone.fn = crew_gone;
}

static int start_crews(struct serving *s, struct gate_config *config)
{
    size_t ready = 0;
    reload_init(s, config);
    for (size_t i = 0; i < s->n_crews; i++) {
        struct crew *c = &s->crews[i];
        crew_init(s, c, i);
        c->worker = worker_new(c->name);
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

static void watch_signals(struct serving *s)
{
    struct event_base *base = worker_base(s->main);
    timer_init(&s->drain, s->main, on_drain);
    s->signals[0] = evsignal_new(base, SIGTERM, on_stop, s);
    s->signals[1] = evsignal_new(base, SIGINT, on_stop, s);
    s->signals[2] = evsignal_new(base, SIGHUP, on_reload, s);
    s->signals[3] = evsignal_new(base, SIGUSR1, on_reopen, s);
    for (size_t i = 0; i < SIGNALS; i++)
        event_add(s->signals[i], NULL);
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

void serving_ready(struct serving *s, const char *refused)
{
    char *name = listeners_name(s, 0);
    if (refused)
        notify_say(s->notify, "READY=1\nSTATUS=reload refused: %.*s",
                   (int)strcspn(refused, "\n"), refused);
    else
        notify_say(s->notify, "READY=1\nSTATUS=serving %s, generation %u",
                   name ? name : "nowhere", serving_newest(s)->number);
    free(name);
}

/* The script is read by whom the command line names, if anybody; from then on nothing is
 * opened by anybody but the user. */
static int look(struct serving *s, struct gate_config *config, struct fronts *fronts,
                char **why)
{
    int rc = s->user ? privileges_drop(s->user, why) : 0;
    if (rc == 0)
        rc = gate_look(s->script, config, why);
    if (rc == 0 && config->user && !s->user)
        rc = privileges_drop(config->user, why);
    return rc ? rc : listeners_prepare(config, s->tickets, fronts, why);
}

static int start_log(const struct log_config *config, char **why)
{
    struct log_files files;
    int rc = log_files_open(config, &files, why);
    return rc ? rc : log_use(config, &files);
}

static int start(struct serving *s)
{
    struct gate_config config = {.workers = 0};
    struct fronts fronts = {NULL, 0};
    char *why = NULL;
    int rc = look(s, &config, &fronts, &why);
    if (rc)
        goto out;
    rc = start_log(&config.log, &why);
    if (rc)
        goto out;
    s->notify = notify_new();
    raise_descriptor_limit();
    meters_start();
    bounds_set_connections(config.connections);
    bufpool_start(config.buffer_memory, IDLE_BUFFERS);
    cache_start(config.cache_memory);
    rc = pool_start(config.io_threads);
    if (rc)
        goto out;
    s->main = worker_new("main");
    if (!s->main) {
        rc = -errno;
        goto out;
    }
    watch_signals(s);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    s->n_crews = config.workers ? config.workers : (size_t)(cores > 0 ? cores : 1);
    s->crews = xalloc(s->n_crews * sizeof *s->crews);
    survey_init(s);
    rc = start_crews(s, &config);
    if (rc) {
        listeners_forget(&fronts);
        return rc; /* the worker said why */
    }
    rc = store_begin_all(&why);
    if (rc == 0)
        rc = listeners_open(s, &serving_newest(s)->config, &fronts, &why);
    if (rc == 0) {
        start_control(s);
        listeners_settle(s);
        for (size_t i = 0; i < s->n_crews; i++)
            worker_post(s->crews[i].worker, &s->crews[i].start);
        pulse_init(s);
        malloc_trim(0); /* the trial was as large as a worker's VM, in small pieces */
        serving_ready(s, NULL);
    }
out:
    if (rc)
        fprintf(stderr, "tidegate: %s\n", why ? why : err_text(rc));
    listeners_forget(&fronts);
    gate_config_fini(&config);
    free(why);
    return rc;
}

/* A change is answered before all of its jobs are over, so the last ones may come home
 * when their worker has ended. */
static void end_workers(struct serving *s)
{
    for (size_t i = 0; i < s->n_crews; i++) {
        worker_stop(s->crews[i].worker);
        worker_join(s->crews[i].worker);
    }
    pool_stop();
    for (size_t i = 0; i < s->n_crews; i++) {
        worker_stop(s->crews[i].worker);
        worker_run(s->crews[i].worker);
    }
}

/* A signal that comes late has nothing to stop: from here on none arrives, neither between the
 * end of its watcher and that of the process, nor while a thread is joined. */
static void close_to_signals(void)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
}

static void finish(struct serving *s)
{
    close_to_signals();
    control_close(s->control);
    end_workers(s);
    reload_fini(s);
    survey_fini(s);
    pulse_fini(s);
    listeners_free(s);
    for (size_t i = 0; i < s->n_crews; i++)
        worker_free(s->crews[i].worker);
    for (size_t i = 0; i < SIGNALS; i++)
        if (s->signals[i])
            event_free(s->signals[i]);
    if (s->main)
        timer_fini(&s->drain);
    worker_free(s->main);
    parties_forget();
    cache_stop();
    bufpool_stop();
    notify_free(s->notify);
    free(s->crews);
    log_stop();
}

int serve(const char *script, const char *user)
{
    struct serving s = {.script = script, .user = user, .began = clock_now()};
    list_init(&s.listeners);
    s.tickets = tickets_new();
    list_init(&s.generations);
    sem_init(&s.ready, 0, 0);
    int rc = start(&s);
    if (rc == 0)
        worker_run(s.main);
    finish(&s);
    tickets_unref(s.tickets);
    sem_destroy(&s.ready);
    return rc ? 1 : 0;
}
