/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/unit.h"

#include "lua/core.h"
#include "lua/vm.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY ((size_t)32 << 20)

static int run(struct vm *vm, const char *text, char **why)
{
    *why = NULL;
    return vm_run_text(vm, span_of(text), "@gate.lua", why);
}

static struct vm *vm_make(size_t memory)
{
    struct vm *vm;
    EXPECT_EQ(vm_new(memory, NULL, core_open, &vm), 0);
    return vm;
}

/* Runs each text in one VM: it must fail with a message that holds the other. NULL: it
 * must succeed. */
struct script_case {
    const char *text, *message;
};

static void run_all(const struct script_case *cases, size_t n)
{
    struct vm *vm = vm_make(MEMORY);
    for (size_t i = 0; i < n; i++) {
        char *why;
        int rc = run(vm, cases[i].text, &why);
        if (!cases[i].message && rc != 0)
            unit_fail(__FILE__, __LINE__, "%s: %s", cases[i].text, why);
        if (cases[i].message && (rc != E_INVALID || !strstr(why, cases[i].message)))
            unit_fail(__FILE__, __LINE__, "%s: said \"%s\", expected \"%s\"",
                      cases[i].text, why ? why : "nothing", cases[i].message);
        free(why);
    }
    vm_free(vm);
}

#define RUN_ALL(cases) run_all(cases, sizeof(cases) / sizeof(cases)[0])

TEST("lua: the sandbox has nothing that leaves the script")
{
    static const char *const gone[] = {
        "io",       "ffi",     "jit",     "package",  "module", "dofile",
        "loadfile", "getfenv", "setfenv", "newproxy", "gcinfo", "collectgarbage",
        "print",
    };
    struct vm *vm = vm_make(MEMORY);
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++) {
        char *why, text[64], want[64];
        snprintf(text, sizeof text, "return %s", gone[i]);
        snprintf(want, sizeof want, "gate.lua:1: undeclared global '%s'", gone[i]);
        EXPECT_EQ(run(vm, text, &why), E_INVALID);
        EXPECT(strncmp(why, want, strlen(want)) == 0); /* what stands for it may follow */
        free(why);
    }
    vm_free(vm);
}

TEST("lua: libraries are reduced to what is harmless")
{
    static const struct script_case cases[] = {
        {"assert(os.exit == nil and os.execute == nil and os.remove == nil)", NULL},
        {"assert(os.getenv == nil and os.rename == nil and os.tmpname == nil)", NULL},
        {"assert(os.time() > 0 and os.date('%Y') and os.clock())", NULL},
        {"for name in pairs(debug) do assert(name == 'traceback', name) end", NULL},
        {"assert(string.dump == nil and ('x').dump == nil)", NULL},
        {"assert(getmetatable('') == false)", NULL},
        {"require 'ffi'", "module 'ffi' not found"},
        {"require 'string.buffer'", "module 'string.buffer' not found"},
        {"assert(bit.band(6, 3) == 2 and math.floor(1.5) == 1)", NULL},
    };
    RUN_ALL(cases);
}

TEST("lua: an undeclared global is an error that names it and its place")
{
    static const struct script_case cases[] = {
        {"\n\nlocal x = colour", "gate.lua:3: undeclared global 'colour'"},
        {"\ncount = 1", "gate.lua:2: assignment to undeclared global 'count'"},
        {"function helper() end", "assignment to undeclared global 'helper'"},
        {"_G.x = 1", "assignment to undeclared global 'x'"},
        {"setmetatable(_G, nil)", "protected"},
    };
    RUN_ALL(cases);
}

TEST("lua: load takes text and refuses bytecode")
{
    static const struct script_case cases[] = {
        {"assert(load('return 7')() == 7)", NULL},
        {"assert(loadstring('return ...')(3) == 3)", NULL},
        {"assert(load('x = 1; return x', '=t', 'b', {})() == 1)", NULL},
        {"local f, e = load('\\27LJ\\2\\2'); assert(f == nil and e)", NULL},
        {"local f, e = load('return +', '@piece'); assert(e:find('piece:1:'))", NULL},
        {"load(function() end)", "the chunk must be a string"},
        {"return +", "gate.lua:1:"},
    };
    RUN_ALL(cases);
}

TEST("lua: require finds built-in modules and refuses bad names")
{
    static const struct script_case cases[] = {
        {"assert(require('tidegate') == require 'tidegate')", NULL},
        {"require '../etc/passwd'", "is no module name"},
        {"require 'a..b'", "is no module name"},
        {"require '.a'", "is no module name"},
        {"require ''", "is no module name"},
        {"\nrequire 'nothing.here'", "gate.lua:2: module 'nothing.here' not found"},
        {"require 'tidegate.core'", "module 'tidegate.core' not found"},
    };
    RUN_ALL(cases);
}

TEST("lua: a mistake in a typed call is reported where it was made")
{
    static const struct script_case cases[] = {
        {"local g = require 'tidegate'\ng.config { listn = 1 }",
         "gate.lua:2: gate.config: unknown option 'listn', did you mean 'listen'?"},
        {"local g = require 'tidegate'\n\ng.config { limits = { idle = 'soon' } }",
         "gate.lua:3: gate.config: 'limits.idle' must be a duration"},
        {"local g = require 'tidegate'\ng.size 'big'", "gate.lua:2: INVALID: "},
        {"local g = require 'tidegate'\ng.store.fz {}", "did you mean 'fs'?"},
        {"error {}", "an error that is not a message"},
    };
    RUN_ALL(cases);
}

TEST("lua: what passes the cap fails alone and the VM goes on")
{
    struct vm *vm = vm_make((size_t)8 << 20);
    for (int i = 0; i < 3; i++) {
        char *why;
        EXPECT_EQ(run(vm, "local t = {} for i = 1, 1e8 do t[i] = {} end", &why),
                  E_INVALID);
        EXPECT_STR(why, "not enough memory");
        free(why);
        vm_settle(vm, true);
        EXPECT(vm->heap.used < (size_t)4 << 20);
        EXPECT_EQ(run(vm, "local t = {} for i = 1, 1000 do t[i] = {} end", &why), 0);
    }
    vm_free(vm);
}

TEST("lua: no string function takes the memory or the time of the process")
{
    static const struct script_case cases[] = {
        {"('x'):rep(1e9)", "not enough memory"},
        {"('x'):rep(1e6, ('y'):rep(1e6))", "not enough memory"},
        {"assert((''):rep(2^31 - 1) == '')", NULL},
        {"('%99999999d'):format(1)", "invalid option"},
        {"assert(#('%099d'):format(1) == 99)", NULL},
        {"local t, s = {}, ('x'):rep(1e6) for i = 1, 1e3 do t[i] = s end table.concat(t)",
         "not enough memory"},
        {"table.concat({}, '', -2^31, 2^31 - 1)", "invalid value"},
        {"('x'):rep(4e6):gsub('x', ('y'):rep(100))", "not enough memory"},
        {"('x'):rep(1e6):byte(1, -1)", "string slice too long"},
        {"assert(tonumber(('9'):rep(1e6)) > 0)", NULL},
        {"assert(('x'):rep(1e6):gsub('x', 'y') == ('y'):rep(1e6))", NULL},
    };
    RUN_ALL(cases);
}

TEST("lua: a VM whose cap is too small for itself is refused")
{
    struct vm *vm;
    EXPECT_EQ(vm_new((size_t)16 << 10, NULL, core_open, &vm), E_NO_SPACE);
}

TEST("lua: waiting is refused while the script loads")
{
    static const struct script_case cases[] = {
        {"require('tidegate').json.decode('{}')", NULL},
        {"local g = require 'tidegate'\ng.json.decode('[1,')",
         "INVALID: the JSON text is"},
    };
    RUN_ALL(cases);
}

TEST("lua: JSON makes the round trip")
{
    static const struct script_case cases[] = {
        {"local j = require('tidegate').json local t = "
         "'{\"a\":[],\"b\":{},\"c\":[1,2.5,-3],"
         "\"d\":null,\"e\":true,\"f\":\"\\\\u0000\\\\n\"}' "
         "assert(j.encode(j.decode(t)) == t, j.encode(j.decode(t)))",
         NULL},
        {"local j = require('tidegate').json "
         "assert(j.decode('null') == j.null and j.decode('[]')[1] == nil)",
         NULL},
        {"local j = require('tidegate').json assert(j.encode(j.array {}) == '[]')", NULL},
        {"local j = require('tidegate').json assert(j.encode {} == '{}')", NULL},
        {"local j = require('tidegate').json assert(j.encode(0.1) == '0.1')", NULL},
        {"local j = require('tidegate').json "
         "assert(j.encode(9007199254740991) == '9007199254740991')",
         NULL},
        {"local j = require('tidegate').json for _, n in ipairs { 0.1 + 0.2, 1 / 3, "
         "1.7976931348623157e308, -5e-324, 2^53 + 2, 123456789.12345678 } do "
         "assert(j.decode(j.encode { n })[1] == n, n) end",
         NULL},
    };
    RUN_ALL(cases);
}

TEST("lua: JSON that is not strict is refused with its position")
{
    static const struct script_case cases[] = {
        {"require('tidegate').json.decode('{\"a\":1,\"a\":2}')", "naming a member twice"},
        {"require('tidegate').json.decode(('['):rep(65))",
         "nested deeper than 64 levels at byte 64"},
        {"require('tidegate').json.decode(('['):rep(64) .. (']'):rep(64))", NULL},
        {"require('tidegate').json.decode('\\255')", "not valid at byte"},
        {"require('tidegate').json.decode('{} x')", "not valid at byte"},
        {"require('tidegate').json.decode('')", "not valid at byte 0"},
        {"require('tidegate').json.encode(0/0)",
         "gate.lua:1: gate.json.encode: a number is"},
        {"require('tidegate').json.encode { 1, x = 2 }", "neither a list nor an object"},
        {"require('tidegate').json.encode { [3] = 1 }", "neither a list nor an object"},
        {"require('tidegate').json.encode '\\255'", "a string is not UTF-8"},
        {"require('tidegate').json.encode { f = print_ or function() end }",
         "undeclared global 'print_'"},
        {"local t = {} t.t = t require('tidegate').json.encode(t)", "deeper than 64"},
        {"require('tidegate').json.encode(function() end)", "cannot be JSON"},
    };
    RUN_ALL(cases);
}

TEST("lua: hashes, encodings and random bytes")
{
    static const struct script_case cases[] = {
        {"assert(require('tidegate').hash('sha256', 'abc') == "
         "'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')",
         NULL},
        {"assert(require('tidegate').hmac('sha256', 'Jefe', 'what do ya want for "
         "nothing?') "
         "== '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843')",
         NULL},
        {"require('tidegate').hash('sha3', '')", "unknown algorithm \"sha3\""},
        {"require('tidegate').hash('md5', 7)", "a string is expected, got number"},
        {"local b = require('tidegate').base64 assert(b.encode('\\255\\254') == '//4=')",
         NULL},
        {"local b = require('tidegate').base64 assert(b.encode('\\255\\254', 'url') == "
         "'__4')",
         NULL},
        {"local b = require('tidegate').base64 assert(b.decode('__4', 'url') == "
         "'\\255\\254')",
         NULL},
        {"local b = require('tidegate').base64 assert(b.decode('a') == nil)", NULL},
        {"assert(#require('tidegate').random(32) == 32)", NULL},
        {"require('tidegate').random(0)", "from 1 to 1024"},
        {"local u = require('tidegate').uuid() assert(#u == 36 and u:sub(15, 15) == '4')",
         NULL},
        {"assert(require('tidegate').now() > 1.6e9)", NULL},
    };
    RUN_ALL(cases);
}
