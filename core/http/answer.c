/* SPDX-License-Identifier: Apache-2.0
 *
 * libcurl shows the lines of a head one by one: those of every 1xx answer, of the final
 * one, and the trailers behind a chunked body. Only the final head is kept.
 */
#include "http/transfer.h"

#include "http/fields.h"

#include <stdlib.h>

void answer_init(struct transfer *t)
{
    arena_reset(&t->arena);
    t->n_fields = t->head_n = 0;
    t->status = 0;
    t->headed = false;
}

const struct span *answer_field(const struct transfer *t, const char *name)
{
    for (size_t i = 0; i < t->n_fields; i++)
        if (span_is_nocase(t->fields[i].name, name))
            return &t->fields[i].value;
    return NULL;
}

static const char *take_status(struct transfer *t, struct span line)
{
    uint64_t status;
    span_cut(&line, ' ');
    if (span_u64(span_cut(&line, ' '), &status) != 0 || status < 100 || status > 599)
        return "the status line is malformed";
    if (status == 101)
        return "it wants another protocol";
    arena_reset(&t->arena);
    t->n_fields = 0;
    t->status = (int)status;
    return NULL;
}

static const char *take_field(struct transfer *t, struct span line)
{
    struct span name = span_cut(&line, ':');
    struct span value = span_trim(line);
    if (!line.p || !http_is_token(name) || !http_is_value(value))
        return "a header line is malformed";
    if (t->n_fields == FETCH_HEADERS_MAX)
        return "the answer has too many header lines";
    struct http_header *h = &t->fields[t->n_fields++];
    h->name = (struct span){arena_copy(&t->arena, name.p, name.n), name.n};
    h->value = (struct span){arena_copy(&t->arena, value.p, value.n), value.n};
    return NULL;
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 ||
           status == 308;
}

static void end_head(struct transfer *t)
{
    const struct span *location = answer_field(t, "Location");
    if (t->status < 200)
        return;
    t->headed = true;
    if (t->follow && location && is_redirect(t->status))
        t->next = target_next(t->curl, t->url, *location);
    transfer_kick(t);
}

size_t answer_line(char *p, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    const char *fault = NULL;
    CHECK(t, TRANSFER_MAGIC);
    n *= size;
    transfer_moved(t);
    if (t->headed)
        return n;
    t->head_n += n;
    struct span line = {p, n};
    if (line.n && line.p[line.n - 1] == '\n')
        line.n--;
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    if (t->head_n > FETCH_HEAD_MAX)
        fault = "the answer's head is too large";
    else if (line.n == 0)
        end_head(t);
    else if (span_starts(line, "HTTP/"))
        fault = take_status(t, line);
    else
        fault = take_field(t, line);
    if (!fault)
        return n;
    transfer_fail(t, E_UPSTREAM, fault);
    return 0;
}

uint64_t answer_size(const struct transfer *t, bool is_head)
{
    curl_off_t length = -1;
    if (t->status == 204 || t->status == 304)
        return 0;
    if (is_head || answer_field(t, "Transfer-Encoding"))
        return SIZE_UNKNOWN;
    t->curl->easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    return length < 0 ? SIZE_UNKNOWN : (uint64_t)length;
}
