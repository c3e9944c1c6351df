/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include "base/net.h"
#include "spec/unit/unit.h"

TEST("net: reads addresses, with and without a port")
{
    static const struct {
        const char *text, *out; /* NULL: refused */
    } cases[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"192.0.2.1:80", "192.0.2.1"},
        {"192.0.2.1:65535", "192.0.2.1"},
        {"::1", "::1"},
        {"2001:DB8:0::1", "2001:db8::1"},
        {"[2001:db8::1]", "2001:db8::1"},
        {"[2001:db8::1]:443", "2001:db8::1"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"[::ffff:192.0.2.1]:1", "192.0.2.1"},
        {"unix", "unix"},
        {"", NULL},
        {" 192.0.2.1", NULL},
        {"192.0.2.1 ", NULL},
        {"192.0.2", NULL},
        {"192.0.2.256", NULL},
        {"192.0.2.01", NULL},
        {"0x7f.1", NULL},
        {"192.0.2.1:", NULL},
        {"192.0.2.1:65536", NULL},
        {"192.0.2.1:-1", NULL},
        {"192.0.2.1/8", NULL},
        {"[192.0.2.1]", NULL},
        {"[::1", NULL},
        {"[::1]80", NULL},
        {"[::1]:", NULL},
        {"::1]", NULL},
        {"[]", NULL},
        {"[", NULL},
        {":", NULL},
        {"fe80::1%eth0", NULL},
        {"localhost", NULL},
        {"unknown", NULL},
        {"_hidden", NULL},
        {"1:2:3:4:5:6:7:8:9", NULL},
        {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct net_addr a;
        char text[NET_TEXT_SIZE];
        int rc = net_parse(span_of(cases[i].text), &a);
        if ((rc == 0) != (cases[i].out != NULL))
            unit_fail(__FILE__, __LINE__, "\"%s\" gives %d", cases[i].text, rc);
        if (rc)
            continue;
        net_text(&a, text);
        EXPECT_STR(text, cases[i].out);
    }
    struct net_addr a;
    EXPECT_EQ(net_parse((struct span){"::1\0x", 5}, &a), E_INVALID);
    EXPECT_EQ(net_parse((struct span){NULL, 0}, &a), E_INVALID);
}

TEST("net: knows what lies in a range")
{
    static const struct {
        const char *range, *in, *out;
    } cases[] = {
        {"10.0.0.0/8", "10.255.0.1", "11.0.0.1"},
        {"10.0.0.0/8", "::ffff:10.1.1.1", "a00::1"},
        {"192.0.2.128/25", "192.0.2.128", "192.0.2.127"},
        {"192.0.2.1", "192.0.2.1", "192.0.2.2"},
        {"192.0.2.1/32", "192.0.2.1:99", "192.0.2.0"},
        {"0.0.0.0/0", "255.255.255.255", "2001:db8::1"},
        {"::/0", "192.0.2.1", "unix"},
        {"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"},
        {"::1", "::1", "::2"},
        {"unix", "unix", "127.0.0.1"},
        {"127.0.0.0/8", "127.0.0.1", "unix"},
    };
    static const char *const bad[] = {
        "",       "10.0.0.1/8",  "10.0.0.0/33",  "10.0.0.0/",     "10.0.0.0/-1",
        "10/8",   "::1/127",     "::/129",       "10.0.0.0:80/8", "[::1]",
        "unix/0", "example.org", "10.0.0.0/8/8", "10.0.0.0/ 8",   "::ffff:10.0.0.0/8",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct net_range r;
        struct net_addr in, out;
        EXPECT_EQ(net_range_parse(span_of(cases[i].range), &r), 0);
        EXPECT(net_parse(span_of(cases[i].in), &in) == 0 &&
               net_parse(span_of(cases[i].out), &out) == 0);
        if (!net_in(&r, 1, &in) || net_in(&r, 1, &out) || net_in(&r, 0, &in))
            unit_fail(__FILE__, __LINE__, "%s", cases[i].range);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct net_range r;
        if (net_range_parse(span_of(bad[i]), &r) != E_INVALID)
            unit_fail(__FILE__, __LINE__, "\"%s\" is taken", bad[i]);
    }
}
