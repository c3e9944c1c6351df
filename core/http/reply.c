/* SPDX-License-Identifier: Apache-2.0
 *
 * What a reply becomes on the wire: conditional requests and ranges (RFC 9110, 13 and
 * 14), framing (RFC 9112, 6), and the head. Framing is decided here alone.
 */
#include "http/session.h"
#include "stream/memory.h"

#include <errno.h>
#include <string.h>

/* A head under construction in the request's arena; its room was counted before. */
struct text {
    char *p;
    size_t n, room;
};

static void put(struct text *t, struct span s)
{
    assert(t->room - t->n >= s.n);
    if (s.n)
        memcpy(t->p + t->n, s.p, s.n);
    t->n += s.n;
}

static void put_header(struct text *t, struct span name, struct span value)
{
    put(t, name);
    put(t, SPAN_LIT(": "));
    put(t, value);
    put(t, SPAN_LIT("\r\n"));
}

#define DECIMAL_MAX 20 /* digits of the largest uint64_t */

static struct span decimal(uint64_t v, char room[DECIMAL_MAX])
{
    size_t at = DECIMAL_MAX;
    do
        room[--at] = (char)('0' + v % 10);
    while (v /= 10);
    return (struct span){&room[at], DECIMAL_MAX - at};
}

static bool is_head(const struct exchange *x)
{
    return span_is(x->req.head.method, "HEAD");
}

static const struct http_header *reply_find(const struct reply *r, const char *name)
{
    for (size_t i = 0; i < r->n_headers; i++)
        if (span_is_nocase(r->headers[i].name, name))
            return &r->headers[i];
    return NULL;
}

static bool is_not_modified(const struct exchange *x)
{
    const struct reply *r = &x->reply;
    const struct span *none = http_header(&x->req.head, "If-None-Match");
    const struct span *since = http_header(&x->req.head, "If-Modified-Since");
    time_t t;
    if (none)
        return http_etag_matches(*none, r->etag);
    return since && r->modified && http_date_parse(*since, &t) == 0 &&
           (uint64_t)r->modified / NS_PER_S <= (uint64_t)t && t >= 0;
}

/* If-Range: only an exact strong tag keeps the ranges; a date is too weak a promise. */
static bool wants_ranges(const struct exchange *x)
{
    const struct span *tag = http_header(&x->req.head, "If-Range");
    return !tag || (tag->n && *tag->p == '"' && span_eq(*tag, x->reply.etag));
}

/* One range of the body. A source that has no windows gives everything instead. */
static bool cut_one(struct exchange *x, const struct http_range *range)
{
    struct reply *r = &x->reply;
    if (r->source)
        return source_window(r->source, range->offset, range->n) == 0;
    if (r->bytes.n)
        r->bytes = (struct span){r->bytes.p + range->offset, (size_t)range->n};
    return true;
}

/* Several ranges: multipart/byteranges. The parts' heads are made now, because the length
 * of all comes first on the wire. */
static bool cut_many(struct exchange *x)
{
    struct reply *r = &x->reply;
    const struct http_header *header = reply_find(r, "Content-Type");
    struct span type = header ? header->value : SPAN_LIT("");
    if (!r->source && r->bytes.n)
        r->source = memory_source_new(r->bytes.p, r->bytes.n, NULL, NULL);
    r->bytes = (struct span){NULL, 0};
    if (r->source && source_window(r->source, x->ranges[0].offset, x->ranges[0].n))
        return false;
    x->size = 0;
    for (int i = 0; i < x->n_ranges; i++) {
        const struct http_range *p = &x->ranges[i];
        char *text = arena_printf(
            &x->req.arena,
            "\r\n--%s%s%.*s\r\nContent-Range: bytes %llu-%llu/%llu\r\n\r\n", x->req.id,
            type.n ? "\r\nContent-Type: " : "", SPAN_ARG(type),
            (unsigned long long)p->offset, (unsigned long long)(p->offset + p->n - 1),
            (unsigned long long)x->whole);
        x->part_heads[i] = span_of(text);
        x->size += x->part_heads[i].n + p->n;
    }
    x->tail = span_of(arena_printf(&x->req.arena, "\r\n--%s--\r\n", x->req.id));
    x->size += x->tail.n;
    return true;
}

static void plan_ranges(struct exchange *x)
{
    const struct span *value = http_header(&x->req.head, "Range");
    if (!value || x->size == SIZE_UNKNOWN || !wants_ranges(x))
        return;
    int n = http_ranges(value, x->size, x->ranges);
    x->whole = x->size;
    if (n == E_RANGE) {
        x->req.status = 416;
        x->unmet = true;
        return;
    }
    x->n_ranges = n;
    if (n > 1 ? cut_many(x) : n == 1 && cut_one(x, &x->ranges[0]))
        x->req.status = 206;
    else
        x->n_ranges = 0;
    if (n == 1 && x->n_ranges)
        x->size = x->ranges[0].n;
}

static void drop_body(struct exchange *x)
{
    source_close(x->reply.source);
    x->reply.source = NULL;
    x->reply.bytes = (struct span){NULL, 0};
}

/* May another request follow on this connection? */
static bool may_go_on(struct exchange *x)
{
    struct body *b = &x->body;
    if (x->refused || !x->req.head.keep_alive || x->reply.close || b->owes_continue ||
        b->failed || x->session->server->draining)
        return false;
    int rc = body_discard(x);
    return rc == 0 ||
           (rc == -EAGAIN && !x->req.head.chunked && b->left + b->drained <= DRAIN_MAX);
}

void reply_plan(struct exchange *x)
{
    struct reply *r = &x->reply;
    bool lengthless = is_head(x) && !r->source && r->bytes.n == 0;
    x->req.status = r->status;
    x->size = r->source ? r->source->size : lengthless ? r->length : r->bytes.n;
    x->n_ranges = x->part = 0;
    x->unmet = false;
    x->tail = (struct span){NULL, 0};
    if (r->ranges && r->status == 200 &&
        (is_head(x) || span_is(x->req.head.method, "GET"))) {
        if (is_not_modified(x))
            x->req.status = 304;
        else
            plan_ranges(x);
    }
    if (x->unmet)
        x->size = 0;
    x->bodyless = x->req.status == 204 || x->req.status == 304;
    if (x->bodyless || x->unmet || is_head(x))
        drop_body(x);
    x->keep = may_go_on(x);
    x->chunked = r->source && x->size == SIZE_UNKNOWN && x->req.head.minor == 1;
    if (x->chunked)
        x->tail = SPAN_LIT("0\r\n\r\n");
    else if (r->source && x->size == SIZE_UNKNOWN)
        x->keep = false; /* the end of the connection is the end of the body */
}

static void put_framing(struct text *t, const struct exchange *x)
{
    char room[DECIMAL_MAX];
    if (x->chunked)
        put(t, SPAN_LIT("Transfer-Encoding: chunked\r\n"));
    else if (!x->bodyless && x->size != SIZE_UNKNOWN)
        put_header(t, SPAN_LIT("Content-Length"), decimal(x->size, room));
    if (!x->keep)
        put(t, SPAN_LIT("Connection: close\r\n"));
    else if (x->req.head.minor == 0)
        put(t, SPAN_LIT("Connection: keep-alive\r\n"));
}

static void put_validators(struct text *t, const struct exchange *x)
{
    const struct reply *r = &x->reply;
    char date[HTTP_DATE_SIZE];
    if (r->etag.n && !reply_find(r, "ETag"))
        put_header(t, SPAN_LIT("ETag"), r->etag);
    if (r->modified && !reply_find(r, "Last-Modified")) {
        clock_http_date((time_t)(r->modified / NS_PER_S), date);
        put_header(t, SPAN_LIT("Last-Modified"), span_of(date));
    }
    if (r->ranges && !reply_find(r, "Accept-Ranges"))
        put(t, SPAN_LIT("Accept-Ranges: bytes\r\n"));
}

static void put_range(struct text *t, const struct exchange *x)
{
    const struct http_range *r = &x->ranges[0];
    char room[DECIMAL_MAX];
    if (x->n_ranges > 1) {
        put(t, SPAN_LIT("Content-Type: multipart/byteranges; boundary="));
        put(t, span_of(x->req.id));
    } else {
        put(t, SPAN_LIT("Content-Range: bytes "));
        if (x->n_ranges) {
            put(t, decimal(r->offset, room));
            put(t, SPAN_LIT("-"));
            put(t, decimal(r->offset + r->n - 1, room));
        } else {
            put(t, SPAN_LIT("*"));
        }
        put(t, SPAN_LIT("/"));
        put(t, decimal(x->whole, room));
    }
    put(t, SPAN_LIT("\r\n"));
}

struct span reply_head(struct exchange *x)
{
    const struct reply *r = &x->reply;
    bool typeless = x->n_ranges > 1 || x->unmet;
    char room[DECIMAL_MAX];
    struct text t = {.room = 512 + r->etag.n};
    for (size_t i = 0; i < r->n_headers; i++)
        t.room += r->headers[i].name.n + r->headers[i].value.n + 4;
    t.p = arena_alloc(&x->req.arena, t.room);
    put(&t, SPAN_LIT("HTTP/1.1 "));
    put(&t, decimal((uint64_t)x->req.status, room));
    put(&t, SPAN_LIT(" "));
    put(&t, span_of(http_phrase(x->req.status)));
    put(&t, SPAN_LIT("\r\n"));
    put_header(&t, SPAN_LIT("Date"), span_of(server_date(x->session->server)));
    put_framing(&t, x);
    put_validators(&t, x);
    if (x->n_ranges || x->unmet)
        put_range(&t, x);
    for (size_t i = 0; i < r->n_headers; i++)
        if (!typeless || !span_is_nocase(r->headers[i].name, "Content-Type"))
            put_header(&t, r->headers[i].name, r->headers[i].value);
    put(&t, SPAN_LIT("\r\n"));
    return (struct span){t.p, t.n};
}
