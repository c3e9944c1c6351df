/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/mode.h"
#include "serve/serving.h"
#include "store/store.h"
#include "stream/bufpool.h"
#include "base/version.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

json_t *status_string(const char *text)
{
    json_t *string = json_string(text);
    if (string)
        return string;
    char *ascii = xstrdup(text);
    for (char *p = ascii; *p; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    string = json_string(ascii);
    free(ascii);
    return string;
}

static json_t *integer(size_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *seconds_since(uint64_t then)
{
    uint64_t now = clock_now();
    return json_real(now > then ? (double)((now - then) / NS_PER_MS) / 1e3 : 0);
}

static json_t *date(uint64_t wall)
{
    char text[RFC3339_SIZE];
    clock_rfc3339(wall, text);
    return json_string(text);
}

/* Bytes of memory that the process really has; 0 when nobody knows. */
static size_t resident(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%*u %lu", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

static json_t *generations(struct serving *s)
{
    json_t *list = json_array();
    for (struct list *l = s->generations.prev; l != &s->generations; l = l->prev) {
        const struct generation *g = CONTAINER(l, struct generation, link);
        size_t requests = 0, memory = 0;
        for (size_t i = 0; i < s->n_crews; i++) {
            const struct report *r = &s->crews[i].report;
            for (size_t k = 0; survey_told(&s->crews[i]) && k < r->n_gates; k++) {
                if (r->gates[k].generation != g->number)
                    continue;
                requests += r->gates[k].requests;
                memory += r->gates[k].memory;
            }
        }
        json_array_append_new(list,
                              json_pack("{s:i, s:o, s:o, s:o}", "number", (int)g->number,
                                        "loaded", date(g->loaded), "requests",
                                        integer(requests), "memory", integer(memory)));
    }
    return list;
}

/* Since when it is read-only, and how many began before that are not over. */
static json_t *readonly(struct serving *s)
{
    size_t writers = 0;
    for (size_t i = 0; i < s->n_crews; i++) {
        const struct report *r = &s->crews[i].report;
        for (size_t k = 0; survey_told(&s->crews[i]) && k < r->n_gates; k++)
            writers += r->gates[k].writers;
    }
    return json_pack("{s:o, s:o}", "since", date(mode_since(MODE_READONLY)), "writers",
                     integer(writers));
}

static json_t *workers(struct serving *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->n_crews; i++) {
        const struct crew *c = &s->crews[i];
        bool told = survey_told(c);
        size_t requests = 0;
        for (size_t k = 0; told && k < c->report.n_gates; k++)
            requests += c->report.gates[k].requests;
        json_t *one =
            json_pack("{s:s, s:o, s:b}", "name", c->name, "connections",
                      integer(told ? c->report.connections : worker_load(c->worker)),
                      "stuck", !told);
        if (told)
            json_object_set_new(one, "requests", integer(requests));
        json_array_append_new(list, one);
    }
    return list;
}

static json_t *listeners(struct serving *s)
{
    json_t *list = json_array();
    char *name;
    for (size_t i = 0; (name = listeners_name(s, i)); i++) {
        json_array_append_new(list, status_string(name));
        free(name);
    }
    return list;
}

static json_t *stores(struct serving *s)
{
    const struct gate_config *config = &serving_newest(s)->config;
    json_t *list = json_array();
    for (size_t i = 0; i < config->n_stores; i++)
        json_array_append_new(list, status_string(config->stores[i]));
    return list;
}

static json_t *memory(void)
{
    size_t peak, used = bufpool_used(&peak);
    return json_pack("{s:o, s:o, s:o}", "resident", integer(resident()), "buffers",
                     integer(used), "buffers_peak", integer(peak));
}

static char *text_of(json_t *answer)
{
    char *text = json_dumps(answer, 0);
    json_decref(answer);
    return text;
}

char *status_text(struct serving *s)
{
    uint64_t when;
    const char *refused = reload_refused(s, &when);
    json_t *answer =
        json_pack("{s:s, s:i, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o}", "version",
                  VERSION, "pid", (int)getpid(), "uptime", seconds_since(s->began),
                  "script", status_string(s->script), "stopping", s->stops > 0, "listen",
                  listeners(s), "stores", stores(s), "generations", generations(s),
                  "workers", workers(s), "memory", memory());
    if (mode_is(MODE_READONLY))
        json_object_set_new(answer, "readonly", readonly(s));
    if (mode_is(MODE_DRAINING))
        json_object_set_new(answer, "draining", date(mode_since(MODE_DRAINING)));
    if (refused)
        json_object_set_new(
            answer, "refused",
            json_pack("{s:o, s:o}", "when", date(when), "error", status_string(refused)));
    return text_of(answer);
}

static json_t *task(const struct crew *c, const struct gate_task *t)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:o, s:s}", "id", t->id,
                     "worker", c->name, "method", t->method, "path", t->path, "user",
                     t->user, "seconds", seconds_since(t->began), "wait", t->wait,
                     "waits", seconds_since(t->since), "traceback", t->trace);
}

static json_t *background_task(const struct crew *c, const struct gate_task *t)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:o, s:s}", "kind", t->method,
                     "name", t->path, "id", t->id, "worker", c->name, "seconds",
                     seconds_since(t->began), "wait", t->wait, "waits",
                     seconds_since(t->since), "traceback", t->trace);
}

char *tasks_text(struct serving *s)
{
    json_t *tasks = json_array(), *background = json_array(), *stuck = json_array();
    size_t running = 0, shown = 0;
    for (size_t i = 0; i < s->n_crews; i++) {
        const struct crew *c = &s->crews[i];
        const struct report *r = &c->report;
        if (!survey_told(c)) {
            json_array_append_new(stuck, json_string(c->name));
            continue;
        }
        for (size_t k = 0; k < r->n_gates; k++)
            running += r->gates[k].running;
        for (size_t k = 0; k < r->n_tasks; k++, shown++)
            if (r->tasks[k].background)
                json_array_append_new(background, background_task(c, &r->tasks[k]));
            else
                json_array_append_new(tasks, task(c, &r->tasks[k]));
    }
    return text_of(json_pack("{s:o, s:o, s:o, s:o}", "tasks", tasks, "background",
                             background, "more", integer(running - shown), "stuck",
                             stuck));
}
