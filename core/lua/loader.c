/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/loader.h"
#include "lua/scripts.h"
#include "lua/vm.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <luajit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOURCE_MAX ((size_t)4 << 20) /* bytes of one file of Lua */
#define MODULE_MAX 128               /* bytes of a module's name */

/* registry keys, by address */
static const char loaded_key, core_key;

int loader_load_text(lua_State *L, struct span text, const char *chunk, bool compiled)
{
    int rc = luaL_loadbufferx(L, text.p, text.n, chunk, "t");
    if (rc == 0 && !compiled)
        luaJIT_setmode(L, -1, LUAJIT_MODE_ALLFUNC | LUAJIT_MODE_OFF);
    return rc;
}

/* 0 and an owned text, or -errno. */
static int read_source(const char *path, struct span *out)
{
    int rc = 0;
    char *text = NULL;
    size_t n = 0;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) != 0)
        rc = -errno;
    else if (!S_ISREG(st.st_mode))
        rc = -EISDIR;
    else if (st.st_size > (off_t)SOURCE_MAX)
        rc = -EFBIG;
    if (rc != 0)
        goto out;
    text = xalloc((size_t)st.st_size + 1);
    while (n < (size_t)st.st_size) {
        ssize_t got = read(fd, text + n, (size_t)st.st_size - n);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    *out = (struct span){text, n};
out:
    close(fd);
    return rc;
}

int loader_load_file(lua_State *L, const char *path)
{
    char chunk[PATH_MAX + 2];
    struct span text = {NULL, 0};
    int rc = read_source(path, &text);
    if (rc != 0) {
        lua_pushfstring(L, "%s: %s", path, strerror(-rc));
        return LUA_ERRFILE;
    }
    snprintf(chunk, sizeof chunk, "@%s", path);
    rc = loader_load_text(L, text, chunk, false);
    free((void *)(uintptr_t)text.p);
    return rc;
}

/* "apps.registry" to "apps/registry"; letters, digits, '_' and '-' between single dots.
 */
static bool module_path(const char *name, size_t n, char out[MODULE_MAX + 1])
{
    if (n == 0 || n > MODULE_MAX || name[0] == '.' || name[n - 1] == '.')
        return false;
    for (size_t i = 0; i < n; i++) {
        bool dot = name[i] == '.';
        if (dot ? name[i - 1] == '.'
                : !isalnum((unsigned char)name[i]) && name[i] != '_' && name[i] != '-')
            return false;
        out[i] = dot ? '/' : name[i];
    }
    out[n] = '\0';
    return true;
}

static const char *const forms[] = {"%s%s.lua", "%s%s/init.lua"};

#define NOT_THERE (-1)

/* Pushes the chunk and returns 0; or NOT_THERE; or a Lua status and its message. */
static int load_from_folder(lua_State *L, const char *folder, const char *path)
{
    char file[PATH_MAX];
    for (size_t i = 0; i < 2; i++) {
        int n = snprintf(file, sizeof file, forms[i], folder, path);
        if (n > 0 && n < (int)sizeof file && access(file, F_OK) == 0)
            return loader_load_file(L, file);
    }
    return NOT_THERE;
}

static int load_built_in(lua_State *L, const char *path)
{
    char name[MODULE_MAX + 16], chunk[MODULE_MAX + 17];
    for (size_t i = 0; i < 2; i++) {
        snprintf(name, sizeof name, forms[i], "", path);
        for (const struct script *s = scripts; s->name; s++) {
            if (strcmp(s->name, name) != 0)
                continue;
            snprintf(chunk, sizeof chunk, "=%s", name);
            struct span text = {s->begin, (size_t)(s->end - s->begin)};
            return loader_load_text(L, text, chunk, true);
        }
    }
    return NOT_THERE;
}

static int load_module(lua_State *L, const char *path)
{
    struct vm *vm = vm_of(L);
    int rc = NOT_THERE;
    const char *first = getenv("TIDEGATE_SCRIPTS");
    if (first && *first) {
        char folder[PATH_MAX];
        snprintf(folder, sizeof folder, "%s/", first);
        rc = load_from_folder(L, folder, path);
    }
    if (rc == NOT_THERE && vm->folder)
        rc = load_from_folder(L, vm->folder, path);
    if (rc == NOT_THERE)
        rc = load_built_in(L, path);
    return rc;
}

/* The table on top of the stack gets the name of the module that this file is, unless it
 * is one of the library's own. */
static void add_name(lua_State *L, const char *file)
{
    size_t n = strlen(file);
    if (n < 5 || strcmp(file + n - 4, ".lua") != 0 || strncmp(file, "tidegate/", 9) == 0)
        return;
    n -= n > 9 && strcmp(file + n - 9, "/init.lua") == 0 ? 9 : 4;
    lua_pushlstring(L, file, n);
    luaL_gsub(L, lua_tostring(L, -1), "/", ".");
    lua_pushboolean(L, 1);
    lua_rawset(L, -4);
    lua_pop(L, 1);
}

/* Pushes { name = true } for what could be required: built in, and beside the script. */
static void push_modules(lua_State *L)
{
    const char *folder = vm_of(L)->folder;
    lua_newtable(L);
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "tidegate");
    for (const struct script *s = scripts; s->name; s++)
        add_name(L, s->name);
    DIR *d = folder ? opendir(folder) : NULL;
    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.')
            add_name(L, e->d_name);
    if (d)
        closedir(d);
}

static bool is_private(const struct vm *vm)
{
    return vm->module && (strcmp(vm->module, "tidegate") == 0 ||
                          strncmp(vm->module, "tidegate.", 9) == 0);
}

/* The stack holds the name and the table of loaded modules. */
static int load_and_run(lua_State *L, const char *name, size_t n)
{
    struct vm *vm = vm_of(L);
    char path[MODULE_MAX + 1];
    if (!module_path(name, n, path))
        return vm_error(L, "require: '%s' is no module name", name);
    if (!vm->loading)
        return vm_error(L, "require '%s': modules are loaded while the script loads",
                        name);
    int rc = load_module(L, path);
    if (rc == NOT_THERE) {
        push_modules(L);
        loader_hint(L, name, lua_gettop(L));
        return vm_error(L,
                        "module '%s' not found (%s.lua or %s/init.lua, beside the "
                        "script or built in)%s",
                        name, path, path, lua_tostring(L, -1));
    }
    if (rc != 0)
        return lua_error(L);
    lua_pushboolean(L, 0); /* marks a module that is being loaded */
    lua_setfield(L, 2, name);
    const char *outer = vm->module;
    vm->module = name;
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    vm->module = outer;
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushboolean(L, 1);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, 2, name);
    return 1;
}

static int l_require(lua_State *L)
{
    size_t n;
    const char *name = luaL_checklstring(L, 1, &n);
    lua_settop(L, 1);
    if (strcmp(name, "tidegate.core") == 0 && is_private(vm_of(L))) {
        lua_pushlightuserdata(L, (void *)(uintptr_t)&core_key);
        lua_rawget(L, LUA_REGISTRYINDEX);
        return 1;
    }
    lua_pushlightuserdata(L, (void *)(uintptr_t)&loaded_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    lua_getfield(L, 2, name);
    if (lua_type(L, 3) == LUA_TBOOLEAN && !lua_toboolean(L, 3))
        return vm_error(L, "module '%s' requires itself", name);
    if (!lua_isnil(L, 3))
        return 1;
    lua_settop(L, 2);
    return load_and_run(L, name, n);
}

void loader_hint(lua_State *L, const char *wrong, int idx)
{
    int top = lua_gettop(L);
    lua_pushcfunction(L, l_require);
    lua_pushliteral(L, "tidegate.check");
    if (lua_pcall(L, 1, 1, 0) == 0) {
        lua_getfield(L, -1, "hint");
        lua_pushstring(L, wrong);
        lua_pushvalue(L, idx);
        if (lua_pcall(L, 2, 1, 0) == 0 && lua_isstring(L, -1)) {
            lua_replace(L, top + 1);
            lua_settop(L, top + 1);
            return;
        }
    }
    lua_settop(L, top);
    lua_pushliteral(L, "");
}

/* load(text, name, mode, environment): the mode is always "t". */
static int l_load(lua_State *L)
{
    size_t n;
    if (lua_type(L, 1) != LUA_TSTRING)
        return vm_error(L, "load: the chunk must be a string");
    const char *text = lua_tolstring(L, 1, &n);
    const char *name = luaL_optstring(L, 2, "=(load)");
    lua_settop(L, 4);
    if (loader_load_text(L, (struct span){text, n}, name, false) != 0) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    if (!lua_isnil(L, 4)) {
        lua_pushvalue(L, 4);
        lua_setfenv(L, -2);
    }
    return 1;
}

static void define(lua_State *L, const char *name, lua_CFunction f)
{
    lua_pushstring(L, name);
    lua_pushcfunction(L, f);
    lua_rawset(L, LUA_GLOBALSINDEX);
}

void loader_open(lua_State *L, lua_CFunction core)
{
    lua_pushlightuserdata(L, (void *)(uintptr_t)&loaded_key);
    lua_newtable(L);
    lua_rawset(L, LUA_REGISTRYINDEX);
    lua_pushlightuserdata(L, (void *)(uintptr_t)&core_key);
    lua_pushcfunction(L, core);
    lua_call(L, 0, 1);
    lua_rawset(L, LUA_REGISTRYINDEX);
    define(L, "require", l_require);
    define(L, "load", l_load);
    define(L, "loadstring", l_load);
}
