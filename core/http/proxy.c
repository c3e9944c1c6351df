/* SPDX-License-Identifier: Apache-2.0 */
#include "http/proxy.h"

#include "base/err.h"

#define LINE_MAX_1 107 /* bytes of a line of version 1, CRLF included */
#define FIXED_2 16     /* bytes of version 2 before the addresses */

static const char signature_2[12] = "\r\n\r\n\0\r\nQUIT\n";

enum { LOCAL = 0x20, PROXY = 0x21 };                        /* version and command */
enum { UNSPEC = 0x0, INET = 0x1, INET6 = 0x2, UNIX = 0x3 }; /* families */

static int read_port(struct span text)
{
    uint64_t port;
    bool padded = text.n > 1 && text.p[0] == '0';
    return padded || span_u64(text, &port) != 0 || port > UINT16_MAX ? E_INVALID : 0;
}

/* "PROXY TCP4 192.0.2.1 192.0.2.2 4711 443", without the line's end. */
static int read_line(struct span line, struct proxy_header *out)
{
    struct net_range addresses[2];
    span_cut(&line, ' ');
    struct span family = span_cut(&line, ' ');
    if (span_is(family, "UNKNOWN")) {
        *out = (struct proxy_header){.told = false};
        return 0;
    }
    bool v6 = span_is(family, "TCP6");
    if (!v6 && !span_is(family, "TCP4"))
        return E_INVALID;
    for (int i = 0; i < 2; i++) {
        struct span text = span_cut(&line, ' ');
        bool colon = text.n && memchr(text.p, ':', text.n);
        if (colon != v6 || (text.n && memchr(text.p, '/', text.n)) ||
            net_range_parse(text, &addresses[i]) != 0)
            return E_INVALID;
    }
    struct span port = span_cut(&line, ' ');
    if (read_port(port) != 0 || !line.p || read_port(line) != 0)
        return E_INVALID;
    *out = (struct proxy_header){.told = true, .from = addresses[0].first};
    return 0;
}

static ssize_t parse_1(const char *p, size_t n, struct proxy_header *out)
{
    size_t look = n < LINE_MAX_1 ? n : LINE_MAX_1;
    const char *end = memchr(p, '\n', look);
    if (!end)
        return n < LINE_MAX_1 ? E_MORE : E_TOO_LARGE;
    if (end == p || end[-1] != '\r')
        return E_INVALID;
    int rc = read_line((struct span){p, (size_t)(end - p) - 1}, out);
    return rc ? rc : end + 1 - p;
}

static struct net_addr address_of(unsigned family, const uint8_t *p)
{
    struct net_addr a = {.local = family == UNIX};
    if (family == INET) {
        a.ip[10] = a.ip[11] = 0xff;
        memcpy(a.ip + 12, p, 4);
    } else if (family == INET6) {
        memcpy(a.ip, p, 16);
    }
    return a;
}

static ssize_t parse_2(const char *p, size_t n, struct proxy_header *out)
{
    static const size_t sizes[] = {[UNSPEC] = 0, [INET] = 12, [INET6] = 36, [UNIX] = 216};
    const uint8_t *b = (const uint8_t *)p;
    struct proxy_header h = {.told = false};
    if (n < FIXED_2)
        return E_MORE;
    unsigned command = b[12], family = b[13] >> 4, transport = b[13] & 15;
    size_t size = (size_t)b[14] << 8 | b[15];
    if ((command != LOCAL && command != PROXY) || family > UNIX || transport > 2)
        return E_INVALID;
    if (command == PROXY && size < sizes[family])
        return E_INVALID;
    if (FIXED_2 + size > PROXY_HEADER_MAX)
        return E_TOO_LARGE;
    if (n < FIXED_2 + size)
        return E_MORE;
    h.told = command == PROXY && family != UNSPEC && transport == 1;
    if (h.told)
        h.from = address_of(family, b + FIXED_2);
    *out = h;
    return (ssize_t)(FIXED_2 + size);
}

ssize_t proxy_parse(const char *p, size_t n, struct proxy_header *out)
{
    static const char begin_1[6] = "PROXY ";
    size_t n_1 = n < sizeof begin_1 ? n : sizeof begin_1;
    size_t n_2 = n < sizeof signature_2 ? n : sizeof signature_2;
    if (memcmp(p, begin_1, n_1) == 0)
        return n_1 < sizeof begin_1 ? E_MORE : parse_1(p, n, out);
    if (memcmp(p, signature_2, n_2) == 0)
        return n_2 < sizeof signature_2 ? E_MORE : parse_2(p, n, out);
    return E_INVALID;
}
