/* SPDX-License-Identifier: Apache-2.0 */
#include "http/request.h"

#include "http/session.h"

#include <string.h>

#define NOTE_NAME_MAX 32
#define NOTE_VALUE_MAX 1024

void reply_init(struct reply *r, int status)
{
    r->status = status;
    r->n_headers = 0;
    r->bytes = r->etag = (struct span){NULL, 0};
    r->source = NULL;
    r->ranges = r->close = false;
    r->modified = 0;
    r->length = SIZE_UNKNOWN;
}

/* Framing and the connection are the server's alone. */
static bool is_reserved(struct span name)
{
    static const struct span names[] = {
        SPAN_LIT("Content-Length"), SPAN_LIT("Transfer-Encoding"), SPAN_LIT("Connection"),
        SPAN_LIT("Date"),           SPAN_LIT("Trailer"),           SPAN_LIT("Upgrade"),
        SPAN_LIT("Keep-Alive")};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (span_eq_nocase(name, names[i]))
            return true;
    return false;
}

int reply_header(struct reply *r, struct span name, struct span value)
{
    if (r->n_headers == REPLY_HEADERS_MAX || !http_is_token(name) ||
        !http_is_value(value) || is_reserved(name))
        return E_INVALID;
    r->headers[r->n_headers++] = (struct http_header){name, value};
    return 0;
}

bool req_tls(struct req *q, struct tls_facts *out)
{
    const struct conn *c = &exchange_of(q)->session->conn;
    if (c->tls)
        tls_facts(c, &q->arena, out);
    return c->tls != NULL;
}

/* What access.c writes of every request. */
static bool is_own_field(struct span name)
{
    static const struct span names[] = {
        SPAN_LIT("time"),     SPAN_LIT("level"),    SPAN_LIT("msg"),    SPAN_LIT("id"),
        SPAN_LIT("address"),  SPAN_LIT("remote"),   SPAN_LIT("method"), SPAN_LIT("path"),
        SPAN_LIT("status"),   SPAN_LIT("in"),       SPAN_LIT("out"),    SPAN_LIT("ms"),
        SPAN_LIT("first_ms"), SPAN_LIT("listener"), SPAN_LIT("tls"),    SPAN_LIT("agent"),
        SPAN_LIT("error")};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (span_eq(name, names[i]))
            return true;
    return false;
}

bool req_note(struct req *q, struct span name, struct span value)
{
    struct req_note **at = &q->notes;
    size_t n = 0;
    if (is_own_field(name) || name.n == 0 || name.n > NOTE_NAME_MAX)
        return false;
    for (; *at && !span_is(name, (*at)->name); at = &(*at)->next)
        n++;
    if (!*at && n >= REQ_NOTES_MAX)
        return false;
    value.n = value.n < NOTE_VALUE_MAX ? value.n : NOTE_VALUE_MAX;
    if (!*at) {
        *at = arena_alloc(&q->arena, sizeof **at);
        (*at)->name = arena_copy(&q->arena, name.p, name.n);
    } else if (span_eq((*at)->value, value)) {
        return true; /* said again and again, it takes no memory */
    }
    (*at)->value = (struct span){arena_copy(&q->arena, value.p, value.n), value.n};
    return true;
}

struct span req_noted(const struct req *q, const char *name)
{
    for (const struct req_note *n = q->notes; n; n = n->next)
        if (strcmp(n->name, name) == 0)
            return n->value;
    return SPAN_LIT("");
}

bool req_has_body(const struct req *q)
{
    return q->head.chunked || (q->head.has_length && q->head.length > 0);
}

struct source *req_body(struct req *q)
{
    return body_open(exchange_of(q));
}

void req_pace(struct req *q, struct party *who, const struct rate *up,
              const struct rate *down)
{
    struct exchange *x = exchange_of(q);
    if (x->replied || !pace_add(&x->pace, who, up, down))
        party_put(who);
    else
        conn_pace(&x->session->conn, &x->pace);
}

void req_reply(struct req *q, struct reply *r)
{
    struct exchange *x = exchange_of(q);
    assert(!x->replied && !x->body.open);
    assert(r->status >= 200 && r->status <= 599);
    x->reply = *r;
    r->source = NULL;
    x->replied = true;
    if (!x->session->running)
        session_kick(x->session);
}

/* s as the inside of a JSON string. The texts are ours and ASCII; what is not becomes a
 * question mark, so that the result is valid whatever they hold. */
static struct span json_text(struct arena *a, struct span s)
{
    static const char hex[] = "0123456789abcdef";
    char *out = arena_alloc(a, s.n * 6 + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20) {
            memcpy(out + n, "\\u00", 4);
            out[n + 4] = hex[c >> 4];
            out[n + 5] = hex[c & 15];
            n += 6;
            continue;
        }
        if (c == '"' || c == '\\')
            out[n++] = '\\';
        out[n++] = c < 0x7f ? (char)c : '?';
    }
    return (struct span){out, n};
}

void req_reply_error(struct req *q, int status, const char *code, struct span message)
{
    struct reply r;
    struct span text = json_text(&q->arena, message);
    req_note(q, SPAN_LIT("code"), span_of(code));
    reply_init(&r, status);
    reply_header(&r, SPAN_LIT("Content-Type"), SPAN_LIT("application/json"));
    r.bytes = span_of(
        arena_printf(&q->arena, "{\"errors\":[{\"code\":\"%s\",\"message\":\"%.*s\"}]}\n",
                     code, SPAN_ARG(text)));
    req_reply(q, &r);
}
