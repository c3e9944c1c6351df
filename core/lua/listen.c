/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/listen.h"

#include "lua/field.h"
#include "lua/vm.h"

#include <stdlib.h>
#include <string.h>

/* A file's name is relative to the script. */
static char *file_of(lua_State *L, const char *name)
{
    char *file = field_text(L, name);
    if (!file || file[0] == '/')
        return file;
    char *path = xasprintf("%s%s", vm_of(L)->folder, file);
    free(file);
    return path;
}

static void read_pairs(lua_State *L, struct tls_options *o)
{
    lua_getfield(L, -1, "certs");
    size_t n = lua_objlen(L, -1);
    o->pairs = xalloc((n + 1) * sizeof *o->pairs);
    for (; o->n_pairs < n; o->n_pairs++) {
        lua_rawgeti(L, -1, (int)o->n_pairs + 1);
        o->pairs[o->n_pairs].cert = file_of(L, "cert");
        o->pairs[o->n_pairs].key = file_of(L, "key");
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static void read_tls(lua_State *L, struct front_options *o)
{
    lua_getfield(L, -1, "tls");
    if (lua_istable(L, -1)) {
        o->tls = xalloc(sizeof *o->tls);
        read_pairs(L, o->tls);
        o->tls->client = file_of(L, "client");
        o->tls->require = field_flag(L, "require");
        o->tls->kernel = field_flag(L, "ktls");
    }
    lua_pop(L, 1);
}

static void read_trust(lua_State *L, struct front_options *o)
{
    lua_getfield(L, -1, "trust");
    size_t n = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
    o->trust = xalloc((n + 1) * sizeof *o->trust);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, -1, (int)i + 1);
        if (net_range_parse(span_of(lua_tostring(L, -1)), &o->trust[o->n_trust]) == 0)
            o->n_trust++;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static enum forwarded forwarded_of(lua_State *L)
{
    char *which = field_text(L, "forwarded");
    bool x = strcmp(which, "x-forwarded-for") == 0;
    bool rfc = strcmp(which, "forwarded") == 0;
    free(which);
    return x ? FORWARDED_X : rfc ? FORWARDED_RFC : FORWARDED_NONE;
}

static struct rate rate_of(lua_State *L, const char *name, const char *burst)
{
    return (struct rate){.per_s = field_number(L, name), .burst = field_number(L, burst)};
}

static void read_shares(lua_State *L, struct shares *s)
{
    s->connections = (unsigned)field_number(L, "connections");
    s->requests = rate_of(L, "requests", "burst");
    s->up = rate_of(L, "up", "up_burst");
    s->down = rate_of(L, "down", "down_burst");
}

static void read_limits(lua_State *L, struct bounds *b)
{
    lua_getfield(L, -1, "limits");
    b->body = (uint64_t)field_number(L, "body");
    read_shares(L, &b->all);
    lua_getfield(L, -1, "per_address");
    read_shares(L, &b->address);
    lua_pop(L, 2);
}

void listen_read(lua_State *L, struct front_options *o)
{
    o->address = field_text(L, "address");
    read_tls(L, o);
    read_trust(L, o);
    o->proxy = field_flag(L, "proxy");
    o->forwarded = forwarded_of(L);
    read_limits(L, &o->bounds);
}
