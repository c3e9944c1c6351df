/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/unit.h"

#include "lua/core.h"
#include "lua/loader.h"
#include "lua/task.h"

#include "base/clock.h"
#include "base/log.h"
#include "loop/job.h"

#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEMORY ((size_t)32 << 20)
#define LIMIT (20 * NS_PER_MS)

/* ThreadSanitizer holds a signal back until a function of the C library is called: a loop
 * in Lua is then stopped by nothing. */
#if defined(__SANITIZE_THREAD__)
#define SIGNALS_COME 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SIGNALS_COME 0
#endif
#endif
#ifndef SIGNALS_COME
#define SIGNALS_COME 1
#endif

static int ends;
static bool compiled;
static char last_text[128], last_stop[512];

static struct vm *vm_make(void)
{
    struct vm *vm;
    EXPECT_EQ(vm_new(MEMORY, NULL, core_open, &vm), 0);
    vm->watch.limit = LIMIT;
    return vm;
}

static void ended(struct task *t, int status)
{
    const char *text = !t->stopped && lua_gettop(t->L) > 0 ? lua_tostring(t->L, -1) : "";
    snprintf(last_text, sizeof last_text, "%s", text ? text : "");
    snprintf(last_stop, sizeof last_stop, "%s", t->stopped ? t->stopped : "");
    EXPECT(!t->stopped || status != 0);
    ends++;
}

static int push_chunk(lua_State *L, struct task *t)
{
    const char *text = t->owner;
    if (loader_load_text(L, span_of(text), "@task.lua", compiled) != 0)
        return lua_error(L);
    return 1;
}

static void run(struct vm *vm, const char *text)
{
    struct task *t;
    ends = 0;
    EXPECT_EQ(task_start(vm, push_chunk, ended, (void *)(uintptr_t)text, &t), 0);
    EXPECT_EQ(ends, 1);
    task_free(t);
    vm_settle(vm, true);
}

TEST("lua watchdog: nothing that a script does gets away from it")
{
    static const char *const cases[] = {
        "while true do end",
        "repeat until false",
        "::again:: goto again",
        "local function f() return f() end f()",
        "local function f() while true do end end while true do pcall(f) end",
        "local function f() while true do pcall(f) end end f()",
        "while true do xpcall(function() while true do end end, function() end) end",
        "xpcall(error, function() while true do end end)",
        "local function f() while true do end end\n"
        "xpcall(function() table.sort({ 1, 2, 3 }, f) end, f)",
        "while true do pcall(table.sort, { 1, 2, 3 }, function() while true do end end) "
        "end",
        "local s = ('x'):rep(99) while true do s:gsub('x', function() return 'y' end) "
        "end",
        "while true do pcall(coroutine.wrap(function() while true do end end)) end",
        "local c = coroutine.wrap(function() while true do coroutine.yield() end end)\n"
        "while true do c() end",
        "while true do coroutine.resume(coroutine.create(function()\n"
        "  while true do pcall(function() while true do end end) end end)) end",
        "tostring(setmetatable({}, { __tostring = function() while true do end end }))",
        "local t = setmetatable({}, { __index = function() while true do end end })\n"
        "while true do pcall(function() return t.x end) end",
        "for _ in function() return 1 end do end",
        "while true do pcall(load, 'return 1') end",
        "local t = {} while true do pcall(function()\n"
        "  for i = 1, 1e7 do t[#t + 1] = { i } end end) end",
    };
    struct vm *vm = vm_make();
    for (size_t i = 0; SIGNALS_COME && i < sizeof cases / sizeof cases[0]; i++) {
        run(vm, cases[i]);
        if (!strstr(last_stop, "task.lua:"))
            unit_fail(__FILE__, __LINE__, "%s: ended with \"%s\", stopped at \"%s\"",
                      cases[i], last_text, last_stop);
        run(vm, "local n = 0 for i = 1, 1000 do n = n + i end return n");
        EXPECT_STR(last_text, "500500");
    }
    vm_free(vm);
}

TEST("lua watchdog: a hook set while compiled code runs is there when it ends")
{
    static const char *const cases[] = {
        "local spin = load('while true do end', '@task.lua')\n"
        "local x = 0 for i = 1, 5e7 do x = x + i end spin()",
        "local step = load('return ...', '@task.lua')\n"
        "local x = 0 while true do x = x + step(1) end",
        "local step = load('return ...', '@task.lua')\n"
        "while true do local x = 0 for i = 1, 1e5 do x = x + i end step(x) end",
        "local fail = load('error(1)', '@task.lua') while true do pcall(fail) end",
    };
    struct vm *vm = vm_make();
    compiled = true;
    for (size_t i = 0; SIGNALS_COME && i < sizeof cases / sizeof cases[0]; i++) {
        run(vm, cases[i]);
        if (!strstr(last_stop, "task.lua:"))
            unit_fail(__FILE__, __LINE__, "%s: ended with \"%s\", stopped at \"%s\"",
                      cases[i], last_text, last_stop);
    }
    vm_free(vm);
}

TEST("lua watchdog: a script that does not come to its end is refused with its place")
{
    static const char *const cases[] = {
        "\nwhile true do end",
        "local function f()\nwhile true do end end while true do pcall(f) end",
        "xpcall(function()\nwhile true do end end, function() while true do end end)",
    };
    for (size_t i = 0; SIGNALS_COME && i < sizeof cases / sizeof cases[0]; i++) {
        struct vm *vm = vm_make();
        char *why = NULL;
        EXPECT_EQ(vm_run_text(vm, span_of(cases[i]), "@gate.lua", &why), E_INVALID);
        if (!strstr(why, "the script worked for more than 0.02 s before it was loaded") ||
            strncmp(why, "gate.lua:", 9) != 0)
            unit_fail(__FILE__, __LINE__, "said \"%s\"", why);
        free(why);
        EXPECT_EQ(vm_run_text(vm, span_of("return 1"), "@gate.lua", &why), 0);
        vm_free(vm);
    }
}

static int l_signal(lua_State *L)
{
    (void)L;
    raise(SIGURG);
    return 0;
}

static int push_signal(lua_State *L, struct task *t)
{
    (void)t;
    if (luaL_loadstring(L, "local f = ... for i = 1, 100 do f() end return 'fine'") != 0)
        return lua_error(L);
    lua_pushcfunction(L, l_signal);
    return 2;
}

struct loading {
    struct job job;
    int rc;
    char *why;
};

static void load_in_job(struct job *job)
{
    struct loading *l = CONTAINER(job, struct loading, job);
    struct vm *vm = vm_make();
    l->rc = vm_run_text(vm, SPAN_LIT("\nwhile true do end"), "@load.lua", &l->why);
    vm_free(vm);
}

TEST("lua watchdog: a script that is loaded by a job is stopped, too")
{
    struct loading l = {.job = {.work = load_in_job}};
    EXPECT_EQ(pool_start(1), 0);
    if (SIGNALS_COME)
        job_submit(lane_cpu(), &l.job);
    pool_stop();
    EXPECT(!SIGNALS_COME || (l.rc == E_INVALID && strstr(l.why, "load.lua:2: ")));
    free(l.why);
}

TEST("lua watchdog: a signal that condemns no slice does nothing")
{
    struct vm *vm = vm_make();
    struct task *t;
    raise(SIGURG);
    EXPECT_EQ(task_start(vm, push_signal, ended, NULL, &t), 0);
    EXPECT_STR(last_text, "fine");
    EXPECT(!vm->watch.hooked);
    task_free(t);
    vm->watch.condemned = vm->watch.count; /* as if it came too late */
    raise(SIGURG);
    EXPECT(!vm->watch.hooked);
    vm_free(vm);
}

TEST("lua watchdog: many short slices are not a long one")
{
    struct vm *vm = vm_make();
    uint64_t end = clock_now() + 5 * LIMIT;
    while (clock_now() < end) {
        run(vm, "local n = 0 for i = 1, 1000 do n = n + i end return n");
        EXPECT_STR(last_text, "500500");
    }
    vm_free(vm);
}

static int l_forever(lua_State *L)
{
    for (volatile bool on = true; on;)
        ;
    (void)L;
    return 0;
}

static int push_forever(lua_State *L, struct task *t)
{
    (void)t;
    lua_pushcfunction(L, l_forever);
    return 1;
}

TEST("lua watchdog: what no hook can stop ends the process")
{
    pid_t pid = fork();
    EXPECT(pid >= 0);
    if (pid == 0) {
        struct task *t;
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        log_setup(-1, LOG_ERROR, false);
        struct vm *vm = vm_make();
        vm->watch.grace = LIMIT;
        task_start(vm, push_forever, ended, NULL, &t);
        _exit(0);
    }
    int status;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

TEST("lua watchdog: levels of C meet the end of the stack as an error")
{
    static const char *const cases[] = {
        "local function f() return coroutine.wrap(f)() end f()",
        "local function f()\n"
        "  local ok, e = coroutine.resume(coroutine.create(f))\n"
        "  if not ok then error(e, 0) end\n"
        "end f()",
        "local function f() return (('x'):gsub('x', coroutine.wrap(f))) end f()",
        "local function f() table.sort({ 1, 2, 3 }, f) end f()",
    };
    struct vm *vm = vm_make();
    vm->watch.limit = VM_LOAD_LIMIT;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        run(vm, cases[i]);
        if (!strstr(last_text, "stack overflow"))
            unit_fail(__FILE__, __LINE__, "%s: said \"%s\"", cases[i], last_text);
    }
    vm_free(vm);
}
