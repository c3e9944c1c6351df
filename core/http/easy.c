/* SPDX-License-Identifier: Apache-2.0 */
#include "http/transfer.h"

#include "base/clock.h"
#include "http/fields.h"
#include "http/trust.h"

#include <stdlib.h>
#include <string.h>

#define RECEIVE_SIZE (128L * 1024)
#define SEND_SIZE (256L * 1024)

/* Framing, and what speaks to the next hop alone, are not the caller's. */
static bool is_reserved(struct span name)
{
    static const char *const names[] = {
        "Content-Length", "Transfer-Encoding", "Connection",          "Expect",    "TE",
        "Trailer",        "Upgrade",           "Proxy-Authorization", "Keep-Alive"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (span_is_nocase(name, names[i]))
            return true;
    return false;
}

static bool has_header(const struct fetch *f, const char *name)
{
    for (size_t i = 0; i < f->n_headers; i++)
        if (span_is_nocase(f->headers[i].name, name))
            return true;
    return false;
}

static bool is_sendable(const struct fetch *f)
{
    struct span method = span_of(f->method);
    bool good = http_is_token(method) && method.n <= HTTP_METHOD_MAX &&
                !span_is(method, "CONNECT") && f->n_headers <= FETCH_HEADERS_MAX;
    for (size_t i = 0; good && i < f->n_headers; i++)
        good = http_is_token(f->headers[i].name) && http_is_value(f->headers[i].value) &&
               !is_reserved(f->headers[i].name);
    return good;
}

static void add_line(struct transfer *t, char *line)
{
    t->lines = t->curl->slist_append(t->lines, line);
    assert(t->lines); /* a small allocation, like xalloc's */
    memset(line, 0, strlen(line));
    free(line);
}

/* "Name:" would remove a header, "Name;" sends an empty one; an Expect of ours would cost
 * a second of waiting with servers that do not know it. */
static void make_lines(struct transfer *t, bool stranger)
{
    const struct fetch *f = t->fetch;
    t->curl->slist_free_all(t->lines);
    t->lines = NULL;
    add_line(t, xstrdup("Expect:"));
    if (!has_header(f, "User-Agent"))
        add_line(t, xstrdup("User-Agent: tidegate"));
    for (size_t i = 0; i < f->n_headers; i++) {
        const struct http_header *h = &f->headers[i];
        if (stranger && !target_takes(h->name))
            continue;
        add_line(t, xasprintf(h->value.n ? "%.*s: %.*s" : "%.*s;", SPAN_ARG(h->name),
                              SPAN_ARG(h->value)));
    }
}

static long ms(uint64_t ns)
{
    return (long)((ns + NS_PER_MS - 1) / NS_PER_MS);
}

#define SET(option, value)                                                               \
    (good = good && curl->easy_setopt(e, option, value) == CURLE_OK)

static bool set_manners(struct transfer *t)
{
    const struct curl_calls *curl = t->curl;
    const struct fetch *f = t->fetch;
    CURL *e = t->easy;
    bool good = true;
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, ms(f->connect));
    SET(CURLOPT_BUFFERSIZE, RECEIVE_SIZE);
    SET(CURLOPT_UPLOAD_BUFFERSIZE, SEND_SIZE);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    if (f->ca)
        SET(CURLOPT_CAINFO, f->ca);
    else
        trust_set(curl, e); /* else libcurl reads what the system has */
    /* an empty name means: none, whatever http_proxy says */
    SET(CURLOPT_PROXY, f->proxy ? f->proxy : "");
    SET(CURLOPT_NOPROXY, "");
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    return good;
}

static bool set_calls(struct transfer *t)
{
    const struct curl_calls *curl = t->curl;
    CURL *e = t->easy;
    bool good = true;
    SET(CURLOPT_PRIVATE, t);
    SET(CURLOPT_ERRORBUFFER, t->error);
    SET(CURLOPT_HEADERFUNCTION, answer_line);
    SET(CURLOPT_HEADERDATA, t);
    SET(CURLOPT_WRITEFUNCTION, download_write);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_READFUNCTION, upload_read);
    SET(CURLOPT_READDATA, t);
    SET(CURLOPT_SEEKFUNCTION, upload_seek);
    SET(CURLOPT_SEEKDATA, t);
    SET(CURLOPT_XFERINFOFUNCTION, transfer_progress);
    SET(CURLOPT_XFERINFODATA, t);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_CLOSESOCKETFUNCTION, client_close);
    SET(CURLOPT_CLOSESOCKETDATA, t->client);
    return good;
}

/* POST, PUT and PATCH without a body say that it is empty. */
static bool set_method(struct transfer *t)
{
    const struct curl_calls *curl = t->curl;
    const struct fetch *f = t->fetch;
    CURL *e = t->easy;
    bool good = true;
    bool sends = f->has_body || strcmp(f->method, "POST") == 0 ||
                 strcmp(f->method, "PUT") == 0 || strcmp(f->method, "PATCH") == 0;
    uint64_t size = f->source ? f->source->size : f->bytes.n;
    if (strcmp(f->method, "HEAD") == 0)
        SET(CURLOPT_NOBODY, 1L);
    else
        SET(CURLOPT_HTTPGET, 1L);
    if (sends) {
        SET(CURLOPT_UPLOAD, 1L);
        SET(CURLOPT_INFILESIZE_LARGE,
            size == SIZE_UNKNOWN ? (curl_off_t)-1 : (curl_off_t)size);
    }
    SET(CURLOPT_CUSTOMREQUEST, f->method);
    return good;
}

static bool set_target(struct transfer *t, bool stranger)
{
    const struct curl_calls *curl = t->curl;
    CURL *e = t->easy;
    bool good = true;
    make_lines(t, stranger);
    SET(CURLOPT_URL, t->url);
    SET(CURLOPT_HTTPHEADER, t->lines);
    return good;
}

int easy_setup(struct transfer *t, const char **cause)
{
    *cause = "the URL must be http or https, without a user in it";
    if (!target_is_valid(t->curl, t->url))
        return E_INVALID;
    *cause = "a method or header that cannot be sent";
    if (!is_sendable(t->fetch))
        return E_INVALID;
    *cause = "libcurl refuses an option";
    t->easy = t->curl->easy_init();
    bool good = t->easy && set_manners(t) && set_calls(t) && set_method(t) &&
                set_target(t, false);
    return good ? 0 : E_UNSUPPORTED;
}

int easy_redirect(struct transfer *t, bool stranger)
{
    return set_target(t, stranger) ? 0 : E_UNSUPPORTED;
}
