/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the running gateway: what serve.c, listeners.c, reload.c, survey.c, pulse.c and
 * status.c share. For these files only.
 *
 * All of it belongs to the main thread, except that a worker owns the list of tenures in
 * its crew, and a report while the worker is asked. What crosses is a posted call, and
 * while it is on its way its owner leaves it alone.
 */
#ifndef SERVE_SERVING_H
#define SERVE_SERVING_H

#include "base/base.h"
#include "base/list.h"
#include "serve/control.h"
#include "loop/loop.h"
#include "loop/ticket.h"
#include "lua/gate.h"

#include <semaphore.h>

#define SIGNALS 4
#define GENERATIONS_MAX 3 /* of the script that may be in use at once */

struct serving;
struct reload;
struct survey;
struct notify;
struct pulse;
struct json_t;

/* What the listeners of a configuration are like, in its order. */
struct fronts {
    struct front **list;
    size_t n;
};

/* The script as one load found it: its configuration, and a gate for each worker. It is
 * in use until the last request that began in it has ended. */
struct generation {
    struct list link; /* among the serving's, the oldest first */
    struct serving *serving;
    unsigned number;
    uint64_t loaded; /* clock_wall() */
    struct gate_config config;
    struct fronts fronts;   /* until the listeners have them */
    struct tenure *tenures; /* one for each crew */
    size_t entered, left;   /* of them */
};

/* One generation in one worker. */
struct tenure {
    struct list link; /* among the crew's, the oldest first */
    struct generation *generation;
    struct crew *crew;
    struct gate *gate;                /* the worker's from `enter` to `left` */
    struct call enter, entered, left; /* to the worker, and twice back */
};

/* What a worker says about itself. */
struct report {
    unsigned survey; /* which one asked */
    size_t connections;
    size_t n_gates;
    struct {
        unsigned generation;
        size_t requests, running, memory, writers;
    } gates[GENERATIONS_MAX];
    size_t max_tasks; /* 0: tasks are not asked for */
    size_t n_tasks;
    struct gate_task *tasks; /* owned; those of the first gate first */
};

struct crew { /* one worker and what runs on it */
    struct serving *serving;
    struct worker *worker;
    char name[32];
    struct http_server *http;
    struct list tenures;                   /* the newest gets all new requests */
    struct call start, drain, abort, gone; /* to the worker; the last one back to main */
    bool quiet;                            /* nothing runs in the newest any more */
    struct call ask, told;                 /* to the worker, and back */
    struct call pulse, pulsed;             /* to the worker, and back */
    struct report report;
    bool asked; /* the report is out, perhaps since an earlier survey */
};

struct serving {
    const char *script;
    const char *user; /* of the command line; NULL: what the script says */
    uint64_t began;   /* clock_now() */
    struct worker *main;
    struct crew *crews;
    size_t n_crews, drained;
    struct list listeners;
    struct tickets *tickets;
    struct list generations; /* in use, the oldest first */
    struct reload *reload;
    struct survey *survey;
    struct control *control;
    struct notify *notify;
    struct pulse *pulse;
    struct event *signals[SIGNALS];
    struct timer drain; /* from the question to the first stop */
    sem_t ready;        /* a worker has set up, or failed to */
    int stops;          /* how often we were asked to stop */
};

/* The one that new requests go to. */
static inline struct generation *serving_newest(struct serving *s)
{
    return CONTAINER(s->generations.prev, struct generation, link);
}

/* serve.c: ends the main loop once every crew has drained and no reload is under way. */
void serving_end(struct serving *s);
/* Tells the service manager that the gateway serves; refused: why a reload was, or NULL.
 */
void serving_ready(struct serving *s, const char *refused);

/* listeners.c */
/* Makes the fronts of a configuration. Blocks; any thread. On failure *why is owned. */
int listeners_prepare(const struct gate_config *config, struct tickets *tickets,
                      struct fronts *out, char **why);
void listeners_forget(struct fronts *f);
/* Opens what the configuration has and is not open. On failure nothing has changed, and
 * *why is owned. listeners_settle must follow: from then on connections get the new
 * fronts, and what the configuration has not is closed. Borrows the fronts. */
int listeners_open(struct serving *s, const struct gate_config *config,
                   const struct fronts *fronts, char **why);
void listeners_settle(struct serving *s);
void listeners_close(struct serving *s);
/* The i-th address that is open, "http://…" or "unix:…"; an owned text, or NULL. */
char *listeners_name(struct serving *s, size_t i);
void listeners_free(struct serving *s);

/* reload.c */
/* The first generation; it takes the configuration. Its gates are loaded by the workers
 * that will run them. */
void reload_init(struct serving *s, struct gate_config *config);
/* The worker's own part of it. */
void tenure_enter(struct tenure *t);
/* At the worker's end: a VM that has run on a thread is freed by it. */
void tenures_end(struct crew *c);
/* serve.c: on the worker, when a tenure is over. */
void crew_settle(struct crew *c);
/* Loads the script anew, or says why not: to the call, or, if it is NULL (a signal), to
 * the log alone. */
void reload_ask(struct serving *s, struct control_call *call);
bool reload_runs(const struct serving *s);
/* Why the newest reload was refused, and when (clock_wall()); NULL if it was not. */
const char *reload_refused(const struct serving *s, uint64_t *when);
/* After the workers and the pool have ended. */
void reload_fini(struct serving *s);

/* survey.c: asks every worker for its report, waits a second for it, and answers. */
void survey_init(struct serving *s);
void survey_ask(struct serving *s, struct control_call *call, bool tasks);
/* Whether the crew's report answers the survey that is being answered. */
bool survey_told(const struct crew *c);
void survey_fini(struct serving *s);

/* pulse.c: tells the service manager's watchdog that all threads are well. */
void pulse_init(struct serving *s);
/* Whether a worker has not answered yet. */
bool pulse_runs(const struct serving *s);
void pulse_fini(struct serving *s);

/* status.c: the answers, as owned JSON text, from the reports of a survey */
char *status_text(struct serving *s);
char *tasks_text(struct serving *s);
/* Text that may not be UTF-8: then every byte that is not ASCII becomes '?'. */
struct json_t *status_string(const char *text);

#endif
