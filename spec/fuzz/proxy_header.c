/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a PROXY header, as an address and as a range. A header ends inside of what
 * was given, says the same again, and is asked for as a whole when its end is missing;
 * addresses mean the same written out.
 */
#include "base/mem.h"
#include "base/err.h"
#include "http/proxy.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_header(const char *p, size_t n)
{
    struct proxy_header h, again;
    ssize_t used = proxy_parse(p, n, &h);
    assert(used == E_MORE || used == E_INVALID || used == E_TOO_LARGE || used > 0);
    assert(used != E_MORE || n < PROXY_HEADER_MAX);
    if (used <= 0)
        return;
    assert((size_t)used <= n && used <= PROXY_HEADER_MAX);
    assert(proxy_parse(p, (size_t)used, &again) == used && again.told == h.told);
    char *tight = xmemdup(p, (size_t)used - 1);
    assert(proxy_parse(tight, (size_t)used - 1, &again) == E_MORE);
    free(tight);
}

static void check_addresses(struct span text)
{
    struct net_addr a, again;
    struct net_range r;
    char out[NET_TEXT_SIZE];
    if (net_parse(text, &a) == 0) {
        net_text(&a, out);
        assert(net_parse(span_of(out), &again) == 0);
        assert(a.local == again.local && memcmp(a.ip, again.ip, sizeof a.ip) == 0);
    }
    if (net_range_parse(text, &r) == 0)
        assert(net_in(&r, 1, &r.first));
    struct span host = net_host(text);
    assert(host.n <= text.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    check_header((const char *)data, n);
    check_addresses((struct span){(const char *)data, n});
    return 0;
}
