/* SPDX-License-Identifier: Apache-2.0 */
#include "command/errand.h"

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/client.h"
#include "loop/job.h"
#include "loop/worker.h"
#include "store/cache.h"
#include "store/store.h"
#include "stream/bufpool.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFERS ((size_t)64 << 20) /* bytes of all pipe buffers */
#define IO_THREADS 4

static struct worker *worker;

int errands_start(void)
{
    log_setup(2, LOG_WARN, false);
    signal(SIGPIPE, SIG_IGN);
    bufpool_start(BUFFERS, 0);
    cache_start(0);
    int rc = pool_start(IO_THREADS);
    worker = rc ? NULL : worker_new("main");
    if (worker)
        return 0;
    fprintf(stderr, "tidegate: cannot start a worker: %s\n",
            rc ? err_text(rc) : strerror(errno));
    errands_stop();
    return 1;
}

void errands_stop(void)
{
    pool_stop();
    if (worker) {
        worker_stop(worker); /* what came home last */
        worker_run(worker);
        http_client_free(worker);
    }
    worker_free(worker);
    worker = NULL;
    cache_stop();
    bufpool_stop();
}

static void over(void *arg, struct command_result r)
{
    *(struct command_result *)arg = r;
    worker_stop(worker);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    (void)number;
    (void)what;
    command_stop(arg);
}

/* Runs it; a signal cancels the command instead of ending the process. */
static void run_stoppable(struct command *command)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    struct event *events[2];
    for (size_t i = 0; i < 2; i++) {
        events[i] = evsignal_new(worker_base(worker), numbers[i], on_signal, command);
        if (events[i])
            event_add(events[i], NULL);
    }
    worker_run(worker);
    for (size_t i = 0; i < 2; i++)
        if (events[i])
            event_free(events[i]);
}

struct command_result errand_run(const struct errand *e)
{
    struct command_result result = {.code = 1};
    struct command *command = NULL;
    char *why = NULL;
    int rc =
        command_load(e->module, e->script, e->arguments, e->n, worker, &command, &why);
    if (rc == 0)
        rc = e->reads ? store_begin_reading(&why) : store_begin_all(&why);
    if (rc == 0) {
        command_start(command, over, &result);
        if (e->stops)
            run_stoppable(command);
        else
            worker_run(worker);
    } else {
        fprintf(stderr, "tidegate: %s\n", why ? why : err_text(rc));
    }
    free(why);
    command_free(command);
    return result;
}
