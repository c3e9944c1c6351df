/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/unit.h"

#include "base/clock.h"
#include "loop/party.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

TEST("loop meter: lets a burst through, then what the clock brings")
{
    struct meter m = {0};
    struct rate r = {.per_s = 10, .burst = 3};
    uint64_t now = 1000 * NS_PER_S;
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(meter_take(&m, &r, now, 1), 0);
    EXPECT_EQ(meter_take(&m, &r, now, 1), 100 * NS_PER_MS);
    EXPECT_EQ(meter_take(&m, &r, now, 2), 200 * NS_PER_MS); /* nothing was taken */
    EXPECT_EQ(meter_take(&m, &r, now + 100 * NS_PER_MS, 1), 0);
    EXPECT_EQ(meter_take(&m, &r, now + 100 * NS_PER_MS, 1), 100 * NS_PER_MS);
    now += 3600 * NS_PER_S; /* a rest is worth a burst, however long */
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(meter_take(&m, &r, now, 1), 0);
    EXPECT(meter_take(&m, &r, now, 1) > 0);
}

TEST("loop meter: takes more than a burst only after a rest, and tells when")
{
    struct meter m = {0};
    struct rate r = {.per_s = 1, .burst = 2}, none = {0};
    uint64_t now = 50 * NS_PER_S;
    EXPECT_EQ(meter_take(&m, &r, now, 5), 0); /* it waits for nobody: it is in debt */
    EXPECT_EQ(meter_take(&m, &r, now, 1), 4 * NS_PER_S);
    EXPECT_EQ(meter_wait(&m, &r, now), 4 * NS_PER_S);
    EXPECT_EQ(meter_wait(&m, &r, now + 4 * NS_PER_S), 0);
    meter_charge(&m, &r, now, 1);
    EXPECT_EQ(meter_wait(&m, &r, now), 5 * NS_PER_S);
    EXPECT_EQ(meter_take(&m, &none, now, 1e30), 0);
    EXPECT_EQ(meter_wait(&m, &none, now), 0);
    meter_charge(&m, &(struct rate){1e-9, 1}, now, 1e30); /* no sum runs over */
    EXPECT(meter_wait(&m, &r, now) > NS_PER_S);
}

static struct meter shared;
static atomic_uint taken;

static void *take_some(void *arg)
{
    struct rate r = {.per_s = 1, .burst = 500};
    for (int i = 0; i < 1000; i++)
        taken += meter_take(&shared, &r, 7 * NS_PER_S, 1) == 0;
    return arg;
}

TEST("loop meter: gives nothing twice to several threads")
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, take_some, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    EXPECT_EQ(taken, 500);
}

TEST("loop party: is one for a name, and keeps its counts while it is idle")
{
    struct rate r = {.per_s = 1, .burst = 1};
    struct party *a = party_get(span_of("a")), *b = party_get(span_of("b"));
    EXPECT(a != b && party_get(span_of("a")) == a);
    EXPECT_EQ(meter_take(&a->requests, &r, clock_now(), 1), 0);
    party_put(a);
    party_put(a);
    a = party_get(span_of("a"));
    EXPECT(meter_take(&a->requests, &r, clock_now(), 1) > 0);
    EXPECT(party_enter(b, 2) && party_enter(b, 2) && !party_enter(b, 2));
    EXPECT(party_enter(b, 0));
    party_leave(b);
    party_leave(b);
    EXPECT(party_enter(b, 2));
    EXPECT(party_may_tell(b, NS_PER_S) && !party_may_tell(b, NS_PER_S + 5));
    EXPECT(party_may_tell(b, 2 * NS_PER_S));
    party_put(a);
    party_put(b);
    parties_forget();
    EXPECT_EQ(parties_known(), 0);
}

TEST("loop party: remembers so many that nobody uses, and all that are in use")
{
    enum { MANY = 3 * PARTIES_IDLE, USED = 100 };
    struct party *used[USED];
    char name[32];
    for (int i = 0; i < USED; i++) {
        snprintf(name, sizeof name, "used %d", i);
        used[i] = party_get(span_of(name));
        party_enter(used[i], 0);
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "2001:db8:%x:%x::/64", i >> 16, i & 0xffff);
        party_put(party_get(span_of(name)));
    }
    EXPECT(parties_known() <= PARTIES_IDLE + USED);
    EXPECT(parties_known() > PARTIES_IDLE / 2);
    for (int i = 0; i < USED; i++) {
        snprintf(name, sizeof name, "used %d", i);
        EXPECT(party_get(span_of(name)) == used[i]);
        EXPECT_EQ(used[i]->connections, 1);
        party_put(used[i]);
        party_put(used[i]);
    }
    parties_forget();
    EXPECT_EQ(parties_known(), 0);
}

TEST("loop party: takes a network of IPv6 for one client")
{
    static const struct {
        const char *peer, *name;
    } cases[] = {
        {"127.0.0.1:80", "127.0.0.1"},
        {"127.0.0.1", "127.0.0.1"},
        {"[2001:db8:1:2:3:4:5:6]:443", "2001:db8:1:2::/64"},
        {"[2001:db8:1:2:ffff::1]:9", "2001:db8:1:2::/64"},
        {"2001:db8:1:2::7", "2001:db8:1:2::/64"},
        {"[::1]:4711", "::/64"},
        {"unix", ""},
        {"", ""},
        {"peer", ""},
        {"[", ""},
        {"300.1.1.1:80", ""},
        {"an-address-that-is-far-too-long-to-be-one-of-any-kind-whatsoever", ""},
    };
    char room[PARTY_NAME_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct span name = party_address(cases[i].peer, room);
        EXPECT(span_is(name, cases[i].name));
    }
}
