-- SPDX-License-Identifier: Apache-2.0
--
-- A new script in a running gateway: what follows it at once, what ends on the old one, and what
-- leaves everything as it was.
local gateway = require "spec.gateway"
local resource = require "posix.sys.resource"
local signal = require "posix.signal"
local socket = require "socket"
local unix = require "socket.unix"
local tool = require "spec.tool"

local TRANSFERS, IDLE, RELOADS = 100, 1000, 100
local WARM_UP = 50 -- reloads; allocators and sanitizers grow to their size by then
local PIECE = tool.bytes(100000, 7)
local SLOW_HEAD = "PUT /slow HTTP/1.1\r\nHost: g\r\nContent-Length: %d\r\n\r\n"

-- A script that says `name` wherever it can.
local function script(name, options, more)
  return ([[
    local gate = require "tidegate"
    gate.config { listen = { gate.env("TIDEGATE_LISTEN") }, workers = 2, %s }
    local disk = gate.store.fs { root = gate.env("TIDEGATE_DATA"), durability = "async" }
    local mem = gate.store.mem { name = "kept" }
    local app = gate.app {}
    app:get("/name", function() return gate.reply(200, %q) end)
    app:put("/slow", function(q)
      q.user = { name = "joe" }
      local got = q.body:into(nil)
      return gate.reply(201, { by = %q, size = got.size })
    end)
    app:put("/disk/{key}", function(q)
      disk:put(q.params.key, q.body:text("1m"))
      return gate.reply(201)
    end)
    app:get("/disk/{key}", function(q) return gate.reply(200, disk:open(q.params.key)) end)
    app:put("/mem", function(q) mem:put("x", q.body:text("1m")) return gate.reply(201) end)
    app:get("/mem", function() return gate.reply(200, mem:read("x", "1m") or gate.fail(404)) end)
    %s
    gate.serve { app }
  ]]):format(options or "", name, name, more or "")
end

-- An upload that has sent half of its body.
local function begin_slow(g)
  local c = g:raw()
  c:send(SLOW_HEAD:format(2 * #PIECE) .. PIECE)
  return c
end

-- Sends the rest; the script that answered.
local function end_slow(c)
  c:send(PIECE)
  local reply = assert(c:read_reply("PUT"))
  c:close()
  assert.equal(201, reply.status)
  return reply.body:match('"by":"(.-)"')
end

-- Waits until that many requests run in so many generations.
local function until_runs(g, requests, generations)
  local status
  local deadline = socket.gettime() + 20
  repeat
    status = g:tell("status")
    local n = 0
    for _, one in ipairs(status.generations) do n = n + one.requests end
    if n == requests and #status.generations == generations then return status end
  until socket.gettime() > deadline
  error(("%d generations: %s"):format(#status.generations, (select(2, g:command("status")))))
end

local function must_reload(g)
  local ok, out = g:command("reload")
  assert(ok, out)
  return out
end

describe("reload", function()
  local g

  local function start(text, more)
    more = more or {}
    more.script = text
    g = gateway.start(more)
    return g
  end

  after_each(function()
    if g then g:stop() end
    g = nil
  end)

  it("fails no transfer and no idle connection, and is in effect at once", function()
    local before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE,
      { rlim_cur = before.rlim_max, rlim_max = before.rlim_max })
    start(script "one")
    local big = tool.bytes(4 * 2 ^ 20 / 4, 3)
    assert.equal(201, g:request("PUT", "/disk/big", { body = big }).status)
    local idle, up, down = {}, {}, {}
    for i = 1, IDLE do
      idle[i] = g:raw()
      if i % 10 == 0 then assert.equal("one", idle[i]:request("GET", "/name").body) end
    end
    for i = 1, TRANSFERS / 2 do
      up[i] = begin_slow(g)
      down[i] = g:raw()
      down[i]:send("GET /disk/big HTTP/1.1\r\nHost: g\r\n\r\n")
    end
    until_runs(g, TRANSFERS / 2, 1) -- the downloads may be in socket buffers already

    g:rewrite(script "two")
    local began = socket.gettime()
    must_reload(g)
    assert.equal("two", g:request("GET", "/name").body)
    assert(socket.gettime() - began < 1, "it took too long")

    for i = 1, IDLE do
      assert.equal("two", idle[i]:request("GET", "/name").body)
      idle[i]:close()
    end
    for i = 1, TRANSFERS / 2 do
      assert.equal("one", end_slow(up[i]))
      local reply = assert(down[i]:read_reply("GET"))
      assert(reply.status == 200 and reply.body == big, "a download is whole")
      down[i]:close()
    end
    assert.equal(2, until_runs(g, 0, 1).generations[1].number)
  end)

  it("keeps the running script when the new one is broken, and says where", function()
    start(script "one")
    for _, case in ipairs {
      { "return +", ":1: unexpected symbol" },
      { script("two", "", "app:get('/name', 3)"), ":%d+: " },
      { "local gate = require 'tidegate'\ngate.config { wrokers = 2 }", ":2: gate.config: " },
    } do
      g:rewrite(case[1])
      local ok, out = g:command("reload")
      assert.is_false(ok)
      assert(out:match("^tidegate: .*/gateway%.lua" .. case[2]), out)
      assert(g:logged("reload refused.-/gateway%.lua" .. case[2]), g:log())
      assert(g:tell("status").refused.error:match(case[2]))
      assert.equal("one", g:request("GET", "/name").body)
    end
    g:rewrite(script "three")
    must_reload(g)
    assert.equal("three", g:request("GET", "/name").body)
    assert.is_nil(g:tell("status").refused)
  end)

  it("is what SIGHUP asks for", function()
    start(script "one")
    g:rewrite(script "two")
    g:signal(signal.SIGHUP)
    assert(g:logged("msg=reloaded generation=2"), g:log())
    assert.equal("two", g:request("GET", "/name").body)
    g:rewrite("?")
    g:signal(signal.SIGHUP)
    assert(g:logged("reload refused.-gateway.lua:1:"), g:log())
  end)

  it("is refused while requests run in two older generations; a signal waits", function()
    start(script "one")
    local first = begin_slow(g)
    until_runs(g, 1, 1)
    g:rewrite(script "two")
    must_reload(g)
    local second = begin_slow(g)
    until_runs(g, 2, 2)
    g:rewrite(script "three")
    must_reload(g)
    g:rewrite(script "four")
    local ok, out = g:command("reload")
    assert.is_false(ok)
    assert.truthy(out:find("requests still run in the two generations", 1, true), out)
    g:signal(signal.SIGHUP)
    assert(g:logged("the reload waits"), g:log())
    assert.equal("three", g:request("GET", "/name").body)
    assert.equal("one", end_slow(first))
    assert(g:logged("reloaded generation=4"), g:log())
    assert.equal("four", g:request("GET", "/name").body)
    assert.equal("two", end_slow(second))
    until_runs(g, 0, 1)
  end)

  it("leaves nothing behind, a hundred times", function()
    start(script("one", 'log = { level = "warn" }'))
    local path = g.data .. "/.tidegate/control.sock"
    local function reload()
      local c = assert(unix())
      c:settimeout(20)
      assert(c:connect(path))
      c:send("reload\n")
      local answer = c:receive("*a")
      c:close()
      assert(answer:match('"generation"'), answer)
      g:request("PUT", "/disk/x", { body = "x" })
    end
    for _ = 1, WARM_UP do reload() end
    local before, descriptors = until_runs(g, 0, 1), g:descriptors()
    for _ = 1, RELOADS do reload() end
    local after = until_runs(g, 0, 1)
    assert.equal(1 + RELOADS + WARM_UP, after.generations[1].number)
    assert(g:keeps(descriptors), "descriptors stay open")
    assert.same({}, g:tell("tasks").tasks)
    local grown = after.memory.resident - before.memory.resident
    -- AddressSanitizer keeps what was freed for a while; LeakSanitizer looks at the end
    assert(os.getenv "ASAN_OPTIONS" or grown < 4 * 2 ^ 20, "grown by " .. grown)
  end)

  it("keeps what is in stores, and begins those that are new", function()
    start(script "one")
    g:request("PUT", "/mem", { body = "remember" })
    local fresh = [[
      local more = gate.store.fs { root = gate.env("TIDEGATE_DATA") .. "/more/below" }
      app:put("/more", function(q) more:put("k", q.body:text("1m")) return gate.reply(201) end)
    ]]
    g:rewrite(script("two", "", fresh))
    must_reload(g)
    assert.equal("remember", g:request("GET", "/mem").body)
    assert.equal(201, g:request("PUT", "/more", { body = "x" }).status)
    assert.equal("x", tool.read(g.data .. "/more/below/k"))
    g:rewrite(script("three", "", 'gate.store.fs { root = "/proc/nowhere" }'))
    local ok, out = g:command("reload")
    assert.is_false(ok)
    assert.truthy(out:find("/proc/nowhere", 1, true), out)
    assert.equal("two", g:request("GET", "/name").body)
  end)

  it("opens and closes listeners, and tells what needs a restart", function()
    start(script "one")
    local second = g.folder .. "/second.sock"
    local c = g:raw()
    local function listening(list, options)
      return (script("two", options):gsub("listen = %b{}", "listen = { " .. list .. " }"))
    end
    g:rewrite(listening(("'unix:%s'"):format(second),
      "io_threads = 3, limits = { buffers = '8m' }"))
    local out = must_reload(g)
    assert.truthy(out:find("needs a restart: io_threads\n", 1, true), out)
    assert.truthy(out:find("needs a restart: limits.buffers\n", 1, true), out)
    assert.same({ "unix:" .. second }, g:tell("status").listen)
    assert.is_nil((socket.connect(g.host, tonumber(g.port))))
    assert.equal("two", c:request("GET", "/name").body) -- its connections stay
    c:close()
    local u = assert(unix())
    assert(u:connect(second))
    u:send("GET /name HTTP/1.1\r\nHost: g\r\n\r\n")
    assert.equal("HTTP/1.1 200 OK", u:receive("*l"))
    u:close()
    g:rewrite(listening("'unix:/nowhere/x', '127.0.0.1:0'"))
    local ok, why = g:command("reload")
    assert.is_false(ok)
    assert.truthy(why:find("cannot listen on unix:/nowhere/x", 1, true), why)
    assert.same({ "unix:" .. second }, g:tell("status").listen)
  end)

  it("changes limits and the log", function()
    start(script "one")
    local c = g:raw()
    g:request("GET", "/name")
    assert(g:logged("path=/name"))
    g:rewrite(script("two",
      'limits = { idle = "20ms" }, log = { level = "warn", format = "json" }'))
    must_reload(g)
    local log = g:log()
    assert.equal("two", c:request("GET", "/name").body)
    assert.is_true(c:ended())
    g:rewrite("?")
    g:command("reload")
    assert(g:logged('"level":"error","msg":"reload refused'), g:log())
    assert.is_nil(g:log():sub(#log + 1):find("path", 1, true))
  end)

  it("is refused while the gateway stops", function()
    start(script "one")
    local c = begin_slow(g)
    until_runs(g, 1, 1)
    g:signal(signal.SIGTERM)
    assert(g:logged("draining"))
    local ok, out = g:command("reload")
    assert.is_false(ok)
    assert.equal("tidegate: the server is stopping\n", out)
    assert.truthy(select(2, g:command("status")):find("stopping", 1, true))
    assert.equal("one", end_slow(c))
    assert(g:wait(), "it ends by itself")
  end)
end)
