-- SPDX-License-Identifier: Apache-2.0
local checks = require "tidegate.check"
local lfs = require "lfs"
local tool = require "spec.tool"

local PROGRAM = os.getenv "TIDEGATE_BIN" or "build/tidegate"
if PROGRAM:sub(1, 1) ~= "/" then PROGRAM = lfs.currentdir() .. "/" .. PROGRAM end

local SCHEMA = {
  root = { "string", needed = true },
  durability = { "string", default = "sync", one_of = { "sync", "async" } },
  reserve = { "size", default = 5 },
  idle = "duration",
  count = { "integer", min = 1, max = 64 },
  limits = { fields = { head = { "duration", default = 10 }, buffers = "size" } },
}

local function open(options)
  local read = checks.check(options, SCHEMA, "gate.thing")
  return read
end

describe("the check of options", function()
  it("fills in defaults and reads units", function()
    assert.same({ root = "/", durability = "sync", reserve = 5, limits = { head = 10 } },
      open { root = "/" })
    assert.same({ root = "/", durability = "async", reserve = 2048, idle = 0.2, count = 3,
      limits = { head = 60, buffers = 1 } },
      open { root = "/", durability = "async", reserve = "2k", idle = "200ms", count = 3,
        limits = { head = "1m", buffers = 1 } })
  end)

  it("names what is wrong, and where", function()
    for _, case in ipairs {
      { { rot = "/" }, "gate.thing: unknown option 'rot', did you mean 'root'?" },
      { { root = "/", durabilty = 1 }, "did you mean 'durability'?" },
      { { root = "/", zzzzzzzz = 1 }, "unknown option 'zzzzzzzz'" },
      { { root = "/", "x" }, "unknown option '1'" },
      { {}, "gate.thing: 'root' is needed" },
      { { root = 1 }, "'root' must be a string" },
      { { root = "/", durability = "maybe" }, '\'durability\' must be "sync" or "async"' },
      { { root = "/", reserve = "much" }, "'reserve' must be a size such as \"64m\"" },
      { { root = "/", count = 0 }, "'count' must be from 1 to 64" },
      { { root = "/", count = 1.5 }, "'count' must be an integer" },
      { { root = "/", limits = { hed = 1 } }, "unknown option 'limits.hed', did you mean 'head'?" },
      { { root = "/", limits = { head = {} } }, "'limits.head' must be a duration" },
      { { root = "/", limits = 3 }, "limits: a table of options is expected, got number" },
      { "x", "gate.thing: a table of options is expected, got string" },
    } do
      local ok, message = pcall(function() open(case[1]) end)
      assert.is_false(ok)
      assert.truthy(message:find(case[2], 1, true), message)
      assert.truthy(message:find("^[^:]*check_spec.lua:%d+: "), message)
    end
  end)

  it("points at the line of the caller, from any depth", function()
    local line = debug.getinfo(1, "l").currentline
    local _, shallow = pcall(function() open { rot = 1 } end)
    local _, deep = pcall(function() open { root = "/", limits = { hed = 1 } } end)
    assert.truthy(shallow:find((":%d: "):format(line + 1), 1, true), shallow)
    assert.truthy(deep:find((":%d: "):format(line + 2), 1, true), deep)
  end)

  it("finds the nearest name, and none when all are far", function()
    local names = { listen = 1, workers = 1, log = 1 }
    assert.equal("listen", checks.nearest("listne", names))
    assert.equal("workers", checks.nearest("worker", names))
    assert.is_nil(checks.nearest("durability", names))
  end)
end)

-- The third line of a script, and what the message about it holds.
local BROKEN = {
  { 'gate.config { listne = ":5000" }', "unknown option 'listne', did you mean 'listen'?" },
  { 'registry { store = mem, alow = function() return true end }',
    "registry: unknown option 'alow', did you mean 'allow'?" },
  { 'registry { store = mem, on = { ["manifest.push"] = function() end } }',
    "'on' knows no 'manifest.push', did you mean 'manifest.pushed'?" },
  { 'registry { store = mem, allow = "yes" }', "'allow' must be a function, it is a string" },
  { 'gate.config { workers = "two" }', "'workers' must be an integer, it is a string" },
  { 'local x = require "apps.registy"',
    "module 'apps.registy' not found", "did you mean 'apps.registry'?" },
  { 'local x = require "hlper"', "module 'hlper' not found", "did you mean 'helper'?" },
  { 'gate.config { limits = { idle = "3 hours" } }',
    "'limits.idle' must be a duration such as \"30s\", it is \"3 hours\"" },
  { 'gate.store.fs { root = "/x", reserve = "64 mb" }', "it is \"64 mb\"" },
  { 'gate.store.fs { root = "/x", durability = "snyc" }',
    'must be "sync" or "async", it is "snyc"' },
  { 'gate.app { prefix = "/a" }:get("/{x}", print_ok):get("/{y}", print_ok)',
    "undeclared global 'print_ok'" },
  { 'local f = function() end gate.app {}:get("/{x}", f):get("/{y}", f)',
    "GET /{y} has the same shape as /{x}" },
  { 'stor = mem', "assignment to undeclared global 'stor'" },
  { 'local n = tonumbr "1"', "undeclared global 'tonumbr', did you mean 'tonumber'?" },
  { 'print "hello"', "gate.log.info writes to the log" },
  { 'gate.config { listen = ":5000"', "'}' expected" },
  { 'registry { allow = function() return true end }', "registry: 'store' is needed" },
  { 'gate.store.fss { root = "/x" }', "there is no kind 'fss', did you mean 'fs'?" },
  { 'gate.app {}:get("/{x", function() end)', "pattern /{x: {x} or {x...} must fill a whole" },
  { 'gate.glob("{a", "b")', "a '{' without its '}'" },
  { 'gate.config { listen = "localhost:5000" }', '"localhost:5000" is no address' },
  { 'gate.config { listen = { ":5000", ":70000" } }', 'listen[2]: ":70000" is no address' },
  { 'gate.sleep "1s"', "gate.sleep waits; it may be called by handlers" },
  { 'mem:put("a", "b")', "store:put waits" },
  { 'gate.confg {}', "gate has no 'confg', did you mean 'config'?" },
  { 'gate.log.inf "x"', "gate.log has no 'inf', did you mean 'info'?" },
  { 'gate.json.encod {}', "gate.json has no 'encod', did you mean 'encode'?" },
  { 'gate.app {}:gett("/x")', "an application has no 'gett', did you mean 'get'?" },
  { 'mem:att "x"', "a store has no 'att', did you mean 'at'?" },
  { 'gate.space { store = mem, key = function() end }:opn {}', "a space has no 'opn'" },
  { 'gate.serve { gate.health "/h", gate.health "/h" }', "two applications with the prefix '/h'" },
}

describe("tidegate check", function()
  local folder
  setup(function()
    folder = tool.tmpdir()
    tool.write(folder .. "/helper.lua", "return 1\n")
  end)
  teardown(function() tool.remove(folder) end)

  -- gate.config is the first call of a script, so a script with it has no store before
  local function check(code, more)
    local second = code:find("gate.config", 1, true) and ""
      or 'local mem = gate.store.mem { name = "x" }'
    tool.write(folder .. "/gate.lua", ('local gate = require "tidegate"\n'
      .. 'local registry = require "apps.registry" %s\n%s'):format(second, code))
    return tool.run(("cd %s && %s check gate.lua %s"):format(folder, PROGRAM, more or ""))
  end

  for _, case in ipairs(BROKEN) do
    it("says what is wrong with " .. case[1], function()
      local ok, out = check(case[1])
      assert.is_false(ok)
      assert.truthy(out:find "^tidegate: gate%.lua:3: ", out)
      for i = 2, #case do assert.truthy(out:find(case[i], 1, true), out) end
    end)
  end

  it("prints what is declared", function()
    local ok, out = check 'gate.serve { registry { store = mem }, gate.health "/healthz" }'
    assert(ok, out)
    for _, line in ipairs { "listen  127.0.0.1:5000", "store   mem:x", "route   GET /healthz",
      "route   GET /v2", "route   PUT /v2/{repo...}/manifests/{ref}" } do
      assert.truthy(("\n" .. out):find("\n" .. line .. "\n", 1, true), line .. "\n" .. out)
    end
  end)

  it("tries the stores, and leaves nothing in them", function()
    local data = folder .. "/data"
    local ok, out = check(('local disk = gate.store.fs { root = "%s" }\n'
      .. 'gate.serve { registry { store = disk:at "x" } }'):format(data), "--online")
    assert(ok, out)
    assert.truthy(out:find("online  mem:x  works, %d+ ms\n"), out)
    assert.truthy(out:find("online  fs:[^ ]+/data  works, %d+ ms\n"), out)
    for _, file in ipairs(tool.files(data)) do
      assert.truthy(file:find "^%.tidegate/", file)
    end
  end)

  it("says which store does not work, and tries the others", function()
    tool.write(folder .. "/file", "x")
    local ok, out = check(('gate.store.fs { root = "%s/file/below" }\n'
      .. 'gate.serve { registry { store = mem } }'):format(folder), "--online")
    assert.is_false(ok)
    assert.truthy(out:find("online  fs:[^ ]+/file/below  .-\n"), out)
    ok, out = check('gate.serve { registry { store = gate.store.mem { name = "y", '
      .. 'fail = "put:NO_SPACE:9" } } }', "--online")
    assert.is_false(ok)
    assert.truthy(out:find("online  mem:x  works", 1, true), out)
    assert.truthy(out:find("online  mem:y  NO_SPACE", 1, true), out)
  end)

  it("refuses a wrong use with 2", function()
    local _, out = check("", "--onlin; echo code=$?")
    assert.truthy(out:find "code=2", out)
    assert.truthy(out:find("usage: tidegate check SCRIPT [--online]", 1, true), out)
  end)
end)
