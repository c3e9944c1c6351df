/* SPDX-License-Identifier: Apache-2.0
 *
 * Digests, encodings, random bytes and the time.
 */
#include "base/clock.h"
#include "crypto/crypto.h"
#include "loop/job.h"
#include "lua/core.h"
#include "lua/glob.h"
#include "lua/task.h"

#include <lauxlib.h>

#define HASH_MAX ((size_t)8 << 20) /* bytes hashed in one call */
#define RANDOM_MAX 1024

static enum digest_alg alg_at(lua_State *L, const char *call)
{
    enum digest_alg alg;
    struct span name;
    name.p = luaL_checklstring(L, 1, &name.n);
    if (digest_alg_parse(name, &alg) != 0)
        vm_error(L, "%s: unknown algorithm \"%s\"", call, name.p);
    return alg;
}

static struct span text_at(lua_State *L, int idx, const char *call)
{
    struct span text;
    if (lua_type(L, idx) != LUA_TSTRING)
        vm_error(L, "%s: a string is expected, got %s", call, luaL_typename(L, idx));
    text.p = lua_tolstring(L, idx, &text.n);
    if (text.n > HASH_MAX)
        vm_error(L, "%s: more than 8 MiB", call);
    return text;
}

static int push_hex(lua_State *L, const uint8_t *p, size_t n)
{
    char hex[2 * DIGEST_MAX + 1];
    hex_encode(p, n, hex);
    lua_pushlstring(L, hex, 2 * n);
    return 1;
}

/* core.hash(algorithm, text) → hex */
static int l_hash(lua_State *L)
{
    struct digest d;
    uint8_t out[DIGEST_MAX];
    enum digest_alg alg = alg_at(L, "gate.hash");
    struct span text = text_at(L, 2, "gate.hash");
    digest_init(&d, alg);
    digest_update(&d, text.p, text.n);
    return push_hex(L, out, digest_final(&d, out));
}

struct hash_wait {
    struct job job;
    struct task *task;
    enum digest_alg alg;
    struct span text; /* the caller's string, on its stack */
    uint8_t out[DIGEST_MAX];
};

static void hash_work(struct job *j)
{
    struct hash_wait *w = CONTAINER(j, struct hash_wait, job);
    struct digest d;
    digest_init(&d, w->alg);
    digest_update(&d, w->text.p, w->text.n);
    digest_final(&d, w->out);
}

static void hash_done(struct job *j)
{
    task_wake(CONTAINER(j, struct hash_wait, job)->task);
}

static int hash_result(lua_State *L, void *room)
{
    struct hash_wait *w = room;
    lua_pushboolean(L, 1);
    return 1 + push_hex(L, w->out, digest_size(w->alg));
}

/* core.hash_long(algorithm, text): the same on the pool, by core.result() */
static int l_hash_long(lua_State *L)
{
    static const struct wait_kind kind = {"gate.hash", hash_result, NULL, NULL};
    enum digest_alg alg = alg_at(L, kind.name);
    struct span text = text_at(L, 2, kind.name);
    struct task *t = task_may_wait(L, kind.name);
    struct hash_wait *w = task_room(t, sizeof *w);
    if (!w)
        return 0;
    *w = (struct hash_wait){.task = t, .alg = alg, .text = text};
    w->job.work = hash_work;
    w->job.done = hash_done;
    task_arm(t, &kind);
    job_submit(lane_cpu(), &w->job);
    return task_wait(L, t);
}

/* core.hmac(algorithm, key, text) → hex */
static int l_hmac(lua_State *L)
{
    uint8_t out[DIGEST_MAX];
    enum digest_alg alg = alg_at(L, "gate.hmac");
    struct span key = text_at(L, 2, "gate.hmac"), text = text_at(L, 3, "gate.hmac");
    if (alg == DIGEST_CRC32C)
        return vm_error(L, "gate.hmac: crc32c is no keyed hash");
    hmac(alg, key.p, key.n, text.p, text.n, out);
    return push_hex(L, out, digest_size(alg));
}

/* core.base64_encode(bytes, url?) → text. The scratch room is the VM's own memory. */
static int l_base64_encode(lua_State *L)
{
    struct span in = text_at(L, 1, "gate.base64.encode");
    char *out = lua_newuserdata(L, BASE64_SIZE(in.n));
    lua_pushlstring(L, out, base64_encode(in.p, in.n, lua_toboolean(L, 2), out));
    return 1;
}

/* core.base64_decode(text, url?) → bytes, or nil */
static int l_base64_decode(lua_State *L)
{
    size_t n;
    struct span in = text_at(L, 1, "gate.base64.decode");
    uint8_t *out = lua_newuserdata(L, in.n / 4 * 3 + 3);
    if (base64_decode(in, lua_toboolean(L, 2), out, &n) != 0)
        return 0;
    lua_pushlstring(L, (char *)out, n);
    return 1;
}

/* core.random(n) → bytes */
static int l_random(lua_State *L)
{
    char bytes[RANDOM_MAX];
    lua_Number n = luaL_checknumber(L, 1);
    if (!(n >= 1 && n <= RANDOM_MAX))
        return vm_error(L, "gate.random: from 1 to 1024 bytes");
    random_bytes(bytes, (size_t)n);
    lua_pushlstring(L, bytes, (size_t)n);
    return 1;
}

/* core.uuid() → version 4 (RFC 9562, 5.4) */
static int l_uuid(lua_State *L)
{
    static const uint8_t groups[] = {4, 2, 2, 2, 6};
    uint8_t b[16];
    char text[37], *to = text;
    random_bytes(b, sizeof b);
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    for (size_t g = 0, at = 0; g < sizeof groups; at += groups[g++]) {
        hex_encode(b + at, groups[g], to);
        to += 2 * groups[g];
        *to++ = '-';
    }
    lua_pushlstring(L, text, 36);
    return 1;
}

/* core.now() → seconds since 1970 */
static int l_now(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)clock_wall() / 1e9);
    return 1;
}

/* core.glob(pattern, text) → does it fit? */
static int l_glob(lua_State *L)
{
    const char *why;
    struct span pattern = text_at(L, 1, "gate.glob"), text = text_at(L, 2, "gate.glob");
    int fits = glob_match(pattern, text, &why);
    if (fits < 0)
        return vm_error(L, "gate.glob: %s", why);
    lua_pushboolean(L, fits);
    return 1;
}

void l_data_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"hash", l_hash},
        {"hash_long", l_hash_long},
        {"hmac", l_hmac},
        {"base64_encode", l_base64_encode},
        {"base64_decode", l_base64_decode},
        {"random", l_random},
        {"uuid", l_uuid},
        {"now", l_now},
        {"glob", l_glob},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
