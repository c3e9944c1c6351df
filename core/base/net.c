/* SPDX-License-Identifier: Apache-2.0 */
#include "base/net.h"

#include "base/err.h"

#include <arpa/inet.h>
#include <stdio.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_v4(const struct net_addr *a)
{
    return memcmp(a->ip, mapped, sizeof mapped) == 0;
}

static int parse_ip(struct span host, struct net_addr *out)
{
    char text[NET_TEXT_SIZE];
    struct net_addr a = {.local = false};
    if (host.n >= sizeof text || (host.n && memchr(host.p, '\0', host.n)))
        return E_INVALID;
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    if (!memchr(text, ':', host.n)) {
        memcpy(a.ip, mapped, sizeof mapped);
        if (inet_pton(AF_INET, text, a.ip + sizeof mapped) != 1)
            return E_INVALID;
    } else if (inet_pton(AF_INET6, text, a.ip) != 1) {
        return E_INVALID;
    }
    *out = a;
    return 0;
}

/* Cuts off what may stand behind an address: nothing, or a port. */
static bool cut_port(struct span text, struct span *host)
{
    uint64_t port;
    const char *end =
        text.n ? memchr(text.p, text.p[0] == '[' ? ']' : ':', text.n) : NULL;
    *host = text;
    if (!end)
        return text.n && text.p[0] != '[';
    struct span rest = {end + 1, text.n - (size_t)(end + 1 - text.p)};
    if (text.p[0] == '[') {
        *host = (struct span){text.p + 1, (size_t)(end - text.p) - 1};
        if (!memchr(host->p, ':', host->n))
            return false;
        if (rest.n == 0)
            return true;
        if (rest.p[0] != ':')
            return false;
        rest = (struct span){rest.p + 1, rest.n - 1};
    } else if (memchr(rest.p, ':', rest.n)) {
        return true; /* IPv6 without brackets has no port */
    } else {
        host->n = (size_t)(end - text.p);
    }
    return span_u64(rest, &port) == 0 && port <= UINT16_MAX;
}

int net_parse(struct span text, struct net_addr *out)
{
    struct span host;
    if (span_is(text, "unix")) {
        *out = (struct net_addr){.local = true};
        return 0;
    }
    return cut_port(text, &host) ? parse_ip(host, out) : E_INVALID;
}

struct span net_host(struct span text)
{
    struct span host;
    return cut_port(text, &host) ? host : text;
}

static bool bit_at(const struct net_addr *a, unsigned i)
{
    return a->ip[i / 8] >> (7 - i % 8) & 1;
}

int net_range_parse(struct span text, struct net_range *out)
{
    struct net_range r = {.bits = 128};
    uint64_t bits;
    if (span_is(text, "unix")) {
        *out = (struct net_range){.first = {.local = true}};
        return 0;
    }
    struct span host = span_cut(&text, '/');
    if (parse_ip(host, &r.first) != 0)
        return E_INVALID;
    if (text.p) {
        bool v4 = !memchr(host.p, ':', host.n);
        if (span_u64(text, &bits) != 0 || bits > (v4 ? 32 : 128))
            return E_INVALID;
        r.bits = (unsigned)bits + (v4 ? 96 : 0);
    }
    for (unsigned i = r.bits; i < 128; i++)
        if (bit_at(&r.first, i))
            return E_INVALID;
    *out = r;
    return 0;
}

static bool fits(const struct net_range *r, const struct net_addr *a)
{
    unsigned bytes = r->bits / 8, rest = r->bits % 8;
    if (r->first.local || a->local)
        return r->first.local && a->local;
    return memcmp(r->first.ip, a->ip, bytes) == 0 &&
           (rest == 0 || (r->first.ip[bytes] ^ a->ip[bytes]) >> (8 - rest) == 0);
}

bool net_in(const struct net_range *ranges, size_t n, const struct net_addr *a)
{
    for (size_t i = 0; i < n; i++)
        if (fits(&ranges[i], a))
            return true;
    return false;
}

void net_text(const struct net_addr *a, char out[NET_TEXT_SIZE])
{
    if (a->local)
        snprintf(out, NET_TEXT_SIZE, "unix");
    else if (is_v4(a))
        inet_ntop(AF_INET, a->ip + sizeof mapped, out, NET_TEXT_SIZE);
    else
        inet_ntop(AF_INET6, a->ip, out, NET_TEXT_SIZE);
}
