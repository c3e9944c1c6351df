/* SPDX-License-Identifier: Apache-2.0
 *
 * A Lua VM: an allocator that counts and refuses, the sandbox, and the one place where a
 * script is run. One VM belongs to one thread; nothing in it is shared.
 *
 * Whoever enters Lua from C does so by vm_protect, by a task's resume or by the script's
 * own run: past the cap any call of the Lua API may raise, and outside of those it would
 * end the process.
 */
#ifndef LUA_VM_H
#define LUA_VM_H

#include "base/base.h"
#include "base/clock.h"
#include "base/list.h"
#include "loop/timer.h"
#include "lua/alloc.h"
#include "lua/watch.h"

#include <lua.h>

#define VM_MAGIC 0x10A50000U
#define VM_LOAD_LIMIT (10 * NS_PER_S) /* of CPU time, for the script's first run */

struct store;
struct task;
struct watcher;
struct worker;

struct vm {
    unsigned magic;
    lua_State *L;
    struct alloc heap;
    size_t kept; /* bytes in use after the last forced collection */
    size_t told; /* to the metrics */

    struct worker *worker; /* NULL in a trial */
    struct task *running;  /* whose coroutine runs now */
    const char *stack;     /* C's, where this slice began */
    bool loading;          /* the script runs for the first time */
    const char *pure;      /* name of the pure function that runs, or NULL */
    unsigned generation;   /* of the script; 0 while it loads */
    const char *module;    /* what `require` loads now, or NULL */
    struct watch watch;    /* its limit is that of loading until somebody changes it */
    char *folder;          /* of the script; NULL without one */

    int box_meta;        /* in the registry */
    uint64_t holds_made; /* so far: each has its number */
    struct list idle;    /* tasks to be used again */
    size_t n_idle;
    struct list waiting;   /* tasks, those first whose wait began first */
    struct timer patience; /* until the first of them has waited too long */
    uint64_t wait_max;     /* ns; 0: for ever */
    size_t n_heirs;        /* operations that nobody waits for any more */
    bool doomed;           /* to be freed with the last of them */
    bool refused;          /* memory, since it was settled last */
    struct store **stores; /* counted references */
    size_t n_stores;

    struct list timers, background; /* timers.h, background.h */
    size_t n_timers, n_background;
    bool begun, stopped;      /* its timers run; they will not any more */
    void (*eased)(void *arg); /* something in the background has ended */
    void *eased_arg;
    struct watcher *watcher; /* files.h; NULL: it has none */

    void *held; /* see vm_hold */
    void (*held_free)(void *);
};

/* A VM with the sandbox in place. core(L) pushes the table that `require
 * "tidegate.core"` gives to built-in modules. 0, or E_NO_SPACE when memory is too little
 * to begin with. */
int vm_new(size_t memory, struct worker *w, lua_CFunction core, struct vm **out);
/* No task may be left. Memory that operations still use goes when they are over. Accepts
 * NULL. */
void vm_free(struct vm *vm);
/* The VM of a state; any coroutine of it will do. */
struct vm *vm_of(lua_State *L);

/* Runs a script while loading is on. 0, or E_INVALID and *why an owned "file:line:
 * message". Blocks. */
int vm_run_file(struct vm *vm, const char *path, char **why);
int vm_run_text(struct vm *vm, struct span text, const char *chunk, char **why);

/* Calls f(L) with arg as light userdata at index 1. 0, or E_INVALID with *why (may be
 * NULL) an owned message. */
int vm_protect(struct vm *vm, lua_CFunction f, void *arg, char **why);
/* The same for what may run a function of the script, under the watchdog: not from inside
 * of another one. */
int vm_call(struct vm *vm, lua_CFunction f, void *arg, char **why);

/* Raises "file:line: message", where the place is the innermost one in a script of the
 * operator, so that a mistake is reported where it was made. Does not return. */
int vm_error(lua_State *L, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));
/* Pushes that place, or "". */
void vm_where(lua_State *L);

/* Keeps p while calls that may raise are made: it is freed by the next vm_hold, at the
 * latest with the VM. vm_hold(vm, NULL, NULL) frees it now. */
void vm_hold(struct vm *vm, void *p, void (*release)(void *));

/* Tells the metrics what memory it has. On its thread. */
void vm_meter(struct vm *vm);

/* Between tasks: collects when the cap is near, or at once if a script met it. */
void vm_settle(struct vm *vm, bool exhausted);

#endif
