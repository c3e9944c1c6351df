/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON between text, jansson's trees and Lua. Strict on the way in: UTF-8, no duplicate
 * names, at most 64 levels, a bounded number of values, so that a text cannot cost more
 * than some times its own size.
 */
#ifndef LUA_JSON_H
#define LUA_JSON_H

#include "base/span.h"

#include <jansson.h>
#include <lua.h>

#define JSON_DEPTH 64
#define JSON_TEXT_MAX ((size_t)64 << 20) /* bytes */
#define JSON_VALUES_MAX ((size_t)1 << 20)

/* Where and how a text failed. */
struct json_fault {
    const char *what; /* "not valid", "nested deeper than 64 levels", … */
    size_t position;  /* in bytes from the start */
};

/* 0 and an owned tree, or E_INVALID and the fault. Pure: any thread. */
int json_parse(struct span text, json_t **out, struct json_fault *fault);

/* Pushes the value of a tree. Null is the light userdata NULL; arrays get the metatable
 * that json_array_meta pushes, so that empty ones stay arrays. Raises. */
void json_push(lua_State *L, const json_t *value);
void json_array_meta(lua_State *L);

/* The tree of the value at idx: owned, or NULL and *what. Does not raise. A table is an
 * array if it has that metatable or a first element, else an object. */
json_t *json_tree(lua_State *L, int idx, const char **what);

/* The text of a tree, without blanks, names in byte order; every number keeps its value.
 * Owned, from malloc. */
char *json_text(const json_t *tree);

#endif
