/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/command.h"
#include "lua/background.h"
#include "lua/core.h"
#include "lua/loader.h"
#include "lua/streams.h"
#include "stream/memory.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_MAGIC 0xC0337A2DU
#define COMMAND_MEMORY ((size_t)512 << 20) /* bytes of its VM */
#define BODY_MAX ((size_t)64 << 20)        /* bytes of core.memory */

struct command {
    unsigned magic;
    struct vm *vm;
    bool ended; /* the task that the module declared */
    struct command_result result;
    struct call idle;
    void (*over)(void *arg, struct command_result r);
    void *over_arg;
};

/* -- the life of one --------------------------------------------------------------- */

struct texts {
    const char *const *list;
    size_t n;
};

static int keep_arguments(lua_State *L)
{
    const struct texts *t = lua_touserdata(L, 1);
    lua_createtable(L, (int)t->n, 0);
    for (size_t i = 0; i < t->n; i++) {
        lua_pushstring(L, t->list[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_setfield(L, LUA_REGISTRYINDEX, "tidegate.arguments");
    return 0;
}

static int vm_do(struct vm *vm, const char *form, const char *module, char **why)
{
    char text[128];
    snprintf(text, sizeof text, form, module);
    return vm_run_text(vm, span_of(text), "=command", why);
}

static int take_limits(lua_State *L)
{
    struct vm *vm = lua_touserdata(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, "tidegate.config");
    lua_getfield(L, -1, "wait");
    vm->wait_max = (uint64_t)lua_tonumber(L, -1);
    return 0;
}

static void on_idle(struct call *call)
{
    struct command *c = CONTAINER(call, struct command, idle);
    CHECK(c, COMMAND_MAGIC);
    c->over(c->over_arg, c->result);
}

/* Something has ended. */
static void ease(void *arg)
{
    struct command *c = arg;
    CHECK(c, COMMAND_MAGIC);
    if (c->ended && c->vm->n_background == 0 && !c->idle.queued)
        worker_defer(c->vm->worker, &c->idle);
}

int command_load(const char *module, const char *script, const char *const *arguments,
                 size_t n, struct worker *w, struct command **out, char **why)
{
    struct texts texts = {arguments, n};
    struct command *c = xalloc(sizeof *c);
    c->magic = COMMAND_MAGIC;
    c->idle.fn = on_idle;
    if (vm_new(COMMAND_MEMORY, w, core_open, &c->vm) != 0) {
        *why = xstrdup("not enough memory for a Lua VM");
        goto fail;
    }
    if (vm_protect(c->vm, keep_arguments, &texts, why) != 0 ||
        vm_do(c->vm, "require '%s'", module, why) != 0 ||
        vm_run_file(c->vm, script, why) != 0 ||
        vm_do(c->vm, "require '%s'.load()", module, why) != 0 ||
        vm_protect(c->vm, take_limits, c->vm, why) != 0)
        goto fail;
    c->vm->eased = ease;
    c->vm->eased_arg = c;
    c->vm->begun = true; /* what is to happen at once does, though no timer runs */
    *out = c;
    return 0;
fail:
    vm_free(c->vm);
    free(c);
    return E_INVALID;
}

static unsigned count_at(lua_State *L, int idx)
{
    lua_Number n = lua_tonumber(L, idx);
    return n > 0 ? (unsigned)n : 0;
}

static void main_ended(struct background *b)
{
    struct command *c = b->owner;
    CHECK(c, COMMAND_MAGIC);
    c->ended = true;
    c->result.code = 1;
    if (b->status == 0 && lua_isnumber(b->task->L, 1)) {
        c->result.code = count_at(b->task->L, 1) != 0;
        c->result.passed = count_at(b->task->L, 2);
        c->result.failed = count_at(b->task->L, 3);
    }
    background_free(b);
    background_stop(c->vm, 0);
}

static int start(lua_State *L)
{
    struct command *c = lua_touserdata(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, "tidegate.main");
    struct background *b = background_new(L, 2, "command");
    b->ended = main_ended; /* the first of its VM: there is room for it */
    b->owner = c;
    return 0;
}

void command_start(struct command *c, void (*over)(void *arg, struct command_result r),
                   void *arg)
{
    CHECK(c, COMMAND_MAGIC);
    c->over = over;
    c->over_arg = arg;
    if (vm_protect(c->vm, start, c, NULL) == 0)
        return;
    c->ended = true;
    c->result.code = 1;
    ease(c);
}

void command_stop(struct command *c)
{
    CHECK(c, COMMAND_MAGIC);
    if (!c->ended)
        background_stop(c->vm, 0);
}

void command_free(struct command *c)
{
    if (!c)
        return;
    CHECK(c, COMMAND_MAGIC);
    vm_free(c->vm);
    POISON(c);
    free(c);
}

/* -- bindings ---------------------------------------------------------------------- */

/* core.arguments() → { text, … }; nil outside of a command */
static int l_arguments(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, "tidegate.arguments");
    return 1;
}

/* core.print(text, aside): to stdout as it is, or to stderr what is only for the eye */
static int l_print(lua_State *L)
{
    size_t n;
    const char *text = luaL_checklstring(L, 1, &n);
    FILE *out = lua_toboolean(L, 2) ? stderr : stdout;
    fwrite(text, 1, n, out);
    fflush(out);
    return 0;
}

/* core.place(function) → "file:line", where it was written */
static int l_place(lua_State *L)
{
    lua_Debug ar;
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_getinfo(L, ">S", &ar);
    lua_pushfstring(L, "%s:%d", ar.short_src, ar.linedefined);
    return 1;
}

/* core.load_file(path, environment) → the file as a function; or nil and why not. While
 * the script loads. */
static int l_load_file(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    if (!vm_of(L)->loading)
        return vm_error(L, "files are loaded while the script loads");
    if (loader_load_file(L, path) != 0) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    lua_pushvalue(L, 2);
    lua_setfenv(L, -2);
    return 1;
}

/* core.memory(text) → a stream of it, which is the task's */
static int l_memory(lua_State *L)
{
    size_t n;
    const char *text = luaL_checklstring(L, 1, &n);
    struct task *t = task_may_wait(L, "core.memory");
    if (n > BODY_MAX)
        return vm_error(L, "a body here has at most 64 MiB");
    char *copy = xmemdup(text, n);
    struct source *s = memory_source_new(copy, n, free, copy);
    box_push(L, &stream_hold_new(t, s, false)->hold);
    return 1;
}

/* core.others() → how many tasks there are beside the one that asks */
static int l_others(lua_State *L)
{
    struct vm *vm = vm_of(L);
    lua_pushnumber(L, (lua_Number)vm->n_background - (vm->running != NULL));
    return 1;
}

void l_command_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"arguments", l_arguments},
        {"print", l_print},
        {"place", l_place},
        {"load_file", l_load_file},
        {"memory", l_memory},
        {"others", l_others},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
