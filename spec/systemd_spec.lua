-- SPDX-License-Identifier: Apache-2.0
--
-- What passes between the gateway and a service manager such as systemd. No manager is needed:
-- the spec holds the other end of the notify socket, and hands sockets on.
local ffi = require "ffi"
local gateway = require "spec.gateway"
local poll = require "posix.poll"
local signal = require "posix.signal"
local socket = require "socket"
local sys = require "posix.sys.socket"
local tool = require "spec.tool"
local unistd = require "posix.unistd"
local wire = require "spec.wire"

local PATIENCE_MS = 20000

local SCRIPT = [[
  local gate = require "tidegate"
  gate.config { listen = %s, workers = 2, limits = { slice = "60s" } }
  gate.store.fs { root = gate.env "TIDEGATE_DATA" }
  local app = gate.app {}
  app:get("/", function() return gate.reply(200, "%s") end)
  app:get("/spin", function()
    local till = gate.now() + 1
    while gate.now() < till do end
    return gate.reply(200)
  end)
  gate.serve { app }
]]

ffi.cdef [[
  struct spec_sockaddr_un { unsigned short family; char path[108]; };
  int bind(int fd, const struct spec_sockaddr_un *address, unsigned size);
]]

-- The manager's end, at a path, or at a name behind a NUL; next() is the next message, as a table
-- of its lines.
local function ear(address)
  local fd = assert(sys.socket(sys.AF_UNIX, sys.SOCK_DGRAM, 0))
  local at = ffi.new("struct spec_sockaddr_un", sys.AF_UNIX)
  ffi.copy(at.path, address, #address)
  assert(ffi.C.bind(fd, at, 2 + #address) == 0)
  local self = { fd = fd }
  function self.next(ms)
    if poll.rpoll(fd, ms or PATIENCE_MS) ~= 1 then return nil end
    local lines = {}
    for name, value in sys.recv(fd, 4096):gmatch("([A-Z_]+)=([^\n]*)") do lines[name] = value end
    return lines
  end
  -- Skips what it hears until a message has that variable.
  function self.until_says(name)
    for _ = 1, 1000 do
      local message = assert(self.next(), "the gateway does not say " .. name)
      if message[name] then return message end
    end
  end
  function self.close() unistd.close(fd) end
  return self
end

local function start(options)
  options.script = SCRIPT:format(options.listen or 'gate.env "TIDEGATE_LISTEN"', "first")
  return gateway.start(options)
end

describe("a service manager", function()
  local folder, hears

  before_each(function()
    folder = tool.tmpdir()
    hears = ear(folder .. "/notify")
  end)

  after_each(function()
    hears.close()
    tool.remove(folder)
  end)

  local function notified(more)
    local env = { NOTIFY_SOCKET = folder .. "/notify" }
    for name, value in pairs(more or {}) do env[name] = value end
    return start { env = env }
  end

  it("hears when the gateway is ready, and when it stops", function()
    local g = notified()
    local message = hears.next()
    assert.equal("1", message.READY)
    assert.is_truthy(message.STATUS:find("http://" .. g.address, 1, true))
    assert.is_nil(hears.next(0))
    g:signal(signal.SIGTERM)
    assert.equal("1", hears.until_says("STOPPING").STOPPING)
    g:stop()
    assert.is_nil(hears.next(0), "nothing is said afterwards, no watchdog was asked for")
  end)

  it("hears of a reload, one that is refused too", function()
    local g = notified()
    hears.next()
    for _, case in ipairs {
      { SCRIPT:format('gate.env "TIDEGATE_LISTEN"', "second"), true, "generation 2" },
      { "this is no Lua", false, "reload refused: .*gateway.lua:1" },
    } do
      g:rewrite(case[1])
      local before = socket.gettime()
      assert.equal(case[2], (g:command("reload")))
      local message = hears.next()
      assert.equal("1", message.RELOADING)
      assert.is_truthy(tonumber(message.MONOTONIC_USEC) > 0, before)
      message = hears.next()
      assert.equal("1", message.READY)
      assert.is_truthy(message.STATUS:find(case[3]), message.STATUS)
    end
    assert.equal("second", g:request("GET", "/").body)
    g:stop()
  end)

  it("hears from the watchdog as long as all workers answer", function()
    local g = notified { WATCHDOG_USEC = "200000" }
    for _ = 1, 3 do assert.equal("1", hears.until_says("WATCHDOG").WATCHDOG) end
    local c = g:raw()
    c:send("GET /spin HTTP/1.1\r\nHost: g\r\n\r\n")
    assert.is_truthy(g:logged("a worker is late"))
    while hears.next(0) do end -- said before
    assert.is_nil(hears.next(300), "a worker is busy, and the others do not speak for it")
    assert.equal(200, c:read_reply("GET").status)
    c:close()
    assert.equal("1", hears.until_says("WATCHDOG").WATCHDOG)
    g:stop()
  end)

  it("is not fed by a watchdog that was asked of another process", function()
    local g = notified { WATCHDOG_USEC = "1000", WATCHDOG_PID = "1" }
    hears.next()
    assert.is_nil(hears.next(100))
    g:stop()
  end)

  it("may listen at a name that no file stands for, or be gone", function()
    local name = "tidegate-spec-" .. unistd.getpid()
    local other = ear("\0" .. name)
    local g = start { env = { NOTIFY_SOCKET = "@" .. name } }
    assert.equal("1", other.next().READY)
    g:stop()
    other.close()
    for _, gone in ipairs { folder .. "/nobody", "relative", "@" } do
      g = start { env = { NOTIFY_SOCKET = gone } }
      assert.is_truthy(g:logged("service manager"))
      assert.equal(200, g:request("GET", "/").status)
      g:stop()
    end
  end)
end)

describe("sockets that a service manager has opened", function()
  local sockets = {}

  -- A listening socket, and its port.
  local function listening()
    local s = assert(socket.bind("127.0.0.1", 0))
    sockets[#sockets + 1] = s
    return s:getfd(), tonumber((select(2, s:getsockname())))
  end

  after_each(function()
    for _, s in ipairs(sockets) do s:close() end
    sockets = {}
  end)

  local function answers(port)
    local c = wire.connect("127.0.0.1", port)
    local reply = c:request("GET", "/")
    c:close()
    return reply.status == 200
  end

  it("are listened on, by name or all", function()
    local web, web_port = listening()
    local ops, ops_port = listening()
    local more, more_port = listening()
    for _, case in ipairs {
      { '"systemd"', 3 },
      { '{ "systemd:web", "systemd:ops" }', 3 },
      { '{ "systemd:web#2", { address = "systemd:ops" } }', 2 },
      { '"systemd:web"', 2 },
      { '{ "127.0.0.1:0", "systemd:ops" }', 2 },
    } do
      local g = start {
        listen = case[1], sockets = { web, ops, more }, env = { LISTEN_FDNAMES = "web:ops:web" },
      }
      local listen = g:tell("status").listen
      assert.equal(case[2], #listen, case[1])
      local all = table.concat(listen, " ") .. " "
      for _, port in ipairs { web_port, ops_port, more_port } do
        if all:find(":" .. port .. " ", 1, true) then assert.is_true(answers(port)) end
      end
      g:stop()
    end
  end)

  it("keep their callers from one gateway to the next", function()
    local fd, port = listening()
    local g = start { listen = '"systemd"', sockets = { fd } }
    assert.is_true(answers(port))
    g:stop()
    local c = wire.connect("127.0.0.1", port) -- while no gateway runs
    c:send("GET / HTTP/1.1\r\nHost: g\r\n\r\n")
    g = start { listen = '"systemd"', sockets = { fd } }
    assert.equal(200, c:read_reply("GET").status)
    c:close()
    g:stop()
  end)

  it("can be left by a reload, and taken again", function()
    local fd, port = listening()
    local g = start { listen = '"systemd"', sockets = { fd } }
    g:rewrite(SCRIPT:format('"127.0.0.1:0"', "second"))
    assert.is_true((g:command("reload")))
    g:rewrite(SCRIPT:format('"systemd"', "third"))
    assert.is_true((g:command("reload")))
    assert.is_true(answers(port))
    g:stop()
  end)

  it("that are not there, or are no listeners, are refused", function()
    local fd = listening()
    local deaf = assert(sys.socket(sys.AF_UNIX, sys.SOCK_DGRAM, 0))
    for _, case in ipairs {
      { { listen = '"systemd"' }, "has passed no such socket" },
      { { listen = '"systemd:other"', sockets = { fd } }, "has passed no such socket" },
      { { listen = '"systemd#2"', sockets = { fd } }, "has passed no such socket" },
      { { listen = '"systemd"', sockets = { deaf } }, "does not listen" },
      { { listen = '"systemd#x"', sockets = { fd } }, '"systemd#x" is no address' },
    } do
      local ok, why = pcall(start, case[1])
      assert.is_false(ok)
      assert.is_truthy(why:find(case[2], 1, true), why)
    end
    unistd.close(deaf)
  end)
end)
