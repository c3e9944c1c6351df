/* SPDX-License-Identifier: Apache-2.0
 *
 * Generations of the script. A reload happens in a job, off every loop: a trial run in a
 * throwaway VM, the stores that are new, a VM for each worker. Only when all of it has
 * worked does each worker hear of it, and to enter a new generation is then to exchange
 * a pointer. What fails on the way changes nothing.
 *
 * An old VM is freed by its worker when the last request in it has ended.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "serve/notify.h"
#include "serve/serving.h"
#include "store/store.h"

#include <inttypes.h>
#include <jansson.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct waiters {
    struct control_call *calls[CONTROL_CALLS_MAX];
    size_t n;
};

struct reload {
    struct serving *serving;
    struct lane *lane;
    struct job job;
    struct generation *generation; /* in the making; NULL: no reload runs */
    char *why;
    struct log_files files; /* of the one in the making */
    uint64_t began;
    bool again;                /* a signal came meanwhile, or waits its turn */
    struct waiters now, later; /* on this reload, and on the next one */
    unsigned number;           /* of the newest generation */
    unsigned workers, io_threads;
    char *user;                         /* "" for none */
    size_t buffer_memory, cache_memory; /* as they were at the start */
    char *refused;
    uint64_t refused_at;
};

/* -- generations ------------------------------------------------------------------- */

static void generation_free(struct generation *g)
{
    list_remove(&g->link);
    for (size_t i = 0; i < g->serving->n_crews; i++)
        gate_free(g->tenures[i].gate);
    listeners_forget(&g->fronts);
    gate_config_fini(&g->config);
    free(g->tenures);
    free(g);
    malloc_trim(0); /* a generation is megabytes, in small pieces */
}

static void on_enter(struct call *c)
{
    struct tenure *t = CONTAINER(c, struct tenure, enter);
    tenure_enter(t);
    worker_post(t->crew->serving->main, &t->entered);
}

static void reload_try(struct serving *s);

static void on_left(struct call *c)
{
    struct generation *g = CONTAINER(c, struct tenure, left)->generation;
    struct serving *s = g->serving;
    if (++g->left < s->n_crews)
        return;
    metric_count(METRIC_generations, -1);
    generation_free(g);
    reload_try(s);
}

/* On the worker: nothing of the tenure runs any more. */
static void tenure_over(void *arg)
{
    struct tenure *t = arg;
    struct crew *c = t->crew;
    list_remove(&t->link);
    gate_free(t->gate);
    t->gate = NULL;
    worker_post(c->serving->main, &t->left); /* t may go from here on */
    crew_settle(c);
}

void tenure_enter(struct tenure *t)
{
    struct crew *c = t->crew;
    const struct gate_config *config = &t->generation->config;
    struct list *last = c->tenures.prev;
    list_append(&c->tenures, &t->link);
    gate_number(t->gate, t->generation->number);
    http_server_use(c->http, &config->limits, gate_handler(t->gate));
    if (last != &c->tenures) {
        struct tenure *before = CONTAINER(last, struct tenure, link);
        gate_retire(before->gate, tenure_over, before);
        gate_start(t->gate); /* the first one waits for the stores */
    }
}

void tenures_end(struct crew *c)
{
    while (!list_empty(&c->tenures)) {
        struct tenure *t = CONTAINER(c->tenures.next, struct tenure, link);
        list_remove(&t->link);
        gate_free(t->gate);
        t->gate = NULL;
    }
}

static void on_entered(struct call *c);

static struct generation *generation_new(struct serving *s)
{
    struct generation *g = xalloc(sizeof *g);
    list_init(&g->link);
    g->serving = s;
    g->tenures = xalloc(s->n_crews * sizeof *g->tenures);
    for (size_t i = 0; i < s->n_crews; i++) {
        struct tenure *t = &g->tenures[i];
        list_init(&t->link);
        t->generation = g;
        t->crew = &s->crews[i];
        t->enter.fn = on_enter;
        t->entered.fn = on_entered;
        t->left.fn = on_left;
    }
    return g;
}

static void generation_use(struct generation *g)
{
    g->number = ++g->serving->reload->number;
    g->loaded = clock_wall();
    list_append(&g->serving->generations, &g->link);
    metric_count(METRIC_generations, 1);
}

/* -- a reload ---------------------------------------------------------------------- */

static void tell(struct waiters *w, json_t *answer)
{
    for (size_t i = 0; i < w->n; i++)
        control_answer(w->calls[i], json_dumps(answer, 0));
    w->n = 0;
    json_decref(answer);
}

static void refuse(struct waiters *w, const char *why)
{
    tell(w, json_pack("{s:o}", "error", status_string(why)));
}

/* Options that are read once, when the program starts, and are different now. Returns an
 * owned array of their names. */
static json_t *needs_restart(const struct reload *r, const struct gate_config *c)
{
    json_t *names = json_array();
    if (c->workers != r->workers)
        json_array_append_new(names, json_string("workers"));
    const char *user = c->user ? c->user : "";
    if (!r->serving->user && strcmp(user, r->user) != 0)
        json_array_append_new(names, json_string("user"));
    if (c->io_threads != r->io_threads)
        json_array_append_new(names, json_string("io_threads"));
    if (c->buffer_memory != r->buffer_memory)
        json_array_append_new(names, json_string("limits.buffers"));
    if (c->cache_memory != r->cache_memory)
        json_array_append_new(names, json_string("limits.cache"));
    return names;
}

static void log_restart(json_t *names)
{
    size_t i;
    json_t *name;
    json_array_foreach(names, i, name)
    {
        LOG_FIELDS(LOG_WARN, "needs a restart",
                   {"option", span_of(json_string_value(name))});
    }
}

/* The reload that runs is over, one way or the other. */
static void finish(struct reload *r)
{
    struct serving *s = r->serving;
    r->generation = NULL;
    free(r->why);
    r->why = NULL;
    r->files = (struct log_files){-1, -1};
    reload_try(s);
    serving_end(s);
}

static void fail(struct reload *r)
{
    LOG_FIELDS(LOG_ERROR, "reload refused, the script that runs stays",
               {"error", span_of(r->why)});
    free(r->refused);
    r->refused = xstrdup(r->why);
    r->refused_at = clock_wall();
    serving_ready(r->serving, r->why);
    refuse(&r->now, r->why);
    log_files_close(&r->generation->config.log, &r->files);
    metric_count(METRIC_reloads_refused_total, 1);
    generation_free(r->generation);
    finish(r);
}

static void on_entered(struct call *c)
{
    struct generation *g = CONTAINER(c, struct tenure, entered)->generation;
    struct serving *s = g->serving;
    struct reload *r = s->reload;
    if (++g->entered < s->n_crews)
        return;
    uint64_t us = (clock_now() - r->began) / NS_PER_US;
    char number[16], ms[32];
    listeners_settle(s);
    listeners_forget(&g->fronts);
    metric_count(METRIC_reloads_total, 1);
    log_use(&g->config.log, &r->files);
    bounds_set_connections(g->config.connections);
    snprintf(number, sizeof number, "%u", g->number);
    snprintf(ms, sizeof ms, "%.1f", (double)us / 1e3);
    LOG_FIELDS(LOG_INFO, "reloaded", {"generation", span_of(number)},
               {"ms", span_of(ms)});
    json_t *restart = needs_restart(r, &g->config);
    log_restart(restart);
    free(r->refused);
    r->refused = NULL;
    serving_ready(s, NULL);
    tell(&r->now, json_pack("{s:i, s:f, s:o}", "generation", (int)g->number, "seconds",
                            (double)us / 1e6, "restart", restart));
    finish(r);
}

/* On a pool thread, which is alone with the generation. */
static void load(struct job *job)
{
    struct reload *r = CONTAINER(job, struct reload, job);
    struct generation *g = r->generation;
    struct serving *s = r->serving;
    int rc = gate_look(s->script, &g->config, &r->why);
    if (rc == 0 && (rc = store_begin_all(&r->why)) != 0 && !r->why)
        r->why = xstrdup(err_text(rc));
    if (rc == 0)
        rc = listeners_prepare(&g->config, s->tickets, &g->fronts, &r->why);
    for (size_t i = 0; rc == 0 && i < s->n_crews; i++)
        rc = gate_load(s->script, g->config.script_memory, s->crews[i].worker,
                       &g->tenures[i].gate, &r->why);
    if (rc == 0)
        log_files_open(&g->config.log, &r->files, &r->why);
}

static void loaded(struct job *job)
{
    struct reload *r = CONTAINER(job, struct reload, job);
    struct serving *s = r->serving;
    struct generation *g = r->generation;
    if (!r->why && s->stops)
        r->why = xstrdup("the server is stopping");
    if (r->why || listeners_open(s, &g->config, &g->fronts, &r->why) != 0) {
        fail(r);
        return;
    }
    generation_use(g);
    for (size_t i = 0; i < s->n_crews; i++)
        worker_post(s->crews[i].worker, &g->tenures[i].enter);
}

static size_t count(const struct list *head)
{
    size_t n = 0;
    for (const struct list *l = head->next; l != head; l = l->next)
        n++;
    return n;
}

/* Starts the reload that somebody waits for, if one may start. */
static void reload_try(struct serving *s)
{
    struct reload *r = s->reload;
    if (r->generation || !(r->again || r->later.n))
        return;
    if (s->stops) {
        refuse(&r->later, "the server is stopping");
        r->again = false;
        return;
    }
    if (count(&s->generations) >= GENERATIONS_MAX) {
        refuse(&r->later, "requests still run in the two generations before this one; "
                          "`tidegate tasks` shows them, try again later");
        return;
    }
    r->again = false;
    r->now = r->later;
    r->later.n = 0;
    r->began = clock_now();
    notify_say(s->notify,
               "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=loading the script",
               r->began / NS_PER_US);
    r->generation = generation_new(s);
    r->job.work = load;
    r->job.done = loaded;
    job_submit(r->lane, &r->job);
}

void reload_ask(struct serving *s, struct control_call *call)
{
    struct reload *r = s->reload;
    if (call)
        r->later.calls[r->later.n++] = call;
    else
        r->again = true;
    reload_try(s);
    if (!call && r->again && !s->stops)
        log_msg(LOG_WARN, "the reload waits: another one runs, or requests still run in "
                          "the two generations before this one");
}

bool reload_runs(const struct serving *s)
{
    return s->reload->generation != NULL;
}

const char *reload_refused(const struct serving *s, uint64_t *when)
{
    *when = s->reload->refused_at;
    return s->reload->refused;
}

void reload_init(struct serving *s, struct gate_config *config)
{
    struct reload *r = xalloc(sizeof *r);
    s->reload = r;
    r->serving = s;
    r->files = (struct log_files){-1, -1};
    r->lane = lane_new("reload", 1);
    r->workers = config->workers;
    r->user = xstrdup(config->user ? config->user : "");
    r->io_threads = config->io_threads;
    r->buffer_memory = config->buffer_memory;
    r->cache_memory = config->cache_memory;
    struct generation *g = generation_new(s);
    g->config = *config;
    *config = (struct gate_config){.workers = 0};
    generation_use(g);
}

void reload_fini(struct serving *s)
{
    if (!s->reload)
        return;
    while (!list_empty(&s->generations))
        generation_free(CONTAINER(s->generations.next, struct generation, link));
    lane_free(s->reload->lane);
    free(s->reload->refused);
    free(s->reload->user);
    free(s->reload);
}
