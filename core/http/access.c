/* SPDX-License-Identifier: Apache-2.0 */
#include "http/access.h"

#include "base/clock.h"
#include "base/line.h"
#include "base/log.h"
#include "base/metrics.h"

#include <pthread.h>
#include <stdio.h>

/* -- counting ---------------------------------------------------------------------- */

static const struct metric_spec requests_spec = {
    .name = "tidegate_requests_total",
    .help = "Requests that are over, by application, action and class of status.",
    .kind = METRIC_COUNTER,
    .labels = {"app", "action", "status"},
    .n_labels = 3,
    .most = 1000,
};

static const struct metric_spec duration_spec = {
    .name = "tidegate_request_seconds",
    .help = "Time from a request's head to the end of its reply, by application.",
    .kind = METRIC_HISTOGRAM,
    .labels = {"app"},
    .n_labels = 1,
    .bounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60,
               600},
    .n_bounds = 14,
    .most = 100,
};

static struct metric_family *requests, *durations;

static void make_families(void)
{
    metrics_family(&requests_spec, &requests);
    metrics_family(&duration_spec, &durations);
}

static void count(const struct req *q, uint64_t ns)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static const struct span classes[] = {
        SPAN_LIT("none"), SPAN_LIT("1xx"), SPAN_LIT("2xx"),
        SPAN_LIT("3xx"),  SPAN_LIT("4xx"), SPAN_LIT("5xx"),
    };
    pthread_once(&once, make_families);
    struct span values[] = {span_of(q->app), span_of(q->action),
                            classes[q->status / 100 % 6]};
    metric_add(metrics_get(requests, values), 1);
    metric_observe(metrics_get(durations, values), (double)ns / 1e9);
    metric_count(METRIC_received_bytes_total, (double)q->bytes_in);
    metric_count(METRIC_sent_bytes_total, (double)q->bytes_out);
}

/* -- the line ---------------------------------------------------------------------- */

static struct span header_of(const struct req *q, const char *name)
{
    const struct span *value = http_header(&q->head, name);
    return value ? *value : SPAN_LIT("");
}

static void put_fields(struct line *l, const struct req *q, int rc, uint64_t ns)
{
    struct span agent = header_of(q, "user-agent");
    line_text(l, "id", span_of(q->id));
    line_text(l, "address", q->address);
    line_text(l, "remote", span_of(q->peer));
    if (!q->refused) {
        line_text(l, "method", q->head.method);
        line_text(l, "path", q->head.path);
    }
    line_number(l, "status", (uint64_t)q->status);
    line_number(l, "in", q->bytes_in);
    line_number(l, "out", q->bytes_out);
    line_ms(l, "ms", ns);
    if (q->replied > q->began)
        line_ms(l, "first_ms", q->replied - q->began);
    line_text(l, "listener", span_of(q->listener));
    if (q->tls)
        line_text(l, "tls", span_of(q->tls));
    if (agent.n)
        line_text(l, "agent", agent);
    for (const struct req_note *n = q->notes; n; n = n->next)
        line_text(l, n->name, n->value);
    if (rc)
        line_text(l, "error", span_of(err_name(rc)));
}

static void put_quoted(struct line *l, struct span value)
{
    line_raw(l, SPAN_LIT("\""));
    if (value.n)
        line_escaped(l, value);
    else
        line_raw(l, SPAN_LIT("-"));
    line_raw(l, SPAN_LIT("\""));
}

/* One word: a blank in it would shift all that follows. */
static void put_word(struct line *l, struct span value)
{
    char word[128];
    size_t n = 0;
    for (size_t i = 0; i < value.n && n < sizeof word; i++) {
        unsigned char c = (unsigned char)value.p[i];
        word[n++] = c > ' ' && c < 0x7f && c != '"' && c != '\\' ? (char)c : '?';
    }
    line_raw(l, n ? (struct span){word, n} : SPAN_LIT("-"));
}

/* The "combined" format of Apache httpd and nginx; without Referer, which may hold
 * secrets of other sites. */
static void put_combined(struct line *l, const struct req *q)
{
    char text[64];
    struct tm tm;
    time_t now = (time_t)(clock_wall() / NS_PER_S);
    gmtime_r(&now, &tm);
    put_word(l, q->address);
    line_raw(l, SPAN_LIT(" - "));
    put_word(l, req_noted(q, "user"));
    strftime(text, sizeof text, " [%d/%b/%Y:%H:%M:%S +0000] ", &tm);
    line_raw(l, span_of(text));
    if (q->refused) {
        line_raw(l, SPAN_LIT("\"-\""));
    } else {
        line_raw(l, SPAN_LIT("\""));
        line_escaped(l, q->head.method);
        line_raw(l, SPAN_LIT(" "));
        line_escaped(l, q->head.path);
        snprintf(text, sizeof text, " HTTP/1.%d\"", q->head.minor);
        line_raw(l, span_of(text));
    }
    snprintf(text, sizeof text, " %03d %llu \"-\" ", q->status,
             (unsigned long long)q->bytes_out);
    line_raw(l, span_of(text));
    put_quoted(l, header_of(q, "user-agent"));
}

static void write_line(const struct req *q, int rc, uint64_t ns)
{
    struct line l;
    char room[LOG_LINE_MAX], when[RFC3339_SIZE];
    enum log_access mode = log_access();
    if (mode == LOG_ACCESS_OFF || (mode == LOG_ACCESS_LOG && !log_on(LOG_INFO)))
        return;
    if (mode == LOG_ACCESS_LOG) {
        log_begin(&l, room, LOG_INFO, "request");
        put_fields(&l, q, rc, ns);
    } else if (mode == LOG_ACCESS_JSON) {
        line_begin(&l, room, sizeof room, true);
        clock_rfc3339(clock_wall(), when);
        line_text(&l, "time", span_of(when));
        put_fields(&l, q, rc, ns);
    } else {
        line_begin(&l, room, sizeof room, false);
        put_combined(&l, q);
    }
    log_request(line_end(&l));
}

void access_end(const struct req *q, int rc)
{
    uint64_t ns = clock_now() - q->began;
    count(q, ns);
    write_line(q, rc, ns);
}
