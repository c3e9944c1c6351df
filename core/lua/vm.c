/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/vm.h"
#include "base/metrics.h"
#include "lua/files.h"
#include "lua/loader.h"
#include "lua/sandbox.h"
#include "lua/task.h"
#include "lua/timers.h"
#include "store/store.h"

#include <lauxlib.h>
#include <lualib.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* bytes that a collection has to free before the system gets pages back */
#define TRIM_LEAST ((size_t)8 << 20)

/* LuaJIT raises "not enough memory" where an allocation was refused. */
static void *vm_alloc(void *arg, void *p, size_t had, size_t want)
{
    struct vm *vm = arg;
    void *q = alloc_change(&vm->heap, p, had, want);
    vm->refused |= !q && want;
    return q;
}

struct vm *vm_of(lua_State *L)
{
    void *arg;
    lua_getallocf(L, &arg);
    return arg;
}

static int setup(lua_State *L)
{
    lua_CFunction *core = lua_touserdata(L, 1);
    luaL_openlibs(L);
    sandbox_apply(L);
    loader_open(L, *core);
    return 0;
}

int vm_new(size_t memory, struct worker *w, lua_CFunction core, struct vm **out)
{
    struct vm *vm = xalloc(sizeof *vm);
    vm->magic = VM_MAGIC;
    alloc_init(&vm->heap, SIZE_MAX);
    vm->worker = w;
    list_init(&vm->idle);
    list_init(&vm->waiting);
    timer_init(&vm->patience, w, task_late);
    list_init(&vm->timers);
    list_init(&vm->background);
    vm->L = lua_newstate(vm_alloc, vm); /* it may crash if it is refused memory */
    vm->heap.limit = memory;
    watch_init(&vm->watch, vm->L, task_stop, w, VM_LOAD_LIMIT);
    if (!vm->L || vm_protect(vm, setup, &core, NULL) != 0) {
        vm_free(vm);
        return E_NO_SPACE;
    }
    *out = vm;
    return 0;
}

void vm_free(struct vm *vm)
{
    if (!vm)
        return;
    CHECK(vm, VM_MAGIC);
    assert(vm->n_background == 0);
    timers_free(vm);
    watcher_free(vm->watcher);
    vm->watcher = NULL;
    vm->doomed = true;
    if (vm->n_heirs > 0)
        return;
    task_forget(vm);
    vm_hold(vm, NULL, NULL);
    watch_unbind(&vm->watch);
    timer_fini(&vm->patience);
    if (vm->L)
        lua_close(vm->L);
    metric_count(METRIC_script_memory_bytes, -(double)vm->told);
    alloc_fini(&vm->heap);
    for (size_t i = 0; i < vm->n_stores; i++)
        store_unref(vm->stores[i]);
    free(vm->stores);
    free(vm->folder);
    POISON(vm);
    free(vm);
}

void vm_where(lua_State *L)
{
    lua_Debug ar;
    for (int level = 0; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.source[0] == '@' && ar.currentline > 0) {
            lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
            return;
        }
    }
    lua_pushliteral(L, "");
}

int vm_error(lua_State *L, const char *format, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    vm_where(L);
    lua_pushstring(L, text);
    lua_concat(L, 2);
    lua_error(L);
    abort(); /* not reached */
}

/* The message handler of a run: a typed error gets its place and its words. */
static int describe(lua_State *L)
{
    if (lua_isstring(L, 1))
        return 1;
    vm_where(L);
    if (!luaL_callmeta(L, 1, "__tostring"))
        lua_pushliteral(L, "an error that is not a message was raised");
    lua_concat(L, 2);
    return 1;
}

/* The message on top of the stack, owned. It is a string unless memory ran out. */
static void take_message(lua_State *L, char **why)
{
    const char *text = lua_isstring(L, -1) ? lua_tostring(L, -1) : NULL;
    if (why)
        *why = xstrdup(text ? text : "not enough memory");
    lua_pop(L, 1);
}

int vm_protect(struct vm *vm, lua_CFunction f, void *arg, char **why)
{
    if (lua_cpcall(vm->L, f, arg) == 0)
        return 0;
    take_message(vm->L, why);
    return E_INVALID;
}

void vm_meter(struct vm *vm)
{
    size_t used = vm->heap.used;
    if (used != vm->told)
        metric_count(METRIC_script_memory_bytes, (double)used - (double)vm->told);
    vm->told = used;
}

struct run {
    const char *path; /* NULL: text */
    struct span text;
    const char *chunk;
};

static int run(lua_State *L)
{
    struct run *r = lua_touserdata(L, 1);
    lua_pushcfunction(L, describe);
    int rc = r->path ? loader_load_file(L, r->path)
                     : loader_load_text(L, r->text, r->chunk, false);
    if (rc != 0 || lua_pcall(L, 0, 0, 2) != 0)
        return lua_error(L);
    return 0;
}

int vm_call(struct vm *vm, lua_CFunction f, void *arg, char **why)
{
    vm->stack = __builtin_frame_address(0);
    watch_enter(&vm->watch);
    int rc = vm_protect(vm, f, arg, why);
    watch_leave(&vm->watch);
    return rc;
}

static int vm_run(struct vm *vm, struct run *r, char **why)
{
    vm->loading = true;
    int rc = vm_call(vm, run, r, why);
    watch_unbind(&vm->watch); /* tasks may come to run on another thread */
    vm->loading = false;
    vm->module = NULL;
    vm->pure = NULL;
    return rc;
}

int vm_run_file(struct vm *vm, const char *path, char **why)
{
    const char *slash = strrchr(path, '/');
    free(vm->folder);
    vm->folder = slash ? xmemdup(path, (size_t)(slash - path) + 1) : xstrdup("./");
    return vm_run(vm, &(struct run){.path = path}, why);
}

int vm_run_text(struct vm *vm, struct span text, const char *chunk, char **why)
{
    return vm_run(vm, &(struct run){.text = text, .chunk = chunk}, why);
}

void vm_hold(struct vm *vm, void *p, void (*release)(void *))
{
    if (vm->held)
        vm->held_free(vm->held);
    vm->held = p;
    vm->held_free = release;
}

static int collect(lua_State *L)
{
    lua_gc(L, LUA_GCCOLLECT, 0);
    return 0;
}

/* LuaJIT's collector waits until the heap has doubled and does not run when an allocation
 * is refused, so garbage alone could meet the cap. */
void vm_settle(struct vm *vm, bool exhausted)
{
    struct alloc *heap = &vm->heap;
    bool near =
        heap->used > heap->limit / 4 * 3 && heap->used > vm->kept + heap->limit / 8;
    if (!exhausted && !vm->refused && !near)
        return;
    size_t limit = heap->limit, before = heap->used;
    heap->limit = SIZE_MAX; /* to collect takes a little memory itself */
    vm_protect(vm, collect, NULL, NULL);
    heap->limit = limit;
    vm->kept = heap->used;
    vm->refused = false;
    if (before > heap->used && before - heap->used > TRIM_LEAST)
        malloc_trim(0);
}
