/* SPDX-License-Identifier: Apache-2.0 */
#include "http/fields.h"

#include "http/chars.h"

#include <string.h>

bool http_is_token(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!http_char_is(s.p[i], CHAR_TOKEN))
            return false;
    return s.n > 0;
}

bool http_is_value(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!http_char_is(s.p[i], CHAR_VALUE))
            return false;
    return span_trim(s).n == s.n;
}

/* One position of a range. What is past every size is as good as the largest. */
static int range_number(struct span s, uint64_t *out)
{
    for (size_t i = 0; i < s.n; i++)
        if (!http_char_is(s.p[i], CHAR_DIGIT))
            return E_INVALID;
    if (s.n == 0)
        return E_INVALID;
    if (span_u64(s, out))
        *out = INT64_MAX;
    return 0;
}

/* One range of the list. 0 with *out, E_RANGE when it lies outside or is backwards
 * (*backwards), E_INVALID when malformed. */
static int range_one(struct span s, uint64_t size, struct http_range *out,
                     bool *backwards)
{
    uint64_t first, last = INT64_MAX;
    struct span to = s, from = span_cut(&to, '-');
    if (!to.p)
        return E_INVALID;
    if (from.n == 0) { /* "-n": the last n bytes */
        if (range_number(to, &last))
            return E_INVALID;
        out->n = last < size ? last : size;
        out->offset = size - out->n;
        return out->n ? 0 : E_RANGE;
    }
    if (range_number(from, &first) || (to.n && range_number(to, &last)))
        return E_INVALID;
    *backwards |= last < first;
    if (last < first || first >= size)
        return E_RANGE;
    out->offset = first;
    out->n = (last < size ? last + 1 : size) - first;
    return 0;
}

int http_ranges(const struct span *value, uint64_t size,
                struct http_range out[HTTP_RANGES_MAX])
{
    struct span rest;
    uint64_t sum = 0;
    int asked = 0, n = 0;
    bool backwards = false;
    if (!value)
        return 0;
    rest = *value;
    if (!span_is_nocase(span_cut(&rest, '='), "bytes"))
        return 0;
    while (rest.p) {
        struct span s = span_trim(span_cut(&rest, ','));
        if (s.n == 0)
            continue; /* empty list elements mean nothing (RFC 9110, 5.6.1) */
        if (asked++ == HTTP_RANGES_MAX)
            return 0;
        int rc = range_one(s, size, &out[n], &backwards);
        if (rc == E_INVALID)
            return 0;
        if (rc == 0 && out[n].n > size - sum)
            return 0;
        if (rc == 0)
            sum += out[n++].n;
    }
    if (asked == 0 || (backwards && asked > 1))
        return 0;
    return n ? n : E_RANGE;
}

static struct span without_weakness(struct span tag)
{
    if (span_starts(tag, "W/"))
        return (struct span){tag.p + 2, tag.n - 2};
    return tag;
}

/* Cuts the next entity tag off a list; a tag may hold commas. Empty at the end, or where
 * the list is malformed. */
static struct span next_tag(struct span *rest)
{
    while (rest->n && (*rest->p == ',' || *rest->p == ' ' || *rest->p == '\t')) {
        rest->p++;
        rest->n--;
    }
    struct span s = without_weakness(*rest);
    const char *close = s.n > 1 && s.p[0] == '"' ? memchr(s.p + 1, '"', s.n - 1) : NULL;
    if (!close)
        return (struct span){NULL, 0};
    rest->n = (size_t)(s.p + s.n - close) - 1;
    rest->p = close + 1;
    return (struct span){s.p, (size_t)(close - s.p) + 1};
}

bool http_etag_matches(struct span list, struct span etag)
{
    list = span_trim(list);
    if (span_is(list, "*"))
        return true;
    for (struct span tag = next_tag(&list); tag.n; tag = next_tag(&list))
        if (span_eq(tag, without_weakness(etag)))
            return true;
    return false;
}

const char *http_phrase(int status)
{
    static const struct {
        int status;
        const char *text;
    } phrases[] = {
        {100, "Continue"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {423, "Locked"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
        if (phrases[i].status == status)
            return phrases[i].text;
    return "Unknown";
}
