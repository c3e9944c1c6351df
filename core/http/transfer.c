/* SPDX-License-Identifier: Apache-2.0
 *
 * One request on its way. Whatever happens is noted where it happens; what follows from
 * it is decided in transfer_run alone.
 */
#include "http/transfer.h"

#include "base/clock.h"
#include "base/log.h"
#include "http/trust.h"
#include "loop/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void transfer_kick(struct transfer *t)
{
    if (!t->call.queued)
        worker_defer(t->worker, &t->call);
}

/* Only whoever waits for the other side can say that it stalls: not while libcurl is
 * paused for our own source or for whoever reads the answer. (CURLOPT_LOW_SPEED_TIME
 * counts that time too.) */
void transfer_moved(struct transfer *t)
{
    bool held = t->recv_paused || t->send_paused;
    t->stall_due = held ? UINT64_MAX : worker_now(t->worker) + t->stall;
    timer_set(&t->timer, t->stall_due < t->due ? t->stall_due : t->due);
}

int transfer_progress(void *arg, curl_off_t down_n, curl_off_t down, curl_off_t up_n,
                      curl_off_t up)
{
    struct transfer *t = arg;
    (void)down_n;
    (void)up_n;
    if (down + up != t->moved)
        transfer_moved(t);
    t->moved = down + up;
    return 0;
}

void transfer_fail(struct transfer *t, int rc, const char *cause)
{
    if (t->rc == 0) {
        t->rc = rc;
        snprintf(t->cause, sizeof t->cause, "%s", cause);
    }
    transfer_kick(t);
}

static int code_of(CURLcode code)
{
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return E_LATE;
    case CURLE_SSL_CACERT_BADFILE:
        return E_IO;
    default:
        return E_UPSTREAM;
    }
}

void transfer_over(struct transfer *t, CURLcode code)
{
    CHECK(t, TRANSFER_MAGIC);
    t->over = true;
    timer_clear(&t->timer);
    if (code != CURLE_OK && !t->next) /* a redirect's body does not matter */
        transfer_fail(t, code_of(code),
                      t->error[0] ? t->error : t->curl->easy_strerror(code));
    else if (!t->headed) /* libcurl is content with half a line */
        transfer_fail(t, E_UPSTREAM, "the answer ends within its head");
    transfer_kick(t);
}

static void on_time(struct timer *timer)
{
    struct transfer *t = CONTAINER(timer, struct transfer, timer);
    CHECK(t, TRANSFER_MAGIC);
    bool stalled = worker_now(t->worker) < t->due;
    transfer_fail(t, E_LATE, stalled ? "nothing moved for too long" : "it took too long");
}

/* -- its end ----------------------------------------------------------------------- */

static void detach(struct transfer *t)
{
    if (!t->added)
        return;
    t->curl->multi_remove_handle(t->client->multi, t->easy);
    t->client->transfers--;
    t->added = false;
    timer_clear(&t->timer);
}

static void attach(struct transfer *t)
{
    t->over = false;
    t->added = true;
    t->client->transfers++;
    transfer_moved(t);
    if (t->curl->multi_add_handle(t->client->multi, t->easy) != CURLM_OK)
        transfer_fail(t, E_UNSUPPORTED, "libcurl refuses the request");
}

void transfer_free(struct transfer *t)
{
    detach(t);
    worker_undefer(t->worker, &t->call);
    timer_fini(&t->timer);
    if (t->easy)
        t->curl->easy_cleanup(t->easy);
    if (t->lines)
        t->curl->slist_free_all(t->lines);
    free(t->url);
    free(t->next);
    arena_reset(&t->arena);
    POISON(t);
    free(t);
}

/* The origin alone: paths and queries may be secret. */
static void log_failure(const struct transfer *t)
{
    if (t->rc != E_UPSTREAM && t->rc != E_LATE && t->rc != E_IO && t->rc != E_UNSUPPORTED)
        return;
    char *origin = t->curl ? target_origin(t->curl, t->url) : NULL;
    LOG_FIELDS(LOG_WARN, "upstream failed", {"upstream", span_of(origin ? origin : "")},
               {"error", span_of(err_name(t->rc))}, {"cause", span_of(t->cause)});
    free(origin);
}

static void succeed(struct transfer *t, struct fetch *f, uint64_t size)
{
    download_open(t, size);
    f->status = t->status;
    f->answer = t->fields;
    f->n_answer = t->n_fields;
    f->body = &t->download.source;
}

static void hand_over(struct transfer *t)
{
    struct fetch *f = t->fetch;
    uint64_t size = t->rc ? 0 : answer_size(t, strcmp(f->method, "HEAD") == 0);
    if (size != SIZE_UNKNOWN && size > t->download.limit)
        transfer_fail(t, E_TOO_LARGE, "the answer's body is larger than the limit");
    f->rc = t->rc;
    f->transfer = NULL;
    t->fetch = NULL;
    if (t->rc) {
        log_failure(t);
        snprintf(f->cause, sizeof f->cause, "%s", t->cause);
        transfer_free(t);
    } else {
        succeed(t, f, size);
    }
    f->done(f);
}

/* -- from call to call ------------------------------------------------------------- */

static void hop(struct transfer *t)
{
    char *from = target_origin(t->curl, t->url), *to = target_origin(t->curl, t->next);
    bool stranger = !from || !to || !span_is_nocase(span_of(from), to);
    free(from);
    free(to);
    detach(t);
    free(t->url);
    t->url = t->next;
    t->next = NULL;
    t->follow--;
    t->download.got = 0;
    t->stranger |= stranger; /* not even when it leads back */
    answer_init(t);
    t->error[0] = '\0';
    if (easy_redirect(t, t->stranger) == 0)
        attach(t);
    else
        transfer_fail(t, E_UNSUPPORTED, "libcurl refuses an option");
}

static void resume(struct transfer *t, bool recv, bool send)
{
    if (recv)
        t->recv_paused = false;
    if (send)
        t->send_paused = false;
    int still =
        (t->recv_paused ? CURLPAUSE_RECV : 0) | (t->send_paused ? CURLPAUSE_SEND : 0);
    transfer_moved(t);
    CURLcode code = t->curl->easy_pause(t->easy, still);
    if (code != CURLE_OK)
        transfer_fail(t, code_of(code), t->curl->easy_strerror(code));
}

static void unpause(struct transfer *t)
{
    const struct upload *u = &t->upload;
    bool recv = t->recv_paused && download_has_room(t);
    bool send = t->send_paused && (u->at < u->n || u->ended || u->stopped);
    if (recv || send)
        resume(t, recv, send);
}

static void transfer_run(struct call *c)
{
    struct transfer *t = CONTAINER(c, struct transfer, call);
    CHECK(t, TRANSFER_MAGIC);
    if (t->loading)
        return;
    if (t->rc)
        detach(t);
    if (t->rc == 0 && t->over && t->next)
        hop(t);
    bool stop = t->rc || t->over || (t->headed && t->status >= 300);
    bool sent = upload_run(t, stop);
    if (t->fetch) {
        if (t->added)
            unpause(t);
        if (sent && (t->rc || (t->headed && !t->next)))
            hand_over(t);
        return;
    }
    if (t->rc && !t->told) {
        t->told = true;
        log_failure(t);
    }
    if (download_run(t))
        return;
    if (t->added && !t->over)
        unpause(t);
}

/* -- the fetch --------------------------------------------------------------------- */

void fetch_init(struct fetch *f, const char *method, const char *url,
                void (*done)(struct fetch *))
{
    *f = (struct fetch){
        .magic = FETCH_MAGIC,
        .done = done,
        .method = method,
        .url = url,
        .connect = 10 * NS_PER_S,
        .stall = 30 * NS_PER_S,
        .whole = 3600 * NS_PER_S,
        .limit = SIZE_UNKNOWN,
    };
}

static bool may_follow(const struct fetch *f)
{
    return !f->has_body &&
           (strcmp(f->method, "GET") == 0 || strcmp(f->method, "HEAD") == 0);
}

static int prepare(struct transfer *t, const char **cause)
{
    t->client = client_get(t->worker, cause);
    if (!t->client)
        return E_UNSUPPORTED;
    t->curl = t->client->curl;
    return easy_setup(t, cause);
}

static void begin(struct transfer *t)
{
    const char *cause;
    int rc = prepare(t, &cause);
    if (rc) {
        transfer_fail(t, rc, cause);
        return;
    }
    upload_start(t);
    attach(t);
}

/* Whether the system's certificates will be asked. */
static bool needs_trust(const struct fetch *f)
{
    return !f->ca && strncasecmp(f->url, "https:", strlen("https:")) == 0;
}

static bool needs_load(const struct fetch *f)
{
    return !curl_is_loaded() || (needs_trust(f) && !trust_is_loaded());
}

/* On a pool thread. The fetch is its caller's until done, so it stands still. */
static void load(struct job *job)
{
    struct transfer *t = CONTAINER(job, struct transfer, load);
    const char *why;
    const struct curl_calls *curl = curl_calls(&why);
    if (curl && needs_trust(t->fetch))
        trust_load(curl);
}

static void load_done(struct job *job)
{
    struct transfer *t = CONTAINER(job, struct transfer, load);
    CHECK(t, TRANSFER_MAGIC);
    t->loading = false;
    if (t->rc)
        transfer_kick(t); /* it was cancelled meanwhile */
    else
        begin(t);
}

void fetch_start(struct fetch *f)
{
    struct transfer *t = xalloc(sizeof *t);
    CHECK(f, FETCH_MAGIC);
    assert(worker_self() && !f->transfer);
    f->transfer = t;
    t->magic = TRANSFER_MAGIC;
    t->worker = worker_self();
    t->fetch = f;
    t->call.fn = transfer_run;
    timer_init(&t->timer, t->worker, on_time);
    arena_init(&t->arena);
    t->url = xstrdup(f->url);
    t->follow = may_follow(f) ? f->follow : 0;
    t->stall = f->stall;
    t->download.limit = f->limit;
    t->due = worker_now(t->worker) + f->whole;
    if (!needs_load(f)) {
        begin(t);
        return;
    }
    t->loading = true;
    t->load.work = load;
    t->load.done = load_done;
    job_submit(lane_cpu(), &t->load);
}

void fetch_cancel(struct fetch *f)
{
    CHECK(f, FETCH_MAGIC);
    if (f->transfer)
        transfer_fail(f->transfer, E_CANCELLED, "cancelled");
}
