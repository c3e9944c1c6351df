/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/gate.h"
#include "lua/background.h"
#include "lua/core.h"
#include "lua/field.h"
#include "lua/files.h"
#include "lua/listen.h"
#include "lua/streams.h"
#include "lua/timers.h"
#include "lua/told.h"
#include "store/store.h"

#include <lauxlib.h>
#include <luajit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GATE_MAGIC 0x6A7E0000U
#define LOOK_MEMORY                                                                      \
    ((size_t)512 << 20) /* bytes; of the trial, which knows no limit yet */

struct gate {
    unsigned magic;
    struct vm *vm;
    struct http_handler handler;
    int dispatch; /* in the registry */
    size_t busy;  /* requests */
    struct list visits;
    struct call idle; /* calls over, once it is retired and nothing runs */
    void (*over)(void *arg);
    void *over_arg;
};

const char *gate_luajit_version(void)
{
    return LUAJIT_VERSION;
}

static char **list_at(lua_State *L, int idx, size_t *n)
{
    *n = lua_istable(L, idx) ? lua_objlen(L, idx) : 0;
    char **list = xalloc((*n + 1) * sizeof *list);
    for (size_t i = 0; i < *n; i++) {
        lua_rawgeti(L, idx, (int)i + 1);
        const char *text = lua_tostring(L, -1);
        list[i] = xstrdup(text ? text : "");
        lua_pop(L, 1);
    }
    return list;
}

/* The references move from the trial to the configuration. */
static void take_stores(struct vm *vm, struct gate_config *c)
{
    c->held = vm->stores;
    c->n_held = vm->n_stores;
    c->stores = xalloc((vm->n_stores + 1) * sizeof *c->stores);
    for (size_t i = 0; i < vm->n_stores; i++) {
        size_t seen = 0;
        while (seen < c->n_stores && strcmp(c->stores[seen], vm->stores[i]->id) != 0)
            seen++;
        if (seen == c->n_stores)
            c->stores[c->n_stores++] = xstrdup(vm->stores[i]->id);
    }
    vm->stores = NULL;
    vm->n_stores = 0;
}

static void read_listen(lua_State *L, struct gate_config *c)
{
    lua_getfield(L, -1, "listen");
    c->n_listen = lua_objlen(L, -1);
    c->listen = xalloc((c->n_listen + 1) * sizeof *c->listen);
    for (size_t i = 0; i < c->n_listen; i++) {
        lua_rawgeti(L, -1, (int)i + 1);
        listen_read(L, &c->listen[i]);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* The place of a file that the option names, or NULL. */
static char *place_of(lua_State *L, const char *name)
{
    char *text = field_text(L, name);
    char *place = text ? log_place(text) : NULL;
    free(text);
    return place;
}

static void read_log(lua_State *L, struct log_config *c)
{
    c->level = (enum log_level)field_number(L, "log_level");
    c->json = field_number(L, "log_json") != 0;
    c->access = (enum log_access)field_number(L, "access");
    c->file = place_of(L, "log_file");
    c->access_file = place_of(L, "access_file");
}

/* The library has checked every value; here they only change their form. */
static int read_config(lua_State *L)
{
    struct gate_config *c = lua_touserdata(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, "tidegate.routes");
    if (!lua_istable(L, -1))
        return luaL_error(L, "the script does not call gate.serve");
    c->routes = list_at(L, lua_gettop(L), &c->n_routes);
    lua_getfield(L, LUA_REGISTRYINDEX, "tidegate.config");
    read_listen(L, c);
    c->workers = (unsigned)field_number(L, "workers");
    c->io_threads = (unsigned)field_number(L, "io_threads");
    c->limits.head = field_number(L, "head");
    c->limits.idle = field_number(L, "idle");
    c->limits.stall = field_number(L, "stall");
    c->limits.response = field_number(L, "response");
    c->script_memory = field_number(L, "script");
    c->buffer_memory = field_number(L, "buffers");
    c->connections = (unsigned)field_number(L, "connections");
    c->cache_memory = field_number(L, "cache");
    read_log(L, &c->log);
    lua_getfield(L, LUA_REGISTRYINDEX, "tidegate.audits");
    c->audits = list_at(L, lua_gettop(L), &c->n_audits);
    lua_pop(L, 1);
    c->user = field_text(L, "user");
    return 0;
}

int gate_look(const char *script, struct gate_config *out, char **why)
{
    struct gate_config c = {.workers = 0};
    struct vm *vm;
    if (vm_new(LOOK_MEMORY, NULL, core_open, &vm) != 0) {
        *why = xstrdup("not enough memory for a Lua VM");
        return E_INVALID;
    }
    int rc = vm_run_file(vm, script, why);
    if (rc == 0 && (rc = vm_protect(vm, read_config, &c, why)) != 0) {
        char *message = xasprintf("%s: %s", script, *why);
        free(*why);
        *why = message;
    }
    if (rc == 0) {
        take_stores(vm, &c);
        *out = c;
    } else {
        gate_config_fini(&c);
    }
    vm_free(vm);
    return rc;
}

static void free_list(char **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(list[i]);
    free(list);
}

void gate_config_fini(struct gate_config *c)
{
    for (size_t i = 0; i < c->n_listen; i++)
        front_options_fini(&c->listen[i]);
    free(c->listen);
    free(c->user);
    free_list(c->routes, c->n_routes);
    free_list(c->stores, c->n_stores);
    free_list(c->audits, c->n_audits);
    free(c->log.file);
    free(c->log.access_file);
    for (size_t i = 0; i < c->n_held; i++)
        store_unref(c->held[i]);
    free(c->held);
}

static int push_dispatch(lua_State *L, struct task *t)
{
    struct visit *v = t->owner;
    t->id = v->req->id;
    lua_rawgeti(L, LUA_REGISTRYINDEX, v->gate->dispatch);
    hold_add(t, &v->hold, &visit_kind);
    box_push(L, &v->hold);
    return 2;
}

static void reply_internal(struct req *q)
{
    struct span text = SPAN_LIT("internal error, see the log for request ");
    char *message = arena_printf(&q->arena, "%.*s%s", SPAN_ARG(text), q->id);
    req_reply_error(q, 500, "INTERNAL", span_of(message));
}

static void task_ended(struct task *t, int status)
{
    struct visit *v = t->owner;
    struct req *q = v->req;
    bool ready = v->ready && status == 0;
    v->task = t;
    if (status != 0 && !t->cancelled)
        task_log_death(t, status);
    if (!ready)
        source_close(v->reply.source);
    v->exhausted = status == LUA_ERRMEM || t->stopped;
    if (ready)
        req_reply(q, &v->reply);
    else
        reply_internal(q);
}

static void begin(struct req *q, void *arg)
{
    struct gate *g = arg;
    struct visit *v = arena_alloc(&q->arena, sizeof *v);
    CHECK(g, GATE_MAGIC);
    v->req = q;
    v->gate = g;
    q->owner = v;
    list_init(&v->link);
    list_append(&g->visits, &v->link);
    g->busy++;
    if (task_start(g->vm, push_dispatch, task_ended, v, &v->task) == 0)
        return;
    LOG_FIELDS(LOG_ERROR, "no memory for a request", {"id", span_of(q->id)});
    req_reply_error(q, 503, "BUSY", SPAN_LIT("out of memory, try again later"));
}

static void gone(struct req *q, void *arg)
{
    struct visit *v = q->owner;
    (void)arg;
    if (v->task)
        task_cancel(v->task);
}

/* Something has ended. */
static void ease(void *arg)
{
    struct gate *g = arg;
    CHECK(g, GATE_MAGIC);
    if (g->over && gate_busy(g) == 0 && !g->idle.queued)
        worker_defer(g->vm->worker, &g->idle);
}

static void end(struct req *q, int rc, void *arg)
{
    struct gate *g = arg;
    struct visit *v = q->owner;
    bool exhausted = v->exhausted;
    if (v->told)
        told_leave(v);
    else if (v->task)
        task_free(v->task);
    list_remove(&v->link);
    g->busy--;
    (void)rc;
    vm_settle(g->vm, exhausted);
    vm_meter(g->vm);
    ease(g);
}

/* -- the gate ---------------------------------------------------------------------- */

static int keep_dispatch(lua_State *L)
{
    struct gate *g = lua_touserdata(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, "tidegate.dispatch");
    if (!lua_isfunction(L, -1))
        return luaL_error(L, "the script does not call gate.serve");
    g->dispatch = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_getfield(L, LUA_REGISTRYINDEX, "tidegate.config");
    g->vm->watch.limit = field_number(L, "slice");
    g->vm->wait_max = field_number(L, "wait");
    return 0;
}

static void on_idle(struct call *c)
{
    struct gate *g = CONTAINER(c, struct gate, idle);
    CHECK(g, GATE_MAGIC);
    if (gate_busy(g) == 0)
        g->over(g->over_arg);
}

int gate_load(const char *script, size_t memory, struct worker *w, struct gate **out,
              char **why)
{
    struct gate *g = xalloc(sizeof *g);
    g->magic = GATE_MAGIC;
    g->handler = (struct http_handler){begin, gone, end, g};
    g->idle.fn = on_idle;
    list_init(&g->visits);
    if (vm_new(memory, w, core_open, &g->vm) != 0) {
        *why = xstrdup("limits.script is too small for a Lua VM");
        goto fail;
    }
    if (vm_run_file(g->vm, script, why) != 0 ||
        vm_protect(g->vm, keep_dispatch, g, why) != 0)
        goto fail;
    vm_meter(g->vm);
    g->vm->eased = ease;
    g->vm->eased_arg = g;
    *out = g;
    return 0;
fail:
    vm_free(g->vm);
    free(g);
    return E_INVALID;
}

const struct http_handler *gate_handler(struct gate *g)
{
    CHECK(g, GATE_MAGIC);
    return &g->handler;
}

size_t gate_busy(const struct gate *g)
{
    return g->busy + g->vm->n_background;
}

size_t gate_requests(const struct gate *g)
{
    return g->busy;
}

void gate_number(struct gate *g, unsigned generation)
{
    CHECK(g, GATE_MAGIC);
    g->vm->generation = generation;
}

void gate_start(struct gate *g)
{
    CHECK(g, GATE_MAGIC);
    timers_start(g->vm);
    watcher_start(g->vm);
}

void gate_retire(struct gate *g, void (*over)(void *arg), void *arg)
{
    CHECK(g, GATE_MAGIC);
    assert(!g->over);
    g->over = over;
    g->over_arg = arg;
    watcher_stop(g->vm);
    background_stop(g->vm, BACKGROUND_GRACE);
    if (gate_busy(g) == 0)
        over(arg);
}

void gate_hurry(struct gate *g)
{
    CHECK(g, GATE_MAGIC);
    background_stop(g->vm, 0);
}

static bool may_write(const struct task *t)
{
    return t && !t->over && !t->readonly;
}

size_t gate_writers(const struct gate *g)
{
    const struct vm *vm = g->vm;
    size_t n = vm->n_heirs;
    for (const struct list *l = g->visits.next; l != &g->visits; l = l->next)
        n += may_write(CONTAINER((struct list *)(uintptr_t)l, struct visit, link)->task);
    for (const struct list *l = vm->background.next; l != &vm->background; l = l->next)
        n += !CONTAINER((struct list *)(uintptr_t)l, struct background, link)->readonly;
    return n;
}

size_t gate_memory(const struct gate *g)
{
    return g->vm->heap.used;
}

size_t gate_running(const struct gate *g)
{
    size_t n = g->busy;
    const struct list *tasks = &g->vm->background;
    for (const struct list *l = tasks->next; l != tasks; l = l->next)
        n++;
    return n;
}

size_t gate_tasks(struct gate *g, struct gate_task *out, size_t max)
{
    size_t n = 0;
    CHECK(g, GATE_MAGIC);
    for (struct list *l = g->visits.next; l != &g->visits && n < max; l = l->next)
        visit_describe(CONTAINER(l, struct visit, link), &out[n++]);
    struct list *tasks = &g->vm->background;
    for (struct list *l = tasks->next; l != tasks && n < max; l = l->next)
        background_describe(CONTAINER(l, struct background, link), &out[n++]);
    return n;
}

void gate_free(struct gate *g)
{
    if (!g)
        return;
    CHECK(g, GATE_MAGIC);
    assert(gate_busy(g) == 0);
    vm_free(g->vm);
    POISON(g);
    free(g);
}
