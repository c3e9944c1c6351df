/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a request head: spans stay inside, a head is complete only at its end, and
 * feeding it in two parts gives the same answer.
 */
#include "http/parse.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_inside(struct span s, const char *buf, size_t used)
{
    assert(s.n == 0 || (s.p >= buf && s.p + s.n <= buf + used));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct http_head h;
    const char *buf = (const char *)data;
    ssize_t used = http_parse_head(buf, n, 0, &h);
    if (used <= 0) {
        assert(used == E_MORE || http_is_fault((int)used));
        return 0;
    }
    assert((size_t)used <= n && used <= HTTP_HEAD_MAX);
    assert(h.n_headers <= HTTP_HEADERS_MAX && !(h.has_length && h.chunked));
    check_inside(h.method, buf, (size_t)used);
    check_inside(h.path, buf, (size_t)used);
    check_inside(h.query, buf, (size_t)used);
    for (size_t i = 0; i < h.n_headers; i++) {
        check_inside(h.headers[i].name, buf, (size_t)used);
        check_inside(h.headers[i].value, buf, (size_t)used);
    }
    size_t cut = data[(size_t)used / 2] % (size_t)used;
    assert(http_parse_head(buf, cut, 0, &h) == E_MORE);
    assert(http_parse_head(buf, n, cut, &h) == used);
    return 0;
}
