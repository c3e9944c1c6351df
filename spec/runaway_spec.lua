-- SPDX-License-Identifier: Apache-2.0
--
-- Scripts that run away: what loops, recurses, eats memory or waits for ever costs one request
-- its answer, others a moment at most, and leaves nothing behind.
local gateway = require "spec.gateway"
local socket = require "socket"
local tool = require "spec.tool"

if not tool.watchdog_works then return end

local ANSWER_S, OTHERS_S = 4, 1 -- generous: the machine has other things to do

local SCRIPT = [[
local gate = require "tidegate"
gate.config { listen = gate.env "TIDEGATE_LISTEN", workers = 2,
  limits = { script = "48m", slice = "100ms", wait = "150ms" } }
local mem = gate.store.mem { name = "runaway" }
local slow = gate.store.mem { name = "slow", delay = "1h" }
local function spin() while true do end end
local function nothing() end
local bombs = { %s }
local app = gate.app { prefix = "/bomb" }
app:get("/{name}", function(q) return bombs[q.params.name](q) or gate.reply(200, "done") end)
app:put("/{name}", function(q) return bombs[q.params.name](q) or gate.reply(200, "done") end)
local hook = gate.app { prefix = "/hook" }
hook:use(spin)
hook:get("/", spin)
local wrong = gate.app { prefix = "/on-error", on_error = function() repeat until false end }
wrong:get("/", function() gate.fail(400, "X") end)
local worse = gate.app { prefix = "/on-error-fails", on_error = function() error("again") end }
worse:get("/", function() gate.fail(400, "X") end)
local ci = require "apps.registry" { store = mem, allow = function() spin() end }
gate.serve { app, hook, wrong, worse, ci, gate.health "/healthz" }
]]

-- name and text of a handler; each is answered 500
local BOMBS = {
  { "loop", [[ while true do end ]] },
  { "pcall-loop", [[ while true do pcall(function() while true do end end) end ]] },
  { "xpcall-loop", [[ while true do xpcall(spin, spin) end ]] },
  { "handler-loop", [[ xpcall(function() table.sort({ 1, 2, 3 }, spin) end, spin) ]] },
  { "sort-loop", [[ while true do pcall(table.sort, { 3, 2, 1 }, spin) end ]] },
  { "gsub-loop", [[ while true do pcall(string.gsub, "xx", "x", spin) end ]] },
  { "coroutine-loop", [[ while true do coroutine.wrap(function() pcall(spin) end)() end ]] },
  { "generator-loop", [[
    local next = coroutine.wrap(function() while true do coroutine.yield(1) end end)
    while true do next() end]] },
  { "allocation", [[ local t = {} for i = 1, 1e9 do t[i] = { i } end ]] },
  { "caught-allocation", [[
    while true do pcall(function() local t = {} for i = 1, 1e9 do t[i] = { i } end end) end]] },
  { "strings", [[ local s = "x" while true do s = s .. s end ]] },
  { "rep", [[ return gate.reply(200, ("x"):rep(1e9)) ]] },
  { "insert", [[ table.insert({}, -2^31, 1) ]] },
  { "concat", [[
    local t = {}
    for i = 1, 1000 do t[i] = ("x"):rep(1e5) end
    return gate.reply(200, table.concat(t))]] },
  { "recursion", [[ local function f() return 1 + f() end f() ]] },
  { "recursion-by-sort", [[ local function f() table.sort({ 1, 2, 3 }, f) end f() ]] },
  { "recursion-by-index", [[
    local mt = {} mt.__index = function() return setmetatable({}, mt).x .. "" end
    local x = setmetatable({}, mt).x .. x]] },
  { "recursion-by-coroutine", [[ local function f() coroutine.wrap(f)() end f() ]] },
  { "coroutines", [[ local t = {} while true do t[#t + 1] = coroutine.create(spin) end ]] },
  { "handler-fails", [[
    local function h() error("again") end
    error(select(2, xpcall(error, h)))]] },
  { "tostring-fails", [[
    error(setmetatable({}, { __tostring = function() error("again") end }))]] },
  { "tostring-loops", [[ error(setmetatable({}, { __tostring = spin })) ]] },
  { "tostring-is-none", [[ error(setmetatable({}, { __tostring = nothing })) ]] },
  { "gc-fails", [[
    for i = 1, 1e5 do setmetatable({}, { __gc = function() error("gc") end }) end
    error("no finalizer ran")]] },
  { "error-nil", [[ error() ]] },
  { "error-number", [[ error(42) ]] },
  { "error-function", [[ error(nothing) ]] },
  { "error-table", [[ error({}) ]] },
}

-- Sends the request; while its answer is awaited, others are asked for theirs.
local function survive(g, path)
  local bomb, began, worst = g:raw(), socket.gettime(), 0
  bomb:send("GET " .. path .. " HTTP/1.1\r\nHost: x\r\n\r\n")
  repeat
    local asked = socket.gettime()
    local reply = g:request("GET", "/healthz")
    assert.equal(200, reply.status)
    worst = math.max(worst, socket.gettime() - asked)
  until #socket.select({ bomb.socket }, nil, 0.01) > 0
  local reply = bomb:read_reply("GET")
  assert.is_true(socket.gettime() - began < ANSWER_S, "the answer took too long")
  assert.is_true(worst < OTHERS_S, ("others waited for %.2f s"):format(worst))
  bomb:close()
  return reply
end


local function resident_kib(g)
  for line in io.lines(("/proc/%d/status"):format(g.pid)) do
    local kib = line:match "^VmRSS:%s+(%d+)"
    if kib then return tonumber(kib) end
  end
end

describe("a script that runs away", function()
  local g

  setup(function()
    local handlers = {}
    for _, bomb in ipairs(BOMBS) do
      handlers[#handlers + 1] = ("[%q] = function() %s end"):format(bomb[1], bomb[2])
    end
    for name, text in pairs {
      hangs = [[ slow:read("x", 1) ]],
      caught = [[ local _, e = gate.try(slow.read, slow, "x", 1)
        mem:put("x", e.name)
        return gate.reply(200, mem:read("x", 99)) ]],
      upload = [[ return gate.reply(200, { size = q.body:into(mem:create "y").size }) ]],
    } do
      handlers[#handlers + 1] = ("[%q] = function(q) %s end"):format(name, text)
    end
    g = gateway.start { script = (SCRIPT:gsub("%%s", function()
      return table.concat(handlers, ",\n")
    end)) }
  end)
  teardown(function() g:stop() end)

  for _, bomb in ipairs(BOMBS) do
    it("costs one answer: " .. bomb[1], function()
      local reply = survive(g, "/bomb/" .. bomb[1])
      assert.equal(500, reply.status)
      assert.truthy(reply.body:find('"code":"INTERNAL"', 1, true), reply.body)
    end)
  end

  for _, path in ipairs { "/hook/", "/on-error/", "/on-error-fails/", "/v2/a/manifests/x" } do
    it("costs one answer: " .. path, function()
      assert.equal(500, survive(g, path).status)
    end)
  end

  it("is named in the log, with the place", function()
    assert.truthy(g:logged 'the handler ran longer than 100ms %(limits%.slice%)" id=%x+ trace='
      .. '"stack traceback:\\n\\u0009[^ ]*gateway.lua:%d+:')
  end)

  it("gives its memory back", function()
    if os.getenv "ASAN_OPTIONS" then return end -- which keeps what is freed for a while
    local deadline = socket.gettime() + 5
    repeat
      local kib = resident_kib(g)
      if kib < 40 * 1024 then return end
      socket.sleep(0.02)
    until socket.gettime() > deadline
    error(("%d KiB are resident"):format(resident_kib(g)))
  end)

  it("does not wait for ever: 503", function()
    local reply = survive(g, "/bomb/hangs")
    assert.equal(503, reply.status)
    assert.truthy(reply.body:find('"code":"TIMEOUT"', 1, true), reply.body)
  end)

  it("may go on after a wait that took too long", function()
    assert.equal("TIMEOUT", survive(g, "/bomb/caught").body)
  end)

  it("waits for a body as long as it comes", function()
    local c = g:raw()
    c:send("PUT /bomb/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
    for byte in ("abcde"):gmatch(".") do
      socket.sleep(0.08) -- all of it takes longer than limits.wait
      c:send(byte)
    end
    local reply = c:read_reply("PUT")
    assert.equal(200, reply.status)
    assert.truthy(reply.body:find('"size":5', 1, true), reply.body)
    c:close()
  end)
end)

describe("a worker whose script is late", function()
  it("gets no new connections", function()
    local g = gateway.start { script = [[
      local gate = require "tidegate"
      gate.config { listen = gate.env "TIDEGATE_LISTEN", workers = 2, limits = { slice = "800ms" } }
      local app = gate.app {}
      app:get("/spin", function() while true do end end)
      gate.serve { app, gate.health "/healthz" }]] }
    local late, open = g:raw(), {}
    late:send("GET /spin HTTP/1.1\r\nHost: x\r\n\r\n")
    socket.sleep(0.3) -- some rounds of the watchdog
    for i = 1, 8 do
      open[i] = g:raw()
      assert.equal(200, open[i]:request("GET", "/healthz").status)
    end
    assert.equal(0, #socket.select({ late.socket }, nil, 0), "the loop had ended already")
    assert.equal(500, late:read_reply("GET").status)
    for i = 1, 8 do open[i]:close() end
    late:close()
    g:stop()
  end)
end)
