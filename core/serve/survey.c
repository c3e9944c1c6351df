/* SPDX-License-Identifier: Apache-2.0
 *
 * A survey goes to all workers at once and is over when each has told, or after a second:
 * a worker that still owes its report then is stuck. It is not asked again before it has
 * told, so surveys behind it do not wait for it. One survey runs at a time.
 */
#include "base/clock.h"
#include "serve/serving.h"

#include <stdlib.h>

#define SURVEY_NS NS_PER_S
#define TASKS_MAX 1024 /* shown at once, of all workers */

struct question {
    struct control_call *call;
    bool tasks;
};

struct survey {
    struct serving *serving;
    struct timer timer;
    unsigned number;                              /* of the newest */
    size_t missing;                               /* reports; of the one that runs */
    struct question questions[CONTROL_CALLS_MAX]; /* the first one is being answered */
    size_t n;
};

/* On the worker. */
static void on_ask(struct call *call)
{
    struct crew *c = CONTAINER(call, struct crew, ask);
    struct report *r = &c->report;
    size_t room = 0;
    r->connections = http_server_count(c->http);
    for (struct list *l = c->tenures.next; l != &c->tenures; l = l->next) {
        const struct tenure *t = CONTAINER(l, struct tenure, link);
        r->gates[r->n_gates].generation = t->generation->number;
        r->gates[r->n_gates].requests = gate_requests(t->gate);
        r->gates[r->n_gates].writers = gate_writers(t->gate);
        r->gates[r->n_gates].running = gate_running(t->gate);
        r->gates[r->n_gates].memory = gate_memory(t->gate);
        room += gate_running(t->gate);
        r->n_gates++;
    }
    room = room < r->max_tasks ? room : r->max_tasks;
    if (room)
        r->tasks = xalloc(room * sizeof *r->tasks);
    for (struct list *l = c->tenures.next; r->n_tasks < room; l = l->next)
        r->n_tasks += gate_tasks(CONTAINER(l, struct tenure, link)->gate,
                                 r->tasks + r->n_tasks, room - r->n_tasks);
    worker_post(c->serving->main, &c->told);
}

static void survey_end(struct survey *v);

static void on_told(struct call *call)
{
    struct crew *c = CONTAINER(call, struct crew, told);
    struct survey *v = c->serving->survey;
    c->asked = false;
    if (v->n && survey_told(c) && --v->missing == 0)
        survey_end(v);
}

bool survey_told(const struct crew *c)
{
    return !c->asked && c->report.survey == c->serving->survey->number;
}

static void report_fini(struct report *r)
{
    free(r->tasks);
    *r = (struct report){.survey = 0};
}

/* Asks for what the first question wants. */
static void survey_start(struct survey *v)
{
    struct serving *s = v->serving;
    uint64_t now = worker_now(s->main);
    size_t share = TASKS_MAX / s->n_crews;
    v->number++;
    v->missing = 0;
    for (size_t i = 0; i < s->n_crews; i++) {
        struct crew *c = &s->crews[i];
        if (c->asked)
            continue;
        report_fini(&c->report);
        c->report.survey = v->number;
        c->report.max_tasks = v->questions[0].tasks ? share : 0;
        c->ask.fn = on_ask;
        c->told.fn = on_told;
        c->asked = true;
        v->missing++;
        worker_post(c->worker, &c->ask);
    }
    timer_set(&v->timer, v->missing ? now + SURVEY_NS : now);
}

static void survey_end(struct survey *v)
{
    struct serving *s = v->serving;
    struct question q = v->questions[0];
    timer_clear(&v->timer);
    control_answer(q.call, q.tasks ? tasks_text(s) : status_text(s));
    for (size_t i = 1; i < v->n; i++)
        v->questions[i - 1] = v->questions[i];
    if (--v->n)
        survey_start(v);
}

static void on_timer(struct timer *t)
{
    survey_end(CONTAINER(t, struct survey, timer));
}

void survey_init(struct serving *s)
{
    s->survey = xalloc(sizeof *s->survey);
    s->survey->serving = s;
    timer_init(&s->survey->timer, s->main, on_timer);
}

void survey_ask(struct serving *s, struct control_call *call, bool tasks)
{
    struct survey *v = s->survey;
    v->questions[v->n++] = (struct question){call, tasks};
    if (v->n == 1)
        survey_start(v);
}

void survey_fini(struct serving *s)
{
    if (!s->survey)
        return;
    timer_fini(&s->survey->timer);
    for (size_t i = 0; i < s->n_crews; i++)
        report_fini(&s->crews[i].report);
    free(s->survey);
}
