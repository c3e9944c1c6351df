/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/files.h"

#include "base/clock.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "loop/job.h"
#include "loop/timer.h"
#include "lua/background.h"
#include "lua/json.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_EVERY NS_PER_S
#define SETTLED (2 * NS_PER_S) /* a file that changed later may change unseen */

struct file {
    char *path, *name;
    bool json;
    int ref; /* the table whose `value` it is, in the registry */

    /* what was seen last; the job's while one looks */
    struct stat seen;
    bool settled;
    uint8_t sum[DIGEST_MAX]; /* SHA-256 of the content */

    /* what a look has found; a change with neither is an error, which `fault` says */
    bool changed;
    char *text;
    size_t n;
    json_t *tree;
    char *fault;
};

struct watcher {
    struct vm *vm;
    struct file *files[FILES_MAX];
    size_t n;
    struct timer timer;
    struct lane *lane;
    struct job job;
    bool stopped;
};

/* -- looking, on any thread -------------------------------------------------------- */

static int read_all(int fd, size_t size, char **out, size_t *n)
{
    char *text = xalloc(size + 1);
    size_t got = 0;
    while (got < size) {
        ssize_t r = read(fd, text + got, size - got);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0) {
            int rc = -errno;
            free(text);
            return rc;
        }
        if (r == 0)
            break;
        got += (size_t)r;
    }
    *out = text;
    *n = got;
    return 0;
}

/* 0 and the owned content, with the file's state from before it was read: a change while
 * it is read is seen by the next look. */
static int read_file(const char *path, struct stat *st, char **text, size_t *n)
{
    int rc, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *text = NULL;
    *n = 0;
    if (fd < 0)
        return -errno;
    if (fstat(fd, st) != 0)
        rc = -errno;
    else if (!S_ISREG(st->st_mode))
        rc = -EISDIR;
    else if ((uint64_t)st->st_size > FILE_SIZE_MAX)
        rc = -EFBIG;
    else
        rc = read_all(fd, (size_t)st->st_size, text, n);
    close(fd);
    return rc;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static uint64_t modified(const struct stat *st)
{
    return (uint64_t)st->st_mtim.tv_sec * NS_PER_S + (uint64_t)st->st_mtim.tv_nsec;
}

/* The same content as last time is no change. */
static bool is_news(struct file *f, struct span content)
{
    struct digest d;
    uint8_t sum[DIGEST_MAX];
    digest_init(&d, DIGEST_SHA256);
    digest_update(&d, content.p, content.n);
    size_t n = digest_final(&d, sum);
    bool news = memcmp(f->sum, sum, n) != 0;
    memcpy(f->sum, sum, n);
    return news;
}

static void find_fault(struct file *f, char *fault)
{
    f->changed = is_news(f, span_of(fault));
    if (f->changed)
        f->fault = fault;
    else
        free(fault);
}

static void parse(struct file *f)
{
    struct json_fault fault;
    if (!f->json)
        return;
    if (json_parse((struct span){f->text, f->n}, &f->tree, &fault) != 0)
        f->fault =
            xasprintf("the JSON text is %s at byte %zu", fault.what, fault.position);
    free(f->text);
    f->text = NULL;
}

static void look(struct file *f)
{
    struct stat now;
    char *text;
    size_t n;
    if (stat(f->path, &now) == 0 && f->settled && is_same(&now, &f->seen))
        return;
    uint64_t wall = clock_wall();
    int rc = read_file(f->path, &f->seen, &text, &n);
    f->settled = rc == 0 && wall > modified(&f->seen) + SETTLED;
    if (rc != 0) {
        find_fault(f, xstrdup(rc == -EFBIG ? "larger than 16 MiB" : strerror(-rc)));
        return;
    }
    f->changed = is_news(f, (struct span){text, n});
    if (!f->changed) {
        free(text);
        return;
    }
    f->text = text;
    f->n = n;
    parse(f);
}

static void forget(struct file *f)
{
    free(f->text);
    free(f->fault);
    json_decref(f->tree);
    f->text = f->fault = NULL;
    f->tree = NULL;
    f->changed = false;
}

/* -- on the VM's worker ------------------------------------------------------------ */

/* Gives the table what was found. It may be a reader's (scripts/tidegate/file.lua), which
 * then runs. */
static int give(lua_State *L)
{
    const struct file *f = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, f->ref);
    if (f->tree)
        json_push(L, f->tree);
    else
        lua_pushlstring(L, f->text, f->n);
    lua_setfield(L, -2, "value");
    return 0;
}

static void settle(struct vm *vm, struct file *f)
{
    char *why = NULL;
    if (!f->changed)
        return;
    if (!f->fault)
        vm_call(vm, give, f, &why);
    if (f->fault || why)
        LOG_FIELDS(LOG_ERROR, "a file cannot be used, what was read last stays",
                   {"file", span_of(f->name)}, {"why", span_of(why ? why : f->fault)});
    else
        LOG_FIELDS(LOG_INFO, "file read again", {"file", span_of(f->name)});
    free(why);
    forget(f);
}

static void look_work(struct job *j)
{
    struct watcher *w = CONTAINER(j, struct watcher, job);
    for (size_t i = 0; i < w->n; i++)
        look(w->files[i]);
}

static void look_done(struct job *j)
{
    struct watcher *w = CONTAINER(j, struct watcher, job);
    struct vm *vm = w->vm;
    for (size_t i = 0; i < w->n; i++)
        settle(vm, w->files[i]);
    if (!w->stopped)
        timer_set(&w->timer, worker_now(vm->worker) + LOOK_EVERY);
    background_release(vm);
}

static void on_time(struct timer *t)
{
    struct watcher *w = CONTAINER(t, struct watcher, timer);
    w->job.work = look_work;
    w->job.done = look_done;
    background_hold(w->vm);
    job_submit(w->lane, &w->job);
}

void watcher_start(struct vm *vm)
{
    struct watcher *w = vm->watcher;
    if (!w)
        return;
    w->lane = lane_new("files", 1);
    timer_init(&w->timer, vm->worker, on_time);
    timer_set(&w->timer, worker_now(vm->worker) + LOOK_EVERY);
}

void watcher_stop(struct vm *vm)
{
    struct watcher *w = vm->watcher;
    if (!w)
        return;
    w->stopped = true;
    timer_clear(&w->timer);
}

void watcher_free(struct watcher *w)
{
    if (!w)
        return;
    timer_fini(&w->timer);
    lane_free(w->lane);
    for (size_t i = 0; i < w->n; i++) {
        forget(w->files[i]);
        free(w->files[i]->path);
        free(w->files[i]->name);
        free(w->files[i]);
    }
    free(w);
}

/* -- the binding ------------------------------------------------------------------- */

static struct file *add(struct vm *vm, const char *name, bool json)
{
    if (!vm->watcher) {
        vm->watcher = xalloc(sizeof *vm->watcher);
        vm->watcher->vm = vm;
    }
    struct file *f = xalloc(sizeof *f);
    f->name = xstrdup(name);
    f->path = name[0] == '/' ? xstrdup(name) : xasprintf("%s%s", vm->folder, name);
    f->json = json;
    f->ref = LUA_NOREF;
    vm->watcher->files[vm->watcher->n++] = f;
    return f;
}

/* core.file(name, json, table): the table's `value` is the content of the file, from now
 * on. While the script loads. */
static int l_file(lua_State *L)
{
    struct vm *vm = vm_of(L);
    const char *name = luaL_checkstring(L, 1);
    luaL_checktype(L, 3, LUA_TTABLE);
    if (!vm->loading)
        return vm_error(L, "gate.file: files are named while the script loads");
    if (vm->watcher && vm->watcher->n == FILES_MAX)
        return vm_error(L, "gate.file: more than %d files", FILES_MAX);
    struct file *f = add(vm, name, lua_toboolean(L, 2));
    lua_pushvalue(L, 3);
    f->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    look(f);
    if (f->fault)
        return vm_error(L, "gate.file: %s: %s", name, f->fault);
    lua_pushcfunction(L, give);
    lua_pushlightuserdata(L, f);
    lua_call(L, 1, 0);
    forget(f);
    return 0;
}

void l_files_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"file", l_file}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
