/* SPDX-License-Identifier: Apache-2.0 */
#include "http/parse.h"

#include "http/chars.h"

#include <string.h>

#define TLS_HANDSHAKE 0x16 /* the first byte of a ClientHello (RFC 8446, 5.1) */

/* The complete head, read from left to right. It ends with CRLF CRLF and every LF in it
 * stands behind a CR, so a loop that stops at CR never leaves it. */
struct cursor {
    const char *p, *end;
};

static const struct {
    int status;
    const char *name, *text;
} faults[] = {
#define X(name, number, status, text) [number] = {status, #name, text},
    HTTP_FAULTS(X)
#undef X
};

#define N_FAULTS (int)(sizeof faults / sizeof faults[0])

bool http_is_fault(int rc)
{
    return rc < -8192 && -8192 - rc < N_FAULTS;
}

int http_fault_status(int rc)
{
    return http_is_fault(rc) ? faults[-8192 - rc].status : err_status(rc);
}

const char *http_fault_name(int rc)
{
    return http_is_fault(rc) ? faults[-8192 - rc].name : err_name(rc);
}

const char *http_fault_text(int rc)
{
    return http_is_fault(rc) ? faults[-8192 - rc].text : err_text(rc);
}

/* What can be told from the first byte alone: a peer that speaks something else learns it
 * without having to send a line end. */
static int check_first(char c)
{
    if (c == TLS_HANDSHAKE)
        return HTTP_FAULT_TLS;
    return http_char_is(c, CHAR_TOKEN) ? 0 : HTTP_FAULT_METHOD;
}

/* The bytes up to and including the empty line, looking only behind `seen`. */
static ssize_t find_end(const char *buf, size_t len, size_t seen)
{
    size_t limit = len < HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX;
    size_t at = seen < limit ? seen : limit;
    const char *lf;
    while (at < limit && (lf = memchr(buf + at, '\n', limit - at))) {
        size_t i = (size_t)(lf - buf);
        if (i == 0 || buf[i - 1] != '\r')
            return HTTP_FAULT_LINE_END;
        if (i >= 3 && buf[i - 2] == '\n')
            return (ssize_t)i + 1;
        at = i + 1;
    }
    if (len < HTTP_HEAD_MAX)
        return E_MORE;
    return memchr(buf, '\n', limit) ? HTTP_FAULT_HEAD_LONG : HTTP_FAULT_TARGET_LONG;
}

static struct span take(struct cursor *c, unsigned kinds)
{
    struct span s = {c->p, 0};
    while (http_char_is(*c->p, kinds))
        c->p++;
    s.n = (size_t)(c->p - s.p);
    return s;
}

static int take_line_end(struct cursor *c, int otherwise)
{
    if (c->p[0] != '\r')
        return otherwise;
    if (c->p[1] != '\n')
        return HTTP_FAULT_LINE_END;
    c->p += 2;
    return 0;
}

static int take_version(struct cursor *c, struct http_head *out)
{
    size_t left = (size_t)(c->end - c->p);
    if (left < 9 || memcmp(c->p, "HTTP/", 5) != 0)
        return HTTP_FAULT_REQUEST_LINE;
    if (memcmp(c->p, "HTTP/1.", 7) != 0 || (c->p[7] != '0' && c->p[7] != '1'))
        return HTTP_FAULT_PROTOCOL;
    out->minor = c->p[7] - '0';
    c->p += 8;
    return take_line_end(c, HTTP_FAULT_PROTOCOL);
}

static int check_target(const struct http_head *h)
{
    if (h->target.n > HTTP_TARGET_MAX)
        return HTTP_FAULT_TARGET_LONG;
    if (h->target.p[0] == '/')
        return 0;
    bool star = span_is(h->target, "*") && span_is(h->method, "OPTIONS");
    return star ? 0 : HTTP_FAULT_TARGET;
}

static int take_request_line(struct cursor *c, struct http_head *out)
{
    out->method = take(c, CHAR_TOKEN);
    if (out->method.n == 0 || out->method.n > HTTP_METHOD_MAX)
        return HTTP_FAULT_METHOD;
    if (*c->p != ' ')
        return *c->p == '\r' ? HTTP_FAULT_REQUEST_LINE : HTTP_FAULT_METHOD;
    if (span_is(out->method, "CONNECT"))
        return HTTP_FAULT_CONNECT;
    c->p++;
    out->target = take(c, CHAR_TARGET);
    if (*c->p != ' ' && *c->p != '\r')
        return HTTP_FAULT_TARGET;
    if (out->target.n == 0 || *c->p == '\r')
        return HTTP_FAULT_REQUEST_LINE;
    int rc = check_target(out);
    if (rc)
        return rc;
    c->p++;
    out->query = out->target;
    out->path = span_cut(&out->query, '?');
    return take_version(c, out);
}

static int on_host(struct http_head *h, struct span v)
{
    if (h->has_host)
        return HTTP_FAULT_HOST;
    h->has_host = true;
    for (size_t i = 0; i < v.n; i++)
        if (!http_char_is(v.p[i], CHAR_HOST))
            return HTTP_FAULT_HOST;
    return 0;
}

/* HTTP/1.0 has no expectations: there the field means nothing (RFC 9110, 10.1.1). */
static int on_expect(struct http_head *h, struct span v)
{
    if (!span_is_nocase(v, "100-continue"))
        return HTTP_FAULT_EXPECT;
    h->expects_continue = h->minor == 1;
    return 0;
}

static int on_connection(struct http_head *h, struct span v)
{
    while (v.p) {
        struct span option = span_trim(span_cut(&v, ','));
        h->says_close |= span_is_nocase(option, "close");
        h->says_keep |= span_is_nocase(option, "keep-alive");
    }
    return 0;
}

static int on_length(struct http_head *h, struct span v)
{
    if (h->has_length || span_u64(v, &h->length))
        return HTTP_FAULT_LENGTH;
    h->has_length = true;
    return 0;
}

static int on_coding(struct http_head *h, struct span v)
{
    if (h->minor == 0)
        return HTTP_FAULT_CODING_OLD;
    if (h->chunked || !span_is_nocase(v, "chunked"))
        return HTTP_FAULT_CODING;
    h->chunked = true;
    return 0;
}

/* The fields that frame the message or the connection. */
static int apply(struct http_head *h, struct span name, struct span value)
{
    static const struct {
        const char *name;
        size_t n;
        int (*on)(struct http_head *h, struct span value);
    } known[] = {
        {"Host", 4, on_host},
        {"Expect", 6, on_expect},
        {"Connection", 10, on_connection},
        {"Content-Length", 14, on_length},
        {"Transfer-Encoding", 17, on_coding},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (name.n == known[i].n && span_is_nocase(name, known[i].name))
            return known[i].on(h, value);
    return 0;
}

static int take_header(struct cursor *c, struct http_head *out)
{
    if (*c->p == ' ' || *c->p == '\t')
        return HTTP_FAULT_FOLDED;
    if (out->n_headers == HTTP_HEADERS_MAX)
        return HTTP_FAULT_HEADERS_MANY;
    struct http_header *h = &out->headers[out->n_headers++];
    h->name = take(c, CHAR_TOKEN);
    if (h->name.n == 0 || *c->p != ':')
        return HTTP_FAULT_HEADER_NAME;
    c->p++;
    h->value = span_trim(take(c, CHAR_VALUE));
    int rc = take_line_end(c, HTTP_FAULT_HEADER_VALUE);
    return rc ? rc : apply(out, h->name, h->value);
}

static int check_whole(struct http_head *h)
{
    if (h->minor == 1 && !h->has_host)
        return HTTP_FAULT_HOST;
    if (h->has_length && h->chunked)
        return HTTP_FAULT_BOTH;
    h->keep_alive = !h->says_close && (h->minor == 1 || h->says_keep);
    return 0;
}

static void reset(struct http_head *h)
{
    h->n_headers = 0;
    h->length = 0;
    h->has_host = h->has_length = h->chunked = h->expects_continue = false;
    h->says_close = h->says_keep = h->keep_alive = false;
}

ssize_t http_parse_head(const char *buf, size_t len, size_t seen, struct http_head *out)
{
    if (len == 0)
        return E_MORE;
    int rc = check_first(buf[0]);
    if (rc)
        return rc;
    ssize_t n = find_end(buf, len, seen);
    if (n < 0)
        return n;
    struct cursor c = {buf, buf + n};
    reset(out);
    rc = take_request_line(&c, out);
    while (rc == 0 && *c.p != '\r')
        rc = take_header(&c, out);
    if (rc == 0)
        rc = take_line_end(&c, HTTP_FAULT_LINE_END);
    if (rc == 0)
        rc = check_whole(out);
    return rc ? rc : n;
}

const struct span *http_header(const struct http_head *head, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < head->n_headers; i++) {
        const struct http_header *h = &head->headers[i];
        if (h->name.n == n && span_is_nocase(h->name, name))
            return &h->value;
    }
    return NULL;
}
