/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/told.h"

#include "lua/background.h"
#include "lua/core.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

struct told {
    struct source source; /* the pipe's until it is closed */
    struct hold hold;     /* the task's until that is over */
    struct task *task;
    struct visit *visit; /* NULL once the request has ended */
    struct call wake;    /* the write is over */
    struct span text;    /* what is left of it; on the task's stack */
    uint8_t *buf;        /* of the pull */
    size_t cap;          /* 0: only asked whether one is worth it */
    bool pulling, whole, over, closed;
    char id[REQ_ID_SIZE];
};

static struct told *told_of(struct source *s)
{
    CHECK(s, SOURCE_MAGIC);
    return CONTAINER(s, struct told, source);
}

static void end_write(struct told *o)
{
    o->text = (struct span){NULL, 0};
    if (!o->wake.queued)
        worker_defer(o->task->vm->worker, &o->wake);
}

/* The most that can be given now; false when there is nothing to say yet. */
static bool give(struct told *o, ssize_t *n)
{
    if (o->text.n == 0) {
        *n = !o->whole ? E_CANCELLED : o->cap ? 0 : 1;
        return o->whole || o->over;
    }
    size_t take = o->text.n < o->cap ? o->text.n : o->cap;
    *n = o->cap ? (ssize_t)take : 1;
    if (take)
        memcpy(o->buf, o->text.p, take);
    o->text = (struct span){o->text.p + take, o->text.n - take};
    if (o->text.n == 0)
        end_write(o);
    return true;
}

static void serve(struct told *o)
{
    ssize_t n;
    if (!o->pulling || !give(o, &n))
        return;
    o->pulling = false;
    source_answer(&o->source, n);
}

static void told_pull(struct source *s, uint8_t *buf, size_t cap)
{
    struct told *o = told_of(s);
    o->buf = buf;
    o->cap = cap;
    o->pulling = true;
    serve(o);
}

static void told_await(struct source *s)
{
    told_pull(s, NULL, 0);
}

static void told_cancel(struct source *s)
{
    struct told *o = told_of(s);
    if (!o->pulling)
        return;
    o->pulling = false;
    source_answer(s, E_CANCELLED);
}

static void told_forget(struct told *o)
{
    if (o->closed && o->over)
        free(o);
}

static void told_close(struct source *s)
{
    struct told *o = CONTAINER(s, struct told, source);
    o->closed = true;
    told_forget(o);
}

static const struct source_ops told_ops = {.name = "reply function",
                                           .pull = told_pull,
                                           .await = told_await,
                                           .cancel = told_cancel,
                                           .close = told_close};

static void told_release(struct hold *h)
{
    (void)h; /* told_ended follows at once */
}

static const struct hold_kind told_kind = {"reply", told_release};

static void told_ended(struct task *t, int status)
{
    struct told *o = t->owner;
    struct vm *vm = t->vm;
    bool exhausted = status == LUA_ERRMEM || t->stopped;
    if (status != 0 && !t->cancelled)
        task_log_death(t, status);
    o->over = true;
    o->task = NULL;
    if (o->visit) {
        o->visit->told = NULL;
        o->visit->task = NULL;
    }
    task_free(t);
    if (!o->closed)
        serve(o);
    told_forget(o);
    vm_settle(vm, exhausted);
    background_release(vm);
}

void told_leave(struct visit *v)
{
    struct told *o = v->told;
    o->visit = NULL;
    v->told = NULL;
    hold_release(&v->hold);
    task_cancel(o->task);
}

static void on_wake(struct call *c)
{
    task_wake(CONTAINER(c, struct told, wake)->task);
}

/* The request's body has to be closed before the reply. */
static void close_body(struct task *t)
{
    for (struct list *l = t->holds.next, *next; l != &t->holds; l = next) {
        struct hold *h = CONTAINER(l, struct hold, link);
        next = l->next;
        if (h->kind == &stream_kind && CONTAINER(h, struct stream_hold, hold)->body)
            hold_release(h);
    }
}

/* core.tell(request) → what core.write takes. core.reply has made the reply, without a
 * body; it is sent now. */
static int l_tell(lua_State *L)
{
    struct visit *v = CONTAINER(box_check(L, 1, &visit_kind), struct visit, hold);
    struct task *t = v->hold.task;
    assert(v->ready && !v->told);
    struct told *o = xalloc(sizeof *o);
    hold_add(t, &o->hold, &told_kind);
    source_init(&o->source, &told_ops, SIZE_UNKNOWN);
    o->task = t;
    o->visit = v;
    o->wake.fn = on_wake;
    memcpy(o->id, v->req->id, sizeof o->id);
    v->told = o;
    v->reply.source = &o->source;
    t->id = o->id;
    t->upload = NULL;
    t->owner = o;
    t->ended = told_ended;
    background_hold(t->vm);
    close_body(t);
    req_reply(v->req, &v->reply);
    box_push(L, &o->hold);
    return 1;
}

static int write_result(lua_State *L, void *room)
{
    (void)room;
    lua_pushboolean(L, 1);
    return 1;
}

static void write_cancel(void *room)
{
    end_write(*(struct told **)room);
}

static struct told *told_at(lua_State *L)
{
    return CONTAINER(box_check(L, 1, &told_kind), struct told, hold);
}

/* core.write(reply, text): waits until the pipe has taken it */
static int l_write(lua_State *L)
{
    static const struct wait_kind kind = {"write", write_result, write_cancel, NULL};
    struct task *t = task_may_wait(L, kind.name);
    struct told *o = told_at(L);
    struct span text;
    if (lua_type(L, 2) != LUA_TSTRING && lua_type(L, 2) != LUA_TNUMBER)
        return vm_error(L, "write: a string is expected, got %s", luaL_typename(L, 2));
    text.p = lua_tolstring(L, 2, &text.n);
    if (o->closed)
        return task_refuse(t, E_GONE);
    struct told **room = task_room(t, sizeof(struct told *));
    if (!room)
        return 0;
    *room = o;
    task_arm(t, &kind);
    t->moves = task_is_patient; /* the reply has deadlines of its own */
    if (text.n == 0)
        return 0;
    o->text = text;
    serve(o);
    return task_wait(L, t);
}

/* core.told(reply): it is whole */
static int l_told(lua_State *L)
{
    struct told *o = told_at(L);
    o->whole = true;
    if (!o->closed)
        serve(o);
    return 0;
}

void l_told_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"tell", l_tell}, {"write", l_write}, {"told", l_told}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
