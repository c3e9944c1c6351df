/* SPDX-License-Identifier: Apache-2.0
 *
 * Our pattern functions beside LuaJIT's own, in one plain state: whatever they are given,
 * both must return the same, or fail with the same words. Then what only ours promise.
 */
#include "spec/unit/unit.h"

#include "lua/core.h"
#include "lua/pattern.h"
#include "lua/vm.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#define RANDOM_CASES 3000
#define MEMORY ((size_t)32 << 20)

/* The chunk gets both sets of functions and returns compare(subject, pattern, init), which
 * returns nothing or the difference. */
static const char comparer[] =
    "local theirs, ours = ...\n"
    "local by = { '', '<%0>', '%1', '%2-%1', '%%x%', 7,\n"
    "  function(...) return (...) end, function(a, b) return b end,\n"
    "  function() return {} end, function(a) error(a, 0) end,\n"
    "  { a = 'A', b = false, ab = 12, [1] = 'one' }, { a = true },\n"
    "  setmetatable({}, { __index = function(_, k) return k .. k end }) }\n"
    "local function show(...)\n"
    "  local t = {}\n"
    "  for i = 1, select('#', ...) do t[i] = ('%q'):format(tostring(select(i, ...))) "
    "end\n"
    "  return table.concat(t, ' ')\n"
    "end\n"
    "local function walk(lib, subject, pattern)\n"
    "  local out, next = {}, lib.gmatch(subject, pattern)\n"
    "  for i = 1, 40 do\n"
    "    out[i] = show(pcall(next))\n"
    "    if out[i] == '\"true\"' or out[i] == '\"true\" \"nil\"' then out[i] = nil break "
    "end\n"
    "  end\n"
    "  return table.concat(out, ', ')\n"
    "end\n"
    "local turn = 0\n"
    "return function(subject, pattern, init)\n"
    "  local function differ(name, f, ...)\n"
    "    local a, b = f(theirs, ...), f(ours, ...)\n"
    "    if a ~= b then return ('%s(%q, %q, %s): theirs %s, ours %s'):format(name, "
    "subject,\n"
    "      pattern, tostring(init), a, b) end\n"
    "  end\n"
    "  local function called(lib, name, ...) return show(pcall(lib[name], ...)) end\n"
    "  local e = differ('find', called, 'find', subject, pattern, init)\n"
    "    or differ('match', called, 'match', subject, pattern, init)\n"
    "    or differ('find', called, 'find', subject, pattern, init, true)\n"
    "    or differ('gmatch', walk, subject, pattern)\n"
    "  turn = turn % #by + 1\n"
    "  local r = by[turn]\n"
    "  return e or differ('gsub ' .. turn, called, 'gsub', subject, pattern, r)\n"
    "    or differ('gsub n', called, 'gsub', subject, pattern, r, init)\n"
    "end\n";

/* A state with compare() at index 1. */
static lua_State *comparer_make(void)
{
    lua_State *L = luaL_newstate();
    EXPECT(L);
    luaL_openlibs(L);
    EXPECT_EQ(luaL_loadstring(L, comparer), 0);
    lua_getglobal(L, "string");
    lua_newtable(L);
    l_pattern_open(L);
    lua_call(L, 2, 1);
    return L;
}

static void compare(lua_State *L, struct span subject, struct span pattern, int init)
{
    lua_pushvalue(L, 1);
    lua_pushlstring(L, subject.p, subject.n);
    lua_pushlstring(L, pattern.p, pattern.n);
    lua_pushinteger(L, init);
    if (lua_pcall(L, 3, 1, 0) != 0 || !lua_isnil(L, -1))
        unit_fail(__FILE__, __LINE__, "%s", lua_tostring(L, -1));
    lua_pop(L, 1);
}

static const char *const subjects[] = {
    "",
    "a",
    "b",
    "aaab",
    "abcabc",
    "key = value",
    "  trim me \t\n",
    "2026-11-22T01:35:17Z",
    "((a)(b))c)",
    "THE (quick) fox",
    "a.b-c_d%e[f]^g$",
    "x]y-z%",
    "\x80\xff\x01\x7f",
    "library/busybox:1.36@sha256:00ff",
    "\"quoted\" and 'quoted'",
};

static const char *const patterns[] = {
    /* bytes, anchors, classes */
    "", "a", "b", "abc", "^a", "^b", "a$", "c$", "^$", "^abc$", "$", "^", "^^", "a$b",
    "$a", "a^", ".", "..", "^.", ".$", "%a", "%c", "%d", "%g", "%l", "%p", "%s", "%u",
    "%w", "%x", "%z", "%A", "%C", "%D", "%G", "%L", "%P", "%S", "%U", "%W", "%X", "%Z",
    "%%", "%.", "%]", "%q", "%Q", "%-", "%^", "%$", "%(", "%)", "%\x80", "\xff",
    "[\x80-\xff]",
    /* repetition */
    "a*", "a+", "a-", "a?", "a*b", "a+b", "a-b", "a?b", "a*a", "a+a", "a-a", "a?a", ".*",
    ".+", ".-", ".?", "^.-$", ".-b", ".*b", ".+b.*c", "a-b-c", "%a*%d*", "%a-%d", "%s*$",
    "^%s*", "^%s*(.-)%s*$", "*", "+", "?", "-", "*a", "+a", "?a", "-a", "^*", "^+", "^-",
    "^?", "a**", "a*+", "a--", "a-*", "a??", "a?*", "a*?b", "%a+%s*=%s*%a+", "%%*", "%)*",
    ".-.-.-b",
    /* sets */
    "[a]", "[abc]", "[^a]", "[^abc]+", "[a-c]", "[^a-c]*", "[a-]", "[-a]", "[a-c-e]",
    "[]]", "[^]]", "[]a]", "[^]a]", "[]-a]", "[%]]", "[^%]]", "[%a]", "[^%a]", "[%a%d]",
    "[%a-z]", "[a-%%b]", "[a-%]]", "[%-]", "[%^]", "[a^]", "[^^]", "[+--]", "[--a]",
    "[z-a]", "[%w_.-]+", "[%W]", "[^%W]", "[%%]", "[.]", "[*]+", "[$]", "[()]", "[%",
    "[%]", "[", "[^", "[]", "[^]", "[a", "[a-", "[a-z", "a[", "x[", "[a]]", "[[]",
    "[[a]]", "[a-z]-%d", "[a-%%]", "[%z]", "[^%z]*", "[%q]", "[a-a]", "[%a-]", "[^-]",
    "[---]",
    /* captures */
    "()", "(a)", "(a*)", "(.)(.)", "(.-)(%s)", "((a)(b))", "(()a())", "(a)(b)?", "()()()",
    "(a", "a)", "(", ")", "(()", "())", "(a))", "(.)%1", "(.)(.)%2%1", "(a*)%1", "(.-)%1",
    "%1", "%0", "%2", "(a)%2", "(%1)", "()%1", "(a%1", "([\"'])(.-)%1", "^(%a+) = (%a+)$",
    "(a*(.)%w(%s*))", "(%d+)-(%d+)-(%d+)", "^([^:@]+):?([^@]*)@?(.*)$", "((((a))))",
    "(.)*", "(a)-", "(a+)+b", "(%w+)/(%w+)", "()b()", "^()", "()$", "(^a)", "(a$)",
    "%f[%w]()",
    /* balance and frontier */
    "%b()", "%b((", "%b)(", "%baa", "%bab", "%b", "%b(", "x%b", "(%b())", "%b()%b()",
    "%b()*", "%b()c", "%b[]", "%b\"\"", "%f[%a]%a+", "%f[%A]", "%f[%z]", "%f[^%z]", "%f",
    "%fa", "%f[", "%f[a", "%f[a]", "%f[^a]", "%f[%u]%u+%f[%U]", "()%f[%d]%d+()",
    "%f[%a]*", "%F[a]", "%B()",
    /* ends */
    "%", "a%", "x%", "(%", "[a]%", "a*%", "a-%", "%%%"};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

TEST("pattern: the same as LuaJIT for every pattern of the table on every subject")
{
    static const int inits[] = {1, 0, 2, 3, 100, -1, -2, -100};
    lua_State *L = comparer_make();
    for (size_t i = 0; i < COUNT(patterns); i++)
        for (size_t j = 0; j < COUNT(subjects); j++)
            compare(L, span_of(subjects[j]), span_of(patterns[i]),
                    inits[(i + j) % COUNT(inits)]);
    lua_close(L);
}

TEST("pattern: the same as LuaJIT for every byte in every class")
{
    lua_State *L = comparer_make();
    char subject[256], pattern[8] = "[^%a]";
    for (int i = 0; i < 256; i++)
        subject[i] = (char)i;
    for (int c = 1; c < 256; c++) {
        pattern[3] = (char)c;
        compare(L, (struct span){subject, 256}, (struct span){pattern + 2, 2}, 1);
        compare(L, (struct span){subject, 256}, (struct span){pattern, 5}, 1);
    }
    lua_close(L);
}

TEST("pattern: the same as LuaJIT where there are too many captures or repetitions")
{
    static const char *const pieces[] = {"a?", "a*", "b-", "a", "()", "(a)", "%a"};
    char pattern[1024], subject[256];
    lua_State *L = comparer_make();
    memset(subject, 'a', sizeof subject);
    for (size_t i = 0; i < COUNT(pieces); i++)
        for (int n = 196; n <= 202; n++) {
            size_t at = 0;
            for (int k = 0; k < (pieces[i][0] == '(' ? n - 168 : n); k++)
                at += (size_t)sprintf(pattern + at, "%s", pieces[i]);
            compare(L, (struct span){subject, 250}, (struct span){pattern, at}, 1);
        }
    lua_close(L);
}

static size_t random_below(size_t n)
{
    return (size_t)(unit_random() % n);
}

/* Up to eight pieces, of which at most four repeat, so that theirs end in time. */
static size_t random_pattern(char *to)
{
    static const char *const plain[] = {
        "a", "b",    "c",    ".",     "%a", "%d",    "%W",   "%1",    "%2",
        "(", ")",    "()",   "(",     ")",  "[ab]",  "[^a]", "[%a]",  "$",
        "^", "%b()", "-",    "%f[a]", "]",  "[]]",   "[a-]", "[^%d]", "%s",
        "%", "(.)",  "[a-c", "%(",    "1 ", "%f[^b]"};
    static const char signs[] = "*+-?";
    size_t n = 0, repeats = 0, pieces = 1 + random_below(8);
    if (random_below(6) == 0)
        to[n++] = '^';
    for (size_t i = 0; i < pieces; i++) {
        n += (size_t)sprintf(to + n, "%s", plain[random_below(COUNT(plain))]);
        if (random_below(2) == 0 && repeats++ < 4)
            to[n++] = signs[random_below(4)];
    }
    if (random_below(8) == 0)
        to[n++] = '$';
    if (random_below(20) == 0)
        to[random_below(n)] = (char)(1 + random_below(255));
    return n;
}

TEST("pattern: the same as LuaJIT for random patterns and subjects")
{
    static const char letters[] = "aaaabbbc1 ()-]\0\xff";
    char pattern[64], subject[16];
    lua_State *L = comparer_make();
    for (int i = 0; i < RANDOM_CASES; i++) {
        size_t n = random_below(sizeof subject), pattern_n = random_pattern(pattern);
        for (size_t k = 0; k < n; k++)
            subject[k] = letters[random_below(sizeof letters - 1)];
        compare(L, (struct span){subject, n}, (struct span){pattern, pattern_n},
                (int)random_below(24) - 8);
    }
    lua_close(L);
}

TEST("pattern: nothing behind the end of a pattern or a subject is read")
{
    struct pattern p;
    for (size_t i = 0; i < COUNT(patterns); i++)
        for (size_t j = 0; j < 3; j++) {
            struct span text = span_of(patterns[i]), subject = span_of(subjects[3 + j]);
            text.p = unit_guarded(text.p, text.n);
            subject.p = unit_guarded(subject.p, subject.n);
            pattern_init(&p, text, subject, true);
            EXPECT(pattern_search(&p, 0) <= 1);
        }
}

TEST("pattern: work linear in a long subject fits the budget")
{
    static const struct {
        const char *piece, *pattern;
    } cases[] = {
        {"x", "y"},
        {"x", ".-y?$"},
        {"ab ", "%s+$"},
        {"ab ", "^([ab ]*)$"},
        {"ab", "b[^b]+b"},
        {"x", "[abcdefghijklmnopqrstuvw]+[0-9]*[ABCDEFGHIJKLMNOP]"},
        {"key=value&", "(%w+)=(%w+)$"},
        {"()", "%b()x"},
    };
    struct pattern p;
    size_t n = 64 << 10;
    char *subject = malloc(n);
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t k = 0; k < n; k++)
            subject[k] = cases[i].piece[k % strlen(cases[i].piece)];
        pattern_init(&p, span_of(cases[i].pattern), (struct span){subject, n}, true);
        int rc = pattern_search(&p, 0);
        if (rc < 0)
            unit_fail(__FILE__, __LINE__, "%s: %s", cases[i].pattern, err_name(rc));
    }
    free(subject);
}

/* Runs a text in the product's VM: it must fail with words that hold message, or succeed
 * if that is NULL. */
static void run(struct vm *vm, const char *text, const char *message)
{
    char *why = NULL;
    int rc = vm_run_text(vm, span_of(text), "@gate.lua", &why);
    if (!message && rc != 0)
        unit_fail(__FILE__, __LINE__, "%s: %s", text, why);
    if (message && (rc == 0 || !strstr(why, message)))
        unit_fail(__FILE__, __LINE__, "%s: said \"%s\", expected \"%s\"", text,
                  why ? why : "nothing", message);
    free(why);
}

TEST("pattern: what would take for ever is an error at the caller's place")
{
    static const char *const bombs[] = {
        "\nlocal s = ('a'):rep(200) s:find((('.-'):rep(4)) .. 'b')",
        "\nlocal s = ('a'):rep(200) s:match(('a*'):rep(8) .. 'b')",
        "\nlocal s = ('a'):rep(200) for _ in s:gmatch(('a-'):rep(8) .. 'b') do end",
        "\nlocal s = ('a'):rep(200) s:gsub(('a?'):rep(100) .. ('a'):rep(199), '')",
        "\nlocal s = ('('):rep(65536) s:find('%b()')",
        "\nlocal s = ('a'):rep(65536) s:find('(a*)%1b')",
        "\nlocal s = (' '):rep(65536) .. 'x' s:gsub('%s*$', '')",
        "\nlocal s = ('a'):rep(65536) s:gsub('', ('%0'):rep(65536))",
        "\nlocal s = ('a'):rep(65536) s:gsub('a', ('%%'):rep(100) .. s, 1000)",
    };
    struct vm *vm;
    EXPECT_EQ(vm_new((size_t)1 << 30, NULL, core_open, &vm), 0);
    for (size_t i = 0; i < COUNT(bombs); i++)
        run(vm, bombs[i], "gate.lua:2: pattern too expensive: given up after the ");
    vm_free(vm);
}

TEST("pattern: scripts get ours in every way there is")
{
    static const char *const texts[] = {
        "assert(('x').find == string.find and ('x').gsub == string.gsub)",
        "assert(('a\\0b'):find('\\0b$') == 2 and ('a\\0b'):match('[\\0]b') == '\\0b')",
        "assert(string.gfind == nil)",
    };
    struct vm *vm;
    EXPECT_EQ(vm_new(MEMORY, NULL, core_open, &vm), 0);
    for (size_t i = 0; i < COUNT(texts); i++)
        run(vm, texts[i], NULL);
    run(vm, "\n\n('x'):find('[')", "gate.lua:3: malformed pattern (missing ']')");
    run(vm, "\n('x'):find()", "gate.lua:2: bad argument #1 to 'find'");
    run(vm, "('x'):gsub('x')", "string/function/table expected");
    vm_free(vm);
}

TEST("pattern: a gsub that calls itself for ever is an error")
{
    struct vm *vm;
    EXPECT_EQ(vm_new(MEMORY, NULL, core_open, &vm), 0);
    run(vm, "local function f() return (('x'):gsub('x', f)) end f()", "stack overflow");
    run(vm,
        "local t = {} setmetatable(t, { __index = function() ('x'):gsub('x', t) end }) "
        "local _ = ('x'):gsub('x', t)",
        "stack overflow");
    run(vm, "assert(('x'):gsub('x', 'y') == 'y')", NULL);
    vm_free(vm);
}
