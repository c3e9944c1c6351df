/* SPDX-License-Identifier: Apache-2.0
 *
 * gate.limit: the buckets of whoever the script names, in the table of parties, which all
 * workers share.
 */
#include "base/clock.h"
#include "crypto/crypto.h"
#include "lua/core.h"
#include "lua/streams.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* The party that the two texts at idx and idx + 1 name, with a reference. A long name is
 * as good as its digest. */
static struct party *party_at(lua_State *L, int idx)
{
    char room[PARTY_NAME_MAX];
    uint8_t sum[DIGEST_MAX];
    struct span limit, key;
    struct digest d;
    limit.p = luaL_checklstring(L, idx, &limit.n);
    key.p = luaL_checklstring(L, idx + 1, &key.n);
    if (limit.n + key.n + sizeof "limit  " <= sizeof room) {
        int n = snprintf(room, sizeof room, "limit %.*s ", SPAN_ARG(limit));
        memcpy(room + n, key.p, key.n);
        return party_get((struct span){room, (size_t)n + key.n});
    }
    digest_init(&d, DIGEST_SHA256);
    digest_update(&d, limit.p, limit.n + 1); /* with its NUL */
    digest_update(&d, key.p, key.n);
    size_t n = digest_final(&d, sum);
    return party_get((struct span){(const char *)sum, n});
}

static struct rate rate_at(lua_State *L, int idx)
{
    struct rate r;
    r.per_s = luaL_optnumber(L, idx, 0);
    r.burst = luaL_optnumber(L, idx + 1, 1);
    return r;
}

/* core.limit_take(limit, key, rate, burst, n) → 0, or the seconds until there are n; then
 * none was taken */
static int l_limit_take(lua_State *L)
{
    struct rate r = rate_at(L, 3);
    double n = luaL_checknumber(L, 5);
    struct party *p = party_at(L, 1);
    uint64_t wait = meter_take(&p->requests, &r, clock_now(), n);
    party_put(p);
    lua_pushnumber(L, ceil((double)wait / 1e9));
    return 1;
}

/* core.limit_pace(request, limit, key, up, its burst, down, its burst) */
static int l_limit_pace(lua_State *L)
{
    struct visit *v = CONTAINER(box_check(L, 1, &visit_kind), struct visit, hold);
    struct rate up = rate_at(L, 4), down = rate_at(L, 6);
    req_pace(v->req, party_at(L, 2), &up, &down);
    return 0;
}

/* core.limit_network(address) → what a client's address counts as: itself, or its network
 * of 64 bits; "" for none */
static int l_limit_network(lua_State *L)
{
    char room[PARTY_NAME_MAX];
    struct span address, name;
    address.p = luaL_checklstring(L, 1, &address.n);
    name = party_network(address, room);
    lua_pushlstring(L, name.p, name.n);
    return 1;
}

void l_limit_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"limit_take", l_limit_take},
        {"limit_pace", l_limit_pace},
        {"limit_network", l_limit_network},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
