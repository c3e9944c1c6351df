/* SPDX-License-Identifier: Apache-2.0
 *
 * Metrics of scripts. A family is named by light userdata: it lives as long as the
 * process.
 */
#include "base/metrics.h"
#include "loop/job.h"
#include "lua/core.h"
#include "lua/task.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

static void read_labels(lua_State *L, int idx, struct metric_spec *spec)
{
    size_t n = lua_objlen(L, idx);
    if (n > METRIC_LABELS_MAX)
        luaL_error(L, "at most %d labels", METRIC_LABELS_MAX);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, idx, (int)i + 1);
        spec->labels[i] = luaL_checkstring(L, -1); /* the table keeps it */
        lua_pop(L, 1);
    }
    spec->n_labels = n;
}

static void read_bounds(lua_State *L, int idx, struct metric_spec *spec)
{
    size_t n = lua_istable(L, idx) ? lua_objlen(L, idx) : 0;
    if (n > METRIC_BOUNDS_MAX)
        luaL_error(L, "at most %d buckets", METRIC_BOUNDS_MAX);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, idx, (int)i + 1);
        spec->bounds[i] = luaL_checknumber(L, -1);
        lua_pop(L, 1);
    }
    spec->n_bounds = n;
}

/* core.metric(kind, name, help, labels, buckets or nil, most) → family, or nil and a code
 * in the trial there is no family, and true */
static int l_metric(lua_State *L)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram", NULL};
    struct metric_family *f = NULL;
    struct metric_spec spec = {.kind =
                                   (enum metric_kind)luaL_checkoption(L, 1, NULL, kinds),
                               .name = luaL_checkstring(L, 2),
                               .help = luaL_checkstring(L, 3),
                               .most = (size_t)luaL_checkinteger(L, 6)};
    luaL_checktype(L, 4, LUA_TTABLE);
    read_labels(L, 4, &spec);
    read_bounds(L, 5, &spec);
    int rc = metrics_family(&spec, vm_of(L)->worker ? &f : NULL);
    if (rc) {
        lua_pushnil(L);
        lua_pushstring(L, err_name(rc));
        return 2;
    }
    if (f)
        lua_pushlightuserdata(L, f);
    else
        lua_pushboolean(L, 1);
    return 1;
}

/* core.metric_change(family, how, number, values…): "add", "set" or "observe" */
static int l_metric_change(lua_State *L)
{
    struct metric_family *f = lua_touserdata(L, 1);
    const char *how = luaL_checkstring(L, 2);
    lua_Number number = luaL_checknumber(L, 3);
    struct span values[METRIC_LABELS_MAX];
    if (!f)
        return 0; /* a trial counts nothing */
    for (int i = 0; i < METRIC_LABELS_MAX; i++) {
        values[i] = SPAN_LIT("");
        if (lua_type(L, 4 + i) == LUA_TSTRING || lua_type(L, 4 + i) == LUA_TNUMBER)
            values[i].p = lua_tolstring(L, 4 + i, &values[i].n);
    }
    struct metric *m = metrics_get(f, values);
    if (*how == 'a')
        metric_add(m, number);
    else if (*how == 's')
        metric_set(m, number);
    else
        metric_observe(m, number);
    return 0;
}

struct text_wait {
    struct job job;
    struct task *task;
    char *text;
    size_t n;
};

static void text_work(struct job *j)
{
    struct text_wait *w = CONTAINER(j, struct text_wait, job);
    w->text = metrics_text(&w->n);
}

static void text_done(struct job *j)
{
    task_wake(CONTAINER(j, struct text_wait, job)->task);
}

static int text_result(lua_State *L, void *room)
{
    const struct text_wait *w = room;
    lua_pushboolean(L, 1);
    lua_pushlstring(L, w->text, w->n);
    return 2;
}

static void text_drop(void *room)
{
    free(((struct text_wait *)room)->text);
}

/* core.metrics_text(): by core.result(). On the pool, for it looks at files, too. */
static int l_metrics_text(lua_State *L)
{
    static const struct wait_kind kind = {"gate.metrics", text_result, NULL, text_drop};
    struct task *t = task_may_wait(L, kind.name);
    struct text_wait *w = task_room(t, sizeof *w);
    if (!w)
        return 0;
    *w = (struct text_wait){.task = t};
    w->job.work = text_work;
    w->job.done = text_done;
    task_arm(t, &kind);
    job_submit(lane_cpu(), &w->job);
    return task_wait(L, t);
}

void l_metrics_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"metric", l_metric},
        {"metric_change", l_metric_change},
        {"metrics_text", l_metrics_text},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
