/* SPDX-License-Identifier: Apache-2.0 */
#include "lua/json.h"
#include "base/err.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define EXACT 9007199254740992.0 /* 2^53: integers below are exact in a Lua number */

static const char array_key; /* in the registry, by address */

/* Looks at the structure only, before the parser allocates: how deep it is and how many
 * values it may hold. */
static int scan(struct span text, struct json_fault *fault)
{
    size_t depth = 0, values = 1;
    bool quoted = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
            continue;
        }
        if (c == '"')
            quoted = true;
        else if (c == '[' || c == '{')
            depth++;
        else if ((c == ']' || c == '}') && depth > 0)
            depth--;
        values += c == ',' || c == '[' || c == '{';
        if (depth > JSON_DEPTH || values > JSON_VALUES_MAX) {
            *fault =
                (struct json_fault){depth > JSON_DEPTH ? "nested deeper than 64 levels"
                                                       : "of more than 1048576 values",
                                    i};
            return E_INVALID;
        }
    }
    return 0;
}

int json_parse(struct span text, json_t **out, struct json_fault *fault)
{
    json_error_t error;
    if (text.n > JSON_TEXT_MAX) {
        *fault = (struct json_fault){"longer than 64 MiB", JSON_TEXT_MAX};
        return E_INVALID;
    }
    if (scan(text, fault) != 0)
        return E_INVALID;
    json_t *tree =
        json_loadb(text.p, text.n,
                   JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!tree) {
        bool twice = json_error_code(&error) == json_error_duplicate_key;
        *fault = (struct json_fault){twice ? "naming a member twice" : "not valid",
                                     error.position > 0 ? (size_t)error.position : 0};
        return E_INVALID;
    }
    *out = tree;
    return 0;
}

void json_array_meta(lua_State *L)
{
    lua_pushlightuserdata(L, (void *)(uintptr_t)&array_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    if (!lua_isnil(L, -1))
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushlightuserdata(L, (void *)(uintptr_t)&array_key);
    lua_pushvalue(L, -2);
    lua_rawset(L, LUA_REGISTRYINDEX);
}

static void push_array(lua_State *L, const json_t *value)
{
    size_t n = json_array_size(value);
    lua_createtable(L, (int)n, 0);
    json_array_meta(L);
    lua_setmetatable(L, -2);
    for (size_t i = 0; i < n; i++) {
        json_push(L, json_array_get(value, i));
        lua_rawseti(L, -2, (int)i + 1);
    }
}

static void push_object(lua_State *L, const json_t *value)
{
    json_t *object = (json_t *)(uintptr_t)value;
    lua_createtable(L, 0, (int)json_object_size(value));
    for (void *i = json_object_iter(object); i; i = json_object_iter_next(object, i)) {
        lua_pushstring(L, json_object_iter_key(i));
        json_push(L, json_object_iter_value(i));
        lua_rawset(L, -3);
    }
}

void json_push(lua_State *L, const json_t *value)
{
    luaL_checkstack(L, 4, "JSON");
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        push_object(L, value);
        break;
    case JSON_ARRAY:
        push_array(L, value);
        break;
    case JSON_STRING:
        lua_pushlstring(L, json_string_value(value), json_string_length(value));
        break;
    case JSON_NULL:
        lua_pushlightuserdata(L, NULL);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        lua_pushboolean(L, json_is_true(value));
        break;
    default:
        lua_pushnumber(L, json_number_value(value));
    }
}

static json_t *tree_of(lua_State *L, int idx, size_t depth, const char **what);

static bool is_array(lua_State *L, int idx)
{
    bool marked = false;
    if (lua_getmetatable(L, idx)) {
        lua_pushlightuserdata(L, (void *)(uintptr_t)&array_key);
        lua_rawget(L, LUA_REGISTRYINDEX);
        marked = lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
    }
    return marked || lua_objlen(L, idx) > 0;
}

static json_t *tree_of_array(lua_State *L, int idx, size_t depth, const char **what)
{
    size_t n = lua_objlen(L, idx), seen = 0;
    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1))
        seen++;
    if (seen != n) {
        *what = "a table is neither a list nor an object";
        return NULL;
    }
    json_t *array = json_array();
    for (size_t i = 1; i <= n; i++) {
        lua_rawgeti(L, idx, (int)i);
        json_t *value = tree_of(L, lua_gettop(L), depth + 1, what);
        lua_pop(L, 1);
        if (json_array_append_new(array, value) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *tree_of_object(lua_State *L, int idx, size_t depth, const char **what)
{
    json_t *object = json_object();
    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
        json_t *value = NULL;
        size_t n = 0;
        const char *key = NULL;
        if (lua_type(L, -2) == LUA_TSTRING)
            key = lua_tolstring(L, -2, &n);
        if (!key)
            *what = "a table is neither a list nor an object";
        else
            value = tree_of(L, lua_gettop(L), depth + 1, what);
        if (json_object_setn_new(object, key ? key : "", n, value) != 0) {
            if (value)
                *what = "a name is not UTF-8";
            lua_pop(L, 2);
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *tree_of_number(lua_Number n, const char **what)
{
    if (!isfinite(n)) {
        *what = "a number is not finite";
        return NULL;
    }
    if (n == floor(n) && fabs(n) <= EXACT)
        return json_integer((json_int_t)n);
    return json_real(n);
}

static json_t *tree_of_string(lua_State *L, int idx, const char **what)
{
    size_t n;
    const char *text = lua_tolstring(L, idx, &n);
    json_t *value = json_stringn(text, n);
    if (!value)
        *what = "a string is not UTF-8";
    return value;
}

static json_t *tree_of(lua_State *L, int idx, size_t depth, const char **what)
{
    if (depth > JSON_DEPTH || !lua_checkstack(L, 6)) {
        *what = "it is nested deeper than 64 levels";
        return NULL;
    }
    switch (lua_type(L, idx)) {
    case LUA_TTABLE:
        return is_array(L, idx) ? tree_of_array(L, idx, depth, what)
                                : tree_of_object(L, idx, depth, what);
    case LUA_TSTRING:
        return tree_of_string(L, idx, what);
    case LUA_TNUMBER:
        return tree_of_number(lua_tonumber(L, idx), what);
    case LUA_TBOOLEAN:
        return json_boolean(lua_toboolean(L, idx));
    case LUA_TLIGHTUSERDATA:
        return json_null();
    default:
        *what = "a function, a userdata or nil cannot be JSON";
        return NULL;
    }
}

json_t *json_tree(lua_State *L, int idx, const char **what)
{
    return tree_of(L, idx, 0, what);
}

/* 15 digits write 0.1 as people do; where they would change a number, 17 do not. */
static bool needs_17_digits(const json_t *value)
{
    char text[32];
    size_t i;
    json_t *item;
    void *at;
    switch (json_typeof(value)) {
    case JSON_REAL:
        snprintf(text, sizeof text, "%.15g", json_real_value(value));
        return strtod(text, NULL) != json_real_value(value);
    case JSON_ARRAY:
        json_array_foreach(value, i, item)
        {
            if (needs_17_digits(item))
                return true;
        }
        return false;
    case JSON_OBJECT:
        at = json_object_iter((json_t *)(uintptr_t)value);
        while (at && !needs_17_digits(json_object_iter_value(at)))
            at = json_object_iter_next((json_t *)(uintptr_t)value, at);
        return at != NULL;
    default:
        return false;
    }
}

char *json_text(const json_t *tree)
{
    size_t digits = needs_17_digits(tree) ? 17 : 15;
    return json_dumps(tree, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS |
                                JSON_REAL_PRECISION(digits));
}
